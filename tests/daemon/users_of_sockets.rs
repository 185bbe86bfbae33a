//! Who may connect to a job's Unix sockets (Grants.Users), with clients that are other users: those who are named, the
//! job's own user and root are served, whoever serves them, and nobody else is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plist::Dictionary;
use serde_json::json;
use wjob_model::status::Status;

use super::life::{standing, why};
use super::users::number;
use crate::harness::{Job, Ran, Running, Supervisor, is_root, perl};

/// A user and a group that nobody is.
const STRANGER: u32 = 54_321;
/// One that has no account and is named by number.
const NUMBERED: u32 = 12_345;

/// Says its second argument, or else hello, and prints what is answered, or why it was refused. Of an answer of HTTP it
/// prints what comes after the head.
pub const CLIENT: &str = r#"
use Socket;
$SIG{PIPE} = 'IGNORE';
socket my $socket, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
if (!connect $socket, sockaddr_un($ARGV[0])) {
    print "refused: $!\n";
    exit;
}
my $said = $ARGV[1] // "hello\n";
syswrite $socket, $said;
# Who asks by HTTP stays to hear the answer.
shutdown $socket, 1 unless $said =~ /^GET /;
local $/;
my $answer = <$socket> // "";
$answer =~ s/^HTTP.*?\r\n\r\n//s;
print $answer;
"#;

/// Accepts by itself, and answers each client with his line.
const ACCEPTS: &str = r#"
$SIG{PIPE} = 'IGNORE';
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
while (accept my $client, $listener) {
    my $line = <$client>;
    syswrite $client, $line if defined $line;
    close $client;
}
die "accept: $!";
"#;

fn inetd(job: Job) -> Job {
    job.with_in("inetdCompatibility", "Wait", false)
}

/// A way to serve: a label, the job, and what its client says to be told hello.
type Kind = (&'static str, Job, &'static str);

/// What most of them are told.
const HELLO: &str = "hello\n";
/// The same for a guest that does as it is told.
const ECHO: &str = "echo\nhello\n";
/// The same in HTTP.
const GET: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Those that are WebAssembly.
const GUESTS: [&str; 4] = ["guest", "handler", "http", "activation"];

/// A job of each way to serve; the first takes its clients in by itself.
fn kinds() -> [Kind; 6] {
    [
        ("accepts", Job::new(perl(), &["-we", ACCEPTS]), HELLO),
        ("native", inetd(Job::new("/bin/cat", &[])), HELLO),
        ("guest", inetd(Job::guest("echo", &[])), HELLO),
        ("handler", Job::guest("handles", &[]), ECHO),
        ("http", Job::guest("answers", &[]), GET),
        ("activation", Job::guest("accepts", &[]), ECHO),
    ]
}

/// Where the socket of a job is.
fn place(supervisor: &Supervisor, label: &str) -> String {
    supervisor.sandbox.name(&format!("sockets/{label}"))
}

/// A job with a socket in a folder that everybody may enter.
fn at(supervisor: &Supervisor, label: &str, job: Job) -> Job {
    supervisor.sandbox.make_folder("");
    supervisor.sandbox.make_folder("sockets");
    let entry = Dictionary::from_iter([("SockPathName", place(supervisor, label))]);
    job.with_in("Sockets", "listener", entry)
}

/// A client of these numbers: user, group and further groups.
pub fn client(path: &str, user: u32, group: u32, further: &[u32]) -> Ran {
    client_who_says(HELLO, path, user, group, further)
}

fn client_who_says(said: &str, path: &str, user: u32, group: u32, further: &[u32]) -> Ran {
    let groups = match further {
        [] => "--clear-groups".to_owned(),
        _ => format!("--groups={}", further.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    };
    let mut command = std::process::Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), groups, perl().to_owned()]);
    command.args(["-we", CLIENT, path, said]).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    Running::start(command).end()
}

/// A client who is who this test is.
fn own_client(said: &str, path: &str) -> Ran {
    let mut command = std::process::Command::new(perl());
    command.args(["-we", CLIENT, path, said]).current_dir("/");
    Running::start(command).end()
}

/// Users by user, group and further groups, and whether the jobs of these tests admit them.
fn everybody() -> Vec<(u32, u32, Vec<u32>, bool)> {
    let user = |name| number("/etc/passwd", name, 2);
    let mail = number("/etc/group", "mail", 2);
    vec![
        (0, 0, vec![], true),
        (user("daemon"), STRANGER, vec![], true),
        (user("bin"), STRANGER, vec![], true),
        (NUMBERED, STRANGER, vec![], true),
        (STRANGER, mail, vec![], true),
        (STRANGER, STRANGER, vec![STRANGER, mail], true),
        (STRANGER, STRANGER, vec![], false),
        (user("games"), number("/etc/passwd", "games", 3), vec![], false),
    ]
}

fn admitting(job: Job) -> Job {
    job.grant("Users", "bin").grant("Users", "@mail").grant("Users", NUMBERED)
}

#[test]
fn those_who_are_named_are_served_and_nobody_else() {
    if !is_root() {
        return println!("skipped: only root can be another user");
    }
    let supervisor = Supervisor::new();
    let supervisor = kinds().into_iter().fold(supervisor, |supervisor, (label, job, _)| {
        let job = at(&supervisor, label, admitting(job));
        supervisor.with(label, job)
    });
    let supervisor = supervisor.start();
    for (label, _, said) in kinds() {
        for (user, group, further, admitted) in everybody() {
            let ran = client_who_says(said, &place(&supervisor, label), user, group, &further);
            let expected = if admitted { "hello\n" } else { "refused: Permission denied\n" };
            assert_eq!(ran.output(), expected, "{label}: user {user}, group {group}, {further:?}");
        }
    }
    supervisor.wjob(&["print", "guest"]).exits(0).says("user bin").says("user @mail").says("user 12345");
    // Root's jobs need no user namespace for their view, in which all their clients would read as one.
    for (label, ..) in kinds() {
        supervisor.wjob(&["print", label]).exits(0).says(" mounts: ").says(" / ro");
    }
    assert!(!supervisor.log().contains("without the mount wall"), "{}", supervisor.log());
}

