//! One word from anywhere in a run that it is over because of a limit, and what an instance was refused by one. It stops
//! nothing; whoever awaits it does. Which faults come of a refusal is said here: every other one is the guest's own.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use wasmtime::{GcHeapOutOfMemory, Trap};
use wjob_model::limit::Limit;
use wjob_model::outcome::{HeldBy, Outcome};

/// The first limit that was hit, and a way to wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The first that refused something: what is told of the run.
    noted: OnceLock<(Limit, HeldBy)>,
    /// What was refused since something was granted last: what a fault may come of.
    refused: Mutex<Option<Refusal>>,
    ended: OnceLock<(Limit, HeldBy)>,
    notify: Notify,
}

/// Something that the guest was refused.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    limit: Limit,
    wall: HeldBy,
    share: Share,
}

/// Which part of what it wants a guest was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// What it cannot begin without.
    First,
    /// More than it has.
    More,
}

impl Halt {
    /// Notes a limit without ending the run: the guest was refused something and may go on.
    pub fn note(&self, limit: Limit, wall: HeldBy, share: Share) {
        let _ = self.0.noted.set((limit, wall));
        *self.refused() = Some(Refusal { limit, wall, share });
    }

    /// Notes that the guest has got something after all: what it was refused before is behind it.
    pub fn granted(&self) {
        *self.refused() = None;
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refusal>> {
        // It is whole after every single change.
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a limit that ends the run.
    pub fn now(&self, limit: Limit, wall: HeldBy) {
        let _ = self.0.ended.set((limit, wall));
        self.0.notify.notify_one();
    }

    /// Resolves when the run is to end.
    pub async fn asked(&self) {
        self.0.notify.notified().await;
    }

    /// The limit that a fault comes of: one that ended the run, or one that refused what the guest fails for.
    pub fn explains(&self, fault: &wasmtime::Error) -> Option<Outcome> {
        let refusal = || self.refused().filter(|refusal| refusal.share.leads_to(fault));
        self.ended().or_else(|| refusal().map(|Refusal { limit, wall, .. }| outcome((limit, wall))))
    }

    /// The limit that ended the run, if one did.
    pub fn ended(&self) -> Option<Outcome> {
        self.0.ended.get().copied().map(outcome)
    }

    /// The limit that was hit: one that ended the run, else the first that refused something.
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended().or_else(|| self.0.noted.get().copied().map(outcome))
    }
}

impl Share {
    /// Whether a guest that was refused this fails so. An allocator gives up by an unreachable instruction, objects of
    /// the engine's own heap are not made, and an instance without its first memory is not made either, which are errors
    /// and no traps. Whoever goes on and then divides by zero or reaches out of bounds has made a mistake.
    fn leads_to(self, fault: &wasmtime::Error) -> bool {
        match fault.downcast_ref::<Trap>() {
            Some(trap) => *trap == Trap::UnreachableCodeReached,
            None => self == Self::First || fault.is::<GcHeapOutOfMemory<()>>(),
        }
    }
}

fn outcome((limit, wall): (Limit, HeldBy)) -> Outcome {
    Outcome::LimitHit { limit, wall }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens before a fault.
    #[derive(Clone, Copy, Debug)]
    enum Before {
        Refused(Share),
        Granted,
        Ended,
    }

    /// What happened, the fault that comes then, and what it is put down to.
    type Row<'a> = (&'a [Before], &'a dyn Fn() -> wasmtime::Error, Option<Outcome>);

    use Before::{Ended, Granted, Refused};
    use Share::{First, More};

    const MEMORY: Option<Outcome> = Some(Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Guest });
    const TIME: Option<Outcome> = Some(Outcome::LimitHit { limit: Limit::CpuTime, wall: HeldBy::Guest });

    fn after(events: &[Before]) -> Halt {
        let halt = Halt::default();
        for event in events {
            match event {
                Refused(share) => halt.note(Limit::Memory, HeldBy::Guest, *share),
                Granted => halt.granted(),
                Ended => halt.now(Limit::CpuTime, HeldBy::Guest),
            }
        }
        halt
    }

    #[test]
    fn a_refusal_explains_what_comes_of_it_and_no_other_fault() {
        let trap = |trap: Trap| move || wasmtime::Error::from(trap);
        let abort = trap(Trap::UnreachableCodeReached);
        let division = trap(Trap::IntegerDivisionByZero);
        let words = || wasmtime::format_err!("memory minimum size of 17 pages exceeds memory limits");
        let rows: &[Row] = &[
            (&[], &abort, None),
            (&[Refused(More)], &abort, MEMORY),
            (&[Refused(First)], &words, MEMORY),
            // A mistake stays one, whatever was refused before.
            (&[Refused(More)], &division, None),
            (&[Refused(First)], &division, None),
            (&[Refused(More)], &trap(Trap::MemoryOutOfBounds), None),
            (&[Refused(More)], &trap(Trap::TableOutOfBounds), None),
            (&[Refused(More)], &trap(Trap::IndirectCallToNull), None),
            (&[Refused(More)], &trap(Trap::BadSignature), None),
            (&[Refused(More)], &trap(Trap::IntegerOverflow), None),
            (&[Refused(More)], &trap(Trap::BadConversionToInteger), None),
            (&[Refused(More)], &trap(Trap::StackOverflow), None),
            (&[Refused(More)], &trap(Trap::ListOutOfBounds), None),
            (&[Refused(More)], &|| wasmtime::format_err!("list pointer/length out of bounds of memory"), None),
            // So does the end of one who has got over it.
            (&[Refused(More), Granted], &abort, None),
            (&[Refused(First), Granted], &words, None),
            (&[Refused(More), Granted, Refused(More)], &abort, MEMORY),
            // A limit that ends the run is the end of everything under way.
            (&[Ended], &division, TIME),
            (&[Refused(More), Granted, Ended], &trap(Trap::Interrupt), TIME),
        ];
        for (index, (before, fault, expected)) in rows.iter().enumerate() {
            let fault = fault();
            assert_eq!(after(before).explains(&fault), *expected, "row {index}: {before:?}, {fault}");
        }
    }

    #[test]
    fn what_was_refused_is_told_even_of_a_guest_that_got_over_it() {
        let halt = after(&[Refused(More), Granted]);
        assert_eq!((halt.outcome(), halt.ended()), (MEMORY, None));
        assert_eq!(after(&[Refused(More), Ended]).outcome(), TIME);
        assert_eq!(after(&[Granted]).outcome(), None);
    }
}
