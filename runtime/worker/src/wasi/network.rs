//! The granted network: which addresses may be connected to and bound, which names have which addresses.
//! Nothing is resolved or opened here: names come in with their addresses, from the resolve role, because
//! a worker that asked a resolver itself could be led to any address by whoever answers.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use wasmtime_wasi::sockets::SocketAddrUse;
use wjob_model::denial::Denial;
use wjob_model::grant::{Endpoint, Host, Port, Transport, canonical};

use super::answers::keep_answer;
use crate::denial::Denials;
use crate::used::Uses;

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Kind {
    /// Whether a grant of `transport` is spoken over such a socket: HTTP is TCP.
    fn serves(self, transport: Transport) -> bool {
        match self {
            Self::Tcp => transport.is_tcp(),
            Self::Udp => transport == Transport::Udp,
        }
    }

    /// The transport a property list would grant it by.
    pub fn transport(self) -> Transport {
        match self {
            Self::Tcp => Transport::Tcp,
            Self::Udp => Transport::Udp,
        }
    }
}

type Names = HashMap<String, Vec<IpAddr>>;

/// What `Grants.Connect` and `Grants.Bind` give, and the current addresses of the granted names.
#[derive(Debug, Default)]
pub struct Network {
    connect: Vec<Endpoint>,
    bind: Vec<Endpoint>,
    names: RwLock<Names>,
    /// When fresh addresses were last asked for, or came.
    asked: Mutex<Option<Instant>>,
    /// Peers whose datagrams came, the newest last.
    heard: Mutex<VecDeque<SocketAddr>>,
    /// Where it is told what of it is used.
    uses: Arc<Uses>,
}

/// Addresses older than this are asked for again when a guest looks their name up.
const FRESH: Duration = Duration::from_secs(60);

/// Peers a datagram server may answer at any time.
const MOST_HEARD: usize = 256;

impl Network {
    /// A table of these grants; `names` are the answers of the resolve role.
    pub fn new(connect: Vec<Endpoint>, bind: Vec<Endpoint>, names: Vec<(String, Vec<IpAddr>)>) -> Self {
        let network = Self { connect, bind, ..Self::default() };
        network.replace_names(names);
        network
    }

    /// The same, telling `uses` what of it is used.
    pub fn telling(self, uses: Arc<Uses>) -> Self {
        Self { uses, ..self }
    }

