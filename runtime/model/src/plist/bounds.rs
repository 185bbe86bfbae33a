//! The bounds of a property list and the account kept against them while reading.
//! It reads nothing itself. The bounds hold during the reading, not after it, because the damage
//! (memory, stack) would be done by then; all three formats share one account so that none is laxer.

use super::fault;
use crate::finding::{Finding, Span};

/// Longest property list, in bytes: 1 MiB, a hundred times the longest job files in the field. A binary
/// list may share one string between many values; the strings, counted once for each use, obey it too.
pub const MAX_BYTES: usize = 1 << 20;

/// Most values in a list, each use of a shared one counted: 9 arrays of 10 references each to the next
/// fit in 181 bytes and unfold to 10^9 values, which exhausts any memory.
pub const MAX_VALUES: usize = 10_000;

/// Most containers inside one another, the outermost included: the readers recurse once per level, and
/// no key of a job file nests deeper than 6.
pub const MAX_DEPTH: usize = 32;

/// Refuses a list by its size alone.
pub(super) fn check_size(length: usize) -> Result<(), Finding> {
    if length <= MAX_BYTES {
        return Ok(());
    }
    // Readers stop at one byte too many, so the true length is not known.
    let message = format!("the file has more than {MAX_BYTES} bytes; expected at most that");
    Err(fault("too-large", None, message))
}

/// What has been read so far.
#[derive(Default)]
pub(super) struct Budget {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Budget {
    /// Counts one value.
    pub(super) fn value(&mut self, span: Option<Span>) -> Result<(), Finding> {
        self.values += 1;
        if self.values <= MAX_VALUES {
            return Ok(());
        }
        let message = format!("found more than {MAX_VALUES} values; expected at most that many");
        Err(fault("too-many-values", span, message))
    }

    /// Counts the bytes of one string or piece of data.
    pub(super) fn bytes(&mut self, length: usize) -> Result<(), Finding> {
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes <= MAX_BYTES {
            return Ok(());
        }
        let message = format!("the strings unfold to more than the {MAX_BYTES} bytes allowed");
        Err(fault("too-large", None, message))
    }

    /// Goes into a container.
    pub(super) fn enter(&mut self, span: Option<Span>) -> Result<(), Finding> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("found more than {MAX_DEPTH} levels of containers; expected fewer");
        Err(fault("too-deep", span, message))
    }

    /// Comes out of a container entered before.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_admits_its_maximum_and_refuses_one_more() {
        let mut budget = Budget::default();
        assert!((0..MAX_VALUES).all(|_| budget.value(None).is_ok()));
        assert_eq!(budget.value(None).unwrap_err().code, "too-many-values");
        assert!((0..MAX_DEPTH).all(|_| budget.enter(None).is_ok()));
        assert_eq!(budget.enter(None).unwrap_err().code, "too-deep");
        assert!(budget.bytes(MAX_BYTES).is_ok());
        assert_eq!(budget.bytes(1).unwrap_err().code, "too-large");
        assert_eq!(budget.bytes(usize::MAX).unwrap_err().code, "too-large");
        assert!(check_size(MAX_BYTES).is_ok());
        assert_eq!(check_size(MAX_BYTES + 1).unwrap_err().code, "too-large");
    }

    #[test]
    fn leaving_a_container_makes_room_for_the_next() {
        let mut budget = Budget::default();
        for _ in 0..3 * MAX_DEPTH {
            assert!(budget.enter(None).is_ok());
            budget.leave();
        }
    }
}
