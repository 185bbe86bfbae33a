//! Every rule of a job's life as a story: what happens, and where the job stands after it. Time is what the story says.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::simulation::job;
use super::*;
use crate::calendar::Entry;
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
fn what_starts_a_job_when_it_is_loaded() {
    let exit = |value| kept(Conditions { successful_exit: Some(value), ..Conditions::default() });
    let crash = kept(Conditions { crashed: Some(true), ..Conditions::default() });
    let initial = Conditions { after_demand: true, ..Conditions::default() };
    let absent = kept(Conditions { other_loaded: vec![("x".into(), false)], ..Conditions::default() });
    for (launch, starts) in [
        (Launch::default(), 0),
        (at_load(), 1),
        (Launch { keep_alive: KeepAlive::Always, ..Launch::default() }, 1),
        (exit(true), 1),
        (exit(false), 1),
        (crash, 1),
        (kept(Conditions::default()), 0),
        (Launch { at_load: true, ..kept(initial) }, 0),
        (absent, 1),
        (Launch { interval: Some(5), ..Launch::default() }, 0),
        (on_path(), 0),
    ] {
        assert_eq!(Story::of(launch.clone()).starts(), starts, "{launch:?}");
    }
}

#[test]
fn everything_of_a_load_is_there_before_anything_starts() {
    let mut story = Story::new();
    for label in ["a", "b"] {
        story.fleet.load(Arc::new(job(label, at_load())), false).unwrap();
    }
    assert!(story.did.is_empty());
    let actions = story.fleet.begin(story.now);
    story.note(actions);
    assert_eq!(story.did, ["a Arm", "a starts: RunAtLoad", "b Arm", "b starts: RunAtLoad"]);
}

#[test]
fn the_throttle_counts_from_start_to_start_for_every_demand() {
    for (lived, waits) in [(1, Some(9)), (9, Some(1)), (10, None), (50, None)] {
        let mut story = Story::of(on_path());
        story.wanted(path()).lives(lived, Outcome::Exited(0)).wanted(path());
        assert_eq!(story.waits(), waits, "after {lived} s");
        story.wait(10);
        assert_eq!(story.starts(), 2, "after {lived} s");
    }
}

#[test]
fn no_throttle_means_none_until_it_fails_and_fails() {
    let mut story = Story::of(Launch { throttle: 0, ..on_path() });
    for _ in 0..5 {
        story.wanted(path()).lives(0, Outcome::Exited(0));
        assert_eq!(story.word(), "idle");
    }
    story.wanted(path()).lives(0, Outcome::Exited(1)).wanted(path()).lives(0, Outcome::Exited(1)).wanted(path());
    assert_eq!(story.waits(), Some(2));
}

#[test]
fn failures_in_a_row_wait_longer_and_longer_and_never_give_up() {
    let mut story = Story::of(Launch { keep_alive: KeepAlive::Always, ..Launch::default() });
    let mut waits = Vec::new();
    for _ in 0..10 {
        story.lives(0, Outcome::Exited(1));
        let wait = story.waits().expect("a wait");
        waits.push(wait);
        story.wait(wait);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1200, 1200, 1200]);
    story.lives(60, Outcome::Exited(1));
    assert_eq!(story.word(), "starting", "a minute of health forgives, and the throttle is over");
}

#[test]
fn an_end_for_want_of_work_is_no_failure_and_holds_nothing_back() {
    let mut story = Story::of(Launch { transactions: true, ..on_path() });
    story.wanted(path()).lives(1, Outcome::Exited(1)).wait(10);
    story.wanted(path()).lives(1, Outcome::Stopped).wanted(path());
    assert_eq!((story.word(), story.starts(), story.life().failures()), ("starting", 3, 0));
}

#[test]
fn what_a_job_leaves_behind_does_not_hold_its_end_back() {
    for (abandon, expected) in [(true, ("idle", 0)), (false, ("stopping", 1))] {
        let mut story = Story::with(Job { abandon_process_group: abandon, ..job(LABEL, at_load()) });
        story.up().event(run::Event::Said(FromWorker::Ended(Outcome::Exited(0))));
        let runs = story.life().current().into_iter().count();
        assert_eq!((story.word(), runs), expected, "abandon {abandon}");
        assert_eq!(story.did.contains(&"a worker LeaveBehind".to_owned()), abandon, "{:?}", story.did);
    }
}

