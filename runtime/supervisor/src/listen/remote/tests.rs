//! Connections made for real, to servers of the test's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, accept, shutdown};

use super::*;
use crate::listen::bind_further;

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
        let [.., high, low] = std::process::id().to_be_bytes();
        let node = Ipv4Addr::new(127, last, high, low);
        let port = TcpListener::bind((node, 0)).unwrap().local_addr().unwrap().port();
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

fn wait(listener: &Listener, wanted: PollFlags) {
    let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(listener, wanted)], Some(&patience)), Ok(1), "{}", listener.address);
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
    let (made, kept) = bind_further(&[scene.socket(SocketKind::Seqpacket)], &old, &Owner::caller()).unwrap();
    assert_eq!((made.len(), kept.len()), (1, 0));
    assert!(made[0].is_lost(), "a server of streams takes no packets");
}

#[test]
fn datagrams_go_both_ways_and_a_server_that_has_gone_is_missed() {
    let scene = Scene::in_a_folder();
    let server = UnixDatagram::bind(&scene.path).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut listener = scene.connected(SocketKind::Datagram);
    let job = UnixDatagram::from(listener.handed_over().unwrap().1);
    job.send(b"question").unwrap();
    let mut said = [0; 16];
    let (length, from) = server.recv_from(&mut said).unwrap();
    assert_eq!(&said[..length], b"question");
    server.send_to_addr(b"answer", &from).unwrap();
    listener.come_back(&Owner::caller());
    assert!(listener.is_wanted() && !listener.is_lost(), "{listener:?}");
    let length = job.recv(&mut said).unwrap();
    assert_eq!(&said[..length], b"answer");
    drop(server);
    listener.come_back(&Owner::caller());
    assert!(listener.is_lost(), "{listener:?}");
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

#[test]
fn what_is_no_socket_and_a_folder_that_others_can_change_are_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::in_a_folder();
    fs::write(&scene.path, "precious").unwrap();
    assert_eq!(scene.connected(SocketKind::Stream).lost(), Some("what is there is no socket"));
    fs::remove_file(&scene.path).unwrap();
    let _server = scene.serve();
    fs::set_permissions(Path::new(&scene.path).parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    let listener = scene.connected(SocketKind::Stream);
    assert!(listener.lost().unwrap_or_default().contains("mode 777 lets everybody write"), "{listener:?}");
}