    /// Puts newer answers in place of all earlier ones; those [`keep_answer`] refuses are dropped.
    pub fn replace_names(&self, names: Vec<(String, Vec<IpAddr>)>) {
        let mut table = Names::new();
        for (name, answers) in names {
            let kept = answers.into_iter().map(canonical);
            let kept = kept.filter(|ip| keep_answer(*ip, &self.connect));
            table.entry(fold(&name)).or_default().extend(kept);
        }
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Whether the addresses are to be asked for again: true once, until they have aged again.
    pub fn names_are_stale(&self, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *asked.get_or_insert(now);
        let stale = now.saturating_duration_since(began) >= FRESH;
        if stale {
            *asked = Some(now);
        }
        stale
    }

    /// Whether a socket of this kind may send to `address`.
    pub fn allows_connect(&self, kind: Kind, address: SocketAddr) -> bool {
        if canonical(address.ip()).is_unspecified() {
            return false;
        }
        let names = self.names();
        let granted = |grant: &Endpoint| kind.serves(grant.transport) && covers(grant, address, &names);
        self.reaches(granted, |grant| grant.at(address))
    }

    /// Whether a connection to the Unix socket at this path of the job's view is granted.
    pub fn allows_socket(&self, path: &str) -> bool {
        self.reaches(|grant| matches!(&grant.host, Host::Path(granted) if granted == path), Endpoint::clone)
    }

    /// Whether a socket of this kind may be bound to `address`; a client's own bind, any address and
    /// any port, goes with every grant to connect.
    pub fn allows_bind(&self, kind: Kind, address: SocketAddr) -> bool {
        let mut connect = self.connect.iter();
        self.is_bound(|grant| grant.transport == kind.transport() && grant.covers_bind(address))
            || (is_implicit(address) && connect.any(|grant| kind.serves(grant.transport)))
    }

    /// Whether a stream socket that is bound to `address` may listen: a grant of port 0 covers
    /// whichever port the system picked.
    pub fn allows_listen(&self, address: SocketAddr) -> bool {
        let picked = SocketAddr::new(address.ip(), 0);
        let covers = |grant: &Endpoint| {
            grant.covers_bind(address) || (grant.port == Port::Number(0) && grant.covers_bind(picked))
        };
        self.is_bound(|grant| grant.transport == Transport::Tcp && covers(grant))
    }

    /// Whether a destination is granted; its use is told, and what of it was `reached` where somebody learns.
    fn reaches(&self, granted: impl Fn(&Endpoint) -> bool, reached: impl FnOnce(&Endpoint) -> Endpoint) -> bool {
        let Some(place) = self.connect.iter().position(granted) else {
            return false;
        };
        self.uses.connect(place);
        self.uses.did_connect(|| reached(&self.connect[place]));
        true
    }

    /// Whether an address is granted; its use is told.
    fn is_bound(&self, granted: impl Fn(&Endpoint) -> bool) -> bool {
        let Some(place) = self.bind.iter().position(granted) else {
            return false;
        };
        self.uses.bind(place);
        self.uses.did_bind(|| self.bind[place].clone());
        true
    }

    /// The addresses a granted name has now, none if it did not resolve; a literal address is its own.
    /// `None`: the name is not granted.
    pub fn lookup(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(literal) = literal(name) {
            return Some(vec![literal]);
        }
        let name = fold(name);
        let granted = |grant: &Endpoint| matches!(&grant.host, Host::Name(host) if *host == name);
        if !self.reaches(granted, Endpoint::clone) {
            return None;
        }
        Some(self.names().get(&name).cloned().unwrap_or_default())
    }

    /// Where a request to `asked`, one host and port of `http` or `https`, may be sent.
    /// `None`: not granted.
    pub fn request(&self, asked: &Endpoint) -> Option<Vec<SocketAddr>> {
        let Port::Number(port) = asked.port else {
            return None;
        };
        let granted = |grant: &Endpoint| {
            grant.transport == asked.transport && grant.covers_host(&asked.host) && grant.port.covers(port)
        };
        if !self.reaches(granted, |_| asked.clone()) {
            return None;
        }
        let addresses = match &asked.host {
            Host::Address(address) => vec![*address],
            Host::Network(_) | Host::Path(_) => Vec::new(),
            Host::Name(name) => self.names().get(name).cloned().unwrap_or_default(),
        };
        let at = |ip| SocketAddr::new(ip, port);
        Some(addresses.into_iter().map(at).collect())
    }

    /// The verdict on one use of an address.
    fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            // A wildcard bind alone reaches nobody. Refusing it here would report the bind instead
            // of the destination that is refused a moment later.
            SocketAddrUse::TcpBind => self.allows_bind(Kind::Tcp, address) || is_implicit(address),
            SocketAddrUse::UdpBind => self.allows_bind(Kind::Udp, address) || is_implicit(address),
            SocketAddrUse::TcpListen => self.allows_listen(address),
            SocketAddrUse::TcpAccept => self.binds(Kind::Tcp).next().is_some(),
            SocketAddrUse::TcpConnect => self.allows_connect(Kind::Tcp, address),
            SocketAddrUse::UdpSend => self.allows_connect(Kind::Udp, address) || self.has_heard(address),
            SocketAddrUse::UdpReceive if self.binds(Kind::Udp).next().is_some() => {
                self.hear(address);
                true
            }
            SocketAddrUse::UdpReceive => self.allows_connect(Kind::Udp, address),
        }
    }

    /// Whether a datagram of `address` reached a bound socket: a server may answer who spoke to it.
    fn has_heard(&self, address: SocketAddr) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    /// Remembers a peer; of too many the oldest is forgotten.
    fn hear(&self, address: SocketAddr) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains(&address) {
            heard.push_back(address);
        }
        if heard.len() > MOST_HEARD {
            heard.pop_front();
        }
    }

    fn binds(&self, kind: Kind) -> impl Iterator<Item = &Endpoint> {
        let binds = self.bind.iter();
        binds.filter(move |grant| grant.transport == kind.transport())
    }

    fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`socket_check`]'s check returns: the type that `WasiCtxBuilder::socket_addr_check` takes.
