//! Proof from inside, just before `ready`: what must fail is tried and must fail; the mounts are read.
//! What the kernel shows from outside is `readback`'s business.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use wjob_model::grant::Access;
use wjob_model::message::Evidence;
use wjob_model::wall::{Ports, Wall, WallPlan, WorkerKind};

use crate::WallError;
use crate::grants::Opened;

/// Opened before the view changes: the host's /proc, to read one's own mounts afterwards.
pub struct Before {
    proc: Option<OwnedFd>,
}

impl Before {
    /// Opens what the probes will need.
    pub fn open() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self { proc: rustix::fs::open("/proc", flags, Mode::empty()).ok() }
    }

    /// Reads the mounts of the new view; to be asked after the mount wall and before landlock.
    pub fn mounts(self, plan: &WallPlan, opened: &[Opened]) -> Option<Evidence> {
        let mount = plan.mount.as_ref()?;
        let text = self.proc.and_then(|proc| read(proc.as_fd(), "self/mountinfo"));
        // Another root is seen as if it were granted to be executed.
        let root = mount.root.as_ref().map(|_| ("/", Access::Execute));
        let grants = opened.iter().map(|opened| (opened.grant.guest.as_str(), opened.grant.access));
        Some(judge_mounts(text.as_deref(), grants.chain(root)))
    }
}

fn read(folder: std::os::fd::BorrowedFd<'_>, name: &str) -> Option<String> {
    let file = rustix::fs::openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    std::io::read_to_string(std::fs::File::from(file)).ok()
}

/// More mounts than this are counted and not named.
const MOST_SHOWN: usize = 64;

/// Every mount of the view must be without set-uid, and each grant's as its access asks.
fn judge_mounts<'a>(text: Option<&str>, grants: impl Iterator<Item = (&'a str, Access)>) -> Evidence {
    let evidence = |found: String, stands| Evidence { wall: Wall::Mount, found, stands };
    let Some(text) = text else {
        return evidence("mountinfo cannot be read".into(), false);
    };
    let mounts: Vec<(&str, &str)> = text.lines().filter_map(point_and_options).collect();
    if mounts.is_empty() {
        // Of a root that was let go of nothing is shown (proc_pid_mountinfo(5)).
        return evidence("no mount is seen".into(), false);
    }
    for (guest, access) in grants {
        let wanted = options(access);
        let Some((_, found)) = mounts.iter().rfind(|(point, _)| unescape(point) == guest) else {
            return evidence(format!("no mount at {guest}"), false);
        };
        let has = |option: &&str| found.split(',').any(|found| found == *option);
        if let Some(lacking) = wanted.iter().find(|option| !has(option)) {
            return evidence(format!("{guest} is mounted {found}, without {lacking}"), false);
        }
    }
    let points: Vec<String> = mounts.iter().map(|(point, options)| format!("{point} {options}")).collect();
    let shown = points.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join("; ");
    evidence(format!("{} mounts: {shown}", points.len()), true)
}

fn options(access: Access) -> &'static [&'static str] {
    match access {
        Access::ReadOnly | Access::Connect => &["ro", "nosuid", "noexec"],
        Access::ReadWrite => &["nosuid", "noexec"],
        Access::Execute => &["ro", "nosuid"],
    }
}

/// Fields 5 and 6 of a line of mountinfo (proc_pid_mountinfo(5)).
fn point_and_options(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split(' ').skip(4);
    Some((fields.next()?, fields.next()?))
}

/// mountinfo writes space, tab, newline and backslash in octal.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Tries what must fail; to be asked last, with every wall up.
///
/// # Errors
/// When something that must fail succeeded.
pub fn try_what_must_fail(plan: &WallPlan) -> Result<Vec<Evidence>, WallError> {
    let mut evidence = Vec::new();
    if plan.landlock_abi > 0 {
        evidence.push(open_something(plan));
    }
    if plan.seccomp || plan.landlock_abi >= 4 {
        evidence.push(connect_somewhere(plan));
    }
    if plan.network_namespace {
        evidence.push(empty_network());
    }
    match evidence.iter().find(|evidence| !evidence.stands) {
        Some(fallen) => Err(WallError::new(fallen.wall, "probe", &fallen.found)),
        None => Ok(evidence),
    }
}

