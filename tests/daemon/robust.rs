//! `kill -9` of the supervisor at any moment: what was decided stays, nothing of the former one goes on, and what
//! should run runs again. Its parts are killed and its rest is counted in the files beside.

mod idle;
mod parts;
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{Job, Supervisor, is_root, text, texts};
use processes::{Process, descends, family, parent, stop, with_argument};

/// How often it is killed.
const ROUNDS: usize = 100;
/// Where the numbers begin that look random; another one is another hundred moments.
const SEED: u64 = 0x5eed_0001;
/// Within how many lines of its log it is killed: at work, and while it starts. All jobs are loaded and started in
/// fewer than the latter.
const AT_WORK: usize = 40;
const STARTING: usize = 40;
/// Longest wait for an answer; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Jobs that are to run always.
const KEPT: [&str; 3] = ["kept-guest", "kept-native", "kept-unwalled"];
/// Jobs that are to run after each start, and why.
const WANTED: [(&str, &str); 3] = [("tick", "RunAtLoad"), ("own", "RunAtLoad"), ("queue", "QueueDirectories")];
/// Jobs that are started by an operator.
const SHORT: [&str; 2] = ["short-native", "short-guest"];
/// Labels that are enabled and disabled; the first two have jobs.
const DECIDED: [&str; 4] = ["decided-0", "decided-1", "decided-2", "decided-3"];

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << shift } else { self.0 >> shift };
        }
        usize::try_from(self.0 % u64::try_from(bound).expect("a bound")).expect("less than the bound")
    }

    /// Others, for another thread.
    fn others(&mut self) -> Self {
        self.below(1);
        Self(self.0.rotate_left(32) | 1)
    }
}

/// An argument that no process has but those of one test's jobs: to sleep for so many seconds.
fn mark(seconds: u32) -> String {
    format!("{seconds}.{}", std::process::id())
}

/// Calls a method on a socket; `None` = nobody answers there any more.
fn ask(socket: &str, method: &str, parameters: Json) -> Option<Json> {
    let mut client = UnixStream::connect(socket).ok()?;
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    let call = json!({ "method": method, "parameters": parameters });
    client.write_all(format!("{call}\0").as_bytes()).ok()?;
    let mut answer = Vec::new();
    BufReader::new(client).read_until(0, &mut answer).ok()?;
    serde_json::from_slice(answer.strip_suffix(b"\0")?).ok()
}

