//! `wjob keys [KEY]`: the registry of job file keys, as a table or one key in full.
//! Every word of it is model's; a key cannot be described here differently from how it is parsed.

use std::process::ExitCode;

use serde_json::{Value, json};
use wjob_model::keys::{self, Class, Key};
use wjob_model::status::Status;

use crate::render;

/// What `wjob keys` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A key's name or path, as in SuccessfulExit or KeepAlive.SuccessfulExit; without it all are listed
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Print one JSON object per key and line
    #[arg(long)]
    json: bool,
}

/// Prints the table, or every key of the name asked for.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let found = match &arguments.key {
        Some(name) => named(name),
        None => keys::all().iter().collect(),
    };
    if let (Some(name), []) = (&arguments.key, found.as_slice()) {
        render::complain_text(&(unknown(name) + "\n"));
        return Ok(ExitCode::from(Status::Usage.code()));
    }
    let text: String = if arguments.json {
        found.iter().map(|key| format!("{}\n", object(key))).collect()
    } else if arguments.key.is_some() {
        found.iter().map(|key| in_full(key)).collect::<Vec<_>>().join("\n")
    } else {
        table(&found)
    };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The key of this path; else all of this name in any dictionary; letter case only tells them apart.
fn named(name: &str) -> Vec<&'static Key> {
    if let Some(key) = keys::find(name) {
        return vec![key];
    }
    let all = || keys::all().iter();
    let exact: Vec<_> = all().filter(|key| key.name() == name).collect();
    if !exact.is_empty() {
        return exact;
    }
    let same = |text: &str| text.eq_ignore_ascii_case(name);
    all().filter(|key| same(key.path) || same(key.name())).collect()
}

fn unknown(name: &str) -> String {
    let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
    let nearest = keys::nearest(parent, last)
        .map_or_else(|| "`wjob keys` lists all keys".to_owned(), |key| format!("the nearest is {}", key.path));
    format!("wjob: there is no key {}; {nearest}", render::escape(name))
}

fn table(found: &[&Key]) -> String {
    let width = found.iter().map(|key| key.path.len()).max().unwrap_or(0);
    let mut text = String::new();
    for class in [Class::Honoured, Class::Adapted, Class::Noted] {
        if !text.is_empty() {
            text.push('\n');
        }
        text += heading(class);
        text.push('\n');
        for key in found.iter().filter(|key| key.class == class) {
            text += &line(key, width);
        }
    }
    text
}

fn line(key: &Key, width: usize) -> String {
    format!("  {:<width$}  {:<18}  {}\n", key.path, key.available.words(), key.kind.words())
}

/// A class in words, for the table's headings and the manual page's.
pub fn heading(class: Class) -> &'static str {
    match class {
        Class::Honoured => "honoured: as launchd documents it, or a key of wjob's own",
        Class::Adapted => "adapted: with a meaning of its own on Linux",
        Class::Noted => "noted: on macOS only; `wjob check` says so and nothing happens",
    }
}

fn in_full(key: &Key) -> String {
    let mut text = format!("{}\n  {}\n\n", key.path, key.summary);
    for (name, value) in [
        ("value", key.kind.words().as_str()),
        ("class", heading(key.class)),
        ("since", key.since),
        ("acted on by", key.available.words()),
    ] {
        text += &format!("  {name:<13}{value}\n");
    }
    let items = format!("{}.*", key.path);
    for child in keys::children(key.path).chain(keys::children(&items)) {
        text += &format!("  .{:<32}{}\n", child.name(), child.kind.words());
    }
    text
}

fn object(key: &Key) -> Value {
    json!({
        "path": key.path,
        "type": key.kind.words(),
        "class": key.class,
        "since": key.since,
        "available": key.available,
        "summary": key.summary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_path_and_by_name() {
        for (name, expected) in [
            ("Label", "Label"),
            ("label", "Label"),
            ("KeepAlive.SuccessfulExit", "KeepAlive.SuccessfulExit"),
            ("SuccessfulExit", "KeepAlive.SuccessfulExit"),
        ] {
            let paths: Vec<_> = named(name).iter().map(|key| key.path).collect();
            assert_eq!(paths, [expected], "{name}");
        }
        assert!(named("NoSuchKey").is_empty());
        assert!(unknown("WatchPath").contains("WatchPaths"));
    }

    #[test]
    fn every_key_is_in_the_table_and_in_full() {
        let all: Vec<_> = keys::all().iter().collect();
        let table = table(&all);
        for key in all {
            assert!(table.contains(key.path), "{}", key.path);
            assert!(in_full(key).contains(key.summary), "{}", key.path);
        }
    }
}
