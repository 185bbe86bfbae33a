//! Connections made for real, to servers of the test's own. Sockets for datagrams are in the file beside.

mod datagrams;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, accept, shutdown};
use wjob_model::socket::Place;

use super::standing::UNREAD;
use super::*;
use crate::listen::{self, bind_further};

/// Longest wait; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for a server, which an entry of `Sockets` names.
struct Scene {
    _folder: tempfile::TempDir,
    path: String,
    remote: Remote,
}

impl Scene {
    fn in_a_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket").display().to_string();
        Self { _folder: folder, remote: Remote::Path(path.clone()), path }
    }

    /// An address of this process alone, where no other test takes the port meanwhile; `last` is the test's own.
    fn on_the_loopback(last: u8) -> Self {
        let node = loopback(last);
        Self::at(node, free_address(last).port())
    }

    fn at(node: Ipv4Addr, port: u16) -> Self {
        let node = Some(node.to_string());
        let remote = Remote::Network { node, service: Service::Port(port), family: Family::Each };
        Self { remote, ..Self::in_a_folder() }
    }

    fn socket(&self, kind: SocketKind) -> Socket {
        Socket { kind, place: Place::Remote(self.remote.clone()), ..Socket::on_port("other", 0) }
    }

    fn connected(&self, kind: SocketKind) -> Listener {
        let mut listener = open(&self.socket(kind), &self.remote, &Owner::caller(), None).unwrap();
        if listener.connection() == Some(&Connection::Begun) {
            wait(&listener, PollFlags::OUT);
            listener.settle();
        }
        listener
    }

    fn serve(&self) -> OwnedFd {
        let server: OwnedFd = match &self.remote {
            Remote::Path(path) => UnixListener::bind(path).unwrap().into(),
            Remote::Network { node, service: Service::Port(port), .. } => {
                TcpListener::bind((node.as_deref().unwrap(), *port)).unwrap().into()
            }
            Remote::Network { .. } => panic!("a port was expected"),
        };
        set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE)).unwrap();
        server
    }
}

/// An address of this process alone.
fn loopback(last: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, last, high, low)
}

fn wait(listener: &Listener, wanted: PollFlags) {
    let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(listener, wanted)], Some(&patience)), Ok(1), "{}", listener.address);
}

