//! What all end-to-end tests share: where the built programs are, a folder of one's own, job files written from
//! values, and a run with its output gathered. It judges nothing: what a run should come to is each test's to say.
//!
//! No test waits by sleeping. A process is waited for through its pidfd and output through a condition, both with a
//! bound so generous that only a hang reaches it.

mod job;
mod refusing;
mod running;
pub mod supervisor;

use std::borrow::Cow;
use std::env;
use std::fmt::{Display, Write as _};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use plist::{Dictionary, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

pub use job::{Job, texts};
pub use refusing::{Refused, refusing};
pub use running::{Ran, Running, Stream, pidfd, wait_for_end};
pub use supervisor::Supervisor;

/// The environment variable that names a copied tree, in which an ordinary user runs the tests.
const TREE: &str = "WJOB_TEST_ROOT";
/// The label of every job here.
pub const LABEL: &str = "com.example.test";
/// A variable that every run of wjob has in its environment, and its value.
pub const VARIABLE: (&str, &str) = ("WJOB_TEST_VARIABLE", "from the caller");
/// When a run hangs. Nothing here takes a tenth of it, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The folder the tests' files lie in: the repository, or a copy of it.
pub fn root() -> PathBuf {
    env::var_os(TREE).map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// `wjob` or `wjobd`, as it was built.
pub fn binary(name: &str) -> PathBuf {
    match env::var_os(TREE) {
        Some(tree) => PathBuf::from(tree).join("target/debug").join(name),
        None => Path::new(env!("CARGO_BIN_EXE_wjob")).with_file_name(name),
    }
}

/// The folder that everything is built in.
pub fn target() -> PathBuf {
    let folder = binary("wjob").ancestors().nth(2).map(Path::to_path_buf);
    folder.expect("the folder of the built programs lies in it")
}

/// The folder of the built guests.
pub fn guest_folder() -> PathBuf {
    let profile = binary("wjob").parent().map(Path::to_path_buf).unwrap_or_default();
    profile.with_file_name("wasm32-wasip2").join("guest")
}

/// The path of a built guest.
pub fn guest(name: &str) -> String {
    let path = guest_folder().join(name).with_extension("wasm");
    assert!(path.is_file(), "{} is missing: `cargo xtask test` builds the guests first", path.display());
    text(&path)
}

/// Does something once more that a stop of the whole process has interrupted: a wait at a socket that has a bound is then
/// over without an answer, whoever handles signals (signal(7), "Interruption of system calls").
pub fn again<T>(mut wait: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The interpreter of clients and servers that no guest can be; as much of it as perl-base has.
#[track_caller]
pub fn perl() -> &'static str {
    const PERL: &str = "/usr/bin/perl";
    assert!(Path::new(PERL).exists(), "{PERL} is missing and these tests need it: install the package perl-base");
    PERL
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().expect("the tests' paths are UTF-8").to_owned()
}

/// A folder of a test's own, with a home in it.
pub struct Sandbox {
    folder: TempDir,
    caches: PathBuf,
    files: AtomicU32,
}

impl Sandbox {
    /// A new one. Compiled guests are shared with the other tests: compiling them is not what is tested.
    pub fn new() -> Self {
        Self::at(&env::temp_dir(), Some(shared_caches()))
    }

    /// One whose compiled programs are its own (root's are in /var/cache/wjob always).
    pub fn with_own_caches() -> Self {
        Self::at(&env::temp_dir(), None)
    }

    /// One below another folder than that for temporary files.
    pub fn below(folder: &str) -> Self {
        Self::at(Path::new(folder), Some(shared_caches()))
    }

    fn at(parent: &Path, caches: Option<PathBuf>) -> Self {
        let folder = tempfile::Builder::new().prefix("wjob-test-").tempdir_in(parent).expect("a temporary folder");
        let caches = caches.unwrap_or_else(|| folder.path().join("caches"));
        let sandbox = Self { folder, caches, files: AtomicU32::new(0) };
        sandbox.make_folder("home");
        sandbox.make_folder("tmp");
        sandbox
    }

    /// The path of something in it; `""` is the folder itself.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.path().to_path_buf() } else { self.folder.path().join(name) }
    }

    /// The same as text.
    pub fn name(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// Where wjob keeps compiled programs for this sandbox.
    pub fn compiled_programs(&self) -> PathBuf {
        if is_root() { "/var/cache/wjob/objects".into() } else { self.caches.join("cache/wjob/objects") }
    }

    /// Makes a folder, with mode 0755 whatever the umask.
    pub fn make_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder");
        set_mode(&path, 0o755);
        path
    }

    /// Writes a file, with mode 0644 whatever the umask.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        set_mode(&path, 0o644);
        text(&path)
    }

    /// Writes a file that may be executed. Another process does, which shares its descriptors with nobody: what a child of
    /// this one has open for writing, and be it for a moment, nobody can execute.
    pub fn write_program(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let text_of = self.write(&format!("{name}.text"), content);
        let path = self.name(name);
        Running::start(self.command_at(Path::new("/bin/cp"), &[&text_of, &path])).end().exits(0);
        fs::remove_file(text_of).expect("a file");
        set_mode(Path::new(&path), 0o755);
        path
    }

    /// Makes a symbolic link.
    pub fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).expect("a symbolic link");
    }

    /// Makes a FIFO.
    pub fn make_fifo(&self, name: &str) -> String {
        let path = self.path(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a FIFO");
        text(&path)
    }

    /// What a file holds now.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The mode of a file, without its kind.
    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")).mode() & 0o7777
    }

    /// Everything in a folder in one text: names, kinds, times of change and what files hold.
    pub fn snapshot(&self, name: &str) -> String {
        let mut all = String::new();
        describe(&self.path(name), &mut all);
        all
    }

    /// Writes the job as a property list and tells where.
    pub fn job_file(&self, job: &Job) -> String {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let mut text = Vec::new();
        Value::Dictionary(job.0.clone()).to_writer_xml(&mut text).expect("a property list");
        self.write(&format!("job-{number}.plist"), text)
    }

    /// `wjob` or `wjobd` with arguments, in this sandbox and in no other environment.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        self.command_at(&binary(program), arguments)
    }

    /// The same for a program anywhere.
    pub fn command_at(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CACHE_HOME", self.caches.join("cache"))
            .env("XDG_STATE_HOME", self.caches.join("state"))
            .env(VARIABLE.0, VARIABLE.1);
        command
    }

    /// A program anywhere as another user, for root to start; everybody may enter the sandbox from then on.
    pub fn command_as(&self, user: u32, program: &Path, arguments: &[&str]) -> Command {
        self.make_folder("");
        let program = text(program);
        let identity = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned(), program];
        let words: Vec<&str> = identity.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        self.command_at(Path::new("/usr/bin/setpriv"), &words)
    }

    /// A folder in which everybody finds `wjob` and `wjobd`: that of the built ones if everybody gets there, else one of
    /// this sandbox with copies of them.
    pub fn programs(&self) -> PathBuf {
        let built = binary("wjob");
        let is_open = |path: &Path| fs::metadata(path).is_ok_and(|status| status.mode() & 0o001 != 0);
        if built.ancestors().all(is_open) {
            return built.parent().map(Path::to_path_buf).expect("the folder of a file");
        }
        let copies = self.make_folder("bin");
        for name in ["wjob", "wjobd"].into_iter().filter(|name| !copies.join(name).exists()) {
            // Not copied here: what this process has open for writing, nobody can execute.
            let words = [text(&binary(name)), text(&copies.join(name))];
            Running::start(self.command_at(Path::new("/bin/cp"), &[&words[0], &words[1]])).end().exits(0);
        }
        copies
    }

    /// Runs `wjob` with these arguments to its end.
    pub fn wjob(&self, arguments: &[&str]) -> Ran {
        Running::start(self.command("wjob", arguments)).end()
    }

    /// Runs a job from a file.
    pub fn run(&self, job: &Job) -> Ran {
        self.run_with(&[], job, &[])
    }

    /// Runs a job from a file, with options of `wjob run` and further arguments of the job.
    pub fn run_with(&self, options: &[&str], job: &Job, further: &[&str]) -> Ran {
        self.start(options, job, further).end()
    }

    /// The same, without waiting for the end.
    pub fn start(&self, options: &[&str], job: &Job, further: &[&str]) -> Running {
        let file = self.job_file(job);
        let arguments = [&["run"][..], options, &[file.as_str()], further].concat();
        Running::start(self.command("wjob", &arguments))
    }
}

/// Where the tests keep compiled guests: below the folder that is this run's, never in a person's own cache.
fn shared_caches() -> PathBuf {
    let folder = match env::var_os(TREE) {
        Some(tree) => PathBuf::from(tree).join("home"),
        None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    };
    folder.join(format!("caches-of-{}", rustix::process::geteuid().as_raw()))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

fn describe(path: &Path, all: &mut String) {
    let status = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let held = if status.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
    let _ = writeln!(
        all,
        "{} mode {:o} links {} changed {}.{:09} holds {:?}",
        path.display(),
        status.mode(),
        status.nlink(),
        status.mtime(),
        status.mtime_nsec(),
        String::from_utf8_lossy(&held)
    );
    if status.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| describe(entry, all));
    }
}
