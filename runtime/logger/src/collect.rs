//! The loop: what the supervisor says and what jobs write, read in turn by one thread, until the supervisor is gone.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, getppid};
use wjob_model::record::{Attach, FromLogger, Level, Line, RECORD_BYTES, ToLogger};
use wjob_model::status::Status;
use wjob_sandbox::channel::{Channel, ChannelError};
use wjob_sandbox::signals::Signals;

use crate::batch::{Entry, Record, own};
use crate::keeper::{Condition, Keeper, Moment};
use crate::lines::Assembler;
use crate::pipes::Pipes;
use crate::query::Asks;
use crate::watch::Watch;

/// Tokens of what is no pipe.
const CHANNEL: u64 = 0;
const SIGNALS: u64 = 1;
/// What all pipes together bring in one round, if they are as good as empty, bytes.
const LITTLE: usize = 16 << 10;
/// How long they gather more then, nanoseconds, unless the supervisor has something to say. A pipe has room for 64 KiB, or
/// 8 KiB where its user has many (pipe(7)): this holds up only who writes more than 8 MB a second.
const GATHERING: i64 = 1_000_000;
/// Most messages of the supervisor's in one round, so that the pipes have their turn.
const MOST_HEARD: usize = 64;

/// Everything that is read, and where it goes.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    channel: &'a Channel,
    signals: Signals,
    supervisor: Option<Pid>,
    watch: Watch,
    pipes: Pipes,
    keeper: Keeper,
    asks: Arc<Asks>,
    told: Option<FromLogger>,
    /// What the pipes have brought in this round, bytes.
    brought: usize,
}

