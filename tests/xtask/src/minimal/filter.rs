//! Which lists a filter is made of, told by the filter itself: strace writes out the program that a process gives to
//! seccomp(2). So the kind of a worker is what the kernel was told, and no binary has to say it for us.

use std::collections::BTreeSet;

/// A filter, by what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    /// The kind of worker.
    pub kind: &'static str,
    /// Its lists, in the order in which they are laid on each other (`lists` in `runtime/sandbox/src/syscalls`).
    pub lists: Vec<&'static str>,
    /// How many system calls it has rules for.
    pub rules: usize,
}

/// A kind of worker with a list of what is allowed.
struct Kind {
    name: &'static str,
    /// What its filter is made of, whatever is granted.
    lists: &'static [&'static str],
    /// A call that these lists have and no filter of the kinds below: by its number (asm/unistd_64.h) the kind is told.
    mark: u64,
}

const KINDS: [Kind; 4] = [
    Kind { name: "logger", lists: &["PROCESS", "THREADS", "LOGGER"], mark: FCHOWN },
    Kind { name: "resolve", lists: &["PROCESS", "RESOLVE"], mark: SENDMMSG },
    Kind { name: GUEST, lists: &["PROCESS", "THREADS", "GUEST", "FILES"], mark: OPENAT2 },
    Kind { name: "compile", lists: &["PROCESS", "THREADS", "COMPILE"], mark: STATX },
];
/// The kind to which something can be granted.
const GUEST: &str = "wasm";
const FCHOWN: u64 = 93;
const SENDMMSG: u64 = 307;
const OPENAT2: u64 = 437;
const STATX: u64 = 332;
/// Native programs alone have a rule for ptrace, which refuses it: all that is not in their list is allowed.
const NATIVE: u64 = 101;
const SOCKET: u64 = 41;
const BIND: u64 = 49;
const LISTEN: u64 = 50;
/// PAGEMAP_SCAN, a request of ioctl that is allowed to those that serve.
const SERVES: u64 = 0xc060_6610;
/// AUDIT_ARCH_X86_64, which is looked at as calls are.
const ARCHITECTURE: u64 = 0xc000_003e;
/// What begins the program in the words of strace.
const PROGRAM: &str = "filter=[";
/// The code of a jump that compares, BPF_JMP | BPF_JEQ | BPF_K.
const EQUAL: u64 = 0x15;

/// What strace could tell of a call of seccomp(2).
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// It installs no filter, or one that is no allow list of ours.
    Nothing,
    /// It installs a filter that strace could not read.
    Unread,
    /// A filter of ours.
    Filter(Filter),
}

/// What a call of seccomp(2) installs.
pub fn told(call: &str) -> Told {
    let Some((_, program)) = call.split_once(PROGRAM) else {
        return if call.contains("filter=") { Told::Unread } else { Told::Nothing };
    };
    let (mut calls, mut values) = (BTreeSet::new(), BTreeSet::new());
    for (value, yes, no) in program.split("BPF_JUMP(").filter_map(comparison) {
        // Of a call the next statement is what others get; of an argument it is what goes on when the value is the one.
        match (yes, no) {
            (1, 0) if value != ARCHITECTURE => calls.insert(value),
            _ => values.insert(value),
        };
    }
    filter(&calls, values.contains(&SERVES)).map_or(Told::Nothing, Told::Filter)
}

/// The value of a comparison, and how many statements are passed over where it holds and where not.
fn comparison(words: &str) -> Option<(u64, u64, u64)> {
    let (words, _) = words.split_once(')')?;
    let mut parts = words.split(", ");
    let code = parts.next()?.split('|').try_fold(0, |code, flag| Some(code | number(flag)?))?;
    let comparison = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    (code == EQUAL).then_some(comparison)
}

/// A number as strace writes it: 0, or with 0x before it.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn filter(calls: &BTreeSet<u64>, serves: bool) -> Option<Filter> {
    if calls.contains(&NATIVE) {
        return None;
    }
    let Kind { name, lists, .. } = KINDS.into_iter().find(|kind| calls.contains(&kind.mark))?;
    let granted = |call| name == GUEST && calls.contains(&SOCKET) && calls.contains(&call);
    let lists = together(lists, [granted(SOCKET), granted(BIND), granted(LISTEN), serves]);
    Some(Filter { kind: name, lists, rules: calls.len() })
}

