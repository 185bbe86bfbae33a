//! A view that is put up later, by a process of its own: a worker whose right to mount is the machine's own must not have
//! it while it loads code. It makes this process when everything is opened, and gives the right up itself. Both are in one
//! mount namespace, where a change of the root is every process's whose root it was (pivot_root(2)).
//!
//! The process waits for one word, does the one thing that it was made for, and ends; it reads nothing else. Nobody of
//! its user may trace it, since it has more rights than they (ptrace(2)).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, Signal, WaitOptions};
use wjob_model::wall::{MountPlan, Wall, WallPlan};

use crate::grants::Opened;
use crate::{Doing, WallError, capabilities, mount};

/// The word.
const NOW: [u8; 1] = *b"!";
/// Between what was being done and why it failed.
const WHY: char = '\0';

/// A process that is going to put a view up.
#[derive(Debug)]
pub struct Mounter {
    process: Option<Pid>,
    stream: UnixStream,
}

impl Mounter {
    /// Makes one if the plan is such a worker's, and gives up every capability then. The caller has one thread, is in the
    /// namespaces of the plan, and `opened` is all that is to be shown.
    ///
    /// # Errors
    /// When there are no processes left, or a capability cannot be given up: the caller must end.
    pub fn for_view(plan: &WallPlan, opened: &[Opened]) -> Result<Option<Self>, WallError> {
        let user = rustix::process::geteuid().as_raw();
        let Some(view) = plan.mount.as_ref().filter(|_| plan.mounts_by_leave(user)) else {
            return Ok(None);
        };
        let mounter = Self::start(view, opened)?;
        capabilities::drop_all()?;
        Ok(Some(mounter))
    }

    fn start(view: &MountPlan, opened: &[Opened]) -> Result<Self, WallError> {
        const DOING: &str = "make the process that puts it up";
        let (stream, theirs) = UnixStream::pair().doing(Wall::Mount, DOING)?;
        // SAFETY: the caller has one thread, so the child may do anything its parent could; it ends without running what
        // its parent registered for its own end.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()).doing(Wall::Mount, DOING),
            0 => {
                drop(stream);
                let status = serve(theirs, view, opened);
                // SAFETY: ends this process at once.
                unsafe { libc::_exit(status) }
            }
            process => Ok(Self { process: Pid::from_raw(process), stream }),
        }
    }

    /// Has the view put up, and enters it.
    ///
    /// # Errors
    /// Names the path that could not be shown, or says that the process has ended before.
    pub fn put_up(mut self) -> Result<(), WallError> {
        const DOING: &str = "ask the process that puts it up";
        self.stream.write_all(&NOW).doing(Wall::Mount, DOING)?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).doing(Wall::Mount, DOING)?;
        let waited = rustix::io::retry_on_intr(|| rustix::process::waitpid(self.process, WaitOptions::empty()));
        let ended = waited.doing(Wall::Mount, DOING)?;
        match answer.split_once(WHY) {
            Some((doing, why)) => Err(WallError::new(Wall::Mount, doing, why)),
            None if ended.is_some_and(|(_, status)| status.exit_status() == Some(0)) => {
                // The folder it was in is not in the view, unless it was the root.
                rustix::process::chdir("/").doing(Wall::Mount, "chdir /")
            }
            None => Err(WallError::new(Wall::Mount, DOING, "it has ended before it was done")),
        }
    }
}

/// The process's part; its status.
fn serve(mut stream: UnixStream, view: &MountPlan, opened: &[Opened]) -> i32 {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let mut word = [0; NOW.len()];
    // Nobody is left who wants a view.
    if stream.read_exact(&mut word).is_err() {
        return 1;
    }
    match mount::put_up(view, opened, None) {
        Ok(()) => 0,
        Err(error) => {
            let _ = stream.write_all(format!("{}{WHY}{}", error.doing, error.why).as_bytes());
            1
        }
    }
}
