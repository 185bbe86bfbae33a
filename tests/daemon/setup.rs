//! How `wjobd` begins and why it does not: flags and `daemon.json`, its folders, its socket. What it does on signals is
//! in `signals`.

use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Job, Ran, Running, Sandbox, Supervisor, again, text};

/// One that is not to begin, with further flags; it is waited for to its end.
fn begun(supervisor: &Supervisor, flags: &[&str]) -> Ran {
    let mut command = supervisor.command();
    command.args(flags);
    Running::start(command).end()
}

/// The same with a configuration file.
fn begun_with(supervisor: &Supervisor, configuration: &str, flags: &[&str]) -> Ran {
    let file = supervisor.sandbox.write("daemon.json", configuration);
    begun(supervisor, &[&["--config", file.as_str()][..], flags].concat())
}

fn change_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_bad_configuration_is_refused_with_its_place_and_what_to_do() {
    let supervisor = Supervisor::new();
    for (text, parts) in [
        ("", ["daemon.json: an empty file", "write {} for all defaults"]),
        ("{\"debug\": true,}", ["daemon.json:1:15: found a comma after the last member", "remove the comma"]),
        ("{\"debug\": true", ["daemon.json:1:15: found the end of the file", "close every quote"]),
        ("[\"debug\"]", ["daemon.json:1:1: found [\"debug\"]", "expected an object"]),
        ("{\"log-levle\": \"info\"}", ["no option is called log-levle", "did you mean log-level?"]),
        ("{\"tls\": true}", ["no option is called tls", "those that wjobd --help lists"]),
        ("{\"shutdown-timeout\": \"30s\"}", ["shutdown-timeout is \"30s\"", "a whole number of seconds"]),
        ("{\"history-runs\": 0}", ["history-runs is 0", "from 1 to 1000000"]),
        ("{\"log-level\": \"info\", \"debug\": true}", ["both set the log level", "remove one"]),
    ] {
        let ran = begun_with(&supervisor, text, &[]);
        ran.exits(78).says_only("").complains("wjobd: ");
        for part in parts {
            ran.complains(part);
        }
    }
    let missing = supervisor.sandbox.name("missing.json");
    begun(&supervisor, &["--config", &missing]).exits(78).complains(format!("{missing}: No such file"));
    assert!(!supervisor.sandbox.path("state").exists() && !supervisor.sandbox.path("run").exists());
}

/// What says where jobs come from is held to the rules of job files, and what is no file is not waited for.
#[test]
fn a_configuration_that_others_could_change_is_not_read() {
    let supervisor = Supervisor::new();
    let file = supervisor.sandbox.write("daemon.json", "{}");
    let fifo = supervisor.sandbox.make_fifo("fifo.json");
    let long = supervisor.sandbox.write("long.json", " ".repeat((1 << 20) + 1));
    change_mode(Path::new(&file), 0o666);
    for (path, expected, advice) in [
        (&file, "mode 666 lets everybody write; expected a file that only its owner may write to", "chmod go-w"),
        (&fifo, "found a FIFO; expected a regular file", "name a regular file"),
        (&long, "longer than 1048576 bytes; expected at most that", "leave out what is no option"),
    ] {
        let ran = begun(&supervisor, &["--config", path]);
        ran.exits(78).says_only("").complains(path.as_str()).complains(expected).complains(advice);
    }
    assert!(!supervisor.sandbox.path("state").exists());
}

#[test]
fn an_option_in_the_file_and_as_a_flag_is_refused_by_its_name() {
    let supervisor = Supervisor::new();
    for (option, value, flags) in [
        ("debug", "false", &["--debug"][..]),
        ("socket", "\"/run/other.sock\"", &[]),
        ("state-directory", "\"/var/lib/other\"", &[]),
        ("jobs", "[]", &[]),
        ("log-level", "\"info\"", &["--log-level", "info"]),
        ("shutdown-timeout", "5", &["--shutdown-timeout=5"]),
    ] {
        let ran = begun_with(&supervisor, &format!("{{\"{option}\": {value}}}"), flags);
        let expected = format!("wjobd: {option} is given both at {}:1:", supervisor.sandbox.name("daemon.json"));
        ran.exits(78).complains(expected).complains(format!("with --{option} on the command line"));
    }
}

