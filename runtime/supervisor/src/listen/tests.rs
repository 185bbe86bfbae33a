//! Sockets bound for real, in folders of the test's own and on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::net::{SocketAddrUnix, accept};
use wjob_model::socket::{Family, Service};

use super::*;

fn owner() -> Owner {
    Owner::caller()
}

/// One of a job that names whom it admits.
fn owner_that_admits(users: &[u32], groups: &[u32]) -> Owner {
    Owner { admitted: Some(Users { users: users.to_vec(), groups: groups.to_vec() }), ..owner() }
}

fn tcp(node: &str, port: u16) -> Socket {
    let node = Some(node.to_owned());
    let place = Place::Network { node, service: Service::Port(port), family: Family::Each, group: None };
    Socket { place, ..Socket::on_port("web", port) }
}

fn unix(path: &Path, mode: Option<u32>) -> Socket {
    let place = Place::Path { path: path.display().to_string(), mode, owner: None, group: None };
    Socket { place, ..Socket::on_port("local", 0) }
}

/// What the first client of a listener says.
fn heard(listener: &Listener) -> String {
    let mut stream = TcpStream::from(accept(listener).unwrap());
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_client_that_came_before_anybody_accepted_is_served() {
    let listeners = bind(&[tcp("127.0.0.1", 0)], &owner()).unwrap();
    let address = listeners[0].address.strip_prefix("tcp://").unwrap();
    TcpStream::connect(address).unwrap().write_all(b"hello").unwrap();
    assert_eq!(heard(&listeners[0]), "hello");
    assert!(listeners[0].name() == "web" && listeners[0].is_alive());
}

#[test]
fn one_that_was_shut_down_is_known_by_it_whatever_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [SocketKind::Stream, SocketKind::Seqpacket, SocketKind::Datagram];
    let paths = kinds.map(|kind| Socket { kind, ..unix(&folder.path().join(format!("{kind:?}")), None) });
    let ports = [SocketKind::Stream, SocketKind::Datagram].map(|kind| Socket { kind, ..tcp("127.0.0.1", 0) });
    for socket in paths.into_iter().chain(ports) {
        let listeners = bind(&[socket], &owner()).unwrap();
        let copy = listeners[0].handed_over().unwrap().1;
        assert!(listeners[0].is_alive(), "{}", listeners[0].address);
        // Who sends nothing more can still be sent to.
        let _ = rustix::net::shutdown(&copy, rustix::net::Shutdown::Write);
        assert!(listeners[0].is_alive(), "{}", listeners[0].address);
        // One that is connected to nobody says that it is not, and is shut down all the same.
        let _ = rustix::net::shutdown(&copy, rustix::net::Shutdown::Both);
        assert!(!listeners[0].is_alive(), "{}", listeners[0].address);
    }
}

/// Shuts a listener down as whoever has a copy of it can, and lets go of that.
fn shut_down(listener: &Listener) {
    let copy = listener.handed_over().unwrap().1;
    let _ = rustix::net::shutdown(&copy, rustix::net::Shutdown::Both);
    assert!(!listener.is_alive(), "{}", listener.address);
}

#[test]
fn what_was_shut_down_and_given_up_is_bound_anew_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    // An address of this process alone, where no other test takes the port meanwhile.
    let [.., high, low] = std::process::id().to_be_bytes();
    let node = Ipv4Addr::new(127, 60, high, low);
    let port = UdpSocket::bind((node, 0)).unwrap().local_addr().unwrap().port();
    let udp = Socket { kind: SocketKind::Datagram, ..tcp(&node.to_string(), port) };
    for socket in [udp, tcp(&node.to_string(), port), unix(&path, None)] {
        let sockets = [socket];
        let mut old = bind(&sockets, &owner()).unwrap();
        shut_down(&old[0]);
        old[0].give_up();
        assert!(!old[0].is_alive() && !old[0].is_wanted(), "{}", old[0].address);
        let address = old[0].address.clone();
        let (made, kept) = bind_further(&sockets, &old, &owner()).unwrap();
        let all = in_order(&sockets, old, &kept, made);
        assert!(all.len() == 1 && all[0].is_alive() && all[0].address == address, "{all:?}");
        assert_eq!(path.exists(), address.starts_with("unix:"), "the one before took nothing away but itself");
    }
}

