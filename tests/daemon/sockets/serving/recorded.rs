//! Limits that one instance among many meets, or a process for one connection: it ends that connection, the job's log
//! says which connection that was, which limit and who held it, and the record of the run has it too. That the others go
//! on is shown beside, in `inetd`, `handler` and `http`; limits that end a run are in `daemon::limits`.

use serde_json::json;

use super::http::client::request;
use super::{Place, at, inetd, wait_for_line};
use crate::daemon::output::history;
use crate::harness::{Job, Supervisor};

const GUEST: &str = "the WASI wall";
const KERNEL: &str = "the kernel wall";

/// A job, what its client says, the limit that he meets there, and who holds it.
type Row = (&'static str, Job, String, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let cpu = |job: Job| job.limit("CPUTime", 1);
    let time = |job: Job| job.limit("RunTime", 1);
    let command = |name: &str, arguments: &[&str]| inetd(Job::guest(name, arguments));
    let handles = || Job::guest("handles", &[]);
    let answers = || Job::guest("answers", &[]);
    let nothing = String::new;
    vec![
        ("inetd-cpu", cpu(command("probe-spin", &[])), nothing(), "CPUTime", GUEST),
        ("inetd-time", time(command("probe-sleep", &["1000000"])), nothing(), "RunTime", GUEST),
        // It cannot even begin, and neither can the other one.
        ("inetd-memory", command("probe-memory", &["1"]).limit("Memory", 65_536), nothing(), "Memory", GUEST),
        ("http-memory", answers().limit("Memory", 65_536), request("/hello"), "Memory", GUEST),
        ("http-cpu", cpu(answers()), request("/spin"), "CPUTime", GUEST),
        ("http-time", time(answers()), request("/sleep"), "RunTime", GUEST),
        ("handler-cpu", cpu(handles()), "spin\n".into(), "CPUTime", GUEST),
        ("handler-time", time(handles()), "sleep\n".into(), "RunTime", GUEST),
        ("handler-memory", handles().limit("Memory", 32 << 20), "grow\n".into(), "Memory", GUEST),
        ("native-cpu", cpu(inetd(Job::shell("while :; do :; done"))), nothing(), "CPUTime", KERNEL),
        ("native-time", time(inetd(Job::shell("exec sleep 1000"))), nothing(), "RunTime", KERNEL),
    ]
}

#[test]
fn a_limit_that_ends_a_connection_is_named_in_the_log_and_in_the_record_of_the_run() {
    let supervisor = Supervisor::new();
    let rows = rows();
    let places: Vec<Place> = rows.iter().map(|(label, ..)| Place::named(&supervisor.sandbox, label)).collect();
    let supervisor = rows
        .iter()
        .zip(&places)
        .fold(supervisor, |all, ((label, job, ..), place)| all.with(label, at(place, job.clone())));
    let supervisor = supervisor.start();
    // All of them are there at once, so that their times pass together.
    let comes = |((_, _, said, ..), place): (&Row, &Place)| {
        let mut client = place.connect();
        client.say(said);
        client
    };
    let clients: Vec<_> = rows.iter().zip(&places).map(comes).collect();
    for ((label, _, _, limit, wall), client) in rows.into_iter().zip(clients) {
        wait_for_line(&supervisor, label, &format!("wjob: connection 1: limit {limit} reached, held by {wall}"));
        drop(client);
        supervisor.call("Bootout", json!({ "label": label, "wait": true })).expect("it is taken out");
        let runs = history(&supervisor, label, 1);
        let what = json!(format!("going beyond the limit {limit}"));
        let denials = runs[0]["denials"].as_array().expect("denials");
        let found = denials.iter().find(|denial| denial["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{label}: {what} is not in {denials:?}"));
        assert_eq!((&found["kind"], &found["wall"]), (&json!("limit"), &json!(wall)), "{label}");
    }
}
