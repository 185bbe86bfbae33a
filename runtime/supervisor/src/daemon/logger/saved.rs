//! What waits for a logger while the supervisor's program is replaced, and how the next program goes on with it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wjob_model::daemon::Configuration;
use wjob_model::fleet::RunId;
use wjob_model::record::{Began, ToLogger};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::{Logger, Pipe, Stream, bounds};
use crate::daemon::bound::{Bound, SavedBound};
use crate::daemon::settings::Settings;

/// What waits for the logger of the next program of this process: the pipes, what is to be told, and where it is to be
/// kept. The logger itself is that program's own.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedLogger {
    pipes: Vec<SavedPipe>,
    waiting: VecDeque<ToLogger>,
    runs: BTreeMap<RunId, Began>,
    state: i32,
    queries: SavedBound,
}

/// A pipe as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
struct SavedPipe {
    run: RunId,
    stream: Stream,
    label: String,
    read: i32,
    over: bool,
}

impl Logger {
    /// What the next program of this process is told; when it begins, the logger has ended (`Daemon::rest_logger`).
    pub fn saved(&self, kept: &mut Kept) -> SavedLogger {
        let pipe = |((run, stream), pipe): (&(RunId, Stream), &Pipe)| SavedPipe {
            run: *run,
            stream: *stream,
            label: pipe.label.clone(),
            read: kept.keep(&pipe.read),
            over: pipe.over,
        };
        let pipes = self.pipes.iter().map(pipe).collect();
        SavedLogger {
            pipes,
            waiting: self.waiting.clone(),
            runs: self.runs.clone(),
            state: kept.keep(&self.state),
            queries: self.queries.saved(kept),
        }
    }

    /// Goes on where the program before this one has left off; the logger is started by `Daemon::logger_due`.
    ///
    /// # Errors
    /// When something was not handed over.
    pub fn resumed(
        saved: SavedLogger,
        inherited: &mut Inherited,
        settings: &Settings,
        configuration: &Configuration,
    ) -> Result<Self, HandoverError> {
        let mut pipes = BTreeMap::new();
        for SavedPipe { run, stream, label, read, over } in saved.pipes {
            let read = inherited.take(read)?;
            pipes.insert((run, stream), Pipe { label, read, over, handed: false, dropped: false });
        }
        let (state, queries) = (inherited.take(saved.state)?, Bound::resumed(saved.queries, inherited)?);
        Ok(Self {
            pipes,
            waiting: saved.waiting,
            runs: saved.runs,
            ..Self::of(state, queries, bounds(configuration), &settings.build, settings.uid)
        })
    }
}
