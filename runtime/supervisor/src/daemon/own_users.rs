//! User ids of system jobs without an account, one for each label, kept for ever: files that one owns stay its own. They
//! are numbers without a name; one that has got a name meanwhile is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::overrides::put;
use crate::spawn::Identity;

/// Its file in the state directory.
const NAME: &str = "users.json";
/// Whom the account role runs as: what it has here is no label that a job could have.
pub const ROLE: &str = "";

/// Who has which.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnUsers {
    path: PathBuf,
    first: u32,
    last: u32,
    labels: BTreeMap<String, u32>,
}

impl OwnUsers {
    /// Reads who has which.
    ///
    /// # Errors
    /// When the file is damaged: guessing would give one job's files to another.
    pub fn open(state: &Path, first: u32, last: u32) -> Result<Self, String> {
        let path = state.join(NAME);
        let labels = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{}: {error}; expected an object of labels and user ids", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        Ok(Self { path, first, last, labels })
    }

    /// The id of a label, given now if it has none; `name` tells the account that has a number.
    ///
    /// # Errors
    /// When the range is used up, an account has got the label's id or the file cannot be written.
    pub fn of(&mut self, label: &str, name: impl Fn(u32) -> Option<String>) -> Result<Identity, String> {
        let identity = |uid| Identity { uid, gid: uid, groups: vec![uid] };
        if let Some(uid) = self.labels.get(label) {
            return match name(*uid) {
                None => Ok(identity(*uid)),
                Some(name) => Err(format!("user id {uid} was the job's own, and belongs to the account {name} now")),
            };
        }
        let taken: BTreeSet<u32> = self.labels.values().copied().collect();
        let free = (self.first..=self.last).find(|uid| !taken.contains(uid) && name(*uid).is_none());
        let uid = free.ok_or_else(|| format!("all user ids from {} to {} are given away", self.first, self.last))?;
        let mut labels = self.labels.clone();
        labels.insert(label.to_owned(), uid);
        let text = serde_json::to_vec_pretty(&labels).map_err(|error| error.to_string())?;
        put(&self.path, &text).map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.labels = labels;
        Ok(identity(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_own_id() {
        let nobody = |_: u32| None;
        let folder = tempfile::tempdir().unwrap();
        let mut users = OwnUsers::open(folder.path(), 7, 9).unwrap();
        let mut uid = |label| users.of(label, nobody).unwrap().uid;
        assert_eq!((uid("a"), uid("b"), uid("a")), (7, 8, 7));
        let mut again = OwnUsers::open(folder.path(), 7, 9).unwrap();
        assert_eq!(again.of("b", nobody).unwrap().uid, 8);
        fs::write(folder.path().join(NAME), "{").unwrap();
        assert!(OwnUsers::open(folder.path(), 7, 9).unwrap_err().contains("users.json"));
    }

    #[test]
    fn a_number_with_a_name_is_nobodys_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut users = OwnUsers::open(folder.path(), 7, 9).unwrap();
        let new = |uid: u32| (uid == 8).then(|| "new".to_owned());
        assert_eq!((users.of("a", new).unwrap().uid, users.of("b", new).unwrap().uid), (7, 9));
        assert!(users.of("c", new).unwrap_err().contains("from 7 to 9"));
        assert!(users.of("b", |_| Some("later".into())).unwrap_err().contains("the account later now"));
    }
}
