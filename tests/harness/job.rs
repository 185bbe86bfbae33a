//! Job files written from values: one method for each kind of line a test needs. It runs nothing.

use super::*;

/// A job in the making.
#[derive(Clone)]
pub struct Job(pub(super) Dictionary);

impl Job {
    /// A job of a program, by its path, and its arguments.
    pub fn new(program: &str, arguments: &[&str]) -> Self {
        let words = std::iter::once(&program).chain(arguments);
        Self(Dictionary::new()).with("Label", LABEL).with("ProgramArguments", texts(words.copied()))
    }

    /// A job of a guest.
    pub fn guest(name: &str, arguments: &[&str]) -> Self {
        Self::new(&guest(name), arguments)
    }

    /// A native job: a script for the shell.
    pub fn shell(script: &str) -> Self {
        Self::new("/bin/sh", &["-c", script])
    }

    /// A job that has a label and nothing else yet.
    pub fn bare() -> Self {
        Self(Dictionary::new()).with("Label", LABEL)
    }

    /// Sets a key.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// Sets a key of a dictionary.
    pub fn with_in(mut self, dictionary: &str, key: &str, value: impl Into<Value>) -> Self {
        self.inner(dictionary).insert(key.into(), value.into());
        self
    }

    /// Sets a limit.
    pub fn limit(self, key: &str, value: u64) -> Self {
        self.with_in("Limits", key, value)
    }

    /// Adds to a list of grants.
    pub fn grant(mut self, key: &str, value: impl Into<Value>) -> Self {
        let grants = self.inner("Grants");
        let mut list = grants.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.push(value.into());
        grants.insert(key.into(), Value::Array(list));
        self
    }

    /// Grants a path of the host at a place of the job's view.
    pub fn path(self, host: &str, guest: &str, access: &str) -> Self {
        let entry: Dictionary = [("Path", host), ("GuestPath", guest), ("Access", access)].into_iter().collect();
        self.grant("Paths", entry)
    }

    fn inner(&mut self, key: &str) -> &mut Dictionary {
        if !self.0.contains_key(key) {
            self.0.insert(key.into(), Value::Dictionary(Dictionary::new()));
        }
        self.0.get_mut(key).and_then(Value::as_dictionary_mut).expect("a dictionary")
    }
}

/// A list of strings as a value.
pub fn texts<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(words.into_iter().map(Value::from).collect())
}
