//! What must work behind the walls: without it, a wall that refuses everything would pass every other test.

use crate::raw::{self, at, at_mut, call, descriptor, number};
use crate::scene::Scene;
use crate::stage::{DATAGRAM_PORT, PORT, SOCKET};
use crate::table::{Answer, Attack, Need, Network, attack, native_works, wasm_works};

/// The table.
pub const CONTROLS: &[Attack] = &[
    attack!(read_the_granted_file, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(list_the_granted_folder, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(change_the_granted_folder, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(
        connect_to_the_granted_port,
        Network::Tcp,
        Need::Nothing,
        [wasm_works(Some(PORT)), native_works(Some(PORT))]
    ),
    attack!(
        send_to_the_granted_datagram_port,
        Network::Udp,
        Need::Nothing,
        [wasm_works(Some(DATAGRAM_PORT)), native_works(Some(DATAGRAM_PORT))]
    ),
    attack!(
        connect_to_the_granted_unix_socket,
        Network::Unix,
        Need::Nothing,
        [wasm_works(Some(SOCKET)), native_works(Some(SOCKET))]
    ),
    attack!(
        connect_to_the_granted_unix_socket_beside_a_port,
        Network::UnixAndTcp,
        Need::Nothing,
        [wasm_works(Some(SOCKET)), native_works(Some(SOCKET))]
    ),
    attack!(bind_the_granted_port, Network::Bind, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(tell_the_time, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(draw_a_random_number, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(make_a_thread, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(speak_to_the_supervisor, Network::Nothing, Need::Nothing, [wasm_works(None)]),
    attack!(hear_the_supervisor, Network::Nothing, Need::Nothing, [wasm_works(None)]),
    attack!(make_memory, Network::Nothing, Need::Nothing, [wasm_works(None), native_works(None)]),
    attack!(execute_a_program_of_the_base, Network::Nothing, Need::Nothing, [native_works(None)]),
    attack!(talk_by_a_pair_of_streams, Network::Nothing, Need::Nothing, [native_works(None)]),
    attack!(talk_by_a_pair_of_packets, Network::Tcp, Need::Nothing, [native_works(None)]),
    attack!(write_a_temporary_file, Network::Nothing, Need::Nothing, [native_works(None)]),
    attack!(open_a_harmless_device, Network::Nothing, Need::Nothing, [native_works(None)]),
];

fn read_the_granted_file(scene: &Scene) -> Answer {
    let file = raw::open(&scene.read_only("file"), libc::O_RDONLY)?;
    let mut bytes = [0u8; 32];
    let length = call(libc::SYS_read, &[descriptor(file), at_mut(&mut bytes), bytes.len()])?;
    if length == 10 { Ok("read".into()) } else { Err(libc::EIO) }
}

fn list_the_granted_folder(scene: &Scene) -> Answer {
    let folder = raw::open(&scene.read_only("."), libc::O_RDONLY | libc::O_DIRECTORY)?;
    let mut entries = [0u64; 128];
    raw::done(call(libc::SYS_getdents64, &[descriptor(folder), at_mut(&mut entries), size_of_val(&entries)]))
}

fn change_the_granted_folder(scene: &Scene) -> Answer {
    let file = raw::open(&scene.read_write("new"), libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY)?;
    raw::write(file, b"new\n")?;
    call(libc::SYS_ftruncate, &[descriptor(file), 1])?;
    raw::on_paths(libc::SYS_renameat, &scene.read_write("new"), &scene.read_write("newer"))?;
    raw::on_path(libc::SYS_mkdirat, &[raw::HERE], &scene.read_write("folder"), &[0o755])?;
    raw::on_paths(libc::SYS_linkat, &scene.read_write("newer"), &scene.read_write("folder/linked"))?;
    raw::done(raw::on_path(libc::SYS_unlinkat, &[raw::HERE], &scene.read_write("newer"), &[0]))
}

fn connect_to_the_granted_port(scene: &Scene) -> Answer {
    let socket = raw::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    raw::connect(socket, &raw::loopback(scene.port))?;
    raw::done(raw::send_to(socket, 0, &[]))
}

fn send_to_the_granted_datagram_port(scene: &Scene) -> Answer {
    let socket = raw::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP)?;
    raw::done(raw::send_to(socket, 0, &raw::loopback(scene.datagram_port)))
}

fn connect_to_the_granted_unix_socket(scene: &Scene) -> Answer {
    let socket = raw::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0)?;
    raw::connect(socket, &raw::unix_path(&scene.granted_socket()))?;
    raw::done(raw::send_to(socket, 0, &[]))
}

fn connect_to_the_granted_unix_socket_beside_a_port(scene: &Scene) -> Answer {
    connect_to_the_granted_unix_socket(scene)
}

fn bind_the_granted_port(scene: &Scene) -> Answer {
    let socket = raw::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    match raw::bind(socket, &raw::loopback(scene.bind_port)) {
        // The walls let it through, and somebody else was quicker.
        Err(libc::EADDRINUSE) => return Ok("in use".into()),
        result => result?,
    };
    raw::done(call(libc::SYS_listen, &[descriptor(socket), 1]))
}

fn tell_the_time(_: &Scene) -> Answer {
    let mut time = [0i64; 2];
    raw::done(call(libc::SYS_clock_gettime, &[number(libc::CLOCK_REALTIME), at_mut(&mut time)]))
}

fn draw_a_random_number(_: &Scene) -> Answer {
    let mut bytes = [0u8; 8];
    raw::done(call(libc::SYS_getrandom, &[at_mut(&mut bytes), bytes.len(), 0]))
}

fn make_a_thread(_: &Scene) -> Answer {
    let thread = std::thread::Builder::new().name("control".into()).spawn(|| 7);
    let thread = thread.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    thread.join().map(|value| value.to_string()).map_err(|_| libc::EIO)
}

fn speak_to_the_supervisor(_: &Scene) -> Answer {
    raw::done(raw::send_message(3, 0, &[]))
}

fn hear_the_supervisor(_: &Scene) -> Answer {
    raw::write(4, b"x")?;
    let mut bytes = [0u8; 1];
    let parts = [at_mut(&mut bytes), 1];
    let mut message = raw::message(&parts, &[]);
    raw::done(call(libc::SYS_recvmsg, &[3, at_mut(&mut message), 0]))
}

fn make_memory(_: &Scene) -> Answer {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let nothing = number(-1);
    raw::done(call(libc::SYS_mmap, &[0, 4096, number(protection), number(flags), nothing, 0]))
}

fn execute_a_program_of_the_base(_: &Scene) -> Answer {
    raw::done(raw::execute("/bin/sh", &["sh", "-c", "echo 'escaped: it ran'"]))
}

fn talk_by_a_pair_of_streams(_: &Scene) -> Answer {
    talk(libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
}

fn talk_by_a_pair_of_packets(_: &Scene) -> Answer {
    talk(libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC)
}

/// As programs do with their own children.
fn talk(kind: i32) -> Answer {
    let [one, other] = raw::pair(libc::AF_UNIX, kind)?;
    raw::write(one, b"x")?;
    let mut bytes = [0u8; 4];
    raw::done(call(libc::SYS_read, &[descriptor(other), at_mut(&mut bytes), bytes.len()]))
}

fn write_a_temporary_file(_: &Scene) -> Answer {
    let file = raw::open("/tmp/new", libc::O_CREAT | libc::O_WRONLY)?;
    raw::done(raw::write(file, b"new\n"))
}

fn open_a_harmless_device(_: &Scene) -> Answer {
    let device = raw::open("/dev/null", libc::O_WRONLY)?;
    raw::done(call(libc::SYS_write, &[descriptor(device), at(b"x"), 1]))
}
