//! What an attack is tried on: folders, listeners, sockets and a neighbour, set up and watched from outside the
//! walls. It tells what changed and what arrived; whether that is right is `judge`'s business.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::raw::text;
use crate::scene::Scene;

/// Names of the places where something can arrive.
pub const PORT: &str = "the granted port";
pub const DATAGRAM_PORT: &str = "the granted datagram port";
pub const SOCKET: &str = "the granted Unix socket";

/// What stands there for one attack.
pub struct Stage {
    /// For the attacker.
    pub scene: Scene,
    /// Whether a device node could be placed in the ReadWrite grant.
    pub device: bool,
    /// A terminal that belongs to the neighbour's session.
    pub terminal: Option<Terminal>,
    listeners: Vec<(&'static str, Listener)>,
    neighbour: Child,
    before: Vec<String>,
    _folder: tempfile::TempDir,
}

/// Both ends of a terminal.
pub struct Terminal {
    _master: OwnedFd,
    /// The end a program is given.
    pub slave: OwnedFd,
}

enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Stream(UnixListener),
    Datagram(UnixDatagram),
}

impl Stage {
    /// Sets everything up.
    pub fn set() -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("wjob-").tempdir()?;
        let path = folder.path().canonicalize()?;
        folders(&path)?;
        let device = special_files(&path);
        let (ports, mut listeners) = network()?;
        listeners.extend(unix_sockets(&path)?);
        let terminal = terminal();
        let neighbour = neighbour(terminal.as_ref())?;
        let own = fs::metadata(&path)?;
        let scene = Scene {
            folder: path.to_str().ok_or_else(|| std::io::Error::other("the folder's name is no text"))?.to_owned(),
            port: ports[0],
            other_port: ports[1],
            datagram_port: ports[2],
            other_datagram_port: ports[3],
            bind_port: ports[4],
            neighbour: i32::try_from(neighbour.id()).map_err(std::io::Error::other)?,
            supervisor: i32::try_from(std::process::id()).map_err(std::io::Error::other)?,
            user: own.uid(),
            group: own.gid(),
            ..Scene::default()
        };
        let before = look(&path);
        Ok(Self { scene, device, terminal, listeners, neighbour, before, _folder: folder })
    }

    /// What is no longer as it was outside the grants and in the ReadOnly one.
    pub fn changes(&mut self) -> Vec<String> {
        let now = look(Path::new(&self.scene.folder));
        let mut changes: Vec<String> = now.iter().filter(|line| !self.before.contains(line)).cloned().collect();
        changes.extend(self.before.iter().filter(|line| !now.contains(line)).map(|line| format!("no longer {line}")));
        if !matches!(self.neighbour.try_wait(), Ok(None)) {
            changes.push("the neighbour has ended".into());
        }
        changes
    }

    /// Where something arrived.
    pub fn arrivals(&self) -> Vec<&'static str> {
        self.listeners.iter().filter(|(_, listener)| listener.has_heard()).map(|(name, _)| *name).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}

impl Listener {
    fn has_heard(&self) -> bool {
        let mut byte = [0];
        match self {
            Self::Tcp(listener) => listener.accept().is_ok(),
            Self::Udp(socket) => socket.recv(&mut byte).is_ok(),
            Self::Stream(listener) => listener.accept().is_ok(),
            Self::Datagram(socket) => socket.recv(&mut byte).is_ok(),
        }
    }
}

fn folders(folder: &Path) -> std::io::Result<()> {
    for name in ["ro", "rw", "outside"] {
        fs::create_dir(folder.join(name))?;
    }
    for name in ["ro/file", "rw/file", "outside/secret"] {
        fs::write(folder.join(name), "as it was\n")?;
    }
    symlink(folder.join("outside/secret"), folder.join("rw/absolute"))?;
    symlink("../outside/secret", folder.join("rw/relative"))?;
    symlink("secret", folder.join("outside/link"))
}

/// A FIFO in each grant and a device node in the ReadWrite one; whether the last could be made.
fn special_files(folder: &Path) -> bool {
    let make = |name: &str, mode: libc::mode_t, device: libc::dev_t| {
        let path = text(&folder.join(name).to_string_lossy());
        // SAFETY: the path is NUL-terminated and outlives the call.
        unsafe { libc::mknod(path.as_ptr(), mode | 0o666, device) == 0 }
    };
    make("rw/fifo", libc::S_IFIFO, 0);
    make("ro/fifo", libc::S_IFIFO, 0);
    // /dev/zero's numbers: harmless if it were opened.
    make("rw/device", libc::S_IFCHR, libc::makedev(1, 5))
}

