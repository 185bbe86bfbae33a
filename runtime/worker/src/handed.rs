//! Sockets for a native program, as the programs written for systemd's activation expect them (sd_listen_fds(3)): the
//! descriptors from 3 on, their number, their names, and the process they are meant for, which only that process knows.
//! So the program is executed from here, with an environment that is completed in the last moment.

use std::ffi::CString;
use std::io::{Error, Result, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use wjob_model::message::HandedSocket;

/// The number of the first one (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;
/// The variable that names the process, with room for its number.
const PROCESS: &[u8] = b"LISTEN_PID=";
const DIGITS: usize = 11;

/// Gives sockets that a program is to have itself the file status flags with which they were made: whoever accepts or
/// reads waits, as under inetd(8) and systemd (`NonBlocking` of systemd.service(5)). The flags are the open socket's and
/// not the descriptor's (fcntl(2)), so that those of an earlier run, or of a component's worker, are there still.
///
/// It is done when the walls stand and the run is told to go: one that fails before leaves the flags to the one that
/// serves on. Who else has the sockets is not harmed. The supervisor never waits on one in a call. A former run that this
/// one relieves is told to end in the same moment: of the same file it wants of them what this one does, and of another
/// it waits until somebody comes or its ExitTimeOut is over. What a worker serves itself never waits, and nothing does
/// this to it while another of its kind takes over.
///
/// # Errors
/// When the system refuses.
pub(crate) fn wait_at(sockets: &[OwnedFd]) -> Result<()> {
    for socket in sockets {
        fcntl_setfl(socket, OFlags::empty())?;
    }
    Ok(())
}

/// What is executed, and with what.
pub(crate) struct Handed {
    /// Above the numbers that they are to have.
    listeners: Vec<OwnedFd>,
    /// Keep the numbers that are to be theirs from being anybody's: that of a pipe, which would be lost.
    _fillers: Vec<OwnedFd>,
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    process: Vec<u8>,
    /// The two lists as execve(2) wants them; the last entry of the environment is `process`.
    argv: Vec<usize>,
    envp: Vec<usize>,
}

impl Handed {
    /// Everything that the program is to have, made before there is its process: there nothing can be allocated.
    ///
    /// # Errors
    /// When descriptors have run out, or a text has a NUL.
    pub fn new(
        path: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        listeners: &[OwnedFd],
        sockets: &[HandedSocket],
    ) -> Result<Self> {
        // The colon is what is between two names (sd_listen_fds(3)).
        let names: Vec<String> = sockets.iter().map(|socket| socket.name.replace(':', "_")).collect();
        // One more is that of the account of its work.
        let beyond = FIRST + 1 + i32::try_from(listeners.len()).unwrap_or(i32::MAX - FIRST);
        let above = |descriptor: &OwnedFd| Ok(fcntl_dupfd_cloexec(descriptor, beyond)?);
        let listeners: Vec<OwnedFd> = listeners.iter().map(above).collect::<Result<_>>()?;
        let fillers = fillers(&listeners, beyond)?;
        let text = |text: &str| CString::new(text).map_err(|_| Error::from(std::io::ErrorKind::InvalidInput));
        let own = [("LISTEN_FDS", listeners.len().to_string()), ("LISTEN_FDNAMES", names.join(":"))];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let pairs = environment.iter().filter(|(name, _)| !name.starts_with("LISTEN_")).chain(&own);
        let environment: Vec<CString> =
            pairs.map(|(name, value)| text(&format!("{name}={value}"))).collect::<Result<_>>()?;
        let arguments: Vec<CString> = arguments.iter().map(|argument| text(argument)).collect::<Result<_>>()?;
        let mut process = PROCESS.to_vec();
        process.resize(PROCESS.len() + DIGITS, 0);
        let path = CString::new(path.as_os_str().as_bytes())?;
        let address = |text: &CString| text.as_ptr() as usize;
        let argv = arguments.iter().map(address).chain([0]).collect();
        let envp = environment.iter().map(address).chain([process.as_ptr() as usize, 0]).collect();
        Ok(Self { listeners, _fillers: fillers, path, arguments, environment, process, argv, envp })
    }

    /// Executes the program, in its process and as the last thing done there.
    pub fn execute(&mut self) -> Error {
        debug_assert!(self.argv.len() == self.arguments.len() + 1 && self.envp.len() == self.environment.len() + 2);
        for (at, listener) in (FIRST..).zip(&self.listeners) {
            // SAFETY: dup2 is a system call on two numbers; what had the second one is a filler, or the channel, which
            // ends with the exec anyway.
            if unsafe { libc::dup2(listener.as_raw_fd(), at) } < 0 {
                return Error::last_os_error();
            }
        }
        let mut digits = &mut self.process[PROCESS.len()..PROCESS.len() + DIGITS - 1];
        // It has room for every number there is, and formatting a number allocates nothing.
        let _ = write!(digits, "{}", rustix::process::getpid().as_raw_nonzero());
        // SAFETY: the lists end with a null pointer, and what they point to are texts of this value that end with NUL.
        unsafe {
            libc::execve(self.path.as_ptr(), self.argv.as_ptr().cast(), self.envp.as_ptr().cast());
        }
        Error::last_os_error()
    }
}

/// Descriptors at every number below `beyond` that is free.
fn fillers(listeners: &[OwnedFd], beyond: i32) -> Result<Vec<OwnedFd>> {
    let mut fillers = Vec::new();
    while let Some(one) = listeners.first() {
        let filler = fcntl_dupfd_cloexec(one, FIRST)?;
        if filler.as_raw_fd() >= beyond {
            break;
        }
        fillers.push(filler);
    }
    Ok(fillers)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixStream;

    use rustix::fs::fcntl_getfl;

    use super::*;

    #[test]
    fn what_one_run_has_set_is_not_the_next_ones() {
        let (connection, _other) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets: [OwnedFd; 3] = [connection.into(), listener.into(), datagrams.into()];
        let flags = || sockets.each_ref().map(|socket| fcntl_getfl(socket).unwrap());
        let made = flags();
        for socket in &sockets {
            fcntl_setfl(socket.try_clone().unwrap(), OFlags::NONBLOCK | OFlags::APPEND).unwrap();
        }
        assert!(flags().iter().all(|flags| flags.contains(OFlags::NONBLOCK | OFlags::APPEND)), "they are the socket's");
        wait_at(&sockets).unwrap();
        assert_eq!(flags(), made);
    }
}
