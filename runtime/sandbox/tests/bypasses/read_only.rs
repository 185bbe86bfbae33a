//! Attacks on what was granted ReadOnly: its bytes, names, nodes, attributes and times, from inside it and from the
//! ReadWrite grant beside it.

use wjob_model::wall::Wall::{Landlock, Mount, Seccomp};

use crate::files::{NO_RULE, set_on};
use crate::raw::{self, HERE, at, call, descriptor, done, on_path, on_paths, open};
use crate::scene::Scene;
use crate::table::{
    Answer, Attack, Need, Network, Row, attack, native, native_without, wasm, wasm_limit, wasm_without,
};

const EACCES: i32 = libc::EACCES;
const EPERM: i32 = libc::EPERM;
const EROFS: i32 = libc::EROFS;
const EXDEV: i32 = libc::EXDEV;

/// Changes of what is ReadOnly, by calls that seccomp lets through.
const READ_ONLY: &[Row] = &[
    wasm(Mount, &[EROFS]),
    wasm_without(Seccomp, Mount, &[EROFS]),
    wasm_without(Landlock, Mount, &[EROFS]),
    wasm_without(Mount, Landlock, &[EACCES]),
    native(Mount, &[EROFS]),
    native_without(Landlock, Mount, &[EROFS]),
];

/// Changes of what is ReadOnly by a name in the other grant: two mounts, or two folders with different rules.
const ACROSS: &[Row] = &[
    wasm(Mount, &[EXDEV]),
    wasm_without(Landlock, Mount, &[EXDEV]),
    wasm_without(Mount, Landlock, &[EACCES, EXDEV]),
    native(Mount, &[EXDEV]),
    native_without(Landlock, Mount, &[EXDEV]),
];

/// Changes of attributes of what is ReadOnly, by calls that a guest's worker never makes.
const ATTRIBUTES: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Mount, &[EROFS]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Mount, &[EROFS]),
    native_without(Landlock, Mount, &[EROFS]),
];

/// Changes of times, which landlock has no rule for and seccomp lets through.
const TIMES: &[Row] = &[
    wasm(Mount, &[EROFS]),
    wasm_without(Landlock, Mount, &[EROFS]),
    wasm_limit(Some(Mount), NO_RULE),
    native(Mount, &[EROFS]),
    native_without(Landlock, Mount, &[EROFS]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(write_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(create_in_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(truncate_by_opening, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(
        truncate_by_name,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Mount, &[EROFS]),
            wasm_without(Mount, Seccomp, &[EPERM]),
            native(Mount, &[EROFS]),
            native_without(Landlock, Mount, &[EROFS]),
        ]
    ),
    attack!(
        truncate_by_descriptor,
        Network::Nothing,
        Need::Nothing,
        [wasm(Mount, &[libc::EINVAL]), native(Mount, &[libc::EINVAL]),]
    ),
    attack!(
        lengthen_by_descriptor,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Seccomp, Mount, &[libc::EBADF]), native(Mount, &[libc::EBADF]),]
    ),
    attack!(rename_in_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(rename_out_of_read_only, Network::Nothing, Need::Nothing, ACROSS),
    attack!(rename_into_read_only, Network::Nothing, Need::Nothing, ACROSS),
    attack!(
        link_in_read_only,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Mount, &[EROFS]),
            wasm_without(Landlock, Mount, &[EROFS]),
            wasm_without(Mount, Landlock, &[EACCES, EXDEV]),
            native(Mount, &[EROFS]),
            native_without(Landlock, Mount, &[EROFS]),
        ]
    ),
    attack!(link_out_of_read_only, Network::Nothing, Need::Nothing, ACROSS),
    attack!(unlink_in_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(make_a_folder_in_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(make_a_link_in_read_only, Network::Nothing, Need::Nothing, READ_ONLY),
    attack!(change_the_mode, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(change_the_mode_by_descriptor, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(change_the_mode_with_flags, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(change_the_owner, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(set_an_attribute, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(remove_an_attribute, Network::Nothing, Need::Nothing, ATTRIBUTES),
    attack!(change_times, Network::Nothing, Need::Nothing, TIMES),
    attack!(change_times_by_descriptor, Network::Nothing, Need::Nothing, TIMES),
];

const READ: i32 = libc::O_RDONLY;
const CREATE: i32 = libc::O_CREAT | libc::O_WRONLY;

fn write_read_only(scene: &Scene) -> Answer {
    let file = open(&scene.read_only("file"), libc::O_WRONLY)?;
    done(raw::write(file, b"changed"))
}

fn create_in_read_only(scene: &Scene) -> Answer {
    done(open(&scene.read_only("new"), CREATE))
}

fn truncate_by_opening(scene: &Scene) -> Answer {
    done(open(&scene.read_only("file"), READ | libc::O_TRUNC))
}

fn truncate_by_name(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_truncate, &[], &scene.read_only("file"), &[0]))
}

fn truncate_by_descriptor(scene: &Scene) -> Answer {
    let file = open(&scene.read_only("file"), READ)?;
    done(call(libc::SYS_ftruncate, &[descriptor(file), 0]))
}

fn lengthen_by_descriptor(scene: &Scene) -> Answer {
    let file = open(&scene.read_only("file"), READ)?;
    done(call(libc::SYS_fallocate, &[descriptor(file), 0, 0, 4096]))
}

fn rename_in_read_only(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_renameat, &scene.read_only("file"), &scene.read_only("renamed")))
}

fn rename_out_of_read_only(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_renameat, &scene.read_only("file"), &scene.read_write("taken")))
}

