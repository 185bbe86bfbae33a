//! Who a job of the system domain runs as: the account it names, or, for WebAssembly without one, a user id of its own
//! that no account has and that is kept by label. A user's own supervisor changes nobody.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wjob_model::job::Job;
use wjob_model::message::StartFailure;

use super::overrides::put;
use crate::spawn::Identity;

/// Its file in the state directory.
const NAME: &str = "users.json";
/// nobody: what everything unknown is mapped to, so that it is no identity at all.
const NOBODY: u32 = 65_534;
/// Most further groups (NGROUPS_MAX).
const MOST_GROUPS: usize = 65_536;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its home.
    pub home: String,
    /// Its shell.
    pub shell: String,
}

/// Who a job is, and what it is told of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What the kernel is told.
    pub identity: Identity,
    /// The account, if it has one.
    pub account: Option<Account>,
}

/// The files accounts are in, as they are now. They are root's, and reading them waits for nobody.
#[derive(Debug)]
pub struct Accounts {
    users: String,
    groups: String,
}

impl Accounts {
    /// Reads them.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self { users: text("/etc/passwd"), groups: text("/etc/group") }
    }

    /// The account of a name or a number.
    pub fn account(&self, wanted: &str) -> Option<Account> {
        self.users
            .lines()
            .filter_map(account)
            .find(|account| account.name == wanted || account.uid.to_string() == wanted)
    }

    /// The number of a group.
    fn group(&self, wanted: &str) -> Option<u32> {
        let groups = self.groups.lines().filter_map(group);
        groups.into_iter().find(|(name, gid, _)| *name == wanted || gid.to_string() == wanted).map(|(_, gid, _)| gid)
    }

    /// All groups that list an account, its own among them.
    fn groups(&self, account: &Account) -> Vec<u32> {
        let member = |members: &str| members.split(',').any(|member| member == account.name);
        let listed = self.groups.lines().filter_map(group).filter(|(_, _, members)| member(members));
        let mut groups: Vec<u32> = listed.map(|(_, gid, _)| gid).chain([account.gid]).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.truncate(MOST_GROUPS);
        groups
    }

    /// Who a job is that names an account or a group.
    ///
    /// # Errors
    /// When there is no such account or group.
    pub fn person(&self, job: &Job) -> Result<Option<Person>, StartFailure> {
        let user = match (&job.user, &job.group) {
            (None, None) => return Ok(None),
            (Some(user), _) => user.as_str(),
            // launchd takes root then; here root is written out.
            (None, Some(group)) => {
                let why = "a group without a user would be root's";
                return Err(StartFailure::job(
                    format!("GroupName is {group}"),
                    why,
                    "add UserName; for root write root",
                ));
            }
        };
        let account = self.account(user).ok_or_else(|| missing("UserName", user, "user", "/etc/passwd"))?;
        if account.uid == NOBODY {
            let why = format!("{user} has user id {NOBODY}, which stands for every user that is not known");
            return Err(StartFailure::job("UserName", why, "make an account for the job"));
        }
        let gid = match &job.group {
            None => account.gid,
            Some(group) => self.group(group).ok_or_else(|| missing("GroupName", group, "group", "/etc/group"))?,
        };
        let mut groups = if job.launch.init_groups { self.groups(&account) } else { Vec::new() };
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        Ok(Some(Person { identity: Identity { uid: account.uid, gid, groups }, account: Some(account) }))
    }
}

fn missing(key: &str, name: &str, what: &str, file: &str) -> StartFailure {
    StartFailure::job(
        format!("{key} is {name}"),
        format!("there is no such {what} in {file}"),
        format!("make the {what}, or correct {key}"),
    )
}

fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields[..] else {
        return None;
    };
    Some(Account {
        name: name.into(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.into(),
        shell: shell.into(),
    })
}

fn group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// User ids of jobs without an account, by label. A label keeps its own for ever: files it owns stay its own.
#[derive(Debug)]
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

    /// The id of a label, given now if it has none.
    ///
    /// # Errors
    /// When the range is used up or the file cannot be written.
    pub fn of(&mut self, label: &str) -> Result<Identity, String> {
        let identity = |uid| Identity { uid, gid: uid, groups: vec![uid] };
        if let Some(uid) = self.labels.get(label) {
            return Ok(identity(*uid));
        }
        let taken: std::collections::BTreeSet<u32> = self.labels.values().copied().collect();
        let free = (self.first..=self.last).find(|uid| !taken.contains(uid));
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

    fn accounts() -> Accounts {
        Accounts {
            users:
                "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/srv:/bin/false\nnobody:x:65534:65534::/:/bin/false\nbad\n"
                    .into(),
            groups: "root:x:0:\nwww:x:33:\nstaff:x:50:root,www\nadm:x:4:someone\n".into(),
        }
    }

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
        let context = wjob_model::spec::Context { folder: "/", home: "/", uid: 0 };
        wjob_model::spec::load(text.as_bytes(), &context).job.unwrap()
    }

    #[test]
    fn accounts_and_groups_are_what_the_files_say() {
        for (keys, expected) in [
            ("", None),
            ("UserName = www;", Some((33, 33, vec![33, 50]))),
            ("UserName = 33;", Some((33, 33, vec![33, 50]))),
            ("UserName = www; GroupName = adm;", Some((33, 4, vec![33, 50, 4]))),
            ("UserName = www; InitGroups = NO;", Some((33, 33, vec![33]))),
        ] {
            let person = accounts().person(&job(keys)).unwrap();
            let found = person.map(|person| (person.identity.uid, person.identity.gid, person.identity.groups));
            assert_eq!(found, expected, "{keys}");
        }
    }

    #[test]
    fn what_there_is_not_is_named() {
        for (keys, expected) in [
            ("UserName = ghost;", "no such user"),
            ("UserName = www; GroupName = ghost;", "no such group"),
            ("UserName = nobody;", "65534"),
            ("GroupName = adm;", "root's"),
        ] {
            let failure = accounts().person(&job(keys)).unwrap_err().to_string();
            assert!(failure.contains(expected), "{keys}: {failure}");
        }
    }

    #[test]
    fn a_label_keeps_its_own_id() {
        let folder = tempfile::tempdir().unwrap();
        let mut users = OwnUsers::open(folder.path(), 7, 8).unwrap();
        assert_eq!((users.of("a").unwrap().uid, users.of("b").unwrap().uid, users.of("a").unwrap().uid), (7, 8, 7));
        assert!(users.of("c").unwrap_err().contains("from 7 to 8"));
        let mut again = OwnUsers::open(folder.path(), 7, 8).unwrap();
        assert_eq!(again.of("b").unwrap().uid, 8);
        fs::write(folder.path().join(NAME), "{").unwrap();
        assert!(OwnUsers::open(folder.path(), 7, 8).unwrap_err().contains("users.json"));
    }
}
