//! The configuration of wjobd: what `daemon.json` and the command line may say, read, checked and put together. It
//! opens no file and knows no defaults that depend on the machine; the supervisor fills those in.
//!
//! Options are rows of one registry (`options`), from which the reader of the file, the reader of the flags, every
//! message and `wjobd --help` come. An option given in both places is refused, never silently overruled.

mod configuration;
mod error;
mod flags;
mod help;
mod kind;
mod merge;
mod options;
mod read;
#[cfg(test)]
mod tests;

pub use configuration::{Configuration, LogLevel, UidRange};
pub use error::ConfigurationError;
pub use flags::{Ask, Flags, from_flags};
pub use help::help;
pub use kind::Kind;
pub use merge::{Partial, merge};
pub use options::{DaemonOption, options};
pub use read::{MOST_BYTES, read};
