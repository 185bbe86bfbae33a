//! Answers queries on the socket beside the supervisor's: who is let in, and to how many at a time. It reads the
//! database through connections of its own and is in nobody's way.

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
use rustix::net::sockopt::socket_peercred;
use wjob_model::control::Failure;

use crate::desk::Desk;
pub(crate) use slots::{Caller, Slots};

/// How long accepting pauses when the system has no descriptors or no memory left.
const PAUSE: Duration = Duration::from_millis(200);
/// Stack of a client's thread, bytes: what it holds is on the heap.
const STACK: usize = 512 << 10;

/// Accepts clients, in a thread of its own.
///
/// # Errors
/// When the system has no threads left.
pub(crate) fn start(listener: OwnedFd, desk: Arc<Desk>) -> std::io::Result<()> {
    let listener = UnixListener::from(listener);
    thread::Builder::new().name("queries".into()).spawn(move || accept_all(&listener, &desk))?;
    Ok(())
}

fn accept_all(listener: &UnixListener, desk: &Arc<Desk>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, desk),
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
fn admit(stream: UnixStream, desk: &Arc<Desk>) {
    let Ok(peer) = socket_peercred(&stream) else { return };
    let caller = Caller::of(peer.uid.as_raw(), desk.owner);
    let Some(slot) = desk.slots.take(caller) else {
        return turn_away(&stream);
    };
    let desk = Arc::clone(desk);
    let serve = move || {
        client::serve(stream, caller, &desk);
        drop(slot);
    };
    // Without a thread the client is dropped, and its place is free again.
    let _ = thread::Builder::new().name("query".into()).stack_size(STACK).spawn(serve);
}

fn turn_away(mut stream: &UnixStream) {
    let failure = Failure::Failed { why: "too many clients ask for the log at once; try again later".into() };
    // It is not waited for: it gets the reply if it has room for one.
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write_all(&failure.reply());
    }
}

#[cfg(test)]
mod tests;
