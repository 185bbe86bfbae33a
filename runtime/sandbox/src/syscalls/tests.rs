//! The lists, and the comparisons of arguments, as the kernel would hold a call against them.

use std::collections::BTreeSet;

use super::arguments::{granted_socket, lasting_pair, masked, no_typing};
use super::*;
use crate::filter::Compare;

#[test]
fn every_entry_has_a_reason_and_stands_once_in_its_list() {
    let native = [NATIVE_REFUSED, NATIVE_NARROWED, NATIVE_LISTENING, NATIVE_BINDING];
    for list in [PROCESS, THREADS, GUEST, FILES, SOCKETS, BIND, LISTEN, SERVE, COMPILE, RESOLVE, LOGGER]
        .into_iter()
        .chain(native)
    {
        let mut seen = BTreeSet::new();
        for entry in list {
            assert!(!entry.why.is_empty(), "{}", entry.name);
            assert!(entry.number <= i64::from(NEWEST), "{} is above the ceiling", entry.name);
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
        (&NetworkPlan { tcp: true, ipv4: true, ..NetworkPlan::default() }, libc::AF_UNIX, libc::SOCK_STREAM, 0, false),
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
fn a_pair_of_sockets_is_one_that_cannot_be_connected_anew() {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    for (family, kind, expected) in [
        (libc::AF_UNIX, libc::SOCK_STREAM, true),
        (libc::AF_UNIX, libc::SOCK_STREAM | flags, true),
        (libc::AF_UNIX, libc::SOCK_SEQPACKET | flags, true),
        (libc::AF_UNIX, libc::SOCK_DGRAM, false),
        (libc::AF_UNIX, libc::SOCK_DGRAM | flags, false),
        (libc::AF_UNIX, libc::SOCK_RAW, false),
        (libc::AF_TIPC, libc::SOCK_STREAM, false),
        (libc::AF_INET, libc::SOCK_STREAM, false),
    ] {
        let arguments = [family, kind].map(i32::cast_unsigned);
        let holds = |compare: &Compare| arguments[usize::from(compare.argument)] & compare.mask == compare.value;
        assert_eq!(lasting_pair().iter().any(|set| set.iter().all(holds)), expected, "{family} {kind:#x}");
    }
    let unix = NetworkPlan { unix: true, ..NetworkPlan::default() };
    for network in [NetworkPlan::default(), unix, NetworkPlan { tcp: true, ipv4: true, ..NetworkPlan::default() }] {
        let (rules, _) = rules(WorkerKind::Native, &network);
        let pair = rules.iter().find(|rule| i64::from(rule.number) == number::socketpair).unwrap();
        assert_eq!(
            (&pair.any_of, pair.answer, pair.otherwise),
            (&lasting_pair(), Answer::Allow, Answer::Errno(libc::EPERM))
        );
    }
}

#[test]
fn a_native_program_gives_names_to_sockets_only_where_a_grant_needs_it() {
    let plan = |tcp, udp, unix, bind| NetworkPlan { tcp, udp, unix, bind, ipv4: true, ..NetworkPlan::default() };
    let serving = |plan: NetworkPlan| NetworkPlan { serves: true, ..plan };
    for (network, binds, listens) in [
        (NetworkPlan::default(), false, false),
        (serving(NetworkPlan::default()), false, true),
        (serving(plan(true, false, false, false)), false, false),
        (serving(plan(false, true, false, false)), true, false),
        (serving(plan(false, false, true, false)), false, false),
        (serving(plan(true, false, false, true)), true, true),
        (plan(true, false, false, false), false, false),
        (plan(false, true, false, false), true, false),
        (plan(false, false, true, false), false, false),
        (plan(true, false, true, false), false, false),
        (plan(true, false, false, true), true, true),
    ] {
        let (rules, default) = rules(WorkerKind::Native, &network);
        let answer = |number: i64| {
            let rule = rules.iter().find(|rule| i64::from(rule.number) == number);
            rule.map_or(default, |rule| rule.answer) == Answer::Allow
        };
        assert_eq!((answer(number::bind), answer(number::listen)), (binds, listens), "{network:?}");
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
