//! Every verb that talks to a supervisor, run as a user runs it: what it prints, its status, and what it does.

use serde_json::Value as Json;

use crate::harness::{Job, Ran, Running, Supervisor, is_root};

/// A supervisor with a job that runs, one that has failed and one that is idle.
fn supervisor() -> Supervisor {
    let supervisor = Supervisor::new()
        .with("stays", Job::shell("echo up; exec sleep 1000").with("RunAtLoad", true))
        .with("fails", Job::shell("echo why >&2; exit 3").with("RunAtLoad", true))
        .with("timed", Job::shell("true").with("StartInterval", 3600))
        .start();
    supervisor.logs("stays: started").logs("fails: ended: exit 3");
    supervisor
}

fn domain() -> String {
    if is_root() { "system".into() } else { format!("user/{}", rustix::process::geteuid().as_raw()) }
}

/// The objects of `--json` output.
fn objects(ran: &Ran) -> Vec<Json> {
    ran.output().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn list_says_of_each_job_what_it_does_and_waits_for() {
    let supervisor = supervisor();
    let list = supervisor.wjob(&["list"]);
    list.exits(0).says("PID").says("stays").says("running").says("RunAtLoad");
    list.says("waits for every 3600 s (StartInterval)").says("next start in ").says("nothing else starts it");
    let rows = objects(&supervisor.wjob(&["list", "--json"]));
    let labels: Vec<&Json> = rows.iter().map(|row| &row["label"]).collect();
    assert_eq!(labels, ["fails", "stays", "timed"]);
    assert_eq!((&rows[0]["status"], &rows[0]["state"]), (&Json::from(3), &Json::from("idle")));
    supervisor.wjob(&["list", "timed"]).exits(0).says("StartInterval");
    supervisor.wjob(&["list", "ghost"]).exits(113).complains("there is no job ghost");
}

#[test]
fn print_says_everything_of_a_job_and_of_the_domain() {
    let supervisor = supervisor();
    let target = format!("{}/fails", domain());
    let print = supervisor.wjob(&["print", &target]);
    print.exits(0).says("exit 3").says("fails.plist").says("/bin/sh").says("walls").says("stands");
    supervisor.wjob(&["print", &domain()]).exits(0).says("supervisor of").says("logger").says("stays");
    let json = objects(&supervisor.wjob(&["print", "--json", &target]));
    assert_eq!((&json[0]["row"]["status"], &json[0]["domain"]), (&Json::from(3), &Json::from(domain())));
    supervisor.wjob(&["blame", "fails"]).exits(0).says_only("RunAtLoad\n");
    supervisor.wjob(&["info"]).exits(0).says("supervisor of").says("serving");
}

#[test]
fn operators_start_end_and_signal_jobs() {
    let supervisor = supervisor();
    supervisor.wjob(&["kickstart", "stays"]).exits(0).says("is running already");
    let pid = supervisor.row("stays")["pid"].to_string();
    supervisor.wjob(&["kickstart", "-p", "stays"]).exits(0).says_only(format!("{pid}\n"));
    supervisor.wjob(&["kickstart", "-k", "stays"]).exits(0);
    supervisor.logs_times("stays: started", 2).logs("stays: started: operator");
    supervisor.wjob(&["kill", "SIGKILL", "stays"]).exits(0);
    supervisor.logs("stays: ended: ended by SIGKILL");
    supervisor.wjob(&["kill", "TERM", "stays"]).exits(3).complains("is not running");
    supervisor.wjob(&["kill", "NOSUCH", "stays"]).exits(64).complains("NOSUCH");
    supervisor.wjob(&["kickstart", "ghost"]).exits(113).complains("`wjob list` shows the labels");
}

#[test]
fn jobs_are_loaded_taken_out_and_read_again() {
    let supervisor = supervisor();
    let file = supervisor.file("other.plist", "other", Job::shell("echo one").with("RunAtLoad", true));
    supervisor.wjob(&["bootstrap", &domain(), &file]).exits(0);
    supervisor.logs("other: ended: exit 0");
    supervisor.wjob(&["bootstrap", &file]).exits(37).complains("other");
    supervisor.file("other.plist", "other", Job::shell("echo two").with("StartInterval", 77));
    supervisor.wjob(&["reload", "other"]).exits(0);
    supervisor.wjob(&["print", "other"]).says("every 77 s");
    supervisor.wjob(&["bootout", &format!("{}/other", domain())]).exits(0);
    supervisor.wjob(&["bootout", "other"]).exits(113);
    let bad = supervisor.sandbox.write("bad.plist", "{ Label = bad; }");
    supervisor.wjob(&["bootstrap", &bad]).exits(65).complains("nothing to run").complains("line 1, column 1");
}

#[test]
fn what_is_disabled_is_not_started_and_stays_so() {
    let supervisor = supervisor();
    supervisor.wjob(&["disable", "timed"]).exits(0);
    supervisor.wjob(&["kickstart", "timed"]).exits(119).complains("disabled").complains("`wjob enable");
    supervisor.wjob(&["print-disabled"]).exits(0).says("timed");
    supervisor.wjob(&["enable", "timed"]).exits(0);
    supervisor.wjob(&["kickstart", "timed"]).exits(0);
    supervisor.logs("timed: ended: exit 0");
}

#[test]
fn the_log_and_the_history_tell_what_happened() {
    let supervisor = supervisor();
    supervisor.wjob(&["kickstart", "fails"]).exits(0);
    supervisor.logs_times("fails: ended: exit 3", 2);
    // What is followed ends with its reader; the text is there before the record of the run is.
    let follow = Running::start(supervisor.wjob_command(&["log", "--follow", "fails"]));
    follow.wait_for_output("why");
    follow.signal(rustix::process::Signal::INT);
    follow.end();
    supervisor.wjob(&["log", "fails", "--grep", "why"]).exits(0).says("why");
    supervisor.wjob(&["log", "fails", "--grep", "no such text", "--last", "5"]).exits(0).says_only("");
    let history = objects(&supervisor.wjob(&["history", "--json", "fails"]));
    assert!(history.iter().all(|run| run["label"] == "fails"), "{history:?}");
    supervisor.wjob(&["history"]).exits(0).says("stays");
    for verb in ["log", "history"] {
        supervisor.wjob(&[verb, "ghost"]).exits(113).complains("there is no job ghost");
        supervisor.wjob(&[verb, "timed"]).exits(0);
    }
}

#[test]
fn events_are_told_as_they_come() {
    let supervisor = supervisor();
    let events = Running::start(supervisor.wjob_command(&["events", "--json"]));
    // It watches once it has told of anything: disabling is told each time it is said.
    // The speaker ends with its end of the pipe, also when what is waited for does not come.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let speaks = &supervisor;
        scope.spawn(move || {
            while is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                speaks.wjob(&["disable", "timed"]).exits(0);
            }
        });
        let done = done;
        events.wait_for_output("\"disabled\"");
        drop(done);
    });
    events.signal(rustix::process::Signal::INT);
    let events = events.end();
    assert!(objects(&events).iter().any(|event| event["label"] == "timed" && event["what"] == "disabled"));
}

