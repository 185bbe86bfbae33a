//! Connect and Bind, granted and denied: addresses, ports, names and requests, against small servers of the test's
//! own on the loopback. Nothing leaves this machine, and no test needs a name server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;

use crate::harness::{self, Job, Running, Sandbox};

/// The servers. They serve until the test's process ends.
struct World {
    /// Echoes lines over TCP.
    tcp: u16,
    /// Another of the same.
    other: u16,
    /// The same on `::1`, where there is one.
    six: Option<u16>,
    /// Echoes datagrams.
    udp: u16,
    /// Another of the same.
    other_udp: u16,
    /// Answers requests.
    http: u16,
}

impl World {
    fn new() -> Self {
        Self {
            tcp: serve("127.0.0.1:0", echo).expect("a TCP port"),
            other: serve("127.0.0.1:0", echo).expect("a TCP port"),
            six: serve("[::1]:0", echo),
            udp: serve_datagrams(),
            other_udp: serve_datagrams(),
            http: serve("127.0.0.1:0", answer).expect("a TCP port"),
        }
    }

    /// The text with the ports in it; `None` when it needs what this machine lacks.
    fn fill(&self, text: &str) -> Option<String> {
        let six = self.six.map(|port| port.to_string());
        if text.contains("{six}") && six.is_none() {
            return None;
        }
        let ports = [("{tcp}", self.tcp), ("{other}", self.other), ("{udp}", self.udp), ("{http}", self.http)];
        let filled = ports.iter().fold(text.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()));
        let filled = filled.replace("{other-udp}", &self.other_udp.to_string());
        Some(filled.replace("{six}", &six.unwrap_or_default()))
    }
}

fn serve(address: &str, conversation: fn(TcpStream) -> std::io::Result<()>) -> Option<u16> {
    let listener = TcpListener::bind(address).ok()?;
    let port = listener.local_addr().ok()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves early is no fault of the server.
            thread::spawn(move || conversation(stream));
        }
    });
    Some(port)
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut line = Vec::new();
    BufReader::new(stream.try_clone()?).read_until(b'\n', &mut line)?;
    stream.write_all(&line)
}

/// One answer, whatever the request.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nanswered")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // The client closes first, so that no reset overtakes the answer.
    reader.read_to_end(&mut Vec::new()).map(drop)
}

fn serve_datagrams() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let port = socket.local_addr().expect("its address").port();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, sender)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], sender);
        }
    });
    port
}

/// Grants of one kind, a probe and what it is to say; `None` is a denial.
struct Case {
    key: &'static str,
    grants: &'static [&'static str],
    probe: &'static str,
    argument: &'static str,
    granted: Option<&'static str>,
}

const fn connect(
    grants: &'static [&'static str],
    probe: &'static str,
    argument: &'static str,
    granted: Option<&'static str>,
) -> Case {
    Case { key: "Connect", grants, probe, argument, granted }
}

const fn bind(
    grants: &'static [&'static str],
    probe: &'static str,
    argument: &'static str,
    granted: Option<&'static str>,
) -> Case {
    Case { key: "Bind", grants, probe, argument, granted }
}

const PING: Option<&str> = Some("answered 4 bytes: \"ping\"");
const ANSWER: Option<&str> = Some("status 200, 8 bytes: \"answered\"");

