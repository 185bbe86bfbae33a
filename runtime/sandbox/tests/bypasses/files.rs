//! Attacks on files: reaching what lies outside the grants, and changing the view itself. What was granted ReadOnly is in
//! `read_only`, what is neither file nor folder in `nodes`; what can become a grant in the first place is in `opening`.

use wjob_model::wall::Wall::{Capabilities, Landlock, Mount, Seccomp};

use crate::raw::{self, HERE, at, at_mut, call, descriptor, done, number, on_path, on_paths, open, open_below};
use crate::scene::Scene;
use crate::table::{
    Answer, Attack, Need, Network, Row, attack, native, native_without, wasm, wasm_limit, wasm_without,
};

const EACCES: i32 = libc::EACCES;
const ENOENT: i32 = libc::ENOENT;
const EPERM: i32 = libc::EPERM;
const EROFS: i32 = libc::EROFS;
const EXDEV: i32 = libc::EXDEV;

/// Why only the mount wall holds some rows.
pub const NO_RULE: &str =
    "landlock has no rule for it; only the mount wall holds it, and the plan says that it is missing";

/// What only a name outside the grants reaches, by calls that seccomp lets through.
const HIDDEN: &[Row] = &[
    wasm(Mount, &[ENOENT]),
    wasm_without(Seccomp, Mount, &[ENOENT]),
    wasm_without(Landlock, Mount, &[ENOENT]),
    wasm_without(Mount, Landlock, &[EACCES]),
    native(Mount, &[ENOENT]),
    native_without(Seccomp, Mount, &[ENOENT]),
    native_without(Landlock, Mount, &[ENOENT]),
];

/// The same where /proc itself may answer first.
const HIDDEN_OR_REFUSED: &[Row] = &[
    wasm(Mount, &[ENOENT]),
    wasm_without(Landlock, Mount, &[ENOENT]),
    wasm_without(Mount, Landlock, &[EACCES]),
    native(Mount, &[ENOENT, EACCES]),
    native_without(Landlock, Mount, &[ENOENT, EACCES]),
];

/// Changes of attributes outside the grants, by calls that a guest's worker never makes.
const ATTRIBUTES_OUTSIDE: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Mount, &[ENOENT]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Mount, &[ENOENT]),
    native_without(Landlock, Mount, &[ENOENT]),
];

