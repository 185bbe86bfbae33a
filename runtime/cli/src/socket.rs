//! Where the supervisor of a domain is asked, and its logger beside it: finds the socket, connects, and says what it
//! means when nobody is there. What is asked is the verbs' business.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wjob_model::control::{JobDetail, Method, OfJob, Supervisor};
use wjob_model::status::Status;
use wjob_model::varlink::Nothing;

use crate::client::{CallError, Client};
use crate::refusal::Refusal;
use crate::target::{self, Domain, caller};

/// The system's control socket.
const SYSTEM: &str = "/run/wjob/wjob.sock";
/// A user's, in that user's runtime folder.
const OF_USER: &str = "wjob/wjob.sock";
/// The logger's, beside the control socket.
const LOG: &str = "log.sock";
/// Names the control socket of the caller's own domain.
const VARIABLE: &str = "WJOB_SOCKET";

/// A connection to the supervisor of a domain.
///
/// # Errors
/// When there is none, or the caller may not ask it.
pub(crate) fn control(domain: Domain) -> anyhow::Result<Client> {
    let mut client = connect(domain, &control_path(domain)?)?;
    if is_anothers(domain) {
        verify(&mut client, domain)?;
    }
    Ok(client)
}

/// A connection to the logger of a domain.
///
/// # Errors
/// As [`control`].
pub(crate) fn log(domain: Domain) -> anyhow::Result<Client> {
    if is_anothers(domain) {
        control(domain)?;
    }
    connect(domain, &control_path(domain)?.with_file_name(LOG))
}

/// Asks the logger of a domain.
///
/// # Errors
/// As [`control`], and what the logger refuses.
pub(crate) fn ask_log<T>(domain: Domain, ask: impl Fn(&mut Client) -> Result<T, CallError>) -> anyhow::Result<T> {
    once_more(|| log(domain), ask)
}

/// Asks once more if whoever was asked left without an answer: a logger that was replaced (`wjob upgrade`) or is started
/// again, since the next one has the same socket.
fn once_more<T>(
    connect: impl Fn() -> anyhow::Result<Client>,
    ask: impl Fn(&mut Client) -> Result<T, CallError>,
) -> anyhow::Result<T> {
    match ask(&mut connect()?) {
        Err(CallError::Lost(_)) => Ok(ask(&mut connect()?)?),
        answer => Ok(answer?),
    }
}

/// That a label of which nothing was kept is at least one that is loaded: else it was misspelt.
///
/// # Errors
/// When it is not loaded.
pub(crate) fn is_loaded(domain: Domain, label: &str) -> anyhow::Result<()> {
    let of_job = OfJob { label: label.to_owned() };
    let _: JobDetail = control(domain)?.call(Method::Print, &of_job)?;
    Ok(())
}

