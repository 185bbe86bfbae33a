//! What the mounts of a view show at a path, from the text of mountinfo (proc_pid_mountinfo(5)): a folder is shown with
//! everything that is mounted inside of it, and one file system may be mounted at many places. It reads text and
//! judges; who asks the system, and what is opened, is `sandbox`'s.

use std::collections::HashSet;

use crate::message::OwnFolder;
use crate::spec::lies_in;

/// File systems that show or change the kernel itself, or other processes, and hold nobody's files: whoever is user 0
/// writes to them without any capability.
const KERNELS: &[&str] = &[
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "proc",
    "pstore",
    "resctrl",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// File systems of which mountinfo says `/` for every folder: nothing can be told by it.
const WITHOUT_PATHS: &[&str] = &["nfs", "nfs4"];

/// The mounts of a view, and where in their file systems wjob's own folders are.
#[derive(Debug)]
pub struct Mounts {
    all: Vec<Mount>,
    own: Vec<(String, Part)>,
}

#[derive(Debug)]
struct Mount {
    number: u64,
    /// What it is mounted on; `None` = nothing that this view shows.
    parent: Option<u64>,
    system: String,
    root: String,
    point: String,
    kind: String,
}

/// A part of a file system, whatever it is mounted as.
#[derive(Debug)]
struct Part {
    system: String,
    path: String,
}

impl Mounts {
    /// Reads mountinfo; `None` if a line of it cannot be understood, since what it says must not be missed.
    pub fn read(text: &str, own: &[OwnFolder]) -> Option<Self> {
        let mut all = text.lines().map(mount).collect::<Option<Vec<_>>>()?;
        let numbers: HashSet<u64> = all.iter().map(|mount| mount.number).collect();
        for mount in &mut all {
            let number = mount.number;
            mount.parent = mount.parent.filter(|parent| *parent != number && numbers.contains(parent));
        }
        let mut mounts = Self { all, own: Vec::new() };
        let part = |own: &OwnFolder| Some((own.path.clone(), mounts.at(&own.path)?.part(&own.path)?));
        let parts = own.iter().filter_map(part).collect();
        mounts.own = parts;
        Some(mounts)
    }

    /// Why a path shows what of the kernel no job may see, if it does; `inner` = with all that is mounted inside of it.
    pub fn kernels(&self, path: &str, inner: bool) -> Option<String> {
        let (mount, _) = self.shown(path, inner).find(|(mount, _)| KERNELS.contains(&mount.kind.as_str()))?;
        Some(format!("{} is mounted at {}, which no job may see", mount.kind, mount.point))
    }

    /// Why a path shows a folder of wjob's own or a part of one, by whatever mount, if it does.
    pub fn wjobs_own(&self, path: &str, inner: bool) -> Option<String> {
        self.shown(path, inner).find_map(|(mount, path)| {
            let part = mount.part(path)?;
            let (own, _) = self.own.iter().find(|(_, own)| own.overlaps(&part))?;
            Some(format!("what is mounted at {} leads to {own}, which is wjob's own", mount.point))
        })
    }

    /// The mount that shows a path, and those inside of it: each with the path that it shows. One that is hidden by
    /// another is among them, since who hides it may be gone.
    fn shown<'a>(&'a self, path: &'a str, inner: bool) -> impl Iterator<Item = (&'a Mount, &'a str)> {
        let below = move |mount: &&Mount| inner && mount.point != path && lies_in(&mount.point, path);
        let below = self.all.iter().filter(below).map(|mount| (mount, mount.point.as_str()));
        self.at(path).map(|mount| (mount, path)).into_iter().chain(below)
    }

    /// The mount that shows what is at a path.
    fn at(&self, path: &str) -> Option<&Mount> {
        let mut found: Option<&Mount> = None;
        // Of two on one mount, that nearer to the root came later and hides the other.
        let on = |mount: Option<u64>| {
            let here = self.all.iter().filter(|inner| inner.parent == mount && lies_in(path, &inner.point));
            here.min_by_key(|inner| inner.point.len())
        };
        while let Some(next) = on(found.map(|mount| mount.number)) {
            found = Some(next);
        }
        found
    }
}

impl Mount {
    /// What it shows at a path that lies in it.
    fn part(&self, path: &str) -> Option<Part> {
        if WITHOUT_PATHS.contains(&self.kind.as_str()) {
            return None;
        }
        let inside = path.strip_prefix(self.point.trim_end_matches('/')).unwrap_or_default();
        let path = format!("{}{inside}", self.root.trim_end_matches('/'));
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { "/" };
        Some(Part { system: self.system.clone(), path: path.to_owned() })
    }
}

impl Part {
    fn overlaps(&self, other: &Part) -> bool {
        self.system == other.system && (lies_in(&self.path, &other.path) || lies_in(&other.path, &self.path))
    }
}

fn mount(line: &str) -> Option<Mount> {
    let (fields, system) = line.split_once(" - ")?;
    let mut fields = fields.split(' ');
    Some(Mount {
        number: fields.next()?.parse().ok()?,
        parent: Some(fields.next()?.parse().ok()?),
        system: fields.next()?.to_owned(),
        root: unescape(fields.next()?),
        point: unescape(fields.next()?),
        // `fuse.name` is a kind of fuse.
        kind: system.split([' ', '.']).next()?.to_owned(),
    })
}

