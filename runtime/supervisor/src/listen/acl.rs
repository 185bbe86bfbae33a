//! The access list of a Unix socket (acl(5)): its owner, the job's user and whom the job names may connect, nobody else.
//! The kernel holds it at every connect(2) and for every datagram, whoever serves the socket.
//!
//! Written as the kernel keeps it (linux/posix_acl_xattr.h): it is a few dozen bytes, and the crates for it link a
//! library in C.

use std::path::Path;

use rustix::fs::{XattrFlags, lsetxattr};
use rustix::io::Errno;
use wjob_model::message::Users;

/// Where the kernel keeps it.
const NAME: &str = "system.posix_acl_access";
/// Its form (POSIX_ACL_XATTR_VERSION).
const VERSION: u32 = 2;
/// Whom an entry is about, in the order in which they have to come.
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;
/// Reading and writing, which is what connecting takes (unix(7)).
const CONNECT: u16 = 0o6;
/// The number of an entry that has none (ACL_UNDEFINED_ID).
const NO_NUMBER: u32 = u32::MAX;

/// Sets the list of a socket; its last name is not followed. `job` is the job's own user.
pub(super) fn set(path: &Path, users: &Users, job: Option<u32>) -> Result<(), Errno> {
    lsetxattr(path, NAME, &bytes(users, job), XattrFlags::empty())
}

/// The list as the kernel takes it.
pub(super) fn bytes(users: &Users, job: Option<u32>) -> Vec<u8> {
    let named = in_order(users.users.iter().copied().chain(job)).into_iter().map(|uid| (USER, CONNECT, uid));
    let groups = in_order(users.groups.iter().copied()).into_iter().map(|gid| (GROUP, CONNECT, gid));
    let entries = std::iter::once((OWNER, CONNECT, NO_NUMBER))
        .chain(named)
        .chain([(OWNING_GROUP, 0, NO_NUMBER)])
        .chain(groups)
        .chain([(MASK, CONNECT, NO_NUMBER), (OTHERS, 0, NO_NUMBER)]);
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (whom, rights, number) in entries {
        bytes.extend(whom.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn in_order(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_entry_in_the_kernels_order() {
        let users = Users { users: vec![33, 7, 33], groups: vec![50] };
        let bytes = bytes(&users, Some(7));
        assert_eq!(bytes[..4], [2, 0, 0, 0]);
        let entries: Vec<_> = bytes[4..].chunks(8).map(|entry| (entry[0], entry[2], entry[4])).collect();
        let none = 0xff;
        let expected =
            [(1, 6, none), (2, 6, 7), (2, 6, 33), (4, 0, none), (8, 6, 50), (0x10, 6, none), (0x20, 0, none)];
        assert_eq!(entries, expected);
    }
}
