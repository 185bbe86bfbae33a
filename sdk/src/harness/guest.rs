//! A guest under test before its start: which component, what it is granted, where it listens. It stands for the
//! options of `wjob run`, which checks them; nothing is decided here.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::Folder;
use super::process::Process;
use super::{Error, Exit, Running, component};

/// Names the `wjob` to use.
const VARIABLE: &str = "WJOB";
/// For somebody who has no wjob.
const ADVICE: &str = "put wjob into PATH, or its path into the variable WJOB";

/// What a granted path allows.
///
/// ```
/// use wjob_sdk::harness::{Access, Guest};
///
/// let guest = Guest::at("service.wasm").grant_path("texts", "/texts", Access::ReadOnly);
/// # drop(guest);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    ReadOnly,
    /// To read and to change.
    ReadWrite,
}

/// A kind of socket that a guest is to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Tcp,
    Udp,
    Unix,
}

/// A guest under test: a component, and what the test grants it.
///
/// ```
/// use wjob_sdk::harness::{Access, Guest};
///
/// let guest = Guest::at("service.wasm")
///     .listen_tcp()
///     .grant_path("texts", "/texts", Access::ReadOnly)
///     .environment("RUST_LOG", "debug")
///     .limit("Memory", 64 << 20);
/// # drop(guest);
/// ```
#[derive(Clone, Debug)]
pub struct Guest {
    component: PathBuf,
    wjob: Option<PathBuf>,
    options: Vec<OsString>,
    arguments: Vec<OsString>,
    sockets: Vec<Socket>,
}

impl Guest {
    /// The component of the crate whose test this is, built for `wasm32-wasip2` as `cargo build --release` builds it.
    /// Where nothing has changed that takes a moment, so every test may ask for it.
    ///
    /// ```
    /// # const COMPONENT: &str = "hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let guest = Guest::build()?;
    /// # drop(guest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When cargo does not run this test, or the crate does not build or is no component.
    pub fn build() -> Result<Self, Error> {
        component::build().map(Self::at)
    }

