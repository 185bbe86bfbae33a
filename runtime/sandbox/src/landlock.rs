//! The landlock wall: paths and TCP ports, below the mount wall and on the same descriptors.
//! It cannot hold addresses, UDP ports or chmod; the WASI and mount walls do, and `wjob info` says so.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    RestrictSelfAttr, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use wjob_model::grant::Access;
use wjob_model::wall::{LANDLOCK_NEWEST, Ports, Wall, WallPlan, WorkerKind};

use crate::grants::Opened;
use crate::mount::BASE;
use crate::{Doing, WallError};

/// Restricts the calling thread; every right the ABI knows is handled, so what no rule gives is refused.
///
/// # Errors
/// When the kernel does not enforce all of it.
pub fn restrict(plan: &WallPlan, opened: &[Opened]) -> Result<(), WallError> {
    if plan.landlock_abi == 0 {
        return Ok(());
    }
    let abi = ABI::from(i32::try_from(plan.landlock_abi.min(LANDLOCK_NEWEST)).unwrap_or_default());
    let rules = ruleset(plan, abi).doing(Wall::Landlock, "make the ruleset")?;
    let rules = paths(rules, plan, opened, abi).doing(Wall::Landlock, "rules on granted paths")?;
    let rules = surroundings(rules, plan, opened, abi).doing(Wall::Landlock, "rules on the base")?;
    let rules = ports(rules, plan, abi).doing(Wall::Landlock, "rules on ports")?;
    let rules = flags(rules, plan.kind, abi).doing(Wall::Landlock, "flags")?;
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
        Access::Connect if abi >= ABI::V9 => AccessFs::ResolveUnix.into(),
        // Older ones know no right to connect to a socket with a path: the mount wall shows none that is not granted.
        Access::Connect => BitFlags::empty(),
    };
    if directory { rights } else { rights & AccessFs::from_file(abi) }
}

/// ReadWrite: everything but executing, device nodes and the sockets of others; those that the job makes itself are its
/// own in any case (landlock(7), LANDLOCK_ACCESS_FS_RESOLVE_UNIX). A guest has no use for FIFOs and sockets.
fn writing(kind: WorkerKind, abi: ABI) -> BitFlags<AccessFs> {
    let mut rights = AccessFs::from_all(abi);
    let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    rights.remove(never | AccessFs::ResolveUnix);
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

/// What is written to the machine's audit log, and who is restricted. Of a job every refusal would be in the log, as often
/// as it likes, and the probe of each start: that flag is for programs that execute what others wrote, and so is the one
/// for walls that a job puts around its own children (landlock_restrict_self(2)). Helpers run nobody's code, and what they
/// are refused is worth a line. There is one thread yet; should that be wrong one day, all are restricted.
fn flags(mut rules: RulesetCreated, kind: WorkerKind, abi: ABI) -> Rules {
    if abi >= ABI::V7 && matches!(kind, WorkerKind::Wasm | WorkerKind::Native) {
        rules = rules.log_same_exec(false)?.log_subdomains(false)?;
    }
    if abi >= ABI::V8 {
        rules = rules.all_threads(true)?;
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::path::Path;
    use std::{fs, io, thread};

    use wjob_model::grant::PathGrant;
    use wjob_model::wall::{CompileBounds, Machine, compile_plan};

    use super::*;
    use crate::machine;

    /// Newest ABI whose restrictions are those of one thread; later ones restrict all that this process has.
    const OF_A_THREAD: u32 = 7;

    /// What one thread can do behind the rules of an ABI: read what is granted, write to it, cut it off, read elsewhere,
    /// connect to a port and to an abstract socket.
    fn tried(landlock_abi: u32) -> [bool; 6] {
        let folder = tempfile::tempdir().unwrap();
        let (granted, other) = (folder.path().join("granted"), folder.path().join("other"));
        for place in [&granted, &other] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("file"), "text").unwrap();
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = SocketAddr::from_abstract_name(folder.path().as_os_str().as_encoded_bytes()).unwrap();
        let _named = UnixListener::bind_addr(&name).unwrap();
        let machine = Machine { landlock_abi, ..Machine::able(1) };
        let plan = WallPlan { kind: WorkerKind::Wasm, ..compile_plan(&machine, CompileBounds::default()) };
        let grant = PathGrant {
            host: granted.display().to_string(),
            guest: granted.display().to_string(),
            access: Access::ReadOnly,
        };
        let opened = crate::grants::open(&[grant], &[], None).unwrap();
        let walled = thread::spawn(move || {
            restrict(&plan, &opened).unwrap();
            let file = granted.join("file");
            [
                fs::read(&file).is_ok(),
                fs::File::options().append(true).open(&file).is_ok(),
                cut_off(&file),
                fs::read(other.join("file")).is_ok(),
                !is_refused(TcpStream::connect((Ipv4Addr::LOCALHOST, port))),
                !is_refused(UnixStream::connect_addr(&name)),
            ]
        });
        walled.join().unwrap()
    }

    /// truncate(2), which opens nothing.
    fn cut_off(file: &Path) -> bool {
        let file = CString::new(file.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: the path is NUL-terminated and outlives the call.
        unsafe { libc::truncate(file.as_ptr(), 0) == 0 }
    }

    fn is_refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn each_abi_holds_what_it_knows() {
        let kernel = machine::look().landlock_abi;
        if kernel == 0 {
            return println!("skipped: the kernel has no landlock");
        }
        for abi in 1..=kernel.min(OF_A_THREAD) {
            let [read, write, cut, elsewhere, connect, named] = tried(abi);
            assert_eq!((read, write, elsewhere), (true, false, false), "ABI {abi}");
            assert_eq!((cut, connect, named), (abi < 3, abi < 4, abi < 6), "ABI {abi}");
        }
    }

    #[test]
    fn an_abi_that_the_kernel_does_not_have_is_an_error_and_no_weaker_wall() {
        let kernel = machine::look().landlock_abi;
        if kernel == 0 || kernel >= LANDLOCK_NEWEST {
            return println!("skipped: no ABI is newer than this kernel's");
        }
        let machine = Machine { landlock_abi: LANDLOCK_NEWEST, ..Machine::able(1) };
        let plan = compile_plan(&machine, CompileBounds::default());
        let refused = thread::spawn(move || restrict(&plan, &[]).map_err(|error| error.wall)).join().unwrap();
        assert_eq!(refused, Err(Wall::Landlock));
    }
}
