//! Who may call what: one table, for the supervisor's socket and the logger's beside it. It says what a peer may; who
//! a peer is (its user, whether it is a job's process) the supervisor finds out from the kernel.

use serde::{Deserialize, Serialize};

use super::{JobDetail, JobRow, METHODS, Method, WallRow};
use crate::grant::Control;

/// The superuser.
const ROOT: u32 = 0;

/// A caller, as far as its rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    /// The domain's owner, or root.
    Owner,
    /// Any other user, at the system domain.
    Other,
    /// Any other user, at a user's domain.
    Stranger,
    /// A job's process, or a descendant of one, whatever its user.
    Job {
        /// Its job file's `Grants.Control`.
        control: Option<Control>,
    },
}

impl Peer {
    /// The caller of this user at a domain of this owner (0 for the system's); `job` is the `Control` grant of the
    /// job it belongs to, if it belongs to one.
    pub fn of(user: u32, owner: u32, job: Option<Option<Control>>) -> Self {
        match job {
            Some(control) => Self::Job { control },
            None if user == ROOT || user == owner => Self::Owner,
            None if owner == ROOT => Self::Other,
            None => Self::Stranger,
        }
    }
}

/// What is needed for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// See which jobs there are and how they are.
    Labels,
    /// See all about one of them.
    Detail,
    /// See what happened to jobs: causes, events, overrides and the log.
    History,
    /// Start and stop jobs.
    Operate,
    /// Decide which jobs there are, and see all that each may do and the supervisor's own places.
    Own,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Yes,
    /// It may, but for a label that is not loaded the answer is that there is no such job.
    IfLoaded,
    /// It may see what [`redact`] or [`redact_row`] leaves.
    Redacted,
    /// It may not, and why.
    No(&'static str),
}

/// Whether a peer may call a method.
pub fn may(peer: Peer, method: Method) -> Verdict {
    verdict(peer, method.row().needs)
}

/// Whether a peer has what is needed; the logger's queries need [`Need::History`].
pub fn verdict(peer: Peer, need: Need) -> Verdict {
    match (peer, need) {
        (Peer::Owner, _) => Verdict::Yes,
        (Peer::Other, Need::Labels | Need::Detail) => Verdict::Redacted,
        (Peer::Other, _) => Verdict::No("users other than root may only list and print the system's jobs"),
        (Peer::Stranger, _) => Verdict::No("this domain is another user's"),
        (Peer::Job { control: Some(control) }, _) => granted(control, need),
        (Peer::Job { control: None }, _) => Verdict::No("the caller belongs to a job that is not granted Control"),
    }
}

fn granted(control: Control, need: Need) -> Verdict {
    match (need, control) {
        (Need::Labels | Need::History, _) => Verdict::Yes,
        (Need::Detail, _) => Verdict::Redacted,
        (Need::Operate, Control::Operate) => Verdict::IfLoaded,
        (Need::Operate, Control::Observe) => {
            Verdict::No("the caller belongs to a job whose Control is Observe; this needs Operate")
        }
        (Need::Own, _) => Verdict::No("the caller belongs to a job; this is for the domain's owner and root"),
    }
}

/// A job without environment, arguments and paths. What the job file sets freely is left out whole; of what wjob
/// words itself, whatever names a path.
pub fn redact(job: JobDetail) -> JobDetail {
    JobDetail {
        row: redact_row(job.row),
        path: String::new(),
        program: String::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        properties: Vec::new(),
        grants: Vec::new(),
        denials: Vec::new(),
        sentences: Vec::new(),
        demand: pathless(job.demand),
        reason: pathless(job.reason),
        last_end: job.last_end.filter(|text| !names_path(text)),
        walls: job.walls.into_iter().map(redact_wall).collect(),
        domain: job.domain,
        limits: job.limits,
        failures: job.failures,
    }
}

/// A job in a list without paths.
pub fn redact_row(row: JobRow) -> JobRow {
    let why = if names_path(&row.why) { String::new() } else { row.why };
    JobRow { why, ..row }
}

fn redact_wall(wall: WallRow) -> WallRow {
    let found = if names_path(&wall.found) { String::new() } else { wall.found };
    WallRow { found, ..wall }
}

fn pathless(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().filter(|text| !names_path(text)).collect()
}

/// Every path that is worth hiding has a slash; addresses of sockets have one too and are no loss.
fn names_path(text: &str) -> bool {
    text.contains('/')
}

/// The kinds of peers, with the heading of each.
pub const PEERS: [(Peer, &str); 6] = [
    (Peer::Owner, "the domain's owner, root"),
    (Peer::Other, "others, system domain"),
    (Peer::Stranger, "others, a user's domain"),
    (Peer::Job { control: Some(Control::Observe) }, "job with Observe"),
    (Peer::Job { control: Some(Control::Operate) }, "job with Operate"),
    (Peer::Job { control: None }, "job without Control"),
];

