//! Who a job of the system domain runs as, by what is known of the account it names. A user's own supervisor changes
//! nobody. Where that is known from is `asking`'s business.

use std::fs;

use wjob_model::account::{Known, Question, is_somebody};
use wjob_model::job::Job;
use wjob_model::message::{StartFailure, Users};

use crate::order::Person;
use crate::spawn::Identity;

/// Who has accounts, and in which groups they are.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// What the files say. They are root's, and reading them waits for nobody.
pub fn of_files(question: &Question) -> Known {
    Known::of_files(&text(USERS), &text(GROUPS), question)
}

/// Whom a job admits besides its own user and root, by what the files say; `None` = it names nobody.
///
/// # Errors
/// When it names somebody who is not in them.
pub fn admitted(job: &Job) -> Result<Option<Users>, StartFailure> {
    let names = &job.grants.users;
    if names.is_empty() {
        return Ok(None);
    }
    wjob_model::account::admitted(names, &text(USERS), &text(GROUPS)).map(Some).map_err(|(name, why)| {
        StartFailure::job(format!("Grants.Users names {name}"), why, "make it in the files, or correct Grants.Users")
    })
}

/// Whether nobody else needs to be asked about an account that the files have.
pub fn files_suffice() -> bool {
    wjob_model::account::files_suffice(&text("/etc/nsswitch.conf"))
}

/// The account that has a number.
pub fn name_of(uid: u32) -> Option<String> {
    of_files(&Question { user: uid.to_string(), group: None }).account.map(|account| account.name)
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Who a job is that names an account.
///
/// # Errors
/// When there is no such account or group.
pub fn person(job: &Job, question: &Question, known: Known) -> Result<Person, StartFailure> {
    let user = &question.user;
    let account = known.account.ok_or_else(|| missing("UserName", user, "user"))?;
    if !is_somebody(account.uid) {
        let why = format!("{user} has user id {}, which is nobody's", account.uid);
        return Err(StartFailure::job("UserName", why, "make an account for the job"));
    }
    if account.uid == 0 && !["root", "0"].contains(&user.as_str()) {
        let why = format!("{user} has user id 0, and a job is root's only where its file says so");
        return Err(StartFailure::job("UserName", why, "name root, or an account of its own"));
    }
    let gid = match &question.group {
        None => account.gid,
        Some(group) => known.group.ok_or_else(|| missing("GroupName", group, "group"))?,
    };
    let mut groups = if job.launch.init_groups { known.groups } else { Vec::new() };
    if !groups.contains(&gid) {
        groups.push(gid);
    }
    Ok(Person { identity: Identity { uid: account.uid, gid, groups }, account: Some(account) })
}

fn missing(key: &str, name: &str, what: &str) -> StartFailure {
    StartFailure::job(
        format!("{key} is {name}"),
        format!("there is no such {what}"),
        format!("make the {what}, or correct {key}"),
    )
}

/// That a job of a user's own domain keeps that user's group and root, and goes before nobody else's processes.
///
/// # Errors
/// The key that says otherwise.
pub fn keeps_its_place(job: &Job) -> Result<(), StartFailure> {
    match (&job.group, &job.root_directory, job.raised_priority()) {
        (Some(group), ..) => not_here("GroupName", group, "group"),
        (_, Some(root), _) => not_here("RootDirectory", root, "root"),
        (.., Some(nice)) => Err(StartFailure::job(
            format!("Nice is {nice}"),
            "a user's own supervisor raises no job's priority",
            "load the job into the system domain, or make Nice 0 or more",
        )),
        _ => Ok(()),
    }
}

/// That the user a job of `owner`'s own domain names is that user.
///
/// # Errors
/// When it is another, or none.
pub fn is_owner(question: &Question, known: &Known, owner: u32) -> Result<(), StartFailure> {
    match &known.account {
        Some(account) if account.uid == owner => Ok(()),
        _ => not_here("UserName", &question.user, "user"),
    }
}

fn not_here(key: &str, value: &str, what: &str) -> Result<(), StartFailure> {
    let why = format!("a user's own supervisor changes no job's {what}");
    let advice = format!("load the job into the system domain, or remove {key}");
    Err(StartFailure::job(format!("{key} is {value}"), why, advice))
}

#[cfg(test)]
mod tests {
    use wjob_model::account::Account;

    use super::*;

    fn known(uid: u32) -> Known {
        let account = Account { name: "www".into(), uid, gid: 33, home: "/srv".into(), shell: "/bin/false".into() };
        Known { account: Some(account), group: Some(4), groups: vec![33, 50] }
    }

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
        let context = wjob_model::spec::Context { folder: "/", home: "/", uid: 0 };
        wjob_model::spec::load(text.as_bytes(), &context).job.unwrap()
    }

    fn of(keys: &str, known: Known) -> Result<Person, StartFailure> {
        let job = job(keys);
        person(&job, &Question::of(&job).unwrap().unwrap(), known)
    }

    #[test]
    fn a_job_is_its_account_with_the_groups_it_wants() {
        for (keys, expected) in [
            ("UserName = www;", (33, 33, vec![33, 50])),
            ("UserName = www; GroupName = adm;", (33, 4, vec![33, 50, 4])),
            ("UserName = www; InitGroups = NO;", (33, 33, vec![33])),
        ] {
            let identity = of(keys, known(33)).unwrap().identity;
            assert_eq!((identity.uid, identity.gid, identity.groups), expected, "{keys}");
        }
    }

    #[test]
    fn what_there_is_not_is_named() {
        for (keys, known, expected) in [
            ("UserName = ghost;", Known::default(), "no such user"),
            ("UserName = www; GroupName = ghost;", Known { group: None, ..known(33) }, "no such group"),
            ("UserName = nobody;", known(65_534), "65534"),
            ("UserName = toor;", known(0), "toor has user id 0"),
            ("UserName = root;", known(u32::MAX), "4294967295"),
        ] {
            let failure = of(keys, known).unwrap_err().to_string();
            assert!(failure.contains(expected), "{keys}: {failure}");
        }
    }

    #[test]
    fn whom_a_job_admits_is_in_the_files() {
        for (users, expected) in [
            ("", Ok(None)),
            ("Grants = { Users = (root, \"@0\", 4711); };", Ok(Some((vec![0, 4711], vec![0])))),
            (
                "Grants = { Users = (wjob-test-ghost); };",
                Err("Grants.Users names wjob-test-ghost: there is no such user"),
            ),
        ] {
            let found = admitted(&job(users)).map_err(|failure| failure.to_string());
            let found = found.map(|users| users.map(|users| (users.users, users.groups)));
            assert_eq!(found, expected.map_err(str::to_owned), "{users}");
        }
    }

    #[test]
    fn in_a_users_own_domain_a_job_is_that_user() {
        for (keys, expected) in [
            ("", None),
            ("GroupName = www;", Some("GroupName is www")),
            ("RootDirectory = \"/srv\";", Some("RootDirectory is /srv")),
            ("Nice = \"-1\";", Some("Nice is -1")),
            ("Nice = \"-20\";", Some("Nice is -20")),
            ("Nice = 0;", None),
            ("Nice = 20;", None),
        ] {
            let failure = keeps_its_place(&job(keys)).err().map(|failure| failure.what);
            assert_eq!(failure.as_deref(), expected, "{keys}");
        }
        let question = Question { user: "www".into(), group: None };
        for (known, owner, expected) in [(known(33), 33, true), (known(34), 33, false), (Known::default(), 33, false)] {
            assert_eq!(is_owner(&question, &known, owner).is_ok(), expected, "{known:?}");
        }
    }
}
