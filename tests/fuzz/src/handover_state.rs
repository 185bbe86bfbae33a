//! What one supervisor leaves for the program that takes its place. Any bytes are a state or an error; what is for
//! another process or has another form is no state; and a state is written and read again.

use serde::Serialize;
use wjob_model::handover::FORM;
use wjob_sandbox::handover::HandoverError;
use wjob_supervisor::read_state;

/// The bytes as they are, and behind the head that a state for this process has.
pub fn handover_state(bytes: &[u8]) {
    let _ = read_state(bytes);
    let own = std::process::id();
    if let Ok(state) = read_state(&behind(FORM, own, bytes)) {
        let once = written(&state);
        let again = read_state(&behind(FORM, own, &once)).expect("a state that was written can be read");
        // Some of it has no order.
        assert_eq!(written(&again).len(), once.len());
    }
    assert!(matches!(read_state(&behind(FORM + 1, own, bytes)), Err(HandoverError::Form { .. })));
    assert!(matches!(read_state(&behind(FORM, own ^ 1, bytes)), Err(HandoverError::Foreign { .. })));
}

/// Whether bytes are a state, all of them.
#[cfg(test)]
pub(crate) fn is_state(bytes: &[u8]) -> bool {
    let state = read_state(&behind(FORM, std::process::id(), bytes));
    state.is_ok_and(|state| written(&state) == bytes)
}

fn behind(form: u32, process: u32, bytes: &[u8]) -> Vec<u8> {
    [&form.to_le_bytes()[..], &process.to_le_bytes(), bytes].concat()
}

fn written(state: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(state).expect("a state that was read can be written")
}
