//! Accounts as passwd(5) and group(5) have them: what a job asks about its user, and what one source knows of that.
//! It reads no file and asks no service; who does hands the text over.

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::message::{StartFailure, Users};

/// Longest name that is asked for, bytes (LOGIN_NAME_MAX of Linux).
const MOST_NAME_BYTES: usize = 256;
/// What the kernel takes for "leave it as it is" (setresuid(2)).
const NOT_ANY: u32 = u32::MAX;
/// nobody: what everything unknown is mapped to, so that it is no identity at all.
const NOBODY: u32 = 65_534;

/// Whether a number is that of somebody, as a user or as a group.
pub fn is_somebody(number: u32) -> bool {
    ![NOBODY, NOT_ANY].contains(&number)
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Account {
    /// A line of passwd(5), as `getent passwd` prints it too.
    pub fn of_line(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else {
            return None;
        };
        Some(Self {
            name: name.into(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.into(),
            shell: shell.into(),
        })
    }

    fn is(&self, wanted: &str) -> bool {
        self.name == wanted || self.uid.to_string() == wanted
    }
}

/// A line of group(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    name: &'a str,
    /// Its number.
    pub gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    /// A line of group(5), as `getent group` prints it too.
    pub fn of_line(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Self { name, gid, members: fields.next().unwrap_or_default() })
    }

    fn is(&self, wanted: &str) -> bool {
        self.name == wanted || self.gid.to_string() == wanted
    }

    fn has(&self, account: &Account) -> bool {
        self.gid == account.gid || self.members.split(',').any(|member| member == account.name)
    }
}

/// What a job that names an account wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The name or the number of its user.
    pub user: String,
    /// The name or the number of its group, if that is another than the user's.
    pub group: Option<String>,
}

impl Question {
    /// What a job asks; `None` = it names nobody.
    ///
    /// # Errors
    /// When it names a group and no user, or something that can be no name.
    pub fn of(job: &Job) -> Result<Option<Self>, StartFailure> {
        let user = match (&job.user, &job.group) {
            (None, None) => return Ok(None),
            (Some(user), _) => user.clone(),
            // launchd takes root then; here root is written out.
            (None, Some(group)) => {
                let what = format!("GroupName is {group}");
                let why = "a group without a user would be root's";
                return Err(StartFailure::job(what, why, "add UserName; for root write root"));
            }
        };
        let named = [("UserName", Some(&user)), ("GroupName", job.group.as_ref())];
        for (key, name) in named {
            if let Some(name) = name.filter(|name| !is_name(name)) {
                let why = "no account has such a name";
                return Err(StartFailure::job(format!("{key} is {name:?}"), why, format!("correct {key}")));
            }
        }
        Ok(Some(Self { user, group: job.group.clone() }))
    }
}

/// Names are arguments of programs and fields of lines; what begins with `-` would be an option.
fn is_name(name: &str) -> bool {
    let letter = |letter: char| !letter.is_control() && !letter.is_whitespace() && !":,/".contains(letter);
    !name.is_empty() && name.len() <= MOST_NAME_BYTES && !name.starts_with('-') && name.chars().all(letter)
}

/// What one source knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The account.
    pub account: Option<Account>,
    /// The number of the group that was asked for.
    pub group: Option<u32>,
    /// Every group the account is in, its own among them.
    pub groups: Vec<u32>,
}

impl Known {
    /// What /etc/passwd and /etc/group say, given their text.
    pub fn of_files(users: &str, groups: &str, question: &Question) -> Self {
        let account = users.lines().filter_map(Account::of_line).find(|account| account.is(&question.user));
        let lines: Vec<Group<'_>> = groups.lines().filter_map(Group::of_line).collect();
        let group = question.group.as_ref().and_then(|wanted| lines.iter().find(|group| group.is(wanted)));
        let mut groups = Vec::new();
        if let Some(account) = &account {
            groups = lines.iter().filter(|group| group.has(account)).map(|group| group.gid).collect();
            groups.push(account.gid);
            groups.sort_unstable();
            groups.dedup();
        }
        Self { group: group.map(|group| group.gid), account, groups }
    }

    /// Whether nothing that was asked for is missing.
    pub fn answers(&self, question: &Question) -> bool {
        self.account.is_some() && (question.group.is_none() || self.group.is_some())
    }
}

/// Whom `Grants.Users` names, by the text of /etc/passwd and /etc/group: names, `@groups` and numbers, which need no
/// account.
///
/// # Errors
/// The first entry that names nobody, and why.
pub fn admitted<'a>(names: &'a [String], users: &str, groups: &str) -> Result<Users, (&'a str, &'static str)> {
    let user = |name: &str| {
        let mut accounts = users.lines().filter_map(Account::of_line);
        accounts.find(|account| account.name == name).map(|account| account.uid)
    };
    let group = |name: &str| {
        let mut lines = groups.lines().filter_map(Group::of_line);
        lines.find(|group| group.name == name).map(|group| group.gid)
    };
    let mut admitted = Users::default();
    for entry in names {
        let (list, number, missing) = match entry.strip_prefix('@') {
            Some(name) => (&mut admitted.groups, name.parse().ok().or_else(|| group(name)), "there is no such group"),
            None => (&mut admitted.users, entry.parse().ok().or_else(|| user(entry)), "there is no such user"),
        };
        match number {
            None => return Err((entry.as_str(), missing)),
            Some(number) if !is_somebody(number) => return Err((entry.as_str(), "its number is nobody's")),
            Some(number) => list.push(number),
        }
    }
    Ok(admitted)
}

