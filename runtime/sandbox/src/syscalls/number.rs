//! Numbers of system calls (asm/unistd_64.h, through libc), under the kernel's names.

#![allow(non_upper_case_globals)]

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
    exit_group = SYS_exit_group, gettid = SYS_gettid,
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
    statx = SYS_statx, newfstatat = SYS_newfstatat, getdents64 = SYS_getdents64,
    pread64 = SYS_pread64, pwrite64 = SYS_pwrite64,
    pwritev2 = SYS_pwritev2, ftruncate = SYS_ftruncate,
    fadvise64 = SYS_fadvise64, fsync = SYS_fsync, fdatasync = SYS_fdatasync, utimensat = SYS_utimensat,
    renameat = SYS_renameat, linkat = SYS_linkat, symlinkat = SYS_symlinkat,
    mkdirat = SYS_mkdirat, unlinkat = SYS_unlinkat, readlinkat = SYS_readlinkat, readlink = SYS_readlink,
    socket = SYS_socket, connect = SYS_connect, sendto = SYS_sendto, recvfrom = SYS_recvfrom,
    getsockname = SYS_getsockname, getpeername = SYS_getpeername, getsockopt = SYS_getsockopt,
    setsockopt = SYS_setsockopt, shutdown = SYS_shutdown, bind = SYS_bind, listen = SYS_listen,
    accept4 = SYS_accept4, uname = SYS_uname,
    sendmmsg = SYS_sendmmsg, acct = SYS_acct, add_key = SYS_add_key,
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
    pidfd_open = SYS_pidfd_open,
    pivot_root = SYS_pivot_root, process_vm_readv = SYS_process_vm_readv,
    process_vm_writev = SYS_process_vm_writev, ptrace = SYS_ptrace,
    quotactl = SYS_quotactl, quotactl_fd = SYS_quotactl_fd, reboot = SYS_reboot,
    request_key = SYS_request_key, setdomainname = SYS_setdomainname, sethostname = SYS_sethostname,
    setns = SYS_setns, settimeofday = SYS_settimeofday, swapoff = SYS_swapoff, swapon = SYS_swapon,
    _sysctl = SYS__sysctl, sysfs = SYS_sysfs, syslog = SYS_syslog, umount2 = SYS_umount2,
    unshare = SYS_unshare, uselib = SYS_uselib, userfaultfd = SYS_userfaultfd, ustat = SYS_ustat,
    vhangup = SYS_vhangup, clone = SYS_clone, socketpair = SYS_socketpair,
}

/// Of Linux 6.15; libc does not name it yet.
pub const open_tree_attr: i64 = 467;

/// The newest call that these lists were written with: file_setattr, of Linux 6.17 (6.18 has added none). Who raises it
/// looks at each call that comes in by that, and refuses native programs those that they must not have.
pub const NEWEST: u32 = 469;
