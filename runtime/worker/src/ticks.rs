//! Ticks of the worker's own processor time. The timer counts time on a processor only (ITIMER_PROF), so a guest
//! that waits or a worker that idles is never woken, and no thread is needed: the handler moves the engine's epoch.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use wasmtime::Engine;

/// One tick: how long a guest may compute before the worker looks up.
const TICK: Duration = Duration::from_millis(10);

static ENGINES: OnceLock<[Option<Engine>; 2]> = OnceLock::new();

extern "C" fn tick(_signal: i32) {
    // Loading an initialised cell and adding to an atomic are all this does: both are safe in a signal handler.
    for engine in ENGINES.get().into_iter().flatten().flatten() {
        engine.increment_epoch();
    }
}

/// Starts the ticks; once in a process.
///
/// # Errors
/// When the system has no timers left.
pub(crate) fn start(engine: &Engine, other: Option<&Engine>) -> io::Result<()> {
    let _ = ENGINES.set([Some(engine.clone()), other.cloned()]);
    let micros = libc::suseconds_t::try_from(TICK.as_micros()).unwrap_or(10_000);
    let every = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the action is zeroed and filled before use and its handler is safe at any moment; both calls read
    // locals that outlive them.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = tick as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        match libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) {
            0 => libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()),
            failed => failed,
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Processor time of this process so far.
pub(crate) fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
