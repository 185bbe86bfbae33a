//! What a verb is about, in launchctl's words: a domain, or a job in one. It only reads what was typed; whether the
//! domain has a supervisor and the supervisor such a job is found out by asking.

use std::ffi::OsString;
use std::path::Path;

pub(crate) use wjob_model::domain::Domain;
use wjob_model::status::Status;

use crate::refusal::Refusal;

/// The grammar, for the help of every verb that takes one.
pub(crate) const HELP: &str = "\
A target is LABEL, a job in your own domain, or system/LABEL or user/UID/LABEL; a domain is system
or user/UID. Root's own domain is system, everybody else's is user/UID; gui/UID means user/UID too.
WJOB_SOCKET names the control socket of your own domain's supervisor, if it is not the usual one.";

/// The same in a line, for messages.
const EXPECTED: &str = "expected LABEL, system/LABEL or user/UID/LABEL, or the domain alone: system or user/UID";

/// Who asks.
pub(crate) fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The domain of whoever asks.
pub(crate) fn own() -> Domain {
    Domain::of(caller())
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The domain; the caller's own if none was named.
    pub domain: Domain,
    /// The job in it; without one the domain itself is meant.
    pub label: Option<String>,
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// When it is of no known form, or of one that only launchctl has.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        read(text, caller())
    }

    /// Reads a target that may be left out, which means the caller's own domain.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn or_own(text: Option<&str>) -> Result<Self, Refusal> {
        text.map_or_else(|| Ok(Self { domain: own(), label: None }), Self::parse)
    }

    /// Reads a target that has to be a job: its domain and its label.
    ///
    /// # Errors
    /// As [`Self::parse`], and for a domain.
    pub fn job(text: &str) -> Result<(Domain, String), Refusal> {
        let Self { domain, label } = Self::parse(text)?;
        let label = label.ok_or_else(|| {
            let advice = format!("name a job, as in {domain}/LABEL; `wjob list {domain}` lists them");
            Refusal::usage(format!("{text} is a domain"), "expected a job in it", advice)
        })?;
        Ok((domain, label))
    }

    /// Reads a domain that may be left out, which means the caller's own.
    ///
    /// # Errors
    /// As [`Self::parse`], and for a job.
    pub fn domain(text: Option<&str>) -> Result<Domain, Refusal> {
        let Self { domain, label } = Self::or_own(text)?;
        match label {
            None => Ok(domain),
            Some(label) => Err(Refusal::usage(
                format!("{} is a job", text.unwrap_or(&label)),
                "expected a domain",
                "name system or user/UID, or nothing for your own",
            )),
        }
    }
}

/// Takes the domain off that a list of files may begin with. A file of that name is written as in ./system.
///
/// # Errors
/// When a job or a domain of launchctl's alone is named, and there is no such file.
pub(crate) fn leading_domain(words: &[OsString]) -> Result<(Option<Domain>, &[OsString]), Refusal> {
    let Some((first, rest)) = words.split_first() else {
        return Ok((None, words));
    };
    let Some(text) = first.to_str().filter(|text| names_domain(text)) else {
        return Ok((None, words));
    };
    match Target::parse(text) {
        Ok(Target { domain, label: None }) => Ok((Some(domain), rest)),
        Ok(_) => Ok((None, words)),
        Err(_) if Path::new(text).exists() => Ok((None, words)),
        Err(refusal) => Err(refusal),
    }
}

/// Whether a word begins as a domain does.
pub(crate) fn names_domain(text: &str) -> bool {
    let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
    match kind {
        "system" | "user" | "gui" => true,
        "pid" | "login" | "session" => !rest.is_empty(),
        _ => false,
    }
}

/// Whether a word is a job file where a job could be named too. It is told by the word alone: what lies in the current
/// folder does not decide what a label means.
pub(crate) fn names_file(text: &str) -> bool {
    let is_path = text == "-" || text.starts_with(['/', '.']) || text.to_ascii_lowercase().ends_with(".plist");
    is_path && !names_domain(text)
}

fn read(text: &str, caller: u32) -> Result<Target, Refusal> {
    let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
    match kind {
        "" => Err(Refusal::usage(format!("{text:?} is no target"), "its first word is missing", EXPECTED)),
        "system" => Ok(target(Domain::System, rest)),
        "user" | "gui" => of_user(text, rest),
        "pid" | "login" | "session" if !rest.is_empty() => Err(Refusal::usage(
            format!("there are no {kind}/ domains here"),
            format!("{text} is a domain of launchctl's; wjob has system and user/UID alone"),
            EXPECTED,
        )),
        _ => Ok(target(Domain::of(caller), text)),
    }
}

fn target(domain: Domain, label: &str) -> Target {
    Target { domain, label: Some(label.to_owned()).filter(|label| !label.is_empty()) }
}

