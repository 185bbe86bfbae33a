//! A run from its start to its end, told as events and moments: what each leads to.

use super::*;
use crate::learn::{Deed, Need};
use crate::message::Fault;
use crate::noted::Used;
use crate::wall::Wall;

const WASM: Terms = Terms {
    run_time: Some(5_000),
    exit_timeout: Some(20_000),
    native: false,
    memory: true,
    abandon: false,
    listens: false,
};
const NATIVE: Terms = Terms { run_time: None, native: true, ..WASM };

fn walk(terms: &Terms, events: Vec<(Moment, Event)>) -> (State, Vec<Action>) {
    let mut state = State::Starting { until: START_DEADLINE, manner: Manner::default() };
    let mut all = Vec::new();
    for (now, event) in events {
        let (next, actions) = state.step(event, now, terms);
        state = next;
        all.extend(actions);
    }
    (state, all)
}

fn evidence(stands: bool) -> Vec<Evidence> {
    vec![Evidence { wall: Wall::Seccomp, found: "Seccomp: 2".into(), stands }]
}

fn verdict(actions: &[Action]) -> Option<u8> {
    actions.iter().find_map(|action| match action {
        Action::Finish(End::Ran(verdict)) => Some(verdict.status()),
        _ => None,
    })
}

fn running() -> Vec<(Moment, Event)> {
    vec![(1, Event::Said(FromWorker::Walls(evidence(true)))), (2, Event::WallsRead(evidence(true)))]
}

fn then(more: Vec<(Moment, Event)>) -> Vec<(Moment, Event)> {
    running().into_iter().chain(more).collect()
}

#[test]
fn a_plain_run() {
    let ended = Event::Said(FromWorker::Ended(Outcome::Exited(3)));
    let (state, actions) = walk(&WASM, then(vec![(9, ended), (10, Event::Gone(Exit::Status(0)))]));
    assert_eq!(state, State::Over);
    assert_eq!(actions[1], Action::Send(ToWorker::Go));
    assert_eq!(verdict(&actions), Some(3));
}

#[test]
fn nothing_runs_behind_a_fallen_wall() {
    let (_, actions) = walk(
        &WASM,
        vec![
            (1, Event::Said(FromWorker::Walls(evidence(true)))),
            (2, Event::WallsRead(evidence(false))),
            (3, Event::Gone(Exit::Signal(9))),
        ],
    );
    assert!(actions.contains(&Action::Kill));
    assert!(!actions.contains(&Action::Send(ToWorker::Go)));
    assert!(matches!(actions.last(), Some(Action::Finish(End::Failed(_)))));
}

#[test]
fn run_time_is_a_word_then_a_kill() {
    let (_, actions) = walk(
        &WASM,
        then(vec![
            (5_001, Event::Deadline),
            (5_002, Event::Deadline),
            (6_002, Event::Deadline),
            (6_003, Event::Deadline),
            (6_004, Event::Gone(Exit::Signal(9))),
        ]),
    );
    let kills = actions.iter().filter(|action| **action == Action::Kill).count();
    assert_eq!(kills, 1, "a second one only if it is still there a while later");
    assert_eq!(verdict(&actions), Some(137));
}

#[test]
fn a_native_job_has_its_exit_timeout_and_a_second_request_ends_it() {
    let stop = || Event::Stop(StopReason::Interrupt);
    let (state, _) = walk(&NATIVE, then(vec![(100, stop())]));
    assert_eq!(state.deadline(), Some(20_100));
    let (state, actions) = walk(&NATIVE, then(vec![(100, stop()), (200, stop())]));
    assert!(matches!(state, State::Killed { reason: Some(StopReason::Interrupt), .. }));
    assert_eq!(actions.last(), Some(&Action::Kill));
}

#[test]
fn one_that_drains_has_the_time_it_was_given_whatever_is_wanted_of_it_next() {
    let stop = Event::Stop;
    let drain = || (100, stop(StopReason::Replace));
    let (replace, terminate) = (StopReason::Replace, StopReason::Terminate);
    let (drained, told) = (Action::Send(ToWorker::Drain), Action::Send(ToWorker::Stop { signal: SIGTERM }));
    for exit_timeout in [Some(20_000), None] {
        let terms = Terms { exit_timeout, ..NATIVE };
        let kill_at = exit_timeout.map(|timeout| 100 + timeout);
        for (events, reason, said) in [
            (vec![], replace, vec![&drained]),
            (vec![(200, stop(replace)), (300, stop(replace))], replace, vec![&drained]),
            (vec![(200, stop(terminate))], terminate, vec![&drained, &told]),
            (vec![(200, stop(terminate)), (300, stop(replace))], terminate, vec![&drained, &told]),
        ] {
            let (state, actions) = walk(&terms, then([vec![drain()], events.clone()].concat()));
            assert_eq!(state, State::Stopping { reason, kill_at }, "{events:?}");
            // The first two are those of its start.
            assert_eq!(actions.iter().skip(2).collect::<Vec<_>>(), said, "{events:?}");
        }
        let twice = vec![drain(), (200, stop(terminate)), (300, stop(terminate))];
        let (state, actions) = walk(&terms, then(twice));
        assert_eq!(state, State::Killed { reason: Some(terminate), again_at: 300 + GRACE });
        assert_eq!(actions.last(), Some(&Action::Kill));
    }
}

