//! Sockets without a place of their own (SecureSocketWithKey): the job alone is told where, only its user gets there, and
//! everything goes with the job.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use plist::Dictionary;
use serde_json::json;

use super::users::number;
use crate::harness::{Job, Supervisor, is_root};

/// The variable that tells the path.
const KEY: &str = "WJOB_TEST_SOCKET_PATH";

/// The job with such a socket, each of whose connections is its input and output.
pub fn private(job: Job) -> Job {
    let entry = Dictionary::from_iter([("SecureSocketWithKey", KEY)]);
    job.with_in("Sockets", "agent", entry).with_in("inetdCompatibility", "Wait", false)
}

/// Where the job's socket is, which only the domain's owner and root are told.
#[track_caller]
pub fn path(supervisor: &Supervisor, label: &str) -> String {
    let detail = supervisor.call("Print", json!({ "label": label })).expect("the job");
    let pairs = detail["properties"].as_array().expect("properties").clone();
    let pair = pairs.iter().find(|pair| pair["name"] == "Sockets.agent");
    let url = pair.and_then(|pair| pair["value"].as_str()).unwrap_or_else(|| panic!("no socket in {detail}"));
    url.strip_prefix("unix://").expect("a path").to_owned()
}

/// What is answered before the server closes.
fn answer(path: &str) -> String {
    let mut answer = String::new();
    let mut stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The folders of such sockets.
fn folders(supervisor: &Supervisor) -> Vec<PathBuf> {
    let entries = fs::read_dir(supervisor.sandbox.path("run")).expect("the supervisor's folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.display().to_string().contains("/wjob-private-")).collect()
}

#[test]
fn the_job_alone_is_told_where_its_socket_is_and_only_its_user_gets_there() {
    let native = private(Job::shell(&format!("echo \"<${KEY}>\"")));
    let guest = private(Job::guest("probe-environment", &[KEY]));
    let mut supervisor = Supervisor::new().with("native", native).with("guest", guest).start();
    let user = if is_root() { number("/etc/passwd", "daemon", 2) } else { rustix::process::geteuid().as_raw() };
    let paths = ["native", "guest"].map(|label| path(&supervisor, label));
    assert_ne!(paths[0], paths[1]);
    for path in &paths {
        let told = answer(path);
        assert!(told.contains(path.as_str()), "{path}: {told}");
        for (file, mode) in [(Path::new(path), 0o600), (Path::new(path).parent().expect("a folder"), 0o700)] {
            let status = fs::symlink_metadata(file).expect("a file");
            assert_eq!((status.uid(), status.mode() & 0o777), (user, mode), "{}", file.display());
        }
    }
    supervisor.call("Reload", json!({ "label": "native" })).expect("it is reloaded");
    assert_eq!(path(&supervisor, "native"), paths[0], "whoever knows it finds the job there");
    supervisor.call("Bootout", json!({ "label": "native", "wait": true })).expect("it is taken out");
    assert_eq!(folders(&supervisor), [Path::new(&paths[1]).parent().expect("a folder")]);
    supervisor.stop().exits(0);
    assert_eq!(folders(&supervisor), Vec::<PathBuf>::new());
}

/// The job has not run: one that had would still be there for a moment, and answered.
#[test]
fn what_a_killed_supervisor_has_left_is_swept_away() {
    let mut supervisor = Supervisor::new().with("a", private(Job::shell("true"))).start();
    let before = path(&supervisor, "a");
    supervisor.kill();
    assert_eq!(folders(&supervisor).len(), 1);
    supervisor.start_again();
    let now = path(&supervisor, "a");
    assert_ne!(now, before);
    assert_eq!(folders(&supervisor), [Path::new(&now).parent().expect("a folder")]);
}

#[test]
fn in_the_foreground_it_is_told_and_goes_too() {
    let sandbox = crate::harness::Sandbox::new();
    let job = Job::shell(&format!("printf %s \"${KEY}\""));
    let entry = Dictionary::from_iter([("SecureSocketWithKey", KEY)]);
    let ran = sandbox.run(&job.with_in("Sockets", "agent", entry));
    ran.exits(0);
    let path = ran.output().into_owned();
    assert!(path.starts_with(&sandbox.name("tmp/wjob-private-")) && path.ends_with("/socket"), "{path}");
    assert_eq!(fs::read_dir(sandbox.path("tmp")).expect("a folder").count(), 0, "nothing is left");
}
