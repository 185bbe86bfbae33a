//! The open work of a native program, counted by itself (EnableTransactions). It only counts and tells since when
//! there was none; ending the program is `native`'s decision.
//!
//! What a program has to do: the environment variable `WJOB_TRANSACTIONS` holds the number of a descriptor, the write
//! end of a pipe. To begin a piece of work it writes the byte `+`, to end one the byte `-`; other bytes mean nothing.
//! The count never goes below 0: a `-` too many is forgotten. A shell writes `printf + >&$WJOB_TRANSACTIONS`.
//!
//! What it gets for that: asked to stop (SIGTERM) while nothing is open, it is ended at once by SIGKILL, and that is no
//! crash; while something is open it gets SIGTERM and ExitTimeOut, as any job does. Under wjobd it is also ended once
//! it has had no open work for TimeOut, after it had had some. A program that has closed the descriptor everywhere
//! counts no more: it is asked to stop with SIGTERM, and never idle.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// The variable that tells the program its descriptor.
pub(crate) const VARIABLE: &str = "WJOB_TRANSACTIONS";
/// The descriptor of a program with so many sockets, which have the numbers before it. Without any it is one digit,
/// because a shell's redirections need not know more (POSIX, Redirection).
pub(crate) fn descriptor(sockets: usize) -> i32 {
    3 + i32::try_from(sockets).unwrap_or(i32::MAX - 3)
}

/// Most that is read in one turn, bytes.
const TURN: usize = 64 << 10;

/// A program's account of its open work, as it arrives.
#[derive(Debug)]
pub(crate) struct Transactions {
    /// `None` once the program has closed it.
    pipe: Option<OwnedFd>,
    work: Work,
    timeout: Option<Duration>,
}

impl Transactions {
    /// An empty account, and the end that the program writes to. After `idle_timeout` seconds without open work the
    /// program is idle; `None` = never.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new(idle_timeout: Option<u32>) -> Result<(Self, OwnedFd), Errno> {
        let (read, program) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&read, OFlags::NONBLOCK)?;
        let timeout = idle_timeout.map(|seconds| Duration::from_secs(seconds.into()));
        Ok((Self { pipe: Some(read), work: Work::default(), timeout }, program))
    }

    /// What to wait for.
    pub fn waiting(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN))
    }

    /// Takes what the program wrote, one turn of it.
    pub fn hear(&mut self, now: Instant) {
        let Some(pipe) = &self.pipe else {
            return;
        };
        let mut bytes = vec![0; TURN];
        match rustix::io::read(pipe, &mut bytes) {
            Ok(length @ 1..) => self.work.hear(&bytes[..length], now),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => self.pipe = None,
        }
    }

    /// Whether the program says that nothing is under way.
    pub fn nothing_open(&self) -> bool {
        self.pipe.is_some() && self.work.open == 0
    }

    /// How long until the program is idle; `None` = it is working, or is never idle.
    pub fn idle_in(&self, now: Instant) -> Option<Duration> {
        let since = self.work.none_since.filter(|_| self.pipe.is_some())?;
        Some(self.timeout?.saturating_sub(now.saturating_duration_since(since)))
    }
}

/// The count.
#[derive(Debug, Default)]
struct Work {
    open: u64,
    /// Since when there is none; `None` before the first.
    none_since: Option<Instant>,
}

impl Work {
    fn hear(&mut self, bytes: &[u8], now: Instant) {
        for byte in bytes {
            match byte {
                b'+' => {
                    self.open = self.open.saturating_add(1);
                    self.none_since = None;
                }
                b'-' if self.open > 0 => {
                    self.open -= 1;
                    self.none_since = (self.open == 0).then_some(now);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn work_is_counted_and_never_below_none() {
        let now = Instant::now();
        for (bytes, open, was_open) in [
            ("", 0, false),
            ("+", 1, true),
            ("++-", 1, true),
            ("+-", 0, true),
            ("---", 0, false),
            ("--+", 1, true),
            ("+\n-\n+ x", 1, true),
            ("+--+-", 0, true),
        ] {
            let mut work = Work::default();
            work.hear(bytes.as_bytes(), now);
            let none_since = (was_open && open == 0).then_some(now);
            assert_eq!((work.open, work.none_since), (open, none_since), "{bytes:?}");
        }
    }

    #[test]
    fn idle_is_counted_from_the_end_of_the_last_work() {
        let began = Instant::now();
        let (mut account, program) = Transactions::new(Some(5)).unwrap();
        for (bytes, at, idle_in) in [
            ("", 1, None),
            ("+", 2, None),
            ("+-", 3, None),
            ("-", 4, Some(5)),
            ("", 6, Some(3)),
            ("-", 7, Some(2)),
            ("", 60, Some(0)),
            ("+", 61, None),
        ] {
            rustix::io::write(&program, bytes.as_bytes()).unwrap();
            let now = began + SECOND * at;
            account.hear(now);
            assert_eq!(account.idle_in(now), idle_in.map(|seconds| SECOND * seconds), "{bytes:?} at {at}");
        }
    }

    #[test]
    fn a_program_that_closed_its_end_counts_no_more() {
        let now = Instant::now();
        let (mut account, program) = Transactions::new(Some(0)).unwrap();
        rustix::io::write(&program, b"+-").unwrap();
        account.hear(now);
        assert!(account.nothing_open() && account.idle_in(now) == Some(Duration::ZERO));
        drop(program);
        account.hear(now);
        assert!(!account.nothing_open() && account.idle_in(now).is_none() && account.waiting().is_none());
    }

    #[test]
    fn without_a_timeout_nothing_is_idle() {
        let now = Instant::now();
        let (mut account, program) = Transactions::new(None).unwrap();
        rustix::io::write(&program, b"+-").unwrap();
        account.hear(now);
        assert!(account.nothing_open() && account.idle_in(now + SECOND * 3600).is_none());
    }

    #[test]
    fn a_turn_is_bounded_and_the_rest_comes_in_the_next() {
        let now = Instant::now();
        let (mut account, program) = Transactions::new(None).unwrap();
        rustix::pipe::fcntl_setpipe_size(&program, 2 * TURN).unwrap();
        rustix::io::write(&program, &vec![b'+'; TURN + 7]).unwrap();
        account.hear(now);
        assert_eq!(account.work.open, TURN as u64);
        account.hear(now);
        assert_eq!(account.work.open, TURN as u64 + 7);
    }
}