#[test]
fn of_two_addresses_the_one_that_was_shut_down_is_bound_anew() {
    let sockets = [tcp("localhost", 0)];
    let old = bind(&sockets, &owner()).unwrap();
    let [four, six] = old.as_slice() else {
        return println!("skipped: this machine has one family of addresses");
    };
    shut_down(six);
    let address = four.address.clone();
    let (made, kept) = bind_further(&sockets, &old, &owner()).unwrap();
    let all = in_order(&sockets, old, &kept, made);
    assert_eq!((all.len(), all[0].address.as_str()), (2, address.as_str()), "{all:?}");
    assert!(all[1].is_alive() && all[1].address.starts_with("tcp://[::1]:"), "{all:?}");
    TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
    assert!(all[0].is_wanted() && !all[1].is_wanted());
}

#[test]
fn a_datagram_socket_has_its_first_datagram_still() {
    let socket = Socket { kind: SocketKind::Datagram, ..tcp("127.0.0.1", 0) };
    let listeners = bind(&[socket], &owner()).unwrap();
    let address = listeners[0].address.strip_prefix("udp://").unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"first", address).unwrap();
    let mut datagram = [0; 16];
    let length = rustix::net::recv(&listeners[0], &mut datagram, rustix::net::RecvFlags::empty()).unwrap().0;
    assert_eq!(&datagram[..length], b"first");
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_stays_bound() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let error = bind(&[unix(&path, None), tcp("127.0.0.1", port)], &owner()).unwrap_err().to_string();
    assert!(error.contains(&format!("tcp://127.0.0.1:{port}: another process has it")), "{error}");
    assert!(!path.exists(), "all or none");
}

