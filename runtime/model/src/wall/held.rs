//! Limits that nobody could hold, whatever walls are put up: these are refused, where others would only be promised.

use super::{Machine, WallRefusal, WorkerKind};
use crate::finding::{Finding, Severity};
use crate::job::Job;
use crate::limit::{LIMITS, Limit, Native};

/// Most memory mappings of one instance. Its place has two memories, each in at most four stretches with rights of
/// their own (what the program begins with, what was grown, what may be, the guard), and a stack with its guard; the
/// rest is for what the allocator maps for its store.
const MAPPINGS: u64 = 16;
/// Mappings of the worker itself: its program, libraries, threads and the code of the guest.
const MAPPINGS_BASE: u64 = 1_024;

/// Why nobody counts the connections of a native program that is handed its listening sockets.
pub(super) const UNCOUNTED: &str =
    "a native program that is handed its listening sockets accepts by itself, and nobody counts whom";

/// What to do about each.
const REMOVE: &str =
    "remove it; the program itself may have such a limit, and Limits.RunTime ends a process by its age";
const HAND_OVER: &str = "remove it; with inetdCompatibility and no Wait each connection has a process, and is counted";

/// That every limit of the job can be held.
///
/// # Errors
/// Names the first that cannot.
pub(super) fn all(job: &Job, kind: WorkerKind, machine: &Machine) -> Result<(), WallRefusal> {
    if kind == WorkerKind::Native
        && let Some((limit, why, _)) = of_native(job).next()
    {
        return Err(WallRefusal::Limit { limit, why: why.into() });
    }
    match too_many(job, kind, machine) {
        Some(why) => Err(WallRefusal::Limit { limit: Limit::Instances, why }),
        None => Ok(()),
    }
}

/// Why so many instances as the job asks for cannot live in one process; of a native job each has a process.
fn too_many(job: &Job, kind: WorkerKind, machine: &Machine) -> Option<String> {
    let most = machine.mappings.filter(|_| kind == WorkerKind::Wasm && !job.sockets.is_empty())?;
    let instances = job.limits.instances?;
    let needed = instances.saturating_mul(MAPPINGS).saturating_add(MAPPINGS_BASE);
    let room = most.saturating_sub(MAPPINGS_BASE) / MAPPINGS;
    (needed > most).then(|| {
        format!(
            "{instances} instances need {needed} memory mappings, and a process has {most} at most (vm.max_map_count), \
             enough for {room}"
        )
    })
}

/// The limits that a native job asks for and nobody holds, each with the reason and what to do.
fn of_native(job: &Job) -> impl Iterator<Item = (Limit, &'static str, &'static str)> {
    let accepts = job.sockets.iter().any(|socket| !socket.place.is_remote()) && job.inetd_wait != Some(false);
    let mut limits = job.limits.clone();
    let asked = LIMITS.iter().filter(move |row| limits.slot(row.limit).is_some());
    asked.filter_map(move |row| match row.native {
        Native::Nobody(why) => Some((row.limit, why, REMOVE)),
        Native::Accepting(_) if accepts => Some((row.limit, UNCOUNTED, HAND_OVER)),
        _ => None,
    })
}

/// What is to be said before a native job is run of the limits that nobody holds for it.
pub fn unheld(job: &Job) -> impl Iterator<Item = Finding> {
    of_native(job).map(|(limit, why, advice)| {
        let key = format!("Limits.{limit}");
        let message = format!("{key} cannot be held: {why}");
        Finding::new(Severity::Error, "limit-not-held", message).at(&key, None).help(advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Place, Remote};
    use crate::wall::plan;

    fn job(keys: &str) -> Job {
        let text =
            format!("{{ Label = a; Program = \"/bin/a\"; Sockets = {{ a = {{ SockServiceName = 1; }}; }}; {keys} }}");
        let context = crate::spec::Context { folder: "/", home: "/home/me", uid: 1000 };
        let loaded = crate::spec::load(text.as_bytes(), &context);
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    #[test]
    fn what_nobody_could_hold_is_refused_by_its_name() {
        let silence = Err("the limit IdleTime cannot be held here: a native program has its connections for itself");
        let many = Err("500 instances need 9024 memory mappings, and a process has 9023 at most (vm.max_map_count)");
        let (few, inetd) = ("Limits = { Instances = 500; };", "inetdCompatibility = { Instances = 500; };");
        let accepted = Err("cannot be held here: a native program that is handed its listening sockets");
        let sources = "Limits = { ConnectionsPerSource = 5; };";
        for (keys, wasm, mappings, expected) in [
            (sources, true, None, Ok(())),
            (sources, false, None, accepted),
            ("Limits = { ConnectionRate = 5; };", false, None, accepted),
            ("inetdCompatibility = { Wait = YES; Instances = 5; };", false, None, accepted),
            ("inetdCompatibility = {}; Limits = { ConnectionsPerSource = 5; };", false, None, Ok(())),
            ("Limits = { IdleTime = 5; };", true, Some(65_530), Ok(())),
            ("Limits = { IdleTime = 5; };", false, Some(65_530), silence),
            ("Limits = { Instances = 1000; };", true, Some(65_530), Ok(())),
            (few, true, Some(9_024), Ok(())),
            (few, true, Some(9_023), many),
            (inetd, true, Some(9_023), many),
            (few, false, Some(9_023), accepted),
            (inetd, false, Some(9_023), Ok(())),
            (few, true, None, Ok(())),
            ("", true, Some(9_023), Ok(())),
        ] {
            let machine = Machine { mappings, ..Machine::able(1000) };
            match (plan(&job(keys), "/bin/a", wasm, &machine, false), expected) {
                (Ok(_), Ok(())) => {}
                (Err(refusal), Err(words)) => assert!(refusal.to_string().contains(words), "{keys}: {refusal}"),
                (plan, _) => panic!("{keys} wasm {wasm} {mappings:?}: {plan:?}"),
            }
        }
    }

    #[test]
    fn what_is_refused_of_a_native_job_is_said_before_it_is_run() {
        let all = "Instances = 5; ConnectionsPerSource = 5; ConnectionRate = 5;";
        let counted = ["Limits.Instances", "Limits.ConnectionsPerSource", "Limits.ConnectionRate"];
        for (keys, expected) in [
            ("Limits = { RunTime = 5; };".to_owned(), &[][..]),
            ("Limits = { IdleTime = 5; };".to_owned(), &["Limits.IdleTime"]),
            (format!("Limits = {{ {all} }};"), &counted),
            (format!("Limits = {{ {all} }}; inetdCompatibility = {{ Wait = YES; }};"), &counted),
            (format!("Limits = {{ {all} }}; inetdCompatibility = {{}};"), &[]),
        ] {
            let found: Vec<Finding> = unheld(&job(&keys)).collect();
            assert!(found.iter().all(|finding| finding.severity == Severity::Error), "{found:?}");
            let named: Vec<&str> = found.iter().map(|finding| finding.key_path.as_str()).collect();
            assert_eq!(named, expected, "{keys}");
        }
        let unconnected = Job { sockets: Vec::new(), ..job(&format!("Limits = {{ {all} }};")) };
        assert_eq!(unheld(&unconnected).count(), 0, "nobody connects, so that there is nothing to hold");
        let mut connected = job(&format!("Limits = {{ {all} }};"));
        connected.sockets[0].place = Place::Remote(Remote::Path("/s".into()));
        assert_eq!(unheld(&connected).count(), 0, "nor is there where the job itself connects");
    }
}
