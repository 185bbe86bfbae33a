//! Attacks on Unix sockets of other programs on this machine, by path and by abstract name, without a grant, beside
//! another, and by a pair that is connected anew.

use wjob_model::wall::Wall::{Landlock, Mount, Network as Own, Seccomp};
use wjob_model::wall::WorkerKind;

use crate::network::BY_ARGUMENT;
use crate::raw::{self, call, connect, descriptor, done, pair, socket};
use crate::scene::Scene;
use crate::table::{
    Answer, Attack, Need, Network, Row, attack, limit_below, native, native_limit, native_without, wasm, wasm_without,
};

const EACCES: i32 = libc::EACCES;
const ENOENT: i32 = libc::ENOENT;
const EPERM: i32 = libc::EPERM;

/// Landlock's ABI that keeps signals and abstract sockets within a job.
const SCOPES: u32 = 6;

/// Landlock's ABI that tells one Unix socket with a path from another.
const SOCKETS: u32 = 9;

/// Why a grant of one Unix socket opens those of granted folders too.
const IN_A_FOLDER: &str = "what lies in a granted folder is seen, and no rule tells one Unix socket from another";

/// Why a native program with Bind can take an abstract name, though nobody can connect to it.
const TAKES_A_NAME: &str =
    "bind(2) does not tell the family of its socket, and half of a pair takes a name that nobody can connect to";

/// A pair of sockets that can be connected anew is not made at all.
const NO_PAIR: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Seccomp, &[EPERM]),
    native_without(Landlock, Seccomp, &[EPERM]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(
        connect_to_a_unix_socket,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Mount, &[ENOENT]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            wasm_without(Mount, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Mount, &[ENOENT]),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        connect_to_an_abstract_socket,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Own, &[libc::ECONNREFUSED, EPERM]),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        connect_to_an_abstract_socket_beside_a_grant,
        Network::Tcp,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM]), native_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),]
    ),
    attack!(
        connect_to_a_unix_socket_in_read_only,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM]),]
    ),
    attack!(
        reconnect_a_pair_outside,
        Network::Tcp,
        Need::Nothing,
        [
            wasm(Mount, &[ENOENT, EPERM]),
            wasm_without(Seccomp, Mount, &[ENOENT]),
            wasm_without(Mount, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Mount, &[ENOENT]),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(reconnect_a_pair_in_the_grant, Network::Tcp, Need::Nothing, NO_PAIR),
    attack!(reconnect_a_pair_without_a_grant, Network::Nothing, Need::Nothing, NO_PAIR),
    attack!(reconnect_a_pair_beside_a_unix_socket, Network::Unix, Need::Nothing, BY_ARGUMENT),
    attack!(reconnect_a_pair_of_the_raw_type, Network::Tcp, Need::Nothing, NO_PAIR),
    attack!(
        reconnect_a_pair_to_an_abstract_name,
        Network::Tcp,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Landlock, &[EPERM]).since(SCOPES),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        take_an_abstract_name,
        Network::Bind,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM, EACCES]), native_limit(TAKES_A_NAME)]
    ),
    attack!(take_an_abstract_name_with_a_grant_to_connect, Network::Tcp, Need::Nothing, NO_PAIR),
    attack!(take_an_abstract_name_beside_a_unix_socket, Network::UnixAndTcp, Need::Nothing, BY_ARGUMENT),
    attack!(
        serve_at_an_abstract_name,
        Network::Bind,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), native(Seccomp, &[libc::EINVAL])]
    ),
    // The same behind a grant of another.
    attack!(
        connect_to_an_ungranted_unix_socket,
        Network::Unix,
        Need::Nothing,
        [wasm(Mount, &[ENOENT]), native(Mount, &[ENOENT]),]
    ),
    attack!(
        connect_to_an_abstract_socket_beside_a_unix_socket,
        Network::Unix,
        Need::Nothing,
        [
            wasm(Landlock, &[EPERM]).since(SCOPES),
            native(Own, &[libc::ECONNREFUSED, EPERM]),
            native_without(Landlock, Own, &[libc::ECONNREFUSED]),
        ]
    ),
    attack!(
        connect_to_an_abstract_socket_beside_both,
        Network::UnixAndTcp,
        Need::Nothing,
        [wasm(Landlock, &[EPERM]).since(SCOPES), native(Landlock, &[EPERM]).since(SCOPES),]
    ),
    attack!(
        connect_to_an_ungranted_unix_socket_in_read_only,
        Network::Unix,
        Need::Nothing,
        [
            limit_below(SOCKETS, WorkerKind::Wasm, IN_A_FOLDER),
            limit_below(SOCKETS, WorkerKind::Native, IN_A_FOLDER),
            wasm(Landlock, &[EACCES]).since(SOCKETS),
            native(Landlock, &[EACCES]).since(SOCKETS),
        ]
    ),
    attack!(make_a_unix_datagram_socket, Network::Unix, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_stream_socket_with_a_unix_grant, Network::Unix, Need::Nothing, BY_ARGUMENT),
    attack!(listen_on_a_unix_socket, Network::Unix, Need::Nothing, BY_ARGUMENT),
];

