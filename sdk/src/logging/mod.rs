//! What a job writes to its log through the crates `log` and `tracing`: lines `<level> target: message` on standard
//! error, where wjob takes them. It filters by level only and adds no time, because the log has the time of each line.

#[cfg(feature = "log")]
mod to_log;
#[cfg(feature = "tracing")]
mod to_tracing;

use crate::stderr;

/// How much is written, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Verbosity {
    /// The one a word stands for; without one, or with one that is none, it is `info`.
    fn of(word: Option<&str>) -> Self {
        match word.unwrap_or_default().to_ascii_lowercase().as_str() {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" => Self::Warn,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => Self::Info,
        }
    }
}

/// Writes what the crates `log` and `tracing` are given to standard error from now on. A second time it does nothing,
/// and where a logger is set already it leaves that one be.
///
/// How much is written is said by the variable `RUST_LOG`, in one word: `off`, `error`, `warn`, `info`, `debug` or
/// `trace`. Without it, it is `info`. A job file sets it in `EnvironmentVariables`.
///
/// ```
/// wjob_sdk::logging::init();
/// # #[cfg(feature = "log")]
/// log::info!("ready");
/// # #[cfg(feature = "tracing")]
/// tracing::warn!(attempts = 3, "nobody answers");
/// ```
pub fn init() {
    let verbosity = Verbosity::of(std::env::var("RUST_LOG").ok().as_deref());
    #[cfg(feature = "log")]
    to_log::install(verbosity);
    #[cfg(feature = "tracing")]
    to_tracing::install(verbosity);
}

/// Writes one line.
fn write(level: &str, target: &str, message: &str) {
    stderr::line(&format!("<{level}> {target}: {message}"));
}

#[cfg(test)]
mod tests {
    use super::Verbosity;

    #[test]
    fn a_word_says_how_much_is_written() {
        assert_eq!(Verbosity::of(Some("DEBUG")), Verbosity::Debug);
        assert_eq!(Verbosity::of(Some("loud")), Verbosity::Info);
        assert_eq!(Verbosity::of(None), Verbosity::Info);
        assert!(Verbosity::Off < Verbosity::Error && Verbosity::Debug < Verbosity::Trace);
    }
}
