//! The process in a worker's place: puts the walls up by the worker's own calls in the worker's order, then performs
//! one attack and says on standard output what came of it. It judges nothing.

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions};
use wjob_model::grant::{Access, Endpoint, Grants, PathGrant};
use wjob_model::limit::Limits;
use wjob_model::wall::{Machine, MountPlan, NetworkPlan, Wall, WallPlan, WorkerKind, kernel_limits};
use wjob_sandbox::grants::Opened;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::{confine, grants, machine, mount, namespaces};

use crate::raw;
use crate::scene::Scene;
use crate::table::{Case, Need, Network, cases};

/// Beginnings of the line that says what came of the attack.
pub const ESCAPED: &str = "escaped: ";
pub const CONTAINED: &str = "contained: ";
pub const KILLED: &str = "killed: ";
pub const DUMPED: &str = "dumped: ";
pub const NO_WALLS: &str = "no walls: ";

/// Performs the attack named by the first argument in the scene of the others.
pub fn perform(arguments: &[String]) -> ExitCode {
    let case = cases().into_iter().find(|case| case.name() == arguments[0]).expect("the runner names a case");
    plain_descriptors();
    let machine = machine::look();
    let mut scene = Scene::of_arguments(&arguments[1..]).seen_through(shows_view(&case, &machine));
    scene.network = NetworkPlan::of(&endpoints(case.attack.network, &scene));
    let plan = plan(&case, &scene, &machine);
    let old_descriptor = (case.attack.need == Need::OldDescriptor).then(|| granted_folder(&scene));
    scene.old_descriptor = old_descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    if case.attack.need == Need::NoWalls {
        return attack(&case, &scene);
    }
    match enter(&plan, &scene) {
        Ok(opened) if plan.processes => in_own_process_table(&case, &plan, &scene, opened),
        Ok(opened) => inside(&case, &plan, &scene, opened),
        Err(why) => say(NO_WALLS, &why),
    }
}

/// Descriptors as a worker finds them: 0 to 2, the supervisor's channel on 3; its other end stands on 4.
fn plain_descriptors() {
    // Nothing in this process holds a descriptor above 2 yet, but whoever started it may have left some open.
    raw::call(libc::SYS_close_range, &[3, u32::MAX as usize, 0]).expect("numbers in order");
    raw::pair(libc::AF_UNIX, libc::SOCK_SEQPACKET).expect("a pair of sockets");
}

fn granted_folder(scene: &Scene) -> OwnedFd {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(scene.host("rw"), flags, Mode::empty()).expect("the stage has made it")
}

fn shows_view(case: &Case, machine: &Machine) -> bool {
    machine.namespaces.is_ok() && case.row.without != Some(Wall::Mount)
}

/// The plan that `model` makes for a job with these grants, but for the wall left out.
fn plan(case: &Case, scene: &Scene, machine: &Machine) -> WallPlan {
    let kind = case.row.kind;
    let native = kind == WorkerKind::Native;
    let stands = |wall: Wall| case.row.without != Some(wall);
    let view = shows_view(case, machine);
    WallPlan {
        kind,
        user_namespace: view && machine.uid != 0,
        mount: view.then(|| MountPlan { grants: opened(scene), base: native, ..MountPlan::default() }),
        processes: view && native,
        network_namespace: view && native && !scene.network.any(),
        network: scene.network.clone(),
        limits: kernel_limits(&Limits::default(), &[], kind, true, false),
        cgroup: None,
        landlock_abi: if stands(Wall::Landlock) { machine.landlock_abi } else { 0 },
        seccomp: machine.seccomp && stands(Wall::Seccomp),
        missing: Vec::new(),
    }
}

fn paths(scene: &Scene) -> Vec<PathGrant> {
    let grant = |name: &str, access| {
        let guest = format!("{}/{name}", scene.view);
        PathGrant { host: scene.host(name), guest, access }
    };
    vec![grant("ro", Access::ReadOnly), grant("rw", Access::ReadWrite)]
}

