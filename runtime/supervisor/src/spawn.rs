//! Makes worker processes: the only place of the supervisor that does. Between fork and exec there are raw calls
//! only, the environment is empty, and the program is the `wjob` file that was opened at start-up.

mod image;

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use wjob_model::run::{Exit, NOT_ITS_PRIORITY, NOT_ITS_USER};
use wjob_sandbox::capabilities;
use wjob_sandbox::cgroup::Group;
use wjob_sandbox::channel::{Channel, ChannelError};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use image::high;

pub use image::{Image, SavedImage};

/// Name by which the `wjob` file knows that it is to be a worker.
pub const WORKER_NAME: &CStr = c"wjob-worker";

/// Processes that were started here and not waited for yet.
static OURS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn ours() -> MutexGuard<'static, BTreeSet<u32>> {
    // A set of numbers is whole after every single change.
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a child was started here and is waited for by whoever has it.
pub fn is_ours(pid: u32) -> bool {
    ours().contains(&pid)
}

/// The signal that nobody can refuse (signal(7)).
const SIGKILL: u8 = 9;

/// How long a helper that closed its channel may take to be gone, nanoseconds.
const LAST_MOMENT: i64 = 100_000_000;

/// A worker process.
#[derive(Debug)]
pub struct Worker {
    /// Its number, for reading /proc only: what is done to it goes through `pidfd`.
    pub pid: u32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
    /// The supervisor's end of its channel.
    pub channel: Channel,
    /// Its control group, if it has one of its own.
    pub group: Option<Group>,
    gone: bool,
}

/// A worker as it is handed over: its number and its descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedWorker {
    pid: u32,
    pidfd: RawFd,
    channel: RawFd,
    group: Option<PathBuf>,
}

/// Who a process is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// How a worker stands among other processes, settled before it runs a line of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing<'a> {
    /// Nice, -20 to 19.
    pub nice: Option<i32>,
    /// Scheduled after everything else (SCHED_IDLE).
    pub background: bool,
    /// Served by disks after everything else.
    pub low_io: bool,
    /// Who it is; `None` keeps this process's own.
    pub identity: Option<&'a Identity>,
    /// Whether it is left the right to mount beside that user, if this process has it.
    pub mounts: bool,
    /// The role it is named for; `None` = a worker.
    pub name: Option<&'a CStr>,
    /// What it is told beside its name.
    pub arguments: &'a [CString],
}

/// How many files a job may have open unless it says otherwise: what this process was started with.
static FILES: OnceLock<libc::rlimit> = OnceLock::new();

/// How many files jobs may have open: at first, and at most.
pub fn files_of_jobs() -> Option<(u64, u64)> {
    FILES.get().map(|limit| (limit.rlim_cur, limit.rlim_max))
}

/// Lets this process have as many files open as it may: each run of a job takes some. Jobs get what it had before, or
/// what an earlier program of this process had.
pub fn raise_files(earlier: Option<(u64, u64)>) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the limit they are given, which outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            let of_jobs = earlier.map(|(rlim_cur, rlim_max)| libc::rlimit { rlim_cur, rlim_max });
            let _ = FILES.set(of_jobs.unwrap_or(limit));
            let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised);
        }
    }
}

/// Starts a worker.
///
/// # Errors
/// When the system has no processes or descriptors left.
pub fn spawn(image: &Image, standing: &Standing<'_>) -> Result<Worker, String> {
    let (ours, theirs) = Channel::pair().map_err(|error| error.to_string())?;
    let theirs = high(theirs.into())?;
    let words = std::iter::once(standing.name.unwrap_or(WORKER_NAME));
    let words = words.chain(standing.arguments.iter().map(CString::as_c_str)).map(CStr::as_ptr);
    // Made here: its memory is not asked for between fork and exec.
    let argv: Vec<*const libc::c_char> = words.chain([std::ptr::null()]).collect();
    let mut pidfd: RawFd = -1;
    let mut arguments = libc_clone_args(&mut pidfd);
    // SAFETY: without CLONE_VM this is a fork. The child runs `become_worker`, which makes raw system calls only
    // and never returns; `arguments` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of_val(&arguments)) };
    match pid {
        0 => become_worker(image, theirs.as_raw_fd(), standing, &argv),
        1.. => Ok(Worker {
            pid: started(pid),
            // SAFETY: clone3 has just made this descriptor for us (CLONE_PIDFD).
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            channel: ours,
            group: None,
            gone: false,
        }),
        _ => Err(format!("clone3: {}", std::io::Error::last_os_error())),
    }
}

fn started(pid: libc::c_long) -> u32 {
    let pid = u32::try_from(pid).unwrap_or_default();
    ours().insert(pid);
    pid
}

/// Signal handlers are the child's default, and its end is told by SIGCHLD and the pidfd.
fn libc_clone_args(pidfd: &mut RawFd) -> libc::clone_args {
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    // SAFETY: all zero is what clone3(2) takes for "not given".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = std::ptr::from_mut(pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments
}

/// The child's part: a session of its own, its priority, descriptors 0 to 3, nothing else, and exec.
fn become_worker(image: &Image, channel: RawFd, standing: &Standing<'_>, argv: &[*const libc::c_char]) -> ! {
    let envp = [std::ptr::null::<libc::c_char>()];
    // SAFETY: raw system calls on numbers and on memory of this process's own copy; no allocation, no lock.
    unsafe {
        libc::syscall(libc::SYS_setsid);
        stand(standing);
        let null = image.null.as_raw_fd();
        for (from, to) in [(null, 0), (null, 1), (null, 2), (channel, 3)] {
            libc::syscall(libc::SYS_dup2, from, to);
        }
        libc::syscall(libc::SYS_close_range, 4, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if let Some(files) = FILES.get() {
            libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, std::ptr::from_ref(files), 0usize);
        }
        // CLONE_CLEAR_SIGHAND leaves what the caller had ignored, and an ignored SIGCHLD would reap for us.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let none: u64 = 0;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0usize, 8usize);
        let program = image.program.as_raw_fd();
        libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), argv.as_ptr(), envp.as_ptr(), libc::AT_EMPTY_PATH);
        libc::syscall(libc::SYS_exit_group, 127);
    }
    std::process::abort()
}

