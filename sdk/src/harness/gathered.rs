//! What a process wrote, gathered by a thread of its own, so that the process never waits for a reader and a test can
//! look at any moment.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What came out of a stream until now.
///
/// ```
/// use std::time::Duration;
///
/// use wjob_sdk::harness::{Gathered, Waited};
///
/// let gathered = Gathered::of(&b"one\ntwo\n"[..]);
/// let waited = gathered.wait(Duration::from_secs(60), |text| text.contains("two"));
/// assert_eq!(waited, Waited::Come);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gathered(Arc<(Mutex<Held>, Condvar)>);

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    ended: bool,
}

/// How a wait for something in a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It has come.
    Come,
    /// The stream ended without it.
    Ended,
    /// The time was up.
    Late,
}

impl Gathered {
    /// Gathers until the end; an error is an end too.
    pub fn of(mut source: impl Read + Send + 'static) -> Self {
        let gathered = Self::default();
        let own = gathered.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                let length = source.read(&mut piece).unwrap_or(0);
                own.add(&piece[..length]);
                if length == 0 {
                    break;
                }
            }
        });
        gathered
    }

    fn add(&self, piece: &[u8]) {
        let (held, changed) = &*self.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes.extend_from_slice(piece);
        held.ended = piece.is_empty();
        changed.notify_all();
    }

    /// All until now.
    pub fn bytes(&self) -> Vec<u8> {
        let (held, _) = &*self.0;
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes.clone()
    }

    /// All until now, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until the text is enough, or no more can come.
    pub fn wait(&self, patience: Duration, enough: impl Fn(&str) -> bool) -> Waited {
        let is_enough = |held: &Held| enough(&String::from_utf8_lossy(&held.bytes));
        let (held, changed) = &*self.0;
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, _) = changed
            .wait_timeout_while(held, patience, |held| !held.ended && !is_enough(held))
            .unwrap_or_else(PoisonError::into_inner);
        match is_enough(&held) {
            true => Waited::Come,
            false if held.ended => Waited::Ended,
            false => Waited::Late,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::{Gathered, Waited};

    /// Longest wait for what is sure to come.
    const PATIENCE: Duration = Duration::from_secs(120);

    #[test]
    fn a_wait_ends_with_what_it_is_for_with_the_stream_or_with_its_time() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let gathered = Gathered::of(reader);
        writer.write_all(b"one\n").expect("a reader");
        assert_eq!(gathered.wait(PATIENCE, |text| text.contains("one")), Waited::Come);
        assert_eq!(gathered.wait(Duration::from_millis(1), |text| text.contains("two")), Waited::Late);
        writer.write_all(b"two").expect("a reader");
        drop(writer);
        assert_eq!(gathered.wait(PATIENCE, |text| text.contains("three")), Waited::Ended);
        assert_eq!(gathered.text(), "one\ntwo");
    }
}
