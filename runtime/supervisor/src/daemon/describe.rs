//! Jobs as the control socket tells of them: a row of a list, and everything about one.

use wjob_model::control::{JobDetail, JobRow, Pair, WallRow};
use wjob_model::domain::Domain;
use wjob_model::explain::{limits_alone, sentences};
use wjob_model::fleet::{Member, Now, Words, demands};
use wjob_model::job::{Isolation, Job};
use wjob_model::message::Evidence;
use wjob_model::noted::{KEPT_BYTES, Noted, that_fit};

/// A row of a list.
pub fn row(member: &Member, pid: Option<u32>, now: Now) -> JobRow {
    let words = Words::of(&member.job, &member.life, now);
    JobRow {
        label: member.job.label.clone(),
        state: words.state.into(),
        why: words.why,
        pid: pid.map(i64::from),
        status: member.life.last().map(|last| last.status),
        next: words.next.map(|next| next.to_string()),
        runs: member.life.starts().into(),
        unwalled: member.job.isolation == Isolation::None,
    }
}

/// Everything about a job.
pub fn detail(
    row: JobRow,
    member: &Member,
    domain: Domain,
    path: &str,
    walls: &[Evidence],
    denials: &[Noted],
) -> JobDetail {
    let job = &member.job;
    JobDetail {
        row,
        path: path.to_owned(),
        domain: domain.to_string(),
        program: job.program.file.text().to_owned(),
        arguments: job.program.arguments.clone(),
        environment: pairs(&job.environment),
        properties: properties(job),
        demand: demands(job),
        grants: job.grants.in_words(),
        limits: limits_alone(job),
        reason: member.life.reason().in_words(),
        last_end: member.life.last().map(|last| last.words.clone()),
        failures: member.life.failures().into(),
        walls: walls.iter().map(wall).collect(),
        denials: that_fit(denials, KEPT_BYTES).iter().map(Noted::row).collect(),
        sentences: sentences(job, Some(domain)),
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<Pair> {
    pairs.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect()
}

/// A wall as it was read back.
pub fn wall(evidence: &Evidence) -> WallRow {
    WallRow { wall: evidence.wall.row().name.to_owned(), found: evidence.found.clone(), stands: evidence.stands }
}

/// What the file says of the process, key by key, where it says something.
fn properties(job: &Job) -> Vec<Pair> {
    let launch = &job.launch;
    let seconds = |seconds: u32| format!("{seconds} s");
    let rows = [
        ("UserName", job.user.clone()),
        ("GroupName", job.group.clone()),
        ("RootDirectory", job.root_directory.clone()),
        ("WorkingDirectory", job.working_directory.clone()),
        ("StandardInPath", job.standard_in.clone()),
        ("StandardOutPath", job.standard_out.clone()),
        ("StandardErrorPath", job.standard_error.clone()),
        ("Umask", job.umask.map(|umask| format!("{umask:03o}"))),
        ("Nice", job.nice.map(|nice| nice.to_string())),
        ("ThrottleInterval", Some(seconds(launch.throttle))),
        ("ExitTimeOut", Some(seconds(job.exit_timeout))),
        ("LaunchOnlyOnce", launch.only_once.then(|| "true".into())),
        ("AbandonProcessGroup", job.abandon_process_group.then(|| "true".into())),
        ("Isolation", (job.isolation != Isolation::Process).then(|| format!("{:?}", job.isolation))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some(Pair { name: name.into(), value: value? })).collect()
}
