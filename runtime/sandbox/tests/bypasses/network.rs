//! Attacks on the network rules: families, types, protocols and ports that no grant covers. Addresses and datagram ports
//! are the guest wall's alone, which a row says; Unix sockets are in `unix`.

use wjob_model::wall::Wall::{Capabilities, Landlock, Mount, Network as Own, Seccomp};

use crate::raw::{self, at, at_mut, call, connect, descriptor, done, loopback, number, pair, socket};
use crate::scene::Scene;
use crate::table::{
    Answer, Attack, Need, Network, Row, attack, native, native_limit, native_without, wasm, wasm_limit, wasm_without,
};

const EACCES: i32 = libc::EACCES;
const EPERM: i32 = libc::EPERM;

const DATAGRAMS: &str = "datagram ports are held by the guest wall alone";

/// Sockets nobody granted, and no other wall that surely stands.
const NO_SOCKET: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Seccomp, &[EPERM]),
    native_without(Landlock, Seccomp, &[EPERM]),
];

/// Sockets that reach the wire itself, which a capability would give.
const NO_WIRE: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Capabilities, &[EPERM, libc::EAFNOSUPPORT]),
    native(Seccomp, &[EPERM]),
    native_without(Seccomp, Capabilities, &[EPERM, libc::EAFNOSUPPORT]),
];

/// Connections to a port nobody granted, where another is.
const OTHER_PORT: &[Row] = &[
    wasm(Landlock, &[EACCES]),
    wasm_without(Seccomp, Landlock, &[EACCES]),
    wasm_without(Mount, Landlock, &[EACCES]),
    native(Landlock, &[EACCES]),
    native_without(Seccomp, Landlock, &[EACCES]),
];

/// Why a job with Bind can listen at a port of the kernel's choice.
const LISTENS_ANYWHERE: &str =
    "listen(2) binds an unbound socket by itself, past landlock; the WASI wall checks the address";

/// What only the arguments of a call give away.
pub const BY_ARGUMENT: &[Row] = &[wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM])];