/// All that is opened before the walls.
fn opened(scene: &Scene) -> Vec<PathGrant> {
    let socket = scene.network.unix.then(|| {
        let path = scene.granted_socket();
        PathGrant { host: path.clone(), guest: path, access: Access::Connect }
    });
    paths(scene).into_iter().chain(socket).collect()
}

fn endpoints(network: Network, scene: &Scene) -> Grants {
    let endpoint = |scheme: &str, port: u16| -> Endpoint {
        format!("{scheme}://127.0.0.1:{port}").parse().expect("a literal address and a port")
    };
    let unix = || -> Endpoint { format!("unix://{}", scene.granted_socket()).parse().expect("a path") };
    let tcp = endpoint("tcp", scene.port);
    let udp = endpoint("udp", scene.datagram_port);
    let (connect, bind) = match network {
        Network::Nothing => (vec![], vec![]),
        Network::Tcp => (vec![tcp], vec![]),
        Network::Udp => (vec![udp], vec![]),
        Network::TcpAndUdp => (vec![tcp, udp], vec![]),
        Network::Bind => (vec![], vec![endpoint("tcp", scene.bind_port)]),
        Network::Unix => (vec![unix()], vec![]),
        Network::UnixAndTcp => (vec![unix(), tcp], vec![]),
    };
    Grants { connect, bind, ..Grants::default() }
}

/// The worker's step 3: namespaces, then what the job names is opened.
fn enter(plan: &WallPlan, scene: &Scene) -> Result<Vec<Opened>, String> {
    namespaces::enter(plan).map_err(|error| error.to_string())?;
    grants::open(&opened(scene), &[], None).map_err(|error| error.to_string())
}

/// The worker's step 4. What was opened is let go, as the worker does.
fn put_up(plan: &WallPlan, opened: Vec<Opened>) -> Result<(), String> {
    let before = Before::open();
    if let Some(view) = &plan.mount {
        mount::put_up(view, &opened, None).map_err(|error| error.to_string())?;
    }
    if let Some(evidence) = before.mounts(plan, &opened).filter(|evidence| !evidence.stands) {
        return Err(evidence.found);
    }
    confine(plan, &opened).map_err(|error| error.to_string())?;
    try_what_must_fail(plan).map(drop).map_err(|error| error.to_string())
}

fn inside(case: &Case, plan: &WallPlan, scene: &Scene, opened: Vec<Opened>) -> ExitCode {
    if let Err(why) = put_up(plan, opened) {
        return say(NO_WALLS, &why);
    }
    attack(case, scene)
}

/// As in a native worker: the init of the new process table puts the walls up, and the program is its child.
fn in_own_process_table(case: &Case, plan: &WallPlan, scene: &Scene, opened: Vec<Opened>) -> ExitCode {
    in_child(|| {
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        if let Err(why) = put_up(plan, opened) {
            return say(NO_WALLS, &why);
        }
        in_child(|| attack(case, scene))
    })
}

/// Performs in a child and says by which signal it ended, if by one.
fn in_child(perform: impl FnOnce() -> ExitCode) -> ExitCode {
    // SAFETY: this process has one thread, so the child may do anything its parent could.
    match unsafe { libc::fork() } {
        0 => perform(),
        -1 => say(NO_WALLS, &format!("fork: {}", std::io::Error::last_os_error())),
        child => {
            let waited = rustix::process::waitpid(Pid::from_raw(child), WaitOptions::empty());
            match waited.ok().flatten().and_then(|(_, status)| Some((status.terminating_signal()?, status))) {
                Some((signal, status)) if libc::WCOREDUMP(status.as_raw()) => say(DUMPED, &signal.to_string()),
                Some((signal, _)) => say(KILLED, &signal.to_string()),
                None => ExitCode::SUCCESS,
            }
        }
    }
}

fn attack(case: &Case, scene: &Scene) -> ExitCode {
    match (case.attack.perform)(scene) {
        Ok(what) => say(ESCAPED, &what),
        Err(errno) => say(CONTAINED, &errno.to_string()),
    }
}

/// One line in one write: nothing else is certain to be allowed.
fn say(beginning: &str, rest: &str) -> ExitCode {
    let written = raw::write(1, format!("{beginning}{rest}\n").as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
