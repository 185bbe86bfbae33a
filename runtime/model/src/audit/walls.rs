//! What stands around the program, and what could be lost if it fell: the kind of program, its user, each wall.

use super::{Held, Judged, Subject, WORST};
use crate::job::Isolation;
use crate::wall::Wall;

/// A wall that is missing from around WebAssembly leaves the WASI wall; around a native program it leaves nothing.
const BEHIND_ANOTHER: u32 = 3;
/// A limit that is each process's is passed by so many of them.
const EACH_FOR_ITSELF: u32 = 5;

/// `Isolation`.
pub(super) fn isolation(subject: &Subject<'_>) -> Judged {
    let (badness, words) = match subject.job.isolation {
        Isolation::Process => (0, "it has a worker process of its own"),
        Isolation::Shared => (1, "it shares a worker process with other jobs of its domain"),
        Isolation::None => (WORST, "no wall stands around it: it has all rights of its user (Isolation None)"),
    };
    Judged::new(badness, subject.held(&[]), words)
}

/// What kind of program it is.
pub(super) fn program(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[]);
    match subject.kind {
        Some(kind) if kind.is_wasm() => Judged::new(0, held, format!("its program is {}", kind.in_words())),
        Some(kind) => {
            let words = format!("its program is {}, around which there is no WASI wall", kind.in_words());
            Judged::new(WORST, held, words)
        }
        None => Judged::new(WORST, held, "what its program is cannot be told; it is judged as a native one"),
    }
}

/// Whether it is root. Behind the walls that is little more than the name, and what root owns.
pub(super) fn root(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Capabilities]);
    match (subject.root, subject.has(Wall::Capabilities)) {
        (false, _) => Judged::new(0, held, "it does not run as root"),
        (true, false) => Judged::new(WORST, held, "it runs as root, with root's capabilities"),
        (true, true) => {
            let badness = if subject.is_wasm() { 1 } else { 2 };
            Judged::new(badness, held, "it runs as root, without root's capabilities")
        }
    }
}

/// Whether a wall stands.
pub(super) fn wall(subject: &Subject<'_>, wall: Wall) -> Judged {
    let row = wall.row();
    let name = row.name;
    if subject.is_wasm() && matches!(wall, Wall::Processes | Wall::Network) {
        let held = subject.held(&[Wall::Seccomp]);
        return Judged::new(0, held, format!("the {name} wall is for native programs; WebAssembly has no such calls"));
    }
    if subject.has(wall) {
        return Judged::new(0, subject.held(&[wall]), format!("the {name} wall stands: {}", row.purpose));
    }
    if wall == Wall::Cgroup {
        return without_group(subject);
    }
    let badness = if subject.is_wasm() { BEHIND_ANOTHER } else { WORST };
    let why = why_not(subject, wall);
    let words = format!("the {name} wall does not stand{why}; it would be: {}", row.purpose);
    Judged::new(badness, subject.held(&[wall]), words)
}

/// Without a control group each process has its limits for itself, and WebAssembly is one process.
fn without_group(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Limits]);
    match subject.job.limits.memory {
        Some(_) if !subject.is_wasm() => {
            let words = "it has no control group: Memory holds for each of its processes, and for all together nothing";
            Judged::new(EACH_FOR_ITSELF, held, words)
        }
        _ => Judged::new(0, held, "it has no control group, which would hold no more than its resource limits do"),
    }
}

/// The job's own part in it.
fn why_not(subject: &Subject<'_>, wall: Wall) -> &'static str {
    let grants = &subject.job.grants;
    let network = grants.connect.len() > grants.sockets().count() || !grants.bind.is_empty();
    match wall {
        Wall::Network if network => ", since Connect or Bind is granted",
        Wall::Mount if subject.is_wasm() && subject.job.tells_users_apart() => ", since Users tells users apart",
        _ => "",
    }
}

/// `InstanceReuse`: what one request leaves behind the next one finds.
pub(super) fn reuse(subject: &Subject<'_>) -> Judged {
    match subject.job.instance_reuse {
        _ if !subject.is_wasm() => Judged::new(0, Held::Nothing, "a native program keeps its own requests apart"),
        0 | 1 => Judged::new(0, Held::Guest, "each request or connection has a fresh instance"),
        reuse => {
            let badness = if reuse > 16 { 6 } else { 3 };
            Judged::new(
                badness,
                Held::Nothing,
                format!("up to {reuse} requests or connections share the memory of an instance"),
            )
        }
    }
}

/// `AbandonProcessGroup`.
pub(super) fn left_over(subject: &Subject<'_>) -> Judged {
    let held = subject.held(&[Wall::Processes]);
    match subject.job.abandon_process_group && !subject.is_wasm() {
        true => Judged::new(5, held, "processes that it leaves behind go on without it (AbandonProcessGroup)"),
        false => Judged::new(0, held, "nothing that it started goes on without it"),
    }
}
