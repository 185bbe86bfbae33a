//! The side that is asked: a program that was executed only to say whether it could take over. It reads what it would be
//! handed, has a worker made from the `wjob` file that would be its own, and takes nothing up.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use wjob_model::handover::{FORM, Question, Version};
use wjob_sandbox::channel::Channel;
use wjob_sandbox::{handover, machine};

use super::state::State;
use crate::helper::wait;
use crate::resolve::{ask, understood};
use crate::spawn::Image;

/// How long a worker may take to answer; whoever asks has more patience.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest flaw, bytes.
const MOST_BYTES: usize = 4 << 10;

/// What this program says when it is asked whether it can take over; `flaw` is why it would not begin with its flags.
/// It tells whoever has started it, if that is a supervisor, and returns the same in words.
pub fn tell_version(build: &str, flaw: Option<String>) -> String {
    if let Some(channel) = handover::channel() {
        let flaw = flaw.or_else(|| tried(&channel, build).err()).map(bounded);
        // Nobody who is gone has to be told.
        let _ = channel.send(&Version { form: FORM, build: build.to_owned(), flaw }, &[]);
    }
    format!("wjobd {build}, which takes over form {FORM}\n")
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_BYTES));
    text
}

/// Tries what a successor does first, or why that cannot be done.
fn tried(channel: &Channel, build: &str) -> Result<(), String> {
    let asked = channel.receive_with_descriptors::<Question>(0).map_err(|error| error.to_string())?;
    let asked = asked.ok_or("nobody waits for an answer")?;
    let Ok([state, workers]) = <[OwnedFd; 2]>::try_from(asked.descriptors) else {
        return Err("it was not handed what it is to look at".into());
    };
    handover::examine::<State>(FORM, state).map_err(|error| format!("what it would be handed: {error}"))?;
    is_of_this_build(workers, build).map_err(|why| format!("the wjob file that belongs to it: {why}"))
}

/// A worker compares its build with that of the supervisor, and the logger is of the same file. One that is to look no
/// name up has nothing else to do.
fn is_of_this_build(workers: OwnedFd, build: &str) -> Result<(), String> {
    let image = Image::handed(workers, build)?;
    let errand = ask(&image, &machine::look(), &[], None)?;
    wait(errand.as_fd(), Instant::now() + PATIENCE).map_err(|silence| silence.to_string())?;
    understood(&[], errand.answer()).map(drop)
}
