//! Attacks with what is neither file nor folder: FIFOs, sockets and devices that lie in a granted folder, or are made
//! there. That none can be a grant by itself is in `opening`; connecting to sockets is in `network`.

use wjob_model::wall::Wall::{Capabilities, Landlock, Mount, Seccomp};

use crate::raw::{self, HERE, done, on_path, open};
use crate::scene::Scene;
use crate::table::{
    Answer, Attack, Need, Network, Row, attack, native, native_limit, native_without, wasm, wasm_limit, wasm_without,
};

const EACCES: i32 = libc::EACCES;
const EPERM: i32 = libc::EPERM;

/// Why a mount that is read-only does not keep a FIFO from being written to.
const NOT_A_FILE: &str = "a read-only mount holds files and folders, and a FIFO is neither";

/// Why a FIFO can be opened.
const A_FIFO_IS_THERE: &str = "what lies in a granted folder can be opened, and a FIFO holds up only whoever opens it";

/// Nodes a guest has no use for.
const NODES: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Landlock, &[EACCES]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(make_a_fifo, Network::Nothing, Need::Nothing, NODES),
    attack!(make_a_socket, Network::Nothing, Need::Nothing, NODES),
    attack!(
        make_a_device,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EACCES]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Landlock, &[EACCES]),
            native_without(Landlock, Capabilities, &[EPERM]),
        ]
    ),
    attack!(
        open_a_fifo_in_the_grant,
        Network::Nothing,
        Need::Nothing,
        [wasm_limit(None, A_FIFO_IS_THERE), native_limit(A_FIFO_IS_THERE),]
    ),
    attack!(
        open_a_device_in_the_grant,
        Network::Nothing,
        Need::Device,
        [
            wasm(Mount, &[EACCES]),
            wasm_without(Seccomp, Mount, &[EACCES]),
            wasm_without(Landlock, Mount, &[EACCES]),
            native(Mount, &[EACCES]),
            native_without(Landlock, Mount, &[EACCES]),
        ]
    ),
    attack!(
        write_to_a_fifo_in_read_only,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Landlock, &[EACCES]),
            wasm_without(Seccomp, Landlock, &[EACCES]),
            wasm_without(Mount, Landlock, &[EACCES]),
            wasm_limit(Some(Landlock), NOT_A_FILE),
            native(Landlock, &[EACCES]),
            native_without(Seccomp, Landlock, &[EACCES]),
        ]
    ),
];

fn node(path: &str, kind: libc::mode_t, device: u64) -> Answer {
    done(on_path(libc::SYS_mknodat, &[HERE], path, &[(kind | 0o666) as usize, device as usize]))
}

fn make_a_fifo(scene: &Scene) -> Answer {
    node(&scene.read_write("new"), libc::S_IFIFO, 0)
}

fn make_a_socket(scene: &Scene) -> Answer {
    node(&scene.read_write("new"), libc::S_IFSOCK, 0)
}

fn make_a_device(scene: &Scene) -> Answer {
    node(&scene.read_write("new"), libc::S_IFCHR, libc::makedev(1, 5))
}

/// Without waiting for a writer, so that the attack itself comes to an end.
fn open_a_fifo_in_the_grant(scene: &Scene) -> Answer {
    done(open(&scene.read_write("fifo"), libc::O_RDONLY | libc::O_NONBLOCK))
}

fn open_a_device_in_the_grant(scene: &Scene) -> Answer {
    done(open(&scene.read_write("device"), libc::O_RDONLY))
}

/// Whoever reads there would hear a job that may only look. Opened for both, it needs no reader.
fn write_to_a_fifo_in_read_only(scene: &Scene) -> Answer {
    let fifo = open(&scene.read_only("fifo"), libc::O_RDWR | libc::O_NONBLOCK)?;
    done(raw::write(fifo, b"heard"))
}