fn rename_into_read_only(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_renameat, &scene.read_write("file"), &scene.read_only("file")))
}

fn link_in_read_only(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_linkat, &scene.read_only("file"), &scene.read_only("linked")))
}

/// A second name in the ReadWrite grant would make the file writable.
fn link_out_of_read_only(scene: &Scene) -> Answer {
    done(on_paths(libc::SYS_linkat, &scene.read_only("file"), &scene.read_write("linked")))
}

fn unlink_in_read_only(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_unlinkat, &[HERE], &scene.read_only("file"), &[0]))
}

fn make_a_folder_in_read_only(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_mkdirat, &[HERE], &scene.read_only("folder"), &[0o755]))
}

fn make_a_link_in_read_only(scene: &Scene) -> Answer {
    let target = raw::text("file");
    done(on_path(libc::SYS_symlinkat, &[at(target.as_c_str()), HERE], &scene.read_only("link"), &[]))
}

fn change_the_mode(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_fchmodat, &[HERE], &scene.read_only("file"), &[0o666]))
}

fn change_the_mode_by_descriptor(scene: &Scene) -> Answer {
    let file = open(&scene.read_only("file"), READ)?;
    done(call(libc::SYS_fchmod, &[descriptor(file), 0o666]))
}

fn change_the_mode_with_flags(scene: &Scene) -> Answer {
    match on_path(libc::SYS_fchmodat2, &[HERE], &scene.read_only("file"), &[0o666, 0]) {
        // The kernel has no such call; then the older one is all there is.
        Err(libc::ENOSYS) => change_the_mode(scene),
        result => done(result),
    }
}

fn change_the_owner(scene: &Scene) -> Answer {
    let (user, group) = (scene.user as usize, scene.group as usize);
    done(on_path(libc::SYS_fchownat, &[HERE], &scene.read_only("file"), &[user, group, 0]))
}

fn set_an_attribute(scene: &Scene) -> Answer {
    set_on(&scene.read_only("file"))
}

fn remove_an_attribute(scene: &Scene) -> Answer {
    let name = raw::text("user.wjob");
    done(on_path(libc::SYS_removexattr, &[], &scene.read_only("file"), &[at(name.as_c_str())]))
}

fn change_times(scene: &Scene) -> Answer {
    done(on_path(libc::SYS_utimensat, &[HERE], &scene.read_only("file"), &[0, 0]))
}

fn change_times_by_descriptor(scene: &Scene) -> Answer {
    let file = open(&scene.read_only("file"), READ)?;
    done(call(libc::SYS_utimensat, &[descriptor(file), 0, 0, 0]))
}
