//! The verbs' side of the control socket: connect, call, read the answer. It blocks, prints nothing and decides
//! nothing; what a failure means for a person and for the exit status is said here, so that all verbs say it alike.

use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wjob_model::control::{Failure, Method, Words};
use wjob_model::status::Status;
use wjob_model::varlink::{self, Answer, Frames};

/// The longest answer, in bytes; a supervisor gone wrong must not fill the caller's memory.
const MOST_ANSWER: usize = 64 << 20;
/// The most that is read at a time.
const MOST_READ: usize = 64 << 10;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Nobody is there to call.
    Unreachable {
        /// The socket.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// The supervisor says no.
    Refused(Failure),
    /// It left before it had answered; what the system said.
    Lost(String),
    /// It answered what nobody understands; in words.
    Nonsense(String),
}

impl CallError {
    /// What a verb that failed so exits with.
    pub fn status(&self) -> Status {
        match self {
            Self::Unreachable { why, .. } => match why.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Status::NoSupervisor,
                ErrorKind::PermissionDenied => Status::NotPermitted,
                _ => Status::System,
            },
            Self::Refused(failure) => failure.status(),
            Self::Lost(_) => Status::NoSupervisor,
            Self::Nonsense(_) => Status::Internal,
        }
    }

    /// What, why and what to do.
    pub fn words(&self) -> Words {
        match self {
            Self::Unreachable { path, why } => unreachable(path, why),
            Self::Refused(failure) => failure.words(),
            Self::Lost(why) => Words::new(
                "the supervisor left before it had answered",
                why,
                "`wjob info` says whether it is back; its own log says why it left",
            ),
            Self::Nonsense(why) => Words::new(
                "the supervisor's answer is not understood",
                why,
                "`wjob --version` and `wjobd --version` are to be the same; use `wjob upgrade` after an update",
            ),
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.words().lines().join("\n"))
    }
}

impl std::error::Error for CallError {}

fn unreachable(path: &str, why: &std::io::Error) -> Words {
    let advice = match why.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "start wjobd for this domain, or use `wjob run`, which needs none"
        }
        ErrorKind::PermissionDenied => "ask as the domain's owner or as root",
        _ => "the line above names what the system refused",
    };
    Words::new("no supervisor answers", format!("{path}: {why}"), advice)
}

/// A connection to a supervisor or a logger.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
    frames: Frames,
}

impl Client {
    /// Connects to a socket.
    ///
    /// # Errors
    /// Nobody listens there, or the caller may not go there.
    pub fn connect(path: &Path) -> Result<Self, CallError> {
        let stream = UnixStream::connect(path);
        stream.map(Self::over).map_err(|why| CallError::Unreachable { path: path.display().to_string(), why })
    }