#[test]
fn an_operator_is_not_held_back() {
    let mut story = Story::of(on_path());
    story.wanted(path()).lives(1, Outcome::Exited(1)).wanted(path());
    assert_eq!(story.word(), "waiting");
    story.tell(Event::Kickstart { kill: false, uid: 7 });
    assert_eq!(story.word(), "starting");
    assert_eq!(story.last_start(), "a starts: WatchPaths: /p changed, operator: user 7");
    story.up().tell(Event::Kickstart { kill: false, uid: 7 });
    assert_eq!(story.starts(), 2, "a running one is left alone");
}

#[test]
fn kickstart_with_kill_starts_anew_when_the_old_one_is_gone() {
    let mut story = Story::of(at_load());
    story.up().wait(1).tell(Event::Kickstart { kill: true, uid: 0 });
    assert_eq!((story.word(), story.starts()), ("stopping", 1));
    story.ends(Outcome::Signaled(15));
    assert_eq!((story.word(), story.starts()), ("starting", 2));
    assert_eq!(story.life().failures(), 0, "nobody blames a job for an end it was asked for");
}

#[test]
fn a_job_with_listeners_drains_while_its_successor_runs() {
    let mut story = Story::with(serving(at_load()));
    story.up();
    let old = story.run_id();
    story.tell(Event::Kickstart { kill: true, uid: 0 });
    assert_eq!(story.life().draining().map(|run| run.id), Some(old));
    assert_ne!(story.run_id(), old);
    story.up().tell(Event::Kickstart { kill: true, uid: 0 });
    assert_eq!((story.starts(), story.word()), (2, "stopping"), "one draining is enough: the next one waits");
    let actions = story.fleet.run(old, run::Event::Gone(Exit::Status(0)), story.now);
    story.note(actions);
    assert!(story.life().draining().is_none());
}

#[test]
fn the_former_run_is_told_to_end_when_its_successor_is_up_and_not_before() {
    let mut story = Story::with(serving(at_load()));
    story.up();
    let former = Some(story.run_id());
    story.tell(Event::Kickstart { kill: true, uid: 0 }).event(failure());
    assert_eq!((story.word(), story.drains()), ("misconfigured", former));
    let member = story.fleet.member(LABEL).expect("the job");
    let why = Words::of(&member.job, &member.life, story.now).why;
    assert_eq!(why, "the program: not there; its former worker serves on");
    story.wait(10);
    assert_eq!((story.word(), story.drains(), story.has_done("Drain")), ("starting", former, false));
    story.up();
    assert_eq!((story.word(), story.drains(), story.has_done("Drain")), ("running", former, true));
}

#[test]
fn a_reload_of_a_job_that_serves_leaves_no_moment_without_a_worker() {
    let plain = || job(LABEL, at_load());
    for (old, new, overlaps) in [
        (serving(at_load()), serving(on_path()), true),
        (serving(at_load()), plain(), false),
        (plain(), serving(on_path()), false),
        (plain(), job(LABEL, on_path()), false),
    ] {
        let mut story = Story::with(old);
        story.up();
        let former = story.run_id();
        story.reload(new.clone());
        let expected = if overlaps { (Some(former), "starting", 2) } else { (None, "leaving", 1) };
        assert_eq!((story.drains(), story.word(), story.starts()), expected);
        assert_eq!(*story.fleet.member(LABEL).expect("the job").job == new, overlaps);
        if overlaps {
            assert_eq!((story.last_start(), story.has_done("Drain")), ("a starts: reload: it was running", false));
            assert!(story.up().has_done("Drain"));
            let actions = story.fleet.run(former, run::Event::Gone(Exit::Status(0)), story.now);
            story.note(actions);
            assert_eq!((story.drains(), story.word()), (None, "running"));
        }
    }
}

#[test]
fn a_definition_that_does_not_start_is_replaced_by_the_next_while_the_first_one_serves() {
    let mut story = Story::with(serving(at_load()));
    story.up();
    let former = Some(story.run_id());
    story.reload(serving(on_path())).event(failure());
    assert_eq!((story.word(), story.drains()), ("misconfigured", former));
    story.reload(serving(Launch::default()));
    assert_eq!((story.word(), story.drains(), story.starts()), ("starting", former, 3));
    assert!(!story.has_done("Drain") && !story.has_done("Kill"), "{:?}", story.did);
    assert!(story.up().has_done("Drain"));
}

