//! Who may call what, with callers that the kernel tells apart: the whole table of the model is walked, each call of each
//! kind of peer, over the supervisor's socket and the logger's. What the table is to say is tested in the model.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use wjob_model::control::who::{Need, PEERS, Peer, Verdict, verdict};
use wjob_model::control::{INTERFACE, METHODS, Method, MethodRow};
use wjob_model::grant::Control;

use super::caller::{CONNECTED, Caller, GONE, PLAIN, answers, asked, place};
use crate::harness::{Job, Supervisor, is_root};

/// Users that nobody is.
const STRANGER: u32 = 12_345;
const SOMEBODY: u32 = 12_346;
/// What only those are to see who may see everything.
const SECRET: &str = "sesame";
/// A label that nothing is loaded under.
const ABSENT: &str = "absent";

/// One call.
struct Question {
    /// `None` = the logger is asked.
    method: Option<Method>,
    needs: Need,
    /// Whether it is about a job that is not loaded.
    absent: bool,
    call: Json,
}

/// A call of each method, one more of those that a job may have for loaded jobs alone, and those of the logger.
fn questions(supervisor: &Supervisor) -> Vec<Question> {
    let extra = supervisor.sandbox.name("extra.plist");
    let of = |row: &MethodRow, absent: bool| {
        let parameters = parameters(row.method, absent, &extra);
        let method = format!("{INTERFACE}.{}", row.name);
        let call = json!({ "method": method, "parameters": parameters, "more": row.method.streams() });
        Question { method: Some(row.method), needs: row.needs, absent, call }
    };
    let of_log = |method: &str, parameters: Json, more: bool| {
        let method = format!("{INTERFACE}.log.{method}");
        let call = json!({ "method": method, "parameters": parameters, "more": more });
        Question { method: None, needs: Need::History, absent: false, call }
    };
    let loaded = METHODS.iter().map(|row| of(row, false));
    let absent = METHODS.iter().filter(|row| row.needs == Need::Operate).map(|row| of(row, true));
    let log = [of_log("Log", json!({ "last": 1 }), true), of_log("History", json!({ "label": "target" }), false)];
    loaded.chain(absent).chain(log).collect()
}

/// What each method is asked; `target` has run or runs, `quiet` does not, and `extra` is in a file of its own.
fn parameters(method: Method, absent: bool, extra: &str) -> Json {
    let of = |label: &'static str| if absent { ABSENT } else { label };
    match method {
        Method::List | Method::Overrides | Method::Reload | Method::Supervisor | Method::Upgrade | Method::Events => {
            json!({})
        }
        Method::Print | Method::Blame | Method::Audit => json!({ "label": of("target") }),
        Method::Enable | Method::Disable => json!({ "label": of("quiet") }),
        Method::Kickstart => json!({ "label": of("target"), "kill": false }),
        Method::Kill => json!({ "label": of("quiet"), "signal": 15 }),
        Method::Bootstrap => json!({ "path": extra }),
        Method::Bootout => json!({ "label": of("extra"), "wait": true }),
    }
}

fn calls(questions: &[Question]) -> Vec<Json> {
    questions.iter().map(|question| question.call.clone()).collect()
}

/// Holds an answer against the cell of the table.
#[track_caller]
fn judge(peer: Peer, question: &Question, answer: &Json) {
    let error = answer["error"].as_str();
    let described = format!("{peer:?}: {}: {answer}", question.call);
    let expected = verdict(peer, question.needs);
    let refusal = match question.method {
        Some(_) => "io.wjob.NotPermitted",
        None => "org.varlink.service.PermissionDenied",
    };
    match (error, expected) {
        (error, Verdict::No(why)) => {
            assert_eq!(error, Some(refusal), "{described}");
            assert!(question.method.is_none() || answer["parameters"]["why"] == why, "{described}");
        }
        (None, Verdict::IfLoaded) => assert!(!question.absent, "{described}"),
        (None, _) => {}
        (Some(error), _) => {
            let no_such_job = error == "io.wjob.NoSuchJob" && question.absent;
            let not_running = error == "io.wjob.NotRunning" && question.method == Some(Method::Kill);
            assert!(no_such_job || (not_running && !question.absent), "{described}");
        }
    }
    // What the job has said is in the log, for those who may read that.
    if question.method.is_some() && peer != Peer::Owner {
        assert!(!answer.to_string().contains(SECRET), "an environment or arguments were told: {described}");
    }
    if question.method == Some(Method::Print) && expected == Verdict::Yes {
        assert!(answer.to_string().contains(SECRET), "{described}");
    }
}

