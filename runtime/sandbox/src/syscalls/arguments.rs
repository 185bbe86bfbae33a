//! Which arguments a system call may have, and the comparisons that say so to the kernel. Behind a pointer nothing can
//! be compared. Which call has which of these is said in the lists.

use wjob_model::wall::NetworkPlan;

use crate::filter::Compare;

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
    /// socketpair(2): Unix sockets whose halves stay connected to each other.
    LastingPair,
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

/// Sets of comparisons, of which one must hold; none: any arguments.
pub(super) fn conditions(arguments: Arguments, network: &NetworkPlan) -> Vec<Vec<Compare>> {
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
        Arguments::LastingPair => lasting_pair(),
    }
}

fn is(argument: u8, value: u32) -> Compare {
    Compare { argument, mask: u32::MAX, value }
}

pub(super) fn masked(argument: u8, mask: i32, value: i32) -> Compare {
    Compare { argument, mask: mask.cast_unsigned(), value: value.cast_unsigned() }
}

fn one_of(argument: u8, values: &[i64]) -> Vec<Vec<Compare>> {
    // The kernel takes these arguments as int, so their low 32 bits are all there is.
    values.iter().map(|value| vec![is(argument, *value as u32)]).collect()
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
pub(super) fn no_typing() -> Vec<Vec<Compare>> {
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

/// Bits of the second argument of socket(2) and socketpair(2) that are the type; the others are flags.
const TYPE: i32 = 0xf;

/// Kinds of Unix sockets that cannot be connected anew once they are connected. A datagram socket can, which would make
/// half of a pair one to any socket of that kind; SOCK_RAW is another name of it (unix_create in the kernel).
const LASTING: [i32; 2] = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET];

/// Pairs of Unix sockets, without those that are a way to make a datagram socket.
pub(super) fn lasting_pair() -> Vec<Vec<Compare>> {
    LASTING.map(|kind| vec![is(0, libc::AF_UNIX.cast_unsigned()), masked(1, TYPE, kind)]).to_vec()
}

/// Granted families and types with protocol 0 or their own: MPTCP (262) would connect past landlock's rules.
pub(super) fn granted_socket(network: &NetworkPlan) -> Vec<Vec<Compare>> {
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
    for kind in LASTING.into_iter().filter(|_| network.unix) {
        sets.push(vec![is(0, libc::AF_UNIX.cast_unsigned()), masked(1, TYPE, kind), is(2, 0)]);
    }
    if sets.is_empty() {
        // No family has this number: nothing matches.
        sets.push(vec![is(0, u32::MAX)]);
    }
    sets
}