#[test]
fn a_reload_while_one_drains_lets_both_see_their_clients_to_the_end() {
    let mut story = Story::with(serving(at_load()));
    story.up().reload(serving(on_path())).up();
    let former = story.drains();
    for _ in 0..2 {
        story.reload(serving(at_load()));
        assert_eq!((story.word(), story.drains(), story.starts()), ("stopping", former, 2));
    }
    assert!(!story.has_done("Kill"), "{:?}", story.did);
    story.ends(Outcome::Stopped);
    assert_eq!((story.word(), story.drains(), story.starts()), ("starting", former, 3));
}

#[test]
fn what_starts_with_its_load_is_started_once_by_a_reload() {
    for new in [job(LABEL, at_load()), serving(at_load())] {
        let mut story = Story::with(new.clone());
        story.up().reload(new);
        if story.word() == "leaving" {
            story.ends(Outcome::Signaled(15));
        }
        story.lives(30, Outcome::Exited(0));
        assert_eq!((story.word(), story.starts()), ("idle", 2), "{:?}", story.did);
    }
}

#[test]
fn a_job_that_is_replaced_is_seen_running_all_the_time() {
    let active = Conditions { other_active: vec![(LABEL.into(), false)], ..Conditions::default() };
    let mut story = Story::with(serving(at_load()));
    story.load(job("b", kept(active)));
    story.up().reload(serving(at_load())).up();
    assert!(!story.has_done("b starts"), "{:?}", story.did);
}

#[test]
fn events_while_it_runs_lead_to_one_more_run() {
    let mut story = Story::of(Launch { interval: Some(3), ..on_path() });
    story.wanted(path()).up();
    story.wanted(path()).wanted(Cause::Path("/q".into())).wait(20);
    story.ends(Outcome::Exited(0));
    assert_eq!(story.starts(), 2);
    assert_eq!(story.last_start(), "a starts: WatchPaths: /p changed, WatchPaths: /q changed, StartInterval");
    story.lives(1, Outcome::Exited(0)).wait(2);
    assert_eq!(story.starts(), 2, "they are answered");
}

#[test]
fn time_asleep_makes_one_run() {
    let noon = Entry { hour: Some(12), minute: Some(0), ..Entry::default() };
    let mut story = Story::of(Launch { interval: Some(60), calendar: vec![noon], ..Launch::default() });
    story.pass(5 * 86_400_000);
    story.wait(0);
    assert_eq!(story.did[1..], ["a starts: StartInterval, StartCalendarInterval"]);
}

#[test]
fn a_clock_set_forward_makes_one_run() {
    let noon = Entry { hour: Some(12), minute: Some(0), ..Entry::default() };
    let mut story = Story::of(Launch { calendar: vec![noon], ..Launch::default() });
    story.now.wall = "2027-01-01T00:00:00Z".parse().unwrap();
    let actions = story.fleet.clock_set(story.now);
    story.note(actions);
    assert_eq!(story.starts(), 1);
    assert_eq!(story.life().calendar(), Some("2027-01-01T12:00:00Z".parse().unwrap()));
}

#[test]
fn ends_are_followed_by_what_keep_alive_says() {
    let exit = |value| kept(Conditions { successful_exit: Some(value), ..Conditions::default() });
    let crash = |value| kept(Conditions { crashed: Some(value), ..Conditions::default() });
    for (launch, outcome, again) in [
        (exit(true), Outcome::Exited(0), true),
        (exit(true), Outcome::Exited(3), false),
        (exit(false), Outcome::Exited(0), false),
        (exit(false), Outcome::Signaled(15), true),
        (crash(true), Outcome::Trapped("x".into()), true),
        (crash(true), Outcome::Signaled(9), false),
        (crash(false), Outcome::Exited(0), true),
        (at_load(), Outcome::Exited(1), false),
    ] {
        let mut story = Story::of(launch.clone());
        story.lives(30, outcome.clone());
        assert_eq!(story.starts() == 2, again, "{launch:?} {outcome:?}");
    }
}

