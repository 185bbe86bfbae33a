//! Which system calls each kind of worker may make, and why: data, with a reason for each entry.
//! What is not listed is refused. `seccomp` turns the lists into a filter; nothing is installed here.

use wjob_model::wall::{NetworkPlan, WorkerKind};

use crate::filter::{Answer, Compare, Rule};

/// One system call and the reason it is there.
pub struct Entry {
    /// Its name, for people.
    pub name: &'static str,
    /// Its number.
    pub number: i64,
    /// Who calls it, and for what.
    pub why: &'static str,
    /// Which arguments it may have.
    pub arguments: Arguments,
}

/// Conditions on arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Any.
    Any,
    /// mmap and mprotect: no memory becomes executable (the third argument has no PROT_EXEC).
    NotExecutable,
    /// Only on descriptor 3, the one to the supervisor.
    DescriptorThree,
    /// Only commands that fcntl on plain descriptors needs.
    PlainFcntl,
    /// Only FIONBIO, FIONREAD and the question whether it is a terminal.
    PlainIoctl,
    /// The same, and the question which pages of this process were written.
    PlainIoctlOrScan,
    /// socket(2): granted families and types, and their own protocol only.
    GrantedSocket,
    /// sendto(2): no MSG_FASTOPEN, which would connect past the rules on connect.
    NoFastOpen,
    /// setsockopt(2): no TCP option that connects or changes protocol.
    PlainOptions,
    /// clone(2): no new namespace.
    NoNamespace,
    /// ioctl(2) of a native program: not TIOCSTI and TIOCLINUX, which type into the terminal.
    NoTyping,
    /// clone(2): a thread of this process, no process and no namespace.
    Thread,
    /// prctl(2): giving names only.
    Naming,
    /// tgkill(2): this process only.
    OwnProcess,
    /// sendmsg(2): no MSG_FASTOPEN.
    MessageNoFastOpen,
}

macro_rules! entry {
    ($name:ident, $arguments:ident, $why:literal) => {
        Entry { name: stringify!($name), number: paste_number!($name), why: $why, arguments: Arguments::$arguments }
    };
}

macro_rules! paste_number {
    ($name:ident) => {
        number::$name
    };
}

/// Every worker that runs or compiles WebAssembly.
const ENGINE: &[Entry] = &[
    entry!(read, Any, "stdio, granted files"),
    entry!(write, Any, "stdio, granted files, messages to the supervisor"),
    entry!(writev, Any, "granted files"),
    entry!(close, Any, "descriptors the guest drops"),
    entry!(mmap, NotExecutable, "memories, stacks"),
    entry!(mprotect, NotExecutable, "growing memories, guard pages"),
    entry!(munmap, Any, "memories, stacks"),
    entry!(mremap, Any, "the allocator"),
    entry!(madvise, Any, "the allocator, stacks"),
    entry!(brk, Any, "the allocator"),
    entry!(futex, Any, "locks"),
    entry!(rt_sigaction, Any, "the engine's trap handlers"),
    entry!(rt_sigprocmask, Any, "threads"),
    entry!(rt_sigreturn, Any, "the engine's trap handlers, processor time ticks"),
    entry!(sigaltstack, Any, "the engine's trap handlers"),
    entry!(clock_gettime, Any, "wasi:clocks where the vDSO does not answer, processor time"),
    entry!(clock_getres, Any, "wasi:clocks"),
    entry!(clock_nanosleep, Any, "sleeping"),
    entry!(getrandom, Any, "wasi:random"),
    entry!(sched_yield, Any, "the runtime"),
    entry!(sched_getaffinity, Any, "the size of thread pools"),
    entry!(exit, Any, "ending a thread"),
    entry!(exit_group, Any, "ending"),
    entry!(gettid, Any, "aborting"),
    entry!(getpid, Any, "aborting"),
    entry!(tgkill, OwnProcess, "aborting"),
    entry!(restart_syscall, Any, "after a signal"),
    entry!(epoll_create1, Any, "the runtime"),
    entry!(epoll_ctl, Any, "the runtime"),
    entry!(epoll_wait, Any, "the runtime"),
    entry!(epoll_pwait, Any, "the runtime"),
    entry!(eventfd2, Any, "waking the runtime"),
    entry!(clone, Thread, "threads for blocking calls"),
    entry!(rseq, Any, "threads"),
    entry!(set_robust_list, Any, "threads"),
    entry!(prctl, Naming, "naming threads and mappings"),
    entry!(poll, Any, "whether stdio is ready"),
    entry!(ppoll, Any, "whether stdio is ready"),
    entry!(fstat, Any, "wasi:filesystem"),
    entry!(fcntl, PlainFcntl, "flags of descriptors, copies of them"),
    entry!(lseek, Any, "wasi:filesystem"),
    entry!(recvmsg, DescriptorThree, "messages from the supervisor"),
    entry!(sendmsg, DescriptorThree, "messages to the supervisor"),
    entry!(ioctl, PlainIoctl, "non-blocking sockets, whether stdio is a terminal"),
];

