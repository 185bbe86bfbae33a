//! The form of an entry: a system call, the reason it is there and what its arguments may be.

use super::Arguments;

/// One system call and the reason it is there.
pub struct Entry {
    /// Its name, for people.
    pub name: &'static str,
    /// Its number.
    pub number: i64,
    /// Who calls it, and for what.
    pub why: &'static str,
    /// Which arguments it may have.
    pub arguments: Arguments,
}

/// An entry: the call's name, which of [`Arguments`] it may have, and the reason.
macro_rules! entry {
    ($name:ident, $arguments:ident, $why:literal) => {
        $crate::syscalls::Entry {
            name: stringify!($name),
            number: $crate::syscalls::number::$name,
            why: $why,
            arguments: $crate::syscalls::Arguments::$arguments,
        }
    };
}

pub(super) use entry;
