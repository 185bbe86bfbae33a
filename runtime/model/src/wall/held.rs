//! Limits that nobody could hold, whatever walls are put up: these are refused, where others would only be promised.

use super::{Machine, WallRefusal, WorkerKind};
use crate::finding::{Finding, Severity};
use crate::job::Job;
use crate::limit::Limit;

/// Most memory mappings of one instance. Its place has two memories, each in at most four stretches with rights of
/// their own (what the program begins with, what was grown, what may be, the guard), and a stack with its guard; the
/// rest is for what the allocator maps for its store.
const MAPPINGS: u64 = 16;
/// Mappings of the worker itself: its program, libraries, threads and the code of the guest.
const MAPPINGS_BASE: u64 = 1_024;

/// Why a connection of a native program can be silent for as long as it likes.
const SILENT: &str = "a native program has its connections for itself, and nobody sees how long one is silent";

/// That every limit of the job can be held.
///
/// # Errors
/// Names the first that cannot.
pub(super) fn all(job: &Job, kind: WorkerKind, machine: &Machine) -> Result<(), WallRefusal> {
    if kind == WorkerKind::Native && job.limits.idle_time.is_some() {
        return Err(WallRefusal::Limit { limit: Limit::IdleTime, why: SILENT.into() });
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

/// What is to be said before a native job is run of a limit that nobody holds for it.
pub fn unheld(job: &Job) -> Option<Finding> {
    job.limits.idle_time.map(|_| {
        let message = format!("Limits.IdleTime cannot be held: {SILENT}");
        Finding::new(Severity::Error, "limit-not-held", message)
            .at("Limits.IdleTime", None)
            .help("remove it; the program itself may have such a limit, and Limits.RunTime ends a process by its age")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for (keys, wasm, mappings, expected) in [
            ("Limits = { IdleTime = 5; };", true, Some(65_530), Ok(())),
            ("Limits = { IdleTime = 5; };", false, Some(65_530), silence),
            ("Limits = { Instances = 1000; };", true, Some(65_530), Ok(())),
            (few, true, Some(9_024), Ok(())),
            (few, true, Some(9_023), many),
            (inetd, true, Some(9_023), many),
            (few, false, Some(9_023), Ok(())),
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
        assert_eq!(unheld(&job("Limits = { RunTime = 5; };")), None);
        let finding = unheld(&job("Limits = { IdleTime = 5; };")).unwrap();
        assert_eq!((finding.severity, finding.key_path.as_str()), (Severity::Error, "Limits.IdleTime"));
    }
}