/// The control socket of a domain.
///
/// # Errors
/// When it is one that the caller may not ask.
fn control_path(domain: Domain) -> Result<PathBuf, Refusal> {
    path(domain, caller(), |name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn path(domain: Domain, caller: u32, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Refusal> {
    let own = domain == Domain::of(caller);
    if let Some(named) = variable(VARIABLE).filter(|_| own) {
        return Ok(named.into());
    }
    match domain {
        Domain::System => Ok(SYSTEM.into()),
        Domain::User(uid) if own || caller == 0 => {
            let given = variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| own && folder.is_absolute());
            Ok(given.unwrap_or_else(|| format!("/run/user/{uid}").into()).join(OF_USER))
        }
        Domain::User(_) => Err(Refusal::new(
            Status::NotPermitted,
            format!("{domain} is not permitted"),
            format!("it is another user's domain, and you are user {caller}"),
            "ask as that user or as root",
        )),
    }
}

/// Whether it is the domain of a user who is not the caller.
fn is_anothers(domain: Domain) -> bool {
    domain != Domain::System && domain != target::own()
}

fn connect(domain: Domain, path: &Path) -> anyhow::Result<Client> {
    Client::connect(path).map_err(|error| {
        let absent = is_anothers(domain) && error.status() == Status::NoSupervisor;
        if absent { no_domain(domain, &error).into() } else { error.into() }
    })
}

/// A user whose supervisor does not run has no domain, as in launchctl.
fn no_domain(domain: Domain, error: &CallError) -> Refusal {
    let words = error.words();
    let advice = "start wjobd as that user, or name another domain";
    Refusal::new(Status::NoSuchDomain, format!("there is no domain {domain}"), words.why, advice)
}

/// That user could have put a link to another supervisor's socket there, which root may ask for more than that user's.
fn verify(client: &mut Client, domain: Domain) -> anyhow::Result<()> {
    let state: Supervisor = client.call(Method::Supervisor, &Nothing {})?;
    if state.domain == domain.to_string() {
        return Ok(());
    }
    let why = format!("the supervisor of {} answers in its place", state.domain);
    let advice = "see where that user's socket leads, or name another domain";
    Err(Refusal::new(Status::NoSuchDomain, format!("there is no domain {domain}"), why, advice).into())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use wjob_model::control::{Blame, Failure};
    use wjob_model::varlink::reply;

    use super::*;

    #[test]
    fn a_logger_that_leaves_without_an_answer_is_asked_once_more() {
        let answer = reply(&Blame { causes: vec!["demand".into()] }, false);
        let refusal = Failure::Failed { why: "no room".into() }.reply();
        // What each of those who are asked says before he leaves, and what comes of it.
        for (said, expected) in [
            (vec![vec![], answer.clone()], Ok("demand")),
            (vec![answer], Ok("demand")),
            (vec![refusal], Err("no room")),
            (vec![vec![], vec![]], Err("left before it had answered")),
        ] {
            let pairs = said.iter().map(|_| UnixStream::pair().unwrap());
            let (ours, mut theirs): (Vec<UnixStream>, Vec<UnixStream>) = pairs.unzip();
            for (end, words) in theirs.iter_mut().zip(&said) {
                end.write_all(words).unwrap();
                end.shutdown(Shutdown::Write).unwrap();
            }
            let ours = RefCell::new(ours.into_iter());
            let connect = || Ok(Client::over(ours.borrow_mut().next().unwrap()));
            let of_job = OfJob { label: "a.b".into() };
            let asked = once_more(connect, |client| client.call::<Blame>(Method::Blame, &of_job));
            match (asked, expected) {
                (Ok(blame), Ok(cause)) => assert_eq!(blame.causes, [cause]),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (asked, expected) => panic!("{asked:?} where {expected:?} was expected"),
            }
        }
    }

    #[test]
    fn every_domain_has_its_socket() {
        let (system, user) = (Domain::System, Domain::User);
        let nothing: &[(&str, &str)] = &[];
        let runtime = &[("XDG_RUNTIME_DIR", "/tmp/r")][..];
        let relative = &[("XDG_RUNTIME_DIR", "r")][..];
        let named = &[("XDG_RUNTIME_DIR", "/tmp/r"), ("WJOB_SOCKET", "/tmp/s/own.sock")][..];
        for (domain, caller, variables, expected) in [
            (system, 0, nothing, Ok("/run/wjob/wjob.sock")),
            (system, 1000, runtime, Ok("/run/wjob/wjob.sock")),
            (system, 1000, named, Ok("/run/wjob/wjob.sock")),
            (system, 0, named, Ok("/tmp/s/own.sock")),
            (user(1000), 1000, nothing, Ok("/run/user/1000/wjob/wjob.sock")),
            (user(1000), 1000, relative, Ok("/run/user/1000/wjob/wjob.sock")),
            (user(1000), 1000, runtime, Ok("/tmp/r/wjob/wjob.sock")),
            (user(1000), 1000, named, Ok("/tmp/s/own.sock")),
            (user(1000), 0, named, Ok("/run/user/1000/wjob/wjob.sock")),
            (user(1001), 1000, named, Err(Status::NotPermitted)),
        ] {
            let variable = |name: &str| {
                let pair = variables.iter().find(|(known, _)| *known == name);
                pair.map(|(_, value)| OsString::from(value))
            };
            let found = path(domain, caller, variable).map_err(|refusal| refusal.status);
            assert_eq!(found, expected.map(PathBuf::from), "{domain} for {caller} with {variables:?}");
        }
    }
}
