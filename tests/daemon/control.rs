//! The control socket: what each call does, each error by its name, the interface's description of itself, and a client
//! that nobody here wrote. Clients that mean harm are in `hostile`, who may what is in `who`.

use std::env;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::harness::supervisor::{receive, send};
use crate::harness::{Job, Running, Supervisor, root};

/// The interface, as the sources have it.
const DESCRIPTION: &str = include_str!("../../runtime/model/src/control/io.wjob.varlink");

/// A job that runs until it is ended.
fn lasting() -> Job {
    Job::shell("sleep 1000")
}

fn ask(client: &mut UnixStream, call: &Json) -> Json {
    send(client, call.to_string().as_bytes());
    receive(client).expect("an answer")
}

/// What a call came to that was to be good.
#[track_caller]
fn good(supervisor: &Supervisor, method: &str, parameters: Json) -> Json {
    supervisor.call(method, parameters.clone()).unwrap_or_else(|error| panic!("{method} {parameters}: {error:?}"))
}

#[test]
fn jobs_are_loaded_started_told_of_and_taken_out() {
    let supervisor = Supervisor::new().start();
    let file = supervisor.file("late.plist", "late", lasting());
    let label = json!({ "label": "late" });
    let start = json!({ "label": "late", "kill": false });
    let loaded = json!({ "loaded": ["late"], "removed": [], "refused": [] });
    assert_eq!(good(&supervisor, "Bootstrap", json!({ "path": file })), loaded);
    assert_eq!(supervisor.state("late"), "idle");

    assert_eq!(good(&supervisor, "Kickstart", start.clone())["running"], false);
    supervisor.logs("late: started: operator: user ");
    assert_eq!(good(&supervisor, "Kickstart", start)["running"], true);
    let causes = good(&supervisor, "Blame", label.clone());
    assert!(causes["causes"][0].as_str().is_some_and(|cause| cause.starts_with("operator: user ")), "{causes}");
    assert_eq!(good(&supervisor, "Kill", json!({ "label": "late", "signal": 9 })), json!({}));
    supervisor.logs("late: ended: ");

    let printed = good(&supervisor, "Print", label.clone());
    assert_eq!((&printed["path"], &printed["program"]), (&json!(file), &json!("/bin/sh")), "{printed}");
    assert_eq!(printed["arguments"], json!(["/bin/sh", "-c", "sleep 1000"]));
    assert_eq!(good(&supervisor, "Reload", label), loaded);
    assert_eq!(good(&supervisor, "Bootout", json!({ "label": "late", "wait": true })), json!({}));
    assert_eq!(good(&supervisor, "List", json!({})), json!({ "jobs": [] }));
}

#[test]
fn a_running_one_that_is_started_anew_is_another_process() {
    let supervisor = Supervisor::new().with("a", lasting().with("RunAtLoad", true)).start();
    supervisor.logs("a: started: RunAtLoad");
    let started = good(&supervisor, "Kickstart", json!({ "label": "a", "kill": true }));
    assert_eq!(started["running"], false, "it was not left alone: {started}");
    supervisor.logs("a: ended: ").logs("a: started: operator: user ");
    assert_eq!(supervisor.row("a")["runs"], 2);
}

#[test]
fn one_that_is_taken_out_is_gone_when_the_answer_comes() {
    let supervisor = Supervisor::new().start();
    for (label, reloaded) in [("plain", false), ("while-it-is-reloaded", true)] {
        let file = supervisor.file(&format!("{label}.plist"), label, lasting().with("RunAtLoad", true));
        good(&supervisor, "Bootstrap", json!({ "path": file }));
        if reloaded {
            good(&supervisor, "Reload", json!({ "label": label }));
        }
        good(&supervisor, "Bootout", json!({ "label": label, "wait": true }));
        assert_eq!(good(&supervisor, "List", json!({})), json!({ "jobs": [] }), "{label}");
    }
    let file = supervisor.file("told.plist", "told", lasting().with("RunAtLoad", true));
    good(&supervisor, "Bootstrap", json!({ "path": file }));
    good(&supervisor, "Bootout", json!({ "label": "told", "wait": false }));
    supervisor.logs("told: unloaded");
}

#[test]
fn it_tells_about_itself() {
    let supervisor = Supervisor::new().with("a", lasting().with("RunAtLoad", true)).with("b", lasting()).start();
    let told = good(&supervisor, "Supervisor", json!({}));
    let user = rustix::process::geteuid().as_raw();
    let domain = if user == 0 { "system".to_owned() } else { format!("user/{user}") };
    for (name, expected) in [
        ("domain", json!(domain)),
        ("pid", json!(supervisor.process().pid())),
        ("jobs", json!(2)),
        ("running", json!(1)),
        ("stopping", json!(false)),
        ("log_level", json!("info")),
        ("state", json!(supervisor.sandbox.name("state"))),
        ("folders", json!([supervisor.sandbox.name("jobs")])),
    ] {
        assert_eq!(told[name], expected, "{name}: {told}");
    }
    assert!(told["configuration"].as_str().is_some_and(|path| path.ends_with("/wjob/daemon.json")), "{told}");
    assert!(told["build"].as_str().is_some_and(|build| build.starts_with(env!("CARGO_PKG_VERSION"))), "{told}");
}

