//! Sockets that are connected to somebody else's: what their keys say, and what makes no sense then.

use super::*;
use crate::spec::{Context, Loaded, load};

const CONTEXT: Context = Context { folder: "/jobs", home: "/home/me", uid: 1000 };

/// The same for a job of the system domain.
const SYSTEM: Context = Context { folder: "/jobs", home: "/root", uid: 0 };

/// A job with one such socket, and with what else its file has.
fn loaded(socket: &str, more: &str) -> Loaded {
    loaded_by(&CONTEXT, socket, more)
}

fn loaded_by(context: &Context, socket: &str, more: &str) -> Loaded {
    let text = format!(
        "{{ Label = a; Program = \"/bin/a\"; Sockets = {{ other = {{ SockPassive = NO; {socket} }}; }}; {more} }}"
    );
    load(text.as_bytes(), context)
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

/// As with what Connect grants: a supervisor would take the job for its owner.
#[test]
fn nothing_of_wjobs_own_and_of_the_kernels_is_connected_to() {
    let root = "RootDirectory = \"/srv/root\";";
    for (path, more, folder) in [
        ("/run/wjob/wjob.sock", "", Some("/run/wjob")),
        ("/run/x/..//wjob/./wjob.sock", "", Some("/run/wjob")),
        ("/run/user/1000/wjob/wjob.sock", "", Some("/run/user/1000/wjob")),
        ("/home/me/.cache/wjob/x", "", Some("/home/me/.cache/wjob")),
        ("/dev/log", "", Some("/dev")),
        // The supervisor connects, and has the host's root.
        ("/run/wjob/wjob.sock", root, Some("/run/wjob")),
        ("/run/wjobs/x", "", None),
        ("/run/user/1000/bus", "", None),
        ("/srv/root/run/wjob/x", root, None),
    ] {
        let loaded = loaded(&format!("SockPathName = \"{path}\";"), more);
        let found: Vec<_> = loaded.findings.iter().map(|finding| (finding.code, finding.key_path.as_str())).collect();
        let expected = folder.map(|_| ("protected-path", "Sockets.other.SockPathName"));
        assert_eq!(found, Vec::from_iter(expected), "{path} {more}");
        let said = loaded.findings.first().map(|finding| finding.message.as_str()).unwrap_or_default();
        assert!(said.ends_with(folder.unwrap_or_default()), "{path} {more}: {said}");
    }
}

#[test]
fn root_connects_to_a_path_for_its_own_jobs_only() {
    let (path, port) = ("SockPathName = \"/run/s\";", "SockServiceName = 80;");
    for (context, socket, more, refused) in [
        (SYSTEM, path, "", true),
        (SYSTEM, path, "UserName = www;", true),
        (SYSTEM, path, "UserName = toor;", true),
        (SYSTEM, "SockPathName = \"/run/s\"; SockType = dgram;", "UserName = www;", true),
        (SYSTEM, path, "GroupName = root;", true),
        (SYSTEM, path, "UserName = root;", false),
        (SYSTEM, path, "UserName = root; GroupName = www;", false),
        (SYSTEM, path, "UserName = \"0\";", false),
        (SYSTEM, port, "UserName = www;", false),
        (SYSTEM, port, "", false),
        (CONTEXT, path, "", false),
        (CONTEXT, path, "UserName = me;", false),
    ] {
        let loaded = loaded_by(&context, socket, more);
        let found: Vec<_> = loaded.findings.iter().map(|finding| (finding.severity, finding.code)).collect();
        let expected = refused.then_some((Severity::Error, "connected-as-root"));
        assert_eq!(found, Vec::from_iter(expected), "{} {socket} {more}: {:?}", context.uid, loaded.findings);
        let advice = loaded.findings.first().and_then(|finding| finding.help.as_deref()).unwrap_or_default();
        assert_eq!(advice.contains("Grants.Connect with unix:///run/s"), refused, "{socket} {more}: {advice}");
    }
}
