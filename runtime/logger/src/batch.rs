//! What waits to be written: lines, ends and beginnings of runs, and how much had to be dropped while nothing could
//! be written. It is bounded; when it is full the oldest lines go and are counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wjob_model::record::{Began, Ended, Stream};

/// A batch this large is written at once, bytes.
pub(crate) const WRITE_BYTES: usize = 256 << 10;
/// Most that is held while nothing can be written, bytes.
pub(crate) const HELD_BYTES: usize = 1 << 20;
/// Most beginnings and ends of runs that are held.
const HELD_RECORDS: usize = 1024;
/// What a line costs beside its text, in memory and in the database, bytes: so that empty lines are bounded too.
pub(crate) const LINE_COST: usize = 64;

/// A line to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it was read, in microseconds since 1970.
    pub time: i64,
    /// The job; empty for what the supervisor said about no job.
    pub label: Arc<str>,
    /// The run, by the supervisor's number.
    pub run: Option<u64>,
    /// Who said it.
    pub source: Source,
    /// Whether the line goes on in the next one.
    pub continued: bool,
    /// The text, which need not be UTF-8.
    pub text: Vec<u8>,
}

impl Entry {
    /// What it counts against the bounds.
    pub fn cost(&self) -> usize {
        self.text.len() + LINE_COST
    }
}

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A job's stdout.
    Out,
    /// A job's stderr.
    Error,
    /// The supervisor, or the logger itself.
    Supervisor,
}

/// The sources by their number in the database, with their name in replies.
const SOURCES: &[(Source, &str)] = &[(Source::Out, "out"), (Source::Error, "error"), (Source::Supervisor, "wjobd")];

impl Source {
    /// Its number in the database.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The name of the source with this number.
    pub fn name(number: i64) -> &'static str {
        let row = usize::try_from(number).ok().and_then(|number| SOURCES.get(number));
        row.map_or("unknown", |(_, name)| name)
    }
}

impl From<Stream> for Source {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Out => Self::Out,
            Stream::Error => Self::Error,
        }
    }
}

/// A change of the list of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// One began.
    Began(Began),
    /// One is over.
    Ended(Ended),
}

impl Record {
    fn label(&self) -> &str {
        match self {
            Self::Began(began) => &began.label,
            Self::Ended(ended) => &ended.label,
        }
    }
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Lines, oldest first.
    pub lines: VecDeque<Entry>,
    /// Beginnings and ends of runs, oldest first.
    pub records: VecDeque<Record>,
    bytes: usize,
    dropped: BTreeMap<Arc<str>, u64>,
    lost: BTreeMap<Arc<str>, u64>,
}

impl Batch {
    /// Adds a line; when that is too much, the oldest ones are dropped and counted.
    pub fn line(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        self.lines.push_back(entry);
        while self.bytes > HELD_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.cost();
            // The line's end was a byte too.
            *self.dropped.entry(oldest.label).or_default() += oldest.text.len() as u64 + 1;
        }
    }

    /// Adds a beginning or an end of a run; when that is too much, the oldest one is dropped and counted.
    pub fn record(&mut self, record: Record) {
        self.records.push_back(record);
        if self.records.len() > HELD_RECORDS
            && let Some(oldest) = self.records.pop_front()
        {
            *self.lost.entry(oldest.label().into()).or_default() += 1;
        }
    }

    /// Whether it should be written now.
    pub fn is_full(&self) -> bool {
        self.bytes >= WRITE_BYTES
    }

    /// What was dropped, as lines of the log of each job.
    pub fn notes(&self, time: i64, why: &str) -> VecDeque<Entry> {
        let bytes = self.dropped.iter().map(|(label, bytes)| (label, format!("{bytes} bytes dropped: {why}")));
        let lost = self.lost.iter().map(|(label, lost)| (label, format!("{lost} records of runs dropped: {why}")));
        bytes.chain(lost).map(|(label, text)| own(time, Arc::clone(label), text)).collect()
    }

    /// Forgets everything: it was written.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A line that the supervisor or the logger says.
pub(crate) fn own(time: i64, label: Arc<str>, text: String) -> Entry {
    Entry { time, label, run: None, source: Source::Supervisor, continued: false, text: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, length: usize) -> Entry {
        let text = vec![b'x'; length];
        Entry { time: 0, label: label.into(), run: Some(1), source: Source::Out, continued: false, text }
    }

    fn said(batch: &Batch) -> Vec<String> {
        let text = |entry: Entry| format!("{}: {}", entry.label, String::from_utf8_lossy(&entry.text));
        batch.notes(0, "no room").into_iter().map(text).collect()
    }

    #[test]
    fn sources_have_the_numbers_that_name_them() {
        for (source, name) in SOURCES {
            assert_eq!(Source::name(source.number()), *name);
        }
        assert_eq!(Source::name(9), "unknown");
    }

    #[test]
    fn what_is_too_much_is_dropped_oldest_first_and_counted() {
        let mut batch = Batch::default();
        for label in ["first", "second", "third"] {
            batch.line(entry(label, HELD_BYTES / 2 - LINE_COST));
        }
        assert_eq!(batch.lines.len(), 2);
        assert_eq!(said(&batch), [format!("first: {} bytes dropped: no room", HELD_BYTES / 2 - LINE_COST + 1)]);
        batch.clear();
        assert!(batch.lines.is_empty() && said(&batch).is_empty());
    }

    #[test]
    fn empty_lines_and_records_are_bounded_too() {
        let mut batch = Batch::default();
        for run in 0..HELD_RECORDS as u64 + 3 {
            let began = Began { run, label: "job".into(), causes: Vec::new(), pid: 1, wall_ms: 0 };
            batch.record(Record::Began(began));
        }
        assert_eq!(batch.records.len(), HELD_RECORDS);
        assert_eq!(said(&batch), ["job: 3 records of runs dropped: no room"]);
        for _ in 0..2 * HELD_BYTES / LINE_COST {
            batch.line(entry("job", 0));
        }
        assert_eq!(batch.lines.len(), HELD_BYTES / LINE_COST);
    }
}
