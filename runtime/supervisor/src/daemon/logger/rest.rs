//! The logger's end before its time: it is told to end in order, so that another one can begin, that of the next program
//! or of this one. Nobody waits for that; its end is heard of as any other.
//!
//! Nothing is refused or put off meanwhile. Runs begin and end as ever: what jobs write stays in their pipes, whose
//! writers wait only when those are full, and what is to be told of runs and of the supervisor waits here, within the
//! bounds of a logger that is down. The next one gets all of it, the pipes first.

use wjob_model::run::{Exit, Moment};

use super::{Logger, Process};
use crate::daemon::log::Level;
use crate::daemon::{Daemon, clock};

/// How long it may take, milliseconds. What it has read and not written is lost with it.
const REST: Moment = 15_000;

impl Logger {
    /// Tells it to end, if there is one.
    fn rest(&mut self) {
        self.flush();
        let down = Process::Down { again_at: 0, why: "it is replaced".into() };
        self.process = match std::mem::replace(&mut self.process, down) {
            Process::Up { worker, .. } => {
                worker.close();
                Process::Resting { worker, until: clock::now().boot + REST }
            }
            other => other,
        };
        // Those of runs that end meanwhile too: something may come after this one has looked for the last time.
        self.pipes.values_mut().for_each(|pipe| pipe.handed = false);
        self.full_until = None;
    }

    fn is_resting(&self) -> bool {
        matches!(self.process, Process::Resting { .. })
    }
}

impl Daemon {
    /// Tells the logger to end; `Daemon::logger_is_away` is next, when it has, or at once when there is none.
    pub(in crate::daemon) fn rest_logger(&mut self) {
        if let Process::Up { worker, .. } = &self.logger.process {
            // What it still says or asks is no news. Its end is waited for as before.
            self.poller.remove(&worker.channel);
        }
        self.logger.rest();
        if !self.logger.is_resting() {
            self.logger_is_away();
        }
    }

    /// Its time is over. It is killed, and heard of as before: a disk that does not answer may keep it from ending.
    pub(super) fn logger_is_late(&mut self) {
        if let Process::Resting { worker, until } = &mut self.logger.process {
            worker.kill();
            *until = Moment::MAX;
        }
    }

    /// It has ended.
    pub(super) fn logger_has_rested(&mut self) {
        let down = Process::Down { again_at: 0, why: "the next one is not started yet".into() };
        if let Process::Resting { mut worker, until } = std::mem::replace(&mut self.logger.process, down) {
            self.poller.remove(&worker.pidfd);
            match worker.reap().0 {
                Exit::Status(0) => {}
                _ if until == Moment::MAX => {
                    self.say_what_is_lost(&format!("it was not done within {} s", REST / 1000))
                }
                exit => self.say_what_is_lost(&format!("it did not end in order: {exit:?}")),
            }
        }
        self.logger_is_away();
    }

    fn say_what_is_lost(&mut self, why: &str) {
        let text = format!("the logger, which was to end: {why}; what it had read and not written is lost");
        self.say(Level::Error, None, &text);
    }

    /// The last: everything that waits is written. One that was told to end before takes no more of it, so another one
    /// follows for that; nobody else is kept waiting by now.
    pub(in crate::daemon) fn finish_logger(&mut self) {
        if self.logger.is_resting() {
            self.logger.finish();
            self.logger.process = Process::Down { again_at: 0, why: "the last one is not started yet".into() };
            self.logger_due();
        }
        self.logger.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use wjob_model::message::StartFailure;
    use wjob_model::record::{Bounds, Level as Gravity, Line, RECORD_BYTES, ToLogger};
    use wjob_model::run::End;
    use wjob_sandbox::channel::Channel;

    use super::*;
    use crate::daemon::bound::Bound;
    use crate::daemon::logger::Stream;
    use crate::daemon::record::Record;
    use crate::spawn::Worker;

    /// A logger that hears, the other end of its channel, and its process, which ends by itself long after the test.
    fn logger() -> (Logger, Channel, Child) {
        let (ours, theirs) = Channel::pair().unwrap();
        let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let worker = Worker::in_place(child.id(), pidfd_open(pid, PidfdFlags::empty()).unwrap(), ours);
        let folder = tempfile::tempdir().unwrap();
        let queries = Bound::handed_in(UnixListener::bind(folder.path().join("log.sock")).unwrap());
        let state = File::open("/dev/null").unwrap().into();
        let mut logger = Logger::of(state, queries, Bounds::default(), "test", 0);
        logger.process = Process::Up { worker, ready: true, since: clock::now().boot };
        (logger, theirs, child)
    }

    fn line(text: &str) -> ToLogger {
        ToLogger::Line(Line { label: None, level: Gravity::Info, text: text.into() })
    }

    fn heard(channel: &Channel) -> Option<ToLogger> {
        channel.receive_with_descriptors(RECORD_BYTES).unwrap().map(|received| received.message)
    }

    fn begins(logger: &mut Logger, run: u64) {
        logger.attach(run, "a", Stream::Out, File::open("/dev/null").unwrap().into());
        logger.began(run, "a", &[], None);
    }

    fn ends(logger: &mut Logger, run: u64) {
        logger.ended(run, "a", "", &End::Failed(StartFailure::own("a", "b")), &Record::default());
    }

    #[test]
    fn what_comes_after_it_was_told_to_end_is_for_the_next_one() {
        let (mut logger, channel, _child) = logger();
        begins(&mut logger, 1);
        logger.tell(line("before"));
        logger.rest();
        begins(&mut logger, 2);
        logger.tell(line("after"));
        ends(&mut logger, 1);
        assert!(matches!(heard(&channel), Some(ToLogger::Attach(attach)) if attach.run == 1));
        assert!(matches!(heard(&channel), Some(ToLogger::Began(began)) if began.run == 1));
        assert_eq!(heard(&channel), Some(line("before")));
        assert_eq!(heard(&channel), None, "its end");
        let waiting: Vec<_> = logger.waiting.iter().collect();
        assert!(
            matches!(waiting[..], [ToLogger::Began(began), said, ToLogger::Ended(ended)]
                if began.run == 2 && *said == line("after") && ended.run == 1),
            "{waiting:?}"
        );
        let pipes: Vec<_> = logger.pipes.iter().map(|((run, _), pipe)| (*run, pipe.over, pipe.handed)).collect();
        assert_eq!(pipes, [(1, true, false), (2, false, false)]);
    }

    #[test]
    fn it_has_its_time_and_one_that_is_not_there_needs_none() {
        let (mut logger, _channel, _child) = logger();
        let before = clock::now().boot;
        logger.rest();
        assert!(logger.deadline().is_some_and(|deadline| deadline >= before + REST));
        assert!(logger.is_resting() && !logger.is_missed(), "{}", logger.in_words());
        logger.rest();
        assert!(logger.is_resting(), "it was told already");
        logger.process = Process::Down { again_at: 7, why: "it ended".into() };
        logger.rest();
        assert!(!logger.is_resting());
        assert_eq!(logger.deadline(), Some(7), "when it is started again is as before");
    }

    #[test]
    fn one_that_is_still_starting_is_told_all_at_the_end() {
        let (mut logger, channel, _child) = logger();
        if let Process::Up { ready, worker, .. } = &mut logger.process {
            *ready = false;
            // It need not be waited for.
            worker.kill();
        }
        logger.tell(line("last"));
        logger.finish();
        assert_eq!((heard(&channel), heard(&channel)), (Some(line("last")), None));
        assert_eq!(logger.deadline(), Some(Moment::MAX), "it is not started again");
    }
}
