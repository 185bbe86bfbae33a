//! Counts the words of all `*.txt` files in one folder and writes the counts to `counts.txt` in another.
//! Which folders of the host these are is decided by the job's grants alone; it reads no folders inside them.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How often each word occurs.
type Counts = BTreeMap<String, usize>;

fn main() -> ExitCode {
    let texts = folder(1, "/texts");
    let result = folder(2, "/result");
    match count(&texts, &result) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("wordcount: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder an argument names, or the usual one.
fn folder(position: usize, usual: &str) -> PathBuf {
    match env::args_os().nth(position) {
        Some(argument) => PathBuf::from(argument),
        None => PathBuf::from(usual),
    }
}

/// Does the whole work and sums it up in one line.
fn count(texts: &Path, result: &Path) -> Result<String, String> {
    let files = text_files(texts)?;
    let mut counts = Counts::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
        add_words(&text, &mut counts);
    }
    let output = result.join("counts.txt");
    fs::write(&output, table(&counts)).map_err(|error| cannot("write", &output, &error))?;
    let words: usize = counts.values().sum();
    Ok(format!("{words} words, {} different, in {} texts", counts.len(), files.len()))
}

/// The text files of a folder.
fn text_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("list", folder, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot("list", folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Adds each word of a text, in lower case. An apostrophe belongs to a word only in its middle.
fn add_words(text: &str, counts: &mut Counts) {
    let outside = |character: char| !character.is_alphanumeric() && character != '\'';
    for piece in text.split(outside) {
        let word = piece.trim_matches('\'').to_lowercase();
        if !word.is_empty() {
            *counts.entry(word).or_default() += 1;
        }
    }
}

/// One line for each word: its count, a space and the word; the most frequent first, then by word.
fn table(counts: &Counts) -> String {
    let mut rows: Vec<_> = counts.iter().collect();
    // The rows are in the order of the words, and this sort keeps it among equals.
    rows.sort_by(|first, second| second.1.cmp(first.1));
    let mut table = String::new();
    for (word, count) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{count} {word}");
    }
    table
}

/// The message for something that did not work.
fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}
