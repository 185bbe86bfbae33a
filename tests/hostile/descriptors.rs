//! Descriptors that clients of the control socket send along and nobody asked for (SCM_RIGHTS, unix(7)): they are not
//! taken, so that nobody can use up the supervisor's own. What clients say is tried in `daemon::hostile`.

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::harness::Supervisor;
use crate::harness::supervisor::receive;

/// Most descriptors of one message (SCM_MAX_FD, unix(7)).
const AT_ONCE: usize = 253;
/// Messages: with all their descriptors more than a process may have.
const MESSAGES: usize = 50;

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("a process of one's own").count()
}

#[test]
fn descriptors_that_nobody_asked_for_are_not_taken() {
    let supervisor = Supervisor::new().start();
    let mut client = supervisor.connect();
    let process = supervisor.process().pid();
    let null = fs::File::open("/dev/null").expect("/dev/null");
    let sent = [null.as_fd(); AT_ONCE];
    let mut before = None;
    for _ in 0..MESSAGES {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        assert!(along.push(SendAncillaryMessage::ScmRights(&sent)), "there is room for all of them");
        let call = IoSlice::new(b"{\"method\":\"io.wjob.List\"}\0");
        sendmsg(&client, &[call], &mut along, SendFlags::empty()).expect("a supervisor that reads");
        let answer = receive(&mut client).expect("an answer");
        assert!(answer["parameters"]["jobs"].is_array(), "{answer}");
        // What the logger and the client take is there with the first answer.
        before.get_or_insert_with(|| descriptors(process));
    }
    let (before, after) = (before.unwrap_or_default(), descriptors(process));
    assert!(after <= before + 5, "{before} descriptors became {after}");
}
