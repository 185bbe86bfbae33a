//! How a worker with an engine ends when its own program has a fault: by a status. Its abort is the allocator's alone,
//! which the kernel has refused memory; a supervisor that sees SIGABRT takes it for that (`wjob_model::run`).

use wjob_model::status::Status;

/// From here on a panic in any thread ends the process, as in a program that does not unwind, but by a status.
pub(crate) fn end_by_a_status() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::exit(Status::Internal.code().into())
    }));
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the process that is to end.
    const ENDS: &str = "WJOB_TEST_PANICS";

    #[test]
    fn a_panic_ends_by_a_status_and_no_signal() {
        if std::env::var_os(ENDS).is_some() {
            end_by_a_status();
            let panicked = std::thread::spawn(|| panic!("a fault")).join();
            unreachable!("it went on: {panicked:?}");
        }
        let own = std::env::current_exe().unwrap();
        let name = "panics::tests::a_panic_ends_by_a_status_and_no_signal";
        let mut child = Command::new(own);
        child.args(["--exact", name]).env(ENDS, "1").stdout(Stdio::null()).stderr(Stdio::null());
        assert_eq!(child.status().unwrap().code(), Some(Status::Internal.code().into()));
    }
}
