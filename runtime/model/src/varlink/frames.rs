//! Cuts a stream of bytes into messages at their NULs, and holds no more of it than one message may be long. It reads
//! from nothing and looks at no byte but the NUL.

use serde::{Deserialize, Serialize};

use super::BadMessage;

/// Bytes that came, and the messages in them. Whoever pushes takes all messages out before pushing again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frames {
    limit: usize,
    held: Vec<u8>,
    /// Where the first message that was not taken yet begins.
    start: usize,
    /// From `start` up to here there is no NUL: a long message is searched once.
    searched: usize,
    /// Something was pushed that there was no room for.
    overflown: bool,
    /// The fault was told; nothing more is taken in.
    closed: bool,
}

impl Frames {
    /// For messages of at most `limit` bytes, their NUL not counted.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), start: 0, searched: 0, overflown: false, closed: false }
    }

    /// Takes bytes in, unless more than the limit is held already.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        self.forget_taken();
        if self.held.len() > self.limit {
            self.overflown = true;
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    /// Whether the last message came in part only.
    pub fn is_partial(&self) -> bool {
        self.held.last().is_some_and(|byte| *byte != 0)
    }

    fn forget_taken(&mut self) {
        self.held.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.held.is_empty() {
            // The room a long message needed is not kept for as long as its sender stays.
            self.held = Vec::new();
        }
    }

    fn close(&mut self) -> BadMessage {
        let limit = self.limit;
        *self = Self { closed: true, ..Self::new(limit) };
        BadMessage::TooLong { limit }
    }
}

impl Iterator for Frames {
    type Item = Result<Vec<u8>, BadMessage>;

    /// The next whole message, without its NUL; `None` until more was pushed. The only fault is
    /// [`BadMessage::TooLong`]: it comes once, after it nothing does, and the connection is to be closed.
    fn next(&mut self) -> Option<Self::Item> {
        let found = self.held[self.searched..].iter().position(|byte| *byte == 0);
        let end = found.map_or(self.held.len(), |offset| self.searched + offset);
        if end - self.start > self.limit || (found.is_none() && self.overflown) {
            return Some(Err(self.close()));
        }
        if found.is_none() {
            self.searched = end;
            self.forget_taken();
            return None;
        }
        let message = self.held[self.start..end].to_vec();
        self.start = end + 1;
        self.searched = self.start;
        Some(Ok(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Taken = Vec<Result<String, BadMessage>>;

    const TOO_LONG: BadMessage = BadMessage::TooLong { limit: 4 };

    /// What is taken out after each push, and whether half a message is left.
    fn taken(limit: usize, pushes: &[&[u8]]) -> (Taken, bool) {
        let mut frames = Frames::new(limit);
        let mut taken = Vec::new();
        for bytes in pushes {
            frames.push(bytes);
            taken.extend(frames.by_ref().map(|message| message.map(|bytes| String::from_utf8(bytes).unwrap())));
            assert!(frames.held.len() <= limit, "{} bytes are kept", frames.held.len());
        }
        (taken, frames.is_partial())
    }

    fn good(messages: &[&str]) -> Taken {
        messages.iter().map(|message| Ok((*message).to_owned())).collect()
    }

    #[test]
    fn every_split_of_a_stream_gives_the_same_messages() {
        for (stream, expected, partial) in [
            ("{\"a\":1}\0", vec!["{\"a\":1}"], false),
            ("{}\0[]\0", vec!["{}", "[]"], false),
            ("\0\0ä\0", vec!["", "", "ä"], false),
            ("{}\0{\"a\"", vec!["{}"], true),
        ] {
            let bytes = stream.as_bytes();
            for first in 0..=bytes.len() {
                let (one, two) = bytes.split_at(first);
                assert_eq!(taken(64, &[one, two]), (good(&expected), partial), "{stream:?} split at {first}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(taken(64, &single), (good(&expected), partial), "{stream:?} byte by byte");
        }
    }

    #[test]
    fn the_limit_holds_and_is_told_once() {
        let after = |messages: &[&str]| [good(messages), vec![Err(TOO_LONG)]].concat();
        for (pushes, expected) in [
            (vec!["abcd\0"], good(&["abcd"])),
            (vec!["abc", "d", "\0"], good(&["abcd"])),
            (vec!["abcde\0"], after(&[])),
            (vec!["abcde"], after(&[])),
            (vec!["abcd", "e", "f\0", "a\0"], after(&[])),
            (vec!["a\0abcde\0b\0"], after(&["a"])),
            (vec!["a\0b\0c\0d\0e\0"], good(&["a", "b", "c", "d", "e"])),
        ] {
            let pushes: Vec<&[u8]> = pushes.iter().map(|push| push.as_bytes()).collect();
            assert_eq!(taken(4, &pushes), (expected, false), "{pushes:?}");
        }
    }

    #[test]
    fn pushing_on_without_taking_ends_in_the_fault_and_not_in_memory() {
        let mut frames = Frames::new(4);
        for _ in 0..100 {
            frames.push(b"a\0b\0c\0");
        }
        assert_eq!(frames.held.len(), 6);
        let taken: Taken = frames.by_ref().map(|message| message.map(|_| String::new())).collect();
        assert_eq!(taken, [good(&["", "", ""]), vec![Err(TOO_LONG)]].concat());
        frames.push(b"a\0");
        assert!(frames.next().is_none() && !frames.is_partial());
    }
}
