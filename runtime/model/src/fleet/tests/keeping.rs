//! What keeps a job running, or has it run again: KeepAlive and its conditions, queues, LaunchOnlyOnce.

use super::*;

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
fn one_that_runs_only_once_stays_finished_whatever_is_allowed() {
    let mut story = Story::of(Launch { only_once: true, ..at_load() });
    story.lives(30, Outcome::Exited(0)).tell(Event::Disable).tell(Event::Enable);
    story.tell(Event::Kickstart { kill: false, uid: 0 });
    assert_eq!((story.word(), story.starts()), ("finished", 1));
    let mut story = Story::of(Launch { only_once: true, ..at_load() });
    story.up().tell(Event::Disable).wait(30).ends(Outcome::Exited(0)).tell(Event::Enable);
    assert_eq!((story.word(), story.starts()), ("finished", 1), "nor when it ends while it is disabled");
}