#[test]
fn a_kill_that_did_not_help_is_repeated_once() {
    let stop = || Event::Stop(StopReason::Interrupt);
    let (state, actions) = walk(
        &NATIVE,
        then(vec![
            (100, stop()),
            (200, stop()),
            (1_199, Event::Deadline),
            (1_200, Event::Deadline),
            (9_999, Event::Deadline),
        ]),
    );
    let kills = actions.iter().filter(|action| **action == Action::Kill).count();
    assert_eq!((kills, state.deadline()), (2, Some(Moment::MAX)));
}

#[test]
fn run_time_outlasts_a_stop_that_never_ends() {
    let terms = Terms { run_time: Some(5_000), exit_timeout: None, ..NATIVE };
    let (state, _) = walk(&terms, then(vec![(100, Event::Stop(StopReason::Terminate))]));
    assert_eq!(state.deadline(), Some(5_002 + GRACE));
}

#[test]
fn what_a_native_program_leaves_is_kept_where_that_is_wanted() {
    let verdict = |stop| Verdict { outcome: Outcome::Exited(3), stop };
    let running = State::Running { until: None, manner: Manner::default() };
    let stop = Some(StopReason::Terminate);
    let stopping = State::Stopping { reason: StopReason::Terminate, kill_at: Some(9) };
    for (state, native, abandon, left, end) in [
        (running.clone(), true, true, true, verdict(None)),
        (stopping.clone(), true, true, true, verdict(stop)),
        (running.clone(), true, false, false, verdict(None)),
        (stopping, true, false, false, verdict(stop)),
        (running, false, true, false, verdict(None)),
    ] {
        let terms = Terms { native, abandon, ..NATIVE };
        let (next, actions) = state.clone().step(Event::Said(FromWorker::Ended(Outcome::Exited(3))), 5, &terms);
        let expected = match left {
            true => (State::Over, vec![Action::LeaveBehind, Action::Finish(End::Ran(end))]),
            false => (State::Leaving { end: End::Ran(end), kill_at: 5 + GRACE }, Vec::new()),
        };
        assert_eq!((next, actions), expected, "{state:?} native {native} abandon {abandon}");
    }
}

#[test]
fn a_worker_that_was_killed_or_is_going_leaves_nothing() {
    let terms = Terms { abandon: true, ..NATIVE };
    let end = End::Ran(Verdict { outcome: Outcome::Exited(3), stop: None });
    for state in [State::Killed { reason: None, again_at: 9 }, State::Leaving { end, kill_at: 9 }] {
        let said = Event::Said(FromWorker::Ended(Outcome::Exited(0)));
        assert_eq!(state.clone().step(said, 5, &terms), (state.clone(), Vec::new()));
        let (_, actions) = state.step(Event::Gone(Exit::Signal(SIGKILL)), 6, &terms);
        assert!(matches!(actions[..], [Action::Finish(_)]), "{actions:?}");
    }
}

#[test]
fn a_native_program_that_was_stopped_at_once_had_its_time_held_from_outside() {
    for (reason, native, expected) in [
        (StopReason::RunTime, true, Outcome::Signaled(SIGKILL)),
        (StopReason::RunTime, false, Outcome::Stopped),
        (StopReason::Terminate, true, Outcome::Stopped),
    ] {
        let stopping = State::Stopping { reason, kill_at: None };
        let terms = Terms { native, ..WASM };
        let (state, _) = stopping.step(Event::Said(FromWorker::Ended(Outcome::Stopped)), 5, &terms);
        let end = End::Ran(Verdict { outcome: expected, stop: Some(reason) });
        assert_eq!(state, State::Leaving { end, kill_at: 5 + GRACE }, "{reason:?} native {native}");
    }
}

#[test]
fn a_worker_out_of_turn_changes_nothing() {
    for said in [
        FromWorker::Ended(Outcome::Exited(0)),
        FromWorker::NamesWanted,
        FromWorker::Compiled,
        FromWorker::Resolved(Vec::new()),
    ] {
        let starting = State::Starting { until: START_DEADLINE, manner: Manner::default() };
        let (state, actions) = starting.clone().step(Event::Said(said), 1, &WASM);
        assert_eq!((state, actions), (starting, Vec::new()));
    }
}

