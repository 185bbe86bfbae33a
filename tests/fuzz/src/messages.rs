//! Messages between supervisor and worker. Any bytes are a message or none; a message is written and read again as the
//! same; and whatever a worker says, nobody but the supervisor lets it begin, and there are words for it.

use rustix::net::{SendFlags, send};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wjob_model::grant::Grants;
use wjob_model::handover::Version;
use wjob_model::message::{FromWorker, Start, ToWorker, WORKER_BYTES};
use wjob_model::run::{Action, End, Event, State, Terms};
use wjob_sandbox::channel::Channel;

/// When it is said, in milliseconds of the run.
const NOW: u64 = 7;

/// The bytes as each type of message, as a packet, and, behind a first byte that says of what kind of run, as all that
/// a worker says one after the other.
pub fn messages(bytes: &[u8]) {
    same::<Start>(bytes);
    same::<ToWorker>(bytes);
    same::<FromWorker>(bytes);
    same::<Version>(bytes);
    packet(bytes);
    if let Some((kind, said)) = bytes.split_first() {
        listen(*kind, said);
    }
}

/// Compared as bytes: a number that is none equals no other.
fn same<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = postcard::from_bytes::<T>(bytes) else { return };
    let written = postcard::to_stdvec(&message).expect("a message that was read can be written");
    let again: T = postcard::from_bytes(&written).expect("a message that was written can be read");
    assert_eq!(postcard::to_stdvec(&again).as_deref(), Ok(&written[..]));
}

/// What the supervisor makes of a packet.
fn packet(bytes: &[u8]) {
    let (ours, theirs) = Channel::pair().expect("a pair of sockets");
    if send(&theirs, bytes, SendFlags::NOSIGNAL).is_ok() {
        let heard = ours.receive::<FromWorker>(WORKER_BYTES);
        assert!(heard.is_err() || bytes.len() <= WORKER_BYTES + 1, "{} bytes were taken", bytes.len());
    }
}

/// The bits of the first byte: a native program, one that leaves others behind, a run that has begun.
fn listen(kind: u8, mut said: &[u8]) {
    let terms = Terms {
        run_time: Some(1000),
        exit_timeout: Some(1000),
        native: kind & 1 != 0,
        memory: true,
        abandon: kind & 2 != 0,
        listens: false,
    };
    let begun = Event::Prepared { native: terms.native, listens: false };
    let (mut state, _) = State::Preparing.step(begun, 0, &terms);
    if kind & 4 != 0 {
        state = state.step(Event::WallsRead(Vec::new()), 1, &terms).0;
    }
    while let Ok((message, rest)) = postcard::take_from_bytes::<FromWorker>(said) {
        let (next, actions) = state.step(Event::Said(message), NOW, &terms);
        actions.iter().for_each(judge);
        (state, said) = (next, rest);
    }
}

fn judge(action: &Action) {
    match action {
        Action::Send(ToWorker::Go) => panic!("a worker let itself begin"),
        Action::Report(denial) => {
            assert!(!denial.to_string().is_empty());
            assert!(denial.lines(&Grants::default()).is_some_and(|lines| !lines.is_empty()), "{denial}");
        }
        Action::Finish(End::Ran(verdict)) => {
            let words = verdict.in_words();
            assert!(words.is_some() || verdict.list_status() == i64::from(verdict.status()), "{verdict:?}");
        }
        _ => {}
    }
}