#[track_caller]
fn judge_all(peer: Peer, questions: &[Question], answers: &[Json]) {
    assert_eq!(answers.len(), questions.len(), "{peer:?}: {answers:?}");
    for (question, answer) in questions.iter().zip(answers) {
        judge(peer, question, answer);
    }
}

/// With two jobs, one that makes events, a file of another one, and a folder for what callers write.
fn supervised(supervisor: Supervisor) -> Supervisor {
    let secret: plist::Dictionary = [("SECRET", SECRET)].into_iter().collect();
    let target = Job::shell(&format!("echo {SECRET}")).with("EnvironmentVariables", secret);
    let often = Job::shell("exit 0").with("StartInterval", 1).with("ThrottleInterval", 0);
    let supervisor = supervisor.with("target", target).with("quiet", Job::shell("exit 0")).with("often", often);
    supervisor.file("extra.plist", "extra", Job::shell("exit 0"));
    let answers = supervisor.sandbox.make_folder("answers");
    fs::set_permissions(answers, Permissions::from_mode(0o777)).expect("a mode");
    supervisor.start()
}

fn supervisor() -> Supervisor {
    supervised(Supervisor::new())
}

/// Loads a job that calls, waits for its end, and tells what it was answered.
fn answers_to(supervisor: &Supervisor, label: &str, job: Job) -> Vec<Json> {
    let written = format!("answers/{label}");
    let job = job.with("StandardErrorPath", supervisor.sandbox.name(&written));
    let file = supervisor.file(&format!("{label}.plist"), label, job);
    supervisor.call("Bootstrap", json!({ "path": file })).expect("a job that is loaded");
    supervisor.logs(&format!("{label}: ended: "));
    answers(&supervisor.sandbox.read(&written))
}

/// Asks by this process itself.
fn ask_all(supervisor: &Supervisor, questions: &[Question]) -> Vec<Json> {
    let ask = |question: &Question| {
        let socket = place(&supervisor.socket(), &question.call);
        asked(&mut std::os::unix::net::UnixStream::connect(socket).expect("a socket"), &question.call)
    };
    questions.iter().map(ask).collect()
}

/// Asks as another user, for root.
fn ask_as(user: u32, supervisor: &Supervisor, questions: &[Question]) -> Vec<Json> {
    let ran = Caller::new(supervisor).start_as(user, PLAIN, &calls(questions)).end();
    answers(&ran.exits(0).stderr)
}

/// Asks every question as a peer of this kind, at a supervisor of its own, and holds the answers against the table.
/// `None` = only root can be one.
fn walk(peer: Peer) -> Option<(Supervisor, Vec<Json>)> {
    let supervisor = match peer {
        Peer::Other | Peer::Stranger if !is_root() => return None,
        Peer::Stranger => supervised(Supervisor::of_user(SOMEBODY)),
        Peer::Owner | Peer::Other | Peer::Job { .. } => supervisor(),
    };
    let questions = questions(&supervisor);
    let answers = match peer {
        Peer::Owner => ask_all(&supervisor, &questions),
        Peer::Other => ask_as(STRANGER, &supervisor, &questions),
        Peer::Stranger => {
            // Its folder and the sockets let nobody else in; behind that the table holds as well.
            for (name, mode) in [("run", 0o755), ("run/wjob.sock", 0o666), ("run/log.sock", 0o666)] {
                fs::set_permissions(supervisor.sandbox.path(name), Permissions::from_mode(mode)).expect("a mode");
            }
            ask_as(STRANGER, &supervisor, &questions)
        }
        Peer::Job { control } => {
            let job = Caller::new(&supervisor).job(PLAIN, &calls(&questions));
            let job = match control {
                None => job,
                Some(Control::Observe) => job.with_in("Grants", "Control", "Observe"),
                Some(Control::Operate) => job.with_in("Grants", "Control", "Operate"),
            };
            answers_to(&supervisor, "asks", job)
        }
    };
    judge_all(peer, &questions, &answers);
    Some((supervisor, answers))
}

