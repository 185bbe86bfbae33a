//! Where sockets are: paths with their mode and owner and nothing beside them, ports that only root may have, places
//! that somebody else has, and that every place is free again.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::{getegid, geteuid};
use serde_json::json;
use wjob_model::status::Status;

use super::{KINDS, Place, answering, at, bootout, loopback, perl, serving};
use crate::daemon::users::status;
use crate::harness::{Job, Supervisor, is_root};

/// A Unix socket: its name, SockPathMode, SockPathOwner with SockPathGroup, and the mode it has then.
type Row = (&'static str, Option<u32>, Option<(u32, u32)>, u32);

const PATHS: &[Row] = &[
    ("plain", None, None, 0o600),
    // launchd has the mode in decimal.
    ("all", Some(438), None, 0o666),
    ("group", Some(432), None, 0o660),
    // Lists in use have the kind of the file in it too.
    ("kind", Some(49_663), None, 0o777),
    ("given", Some(384), Some((2, 3)), 0o600),
];

/// The numbers of an account, its own and its group's.
fn account(name: &str) -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").expect("accounts");
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("there is no account {name}"));
    let mut numbers = line.split(':').skip(2).map(|field| field.parse().expect("a number"));
    (numbers.next().expect("a user id"), numbers.next().expect("a group id"))
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_path_has_its_mode_and_owner_and_goes_with_the_job() {
    let supervisor = Supervisor::new();
    let folder = supervisor.sandbox.make_folder("sockets");
    let job = PATHS.iter().fold(answering("answered"), |job, (name, mode, owner, _)| {
        let mut entry = Place::named(&supervisor.sandbox, name).entry();
        let keys = [
            ("SockPathMode", *mode),
            ("SockPathOwner", owner.map(|(user, _)| user)),
            ("SockPathGroup", owner.map(|(_, group)| group)),
        ];
        for (key, value) in keys {
            if let Some(value) = value {
                entry.insert(key.into(), value.into());
            }
        }
        job.with_in("Sockets", name, entry)
    });
    let mut supervisor = supervisor.with("a", job).start();
    // The job's, as the harness writes it; only root gives anything away.
    let own = if is_root() { account("daemon") } else { (geteuid().as_raw(), getegid().as_raw()) };
    for (name, _, owner, expected) in PATHS {
        let found = fs::symlink_metadata(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.file_type().is_socket(), "{name}");
        assert_eq!(found.mode() & 0o7777, *expected, "{name}: {:o}", found.mode());
        assert_eq!((found.uid(), found.gid()), owner.filter(|_| is_root()).unwrap_or(own), "{name}");
    }
    let mut all: Vec<&str> = PATHS.iter().map(|(name, ..)| *name).collect();
    all.sort_unstable();
    assert_eq!(names(&folder), all, "nothing is beside them");
    bootout(&supervisor);
    assert_eq!(names(&folder), Vec::<String>::new(), "they go with the job");
    let file = supervisor.sandbox.name("jobs/a.plist");
    supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
    assert_eq!(names(&folder), all, "they are there again");
    supervisor.stop().exits(0);
    assert_eq!(names(&folder), Vec::<String>::new(), "they go with the supervisor");
}

/// A job whose first socket can be had and whose second, `web`, is here.
fn with_another(supervisor: &Supervisor, label: &str, place: &Place) -> (Job, Place) {
    let fine = Place::named(&supervisor.sandbox, &format!("{label}-fine"));
    let job = answering("answered").with_in("Sockets", "fine", fine.entry());
    (job.with_in("Sockets", "web", place.entry()), fine)
}

#[test]
fn a_place_that_somebody_has_refuses_the_whole_job_and_is_named() {
    let supervisor = Supervisor::new().start();
    let [path, port] = KINDS.map(|kind| kind(&supervisor.sandbox));
    for (label, place, why) in
        [("path", path, "another process answers there"), ("port", port, "another process has it")]
    {
        let other = place.bind().expect("a free place");
        let (job, fine) = with_another(&supervisor, label, &place);
        let file = supervisor.file(&format!("{label}.plist"), label, job);
        let ran = supervisor.wjob(&["bootstrap", &file]);
        ran.exits(Status::System.code().into()).complains(format!("{label} is not loaded"));
        ran.complains("socket web").complains(format!("{}: {why}", place.in_words()));
        supervisor.wjob(&["print", label]).exits(Status::NoSuchJob.code().into());
        assert!(!Path::new(&fine.in_words()).exists(), "{label}: of a job that is refused nothing is left");
        drop(other);
        supervisor.wjob(&["bootstrap", &file]).exits(0);
        assert_eq!(fine.ask("hello"), "answered hello\n");
        drop(place.connect());
    }
}

#[test]
fn at_the_start_a_job_without_its_port_keeps_no_other_from_being_loaded() {
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let other = place.bind().expect("a free place");
    let (job, fine) = with_another(&supervisor, "taken", &place);
    let good = Job::shell("exit 0").with("RunAtLoad", true);
    let supervisor = supervisor.with("good", good).with("taken", job).start();
    supervisor.logs(" good: ended: exit 0");
    let log = supervisor.log();
    let refused = log.lines().find(|line| line.contains("refused: ") && line.contains(&place.in_words()));
    assert!(refused.is_some_and(|line| line.contains("taken is not loaded")), "{log}");
    assert!(!Path::new(&fine.in_words()).exists(), "of a job that is refused nothing is left");
    drop(other);
    supervisor.wjob(&["reload"]).exits(0);
    assert_eq!(fine.ask("hello"), "answered hello\n");
}

#[test]
fn a_place_is_the_jobs_until_it_is_taken_out_and_free_at_once_then() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, answering("answered"));
        assert_eq!(place.ask("hello"), "answered hello\n");
        let error = place.bind().expect_err("a place that is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        bootout(&supervisor);
        place.bind().unwrap_or_else(|error| panic!("{place:?} is not free: {error}"));
    }
}

/// A supervisor that is killed takes nothing away, and its job may need a moment to end.
#[test]
fn the_place_of_a_killed_supervisor_is_taken_again() {
    for kind in KINDS {
        let (mut supervisor, place) = serving(kind, answering("answered"));
        assert_eq!(place.ask("before"), "answered before\n");
        supervisor.kill();
        supervisor.start_again();
        assert_eq!(place.ask("after"), "answered after\n");
    }
}

/// Answers with the numbers of its user, the real and the effective one.
const WHO: &str = r#"
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
while (accept my $client, $listener) {
    syswrite $client, "$< $>\n";
    close $client;
}
die "accept: $!";
"#;

#[test]
fn a_low_port_is_served_by_a_process_that_is_not_root() {
    if !is_root() {
        println!("skipped: only root's supervisor can give a job a port below 1024");
        return;
    }
    let address = loopback();
    let free = (7..1024).find_map(|port| TcpListener::bind((address, port)).ok()).expect("a free low port");
    let place = Place::Tcp(free.local_addr().expect("its address"));
    drop(free);
    let user = account("daemon").0;
    let supervisor = Supervisor::new().with("a", at(&place, perl(WHO).with("UserName", "daemon"))).start();
    assert_eq!(place.connect().rest(), format!("{user} {user}\n"));
    // As the host sees it, whatever the numbers mean inside.
    assert_eq!(status(&supervisor, "a", "Uid"), [user; 4]);
    assert_ne!(user, 0);
}
