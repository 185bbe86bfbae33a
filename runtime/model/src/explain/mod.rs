//! A job in plain sentences: who it is, what it runs, what starts it, what it may do and use, and which wall holds each
//! of that; and what its runs have shown of its grants. It says what a job file means and changes nothing of it.

mod limits;
mod past;
mod reach;

use crate::control::Sentence;
use crate::domain::Domain;
use crate::fleet::demands;
use crate::job::{Isolation, Job};

pub use limits::{limits_alone, limits_held};
pub use past::{Denied, Unused, denied, unused};

/// Everything there is to say of a job; without a domain it is run in the foreground.
pub fn sentences(job: &Job, domain: Option<Domain>) -> Vec<Sentence> {
    let mut all = vec![person(job, domain), program(job), demand(job, domain)];
    all.extend(reach::paths(job));
    all.extend(stdio(job));
    all.extend(reach::network(job));
    all.extend(reach::sockets(job));
    all.push(environment(job));
    all.extend(control(job));
    all.extend(limits::sentences(job));
    if job.isolation == Isolation::None {
        return unwalled(all);
    }
    all
}

/// A sentence that no wall has to hold.
fn say(about: impl Into<String>, says: impl Into<String>) -> Sentence {
    Sentence { about: about.into(), says: says.into(), guest: String::new(), kernel: String::new() }
}

/// One that walls hold: how the WASI wall does, and how the kernel wall.
fn held(about: impl Into<String>, says: impl Into<String>, guest: &str, kernel: &str) -> Sentence {
    Sentence { guest: guest.into(), kernel: kernel.into(), ..say(about, says) }
}

/// What is said of such a job is what its file says; nothing of it is held.
fn unwalled(mut all: Vec<Sentence>) -> Vec<Sentence> {
    for sentence in &mut all {
        sentence.guest.clear();
        sentence.kernel.clear();
    }
    let says = "It has all the rights of its user: no wall stands, and its grants hold nothing back.";
    all.insert(0, say("Isolation", says));
    all
}

fn person(job: &Job, domain: Option<Domain>) -> Sentence {
    let group = job.group.as_ref().map_or(String::new(), |group| format!(" and the group {group}"));
    let says = match (&job.user, domain) {
        (Some(user), _) => format!("It runs as the user {user}{group}."),
        (None, Some(Domain::System)) => {
            "It runs as a user of its own, made up for its label; a native program would have to name one.".into()
        }
        (None, Some(Domain::User(uid))) => format!("It runs as user {uid}, whose domain it is in."),
        (None, None) => "It runs as whoever runs it.".into(),
    };
    held("UserName", says, "", "its user and groups are read back; it has no capability and can gain no privilege")
}

fn program(job: &Job) -> Sentence {
    let arguments = job.program.arguments.iter().skip(1).map(|argument| format!(" {argument:?}"));
    let arguments: String = arguments.collect();
    let with = if arguments.is_empty() { String::new() } else { format!(" with{arguments}") };
    say("Program", format!("Its program is {}{with}.", job.program.file.text()))
}

fn demand(job: &Job, domain: Option<Domain>) -> Sentence {
    let demands = demands(job);
    let says = match (demands.as_slice(), domain) {
        ([], _) => "Nothing starts it but an operator.".into(),
        (demands, Some(_)) => format!("It is started by {}.", demands.join("; ")),
        (demands, None) => format!("Once it is loaded, it is started by {}.", demands.join("; ")),
    };
    say("what starts it", says)
}

fn stdio(job: &Job) -> Vec<Sentence> {
    let rows = [
        ("StandardInPath", "Its standard input is", &job.standard_in),
        ("StandardOutPath", "Its standard output is appended to", &job.standard_out),
        ("StandardErrorPath", "What it complains of is appended to", &job.standard_error),
    ];
    let opened = "opened as its user before it begins, and handed over";
    let rows = rows.into_iter().filter_map(|(key, words, path)| Some((key, words, path.as_ref()?)));
    rows.map(|(key, words, path)| held(key, format!("{words} {path}."), opened, opened)).collect()
}

