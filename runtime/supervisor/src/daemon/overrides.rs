//! The overrides store: which labels were enabled or disabled, kept over restarts and over the life of the jobs. It is
//! written whole, beside its place and renamed, so that a crash leaves the old one or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Its file in the state directory.
const NAME: &str = "overrides.json";
/// Most labels kept: nobody decides about more by hand.
const MOST: usize = 100_000;

/// Why the store cannot be read or written.
#[derive(Debug, Error)]
pub enum OverridesError {
    /// It is there and says nothing that makes sense. Guessing would enable what somebody disabled.
    #[error("{path}: {why}; expected an object of labels and booleans; correct it or remove it")]
    Damaged {
        /// Its path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    System {
        /// Its path.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It is full.
    #[error("more than {MOST} labels have been enabled or disabled; remove some from the store")]
    Full,
}

/// The store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overrides {
    path: PathBuf,
    labels: BTreeMap<String, bool>,
}

impl Overrides {
    /// Reads it; a missing one is empty.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn open(state: &Path) -> Result<Self, OverridesError> {
        let path = state.join(NAME);
        let name = path.display().to_string();
        let labels = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| OverridesError::Damaged { path: name, why: error.to_string() })?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(OverridesError::System { path: name, error }),
        };
        Ok(Self { path, labels })
    }

    /// What was decided about a label: whether it is disabled.
    pub fn get(&self, label: &str) -> Option<bool> {
        self.labels.get(label).copied()
    }

    /// All of them, by label.
    pub fn all(&self) -> impl Iterator<Item = (&str, bool)> {
        self.labels.iter().map(|(label, disabled)| (label.as_str(), *disabled))
    }

    /// Decides about a label, on disk before it counts.
    ///
    /// # Errors
    /// When it cannot be written; nothing is decided then.
    pub fn set(&mut self, label: &str, disabled: bool) -> Result<(), OverridesError> {
        if self.get(label) == Some(disabled) {
            return Ok(());
        }
        let mut labels = self.labels.clone();
        labels.insert(label.to_owned(), disabled);
        if labels.len() > MOST {
            return Err(OverridesError::Full);
        }
        let system = |error: io::Error| OverridesError::System { path: self.path.display().to_string(), error };
        let text = serde_json::to_vec_pretty(&labels).map_err(|error| system(error.into()))?;
        put(&self.path, &text).map_err(system)?;
        self.labels = labels;
        Ok(())
    }
}

/// Puts a file in its place, whole and on disk, for its owner alone.
pub(super) fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Overrides::open(folder.path()).unwrap();
        store.set("a", true).unwrap();
        store.set("b", false).unwrap();
        store.set("a", false).unwrap();
        let store = Overrides::open(folder.path()).unwrap();
        assert_eq!(store.all().collect::<Vec<_>>(), [("a", false), ("b", false)]);
        assert_eq!(store.get("c"), None);
    }

    #[test]
    fn a_damaged_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for damage in ["", "{\"a\": 1}", "[]", "{\"a\": true"] {
            fs::write(&path, damage).unwrap();
            let error = Overrides::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains("overrides.json") && error.contains("expected"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damage);
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_decided() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Overrides::open(folder.path()).unwrap();
        drop(folder);
        assert!(store.set("a", true).is_err());
        assert_eq!(store.get("a"), None);
    }
}
