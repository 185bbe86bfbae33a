//! Sockets that are connected to somebody else's: what their keys say, and what makes no sense then.

use super::*;
use crate::spec::{Context, Loaded, load};

const CONTEXT: Context = Context { folder: "/jobs", home: "/home/me", uid: 1000 };

/// A job with one such socket, and with what else its file has.
fn loaded(socket: &str, more: &str) -> Loaded {
    let text = format!(
        "{{ Label = a; Program = \"/bin/a\"; Sockets = {{ other = {{ SockPassive = NO; {socket} }}; }}; {more} }}"
    );
    load(text.as_bytes(), &CONTEXT)
}

#[test]
fn a_connection_has_the_other_end_that_its_keys_say() {
    let network = |node: Option<&str>, port, family| Remote::Network {
        node: node.map(str::to_owned),
        service: Service::Port(port),
        family,
    };
    for (keys, kind, expected) in [
        ("SockServiceName = 80;", SocketKind::Stream, network(None, 80, Family::Each)),
        ("SockServiceName = 80; SockFamily = IPv4v6;", SocketKind::Stream, network(None, 80, Family::Each)),
        (
            "SockServiceName = 53; SockNodeName = \"::1\"; SockFamily = IPv6; SockType = dgram;",
            SocketKind::Datagram,
            network(Some("::1"), 53, Family::Six),
        ),
        ("SockPathName = \"/run/s\"; SockType = seqpacket;", SocketKind::Seqpacket, Remote::Path("/run/s".into())),
    ] {
        let loaded = loaded(keys, "");
        let job = loaded.job.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.findings));
        assert_eq!(loaded.findings.len(), 0, "{keys}: {:?}", loaded.findings);
        let name = "other".to_owned();
        assert_eq!(job.sockets, [Socket { name, kind, place: Place::Remote(expected) }], "{keys}");
    }
}

#[test]
fn what_only_a_listener_can_have_is_refused_on_a_connection() {
    let users = "Grants = { Users = (me); };";
    for (socket, more, code, path) in [
        ("SockServiceName = 0;", "", "no-address", "Sockets.other"),
        ("SockNodeName = localhost;", "", "no-address", "Sockets.other"),
        ("SockFamily = Unix;", "", "no-address", "Sockets.other"),
        ("SockPathName = \"/s\"; SockPathMode = 438;", "", "wrong-value", "Sockets.other.SockPathMode"),
        (
            "SockServiceName = 1; SockType = dgram; MulticastGroup = \"224.0.0.251\";",
            "",
            "wrong-value",
            "Sockets.other.MulticastGroup",
        ),
        ("SockServiceName = 1;", "inetdCompatibility = { Wait = YES; };", "nobody-accepts", "Sockets.other"),
        ("SockServiceName = 1;", "inetdCompatibility = { };", "nobody-accepts", "Sockets.other"),
        ("SockPathName = \"/s\";", users, "wrong-value", "Grants.Users"),
        ("SockServiceName = 1;", users, "wrong-value", "Grants.Users"),
    ] {
        let loaded = loaded(socket, more);
        let found: Vec<_> = loaded.findings.iter().map(|finding| (finding.severity, finding.code)).collect();
        assert_eq!(found, [(Severity::Error, code)], "{socket} {more}: {:?}", loaded.findings);
        assert_eq!(loaded.findings[0].key_path, path, "{socket} {more}");
    }
    let found = loaded("SecureSocketWithKey = A;", "").findings;
    assert!(found.iter().any(|finding| finding.key_path == "Sockets.other.SecureSocketWithKey"), "{found:?}");
}
