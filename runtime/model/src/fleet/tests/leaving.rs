//! How a job is held back, taken out or left behind, and how all of them end together.

use super::*;

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
