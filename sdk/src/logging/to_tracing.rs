//! The subscriber for the crate `tracing`. It writes events, their message first and then their fields; spans are
//! turned off, because a line of a log stands for itself.

use std::fmt::{Debug, Write};

use tracing_core::dispatcher::{self, Dispatch};
use tracing_core::field::{Field, Visit};
use tracing_core::metadata::LevelFilter;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Metadata, Subscriber};

use super::Verbosity;

/// Writes a line for each event, with what takes its level, its target and its text.
struct Lines<W> {
    filter: LevelFilter,
    write: W,
}

/// Makes it the subscriber, unless there is one.
pub(super) fn install(verbosity: Verbosity) {
    // That there is one already is no failure: it was somebody's choice.
    let _ = dispatcher::set_global_default(Dispatch::new(Lines { filter: filter(verbosity), write: super::write }));
}

fn filter(verbosity: Verbosity) -> LevelFilter {
    match verbosity {
        Verbosity::Off => LevelFilter::OFF,
        Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warn => LevelFilter::WARN,
        Verbosity::Info => LevelFilter::INFO,
        Verbosity::Debug => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    }
}

impl<W: Fn(&str, &str, &str) + Send + Sync + 'static> Subscriber for Lines<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.filter
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        (self.write)(&level, event.metadata().target(), &text.whole());
    }

    /// Never called for a span that counts: none is enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn whole(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn fields_follow_the_message() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let own = kept.clone();
        let write = move |level: &str, _: &str, text: &str| {
            own.lock().expect("no test failed with it").push(format!("<{level}> {text}"));
        };
        dispatcher::with_default(&Dispatch::new(Lines { filter: LevelFilter::WARN, write }), || {
            tracing::warn!(attempts = 3, name = "a b", "nobody answers");
            tracing::info!("somebody does");
        });
        assert_eq!(*kept.lock().expect("no test failed with it"), ["<warn> nobody answers attempts=3 name=\"a b\""]);
    }
}