#[test]
fn flags_are_answered_or_refused() {
    let sandbox = Sandbox::new();
    for (flags, status, output, complaint) in [
        (&["--help"][..], 0, "Usage: wjobd", ""),
        (&["--help"], 0, "--shutdown-timeout SECONDS", ""),
        (&["--version"], 0, concat!("wjobd ", env!("CARGO_PKG_VERSION")), ""),
        (&["--frobnicate"], 64, "", "wjobd: --frobnicate: no option is called frobnicate"),
        (&["--log-levle", "info"], 64, "", "did you mean --log-level?"),
        (&["--log-level"], 64, "", "--log-level: no value"),
        (&["--log-level", "loud"], 64, "", "expected one of debug, info, warn, error, fatal"),
        (&["job.plist"], 64, "", "job.plist: not a flag"),
        (&["--socket", "/a", "--socket", "/b"], 64, "", "socket for the second time"),
    ] {
        let ran = Running::start(sandbox.command("wjobd", flags)).end();
        ran.exits(status).says(output).complains(complaint);
    }
}

#[test]
fn a_worker_that_is_missing_is_refused() {
    let supervisor = Supervisor::new();
    let ran = begun(&supervisor, &["--worker", &supervisor.sandbox.name("nothing")]);
    ran.exits(78).complains("no worker: ").complains("name it by --worker");
}

#[test]
fn a_second_one_on_the_same_state_is_refused_and_told_who_is_first() {
    let mut first = Supervisor::new().start();
    let pid = first.process().pid();
    for flags in [["--history-runs", "5"], ["--log-level", "warn"]] {
        let expected = format!("{}: process {pid} serves this state directory", first.sandbox.name("state"));
        begun(&first, &flags).exits(78).complains(expected).complains("name another --state-directory");
    }
    assert_eq!(first.call("Supervisor", json!({})).expect("an answer")["pid"], pid);
    first.stop().exits(0);
    first.start_again();
    assert_ne!(first.process().pid(), pid);
}

#[test]
fn folders_that_others_could_use_are_refused() {
    let supervisor = Supervisor::new();
    for (folder, mode, expected) in [
        ("run", 0o777, "its folder is not this user's alone to change"),
        ("run", 0o775, "choose another --socket"),
        ("state", 0o755, "mode 755 lets others in, expected 700"),
    ] {
        let path = supervisor.sandbox.make_folder(folder);
        change_mode(&path, mode);
        begun(&supervisor, &[]).exits(78).complains(text(&path)).complains(expected);
        fs::remove_dir_all(path).expect("a folder");
    }
}

#[test]
fn a_place_of_the_socket_that_is_taken_is_left_alone() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("run");
    supervisor.sandbox.write("run/wjob.sock", "precious");
    begun(&supervisor, &[]).exits(78).complains(supervisor.socket()).complains("something else is there");
    assert_eq!(supervisor.sandbox.read("run/wjob.sock"), "precious");

    fs::remove_file(supervisor.socket()).expect("a file");
    let other = UnixListener::bind(supervisor.socket()).expect("a socket");
    begun(&supervisor, &[]).exits(78).complains(supervisor.socket()).complains("another process answers there");
    assert!(other.accept().is_ok(), "it was asked");
}

#[test]
fn a_socket_that_nobody_answers_is_replaced() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("run");
    for name in ["run/wjob.sock", "run/log.sock"] {
        drop(UnixListener::bind(supervisor.sandbox.path(name)).expect("a socket"));
    }
    let mut supervisor = supervisor.start();
    assert!(supervisor.call("List", json!({})).is_ok());
    supervisor.stop().exits(0);
    assert!(!supervisor.sandbox.path("run/wjob.sock").exists() && !supervisor.sandbox.path("run/log.sock").exists());
}

#[test]
fn one_that_was_killed_has_a_successor_at_once() {
    let mut supervisor = Supervisor::new().with("a", Job::shell("sleep 1000").with("RunAtLoad", true)).start();
    supervisor.logs("a: started: RunAtLoad");
    supervisor.kill();
    supervisor.start_again();
    supervisor.logs("a: started: RunAtLoad");
}

