//! Opens what `Grants.Paths` names, as the job's user, by descriptor: the only place that does.
//! Descriptors carry no right to read or write (O_PATH); the walls are built on them.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use thiserror::Error;
use wjob_model::grant::PathGrant;

/// A granted path, opened.
#[derive(Debug)]
pub struct Opened {
    /// What was granted.
    pub grant: PathGrant,
    /// O_PATH descriptor of the file or directory.
    pub descriptor: OwnedFd,
    /// Whether it is a directory.
    pub directory: bool,
}

/// A grant that cannot be opened.
#[derive(Debug, Error)]
#[error("granted path {path}: {why}")]
pub struct GrantError {
    /// The host path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Opens every granted path; symbolic links are followed, magic links of /proc are not.
///
/// # Errors
/// When one is missing, may not be reached by the job's user, or is neither file nor directory: a FIFO or a
/// device could hang the job or reach beyond the file system.
pub fn open(grants: &[PathGrant]) -> Result<Vec<Opened>, GrantError> {
    grants.iter().map(open_one).collect()
}

fn open_one(grant: &PathGrant) -> Result<Opened, GrantError> {
    let refuse = |why: String| GrantError { path: grant.host.clone(), why };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let descriptor = openat2(CWD, &grant.host, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .map_err(|error| refuse(error.to_string()))?;
    let status = fstat(&descriptor).map_err(|error| refuse(error.to_string()))?;
    let directory = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => true,
        FileType::RegularFile => false,
        FileType::CharacterDevice if HARMLESS_DEVICES.contains(&grant.host.as_str()) => false,
        other => return Err(refuse(format!("expected a file or a directory, found {}", in_words(other)))),
    };
    if descriptor_in_proc(&descriptor) {
        return Err(refuse("it leads into /proc or /sys".into()));
    }
    Ok(Opened { grant: grant.clone(), descriptor, directory })
}

/// Devices that can be granted: they hold nothing and reach nothing.
const HARMLESS_DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// A symbolic link may lead where the text of a grant may not.
fn descriptor_in_proc(descriptor: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    const SYSFS: u64 = 0x6265_6572;
    rustix::fs::fstatfs(descriptor).is_ok_and(|status| {
        let kind = u64::try_from(status.f_type).unwrap_or_default();
        kind == PROC || kind == SYSFS
    })
}

fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Symlink => "a symbolic link",
        _ => "something else",
    }
}