fn environment(job: &Job) -> Sentence {
    let set = job.environment.iter().map(|(name, _)| name.as_str());
    let passed = &job.grants.environment;
    let says = match (set.clone().next(), passed.as_slice()) {
        (None, []) => "It sees no variable of the environment but what wjob itself sets.".into(),
        (Some(_), []) => format!("Of the environment it sees {}, which its file sets.", list(set)),
        (None, passed) => format!("Of the environment it sees {}, passed on.", list(passed.iter().map(String::as_str))),
        (Some(_), passed) => {
            let passed = list(passed.iter().map(String::as_str));
            format!("Of the environment it sees {}, which its file sets, and {passed}, passed on.", list(set))
        }
    };
    let only = "its environment is made of these alone";
    held("Grants.Environment", says, only, only)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn control(job: &Job) -> Option<Sentence> {
    use crate::grant::Control;
    let says = match job.grants.control? {
        Control::Observe => "It may ask the supervisor how its jobs are.",
        Control::Operate => "It may ask the supervisor how its jobs are, and start and stop those that are loaded.",
    };
    let how = "the supervisor knows its process, whatever user it is";
    Some(held("Grants.Control", says, how, how))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, load};

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/p/a.wasm\"; {keys} }}");
        let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 });
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    fn said(keys: &str, domain: Option<Domain>) -> Vec<String> {
        sentences(&job(keys), domain).into_iter().map(|sentence| sentence.says).collect()
    }

    #[test]
    fn a_job_without_grants_says_that_it_has_none() {
        let expected = [
            "It runs as whoever runs it.",
            "Its program is /p/a.wasm.",
            "Nothing starts it but an operator.",
            "It sees no file.",
            "It can reach nothing over the network, and look no name up.",
            "It sees no variable of the environment but what wjob itself sets.",
        ];
        assert_eq!(said("", None), expected);
    }

    #[test]
    fn who_it_is_depends_on_the_domain() {
        for (keys, domain, expected) in [
            ("", Some(Domain::System), "a user of its own"),
            ("", Some(Domain::User(7)), "as user 7"),
            ("UserName = www;", Some(Domain::System), "the user www."),
            ("UserName = www; GroupName = web;", Some(Domain::System), "the user www and the group web."),
        ] {
            let found = said(keys, domain);
            assert!(found[0].contains(expected), "{keys}: {found:?}");
        }
    }

    #[test]
    fn every_grant_and_limit_has_its_sentence() {
        let keys = "RunAtLoad = YES; StartInterval = 5; StandardOutPath = \"/log/a\";
            ProgramArguments = (a, \"two words\"); EnvironmentVariables = { A = secret; };
            Grants = { Environment = (TZ); Control = Observe; }; Limits = { Memory = 65536; RunTime = 9; };";
        let found = said(keys, Some(Domain::User(1)));
        for expected in [
            "Its program is /p/a.wasm with \"two words\".",
            "It is started by loading (RunAtLoad); every 5 s (StartInterval).",
            "Its standard output is appended to /log/a.",
            "Of the environment it sees A, which its file sets, and TZ, passed on.",
            "It may ask the supervisor how its jobs are.",
            "Memory is at most 65536 bytes per instance.",
            "RunTime is at most 9 seconds per instance or request, host calls included.",
        ] {
            assert!(found.iter().any(|sentence| sentence == expected), "{expected}: {found:#?}");
        }
        assert!(!found.concat().contains("secret"), "{found:#?}");
    }

    #[test]
    fn a_limit_says_what_a_native_program_sees_of_it() {
        let keys = "Limits = { Handles = 64; RunTime = 9; };";
        let found = sentences(&job(keys), None);
        let kernel = |about: &str| {
            let sentence = found.iter().find(|sentence| sentence.about == about);
            sentence.unwrap_or_else(|| panic!("no {about} in {found:#?}")).kernel.clone()
        };
        let expected = "RLIMIT_NOFILE; a native program beyond it sees EMFILE, and the record cannot name it";
        assert_eq!(kernel("Limits.Handles"), expected);
        assert_eq!(kernel("Limits.RunTime"), "the worker is killed 1 s later");
    }

    #[test]
    fn what_has_no_walls_is_said_to_have_none() {
        let found = sentences(&job("Isolation = None;"), None);
        assert!(found[0].says.contains("all the rights of its user"), "{found:?}");
        assert!(found.iter().all(|sentence| sentence.guest.is_empty() && sentence.kernel.is_empty()), "{found:?}");
    }
}