#[test]
fn a_path_has_its_mode_answers_and_is_taken_away() {
    for (mode, expected) in [(None, 0o600), (Some(0o666), 0o666), (Some(0), 0)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listeners = bind(&[unix(&path, mode)], &owner()).unwrap();
        let status = fs::symlink_metadata(&path).unwrap();
        assert!(status.file_type().is_socket());
        assert_eq!((status.mode() & 0o777, status.uid()), (expected, owner().domain));
        if mode != Some(0) {
            drop(UnixStream::connect(&path).unwrap());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        drop(listeners);
        assert!(!path.exists());
    }
}

/// By which words a socket was bound.
fn words(listener: &Listener) -> String {
    let address = SocketAddrUnix::try_from(rustix::net::getsockname(listener).unwrap()).unwrap();
    address.path().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_kernel_shows_where_a_socket_was_made_if_it_has_room_for_it() {
    let top = tempfile::tempdir().unwrap();
    let top = top.path().to_str().unwrap();
    for (name, beginning, end) in [
        ("short".to_owned(), format!("{top}/short/.wjob-"), "/socket"),
        ("x".repeat(100), "/proc/self/fd/".to_owned(), "/s"),
    ] {
        let folder = Path::new(top).join(name);
        fs::create_dir(&folder).unwrap();
        let listeners = bind(&[unix(&folder.join("socket"), None)], &owner()).unwrap();
        let words = words(&listeners[0]);
        assert!(words.starts_with(&beginning) && words.ends_with(end), "{words}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    }
}

/// The access list of a file, as the kernel has it.
fn list(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut bytes[..]).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[test]
fn whom_a_job_names_is_in_the_list_of_its_socket_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let owner = owner_that_admits(&[33, 7], &[50]);
    for mode in [None, Some(0o666), Some(0o600)] {
        let _listeners = bind(&[unix(&path, mode)], &owner).unwrap();
        let users = Users { users: vec![7, 33], groups: vec![50] };
        assert_eq!(list(&path), Some(acl::bytes(&users, owner.job.map(|(uid, _)| uid))), "{mode:?}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o007, 0, "{mode:?}");
        drop(UnixStream::connect(&path).unwrap());
    }
}

#[test]
fn a_socket_is_bound_anew_for_others_and_stays_for_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let wanted = [unix(&path, None)];
    let (few, more) = (owner_that_admits(&[33], &[]), owner_that_admits(&[33, 34], &[]));
    let old = bind(&wanted, &few).unwrap();
    let (made, kept) = bind_further(&wanted, &old, &few).unwrap();
    assert_eq!((made.len(), kept), (0, vec![0]));
    let (made, kept) = bind_further(&wanted, &old, &more).unwrap();
    assert_eq!((made.len(), kept.len()), (1, 0));
    let now = in_order(&wanted, old, &kept, made);
    assert_ne!(list(&path), Some(acl::bytes(few.admitted.as_ref().unwrap(), few.job.map(|(uid, _)| uid))));
    let (made, kept) = bind_further(&wanted, &now, &owner()).unwrap();
    let now = in_order(&wanted, now, &kept, made);
    assert_eq!((list(&path), now.len()), (None, 1), "it names nobody any more");
}

#[test]
fn a_private_socket_has_a_folder_of_its_own_and_goes_with_it() {
    let runtime = tempfile::tempdir().unwrap();
    let owner = Owner { runtime: runtime.path().to_owned(), ..owner() };
    let secret = |name: &str| Socket { place: Place::Private { variable: name.into() }, ..Socket::on_port("local", 0) };
    let listeners = bind(&[secret("ONE"), secret("OTHER")], &owner).unwrap();
    let [(one, path), (other, elsewhere)] = [0, 1].map(|at: usize| listeners[at].variable().unwrap());
    assert_eq!((one, other), ("ONE", "OTHER"));
    assert_ne!(path, elsewhere);
    assert_eq!(listeners[0].address, format!("unix://{path}"));
    assert_eq!(words(&listeners[0]), path);
    let (socket, folder) = (Path::new(path), Path::new(path).parent().unwrap());
    for (file, mode) in [(folder, 0o700), (socket, 0o600)] {
        let status = fs::symlink_metadata(file).unwrap();
        assert_eq!((status.mode() & 0o777, status.uid()), (mode, owner.domain), "{}", file.display());
    }
    drop(UnixStream::connect(socket).unwrap());
    let (made, kept) = bind_further(&[secret("ONE")], &listeners, &owner).unwrap();
    assert_eq!((made.len(), kept), (0, vec![0]), "where it is stays for the same job");
    drop(listeners);
    assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 0);
}

#[test]
fn a_private_socket_has_a_path_that_clients_can_name() {
    let runtime = tempfile::tempdir().unwrap();
    let long = runtime.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let owner = Owner { runtime: long, ..owner() };
    let socket = Socket { place: Place::Private { variable: "A".into() }, ..Socket::on_port("local", 0) };
    let error = bind(&[socket], &owner).unwrap_err().to_string();
    assert!(error.contains("more than 107 bytes"), "{error}");
}

/// Whether it can be joined hangs on the machine's routes; that it was is seen by what comes.
#[test]
fn datagrams_to_a_group_come_to_the_socket_that_joined_it() {
    let group = Ipv4Addr::new(239, 255, 37, 11);
    let place =
        |family, group: IpAddr| Place::Network { node: None, service: Service::Port(0), family, group: Some(group) };
    let socket =
        |family, group| Socket { kind: SocketKind::Datagram, place: place(family, group), ..Socket::on_port("a", 0) };
    let listeners = match bind(&[socket(Family::Four, group.into())], &owner()) {
        Ok(listeners) => listeners,
        Err(error) if error.to_string().contains("it cannot join 239.255.37.11") => {
            return println!("skipped: no route leads to a multicast group here: {error}");
        }
        Err(error) => panic!("{error}"),
    };
    let patience = Some(std::time::Duration::from_secs(60));
    rustix::net::sockopt::set_socket_timeout(&listeners[0], rustix::net::sockopt::Timeout::Recv, patience).unwrap();
    let port: u16 = listeners[0].address.rsplit(':').next().unwrap().parse().unwrap();
    let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
    sender.send_to(b"to all", (group, port)).unwrap();
    let mut datagram = [0; 16];
    let length = rustix::net::recv(&listeners[0], &mut datagram, rustix::net::RecvFlags::empty()).unwrap().0;
    assert_eq!(&datagram[..length], b"to all");
    // Several on one machine may be in a group.
    let at = |service| Place::Network { node: None, service, family: Family::Four, group: Some(group.into()) };
    let again = Socket { place: at(Service::Port(port)), ..socket(Family::Four, group.into()) };
    bind(&[again], &owner()).unwrap();
    let error = bind(&[socket(Family::Six, group.into())], &owner()).unwrap_err().to_string();
    assert!(error.contains("which no address of the socket can join"), "{error}");
}

#[test]
fn what_is_at_a_path_is_replaced_only_if_nobody_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let first = bind(&[unix(&path, None)], &owner()).unwrap();
    let error = bind(&[unix(&path, None)], &owner()).unwrap_err().to_string();
    assert!(error.contains("another process answers there"), "{error}");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let error = bind(&[unix(&path, None)], &owner()).unwrap_err().to_string();
    assert!(error.contains("something else is there"), "{error}");
    drop(first);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious", "what is not its own stays");
}

/// Whose socket is where a job's is to be, whether anybody answers it, and what is said of it if it is not replaced.
#[test]
fn nobody_elses_socket_is_connected_to_or_replaced() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can give sockets away");
    }
    let (job, stranger) = (12_344, 12_345);
    let owner = Owner { job: Some((job, job)), ..owner() };
    for (user, answered, expected) in [
        (stranger, true, Some("a socket of user 12345 is there; remove it")),
        (stranger, false, Some("a socket of user 12345 is there; remove it")),
        (job, true, Some("another process answers there; end it")),
        (job, false, None),
        (0, true, Some("another process answers there; end it")),
        (0, false, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let other = UnixListener::bind(&path).unwrap();
        other.set_nonblocking(true).unwrap();
        std::os::unix::fs::chown(&path, Some(user), None).unwrap();
        let other = answered.then_some(other);
        let said = bind(&[unix(&path, None)], &owner).err().map(|error| error.to_string());
        assert_eq!(said.is_some(), expected.is_some(), "{user}, {answered}: {said:?}");
        assert!(said.clone().unwrap_or_default().contains(expected.unwrap_or_default()), "{user}: {said:?}");
        let connected = other.map(|other| other.accept().is_ok());
        assert_eq!(connected, answered.then_some(user != stranger), "{user}");
    }
}

