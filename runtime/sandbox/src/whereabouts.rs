//! Where an opened file is, by the system's word and not by the name that led to it, and why no job may get there: the
//! kernel's own trees, and wjob's. It opens nothing that a job names; that is `grants`' and `stdio`'s.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wjob_model::message::OwnFolder;
use wjob_model::mounts::Mounts;
use wjob_model::spec::supervisors_folder;

/// Devices that can be granted: they hold nothing and reach nothing.
pub(crate) const HARMLESS_DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Whether a device is one of [`HARMLESS_DEVICES`] (null(4), full(4), random(4)), whatever it is called.
pub(crate) fn is_harmless(device: u64) -> bool {
    const MEMORY: u32 = 1;
    rustix::fs::major(device) == MEMORY && [3, 5, 7, 8, 9].contains(&rustix::fs::minor(device))
}

/// Where an open file is, whatever links led there.
pub(crate) fn real_path(descriptor: &OwnedFd) -> Result<PathBuf, String> {
    let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    std::fs::read_link(&link).map_err(|error| format!("where it leads cannot be told: {link}: {error}"))
}

/// The mounts of this process's view. The machine bounds how many there are (fs.mount-max).
pub(crate) fn mounts(own: &[OwnFolder]) -> Result<Mounts, String> {
    const PLACE: &str = "/proc/self/mountinfo";
    let text = std::fs::read(PLACE).map_err(|error| format!("what is mounted cannot be told: {PLACE}: {error}"))?;
    let mounts = Mounts::read(&String::from_utf8_lossy(&text), own);
    mounts.ok_or_else(|| format!("what is mounted cannot be told: {PLACE} has a line that no system is known to write"))
}

/// Why no job may get where an open file is, or will be made in an open folder, at the path `real`.
pub(crate) fn forbidden(descriptor: &OwnedFd, real: &Path, own: &[OwnFolder]) -> Option<String> {
    if is_in_proc(descriptor) {
        return Some("it leads into /proc or /sys".into());
    }
    let text = real.to_string_lossy();
    let folder = touched(real, own).or_else(|| supervisors_folder(&text));
    folder.map(|folder| format!("it leads to {folder}, which is wjob's own"))
}

/// The folder of wjob's own that a path lies in, is or contains, whatever links led to it.
fn touched<'a>(real: &Path, own: &'a [OwnFolder]) -> Option<&'a str> {
    let identity = |folder: &Path| std::fs::metadata(folder).ok().map(|status| (status.dev(), status.ino()));
    let above: Vec<_> = real.ancestors().map(|folder| (folder, identity(folder))).collect();
    let by_path = |own: &OwnFolder| {
        let own = Path::new(&own.path);
        real.starts_with(own) || own.starts_with(real)
    };
    // What is not there yet is known by where it would be made, under whatever name that is reached.
    let by_identity = |own: &OwnFolder| {
        let mut same = above.iter().filter(|(_, found)| *found == Some((own.device, own.inode)));
        same.any(|(folder, _)| {
            let rest = real.strip_prefix(folder).unwrap_or(real);
            let missing = Path::new(&own.missing);
            rest.starts_with(missing) || missing.starts_with(rest)
        })
    };
    own.iter().find(|own| by_path(own) || by_identity(own)).map(|own| own.path.as_str())
}

/// A symbolic link may lead where the text of a path may not.
fn is_in_proc(descriptor: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    const SYSFS: u64 = 0x6265_6572;
    rustix::fs::fstatfs(descriptor).is_ok_and(|status| {
        let kind = u64::try_from(status.f_type).unwrap_or_default();
        kind == PROC || kind == SYSFS
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_known_by_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        for name in ["config/wjob", "config/other", "data"] {
            fs::create_dir_all(real.join(name)).unwrap();
        }
        let status = fs::metadata(real.join("config")).unwrap();
        // By a path that leads nowhere, only what is there can tell.
        let own = |path: PathBuf| OwnFolder {
            path: path.display().to_string(),
            device: status.dev(),
            inode: status.ino(),
            missing: "wjob/jobs".into(),
        };
        for (name, by_identity, by_path) in [
            ("config", true, true),
            ("config/wjob", true, true),
            ("config/wjob/jobs", true, true),
            ("config/wjob/jobs/a.plist", true, true),
            ("config/other", false, false),
            ("config/wjob/daemon.json", false, false),
            ("data", false, false),
            // Above what is there: by its path alone, and by what is mounted where.
            ("", false, true),
        ] {
            let path = if name.is_empty() { real.clone() } else { real.join(name) };
            assert_eq!(touched(&path, &[own("/gone/wjob/jobs".into())]).is_some(), by_identity, "{name}");
            assert_eq!(touched(&path, &[own(real.join("config/wjob/jobs"))]).is_some(), by_path, "{name}");
        }
    }
}