/// One access that no rule covers and that only landlock refuses in this way. In a view whose root is granted
/// nothing is outside: then a change is tried where only reading is granted.
fn open_something(plan: &WallPlan) -> Evidence {
    if plan.kind == WorkerKind::Native {
        return make_a_device(plan);
    }
    let root = plan.mount.as_ref().and_then(|mount| mount.grants.iter().find(|grant| grant.guest == "/"));
    let (path, flags) = match root {
        None => ("/", OFlags::RDONLY | OFlags::DIRECTORY),
        Some(grant) if grant.access != Access::ReadWrite => ("/.wjob-probe", OFlags::WRONLY | OFlags::CREATE),
        Some(_) => {
            let found = "the root itself is granted ReadWrite, nothing is outside".into();
            return Evidence { wall: Wall::Landlock, found, stands: true };
        }
    };
    let result = rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty());
    let stands = matches!(result, Err(Errno::ACCESS | Errno::PERM | Errno::ROFS));
    Evidence { wall: Wall::Landlock, found: format!("open {path}: {}", in_words(result.err())), stands }
}

/// A native program may list and read all it sees and write to its /tmp, where landlock refuses devices before
/// the capability for them is asked for (do_mknodat).
fn make_a_device(plan: &WallPlan) -> Evidence {
    const PROBE: &str = "/tmp/.wjob-probe";
    let result = rustix::fs::mknodat(CWD, PROBE, rustix::fs::FileType::CharacterDevice, Mode::empty(), 0);
    let stands = match result {
        Err(Errno::ACCESS) => true,
        // Without a view of its own its /tmp is the machine's, and the user may not have one.
        Err(_) => plan.mount.is_none(),
        Ok(()) => false,
    };
    Evidence { wall: Wall::Landlock, found: format!("make the device {PROBE}: {}", in_words(result.err())), stands }
}

/// The interfaces of an own network: none but loopback (proc_pid_net(5)).
fn empty_network() -> Evidence {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let interfaces: Vec<&str> = text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    Evidence {
        wall: Wall::Network,
        found: format!("interfaces: {}", interfaces.join(" ")),
        stands: interfaces == ["lo"],
    }
}

/// One socket or one connection that no grant covers.
fn connect_somewhere(plan: &WallPlan) -> Evidence {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let socket = match socket {
        Err(error) => {
            let stands = !(plan.network.tcp && plan.network.ipv4);
            return Evidence { wall: Wall::Seccomp, found: format!("socket: {}", in_words(Some(error))), stands };
        }
        Ok(socket) => socket,
    };
    let Some(port) = ungranted_port(plan) else {
        return Evidence { wall: Wall::Landlock, found: "any port is granted".into(), stands: true };
    };
    let result = connect(&socket, port);
    let stands = match result {
        Err(Errno::ACCESS | Errno::PERM) => true,
        // Its network is empty: even loopback is down.
        Err(Errno::NETUNREACH) => plan.network_namespace,
        _ => plan.landlock_abi < 4,
    };
    Evidence { wall: Wall::Landlock, found: format!("connect 127.0.0.1:{port}: {}", in_words(result.err())), stands }
}

fn ungranted_port(plan: &WallPlan) -> Option<u16> {
    match &plan.network.connect_ports {
        Ports::Any => None,
        Ports::These(ports) => (1..=u16::MAX).find(|port| !ports.contains(port)),
    }
}

fn connect(socket: &OwnedFd, port: u16) -> Result<(), Errno> {
    let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
    rustix::net::connect(socket, &address)
}

fn in_words(error: Option<Errno>) -> String {
    match error {
        None => "succeeded".into(),
        Some(error) => format!("refused ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_judged_by_their_options() {
        let text = "22 1 0:20 / / ro,nosuid,nodev,noexec - tmpfs none rw\n\
                    23 22 8:1 /a /a\\040b ro,nosuid,nodev,noexec - ext4 /dev/sda rw\n\
                    24 22 8:1 /c /c rw,nosuid,nodev,noexec - ext4 /dev/sda rw\n";
        for (guest, access, stands) in [
            ("/a b", Access::ReadOnly, true),
            ("/c", Access::ReadWrite, true),
            ("/c", Access::ReadOnly, false),
            ("/d", Access::ReadOnly, false),
            ("/", Access::Execute, true),
            ("/", Access::ReadWrite, true),
        ] {
            let evidence = judge_mounts(Some(text), std::iter::once((guest, access)));
            assert_eq!(evidence.stands, stands, "{guest} {access:?}: {}", evidence.found);
        }
        assert!(!judge_mounts(None, std::iter::empty()).stands);
        assert!(!judge_mounts(Some(""), std::iter::empty()).stands);
    }
}
