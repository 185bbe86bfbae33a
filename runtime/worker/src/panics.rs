//! How a worker with an engine ends when its own program has a fault: by a status. Its abort is the allocator's alone,
//! which the kernel has refused memory; a supervisor that sees SIGABRT takes it for that (`wjob_model::run`).

use std::sync::Arc;

use wjob_model::message::{FromWorker, StartFailure};
use wjob_model::outcome::Outcome;
use wjob_model::status::Status;
use wjob_sandbox::channel::Channel;

/// Most characters of what is told of a panic: one message without a file has to hold them.
const MOST_WORDS: usize = 1_000;

/// From here on a panic in any thread ends the process, as in a program that does not unwind, but by a status; and the
/// supervisor is told of it, so that nobody takes it for a fault of the job.
pub(crate) fn end_by_a_status(channel: Arc<Channel>) {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        let words: String = panic.to_string().chars().take(MOST_WORDS).collect();
        // Of these it takes the one whose turn it is: the run's end if there is a run, and else that there is none. One
        // that is gone wants to know nothing.
        let _ = channel.offer(&FromWorker::Ended(Outcome::Trapped(format!("the worker: {words}"))));
        let _ = channel.offer(&FromWorker::Failed(StartFailure::own("the worker", words)));
        std::process::exit(Status::Internal.code().into())
    }));
}

#[cfg(test)]
mod tests {
    use std::io::stdin;
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the process that is to end.
    const ENDS: &str = "WJOB_TEST_PANICS";

    #[test]
    fn a_panic_ends_by_a_status_and_no_signal() {
        if std::env::var_os(ENDS).is_some() {
            let channel = Channel::inherited(stdin().as_fd().try_clone_to_owned().unwrap());
            end_by_a_status(Arc::new(channel));
            let panicked = std::thread::spawn(|| panic!("a fault")).join();
            unreachable!("it went on: {panicked:?}");
        }
        let own = std::env::current_exe().unwrap();
        let name = "panics::tests::a_panic_ends_by_a_status_and_no_signal";
        let (channel, end) = Channel::pair().unwrap();
        let mut child = Command::new(own);
        child.args(["--exact", name]).env(ENDS, "1").stdout(Stdio::null()).stderr(Stdio::null());
        child.stdin(end.as_fd().try_clone_to_owned().unwrap());
        assert_eq!(child.status().unwrap().code(), Some(Status::Internal.code().into()));
        // What was not said is missed then, and not waited for.
        drop((child, end));
        for beginning in ["Ended(Trapped(", "Failed("] {
            let told = channel.receive::<FromWorker>(1 << 16).unwrap();
            let told = told.map(|told| format!("{:?}", told)).unwrap_or_default();
            assert!(told.starts_with(beginning) && told.contains("a fault"), "{told}");
        }
    }
}