/// Tries until it goes: a process that another test makes has copies of all descriptors until it executes its program.
fn at_last(what: &str, mut goes: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !goes() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// The next who connects. Both kinds read, write and end alike.
fn next(server: &OwnedFd) -> UnixStream {
    UnixStream::from(accept(server).unwrap())
}

/// What a worker would have.
fn copy(listener: &Listener) -> UnixStream {
    let (about, descriptor) = listener.handed_over().unwrap();
    assert!(about.connected && about.address == listener.address);
    UnixStream::from(descriptor)
}

#[test]
fn what_comes_through_a_connection_is_left_for_the_job() {
    for scene in [Scene::in_a_folder(), Scene::on_the_loopback(71)] {
        let server = scene.serve();
        let mut listener = scene.connected(SocketKind::Stream);
        assert_eq!(listener.connection(), Some(&Connection::Made), "{}", listener.address);
        assert!(!listener.is_wanted() && listener.is_alive() && listener.demand().is_ok());
        let mut other = next(&server);
        other.write_all(b"hello").unwrap();
        wait(&listener, PollFlags::IN);
        listener.settle();
        assert!(listener.is_wanted());
        let mut said = [0; 5];
        copy(&listener).read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
        listener.come_back(&Owner::caller());
        assert!(!listener.is_lost() && !listener.is_wanted(), "it is open still");
    }
}

#[test]
fn an_end_is_the_jobs_to_hear_and_then_it_is_made_anew() {
    for scene in [Scene::in_a_folder(), Scene::on_the_loopback(72)] {
        let server = scene.serve();
        let mut listener = scene.connected(SocketKind::Stream);
        next(&server).write_all(b"last").unwrap();
        wait(&listener, PollFlags::RDHUP);
        assert!(listener.is_wanted());
        listener.come_back(&Owner::caller());
        assert!(!listener.is_lost(), "nobody has read what came before its end");
        let mut said = String::new();
        copy(&listener).read_to_string(&mut said).unwrap();
        assert_eq!(said, "last");
        listener.come_back(&Owner::caller());
        assert_eq!(listener.lost(), Some("it was closed"));
        assert!(!listener.is_wanted());
        let address = listener.address.clone();
        listener.make_anew(&Owner::caller());
        let other = next(&server);
        assert_eq!((listener.lost(), &listener.address), (None, &address));
        wait(&listener, PollFlags::OUT);
        listener.settle();
        // A run that has said its last word leaves nothing that the next one could use.
        shutdown(copy(&listener), Shutdown::Write).unwrap();
        listener.come_back(&Owner::caller());
        assert!(listener.is_lost(), "{}", listener.address);
        drop(other);
    }
}

#[test]
fn where_nobody_answers_it_is_a_socket_all_the_same_until_somebody_does() {
    for scene in [Scene::in_a_folder(), Scene::on_the_loopback(73)] {
        let mut listener = scene.connected(SocketKind::Stream);
        assert!(listener.is_lost() && !listener.is_wanted() && listener.is_alive(), "{listener:?}");
        assert!(listener.demand().unwrap_err().to_string().contains("not connected: "));
        assert_eq!(copy(&listener).read_to_string(&mut String::new()).unwrap_or(0), 0, "whoever reads does not wait");
        let server = scene.serve();
        listener.make_anew(&Owner::caller());
        drop(next(&server));
        assert!(!listener.is_lost(), "{listener:?}");
    }
}

#[test]
fn a_connection_stays_for_a_job_that_takes_the_place_of_the_same() {
    let scene = Scene::in_a_folder();
    let _server = scene.serve();
    let old = [scene.connected(SocketKind::Stream)];
    let (made, kept) = bind_further(&[scene.socket(SocketKind::Stream)], &old, &Owner::caller()).unwrap();
    assert_eq!((made.len(), kept), (0, vec![0]));
    let (mut made, kept) = bind_further(&[scene.socket(SocketKind::Seqpacket)], &old, &Owner::caller()).unwrap();
    assert_eq!((made.len(), kept.len()), (1, 0));
    made[0].make_anew(&Owner::caller());
    assert!(made[0].is_lost(), "a server of streams takes no packets");
}

#[test]
fn what_may_have_to_wait_is_connected_to_nobody_before_it_is_made() {
    for scene in [Scene::in_a_folder(), Scene::on_the_loopback(74)] {
        let server = scene.serve();
        let sockets = [scene.socket(SocketKind::Stream)];
        let (mut made, _) = bind_further(&sockets, &[], &Owner::caller()).unwrap();
        assert_eq!(made[0].lost(), Some(PUT_OFF));
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let came = poll(&mut [PollFd::new(&server, PollFlags::IN)], Some(&at_once));
        assert_eq!(came, Ok(0), "{}", made[0].address);
        made[0].make_anew(&Owner::caller());
        drop(next(&server));
        let in_the_foreground = listen::bind(&sockets, &Owner::caller()).unwrap();
        drop(next(&server));
        assert!(!made[0].is_lost() && !in_the_foreground[0].is_lost(), "{}", made[0].address);
    }
}

/// By the one that was tried last, in which order they are tried; each is a port.
#[test]
fn each_of_several_addresses_has_its_turn() {
    const ROWS: [(Option<u16>, [u16; 3]); 4] =
        [(None, [1, 2, 3]), (Some(1), [2, 3, 1]), (Some(2), [3, 1, 2]), (Some(3), [1, 2, 3])];
    let socket = Scene::on_the_loopback(75).socket(SocketKind::Stream);
    let at = |port: u16| SocketAddr::from((loopback(75), port));
    let url = |port: u16| network::url(SocketKind::Stream, at(port));
    for (last, order) in ROWS {
        let tried = std::cell::RefCell::new(Vec::new());
        let by = |of: SocketKind, address: SocketAddr| -> Result<(OwnedFd, Connection), Errno> {
            tried.borrow_mut().push(address.port());
            Ok((unconnected(family_of(address), of)?, Connection::Lost("nobody".into())))
        };
        let refused = to_one_of(&socket, vec![at(1), at(2), at(3)], last.map(url).as_deref(), by).unwrap();
        assert_eq!(*tried.borrow(), order, "{last:?}");
        assert_eq!(refused.address, url(order[2]));
    }
}

#[test]
fn localhost_is_tried_by_each_family_beginning_with_the_first() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::Port(port.local_addr().unwrap().port());
    let remote = Remote::Network { node: None, service, family: Family::Each };
    let socket = Socket { place: Place::Remote(remote.clone()), ..Socket::on_port("other", 0) };
    let mut listener = put_off(&socket, &remote).unwrap();
    let machine_has_six = unconnected(AddressFamily::INET6, SocketKind::Stream).is_ok();
    assert_eq!(listener.address.contains("[::1]"), machine_has_six, "{}", listener.address);
    listener.make_anew(&Owner::caller());
    wait(&listener, PollFlags::OUT);
    listener.settle();
    assert_eq!(listener.connection(), Some(&Connection::Made));
    assert!(listener.address.starts_with("tcp://127.0.0.1:"), "{}", listener.address);
}

