//! Every rule of a job's life as a story: what happens, and where the job stands after it. Time is what the story says.

mod keeping;
mod leaving;
mod pacing;
mod replacing;
mod starts;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::simulation::job;
use super::*;
use crate::launch::{Conditions, Launch};
use crate::message::{Evidence, FromWorker, StartFailure};
use crate::outcome::Outcome;
use crate::run::Exit;
use crate::socket::Socket;

/// A fleet with a clock and what it did.
struct Story {
    fleet: Fleet,
    now: Now,
    did: Vec<String>,
}

const LABEL: &str = "a";

impl Story {
    fn new() -> Self {
        let now = Now { boot: 1_000_000, wall: "2026-03-01T00:00:00Z".parse().unwrap() };
        Self { fleet: Fleet::new(TimeZone::UTC), now, did: Vec::new() }
    }

    /// With one job.
    fn of(launch: Launch) -> Self {
        Self::with(job(LABEL, launch))
    }

    fn with(job: Job) -> Self {
        let mut story = Self::new();
        story.load(job);
        story
    }

    fn load(&mut self, job: Job) {
        self.fleet.load(Arc::new(job), false).unwrap();
        let actions = self.fleet.begin(self.now);
        self.note(actions);
    }

    fn note(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.did.push(match action {
                Action::Exit => "exit".into(),
                Action::Job { label, action: JobAction::Start { causes, .. } } => {
                    format!("{label} starts: {}", causes.in_words().join(", "))
                }
                Action::Job { label, action: JobAction::Worker { action, .. } } => format!("{label} worker {action:?}"),
                Action::Job { label, action: JobAction::Ended { .. } } => format!("{label} ended"),
                Action::Job { label, action } => format!("{label} {action:?}"),
            });
        }
    }

    fn tell(&mut self, event: Event) -> &mut Self {
        let actions = self.fleet.tell(LABEL, event, self.now);
        self.note(actions);
        self
    }

    fn wanted(&mut self, cause: Cause) -> &mut Self {
        self.tell(Event::Demand(cause))
    }

    /// Time goes by; whatever comes due on the way is done at its moment.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        let end = self.now.boot + seconds * 1000;
        loop {
            let (boot, wall) = self.fleet.deadline();
            let wall = wall.map(|wall| self.now.boot + millis(self.now.wall, wall));
            let next = boot.into_iter().chain(wall).min().unwrap_or(end).max(self.now.boot);
            self.pass(next.min(end) - self.now.boot);
            let actions = self.fleet.due(self.now);
            self.note(actions);
            if next >= end {
                return self;
            }
        }
    }

    /// Time goes by and nobody looks: the machine sleeps.
    fn pass(&mut self, milliseconds: Moment) {
        self.now.boot += milliseconds;
        let wall = self.now.wall.as_millisecond() + i64::try_from(milliseconds).unwrap();
        self.now.wall = Timestamp::from_millisecond(wall).unwrap();
    }

    fn run_id(&self) -> RunId {
        self.life().current().expect("a run").id
    }

    fn event(&mut self, event: run::Event) -> &mut Self {
        let actions = self.fleet.run(self.run_id(), event, self.now);
        self.note(actions);
        self
    }

    /// Its worker comes up.
    fn up(&mut self) -> &mut Self {
        let walls: Vec<Evidence> = Vec::new();
        let listens = self.fleet.member(LABEL).is_some_and(|member| !member.job.sockets.is_empty());
        self.event(run::Event::Prepared { native: true, listens });
        self.event(run::Event::Said(FromWorker::Walls(walls.clone())));
        self.event(run::Event::WallsRead(walls))
    }

    /// Its program ends.
    fn ends(&mut self, outcome: Outcome) -> &mut Self {
        self.event(run::Event::Said(FromWorker::Ended(outcome)));
        self.event(run::Event::Gone(Exit::Status(0)))
    }

    /// A run of so many seconds.
    fn lives(&mut self, seconds: u64, outcome: Outcome) -> &mut Self {
        self.up().wait(seconds).ends(outcome)
    }

    /// Its file says this now, and is read again.
    fn reload(&mut self, job: Job) -> &mut Self {
        let actions = self.fleet.reload(Arc::new(job), false, self.now).unwrap();
        self.note(actions);
        self
    }

    /// The run whose place another takes.
    fn drains(&self) -> Option<RunId> {
        self.life().draining().map(|run| run.id)
    }

    /// Whether anything like this was done.
    fn has_done(&self, part: &str) -> bool {
        self.did.iter().any(|done| done.contains(part))
    }

    fn life(&self) -> &Life {
        &self.fleet.member(LABEL).expect("the job").life
    }

    fn word(&self) -> &'static str {
        let member = self.fleet.member(LABEL).expect("the job");
        Words::of(&member.job, &member.life, self.now).state
    }

    /// Seconds to the next start it waits for.
    fn waits(&self) -> Option<u64> {
        match self.life().state() {
            State::Waiting { until, .. } => Some((until - self.now.boot) / 1000),
            _ => None,
        }
    }

    fn starts(&self) -> usize {
        self.did.iter().filter(|done| done.contains("starts:")).count()
    }

    fn last_start(&self) -> &str {
        self.did.iter().rfind(|done| done.contains("starts:")).expect("a start")
    }
}

