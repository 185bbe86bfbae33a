//! Attacks on the kernel itself: its mounts, its clocks, its loaded code and the calls with a long history of
//! mistakes. Two tests walk the lists themselves, so that a call added to the kernel or taken off a list is seen.

use wjob_model::wall::Wall::{Capabilities, Landlock, Mount, Seccomp};
use wjob_model::wall::WorkerKind;
use wjob_sandbox::syscalls::{NATIVE_REFUSED, NEWEST, lists};

use crate::raw::{HERE, at, at_mut, call, done, number, on_path, text};
use crate::scene::Scene;
use crate::table::{Answer, Attack, Need, Network, Row, attack, native, native_without, wasm, wasm_without};

const EPERM: i32 = libc::EPERM;

/// Past the newest call of any kernel this was tried on.
const LAST_CALL: i64 = 512;

/// What the lists refuse, and what needs a capability besides.
const PRIVILEGED: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Capabilities, &[EPERM, libc::ENOSYS]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Seccomp, &[EPERM]),
    native_without(Seccomp, Capabilities, &[EPERM, libc::ENOSYS]),
    native_without(Landlock, Seccomp, &[EPERM]),
];

/// What only the lists refuse.
const LISTED: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    native(Seccomp, &[EPERM]),
    native_without(Landlock, Seccomp, &[EPERM]),
];

/// Arguments that a guest's worker never has.
const NARROWED: &[Row] = &[wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM])];

