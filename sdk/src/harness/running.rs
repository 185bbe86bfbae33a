//! A guest under test while it runs, for its clients: where it is, what it has said, and its end. It is the supervisor
//! that runs here; the guest's instances are that one's.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::address::{Address, named_in};
use super::folder::Folder;
use super::gathered::Waited;
use super::process::Process;
use super::{Error, Exit};

/// Longest wait for what should come. Only a hang reaches it, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A guest under test while it runs. Dropping it ends it at once.
///
/// ```
/// # const COMPONENT: &str = "echo";
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
/// # fn main() -> Result<(), Error> {
/// let service = Guest::build()?.listen_tcp().start()?;
/// let client = service.connect()?;
/// # drop(client);
/// let exit = service.stop()?;
/// assert!(!exit.log().contains("error: "), "{}", exit.log());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Running {
    process: Process,
    addresses: Vec<Address>,
    // After the process, which has its sockets there.
    _folder: Option<Folder>,
}

impl Running {
    /// Waits until so many sockets are there.
    pub(super) fn listening(mut process: Process, sockets: usize, folder: Option<Folder>) -> Result<Self, Error> {
        let waited = match sockets {
            0 => Waited::Come,
            _ => process.log.wait(PATIENCE, |log| named_in(log).len() >= sockets),
        };
        let what = "the sockets of the guest";
        match waited {
            Waited::Come => {
                let mut addresses = named_in(&process.log.text());
                // What looks like more is in lines of the guest's own.
                addresses.truncate(sockets);
                Ok(Self { process, addresses, _folder: folder })
            }
            Waited::Ended => {
                let exit = process.end(what, PATIENCE)?;
                Err(Error::Ended { status: exit.status, log: exit.log })
            }
            Waited::Late => Err(Error::Late { what, seconds: PATIENCE.as_secs(), log: process.log.text() }),
        }
    }

    /// Where it listens, in the order in which that was asked for.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_tcp().listen_unix().start()?;
    /// assert_eq!(service.addresses().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The address of its first socket in the network.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_tcp().start()?;
    /// assert!(service.address()?.ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it has none.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        let mut found = self.addresses.iter().filter_map(|address| match address {
            Address::Tcp(address) | Address::Udp(address) => Some(*address),
            Address::Unix(_) => None,
        });
        found.next().ok_or(Error::NoSocket { kind: "network", method: "listen_tcp or listen_udp" })
    }

    /// The path of its first Unix socket.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_unix().start()?;
    /// assert!(service.path()?.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it has none.
    pub fn path(&self) -> Result<&Path, Error> {
        let mut found = self.addresses.iter().filter_map(|address| match address {
            Address::Unix(path) => Some(path.as_path()),
            Address::Tcp(_) | Address::Udp(_) => None,
        });
        found.next().ok_or(Error::NoSocket { kind: "Unix", method: "listen_unix" })
    }

    /// Connects to its first TCP socket. Each read and write of the connection has a bound.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let client = Guest::build()?.listen_tcp().start()?.connect()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it has none, or does not answer.
    pub fn connect(&self) -> Result<TcpStream, Error> {
        let mut found = self.addresses.iter().filter_map(|address| match address {
            Address::Tcp(address) => Some(address),
            Address::Udp(_) | Address::Unix(_) => None,
        });
        let address = found.next().ok_or(Error::NoSocket { kind: "TCP", method: "listen_tcp" })?;
        let client = TcpStream::connect_timeout(address, PATIENCE)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        Ok(client)
    }

    /// Connects to its first Unix socket. Each read and write of the connection has a bound.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let client = Guest::build()?.listen_unix().start()?.connect_unix()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it has none, or does not answer.
    pub fn connect_unix(&self) -> Result<UnixStream, Error> {
        let client = UnixStream::connect(self.path()?)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        Ok(client)
    }

    /// What is in its log by now: its own standard error, and wjob's words about it.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_tcp().start()?;
    /// assert!(service.log().contains("listening on tcp://127.0.0.1:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn log(&self) -> String {
        self.process.log.text()
    }

    /// Waits until this is in its log.
    ///
    /// ```
    /// # const COMPONENT: &str = "probe-panic";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let service = Guest::build()?.listen_tcp().start()?;
    /// service.connect()?;
    /// service.wait_for_log("connection 1: ")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it does not come, or the guest ends without it.
    pub fn wait_for_log(&self, text: &str) -> Result<(), Error> {
        match self.process.log.wait(PATIENCE, |log| log.contains(text)) {
            Waited::Come => Ok(()),
            Waited::Ended | Waited::Late => Err(Error::Unsaid { text: text.to_owned(), log: self.log() }),
        }
    }

    /// Waits until it ends by itself.
    ///
    /// ```
    /// # const COMPONENT: &str = "hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// assert!(Guest::build()?.start()?.wait()?.success());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it does not; it is killed then.
    pub fn wait(mut self) -> Result<Exit, Error> {
        self.process.end("the end of the guest", PATIENCE)
    }

    /// Asks it to stop, as SIGTERM does, and waits until it is gone.
    ///
    /// ```
    /// # const COMPONENT: &str = "echo";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// assert_eq!(Guest::build()?.listen_tcp().start()?.stop()?.status(), 143);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it does not stop; it is killed then.
    pub fn stop(self) -> Result<Exit, Error> {
        self.process.terminate()?;
        self.wait()
    }
}
