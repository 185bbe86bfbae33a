//! The lists of system calls as their source has them: which calls, in which list, for which reason. They are read as
//! text, so that nothing of wjob has to be built for it. Which lists make up a filter is `filter`'s business.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

use crate::cargo;

/// Where the lists of what is allowed are. Native programs have a list of what is refused, of which nothing is to be
/// seen; it is not among these.
const SOURCES: [&str; 3] = [
    "runtime/sandbox/src/syscalls/process.rs",
    "runtime/sandbox/src/syscalls/wasm.rs",
    "runtime/sandbox/src/syscalls/helpers.rs",
];

/// One system call of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The list's name.
    pub list: String,
    /// The call's.
    pub call: String,
    /// Who makes it, and for what.
    pub why: String,
}

/// All entries, in their order.
pub struct Lists(Vec<Entry>);

impl Lists {
    /// Those of the repository.
    pub fn read() -> anyhow::Result<Self> {
        let mut entries = Vec::new();
        for source in SOURCES {
            let text =
                fs::read_to_string(cargo::root().join(source)).with_context(|| format!("cannot read {source}"))?;
            entries.extend(parse(&text).with_context(|| format!("{source} is not understood"))?);
        }
        Ok(Self(entries))
    }

    /// What lists allow together, by call: a later entry takes the place of an earlier one.
    pub fn together(&self, names: &[&str]) -> BTreeMap<&str, &Entry> {
        let of = |name: &&str| {
            let name = (*name).to_owned();
            self.0.iter().filter(move |entry| entry.list == name)
        };
        names.iter().flat_map(of).map(|entry| (entry.call.as_str(), entry)).collect()
    }

    /// All entries.
    #[cfg(test)]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

/// The entries of `const NAME: &[Entry] = &[entry!(CALL, ARGUMENTS, "WHY"), ...];`.
fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (name, rest) in text.split("const ").filter_map(|part| part.split_once(": &[Entry] = &[")) {
        let (body, _) = rest.split_once("];").with_context(|| format!("the list {name} has no end"))?;
        for words in body.split("entry!(").skip(1) {
            entries.push(entry(name, words).with_context(|| format!("an entry of the list {name}: {words}"))?);
        }
    }
    anyhow::ensure!(!entries.is_empty(), "it has no list");
    Ok(entries)
}

fn entry(list: &str, words: &str) -> Option<Entry> {
    let (call, rest) = words.split_once(',')?;
    let why = rest.split('"').nth(1)?;
    Some(Entry { list: list.to_owned(), call: call.trim().to_owned(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_whatever_their_lines() {
        let text = "/// One.\npub(super) const ONE: &[Entry] = &[\n    entry!(read, Any, \"stdio, files\"),\n    entry!(\n        \
                    mmap,\n        NotExecutable,\n        \"memories; stacks\"\n    ),\n];\nconst NOT: u8 = 1;\n\
                    pub(super) const TWO: &[Entry] = &[entry!(bind, Any, \"a\")];\n";
        let read = parse(text).expect("lists");
        let told: Vec<String> = read.iter().map(|Entry { list, call, why }| format!("{list} {call} {why}")).collect();
        assert_eq!(told, ["ONE read stdio, files", "ONE mmap memories; stacks", "TWO bind a"]);
        assert!(parse("fn main() {}").is_err());
    }

    #[test]
    fn no_entry_of_the_source_is_left_out() {
        let written = |source: &str| {
            let text = fs::read_to_string(cargo::root().join(source)).expect("a source");
            text.matches("entry!(").count()
        };
        let lists = Lists::read().expect("the lists");
        assert_eq!(lists.entries().len(), SOURCES.into_iter().map(written).sum::<usize>());
    }

    #[test]
    fn a_later_list_takes_the_place_of_an_earlier_one() {
        let entry = |list: &str, call: &str| Entry { list: list.into(), call: call.into(), why: "x".into() };
        let lists = Lists(vec![entry("ONE", "read"), entry("ONE", "mmap"), entry("TWO", "mmap"), entry("OFF", "bind")]);
        let together = lists.together(&["ONE", "TWO"]);
        let told: Vec<(&str, &str)> = together.iter().map(|(call, entry)| (*call, entry.list.as_str())).collect();
        assert_eq!(told, [("mmap", "TWO"), ("read", "ONE")]);
    }
}
