//! The guest's half of the Memory limit: the sum over all memories and tables of an instance. What the host
//! holds for it besides is bounded by fuel, handles and capacities where the store is made; how large one
//! handle's worth of headers may be is said here.

use wasmtime::ResourceLimiter;
use wjob_model::limit::Limit;
use wjob_model::outcome::HeldBy;

use crate::halt::Halt;

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
    asked: Option<usize>,
    halt: Halt,
}

impl Limiter {
    /// A limiter of `most` bytes.
    pub fn new(most: u64, halt: Halt) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), held: 0, asked: None, halt }
    }

    fn grow(&mut self, more: usize) -> bool {
        let fits = self.held.checked_add(more).is_some_and(|sum| sum <= self.most);
        if fits {
            self.held += more;
            self.asked = Some(more);
        } else {
            self.asked = None;
            self.halt.note(Limit::Memory, HeldBy::Guest);
        }
        fits
    }

    /// What was admitted here and then refused by the kernel does not count.
    fn refused_by_kernel(&mut self) {
        if let Some(more) = self.asked.take() {
            self.held = self.held.saturating_sub(more);
            self.halt.note(Limit::Memory, HeldBy::Kernel);
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused_by_kernel();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused_by_kernel();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_the_kernel_refused_is_not_held() {
        let halt = Halt::default();
        let mut limiter = Limiter::new(1000, halt.clone());
        assert!(limiter.memory_growing(0, 900, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 1000, None).unwrap());
    }
}