#[test]
fn what_is_told_of_grants_is_handed_on_in_every_state() {
    let (used, deed) = (Used::Bind(7), Deed::Path { path: "/a".into(), need: Need::Look });
    let stopping = State::Stopping { reason: StopReason::Interrupt, kill_at: None };
    for state in [State::Running { until: None, manner: Manner::default() }, stopping, State::Over] {
        for (said, action) in
            [(FromWorker::Used(used), Action::Note(used)), (FromWorker::Did(deed.clone()), Action::Learn(deed.clone()))]
        {
            assert_eq!(state.clone().step(Event::Said(said), 1, &WASM), (state.clone(), vec![action]));
        }
    }
}

#[test]
fn preparing_has_no_deadline_and_can_be_stopped() {
    let failure = StartFailure::job("the program", "missing", "install it");
    let (state, actions) = State::Preparing.step(Event::Unprepared(failure.clone()), 5, &WASM);
    assert_eq!((state, actions), (State::Over, vec![Action::Finish(End::Failed(failure.clone()))]));
    let (state, _) = State::Preparing.step(Event::Prepared { native: false, listens: false }, 100_000, &WASM);
    assert_eq!(state.deadline(), Some(100_000 + START_DEADLINE));
    let (state, actions) = State::Preparing.step(Event::Stop(StopReason::Terminate), 5, &WASM);
    assert_eq!(actions, [Action::Kill]);
    let (_, actions) = state.step(Event::Unprepared(failure), 6, &WASM);
    assert_eq!(verdict(&actions), Some(143));
}

#[test]
fn a_worker_that_is_made_anew_has_its_own_time() {
    let failure = || StartFailure::job("the code", "stale", "compile it");
    let starting = State::Starting { until: START_DEADLINE, manner: Manner::default() };
    let (state, _) = starting.clone().step(Event::Renewing, 29_000, &WASM);
    assert_eq!(state, State::Preparing);
    let (state, _) = state.step(Event::Prepared { native: false, listens: false }, 60_000, &WASM);
    assert_eq!(state.deadline(), Some(60_000 + START_DEADLINE));
    let (_, actions) = starting.step(Event::Unprepared(failure()), 9, &WASM);
    assert_eq!(actions, [Action::Finish(End::Failed(failure()))]);
}

#[test]
fn a_silent_end_is_no_clean_exit_for_a_guest() {
    let (_, actions) = walk(&WASM, then(vec![(9, Event::Gone(Exit::Status(0)))]));
    assert_eq!(verdict(&actions), Some(134));
    let (_, actions) = walk(&WASM, then(vec![(9, Event::Gone(Exit::Signal(24)))]));
    assert_eq!(verdict(&actions), Some(137));
}

#[test]
fn a_group_that_is_out_of_memory_has_reached_its_limit() {
    let hit = Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel };
    let gone = || vec![(9, Event::Gone(Exit::OutOfMemory))];
    for (terms, events) in [(&WASM, then(gone())), (&NATIVE, then(gone())), (&NATIVE, gone())] {
        let (_, actions) = walk(terms, events);
        let verdict = Verdict { outcome: hit.clone(), stop: None };
        assert_eq!(actions.last(), Some(&Action::Finish(End::Ran(verdict))));
    }
}

#[test]
fn a_process_that_could_not_become_the_jobs_user_names_that_wall() {
    let (_, actions) = walk(&NATIVE, vec![(9, Event::Gone(Exit::Status(NOT_ITS_USER)))]);
    let [Action::Finish(End::Failed(failure))] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((failure.fault, failure.what.as_str()), (Fault::Refused(Wall::User), "the user wall"));
}

#[test]
fn a_process_that_could_not_have_the_jobs_priority_names_that_key() {
    for terms in [&NATIVE, &WASM] {
        let (_, actions) = walk(terms, vec![(9, Event::Gone(Exit::Status(NOT_ITS_PRIORITY)))]);
        let [Action::Finish(End::Failed(failure))] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((failure.fault, failure.what.as_str()), (Fault::Job, "Nice"));
    }
}

#[test]
fn a_start_that_hangs_is_ended() {
    let (_, actions) =
        walk(&WASM, vec![(START_DEADLINE, Event::Deadline), (START_DEADLINE + 1, Event::Gone(Exit::Signal(9)))]);
    assert_eq!(actions[0], Action::Kill);
    assert!(matches!(actions[1], Action::Finish(End::Failed(_))));
}
