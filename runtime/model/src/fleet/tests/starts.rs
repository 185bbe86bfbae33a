//! What starts a job: its loading, time, and demands that come while it runs.

use super::*;
use crate::calendar::Entry;

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
