//! The walls of jobs that run, of every kind that a supervisor starts: those of the plan stand and no others, what was
//! read back is what /proc says at this moment, the record keeps it, and `wjob info` has said that they can be put up.
//! What each wall holds is the sandbox's own tests' business, what becomes of a job without one `walls::lacking`'s.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use wjob_model::audit::{Standing, names_root, user_like};
use wjob_model::job::Job as Loaded;
use wjob_model::limit::RESOURCES;
use wjob_model::program::ProgramKind;
use wjob_model::spec::{Context, load};
use wjob_model::wall::{WallPlan, plan};
use wjob_sandbox::machine;

use super::keys::root_with_a_shell;
use super::life::open_folder;
use super::output::{captured, history};
use super::sockets::{Client, Place, answering, at};
use super::users::STAYS;
use crate::harness::{Job, Refused, Running, Sandbox, Supervisor, is_root, refusing};

/// Longest wait; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of proc_pid_status(5) that show walls.
const FIELDS: &[&str] =
    &["Uid", "Gid", "Groups", "NSpid", "Seccomp", "NoNewPrivs", "CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"];
/// Most that a record keeps of how a wall was found, bytes.
const KEPT: usize = 512;
/// Most mounts that are named.
const NAMED: usize = 64;
/// The job that names no user, and gets one of its own from root.
const NAMELESS: &str = "command-nameless";

/// What is said to a job that serves, and the first line of its answer.
type Talk = Option<(&'static str, &'static str)>;

const ECHO: Talk = Some(("said\n", "said\n"));
const HTTP: Talk = Some(("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 OK\r\n"));

/// A job of one kind.
struct Kind {
    label: &'static str,
    job: Job,
    native: bool,
    talk: Talk,
}

/// One of each kind that this user's supervisor can have.
fn kinds(sandbox: &Sandbox, data: &str, socket: &str) -> Vec<Kind> {
    let mut kinds = anybodys(data, socket);
    if is_root() {
        kinds.extend(roots(sandbox));
    }
    kinds
}

/// Those that only root's supervisor has: as root, with other users to be told apart, and in another root.
fn roots(sandbox: &Sandbox) -> Vec<Kind> {
    let as_root = |job: Job| job.with("UserName", "root");
    let admitting = |job: Job| job.with_in("inetdCompatibility", "Wait", false).grant("Users", "bin");
    let elsewhere = Job::shell(STAYS).with("RootDirectory", root_with_a_shell(sandbox));
    let kind = |label, job, native, talk| Kind { label, job, native, talk };
    vec![
        kind("root-command", as_root(Job::guest("probe-sleep", &["1000"])), false, None),
        kind("root-native", as_root(Job::shell(STAYS)), true, None),
        kind("users-guest", admitting(Job::guest("echo", &[])), false, ECHO),
        kind("users-native", admitting(Job::new("/bin/cat", &[])), true, ECHO),
        kind("another-root", elsewhere, true, None),
    ]
}

