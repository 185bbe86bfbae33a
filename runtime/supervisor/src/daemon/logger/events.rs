//! What the loop does about the logger: starts it when its moment has come, hears it, and takes what jobs write while it
//! is missed.

use std::os::fd::AsFd;

use wjob_model::fleet::RunId;
use wjob_model::record::{Asker, FromLogger, ToLogger};

use super::{Process, Stream};
use crate::daemon::log::Level;
use crate::daemon::{Daemon, Wakes, clock};

/// Largest message a logger sends, bytes.
const MOST_BYTES: usize = 16 << 10;
/// Most that is dropped of one pipe at a time.
const DROPPED: usize = 64 << 10;

impl Daemon {
    /// Its moment may have come: to be started, or to be sent what waits.
    pub(in crate::daemon) fn logger_due(&mut self) {
        let now = clock::now().boot;
        match &self.logger.process {
            Process::Up { .. } => self.logger.flush(),
            Process::Resting { until, .. } if *until <= now => self.logger_is_late(),
            Process::Down { again_at, .. } if *again_at <= now => {
                match self.logger.start(&self.image) {
                    Ok(()) => self.logger.pid().into_iter().for_each(|pid| self.orphans.logger_begins(pid)),
                    Err(why) => self.logger.down(why),
                }
                self.register_logger();
            }
            Process::Resting { .. } | Process::Down { .. } => {}
        }
    }

    fn register_logger(&mut self) {
        if let Process::Up { worker, .. } = &self.logger.process {
            let registered = self.poller.add(worker.channel.as_fd(), Wakes::Logger);
            let registered = registered.and_then(|()| self.poller.add(worker.pidfd.as_fd(), Wakes::LoggerGone));
            if let Err(error) = registered {
                self.say(Level::Error, None, &format!("the logger cannot be waited for: {error}"));
            }
        }
    }

    /// As long as the logger is missed, what jobs write is taken here; who writes to a pipe that nobody reads would
    /// wait for ever.
    pub(in crate::daemon) fn watch_output(&mut self) {
        let missed = self.logger.is_missed();
        if !missed && !self.logger.dropping {
            return;
        }
        self.logger.dropping = missed;
        self.logger.has_dropped &= missed;
        for ((run, stream), pipe) in self.logger.pipes.iter_mut().filter(|(_, pipe)| pipe.dropped != missed) {
            if missed {
                let _ = rustix::io::ioctl_fionbio(&pipe.read, true);
                // One that cannot be waited for is tried again at the next turn.
                pipe.dropped = self.poller.add(pipe.read.as_fd(), Wakes::Output(*run, *stream)).is_ok();
            } else {
                self.poller.remove(&pipe.read);
                pipe.dropped = false;
            }
        }
    }

    /// Something was written, or nobody can write any more.
    pub(in crate::daemon) fn drop_output(&mut self, run: RunId, stream: Stream) {
        let Some(pipe) = self.logger.pipes.get(&(run, stream)) else {
            return;
        };
        match rustix::io::read(&pipe.read, &mut [0; DROPPED]) {
            Ok(0) => {
                self.poller.remove(&pipe.read);
                self.logger.pipes.remove(&(run, stream));
            }
            Ok(_) if !std::mem::replace(&mut self.logger.has_dropped, true) => {
                self.say(Level::Error, None, "there is no logger: what jobs write is dropped");
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// It is ready, or says why it keeps nothing; it reads all the same. Or somebody asks it something, and it asks who.
    pub(in crate::daemon) fn logger_said(&mut self) {
        let Process::Up { worker, ready, .. } = &mut self.logger.process else {
            return;
        };
        match worker.channel.receive::<FromLogger>(MOST_BYTES) {
            Ok(Some(FromLogger::Ready)) => {
                // It tells what has changed: so it has failed before.
                let again = std::mem::replace(ready, true);
                self.logger.flush();
                if again {
                    self.say(Level::Info, None, "the logger: what is written is kept again");
                }
            }
            Ok(Some(FromLogger::Failed { why })) => {
                *ready = true;
                self.logger.flush();
                self.say(Level::Error, None, &format!("the logger: {why}"));
            }
            Ok(Some(FromLogger::Asks { client, pid })) => {
                let job = self.job_of_a_client(pid);
                self.logger.tell(ToLogger::Asker(Asker { client, job }));
            }
            Ok(None) | Err(_) => {
                let channel = &worker.channel;
                self.poller.remove(channel);
            }
        }
    }

    /// It has ended, as it was told to or not.
    pub(in crate::daemon) fn logger_gone(&mut self) {
        let worker = match &mut self.logger.process {
            Process::Up { worker, .. } => worker,
            Process::Resting { .. } => return self.logger_has_rested(),
            Process::Down { .. } => return,
        };
        self.poller.remove(&worker.channel);
        self.poller.remove(&worker.pidfd);
        let (exit, _) = worker.reap();
        self.logger.down(format!("it ended: {exit:?}"));
        self.happened(Level::Error, None, "lost", &format!("the logger ended ({exit:?}) and is started again"));
    }

    /// Hands lines of the own log on.
    pub(in crate::daemon) fn hand_on_log(&mut self) {
        if self.log.is_waiting() {
            let lines = self.log.take();
            self.logger.lines(lines);
        }
    }
}
