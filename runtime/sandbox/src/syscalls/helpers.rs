//! Processes that run no job's program: those that compile one, look names up, or keep what jobs write.

use super::entry::{Entry, entry};

/// Compiling makes code: memory files and executable mappings, but never a path or a socket.
pub(super) const COMPILE: &[Entry] = &[
    entry!(mmap, Any, "the compiler's own image of what it makes"),
    entry!(mprotect, Any, "the compiler's own image of what it makes"),
    entry!(openat, Any, "the number of processors; refused by landlock, which is harmless"),
    entry!(statx, Any, "the program's size"),
    entry!(lseek, Any, "the program's length"),
    entry!(fcntl, PlainFcntl, "copies of descriptors"),
    entry!(getrandom, Any, "the seeds of tables"),
    entry!(sched_yield, Any, "the pool of threads that compile"),
    entry!(write, Any, "what was made"),
];

/// Looking names up: libc loads libraries and asks servers at port 53, which is landlock's.
pub(super) const RESOLVE: &[Entry] = &[
    entry!(mmap, Any, "libc loads its name service libraries"),
    entry!(mprotect, Any, "libc loads its name service libraries"),
    entry!(openat, Any, "resolver files; which is landlock's"),
    entry!(newfstatat, Any, "resolver files"),
    entry!(fstat, Any, "resolver files, libraries"),
    entry!(pread64, Any, "libraries"),
    entry!(uname, Any, "the host's own name"),
    entry!(sendmmsg, NoFastOpen, "libc asks for both address families at once"),
    entry!(sendmsg, MessageNoFastOpen, "questions"),
    entry!(ioctl, Any, "how much of an answer waits"),
    entry!(lseek, Any, "resolver files"),
    entry!(fcntl, PlainFcntl, "non-blocking sockets"),
    entry!(poll, Any, "whether there is an answer"),
    entry!(socket, GrantedSocket, "to a server, and to ask which address would be used"),
    entry!(connect, Any, "to a server, and to ask which address would be used"),
    entry!(getsockname, Any, "which address would be used"),
    entry!(setsockopt, PlainOptions, "whether errors of a server are told"),
    entry!(sendto, NoFastOpen, "one question by itself, where resolv.conf wants that"),
    entry!(writev, Any, "a question by TCP, where the answer is too long for a datagram"),
    entry!(recvfrom, Any, "answers"),
];

/// Keeping what jobs write: a database in one folder, which is landlock's, and clients that come by themselves.
pub(super) const LOGGER: &[Entry] = &[
    entry!(mmap, NotExecutable, "the database's shared index, the allocator"),
    entry!(mprotect, NotExecutable, "the allocator"),
    entry!(clock_nanosleep, Any, "waiting until descriptors or memory are free again"),
    entry!(fstat, Any, "the database's files"),
    entry!(prctl, Naming, "naming threads and mappings"),
    entry!(epoll_ctl, Any, "which pipes are waited for"),
    entry!(epoll_pwait, Any, "waiting for pipes"),
    entry!(ppoll, Any, "waiting for the supervisor and for who asks"),
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