/// Whoever is to see his peers' users mounts by a right of root's, and opens nothing by it.
#[test]
fn what_it_names_is_opened_by_its_own_users_rights() {
    if !is_root() {
        return println!("skipped: only root can be another user");
    }
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("closed/inside");
    fs::set_permissions(supervisor.sandbox.path("closed"), Permissions::from_mode(0o700)).expect("a mode");
    let inside = supervisor.sandbox.name("closed/inside");
    let supervisor = kinds().into_iter().fold(supervisor, |supervisor, (label, job, _)| {
        let job = admitting(job).path(&inside, "/granted", "ReadOnly").with("RunAtLoad", true);
        let job = at(&supervisor, label, job);
        supervisor.with(label, job)
    });
    let supervisor = supervisor.start();
    for (label, ..) in kinds() {
        supervisor.logs(&format!(" {label}: failed: granted path {inside}: Permission denied"));
    }
}

/// Whoever the socket lets in, for its mode was changed under it, is still asked who he is where wjob accepts.
#[test]
fn who_is_accepted_is_looked_at_again() {
    if !is_root() {
        return println!("skipped: only root can be another user");
    }
    let accepted = || kinds().into_iter().filter(|(label, ..)| *label != "accepts");
    let supervisor = accepted().fold(Supervisor::new(), |supervisor, (label, job, _)| {
        let job = at(&supervisor, label, admitting(job));
        supervisor.with(label, job)
    });
    let supervisor = supervisor.start();
    for (label, _, said) in accepted() {
        let path = place(&supervisor, label);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("a mode");
        for (user, group, further, admitted) in everybody() {
            let ran = client_who_says(said, &path, user, group, &further);
            let expected = if admitted { "hello\n" } else { "" };
            assert_eq!(ran.output(), expected, "{label}: user {user}, group {group}, {further:?}");
        }
    }
}

#[test]
fn a_reload_lets_in_whom_the_new_list_names() {
    if !is_root() {
        return println!("skipped: only root can be another user");
    }
    let supervisor = Supervisor::new();
    let job = |name: &str| at(&supervisor, "a", inetd(Job::new("/bin/cat", &[])).grant("Users", name));
    let (first, second) = (job("bin"), job("games"));
    let supervisor = supervisor.with("a", first).start();
    let path = place(&supervisor, "a");
    let asks = |name: &str| client(&path, number("/etc/passwd", name, 2), STRANGER, &[]).output().into_owned();
    let refused = "refused: Permission denied\n";
    assert_eq!((asks("bin").as_str(), asks("games").as_str()), ("hello\n", refused));
    supervisor.job("a", second);
    supervisor.call("Reload", json!({ "label": "a" })).expect("it is reloaded");
    assert_eq!((asks("bin").as_str(), asks("games").as_str()), (refused, "hello\n"));
}

#[test]
fn a_name_that_nobody_has_is_told() {
    let supervisor = Supervisor::new().start();
    let ghost = |job: Job| job.grant("Users", "wjob-test-ghost");
    let words = "Grants.Users names wjob-test-ghost: there is no such user";
    let listens = at(&supervisor, "a", ghost(Job::new("/bin/cat", &[])));
    let file = supervisor.file("a.plist", "a", inetd(listens));
    supervisor
        .wjob(&["bootstrap", &file])
        .exits(Status::System.code().into())
        .complains("a is not loaded")
        .complains(words);
    assert!(!Path::new(&place(&supervisor, "a")).exists(), "of a job that is refused nothing is left");
    let file = supervisor.file("b.plist", "b", ghost(Job::shell("true")).with("RunAtLoad", true));
    supervisor.wjob(&["bootstrap", &file]).exits(0);
    supervisor.logs(" b: failed: ");
    assert_eq!(standing(&supervisor, "b"), "misconfigured, 1 runs");
    assert!(why(&supervisor, "b").contains(words), "{}", why(&supervisor, "b"));
    let ran = supervisor.sandbox.run(&ghost(Job::shell("true")));
    ran.exits(Status::Misconfigured.code().into()).complains(words);
}

/// Behind the mount wall of an ordinary user everybody else would read as nobody.
#[test]
fn a_users_own_guest_that_tells_users_apart_runs_without_the_mount_wall_and_says_so() {
    if is_root() {
        return println!("skipped: root's jobs need no user namespace");
    }
    let supervisor = Supervisor::new();
    let supervisor = kinds().into_iter().fold(supervisor, |supervisor, (label, job, _)| {
        let job = at(&supervisor, label, job.grant("Users", "root"));
        supervisor.with(label, job)
    });
    let supervisor = supervisor.start();
    for (label, _, said) in kinds() {
        assert_eq!(own_client(said, &place(&supervisor, label)).output(), "hello\n", "{label}");
        let words = format!(" {label}: without the mount wall: Users names who may connect");
        if GUESTS.contains(&label) {
            supervisor.logs(&words);
        } else {
            assert!(!supervisor.log().contains(&words), "{}", supervisor.log());
        }
    }
    let file = supervisor.sandbox.make_fifo("other");
    let both = Job::guest("echo", &[]).grant("Users", "root").grant("Connect", format!("unix://{file}"));
    let ran = supervisor.sandbox.run(&at(&supervisor, "both", inetd(both)));
    ran.exits(Status::Misconfigured.code().into()).complains("cannot tell those apart whom Users names");
}
