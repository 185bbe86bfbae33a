//! A process that hands itself over to another program, which is executed in its place: which descriptors stay open, a
//! sealed file that tells what they are, and the call. What is told is the two programs' business.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::channel::Channel;
use crate::memory;

/// Most that is told, bytes.
const MOST_BYTES: usize = 1 << 30;
/// Below are standard input, output and error.
const FIRST: RawFd = 3;
/// Where a process is handed a channel.
const CHANNEL: RawFd = 3;

/// Why nothing is handed over, or taken.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// A descriptor is not there, or not from the program before.
    #[error("descriptor {0} was not handed over")]
    Missing(RawFd),
    /// Somebody could still change what is told.
    #[error("what is handed over is not sealed")]
    Unsealed,
    /// It was told to another process.
    #[error("it is for process {meant}, and this is process {own}")]
    Foreign {
        /// For whom it is.
        meant: u32,
        /// This process.
        own: u32,
    },
    /// It was told in another form.
    #[error("it has form {found}, and this program knows form {known}")]
    Form {
        /// Its form.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// It makes no sense, or cannot be told.
    #[error("it cannot be handed over: {0}")]
    Malformed(String),
    /// The system refused.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<rustix::io::Errno> for HandoverError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<postcard::Error> for HandoverError {
    fn from(error: postcard::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Writes down what the next program of this process is to know, in a file that nobody can change.
///
/// # Errors
/// When it cannot be written, or is longer than would be read.
pub fn pack<T: Serialize>(form: u32, content: &T) -> Result<OwnedFd, HandoverError> {
    Ok(memory::sealed("wjob-handover", &packed(form, content, MOST_BYTES)?)?)
}

fn packed<T: Serialize>(form: u32, content: &T, most: usize) -> Result<Vec<u8>, HandoverError> {
    let head = [form.to_le_bytes(), std::process::id().to_le_bytes()].concat();
    let bytes = postcard::to_extend(content, head)?;
    match bytes.len() <= most {
        true => Ok(bytes),
        false => Err(HandoverError::Malformed(format!("it has {} bytes, of at most {most}", bytes.len()))),
    }
}

/// Reads what the program before this one has written down.
///
/// # Errors
/// When it could have been changed, is for another process, has another form or makes no sense.
pub fn unpack<T: DeserializeOwned>(form: u32, file: OwnedFd) -> Result<T, HandoverError> {
    unpacked(form, file, std::process::id())
}

/// Reads what the process that made this one has written down for its own next program.
///
/// # Errors
/// As [`unpack`].
pub fn examine<T: DeserializeOwned>(form: u32, file: OwnedFd) -> Result<T, HandoverError> {
    unpacked(form, file, parent())
}

/// The process that made this one; 0, as which there is none, if that is out of sight.
fn parent() -> u32 {
    rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get().unsigned_abs())
}

fn unpacked<T: DeserializeOwned>(form: u32, file: OwnedFd, process: u32) -> Result<T, HandoverError> {
    if !memory::is_sealed(&file) {
        return Err(HandoverError::Unsealed);
    }
    let bytes = memory::read(file, MOST_BYTES)?.ok_or_else(|| HandoverError::Malformed("it is too long".into()))?;
    told_to(process, form, &bytes)
}

/// Reads what was written down, wherever it came from: it is not known that nobody could have changed it.
///
/// # Errors
/// When it is for another process, has another form or makes no sense.
pub fn told<T: DeserializeOwned>(form: u32, bytes: &[u8]) -> Result<T, HandoverError> {
    told_to(std::process::id(), form, bytes)
}

fn told_to<T: DeserializeOwned>(own: u32, form: u32, bytes: &[u8]) -> Result<T, HandoverError> {
    let (found, bytes) = number(bytes)?;
    let (meant, bytes) = number(bytes)?;
    match (found == form, meant == own) {
        (false, _) => Err(HandoverError::Form { found, known: form }),
        (_, false) => Err(HandoverError::Foreign { meant, own }),
        _ => whole(bytes),
    }
}

/// All of the bytes: what is left over was written in another form.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HandoverError> {
    match postcard::take_from_bytes(bytes)? {
        (content, []) => Ok(content),
        (_, rest) => Err(HandoverError::Malformed(format!("{} bytes of it say nothing", rest.len()))),
    }
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), HandoverError> {
    let (number, rest) =
        bytes.split_first_chunk::<4>().ok_or_else(|| HandoverError::Malformed("it is cut off".into()))?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// Descriptors that are to stay open.
#[derive(Debug, Default)]
pub struct Kept(Vec<RawFd>);

impl Kept {
    /// Keeps one; the number by which the next program takes it. It must stay open until then.
    pub fn keep(&mut self, descriptor: impl AsFd) -> RawFd {
        let number = descriptor.as_fd().as_raw_fd();
        self.0.push(number);
        number
    }

    /// Their numbers.
    pub fn numbers(&self) -> &[RawFd] {
        &self.0
    }

    fn close_on_exec(&self, close: bool) {
        let flags = if close { libc::FD_CLOEXEC } else { 0 };
        for number in &self.0 {
            // SAFETY: sets a flag of a number that is open, and does no more than fail if it is not.
            unsafe { libc::fcntl(*number, libc::F_SETFD, flags) };
        }
    }
}

/// Executes a file in the place of this program; nothing but the kept descriptors and the first three stays open. It
/// comes back only with the reason why it could not.
pub fn execute(program: BorrowedFd<'_>, arguments: &[CString], environment: &[CString], kept: &Kept) -> io::Error {
    // Workers are told by the end of the thread that made them, and every other one ends here.
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => {}
        Ok(threads) => return io::Error::other(format!("it has {threads} threads, and only one would go on")),
        Err(error) => return error,
    }
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    kept.close_on_exec(false);
    // SAFETY: both lists end with a null and point to strings that outlive the call; if it comes back, nothing of this
    // process has changed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    let error = io::Error::last_os_error();
    kept.close_on_exec(true);
    error
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Descriptors that came with this program.
#[derive(Debug)]
pub struct Inherited(BTreeMap<RawFd, OwnedFd>);

impl Inherited {
    /// Takes all of these. Those that are not asked for afterwards are closed.
    ///
    /// # Errors
    /// When one of them did not come with this program.
    pub fn take_in(numbers: &[RawFd]) -> Result<Self, HandoverError> {
        let taken = numbers.iter().map(|number| Ok((*number, inherited(*number)?)));
        taken.collect::<Result<_, HandoverError>>().map(Self)
    }

    /// One of them, which is not there a second time.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn take(&mut self, number: RawFd) -> Result<OwnedFd, HandoverError> {
        self.0.remove(&number).ok_or(HandoverError::Missing(number))
    }
}