fn walk_all(wanted: impl Fn(Peer) -> bool) {
    let peers: Vec<Peer> = PEERS.iter().map(|(peer, _)| *peer).filter(|peer| wanted(*peer)).collect();
    assert!(!peers.is_empty());
    for peer in peers {
        if walk(peer).is_none() {
            println!("skipped: only root can be {peer:?}");
        }
    }
}

#[test]
fn a_jobs_process_has_its_grant_and_nothing_more() {
    walk_all(|peer| matches!(peer, Peer::Job { .. }));
}

#[test]
fn the_domains_owner_may_everything() {
    walk_all(|peer| peer == Peer::Owner);
}

#[test]
fn what_a_job_may_is_done_and_what_it_may_not_is_not() {
    let (supervisor, _) = walk(Peer::Job { control: Some(Control::Operate) }).expect("a job that asks");
    supervisor.logs("target: started: operator").logs("quiet: enabled").logs("quiet: disabled");
    assert!(!supervisor.log().contains("extra: loaded"), "{}", supervisor.log());
}

/// The job is of the domain's owner: only that it is a job keeps it from everything.
#[test]
fn a_job_cannot_lose_what_shows_that_it_is_one() {
    let supervisor = supervisor();
    let caller = Caller::new(&supervisor);
    let questions = questions(&supervisor);
    let calls = calls(&questions);
    let fifo = supervisor.sandbox.make_fifo("answers/fifo");
    for (label, job) in [
        ("plain", caller.job(PLAIN, &calls)),
        ("those-that-are-gone-connected", caller.job(GONE, &calls)),
        ("without-parents", caller.detached_job(&fifo, &calls)),
    ] {
        let job = if is_root() { job.with("UserName", "root") } else { job };
        judge_all(Peer::Job { control: None }, &questions, &answers_to(&supervisor, label, job));
    }
}

/// Its number may be another's by the time it is looked at: the supervisor is held until the process is gone.
#[test]
fn a_client_whose_process_is_gone_is_taken_for_a_jobs() {
    let supervisor = supervisor();
    let caller = Caller::new(&supervisor);
    let questions = questions(&supervisor);
    let asked = |question: &&Question| question.method.is_none() || question.method == Some(Method::List);
    for question in questions.iter().filter(asked) {
        supervisor.process().signal(Signal::STOP);
        let client = caller.start(GONE, std::slice::from_ref(&question.call));
        client.wait_for_complaint(CONNECTED);
        supervisor.process().signal(Signal::CONT);
        let ran = client.end();
        let answers = answers(&ran.exits(0).stderr);
        judge(Peer::Job { control: None }, question, answers.first().expect("an answer"));
    }
}

#[test]
fn other_users_see_which_jobs_the_system_has_and_reach_no_users_supervisor() {
    walk_all(|peer| peer == Peer::Stranger);
    let Some((supervisor, answers)) = walk(Peer::Other) else {
        let supervisor = supervisor();
        return assert_eq!((supervisor.sandbox.mode("run"), supervisor.sandbox.mode("run/wjob.sock")), (0o700, 0o600));
    };
    let told = Json::Array(answers).to_string();
    assert!(told.contains("target") && !told.contains(&supervisor.sandbox.name("")), "{told}");
}