/// Those that every user's supervisor has.
fn anybodys(data: &str, socket: &str) -> Vec<Kind> {
    let unix = format!("unix://{socket}");
    let inetd = |job: Job| job.with_in("inetdCompatibility", "Wait", false);
    let guest = |label, name, talk| Kind { label, job: Job::guest(name, &[]), native: false, talk };
    let sleeps = |label| Kind { label, job: Job::guest("probe-sleep", &["1000"]), native: false, talk: None };
    let shell = |label| Kind { label, job: Job::shell(STAYS), native: true, talk: None };
    let with = |kind: Kind, change: &dyn Fn(Job) -> Job| Kind { job: change(kind.job), ..kind };
    vec![
        sleeps("command"),
        with(sleeps("command-granted"), &|job| {
            job.path(data, "/data", "ReadOnly").grant("Connect", "tcp://127.0.0.1:9")
        }),
        sleeps(NAMELESS),
        with(sleeps("command-unix"), &|job| job.grant("Connect", unix.as_str())),
        with(sleeps("command-udp"), &|job| job.grant("Connect", "udp://127.0.0.1:9")),
        with(sleeps("command-binds"), &|job| job.grant("Bind", "tcp://127.0.0.1:0")),
        with(guest("inetd", "echo", ECHO), &inetd),
        guest("handler", "handles", Some(("nonsense\n", "unknown\n"))),
        guest("http", "answers", HTTP),
        guest("http-0.2", "answers2", HTTP),
        guest("activation", "accepts", Some(("reason\n", "Sockets: a client is there\n"))),
        shell("native"),
        with(shell("native-granted"), &|job| job.path(data, "/data", "ReadWrite")),
        with(shell("native-connects"), &|job| job.grant("Connect", "tcp://127.0.0.1:9")),
        with(shell("native-unix"), &|job| job.grant("Connect", unix.as_str())),
        with(shell("native-udp"), &|job| job.grant("Connect", "udp://127.0.0.1:9")),
        with(shell("native-binds"), &|job| job.grant("Bind", "tcp://127.0.0.1:0")),
        Kind { label: "native-inetd", job: inetd(Job::new("/bin/cat", &[])), native: true, talk: ECHO },
        Kind {
            label: "native-accepts",
            job: answering("answered"),
            native: true,
            talk: Some(("said\n", "answered said\n")),
        },
    ]
}

impl Kind {
    /// The job as it is loaded: with limits, and with a socket or started at once.
    fn loaded(&self, supervisor: &Supervisor) -> Job {
        let job = self.job.clone().limit("Memory", 256 << 20).limit("Handles", 256).with("TimeOut", 3000);
        match self.talk {
            Some(_) => at(&Place::named(&supervisor.sandbox, self.label), job),
            None => job.with("RunAtLoad", true),
        }
    }

    /// Writes its file. Of root's jobs those that name no user are `daemon`'s, but for the one that is to have its own.
    fn write(&self, supervisor: &Supervisor) {
        let (name, job) = (format!("jobs/{}.plist", self.label), self.loaded(supervisor));
        match self.label {
            NAMELESS => supervisor.file_as_it_is(&name, NAMELESS, job),
            label => supervisor.file(&name, label, job),
        };
    }

    /// Waits until it runs what it was given to run; a client of its own keeps it at that.
    fn wake(&self, supervisor: &Supervisor) -> Option<Client> {
        let Some((question, answer)) = self.talk else {
            if self.native {
                captured(supervisor, self.label, "ready", 1);
            }
            return None;
        };
        let mut client = Place::named(&supervisor.sandbox, self.label).connect();
        client.say(question);
        assert_eq!(client.line(), answer, "{}", self.label);
        Some(client)
    }

    /// The job as wjob reads its file, and the plan of its walls on this machine.
    fn plan(&self, supervisor: &Supervisor) -> (Loaded, WallPlan, Vec<&'static str>) {
        let folder = supervisor.sandbox.name("jobs");
        let file = fs::read(supervisor.sandbox.path("jobs").join(format!("{}.plist", self.label))).expect("a job file");
        let uid = rustix::process::geteuid().as_raw();
        let loaded = load(&file, &Context { folder: &folder, home: &supervisor.sandbox.name("home"), uid });
        let job = loaded.job.unwrap_or_else(|| panic!("{}: {:?}", self.label, loaded.findings));
        let machine = machine::for_user(&machine::look(), user_like(names_root(&job), uid));
        let kind = if self.native { ProgramKind::Elf } else { ProgramKind::Component };
        let names = Standing::expected(&job, Some(kind), &machine).walls.iter().map(|wall| wall.row().name).collect();
        let plan = plan(&job, job.program.file.text(), !self.native, &machine, false).expect("a plan");
        (job, plan, names)
    }
}

