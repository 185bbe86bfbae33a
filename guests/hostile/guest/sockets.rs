//! Attacks on stream sockets and names: destinations nobody granted, other ways to write them, listening, and calls that
//! wait for ever. An answer that only the network can have given shows that it was asked, and counts as got through.

use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("connect_without_a_grant", connect_without_a_grant),
    ("connect_to_another_port", connect_to_another_port),
    ("connect_by_a_mapped_address", connect_by_a_mapped_address),
    ("connect_to_no_address", connect_to_no_address),
    ("connect_to_the_metadata_service", connect_to_the_metadata_service),
    ("connect_to_port_zero", connect_to_port_zero),
    ("connect_to_everybody", connect_to_everybody),
    ("listen_without_a_grant", listen_without_a_grant),
    ("listen_with_a_grant_to_connect", listen_with_a_grant_to_connect),
    ("bind_a_port_that_was_picked_before", bind_a_port_that_was_picked_before),
    ("look_up_what_nobody_granted", look_up_what_nobody_granted),
    ("leave_connections_half_open", leave_connections_half_open),
    ("accept_for_ever", accept_for_ever),
    ("read_a_connection_for_ever", read_a_connection_for_ever),
    ("write_a_connection_for_ever", write_a_connection_for_ever),
];

/// More than a guest may have descriptors.
const MANY: usize = 12_000;

/// An address of version 4.
pub fn v4(octets: [u8; 4], port: u16) -> IpSocketAddress {
    let [a, b, c, d] = octets;
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) })
}

/// An address of version 6.
pub fn v6(segments: [u16; 8], port: u16) -> IpSocketAddress {
    let [a, b, c, d, e, f, g, h] = segments;
    IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address: (a, b, c, d, e, f, g, h), scope_id: 0 })
}

/// This machine, as it calls itself.
pub const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
/// The same within version 6, ::ffff:127.0.0.1.
const MAPPED: [u16; 8] = [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1];

/// What an error says about where it comes from.
pub fn told(code: ErrorCode) -> Attempt {
    match code {
        ErrorCode::AccessDenied
        | ErrorCode::InvalidArgument
        | ErrorCode::InvalidState
        | ErrorCode::NotSupported
        | ErrorCode::NameUnresolvable => Err(code.name().to_owned()),
        answered => Ok(format!("it was tried, and answered {}", answered.name())),
    }
}

fn family_of(address: &IpSocketAddress) -> IpAddressFamily {
    match address {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    }
}

/// A connection, waited for.
fn connected(to: IpSocketAddress) -> Result<(TcpSocket, InputStream, OutputStream), ErrorCode> {
    let socket = create_tcp_socket(family_of(&to))?;
    socket.start_connect(&instance_network(), to)?;
    loop {
        socket.subscribe().block();
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => {}
            Err(code) => return Err(code),
            Ok((input, output)) => return Ok((socket, input, output)),
        }
    }
}

/// The first of these that is reached, or was tried to be.
fn connect_to_any(addresses: impl IntoIterator<Item = IpSocketAddress>) -> Attempt {
    let mut last = Err("nothing was tried".to_owned());
    for address in addresses {
        last = match connected(address) {
            Ok(_) => Ok(format!("{address:?} was reached")),
            Err(code) => told(code),
        };
        if last.is_ok() {
            break;
        }
    }
    last
}

fn connect_without_a_grant(stage: &Stage) -> Attempt {
    let port = stage.port("tcp");
    connect_to_any([v4(LOOPBACK, port), v6([0, 0, 0, 0, 0, 0, 0, 1], port), v4([192, 0, 2, 1], 80)])
}

fn connect_to_another_port(stage: &Stage) -> Attempt {
    connect_to_any([v4(LOOPBACK, stage.port("tcp")), v4([127, 0, 0, 2], stage.port("granted")), v4(LOOPBACK, 22)])
}

fn connect_by_a_mapped_address(stage: &Stage) -> Attempt {
    let port = stage.port("tcp");
    let compatible = [0, 0, 0, 0, 0, 0, 0x7f00, 1];
    let translated = [0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1];
    connect_to_any([MAPPED, compatible, translated].map(|address| v6(address, port)))
}

fn connect_to_no_address(stage: &Stage) -> Attempt {
    let port = stage.port("tcp");
    let mapped = [0, 0, 0, 0, 0, 0xffff, 0, 0];
    connect_to_any([v4([0; 4], port), v4([0, 0, 0, 1], port), v6([0; 8], port), v6(mapped, port)])
}