/// A descriptor that was open when this program began; from now on it is closed when another one is executed.
///
/// # Errors
/// When there is none, or it was opened since.
pub fn inherited(number: RawFd) -> Result<OwnedFd, HandoverError> {
    // SAFETY: reads the flags of a number, which need not be open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if number < FIRST || flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(HandoverError::Missing(number));
    }
    // SAFETY: it is open, and nothing of this program has it: whatever is opened here is close-on-exec from the first, and
    // so is what was taken here once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

/// The channel to whoever started this program, if there is one.
pub fn channel() -> Option<Channel> {
    let descriptor = inherited(CHANNEL).ok()?;
    (socket_type(&descriptor) == Ok(SocketType::SEQPACKET)).then(|| Channel::inherited(descriptor))
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn what_was_packed_is_read_by_the_same_process_in_the_same_form() {
        let content = (7u64, vec!["text".to_owned()], Some(-1i32));
        let file = pack(3, &content).unwrap();
        let copy = || file.try_clone().unwrap();
        assert_eq!(unpack::<(u64, Vec<String>, Option<i32>)>(3, copy()).unwrap(), content);
        assert!(matches!(unpack::<()>(4, copy()), Err(HandoverError::Form { found: 3, known: 4 })));
        let other = [3u32.to_le_bytes(), (std::process::id() ^ 1).to_le_bytes()].concat();
        let other = memory::sealed("wjob-test", &other).unwrap();
        assert!(matches!(unpack::<()>(3, other), Err(HandoverError::Foreign { .. })));
        let short = memory::sealed("wjob-test", &[3, 0, 0]).unwrap();
        assert!(matches!(unpack::<()>(3, short), Err(HandoverError::Malformed(_))));
        let open = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(unpack::<()>(3, open.into()), Err(HandoverError::Unsealed)));
    }

    #[test]
    fn what_the_parent_has_packed_is_examined_and_nothing_else_is() {
        let content = (7u64, "text".to_owned());
        let own = pack(3, &content).unwrap();
        assert!(matches!(examine::<(u64, String)>(3, own), Err(HandoverError::Foreign { .. })));
        let mut bytes = packed(3, &content, MOST_BYTES).unwrap();
        bytes[4..8].copy_from_slice(&parent().to_le_bytes());
        let file = || memory::sealed("wjob-test", &bytes).unwrap();
        assert_eq!(examine::<(u64, String)>(3, file()).unwrap(), content);
        assert!(matches!(examine::<(u64, String)>(2, file()), Err(HandoverError::Form { found: 3, known: 2 })));
        // Another build, whose form was not counted on, knows of more, or of less.
        assert!(matches!(examine::<(u64, String, String)>(3, file()), Err(HandoverError::Malformed(_))));
        assert!(matches!(examine::<u64>(3, file()), Err(HandoverError::Malformed(_))));
    }

    #[test]
    fn what_would_not_be_read_is_not_packed() {
        let text = "x".repeat(100);
        let length = packed(3, &text, MOST_BYTES).unwrap().len();
        assert_eq!(length, 4 + 4 + 1 + 100, "form, process, length and text");
        assert!(packed(3, &text, length).is_ok());
        let error = packed(3, &text, length - 1).unwrap_err().to_string();
        assert!(error.contains("109 bytes, of at most 108"), "{error}");
    }

    #[test]
    fn what_came_with_the_program_is_taken_once_and_nothing_else_is() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut kept = Kept::default();
        let number = kept.keep(&file);
        assert!(inherited(number).is_err(), "this program has it");
        kept.close_on_exec(false);
        assert_eq!(file.into_raw_fd(), number);
        let mut taken = Inherited::take_in(kept.numbers()).unwrap();
        assert!(matches!(inherited(number), Err(HandoverError::Missing(_))), "it is taken");
        assert!(taken.take(number + 1).is_err());
        assert_eq!(taken.take(number).unwrap().as_raw_fd(), number);
        assert!(taken.take(number).is_err());
        for other in [-1, 0, 1, 2, 1_000_000] {
            assert!(inherited(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_executed_changes_nothing() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut kept = Kept::default();
        let number = kept.keep(&file);
        // The threads of the tests alone would be a reason.
        let error = execute(file.as_fd(), &[c"x".into()], &[], &kept);
        assert!(error.raw_os_error().is_some() || error.to_string().contains("threads"), "{error}");
        assert!(inherited(number).is_err(), "it is close-on-exec as before");
    }
}
