//! Places that somebody else can change while root's supervisor, or a job, is on its way there: links in the place of
//! files, folders and sockets, and what lies where a socket is to be. Root follows nobody's, and puts nothing there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use plist::Dictionary;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::{ONE, OTHER, SECRET, Theirs, is_alone};
use crate::daemon::output::history;
use crate::harness::{Job, Sandbox, Supervisor, texts};

/// How often a job is started while its places change.
const RUNS: usize = 20;

/// A folder that belongs to a user.
fn folder_of(user: u32, sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.make_folder("");
    let path = sandbox.make_folder(name);
    chown(&path, Some(user), Some(user)).expect("an owner");
    path
}

/// Somebody who swaps two names until he is told that it is over, also when a test fails.
struct Swapping(PathBuf, PathBuf, AtomicBool);

impl Swapping {
    fn of(one: PathBuf, other: PathBuf) -> Self {
        Self(one, other, AtomicBool::new(false))
    }

    fn during(self, act: impl FnOnce()) {
        thread::scope(|scope| {
            scope.spawn(|| {
                while !self.2.load(Ordering::Relaxed) {
                    renameat_with(CWD, &self.0, CWD, &self.1, RenameFlags::EXCHANGE).expect("two names");
                }
            });
            let _over = Over(&self.2);
            act();
        });
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// In a stranger's folder the job's output has a name that is a file's at one moment and at the next a link's, to what is
/// root's.
#[test]
fn root_writes_nothing_through_a_link_that_comes_in_the_place_of_a_file() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new();
    let theirs = Theirs::of(0, &supervisor.sandbox);
    let folder = folder_of(OTHER, &supervisor.sandbox, "anothers");
    supervisor.sandbox.write("anothers/out", "");
    fs::set_permissions(folder.join("out"), Permissions::from_mode(0o666)).expect("a mode");
    supervisor.sandbox.link(&theirs.path("secret"), "anothers/link");
    let out = supervisor.sandbox.name("anothers/out");
    let supervisor = supervisor.with("a", Job::shell("echo said").with("StandardOutPath", out)).start();
    Swapping::of(folder.join("out"), folder.join("link")).during(|| {
        for number in 1..=RUNS {
            supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it is started");
            history(&supervisor, "a", number);
        }
    });
    theirs.is_untouched();
}

/// As whoever loads it, root reads neither of them.
#[test]
fn root_loads_no_job_file_that_another_can_exchange() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new();
    let folder = folder_of(OTHER, &supervisor.sandbox, "anothers");
    let file = supervisor.file("anothers/a.plist", "a", Job::shell("exit 0"));
    let elsewhere = supervisor.file("elsewhere.plist", "a", Job::shell("exit 0"));
    supervisor.sandbox.link(&elsewhere, "anothers/b.plist");
    let supervisor = supervisor.start();
    Swapping::of(folder.join("a.plist"), folder.join("b.plist")).during(|| {
        for _ in 0..RUNS {
            let (error, why) = supervisor.call("Bootstrap", json!({ "path": file })).expect_err("a file to be refused");
            assert_eq!(error, "io.wjob.UnsafeFile", "{why}");
        }
    });
    assert_eq!(supervisor.call("List", json!({})).expect("a list")["jobs"], json!([]));
}

/// A job that would be started by what root alone can see, and one that shows when that would have been.
#[test]
fn root_looks_through_nobody_elses_link() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new();
    let theirs = Theirs::of(0, &supervisor.sandbox);
    let folder = folder_of(OTHER, &supervisor.sandbox, "anothers");
    fs::write(theirs.path("closed/entry"), "").expect("a file");
    let link = supervisor.sandbox.name("anothers/link");
    supervisor.sandbox.link(&theirs.path("closed"), "anothers/link");
    lchown(folder.join("link"), Some(OTHER), Some(OTHER)).expect("an owner");
    let queue =
        |path: &str| Job::shell("exit 0").with("QueueDirectories", texts([path])).with("ThrottleInterval", 3000);
    let changes = Job::shell("exit 0").with("WatchPaths", texts([format!("{link}/new").as_str()]));
    let state = Dictionary::from_iter([(format!("{link}/entry"), true)]);
    let state = Job::shell("exit 0").with_in("KeepAlive", "PathState", state).with("ThrottleInterval", 3000);
    let supervisor = supervisor.with("changes", changes).with("queue", queue(&link)).with("state", state);
    let supervisor = supervisor.with("shown", queue(&theirs.path("closed"))).start();
    supervisor.logs(" shown: ended: exit 0");
    fs::write(theirs.path("closed/new"), "").expect("a file");
    supervisor.call("Kickstart", json!({ "label": "shown", "kill": false })).expect("it is started");
    supervisor.logs_times(" shown: ended: exit 0", 2);
    for label in ["changes", "queue", "state"] {
        assert_eq!(supervisor.row(label)["runs"], 0, "{label}\n{}", supervisor.log());
    }
}

