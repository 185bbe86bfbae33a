//! What a job may use up: its limits as its file means them, and with what holds each of them for its kind of program on
//! one machine.

use super::held;
use crate::control::Sentence;
use crate::job::Job;
use crate::limit::{LIMITS, Limit, LimitRow};
use crate::message::Evidence;
use crate::program::ProgramKind;
use crate::wall::{Holding, Machine, Wall, WallPlan, WallRefusal, holding, plan};

/// What is said of each limit of a job whose program cannot be opened.
const UNKNOWN: &str = "what holds it is not known, as its program cannot be opened";
/// What is said of each limit of a job that is not run for other reasons.
const UNSTARTED: &str = "nothing holds it, and the job would not be started here";

/// A sentence for each limit.
pub(super) fn sentences(job: &Job) -> Vec<Sentence> {
    let sentence = |(row, value): (&LimitRow, u64)| {
        let says = format!("{} is at most {value} {} per {}.", row.key, row.unit, row.per);
        let kernel = [row.kernel_wall, row.refused].into_iter().filter(|words| !words.is_empty());
        held(format!("Limits.{}", row.key), says, row.guest_wall, &kernel.collect::<Vec<_>>().join("; "))
    };
    set(job).map(sentence).collect()
}

/// The limits of a job, in words.
pub fn limits_alone(job: &Job) -> Vec<String> {
    set(job).map(|(row, value)| format!("{} {value}", row.key)).collect()
}

/// The same with what holds each of them: for a program of this kind, behind the walls that this machine puts up, but
/// those that were seen to have fallen in its last run.
pub fn limits_held(job: &Job, kind: Option<ProgramKind>, machine: &Machine, evidence: &[Evidence]) -> Vec<String> {
    let Some(kind) = kind else {
        return each(job, |_| UNKNOWN.to_owned());
    };
    let (plan, refused) = planned(job, kind.is_wasm(), machine);
    let plan = plan.map(|plan| standing(plan, evidence));
    each(job, |row| {
        let refusal = refused.iter().find(|(limit, _)| *limit == row.limit);
        match (refusal, &plan) {
            (Some((_, why)), _) => format!("nothing holds it, and the job would not be started here: {why}"),
            (None, Some(plan)) => in_words(job, row, plan, kind),
            (None, None) => UNSTARTED.to_owned(),
        }
    })
}

fn each(job: &Job, words: impl Fn(&LimitRow) -> String) -> Vec<String> {
    set(job).map(|(row, value)| format!("{} {value}: {}", row.key, words(row))).collect()
}

/// Beyond some of its limits a native program is refused something, and goes on.
fn in_words(job: &Job, row: &LimitRow, plan: &WallPlan, kind: ProgramKind) -> String {
    let holding = holding(job, row.limit, plan);
    let refuses = !kind.is_wasm() && !row.refused.is_empty() && matches!(holding, Holding::By(_));
    let refused = if refuses { format!("; {}", row.refused) } else { String::new() };
    holding.in_words() + &refused
}

/// The limits that a job has, with their numbers.
fn set(job: &Job) -> impl Iterator<Item = (&'static LimitRow, u64)> {
    let mut limits = job.limits.clone();
    LIMITS.iter().filter_map(move |row| Some((row, (*limits.slot(row.limit))?)))
}

/// The walls of a run, and the limits for which it would be refused, with the reasons: the walls are those that it would
/// have without them.
fn planned(job: &Job, wasm: bool, machine: &Machine) -> (Option<WallPlan>, Vec<(Limit, String)>) {
    let (mut job, mut refused) = (job.clone(), Vec::new());
    // Each refusal takes one of them.
    for _ in LIMITS {
        match plan(&job, job.program.file.text(), wasm, machine, true) {
            Ok(plan) => return (Some(plan), refused),
            Err(WallRefusal::Limit { limit, why }) => {
                *job.limits.slot(limit) = None;
                refused.push((limit, why));
            }
            Err(_) => break,
        }
    }
    (None, refused)
}