const UNIX: i32 = libc::AF_UNIX;
const STREAM: i32 = libc::SOCK_STREAM;
const DATAGRAM: i32 = libc::SOCK_DGRAM;

fn connect_to_a_unix_socket(scene: &Scene) -> Answer {
    done(connect(socket(UNIX, STREAM, 0)?, &raw::unix_path(&scene.outside("stream"))))
}

fn connect_to_an_abstract_socket(scene: &Scene) -> Answer {
    done(connect(socket(UNIX, STREAM, 0)?, &raw::unix_abstract(&scene.abstract_name("stream"))))
}

fn connect_to_an_abstract_socket_beside_a_grant(scene: &Scene) -> Answer {
    connect_to_an_abstract_socket(scene)
}

fn connect_to_an_ungranted_unix_socket(scene: &Scene) -> Answer {
    connect_to_a_unix_socket(scene)
}

fn connect_to_an_abstract_socket_beside_a_unix_socket(scene: &Scene) -> Answer {
    connect_to_an_abstract_socket(scene)
}

fn connect_to_an_abstract_socket_beside_both(scene: &Scene) -> Answer {
    connect_to_an_abstract_socket(scene)
}

fn connect_to_an_ungranted_unix_socket_in_read_only(scene: &Scene) -> Answer {
    connect_to_a_unix_socket_in_read_only(scene)
}

fn make_a_unix_datagram_socket(_: &Scene) -> Answer {
    done(socket(UNIX, DATAGRAM, 0))
}

fn make_a_stream_socket_with_a_unix_grant(_: &Scene) -> Answer {
    done(socket(libc::AF_INET, STREAM, 0))
}

/// Whoever may connect could be reached as well, in a folder that it may write to.
fn listen_on_a_unix_socket(scene: &Scene) -> Answer {
    let listener = socket(UNIX, STREAM, 0)?;
    raw::bind(listener, &raw::unix_path(&scene.read_write("listener")))?;
    done(call(libc::SYS_listen, &[descriptor(listener), 1]))
}

/// Whoever listens there would serve more than the right to look.
fn connect_to_a_unix_socket_in_read_only(scene: &Scene) -> Answer {
    done(connect(socket(UNIX, STREAM, 0)?, &raw::unix_path(&scene.read_only("stream"))))
}

/// One half of a pair of datagram sockets can be connected anew: a Unix socket without socket(2).
fn reconnect(address: &[u8]) -> Answer {
    reconnect_as(DATAGRAM, address)
}

fn reconnect_as(kind: i32, address: &[u8]) -> Answer {
    let [half, _] = pair(UNIX, kind)?;
    connect(half, address)?;
    done(raw::write(half, b"x"))
}

fn reconnect_a_pair_outside(scene: &Scene) -> Answer {
    reconnect(&raw::unix_path(&scene.outside("datagram")))
}

fn reconnect_a_pair_in_the_grant(scene: &Scene) -> Answer {
    reconnect(&raw::unix_path(&scene.read_write("datagram")))
}

fn reconnect_a_pair_without_a_grant(scene: &Scene) -> Answer {
    reconnect_a_pair_in_the_grant(scene)
}

fn reconnect_a_pair_beside_a_unix_socket(scene: &Scene) -> Answer {
    reconnect_a_pair_in_the_grant(scene)
}

/// The kernel makes a datagram socket of it.
fn reconnect_a_pair_of_the_raw_type(scene: &Scene) -> Answer {
    reconnect_as(libc::SOCK_RAW, &raw::unix_path(&scene.read_write("datagram")))
}

fn reconnect_a_pair_to_an_abstract_name(scene: &Scene) -> Answer {
    reconnect(&raw::unix_abstract(&scene.abstract_name("datagram")))
}

/// A name that another program may want, and a way in for anybody who knows it.
fn take_an_abstract_name(scene: &Scene) -> Answer {
    let [half, _] = pair(UNIX, STREAM)?;
    done(raw::bind(half, &raw::unix_abstract(&scene.abstract_name("taken"))))
}

fn take_an_abstract_name_with_a_grant_to_connect(scene: &Scene) -> Answer {
    take_an_abstract_name(scene)
}

fn take_an_abstract_name_beside_a_unix_socket(scene: &Scene) -> Answer {
    take_an_abstract_name(scene)
}

/// What is connected already never listens, by whatever name.
fn serve_at_an_abstract_name(scene: &Scene) -> Answer {
    let [half, _] = pair(UNIX, STREAM)?;
    raw::bind(half, &raw::unix_abstract(&scene.abstract_name("taken")))?;
    done(call(libc::SYS_listen, &[descriptor(half), 1]))
}
