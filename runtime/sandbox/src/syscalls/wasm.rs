//! Workers that run WebAssembly: what the engine calls, and what each grant adds to that.

use super::entry::{Entry, entry};

/// The engine with a guest, whatever is granted to it.
pub(super) const GUEST: &[Entry] = &[
    entry!(write, Any, "stdio, granted files"),
    entry!(writev, Any, "granted files"),
    entry!(mmap, NotExecutable, "memories, stacks"),
    entry!(mprotect, NotExecutable, "growing memories, guard pages"),
    entry!(rt_sigreturn, Any, "the engine's trap handlers, processor time ticks"),
    entry!(clock_getres, Any, "wasi:clocks"),
    entry!(clock_nanosleep, Any, "sleeping"),
    entry!(getrandom, Any, "wasi:random"),
    entry!(prctl, Naming, "naming threads and mappings"),
    entry!(epoll_create1, Any, "the runtime"),
    entry!(epoll_ctl, Any, "the runtime"),
    entry!(epoll_wait, Any, "the runtime"),
    entry!(eventfd2, Any, "waking the runtime"),
    entry!(ppoll, Any, "whether stdio is ready"),
    entry!(fstat, Any, "wasi:filesystem"),
    entry!(fcntl, PlainFcntl, "flags of descriptors, copies of them"),
    entry!(recvmsg, DescriptorThree, "messages from the supervisor"),
    entry!(ioctl, PlainIoctl, "non-blocking sockets, whether stdio is a terminal"),
];

/// What wasi:filesystem needs besides; the walls on paths decide what it reaches.
pub(super) const FILES: &[Entry] = &[
    entry!(openat, Any, "reading directories"),
    entry!(openat2, Any, "opening below a preopen, never above it"),
    entry!(statx, Any, "attributes"),
    entry!(newfstatat, Any, "attributes"),
    entry!(getdents64, Any, "listing"),
    entry!(pread64, Any, "reading at an offset"),
    entry!(pwrite64, Any, "writing at an offset"),
    entry!(pwritev2, Any, "appending"),
    entry!(ftruncate, Any, "setting a size"),
    entry!(fadvise64, Any, "advice"),
    entry!(fsync, Any, "syncing"),
    entry!(fdatasync, Any, "syncing data"),
    entry!(utimensat, Any, "setting times"),
    entry!(renameat, Any, "renaming"),
    entry!(linkat, Any, "hard links"),
    entry!(symlinkat, Any, "symbolic links"),
    entry!(mkdirat, Any, "making directories"),
    entry!(unlinkat, Any, "removing"),
    entry!(readlinkat, Any, "reading links"),
    entry!(readlink, Any, "the name of an open directory, where the kernel has no openat2"),
];

/// Sockets, once Connect or Bind is granted.
pub(super) const SOCKETS: &[Entry] = &[
    entry!(socket, GrantedSocket, "wasi:sockets, outgoing http"),
    entry!(connect, Any, "wasi:sockets; TCP ports are landlock's"),
    entry!(sendto, NoFastOpen, "sending"),
    entry!(recvfrom, Any, "receiving"),
    entry!(getsockname, Any, "wasi:sockets"),
    entry!(getpeername, Any, "wasi:sockets"),
    entry!(getsockopt, Any, "wasi:sockets"),
    entry!(setsockopt, PlainOptions, "wasi:sockets"),
    entry!(shutdown, Any, "wasi:sockets"),
];

/// Binding, once Bind is granted; a datagram socket is bound before it can send, so udp Connect has it too.
pub(super) const BIND: &[Entry] = &[entry!(bind, Any, "wasi:sockets; TCP ports are landlock's")];

/// Listening, once Bind is granted.
pub(super) const LISTEN: &[Entry] = &[entry!(listen, Any, "wasi:sockets"), entry!(accept4, Any, "wasi:sockets")];

/// Serving clients on sockets that were handed over: none is made, bound or connected.
pub(super) const SERVE: &[Entry] = &[
    entry!(accept4, Any, "clients of the handed sockets"),
    entry!(sendto, NoFastOpen, "answers"),
    entry!(recvfrom, Any, "what clients send"),
    entry!(getsockopt, Any, "who connected, and how a connection failed"),
    entry!(shutdown, Any, "the end of an answer"),
    entry!(ioctl, PlainIoctlOrScan, "which pages an instance has written"),
];