pub type Verdict = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// The check for `WasiCtxBuilder::socket_addr_check`: asks `network`, reports to `denials`.
pub fn socket_check(
    network: Arc<Network>,
    denials: Arc<Denials>,
) -> impl Fn(SocketAddr, SocketAddrUse) -> Verdict + Send + Sync + 'static {
    move |address: SocketAddr, purpose: SocketAddrUse| -> Verdict {
        let allowed = network.allows(address, purpose);
        if !allowed && let Some(denial) = denial(address, purpose) {
            denials.record(denial);
        }
        Box::pin(ready(allowed))
    }
}

/// What to report; nothing for what a peer did.
fn denial(address: SocketAddr, purpose: SocketAddrUse) -> Option<Denial> {
    let address = SocketAddr::new(canonical(address.ip()), address.port());
    let connect = |transport| Some(Denial::Connect { transport, address });
    let bind = |transport| Some(Denial::Bind { transport, address });
    match purpose {
        SocketAddrUse::TcpBind | SocketAddrUse::TcpListen => bind(Transport::Tcp),
        SocketAddrUse::UdpBind => bind(Transport::Udp),
        SocketAddrUse::TcpConnect => connect(Transport::Tcp),
        SocketAddrUse::UdpSend => connect(Transport::Udp),
        SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive => None,
    }
}

fn covers(grant: &Endpoint, address: SocketAddr, names: &Names) -> bool {
    match &grant.host {
        Host::Path(_) => false,
        Host::Address(_) | Host::Network(_) => grant.covers_address(address),
        Host::Name(name) => {
            let current = names.get(name);
            grant.port.covers(address.port()) && current.is_some_and(|ips| ips.contains(&canonical(address.ip())))
        }
    }
}

/// The bind a client does, or the system for it, before it sends.
fn is_implicit(address: SocketAddr) -> bool {
    canonical(address.ip()).is_unspecified() && address.port() == 0
}

/// A literal address, in brackets or not.
pub(super) fn literal(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip: IpAddr = inner.unwrap_or(name).parse().ok()?;
    Some(canonical(ip))
}