/// The plan without what was seen to have fallen.
fn standing(plan: WallPlan, evidence: &[Evidence]) -> WallPlan {
    let fallen = |wall: Wall| evidence.iter().any(|evidence| evidence.wall == wall && !evidence.stands);
    let cgroup = plan.cgroup.filter(|_| !fallen(Wall::Cgroup));
    let limits = if fallen(Wall::Limits) { Vec::new() } else { plan.limits.clone() };
    WallPlan { cgroup, limits, ..plan }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, load};
    use crate::wall::Delegated;

    const WASM: Option<ProgramKind> = Some(ProgramKind::Component);
    const NATIVE: Option<ProgramKind> = Some(ProgramKind::Elf);
    const SOCKET: &str = "Sockets = { a = { SockServiceName = 1; }; };";
    const INETD: &str = "Sockets = { a = { SockServiceName = 1; }; }; inetdCompatibility = {};";

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/p/a\"; {keys} }}");
        let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 });
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    /// What is said of the one limit of a job.
    #[track_caller]
    fn said(limit: &str, more: &str, kind: Option<ProgramKind>, machine: &Machine) -> String {
        let found = limits_held(&job(&format!("Limits = {{ {limit} = 80000; }}; {more}")), kind, machine, &[]);
        let [line] = &found[..] else { panic!("{found:?}") };
        let words = line.strip_prefix(&format!("{limit} 80000: "));
        words.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    #[test]
    fn each_limit_is_said_to_be_held_by_the_walls_of_its_kind_of_program() {
        let accepted = "would not be started here: a native program that is handed its listening sockets";
        for (limit, more, kind, expected) in [
            ("Memory", "", WASM, "(sum over memories and tables) and the kernel wall (RLIMIT_DATA of its worker)"),
            ("Memory", "", NATIVE, "held by the kernel wall (RLIMIT_DATA, each process for itself; all of them"),
            ("CPUTime", "", WASM, "(ticks of its own running time) and the kernel wall (RLIMIT_CPU of its worker)"),
            ("CPUTime", SOCKET, WASM, "held by the WASI wall (ticks of its own running time)"),
            ("CPUTime", "", NATIVE, "the kernel wall (RLIMIT_CPU, each process for itself; its worker, all of them"),
            ("CPUTime", INETD, NATIVE, "held by the kernel wall (RLIMIT_CPU, each process for itself)"),
            ("RunTime", "", WASM, "at the deadline) and the supervisor (the worker is killed 1 s later)"),
            ("RunTime", SOCKET, WASM, "held by the WASI wall (the run is dropped at the deadline)"),
            ("RunTime", "", NATIVE, "held by the supervisor (the worker is killed 1 s later)"),
            ("RunTime", SOCKET, NATIVE, "held by the supervisor (the worker is killed 1 s later)"),
            ("RunTime", INETD, NATIVE, "held by the kernel wall (its worker: each connection's process is killed"),
            ("ConnectionRate", SOCKET, WASM, "held by the WASI wall (accepting pauses)"),
            ("ConnectionRate", INETD, NATIVE, "held by the kernel wall (its worker: accepting pauses)"),
            ("ConnectionsPerSource", INETD, NATIVE, "held by the kernel wall (its worker: closed at accept)"),
            ("ConnectionsPerSource", SOCKET, NATIVE, accepted),
            ("ConnectionsPerSource", "", NATIVE, "nothing holds it: nobody connects to it"),
            ("IdleTime", "", WASM, "nothing holds it: nobody connects to it"),
            ("Handles", "", WASM, "capacity) and the kernel wall (RLIMIT_NOFILE of its worker)"),
            ("Handles", "", NATIVE, "held by the kernel wall (RLIMIT_NOFILE, each process for itself); a native"),
            ("OutputSize", "", WASM, "held by the WASI wall (the run ends at the first byte too many)"),
            ("OutputSize", "", NATIVE, "held by the kernel wall (its worker: reading stops and the run is killed)"),
            ("OutputRate", INETD, NATIVE, "held by the kernel wall (its worker: of standard error, which is no"),
            ("Processes", "", WASM, "nothing holds it: WebAssembly has no processes"),
            ("Processes", "", NATIVE, "held by the kernel wall (RLIMIT_NPROC of its own user namespace); a program"),
            ("Message", "", NATIVE, "nothing holds it: nothing acts on it yet"),
            ("Memory", "", None, "what holds it is not known, as its program cannot be opened"),
        ] {
            let words = said(limit, more, kind, &Machine::able(1000));
            assert!(words.contains(expected), "{limit} {more} {kind:?}: {words}");
            let refused = ["sees ENOMEM", "sees EMFILE", "sees EAGAIN"].iter().any(|part| words.contains(part));
            let told = kind == NATIVE && ["Memory", "Handles", "Processes"].contains(&limit);
            assert_eq!(refused, told, "{limit} {more} {kind:?}: {words}");
        }
    }

    #[test]
    fn idle_time_of_a_native_program_is_held_by_nobody_and_the_rest_is_told_all_the_same() {
        let job = job(&format!("Limits = {{ IdleTime = 5; RunTime = 9; Instances = 5; }}; {SOCKET}"));
        let found = limits_held(&job, NATIVE, &Machine::able(1000), &[]);
        let part = "nothing holds it, and the job would not be started here: ";
        let [run_time, instances, idle_time] = &found[..] else { panic!("{found:?}") };
        assert_eq!(run_time, "RunTime 9: held by the supervisor (the worker is killed 1 s later)");
        assert!(instances.starts_with(&format!("Instances 5: {part}")), "{instances}");
        assert!(idle_time.starts_with(&format!("IdleTime 5: {part}a native program has its")), "{idle_time}");
    }

    fn delegated(memory: bool, processes: bool) -> Result<Delegated, String> {
        Ok(Delegated { folder: "/sys/fs/cgroup/a".into(), memory, processes })
    }

    #[test]
    fn what_takes_a_control_group_is_said_with_and_without_one() {
        let (none, together) = (|| Err("none".to_owned()), "of its control group, all of them together");
        let lacking = "all of them together would take a control group, and it has none";
        let uncounted = "would not be started here: the kernel does not count the processes of uid 0";
        for (limit, more, uid, cgroup, expected) in [
            ("Memory", "", 1000, none(), format!("(RLIMIT_DATA, each process for itself; {lacking})")),
            ("Memory", "", 1000, delegated(false, true), format!("(RLIMIT_DATA, each process for itself; {lacking})")),
            ("Memory", "", 0, delegated(true, false), format!("for itself; memory.max {together})")),
            ("Processes", "", 1000, delegated(true, true), format!("user namespace; pids.max {together})")),
            ("Processes", "", 0, delegated(true, true), format!("(pids.max {together})")),
            ("Processes", "", 0, none(), uncounted.to_owned()),
            ("Processes", "Isolation = None;", 1000, none(), "with all others of its user, and not for root)".into()),
        ] {
            let machine = Machine { cgroup, ..Machine::able(uid) };
            let words = said(limit, more, NATIVE, &machine);
            assert!(words.contains(&expected), "{limit} {more} {machine:?}: {words}");
        }
        let machine = Machine { cgroup: delegated(true, true), ..Machine::able(1000) };
        let words = said("Memory", "", WASM, &machine);
        assert!(words.ends_with("(RLIMIT_DATA of its worker; memory.max of its control group)"), "{words}");
    }

    #[test]
    fn a_wall_that_has_fallen_holds_nothing() {
        let machine = Machine { cgroup: delegated(true, true), ..Machine::able(1000) };
        let job = job("Limits = { Memory = 65536; Handles = 99; };");
        let fallen = |wall: Wall| Evidence { wall, found: String::new(), stands: false };
        let (both, group) = ([fallen(Wall::Cgroup), fallen(Wall::Limits)], [fallen(Wall::Cgroup)]);
        let found = limits_held(&job, NATIVE, &machine, &group);
        assert!(found[0].contains("would take a control group") && !found[0].contains("memory.max"), "{found:?}");
        for line in limits_held(&job, NATIVE, &machine, &both) {
            assert!(line.contains(": nothing holds it: no wall that would hold it stands"), "{line}");
        }
        let guest = limits_held(&job, WASM, &machine, &both);
        assert_eq!(guest[0], "Memory 65536: held by the WASI wall (sum over memories and tables)");
    }

    #[test]
    fn the_numbers_alone_are_told_too() {
        assert_eq!(limits_alone(&job("Limits = { RunTime = 9; Memory = 65536; };")), ["Memory 65536", "RunTime 9"]);
        assert!(limits_alone(&job("")).is_empty() && limits_held(&job(""), WASM, &Machine::able(0), &[]).is_empty());
    }
}