#[test]
fn without_a_supervisor_it_is_said() {
    let supervisor = Supervisor::new();
    for verb in ["list", "reload", "events", "log", "history"] {
        supervisor.wjob(&[verb]).exits(69).complains("wjobd");
    }
    let elsewhere = if is_root() { "user/4000000" } else { "system" };
    let ran = supervisor.wjob(&["print", elsewhere]);
    assert!([69, 77, 112].contains(&ran.status), "{}", ran.described());
    supervisor.wjob(&["print", "login/5"]).exits(64).complains("login/5");
}

/// Root asks for a domain that nobody serves (launchctl: 112).
#[test]
fn a_domain_that_nobody_serves_is_not_there() {
    let supervisor = Supervisor::new();
    let ran = supervisor.wjob(&["print", "user/4000000"]);
    ran.exits(if is_root() { 112 } else { 77 });
}

#[test]
fn a_users_supervisor_needs_a_place_for_its_socket() {
    let supervisor = Supervisor::new();
    let state = supervisor.sandbox.name("state");
    let ran = Running::start(supervisor.sandbox.command("wjobd", &["--state-directory", &state, "--bogus"])).end();
    ran.exits(64).complains("--bogus");
    if !is_root() {
        let ran = Running::start(supervisor.sandbox.command("wjobd", &["--state-directory", &state])).end();
        ran.exits(78).complains("XDG_RUNTIME_DIR").complains("--socket");
    }
}

#[test]
fn a_users_own_folder_is_the_usual_one() {
    if is_root() {
        // Root's are /etc/wjob/jobs and /usr/lib/wjob/jobs, which belong to the machine and not to a test.
        let supervisor = Supervisor::new().start();
        assert!(supervisor.log().contains("serving system"));
        return;
    }
    let mut supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("config/wjob/jobs");
    supervisor.file("config/wjob/jobs/mine.plist", "mine", Job::shell("true").with("RunAtLoad", true));
    let (state, socket) = (supervisor.sandbox.name("state"), supervisor.socket());
    let flags = ["--state-directory", &state, "--socket", &socket];
    let mut command = supervisor.sandbox.command("wjobd", &flags);
    command.env("XDG_CONFIG_HOME", supervisor.sandbox.path("config"));
    supervisor.adopt(Running::start(command));
    supervisor.logs("mine: ended: exit 0");
}

#[test]
fn a_program_that_others_can_change_is_not_run() {
    let supervisor = Supervisor::new();
    let program = supervisor.sandbox.write_program("program", "#!/bin/sh\n");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("a mode");
    let supervisor = supervisor.with("open", Job::new(&program, &[]).with("RunAtLoad", true)).start();
    supervisor.logs("open: failed: program ");
    assert_eq!(supervisor.state("open"), "misconfigured");
}