#[test]
fn a_path_that_exists_keeps_a_job() {
    let launch = kept(Conditions { path_state: vec![("/p".into(), true)], ..Conditions::default() });
    let mut story = Story::of(launch);
    story.tell(Event::PathState("/p".into(), false));
    assert_eq!(story.word(), "idle");
    story.tell(Event::PathState("/p".into(), true)).lives(30, Outcome::Exited(0));
    assert_eq!(story.starts(), 2, "it still exists");
    story.tell(Event::PathState("/p".into(), false)).lives(30, Outcome::Exited(0));
    assert_eq!((story.starts(), story.word()), (2, "idle"));
}

#[test]
fn a_queue_runs_the_job_until_it_is_empty() {
    let mut story = Story::of(Launch { queue_directories: vec!["/q".into()], ..Launch::default() });
    story.tell(Event::Queue("/q".into(), false)).tell(Event::Queue("/q".into(), true)).lives(30, Outcome::Exited(0));
    assert_eq!(story.last_start(), "a starts: QueueDirectories: /q has entries");
    story.tell(Event::Queue("/q".into(), false)).lives(30, Outcome::Exited(0));
    assert_eq!((story.starts(), story.word()), (2, "idle"));
}

#[test]
fn another_job_keeps_it_by_being_loaded() {
    let launch = kept(Conditions { other_loaded: vec![("b".into(), true)], ..Conditions::default() });
    let mut story = Story::of(launch);
    assert_eq!(story.word(), "idle");
    story.load(job("b", Launch::default()));
    assert_eq!(story.word(), "starting");
    let actions = story.fleet.tell("b", Event::Unload, story.now);
    story.note(actions);
    story.lives(30, Outcome::Exited(0));
    assert_eq!(story.word(), "idle", "the other is gone");
}

#[test]
fn after_its_first_demand_a_job_is_kept() {
    let launch = Conditions { after_demand: true, ..Conditions::default() };
    let mut story = Story::of(Launch { at_load: true, ..Launch { watch_paths: vec!["/p".into()], ..kept(launch) } });
    assert_eq!(story.word(), "idle");
    story.wanted(path()).lives(30, Outcome::Exited(0));
    assert_eq!(story.last_start(), "a starts: KeepAlive");
}

#[test]
fn launch_only_once_stays_listed() {
    let mut story = Story::of(Launch { only_once: true, ..Launch { at_load: true, ..on_path() } });
    story.lives(1, Outcome::Exited(0)).wanted(path()).tell(Event::Kickstart { kill: false, uid: 0 }).wait(100);
    assert_eq!((story.word(), story.starts()), ("finished", 1));
}

#[test]
fn a_misconfigured_job_is_tried_again_when_something_appears_and_not_too_often() {
    let mut story = Story::of(at_load());
    story.event(failure());
    assert_eq!((story.word(), story.life().is_awaiting()), ("misconfigured", true));
    story.wait(1).tell(Event::Appeared);
    assert_eq!(story.waits(), Some(9), "at most once per throttle");
    for _ in 0..8 {
        let wait = story.waits().expect("a wait");
        story.wait(wait).event(failure());
    }
    assert_eq!(story.waits(), Some(1200));
    story.wait(5).tell(Event::Appeared);
    assert_eq!(story.waits(), Some(10), "somebody acted, so the long delay is over");
    story.wait(10);
    assert_eq!((story.word(), story.life().is_awaiting()), ("starting", false));
    assert_eq!(story.last_start(), "a starts: RunAtLoad", "the demand was not lost");
}

#[test]
fn disabling_leaves_what_runs_and_starts_nothing() {
    let mut story = Story::of(Launch { keep_alive: KeepAlive::Always, ..Launch::default() });
    story.up().tell(Event::Disable);
    assert_eq!(story.word(), "running");
    story.wait(30).ends(Outcome::Exited(0));
    assert_eq!((story.word(), story.life().is_armed()), ("disabled", false));
    story.wanted(path()).tell(Event::Kickstart { kill: false, uid: 0 });
    assert_eq!(story.starts(), 1);
    story.tell(Event::Enable);
    assert_eq!(
        (story.word(), story.life().is_armed(), story.starts()),
        ("starting", true, 2),
        "it is kept alive again"
    );
    let mut story = Story::of(at_load());
    story.lives(30, Outcome::Exited(0)).tell(Event::Disable).tell(Event::Enable);
    assert_eq!((story.word(), story.starts()), ("idle", 1), "RunAtLoad is of the loading");
}

