//! Who may reach the job through its own sockets.

use super::{Held, Judged, Subject, count, named, worst};
use crate::job::Job;
use crate::socket::{Place, Service, Socket};

/// Write permission of the group and of everybody, which connecting takes (unix(7)).
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Sockets of the network: nobody asks who comes.
pub(super) fn network(subject: &Subject<'_>) -> Judged {
    let found: Vec<(u32, String)> = subject.job.sockets.iter().filter_map(in_network).collect();
    if found.is_empty() {
        return Judged::new(0, Held::Kernel, "nobody reaches it through the network");
    }
    let (badness, places): (Vec<u32>, Vec<String>) = found.into_iter().unzip();
    let words = format!("whoever reaches this machine there may connect: {}", named(&places));
    Judged::new(worst(&badness), Held::Nothing, words)
}

fn in_network(socket: &Socket) -> Option<(u32, String)> {
    let Place::Network { node, service, .. } = &socket.place else {
        return None;
    };
    let port = match service {
        Service::Port(0) => "any port".to_owned(),
        Service::Port(port) => format!("port {port}"),
        Service::Name(name) => format!("port {name}"),
    };
    Some(match node {
        None => (10, format!("{port} of every address")),
        Some(node) if is_unspecified(node) => (10, format!("{port} of every address")),
        Some(node) if is_loopback(node) => (3, format!("{port} of {node}")),
        Some(node) => (8, format!("{port} of {node}")),
    })
}

fn is_loopback(node: &str) -> bool {
    node.eq_ignore_ascii_case("localhost") || node.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn is_unspecified(node: &str) -> bool {
    node.parse().is_ok_and(|address: std::net::IpAddr| address.is_unspecified())
}

/// Unix sockets: their modes and access lists say who, and whoever accepts looks again.
pub(super) fn unix(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[]);
    let admitted: Vec<(u32, String)> =
        subject.job.sockets.iter().filter_map(|socket| admits(subject.job, socket)).collect();
    let Some((_, who)) = admitted.iter().max_by_key(|(badness, _)| *badness) else {
        return Judged::new(0, held, "it has no Unix socket that others could connect to");
    };
    let badness: Vec<u32> = admitted.iter().map(|(badness, _)| *badness).collect();
    Judged::new(worst(&badness), held, format!("who may connect to its Unix sockets: {who}"))
}

/// The widest of all that says who may connect to a socket: where Users takes the mode's place, the mode stays what it
/// would be without.
fn admits(job: &Job, socket: &Socket) -> Option<(u32, String)> {
    let (mode, names_others) = match &socket.place {
        Place::Network { .. } | Place::Remote(_) => return None,
        Place::Private { .. } => return Some((0, "its own user".into())),
        Place::Path { mode, owner, group, .. } => (mode.unwrap_or_default(), owner.is_some() || group.is_some()),
    };
    let users = &job.grants.users;
    let all = [
        (1, true, "its own user and root".to_owned()),
        (3, names_others, "the owner and the group that its Sockets name".to_owned()),
        ((2 + count(users.len())).min(7), !users.is_empty(), format!("its own user, root and {}", named(users))),
        (4, mode & GROUP_WRITE != 0, format!("its group (SockPathMode {mode:o})")),
        (8, mode & OTHERS_WRITE != 0, format!("every user of this machine (SockPathMode {mode:o})")),
    ];
    let widest = all.into_iter().filter(|(_, applies, _)| *applies).max_by_key(|(badness, ..)| *badness);
    widest.map(|(badness, _, who)| (badness, who))
}
