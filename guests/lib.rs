//! What all guests share: reading arguments, telling the outcome in one line, leaving with a status.
//! It holds no authority and tries none; each probe does that by itself.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// The status of a probe that got what it asked for.
const GRANTED: u8 = 0;
/// The status of a program that was called wrongly, or that only makes sense as a guest.
const MISUSED: u8 = 2;
/// The status of a probe that was refused.
const DENIED: u8 = 3;

/// How long a probe waits for somebody's answer.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks for an answer.
const PAUSE: Duration = Duration::from_millis(5);
/// How many bytes of a file or an answer a probe shows.
const SHOWN: usize = 200;

/// Prints exactly one line that says what came of `what`, and leaves with status 0 or 3.
pub fn report(what: &str, result: Result<String, String>) -> ! {
    let (line, status) = outcome(what, result);
    // If standard output is gone, the status still tells.
    let _ = writeln!(io::stdout(), "{line}");
    exit(status)
}

/// As [`report`], on standard error: for probes whose standard output is what they are tested for.
pub fn report_aside(what: &str, result: Result<String, String>) -> ! {
    let (line, status) = outcome(what, result);
    let _ = writeln!(io::stderr(), "{line}");
    exit(status)
}

/// The line and the status for one result.
fn outcome(what: &str, result: Result<String, String>) -> (String, u8) {
    match result {
        Ok(detail) => (format!("granted: {what}: {}", one_line(&detail)), GRANTED),
        Err(error) => (format!("denied: {what}: {}", one_line(&error)), DENIED),
    }
}

/// The text with control characters written out, so that it stays on one line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Leaves with a status. `std::process::exit` would turn every failure of a component into 1.
pub fn exit(status: u8) -> ! {
    let _ = io::stdout().flush();
    #[cfg(target_arch = "wasm32")]
    wasip2::cli::exit::exit_with_code(status);
    std::process::exit(i32::from(status))
}

/// Says how the program is called, and leaves with status 2.
pub fn misuse(message: &str) -> ! {
    let _ = writeln!(io::stderr(), "usage: {message}");
    exit(MISUSED)
}

/// The main function of a guest that has nothing to do outside WebAssembly.
pub fn only_a_guest(name: &str) -> ! {
    let _ = writeln!(io::stderr(), "{name} is a guest: build it for wasm32-wasip2 and run it with wjob");
    exit(MISUSED)
}

/// The argument at `position` (the first is 1), if there is one.
pub fn optional_argument(position: usize) -> Option<String> {
    let argument = env::args_os().nth(position)?;
    match argument.into_string() {
        Ok(text) => Some(text),
        Err(_) => misuse(&format!("argument {position} must be UTF-8")),
    }
}

/// The argument at `position` (the first is 1), called `name` if it is missing.
pub fn argument(position: usize, name: &str) -> String {
    match optional_argument(position) {
        Some(text) => text,
        None => misuse(&format!("argument {position}, {name}, is missing")),
    }
}

/// The argument at `position` as a number.
pub fn number<Number: FromStr>(position: usize, name: &str) -> Number
where
    Number::Err: Display,
{
    let text = argument(position, name);
    match text.parse() {
        Ok(number) => number,
        Err(error) => misuse(&format!("{name} cannot be `{text}`: {error}")),
    }
}

/// The length of some bytes and their beginning in quotes.
pub fn show(bytes: &[u8]) -> String {
    let beginning = &bytes[..bytes.len().min(SHOWN)];
    let text = String::from_utf8_lossy(beginning);
    format!("{} bytes: {text:?}", bytes.len())
}

/// Turns an error of the system into the text of a report.
pub fn told<Value>(result: io::Result<Value>) -> Result<Value, String> {
    result.map_err(|error| error.to_string())
}

/// Repeats a non-blocking attempt until it succeeds, fails, or [`PATIENCE`] has passed.
/// Read timeouts of sockets are not used because not every libc for WASI has them.
pub fn patiently<Value>(mut attempt: impl FnMut() -> io::Result<Value>) -> io::Result<Value> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            settled => return settled,
        }
        if start.elapsed() >= PATIENCE {
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(PAUSE);
    }
}
