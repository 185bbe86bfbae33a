//! What an attack is tried on: granted folders, a secret beside them, listeners nobody granted, and servers that are.
//! Afterwards it tells whether anything was changed or reached. How an attack ended is `judge`'s business.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

use super::judge::shortened;
use super::servers;
use super::table::Row;
use crate::harness::{Ran, Sandbox, again};

/// What the file outside holds, which no run may ever say.
const SECRET: &str = "a secret";
/// Where the guest sees what it is granted.
const READ_ONLY: &str = "/ro";
const READ_WRITE: &str = "/rw";
/// The memory of an attack whose row says nothing else, bytes.
const MEMORY: u64 = 256 << 20;
/// What a worker needs beside its guest's memory, bytes: its own code, the engine's and the guest's, and buffers. A test
/// build has all its symbols in the same file.
const WORKER: u64 = 384 << 20;

/// What stands there for one attack.
pub struct Stage {
    pub sandbox: Sandbox,
    needs: Vec<String>,
    tcp: TcpListener,
    udp: UdpSocket,
    /// May be sent to; nobody reads it.
    _granted_udp: UdpSocket,
    ports: Vec<(&'static str, u16)>,
    before: String,
}

impl Stage {
    /// Sets everything up; servers only where they are needed.
    pub fn set(needs: &[String]) -> Self {
        let sandbox = Sandbox::new();
        furnish(&sandbox);
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        tcp.set_nonblocking(true).expect("a socket that does not wait");
        let (udp, granted_udp) = (datagrams(), datagrams());
        let needed = |name: &str| needs.iter().any(|need| need == name);
        let mut ports = vec![
            ("tcp", tcp.local_addr().expect("an address").port()),
            ("udp", udp.local_addr().expect("an address").port()),
            ("granted-udp", granted_udp.local_addr().expect("an address").port()),
        ];
        if needed("granted") {
            ports.push(("granted", servers::silent()));
        }
        if needed("http") {
            ports.push(("http", servers::hostile()));
        }
        let before = kept(&sandbox);
        Self { sandbox, needs: needs.to_vec(), tcp, udp, _granted_udp: granted_udp, ports, before }
    }

    /// Runs an attack as its row says.
    pub fn run(&self, row: &Row) -> Ran {
        let words = self.words(row);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.sandbox.wjob(&words)
    }

    /// The command line of that.
    pub fn words(&self, row: &Row) -> Vec<String> {
        let mut words = vec!["run".to_owned(), "--status-file".to_owned(), self.sandbox.name("status.json")];
        words.extend(self.grants());
        let memory = row.limits.iter().any(|(key, _)| key == "Memory");
        let limits = row.limits.iter().cloned().chain((!memory).then(|| ("Memory".to_owned(), MEMORY)));
        words.extend(limits.flat_map(|(key, most)| ["--limit".to_owned(), format!("{key}={most}")]));
        words.push(super::program(row.payload.as_deref().unwrap_or_default()));
        words.push(row.name.clone());
        words.extend(self.told());
        words
    }

    /// What it is granted, as options.
    fn grants(&self) -> Vec<String> {
        let option = |need: &String| -> Option<[String; 2]> {
            let port = |name| self.port(name);
            let (option, value) = match need.as_str() {
                "ro" => ("--ro", format!("{}:{READ_ONLY}", self.sandbox.name("ro"))),
                "rw" => ("--rw", format!("{}:{READ_WRITE}", self.sandbox.name("rw"))),
                "granted" => ("--connect", format!("tcp://127.0.0.1:{}", port("granted"))),
                "granted-udp" => ("--connect", format!("udp://127.0.0.1:{}", port("granted-udp"))),
                "http" => ("--connect", format!("http://127.0.0.1:{}", port("http"))),
                "bind" => ("--bind", "tcp://127.0.0.1:0".to_owned()),
                _ => return None,
            };
            Some([option.to_owned(), value])
        };
        self.needs.iter().filter_map(option).flatten().collect()
    }

    /// What it is told of, as arguments.
    fn told(&self) -> Vec<String> {
        let mut told = vec![format!("outside={}", self.sandbox.name("outside/secret"))];
        told.extend([format!("ro={READ_ONLY}"), format!("rw={READ_WRITE}")]);
        told.extend(self.ports.iter().map(|(name, port)| format!("{name}={port}")));
        told
    }

    fn port(&self, name: &str) -> u16 {
        let found = self.ports.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("there is no port {name}")).1
    }

    /// Nothing beside the ReadWrite grant has changed, nobody was reached, and the secret was not told.
    #[track_caller]
    pub fn is_untouched(&self, ran: &Ran) {
        let described = || shortened(&ran.described());
        assert!(!ran.output().contains(SECRET), "the secret was told\n{}", described());
        assert_eq!(kept(&self.sandbox), self.before, "something was changed\n{}", described());
        let reached = self.tcp.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(reached, Err(ErrorKind::WouldBlock), "an ungranted port was reached\n{}", described());
        let heard = again(|| self.udp.recv(&mut [0])).map(drop).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock), "an ungranted datagram port was reached\n{}", described());
    }

    /// The worker held no more memory than the limit and what it needs itself.
    #[track_caller]
    pub fn is_bounded(&self, row: &Row, ran: &Ran) {
        let text = self.sandbox.read("status.json");
        let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let limit = row.limits.iter().find(|(key, _)| key == "Memory").map_or(MEMORY, |(_, most)| *most);
        let peak = status["peakMemory"].as_u64().unwrap_or_else(|| panic!("no peak in {text}"));
        let described = || shortened(&ran.described());
        assert!(peak <= limit + WORKER, "{}: {peak} bytes were held, Memory is {limit}\n{}", row.name, described());
    }
}

/// What no attack may change.
fn kept(sandbox: &Sandbox) -> String {
    sandbox.snapshot("outside") + &sandbox.snapshot("ro")
}

/// The folders, with the same in each of the granted ones.
fn furnish(sandbox: &Sandbox) {
    sandbox.make_folder("outside");
    sandbox.write("outside/secret", format!("{SECRET}\n"));
    for name in ["ro", "rw"] {
        sandbox.make_folder(&format!("{name}/folder"));
        sandbox.write(&format!("{name}/file"), "as it was\n");
        sandbox.make_fifo(&format!("{name}/fifo"));
        sandbox.link("../outside", &format!("{name}/link"));
        sandbox.link(&sandbox.name("outside"), &format!("{name}/absolute-link"));
        sandbox.link("../outside/secret", &format!("{name}/file-link"));
    }
}

fn datagrams() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    socket
}
