//! The logger for the crate `log`. It writes what it is given and keeps nothing, so there is nothing to flush.

use log::{LevelFilter, Log, Metadata, Record};

use super::Verbosity;

struct Logger;

/// Makes it the logger, unless there is one.
pub(super) fn install(verbosity: Verbosity) {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(filter(verbosity));
    }
}

fn filter(verbosity: Verbosity) -> LevelFilter {
    match verbosity {
        Verbosity::Off => LevelFilter::Off,
        Verbosity::Error => LevelFilter::Error,
        Verbosity::Warn => LevelFilter::Warn,
        Verbosity::Info => LevelFilter::Info,
        Verbosity::Debug => LevelFilter::Debug,
        Verbosity::Trace => LevelFilter::Trace,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_ascii_lowercase();
            super::write(&level, record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
