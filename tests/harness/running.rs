//! A started process with its output gathered, and what it came to. It judges nothing but what a test asks.

use wjob_sdk::harness::{Gathered, Waited};

use super::*;

/// What came out of a descriptor so far. Nothing is waited for longer than patience lasts.
#[derive(Clone, Default)]
pub struct Stream(Gathered);

impl Stream {
    /// Gathers until the end; an error (a terminal whose other side is closed) is an end too.
    pub fn of(source: impl Read + Send + 'static) -> Self {
        Self(Gathered::of(source))
    }

    /// Waits until the text has come; false if the end came before it.
    fn wait_for(&self, text: &str) -> bool {
        self.0.wait(PATIENCE, |said| said.contains(text)) == Waited::Come
    }

    /// Waits until the text has come so many times; false if the end came before it.
    fn wait_for_times(&self, text: &str, times: usize) -> bool {
        self.0.wait(PATIENCE, |said| said.matches(text).count() >= times) == Waited::Come
    }

    /// What there is by now, as text.
    fn so_far(&self) -> String {
        self.0.text()
    }

    /// All of it.
    pub fn whole(&self) -> Vec<u8> {
        self.0.wait(PATIENCE, |_| false);
        self.0.bytes()
    }
}

/// A started process whose output is being gathered. One that a failed test leaves is killed.
pub struct Running {
    child: Child,
    ended: bool,
    words: String,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

impl Running {
    /// Starts a command with nothing on standard input.
    pub fn start(command: Command) -> Self {
        Self::start_with_input(command, b"")
    }

    /// Starts a command with these bytes on standard input, through a pipe.
    pub fn start_with_input(mut command: Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Self::start_as_it_is(command);
        let stdin = running.child.stdin.take();
        let input = input.to_vec();
        // A program that does not read all of it closes the pipe, which is its right.
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        running
    }

    /// Starts a command whose stdio is set already; what is a pipe is gathered.
    pub fn start_as_it_is(mut command: Command) -> Self {
        let words = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{words}: {error}"));
        let stdout = child.stdout.take().map(Stream::of);
        let stderr = child.stderr.take().map(Stream::of);
        Self { child, ended: false, words, stdout, stderr }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).unwrap_or_else(|error| panic!("{}: {error}", self.words));
    }

    /// Waits until it has written this to standard output.
    #[track_caller]
    pub fn wait_for_output(&self, text: &str) {
        let said = self.stdout.as_ref().is_some_and(|stream| stream.wait_for(text));
        assert!(said, "{}: {text:?} did not come on standard output", self.words);
    }

    /// Waits until it has written this to standard error.
    #[track_caller]
    pub fn wait_for_complaint(&self, text: &str) {
        let said = self.stderr.as_ref().is_some_and(|stream| stream.wait_for(text));
        assert!(said, "{}: {text:?} did not come on standard error; there is\n{}", self.words, self.complaints());
    }

    /// Waits until it has written this to standard error so many times.
    #[track_caller]
    pub fn wait_for_complaint_times(&self, text: &str, times: usize) {
        let said = self.stderr.as_ref().is_some_and(|stream| stream.wait_for_times(text, times));
        assert!(said, "{}: {text:?} did not come {times} times; there is\n{}", self.words, self.complaints());
    }

    /// What it has written to standard error by now.
    pub fn complaints(&self) -> String {
        self.stderr.as_ref().map(Stream::so_far).unwrap_or_default()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let in_time = wait_for_end(&pidfd(self.child.id()));
        if !in_time {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("the status of a child");
        self.ended = true;
        let all = |stream: &Option<Stream>| stream.as_ref().map(Stream::whole).unwrap_or_default();
        let ran = Ran {
            words: self.words.clone(),
            status: status.code().unwrap_or_else(|| -status.signal().unwrap_or_default()),
            stdout: all(&self.stdout),
            stderr: String::from_utf8_lossy(&all(&self.stderr)).into_owned(),
        };
        assert!(in_time, "it hung and was killed\n{}", ran.described());
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A process number as the system calls want it.
pub fn pid(number: u32) -> Pid {
    i32::try_from(number).ok().and_then(Pid::from_raw).expect("a process number")
}

/// A descriptor of a process that is there.
pub fn pidfd(number: u32) -> OwnedFd {
    pidfd_open(pid(number), PidfdFlags::empty()).unwrap_or_else(|error| panic!("process {number}: {error}"))
}

/// Waits until a process is gone; false if it still was there when patience ended.
pub fn wait_for_end(process: &OwnedFd) -> bool {
    let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)], Some(&patience)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return matches!(result, Ok(1..)),
        }
    }
}

/// What a run came to.
pub struct Ran {
    words: String,
    /// The exit status; a signal that ended the process itself is negative.
    pub status: i32,
    /// Every byte.
    pub stdout: Vec<u8>,
    /// As text.
    pub stderr: String,
}

impl Ran {
    /// Standard output as text.
    pub fn output(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// All of it, for the message of a failed test.
    pub fn described(&self) -> String {
        let Self { words, status, stderr, .. } = self;
        format!("{words}\nstatus: {status}\nstandard output:\n{}\nstandard error:\n{stderr}", self.output())
    }

    /// It ended with this status.
    #[track_caller]
    pub fn exits(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "another status was expected\n{}", self.described());
        self
    }

    /// This is in its standard output.
    #[track_caller]
    pub fn says(&self, part: impl Display) -> &Self {
        let part = part.to_string();
        assert!(self.output().contains(&part), "{part:?} was expected on standard output\n{}", self.described());
        self
    }

    /// This is all of its standard output.
    #[track_caller]
    pub fn says_only(&self, whole: impl Display) -> &Self {
        assert_eq!(self.output(), whole.to_string(), "another output was expected\n{}", self.described());
        self
    }

    /// This is in its standard error.
    #[track_caller]
    pub fn complains(&self, part: impl Display) -> &Self {
        let part = part.to_string();
        assert!(self.stderr.contains(&part), "{part:?} was expected on standard error\n{}", self.described());
        self
    }

    /// This is not in its standard error.
    #[track_caller]
    pub fn does_not_complain(&self, part: impl Display) -> &Self {
        let part = part.to_string();
        assert!(!self.stderr.contains(&part), "{part:?} was not expected on standard error\n{}", self.described());
        self
    }
}
