//! Everything about a job, in sections. What a section has nothing of is left out, and what the caller may not see is
//! empty and said to be so.

use wjob_model::control::{JobDetail, Pair};

use crate::table;
use crate::when::Clock;

/// A job as a person reads it.
pub(crate) fn in_words(job: &JobDetail, clock: &Clock) -> String {
    let none = ["none".to_owned()];
    let grants: &[String] = if job.grants.is_empty() && !is_redacted(job) { &none } else { &job.grants };
    let sections = [
        table::section(&job.row.label, &head(job, clock)),
        table::list("arguments", &job.arguments),
        table::section("environment", &pairs(&job.environment)),
        table::section("properties", &pairs(&job.properties)),
        table::list("what can start it", &job.demand),
        table::list("what started its current or last run", &job.reason),
        table::list("grants", grants),
        table::list("limits", &job.limits),
        table::section("walls of its current or last run", &walls(job)),
        table::section(
            "denied in its current or last run (`wjob explain` says what would allow it)",
            &denials(job, clock),
        ),
    ];
    let mut text = sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n");
    if has_addresses(job) {
        text += "\nheld by the WASI wall alone: addresses (landlock knows ports only) and UDP ports\n";
    }
    if is_redacted(job) {
        text += "\nits environment, arguments, paths and grants are for the domain's owner and root\n";
    }
    text
}

/// A job is always from a file, so one without a path was made bare for this caller.
fn is_redacted(job: &JobDetail) -> bool {
    job.path.is_empty()
}

/// Of these the kernel holds a part only.
fn has_addresses(job: &JobDetail) -> bool {
    job.grants.iter().any(|grant| grant.starts_with("connect ") || grant.starts_with("bind "))
}

fn head(job: &JobDetail, clock: &Clock) -> Vec<Vec<String>> {
    let row = &job.row;
    let rows = [
        ("domain", Some(job.domain.clone())),
        ("state", Some(row.state.clone())),
        ("why", Some(row.why.clone())),
        ("process", row.pid.map(|pid| pid.to_string())),
        ("next start", row.next.as_deref().map(|next| clock.ahead(next))),
        ("last end", last_end(job)),
        ("started", Some(starts(job))),
        ("job file", Some(job.path.clone())),
        ("program", Some(job.program.clone())),
        ("walls", row.unwalled.then(|| "none: it has all rights of its user (Isolation None)".into())),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    rows.map(|(name, value)| vec![name.to_owned(), value]).collect()
}

fn last_end(job: &JobDetail) -> Option<String> {
    let status = job.row.status.map(|status| format!("status {status}"));
    match (&job.last_end, status) {
        (Some(words), Some(status)) => Some(format!("{words} ({status})")),
        (Some(words), None) => Some(words.clone()),
        (None, status) => status,
    }
}

fn starts(job: &JobDetail) -> String {
    let times = match job.row.runs {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        runs => format!("{runs} times"),
    };
    match job.failures {
        0 => times,
        failures => format!("{times}; the last {failures} in a row failed"),
    }
}

fn pairs(pairs: &[Pair]) -> Vec<Vec<String>> {
    pairs.iter().map(|pair| vec![pair.name.clone(), pair.value.clone()]).collect()
}

fn walls(job: &JobDetail) -> Vec<Vec<String>> {
    let stands = |stands: bool| if stands { "stands" } else { "FALLEN" };
    let rows = job.walls.iter();
    rows.map(|wall| vec![wall.wall.clone(), stands(wall.stands).to_owned(), wall.found.clone()]).collect()
}

fn denials(job: &JobDetail, clock: &Clock) -> Vec<Vec<String>> {
    let rows = job.denials.iter();
    rows.map(|denial| vec![clock.local(&denial.time), denial.what.clone(), format!("by {}", denial.wall)]).collect()
}

#[cfg(test)]
mod tests {
    use wjob_model::control::{DenialRow, JobRow, WallRow};

    use super::*;
    use crate::when::standing;

    fn full() -> JobDetail {
        let pair = |name: &str, value: &str| vec![Pair { name: name.into(), value: value.into() }];
        JobDetail {
            row: JobRow {
                label: "a.b".into(),
                state: "waiting".into(),
                why: "ThrottleInterval".into(),
                pid: None,
                status: Some(3),
                next: Some("2026-11-21T09:00:07Z".into()),
                runs: 4,
                unwalled: false,
            },
            path: "/j/a.plist".into(),
            domain: "user/1000".into(),
            program: "/p/a.wasm".into(),
            arguments: vec!["a".into(), "two words".into()],
            environment: pair("TZ", "UTC"),
            properties: pair("Nice", "5"),
            demand: vec!["every 5 s (StartInterval)".into()],
            grants: vec!["connect tcp://127.0.0.1:80".into()],
            limits: vec!["Memory 1: by one wall".into(), "RunTime 2".into()],
            reason: vec!["StartInterval".into()],
            last_end: Some("it ended".into()),
            failures: 2,
            walls: vec![WallRow { wall: "mount".into(), found: "tmpfs".into(), stands: true }],
            denials: Vec::new(),
            sentences: Vec::new(),
        }
    }

    #[test]
    fn every_part_has_its_section() {
        let text = in_words(&full(), &standing());
        let expected = "\
a.b
  domain      user/1000
  state       waiting
  why         ThrottleInterval
  next start  in 7 s (2026-11-21 10:00:07)
  last end    it ended (status 3)
  started     4 times; the last 2 in a row failed
  job file    /j/a.plist
  program     /p/a.wasm

arguments
  a
  two words

environment
  TZ  UTC

properties
  Nice  5

what can start it
  every 5 s (StartInterval)

what started its current or last run
  StartInterval

grants
  connect tcp://127.0.0.1:80

limits
  Memory 1: by one wall
  RunTime 2

walls of its current or last run
  mount  stands  tmpfs

held by the WASI wall alone: addresses (landlock knows ports only) and UDP ports
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_is_said_of_what_is_not_there_or_not_to_be_seen() {
        let clock = standing();
        let none = JobDetail { grants: vec![], environment: vec![], walls: vec![], ..full() };
        let text = in_words(&none, &clock);
        assert!(text.contains("grants\n  none\n"), "{text}");
        for part in ["environment", "walls", "held by"] {
            assert!(!text.contains(part), "{text} has {part:?}");
        }
        let bare = in_words(&JobDetail { path: String::new(), ..none }, &clock);
        assert!(!bare.contains("grants\n") && bare.contains("for the domain's owner"), "{bare}");
    }

    #[test]
    fn what_was_denied_is_told_with_its_moment_and_wall() {
        let denial = DenialRow {
            time: "2026-11-21T09:00:01.500Z".into(),
            kind: "read".into(),
            what: "reading /x".into(),
            wall: "the WASI wall".into(),
            lines: String::new(),
        };
        let text = in_words(&JobDetail { denials: vec![denial], ..full() }, &standing());
        assert!(text.contains("\n  2026-11-21 10:00:01  reading /x  by the WASI wall\n"), "{text}");
    }

    #[test]
    fn unwalled_jobs_and_fallen_walls_are_named() {
        let mut job = full();
        job.row.unwalled = true;
        job.walls[0].stands = false;
        let text = in_words(&job, &standing());
        assert!(text.contains("walls       none: it has all rights") && text.contains("FALLEN"), "{text}");
    }
}