#[test]
fn a_connection_that_is_refused_on_its_way_is_lost() {
    let scene = Scene::on_the_loopback(76);
    let address = free_address(76);
    let (descriptor, stands) = to_address(SocketKind::Stream, address, &Owner::caller()).unwrap();
    assert_eq!(stands, Connection::Begun);
    let url = network::url(SocketKind::Stream, address);
    let mut listener = listener(&scene.socket(SocketKind::Stream), descriptor, url, stands);
    wait(&listener, PollFlags::OUT);
    listener.settle();
    assert!(listener.lost().unwrap_or_default().contains("refused"), "{listener:?}");
    assert!(!listener.is_wanted());
}

/// A port of this process's own address that nobody has.
fn free_address(last: u8) -> SocketAddr {
    let listener = TcpListener::bind((loopback(last), 0)).unwrap();
    // Closing alone leaves it to the copies of `at_last`.
    shutdown(&listener, Shutdown::Both).unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn who_has_gone_without_a_word_is_missed() {
    let scene = Scene::on_the_loopback(77);
    let _server = scene.serve();
    let listener = scene.connected(SocketKind::Stream);
    assert_eq!(sockopt::socket_keepalive(&listener), Ok(true));
}

#[test]
fn what_would_be_connected_to_itself_is_refused_and_gives_its_port_back() {
    for kind in [SocketKind::Stream, SocketKind::Datagram] {
        let descriptor = fresh(AddressFamily::INET, kind).unwrap();
        bind(&descriptor, &SocketAddr::from((loopback(78), 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&descriptor).unwrap()).unwrap();
        let (made, stands) = begun(descriptor, kind, address).unwrap();
        assert_eq!(stands, Connection::of(Err(Errno::CONNREFUSED)), "{kind:?}");
        let server = fresh(AddressFamily::INET, kind).unwrap();
        at_last("who is to answer there has the port", || bind(&server, &address).is_ok());
        drop(made);
    }
}

/// Who would have root for a client.
#[test]
fn nobody_elses_socket_is_connected_to() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can give sockets away");
    }
    let (job, stranger) = (12_344, 12_345);
    let owner = Owner { job: Some((job, job)), ..Owner::caller() };
    for (user, expected) in [(stranger, false), (job, true), (0, true)] {
        let scene = Scene::in_a_folder();
        let server = UnixListener::bind(&scene.path).unwrap();
        server.set_nonblocking(true).unwrap();
        std::os::unix::fs::chown(&scene.path, Some(user), None).unwrap();
        let listener = open(&scene.socket(SocketKind::Stream), &scene.remote, &owner, None).unwrap();
        assert_eq!((!listener.is_lost(), server.accept().is_ok()), (expected, expected), "{user}: {listener:?}");
        let said = listener.lost().unwrap_or("a socket of user 12345");
        assert!(said.contains("a socket of user 12345"), "{said}");
    }
}

