//! What a job reaches: files, destinations, addresses, and who reaches it.

use super::{held, say};
use crate::control::Sentence;
use crate::grant::{Access, Endpoint, Host, PathGrant, Port, Transport};
use crate::job::Job;
use crate::socket::{Place, Remote, Service, Socket};

/// One sentence for each path, or one that says there is none.
pub(super) fn paths(job: &Job) -> Vec<Sentence> {
    let grants = &job.grants.paths;
    let mut all: Vec<Sentence> = grants.iter().enumerate().map(|(index, grant)| path(index, grant)).collect();
    if all.is_empty() {
        let kernel = "the mount wall shows an empty tree (a native program the system's own files, to read)";
        let says = match &job.root_directory {
            None => "It sees no file.".to_owned(),
            Some(root) => format!("It sees no file, or as a native program what is in {root}, to read."),
        };
        all.push(held("Grants.Paths", says, "nothing is preopened", kernel));
    }
    all.extend(job.working_directory.as_ref().map(|folder| say("WorkingDirectory", format!("It begins in {folder}."))));
    all.extend(job.root_directory.as_ref().map(|root| {
        say("RootDirectory", format!("All paths that it names lie in {root}, which it takes for the root."))
    }));
    all
}

fn path(index: usize, grant: &PathGrant) -> Sentence {
    let PathGrant { host, guest, access } = grant;
    let (may, guest_wall, kernel) = match access {
        Access::ReadWrite => (
            "read, make, change and remove what is in",
            "preopened for reading and writing",
            "the mount wall shows it at that place and nothing beside it; landlock on the same file",
        ),
        Access::Execute => (
            "read and execute, and not change,",
            "preopened for reading",
            "the mount wall shows it at that place, read-only; landlock on the same file",
        ),
        Access::ReadOnly | Access::Connect => (
            "read, and not change,",
            "preopened for reading",
            "the mount wall shows it at that place, read-only and not to be executed; landlock on the same file",
        ),
    };
    let seen = if guest == host { String::new() } else { format!(", which it sees as {guest}") };
    held(format!("Grants.Paths[{index}]"), format!("It may {may} {host}{seen}."), guest_wall, kernel)
}

/// One sentence for each destination and each address, or one that says there is none.
pub(super) fn network(job: &Job) -> Vec<Sentence> {
    let connect = job.grants.connect.iter().enumerate().map(|(index, endpoint)| connect(index, endpoint));
    let bind = job.grants.bind.iter().enumerate().map(|(index, endpoint)| bind(index, endpoint));
    let all: Vec<Sentence> = connect.chain(bind).collect();
    if !all.is_empty() {
        return all;
    }
    let handed =
        job.sockets.iter().any(|socket| socket.is_udp() || (socket.place.is_network() && socket.place.is_remote()));
    let beside = if handed { " but through its Sockets" } else { "" };
    let says = format!("It can reach nothing over the network{beside}, and look no name up.");
    let kernel = "no system call makes it a socket (a native program has a network with nothing in it)";
    vec![held("Grants.Connect", says, "every address and name is refused", kernel)]
}

const ADDRESSES: &str = "each address is held against the granted ones";

fn connect(index: usize, endpoint: &Endpoint) -> Sentence {
    let about = format!("Grants.Connect[{index}]");
    if let Host::Path(path) = &endpoint.host {
        let kernel = "the mount wall shows no other socket, but those in granted folders";
        return held(
            about,
            format!("It may connect to the Unix socket {path}."),
            "no other path is connected to",
            kernel,
        );
    }
    let named = match &endpoint.host {
        Host::Name(name) => format!(" and look {name} up"),
        Host::Address(_) | Host::Network(_) | Host::Path(_) => String::new(),
    };
    let what = match endpoint.transport {
        Transport::Http | Transport::Https => "send requests to",
        Transport::Udp => "send datagrams to",
        Transport::Tcp | Transport::Unix => "connect to",
    };
    held(about, format!("It may {what} {endpoint}{named}."), ADDRESSES, kernel(endpoint))
}

fn bind(index: usize, endpoint: &Endpoint) -> Sentence {
    let says = format!("It may bind {endpoint} and be reached there.");
    held(format!("Grants.Bind[{index}]"), says, ADDRESSES, kernel(endpoint))
}

/// Of an address the kernel holds a part only.
fn kernel(endpoint: &Endpoint) -> &'static str {
    match (endpoint.transport.is_tcp(), endpoint.port) {
        (true, Port::Number(_)) => "TCP sockets alone, and landlock lets this port through; the address it cannot hold",
        (true, Port::Any) => "TCP sockets alone; address and port it cannot hold",
        (false, _) => "UDP sockets alone; address and port it cannot hold",
    }
}

/// Where it serves, and whom.
pub(super) fn sockets(job: &Job) -> Vec<Sentence> {
    let mut all: Vec<Sentence> = job.sockets.iter().map(socket).collect();
    if !job.grants.users.is_empty() {
        let says = format!("Its own user, root and {} may connect to its Unix sockets.", job.grants.users.join(", "));
        let how = "each peer's user is looked at when it is accepted";
        all.push(held("Grants.Users", says, how, "the access lists of the sockets"));
    }
    all
}

