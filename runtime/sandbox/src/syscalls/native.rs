//! Native programs: all calls are there for them but these.

use super::entry::{Entry, entry};

/// Calls a native program is refused, whatever it is: what reaches the kernel's inside, other processes' inside,
/// mounts, keys, clocks or the terminal's input. All others are there for it, behind the other walls.
pub const NATIVE_REFUSED: &[Entry] = &[
    entry!(acct, Any, "process accounting"),
    entry!(add_key, Any, "kernel keys"),
    entry!(adjtimex, Any, "sets the clock"),
    entry!(bpf, Any, "loads code into the kernel"),
    entry!(chroot, Any, "changes the view"),
    entry!(clock_adjtime, Any, "sets the clock"),
    entry!(clock_settime, Any, "sets the clock"),
    entry!(delete_module, Any, "unloads code from the kernel"),
    entry!(fanotify_init, Any, "watches whole file systems"),
    entry!(finit_module, Any, "loads code into the kernel"),
    entry!(fsconfig, Any, "mounts"),
    entry!(fsmount, Any, "mounts"),
    entry!(fsopen, Any, "mounts"),
    entry!(fspick, Any, "mounts"),
    entry!(init_module, Any, "loads code into the kernel"),
    entry!(io_uring_enter, Any, "performs calls past this list"),
    entry!(io_uring_register, Any, "performs calls past this list"),
    entry!(io_uring_setup, Any, "performs calls past this list"),
    entry!(ioperm, Any, "hardware"),
    entry!(iopl, Any, "hardware"),
    entry!(kcmp, Any, "looks into other processes"),
    entry!(kexec_file_load, Any, "another kernel"),
    entry!(kexec_load, Any, "another kernel"),
    entry!(keyctl, Any, "kernel keys"),
    entry!(lookup_dcookie, Any, "kernel profiling"),
    entry!(mbind, Any, "other processes' memory"),
    entry!(migrate_pages, Any, "other processes' memory"),
    entry!(modify_ldt, Any, "old attack surface"),
    entry!(mount, Any, "mounts"),
    entry!(mount_setattr, Any, "mounts"),
    entry!(move_mount, Any, "mounts"),
    entry!(move_pages, Any, "other processes' memory"),
    entry!(name_to_handle_at, Any, "handles pass by the view"),
    entry!(nfsservctl, Any, "kernel servers"),
    entry!(open_by_handle_at, Any, "handles pass by the view"),
    entry!(open_tree, Any, "mounts"),
    entry!(open_tree_attr, Any, "mounts"),
    entry!(perf_event_open, Any, "watches the kernel"),
    entry!(personality, Any, "turns off address randomisation"),
    entry!(pidfd_getfd, Any, "takes other processes' descriptors"),
    entry!(pivot_root, Any, "changes the view"),
    entry!(process_vm_readv, Any, "other processes' memory"),
    entry!(process_vm_writev, Any, "other processes' memory"),
    entry!(ptrace, Any, "other processes' memory"),
    entry!(quotactl, Any, "file system quotas"),
    entry!(quotactl_fd, Any, "file system quotas"),
    entry!(reboot, Any, "the machine"),
    entry!(request_key, Any, "kernel keys"),
    entry!(setdomainname, Any, "the machine's name"),
    entry!(sethostname, Any, "the machine's name"),
    entry!(setns, Any, "changes namespaces"),
    entry!(settimeofday, Any, "sets the clock"),
    entry!(swapoff, Any, "swap"),
    entry!(swapon, Any, "swap"),
    entry!(_sysctl, Any, "kernel settings"),
    entry!(sysfs, Any, "kernel's list of file systems"),
    entry!(syslog, Any, "the kernel's log"),
    entry!(umount2, Any, "mounts"),
    entry!(unshare, Any, "changes namespaces"),
    entry!(uselib, Any, "old attack surface"),
    entry!(userfaultfd, Any, "holds the kernel up"),
    entry!(ustat, Any, "old attack surface"),
    entry!(vhangup, Any, "the terminal"),
];

/// A native program's calls that are allowed with some arguments only.
pub(super) const NATIVE_NARROWED: &[Entry] = &[
    entry!(clone, NoNamespace, "processes and threads"),
    entry!(ioctl, NoTyping, "terminals and files"),
    entry!(sendto, NoFastOpen, "sending"),
    entry!(sendmsg, MessageNoFastOpen, "sending"),
    entry!(sendmmsg, NoFastOpen, "sending"),
    entry!(setsockopt, PlainOptions, "sockets"),
    entry!(socket, GrantedSocket, "granted families and types"),
    entry!(socketpair, LastingPair, "talking within the program; half of a datagram pair reaches any other socket"),
];

/// What a native program is refused unless Bind is granted, or all its sockets are those through which it serves.
pub(super) const NATIVE_LISTENING: &[Entry] = &[entry!(listen, Any, "granted by Bind only")];

/// What a native program is refused unless Bind or datagrams are granted: the call does not tell the family, and half of
/// a pair of Unix sockets takes an abstract name by it.
pub(super) const NATIVE_BINDING: &[Entry] = &[entry!(bind, Any, "granted by Bind, and with datagrams, only")];
