//! Attacks that regain what was given up: users, capabilities, limits, and the walls that bind the process itself.

use wjob_model::wall::Wall::{Capabilities, Landlock, Limits, NoNewPrivileges, Seccomp};

use crate::raw::{self, at, call, done, number};
use crate::scene::Scene;
use crate::table::{Answer, Attack, Need, Network, Row, attack, killed, native, native_without, wasm, wasm_without};

const EINVAL: i32 = libc::EINVAL;
const EPERM: i32 = libc::EPERM;

/// Changes of user and group; an own user namespace knows no other, and answers that there is none.
const IDENTITY: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Capabilities, &[EPERM, EINVAL]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    native(Capabilities, &[EPERM, EINVAL]),
    native_without(Seccomp, Capabilities, &[EPERM, EINVAL]),
];

/// What prctl(2) would give back.
const OWN_STATE: &[Row] = &[
    wasm(Capabilities, &[EPERM]),
    wasm_without(Seccomp, Capabilities, &[EPERM]),
    native(Capabilities, &[EPERM]),
    native_without(Seccomp, Capabilities, &[EPERM]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(become_another_user, Network::Nothing, Need::Nothing, IDENTITY),
    attack!(become_another_group, Network::Nothing, Need::Nothing, IDENTITY),
    attack!(take_another_users_groups, Network::Nothing, Need::Nothing, IDENTITY),
    attack!(
        regain_capabilities,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Capabilities, &[EPERM]),
            native(Capabilities, &[EPERM]),
            native_without(Seccomp, Capabilities, &[EPERM]),
        ]
    ),
    attack!(raise_an_ambient_capability, Network::Nothing, Need::Nothing, OWN_STATE),
    attack!(change_the_secure_bits, Network::Nothing, Need::Nothing, OWN_STATE),
    attack!(
        allow_new_privileges,
        Network::Nothing,
        Need::Nothing,
        [wasm(NoNewPrivileges, &[EINVAL, EPERM]), native(NoNewPrivileges, &[EINVAL, EPERM]),]
    ),
    attack!(
        leave_the_filter,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EINVAL, EPERM]), native(Seccomp, &[EINVAL, EPERM]),]
    ),
    attack!(widen_the_filter, Network::Nothing, Need::Nothing, [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM])]),
    attack!(
        raise_a_limit,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Limits, &[EPERM]),
            native(Limits, &[EPERM]),
            native_without(Seccomp, Limits, &[EPERM]),
        ]
    ),
    attack!(
        dump_its_memory,
        Network::Nothing,
        Need::Nothing,
        [wasm(Limits, &[killed(libc::SIGABRT), EPERM]), native(Limits, &[killed(libc::SIGABRT), EPERM]),]
    ),
    // The terminal.
    attack!(
        type_into_the_terminal,
        Network::Nothing,
        Need::Terminal,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Capabilities, &[EPERM, libc::EIO]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Seccomp, Capabilities, &[EPERM, libc::EIO]),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        type_with_high_bits,
        Network::Nothing,
        Need::Terminal,
        [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM])]
    ),
    attack!(
        paste_into_the_terminal,
        Network::Nothing,
        Need::Terminal,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Seccomp, &[EPERM]),
            native_without(Landlock, Seccomp, &[EPERM]),
        ]
    ),
    attack!(
        take_the_terminal,
        Network::Nothing,
        Need::Terminal,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Capabilities, &[EPERM]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            native(Capabilities, &[EPERM]),
            native_without(Seccomp, Capabilities, &[EPERM]),
        ]
    ),
    attack!(change_the_terminal, Network::Nothing, Need::Terminal, [wasm(Seccomp, &[EPERM])]),
];

/// Root's other name is anybody, and anybody's is root.
fn other(own: u32) -> usize {
    if own == 0 { 12345 } else { 0 }
}

fn become_another_user(scene: &Scene) -> Answer {
    done(call(libc::SYS_setresuid, &[other(scene.user); 3]))
}

fn become_another_group(scene: &Scene) -> Answer {
    done(call(libc::SYS_setresgid, &[other(scene.group); 3]))
}