fn socket(socket: &Socket) -> Sentence {
    let place = match &socket.place {
        Place::Network { node, service, .. } => in_network(node.as_deref().unwrap_or("every address"), service),
        Place::Remote(Remote::Network { node, service, .. }) => {
            in_network(node.as_deref().unwrap_or("this machine"), service)
        }
        Place::Path { path, .. } | Place::Remote(Remote::Path(path)) => path.clone(),
        Place::Private { variable } => format!("a socket of its user's own, whose path {variable} tells"),
    };
    let does = if socket.place.is_remote() { "has a connection to" } else { "serves at" };
    let says = format!("It {does} {place} ({}).", socket.kind.word());
    let how = "it is handed the socket, and makes none";
    let (guest, kernel) = if socket.is_udp() { (ANSWERS, ANYWHERE) } else { (how, how) };
    held(format!("Sockets.{}", socket.name), says, guest, kernel)
}

/// What holds a UDP socket that is handed over.
const ANSWERS: &str =
    "it sends to those who have sent it something, to whom it is connected and to what Connect grants";
const ANYWHERE: &str = "it is handed the socket; a native program can send by that to any address, at any port";

fn in_network(node: &str, service: &Service) -> String {
    match service {
        Service::Port(0) => format!("{node}, at a port of the system's choice"),
        Service::Port(port) => format!("{node}, port {port}"),
        Service::Name(name) => format!("{node}, port {name}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{Context, load};

    #[test]
    fn what_is_reached_is_said_with_what_holds_it() {
        for (keys, about, says, kernel) in [
            (
                "Grants = { Paths = (\"/srv/a\"); };",
                "Grants.Paths[0]",
                "It may read, and not change, /srv/a.",
                "read-only",
            ),
            (
                "Grants = { Paths = ({ Path = \"/srv/a\"; GuestPath = \"/b\"; Access = ReadWrite; }); };",
                "Grants.Paths[0]",
                "It may read, make, change and remove what is in /srv/a, which it sees as /b.",
                "nothing beside it",
            ),
            (
                "Grants = { Connect = (\"https://x.example\"); };",
                "Grants.Connect[0]",
                "It may send requests to https://x.example:443 and look x.example up.",
                "this port",
            ),
            (
                "Grants = { Connect = (\"udp://127.0.0.1:53\"); };",
                "Grants.Connect[0]",
                "It may send datagrams to udp://127.0.0.1:53.",
                "cannot hold",
            ),
            (
                "Grants = { Connect = (\"unix:///run/x\"); };",
                "Grants.Connect[0]",
                "It may connect to the Unix socket /run/x.",
                "no other socket",
            ),
            (
                "Grants = { Bind = (\"tcp://127.0.0.1:0\"); };",
                "Grants.Bind[0]",
                "It may bind tcp://127.0.0.1:0 and be reached there.",
                "this port",
            ),
            (
                "Sockets = { Web = { SockServiceName = 80; }; };",
                "Sockets.Web",
                "It serves at every address, port 80 (stream).",
                "handed",
            ),
            (
                "Sockets = { Db = { SockServiceName = 80; SockPassive = false; }; };",
                "Sockets.Db",
                "It has a connection to this machine, port 80 (stream).",
                "handed",
            ),
            (
                "Sockets = { Db = { SockServiceName = 80; SockPassive = false; }; };",
                "Grants.Connect",
                "It can reach nothing over the network but through its Sockets, and look no name up.",
                "no system call",
            ),
            (
                "Sockets = { Dns = { SockServiceName = 53; SockType = dgram; }; };",
                "Sockets.Dns",
                "It serves at every address, port 53 (dgram).",
                "send by that to any address",
            ),
            (
                "Sockets = { Dns = { SockServiceName = 53; SockType = dgram; SockPassive = false; }; };",
                "Sockets.Dns",
                "It has a connection to this machine, port 53 (dgram).",
                "send by that to any address",
            ),
            (
                "Sockets = { Dns = { SockServiceName = 53; SockType = dgram; }; };",
                "Grants.Connect",
                "It can reach nothing over the network but through its Sockets, and look no name up.",
                "no system call",
            ),
            (
                "Sockets = { Web = { SockServiceName = 80; }; };",
                "Grants.Connect",
                "It can reach nothing over the network, and look no name up.",
                "no system call",
            ),
        ] {
            let text = format!("{{ Label = a; Program = \"/a\"; {keys} }}");
            let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 });
            let job = loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings));
            let all = super::super::sentences(&job, None);
            let found = all.iter().find(|sentence| sentence.about == about).unwrap_or_else(|| panic!("{all:#?}"));
            assert_eq!(found.says, says);
            assert!(found.kernel.contains(kernel), "{found:?}");
        }
    }
}