#[test]
fn what_is_enabled_and_disabled_is_kept() {
    let mut supervisor = Supervisor::new().with("a", Job::shell("exit 0").with("RunAtLoad", true)).start();
    supervisor.logs("a: ended: exit 0");
    for label in ["a", "nowhere"] {
        good(&supervisor, "Disable", json!({ "label": label }));
    }
    let both = json!({ "overrides": [
        { "label": "a", "disabled": true }, { "label": "nowhere", "disabled": true }
    ] });
    assert_eq!((good(&supervisor, "Overrides", json!({})), supervisor.state("a")), (both.clone(), "disabled".into()));
    supervisor.stop().exits(0);
    supervisor.start_again();
    assert_eq!((good(&supervisor, "Overrides", json!({})), supervisor.state("a")), (both, "disabled".into()));
    assert!(!supervisor.log().contains("a: started"), "{}", supervisor.log());
    good(&supervisor, "Enable", json!({ "label": "a" }));
    good(&supervisor, "Kickstart", json!({ "label": "a", "kill": false }));
    supervisor.logs("a: ended: exit 0");
}

#[test]
fn every_error_has_its_name_and_says_what_it_is_about() {
    let supervisor = Supervisor::new()
        .with("runs", lasting().with("RunAtLoad", true))
        .with("off", Job::shell("exit 0").with("Disabled", true))
        .with("once", Job::shell("exit 0").with("LaunchOnlyOnce", true).with("RunAtLoad", true))
        .with("idle", Job::shell("exit 0"))
        .start();
    supervisor.logs("once: ended: exit 0");
    let path = |name: &str| supervisor.sandbox.name(name);
    let other = supervisor.file("other.plist", "runs", Job::shell("exit 0"));
    let bad = supervisor.file("bad.plist", "bad", Job::bare());
    let missing = json!({ "label": "missing" });
    for (method, parameters, error, part) in [
        ("Print", missing.clone(), "io.wjob.NoSuchJob", "missing"),
        ("Blame", missing.clone(), "io.wjob.NoSuchJob", "missing"),
        ("Audit", missing.clone(), "io.wjob.NoSuchJob", "missing"),
        ("Reload", missing, "io.wjob.NoSuchJob", "missing"),
        ("Bootout", json!({ "label": "missing", "wait": true }), "io.wjob.NoSuchJob", "missing"),
        ("Kickstart", json!({ "label": "missing", "kill": true }), "io.wjob.NoSuchJob", "missing"),
        ("Kill", json!({ "label": "missing", "signal": 15 }), "io.wjob.NoSuchJob", "missing"),
        ("Kill", json!({ "label": "idle", "signal": 15 }), "io.wjob.NotRunning", "idle"),
        ("Kill", json!({ "label": "runs", "signal": 0 }), "io.wjob.Failed", "0 is no signal"),
        ("Kill", json!({ "label": "runs", "signal": -9 }), "io.wjob.Failed", "expected 1 to 64"),
        ("Kickstart", json!({ "label": "off", "kill": false }), "io.wjob.JobDisabled", "off"),
        ("Kickstart", json!({ "label": "once", "kill": false }), "io.wjob.Failed", "LaunchOnlyOnce"),
        ("Bootstrap", json!({ "path": other }), "io.wjob.AlreadyLoaded", "jobs/runs.plist"),
        ("Bootstrap", json!({ "path": path("jobs/off.plist") }), "io.wjob.JobDisabled", "off"),
        ("Bootstrap", json!({ "path": bad }), "io.wjob.BadJobFile", "nothing to run"),
        ("Bootstrap", json!({ "path": path("missing.plist") }), "io.wjob.UnsafeFile", "No such file"),
        ("Bootstrap", json!({ "path": "other.plist" }), "io.wjob.UnsafeFile", "a relative path"),
        ("Events", json!({}), "org.varlink.service.ExpectedMore", ""),
        ("Print", json!({}), "org.varlink.service.InvalidParameter", "it is missing"),
        ("Print", json!({ "label": 5 }), "org.varlink.service.InvalidParameter", "expected a string"),
        ("List", json!({ "all": true }), "org.varlink.service.InvalidParameter", "no such parameter"),
        ("Frobnicate", json!({}), "org.varlink.service.MethodNotFound", "io.wjob.Frobnicate"),
    ] {
        let (found, about) = supervisor.call(method, parameters).expect_err(method);
        assert_eq!(found, error, "{method}: {about}");
        assert!(about.to_string().contains(part), "{method} lacks {part:?}: {about}");
    }
    assert_eq!(supervisor.row("runs")["runs"], 1, "nothing of it was done");
}