/// The whole table as Markdown, the logger's queries included.
pub fn table() -> String {
    let headings = PEERS.map(|(_, heading)| heading).join(" | ");
    let mut text = format!("| call | {headings} |\n|{}\n", "---|".repeat(PEERS.len() + 1));
    let calls = METHODS.iter().map(|row| (row.name, row.needs)).chain([("log, history", Need::History)]);
    for (call, need) in calls {
        let cells = PEERS.map(|(peer, _)| words(verdict(peer, need))).join(" | ");
        text += &format!("| {call} | {cells} |\n");
    }
    text
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::IfLoaded => "loaded jobs",
        Verdict::Redacted => "without environment, arguments, paths",
        Verdict::No(_) => "no",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{DenialRow, Pair, Sentence};

    /// For each method the verdict on each of [`PEERS`]: y yes, l if loaded, r redacted, n no.
    const EXPECTED: &[(Method, &str)] = &[
        (Method::List, "yrnyyn"),
        (Method::Print, "yrnrrn"),
        (Method::Bootstrap, "ynnnnn"),
        (Method::Bootout, "ynnnnn"),
        (Method::Enable, "ynnnln"),
        (Method::Disable, "ynnnln"),
        (Method::Overrides, "ynnyyn"),
        (Method::Kickstart, "ynnnln"),
        (Method::Kill, "ynnnln"),
        (Method::Blame, "ynnyyn"),
        (Method::Audit, "ynnnnn"),
        (Method::Reload, "ynnnnn"),
        (Method::Supervisor, "ynnnnn"),
        (Method::Upgrade, "ynnnnn"),
        (Method::Events, "ynnyyn"),
    ];

    fn letter(verdict: Verdict) -> char {
        match verdict {
            Verdict::Yes => 'y',
            Verdict::IfLoaded => 'l',
            Verdict::Redacted => 'r',
            Verdict::No(why) => {
                assert!(why.len() > 10, "{why:?} gives no reason");
                'n'
            }
        }
    }

    #[test]
    fn every_peer_may_what_is_expected_and_no_more() {
        assert_eq!(EXPECTED.len(), METHODS.len());
        for ((method, expected), row) in EXPECTED.iter().zip(METHODS) {
            assert_eq!(*method, row.method);
            let found: String = PEERS.iter().map(|(peer, _)| letter(may(*peer, *method))).collect();
            assert_eq!(found, *expected, "{method:?}");
        }
        let log: String = PEERS.iter().map(|(peer, _)| letter(verdict(*peer, Need::History))).collect();
        assert_eq!(log, "ynnyyn", "log and history");
    }

    #[test]
    fn peers_are_told_apart_by_user_owner_and_job() {
        let job = |control| Peer::Job { control };
        for (user, owner, of_job, expected) in [
            (0, 0, None, Peer::Owner),
            (1000, 0, None, Peer::Other),
            (0, 1000, None, Peer::Owner),
            (1000, 1000, None, Peer::Owner),
            (1001, 1000, None, Peer::Stranger),
            (0, 0, Some(None), job(None)),
            (1000, 1000, Some(Some(Control::Observe)), job(Some(Control::Observe))),
            (1001, 1000, Some(Some(Control::Operate)), job(Some(Control::Operate))),
        ] {
            assert_eq!(Peer::of(user, owner, of_job), expected, "{user} at {owner}'s, {of_job:?}");
        }
    }

    fn detail(free: &str, worded: &str) -> JobDetail {
        let text = || free.to_owned();
        let texts = || vec![worded.to_owned(), "kept".to_owned()];
        let pair = || vec![Pair { name: text(), value: text() }];
        JobDetail {
            row: JobRow {
                label: "a.b".into(),
                state: "running".into(),
                why: worded.into(),
                pid: Some(1),
                status: None,
                next: None,
                runs: 2,
                unwalled: false,
            },
            path: text(),
            domain: "user/1000".into(),
            program: text(),
            arguments: vec![text()],
            environment: pair(),
            properties: pair(),
            demand: texts(),
            grants: vec![text()],
            limits: vec!["Memory 1".into()],
            reason: texts(),
            last_end: Some(worded.into()),
            failures: 3,
            walls: vec![WallRow { wall: "mounts".into(), found: worded.into(), stands: true }],
            denials: vec![DenialRow { time: text(), kind: text(), what: text(), wall: text(), lines: text() }],
            sentences: vec![Sentence { about: text(), says: text(), guest: text(), kernel: text() }],
        }
    }

    #[test]
    fn redaction_leaves_labels_and_states_and_takes_the_rest() {
        let bare = redact(detail("SECRET", "cannot open /SECRET"));
        let text = serde_json::to_string(&bare).unwrap();
        assert!(!text.contains("SECRET"), "{text}");
        for part in ["a.b", "running", "user/1000", "Memory 1", "mounts", "kept"] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        let plain = redact(detail("SECRET", "every 5 s"));
        assert_eq!((plain.row.why.as_str(), plain.last_end.as_deref()), ("every 5 s", Some("every 5 s")));
        assert_eq!((plain.demand.len(), plain.reason.len(), plain.walls[0].found.as_str()), (2, 2, "every 5 s"));
    }

    #[test]
    fn the_table_has_a_line_for_each_call_and_a_cell_for_each_peer() {
        let table = table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), METHODS.len() + 3);
        for line in lines {
            assert_eq!(line.matches('|').count(), PEERS.len() + 2, "{line}");
        }
        let kill = "| Kill | yes | no | no | no | loaded jobs | no |\n";
        assert!(table.contains(kill), "{table}");
    }
}