#[test]
fn taking_out_waits_for_the_end() {
    let mut story = Story::of(at_load());
    story.up().tell(Event::Unload);
    assert_eq!((story.word(), story.fleet.admits(LABEL)), ("leaving", Err(Refusal::Leaving)));
    story.wait(19);
    assert!(!story.did.iter().any(|done| done.contains("Kill")));
    story.wait(1);
    assert!(story.did.iter().any(|done| done == "a worker Kill"), "ExitTimeOut is 20 s");
    story.event(run::Event::Gone(Exit::Signal(9)));
    assert_eq!(story.did.last().unwrap(), "a Gone");
    assert_eq!(story.fleet.admits(LABEL), Ok(()));
}

#[test]
fn a_reload_takes_the_new_file_once_the_old_run_has_ended() {
    let mut story = Story::of(at_load());
    story.up();
    let actions = story.fleet.reload(Arc::new(job(LABEL, on_path())), false, story.now).unwrap();
    story.note(actions);
    story.ends(Outcome::Signaled(15));
    assert_eq!(story.last_start(), "a starts: reload: it was running");
    assert_eq!(story.fleet.member(LABEL).unwrap().job.launch.watch_paths, ["/p"]);
    assert_eq!(story.fleet.reload(Arc::new(job("other", at_load())), false, story.now), Err(Refusal::Leaving));
}

#[test]
fn what_a_reload_says_of_being_disabled_counts_and_so_does_what_is_said_meanwhile() {
    for (at_reload, meanwhile, expected) in [
        (true, None, "disabled"),
        (false, None, "starting"),
        (true, Some(Event::Enable), "starting"),
        (false, Some(Event::Disable), "disabled"),
    ] {
        let mut story = Story::of(at_load());
        story.up();
        let actions = story.fleet.reload(Arc::new(job(LABEL, at_load())), at_reload, story.now).unwrap();
        story.note(actions);
        if let Some(event) = meanwhile.clone() {
            story.tell(event);
        }
        story.ends(Outcome::Signaled(15));
        assert_eq!(story.word(), expected, "{at_reload} then {meanwhile:?}");
    }
}

#[test]
fn one_that_runs_only_once_stays_finished_whatever_is_allowed() {
    let mut story = Story::of(Launch { only_once: true, ..at_load() });
    story.lives(30, Outcome::Exited(0)).tell(Event::Disable).tell(Event::Enable);
    story.tell(Event::Kickstart { kill: false, uid: 0 });
    assert_eq!((story.word(), story.starts()), ("finished", 1));
    let mut story = Story::of(Launch { only_once: true, ..at_load() });
    story.up().tell(Event::Disable).wait(30).ends(Outcome::Exited(0)).tell(Event::Enable);
    assert_eq!((story.word(), story.starts()), ("finished", 1), "nor when it ends while it is disabled");
}

#[test]
fn an_end_for_want_of_work_frees_only_a_job_that_may_end_so() {
    let mut story = Story::of(Launch { keep_alive: KeepAlive::Always, ..Launch::default() });
    story.lives(1, Outcome::Stopped);
    assert_eq!((story.word(), story.starts()), ("waiting", 1), "its ThrottleInterval holds");
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
fn a_shutdown_stops_all_and_ends_at_its_deadline() {
    let mut story = Story::of(Launch { keep_alive: KeepAlive::Always, ..Launch::default() });
    story.up();
    let actions = story.fleet.shut_down(story.now.boot + 30_000, story.now);
    story.note(actions);
    assert_eq!(story.fleet.admits("b"), Err(Refusal::ShuttingDown));
    story.wait(40);
    assert_eq!(story.did.iter().filter(|done| *done == "exit").count(), 1);
    let mut quick = Story::of(at_load());
    quick.up();
    let actions = quick.fleet.shut_down(quick.now.boot + 30_000, quick.now);
    quick.note(actions);
    quick.ends(Outcome::Exited(0));
    assert_eq!(quick.did.last().unwrap(), "exit");
    assert_eq!(quick.starts(), 1, "nothing is started again");
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