/// The newest runs of a job, as its supervisor's logger knows them.
fn history(supervisor: &Supervisor, label: &str) -> Vec<Json> {
    let (socket, newest) = (supervisor.sandbox.name("run/log.sock"), json!({ "label": label, "last": 5 }));
    let answer = ask(&socket, "io.wjob.log.History", newest).expect("an answer of the logger");
    answer["parameters"]["runs"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

/// Asks until a job runs behind its walls. Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn wait_until_it_runs(supervisor: &Supervisor, label: &str) {
    let mut questions = 0;
    while supervisor.state(label) != "running" {
        questions += 1;
        assert!(questions < 1_000_000, "{label} does not come to run; there is\n{}", supervisor.log());
    }
}

/// What was decided about labels: whether each is disabled.
#[derive(Default)]
struct Decisions {
    /// What was answered.
    sure: BTreeMap<String, bool>,
    /// What was asked for when the supervisor was killed.
    open: Option<(String, bool)>,
}

impl Decisions {
    /// Has a job started or a label decided about; `None` = nobody answers any more.
    fn act(&mut self, socket: &str, random: &mut Random) -> Option<()> {
        if random.below(3) == 0 {
            let job = json!({ "label": SHORT[random.below(SHORT.len())], "kill": random.below(2) == 0 });
            return ask(socket, "io.wjob.Kickstart", job).map(drop);
        }
        let (label, disabled) = (DECIDED[random.below(DECIDED.len())], random.below(2) == 0);
        self.open = Some((label.to_owned(), disabled));
        let method = if disabled { "io.wjob.Disable" } else { "io.wjob.Enable" };
        let answer = ask(socket, method, json!({ "label": label }))?;
        assert!(answer.get("error").is_none(), "{method} {label}: {answer}");
        self.sure.extend(self.open.take());
        Some(())
    }

    /// Whether this is what must be found of a label.
    fn allow(&self, label: &str, found: Option<bool>) -> bool {
        let open = self.open.as_ref().filter(|(open, _)| open == label).map(|(_, disabled)| *disabled);
        found == self.sure.get(label).copied() || (open.is_some() && found == open)
    }
}

/// Operators at work, until the supervisor is gone; what they decided.
fn work(socket: String, mut random: Random) -> JoinHandle<Decisions> {
    thread::spawn(move || {
        let mut decisions = Decisions::default();
        while decisions.act(&socket, &mut random).is_some() {}
        decisions
    })
}

/// A supervisor with much to do, and what is known of it.
struct Scene {
    supervisor: Supervisor,
    mark: String,
    random: Random,
    decisions: Decisions,
    /// The processes of those that were killed.
    former: Vec<Process>,
    /// The user ids that labels were given, once there are any.
    users: Option<Json>,
}

impl Scene {
    fn new() -> Self {
        let (supervisor, mark) = (Supervisor::new(), mark(1_000_000));
        fill(&supervisor, &mark);
        Self {
            supervisor: supervisor.start(),
            mark,
            random: Random(SEED),
            decisions: Decisions::default(),
            former: Vec::new(),
            users: None,
        }
    }

    /// Lets everything run once, so that nothing has to be compiled from then on.
    fn warm_up(&self) {
        self.supervisor.call("Kickstart", json!({ "label": "short-guest", "kill": false })).expect("a start");
        for label in ["tick", "own", "short-guest"] {
            self.supervisor.logs(&format!(" {label}: ended: exit 0"));
        }
        wait_until_it_runs(&self.supervisor, "kept-guest");
    }

    fn kill_at_work(&mut self) {
        let lines = self.supervisor.log().matches('\n').count() + self.random.below(AT_WORK);
        let work = work(self.supervisor.socket(), self.random.others());
        self.supervisor.logs_times("\n", lines);
        self.kill();
        let Decisions { sure, open } = work.join().expect("operators who are answered");
        self.decisions.sure.extend(sure);
        self.decisions.open = open;
    }

    fn kill_while_it_starts(&mut self) {
        self.supervisor.begin_again();
        let lines = self.random.below(STARTING);
        self.supervisor.logs_times("\n", lines);
        self.kill();
    }

    /// Kills it. It is stopped before, so that all its processes of that moment are known.
    fn kill(&mut self) {
        stop(self.supervisor.process());
        self.former.extend(family(self.supervisor.process().pid()));
        self.supervisor.kill();
        self.stored("overrides.json");
        let users = self.stored("users.json");
        assert!(self.users.is_none() || self.users == users, "{:?} became {users:?}", self.users);
        self.users = users;
    }

    /// A file of the state, which may be missing and must be whole.
    fn stored(&self, name: &str) -> Option<Json> {
        let bytes = fs::read(self.supervisor.sandbox.path("state").join(name)).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    /// What must hold once another one serves.
    fn check(&mut self) {
        for label in KEPT {
            self.supervisor.logs(&format!(" {label}: started: KeepAlive"));
        }
        for (label, cause) in WANTED {
            self.supervisor.logs(&format!(" {label}: started: {cause}"));
        }
        self.former.drain(..).for_each(|process| process.ends());
        self.check_processes(Some(self.supervisor.process().pid()));
        self.check_decisions();
        KEPT.iter().for_each(|label| self.check_history(label));
    }

    /// No process is left but those of the one that serves.
    fn check_processes(&self, serving: Option<u32>) {
        let strange = |number: &u32| serving.is_none_or(|serving| !descends(*number, serving));
        let strange = with_argument(&self.mark).into_iter().filter(strange);
        strange.filter_map(Process::of).for_each(|process| process.ends());
    }

    fn check_decisions(&mut self) {
        let answer = self.supervisor.call("Overrides", json!({})).expect("the overrides");
        let rows = answer["overrides"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let row = |row: &Json| Some((row["label"].as_str()?.to_owned(), row["disabled"].as_bool()?));
        let found: BTreeMap<String, bool> = rows.iter().filter_map(row).collect();
        for label in DECIDED {
            let (is, Decisions { sure, open }) = (found.get(label).copied(), &self.decisions);
            assert!(self.decisions.allow(label, is), "{label} is {is:?} after {sure:?} and perhaps {open:?}");
        }
        self.decisions = Decisions { sure: found, open: None };
    }

    /// Of what is said to run still, the worker is one of those that do.
    fn check_history(&self, label: &str) {
        let runs = history(&self.supervisor, label);
        for run in runs.iter().filter(|run| run["end"].is_null()) {
            // A run that had to be prepared first is told of before it has a worker.
            let worker = run["pid"].as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
            let made_by = worker.and_then(parent);
            assert!(worker.is_none() || made_by == Some(self.supervisor.process().pid()), "{run} is over");
        }
    }
}

/// Jobs of all kinds.
fn fill(supervisor: &Supervisor, mark: &str) {
    let kept = |job: Job| job.with("KeepAlive", true).with("ThrottleInterval", 0);
    let tick = || {
        let job = Job::guest("probe-exit", &["0"]).with("RunAtLoad", true);
        job.with("StartInterval", 1).with("ThrottleInterval", 0)
    };
    let unwalled = Job::new("/bin/sh", &["-c", "sleep $0 & sleep $0", mark]).with("Isolation", "None");
    let queue = text(&supervisor.sandbox.make_folder("queue"));
    supervisor.sandbox.write("queue/entry", "");
    let queues = Job::new("/bin/true", &[]).with("QueueDirectories", texts([queue.as_str()]));
    for (label, job) in [
        ("kept-guest", kept(Job::guest("probe-sleep", &["1000000"]))),
        ("kept-native", kept(Job::new("/bin/sleep", &[mark]))),
        ("kept-unwalled", kept(unwalled)),
        ("tick", tick()),
        ("queue", queues.with("ThrottleInterval", 1)),
        ("short-native", Job::new("/bin/true", &[])),
        ("short-guest", Job::guest("probe-exit", &["0"])),
        ("decided-0", Job::new("/bin/true", &[])),
        ("decided-1", Job::guest("probe-exit", &["0"])),
    ] {
        supervisor.job(label, job);
    }
    // Without UserName: run by root, it is given a user id of its own, which is kept.
    let own = supervisor.sandbox.job_file(&tick().with("Label", "own"));
    fs::rename(own, supervisor.sandbox.path("jobs/own.plist")).expect("a job file that can be moved");
}

/// Every second time it is killed while it starts, so that the next one has to put in order what two have left.
#[test]
fn killed_at_any_moment_it_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.warm_up();
    scene.check();
    for _ in 0..ROUNDS / 2 {
        scene.kill_at_work();
        scene.kill_while_it_starts();
        scene.supervisor.start_again();
        scene.check();
    }
    assert_eq!(scene.users.is_some(), is_root(), "only root's supervisor gives user ids");
    let runs = history(&scene.supervisor, KEPT[0]);
    assert!(runs.iter().any(|run| run["outcome"] == "lost: the supervisor ended"), "{runs:?}");
    scene.supervisor.stop().exits(0);
    scene.check_processes(None);
}
