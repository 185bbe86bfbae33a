//! Sockets for datagrams that are connected to a server of the test's own: what waits to be read is kept, nobody else is
//! heard, and errors wake nobody for ever.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use super::*;

/// Has errors kept for whoever reads them (ip(7), IP_RECVERR), as a native program can; whether that could be done.
fn keeps_errors(socket: &impl AsFd) -> bool {
    const PERL: &str = "/usr/bin/perl";
    if !Path::new(PERL).exists() {
        println!("skipped: there is no {PERL} to ask for it");
        return false;
    }
    let copy = socket.as_fd().try_clone_to_owned().unwrap();
    let program = "setsockopt(STDIN, 0, 11, 1) or die";
    assert!(Command::new(PERL).args(["-we", program]).stdin(Stdio::from(copy)).status().unwrap().success());
    true
}

#[test]
fn errors_that_nobody_reads_wake_nobody_for_ever() {
    // Nobody has this port, which is root's to give.
    let scene = Scene::at(loopback(79), 1);
    let mut listener = scene.connected(SocketKind::Datagram);
    let job = UdpSocket::from(listener.handed_over().unwrap().1);
    job.send(b"lost").unwrap();
    wait(&listener, PollFlags::IN);
    listener.settle();
    assert!(!listener.is_lost(), "one that did not arrive: {listener:?}");
    if keeps_errors(&listener) {
        job.send(b"lost").unwrap();
        wait(&listener, PollFlags::IN);
        listener.settle();
        assert_eq!(listener.lost(), Some(UNREAD));
    }
}

/// One beside a connection is not settled: it wakes its job as it would without.
#[test]
fn an_error_at_a_socket_to_which_others_come_is_seen() {
    let node = Some(loopback(80).to_string());
    let place = Place::Network { node, service: Service::Port(0), family: Family::Each, group: None };
    let socket = Socket { kind: SocketKind::Datagram, place, ..Socket::on_port("asked", 0) };
    let listeners = listen::bind(&[socket], &Owner::caller()).unwrap();
    assert!(!listeners[0].is_stirred());
    if keeps_errors(&listeners[0]) {
        let job = UdpSocket::from(listeners[0].handed_over().unwrap().1);
        job.send_to(b"lost", (loopback(80), 1)).unwrap();
        wait(&listeners[0], PollFlags::IN);
        assert!(listeners[0].is_stirred() && !listeners[0].is_wanted());
    }
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
    close(&scene, server);
    listener.come_back(&Owner::caller());
    assert!(listener.is_lost() && is_out_of_reach(&listener), "{listener:?}");
}

/// Whether a socket for datagrams has no name by which anybody could send to it.
fn is_out_of_reach(listener: &Listener) -> bool {
    UnixDatagram::from(listener.handed_over().unwrap().1).local_addr().unwrap().is_unnamed()
}

/// Closes a server, and waits until nobody has it.
fn close(scene: &Scene, server: UnixDatagram) {
    drop(server);
    at_last("nobody is there", || UnixDatagram::unbound().unwrap().connect(&scene.path).is_err());
}

/// A server of datagrams that is there again, at the same place.
fn serve_again(scene: &Scene, server: UnixDatagram) -> UnixDatagram {
    close(scene, server);
    fs::remove_file(&scene.path).unwrap();
    let server = UnixDatagram::bind(&scene.path).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    server
}

#[test]
fn a_server_of_datagrams_that_is_there_again_is_found_before_a_run() {
    let scene = Scene::in_a_folder();
    let server = UnixDatagram::bind(&scene.path).unwrap();
    let mut listener = scene.connected(SocketKind::Datagram);
    let job = UnixDatagram::from(listener.handed_over().unwrap().1);
    let server = serve_again(&scene, server);
    listener.look_again(&Owner::caller());
    assert_eq!(listener.connection(), Some(&Connection::Made));
    job.send(b"question").unwrap();
    assert_eq!(server.recv(&mut [0; 16]).unwrap(), 8);
    close(&scene, server);
    listener.look_again(&Owner::caller());
    assert!(listener.is_lost(), "{listener:?}");
}

#[test]
fn datagrams_that_wait_are_kept_though_their_server_is_another_by_now() {
    let scene = Scene::in_a_folder();
    let server = UnixDatagram::bind(&scene.path).unwrap();
    let mut listener = scene.connected(SocketKind::Datagram);
    let job = UnixDatagram::from(listener.handed_over().unwrap().1);
    server.send_to_addr(b"last", &job.local_addr().unwrap()).unwrap();
    let server = serve_again(&scene, server);
    listener.come_back(&Owner::caller());
    listener.look_again(&Owner::caller());
    assert!(listener.is_wanted(), "{listener:?}");
    let mut said = [0; 16];
    let length = job.recv(&mut said).unwrap();
    assert_eq!(&said[..length], b"last");
    listener.come_back(&Owner::caller());
    job.send(b"question").unwrap();
    assert_eq!(server.recv(&mut said).unwrap(), 8);
}

/// The kernel takes a socket apart when somebody sends by it to a server that has gone; its name is there still.
#[test]
fn nobody_else_is_heard_when_a_server_of_datagrams_has_gone() {
    let scene = Scene::in_a_folder();
    assert!(is_out_of_reach(&scene.connected(SocketKind::Datagram)), "nobody is there yet");
    let server = UnixDatagram::bind(&scene.path).unwrap();
    let mut listener = scene.connected(SocketKind::Datagram);
    assert!(!is_out_of_reach(&listener));
    close(&scene, server);
    let job = UnixDatagram::from(listener.handed_over().unwrap().1);
    assert!(job.send(b"question").is_err());
    let name = job.local_addr().unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"not from there", &name).unwrap();
    wait(&listener, PollFlags::IN);
    listener.come_back(&Owner::caller());
    assert!(listener.is_lost() && !listener.is_wanted() && is_out_of_reach(&listener), "{listener:?}");
}

/// The kernel gives such a socket a port before it refuses.
#[test]
fn a_refused_socket_of_the_network_has_no_port_to_which_anybody_could_send() {
    let listener = Scene::at(Ipv4Addr::BROADCAST, 1).connected(SocketKind::Datagram);
    assert!(listener.is_lost(), "{listener:?}");
    let own = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    assert_eq!(own.port(), 0);
}
