//! Another root (RootDirectory): a folder of the host in which paths are resolved as chroot(2) would have it, so that
//! neither `..` nor a symbolic link leads out of it. It is opened here and asked for what it lacks; showing it to a
//! native program is `mount`'s business.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use wjob_model::wall::MountPlan;

use crate::mount::DEVICES;

/// The folder, opened with no right to read or write (O_PATH).
#[derive(Debug)]
pub struct Root {
    path: String,
    descriptor: OwnedFd,
}

impl Root {
    /// Opens it; symbolic links on the way are followed, magic links of /proc are not.
    ///
    /// # Errors
    /// When it is missing, no folder, or out of the caller's reach.
    pub fn open(path: &str) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        Ok(Self { path: path.to_owned(), descriptor })
    }

    /// Its path on the host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// A path of the host as it reads inside; `None` if it does not lie in this folder.
    pub fn inside<'a>(&self, host: &'a str) -> Option<&'a str> {
        path_inside(&self.path, host)
    }

    /// The first mount point of a view that the folder does not have, and why not: it is shown read-only, so none can
    /// be made in it. What lies in another grant, or in /tmp, is made there.
    pub fn lacks<'a>(&self, plan: &'a MountPlan) -> Option<(&'a str, Errno)> {
        let grants = plan.grants.iter().map(|grant| grant.guest.as_str());
        let inner = |guest: &str| {
            let mut outer = grants.clone().chain(["/tmp"]);
            outer.any(|outer| outer != guest && Path::new(guest).starts_with(outer))
        };
        let granted = grants.clone().filter(|guest| !inner(guest));
        let mut points = ["/tmp", "/proc"].into_iter().chain(DEVICES.iter().copied()).chain(granted);
        points.find_map(|point| Some((point, self.look(point).err()?)))
    }

    fn look(&self, point: &str) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        openat2(&self.descriptor, point, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

/// A path of the host as it reads inside a root of this path; `None` if it does not lie in it.
pub fn path_inside<'a>(root: &str, host: &'a str) -> Option<&'a str> {
    match host.strip_prefix(root)? {
        "" => Some("/"),
        inside => inside.starts_with('/').then_some(inside),
    }
}

/// Opens a path of the host as every path is opened that a job names: magic links of /proc are not followed, and with
/// another root nothing leads out of it.
///
/// # Errors
/// When the system refuses, or the path does not lie in the root (EXDEV).
pub fn open_on_host(root: Option<&Root>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let Some(root) = root else {
        return openat2(CWD, path, flags, mode, ResolveFlags::NO_MAGICLINKS);
    };
    let inside = root.inside(path).ok_or(Errno::XDEV)?;
    openat2(&root.descriptor, inside, flags, mode, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use wjob_model::grant::{Access, PathGrant};

    use super::*;

    /// A folder with a root in it and a secret beside that.
    fn folder() -> (tempfile::TempDir, String) {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/name"), "inside").unwrap();
        fs::write(top.path().join("secret"), "outside").unwrap();
        for (target, link) in [("/etc/name", "absolute"), ("../../secret", "up"), ("etc", "folder")] {
            symlink(target, root.join(link)).unwrap();
        }
        let name = root.to_str().unwrap().to_owned();
        (top, name)
    }

    fn read(root: Option<&Root>, path: &str) -> Result<String, Errno> {
        let descriptor = open_on_host(root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(std::io::read_to_string(fs::File::from(descriptor)).unwrap())
    }

    #[test]
    fn nothing_leads_out_of_a_root() {
        let (_top, path) = folder();
        let root = Root::open(&path).unwrap();
        for (name, expected) in [
            ("/etc/name", Ok("inside")),
            ("/absolute", Ok("inside")),
            ("/folder/name", Ok("inside")),
            ("/../../etc/name", Ok("inside")),
            ("/up", Err(Errno::NOENT)),
            ("/../secret", Err(Errno::NOENT)),
            ("x/etc/name", Err(Errno::XDEV)),
        ] {
            let found = read(Some(&root), &format!("{path}{name}"));
            assert_eq!(found, expected.map(str::to_owned), "{name}");
        }
        assert_eq!(read(Some(&root), "/etc/passwd"), Err(Errno::XDEV));
        assert_eq!(read(None, &format!("{path}/../secret")).unwrap(), "outside");
    }

    #[test]
    fn what_a_view_needs_is_missed_by_name() {
        let (_top, path) = folder();
        let root = Root::open(&path).unwrap();
        let grant = |guest: &str| PathGrant { host: "/x".into(), guest: guest.into(), access: Access::ReadOnly };
        let plan = |guests: &[&str]| {
            let grants = guests.iter().map(|guest| grant(guest)).collect();
            MountPlan { grants, ..MountPlan::default() }
        };
        assert_eq!(root.lacks(&plan(&[])), Some(("/tmp", Errno::NOENT)));
        for name in ["tmp", "proc", "dev"] {
            fs::create_dir(format!("{path}/{name}")).unwrap();
        }
        assert_eq!(root.lacks(&plan(&[])).map(|(point, _)| point), Some(DEVICES[0]));
        for device in DEVICES {
            fs::write(format!("{path}{device}"), "").unwrap();
        }
        for (guests, expected) in [
            (&[] as &[&str], None),
            (&["/etc", "/etc/more/inside", "/tmp/inside"], None),
            (&["/srv"], Some(("/srv", Errno::NOENT))),
            (&["/folder"], Some(("/folder", Errno::LOOP))),
        ] {
            assert_eq!(root.lacks(&plan(guests)), expected, "{guests:?}");
        }
    }
}