#[test]
fn a_folder_that_others_can_change_has_no_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let error = bind(&[unix(&open.join("socket"), None)], &owner()).unwrap_err().to_string();
    assert!(error.contains("mode 777 lets everybody write"), "{error}");
}

#[test]
fn what_two_definitions_share_is_not_bound_again() {
    let (kept, gone, new) = (tcp("127.0.0.1", 0), tcp("127.0.0.2", 0), tcp("127.0.0.3", 0));
    let old = bind(&[gone, kept.clone()], &owner()).unwrap();
    let (made, stays) = bind_further(&[kept, new], &old, &owner()).unwrap();
    assert_eq!((made.len(), stays), (1, vec![1]));
    assert!(made[0].address.starts_with("tcp://127.0.0.3:"));
}

#[test]
fn too_many_are_refused() {
    let many: Vec<Socket> = (0..=MOST).map(|_| tcp("127.0.0.1", 0)).collect();
    assert!(matches!(bind(&many, &owner()), Err(ListenError::Many(_))));
}

#[test]
fn a_path_whose_mode_changes_is_bound_anew_over_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let old = bind(&[unix(&path, None)], &owner()).unwrap();
    let wanted = [unix(&path, Some(0o666))];
    let (made, kept) = bind_further(&wanted, &old, &owner()).unwrap();
    let now = in_order(&wanted, old, &kept, made);
    assert_eq!((now.len(), fs::symlink_metadata(&path).unwrap().mode() & 0o777), (1, 0o666));
    drop(UnixStream::connect(&path).unwrap());
    drop(now);
    assert!(!path.exists(), "the old one has not taken the new one away");
}

#[test]
fn the_order_is_that_of_the_new_list_and_a_name_is_only_a_name() {
    let (one, other) = (tcp("127.0.0.4", 0), tcp("127.0.0.5", 0));
    let old = bind(&[one.clone(), other.clone()], &owner()).unwrap();
    let wanted = [Socket { name: "renamed".into(), ..other }, tcp("127.0.0.6", 0), one];
    let (made, kept) = bind_further(&wanted, &old, &owner()).unwrap();
    let now = in_order(&wanted, old, &kept, made);
    assert_eq!(now.iter().map(Listener::name).collect::<Vec<_>>(), ["renamed", "web", "web"]);
    let ports = ["127.0.0.5", "127.0.0.6", "127.0.0.4"];
    assert!(now.iter().zip(ports).all(|(listener, host)| listener.address.contains(host)));
}