fn of_user(text: &str, rest: &str) -> Result<Target, Refusal> {
    let (user, label) = rest.split_once('/').unwrap_or((rest, ""));
    // The last number is no user: system calls have it for "leave as it is".
    let number = user.parse::<u32>().ok().filter(|uid| *uid != u32::MAX && !user.starts_with('+'));
    match number {
        Some(0) => Err(Refusal::new(
            Status::NoSuchDomain,
            format!("there is no domain of {text}"),
            "root's own jobs are those of the domain system",
            "name system, or system/LABEL",
        )),
        Some(uid) => Ok(target(Domain::User(uid), label)),
        None => Err(Refusal::usage(
            format!("{text} names no user"),
            format!("expected a user's number after the first slash, found {user:?}"),
            "`id -u NAME` prints it; `id -u` prints your own",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, caller: u32) -> Result<(Domain, Option<String>), Status> {
        read(text, caller).map(|target| (target.domain, target.label)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_grammar_is_launchctls() {
        let user = Domain::User;
        for (text, caller, domain, label) in [
            ("system", 1000, Domain::System, None),
            ("system/", 1000, Domain::System, None),
            ("system/a.b", 1000, Domain::System, Some("a.b")),
            ("system/user/1", 1000, Domain::System, Some("user/1")),
            ("user/1000", 0, user(1000), None),
            ("user/1000/", 0, user(1000), None),
            ("user/1000/a.b", 0, user(1000), Some("a.b")),
            ("gui/501/a.b", 501, user(501), Some("a.b")),
            ("gui/501/a/b", 501, user(501), Some("a/b")),
            ("a.b", 0, Domain::System, Some("a.b")),
            ("a.b", 1000, user(1000), Some("a.b")),
            ("a/b", 1000, user(1000), Some("a/b")),
            ("pid", 1000, user(1000), Some("pid")),
            ("systems", 1000, user(1000), Some("systems")),
        ] {
            assert_eq!(found(text, caller), Ok((domain, label.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_its_status() {
        for (text, status) in [
            ("", Status::Usage),
            ("/srv/a.plist", Status::Usage),
            ("user", Status::Usage),
            ("user/", Status::Usage),
            ("user//a.b", Status::Usage),
            ("user/root/a.b", Status::Usage),
            ("user/+5", Status::Usage),
            ("user/-1", Status::Usage),
            ("user/4294967295", Status::Usage),
            ("gui", Status::Usage),
            ("user/0", Status::NoSuchDomain),
            ("gui/0/a.b", Status::NoSuchDomain),
            ("pid/1", Status::Usage),
            ("login/100/a.b", Status::Usage),
            ("session/3", Status::Usage),
        ] {
            assert_eq!(found(text, 1000), Err(status), "{text}");
        }
    }

    #[test]
    fn jobs_and_domains_are_told_apart() {
        let status = |result: Result<String, Refusal>| result.map_err(|refusal| refusal.status);
        let job = |text| status(Target::job(text).map(|(domain, label)| format!("{domain} {label}")));
        let domain = |text| status(Target::domain(text).map(|domain| domain.to_string()));
        assert_eq!(job("user/7/a.b"), Ok("user/7 a.b".into()));
        assert_eq!(job("system"), Err(Status::Usage));
        assert_eq!(domain(Some("gui/7")), Ok("user/7".into()));
        assert_eq!(domain(None), Ok(own().to_string()));
        assert_eq!(domain(Some("system/a.b")), Err(Status::Usage));
    }

    #[test]
    fn files_may_come_after_a_domain() {
        for (words, domain, files) in [
            (&["system", "a.plist", "b.plist"][..], Some(Domain::System), 2),
            (&["gui/7/", "a.plist"], Some(Domain::User(7)), 1),
            (&["user/7"], Some(Domain::User(7)), 0),
            (&["a.plist", "system"], None, 2),
            (&["./system", "a.plist"], None, 2),
            (&["system/a.b"], None, 1),
            (&[], None, 0),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let (found, rest) = leading_domain(&words).unwrap();
            assert_eq!((found, rest.len()), (domain, files), "{words:?}");
        }
        let refused = leading_domain(&["session/3".into(), "a.plist".into()]).unwrap_err();
        assert_eq!(refused.status, Status::Usage);
    }

    #[test]
    fn a_job_file_is_told_by_its_word() {
        for (word, file) in [
            ("-", true),
            ("/srv/a", true),
            ("./a", true),
            ("../a", true),
            ("a.plist", true),
            ("jobs/a.PLIST", true),
            ("a.b", false),
            ("a/b", false),
            ("system", false),
            ("system/a.plist", false),
            ("user/7/a.plist", false),
            ("./system/a.plist", true),
            ("", false),
        ] {
            assert_eq!(names_file(word), file, "{word}");
        }
    }
}
