//! The pipes jobs write to, read in turn and never waited for. A pipe brings lines until its last writer is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use wjob_model::record::Attach;

use crate::batch::{Entry, Source};
use crate::lines::Assembler;
use crate::watch::Watch;

/// Most that is read from a pipe in one turn, bytes.
const TURN_BYTES: usize = 64 << 10;
/// Most that is read from a pipe at the end, bytes: what the largest pipe of an ordinary user holds (pipe(7)).
const LAST_BYTES: usize = 1 << 20;
/// The lowest token of a pipe; those below are the caller's.
const FIRST_TOKEN: u64 = 16;

/// All pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pipes: HashMap<u64, Pipe>,
    next: u64,
    buffer: Vec<u8>,
}

impl Pipes {
    /// None yet.
    pub fn new() -> Self {
        Self { pipes: HashMap::new(), next: FIRST_TOKEN, buffer: vec![0; TURN_BYTES] }
    }

    /// Reads one more.
    ///
    /// # Errors
    /// When it is no pipe, or the system refuses.
    pub fn attach(&mut self, watch: &Watch, attach: &Attach, descriptor: OwnedFd) -> io::Result<()> {
        let flags = fcntl_getfl(&descriptor)?;
        fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        watch.add(&descriptor, self.next)?;
        let label = Arc::from(attach.label.as_str());
        let (run, source) = (attach.run, attach.stream.into());
        self.pipes.insert(self.next, Pipe { descriptor, label, run, source, assembler: Assembler::default() });
        self.next += 1;
        Ok(())
    }

    /// Gives one pipe its turn; how many bytes it brought.
    pub fn turn(&mut self, watch: &Watch, token: u64, time: i64, give: &mut impl FnMut(Entry)) -> usize {
        let Some(pipe) = self.pipes.get_mut(&token) else { return 0 };
        match pipe.read(&mut self.buffer, time, give) {
            Read::Some(bytes) => bytes,
            Read::Nothing => 0,
            Read::End => {
                pipe.finish(time, give);
                watch.remove(&pipe.descriptor);
                self.pipes.remove(&token);
                0
            }
        }
    }

    /// Reads what is in the pipes now. It waits for no writer: a line that one has not ended goes on, perhaps for the
    /// logger of the supervisor's next program.
    pub fn drain(&mut self, time: i64, give: &mut impl FnMut(Entry)) {
        for pipe in self.pipes.values_mut() {
            let mut left = LAST_BYTES;
            let last = loop {
                match pipe.read(&mut self.buffer, time, give) {
                    Read::Some(bytes) if bytes < left => left -= bytes,
                    last => break last,
                }
            };
            match last {
                Read::End => pipe.finish(time, give),
                Read::Some(_) | Read::Nothing => pipe.hand_on(time, give),
            }
        }
        self.pipes.clear();
    }
}

/// One pipe.
#[derive(Debug)]
struct Pipe {
    descriptor: OwnedFd,
    label: Arc<str>,
    run: u64,
    source: Source,
    assembler: Assembler,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// So many bytes.
    Some(usize),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Pipe {
    fn read(&mut self, buffer: &mut [u8], time: i64, give: &mut impl FnMut(Entry)) -> Read {
        let length = match rustix::io::read(&self.descriptor, &mut *buffer) {
            Ok(0) => return Read::End,
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Read::Nothing,
            Err(_) => return Read::End,
        };
        let (label, run, source) = (&self.label, self.run, self.source);
        self.assembler
            .push(&buffer[..length], |text, continued| give(entry(label, run, source, time, text, continued)));
        Read::Some(length)
    }

    fn finish(&mut self, time: i64, give: &mut impl FnMut(Entry)) {
        let (label, run, source) = (&self.label, self.run, self.source);
        self.assembler.finish(|text, continued| give(entry(label, run, source, time, text, continued)));
    }

    fn hand_on(&mut self, time: i64, give: &mut impl FnMut(Entry)) {
        let (label, run, source) = (&self.label, self.run, self.source);
        self.assembler.hand_on(|text, continued| give(entry(label, run, source, time, text, continued)));
    }
}

fn entry(label: &Arc<str>, run: u64, source: Source, time: i64, text: &[u8], continued: bool) -> Entry {
    Entry { time, label: Arc::clone(label), run: Some(run), source, continued, text: text.to_vec() }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};
    use wjob_model::record::Stream;

    use super::*;

    struct Scene {
        watch: Watch,
        pipes: Pipes,
        found: Vec<String>,
    }

    impl Scene {
        fn new() -> Self {
            Self { watch: Watch::new().unwrap(), pipes: Pipes::new(), found: Vec::new() }
        }

        fn attach(&mut self, label: &str, stream: Stream) -> OwnedFd {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let attach = Attach { label: label.into(), run: 7, stream };
            self.pipes.attach(&self.watch, &attach, reader).unwrap();
            writer
        }

        /// Gives a turn to every pipe that has something; the number of them, and of the bytes that came.
        fn round(&mut self) -> (usize, usize) {
            let ready = self.watch.wait(Some(std::time::Duration::ZERO)).unwrap();
            let mut brought = 0;
            for token in &ready {
                let found = &mut self.found;
                brought += self.pipes.turn(&self.watch, *token, 0, &mut |entry| found.push(said(&entry)));
            }
            (ready.len(), brought)
        }
    }

    fn said(entry: &Entry) -> String {
        let name = Source::name(entry.source.number());
        format!("{} {name} {}", entry.label, String::from_utf8_lossy(&entry.text))
    }

    #[test]
    fn lines_come_with_their_job_and_stream_and_the_end_ends_the_last() {
        let mut scene = Scene::new();
        let (out, error) = (scene.attach("one", Stream::Out), scene.attach("two", Stream::Error));
        rustix::io::write(&out, b"a\nb").unwrap();
        rustix::io::write(&error, b"c\n").unwrap();
        assert_eq!(scene.round(), (2, "a\nbc\n".len()));
        drop((out, error));
        assert_eq!(scene.round(), (2, 0));
        scene.found.sort();
        assert_eq!(scene.found, ["one out a", "one out b", "two error c"]);
        assert!(scene.pipes.pipes.is_empty());
        assert_eq!(scene.round(), (0, 0), "what has ended is waited for no longer");
    }

    #[test]
    fn draining_waits_for_no_writer_and_a_line_that_is_not_ended_goes_on() {
        let mut scene = Scene::new();
        let _silent = scene.attach("silent", Stream::Out);
        let (busy, gone) = (scene.attach("busy", Stream::Out), scene.attach("gone", Stream::Out));
        for writer in [&busy, &gone] {
            rustix::io::write(writer, b"a line\nhalf a line").unwrap();
        }
        drop(gone);
        let mut found = Vec::new();
        scene.pipes.drain(0, &mut |entry| found.push((said(&entry), entry.continued)));
        found.sort();
        let expected = [("busy", true), ("gone", false)];
        let expected = expected.map(|(label, continued)| {
            [(format!("{label} out a line"), false), (format!("{label} out half a line"), continued)]
        });
        assert_eq!(found, expected.concat());
    }

    #[test]
    fn what_cannot_be_waited_for_is_refused() {
        let mut scene = Scene::new();
        let attach = Attach { label: "x".into(), run: 1, stream: Stream::Out };
        let folder = std::fs::File::open("/").unwrap();
        assert!(scene.pipes.attach(&scene.watch, &attach, folder.into()).is_err());
        assert!(scene.pipes.pipes.is_empty());
    }
}
