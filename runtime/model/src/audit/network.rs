//! Where the job may connect and what it may bind, and how much of that the kernel holds.

use std::net::{IpAddr, Ipv6Addr};

use super::{Held, Judged, Subject, WORST, named, worst};
use crate::grant::{Endpoint, Host, Port, Transport};
use crate::socket::{Place, Remote, Service, Socket};
use crate::wall::Wall;

/// Sockets whose service does for whoever asks what root could do, or its user outside of all walls.
const POWERFUL: &[&str] = &[
    "bus",
    "containerd.sock",
    "crio.sock",
    "docker.sock",
    "libvirt-sock",
    "podman.sock",
    "private",
    "snapd.socket",
    "system_bus_socket",
    "unix.socket",
    "virtlxcd-sock",
    "virtqemud-sock",
];

/// Where a cloud gives out credentials over IPv6.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// `Grants.Connect` in the network, and the connections that are made for it.
pub(super) fn connect(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Seccomp, Wall::Landlock]);
    let granted = destinations(subject).map(|endpoint| (distance(endpoint), endpoint.to_string()));
    let made = subject.job.sockets.iter().filter_map(connected);
    let (badness, places): (Vec<u32>, Vec<String>) = granted.chain(made).unzip();
    match places.as_slice() {
        [] => Judged::new(0, held, "it may connect to no address"),
        places => Judged::new(worst(&badness), held, format!("it may connect to {}", named(places))),
    }
}

/// Where a socket is connected in the network, and how far away that is.
fn connected(socket: &Socket) -> Option<(u32, String)> {
    let Place::Remote(Remote::Network { node, service, .. }) = &socket.place else {
        return None;
    };
    let node = node.as_deref().unwrap_or("localhost");
    let host = node.parse().map_or(Host::Name(node.to_owned()), Host::Address);
    let badness = match host {
        Host::Name(_) => 2,
        host => distance(&Endpoint { transport: Transport::Tcp, host, port: Port::Number(0) }),
    };
    let port = match service {
        Service::Port(port) => port.to_string(),
        Service::Name(name) => name.clone(),
    };
    Some((badness, format!("port {port} of {node}, through a connection that is made for it")))
}

fn destinations<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Endpoint> {
    subject.job.grants.connect.iter().filter(|endpoint| endpoint.transport != Transport::Unix)
}

/// How far away it is, and whether all its ports are meant. Link-local addresses are those of the machine's own
/// makers: in clouds they give out credentials (169.254.169.254).
fn distance(endpoint: &Endpoint) -> u32 {
    let host = match endpoint.host {
        Host::Address(IpAddr::V4(address)) if address.is_link_local() => WORST,
        Host::Address(IpAddr::V6(address)) if address.is_unicast_link_local() || address == METADATA => WORST,
        Host::Address(address) if address.is_loopback() => 2,
        Host::Address(_) | Host::Name(_) | Host::Path(_) => 4,
        // No job file has one; where one is recorded, link-local addresses may lie in it.
        Host::Network(_) => WORST,
    };
    host + if endpoint.port == Port::Any { 3 } else { 0 }
}

fn listed(endpoints: &[&Endpoint]) -> String {
    named(&endpoints.iter().map(ToString::to_string).collect::<Vec<String>>())
}

/// `Grants.Connect` to Unix sockets.
pub(super) fn unix(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Mount, Wall::Landlock]);
    let sockets: Vec<String> = paths(subject).map(str::to_owned).collect();
    if sockets.is_empty() {
        return Judged::new(0, held, "it may connect to no Unix socket of another program");
    }
    let badness: Vec<u32> = sockets.iter().map(|path| if is_powerful(path) { WORST } else { 4 }).collect();
    // No rule of the kernel tells one of the sockets that are seen from another.
    let beside = !subject.job.grants.paths.is_empty();
    let more = if beside { ", and to those in its Paths" } else { "" };
    let words = format!("it may connect to {}{more}", named(&sockets));
    Judged::new(worst(&badness) + u32::from(beside), held, words)
}