type Named = (&'static str, Listener);

/// Listening sockets and their ports; the last port is free and for the attacker to bind.
fn network() -> std::io::Result<([u16; 5], Vec<Named>)> {
    let tcp = || -> std::io::Result<(u16, TcpListener)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?.port(), listener))
    };
    let udp = || -> std::io::Result<(u16, UdpSocket)> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        Ok((socket.local_addr()?.port(), socket))
    };
    let ((port, granted), (other_port, other)) = (tcp()?, tcp()?);
    let ((datagram_port, granted_datagrams), (other_datagram_port, other_datagrams)) = (udp()?, udp()?);
    let (bind_port, _) = tcp()?;
    let listeners = vec![
        (PORT, Listener::Tcp(granted)),
        ("an ungranted port", Listener::Tcp(other)),
        (DATAGRAM_PORT, Listener::Udp(granted_datagrams)),
        ("an ungranted datagram port", Listener::Udp(other_datagrams)),
    ];
    Ok(([port, other_port, datagram_port, other_datagram_port, bind_port], listeners))
}

/// Unix sockets outside, in the grants and with abstract names.
fn unix_sockets(folder: &Path) -> std::io::Result<Vec<Named>> {
    let name = |name: &str| format!("{}-{name}", folder.display());
    let streams = [
        (SOCKET, UnixListener::bind(folder.join("outside/granted"))?),
        ("a Unix socket outside", UnixListener::bind(folder.join("outside/stream"))?),
        ("a Unix socket in the ReadOnly grant", UnixListener::bind(folder.join("ro/stream"))?),
        (
            "an abstract Unix socket",
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(name("stream").as_bytes())?)?,
        ),
    ];
    let datagrams = [
        ("a Unix datagram socket outside", UnixDatagram::bind(folder.join("outside/datagram"))?),
        ("a Unix datagram socket in the ReadWrite grant", UnixDatagram::bind(folder.join("rw/datagram"))?),
        (
            "an abstract Unix datagram socket",
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name("datagram").as_bytes())?)?,
        ),
    ];
    let mut listeners = Vec::new();
    for (name, listener) in streams {
        listener.set_nonblocking(true)?;
        listeners.push((name, Listener::Stream(listener)));
    }
    for (name, socket) in datagrams {
        socket.set_nonblocking(true)?;
        listeners.push((name, Listener::Datagram(socket)));
    }
    Ok(listeners)
}

fn terminal() -> Option<Terminal> {
    let own = |descriptor: i32| {
        // SAFETY: a call has just made this descriptor for us, or failed.
        (descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
    };
    // SAFETY: takes no pointer.
    let master = own(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: neither call takes a pointer; a failed unlock shows in the second.
    let slave = unsafe {
        libc::unlockpt(master.as_raw_fd());
        libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags)
    };
    Some(Terminal { _master: master, slave: own(slave)? })
}

/// A process of the same user, in a session of its own that owns the terminal.
fn neighbour(terminal: Option<&Terminal>) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::NEIGHBOUR).stdout(Stdio::null()).stderr(Stdio::null());
    let has_terminal = terminal.is_some();
    command.stdin(match terminal {
        Some(terminal) => Stdio::from(terminal.slave.try_clone()?),
        None => Stdio::piped(),
    });
    // SAFETY: between fork and exec two system calls are made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            if has_terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn()
}

/// The neighbour's life: it waits for something to be typed, and ends.
pub fn be_a_neighbour() -> ExitCode {
    let _ = std::io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

/// One line for each thing that must stay as it is.
fn look(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for name in ["ro", "outside"] {
        let below = folder.join(name);
        lines.push(describe(&below));
        let entries = fs::read_dir(&below).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        lines.extend(paths.iter().map(|path| describe(path)));
    }
    lines
}

fn describe(path: &Path) -> String {
    let Ok(status) = fs::symlink_metadata(path) else {
        return format!("{} cannot be looked at", path.display());
    };
    let content = if status.is_file() { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    let (links, mode, owner, group) = (status.nlink(), status.mode(), status.uid(), status.gid());
    let (seconds, rest) = (status.mtime(), status.mtime_nsec());
    format!("{}: mode {mode:o}, owner {owner}:{group}, {links} links, {seconds}.{rest}, {content:?}", path.display())
}