#[test]
fn debug_tells_more() {
    for (flags, level) in [(&["--debug"][..], "debug"), (&["--log-level", "debug"], "debug"), (&[], "info")] {
        let supervisor = Supervisor::new().with("a", Job::shell("exit 0"));
        let second = text(&supervisor.sandbox.make_folder("second"));
        supervisor.file("second/a.plist", "a", Job::shell("exit 0"));
        let supervisor = supervisor.flag(&["--jobs", &second]).flag(flags).start();
        assert_eq!(supervisor.call("Supervisor", json!({})).expect("an answer")["log_level"], level);
        assert_eq!(supervisor.log().contains(" debug a: "), level == "debug", "{}", supervisor.log());
    }
}

#[test]
fn the_service_manager_hears_of_every_turn() {
    let mut supervisor = Supervisor::new();
    let heard = UnixDatagram::bind(supervisor.sandbox.path("notify")).expect("a socket");
    heard.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
    let next = || {
        let mut bytes = [0; 200];
        let length = again(|| heard.recv(&mut bytes)).expect("a word to the service manager");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = supervisor.command();
    command.env("NOTIFY_SOCKET", supervisor.sandbox.path("notify"));
    supervisor.adopt(Running::start(command));
    assert!(next().lines().any(|line| line == "READY=1"));
    supervisor.process().signal(Signal::HUP);
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next().contains("READY=1"));
    supervisor.stop().exits(0);
    assert!(next().contains("STOPPING=1"));
}

/// Starts it as systemd does, with this on descriptor 3; the shell's number stays the supervisor's.
fn handed(supervisor: &Supervisor, descriptor: OwnedFd, variables: &str) -> Running {
    let script = format!("{variables} exec \"$@\" 3<&0 0</dev/null");
    let own = supervisor.command();
    let words = std::iter::once(own.get_program()).chain(own.get_args());
    let words: Vec<String> = words.map(|word| text(Path::new(word))).collect();
    let words: Vec<&str> = ["-c", script.as_str(), "sh"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let mut command = supervisor.sandbox.command_at(Path::new("/bin/sh"), &words);
    command.env("XDG_CONFIG_HOME", supervisor.sandbox.path("config"));
    command.stdin(descriptor).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start_as_it_is(command)
}

/// What is at a path; `None` = nothing.
fn inode(path: &str) -> Option<u64> {
    fs::symlink_metadata(path).map(|status| status.ino()).ok()
}

#[test]
fn a_socket_that_is_handed_in_is_served_and_stays() {
    let mut supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("run");
    let listener = UnixListener::bind(supervisor.socket()).expect("a socket");
    let before = inode(&supervisor.socket());
    let copy = listener.try_clone().expect("a descriptor");
    let process = handed(&supervisor, copy.into(), "LISTEN_PID=$$ LISTEN_FDS=1");
    supervisor.adopt(process);
    assert_eq!(supervisor.call("Supervisor", json!({})).expect("an answer")["pid"], supervisor.process().pid());
    supervisor.stop().exits(0);
    assert_eq!(inode(&supervisor.socket()), before, "whoever handed it in still listens");
}

#[test]
fn what_is_handed_in_must_be_one_listening_socket_and_for_this_process() {
    for (variables, expected) in [
        ("LISTEN_PID=$$ LISTEN_FDS=2", "2 sockets were handed in; expected one"),
        ("LISTEN_PID=$$ LISTEN_FDS=1", "is no listening Unix socket"),
    ] {
        let supervisor = Supervisor::new();
        let file = fs::File::open("/dev/null").expect("a file");
        handed(&supervisor, file.into(), variables).end().exits(78).complains(expected);
    }
    let mut supervisor = Supervisor::new();
    let file = fs::File::open("/dev/null").expect("a file");
    let process = handed(&supervisor, file.into(), "LISTEN_PID=1 LISTEN_FDS=1");
    supervisor.adopt(process);
    assert!(supervisor.call("List", json!({})).is_ok(), "it has bound its own");
}
