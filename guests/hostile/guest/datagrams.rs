//! Attacks on datagram sockets: destinations nobody granted, by each of the three ways to name one.

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::sockets::{LOOPBACK, told, v4, v6};
use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("send_datagrams_without_a_grant", send_datagrams_without_a_grant),
    ("connect_datagrams_to_another_port", connect_datagrams_to_another_port),
    ("send_datagrams_to_another_port", send_datagrams_to_another_port),
    ("send_datagrams_past_a_connection", send_datagrams_past_a_connection),
    ("send_datagrams_to_no_address", send_datagrams_to_no_address),
    ("send_datagrams_to_everybody", send_datagrams_to_everybody),
    ("bind_datagrams_without_a_grant", bind_datagrams_without_a_grant),
    ("send_too_many_datagrams_at_once", send_too_many_datagrams_at_once),
];

type Streams = (IncomingDatagramStream, OutgoingDatagramStream);

/// A socket bound as a client's is.
fn bound() -> Result<UdpSocket, ErrorCode> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), v4([0; 4], 0))?;
    socket.finish_bind()?;
    Ok(socket)
}

/// Sends one; with the streams' own destination if none is given.
fn send(streams: &Streams, to: Option<IpSocketAddress>) -> Result<u64, ErrorCode> {
    let outgoing = &streams.1;
    while outgoing.check_send()? == 0 {
        outgoing.subscribe().block();
    }
    outgoing.send(&[OutgoingDatagram { data: b"attack".to_vec(), remote_address: to }])
}

/// What came of sending.
fn judged(result: Result<u64, ErrorCode>) -> Attempt {
    match result {
        Ok(0) => Err("nothing was sent".into()),
        Ok(count) => Ok(format!("{count} sent")),
        Err(code) => told(code),
    }
}

/// The first of these that something is sent to.
fn send_to_any(addresses: impl IntoIterator<Item = IpSocketAddress>) -> Attempt {
    let mut last = Err("nothing was tried".to_owned());
    for address in addresses {
        last = judged(bound().and_then(|socket| send(&socket.stream(None)?, Some(address))));
        if last.is_ok() {
            break;
        }
    }
    last
}

fn send_datagrams_without_a_grant(stage: &Stage) -> Attempt {
    send_to_any([v4(LOOPBACK, stage.port("udp")), v4([192, 0, 2, 1], 53)])
}

/// The address is checked when the socket is connected, and not only when something is sent.
fn connect_datagrams_to_another_port(stage: &Stage) -> Attempt {
    let socket = must("binding", bound());
    match socket.stream(Some(v4(LOOPBACK, stage.port("udp")))) {
        Ok(streams) => match judged(send(&streams, None)) {
            Ok(what) => Ok(what),
            Err(why) => Ok(format!("it was connected, though sending is {why}")),
        },
        Err(code) => told(code),
    }
}

fn send_datagrams_to_another_port(stage: &Stage) -> Attempt {
    let port = stage.port("udp");
    send_to_any([v4(LOOPBACK, port), v4([127, 0, 0, 2], stage.port("granted-udp")), v6([0, 0, 0, 0, 0, 0, 0, 1], port)])
}

fn send_datagrams_past_a_connection(stage: &Stage) -> Attempt {
    let socket = must("binding", bound());
    let streams = must("connecting", socket.stream(Some(v4(LOOPBACK, stage.port("granted-udp")))));
    judged(send(&streams, Some(v4(LOOPBACK, stage.port("udp")))))
}

fn send_datagrams_to_no_address(stage: &Stage) -> Attempt {
    let port = stage.port("udp");
    send_to_any([v4([0; 4], port), v4([0, 0, 0, 1], port), v4(LOOPBACK, 0)])
}

fn send_datagrams_to_everybody(stage: &Stage) -> Attempt {
    let port = stage.port("udp");
    send_to_any([v4([255; 4], port), v4([224, 0, 0, 1], port), v4([127, 255, 255, 255], port)])
}

fn bind_datagrams_without_a_grant(stage: &Stage) -> Attempt {
    let mut last = "nothing was tried";
    for address in [v4(LOOPBACK, 0), v4([0; 4], 53), v4(LOOPBACK, stage.port("granted-udp"))] {
        let socket = must("making a socket", create_udp_socket(IpAddressFamily::Ipv4));
        let begun = socket.start_bind(&instance_network(), address);
        match begun.and_then(|()| socket.finish_bind()) {
            Ok(()) => return Ok(format!("it is bound to {address:?}")),
            Err(code) => last = code.name(),
        }
    }
    Err(last.to_owned())
}

/// More than the host said it would take.
fn send_too_many_datagrams_at_once(stage: &Stage) -> Attempt {
    let socket = must("binding", bound());
    let (_incoming, outgoing) = must("opening", socket.stream(None));
    let to = Some(v4(LOOPBACK, stage.port("granted-udp")));
    let datagram = OutgoingDatagram { data: b"attack".to_vec(), remote_address: to };
    judged(outgoing.send(&vec![datagram; 1_000_000]))
}
