//! Attacks on other processes, the supervisor's and a neighbour's of the same user, and on living longer than the
//! job. A native program sees no other process at all: its process table is its own.

use wjob_model::wall::Wall::{Capabilities, Landlock, Mount, Processes, Seccomp};

use crate::raw::{self, at, at_mut, call, descriptor, done, number};
use crate::scene::Scene;
use crate::table::{Answer, Attack, Need, Network, Row, attack, native, native_without, wasm, wasm_without};

const EPERM: i32 = libc::EPERM;
const ESRCH: i32 = libc::ESRCH;

/// Landlock's ABI that keeps signals within a job.
const SCOPES: u32 = 6;

/// Signals to processes outside.
const SIGNALS: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Processes, &[ESRCH]),
    native_without(Seccomp, Processes, &[ESRCH]),
    native_without(Landlock, Processes, &[ESRCH]),
];

/// Signals by the call that a worker needs to end itself.
const OWN_SIGNALS: &[Row] = &[
    wasm(Landlock, &[EPERM]).since(SCOPES),
    wasm_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    native(Processes, &[ESRCH]),
];

/// The inside of processes outside.
const INSIDES: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Landlock, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    native(Seccomp, &[EPERM]),
    native_without(Seccomp, Processes, &[ESRCH]),
];

/// Handles of processes outside.
const HANDLES: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Landlock, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    native(Processes, &[ESRCH]),
    native_without(Seccomp, Processes, &[ESRCH]),
];

/// New namespaces, where every capability would be held again.
const NAMESPACE: &[Row] = &[
    wasm(Seccomp, &[EPERM, libc::ENOSYS]),
    wasm_without(Landlock, Seccomp, &[EPERM, libc::ENOSYS]),
    native(Seccomp, &[EPERM, libc::ENOSYS]),
    native_without(Landlock, Seccomp, &[EPERM, libc::ENOSYS]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(kill_the_supervisor, Network::Nothing, Need::Nothing, SIGNALS),
    attack!(kill_a_neighbour, Network::Nothing, Need::Nothing, SIGNALS),
    attack!(kill_the_supervisors_thread, Network::Nothing, Need::Nothing, OWN_SIGNALS),
    attack!(kill_a_neighbours_thread, Network::Nothing, Need::Nothing, OWN_SIGNALS),
    attack!(
        kill_a_neighbour_by_handle,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Seccomp, Landlock, &[EPERM]).since(SCOPES), native(Processes, &[ESRCH]),]
    ),
    attack!(trace_the_supervisor, Network::Nothing, Need::Nothing, INSIDES),
    attack!(trace_a_neighbour, Network::Nothing, Need::Nothing, INSIDES),
    attack!(read_a_neighbours_memory, Network::Nothing, Need::Nothing, INSIDES),
    attack!(read_the_supervisors_memory, Network::Nothing, Need::Nothing, INSIDES),
    attack!(write_a_neighbours_memory, Network::Nothing, Need::Nothing, INSIDES),
    attack!(take_a_descriptor_of_the_supervisor, Network::Nothing, Need::Nothing, HANDLES),
    attack!(take_a_descriptor_of_a_neighbour, Network::Nothing, Need::Nothing, HANDLES),
    attack!(
        lower_a_neighbours_limit,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM]), native(Processes, &[ESRCH]),]
    ),
    attack!(
        enter_a_neighbours_namespaces,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Seccomp, Capabilities, &[EPERM]), native(Processes, &[ESRCH]),]
    ),
    attack!(enter_a_namespace, Network::Nothing, Need::Nothing, [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM])]),
    attack!(make_a_user_namespace, Network::Nothing, Need::Nothing, NAMESPACE),
    attack!(make_a_user_namespace_by_clone, Network::Nothing, Need::Nothing, NAMESPACE),
    attack!(make_a_user_namespace_by_clone3, Network::Nothing, Need::Nothing, NAMESPACE),
    attack!(
        mount_in_a_user_namespace,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Landlock, &[EPERM]),
        ]
    ),
    attack!(
        make_a_process,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM, libc::ENOSYS]), wasm_without(Landlock, Seccomp, &[EPERM, libc::ENOSYS]),]
    ),
    attack!(
        make_a_process_by_clone3,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM, libc::ENOSYS]), wasm_without(Landlock, Seccomp, &[EPERM, libc::ENOSYS]),]
    ),
    attack!(outlive_the_supervisor, Network::Nothing, Need::Nothing, [wasm(Seccomp, &[EPERM])]),
    attack!(
        leave_the_session,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM]),]
    ),
];

/// Signal 0 asks for the right alone: the process in the supervisor's place is the one that judges.
fn kill_the_supervisor(scene: &Scene) -> Answer {
    done(call(libc::SYS_kill, &[number(scene.supervisor), 0]))
}

fn kill_a_neighbour(scene: &Scene) -> Answer {
    done(call(libc::SYS_kill, &[number(scene.neighbour), number(libc::SIGKILL)]))
}

fn kill_the_supervisors_thread(scene: &Scene) -> Answer {
    let pid = number(scene.supervisor);
    done(call(libc::SYS_tgkill, &[pid, pid, 0]))
}

