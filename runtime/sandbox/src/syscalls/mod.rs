//! Which system calls each kind of worker may make, and why: data, with a reason for each entry.
//! What is not listed is refused. `seccomp` turns the lists into a filter; nothing is installed here.

mod arguments;
mod entry;
mod helpers;
mod native;
mod number;
mod process;
#[cfg(test)]
mod tests;
mod wasm;

use wjob_model::wall::{NetworkPlan, WorkerKind};

use crate::filter::{Answer, Rule};
use arguments::conditions;
use helpers::{COMPILE, LOGGER, RESOLVE};
use native::{NATIVE_BINDING, NATIVE_LISTENING, NATIVE_NARROWED};
use process::{PROCESS, THREADS};
use wasm::{BIND, FILES, GUEST, LISTEN, SERVE, SOCKETS};

pub use arguments::Arguments;
pub use entry::Entry;
pub use native::NATIVE_REFUSED;
pub use number::NEWEST;

/// The rules for a worker, and what an unlisted call gets.
pub fn rules(kind: WorkerKind, network: &NetworkPlan) -> (Vec<Rule>, Answer) {
    let refused = Answer::Errno(libc::EPERM);
    if kind == WorkerKind::Native {
        return (native_rules(network), Answer::Allow);
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
    match kind {
        WorkerKind::Resolve => vec![PROCESS, RESOLVE],
        WorkerKind::Compile => vec![PROCESS, THREADS, COMPILE],
        WorkerKind::Logger => vec![PROCESS, THREADS, LOGGER],
        WorkerKind::Wasm | WorkerKind::Native => [vec![PROCESS, THREADS, GUEST, FILES], granted(network)].concat(),
    }
}

fn granted(network: &NetworkPlan) -> Vec<&'static [Entry]> {
    let connects = network.any() || network.unix;
    [
        (connects, SOCKETS),
        (connects && (network.bind || network.udp), BIND),
        (connects && network.bind, LISTEN),
        (network.serves, SERVE),
    ]
    .into_iter()
    .filter_map(|(is_granted, list)| is_granted.then_some(list))
    .collect()
}

/// clone3's flags are behind a pointer, which a filter cannot follow; glibc falls back to clone, whose it can.
fn no_clone3() -> Rule {
    let unknown = Answer::Errno(libc::ENOSYS);
    let number = u32::try_from(number::clone3).unwrap_or_default();
    Rule { number, any_of: Vec::new(), answer: unknown, otherwise: unknown }
}

fn native_rules(network: &NetworkPlan) -> Vec<Rule> {
    let refused = Answer::Errno(libc::EPERM);
    let mut rules: Vec<Rule> = NATIVE_REFUSED.iter().map(|entry| rule(entry, network, refused, refused)).collect();
    for entry in NATIVE_NARROWED {
        rules.push(rule(entry, network, Answer::Allow, refused));
    }
    for entry in ungranted(network) {
        rules.push(rule(entry, network, refused, refused));
    }
    rules.push(no_clone3());
    rules
}

/// What a native program is refused for want of a grant. Who serves and makes no socket may listen on one of the handed
/// again: that is no harm.
fn ungranted(network: &NetworkPlan) -> impl Iterator<Item = &'static Entry> {
    let again = network.serves && !network.any() && !network.unix;
    let listening = !network.bind && !again;
    let binding = !network.bind && !network.udp;
    let of = |refused: bool, list: &'static [Entry]| list.iter().filter(move |_| refused);
    of(listening, NATIVE_LISTENING).chain(of(binding, NATIVE_BINDING))
}

fn rule(entry: &Entry, network: &NetworkPlan, answer: Answer, otherwise: Answer) -> Rule {
    Rule {
        number: u32::try_from(entry.number).unwrap_or_default(),
        any_of: conditions(entry.arguments, network),
        answer,
        otherwise,
    }
}