/// A name as grants spell it: lower case, without the root's dot.
fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(connect: &[&str], bind: &[&str], names: &[(&str, &str)]) -> Network {
        let connect = connect.iter().map(|text| Endpoint::parse_connect(text).unwrap());
        let bind = bind.iter().map(|text| Endpoint::parse_bind(text).unwrap());
        let names = names.iter().map(|(name, ip)| ((*name).to_owned(), vec![ip.parse().unwrap()]));
        Network::new(connect.collect(), bind.collect(), names.collect())
    }

    #[test]
    fn connecting() {
        use Kind::{Tcp, Udp};
        for (grant, kind, address, expected) in [
            ("tcp://10.0.0.1:80", Tcp, "10.0.0.1:80", true),
            ("tcp://10.0.0.1:80", Tcp, "[::ffff:10.0.0.1]:80", true),
            ("tcp://10.0.0.1:80", Tcp, "10.0.0.1:81", false),
            ("tcp://10.0.0.1:80", Udp, "10.0.0.1:80", false),
            ("udp://10.0.0.1:53", Udp, "10.0.0.1:53", true),
            ("udp://10.0.0.1:53", Tcp, "10.0.0.1:53", false),
            ("http://10.0.0.1", Tcp, "10.0.0.1:80", true),
            ("https://10.0.0.1", Tcp, "10.0.0.1:443", true),
            ("https://10.0.0.1", Udp, "10.0.0.1:443", false),
            ("unix:///run/x", Tcp, "10.0.0.1:443", false),
            ("unix:///run/x", Tcp, "127.0.0.1:1", false),
            ("tcp://db.example:*", Tcp, "192.0.2.7:5432", true),
            ("tcp://db.example:1", Tcp, "192.0.2.7:5432", false),
            ("tcp://other.example:*", Tcp, "192.0.2.7:5432", false),
            ("tcp://db.example:*", Tcp, "0.0.0.0:5432", false),
            ("tcp://[::1]:*", Tcp, "[::]:5432", false),
        ] {
            let network = network(&[grant], &[], &[("DB.example.", "192.0.2.7")]);
            let allowed = network.allows_connect(kind, address.parse().unwrap());
            assert_eq!(allowed, expected, "{grant} {kind:?} {address}");
        }
    }

    #[test]
    fn a_network_reaches_every_address_in_it_and_no_name() {
        let grants = ["tcp://10.0.0.0/8:*", "http://[fd00::/8]:80"].map(|text| Endpoint::parse_network(text).unwrap());
        let network = Network::new(grants.into(), Vec::new(), vec![("x.example".into(), vec![[10, 0, 0, 1].into()])]);
        for (address, expected) in
            [("10.1.2.3:9", true), ("[::ffff:10.1.2.3]:9", true), ("11.0.0.1:9", false), ("[fd00::1]:80", true)]
        {
            assert_eq!(network.allows_connect(Kind::Tcp, address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(network.lookup("x.example"), None);
        for (url, expected) in
            [("http://[fd00::1]", Some("[fd00::1]:80")), ("http://10.1.2.3", None), ("http://x.example", None)]
        {
            let found = network.request(&Endpoint::parse_connect(url).unwrap());
            let expected = expected.map(|text| vec![text.parse::<SocketAddr>().unwrap()]);
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn binding() {
        use Kind::{Tcp, Udp};
        for (connect, bind, kind, address, expected) in [
            ("", "", Udp, "0.0.0.0:0", false),
            ("udp://10.0.0.1:53", "", Udp, "0.0.0.0:0", true),
            ("udp://10.0.0.1:53", "", Udp, "[::]:0", true),
            ("udp://10.0.0.1:53", "", Udp, "0.0.0.0:53", false),
            ("udp://10.0.0.1:53", "", Udp, "127.0.0.1:0", false),
            ("udp://10.0.0.1:53", "", Tcp, "0.0.0.0:0", false),
            ("https://10.0.0.1", "", Tcp, "0.0.0.0:0", true),
            ("unix:///run/x", "", Tcp, "0.0.0.0:0", false),
            ("", "tcp://127.0.0.1:80", Tcp, "127.0.0.1:80", true),
            ("", "tcp://127.0.0.1:80", Udp, "127.0.0.1:80", false),
            ("", "tcp://127.0.0.1:80", Tcp, "0.0.0.0:80", false),
        ] {
            let list = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let connect = Vec::from_iter(list(connect));
            let network = network(&connect, &Vec::from_iter(list(bind)), &[]);
            let allowed = network.allows_bind(kind, address.parse().unwrap());
            assert_eq!(allowed, expected, "{connect:?} {bind:?} {kind:?} {address}");
        }
    }

    #[test]
    fn uses() {
        use SocketAddrUse::*;
        let server = network(&[], &["tcp://127.0.0.1:0", "udp://127.0.0.1:53"], &[]);
        let client = network(&["udp://10.0.0.1:53"], &[], &[]);
        for (network, purpose, address, expected) in [
            (&server, TcpBind, "127.0.0.1:0", true),
            (&server, TcpBind, "127.0.0.1:43210", false),
            (&server, TcpListen, "127.0.0.1:43210", true),
            (&server, TcpListen, "0.0.0.0:43210", false),
            (&server, TcpAccept, "192.0.2.1:1", true),
            (&server, TcpConnect, "127.0.0.1:43210", false),
            (&server, UdpSend, "192.0.2.1:1", false),
            (&server, UdpReceive, "192.0.2.1:1", true),
            (&server, UdpSend, "192.0.2.1:1", true),
            (&client, TcpListen, "0.0.0.0:0", false),
            (&client, TcpAccept, "192.0.2.1:1", false),
            (&client, UdpBind, "0.0.0.0:0", true),
            (&client, UdpSend, "10.0.0.1:53", true),
            (&client, UdpReceive, "10.0.0.1:53", true),
            (&client, UdpReceive, "192.0.2.1:1", false),
        ] {
            let allowed = network.allows(address.parse().unwrap(), purpose);
            assert_eq!(allowed, expected, "{purpose:?} {address}");
        }
    }

    #[test]
    fn unix_sockets_are_granted_by_their_path() {
        let network = network(&["unix:///run/x", "tcp://127.0.0.1:1"], &[], &[]);
        for (path, expected) in
            [("/run/x", true), ("/run/x/", false), ("/run/./x", false), ("/run/y", false), ("", false)]
        {
            assert_eq!(network.allows_socket(path), expected, "{path}");
        }
    }

    #[test]
    fn looking_up() {
        let network = network(
            &["tcp://db.example:1", "tcp://gone.example:1", "tcp://localhost:1"],
            &[],
            &[("db.example", "::ffff:192.0.2.7"), ("other.example", "192.0.2.8"), ("localhost", "127.0.0.1")],
        );
        for (name, expected) in [
            ("DB.Example", Some(vec!["192.0.2.7"])),
            ("db.example.", Some(vec!["192.0.2.7"])),
            ("gone.example", Some(vec![])),
            ("localhost", Some(vec![])),
            ("other.example", None),
            ("10.9.8.7", Some(vec!["10.9.8.7"])),
            ("[::ffff:10.9.8.7]", Some(vec!["10.9.8.7"])),
        ] {
            let expected = expected.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>());
            assert_eq!(network.lookup(name), expected, "{name}");
        }
        network.replace_names(vec![("db.example".into(), vec![])]);
        assert_eq!(network.lookup("db.example"), Some(vec![]));
    }

    #[test]
    fn addresses_are_asked_for_again_once_a_minute() {
        let network = Network::default();
        let start = Instant::now();
        let after = |seconds| network.names_are_stale(start + Duration::from_secs(seconds));
        let answers = [0, 59, 60, 61, 119, 120].map(after);
        assert_eq!(answers, [false, false, true, false, false, true]);
    }

    #[test]
    fn a_server_may_answer_who_spoke_to_it() {
        let bind = vec![Endpoint::parse_bind("udp://127.0.0.1:0").unwrap()];
        let network = Network::new(Vec::new(), bind, Vec::new());
        let peer = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        assert!(!network.allows(peer(1), SocketAddrUse::UdpSend));
        for port in 1..=300 {
            assert!(network.allows(peer(port), SocketAddrUse::UdpReceive));
        }
        assert!(network.allows(peer(300), SocketAddrUse::UdpSend));
        assert!(!network.allows(peer(1), SocketAddrUse::UdpSend), "the oldest is forgotten");
    }

    #[test]
    fn requests() {
        let network = network(
            &["https://api.example", "http://127.0.0.1:8080", "tcp://10.0.0.1:80"],
            &[],
            &[("api.example", "192.0.2.7")],
        );
        for (url, expected) in [
            ("https://api.example", Some("192.0.2.7:443")),
            ("https://api.example:444", None),
            ("http://api.example:443", None),
            ("https://192.0.2.7", None),
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("http://[::ffff:127.0.0.1]:8080", Some("127.0.0.1:8080")),
            ("http://10.0.0.1", None),
            ("https://api.example:*", None),
        ] {
            let found = network.request(&Endpoint::parse_connect(url).unwrap());
            let expected = expected.map(|text| vec![text.parse::<SocketAddr>().unwrap()]);
            assert_eq!(found, expected, "{url}");
        }
    }
}