/// ioprio_set(2): of one process, this one, class idle.
const IOPRIO_WHO_PROCESS: i32 = 1;
const IOPRIO_IDLE: i32 = 3 << 13;

/// Priorities first, which may need rights, then the user; a user that cannot be taken is no reason to run as another,
/// and a job that asks for a priority runs with no other. Being served last takes no right.
///
/// # Safety
/// Only between fork and exec: it changes this process for good.
unsafe fn stand(standing: &Standing<'_>) {
    // SAFETY: raw system calls on numbers and on memory of this process's own copy.
    unsafe {
        if let Some(nice) = standing.nice
            && libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) != 0
        {
            libc::syscall(libc::SYS_exit_group, i32::from(NOT_ITS_PRIORITY));
        }
        if standing.background {
            let none: libc::c_int = 0;
            libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &raw const none);
        }
        if standing.background || standing.low_io {
            libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
        }
        let Some(identity) = standing.identity else {
            return;
        };
        let Identity { uid, gid, groups } = identity;
        if standing.mounts {
            let _ = capabilities::keep_through_change_of_user();
        }
        let taken = libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) == 0
            && libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) == 0;
        if !taken {
            libc::syscall(libc::SYS_exit_group, i32::from(NOT_ITS_USER));
        }
        if standing.mounts {
            // Without it the worker gets no further than its first namespace, and says so.
            let _ = capabilities::leave_to_mount();
        }
    }
}

impl Worker {
    /// Hands it its first message. One that is gone by now is heard of by its end, which says why.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hand<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<(), String> {
        match self.channel.send(message, descriptors) {
            Ok(()) | Err(ChannelError::Gone) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedWorker {
        let group = self.group.as_ref().map(|group| group.folder().to_owned());
        SavedWorker { pid: self.pid, pidfd: kept.keep(&self.pidfd), channel: kept.keep(&self.channel), group }
    }

    /// One that the program before this one has made: a child of this process, as before.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: &SavedWorker, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let pidfd = inherited.take(saved.pidfd)?;
        let channel = Channel::inherited(inherited.take(saved.channel)?);
        ours().insert(saved.pid);
        let group = saved.group.clone().map(Group::resumed);
        Ok(Self { pid: saved.pid, pidfd, channel, group, gone: false })
    }

    /// A child of a test's own in a worker's place.
    #[cfg(test)]
    pub fn in_place(pid: u32, pidfd: OwnedFd, channel: Channel) -> Self {
        Self { pid, pidfd, channel, group: None, gone: false }
    }

    /// SIGKILL, through the pidfd.
    pub fn kill(&self) {
        // Gone already is as good as killed.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }

    /// Gives a process that is about to end a moment to, and then kills it.
    pub fn end_soon(&self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: LAST_MOMENT };
        if !matches!(poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&moment)), Ok(1..)) {
            self.kill();
        }
    }

    /// Closes its channel, which asks it to end.
    pub fn close(&self) {
        // SHUT_WR is read as the end of the channel; what was sent before is still taken.
        let _ = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Write);
    }

    /// The same, and gives it so many seconds to.
    pub fn wait_after_close(self, seconds: i64) {
        self.close();
        let Self { pidfd, pid, .. } = &self;
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&limit));
        if !matches!(ended, Ok(1..)) {
            eprintln!("process {pid} did not end within {seconds} s and is killed");
        }
    }

    /// Waits for its end and takes its status and what it used.
    pub fn reap(&mut self) -> (Exit, Usage) {
        // What says nothing else is a failure.
        let mut status = 1 << 8;
        // SAFETY: all zero is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let pid = i32::try_from(self.pid).unwrap_or(-1);
        loop {
            // SAFETY: both pointers are to locals that outlive the call; the child is ours and not yet waited for.
            let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
            if waited >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                break;
            }
        }
        self.gone = true;
        ours().remove(&self.pid);
        let exit = match exit(status) {
            Exit::Signal(SIGKILL) if self.ran_out_of_memory() => Exit::OutOfMemory,
            exit => exit,
        };
        self.group = None;
        (exit, Usage::of(&usage))
    }

    /// Whether the kernel has ended processes of its own group for what that has used of its memory.
    pub fn ran_out_of_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Group::ran_out_of_memory)
    }

    /// Whether the kernel has refused its own group a process for those that it had.
    pub fn ran_out_of_processes(&self) -> bool {
        self.group.as_ref().is_some_and(Group::ran_out_of_processes)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.gone {
            self.kill();
            self.reap();
        }
    }
}

fn exit(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(u8::try_from(libc::WTERMSIG(status)).unwrap_or_default())
    } else {
        Exit::Status(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or_default())
    }
}

/// What a worker used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time, microseconds.
    pub cpu_micros: u64,
    /// Largest resident set, bytes.
    pub peak_memory: u64,
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let micros = |time: libc::timeval| {
            u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or_default()
        };
        Self {
            cpu_micros: micros(usage.ru_utime) + micros(usage.ru_stime),
            peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
        }
    }
}