/// What no list was written for.
const UNKNOWN: &[Row] = &[
    wasm(Seccomp, &[libc::ENOSYS]),
    wasm_without(Landlock, Seccomp, &[libc::ENOSYS]),
    native(Seccomp, &[libc::ENOSYS]),
    native_without(Landlock, Seccomp, &[libc::ENOSYS]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(mount_a_file_system, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(mount_writable_again, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(set_the_attributes_of_a_mount, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(unmount, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(clone_a_mount, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(move_a_mount, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(open_a_file_system, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(change_the_root_mount, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(change_the_root, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(rename_the_machine, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(set_the_clock, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(load_a_module, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(restart_the_machine, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(take_hardware_ports, Network::Nothing, Need::Nothing, PRIVILEGED),
    attack!(load_a_kernel_program, Network::Nothing, Need::Nothing, LISTED),
    attack!(make_a_key, Network::Nothing, Need::Nothing, LISTED),
    attack!(join_a_key_ring, Network::Nothing, Need::Nothing, LISTED),
    attack!(hold_page_faults, Network::Nothing, Need::Nothing, LISTED),
    attack!(watch_events, Network::Nothing, Need::Nothing, LISTED),
    attack!(make_a_ring, Network::Nothing, Need::Nothing, LISTED),
    attack!(enter_a_ring, Network::Nothing, Need::Nothing, LISTED),
    attack!(turn_on_signals_of_a_descriptor, Network::Nothing, Need::Nothing, NARROWED),
    attack!(own_a_descriptors_signals, Network::Nothing, Need::Nothing, NARROWED),
    attack!(watch_a_folder, Network::Nothing, Need::Nothing, NARROWED),
    attack!(set_flags_of_a_file, Network::Nothing, Need::Nothing, NARROWED),
    attack!(make_every_unlisted_call, Network::Nothing, Need::Nothing, [wasm(Seccomp, &[EPERM])]),
    attack!(make_every_unlisted_call_with_grants, Network::TcpAndUdp, Need::Nothing, [wasm(Seccomp, &[EPERM])]),
    attack!(make_every_unlisted_call_with_bind, Network::Bind, Need::Nothing, [wasm(Seccomp, &[EPERM])]),
    attack!(make_every_refused_call, Network::Nothing, Need::Nothing, [native(Seccomp, &[EPERM])]),
    attack!(make_calls_above_the_newest, Network::Nothing, Need::Nothing, UNKNOWN),
    attack!(make_calls_above_the_newest_with_grants, Network::Bind, Need::Nothing, UNKNOWN),
    attack!(make_every_refused_call_with_grants, Network::Bind, Need::Nothing, [native(Seccomp, &[EPERM])]),
];

fn mount(scene: &Scene, place: &str, flags: u64) -> Answer {
    let (place, kind) = (text(&format!("{}/{place}", scene.view)), text("tmpfs"));
    let kind = at(kind.as_c_str());
    done(call(libc::SYS_mount, &[kind, at(place.as_c_str()), kind, flags as usize, 0]))
}

fn mount_a_file_system(scene: &Scene) -> Answer {
    mount(scene, "rw", 0)
}

fn mount_writable_again(scene: &Scene) -> Answer {
    mount(scene, "ro", libc::MS_REMOUNT | libc::MS_BIND)
}

fn set_the_attributes_of_a_mount(scene: &Scene) -> Answer {
    // struct mount_attr: to set, to clear, propagation, user namespace (mount_setattr(2)).
    let attributes = [0u64, libc::MOUNT_ATTR_RDONLY, 0, 0];
    let more = [0, at(&attributes), size_of_val(&attributes)];
    done(on_path(libc::SYS_mount_setattr, &[HERE], &scene.read_only("."), &more))
}

fn unmount(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_umount2, &[], &scene.read_only("."), &[number(libc::MNT_DETACH)]))
}

fn clone_a_mount(scene: &Scene) -> Answer {
    const OPEN_TREE_CLONE: usize = 1;
    done(on_path(libc::SYS_open_tree, &[HERE], &scene.read_only("."), &[OPEN_TREE_CLONE]))
}

fn move_a_mount(scene: &Scene) -> Answer {
    let (from, to) = (text(&scene.read_only(".")), text(&scene.read_write(".")));
    done(call(libc::SYS_move_mount, &[HERE, at(from.as_c_str()), HERE, at(to.as_c_str()), 0]))
}

fn open_a_file_system(_: &Scene) -> Answer {
    done(on_path(libc::SYS_fsopen, &[], "tmpfs", &[0]))
}

fn change_the_root_mount(scene: &Scene) -> Answer {
    let place = text(&scene.read_write("."));
    done(call(libc::SYS_pivot_root, &[at(place.as_c_str()), at(place.as_c_str())]))
}

fn change_the_root(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_chroot, &[], &scene.read_write("."), &[]))
}

fn rename_the_machine(_: &Scene) -> Answer {
    done(on_path(libc::SYS_sethostname, &[], "wjob", &[4]))
}

/// To what it is not: to nothing at all, which only asks for the right.
fn set_the_clock(_: &Scene) -> Answer {
    done(call(libc::SYS_settimeofday, &[0, 0]))
}

fn load_a_module(_: &Scene) -> Answer {
    done(call(libc::SYS_init_module, &[0, 0, 0]))
}

/// With wrong magic numbers: the right is asked for first, and nothing restarts.
fn restart_the_machine(_: &Scene) -> Answer {
    done(call(libc::SYS_reboot, &[0, 0, 0, 0]))
}

fn take_hardware_ports(_: &Scene) -> Answer {
    done(call(libc::SYS_iopl, &[3]))
}

fn load_a_kernel_program(_: &Scene) -> Answer {
    let attributes = [0u64; 16];
    done(call(libc::SYS_bpf, &[0, at(&attributes), size_of_val(&attributes)]))
}

fn make_a_key(_: &Scene) -> Answer {
    const PROCESS_KEYRING: usize = number(-2);
    let (kind, name) = (text("user"), text("wjob"));
    done(call(libc::SYS_add_key, &[at(kind.as_c_str()), at(name.as_c_str()), at(b"x"), 1, PROCESS_KEYRING]))
}

fn join_a_key_ring(_: &Scene) -> Answer {
    const JOIN_SESSION_KEYRING: usize = 1;
    done(call(libc::SYS_keyctl, &[JOIN_SESSION_KEYRING, 0, 0, 0, 0]))
}

fn hold_page_faults(_: &Scene) -> Answer {
    const USER_MODE_ONLY: usize = 1;
    done(call(libc::SYS_userfaultfd, &[USER_MODE_ONLY]))
}

fn watch_events(_: &Scene) -> Answer {
    // struct perf_event_attr: software events, 64 bytes long, of this process alone.
    let mut attributes = [0u64; 8];
    attributes[0] = 1 | 64 << 32;
    done(call(libc::SYS_perf_event_open, &[at(&attributes), 0, number(-1), number(-1), 0]))
}

fn make_a_ring(_: &Scene) -> Answer {
    let mut parameters = [0u64; 15];
    done(call(libc::SYS_io_uring_setup, &[1, at_mut(&mut parameters)]))
}

fn enter_a_ring(_: &Scene) -> Answer {
    done(call(libc::SYS_io_uring_enter, &[0, 0, 0, 0, 0, 0]))
}

fn turn_on_signals_of_a_descriptor(_: &Scene) -> Answer {
    let on = 1i32;
    done(call(libc::SYS_ioctl, &[4, libc::FIOASYNC as usize, at(&on)]))
}

fn own_a_descriptors_signals(scene: &Scene) -> Answer {
    done(call(libc::SYS_fcntl, &[4, number(libc::F_SETOWN), number(scene.supervisor)]))
}

fn watch_a_folder(scene: &Scene) -> Answer {
    const DN_CREATE: usize = 4;
    let folder = crate::raw::open(&scene.read_write("."), libc::O_RDONLY)?;
    done(call(libc::SYS_fcntl, &[crate::raw::descriptor(folder), number(libc::F_NOTIFY), DN_CREATE]))
}

fn set_flags_of_a_file(scene: &Scene) -> Answer {
    const FS_IOC_SETFLAGS: usize = 0x4008_6602;
    let flags = [0u64; 1];
    let file = crate::raw::open(&scene.read_write("file"), libc::O_RDONLY)?;
    done(call(libc::SYS_ioctl, &[crate::raw::descriptor(file), FS_IOC_SETFLAGS, at(&flags)]))
}

/// Makes calls with nothing but zeros; the first that the list did not answer is what got through.
fn each(calls: impl Iterator<Item = i64>) -> Answer {
    for number in calls {
        match call(number, &[]) {
            Err(EPERM) => {}
            // Answered by the list itself, so that libc falls back to a call whose flags can be seen.
            Err(libc::ENOSYS) if number == libc::SYS_clone3 => {}
            Err(libc::ENOSYS) if number > i64::from(NEWEST) => {}
            Err(errno) => return Ok(format!("call {number} was performed and answered {errno}")),
            Ok(result) => return Ok(format!("call {number} was performed and returned {result}")),
        }
    }
    Err(EPERM)
}

/// uretprobe and uprobe: the kernel lets them pass by every filter and ends with SIGILL whoever makes them by
/// himself (arch/x86/kernel/uprobes.c).
const PROBES: [i64; 2] = [335, 336];

fn every_unlisted(scene: &Scene) -> Answer {
    let lists = lists(WorkerKind::Wasm, &scene.network);
    let listed = |number: &i64| lists.iter().any(|list| list.iter().any(|entry| entry.number == *number));
    each((0..LAST_CALL).filter(|number| !listed(number) && !PROBES.contains(number)))
}

fn make_every_unlisted_call(scene: &Scene) -> Answer {
    every_unlisted(scene)
}

fn make_every_unlisted_call_with_grants(scene: &Scene) -> Answer {
    every_unlisted(scene)
}

fn make_every_unlisted_call_with_bind(scene: &Scene) -> Answer {
    every_unlisted(scene)
}

/// The numbers of calls of later kernels, and those that were the x32 ABI's without its bit.
fn make_calls_above_the_newest(_: &Scene) -> Answer {
    for number in i64::from(NEWEST) + 1..LAST_CALL + 64 {
        match call(number, &[]) {
            Err(libc::ENOSYS) => {}
            result => return Ok(format!("call {number} was let through: {result:?}")),
        }
    }
    Err(libc::ENOSYS)
}

fn make_calls_above_the_newest_with_grants(scene: &Scene) -> Answer {
    make_calls_above_the_newest(scene)
}

fn make_every_refused_call(_: &Scene) -> Answer {
    each(NATIVE_REFUSED.iter().map(|entry| entry.number))
}

fn make_every_refused_call_with_grants(scene: &Scene) -> Answer {
    make_every_refused_call(scene)
}