/// What `wjob` answers with `--json`.
#[track_caller]
fn asked(supervisor: &Supervisor, words: &[&str]) -> Json {
    let ran = supervisor.wjob(words);
    let last = ran.exits(0).output().lines().last().map(str::to_owned).unwrap_or_default();
    serde_json::from_str(&last).unwrap_or_else(|error| panic!("{error}\n{}", ran.described()))
}

fn rows(found: &Json) -> Vec<Json> {
    found["walls"].as_array().cloned().unwrap_or_default()
}

fn word<'a>(row: &'a Json, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

/// What was read back of a job that runs. Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn read_back(supervisor: &Supervisor, label: &str) -> Vec<Json> {
    let start = Instant::now();
    loop {
        let walls = rows(&asked(supervisor, &["print", "--json", label]));
        if !walls.is_empty() {
            return walls;
        }
        assert!(start.elapsed() < PATIENCE, "{label} has no walls; there is\n{}", supervisor.log());
    }
}

/// A file of /proc/PID.
fn of_process(process: u64, name: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_else(|error| panic!("{process}/{name}: {error}"))
}

/// A line of proc_pid_status(5), its words with one space between two.
fn line(process: u64, field: &str) -> String {
    let status = of_process(process, "status");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("no {field} in\n{status}"));
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What each kind of evidence is now, for those that a process outside can look at.
fn agrees(row: &Json, program: u64, walled: u64) {
    let found = word(row, "found");
    let field = found.split_once(": ").filter(|(field, _)| FIELDS.contains(field));
    match (word(row, "wall"), field) {
        (_, Some((field, value))) => assert_eq!(value, line(walled, field), "{row}"),
        ("limits", _) => limits_agree(found, &of_process(walled, "limits")),
        ("mount", _) => assert_eq!(found, mounts(&of_process(program, "mountinfo")), "{row}"),
        // The rest was probed from inside.
        _ => {}
    }
}

fn limits_agree(found: &str, limits: &str) {
    for pair in found.split(", ") {
        let (key, value) = pair.split_once(": ").unwrap_or_else(|| panic!("{pair} in {found}"));
        let resource = RESOURCES.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key} is no resource"));
        let line = limits.lines().find_map(|line| line.strip_prefix(resource.proc_name));
        let hard = line.and_then(|line| line.split_whitespace().nth(1));
        assert_eq!(hard, Some(value), "{pair} in\n{limits}");
    }
}

/// proc_pid_mountinfo(5) as evidence: where each mount is, and with which options.
fn mounts(text: &str) -> String {
    let shown = |line: &str| line.split(' ').skip(4).take(2).collect::<Vec<_>>().join(" ");
    let mounts: Vec<String> = text.lines().map(shown).collect();
    let few: Vec<&str> = mounts.iter().take(NAMED).map(String::as_str).collect();
    format!("{} mounts: {}", mounts.len(), few.join("; "))
}

/// Holds what was read back against the plan, and against /proc.
#[track_caller]
fn judge(supervisor: &Supervisor, kind: &Kind, walls: &[Json]) {
    let label = kind.label;
    let (job, plan, names) = kind.plan(supervisor);
    assert!(walls.iter().all(|row| row["stands"] == true), "{label}: {walls:#?}");
    let found: BTreeSet<&str> = walls.iter().map(|row| word(row, "wall")).collect();
    let expected: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(found, expected, "{label}: {walls:#?}");
    assert_eq!(plan.missing, [], "{label}");
    let program = supervisor.row(label)["pid"].as_u64().unwrap_or_else(|| panic!("{label} has no process"));
    // The walls of a native program are around the first process of its table, and so around all that it starts.
    let walled = if kind.native { line(program, "PPid").parse().expect("a number") } else { program };
    walls.iter().for_each(|row| agrees(row, program, walled));
    for field in FIELDS.iter().filter(|field| **field != "NSpid") {
        assert_eq!(line(program, field), line(walled, field), "{label}: {field}");
    }
    let of = |wall: &str| -> String {
        walls.iter().filter(|row| word(row, "wall") == wall).map(|row| word(row, "found")).collect()
    };
    let limits = of("limits");
    for limit in &plan.limits {
        assert!(limits.contains(&format!("{}: ", limit.resource.row().key)), "{label}: {limits}");
    }
    let mounts = of("mount");
    for grant in &job.grants.paths {
        assert!(mounts.contains(&format!(" {} ", grant.guest)), "{label}: {mounts}");
    }
}

