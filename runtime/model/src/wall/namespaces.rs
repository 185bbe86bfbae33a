//! How a worker comes by namespaces of its own: by being root, by a right to mount that root leaves it, or by a user
//! namespace, in which it cannot see who its peers are. The rest of a plan does not ask how.

use super::{Machine, WorkerKind};
use crate::job::Job;

/// Whether a worker looks at its peers' users when it accepts: in a user namespace every other one reads as nobody. Where
/// a native program accepts by itself, that is left to the access lists of the sockets.
fn looks_at_users(job: &Job, kind: WorkerKind) -> bool {
    (kind == WorkerKind::Wasm || job.inetd_wait == Some(false)) && job.tells_users_apart()
}

/// Whether its supervisor leaves a worker the right to mount, for it to do without a user namespace. Processes are
/// counted by such a namespace alone.
pub(super) fn may_mount(job: &Job, kind: WorkerKind, machine: &Machine) -> bool {
    let counted = kind == WorkerKind::Native && job.limits.processes.is_some();
    machine.under_root && machine.uid != 0 && looks_at_users(job, kind) && !counted
}

/// Whether a worker looks at users, and could not from behind a mount wall. A native program is not run without that
/// wall, so that its worker does not look then.
pub(super) fn shows_everything(job: &Job, kind: WorkerKind, machine: &Machine) -> bool {
    let ordinary = machine.uid != 0 && !may_mount(job, kind, machine);
    kind == WorkerKind::Wasm && ordinary && looks_at_users(job, kind)
}

/// Whether a worker can have namespaces of its own, and why not.
pub(super) fn has_namespaces<'a>(job: &Job, kind: WorkerKind, machine: &'a Machine) -> Result<(), &'a String> {
    if may_mount(job, kind, machine) { Ok(()) } else { machine.namespaces.as_ref().copied() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::{WallRefusal, plan};

    /// A job that names who may connect to its socket.
    fn job(connect: &str, keys: &str) -> Job {
        let grants = format!("Grants = {{ {connect} Users = (www); }};");
        let sockets = "Sockets = { a = { SockPathName = \"/run/a\"; }; };";
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {grants} {sockets} {keys} }}");
        let loaded = crate::spec::load(text.as_bytes(), &crate::spec::Context { folder: "/", home: "/root", uid: 0 });
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    fn machine(uid: u32, under_root: bool, namespaces: Result<(), String>) -> Machine {
        Machine { uid, landlock_abi: 7, seccomp: true, namespaces, under_root }
    }

    fn no() -> Result<(), String> {
        Err("no namespaces".into())
    }

    /// Whether there is a view, and then whether in a user namespace.
    const VIEW: Option<bool> = Some(false);
    const MAPPED: Option<bool> = Some(true);
    const NOTHING: Option<bool> = None;

    #[test]
    fn users_are_told_apart_without_a_user_namespace() {
        let (accepts, inetd) = (job("", ""), job("", "inetdCompatibility = { Wait = NO; };"));
        let counted = job("", "inetdCompatibility = { Wait = NO; }; Limits = { Processes = 9; };");
        for (job, wasm, machine, expected) in [
            // Root itself is in no need of one.
            (&accepts, true, machine(0, true, Ok(())), VIEW),
            (&accepts, false, machine(0, true, Ok(())), VIEW),
            // Nor are root's jobs whose worker accepts, whatever an ordinary user may have here.
            (&accepts, true, machine(7, true, Ok(())), VIEW),
            (&accepts, true, machine(7, true, no()), VIEW),
            (&inetd, false, machine(7, true, Ok(())), VIEW),
            (&inetd, false, machine(7, true, no()), VIEW),
            (&accepts, false, machine(7, true, Ok(())), MAPPED),
            (&counted, false, machine(7, true, Ok(())), MAPPED),
            // An ordinary user's jobs have one, or no view.
            (&accepts, true, machine(7, false, Ok(())), NOTHING),
            (&accepts, true, machine(7, false, no()), NOTHING),
            (&inetd, false, machine(7, false, Ok(())), MAPPED),
        ] {
            let said = format!("wasm {wasm} {machine:?}");
            let plan = plan(job, "/bin/a", wasm, &machine, false).unwrap();
            let found = plan.mount.is_some().then_some(plan.user_namespace);
            assert_eq!((found, plan.missing.is_empty()), (expected, expected.is_some()), "{said}");
            assert_eq!(plan.mounts_by_leave(machine.uid), expected == VIEW && machine.uid != 0, "{said}");
        }
    }

    #[test]
    fn granted_sockets_and_named_users_go_together_under_root() {
        let both = job("Connect = (\"unix:///run/x\");", "");
        for (machine, expected) in [
            (machine(0, true, Ok(())), Ok(())),
            (machine(7, true, Ok(())), Ok(())),
            (machine(7, false, Ok(())), Err(WallRefusal::UsersBehindView)),
        ] {
            assert_eq!(plan(&both, "/bin/a", true, &machine, true).map(drop), expected, "{machine:?}");
        }
    }
}
