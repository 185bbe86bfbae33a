//! Sockets for a native program, as the programs written for systemd's activation expect them (sd_listen_fds(3)): the
//! descriptors from 3 on, their number, their names, and the process they are meant for, which only that process knows.
//! So the program is executed from here, with an environment that is completed in the last moment.

use std::ffi::CString;
use std::io::{Error, Result, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::fcntl_dupfd_cloexec;
use wjob_model::message::HandedSocket;

/// The number of the first one (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;
/// The variable that names the process, with room for its number.
const PROCESS: &[u8] = b"LISTEN_PID=";
const DIGITS: usize = 11;

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
