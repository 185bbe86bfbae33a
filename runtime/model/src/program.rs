//! What a program file is, told from its first bytes. It never looks at a name and never reads a file.

use serde::{Deserialize, Serialize};

/// How many bytes [`ProgramKind::of`] wants to see.
pub const MAGIC_LENGTH: usize = 8;

/// What a program file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// A WebAssembly component (binary layer 1).
    Component,
    /// A WebAssembly core module (binary layer 0); runs if it is a wasip1 command.
    Module,
    /// A native executable.
    Elf,
    /// A script: `#!` and an interpreter.
    Script,
}

impl ProgramKind {
    /// The kind of a file that begins with `head`; `None` when it is nothing that can be run.
    ///
    /// Sources: the WebAssembly core specification (5.5.16 magic and version), the component model's
    /// binary format (layer field), the ELF specification, and binfmt_script.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x00, b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, ..] => Some(Self::Module),
            [0x00, b'a', b's', b'm', _, 0x00, 0x01, 0x00, ..] => Some(Self::Component),
            [0x7f, b'E', b'L', b'F', ..] => Some(Self::Elf),
            [b'#', b'!', ..] => Some(Self::Script),
            _ => None,
        }
    }

    /// Whether the program is WebAssembly, and so enforced by the WASI wall too.
    pub fn is_wasm(self) -> bool {
        matches!(self, Self::Component | Self::Module)
    }

    /// The kind in words, for messages.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Component => "a WebAssembly component",
            Self::Module => "a WebAssembly core module",
            Self::Elf => "a native program",
            Self::Script => "a script",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProgramKind;

    #[test]
    fn kinds_are_told_from_the_first_bytes() {
        for (head, expected) in [
            (&b"\0asm\x01\0\0\0"[..], Some(ProgramKind::Module)),
            (b"\0asm\x0d\0\x01\0", Some(ProgramKind::Component)),
            (b"\x7fELF\x02\x01", Some(ProgramKind::Elf)),
            (b"#!/bin/sh\n", Some(ProgramKind::Script)),
            (b"\0asm", None),
            (b"", None),
            (b"MZ", None),
        ] {
            assert_eq!(ProgramKind::of(head), expected, "{head:?}");
        }
    }
}