fn millis(from: Timestamp, to: Timestamp) -> Moment {
    Moment::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn at_load() -> Launch {
    Launch { at_load: true, ..Launch::default() }
}

fn kept(conditions: Conditions) -> Launch {
    Launch { keep_alive: KeepAlive::While(conditions), ..Launch::default() }
}

fn on_path() -> Launch {
    Launch { watch_paths: vec!["/p".into()], ..Launch::default() }
}

/// A job with a listener.
fn serving(launch: Launch) -> Job {
    let mut job = job(LABEL, launch);
    job.sockets.push(Socket::on_port("listener", 0));
    job
}

fn path() -> Cause {
    Cause::Path("/p".into())
}

fn failure() -> run::Event {
    run::Event::Unprepared(StartFailure::job("the program", "not there", "install it"))
}

#[test]
fn a_job_that_waits_says_when_it_starts_and_not_when_its_timer_comes() {
    let mut story = Story::of(Launch { interval: Some(2), throttle: 300, ..Launch::default() });
    story.wait(2).lives(1, Outcome::Exited(0)).wait(2);
    let member = story.fleet.member(LABEL).expect("the job");
    let next = Words::of(&member.job, &member.life, story.now).next.map(|next| millis(story.now.wall, next));
    assert_eq!((story.word(), next), ("waiting", Some(297_000)));
}

#[test]
fn a_label_is_loaded_once() {
    let mut story = Story::of(at_load());
    assert_eq!(story.fleet.load(Arc::new(job(LABEL, at_load())), false), Err(Refusal::Loaded));
}

#[test]
fn every_state_says_what_the_job_waits_for() {
    let idle = Story::of(Launch { interval: Some(60), ..Launch::default() });
    let mut waiting = Story::of(on_path());
    waiting.wanted(path()).lives(1, Outcome::Exited(0)).wanted(path());
    let mut running = Story::of(at_load());
    running.up();
    let mut wrong = Story::of(at_load());
    wrong.event(failure());
    for (story, state, why, next) in [
        (idle, "idle", "waits for every 60 s (StartInterval)", true),
        (Story::of(Launch::default()), "idle", "waits for `wjob kickstart`; nothing else starts it", false),
        (waiting, "waiting", "ThrottleInterval; wanted by WatchPaths: /p changed", true),
        (running, "running", "RunAtLoad", false),
        (wrong, "misconfigured", "the program: not there", true),
    ] {
        let member = story.fleet.member(LABEL).unwrap();
        let words = Words::of(&member.job, &member.life, story.now);
        assert_eq!((words.state, words.why.as_str(), words.next.is_some()), (state, why, next));
    }
}