/// Those of them whose service acts for whoever asks: what holds the job does not hold that.
pub(super) fn powerful(subject: &Subject<'_>) -> Judged {
    let sockets = paths(subject).filter(|path| is_powerful(path));
    let sockets: Vec<String> = sockets.map(str::to_owned).collect();
    if sockets.is_empty() {
        return Judged::new(0, subject.held(&[Wall::Mount, Wall::Landlock]), "no service that it reaches acts for it");
    }
    let words = format!("what answers at {} does for it what no wall holds", named(&sockets));
    Judged::new(WORST, Held::Nothing, words)
}

/// Those that it is granted, and those to which it is connected.
fn paths<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a str> {
    let job = subject.job;
    let connected = job.sockets.iter().filter_map(|socket| match &socket.place {
        Place::Remote(Remote::Path(path)) => Some(path.as_str()),
        _ => None,
    });
    job.grants.sockets().chain(connected)
}

fn is_powerful(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| POWERFUL.contains(&name))
}

/// `Grants.Bind`.
pub(super) fn bind(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Seccomp, Wall::Landlock]);
    let granted: Vec<&Endpoint> = subject.job.grants.bind.iter().collect();
    if granted.is_empty() {
        return Judged::new(0, held, "it may listen on no address of its choice");
    }
    let badness: Vec<u32> = granted.iter().map(|endpoint| reach(endpoint)).collect();
    Judged::new(worst(&badness), held, format!("it may listen on {}", listed(&granted)))
}

fn reach(endpoint: &Endpoint) -> u32 {
    let host = match endpoint.host {
        Host::Address(address) if address.is_loopback() => 3,
        Host::Address(address) if !address.is_unspecified() => 5,
        Host::Address(_) | Host::Name(_) | Host::Network(_) | Host::Path(_) => 7,
    };
    let any = matches!(endpoint.port, Port::Any | Port::Number(0));
    host + if any { 2 } else { 0 }
}

/// Addresses: no rule of the kernel that is used here knows them. Of what it is handed only a socket of datagrams counts:
/// others connect to no other place, since landlock lets them through to no port.
pub(super) fn addresses(subject: &Subject<'_>) -> Judged {
    let granted = destinations(subject).next().is_some() || !subject.job.grants.bind.is_empty();
    match (granted, has_udp_socket(subject), subject.is_wasm()) {
        (false, false, _) => Judged::new(0, subject.held(&[Wall::Seccomp]), "there is no address to hold it to"),
        (true, _, true) => {
            let words = "the WASI wall alone holds it to the addresses granted: landlock knows ports only";
            Judged::new(2, Held::Guest, words)
        }
        (false, true, true) => Judged::new(2, Held::Guest, ANSWERS),
        (true, false, false) => {
            let words = "nothing holds it to the addresses granted: landlock knows ports only";
            Judged::new(WORST, Held::Nothing, words)
        }
        (_, true, false) => Judged::new(WORST, Held::Nothing, ANYWHERE),
    }
}

/// Of a component that has a UDP socket of `Sockets`.
const ANSWERS: &str =
    "the WASI wall alone holds its UDP socket to those who have sent it something and to whom it is connected";
/// Of a native program that has one.
const ANYWHERE: &str = "nothing holds its UDP socket to any address: it can send to every one, at every port";

fn has_udp_socket(subject: &Subject<'_>) -> bool {
    subject.job.sockets.iter().any(Socket::is_udp)
}

/// UDP: its ports neither.
pub(super) fn udp(subject: &Subject<'_>) -> Judged {
    let grants = &subject.job.grants;
    let granted = grants.connect.iter().chain(&grants.bind).any(|endpoint| endpoint.transport == Transport::Udp);
    match (granted, has_udp_socket(subject), subject.is_wasm()) {
        (false, false, _) => Judged::new(0, subject.held(&[Wall::Seccomp]), "it has no UDP"),
        (true, _, true) => Judged::new(3, Held::Guest, "the WASI wall alone holds it to the UDP ports granted"),
        (false, true, true) => Judged::new(3, Held::Guest, ANSWERS),
        (true, false, false) => Judged::new(WORST, Held::Nothing, "nothing holds it to the UDP ports granted"),
        (_, true, false) => Judged::new(WORST, Held::Nothing, ANYWHERE),
    }
}