impl<'a> Collector<'a> {
    /// Begins to read. `supervisor` is this process's parent.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(
        channel: &'a Channel,
        signals: Signals,
        supervisor: Option<Pid>,
        keeper: Keeper,
        asks: Arc<Asks>,
    ) -> std::io::Result<Self> {
        let watch = Watch::new()?;
        watch.add(channel, CHANNEL)?;
        watch.add(&signals, SIGNALS)?;
        Ok(Self { channel, signals, supervisor, watch, pipes: Pipes::new(), keeper, asks, told: None, brought: 0 })
    }

    /// Reads until the supervisor is gone; the exit status.
    pub fn run(mut self) -> u8 {
        loop {
            self.tell();
            if matches!(self.keeper.condition(), Condition::Damaged(_)) {
                return Status::Internal.code();
            }
            let Ok(ready) = self.watch.wait(self.keeper.rest(Instant::now())) else {
                return Status::System.code();
            };
            for token in ready {
                if !self.turn(token) {
                    return self.leave();
                }
            }
            self.keeper.turn(Moment::now());
            self.gather();
        }
    }

    /// Whoever writes little, and often, would have this process wake up for each of his writes: his neighbours would
    /// pay for it, not he.
    fn gather(&mut self) {
        if is_little(std::mem::take(&mut self.brought)) {
            self.is_said_to_within(GATHERING);
        }
    }

    /// Tells the supervisor how it goes, when that has changed.
    fn tell(&mut self) {
        let now = match self.keeper.condition() {
            Condition::Keeping => FromLogger::Ready,
            Condition::Failing(why) | Condition::Damaged(why) => FromLogger::Failed { why: why.clone() },
        };
        // A supervisor that has no time for it is told later.
        if self.told.as_ref() != Some(&now) && self.channel.offer(&now).is_ok() {
            self.told = Some(now);
        }
    }

    /// Gives what can be read its turn; false when the supervisor is gone.
    fn turn(&mut self, token: u64) -> bool {
        match token {
            CHANNEL => self.hear_what_is_said(),
            SIGNALS => !self.is_orphan(),
            pipe => {
                let now = Moment::now();
                let Self { pipes, watch, keeper, brought, .. } = self;
                *brought += pipes.turn(watch, pipe, now.wall.as_microsecond(), &mut |entry| keeper.line(entry, now));
                true
            }
        }
    }

    /// The signal that a parent is gone looks like anybody's; from anybody else it means nothing.
    fn is_orphan(&self) -> bool {
        while self.signals.next().is_some() {}
        getppid() != self.supervisor
    }

    /// Takes the messages that have come; false when there will be no more.
    fn hear_what_is_said(&mut self) -> bool {
        for _ in 1..MOST_HEARD {
            if !self.hear() {
                return false;
            }
            if !self.is_said_to() {
                return true;
            }
        }
        self.hear()
    }

    /// Takes one message; false when there will be no more.
    fn hear(&mut self) -> bool {
        match self.channel.receive_with_descriptors::<ToLogger>(RECORD_BYTES) {
            Ok(Some(received)) => self.obey(received.message, received.descriptors),
            Ok(None) | Err(ChannelError::System(_) | ChannelError::Gone) => return false,
            Err(ChannelError::Malformed(why)) => {
                self.complain(&format!("the logger was sent something that is no message: {why}"))
            }
        }
        true
    }

    fn obey(&mut self, message: ToLogger, descriptors: Vec<OwnedFd>) {
        let now = Moment::now();
        match message {
            ToLogger::Open(_) => self.complain("the logger was opened already; the message was ignored"),
            ToLogger::Attach(attach) => self.attach(&attach, descriptors.into_iter().next()),
            ToLogger::Line(line) => self.line(&line, now),
            ToLogger::Began(began) => self.keeper.record(Record::Began(began), now),
            ToLogger::Ended(ended) => self.keeper.record(Record::Ended(ended), now),
            ToLogger::Bounds(bounds) => self.keeper.set_bounds(bounds, now),
            ToLogger::Asker(asker) => self.asks.answered(asker),
        }
    }

    fn attach(&mut self, attach: &Attach, descriptor: Option<OwnedFd>) {
        let result = match descriptor {
            Some(descriptor) => self.pipes.attach(&self.watch, attach, descriptor).map_err(|error| error.to_string()),
            None => Err("no descriptor came; raise the limit of open files (RLIMIT_NOFILE) of wjobd".into()),
        };
        if let Err(why) = result {
            let text = format!("the {:?} stream of run {} is not read: {why}", attach.stream, attach.run);
            let line = Line { label: Some(attach.label.clone()), level: Level::Error, text };
            self.line(&line, Moment::now());
        }
    }

    fn complain(&mut self, text: &str) {
        let line = Line { label: None, level: Level::Error, text: text.to_owned() };
        self.line(&line, Moment::now());
    }

    /// A text of several lines is kept as several.
    fn line(&mut self, line: &Line, now: Moment) {
        let label: Arc<str> = Arc::from(line.label.as_deref().unwrap_or_default());
        let text = format!("{}{}", prefix(line.level), line.text);
        let keeper = &mut self.keeper;
        let mut give = |text: &[u8], continued| {
            let text = String::from_utf8_lossy(text).into_owned();
            let entry = own(now.wall.as_microsecond(), Arc::clone(&label), text);
            keeper.line(Entry { continued, ..entry }, now);
        };
        let mut assembler = Assembler::default();
        assembler.push(text.as_bytes(), &mut give);
        assembler.finish(&mut give);
    }

    /// Takes what was said and written before the end, and keeps it.
    fn leave(mut self) -> u8 {
        while self.is_said_to() && self.hear() {}
        let now = Moment::now();
        let Self { pipes, keeper, .. } = &mut self;
        pipes.drain(now.wall.as_microsecond(), &mut |entry| keeper.line(entry, now));
        keeper.finish(now);
        0
    }

    fn is_said_to(&self) -> bool {
        self.is_said_to_within(0)
    }

    /// Waits so many nanoseconds for what the supervisor says, its end among it.
    fn is_said_to_within(&self, nanoseconds: i64) -> bool {
        let mut waiting = [PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: nanoseconds })).is_ok_and(|ready| ready > 0)
    }
}

/// Whether the pipes are to gather more before they are read again; of nothing there will not be more soon.
fn is_little(brought: usize) -> bool {
    (1..LITTLE).contains(&brought)
}

/// What a line of the supervisor's begins with: what happens as usual needs no word.
fn prefix(level: Level) -> &'static str {
    match level {
        Level::Debug | Level::Info => "",
        Level::Warn => "warning: ",
        Level::Error => "error: ",
        Level::Fatal => "fatal: ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_little_is_written_gathers_and_much_is_read_at_once() {
        for (brought, expected) in [(0, false), (1, true), (4096, true), (LITTLE, false), (64 << 10, false)] {
            assert_eq!(is_little(brought), expected, "{brought}");
        }
    }
}