fn kill_a_neighbours_thread(scene: &Scene) -> Answer {
    let pid = number(scene.neighbour);
    done(call(libc::SYS_tgkill, &[pid, pid, number(libc::SIGKILL)]))
}

fn handle(pid: i32) -> Result<i64, i32> {
    call(libc::SYS_pidfd_open, &[number(pid), 0])
}

fn kill_a_neighbour_by_handle(scene: &Scene) -> Answer {
    let process = handle(scene.neighbour)?;
    done(call(libc::SYS_pidfd_send_signal, &[descriptor(process), number(libc::SIGKILL), 0, 0]))
}

/// Attaching without stopping, so that the one who judges goes on if it succeeds.
fn trace(pid: i32) -> Answer {
    const SEIZE: usize = 0x4206;
    done(call(libc::SYS_ptrace, &[SEIZE, number(pid), 0, 0]))
}

fn trace_the_supervisor(scene: &Scene) -> Answer {
    trace(scene.supervisor)
}

fn trace_a_neighbour(scene: &Scene) -> Answer {
    trace(scene.neighbour)
}

/// Moves a byte between this process and the same address of another; the right is asked for before the address.
fn move_memory(call_number: i64, pid: i32) -> Answer {
    let mut byte = [0u8; 1];
    let part = [at_mut(&mut byte), 1];
    done(call(call_number, &[number(pid), at(&part), 1, at(&part), 1, 0]))
}

fn read_a_neighbours_memory(scene: &Scene) -> Answer {
    move_memory(libc::SYS_process_vm_readv, scene.neighbour)
}

fn read_the_supervisors_memory(scene: &Scene) -> Answer {
    move_memory(libc::SYS_process_vm_readv, scene.supervisor)
}

fn write_a_neighbours_memory(scene: &Scene) -> Answer {
    move_memory(libc::SYS_process_vm_writev, scene.neighbour)
}

fn take_descriptor(pid: i32) -> Answer {
    let process = handle(pid)?;
    done(call(libc::SYS_pidfd_getfd, &[descriptor(process), 0, 0]))
}

fn take_a_descriptor_of_the_supervisor(scene: &Scene) -> Answer {
    take_descriptor(scene.supervisor)
}

fn take_a_descriptor_of_a_neighbour(scene: &Scene) -> Answer {
    take_descriptor(scene.neighbour)
}

fn lower_a_neighbours_limit(scene: &Scene) -> Answer {
    let limit = [0u64; 2];
    let resource = libc::RLIMIT_CORE as usize;
    done(call(libc::SYS_prlimit64, &[number(scene.neighbour), resource, at(&limit), 0]))
}

fn enter_a_neighbours_namespaces(scene: &Scene) -> Answer {
    let process = handle(scene.neighbour)?;
    done(call(libc::SYS_setns, &[descriptor(process), number(libc::CLONE_NEWNS | libc::CLONE_NEWNET)]))
}

fn enter_a_namespace(_: &Scene) -> Answer {
    done(call(libc::SYS_setns, &[0, 0]))
}

fn make_a_user_namespace(_: &Scene) -> Answer {
    done(call(libc::SYS_unshare, &[number(libc::CLONE_NEWUSER)]))
}

/// The child of a call that makes one: it must not perform the rest of this program.
fn child(result: Result<i64, i32>) -> Answer {
    match result {
        Ok(0) => raw::leave(),
        result => done(result),
    }
}

fn make_a_user_namespace_by_clone(_: &Scene) -> Answer {
    let flags = number(libc::CLONE_NEWUSER | libc::SIGCHLD);
    child(call(libc::SYS_clone, &[flags, 0, 0, 0, 0]))
}

/// struct clone_args: flags come first, the signal of the end fifth (clone(2)).
fn clone3(flags: i32) -> Answer {
    let mut arguments = [0u64; 8];
    arguments[0] = u64::from(flags.cast_unsigned());
    arguments[4] = libc::SIGCHLD as u64;
    child(call(libc::SYS_clone3, &[at(&arguments), size_of_val(&arguments)]))
}

fn make_a_user_namespace_by_clone3(_: &Scene) -> Answer {
    clone3(libc::CLONE_NEWUSER)
}

fn mount_in_a_user_namespace(scene: &Scene) -> Answer {
    call(libc::SYS_unshare, &[number(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)])?;
    let (place, kind) = (raw::text(&scene.read_write(".")), raw::text("tmpfs"));
    done(call(libc::SYS_mount, &[at(kind.as_c_str()), at(place.as_c_str()), at(kind.as_c_str()), 0, 0]))
}

fn make_a_process(_: &Scene) -> Answer {
    child(call(libc::SYS_clone, &[number(libc::SIGCHLD), 0, 0, 0, 0]))
}

/// A process that the supervisor knows nothing of, and that its end does not end.
fn make_a_process_by_clone3(_: &Scene) -> Answer {
    clone3(0)
}

fn outlive_the_supervisor(_: &Scene) -> Answer {
    done(call(libc::SYS_prctl, &[number(libc::PR_SET_PDEATHSIG), 0, 0, 0, 0]))
}

fn leave_the_session(_: &Scene) -> Answer {
    done(call(libc::SYS_setsid, &[]))
}
