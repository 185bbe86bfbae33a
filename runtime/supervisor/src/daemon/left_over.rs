//! What jobs with AbandonProcessGroup left running: each worker that stayed for it is kept until its last process has
//! ended, the job is taken out, or the supervisor ends. A run of the job is over long before; nothing here starts one.

use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wjob_model::control::Pair;
use wjob_model::fleet::{Label, RunId};
use wjob_model::job::Job;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::log::Level;
use super::{Daemon, Wakes};
use crate::spawn::{SavedWorker, Worker};

/// Most that are kept; the oldest goes first.
const MOST: usize = 1_000;
/// Processes of one worker that are counted, and threads of each that are asked for children: a job may have any
/// number of both, and whoever asks must not hold everybody else up. The init has one thread.
const MOST_COUNTED: usize = 200;
const MOST_THREADS: usize = 32;

/// A worker that stays without a run.
#[derive(Debug)]
pub(super) struct LeftOver {
    /// The job, whose grants its processes still have.
    pub job: Arc<Job>,
    /// The worker.
    pub worker: Worker,
    /// Whether there was anything to stay for.
    found: bool,
    /// The worker, if it was written down for the next supervisor.
    written: Option<u32>,
    /// Whether it was killed because its job is taken out.
    going: bool,
}

/// The same as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedLeftOver {
    job: Arc<Job>,
    worker: SavedWorker,
    found: bool,
    written: Option<u32>,
    going: bool,
}

impl LeftOver {
    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedLeftOver {
        let Self { job, worker, found, written, going } = self;
        let (job, worker) = (job.clone(), worker.saved(kept));
        SavedLeftOver { job, worker, found: *found, written: *written, going: *going }
    }

    /// One of the program before this one.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: SavedLeftOver, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let SavedLeftOver { job, worker, found, written, going } = saved;
        Ok(Self { job, worker: Worker::resumed(&worker, inherited)?, found, written, going })
    }
}

impl Daemon {
    /// The worker of a run that is over goes on alone.
    pub(super) fn leave_behind(&mut self, run: RunId) {
        let Some(running) = self.runs.get_mut(&run) else {
            return;
        };
        // Without a process table of its own the worker ends as well, and whatever it left is the system's.
        let stays = !running.attempt.may_leave_processes();
        let Some(worker) = running.attempt.leave_behind() else {
            return;
        };
        let (job, written) = (running.attempt.job().clone(), running.written.take());
        let found = if stays { processes(worker.pid) } else { 0 };
        if found > 0 {
            let text = format!("left over: {}, worker {}", in_words(found), worker.pid);
            self.say(Level::Info, Some(&job.label), &text);
        }
        // It has nothing more to say, and once its end is closed it would wake the loop for ever.
        self.poller.remove(&worker.channel);
        let waited = self.poller.add(worker.pidfd.as_fd(), Wakes::LeftOver(worker.pid));
        let left = LeftOver { job, worker, found: found > 0, written, going: false };
        if let Err(error) = waited {
            return self.give_up(left, &format!("it cannot be waited for: {error}"));
        }
        if self.left_over.len() >= MOST {
            let oldest = self.left_over.remove(0);
            self.give_up(oldest, &format!("{MOST} others are left over since"));
        }
        self.left_over.push(left);
    }

    fn give_up(&mut self, left: LeftOver, why: &str) {
        self.say(Level::Warn, Some(&left.job.label), &format!("what it left over is ended: {why}"));
        left.worker.kill();
        self.left_over_is_gone(left);
    }

    /// A worker that stayed has ended.
    pub(super) fn left_over_ended(&mut self, worker: u32) {
        if let Some(index) = self.left_over.iter().position(|left| left.worker.pid == worker) {
            let left = self.left_over.remove(index);
            self.left_over_is_gone(left);
        }
    }

    fn left_over_is_gone(&mut self, mut left: LeftOver) {
        self.poller.remove(&left.worker.pidfd);
        left.worker.reap();
        if let Some(pid) = left.written {
            self.orphans.ended(pid);
        }
        let label: Label = left.job.label.as_str().into();
        if left.found {
            self.say(Level::Info, Some(&label), &format!("left over processes of {label} have ended"));
        }
        let others = self.left_over.iter().any(|other| other.going && other.job.label == left.job.label);
        if left.going && !others {
            self.answer_bootout(&label);
        }
    }

    /// Ends what a job left over that is taken out; whether there was anything, which is not gone before it was reaped.
    pub(super) fn end_left_over(&mut self, label: &str) -> bool {
        let mut any = false;
        for left in self.left_over.iter_mut().filter(|left| left.job.label == label) {
            left.worker.kill();
            left.going = true;
            any = true;
        }
        any
    }

    /// Ends all of it, as the last thing.
    pub(super) fn end_all_left_over(&mut self) {
        for left in std::mem::take(&mut self.left_over) {
            left.worker.kill();
            self.left_over_is_gone(left);
        }
    }

    /// What a job has left over, for those who ask about it.
    pub(super) fn left_over_of(&self, label: &str) -> Vec<Pair> {
        let of_job = self.left_over.iter().filter(|left| left.found && left.job.label == label);
        let row = |worker: u32| Pair {
            name: "left over".into(),
            value: format!("{}, worker {worker}", in_words(processes(worker))),
        };
        of_job.map(|left| row(left.worker.pid)).collect()
    }
}

fn in_words(processes: usize) -> String {
    match processes {
        1 => "1 process".into(),
        MOST_COUNTED => format!("{MOST_COUNTED} processes or more"),
        count => format!("{count} processes"),
    }
}

/// The processes below a worker, but the init of their table, which is wjob's own.
fn processes(worker: u32) -> usize {
    let mut found = children(worker);
    let mut looked_at = 0;
    while let Some(pid) = found.get(looked_at).copied()
        && found.len() <= MOST_COUNTED
    {
        found.extend(children(pid));
        looked_at += 1;
    }
    found.len().saturating_sub(1).min(MOST_COUNTED)
}

/// The children of all threads of a process (proc_pid_children(5)).
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.take(MOST_THREADS);
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn processes_are_counted_without_the_first() {
        // The outer shell stands for a worker, the inner one for its init.
        let inner = "sleep 1000 & one=$!; sleep 1000 & other=$!; echo up; read end; kill $one $other";
        let script = format!("sh -c '{inner}'; true");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut worker = shell.spawn().unwrap();
        worker.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
        let counted = processes(worker.id());
        drop(worker.stdin.take());
        worker.wait().unwrap();
        assert_eq!(counted, 2);
    }

    #[test]
    fn counts_are_said_as_far_as_they_go() {
        for (count, expected) in [(0, "0 processes"), (1, "1 process"), (7, "7 processes")] {
            assert_eq!(in_words(count), expected);
        }
        assert_eq!(in_words(MOST_COUNTED), "200 processes or more");
    }
}