fn take_another_users_groups(scene: &Scene) -> Answer {
    let groups = [other(scene.group) as u32];
    done(call(libc::SYS_setgroups, &[1, at(&groups)]))
}

fn regain_capabilities(_: &Scene) -> Answer {
    const VERSION_3: u32 = 0x2008_0522;
    // struct __user_cap_header_struct, then two of __user_cap_data_struct (capget(2)).
    let header = [VERSION_3, 0];
    let all = [u32::MAX; 6];
    done(call(libc::SYS_capset, &[at(&header), at(&all)]))
}

fn prctl(option: i32, arguments: [usize; 4]) -> Answer {
    let [second, third, fourth, fifth] = arguments;
    done(call(libc::SYS_prctl, &[number(option), second, third, fourth, fifth]))
}

fn raise_an_ambient_capability(_: &Scene) -> Answer {
    const SYS_ADMIN: usize = 21;
    prctl(libc::PR_CAP_AMBIENT, [number(libc::PR_CAP_AMBIENT_RAISE), SYS_ADMIN, 0, 0])
}

/// A bit that is set for none: the one that keeps capabilities across a change of user, and its lock.
fn change_the_secure_bits(_: &Scene) -> Answer {
    const KEEP_CAPS: usize = 1 << 4;
    prctl(libc::PR_SET_SECUREBITS, [KEEP_CAPS, 0, 0, 0])
}

fn allow_new_privileges(_: &Scene) -> Answer {
    prctl(libc::PR_SET_NO_NEW_PRIVS, [0, 0, 0, 0])
}

fn leave_the_filter(_: &Scene) -> Answer {
    prctl(libc::PR_SET_SECCOMP, [0, 0, 0, 0])
}

/// Adds a filter that allows everything, which adds nothing.
fn widen_the_filter(_: &Scene) -> Answer {
    let statement =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    // struct sock_fprog: the length, padding, the statements.
    let program = [1usize, at(&statement)];
    prctl(libc::PR_SET_SECCOMP, [libc::SECCOMP_MODE_FILTER as usize, at(&program), 0, 0])?;
    done(call(libc::SYS_bpf, &[0, 0, 0]))
}

fn raise_a_limit(_: &Scene) -> Answer {
    let unlimited = [u64::MAX; 2];
    done(call(libc::SYS_prlimit64, &[0, libc::RLIMIT_CORE as usize, at(&unlimited), 0]))
}

/// It may call itself dumpable again; what it dumps is bounded.
fn dump_its_memory(_: &Scene) -> Answer {
    prctl(libc::PR_SET_DUMPABLE, [1, 0, 0, 0])?;
    let pid = call(libc::SYS_getpid, &[])?;
    let thread = call(libc::SYS_gettid, &[])?;
    done(call(libc::SYS_tgkill, &[raw::descriptor(pid), raw::descriptor(thread), number(libc::SIGABRT)]))
}

fn ioctl(request: usize, argument: usize) -> Answer {
    done(call(libc::SYS_ioctl, &[0, request, argument]))
}

fn type_into_the_terminal(_: &Scene) -> Answer {
    ioctl(libc::TIOCSTI as usize, at(b"\n"))
}

/// The kernel takes the request as 32 bits; a filter that compared 64 would be passed.
fn type_with_high_bits(_: &Scene) -> Answer {
    ioctl(libc::TIOCSTI as usize | 1 << 32, at(b"\n"))
}

fn paste_into_the_terminal(_: &Scene) -> Answer {
    const PASTE: u8 = 3;
    ioctl(libc::TIOCLINUX as usize, at(&[PASTE]))
}

/// The terminal is the neighbour's session's; root could steal it.
fn take_the_terminal(_: &Scene) -> Answer {
    const STEAL: usize = 1;
    // A new session first, where that is allowed: only its leader can take a terminal.
    let _ = call(libc::SYS_setsid, &[]);
    ioctl(libc::TIOCSCTTY as usize, STEAL)
}

fn change_the_terminal(_: &Scene) -> Answer {
    let settings = [0u8; 60];
    ioctl(libc::TCSETS as usize, at(&settings))
}
