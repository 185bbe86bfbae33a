//! Judgements, from made-up runs.

use wjob_model::outcome::{HeldBy, StopReason};
use wjob_model::spec::{Context, load};

use super::*;

const TCP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_001);
const UDP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_002);

fn attack(needs: &[&str], ends: &[&str]) -> Attack {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Attack {
        name: "a".into(),
        payload: "hostile".into(),
        needs: texts(needs),
        ends: texts(ends),
        wall: "wasi".into(),
        ..Attack::default()
    }
}

/// A job with these keys besides those it must have, as an ASCII list.
fn job(keys: &str) -> Job {
    let text = format!("{{ Label = a; Program = \"/bin/true\"; {keys} }}");
    let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/", uid: 1000 });
    loaded.job.unwrap_or_else(|| panic!("{text}: {:?}", loaded.findings))
}

fn run(outcome: Outcome, stop: Option<StopReason>, said: &str) -> Run {
    Run { ended: Ended::Ran(Verdict { outcome, stop }), said: said.into(), stop }
}

#[test]
fn what_a_job_has_no_grants_for_is_left_out() {
    let paths = "Grants = { Paths = ( { Path = \"/srv/a\"; Access = ReadWrite; } ); };";
    let any = "Grants = { Connect = ( \"tcp://127.0.0.1:*\" ); };";
    let one = "Grants = { Connect = ( \"tcp://127.0.0.1:5432\", \"udp://127.0.0.1:53\" ); };";
    for (keys, need, expected) in [
        ("", "ro", Some("ReadOnly")),
        (paths, "ro", Some("ReadOnly")),
        (paths, "rw", None),
        ("", "tcp", None),
        (one, "tcp", None),
        (any, "tcp", Some("any port")),
        (any, "udp", None),
        (one, "udp", None),
        ("Grants = { Bind = ( \"tcp://127.0.0.1:0\" ); };", "no-bind", Some("listen")),
        ("Grants = { Connect = ( \"https://example.com\" ); };", "no-names", Some("names")),
        ("", "no-names", None),
        ("", "http", Some("a server of the corpus")),
        ("", "room", Some("4 GiB")),
    ] {
        let missing = missing(&attack(&[need], &["held"]), &job(keys), [TCP, UDP]);
        let fits = match (&missing, expected) {
            (Some(why), Some(words)) => why.contains(words),
            (missing, expected) => missing.is_none() && expected.is_none(),
        };
        assert!(fits, "{keys} {need}: {missing:?}");
    }
}

#[test]
fn what_no_limit_of_the_job_ends_is_open() {
    let limits = |keys: &str| job(keys).limits;
    for (keys, ends, open) in [
        ("", &["limit:CPUTime"][..], true),
        ("Limits = { RunTime = 60; };", &["limit:CPUTime"], false),
        ("Limits = { CPUTime = 60; };", &["limit:CPUTime"], false),
        ("Limits = { CPUTime = 60; };", &["limit:RunTime"], true),
        ("Limits = { Memory = 1000000; };", &["limit:OutputSize"], true),
        ("Limits = { OutputSize = 1000; };", &["limit:OutputSize"], false),
        ("", &["limit:Handles"], false),
        ("", &["limit:Memory", "trap"], false),
        ("", &["held"], false),
    ] {
        assert_eq!(endless(&attack(&[], ends), &limits(keys)).is_some(), open, "{keys} {ends:?}");
    }
}

#[test]
fn runs_are_judged_by_what_was_said_and_how_they_ended() {
    let memory = Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Guest };
    let held = |wall: &str, how: &str| Judgement::Contained { wall: wall.into(), how: how.into() };
    for (run, expected) in [
        (run(Outcome::Exited(3), None, "held: access\n"), held("wasi", "held: access")),
        (run(Outcome::Exited(1), None, "held: access\n"), held("wasi", "held: access")),
        (run(Outcome::Trapped("out of bounds\nframe".into()), None, ""), held("engine", "out of bounds")),
        (run(memory, None, ""), held("limits", "limit Memory reached, held by the WASI wall")),
        (
            run(Outcome::Exited(0), None, "attack a: got THROUGH: x\n"),
            Judgement::Through("attack a: got THROUGH: x".into()),
        ),
        (
            run(Outcome::Exited(0), None, ""),
            Judgement::Through("it ended with status 0, which no held attack does".into()),
        ),
        (run(Outcome::Exited(2), None, "x\n"), Judgement::LeftOut("it could not begin: x".into())),
    ] {
        assert_eq!(of(&attack(&[], &["held"]), &job(""), &run), expected, "{run:?}");
    }
    let refused = Run { ended: Ended::Refused("no valid module".into()), said: String::new(), stop: None };
    assert_eq!(of(&attack(&[], &["held"]), &job(""), &refused), held("compiler", "no valid module"));
}

/// The audit waits a few seconds only: that is not the job's own limit.
#[test]
fn what_only_the_audit_ended_is_open() {
    let late = run(Outcome::Stopped, Some(StopReason::RunTime), "");
    assert!(matches!(of(&attack(&[], &["held"]), &job(""), &late), Judgement::Open(_)));
    let limited = job("Limits = { RunTime = 60; };");
    assert!(matches!(of(&attack(&[], &["held"]), &limited, &late), Judgement::Contained { .. }));
    let computes = job("Limits = { CPUTime = 60; };");
    assert!(matches!(of(&attack(&[], &["limit:CPUTime"]), &computes, &late), Judgement::Contained { .. }));
}