/// A job with a socket at a path.
fn with_socket(path: &str) -> Job {
    Job::shell("exit 0").with_in("Sockets", "a", Dictionary::from_iter([("SockPathName", path)]))
}

/// Why a job's socket is not bound; nothing is left of it.
#[track_caller]
fn refusal(supervisor: &Supervisor, path: &str) -> String {
    let file = supervisor.file("a.plist", "a", with_socket(path));
    let (error, why) = supervisor.call("Bootstrap", json!({ "path": file })).expect_err("a job that is refused");
    supervisor.wjob(&["print", "a"]).exits(113);
    format!("{error}: {why}")
}

#[test]
fn a_socket_is_bound_in_nobody_elses_folder() {
    if is_alone() {
        return;
    }
    for (supervisor, owner) in [(Supervisor::new(), OTHER), (Supervisor::of_user(ONE), OTHER)] {
        let folder = folder_of(owner, &supervisor.sandbox, "anothers");
        let supervisor = supervisor.start();
        let why = refusal(&supervisor, &supervisor.sandbox.name("anothers/socket"));
        assert!(why.contains(&format!("it belongs to user {owner}")), "{why}");
        // Where a link of his leads, it is his link.
        supervisor.sandbox.make_folder("fine");
        supervisor.sandbox.link(&supervisor.sandbox.name("fine"), "anothers/link");
        lchown(folder.join("link"), Some(owner), None).expect("an owner");
        let why = refusal(&supervisor, &supervisor.sandbox.name("anothers/link/socket"));
        assert!(why.contains(&format!("belongs to user {owner}")), "{why}");
        assert_eq!(fs::read_dir(supervisor.sandbox.path("fine")).expect("a folder").count(), 0);
    }
}

/// In a folder that is open to all and sticky, as /tmp is, anybody can be there first.
#[test]
fn what_another_has_put_in_the_place_of_a_socket_stays_and_is_not_used() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new();
    let theirs = Theirs::of(0, &supervisor.sandbox);
    let open = supervisor.sandbox.make_folder("open");
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).expect("a mode");
    supervisor.sandbox.link(&theirs.path("secret"), "open/link");
    supervisor.sandbox.link(&theirs.path("socket"), "open/link-to-a-socket");
    supervisor.sandbox.write("open/file", SECRET);
    supervisor.sandbox.make_fifo("open/fifo");
    let listener = UnixListener::bind(open.join("socket")).expect("a socket");
    listener.set_nonblocking(true).expect("a socket that waits for nobody");
    drop(UnixListener::bind(open.join("stale")).expect("a socket"));
    let supervisor = supervisor.start();
    for name in ["link", "link-to-a-socket", "file", "fifo", "socket", "stale"] {
        let path = open.join(name);
        lchown(&path, Some(OTHER), Some(OTHER)).expect("an owner");
        let before = fs::symlink_metadata(&path).expect("what is there");
        let why = refusal(&supervisor, &supervisor.sandbox.name(&format!("open/{name}")));
        let expected = match name {
            "socket" | "stale" => format!("a socket of user {OTHER} is there"),
            _ => "something else is there".to_owned(),
        };
        assert!(why.contains(&expected), "{name}: {why}");
        let after = fs::symlink_metadata(&path).expect("what was there");
        assert_eq!(inode(&before), inode(&after), "{name} was replaced");
    }
    let error = listener.accept().expect_err("root is nobody's client");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    theirs.is_untouched();
}

fn inode(status: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (status.dev(), status.ino())
}