    /// A component that is built already.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("target/wasm32-wasip2/release/service.wasm");
    /// # drop(guest);
    /// ```
    pub fn at(component: impl Into<PathBuf>) -> Self {
        Self {
            component: component.into(),
            wjob: None,
            options: Vec::new(),
            arguments: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// The `wjob` to use, instead of the one in `WJOB` or in `PATH`.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").wjob("/opt/wjob/bin/wjob");
    /// # drop(guest);
    /// ```
    pub fn wjob(mut self, program: impl Into<PathBuf>) -> Self {
        self.wjob = Some(program.into());
        self
    }

    /// Adds an argument of the guest.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("greet.wasm").argument("world");
    /// # drop(guest);
    /// ```
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Grants a file or folder of the host, relative to the test's working directory, at a place of the guest's view.
    ///
    /// ```
    /// use wjob_sdk::harness::{Access, Guest};
    ///
    /// let guest = Guest::at("count.wasm").grant_path("tests/texts", "/texts", Access::ReadOnly);
    /// # drop(guest);
    /// ```
    pub fn grant_path(self, host: impl AsRef<Path>, guest: &str, access: Access) -> Self {
        let option = match access {
            Access::ReadOnly => "--ro",
            Access::ReadWrite => "--rw",
        };
        let mut value = host.as_ref().as_os_str().to_owned();
        value.push(":");
        value.push(guest);
        self.option(option, value)
    }

    /// Grants to connect to a URL, as `Connect` in a job file does.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("fetch.wasm").grant_connect("tcp://127.0.0.1:5432");
    /// # drop(guest);
    /// ```
    pub fn grant_connect(self, url: &str) -> Self {
        self.option("--connect", url)
    }

    /// Grants to bind an address, beside those it listens on, as `Bind` in a job file does.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("resolve.wasm").grant_bind("udp://127.0.0.1:0");
    /// # drop(guest);
    /// ```
    pub fn grant_bind(self, url: &str) -> Self {
        self.option("--bind", url)
    }

    /// Lets a user connect to its Unix sockets, by name or number, or the members of a group as `@staff`; whoever runs
    /// the test may always. On a socket in the network nobody's user is known, so that wjob refuses this there.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").listen_unix().grant_user("www-data");
    /// # drop(guest);
    /// ```
    pub fn grant_user(self, user: &str) -> Self {
        self.option("--user", user)
    }

    /// Has an instance answer so many HTTP requests, as `InstanceReuse` in a job file does; without it each has its own.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").listen_tcp().instance_reuse(100);
    /// # drop(guest);
    /// ```
    pub fn instance_reuse(self, requests: u64) -> Self {
        self.option("--instance-reuse", requests.to_string())
    }

    /// Sets a variable of the guest.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").environment("RUST_LOG", "debug");
    /// # drop(guest);
    /// ```
    pub fn environment(self, name: &str, value: &str) -> Self {
        self.option("--env", format!("{name}={value}"))
    }

    /// Sets a limit by its key in a job file; `wjob keys Limits` lists them.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").limit("Instances", 4).limit("RunTime", 10);
    /// # drop(guest);
    /// ```
    pub fn limit(self, key: &str, value: u64) -> Self {
        self.option("--limit", format!("{key}={value}"))
    }

    /// Lets it serve on a free TCP port of the loopback.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").listen_tcp();
    /// # drop(guest);
    /// ```
    pub fn listen_tcp(self) -> Self {
        self.listen(Socket::Tcp)
    }

    /// Lets it serve on a free UDP port of the loopback.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("time.wasm").listen_udp();
    /// # drop(guest);
    /// ```
    pub fn listen_udp(self) -> Self {
        self.listen(Socket::Udp)
    }

    /// Lets it serve on a Unix socket in a folder of its own.
    ///
    /// ```
    /// let guest = wjob_sdk::harness::Guest::at("service.wasm").listen_unix();
    /// # drop(guest);
    /// ```
    pub fn listen_unix(self) -> Self {
        self.listen(Socket::Unix)
    }

    /// Starts it, and waits until its sockets are there; a client may connect at once.
    ///
    /// ```
    /// # const COMPONENT: &str = "http_hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_tcp().start()?;
    /// println!("http://{}/", service.address()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no wjob, or it refuses what it was told.
    pub fn start(self) -> Result<Running, Error> {
        let folder = self.sockets.contains(&Socket::Unix).then(Folder::new).transpose()?;
        let command = self.command(folder.as_ref());
        Running::listening(Process::start(command, ADVICE)?, self.sockets.len(), folder)
    }

    /// Runs it to its end.
    ///
    /// ```
    /// # const COMPONENT: &str = "hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// assert_eq!(Guest::build()?.argument("world").run()?.output(), "hello, world\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start), and when it does not end.
    pub fn run(self) -> Result<Exit, Error> {
        self.start()?.wait()
    }

    fn option(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self.options.push(value.into());
        self
    }

    fn listen(mut self, socket: Socket) -> Self {
        self.sockets.push(socket);
        self
    }

    /// The whole command line.
    fn command(&self, folder: Option<&Folder>) -> Command {
        let mut command = Command::new(self.program());
        command.arg("run").args(&self.options);
        for (number, socket) in self.sockets.iter().enumerate() {
            command.arg("--listen").arg(url(*socket, number, folder));
        }
        command.arg(&self.component);
        if !self.arguments.is_empty() {
            command.arg("--").args(&self.arguments);
        }
        command
    }

    fn program(&self) -> PathBuf {
        let named = || env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.wjob.clone().or_else(named).unwrap_or_else(|| "wjob".into())
    }
}

/// Where a socket is to be. The numbers of ports are the system's choice.
fn url(socket: Socket, number: usize, folder: Option<&Folder>) -> OsString {
    match (socket, folder) {
        (Socket::Unix, Some(folder)) => {
            let mut url = OsString::from("unix://");
            url.push(folder.path().join(number.to_string()));
            url
        }
        (Socket::Udp, _) => "udp://127.0.0.1:0".into(),
        (Socket::Tcp | Socket::Unix, _) => "tcp://127.0.0.1:0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Folder, Guest};

    #[test]
    fn it_stands_for_the_options_of_wjob_run() {
        let folder = Folder::new().expect("a folder");
        let guest = Guest::at("a.wasm")
            .wjob("/bin/wjob")
            .listen_tcp()
            .grant_path("texts", "/texts", Access::ReadOnly)
            .grant_path("/result", "/result", Access::ReadWrite)
            .grant_connect("https://example.com")
            .grant_bind("udp://127.0.0.1:0")
            .grant_user("@staff")
            .instance_reuse(8)
            .environment("A", "b=c")
            .limit("RunTime", 10)
            .listen_unix()
            .argument("--first")
            .listen_udp();
        let command = guest.command(Some(&folder));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let socket = format!("unix://{}", folder.path().join("1").display());
        let expected = [
            "run --ro texts:/texts --rw /result:/result --connect https://example.com --bind udp://127.0.0.1:0",
            "--user @staff --instance-reuse 8 --env A=b=c --limit RunTime=10",
            "--listen tcp://127.0.0.1:0 --listen",
            socket.as_str(),
            "--listen udp://127.0.0.1:0 a.wasm -- --first",
        ];
        assert_eq!((command.get_program().to_str(), words.join(" ")), (Some("/bin/wjob"), expected.join(" ")));
    }

    #[test]
    fn without_arguments_there_are_no_dashes() {
        let command = Guest::at("a.wasm").command(None);
        assert!(command.get_args().eq(["run", "a.wasm"]));
    }
}
