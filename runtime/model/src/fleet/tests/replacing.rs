//! A run or a definition that takes another's place: kickstart with kill, and reloads.

use super::*;

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

/// One that drains and one that serves, both up.
fn two_up() -> Story {
    let mut story = Story::with(serving(at_load()));
    story.up().tell(Event::Kickstart { kill: true, uid: 0 }).up();
    story
}

/// The end of the run that drains.
fn drained(story: &mut Story) {
    let run = story.drains().expect("a run that drains");
    let actions = story.fleet.run(run, run::Event::Gone(Exit::Status(0)), story.now);
    story.note(actions);
}

#[test]
fn however_often_a_job_is_started_anew_each_run_sees_its_clients_to_the_end() {
    let mut story = two_up();
    for _ in 0..3 {
        story.wait(1).tell(Event::Kickstart { kill: true, uid: 0 });
        assert_eq!((story.word(), story.starts(), story.has_done("Kill")), ("stopping", 2, false), "{:?}", story.did);
    }
    drained(&mut story);
    story.ends(Outcome::Stopped);
    assert_eq!((story.word(), story.starts(), story.drains()), ("starting", 3, None));
}

#[test]
fn a_job_that_is_taken_out_while_one_drains_ends_in_the_time_that_one_had() {
    for shut_down in [false, true] {
        let mut story = two_up();
        story.wait(5);
        if shut_down {
            let actions = story.fleet.shut_down(story.now.boot + 100_000, story.now);
            story.note(actions);
        } else {
            story.tell(Event::Unload);
        }
        let told = story.did.iter().filter(|done| *done == "a worker Send(Stop { signal: 15 })").count();
        assert_eq!((story.word(), told), ("leaving", 2));
        story.wait(14);
        assert!(!story.has_done("Kill"), "{:?}", story.did);
        // ExitTimeOut is 20 s, and was asked of the one 5 s before the other.
        story.wait(1);
        assert_eq!(story.did.iter().filter(|done| *done == "a worker Kill").count(), 1);
        drained(&mut story);
        assert_eq!((story.word(), story.drains()), ("leaving", None));
        story.tell(Event::Unload);
        assert_eq!(story.did.iter().filter(|done| *done == "a worker Kill").count(), 2, "said twice, it is killed");
    }
}

#[test]
fn a_run_whose_listener_is_another_now_makes_way_for_one_that_has_it() {
    let mut story = Story::with(serving(at_load()));
    story.up().wait(1).tell(Event::Rebound).tell(Event::Rebound);
    assert_eq!((story.word(), story.has_done("Drain"), story.has_done("Kill")), ("stopping", true, false));
    story.ends(Outcome::Stopped);
    assert_eq!((story.word(), story.waits(), story.starts()), ("waiting", Some(9), 1), "held back like every demand");
    story.wait(9);
    assert_eq!((story.last_start(), story.starts()), ("a starts: Sockets: a listener was bound anew", 2));
    story.event(failure());
    for _ in 0..8 {
        let wait = story.waits().expect("a wait");
        story.wait(wait).event(failure());
    }
    assert_eq!((story.word(), story.waits()), ("misconfigured", Some(1200)));
    assert_eq!(story.tell(Event::Rebound).waits(), Some(10), "what it missed is there");
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
