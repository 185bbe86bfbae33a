//! The landlock wall: paths and TCP ports, below the mount wall and on the same descriptors.
//! It cannot hold addresses, UDP ports or chmod; the WASI and mount walls do, and `wjob info` says so.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use wjob_model::grant::Access;
use wjob_model::wall::{Ports, Wall, WallPlan, WorkerKind};

use crate::grants::Opened;
use crate::mount::BASE;
use crate::{Doing, WallError};

/// Newest ABI this build has rules for.
pub const NEWEST_ABI: u32 = 7;

/// Restricts the calling thread; every right the ABI knows is handled, so what no rule gives is refused.
///
/// # Errors
/// When the kernel does not enforce all of it.
pub fn restrict(plan: &WallPlan, opened: &[Opened]) -> Result<(), WallError> {
    if plan.landlock_abi == 0 {
        return Ok(());
    }
    let abi = ABI::from(i32::try_from(plan.landlock_abi.min(NEWEST_ABI)).unwrap_or_default());
    let rules = ruleset(plan, abi).doing(Wall::Landlock, "make the ruleset")?;
    let rules = paths(rules, plan, opened, abi).doing(Wall::Landlock, "rules on granted paths")?;
    let rules = surroundings(rules, plan, opened, abi).doing(Wall::Landlock, "rules on the base")?;
    let rules = ports(rules, plan, abi).doing(Wall::Landlock, "rules on ports")?;
    let status = rules.restrict_self().doing(Wall::Landlock, "restrict")?;
    if status.ruleset == RulesetStatus::FullyEnforced {
        Ok(())
    } else {
        Err(WallError::new(Wall::Landlock, "restrict", "the kernel enforces only a part of it"))
    }
}

type Rules = Result<RulesetCreated, landlock::RulesetError>;

fn ruleset(plan: &WallPlan, abi: ABI) -> Rules {
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi))?;
    // With `Ports::Any` for both there is nothing to hold, and no rule can say "any port".
    let ports = handled_ports(plan, abi);
    if !ports.is_empty() {
        ruleset = ruleset.handle_access(ports)?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    }
    ruleset.create()
}

/// A kind of port use is handled unless a grant lets any port through.
fn handled_ports(plan: &WallPlan, abi: ABI) -> BitFlags<AccessNet> {
    let mut handled = BitFlags::empty();
    if abi >= ABI::V4 {
        if plan.network.connect_ports != Ports::Any {
            handled |= AccessNet::ConnectTcp;
        }
        if plan.network.bind_ports != Ports::Any {
            handled |= AccessNet::BindTcp;
        }
    }
    handled
}

/// What an access lets a job do below a granted path.
fn rights(access: Access, kind: WorkerKind, directory: bool, abi: ABI) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rights = match access {
        Access::ReadOnly => read,
        Access::Execute => read | AccessFs::Execute,
        Access::ReadWrite => writing(kind, abi),
        // These ABIs know no right to connect to a socket with a path: the mount wall shows none that is not granted.
        Access::Connect => BitFlags::empty(),
    };
    if directory { rights } else { rights & AccessFs::from_file(abi) }
}

/// ReadWrite: everything but executing and device nodes; a guest has no use for FIFOs and sockets.
fn writing(kind: WorkerKind, abi: ABI) -> BitFlags<AccessFs> {
    let mut rights = AccessFs::from_all(abi);
    rights.remove(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    if kind == WorkerKind::Wasm {
        rights.remove(AccessFs::MakeSock | AccessFs::MakeFifo);
    }
    rights
}

fn paths(mut rules: RulesetCreated, plan: &WallPlan, opened: &[Opened], abi: ABI) -> Rules {
    for opened in opened {
        let rights = rights(opened.grant.access, plan.kind, opened.directory, abi);
        if !rights.is_empty() {
            rules = rules.add_rule(PathBeneath::new(&opened.descriptor, rights))?;
        }
    }
    Ok(rules)
}

/// What the kind of worker needs besides its grants, as the job's view shows it.
fn surroundings(rules: RulesetCreated, plan: &WallPlan, opened: &[Opened], abi: ABI) -> Rules {
    match plan.kind {
        WorkerKind::Wasm => folders_of_files(rules, plan, opened),
        WorkerKind::Compile | WorkerKind::Logger => Ok(rules),
        WorkerKind::Resolve => resolver_files(rules),
        WorkerKind::Native => native(rules, plan, abi),
    }
}

/// The private folder of a granted file can be listed. Not the root: a right on it would be one on everything.
fn folders_of_files(mut rules: RulesetCreated, plan: &WallPlan, opened: &[Opened]) -> Rules {
    if plan.mount.is_none() {
        return Ok(rules);
    }
    for file in opened.iter().filter(|opened| !opened.directory && opened.grant.access != Access::Connect) {
        match file.grant.guest.rsplit_once('/') {
            None | Some(("", _)) => {}
            Some((folder, _)) => rules = rule(rules, folder, AccessFs::ReadDir.into())?,
        }
    }
    Ok(rules)
}

/// Files libc reads to look a name up, and the libraries it loads for that (nsswitch.conf(5), resolv.conf(5)).
const RESOLVER_FILES: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/systemd/resolve",
];

fn resolver_files(mut rules: RulesetCreated) -> Rules {
    for path in RESOLVER_FILES {
        rules = rule(rules, path, AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute)?;
    }
    Ok(rules)
}

fn native(mut rules: RulesetCreated, plan: &WallPlan, abi: ABI) -> Rules {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mount = plan.mount.as_ref();
    if mount.is_some_and(|mount| mount.root.is_some()) {
        // Another root takes the base's place; where nothing may be executed the mounts say so.
        rules = rule(rules, "/", read | AccessFs::Execute)?;
    } else {
        rules = rule(rules, "/", AccessFs::ReadDir.into())?;
        let program = mount.and_then(|mount| mount.program.as_deref());
        for path in BASE.iter().copied().chain(program) {
            rules = rule(rules, path, read | AccessFs::Execute)?;
        }
    }
    rules = rule(rules, "/proc", read)?;
    rules = rule(rules, "/dev", read | AccessFs::WriteFile)?;
    rule(rules, "/tmp", writing(WorkerKind::Native, abi))
}

/// A rule on a path of the current view; what is not there needs none.
fn rule(rules: RulesetCreated, path: &str, rights: BitFlags<AccessFs>) -> Rules {
    let Ok(descriptor) = PathFd::new(path) else {
        return Ok(rules);
    };
    let directory = std::fs::metadata(path).is_ok_and(|status| status.is_dir());
    let rights = if directory { rights } else { rights & AccessFs::from_file(ABI::V3) };
    rules.add_rule(PathBeneath::new(descriptor, rights))
}

fn ports(mut rules: RulesetCreated, plan: &WallPlan, abi: ABI) -> Rules {
    if abi < ABI::V4 {
        return Ok(rules);
    }
    for (ports, access) in
        [(&plan.network.connect_ports, AccessNet::ConnectTcp), (&plan.network.bind_ports, AccessNet::BindTcp)]
    {
        if let Ports::These(ports) = ports {
            for port in ports {
                rules = rules.add_rule(NetPort::new(*port, access))?;
            }
        }
    }
    Ok(rules)
}
