//! How a run is ended: its program is signalled, its worker killed, or left behind with what its program started.

use wjob_model::message::ToWorker;
use wjob_model::run::Event;
use wjob_model::wall::WorkerKind;

use super::{Attempt, Phase};
use crate::run_error::RunError;
use crate::spawn::Worker;

/// The signal nobody can refuse (signal(7)).
const SIGKILL: u8 = 9;

/// Signals that end a guest: SIGINT and SIGTERM.
const ENDING: [u8; 2] = [2, 15];

impl Attempt {
    /// Gives the program a signal that an operator wants it to have.
    ///
    /// # Errors
    /// When it is WebAssembly, which knows no signals but those that end it.
    pub fn signal(&self, signal: u8) -> Result<(), String> {
        let native = self.plan.kind == WorkerKind::Native;
        match &self.phase {
            Phase::Working(worker) if signal == SIGKILL && !native => worker.kill(),
            _ if native || ENDING.contains(&signal) => self.send(&ToWorker::Stop { signal }),
            _ => return Err("a WebAssembly program hears only the signals INT, TERM and KILL".into()),
        }
        Ok(())
    }

    /// Ends a worker that cannot hear yet.
    pub fn end(&self) {
        if let Phase::Working(worker) = &self.phase {
            worker.kill();
        }
    }

    /// A program without a process table of its own is ended by its worker, which knows its process group; the
    /// worker's own death would leave the rest of the group.
    pub(super) fn kill(&mut self) -> Option<Event> {
        let unwalled = self.plan.kind == WorkerKind::Native && !self.plan.processes;
        let again = std::mem::replace(&mut self.killed, true);
        match &self.phase {
            Phase::Working(worker) => {
                if !unwalled || again || worker.channel.offer(&ToWorker::Stop { signal: SIGKILL }).is_err() {
                    worker.kill();
                }
                None
            }
            Phase::Over => None,
            // Dropping a helper ends it.
            Phase::Resolving(..) | Phase::Queued(_) | Phase::Compiling(_) => {
                self.fail(RunError::System("it was stopped".into()))
            }
        }
    }

    /// Hands the worker over, which stays for what its program left running; the run has none any more.
    pub fn leave_behind(&mut self) -> Option<Worker> {
        self.addresses = None;
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Working(worker) => Some(worker),
            _ => None,
        }
    }

    /// Whether processes of the run could outlive its worker: they have no process table of their own.
    pub fn may_leave_processes(&self) -> bool {
        self.plan.kind == WorkerKind::Native && !self.plan.processes
    }
}