fn connect_to_the_metadata_service(_: &Stage) -> Attempt {
    let six = [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
    let mapped = [0, 0, 0, 0, 0, 0xffff, 0xa9fe, 0xa9fe];
    connect_to_any([v4([169, 254, 169, 254], 80), v6(six, 80), v6(mapped, 80)])
}

fn connect_to_port_zero(_: &Stage) -> Attempt {
    connect_to_any([v4(LOOPBACK, 0), v6([0, 0, 0, 0, 0, 0, 0, 1], 0)])
}

fn connect_to_everybody(_: &Stage) -> Attempt {
    connect_to_any([v4([255; 4], 80), v4([224, 0, 0, 1], 80), v6([0xff02, 0, 0, 0, 0, 0, 0, 1], 80)])
}

/// A socket that listens at this address.
fn listening(at: IpSocketAddress) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(family_of(&at))?;
    socket.start_bind(&instance_network(), at)?;
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.finish_listen()?;
    Ok(socket)
}

/// The first of these at which somebody could connect now.
fn listen_at_any(addresses: impl IntoIterator<Item = IpSocketAddress>) -> Attempt {
    let mut last = "nothing was tried";
    for address in addresses {
        match listening(address) {
            Ok(_) => return Ok(format!("it listens at {address:?}")),
            Err(code) => last = code.name(),
        }
    }
    Err(last.to_owned())
}

fn listen_without_a_grant(_: &Stage) -> Attempt {
    listen_at_any([v4(LOOPBACK, 0), v4([0; 4], 0), v4([0; 4], 80), v6([0; 8], 0)])
}

fn listen_with_a_grant_to_connect(stage: &Stage) -> Attempt {
    listen_at_any([v4(LOOPBACK, 0), v4([0; 4], 0), v4(LOOPBACK, stage.port("granted")), v6([0; 8], 0)])
}

/// The grant is of port 0, any that the system picks; it is not one of this number for whoever asks for it by name.
fn bind_a_port_that_was_picked_before(_: &Stage) -> Attempt {
    let first = must("listening at a port of the system's choice", listening(v4(LOOPBACK, 0)));
    let address = must("asking for the port", first.local_address());
    drop(first);
    listen_at_any([address])
}

fn look_up_what_nobody_granted(_: &Stage) -> Attempt {
    let long = "x".repeat(1 << 20);
    let dotted = format!("localhost{}", ".".repeat(1000));
    let network = instance_network();
    for name in
        ["localhost", "LOCALHOST.", "metadata.google.internal", "0x7f.1", "a\0b", "", dotted.as_str(), long.as_str()]
    {
        let Ok(answers) = resolve_addresses(&network, name) else { continue };
        answers.subscribe().block();
        if let Ok(Some(address)) = answers.resolve_next_address() {
            return Ok(format!("{name} is {address:?}"));
        }
    }
    Err("no name has an address".into())
}

fn leave_connections_half_open(stage: &Stage) -> Attempt {
    let granted = v4(LOOPBACK, stage.port("granted"));
    let network = instance_network();
    for number in 0..MANY {
        let socket = match create_tcp_socket(IpAddressFamily::Ipv4) {
            Ok(socket) => socket,
            Err(code) => return Ok(format!("after {number} no socket is left: {}", code.name())),
        };
        // It is dropped before anybody could have answered.
        let _ = socket.start_connect(&network, granted);
        let _ = socket.finish_connect();
    }
    Err(format!("{MANY} connections were begun and dropped"))
}

fn accept_for_ever(_: &Stage) -> Attempt {
    let socket = must("listening", listening(v4(LOOPBACK, 0)));
    loop {
        socket.subscribe().block();
        if socket.accept().is_ok() {
            return Ok("somebody came".into());
        }
    }
}

fn read_a_connection_for_ever(stage: &Stage) -> Attempt {
    let (_socket, input, _output) = must("connecting", connected(v4(LOOPBACK, stage.port("granted"))));
    match input.blocking_read(1) {
        Ok(bytes) => Ok(format!("{} bytes came", bytes.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Its other end takes nothing.
fn write_a_connection_for_ever(stage: &Stage) -> Attempt {
    let (_socket, _input, output) = must("connecting", connected(v4(LOOPBACK, stage.port("granted"))));
    loop {
        if let Err(error) = output.blocking_write_and_flush(&[b'x'; 4096]) {
            return Err(error.to_string());
        }
    }
}