/// What landlock has no rule for and seccomp lets through.
const HIDDEN_BY_MOUNT_ALONE: &[Row] = &[
    wasm(Mount, &[ENOENT]),
    wasm_without(Landlock, Mount, &[ENOENT]),
    wasm_limit(Some(Mount), NO_RULE),
    native(Mount, &[ENOENT]),
    native_without(Landlock, Mount, &[ENOENT]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    // Reaching what is outside.
    attack!(open_a_file_outside, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(
        open_the_password_file,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Mount, &[ENOENT]),
            wasm_without(Seccomp, Mount, &[ENOENT]),
            wasm_without(Landlock, Mount, &[ENOENT]),
            wasm_without(Mount, Landlock, &[EACCES]),
        ]
    ),
    attack!(leave_by_dot_dot, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(
        leave_by_a_descriptor_from_before,
        Network::Nothing,
        Need::OldDescriptor,
        [wasm(Landlock, &[EACCES]), wasm_without(Seccomp, Landlock, &[EACCES]), native(Landlock, &[EACCES]),]
    ),
    attack!(leave_by_proc_self_root, Network::Nothing, Need::Nothing, HIDDEN_OR_REFUSED),
    attack!(leave_by_proc_1_root, Network::Nothing, Need::Nothing, HIDDEN_OR_REFUSED),
    attack!(leave_by_proc_self_cwd, Network::Nothing, Need::Nothing, HIDDEN_OR_REFUSED),
    attack!(follow_an_absolute_link, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(follow_a_relative_link, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(follow_a_link_of_its_own, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(
        hard_link_from_outside,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Mount, &[ENOENT]),
            wasm_without(Landlock, Mount, &[ENOENT]),
            wasm_without(Mount, Landlock, &[EACCES, EXDEV, EPERM]),
            native(Mount, &[ENOENT]),
            native_without(Landlock, Mount, &[ENOENT]),
        ]
    ),
    attack!(
        rename_from_outside,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Mount, &[ENOENT]),
            wasm_without(Landlock, Mount, &[ENOENT]),
            wasm_without(Mount, Landlock, &[EACCES, EXDEV]),
            native(Mount, &[ENOENT]),
            native_without(Landlock, Mount, &[ENOENT]),
        ]
    ),
    attack!(create_outside, Network::Nothing, Need::Nothing, HIDDEN),
    attack!(look_outside, Network::Nothing, Need::Nothing, HIDDEN_BY_MOUNT_ALONE),
    attack!(read_a_link_outside, Network::Nothing, Need::Nothing, HIDDEN_BY_MOUNT_ALONE),
    attack!(change_times_outside, Network::Nothing, Need::Nothing, HIDDEN_BY_MOUNT_ALONE),
    attack!(change_the_mode_outside, Network::Nothing, Need::Nothing, ATTRIBUTES_OUTSIDE),
    attack!(change_the_owner_outside, Network::Nothing, Need::Nothing, ATTRIBUTES_OUTSIDE),
    attack!(set_an_attribute_outside, Network::Nothing, Need::Nothing, ATTRIBUTES_OUTSIDE),
    attack!(open_the_supervisors_memory, Network::Nothing, Need::Nothing, HIDDEN_OR_REFUSED),
    attack!(open_the_memory_of_the_init, Network::Nothing, Need::Nothing, [native(Capabilities, &[EACCES, EPERM])]),
    attack!(
        open_by_handle,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Capabilities, &[EPERM, libc::EOPNOTSUPP]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Capabilities, &[EPERM, libc::EOPNOTSUPP]),
        ]
    ),
    // What belongs to the view itself.
    attack!(
        create_in_the_root,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Mount, &[EROFS]),
            wasm_without(Landlock, Mount, &[EROFS]),
            wasm_without(Mount, Landlock, &[EACCES]),
            native(Mount, &[EROFS]),
            native_without(Landlock, Mount, &[EROFS]),
        ]
    ),
    attack!(
        create_among_the_programs,
        Network::Nothing,
        Need::Nothing,
        [native(Mount, &[EROFS, EACCES]), native_without(Landlock, Mount, &[EROFS, EACCES]),]
    ),
    attack!(
        write_the_password_file,
        Network::Nothing,
        Need::Nothing,
        [native(Mount, &[EROFS, EACCES]), native_without(Landlock, Mount, &[EROFS, EACCES]),]
    ),
    attack!(
        change_a_kernel_setting,
        Network::Nothing,
        Need::Nothing,
        [native(Landlock, &[EACCES, EROFS]), native_without(Landlock, Mount, &[EROFS, EACCES]),]
    ),
];

const READ: i32 = libc::O_RDONLY;
const CREATE: i32 = libc::O_CREAT | libc::O_WRONLY;

fn open_a_file_outside(scene: &Scene) -> Answer {
    done(open(&scene.outside("secret"), READ))
}

fn open_the_password_file(_: &Scene) -> Answer {
    done(open("/etc/passwd", READ))
}

fn leave_by_dot_dot(scene: &Scene) -> Answer {
    let folder = open(&scene.read_write("."), READ | libc::O_DIRECTORY)?;
    done(open_below(folder, "../outside/secret", READ))
}

/// As if the worker had kept a descriptor of the host's own mount.
fn leave_by_a_descriptor_from_before(scene: &Scene) -> Answer {
    done(open_below(i64::from(scene.old_descriptor), "../outside/secret", READ))
}

fn leave_by_proc_self_root(scene: &Scene) -> Answer {
    done(open(&format!("/proc/self/root{}", scene.outside("secret")), READ))
}

fn leave_by_proc_1_root(scene: &Scene) -> Answer {
    done(open(&format!("/proc/1/root{}", scene.outside("secret")), READ))
}

