//! A `wjobd` of a test's own: its state, its socket and its job files lie in a sandbox, and what happens is waited for
//! in its log. Run by root it serves a system domain, by anybody else that user's; root can start one of any user's too.

use std::os::unix::net::UnixStream;

use serde_json::{Value as Json, json};

use super::*;

/// A supervisor, perhaps not started yet.
pub struct Supervisor {
    /// Where everything of it lies; job files in `jobs`.
    pub sandbox: Sandbox,
    flags: Vec<String>,
    process: Option<Running>,
    /// Whose it is, if it is not this process's user's.
    user: Option<u32>,
}

impl Supervisor {
    /// One that was not started.
    pub fn new() -> Self {
        Self::of(Sandbox::new())
    }

    /// One in this sandbox.
    pub fn of(sandbox: Sandbox) -> Self {
        sandbox.make_folder("jobs");
        Self { sandbox, flags: Vec::new(), process: None, user: None }
    }

    /// The own one of a user that nobody is, for root to start; all of its sandbox is that user's.
    pub fn of_user(user: u32) -> Self {
        let supervisor = Self::new();
        for name in ["", "jobs", "home", "tmp"] {
            chown(supervisor.sandbox.path(name), Some(user), Some(user)).expect("another owner");
        }
        Self { user: Some(user), ..supervisor }
    }

    /// With more flags.
    pub fn flag(mut self, words: &[&str]) -> Self {
        self.flags.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With a job file that is there at its start. Run by root, a job without UserName is daemon's.
    pub fn with(self, label: &str, job: Job) -> Self {
        self.job(label, job);
        self
    }

    /// Writes a job file into its folder, and tells where.
    pub fn job(&self, label: &str, job: Job) -> String {
        self.file(&format!("jobs/{label}.plist"), label, job)
    }

    /// Writes a job file anywhere in the sandbox.
    pub fn file(&self, name: &str, label: &str, job: Job) -> String {
        let job = match is_root() && self.user.is_none() && !job.0.contains_key("UserName") {
            true => job.with("UserName", "daemon"),
            false => job,
        };
        self.file_as_it_is(name, label, job)
    }

    /// The same, whosever it is without a UserName.
    pub fn file_as_it_is(&self, name: &str, label: &str, job: Job) -> String {
        let mut text = Vec::new();
        Value::Dictionary(job.with("Label", label).0).to_writer_xml(&mut text).expect("a property list");
        self.sandbox.write(name, text)
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let jobs = self.sandbox.name("jobs");
        let (state, socket) = (self.sandbox.name("state"), self.socket());
        let cache = self.sandbox.name("cache");
        let mut flags = vec!["--state-directory", &state, "--cache-directory", &cache, "--socket", &socket];
        if !self.flags.iter().any(|flag| flag == "--config") {
            flags.extend(["--jobs", &jobs]);
        }
        flags.extend(self.flags.iter().map(String::as_str));
        let mut command = match self.user {
            None => self.sandbox.command("wjobd", &flags),
            Some(user) => self.sandbox.command_as(user, &self.sandbox.programs().join("wjobd"), &flags),
        };
        command.env("XDG_CONFIG_HOME", self.sandbox.path("config"));
        command
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn start(mut self) -> Self {
        self.start_again();
        self
    }

    /// Starts it once more, after it ended.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.adopt(Running::start(self.command()));
    }

    /// Takes a process for its own that was started by [`Supervisor::command`] with changes, and waits until it serves.
    #[track_caller]
    pub fn adopt(&mut self, process: Running) {
        process.wait_for_complaint("info serving ");
        self.process = Some(process);
    }

    /// Starts it once more and waits for nothing.
    pub fn begin_again(&mut self) {
        self.process = Some(Running::start(self.command()));
    }

    /// Its process.
    #[track_caller]
    pub fn process(&self) -> &Running {
        self.process.as_ref().expect("a supervisor that was started")
    }

    /// Its control socket.
    pub fn socket(&self) -> String {
        self.sandbox.name("run/wjob.sock")
    }

    /// Waits until its log has this, such as `a: started: RunAtLoad` or `a: ended: exit 0`.
    #[track_caller]
    pub fn logs(&self, text: &str) -> &Self {
        self.process().wait_for_complaint(text);
        self
    }

    /// Waits until its log has this so many times.
    #[track_caller]
    pub fn logs_times(&self, text: &str, times: usize) -> &Self {
        self.process().wait_for_complaint_times(text, times);
        self
    }

    /// What its log has by now.
    pub fn log(&self) -> String {
        self.process().complaints()
    }

    /// Runs `wjob` against it.
    pub fn wjob(&self, arguments: &[&str]) -> Ran {
        Running::start(self.wjob_command(arguments)).end()
    }

    /// The command for that.
    pub fn wjob_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command("wjob", arguments);
        command.env("WJOB_SOCKET", self.socket());
        command
    }