/// What the record keeps is what was printed, as far as there is room for it.
#[track_caller]
fn recorded(supervisor: &Supervisor, kind: &Kind, printed: &[Json]) {
    let label = kind.label;
    supervisor.call("Bootout", json!({ "label": label, "wait": true })).expect("it is taken out");
    assert_eq!(history(supervisor, label, 1).len(), 1, "{label}");
    let kept = rows(&asked(supervisor, &["history", "--json", label]));
    assert_eq!(kept.len(), printed.len(), "{label}: {kept:#?}");
    for (kept, printed) in kept.iter().zip(printed) {
        let (short, whole) = (word(kept, "found"), word(printed, "found"));
        assert!(whole.starts_with(short) && (short == whole || short.len() > KEPT - 4), "{label}: {kept} {printed}");
        assert_eq!((&kept["wall"], &kept["stands"]), (&printed["wall"], &printed["stands"]), "{label}");
    }
}

#[test]
fn jobs_of_every_kind_have_the_walls_of_their_plan_and_proc_and_the_record_agree() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let socket = supervisor.sandbox.name("data/socket");
    let _answers = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("a mode");
    let kinds = kinds(&supervisor.sandbox, &data, &socket);
    for kind in &kinds {
        kind.write(&supervisor);
    }
    let supervisor = supervisor.start();
    let info = rows(&asked(&supervisor, &["info", "--json"]));
    let available = |name: &str| info.iter().any(|row| row["wall"] == name && row["available"] == true);
    for kind in &kinds {
        let client = kind.wake(&supervisor);
        let walls = read_back(&supervisor, kind.label);
        judge(&supervisor, kind, &walls);
        for row in &walls {
            assert!(available(word(row, "wall")), "{}: info does not know of {row}", kind.label);
        }
        drop(client);
        recorded(&supervisor, kind, &walls);
    }
}

/// Who changes users may be kept from it; then nothing of the job has been executed.
#[test]
fn a_user_that_cannot_be_taken_is_told_as_a_wall() {
    if !is_root() {
        return println!("skipped: only root's supervisor changes users");
    }
    for call in [libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setgroups] {
        let mut supervisor = Supervisor::new().with("a", Job::shell("exit 0").with("RunAtLoad", true));
        let command = refusing(supervisor.command(), &[Refused::forbidden(call)]);
        supervisor.adopt(Running::start(command));
        supervisor.logs(" a: failed: the user wall: the job's user or its groups are refused");
    }
}

/// The same under a supervisor as in the foreground, where each wall is tried (`walls::lacking`).
#[test]
fn a_wall_that_is_missing_keeps_a_job_from_running_by_its_name() {
    for (wall, refused) in [
        ("processes", Refused::forbidden_with_any(libc::SYS_unshare, 0, libc::CLONE_NEWPID.cast_unsigned())),
        ("network", Refused::forbidden_with_any(libc::SYS_unshare, 0, libc::CLONE_NEWNET.cast_unsigned())),
        ("mount", Refused::forbidden(libc::SYS_fsopen)),
    ] {
        let mut supervisor = Supervisor::new().with("a", Job::shell("exit 0").with("RunAtLoad", true));
        supervisor.adopt(Running::start(refusing(supervisor.command(), &[refused])));
        supervisor.logs(" a: failed: ").logs(&format!("the {wall} wall"));
        let log = supervisor.log();
        let line = log.lines().find(|line| line.contains(" a: failed: ")).unwrap_or_default();
        assert!(line.contains(&format!("the {wall} wall")), "{wall}: {log}");
        assert!(!log.contains(" a: ended: exit 0"), "{wall}: {log}");
    }
}