#[test]
fn the_interface_describes_itself() {
    let supervisor = Supervisor::new().start();
    let mut client = supervisor.connect();
    let mut asked = |method: &str, parameters: Json| {
        ask(&mut client, &json!({ "method": format!("org.varlink.service.{method}"), "parameters": parameters }))
    };
    let answer = asked("GetInfo", json!({}));
    let information = &answer["parameters"];
    assert_eq!((&information["vendor"], &information["product"]), (&json!("wjob"), &json!("wjobd")));
    assert_eq!(information["interfaces"], json!(["io.wjob", "org.varlink.service"]));
    let described = asked("GetInterfaceDescription", json!({ "interface": "io.wjob" }));
    assert_eq!(described["parameters"]["description"], DESCRIPTION);
    let unknown = asked("GetInterfaceDescription", json!({ "interface": "org.example" }));
    assert_eq!(unknown["error"], "org.varlink.service.InterfaceNotFound");
}

#[test]
fn events_are_told_as_they_happen_until_the_end() {
    let mut supervisor = Supervisor::new().with("a", Job::shell("exit 3")).start();
    let mut watcher = supervisor.connect();
    send(&mut watcher, br#"{"method":"io.wjob.Events","more":true}"#);
    good(&supervisor, "Kickstart", json!({ "label": "a", "kill": false }));
    supervisor.logs("a: ended: exit 3");
    good(&supervisor, "Disable", json!({ "label": "b" }));
    supervisor.stop().exits(0);
    for (label, what, detail) in [
        (json!("a"), "started", "operator: user "),
        (json!("a"), "ended", "exit 3"),
        (json!("b"), "disabled", ""),
        (Json::Null, "stopping", "all jobs are stopped"),
        (json!("a"), "unloaded", ""),
    ] {
        let event = receive(&mut watcher).expect("an event");
        let happened = &event["parameters"];
        assert_eq!((&event["continues"], &happened["label"]), (&json!(true), &label), "{event}");
        assert_eq!(happened["what"], what, "{event}");
        assert!(happened["detail"].as_str().is_some_and(|found| found.starts_with(detail)), "{event}");
    }
    assert_eq!(receive(&mut watcher), None);
}

#[test]
fn calls_of_one_connection_are_answered_in_order_and_oneway_ones_are_not() {
    let supervisor = Supervisor::new().start();
    let mut client = supervisor.connect();
    let calls = [
        r#"{"method":"io.wjob.Disable","parameters":{"label":"a"},"oneway":true}"#,
        r#"{"method":"io.wjob.Overrides"}"#,
        r#"{"method":"io.wjob.Frobnicate","oneway":true}"#,
        r#"{"method":"io.wjob.List"}"#,
    ];
    send(&mut client, calls.join("\0").as_bytes());
    let overrides = receive(&mut client).expect("an answer");
    assert_eq!(overrides["parameters"]["overrides"], json!([{ "label": "a", "disabled": true }]));
    assert_eq!(receive(&mut client), Some(json!({ "parameters": { "jobs": [] } })));
}

/// What a Python program with the varlink project's own library does: it learns all of the interface from the socket.
const FOREIGN: &str = r#"
import sys, varlink
with varlink.Client("unix:" + sys.argv[1]) as client:
    print("interfaces:", *client.get_interfaces())
    with client.open("io.wjob") as wjob, client.open("io.wjob") as watcher:
        print("listed:", *(row["label"] for row in wjob.List()["jobs"]))
        printed = wjob.Print("a")
        print("printed:", printed["row"]["state"], printed["arguments"][-1])
        try:
            wjob.Kill("missing", 15)
        except varlink.VarlinkError as error:
            print("refused:", error.error(), error.parameters())
        event = next(watcher.Events(_more=True))
        print("happened:", event["label"], event["what"])
"#;

/// Names a Python that finds the library; `none` leaves the test out, for who cannot have it.
const PYTHON: &str = "WJOB_TEST_PYTHON";

/// The Python to use; `None`, with a word, if it was said that there is none.
fn python() -> Option<OsString> {
    let python = env::var_os(PYTHON).unwrap_or_else(|| root().join("target/python/bin/python3").into());
    if python == "none" || root().join("target/python/left-out").is_file() {
        println!("left out: {PYTHON} is none, or `cargo xtask test` could not install it");
        return None;
    }
    let there = Path::new(&python).is_file();
    assert!(
        there,
        "{} is missing: `cargo xtask test` installs it; or name a Python with the package varlink by {PYTHON}",
        python.display()
    );
    Some(python)
}

#[test]
fn a_client_of_others_lists_prints_is_refused_and_watches() {
    let Some(python) = python() else { return };
    let often = Job::shell("exit 0").with("StartInterval", 1).with("ThrottleInterval", 0);
    let supervisor = Supervisor::new().with("a", Job::shell("exit 0")).with("often", often).start();
    let mut command = supervisor.sandbox.command_at(Path::new(&python), &["-c", FOREIGN, &supervisor.socket()]);
    command.env("PATH", env::var_os("PATH").unwrap_or_default());
    let ran = Running::start(command).end();
    ran.exits(0).says("interfaces: io.wjob org.varlink.service\n").says("listed: a often\n");
    ran.says("printed: idle exit 0\n").says("refused: io.wjob.NoSuchJob {'label': 'missing'}\n");
    ran.says("happened: often ");
}
