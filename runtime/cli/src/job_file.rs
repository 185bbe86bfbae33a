//! Reads job files for the verbs that take one: bounded, without waiting, with paths relative to the file's folder.
//! What the text means is the model's business.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::OFlags;
use wjob_model::plist::MAX_BYTES;
use wjob_model::spec::{self, Loaded};

/// One byte more than a job file may have, so that the loader sees that there is more.
const READ_AT_MOST: u64 = MAX_BYTES as u64 + 1;

/// Reads a job file, `-` being standard input. Opening does not wait: a FIFO is no job file.
///
/// # Errors
/// In words, when there is no such file or it is none.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, String> {
    if file == Path::new("-") {
        return bounded(std::io::stdin().lock());
    }
    bounded(open(file)?)
}

/// Opens a regular file without waiting.
pub(crate) fn open(file: &Path) -> Result<File, String> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened =
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(file).map_err(cannot_read)?;
    if !opened.metadata().map_err(cannot_read)?.is_file() {
        return Err("it is not a regular file".into());
    }
    Ok(opened)
}

fn bounded(source: impl Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    source.take(READ_AT_MOST).read_to_end(&mut text).map_err(cannot_read)?;
    Ok(text)
}

fn cannot_read(error: std::io::Error) -> String {
    format!("it cannot be read: {error}")
}

/// Loads the text as a job of the caller's, with paths relative to the file's folder.
pub(crate) fn load(file: &Path, text: &[u8]) -> anyhow::Result<Loaded> {
    let file = std::path::absolute(file).with_context(|| format!("cannot find the folder of {}", file.display()))?;
    let folder = file.parent().unwrap_or(&file).to_string_lossy();
    let home = home();
    let context = spec::Context { folder: &folder, home: &home, uid: rustix::process::geteuid().as_raw() };
    Ok(spec::load(text, &context))
}

/// The caller's home.
pub(crate) fn home() -> String {
    std::env::var("HOME").ok().filter(|home| home.starts_with('/')).unwrap_or_else(|| "/".into())
}

/// Who else could have written a job file: the first component up to the root that somebody other than the caller
/// and root can change. `wjob run` warns of it; loading into a supervisor refuses it.
pub(crate) fn changeable_by_others(file: &Path) -> Option<String> {
    let file = std::fs::canonicalize(file).ok()?;
    let caller = rustix::process::geteuid().as_raw();
    file.ancestors().find_map(|part| {
        let status = std::fs::metadata(part).ok()?;
        let name = part.display();
        if status.uid() != 0 && status.uid() != caller {
            return Some(format!("{name} belongs to user {}", status.uid()));
        }
        // In a sticky directory others cannot replace what is not theirs.
        let sticky = status.is_dir() && status.mode() & 0o1000 != 0;
        let open = status.mode() & 0o022 != 0 && !sticky;
        open.then(|| format!("{name} can be changed by others (mode {:o})", status.mode() & 0o7777))
    })
}