    /// One that is connected.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self { stream, frames: Frames::new(MOST_ANSWER) }
    }

    /// Calls a method that answers once, and waits for the answer.
    ///
    /// # Errors
    /// The supervisor refused, left or made no sense.
    pub fn call<T: DeserializeOwned>(&mut self, method: Method, parameters: &impl Serialize) -> Result<T, CallError> {
        self.ask(&method.full_name(), parameters, false)?;
        result(self.answer()?)
    }

    /// Calls a method that answers many times, by its full name: the logger has such methods too.
    ///
    /// # Errors
    /// The supervisor left; whether it refused, its first answer says.
    pub fn stream<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: &impl Serialize,
    ) -> Result<Answers<'_, T>, CallError> {
        self.ask(method, parameters, true)?;
        Ok(Answers { client: self, over: false, of: PhantomData })
    }

    fn ask(&mut self, method: &str, parameters: &impl Serialize, more: bool) -> Result<(), CallError> {
        match self.stream.write_all(&varlink::call(method, parameters, more)) {
            // Whoever sends a client away says why before closing, and that is there to be read.
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Err(CallError::Lost(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self) -> Result<Answer, CallError> {
        let mut buffer = [0; MOST_READ];
        loop {
            if let Some(message) = self.frames.next() {
                let answer = message.and_then(|message| Answer::parse(&message));
                return answer.map_err(|bad| CallError::Nonsense(bad.to_string()));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(CallError::Lost("it closed the connection".into())),
                Ok(count) => self.frames.push(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CallError::Lost(error.to_string())),
            }
        }
    }
}

fn result<T: DeserializeOwned>(answer: Answer) -> Result<T, CallError> {
    match answer.error {
        Some(name) => Err(CallError::Refused(Failure::from_answer(&name, answer.parameters))),
        None => serde_json::from_value(answer.parameters).map_err(|error| CallError::Nonsense(error.to_string())),
    }
}

/// The answers to one call, each as it comes; an error is the last of them.
#[derive(Debug)]
pub(crate) struct Answers<'client, T> {
    client: &'client mut Client,
    over: bool,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for Answers<'_, T> {
    type Item = Result<T, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let answer = self.client.answer();
        self.over = !answer.as_ref().is_ok_and(|answer| answer.continues);
        let item = answer.and_then(result);
        self.over |= item.is_err();
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wjob_model::control::{Blame, OfJob};
    use wjob_model::varlink::{error, reply};

    use super::*;

    fn blame(cause: &str) -> Blame {
        Blame { causes: vec![cause.into()] }
    }

    /// A client whose supervisor has said this in advance; its end of the connection is kept open.
    fn client(said: &[u8]) -> (Client, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(said).unwrap();
        (Client::over(ours), theirs)
    }

    #[test]
    fn a_call_is_asked_and_answered() {
        let (mut client, mut supervisor) = client(&reply(&blame("demand"), false));
        let answer: Blame = client.call(Method::Blame, &OfJob { label: "a.b".into() }).unwrap();
        assert_eq!(answer, blame("demand"));
        drop(client);
        let mut asked = String::new();
        supervisor.read_to_string(&mut asked).unwrap();
        assert_eq!(asked, "{\"method\":\"io.wjob.Blame\",\"parameters\":{\"label\":\"a.b\"}}\0");
    }

    #[test]
    fn what_goes_wrong_has_its_status_and_its_words() {
        let refused = Failure::NoSuchJob { label: "a.b".into() }.reply();
        for (said, status, part) in [
            (refused, Status::NoSuchJob, "no job a.b"),
            (error("org.varlink.service.PermissionDenied", &json!({})), Status::NotPermitted, "not permitted"),
            (reply(&json!({ "causes": 1 }), false), Status::Internal, "expected a sequence"),
            (b"not JSON\0".to_vec(), Status::Internal, "not JSON"),
            (b"{\"parameters\":".to_vec(), Status::NoSupervisor, "closed the connection"),
            (vec![], Status::NoSupervisor, "left before"),
        ] {
            let (mut client, supervisor) = client(&said);
            supervisor.shutdown(std::net::Shutdown::Write).unwrap();
            let error = client.call::<Blame>(Method::Blame, &OfJob { label: "a.b".into() }).unwrap_err();
            assert_eq!(error.status(), status, "{error}");
            assert!(error.to_string().contains(part), "{error} lacks {part:?}");
            assert_eq!(error.to_string().lines().count(), 3, "{error}");
        }
    }

    #[test]
    fn a_client_that_was_sent_away_hears_why() {
        let (mut client, supervisor) = client(&Failure::Failed { why: "no room".into() }.reply());
        drop(supervisor);
        let error = client.call::<Blame>(Method::Blame, &OfJob { label: "a.b".into() }).unwrap_err();
        assert!(matches!(&error, CallError::Refused(Failure::Failed { why }) if why == "no room"), "{error}");
    }

    #[test]
    fn a_stream_ends_with_its_last_answer_or_an_error() {
        let refused = Failure::ShuttingDown {}.reply();
        let (one, two) = (reply(&blame("one"), true), reply(&blame("two"), false));
        for (said, causes, status) in [
            (vec![&one, &two, &one], vec!["one", "two"], None),
            (vec![&one, &refused], vec!["one"], Some(Status::ShuttingDown)),
            (vec![&one], vec!["one"], Some(Status::NoSupervisor)),
            (vec![], vec![], Some(Status::NoSupervisor)),
        ] {
            let said: Vec<u8> = said.into_iter().flatten().copied().collect();
            let (mut client, supervisor) = client(&said);
            supervisor.shutdown(std::net::Shutdown::Write).unwrap();
            let (mut found, mut end) = (Vec::<String>::new(), None);
            for answer in client.stream::<Blame>("io.wjob.log.Log", &json!({})).unwrap() {
                match answer {
                    Ok(blame) => found.extend(blame.causes),
                    Err(error) => end = Some(error.status()),
                }
            }
            let causes: Vec<String> = causes.into_iter().map(String::from).collect();
            assert_eq!((found, end), (causes, status));
        }
    }

    #[test]
    fn without_a_socket_there_is_no_supervisor() {
        let long = format!("/{}", "x".repeat(200));
        for (path, status) in [
            ("/nonexistent/wjob.sock", Status::NoSupervisor),
            ("/dev/null", Status::NoSupervisor),
            (long.as_str(), Status::System),
        ] {
            let error = Client::connect(Path::new(path)).unwrap_err();
            assert_eq!(error.status(), status, "{error}");
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
