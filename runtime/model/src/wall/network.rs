//! What the network rules of a run let through, from its grants: families, kinds and TCP ports. Addresses and UDP
//! ports no kernel rule here can hold; the WASI wall does.

use serde::{Deserialize, Serialize};

use super::WorkerKind;
use crate::grant::{Endpoint, Grants, Host, Port, Transport};
use crate::job::Job;
use crate::socket::{Place, Remote, Socket};

/// TCP ports a rule lets through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ports {
    /// All.
    Any,
    /// These.
    These(Vec<u16>),
}

impl Ports {
    /// Adds one port of a grant.
    fn add(&mut self, port: Port) {
        match (port, self) {
            (Port::Any, ports) => *ports = Self::Any,
            (Port::Number(number), Self::These(these)) if !these.contains(&number) => these.push(number),
            _ => {}
        }
    }
}

/// What the network rules let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// Stream sockets.
    pub tcp: bool,
    /// Datagram sockets.
    pub udp: bool,
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
    /// Connections to Unix sockets: those that the mount wall shows.
    pub unix: bool,
    /// Whether bind and listen are allowed to tcp sockets.
    pub bind: bool,
    /// Whether it serves through sockets that are handed to it; a native program only if all of them are listeners or
    /// take datagrams.
    pub serves: bool,
    /// TCP ports that may be connected to.
    pub connect_ports: Ports,
    /// TCP ports that may be bound.
    pub bind_ports: Ports,
}

impl Default for NetworkPlan {
    fn default() -> Self {
        Self {
            tcp: false,
            udp: false,
            ipv4: false,
            ipv6: false,
            unix: false,
            bind: false,
            serves: false,
            connect_ports: Ports::These(Vec::new()),
            bind_ports: Ports::These(Vec::new()),
        }
    }
}

impl NetworkPlan {
    /// The rules that grants stand for; names may resolve to either family.
    pub fn of(grants: &Grants) -> Self {
        let mut plan = Self::default();
        for endpoint in &grants.connect {
            plan.admit(endpoint);
            if endpoint.transport.is_tcp() {
                plan.connect_ports.add(endpoint.port);
            }
        }
        for endpoint in &grants.bind {
            plan.admit(endpoint);
            // listen is for streams alone; datagrams are bound all the same, see `syscalls`.
            plan.bind |= endpoint.transport.is_tcp();
            if endpoint.transport.is_tcp() {
                plan.bind_ports.add(endpoint.port);
            }
        }
        plan
    }

    fn admit(&mut self, endpoint: &Endpoint) {
        self.tcp |= endpoint.transport.is_tcp();
        self.udp |= endpoint.transport == Transport::Udp;
        self.unix |= endpoint.transport == Transport::Unix;
        let (four, six) = match &endpoint.host {
            Host::Address(address) => (address.is_ipv4(), address.is_ipv6()),
            Host::Network(network) => (network.is_ipv4(), !network.is_ipv4()),
            Host::Name(_) => (true, true),
            Host::Path(_) => (false, false),
        };
        self.ipv4 |= four;
        self.ipv6 |= six;
    }

    /// Whether any socket of the network may be made.
    pub fn any(&self) -> bool {
        self.tcp || self.udp
    }
}

/// Whether a job serves through the sockets that it is handed. A native program that is handed a connection does not, by
/// inetd's way or since one was made for it: no rule tells that from the others, and where nobody answered, or once it was
/// taken apart (connect(2), AF_UNSPEC), it could be listened on.
pub(super) fn serves(job: &Job, kind: WorkerKind) -> bool {
    let is_connection = |socket: &Socket| socket.place.is_remote() && socket.kind.accepts();
    let connections = job.inetd_wait == Some(false) || job.sockets.iter().any(is_connection);
    let all_serve = kind != WorkerKind::Native || !connections;
    all_serve && !job.sockets.is_empty()
}

/// Whether a job has a connection to somebody else's Unix socket. Where nobody answered, a native program can connect that
/// to another.
pub(super) fn is_connected_to_a_path(job: &Job) -> bool {
    job.sockets.iter().any(|socket| matches!(socket.place, Place::Remote(Remote::Path(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, load};
    use crate::wall::{Machine, plan};

    #[test]
    fn network_rules_follow_the_grants() {
        let connect = |text: &str| Endpoint::parse_connect(text).unwrap();
        let grants = Grants {
            connect: vec![connect("https://example.com"), connect("udp://127.0.0.1:53")],
            ..Grants::default()
        };
        let plan = NetworkPlan::of(&grants);
        assert!(plan.tcp && plan.udp && plan.ipv4 && plan.ipv6 && !plan.bind);
        assert_eq!(plan.connect_ports, Ports::These(vec![443]));
        let connect = vec![Endpoint::parse_network("tcp://[fd00::/8]:*").unwrap()];
        let plan = NetworkPlan::of(&Grants { connect, ..Grants::default() });
        assert!(plan.tcp && plan.ipv6 && !plan.ipv4 && !plan.udp);
        assert_eq!(plan.connect_ports, Ports::Any);
        let none = NetworkPlan::of(&Grants::default());
        assert!(!none.any());
    }

    #[test]
    fn a_unix_socket_opens_nothing_of_the_network() {
        let connect = vec![Endpoint::parse_connect("unix:///run/x").unwrap()];
        let plan = NetworkPlan::of(&Grants { connect, ..Grants::default() });
        assert_eq!(plan, NetworkPlan { unix: true, ..NetworkPlan::default() });
        assert!(!plan.any());
    }

    #[test]
    fn a_native_program_that_is_handed_a_connection_does_not_serve() {
        let (at, to) = ("a = { SockServiceName = 80; };", "b = { SockServiceName = 80; SockPassive = NO; };");
        let datagrams = "c = { SockServiceName = 53; SockPassive = NO; SockType = dgram; };";
        let path = "d = { SockPathName = \"/run/d\"; SockPassive = NO; };";
        for (sockets, more, wasm, native) in [
            ("", "", false, false),
            (at, "", true, true),
            (at, "inetdCompatibility = { Wait = YES; };", true, true),
            (at, "inetdCompatibility = { Wait = NO; };", true, false),
            (to, "", true, false),
            (path, "", true, false),
            (datagrams, "", true, true),
            (&format!("{at} {datagrams}"), "", true, true),
            (&format!("{at} {to}"), "", true, false),
        ] {
            let text = format!("{{ Label = a; Program = \"/bin/a\"; Sockets = {{ {sockets} }}; {more} }}");
            let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 });
            let job = loaded.job.unwrap_or_else(|| panic!("{sockets}: {:?}", loaded.findings));
            for (is_wasm, expected) in [(true, wasm), (false, native)] {
                let plan = plan(&job, "/bin/a", is_wasm, &Machine::able(1000), false).unwrap();
                assert_eq!(plan.network.serves, expected, "{sockets} {more} wasm {is_wasm}");
            }
        }
    }
}
