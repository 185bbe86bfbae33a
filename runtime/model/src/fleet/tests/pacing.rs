//! How soon a job is started again: the throttle, longer waits after failures, and who is not held back.

use super::*;

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
fn an_end_for_want_of_work_frees_only_a_job_that_may_end_so() {
    let mut story = Story::of(Launch { keep_alive: KeepAlive::Always, ..Launch::default() });
    story.lives(1, Outcome::Stopped);
    assert_eq!((story.word(), story.starts()), ("waiting", 1), "its ThrottleInterval holds");
}
