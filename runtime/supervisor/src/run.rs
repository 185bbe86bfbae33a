//! The loop with one job in it: `wjob run`. It waits, lets the model decide and performs what it decided; what a run
//! does is `attempt`'s, the same as under the daemon.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wjob_model::outcome::Verdict;
use wjob_model::run::{Action, Event, State, Terms};

use crate::attempt::{Attempt, Source, outcome};
use crate::cache::Cache;
use crate::order::{Order, Reporter, Tools};
use crate::places::{answering_places, configured_places};
use crate::run_error::RunError;
use crate::signals::Signals;

/// Runs a job to its end.
///
/// # Errors
/// When it could not be started.
pub fn run(tools: Tools<'_>, order: Order, reporter: &mut dyn Reporter) -> Result<Verdict, RunError> {
    let signals = Signals::block().map_err(|error| RunError::System(error.to_string()))?;
    let mut own = tools.cache.map(Cache::folders).unwrap_or_default();
    let variable = |name: &str| std::env::var(name).ok();
    own.extend(answering_places(variable).into_iter().chain(configured_places(variable)));
    let mut terms = Terms::of(&order.job, false);
    // Whoever runs a job in the foreground is done with it when it ends: nobody would list what it left or end that.
    terms.abandon = false;
    let attempt = Attempt::begin(order, tools, own)?.in_foreground();
    Loop { attempt, tools, reporter, terms, began: Instant::now(), state: State::Preparing, signals }.run()
}

struct Loop<'a> {
    attempt: Attempt,
    tools: Tools<'a>,
    reporter: &'a mut dyn Reporter,
    terms: Terms,
    began: Instant,
    state: State,
    signals: Signals,
}

impl Loop<'_> {
    fn run(mut self) -> Result<Verdict, RunError> {
        let mut event = self.attempt.prepare(self.tools, self.reporter);
        loop {
            while let Some(happened) = event.take() {
                let (end, next) = self.step(happened);
                if let Some(end) = end {
                    return outcome(&mut self.attempt, end);
                }
                event = next;
            }
            event = self.wait();
        }
    }

    /// Event in, the model decides, actions out.
    fn step(&mut self, event: Event) -> (Option<wjob_model::run::End>, Option<Event>) {
        if let Event::Prepared { native, .. } = event {
            self.terms.native = native;
        }
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let state = std::mem::replace(&mut self.state, State::Over);
        let (state, actions) = state.step(event, now, &self.terms);
        self.state = state;
        let mut next = None;
        for action in actions {
            match action {
                Action::Finish(end) => return (Some(end), None),
                // No step of the state machine wants two things done that both lead to more.
                action => next = self.attempt.perform(action, self.tools, self.reporter).or(next),
            }
        }
        (None, next)
    }

    fn deadline(&self) -> Option<Instant> {
        let state = self.state.deadline().map(|moment| moment.min(u64::from(u32::MAX)));
        let state = state.map(|moment| self.began + Duration::from_millis(moment));
        state.into_iter().chain(self.attempt.deadline()).min()
    }

    /// Waits. What a worker said is read before its end is, so that nothing said is lost.
    fn wait(&mut self) -> Option<Event> {
        let deadline = self.deadline();
        let woken = self.woken(deadline);
        if let Some(reason) = self.signals.next() {
            return Some(Event::Stop(reason));
        }
        // However much a worker has to say, the moment has come.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let late = self.attempt.woken(None, self.tools, self.reporter);
            return Some(late.unwrap_or(Event::Deadline));
        }
        self.attempt.woken(Some(woken?), self.tools, self.reporter)
    }

    fn woken(&self, deadline: Option<Instant>) -> Option<Source> {
        let sources = self.attempt.sources();
        let mut waiting = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        waiting.extend(sources.iter().map(|(_, source)| PollFd::from_borrowed_fd(*source, PollFlags::IN)));
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // A millisecond more, so that the moment has come when it is looked at.
        let timeout = left.and_then(|left| Timespec::try_from(left + Duration::from_millis(1)).ok());
        if !matches!(poll(&mut waiting, timeout.as_ref()), Ok(1..)) {
            return None;
        }
        let ready = waiting[1..].iter().zip(&sources).find(|(waiting, _)| !waiting.revents().is_empty());
        ready.map(|(_, (source, _))| *source)
    }
}
