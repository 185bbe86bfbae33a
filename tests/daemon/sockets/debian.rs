//! Daemons from Debian's packages, which know nothing of wjob: one written for systemd's activation and one for inetd.
//! They work unchanged, behind the walls, with no more than they need. A machine that lacks one of them passes it over.

use std::path::Path;

use super::{Place, at};
use crate::daemon::life::standing;
use crate::harness::{Job, Running, Sandbox, Supervisor, is_root};

/// A program, if its package is installed.
fn installed(program: &'static str, package: &str) -> Option<&'static str> {
    let there = Path::new(program).exists().then_some(program);
    if there.is_none() {
        println!("skipped: {package} is not installed");
    }
    there
}

/// The bus learns from the kernel who its client is. An ordinary user claims to be that one. Root cannot: its bus is
/// daemon's, in whose user namespace root has no number, so nothing is claimed and the bus asks for it first.
fn introduction() -> String {
    if is_root() {
        return "\0AUTH EXTERNAL\r\nDATA\r\n".into();
    }
    let user = rustix::process::geteuid().as_raw().to_string();
    let claim: String = user.bytes().map(|digit| format!("{digit:02x}")).collect();
    format!("\0AUTH EXTERNAL {claim}\r\n")
}

/// Whether passwd(5) knows whoever runs this.
fn has_an_account() -> bool {
    let user = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().any(|line| line.split(':').nth(2) == Some(user.as_str()))
}

#[test]
fn a_message_bus_written_for_systemd_is_started_by_its_first_client() {
    let Some(program) = installed("/usr/bin/dbus-daemon", "dbus-daemon") else { return };
    if !has_an_account() {
        println!("skipped: dbus-daemon wants its user to have an account");
        return;
    }
    let supervisor = Supervisor::new();
    let place = Place::in_a_folder(&supervisor.sandbox);
    let words = ["--session", "--address=systemd:", "--nofork", "--nopidfile", "--print-address=1"];
    let supervisor = supervisor.with("bus", at(&place, Job::new(program, &words))).start();
    assert_eq!(standing(&supervisor, "bus"), "idle, 0 runs");
    for _ in 0..2 {
        let mut client = place.connect();
        client.say(introduction());
        let mut answer = client.line();
        if is_root() {
            assert_eq!(answer, "DATA\r\n");
            answer = client.line();
        }
        assert!(answer.starts_with("OK ") && answer.ends_with("\r\n"), "{answer:?}; there is\n{}", supervisor.log());
    }
    assert_eq!(standing(&supervisor, "bus"), "running, 1 runs");
}

/// Runs git, as somebody with no settings; what it says.
#[track_caller]
fn git(sandbox: &Sandbox, program: &str, words: &[&str]) -> String {
    let mut command = sandbox.command_at(Path::new(program), words);
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "nobody").env(format!("GIT_{who}_EMAIL"), "nobody@example.com");
    }
    Running::start(command).end().exits(0).output().trim().to_owned()
}

/// The tree without entries, which every repository has.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A repository that everybody may read, with one commit; which.
#[track_caller]
fn repository(sandbox: &Sandbox, program: &str) -> String {
    sandbox.make_folder("");
    sandbox.make_folder("repositories");
    git(sandbox, program, &["init", "--quiet", "--bare", "--shared=all", "repositories/repo"]);
    let run = |words: &[&str]| git(sandbox, program, &[&["-C", "repositories/repo"][..], words].concat());
    let commit = run(&["commit-tree", "-m", "first", EMPTY_TREE]);
    run(&["update-ref", "refs/heads/main", &commit]);
    commit
}

#[test]
fn a_server_of_repositories_written_for_inetd_serves_each_client() {
    let Some(program) = installed("/usr/bin/git", "git") else { return };
    let supervisor = Supervisor::new();
    let commit = repository(&supervisor.sandbox, program);
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let Place::Tcp(address) = &place else { panic!("an address was expected") };
    let words = ["daemon", "--inetd", "--export-all", "--log-destination=none", "--base-path=/srv", "/srv"];
    let job = Job::new(program, &words).path(&supervisor.sandbox.name("repositories"), "/srv", "ReadOnly");
    // Run by root, the repository is not the job's own, which git serves only when it is told to.
    let told = [("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")];
    let job = told
        .into_iter()
        .fold(job, |job, (name, value)| job.with_in("EnvironmentVariables", &format!("GIT_CONFIG_{name}"), value));
    let job = at(&place, job.with_in("inetdCompatibility", "Wait", false));
    let supervisor = supervisor.with("git", job).start();
    let url = format!("git://{address}/repo");
    for _ in 0..2 {
        let listed = git(&supervisor.sandbox, program, &["ls-remote", &url]);
        assert_eq!(listed, format!("{commit}\trefs/heads/main"), "there is\n{}", supervisor.log());
    }
    git(&supervisor.sandbox, program, &["clone", "--quiet", "--mirror", &url, "copy"]);
    let copied = git(&supervisor.sandbox, program, &["-C", "copy", "rev-parse", "refs/heads/main"]);
    assert_eq!(copied, commit);
}