/// Who asks the kernel whose a connection is, hears of the job's user and not of root.
#[test]
fn a_connection_that_root_makes_is_the_jobs() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root makes connections for others");
    }
    for (job, expected) in [(Some((54_321, 54_322)), 54_321), (None, NOBODY.0), (Some((0, 0)), 0)] {
        for kind in [SocketKind::Stream, SocketKind::Datagram] {
            let scene = Scene::on_the_loopback(79);
            let _server = (kind == SocketKind::Stream).then(|| scene.serve());
            let owner = Owner { domain: 0, job, ..Owner::caller() };
            let listener = open(&scene.socket(kind), &scene.remote, &owner, None).unwrap();
            assert!(!listener.is_lost(), "{listener:?}");
            let inode = fstat(&listener.descriptor).unwrap().st_ino.to_string();
            let table = fs::read_to_string(if kind == SocketKind::Stream { "/proc/net/tcp" } else { "/proc/net/udp" });
            let table = table.unwrap();
            // proc_net(5): the user is the eighth field and the inode the tenth.
            let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
            let users: Vec<&str> = rows.filter(|row| row.get(9) == Some(&inode.as_str())).map(|row| row[7]).collect();
            assert_eq!(users, [expected.to_string()], "{kind:?}");
        }
    }
}

#[test]
fn a_link_leads_to_no_supervisor() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root can make the folder of a user's supervisor");
    }
    /// Taken away, however the test ends.
    struct Made(std::path::PathBuf);
    impl Drop for Made {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
    // Of a user that there is not.
    let made = Made(format!("/run/user/{}", 4_200_000_000 + u64::from(std::process::id())).into());
    let run = made.0.as_path();
    fs::create_dir_all(run.join("wjob")).unwrap();
    let _server = UnixListener::bind(run.join("wjob/wjob.sock")).unwrap();
    let scene = Scene::in_a_folder();
    let link = Path::new(&scene.path).with_file_name("link");
    std::os::unix::fs::symlink(run.join("wjob"), &link).unwrap();
    let remote = Remote::Path(link.join("wjob.sock").display().to_string());
    let listener = open(&scene.socket(SocketKind::Stream), &remote, &Owner::caller(), None).unwrap();
    let said = listener.lost().unwrap_or_default();
    assert!(said.contains(&format!("{}/wjob, which is wjob's own", run.display())), "{listener:?}");
}

/// A hard link is one more name of a socket.
#[test]
fn by_no_name_is_a_job_connected_to_a_supervisor_that_answers_elsewhere() {
    use std::os::unix::fs::MetadataExt as _;
    let scene = Scene::in_a_folder();
    let server = UnixListener::bind(&scene.path).unwrap();
    server.set_nonblocking(true).unwrap();
    let folder = Path::new(&scene.path).parent().unwrap();
    let name = folder.join("name");
    fs::hard_link(&scene.path, &name).unwrap();
    let identity = |path: &Path| fs::symlink_metadata(path).map(|status| (status.dev(), status.ino())).unwrap();
    let [socket, folder] = [Path::new(&scene.path), folder].map(identity);
    for (supervisors, expected) in [(vec![], false), (vec![socket], true), (vec![folder], true)] {
        let owner = Owner { supervisors, ..Owner::caller() };
        for remote in [scene.remote.clone(), Remote::Path(name.display().to_string())] {
            let listener = open(&scene.socket(SocketKind::Stream), &remote, &owner, None).unwrap();
            assert_eq!((listener.is_lost(), server.accept().is_err()), (expected, expected), "{listener:?}");
            let said = listener.lost().unwrap_or("a supervisor of wjob answers there");
            assert_eq!(said, "a supervisor of wjob answers there");
        }
    }
}

#[test]
fn what_is_no_socket_and_a_folder_that_others_can_change_are_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::in_a_folder();
    fs::write(&scene.path, "precious").unwrap();
    assert_eq!(scene.connected(SocketKind::Stream).lost(), Some("what is there is no socket"));
    fs::remove_file(&scene.path).unwrap();
    std::os::unix::fs::symlink("/dev/log", &scene.path).unwrap();
    assert_eq!(scene.connected(SocketKind::Stream).lost(), Some("what is there is a link; expected the socket itself"));
    fs::remove_file(&scene.path).unwrap();
    let _server = scene.serve();
    fs::set_permissions(Path::new(&scene.path).parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    let listener = scene.connected(SocketKind::Stream);
    assert!(listener.lost().unwrap_or_default().contains("mode 777 lets everybody write"), "{listener:?}");
}