fn leave_by_proc_self_cwd(scene: &Scene) -> Answer {
    done(open(&format!("/proc/self/cwd/../../../../../../../..{}", scene.outside("secret")), READ))
}

fn follow_an_absolute_link(scene: &Scene) -> Answer {
    done(open(&scene.read_write("absolute"), READ))
}

fn follow_a_relative_link(scene: &Scene) -> Answer {
    done(open(&scene.read_write("relative"), READ))
}

fn follow_a_link_of_its_own(scene: &Scene) -> Answer {
    let (target, link) = (raw::text(&scene.outside("secret")), raw::text(&scene.read_write("own")));
    call(libc::SYS_symlinkat, &[at(target.as_c_str()), HERE, at(link.as_c_str())])?;
    done(open(&scene.read_write("own"), READ))
}

fn hard_link_from_outside(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_linkat, &scene.outside("secret"), &scene.read_write("stolen")))
}

fn rename_from_outside(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_renameat, &scene.outside("secret"), &scene.read_write("stolen")))
}

fn create_outside(scene: &Scene) -> Answer {
    done(open(&scene.outside("new"), CREATE))
}

fn look_outside(scene: &Scene) -> Answer {
    let mut status = [0u64; 18];
    done(on_path(libc::SYS_newfstatat, &[HERE], &scene.outside("secret"), &[at_mut(&mut status), 0]))
}

fn read_a_link_outside(scene: &Scene) -> Answer {
    let mut target = [0u8; 64];
    done(on_path(libc::SYS_readlinkat, &[HERE], &scene.outside("link"), &[at_mut(&mut target), target.len()]))
}

fn change_times_outside(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_utimensat, &[HERE], &scene.outside("secret"), &[0, 0]))
}

fn change_the_mode_outside(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_fchmodat, &[HERE], &scene.outside("secret"), &[0o666]))
}

fn change_the_owner_outside(scene: &Scene) -> Answer {
    let (user, group) = (scene.user as usize, scene.group as usize);
    done(on_path(libc::SYS_fchownat, &[HERE], &scene.outside("secret"), &[user, group, 0]))
}

fn set_an_attribute_outside(scene: &Scene) -> Answer {
    set_on(&scene.outside("secret"))
}

fn open_the_supervisors_memory(scene: &Scene) -> Answer {
    done(open(&format!("/proc/{}/mem", scene.supervisor), READ))
}

fn open_the_memory_of_the_init(_: &Scene) -> Answer {
    done(open("/proc/1/mem", READ))
}

/// A handle of a granted file, opened past every name.
fn open_by_handle(scene: &Scene) -> Answer {
    const ROOM: u32 = 128;
    // struct file_handle: its room, its type, then what the file system writes.
    let mut handle = [0u32; 34];
    handle[0] = ROOM;
    let mut mount = 0i32;
    let (handle_at, mount_at) = (at_mut(&mut handle), at_mut(&mut mount));
    on_path(libc::SYS_name_to_handle_at, &[HERE], &scene.read_write("file"), &[handle_at, mount_at, 0])?;
    let folder = open(&scene.read_write("."), READ | libc::O_DIRECTORY)?;
    done(call(libc::SYS_open_by_handle_at, &[descriptor(folder), handle_at, number(READ)]))
}

pub fn set_on(path: &str) -> Answer {
    let (name, value) = (raw::text("user.wjob"), *b"x");
    done(on_path(libc::SYS_setxattr, &[], path, &[at(name.as_c_str()), at(&value), value.len(), 0]))
}

fn create_in_the_root(_: &Scene) -> Answer {
    done(open("/new", CREATE))
}

fn create_among_the_programs(_: &Scene) -> Answer {
    done(open("/usr/bin/wjob-new", CREATE))
}

fn write_the_password_file(_: &Scene) -> Answer {
    done(open("/etc/passwd", libc::O_WRONLY))
}

/// Opened for writing only; nothing is written. What a core dump runs would be the host's to suffer.
fn change_a_kernel_setting(_: &Scene) -> Answer {
    done(open("/proc/sys/kernel/core_pattern", libc::O_WRONLY))
}