/// What wasi:filesystem needs besides; the walls on paths decide what it reaches.
const FILES: &[Entry] = &[
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
const SOCKETS: &[Entry] = &[
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
const BIND: &[Entry] = &[entry!(bind, Any, "wasi:sockets; TCP ports are landlock's")];

/// Listening, once Bind is granted.
const LISTEN: &[Entry] = &[entry!(listen, Any, "wasi:sockets"), entry!(accept4, Any, "wasi:sockets")];

/// Serving clients on sockets that were handed over: none is made, bound or connected.
const SERVE: &[Entry] = &[
    entry!(accept4, Any, "clients of the handed sockets"),
    entry!(sendto, NoFastOpen, "answers"),
    entry!(recvfrom, Any, "what clients send"),
    entry!(getsockname, Any, "which kind of socket it is"),
    entry!(getpeername, Any, "who connected"),
    entry!(getsockopt, Any, "who connected, and how a connection failed"),
    entry!(setsockopt, PlainOptions, "answers are sent at once"),
    entry!(shutdown, Any, "the end of an answer"),
    entry!(ioctl, PlainIoctlOrScan, "which pages an instance has written"),
];

/// Compiling makes code: memory files and executable mappings, but never a path or a socket.
const COMPILE: &[Entry] = &[
    entry!(mmap, Any, "the compiler's own image of what it makes"),
    entry!(mprotect, Any, "the compiler's own image of what it makes"),
    entry!(ftruncate, Any, "the size of the result"),
    entry!(openat, Any, "the number of processors; refused by landlock, which is harmless"),
    entry!(readlink, Any, "the standard library looks for its own path"),
    entry!(pread64, Any, "the program"),
    entry!(pwrite64, Any, "the result"),
    entry!(statx, Any, "the program's size"),
    entry!(newfstatat, Any, "the number of processors"),
];

/// Looking names up: libc loads libraries and asks servers at port 53.
const RESOLVE: &[Entry] = &[
    entry!(mmap, Any, "libc loads its name service libraries"),
    entry!(mprotect, Any, "libc loads its name service libraries"),
    entry!(openat, Any, "resolver files; which is landlock's"),
    entry!(newfstatat, Any, "resolver files"),
    entry!(statx, Any, "resolver files"),
    entry!(access, Any, "resolver files"),
    entry!(pread64, Any, "libraries"),
    entry!(fstatfs, Any, "libraries"),
    entry!(uname, Any, "the host's own name"),
    entry!(sendmmsg, NoFastOpen, "libc asks for both address families at once"),
    entry!(bind, Any, "libc's netlink question is refused before; datagrams need a port"),
    entry!(recvmsg, Any, "answers"),
    entry!(sendmsg, MessageNoFastOpen, "questions"),
    entry!(ioctl, Any, "how much of an answer waits"),
    entry!(lseek, Any, "resolver files"),
    entry!(sysinfo, Any, "the allocator"),
];

/// Keeping what jobs write: a database in one folder, which is landlock's, and clients that come by themselves.
const LOGGER: &[Entry] = &[
    entry!(openat, Any, "the database, opened again after a fault"),
    entry!(access, Any, "whether the database's files are there"),
    entry!(newfstatat, Any, "the database's files"),
    entry!(statx, Any, "the database's files"),
    entry!(readlink, Any, "the database's real path"),
    entry!(getcwd, Any, "the database's real path"),
    entry!(pread64, Any, "the database"),
    entry!(pwrite64, Any, "the database"),
    entry!(ftruncate, Any, "the database, its log of changes"),
    entry!(fallocate, Any, "the database's index"),
    entry!(fsync, Any, "what was committed"),
    entry!(fdatasync, Any, "what was committed"),
    entry!(fcntl, Any, "locks on the database"),
    entry!(fchmod, Any, "a new file gets the database's mode"),
    entry!(fchown, Any, "a new file gets the database's owner"),
    entry!(unlink, Any, "the database's log of changes"),
    entry!(rename, Any, "a damaged database is set aside"),
    entry!(geteuid, Any, "whether the owner of a new file is to be set"),
    entry!(getdents64, Any, "older damaged databases"),
    entry!(accept4, Any, "those who ask"),
    entry!(getsockopt, Any, "who asks"),
    entry!(setsockopt, PlainOptions, "how long a client may take"),
    entry!(recvfrom, Any, "questions"),
    entry!(sendto, NoFastOpen, "answers"),
    entry!(shutdown, Any, "clients that are sent away"),
    entry!(recvmsg, DescriptorThree, "messages and pipes from the supervisor"),
    entry!(getppid, Any, "whether the supervisor is still there"),
    entry!(sysinfo, Any, "the allocator"),
];

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

/// Numbers (asm/unistd_64.h, through libc).
#[allow(non_upper_case_globals)]
mod number {
    macro_rules! numbers {
        ($($name:ident = $number:ident),* $(,)?) => { $(pub const $name: i64 = libc::$number;)* };
    }
    numbers! {
        read = SYS_read, write = SYS_write, writev = SYS_writev, close = SYS_close,
        mmap = SYS_mmap, mprotect = SYS_mprotect, munmap = SYS_munmap, mremap = SYS_mremap,
        madvise = SYS_madvise, brk = SYS_brk, futex = SYS_futex, rt_sigaction = SYS_rt_sigaction,
        rt_sigprocmask = SYS_rt_sigprocmask, rt_sigreturn = SYS_rt_sigreturn, sigaltstack = SYS_sigaltstack,
        clock_gettime = SYS_clock_gettime, clock_getres = SYS_clock_getres,
        clock_nanosleep = SYS_clock_nanosleep, getrandom = SYS_getrandom,
        sched_yield = SYS_sched_yield, sched_getaffinity = SYS_sched_getaffinity, exit = SYS_exit,
        exit_group = SYS_exit_group, gettid = SYS_gettid, getcwd = SYS_getcwd,
        fchmod = SYS_fchmod,
        fchown = SYS_fchown,
        unlink = SYS_unlink,
        rename = SYS_rename,
        geteuid = SYS_geteuid,
        getppid = SYS_getppid,
        getpid = SYS_getpid, tgkill = SYS_tgkill,
        restart_syscall = SYS_restart_syscall, epoll_create1 = SYS_epoll_create1, epoll_ctl = SYS_epoll_ctl,
        epoll_wait = SYS_epoll_wait, epoll_pwait = SYS_epoll_pwait, eventfd2 = SYS_eventfd2, clone3 = SYS_clone3, rseq = SYS_rseq,
        set_robust_list = SYS_set_robust_list, prctl = SYS_prctl, poll = SYS_poll, ppoll = SYS_ppoll,
        fstat = SYS_fstat, fcntl = SYS_fcntl, lseek = SYS_lseek, recvmsg = SYS_recvmsg,
        sendmsg = SYS_sendmsg, ioctl = SYS_ioctl, openat = SYS_openat, openat2 = SYS_openat2,
        statx = SYS_statx, newfstatat = SYS_newfstatat, fstatfs = SYS_fstatfs, getdents64 = SYS_getdents64,
        pread64 = SYS_pread64, pwrite64 = SYS_pwrite64,
        pwritev2 = SYS_pwritev2, ftruncate = SYS_ftruncate, fallocate = SYS_fallocate,
        fadvise64 = SYS_fadvise64, fsync = SYS_fsync, fdatasync = SYS_fdatasync, utimensat = SYS_utimensat,
        renameat = SYS_renameat, linkat = SYS_linkat, symlinkat = SYS_symlinkat,
        mkdirat = SYS_mkdirat, unlinkat = SYS_unlinkat, readlinkat = SYS_readlinkat, readlink = SYS_readlink,
        socket = SYS_socket, connect = SYS_connect, sendto = SYS_sendto, recvfrom = SYS_recvfrom,
        getsockname = SYS_getsockname, getpeername = SYS_getpeername, getsockopt = SYS_getsockopt,
        setsockopt = SYS_setsockopt, shutdown = SYS_shutdown, bind = SYS_bind, listen = SYS_listen,
        accept4 = SYS_accept4, access = SYS_access, uname = SYS_uname,
        sendmmsg = SYS_sendmmsg, sysinfo = SYS_sysinfo, acct = SYS_acct, add_key = SYS_add_key,
        adjtimex = SYS_adjtimex, bpf = SYS_bpf, chroot = SYS_chroot, clock_adjtime = SYS_clock_adjtime,
        clock_settime = SYS_clock_settime,
        delete_module = SYS_delete_module, fanotify_init = SYS_fanotify_init,
        finit_module = SYS_finit_module, fsconfig = SYS_fsconfig, fsmount = SYS_fsmount, fsopen = SYS_fsopen,
        fspick = SYS_fspick,  init_module = SYS_init_module,
        io_uring_enter = SYS_io_uring_enter, io_uring_register = SYS_io_uring_register,
        io_uring_setup = SYS_io_uring_setup, ioperm = SYS_ioperm, iopl = SYS_iopl, kcmp = SYS_kcmp,
        kexec_file_load = SYS_kexec_file_load, kexec_load = SYS_kexec_load, keyctl = SYS_keyctl,
        lookup_dcookie = SYS_lookup_dcookie, mbind = SYS_mbind, migrate_pages = SYS_migrate_pages,
        modify_ldt = SYS_modify_ldt, mount = SYS_mount, mount_setattr = SYS_mount_setattr,
        move_mount = SYS_move_mount, move_pages = SYS_move_pages, name_to_handle_at = SYS_name_to_handle_at,
        nfsservctl = SYS_nfsservctl, open_by_handle_at = SYS_open_by_handle_at, open_tree = SYS_open_tree,
        perf_event_open = SYS_perf_event_open, personality = SYS_personality, pidfd_getfd = SYS_pidfd_getfd,
        pivot_root = SYS_pivot_root, process_vm_readv = SYS_process_vm_readv,
        process_vm_writev = SYS_process_vm_writev, ptrace = SYS_ptrace,
        quotactl = SYS_quotactl, quotactl_fd = SYS_quotactl_fd, reboot = SYS_reboot,
        request_key = SYS_request_key, setdomainname = SYS_setdomainname, sethostname = SYS_sethostname,
        setns = SYS_setns, settimeofday = SYS_settimeofday, swapoff = SYS_swapoff, swapon = SYS_swapon,
        _sysctl = SYS__sysctl, sysfs = SYS_sysfs, syslog = SYS_syslog, umount2 = SYS_umount2,
        unshare = SYS_unshare, uselib = SYS_uselib, userfaultfd = SYS_userfaultfd, ustat = SYS_ustat,
        vhangup = SYS_vhangup, clone = SYS_clone,
    }
}

/// A native program's calls that are allowed with some arguments only.
const NATIVE_NARROWED: &[Entry] = &[
    entry!(clone, NoNamespace, "processes and threads"),
    entry!(ioctl, NoTyping, "terminals and files"),
    entry!(sendto, NoFastOpen, "sending"),
    entry!(sendmsg, MessageNoFastOpen, "sending"),
    entry!(sendmmsg, NoFastOpen, "sending"),
    entry!(setsockopt, PlainOptions, "sockets"),
    entry!(socket, GrantedSocket, "granted families and types"),
];

/// What a native program's network calls get beyond its grants.
const NATIVE_LISTENING: &[Entry] = &[entry!(listen, Any, "granted by Bind only")];

/// The rules for a worker, and what an unlisted call gets.
pub fn rules(kind: WorkerKind, network: &NetworkPlan) -> (Vec<Rule>, Answer) {
    let refused = Answer::Errno(libc::EPERM);
    if kind == WorkerKind::Native {
        return (native(network), Answer::Allow);
    }
    let mut rules = Vec::new();
    for entry in lists(kind, network).into_iter().flatten() {
        rules.retain(|rule: &Rule| i64::from(rule.number) != entry.number);
        rules.push(rule(entry, network, Answer::Allow, refused));
    }
    rules.push(no_clone3());
    (rules, refused)
}

/// The lists that make up an allow list; a later entry replaces an earlier one of the same call.
pub fn lists(kind: WorkerKind, network: &NetworkPlan) -> Vec<&'static [Entry]> {
    let mut lists = vec![ENGINE];
    match kind {
        WorkerKind::Wasm | WorkerKind::Native => lists.push(FILES),
        WorkerKind::Compile => lists.push(COMPILE),
        WorkerKind::Resolve => lists.push(RESOLVE),
        WorkerKind::Logger => lists.push(LOGGER),
    }
    if network.any() || network.unix {
        lists.push(SOCKETS);
        if network.bind || network.udp {
            lists.push(BIND);
        }
        if network.bind {
            lists.push(LISTEN);
        }
    }
    if network.serves && kind == WorkerKind::Wasm {
        lists.push(SERVE);
    }
    lists
}

/// clone3's flags are behind a pointer, which a filter cannot follow; glibc falls back to clone, whose it can.
fn no_clone3() -> Rule {
    let unknown = Answer::Errno(libc::ENOSYS);
    let number = u32::try_from(number::clone3).unwrap_or_default();
    Rule { number, any_of: Vec::new(), answer: unknown, otherwise: unknown }
}

fn native(network: &NetworkPlan) -> Vec<Rule> {
    let refused = Answer::Errno(libc::EPERM);
    let mut rules: Vec<Rule> = NATIVE_REFUSED.iter().map(|entry| rule(entry, network, refused, refused)).collect();
    for entry in NATIVE_NARROWED {
        rules.push(rule(entry, network, Answer::Allow, refused));
    }
    if (network.any() || network.unix) && !network.bind {
        for entry in NATIVE_LISTENING {
            rules.push(rule(entry, network, refused, refused));
        }
    }
    rules.push(no_clone3());
    rules
}

fn rule(entry: &Entry, network: &NetworkPlan, answer: Answer, otherwise: Answer) -> Rule {
    Rule {
        number: u32::try_from(entry.number).unwrap_or_default(),
        any_of: conditions(entry.arguments, network),
        answer,
        otherwise,
    }
}

fn is(argument: u8, value: u32) -> Compare {
    Compare { argument, mask: u32::MAX, value }
}

fn masked(argument: u8, mask: i32, value: i32) -> Compare {
    Compare { argument, mask: mask.cast_unsigned(), value: value.cast_unsigned() }
}

fn one_of(argument: u8, values: &[i64]) -> Vec<Vec<Compare>> {
    // The kernel takes these arguments as int, so their low 32 bits are all there is.
    values.iter().map(|value| vec![is(argument, *value as u32)]).collect()
}

fn conditions(arguments: Arguments, network: &NetworkPlan) -> Vec<Vec<Compare>> {
    match arguments {
        Arguments::Any => Vec::new(),
        Arguments::NotExecutable => vec![vec![masked(2, libc::PROT_EXEC, 0)]],
        // The descriptor could have been closed and become a socket.
        Arguments::DescriptorThree => vec![vec![is(0, 3), masked(2, libc::MSG_FASTOPEN, 0)]],
        Arguments::PlainFcntl => one_of(1, &PLAIN_FCNTL.map(i64::from)),
        Arguments::PlainIoctl => one_of(1, &PLAIN_IOCTL.map(|request| request as i64)),
        Arguments::PlainIoctlOrScan => one_of(
            1,
            &[&PLAIN_IOCTL[..], &[PAGEMAP_SCAN]].concat().iter().map(|request| *request as i64).collect::<Vec<_>>(),
        ),
        Arguments::NoFastOpen => vec![vec![masked(3, libc::MSG_FASTOPEN, 0)]],
        Arguments::PlainOptions => plain_options(),
        Arguments::NoNamespace => vec![vec![masked(0, NAMESPACES, 0)]],
        Arguments::NoTyping => no_typing(),
        Arguments::Thread => vec![vec![masked(0, THREAD | NAMESPACES, THREAD)]],
        Arguments::Naming => one_of(0, &[libc::PR_SET_NAME.into(), libc::PR_SET_VMA.into()]),
        Arguments::OwnProcess => vec![vec![is(0, std::process::id())]],
        Arguments::MessageNoFastOpen => vec![vec![masked(2, libc::MSG_FASTOPEN, 0)]],
        Arguments::GrantedSocket => granted_socket(network),
    }
}

const PLAIN_FCNTL: [i32; 6] =
    [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC, libc::F_DUPFD];

const PLAIN_IOCTL: [u64; 4] = [libc::FIONBIO, libc::FIONREAD, libc::TCGETS, libc::TIOCGWINSZ];

/// _IOWR('f', 16, struct pm_scan_arg), whose size is 96 (linux/fs.h): it answers for a pagemap file alone.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// Flags of clone(2) that all threads have (pthread_create).
const THREAD: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;

/// Flags of clone(2) that make namespaces (sched.h).
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

/// TIOCSTI is 0x5412 and TIOCLINUX 0x541c (asm-generic/ioctls.h): everything that differs from both in some bit.
fn no_typing() -> Vec<Vec<Compare>> {
    let differing = |bits: std::ops::Range<u32>, value: u32| {
        bits.map(move |bit| {
            let mask = 1 << bit;
            Compare { argument: 1, mask, value: !value & mask }
        })
    };
    // 0x5412 = ...0001_0010 and 0x541c = ...0001_1100: they share all bits but 1, 2 and 3, where they read 001 and 110.
    let shared = differing(0..1, 0x5412).chain(differing(4..32, 0x5412)).map(|compare| vec![compare]);
    let between = (0..8u32)
        .map(|bits| bits << 1)
        .filter(|bits| *bits != 0x5412 & 0xe && *bits != 0x541c & 0xe)
        .map(|value| vec![Compare { argument: 1, mask: 0xe, value }]);
    shared.chain(between).collect()
}

/// Every level but TCP's, and of TCP's the options that neither connect nor change protocol
/// (TCP_FASTOPEN 23, TCP_FASTOPEN_CONNECT 30, TCP_ULP 31, TCP_REPAIR 19 are not among them).
fn plain_options() -> Vec<Vec<Compare>> {
    const LEVELS: [i32; 4] = [libc::SOL_SOCKET, libc::IPPROTO_IP, libc::IPPROTO_IPV6, libc::IPPROTO_UDP];
    const TCP: [i32; 9] = [
        libc::TCP_NODELAY,
        libc::TCP_MAXSEG,
        libc::TCP_CORK,
        libc::TCP_KEEPIDLE,
        libc::TCP_KEEPINTVL,
        libc::TCP_KEEPCNT,
        libc::TCP_DEFER_ACCEPT,
        libc::TCP_QUICKACK,
        libc::TCP_USER_TIMEOUT,
    ];
    let levels = LEVELS.iter().map(|level| vec![is(1, level.cast_unsigned())]);
    let tcp = TCP.iter().map(|option| vec![is(1, libc::IPPROTO_TCP.cast_unsigned()), is(2, option.cast_unsigned())]);
    levels.chain(tcp).collect()
}

/// Granted families and types with protocol 0 or their own: MPTCP (262) would connect past landlock's rules.
fn granted_socket(network: &NetworkPlan) -> Vec<Vec<Compare>> {
    const TYPE: i32 = 0xf;
    let families = [(network.ipv4, libc::AF_INET), (network.ipv6, libc::AF_INET6)];
    let types =
        [(network.tcp, libc::SOCK_STREAM, libc::IPPROTO_TCP), (network.udp, libc::SOCK_DGRAM, libc::IPPROTO_UDP)];
    let mut sets = Vec::new();
    for (_, family) in families.into_iter().filter(|(granted, _)| *granted) {
        for (_, kind, own) in types.into_iter().filter(|(granted, ..)| *granted) {
            for protocol in [0, own] {
                sets.push(vec![is(0, family.cast_unsigned()), masked(1, TYPE, kind), is(2, protocol.cast_unsigned())]);
            }
        }
    }
    // No rule tells one Unix socket from another: without a grant of one there is none, and with it what the mount wall
    // shows can be connected to, those that lie in a granted folder too.
    for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET].into_iter().filter(|_| network.unix) {
        sets.push(vec![is(0, libc::AF_UNIX.cast_unsigned()), masked(1, TYPE, kind), is(2, 0)]);
    }
    if sets.is_empty() {
        // No family has this number: nothing matches.
        sets.push(vec![is(0, u32::MAX)]);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_entry_has_a_reason_and_stands_once_in_its_list() {
        for list in [ENGINE, FILES, SOCKETS, BIND, LISTEN, COMPILE, RESOLVE, NATIVE_REFUSED, NATIVE_NARROWED] {
            let mut seen = BTreeSet::new();
            for entry in list {
                assert!(!entry.why.is_empty(), "{}", entry.name);
                assert!(seen.insert(entry.number), "{} stands twice", entry.name);
            }
        }
    }

    #[test]
    fn no_socket_without_a_grant() {
        let (rules, default) = rules(WorkerKind::Wasm, &NetworkPlan::default());
        assert_eq!(default, Answer::Errno(libc::EPERM));
        for name in [number::socket, number::connect, number::bind, number::listen, number::sendmmsg] {
            assert!(!rules.iter().any(|rule| i64::from(rule.number) == name));
        }
    }

    #[test]
    fn a_unix_socket_is_made_where_one_is_granted_and_no_other_then() {
        let unix = NetworkPlan { unix: true, ..NetworkPlan::default() };
        for (network, family, kind, protocol, expected) in [
            (&unix, libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0, true),
            (&unix, libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, true),
            (&unix, libc::AF_UNIX, libc::SOCK_DGRAM, 0, false),
            (&unix, libc::AF_UNIX, libc::SOCK_STREAM, 1, false),
            (&unix, libc::AF_INET, libc::SOCK_STREAM, 0, false),
            (
                &NetworkPlan { tcp: true, ipv4: true, ..NetworkPlan::default() },
                libc::AF_UNIX,
                libc::SOCK_STREAM,
                0,
                false,
            ),
            (&NetworkPlan::default(), libc::AF_UNIX, libc::SOCK_STREAM, 0, false),
        ] {
            let arguments = [family, kind, protocol].map(i32::cast_unsigned);
            let holds = |compare: &Compare| arguments[usize::from(compare.argument)] & compare.mask == compare.value;
            let allowed = granted_socket(network).iter().any(|set| set.iter().all(holds));
            assert_eq!(allowed, expected, "{family} {kind:#x} {protocol} {network:?}");
        }
        for (kind, listens) in [(WorkerKind::Wasm, false), (WorkerKind::Native, false)] {
            let (rules, default) = rules(kind, &unix);
            let listen = rules.iter().find(|rule| i64::from(rule.number) == number::listen);
            assert_eq!(listen.map_or(default, |rule| rule.answer) == Answer::Allow, listens, "{kind:?}");
            assert!(rules.iter().any(|rule| i64::from(rule.number) == number::socket), "{kind:?}");
        }
    }

    #[test]
    fn typing_into_the_terminal_is_the_only_ioctl_missing() {
        let sets = no_typing();
        let allowed =
            |request: u32| sets.iter().any(|set| set.iter().all(|compare| request & compare.mask == compare.value));
        for request in (0..0x1_0000).chain([0x8000_5412, 0xffff_ffff]) {
            assert_eq!(allowed(request), request != 0x5412 && request != 0x541c, "{request:#x}");
        }
    }

    #[test]
    fn nothing_makes_memory_executable_once_a_guest_runs() {
        let (rules, _) = rules(WorkerKind::Wasm, &NetworkPlan::default());
        for number in [number::mmap, number::mprotect] {
            let rule = rules.iter().find(|rule| i64::from(rule.number) == number).unwrap();
            assert_eq!(rule.any_of, vec![vec![masked(2, libc::PROT_EXEC, 0)]]);
        }
        assert!(!rules.iter().any(|rule| i64::from(rule.number) == libc::SYS_memfd_create));
    }
}
