//! Users who would have somebody with more rights do for them what they may not do: root's supervisor, another user's,
//! or a process on its way to become a job. Two users and root play in each test, and their numbers are nobody's; an
//! ordinary user cannot be several, and what he can try alone is tried in the files beside this folder.
//!
//! The rules are those of privilege, and each has its file here: what a job file names is opened as the job's user
//! (`opened`), places and links of others (`places`) and their mounts (`mounts`), what others ask for (`asked`), what is
//! kept for each user (`kept`), what a worker is started with and what a program gains (`started`), and who may take a
//! supervisor's place (`succeeded`). What a worker may say is told in `attempt::hearing` of the supervisor.

mod asked;
mod kept;
mod mounts;
mod opened;
mod places;
mod started;
mod succeeded;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;

use crate::harness::{Sandbox, is_root};

/// A user.
const ONE: u32 = 59_997;
/// Another one.
const OTHER: u32 = 59_998;
/// What only its owner is to see.
const SECRET: &str = "sesame";

/// Whether a test has to do without, since it cannot be several users; it says so.
fn is_alone() -> bool {
    if !is_root() {
        println!("skipped: only root can be several users");
    }
    !is_root()
}

/// What somebody has in a folder that everybody may enter, and keeps to himself.
struct Theirs {
    folder: String,
    _listener: UnixListener,
}

impl Theirs {
    /// A file, a folder, a program and a socket of a user in a sandbox.
    fn of(owner: u32, sandbox: &Sandbox) -> Self {
        sandbox.make_folder("");
        sandbox.make_folder("theirs");
        sandbox.make_folder("theirs/closed");
        sandbox.write("theirs/secret", SECRET);
        sandbox.write_program("theirs/program", "#!/bin/sh\n");
        let listener = UnixListener::bind(sandbox.path("theirs/socket")).expect("a socket");
        for (name, mode) in [("closed", 0o700), ("secret", 0o600), ("program", 0o700), ("socket", 0o600)] {
            let path = sandbox.path("theirs").join(name);
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            chown(&path, Some(owner), Some(owner)).expect("an owner");
        }
        Self { folder: sandbox.name("theirs"), _listener: listener }
    }

    /// The path of one of these.
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// That nothing of it has changed.
    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(fs::read_to_string(self.path("secret")).expect("the file"), SECRET);
        assert_eq!(fs::read_dir(self.path("closed")).expect("the folder").count(), 0);
    }
}