/// The table.
pub const ATTACKS: &[Attack] = &[
    // Without a grant.
    attack!(
        connect_without_a_grant,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EACCES]).since(4),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            wasm_without(Mount, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Landlock, &[EACCES]).since(4),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        send_a_datagram_without_a_grant,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Own, &[libc::ENETUNREACH]),
        ]
    ),
    attack!(make_a_socket_of_the_newer_family, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(make_a_socket_with_high_bits, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(make_a_raw_socket, Network::Nothing, Need::Nothing, NO_WIRE),
    attack!(make_a_packet_socket, Network::Nothing, Need::Nothing, NO_WIRE),
    attack!(make_a_netlink_socket, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(make_a_machine_socket, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(make_a_cipher_socket, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(make_a_fast_packet_socket, Network::Nothing, Need::Nothing, NO_SOCKET),
    attack!(pair_of_the_internet_family, Network::Nothing, Need::Nothing, BY_ARGUMENT),
    // The same behind grants: a grant opens what it names and no more.
    attack!(make_a_raw_socket_beside_a_grant, Network::TcpAndUdp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_ping_socket, Network::TcpAndUdp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_netlink_socket_beside_a_grant, Network::TcpAndUdp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_socket_of_the_ungranted_family, Network::TcpAndUdp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_datagram_socket_with_a_stream_grant, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_stream_socket_with_a_datagram_grant, Network::Udp, Need::Nothing, BY_ARGUMENT),
    attack!(make_a_light_datagram_socket, Network::Udp, Need::Nothing, BY_ARGUMENT),
    attack!(connect_by_another_stream_protocol, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    // Past the rules on ports.
    attack!(connect_to_another_port, Network::Tcp, Need::Nothing, OTHER_PORT),
    attack!(connect_by_several_paths, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(fast_open_by_sendto, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(fast_open_by_option, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(fast_open_by_sendmsg, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(fast_open_by_sendmmsg, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(fast_open_in_the_channels_place, Network::Tcp, Need::Nothing, [wasm(Seccomp, &[EPERM])]),
    attack!(change_the_protocol_of_a_socket, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(
        send_to_another_datagram_port,
        Network::Udp,
        Need::Nothing,
        [wasm_limit(None, DATAGRAMS), native_limit(DATAGRAMS),]
    ),
    // Being reached.
    attack!(listen_with_a_grant_to_connect, Network::Tcp, Need::Nothing, BY_ARGUMENT),
    attack!(
        listen_without_binding,
        Network::Bind,
        Need::Nothing,
        [wasm_limit(None, LISTENS_ANYWHERE), native_limit(LISTENS_ANYWHERE),]
    ),
    attack!(
        bind_with_a_grant_to_connect,
        Network::Tcp,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Landlock, &[EACCES]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Landlock, &[EACCES]),
        ]
    ),
    attack!(
        bind_a_stream_beside_datagrams,
        Network::TcpAndUdp,
        Need::Nothing,
        [wasm(Landlock, &[EACCES]), native(Landlock, &[EACCES]),]
    ),
    attack!(bind_another_port, Network::Bind, Need::Nothing, OTHER_PORT),
    attack!(bind_any_port, Network::Bind, Need::Nothing, OTHER_PORT),
    attack!(connect_with_a_grant_to_bind, Network::Bind, Need::Nothing, OTHER_PORT),
    // The channel.
    attack!(
        speak_on_another_descriptor,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM]),]
    ),
    attack!(
        hear_on_another_descriptor,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM]),]
    ),
];

const INET: i32 = libc::AF_INET;
const STREAM: i32 = libc::SOCK_STREAM;
const DATAGRAM: i32 = libc::SOCK_DGRAM;

fn stream() -> Result<i64, i32> {
    socket(INET, STREAM, 0)
}

fn connect_without_a_grant(scene: &Scene) -> Answer {
    done(connect(stream()?, &loopback(scene.other_port)))
}

fn send_a_datagram_without_a_grant(scene: &Scene) -> Answer {
    done(raw::send_to(socket(INET, DATAGRAM, 0)?, 0, &loopback(scene.other_datagram_port)))
}

fn make_a_socket_of_the_newer_family(_: &Scene) -> Answer {
    done(socket(libc::AF_INET6, STREAM, 0))
}

/// The kernel takes the family as 32 bits; a filter that compared 64 would be passed.
fn make_a_socket_with_high_bits(_: &Scene) -> Answer {
    const HIGH: usize = 1 << 32;
    done(call(libc::SYS_socket, &[HIGH | number(INET), HIGH | number(STREAM), 0]))
}

fn make_a_raw_socket(_: &Scene) -> Answer {
    done(socket(INET, libc::SOCK_RAW, libc::IPPROTO_ICMP))
}

fn make_a_packet_socket(_: &Scene) -> Answer {
    done(socket(libc::AF_PACKET, libc::SOCK_RAW, 0))
}

fn make_a_netlink_socket(_: &Scene) -> Answer {
    done(socket(libc::AF_NETLINK, libc::SOCK_RAW, 0))
}

fn make_a_machine_socket(_: &Scene) -> Answer {
    done(socket(libc::AF_VSOCK, STREAM, 0))
}

fn make_a_cipher_socket(_: &Scene) -> Answer {
    done(socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0))
}

fn make_a_fast_packet_socket(_: &Scene) -> Answer {
    done(socket(libc::AF_XDP, libc::SOCK_RAW, 0))
}

fn pair_of_the_internet_family(_: &Scene) -> Answer {
    pair(INET, STREAM).map(|_| "a pair was made".into())
}

fn make_a_raw_socket_beside_a_grant(scene: &Scene) -> Answer {
    make_a_raw_socket(scene)
}

fn make_a_ping_socket(_: &Scene) -> Answer {
    done(socket(INET, DATAGRAM, libc::IPPROTO_ICMP))
}

fn make_a_netlink_socket_beside_a_grant(scene: &Scene) -> Answer {
    make_a_netlink_socket(scene)
}

fn make_a_socket_of_the_ungranted_family(scene: &Scene) -> Answer {
    make_a_socket_of_the_newer_family(scene)
}

fn make_a_datagram_socket_with_a_stream_grant(_: &Scene) -> Answer {
    done(socket(INET, DATAGRAM | libc::SOCK_CLOEXEC, 0))
}

fn make_a_stream_socket_with_a_datagram_grant(_: &Scene) -> Answer {
    done(socket(INET, STREAM | libc::SOCK_NONBLOCK, 0))
}

fn make_a_light_datagram_socket(_: &Scene) -> Answer {
    done(socket(INET, DATAGRAM, libc::IPPROTO_UDPLITE))
}

fn connect_by_another_stream_protocol(_: &Scene) -> Answer {
    done(socket(INET, STREAM, libc::IPPROTO_SCTP))
}

fn connect_to_another_port(scene: &Scene) -> Answer {
    done(connect(stream()?, &loopback(scene.other_port)))
}

/// Landlock knew only one protocol of streams.
fn connect_by_several_paths(scene: &Scene) -> Answer {
    done(connect(socket(INET, STREAM, libc::IPPROTO_MPTCP)?, &loopback(scene.other_port)))
}

fn fast_open_by_sendto(scene: &Scene) -> Answer {
    done(raw::send_to(stream()?, libc::MSG_FASTOPEN, &loopback(scene.other_port)))
}

fn fast_open_by_option(_: &Scene) -> Answer {
    set_option(stream()?, libc::TCP_FASTOPEN_CONNECT, &1i32.to_ne_bytes())
}

fn set_option(socket: i64, option: i32, value: &[u8]) -> Answer {
    let arguments = [descriptor(socket), number(libc::IPPROTO_TCP), number(option), at(value), value.len()];
    done(call(libc::SYS_setsockopt, &arguments))
}

fn fast_open_by_sendmsg(scene: &Scene) -> Answer {
    done(raw::send_message(stream()?, libc::MSG_FASTOPEN, &loopback(scene.other_port)))
}

fn fast_open_by_sendmmsg(scene: &Scene) -> Answer {
    done(raw::send_messages(stream()?, libc::MSG_FASTOPEN, &loopback(scene.other_port)))
}

/// The rule on sendmsg(2) knows the channel by its number, which a new socket takes once the channel is closed.
fn fast_open_in_the_channels_place(scene: &Scene) -> Answer {
    call(libc::SYS_close, &[3])?;
    let socket = stream()?;
    done(raw::send_message(socket, libc::MSG_FASTOPEN, &loopback(scene.other_port)))
}

fn change_the_protocol_of_a_socket(_: &Scene) -> Answer {
    const TCP_ULP: i32 = 31;
    set_option(stream()?, TCP_ULP, b"tls")
}

fn send_to_another_datagram_port(scene: &Scene) -> Answer {
    done(raw::send_to(socket(INET, DATAGRAM, 0)?, 0, &loopback(scene.other_datagram_port)))
}

fn listen_with_a_grant_to_connect(_: &Scene) -> Answer {
    listen(stream()?)
}

/// The kernel then picks a port itself, past the rules on binding.
fn listen_without_binding(_: &Scene) -> Answer {
    listen(stream()?)
}

fn listen(socket: i64) -> Answer {
    call(libc::SYS_listen, &[descriptor(socket), 1])?;
    let mut address = [0u8; 16];
    let mut length = 16u32;
    call(libc::SYS_getsockname, &[descriptor(socket), at_mut(&mut address), at_mut(&mut length)])?;
    Ok(format!("it listens on port {}", u16::from_be_bytes([address[2], address[3]])))
}

fn bind_with_a_grant_to_connect(scene: &Scene) -> Answer {
    done(raw::bind(stream()?, &loopback(scene.bind_port)))
}

fn bind_a_stream_beside_datagrams(scene: &Scene) -> Answer {
    done(raw::bind(stream()?, &loopback(scene.bind_port)))
}

fn bind_another_port(scene: &Scene) -> Answer {
    done(raw::bind(stream()?, &loopback(scene.other_port)))
}

fn bind_any_port(_: &Scene) -> Answer {
    done(raw::bind(stream()?, &loopback(0)))
}

fn connect_with_a_grant_to_bind(scene: &Scene) -> Answer {
    done(connect(stream()?, &loopback(scene.other_port)))
}

fn speak_on_another_descriptor(_: &Scene) -> Answer {
    done(raw::send_message(4, 0, &[]))
}

fn hear_on_another_descriptor(_: &Scene) -> Answer {
    raw::write(3, b"x")?;
    let mut bytes = [0u8; 1];
    let parts = [at_mut(&mut bytes), 1];
    let mut message = raw::message(&parts, &[]);
    done(call(libc::SYS_recvmsg, &[4, at_mut(&mut message), 0]))
}
