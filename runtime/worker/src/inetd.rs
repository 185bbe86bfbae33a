//! inetd's way with sockets: what came through one is standard input and output, and nothing else is handed over.

use std::os::fd::OwnedFd;

use wjob_model::message::{Run, StartFailure, Stdio};

/// The stdio of a run, and the sockets that it is handed besides: with `inetdCompatibility` and Wait the first socket is
/// stdin and stdout, where no path says otherwise. What it complains of goes where it went before: a client is not to
/// read that.
///
/// # Errors
/// When there is no socket.
pub(crate) fn stdio(
    run: &Run,
    stdio: [OwnedFd; 3],
    listeners: Vec<OwnedFd>,
) -> Result<([OwnedFd; 3], Vec<OwnedFd>), StartFailure> {
    if run.inetd_wait.is_none() {
        return Ok((stdio, listeners));
    }
    let [stdin, stdout, stderr] = stdio;
    let Some(socket) = listeners.first() else {
        return Ok(([stdin, stdout, stderr], Vec::new()));
    };
    let one = || socket.try_clone().map_err(|error| StartFailure::own("a socket as stdio", error));
    let is_path = |at: usize| matches!(run.stdio[at], Stdio::Path(_));
    let stdin = if is_path(0) { stdin } else { one()? };
    let stdout = if is_path(1) { stdout } else { one()? };
    Ok(([stdin, stdout, stderr], Vec::new()))
}