/// Space, tab, newline and backslash are written in octal.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's files, two disks, a share of another machine, and wjob's folders in a home and on a disk.
    const MACHINE: &str = "\
        22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        28 27 8:2 / /home rw,relatime shared:2 - ext4 /dev/sda2 rw\n\
        29 27 0:50 / /share rw - nfs4 host:/share rw\n\
        30 29 0:50 / /share/inner rw - nfs4 host:/share rw\n";
    const OWN: [&str; 3] = ["/home/me/.cache/wjob", "/var/lib/wjob", "/share/me/wjob"];

    fn mounts(more: &str) -> Mounts {
        let own = |path: &&str| OwnFolder { path: (*path).to_owned(), ..OwnFolder::default() };
        Mounts::read(&format!("{MACHINE}{more}"), &OWN.iter().map(own).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_mounted_inside_is_shown() {
        for (more, path, expected) in [
            ("", "/srv/root", None),
            ("", "/proc/sys", Some("proc is mounted at /proc")),
            ("40 27 0:21 / /srv/root/proc rw - proc proc rw", "/srv/root", Some("proc is mounted at /srv/root/proc")),
            ("40 27 0:21 / /srv/root/proc rw - proc proc rw", "/srv/roo", None),
            ("40 27 0:21 / /srv/root/proc rw - proc proc rw", "/srv/root/etc", None),
            ("40 27 0:21 /sys /srv/a\\040b rw - proc proc rw", "/srv/a b", Some("proc is mounted at /srv/a b")),
            ("40 27 0:7 / /srv/c rw shared:3 master:1 - cgroup2 cgroup2 rw", "/srv", Some("cgroup2 is mounted")),
            ("40 27 0:7 / /srv/t rw - tmpfs none rw", "/srv", None),
            (
                "40 27 0:7 / /srv/t rw - tmpfs none rw\n41 40 0:8 / /srv/t/d rw - debugfs none rw",
                "/srv",
                Some("debugfs"),
            ),
        ] {
            let found = mounts(more).kernels(path, true);
            let as_expected = match (&found, expected) {
                (Some(found), Some(words)) => found.starts_with(words),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(as_expected, "{path} with {more:?}: {found:?}");
        }
        assert_eq!(mounts("40 27 0:21 / /srv/root/proc rw - proc proc rw").kernels("/srv/root", false), None);
    }

    #[test]
    fn wjobs_own_folders_are_known_by_every_mount() {
        for (more, path, inner, expected) in [
            ("", "/srv", true, None),
            ("", "/home/me/data", true, None),
            ("", "/home/me", true, Some(OWN[0])),
            ("", "/", true, Some(OWN[1])),
            // A bind of the home, of what is above it, of what is in wjob's folder, and of something else.
            ("40 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw", "/srv", true, Some(OWN[0])),
            ("40 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw", "/srv", false, None),
            ("40 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw", "/srv/x", false, Some(OWN[0])),
            ("40 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw", "/srv/x/.cache", false, Some(OWN[0])),
            ("40 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw", "/srv/x/data", true, None),
            ("40 27 8:2 / /srv/x rw - ext4 /dev/sda2 rw", "/srv/x", true, Some(OWN[0])),
            ("40 27 8:2 / /srv/x rw - ext4 /dev/sda2 rw", "/srv/x/you", true, None),
            ("40 27 8:1 /var/lib/wjob/cache.key /srv/f rw - ext4 /dev/sda1 rw", "/srv/f", false, Some(OWN[1])),
            ("40 27 8:2 /you /srv/x rw - ext4 /dev/sda2 rw", "/srv", true, None),
            ("40 27 8:1 /me /srv/x rw - ext4 /dev/sda1 rw", "/srv", true, None),
            // Hidden by another, the file system that was there is not what the path shows.
            (
                "40 28 0:9 / /home/me rw - tmpfs none rw\n41 27 8:2 /me /srv/x rw - ext4 /dev/sda2 rw",
                "/srv",
                true,
                None,
            ),
            (
                "40 27 0:9 / /srv rw - tmpfs none rw\n41 40 8:2 /me /srv/x rw - ext4 /dev/sda2 rw",
                "/srv",
                true,
                Some(OWN[0]),
            ),
            // Of these nothing is known, and nothing is said.
            ("", "/share/inner/photos", true, None),
        ] {
            let found = mounts(more).wjobs_own(path, inner);
            let as_expected = match (&found, expected) {
                (Some(found), Some(own)) => found.contains(&format!("leads to {own}, which is wjob's own")),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(as_expected, "{path} with {more:?}: {found:?}");
        }
    }

    #[test]
    fn a_root_that_is_no_mount_and_one_upon_another_are_read() {
        let chrooted = Mounts::read("40 27 0:21 / /proc rw - proc proc rw", &[]).unwrap();
        assert!(chrooted.kernels("/proc", false).is_some());
        assert!(chrooted.kernels("/srv", true).is_none());
        let stacked = "1 1 0:1 / / rw - rootfs rootfs rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let stacked = Mounts::read(stacked, &[]).unwrap();
        assert_eq!(stacked.at("/srv").map(|mount| mount.number), Some(2));
    }

    #[test]
    fn what_cannot_be_understood_is_nothing_to_go_by() {
        for text in ["nonsense", "1 2 8:1 / / rw", "x 1 8:1 / / rw - ext4 /dev/sda1 rw", "1 2 8:1 - ext4 /dev/sda1 rw"]
        {
            assert!(Mounts::read(text, &[]).is_none(), "{text}");
        }
        for (field, expected) in [("/a\\040b\\134c", "/a b\\c"), ("/a\\134040", "/a\\040"), ("/a\\9", "/a\\9")] {
            assert_eq!(unescape(field), expected);
        }
    }
}
