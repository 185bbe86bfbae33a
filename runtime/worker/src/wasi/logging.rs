//! `wasi:logging/logging`, in whatever version it is imported: each message is a line on the job's standard error, of the
//! form that the SDK's own logging has. Nothing is filtered or kept here, because that is for whoever reads the log; the
//! limits on output count it.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;

use tokio::io::AsyncWrite;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker};

use crate::state::State;

/// How the names begin under which it is imported.
pub const INTERFACE: &str = "wasi:logging/logging";

/// Where the lines go.
pub type Log = Pin<Box<dyn AsyncWrite + Send + Sync>>;

/// Longest context or message that is written whole, bytes: a guest's memory is much, and a line of a log is little.
const LONGEST: usize = 16 << 10;

/// What a guest calls the weight of a message.
#[allow(dead_code, reason = "made of a guest's number, which the derived code does without naming them")]
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Links it under the name by which a component imports it.
///
/// # Errors
/// When it is there already and the linker does not allow shadowing.
pub fn add_to_linker(linker: &mut Linker<State>, import: &str) -> wasmtime::Result<()> {
    linker.instance(import)?.func_wrap_async("log", log)
}

type Logged<'a> = Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'a>;

fn log(mut store: StoreContextMut<'_, State>, (level, context, message): (Level, String, String)) -> Logged<'_> {
    Box::new(async move {
        let line = line(level, &context, &message);
        match write_all(&mut store.data_mut().log, line.as_bytes()).await {
            Err(error) if is_limit(&error) => Err(wasmtime::Error::msg("the limit OutputSize is reached")),
            // A guest is not told that nobody reads its log, and goes on.
            Ok(()) | Err(_) => Ok(()),
        }
    })
}

/// Whether an error is the limit's, and not that of a disk that is full.
fn is_limit(error: &io::Error) -> bool {
    error.kind() == ErrorKind::StorageFull && error.raw_os_error().is_none()
}

async fn write_all(log: &mut Log, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|context| log.as_mut().poll_write(context, bytes)).await?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// A message as one line, its end included: a stranger's text must not look like a line of its own.
fn line(level: Level, context: &str, message: &str) -> String {
    let between = if context.is_empty() { "" } else { ": " };
    let text = format!("<{}> {}{between}{}", level.word(), shown(context), shown(message));
    text.replace('\r', "\\r").replace('\n', "\\n") + "\n"
}

/// The text, or its beginning and how much is left out.
fn shown(text: &str) -> String {
    let beginning = &text[..text.floor_char_boundary(LONGEST)];
    match text.len() - beginning.len() {
        0 => text.to_owned(),
        rest => format!("{beginning} ({rest} more bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_with_its_level_and_context() {
        for (level, context, message, expected) in [
            (Level::Warn, "net", "nobody answers", "<warn> net: nobody answers\n"),
            (Level::Critical, "", "", "<critical> \n"),
            (Level::Info, "a\n<error> b", "c\r\nd", "<info> a\\n<error> b: c\\r\\nd\n"),
        ] {
            assert_eq!(line(level, context, message), expected);
        }
        for level in [Level::Trace, Level::Debug, Level::Error] {
            assert!(line(level, "a", "b").ends_with("> a: b\n"));
        }
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let letters = "\u{e9}".repeat(LONGEST / 2);
        for (text, expected) in [
            (letters.clone(), letters.clone()),
            (format!("{letters}abc"), format!("{letters} (3 more bytes)")),
            (format!("x{letters}"), format!("x{} (2 more bytes)", &letters[2..])),
        ] {
            assert!(shown(&text) == expected, "{} bytes", text.len());
        }
    }

    #[test]
    fn only_the_limit_is_the_limit() {
        let full = rustix::io::Errno::NOSPC.raw_os_error();
        for (error, expected) in [
            (ErrorKind::StorageFull.into(), true),
            (io::Error::from_raw_os_error(full), false),
            (ErrorKind::BrokenPipe.into(), false),
        ] {
            assert_eq!(is_limit(&error), expected, "{error}");
        }
    }
}