const TCP: &[Case] = &[
    connect(&["tcp://127.0.0.1:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", PING),
    connect(&["tcp://127.0.0.1:*"], "probe-connect", "127.0.0.1:{other}", PING),
    connect(&["tcp://127.0.0.1:{other}", "tcp://127.0.0.1:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", PING),
    connect(&["tcp://[::1]:{six}"], "probe-connect", "[::1]:{six}", PING),
    // A grant written v4-mapped is one of the IPv4 address.
    connect(&["tcp://[::ffff:127.0.0.1]:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", PING),
    // What may be requested from by http may be connected to by tcp.
    connect(&["http://127.0.0.1:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", PING),
    connect(&[], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://127.0.0.1:{other}"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://127.0.0.2:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://192.0.2.1:*"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["udp://127.0.0.1:{tcp}"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://127.0.0.1:*"], "probe-connect", "[::1]:{six}", None),
    connect(&["tcp://[::1]:*"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://[::1]:*"], "probe-connect", "[::ffff:127.0.0.1]:{tcp}", None),
    // 0.0.0.0 and :: are never destinations.
    connect(&["tcp://127.0.0.1:*"], "probe-connect", "0.0.0.0:{tcp}", None),
    connect(&["tcp://[::1]:*"], "probe-connect", "[::]:{six}", None),
];

const UDP: &[Case] = &[
    connect(&["udp://127.0.0.1:{udp}"], "probe-udp", "127.0.0.1:{udp}", PING),
    connect(&["udp://127.0.0.1:*"], "probe-udp", "127.0.0.1:{other-udp}", PING),
    connect(&[], "probe-udp", "127.0.0.1:{udp}", None),
    connect(&["udp://127.0.0.1:{other-udp}"], "probe-udp", "127.0.0.1:{udp}", None),
    connect(&["udp://127.0.0.2:*"], "probe-udp", "127.0.0.1:{udp}", None),
    connect(&["tcp://127.0.0.1:{udp}"], "probe-udp", "127.0.0.1:{udp}", None),
    connect(&["udp://127.0.0.1:*"], "probe-udp", "0.0.0.0:{udp}", None),
];

const BINDING: &[Case] = &[
    bind(&["tcp://127.0.0.1:0"], "probe-bind", "127.0.0.1:0", Some("127.0.0.1:")),
    bind(&["tcp://127.0.0.1:*"], "probe-bind", "127.0.0.1:0", Some("127.0.0.1:")),
    bind(&["tcp://0.0.0.0:0"], "probe-bind", "127.0.0.1:0", Some("127.0.0.1:")),
    bind(&[], "probe-bind", "127.0.0.1:0", None),
    bind(&["udp://127.0.0.1:0"], "probe-bind", "127.0.0.1:0", None),
    bind(&["tcp://127.0.0.1:0"], "probe-bind", "0.0.0.0:0", None),
    bind(&["tcp://127.0.0.2:0"], "probe-bind", "127.0.0.1:0", None),
    connect(&["tcp://127.0.0.1:*"], "probe-bind", "127.0.0.1:0", None),
    bind(&["udp://127.0.0.1:0"], "probe-udp-bind", "127.0.0.1:0", Some("127.0.0.1:")),
    bind(&["udp://0.0.0.0:*"], "probe-udp-bind", "127.0.0.1:0", Some("127.0.0.1:")),
    bind(&[], "probe-udp-bind", "127.0.0.1:0", None),
    bind(&["tcp://127.0.0.1:0"], "probe-udp-bind", "127.0.0.1:0", None),
    bind(&["udp://127.0.0.2:0"], "probe-udp-bind", "127.0.0.1:0", None),
];

const NAMES: &[Case] = &[
    connect(&["tcp://localhost:*", "tcp://127.0.0.1:*"], "probe-lookup", "localhost", Some("127.0.0.1")),
    connect(
        &["tcp://localhost:{tcp}", "tcp://127.0.0.1:{tcp}"],
        "probe-connect",
        "localhost:{tcp}",
        Some("127.0.0.1:{tcp} answered"),
    ),
    // Alone the name is not enough: an answer that is the loopback is dropped unless it is granted by itself.
    connect(&["tcp://localhost:*"], "probe-lookup", "localhost", None),
    connect(&["tcp://localhost:*"], "probe-connect", "127.0.0.1:{tcp}", None),
    connect(&["tcp://127.0.0.1:*"], "probe-lookup", "localhost", None),
    connect(&["tcp://example.invalid:*"], "probe-lookup", "localhost", None),
    connect(&[], "probe-lookup", "localhost", None),
];

const REQUESTS: &[Case] = &[
    connect(&["http://127.0.0.1:{http}"], "probe-http", "http://127.0.0.1:{http}/", ANSWER),
    connect(&["http://127.0.0.1:*"], "probe-http", "http://127.0.0.1:{http}/path", ANSWER),
    connect(&[], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["http://127.0.0.1:{other}"], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["http://127.0.0.1"], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["http://127.0.0.2:{http}"], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["https://127.0.0.1:{http}"], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["tcp://127.0.0.1:{http}"], "probe-http", "http://127.0.0.1:{http}/", None),
    connect(&["http://127.0.0.1:*"], "probe-http", "http://localhost:{http}/", None),
];

/// What the tables here try: a probe, and whether it is granted what it asks for.
pub fn tried() -> impl Iterator<Item = (&'static str, bool)> {
    let tables = [TCP, UDP, BINDING, NAMES, REQUESTS];
    tables.into_iter().flatten().map(|case| (case.probe, case.granted.is_some()))
}

fn walk(cases: &[Case]) {
    let (world, sandbox) = (World::new(), Sandbox::new());
    for case in cases {
        let all = case.grants.iter().chain([&case.argument]).map(|text| world.fill(text));
        let Some(filled) = all.collect::<Option<Vec<String>>>() else {
            println!("skipped: there is no ::1 here, for {} {}", case.probe, case.argument);
            continue;
        };
        let (argument, grants) = filled.split_last().expect("an argument");
        let job = Job::guest(case.probe, &[argument.as_str()]);
        let job = grants.iter().fold(job, |job, grant| job.grant(case.key, grant.as_str()));
        let ran = sandbox.run(&job);
        let context = format!("{} {grants:?}\n{}", case.key, ran.described());
        match case.granted.map(|text| world.fill(text).unwrap_or_default()) {
            Some(detail) => {
                assert_eq!(ran.status, 0, "{context}");
                assert!(ran.output().starts_with("granted: ") && ran.output().contains(&detail), "{context}");
            }
            None => {
                assert_eq!(ran.status, 3, "{context}");
                assert!(ran.output().starts_with("denied: "), "{context}");
            }
        }
    }
}

#[test]
fn tcp() {
    walk(TCP);
}

#[test]
fn udp() {
    walk(UDP);
}

#[test]
fn binding() {
    walk(BINDING);
}

#[test]
fn who_listens_takes_clients() {
    let job = Job::guest("probe-bind", &["127.0.0.1:0", "client"]).grant("Bind", "tcp://127.0.0.1:0");
    let ran = Sandbox::new().run(&job.clone().grant("Connect", "tcp://127.0.0.1:*"));
    ran.exits(0).says_only("granted: bind: it was taken\n");
    Sandbox::new().run(&job).exits(3).says("denied: bind: ");
}

#[test]
fn names() {
    walk(NAMES);
}

#[test]
fn requests() {
    walk(REQUESTS);
}

#[test]
fn destinations_on_the_command_line_are_the_same() {
    let (world, sandbox) = (World::new(), Sandbox::new());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let (guest, address) = (harness::guest("probe-connect"), at(world.tcp));
    for (port, status) in [(world.tcp, 0), (world.other, 3)] {
        let grant = format!("tcp://{}", at(port));
        sandbox.wjob(&["run", "--connect", &grant, &guest, &address]).exits(status);
    }
    sandbox.wjob(&["run", &guest, &address]).exits(3);
}

/// A shell that can connect, which only bash can.
const BASH: &str = "/bin/bash";

fn conversation(port: u16) -> Option<Job> {
    if !Path::new(BASH).exists() {
        println!("skipped: there is no {BASH} here");
        return None;
    }
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} || exit 9; echo ping >&3; read -r line <&3; echo \"answered $line\""
    );
    Some(Job::new(BASH, &["-c", &script]))
}

#[test]
fn a_native_program_connects_where_it_may() {
    let (world, sandbox) = (World::new(), Sandbox::new());
    let Some(job) = conversation(world.tcp) else { return };
    for grant in [format!("tcp://127.0.0.1:{}", world.tcp), "tcp://127.0.0.1:*".into()] {
        sandbox.run(&job.clone().grant("Connect", grant)).exits(0).says("answered ping");
    }
}

#[test]
fn a_native_program_connects_nowhere_else() {
    let (world, sandbox) = (World::new(), Sandbox::new());
    let Some(job) = conversation(world.tcp) else { return };
    let grants = [format!("tcp://127.0.0.1:{}", world.other), format!("udp://127.0.0.1:{}", world.tcp)];
    for job in grants.into_iter().map(|grant| job.clone().grant("Connect", grant)).chain([job.clone()]) {
        let ran = sandbox.run(&job);
        assert_ne!(ran.status, 0, "{}", ran.described());
        assert!(!ran.output().contains("ping"), "it was answered\n{}", ran.described());
    }
}

#[test]
fn a_native_program_without_grants_has_an_empty_network() {
    let sandbox = Sandbox::new();
    // Two lines of heading and loopback (proc_pid_net(5)): the name server's address is of no use.
    sandbox.run(&Job::shell("grep -c : /proc/net/dev")).exits(0).says_only("1\n");
    sandbox.run(&Job::shell("cat /proc/net/dev")).exits(0).says("lo:");
}

/// The resolver's own files say what a name means; which only root can change, in a view of his own.
#[test]
fn a_granted_name_has_the_addresses_that_the_resolver_gives() {
    if !harness::is_root() {
        println!("skipped: only root can give the resolver other files");
        return;
    }
    let sandbox = Sandbox::new();
    let hosts = sandbox.write("hosts", "10.99.0.1 data.test\n127.0.0.1 sly.test\n169.254.169.254 sly.test\n");
    let (wjob, guest) = (harness::binary("wjob"), harness::guest("probe-lookup"));
    let script = format!("mount --bind {hosts} /etc/hosts && exec \"$@\"");
    for (granted, asked, status, said) in [
        ("tcp://data.test:80", "data.test", 0, "granted: lookup: 10.99.0.1\n"),
        ("https://data.test", "DATA.test", 0, "granted: lookup: 10.99.0.1\n"),
        ("tcp://other.test:80", "data.test", 3, "denied: lookup"),
        // What means this machine or its surroundings is dropped, whoever says so.
        ("tcp://sly.test:80", "sly.test", 3, "denied: lookup"),
    ] {
        let arguments = ["--mount", "sh", "-c", &script, "sh", wjob.to_str().expect("a path")];
        let run = ["run", "--connect", granted, &guest, asked];
        let command = sandbox.command_at(Path::new("/usr/bin/unshare"), &[&arguments[..], &run[..]].concat());
        Running::start(command).end().exits(status).says(said);
    }
}

/// An HTTPS server with a certificate of its own; gives its port and the certificate.
fn https_server() -> (u16, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a server");
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).expect("a connection");
            let mut secure = rustls::StreamOwned::new(connection, stream);
            let mut request = [0; 1024];
            // A client that trusts somebody else ends the handshake here.
            if secure.read(&mut request).is_ok() {
                let _ = secure.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret");
            }
        }
    });
    (port, cert.pem())
}

/// The machine's own authorities decide; which only root can change, in a view of his own.
#[test]
fn a_granted_https_request_is_made_to_who_the_machine_trusts() {
    if !harness::is_root() || !Path::new("/etc/ssl").is_dir() {
        println!("skipped: only root can give the machine another authority, and it needs /etc/ssl");
        return;
    }
    let sandbox = Sandbox::new();
    let (port, certificate) = https_server();
    sandbox.make_folder("ssl/certs");
    sandbox.write("ssl/certs/ca-certificates.crt", certificate);
    let trusting = format!("mount --bind {} /etc/ssl && exec \"$@\"", sandbox.name("ssl"));
    let url = format!("https://127.0.0.1:{port}");
    let other = format!("https://127.0.0.1:{}", port ^ 1);
    let plain = format!("http://127.0.0.1:{port}");
    let (wjob, guest) = (harness::binary("wjob"), harness::guest("probe-http"));
    for (script, grant, status, said) in [
        (trusting.as_str(), &url, 0, "status 200, 6 bytes: \"secret\""),
        (trusting.as_str(), &other, 3, "HttpRequestDenied"),
        (trusting.as_str(), &plain, 3, "HttpRequestDenied"),
        ("exec \"$@\"", &url, 3, "denied: http"),
    ] {
        let wjob = wjob.to_str().expect("a path");
        let words = ["--mount", "sh", "-c", script, "sh", wjob, "run", "--connect", grant, &guest, &url];
        let command = sandbox.command_at(Path::new("/usr/bin/unshare"), &words);
        Running::start(command).end().exits(status).says(said);
    }
}
