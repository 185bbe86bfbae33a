//! What the network rules of a run let through, from its grants: families, kinds and TCP ports. Addresses and UDP
//! ports no kernel rule here can hold; the WASI wall does.

use serde::{Deserialize, Serialize};

use crate::grant::{Endpoint, Grants, Host, Port, Transport};

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
    /// Whether sockets are handed to it, through which it serves.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