/// The lists of a filter: the kind's, and those of what is granted.
fn together(lists: &[&'static str], granted: [bool; 4]) -> Vec<&'static str> {
    let more = ["SOCKETS", "BIND", "LISTEN", "SERVE"].into_iter().zip(granted);
    let more = more.filter(|(_, granted)| *granted).map(|(list, _)| list);
    lists.iter().copied().chain(more).collect()
}

/// Every kind with every selection of lists that it can have.
pub fn all() -> Vec<(&'static str, Vec<&'static str>)> {
    let network = [[false; 3], [true, false, false], [true, true, false], [true, true, true]];
    let granted: Vec<[bool; 4]> = network
        .into_iter()
        .flat_map(|[socket, bind, listen]| [false, true].map(|serves| [socket, bind, listen, serves]))
        .collect();
    let selections = |kind: &str| match kind {
        GUEST => granted.clone(),
        _ => vec![[false; 4]],
    };
    let filters = |Kind { name, lists, .. }: Kind| {
        selections(name).into_iter().map(move |granted| (name, together(lists, granted)))
    };
    KINDS.into_iter().flat_map(filters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::lists::Lists;
    use super::*;

    /// The words of strace for a program that has rules for these calls, and looks for these values in arguments.
    fn call(calls: &[u64], values: &[u64]) -> String {
        let calls = [ARCHITECTURE].into_iter().chain(calls.iter().copied());
        let calls = calls.map(|call| format!("BPF_JUMP(0x5|0|0x10, {call:#x}, 0x1, 0), BPF_STMT(0x6|0, 0x50001), "));
        let values = values.iter().map(|value| format!("BPF_JUMP(0x5|0|0x10, {value:#x}, 0, 0x1), "));
        let rest = "BPF_JUMP(0x5|0|0x30, 0x65, 0x1, 0), BPF_STMT(0x6|0, 0x7fff0000)]}) = 0";
        format!("seccomp(0x1, 0x1, {{len=9, filter=[BPF_STMT(0|0|0x20, 0x4), {}{}{rest}", concat(calls), concat(values))
    }

    fn concat(parts: impl Iterator<Item = String>) -> String {
        parts.collect()
    }

    #[test]
    fn a_filter_tells_its_kind_and_its_lists() {
        let wasm = [0, 332, 435, 437];
        for (calls, values, expected) in [
            (&wasm[..], &[5][..], Some(("wasm", "PROCESS THREADS GUEST FILES", 4))),
            // A value that is also the number of a call.
            (&wasm, &[SOCKET, NATIVE], Some(("wasm", "PROCESS THREADS GUEST FILES", 4))),
            (&wasm, &[SERVES], Some(("wasm", "PROCESS THREADS GUEST FILES SERVE", 4))),
            (&[437, SOCKET], &[], Some(("wasm", "PROCESS THREADS GUEST FILES SOCKETS", 2))),
            (
                &[437, SOCKET, BIND, LISTEN],
                &[SERVES],
                Some(("wasm", "PROCESS THREADS GUEST FILES SOCKETS BIND LISTEN SERVE", 4)),
            ),
            (&[332, 435], &[], Some(("compile", "PROCESS THREADS COMPILE", 2))),
            (&[332, 93], &[], Some(("logger", "PROCESS THREADS LOGGER", 2))),
            (&[307, SOCKET], &[], Some(("resolve", "PROCESS RESOLVE", 2))),
            (&[NATIVE, 332, 437], &[], None),
            (&[0, 1], &[], None),
        ] {
            let found = match told(&call(calls, values)) {
                Told::Filter(Filter { kind, lists, rules }) => Some((kind, lists.join(" "), rules)),
                _ => None,
            };
            assert_eq!(found, expected.map(|(kind, lists, rules)| (kind, lists.to_owned(), rules)), "{calls:?}");
        }
    }

    #[test]
    fn a_filter_that_was_not_read_is_told_from_none() {
        assert_eq!(told("seccomp(0x1, 0x1, {len=400, filter=0x7ffc1ed0b0a0}) = 0"), Told::Unread);
        assert_eq!(told("seccomp(0x2, 0, [0x7ff00000]) = 0"), Told::Nothing);
    }

    #[test]
    fn every_filter_has_the_mark_of_its_kind_and_of_none_above() {
        let lists = Lists::read().expect("the lists of the repository");
        let marks = [(FCHOWN, "fchown"), (SENDMMSG, "sendmmsg"), (OPENAT2, "openat2"), (STATX, "statx")];
        for (kind, names) in all() {
            let together = lists.together(&names);
            let calls: BTreeSet<u64> =
                marks.into_iter().filter(|(_, call)| together.contains_key(call)).map(|(number, _)| number).collect();
            let told = KINDS.into_iter().find(|kind| calls.contains(&kind.mark)).map(|kind| kind.name);
            assert_eq!(told, Some(kind), "{names:?}");
        }
        for Kind { name, .. } in KINDS {
            assert!(all().iter().any(|(kind, _)| *kind == name), "{name}");
        }
    }
}