    /// Calls a method; its answer, or the name of the error and its parameters.
    #[track_caller]
    pub fn call(&self, method: &str, parameters: Json) -> Result<Json, (String, Json)> {
        let mut client = self.connect();
        let call = json!({ "method": format!("io.wjob.{method}"), "parameters": parameters });
        send(&mut client, call.to_string().as_bytes());
        let answer = receive(&mut client).expect("an answer");
        match answer.get("error").and_then(Json::as_str) {
            Some(error) => Err((error.to_owned(), answer["parameters"].clone())),
            None => Ok(answer["parameters"].clone()),
        }
    }

    /// A client that has said nothing yet.
    #[track_caller]
    pub fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(self.socket()).expect("the control socket");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client
    }

    /// The row of a job in the list.
    #[track_caller]
    pub fn row(&self, label: &str) -> Json {
        let jobs = self.call("List", json!({})).expect("the list");
        let rows = jobs["jobs"].as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["label"] == label).unwrap_or_else(|| panic!("no {label} in {jobs}"))
    }

    /// A job's state, in its word.
    #[track_caller]
    pub fn state(&self, label: &str) -> String {
        self.row(label)["state"].as_str().expect("a state").to_owned()
    }

    /// Ends it in order and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) -> Ran {
        self.process().signal(Signal::TERM);
        self.ended()
    }

    /// Ends it without a chance to do anything, and waits for its end.
    #[track_caller]
    pub fn kill(&mut self) -> Ran {
        self.process().signal(Signal::KILL);
        self.ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> Ran {
        self.process.take().expect("a process").end()
    }
}

/// Sends one Varlink message.
pub fn send(client: &mut UnixStream, message: &[u8]) {
    client.write_all(&[message, b"\0"].concat()).expect("a supervisor that reads");
}

/// The next Varlink message; `None` = the supervisor closed.
pub fn receive(client: &mut UnixStream) -> Option<Json> {
    let mut message = Vec::new();
    let mut byte = [0];
    loop {
        match client.read(&mut byte) {
            Ok(0) | Err(_) => return None,
            Ok(_) if byte[0] == 0 => return Some(serde_json::from_slice(&message).expect("JSON")),
            Ok(_) => message.push(byte[0]),
        }
    }
}

/// Hears at once what jobs say on standard output: a FIFO, to be their StandardOutPath.
pub struct Ear {
    /// Its path.
    pub path: String,
    fifo: fs::File,
    heard: String,
}

impl Ear {
    /// One in this sandbox, which everybody may enter from then on.
    pub fn new(sandbox: &Sandbox, name: &str) -> Self {
        let path = sandbox.make_fifo(name);
        set_mode(&sandbox.path(""), 0o755);
        set_mode(Path::new(&path), 0o666);
        // Open for writing too: so opening waits for nobody, and a job's end is not the end of all.
        let fifo = fs::File::options().read(true).write(true).open(&path).expect("a FIFO");
        Self { path, fifo, heard: String::new() }
    }

    /// Waits until this was said, after what was waited for before; what was said between them.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(place) = self.heard.find(text) {
                let rest = self.heard.split_off(place + text.len());
                let mut said = std::mem::replace(&mut self.heard, rest);
                said.truncate(place);
                return said;
            }
            let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(&self.fifo, PollFlags::IN)], Some(&patience));
            assert_eq!(ready, Ok(1), "{text:?} was not heard; there was {:?}", self.heard);
            let mut piece = [0; 4096];
            let length = self.fifo.read(&mut piece).expect("what was said");
            self.heard += &String::from_utf8_lossy(&piece[..length]);
        }
    }
}
