//! What a job writes, on its way to a descriptor: counted against OutputSize, paced by OutputRate, made safe for
//! a terminal. Used for guests' streams and for the relay of native programs; it waits for nothing itself.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wjob_model::limit::Limits;
use wjob_model::terminal::Filter;

use crate::label::Label;

/// The budget that stdout and stderr share.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Option<u64>,
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    a_second: u64,
    tokens: u64,
    filled: Instant,
}

impl Meter {
    /// The meter of a run.
    pub fn shared(limits: &Limits) -> Arc<Mutex<Self>> {
        let rate = limits.output_rate.map(|a_second| Rate { a_second, tokens: a_second, filled: Instant::now() });
        Arc::new(Mutex::new(Self { left: limits.output_size, rate }))
    }

    /// How much of `wanted` may go now, and if nothing, how long to wait.
    fn admit(&mut self, wanted: usize, now: Instant) -> Result<usize, Duration> {
        let Some(rate) = &mut self.rate else {
            return Ok(wanted);
        };
        rate.fill(now);
        let admitted = usize::try_from(rate.tokens).unwrap_or(usize::MAX).min(wanted);
        if admitted == 0 && wanted > 0 {
            return Err(Duration::from_secs_f64(1.0 / rate.a_second as f64).max(Duration::from_millis(1)));
        }
        Ok(admitted)
    }

    /// Takes `length` from the budget; false when that was more than was left.
    fn take(&mut self, length: usize) -> bool {
        let length = length as u64;
        if let Some(rate) = &mut self.rate {
            rate.tokens = rate.tokens.saturating_sub(length);
        }
        match &mut self.left {
            Some(left) if *left < length => {
                *left = 0;
                false
            }
            Some(left) => {
                *left -= length;
                true
            }
            None => true,
        }
    }
}

impl Rate {
    /// A second's worth is the most that gathers.
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        let gained = (passed * self.a_second as f64) as u64;
        if gained > 0 {
            self.tokens = (self.tokens + gained).min(self.a_second);
            self.filled = now;
        }
    }
}

/// One descriptor a job writes to.
#[derive(Debug)]
pub(crate) struct Output {
    descriptor: Arc<OwnedFd>,
    meter: Arc<Mutex<Meter>>,
    filter: Option<Mutex<Filter>>,
    label: Option<Mutex<Label>>,
    terminal: bool,
}

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// OutputSize is used up.
    Limit,
    /// The system refused.
    System(io::Error),
}

impl Output {
    /// An output; bytes to a terminal are filtered unless `raw`.
    pub fn new(descriptor: OwnedFd, meter: Arc<Mutex<Meter>>, raw: bool) -> Self {
        let terminal = rustix::termios::isatty(&descriptor);
        let filter = (terminal && !raw).then(Mutex::default);
        Self { descriptor: Arc::new(descriptor), meter, filter, label: None, terminal }
    }

    /// The same output with `prefix` before each line.
    pub fn labelled(&self, prefix: String) -> Self {
        Self {
            descriptor: self.descriptor.clone(),
            meter: self.meter.clone(),
            filter: self.filter.as_ref().map(|_| Mutex::default()),
            label: Some(Mutex::new(Label::new(prefix))),
            terminal: self.terminal,
        }
    }

    /// Ends the line that is under way; the next ones begin with `prefix`.
    pub fn relabel(&self, prefix: String) {
        if let Some(label) = &self.label {
            let rest = label.lock().unwrap_or_else(PoisonError::into_inner).rename(prefix);
            let _ = self.show(&rest);
        }
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.descriptor
    }

    /// How much may be written now, by the rate.
    pub fn admit(&self, wanted: usize) -> Result<usize, Duration> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner).admit(wanted, Instant::now())
    }

    /// Writes all of `bytes`; the limit lets through what is left of it.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let (whole, left) = {
            let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
            let left = meter.left.unwrap_or(u64::MAX);
            (meter.take(bytes.len()), left)
        };
        let admitted = if whole { bytes.len() } else { usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()) };
        match &self.label {
            None => self.show(&bytes[..admitted]),
            Some(label) => {
                let lines = label.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes[..admitted]);
                self.show(&lines)
            }
        }
        .map_err(Refusal::System)?;
        if whole { Ok(()) } else { Err(Refusal::Limit) }
    }

    /// Writes what is not the job's own.
    pub fn write_uncounted(&self, bytes: &[u8]) -> io::Result<()> {
        self.show(bytes)
    }

    fn show(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.filter {
            None => self.write_all(bytes),
            Some(filter) => {
                let safe = filter.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
                self.write_all(&safe)
            }
        }
    }

    /// The stream has ended: what the filter held back is shown.
    pub fn finish(&self) {
        if let Some(label) = &self.label {
            let rest = label.lock().unwrap_or_else(PoisonError::into_inner).finish();
            // The job is over; there is nobody left to tell.
            let _ = self.show(&rest);
        }
        if let Some(filter) = &self.filter {
            let rest = filter.lock().unwrap_or_else(PoisonError::into_inner).finish();
            // The job is over; there is nobody left to tell.
            let _ = self.write_all(&rest);
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.descriptor, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(rustix::io::Errno::INTR) => {}
                // Somebody shares the descriptor and made it non-blocking.
                Err(rustix::io::Errno::AGAIN) => {
                    ready(&self.descriptor, PollFlags::OUT, None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Waits as long as a rate asks for.
pub(crate) fn pause(wait: Option<Duration>) {
    if let Some(wait) = wait {
        std::thread::sleep(wait);
    }
}

/// Whether a descriptor is ready; waits at most `within`, for ever if `None`.
pub(crate) fn ready(descriptor: &impl AsFd, flags: PollFlags, within: Option<Duration>) -> bool {
    let mut waiting = [PollFd::new(descriptor, flags)];
    let timeout = within.and_then(|within| Timespec::try_from(within).ok());
    matches!(poll(&mut waiting, timeout.as_ref()), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_shared_and_exact() {
        let meter = Meter::shared(&Limits { output_size: Some(10), ..Limits::default() });
        let (read, write) = rustix::pipe::pipe().unwrap();
        let one = Output::new(write.try_clone().unwrap(), meter.clone(), false);
        let other = Output::new(write, meter, false);
        assert!(one.write(b"123456").is_ok());
        assert!(matches!(other.write(b"789012"), Err(Refusal::Limit)));
        let mut buffer = [0; 32];
        let length = rustix::io::read(read, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"1234567890");
        assert!(matches!(one.write(b"3"), Err(Refusal::Limit)), "nothing is left for the other stream");
    }

    #[test]
    fn the_rate_gathers_a_second_at_most() {
        let start = Instant::now();
        let rate = Rate { a_second: 100, tokens: 100, filled: start };
        let mut meter = Meter { left: None, rate: Some(rate) };
        assert_eq!(meter.admit(1000, start), Ok(100));
        assert!(meter.take(100));
        assert!(meter.admit(1, start).is_err());
        assert_eq!(meter.admit(1000, start + Duration::from_millis(500)), Ok(50));
        assert_eq!(meter.admit(1000, start + Duration::from_secs(60)), Ok(100));
    }
}