/// Whether the files have the last word on who is in them, by the text of nsswitch.conf(5). systemd's source, which
/// Debian has everywhere, is there for accounts of its own; every other one may add groups to those of the files.
pub fn files_suffice(switch: &str) -> bool {
    const DATABASES: [&str; 3] = ["passwd", "group", "initgroups"];
    const SOURCES: [&str; 2] = ["files", "systemd"];
    let lines = switch.lines().filter_map(|line| line.split('#').next()?.split_once(':'));
    let mut relevant = lines.filter(|(database, _)| DATABASES.contains(&database.trim()));
    relevant.all(|(_, sources)| sources.split_whitespace().all(|source| SOURCES.contains(&source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/srv:/bin/false\nbad\n";
    const GROUPS: &str = "root:x:0:\nwww:x:33:\nstaff:x:50:root,www\nadm:x:4:someone\n";

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
        let context = crate::spec::Context { folder: "/", home: "/", uid: 0 };
        crate::spec::load(text.as_bytes(), &context).job.unwrap()
    }

    #[test]
    fn files_say_who_and_which_groups() {
        for (user, group, expected) in [
            ("www", None, (Some(33), None, vec![33, 50], true)),
            ("33", None, (Some(33), None, vec![33, 50], true)),
            ("www", Some("adm"), (Some(33), Some(4), vec![33, 50], true)),
            ("www", Some("4"), (Some(33), Some(4), vec![33, 50], true)),
            ("www", Some("ghost"), (Some(33), None, vec![33, 50], false)),
            ("ghost", Some("adm"), (None, Some(4), vec![], false)),
            ("bad", None, (None, None, vec![], false)),
        ] {
            let question = Question { user: user.into(), group: group.map(Into::into) };
            let known = Known::of_files(USERS, GROUPS, &question);
            let uid = known.account.as_ref().map(|account| account.uid);
            let whole = known.answers(&question);
            assert_eq!((uid, known.group, known.groups, whole), expected, "{question:?}");
        }
    }

    #[test]
    fn users_are_names_groups_and_numbers() {
        for (names, expected) in [
            (&["www", "@staff", "1000"][..], Ok((vec![33, 1000], vec![50]))),
            (&["@4711", "@adm"], Ok((vec![], vec![4711, 4]))),
            (&["root"], Ok((vec![0], vec![]))),
            (&["www", "ghost"], Err(("ghost", "there is no such user"))),
            (&["@ghost"], Err(("@ghost", "there is no such group"))),
            // A group and a user of one name are not each other.
            (&["staff"], Err(("staff", "there is no such user"))),
            (&["65534"], Err(("65534", "its number is nobody's"))),
            (&["@4294967295"], Err(("@4294967295", "its number is nobody's"))),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = admitted(&names, USERS, GROUPS).map(|users| (users.users, users.groups));
            assert_eq!(found, expected, "{names:?}");
        }
    }

    #[test]
    fn a_job_asks_for_what_it_names() {
        let asked =
            |user: &str, group: Option<&str>| Ok(Some(Question { user: user.into(), group: group.map(Into::into) }));
        for (keys, expected) in [
            ("", Ok(None)),
            ("UserName = www;", asked("www", None)),
            ("UserName = www; GroupName = adm;", asked("www", Some("adm"))),
            ("GroupName = adm;", Err("root's")),
            ("UserName = \"-x\";", Err("no account has such a name")),
            ("UserName = \"a:b\";", Err("no account has such a name")),
            ("UserName = www; GroupName = \"a b\";", Err("GroupName is \"a b\"")),
        ] {
            let question = Question::of(&job(keys)).map_err(|failure| failure.to_string());
            match (question, expected) {
                (Ok(question), Ok(expected)) => assert_eq!(question, expected, "{keys}"),
                (Err(failure), Err(part)) => assert!(failure.contains(part), "{keys}: {failure}"),
                (question, _) => panic!("{keys}: {question:?}"),
            }
        }
    }

    #[test]
    fn other_sources_than_files_are_asked_too() {
        for (switch, expected) in [
            ("", true),
            ("passwd: files\ngroup: files systemd # more\n", true),
            ("hosts: files dns\npasswd:files", true),
            ("passwd: files sss\n", false),
            ("group: files [NOTFOUND=return] ldap", false),
            ("initgroups: sss", false),
        ] {
            assert_eq!(files_suffice(switch), expected, "{switch}");
        }
    }
}
