//! Processes that run no job's program: those that compile one, look names up, or keep what jobs write.

use super::entry::{Entry, entry};

/// Compiling makes code: memory files and executable mappings, but never a path or a socket.
pub(super) const COMPILE: &[Entry] = &[
    entry!(mmap, Any, "the compiler's own image of what it makes"),
    entry!(mprotect, Any, "the compiler's own image of what it makes"),
    entry!(openat, Any, "the number of processors; refused by landlock, which is harmless"),
    entry!(statx, Any, "the program's size"),
];

/// Looking names up: libc loads libraries and asks servers at port 53.
pub(super) const RESOLVE: &[Entry] = &[
    entry!(mmap, Any, "libc loads its name service libraries"),
    entry!(mprotect, Any, "libc loads its name service libraries"),
    entry!(openat, Any, "resolver files; which is landlock's"),
    entry!(newfstatat, Any, "resolver files"),
    entry!(pread64, Any, "libraries"),
    entry!(uname, Any, "the host's own name"),
    entry!(sendmmsg, NoFastOpen, "libc asks for both address families at once"),
    entry!(sendmsg, MessageNoFastOpen, "questions"),
    entry!(ioctl, Any, "how much of an answer waits"),
    entry!(lseek, Any, "resolver files"),
];

/// Keeping what jobs write: a database in one folder, which is landlock's, and clients that come by themselves.
pub(super) const LOGGER: &[Entry] = &[
    entry!(openat, Any, "the database, opened again after a fault"),
    entry!(newfstatat, Any, "the database's files"),
    entry!(statx, Any, "the database's files"),
    entry!(readlink, Any, "the database's real path"),
    entry!(pread64, Any, "the database"),
    entry!(pwrite64, Any, "the database"),
    entry!(ftruncate, Any, "the database, its log of changes"),
    entry!(fsync, Any, "what was committed"),
    entry!(fcntl, Any, "locks on the database"),
    entry!(fchown, Any, "a new file gets the database's owner"),
    entry!(unlink, Any, "the database's log of changes"),
    entry!(rename, Any, "a damaged database is set aside"),
    entry!(getdents64, Any, "older damaged databases"),
    entry!(geteuid, Any, "whether the owner of a new file is to be set"),
    entry!(accept4, Any, "those who ask"),
    entry!(getsockopt, Any, "who asks"),
    entry!(pidfd_open, Any, "whether who asks is still there, before Linux 6.5"),
    entry!(setsockopt, PlainOptions, "how long a client may take"),
    entry!(recvfrom, Any, "questions"),
    entry!(sendto, NoFastOpen, "answers"),
    entry!(recvmsg, DescriptorThree, "messages and pipes from the supervisor"),
    entry!(getppid, Any, "whether the supervisor is still there"),
];
