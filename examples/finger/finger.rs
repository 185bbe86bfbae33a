//! Answers a question of the finger protocol (RFC 1288): a user's name comes on standard input, and what that user
//! plans goes to standard output. The plans are the files of one folder, one for each user. It asks no other machine
//! and does not know which accounts there are.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

/// Where the plans are, as the job sees it.
const PLANS: &str = "/plans";
/// The longest question that is read.
const LONGEST: u64 = 512;

fn main() -> ExitCode {
    match answer(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("finger: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads one question and answers it.
fn answer(question: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    question.take(LONGEST).read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line);
    for text in lines(name(&line)) {
        write!(output, "{text}\r\n")?;
    }
    output.flush()
}

/// The user who is asked about; `/W` in front asks for more, and there is no more here.
fn name(line: &str) -> &str {
    let line = line.trim();
    match line.strip_prefix("/W") {
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

/// What is said about a user, or who there is when nobody was named.
fn lines(name: &str) -> Vec<String> {
    let found = match name {
        "" => users(),
        _ if !is_plain(name) => None,
        _ => plan(name),
    };
    found.unwrap_or_else(|| vec![format!("{}: no such user.", name.escape_default())])
}

/// Whether a name can only be that of a file in the folder itself. The grant keeps the job in the folder in any case;
/// this keeps questions about other places from being asked at all.
fn is_plain(name: &str) -> bool {
    !name.contains('/') && !name.contains("..")
}

/// The lines of a plan.
fn plan(name: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(Path::new(PLANS).join(name)).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// Those who have a plan.
fn users() -> Option<Vec<String>> {
    let entries = fs::read_dir(PLANS).ok()?;
    let mut users: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    users.sort();
    Some(users)
}
