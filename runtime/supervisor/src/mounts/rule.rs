//! Which mounts are entered: a rule over what the kernel says of one, a line of its table (proc_pid_mountinfo(5)). Nothing
//! is read here and nothing looked up.

use thiserror::Error;

const ROOT: u32 = 0;

/// File systems whose answers come from a server, by their types: it may be gone, and whoever asks waits for ever.
const SERVED: [&str; 13] =
    ["9p", "afs", "beegfs", "ceph", "cifs", "coda", "lustre", "ncpfs", "nfs", "nfs4", "pvfs2", "smb3", "smbfs"];

/// Why a mount is not entered. What lies in it is told in front: `/a/b lies on ...`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Closed {
    /// A process of another user answers.
    #[error("lies on {kind} mounted by uid {user}, which wjobd does not enter: that user's process may never answer")]
    Process {
        /// The file system's type.
        kind: String,
        /// Who mounted it.
        user: u32,
    },
    /// A server answers.
    #[error("lies on {kind}, which root's wjobd does not enter: its server may never answer")]
    Server {
        /// The file system's type.
        kind: String,
    },
    /// A name that is looked up there has a daemon mount something, and is waited for until it has.
    #[error("lies on autofs, which root's wjobd does not enter: its daemon may never answer")]
    Automount,
    /// The kernel's table does not have it, or not who answers.
    #[error("lies on a mount that wjobd does not enter: the kernel does not tell what it is")]
    Untold,
}

/// A mount, as the kernel tells of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount<'a> {
    /// Its number, until it is taken off.
    pub(super) number: u64,
    /// The type of its file system, with a subtype behind a dot.
    kind: &'a str,
    /// The options of its file system, parted by commas.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// The one of a line of the table; `None` when it is none.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        // The kernel writes spaces in names as \040, so that this is the one field that is a dash. The source may be
        // empty: then two spaces meet.
        let (place, system) = line.split_once(" - ")?;
        let number = place.split(' ').next()?.parse().ok()?;
        let (kind, rest) = system.split_once(' ')?;
        let (_source, options) = rest.split_once(' ')?;
        Some(Self { number, kind, options })
    }

    /// Why the supervisor of the user `own` does not enter it, if it does not.
    ///
    /// Nobody's supervisor enters what a process of another user answers for; root's own processes are trusted like
    /// root. Servers and automounts are not entered by root's supervisor, on which all users depend. A user's own
    /// supervisor enters them: who has jobs watch paths on a server that hangs, has his own supervisor hang, and that is
    /// his risk.
    pub(super) fn closed_to(&self, own: u32) -> Option<Closed> {
        let family = self.kind.split('.').next().unwrap_or_default();
        match family {
            "fuse" | "fuseblk" => self.answered_by_another(own),
            "autofs" if own == ROOT => Some(Closed::Automount),
            family if own == ROOT && SERVED.contains(&family) => Some(Closed::Server { kind: self.kind.to_owned() }),
            _ => None,
        }
    }

    /// Each `user_id` has to be fine, wherever it came from.
    fn answered_by_another(&self, own: u32) -> Option<Closed> {
        let users: Vec<&str> = self.options.split(',').filter_map(|option| option.strip_prefix("user_id=")).collect();
        let fine = [Some(ROOT), Some(own)];
        match users.iter().map(|user| user.parse::<u32>().ok()).find(|user| !fine.contains(user)) {
            Some(Some(user)) => Some(Closed::Process { kind: self.kind.to_owned(), user }),
            Some(None) => Some(Closed::Untold),
            None => users.is_empty().then_some(Closed::Untold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type, the options of its file system, and for root's supervisor and that of user 1000: whether it is entered, or
    /// a part of what is said.
    const RULE: &[(&str, &str, &str, &str)] = &[
        ("ext4", "rw", "", ""),
        ("tmpfs", "rw,size=4k,mode=755", "", ""),
        ("proc", "rw", "", ""),
        ("overlay", "rw,lowerdir=/l,upperdir=/u,workdir=/w", "", ""),
        ("virtiofs", "rw", "", ""),
        ("fuse", "rw,user_id=0,group_id=0,allow_other", "", ""),
        ("fuse.lxcfs", "rw,user_id=0,group_id=0,allow_other", "", ""),
        ("fuseblk", "rw,user_id=0,group_id=0,allow_other,blksize=4096", "", ""),
        ("fuse", "rw,user_id=1000,group_id=1000,allow_other", "lies on fuse mounted by uid 1000, which wjobd", ""),
        ("fuse.sshfs", "rw,user_id=1000,group_id=1000", "fuse.sshfs mounted by uid 1000", ""),
        ("fuse.sshfs", "rw,user_id=1001", "mounted by uid 1001", "mounted by uid 1001"),
        ("fuseblk", "rw,user_id=1001", "mounted by uid 1001", "mounted by uid 1001"),
        ("fuseblk.ntfs", "rw,user_id=1001", "mounted by uid 1001", "mounted by uid 1001"),
        ("fuse", "rw,user_id=0,user_id=1001", "mounted by uid 1001", "mounted by uid 1001"),
        ("fuse", "rw,group_id=0", "does not tell", "does not tell"),
        ("fuse", "rw,user_id=", "does not tell", "does not tell"),
        ("fusectl", "rw", "", ""),
        ("nfs", "rw,vers=3", "lies on nfs, which root's wjobd", ""),
        ("nfs4", "rw,vers=4.2", "lies on nfs4, which root's wjobd", ""),
        ("nfsd", "rw", "", ""),
        ("cifs", "rw", "lies on cifs", ""),
        ("smb3", "rw", "lies on smb3", ""),
        ("9p", "rw,trans=virtio", "lies on 9p", ""),
        ("ceph", "rw", "lies on ceph", ""),
        ("afs", "rw", "lies on afs", ""),
        ("ncpfs", "rw", "lies on ncpfs", ""),
        ("autofs", "rw,fd=5,pgrp=1,timeout=0,minproto=5,maxproto=5,direct", "lies on autofs", ""),
    ];

    #[test]
    fn what_others_answer_for_is_not_entered() {
        for (kind, options, root, user) in RULE {
            let line = format!("70 44 0:40 / /home/a/m rw,relatime shared:1 - {kind} source {options}");
            let mount = Mount::of(&line).unwrap();
            for (own, expected) in [(0, root), (1000, user)] {
                let said = mount.closed_to(own).map(|closed| closed.to_string());
                assert_eq!(said.is_some(), !expected.is_empty(), "{own}: {line}: {said:?}");
                assert!(said.clone().unwrap_or_default().contains(expected), "{own}: {line}: {said:?}");
            }
        }
    }

    #[test]
    fn a_line_is_read_whatever_its_names_are() {
        let mount = |kind, options| Some(Mount { number: 36, kind, options });
        for (line, expected) in [
            ("36 35 98:0 / /mnt rw,noatime - ext3 /dev/root rw,errors=continue", mount("ext3", "rw,errors=continue")),
            (r"36 35 98:0 /a\040-\040b /m\040-\040fuse\040x rw master:1 shared:2 - nfs s:/a rw", mount("nfs", "rw")),
            ("36 35 98:0 / /mnt rw - fuse  rw,user_id=7", mount("fuse", "rw,user_id=7")),
            ("36 35 98:0 net:[4026531992] /run/net rw - nsfs nsfs rw", mount("nsfs", "rw")),
            ("36 35 98:0 / /mnt rw", None),
            ("x 35 98:0 / /mnt rw - ext3 /dev/root rw", None),
            ("", None),
        ] {
            assert_eq!(Mount::of(line), expected, "{line}");
        }
    }
}
