//! Answers queries on the socket beside the supervisor's: who is let in, and to how many at a time. It reads the
//! database through connections of its own and is in nobody's way.

mod asks;
mod client;
mod history;
mod log;
mod slots;

use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use wjob_model::control::Failure;
use wjob_sandbox::peer::Peer;

use crate::desk::Desk;
pub(crate) use asks::Asks;
pub(crate) use slots::{Caller, Slots};

/// How long accepting pauses when the system has no descriptors or no memory left.
const PAUSE: Duration = Duration::from_millis(200);
/// Stack of a client's thread, bytes: what it holds is on the heap.
const STACK: usize = 512 << 10;

/// Accepts clients, in a thread of its own.
///
/// # Errors
/// When the system has no threads left.
pub(crate) fn start(listener: OwnedFd, desk: Arc<Desk>, asks: Arc<Asks>) -> std::io::Result<()> {
    let listener = UnixListener::from(listener);
    thread::Builder::new().name("queries".into()).spawn(move || accept_all(&listener, &desk, &asks))?;
    Ok(())
}

fn accept_all(listener: &UnixListener, desk: &Arc<Desk>, asks: &Arc<Asks>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, desk, asks),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(listener),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// The socket need not block: the supervisor has made it as it liked.
fn wait(listener: &UnixListener) {
    let mut waiting = [PollFd::new(listener, PollFlags::IN)];
    // Whatever it says, accepting says it too.
    let _ = poll(&mut waiting, None);
}

/// Gives a client a thread of its own, if there is a place for it.
fn admit(stream: UnixStream, desk: &Arc<Desk>, asks: &Arc<Asks>) {
    let Ok(peer) = Peer::of(&stream) else { return };
    let Some(slot) = desk.slots.take(Caller::of(peer.uid, desk.owner, None)) else {
        return turn_away(&stream, "too many clients ask for the log at once");
    };
    let (desk, asks) = (Arc::clone(desk), Arc::clone(asks));
    let serve = move || {
        match caller(peer, &desk, &asks) {
            Some(caller) => client::serve(stream, caller, &desk),
            None => turn_away(&stream, "the supervisor has not said whose process asks"),
        }
        drop(slot);
    };
    // Without a thread the client is dropped, and its place is free again.
    let _ = thread::Builder::new().name("query".into()).stack_size(STACK).spawn(serve);
}

/// Who asks, by the same rules as at the supervisor's own socket: a job's process has its grant, whatever its user, and
/// one that is gone has what a job without the grant has. `None` = the supervisor does not say.
fn caller(peer: Peer, desk: &Desk, asks: &Asks) -> Option<Caller> {
    let job = asks.job_of(peer.pid)?;
    // What was read of it was another's, if it is gone by now.
    let job = if peer.is_there() { job } else { Some(None) };
    Some(Caller::of(peer.uid, desk.owner, job))
}

fn turn_away(mut stream: &UnixStream, why: &str) {
    let failure = Failure::Failed { why: format!("{why}; try again later") };
    // It is not waited for: it gets the reply if it has room for one.
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write_all(&failure.reply());
    }
}

#[cfg(test)]
mod tests;
