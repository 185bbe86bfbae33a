//! The guest's half of the Memory limit: the sum over all memories and tables of an instance. What the host
//! holds for it besides is bounded by fuel, handles and capacities where the store is made; how large one
//! handle's worth of headers may be is said here.

use wasmtime::ResourceLimiter;
use wjob_model::limit::Limit;
use wjob_model::outcome::HeldBy;

use crate::halt::{Halt, Share};

/// What one instance may hold when the job says nothing: all of a 32-bit address space.
pub(crate) const DEFAULT_MEMORY: u64 = 4 << 30;

/// Bytes of the host that one table element takes.
const ELEMENT: usize = 16;

/// Bytes that the headers a guest makes of one request or answer may have, however little Memory there is: as much as
/// servers commonly take for a head. And the most, however much there is, which is the engine's own bound.
const HEADERS: [u64; 2] = [16 << 10, 128 << 10];

/// How large each map of headers may be that a guest fills, bytes as the engine counts them. They lie in the host, one
/// behind each handle: as many as `handles` have no more than `memory` again, or the least each.
pub(crate) fn header_bytes(memory: u64, handles: u64) -> usize {
    let [least, most] = HEADERS;
    usize::try_from((memory / handles.max(1)).clamp(least, most)).unwrap_or(usize::MAX)
}

/// The sum and its bound.
#[derive(Debug)]
pub(crate) struct Limiter {
    most: usize,
    held: usize,
    halt: Halt,
}

impl Limiter {
    /// A limiter of `most` bytes.
    pub fn new(most: u64, halt: Halt) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), held: 0, halt }
    }

    /// Counts `more` bytes for what has `current` of its own units; whether there is room for them.
    fn grow(&mut self, current: usize, more: usize) -> bool {
        let fits = self.held.checked_add(more).is_some_and(|sum| sum <= self.most);
        if fits {
            self.held += more;
            self.halt.granted();
        } else {
            let share = if current == 0 { Share::First } else { Share::More };
            self.halt.note(Limit::Memory, HeldBy::Guest, share);
        }
        fits
    }
}

/// Whether a memory or table may be so large by itself; if not, that is the guest's affair and no limit of the job's.
fn is_possible(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_none_or(|most| desired <= most)
}

/// Whether it was the system that had no more, as mmap(2) and mprotect(2) say; the engine's own refusals are mere words.
fn is_of_the_system(error: &wasmtime::Error) -> bool {
    error.is::<rustix::io::Errno>() || error.is::<std::io::Error>() || error.is::<wasmtime::OutOfMemory>()
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(is_possible(desired, maximum) && self.grow(current, desired.saturating_sub(current)))
    }

    /// What was admitted and then refused by the kernel stays counted. The engine tells of failures that it has asked
    /// nothing about, as of a memory that would be larger than its type allows: were the last growth given back for them,
    /// a guest could count itself down while it grows; and no limit of the job's has refused them.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if is_of_the_system(&error) {
            self.halt.note(Limit::Memory, HeldBy::Kernel, Share::More);
        }
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(ELEMENT);
        Ok(is_possible(desired, maximum) && self.grow(current, more))
    }

    /// The kernel has no part in this one.
    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wjob_model::outcome::Outcome;

    use super::*;

    #[test]
    fn all_headers_have_no_more_than_memory_again_or_a_head_each() {
        let rows = [
            (DEFAULT_MEMORY, 10_000, 128 << 10),
            (1 << 30, 10_000, 107_374),
            (64 << 20, 10_000, 16 << 10),
            (64 << 20, 1_000, 67_108),
            (1 << 16, 10_000, 16 << 10),
            (1 << 16, 0, 64 << 10),
            (u64::MAX, 1, 128 << 10),
        ];
        for (memory, handles, expected) in rows {
            assert_eq!(header_bytes(memory, handles), expected, "{memory} bytes, {handles} handles");
        }
    }

    #[test]
    fn memories_and_tables_are_summed() {
        let halt = Halt::default();
        let mut limiter = Limiter::new(1000, halt.clone());
        assert!(limiter.memory_growing(0, 500, None).unwrap());
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(!limiter.table_growing(0, 10, None).unwrap());
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.memory_growing(400, 405, None).unwrap());
        assert!(halt.outcome().is_some());
    }

    /// An allocator gives up by an unreachable instruction; a guest that has grown since does so for another reason.
    #[test]
    fn what_fits_puts_earlier_refusals_behind_the_guest() {
        let halt = Halt::default();
        let mut limiter = Limiter::new(1000, halt.clone());
        let explained = || halt.explains(&wasmtime::Error::from(wasmtime::Trap::UnreachableCodeReached)).is_some();
        let unmade = || halt.explains(&wasmtime::format_err!("no instance")).is_some();
        assert!(limiter.memory_growing(0, 500, None).unwrap() && !explained());
        assert!(!limiter.memory_growing(500, 2000, None).unwrap() && explained() && !unmade());
        assert!(limiter.memory_growing(500, 600, None).unwrap() && !explained());
        assert!(!limiter.table_growing(1, 100, None).unwrap() && explained() && !unmade());
        assert!(limiter.table_growing(1, 2, None).unwrap() && !explained());
        assert!(!limiter.memory_growing(0, 2000, None).unwrap() && explained() && unmade());
        assert!(halt.outcome().is_some());
    }

    #[test]
    fn no_failure_gives_back_what_was_admitted() {
        let mut limiter = Limiter::new(1000, Halt::default());
        assert!(limiter.memory_growing(0, 900, None).unwrap());
        for _ in 0..3 {
            limiter.table_grow_failed(wasmtime::format_err!("longer than any number")).unwrap();
            limiter.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
            assert!(!limiter.memory_growing(900, 1001, None).unwrap());
        }
        assert!(limiter.memory_growing(900, 1000, None).unwrap());
    }

    #[test]
    fn what_its_own_type_forbids_is_no_limit_of_the_job() {
        let halt = Halt::default();
        let mut limiter = Limiter::new(1000, halt.clone());
        assert!(!limiter.memory_growing(0, 900, Some(800)).unwrap());
        assert!(!limiter.table_growing(0, 9, Some(8)).unwrap());
        assert!(halt.outcome().is_none() && limiter.memory_growing(0, 1000, Some(1000)).unwrap());
    }

    #[test]
    fn of_failures_to_grow_the_systems_are_limits_and_the_types_are_not() {
        let failed = |error: wasmtime::Error| {
            let halt = Halt::default();
            Limiter::new(1000, halt.clone()).memory_grow_failed(error).unwrap();
            halt.outcome()
        };
        let kernel = Some(Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel });
        let refused = std::io::Error::from_raw_os_error(libc::ENOMEM);
        assert_eq!(failed(wasmtime::Error::from(refused)), kernel);
        assert_eq!(failed(wasmtime::Error::from(rustix::io::Errno::NOMEM).context("mmap failed")), kernel);
        assert_eq!(failed(wasmtime::format_err!("memory growth exceeds memory type's limits")), None);
    }
}
