//! The clocks of a supervisor: what they say now, and two kernel timers that wake it at a moment of either. The wall's
//! timer also wakes when that clock is set. Nothing ticks: without a moment to wait for, nothing wakes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use wjob_model::fleet::Now;
use wjob_model::run::Moment;

/// What both clocks say.
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let milliseconds = boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000);
    Now { boot: Moment::try_from(milliseconds).unwrap_or_default(), wall: Timestamp::now() }
}

/// What sd_notify(3) wants beside RELOADING=1: CLOCK_MONOTONIC, microseconds.
pub fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// What says which zone the machine is in (localtime(5)).
pub const ZONE_FILE: &str = "/etc/localtime";

/// The machine's time zone, as it is now.
pub fn zone() -> TimeZone {
    jiff::tz::reset_system_time_zone_cache();
    TimeZone::system()
}

/// A kernel timer and the moment it is set to, milliseconds on its clock.
#[derive(Debug)]
pub struct Timer {
    descriptor: OwnedFd,
    flags: TimerfdTimerFlags,
    set: Option<i64>,
    /// The clock was set, which nobody has been told yet.
    was_set: bool,
}

impl Timer {
    /// On the clock that counts sleep.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn boot() -> io::Result<Self> {
        Self::new(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME)
    }

    /// On the wall's clock; set to any moment, it also wakes when that clock is set.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn wall() -> io::Result<Self> {
        Self::new(TimerfdClockId::Realtime, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET)
    }

    fn new(clock: TimerfdClockId, flags: TimerfdTimerFlags) -> io::Result<Self> {
        let descriptor = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { descriptor, flags, set: None, was_set: false })
    }

    /// Wakes at this moment, or no more.
    pub fn set(&mut self, moment: Option<i64>) {
        if self.set == moment {
            return;
        }
        // All zero disarms it (timerfd_settime(2)), so the first moment of all is one later.
        let at = moment.map_or(0, |moment| moment.max(1));
        let value = Timespec { tv_sec: at.div_euclid(1000), tv_nsec: at.rem_euclid(1000) * 1_000_000 };
        let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let result =
            timerfd_settime(&self.descriptor, self.flags, &Itimerspec { it_interval: interval, it_value: value });
        self.set = result.is_ok().then_some(moment).flatten();
        // Set anew it would not tell any more that the clock was set meanwhile.
        self.was_set |= matches!(result, Err(Errno::CANCELED));
    }

    /// Whether setting it met a clock that had been set, which takes the notice of it.
    pub fn take_was_set(&mut self) -> bool {
        std::mem::take(&mut self.was_set)
    }

    /// Takes the wake-up; whether the clock was set.
    pub fn woke(&mut self) -> bool {
        self.set = None;
        let mut expirations = [0; 8];
        rustix::io::read(&self.descriptor, &mut expirations) == Err(Errno::CANCELED)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn a_moment_that_has_come_wakes_and_none_does_not() {
        let now = i64::try_from(now().boot).unwrap();
        let mut timer = Timer::boot().unwrap();
        let ready = |timer: &Timer| {
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(timer, PollFlags::IN)], Some(&none)).unwrap() == 1
        };
        assert!(!ready(&timer));
        timer.set(Some(now - 5));
        assert!(ready(&timer));
        assert!(!timer.woke(), "nobody set the clock");
        assert!(!ready(&timer));
        timer.set(Some(now + 1_000_000));
        assert!(!ready(&timer));
        timer.set(None);
        assert!(!ready(&timer));
    }
}
