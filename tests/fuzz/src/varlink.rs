//! What clients of the control socket send: bytes in pieces of any size. The pieces make no difference to the messages
//! that are read, no more is held than one message may have, a call that is read is one that could have been written,
//! and whatever is wrong is told in a short message that is well-formed.

use serde_json::Value;
use wjob_model::control::{Bootout, Bootstrap, DESCRIPTION, INTERFACE, Kickstart, Kill, Method, OfJob, Reload};
use wjob_model::varlink::{Answer, BadMessage, Call, Frames, Interface, Nothing, Standard, call, introspect, parse};

/// The longest message here: short, so that it is met.
const LIMIT: usize = 256;
/// What the form of held bytes takes beside them: five numbers.
const FORM: usize = 50;
/// The longest answer that says what is wrong.
const LONGEST_FAULT: usize = 4096;

type Taken = Vec<Result<Vec<u8>, BadMessage>>;

/// Four bytes for the lengths of the pieces; the rest is what is sent.
pub fn varlink(bytes: &[u8]) {
    let Some((lengths, sent)) = bytes.split_first_chunk::<4>() else { return };
    let expected = messages(sent);
    assert_eq!(taken(&[sent]), expected);
    assert_eq!(taken(&pieces(sent, lengths)), expected, "in pieces of {lengths:?}");
    for message in expected.iter().flatten() {
        heard(message);
    }
    heard(sent);
}

/// The messages in what is sent, by another way: what stands between the NULs, up to the first that is too long.
fn messages(sent: &[u8]) -> Taken {
    let mut parts: Vec<&[u8]> = sent.split(|byte| *byte == 0).collect();
    let unfinished = parts.pop().filter(|part| part.len() > LIMIT);
    let mut messages = Taken::new();
    for part in parts.into_iter().chain(unfinished) {
        if part.len() > LIMIT {
            messages.push(Err(BadMessage::TooLong { limit: LIMIT }));
            break;
        }
        messages.push(Ok(part.to_vec()));
    }
    messages
}

fn pieces<'a>(mut sent: &'a [u8], lengths: &[u8; 4]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if sent.is_empty() {
            break;
        }
        let (piece, rest) = sent.split_at(sent.len().min(usize::from(*length) + 1));
        pieces.push(piece);
        sent = rest;
    }
    pieces
}

fn taken(pieces: &[&[u8]]) -> Taken {
    let mut frames = Frames::new(LIMIT);
    let mut taken = Taken::new();
    for piece in pieces {
        frames.push(piece);
        taken.extend(frames.by_ref());
        let held = postcard::to_stdvec(&frames).expect("what is held can be told").len();
        assert!(held <= LIMIT + FORM, "{held} bytes are held");
    }
    taken
}

fn heard(message: &[u8]) {
    let _ = Answer::parse(message);
    match parse(message) {
        Ok(call) => called(&call),
        Err(bad) => fault(&bad.reply()),
    }
}

fn called(asked: &Call) {
    let written = call(&asked.method, &asked.parameters, asked.more);
    let again = parse(whole(&written)).expect("a call that was read can be written and read");
    assert_eq!((&again.method, again.more), (&asked.method, asked.more));
    if is_exact(&asked.parameters) {
        assert_eq!(again.parameters, asked.parameters);
    }
    for wrong in faults(asked) {
        fault(&wrong.reply());
    }
    let interfaces = [Interface { name: INTERFACE, description: DESCRIPTION }];
    if let Some(answer) = introspect(asked, "wjobd", "1", &interfaces) {
        assert!(Answer::parse(whole(&answer)).is_ok());
    }
}

/// What is wrong with a call for each method that takes parameters.
fn faults(asked: &Call) -> Vec<Standard> {
    let taken = [
        asked.take::<Nothing>().err(),
        asked.take::<OfJob>().err(),
        asked.take::<Bootstrap>().err(),
        asked.take::<Bootout>().err(),
        asked.take::<Kickstart>().err(),
        asked.take::<Kill>().err(),
        asked.take::<Reload>().err(),
        Method::named(&asked.method).err(),
    ];
    taken.into_iter().flatten().collect()
}

/// The text of a message, which ends with its only NUL.
fn whole(message: &[u8]) -> &[u8] {
    let (end, text) = message.split_last().expect("a message");
    assert!(*end == 0 && !text.contains(&0), "{message:?}");
    text
}

fn fault(message: &[u8]) {
    let answer = Answer::parse(whole(message)).expect("a message that says what is wrong");
    assert!(answer.error.is_some_and(|error| error.starts_with("org.varlink.service.")), "{message:?}");
    assert!(message.len() <= LONGEST_FAULT, "{} bytes", message.len());
}

/// Whether a value has no number with a fraction: those are read to about their last digit.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
