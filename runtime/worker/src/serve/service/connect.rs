//! `wjob:service/connect`: connections the guest opens to Unix sockets, which WASI has none of. It connects to what a
//! Connect grant names and to nothing else; that the mount wall shows no other socket is the sandbox's business.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use wasmtime::component::{Accessor, Resource};
use wjob_model::denial::Denial;
use wjob_model::grant::{self, Endpoint};
use wjob_sandbox::peer::Credentials;

use super::bindings::wjob::service::connect::{Host as Connect, HostWithStore};
use super::connection::error_code;
use super::{Connection, ErrorCode, Host};
use crate::serve::listening::Peer;
use crate::serve::stream::Stream;
use crate::state::State;

/// How long a server whose backlog is full is asked again: its socket tells nobody when there is room (connect(2), EAGAIN).
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses between two attempts, the first and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];

impl Connect for &mut State {}

impl<T: Send + 'static> HostWithStore<T> for Host {
    async fn open(
        accessor: &Accessor<T, Self>,
        url: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, ErrorCode>> {
        let connection = match accessor.with(|mut access| granted(access.get(), &url)) {
            Ok(path) => reach(&path).await,
            Err(refusal) => Err(refusal),
        };
        match connection {
            Ok(connection) => Ok(Ok(accessor.with(|mut access| access.get().table.push(connection))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The path of a socket that may be connected to.
fn granted(state: &State, url: &str) -> Result<String, ErrorCode> {
    let Ok(Endpoint { host: grant::Host::Path(path), .. }) = Endpoint::parse_connect(url) else {
        return Err(ErrorCode::Invalid);
    };
    if state.network.allows_socket(&path) {
        return Ok(path);
    }
    state.denials.record(Denial::Unix { path });
    Err(ErrorCode::Denied)
}

async fn reach(path: &str) -> Result<Connection, ErrorCode> {
    let address = SocketAddrUnix::new(path).map_err(in_guests_words)?;
    let until = Instant::now() + PATIENCE;
    let [mut pause, longest] = PAUSES;
    loop {
        match attempt(&address) {
            Ok(connection) => return Ok(connection),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if Instant::now() < until => {
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
            Err(error) => return Err(in_guests_words(error)),
        }
    }
}

/// A socket whose connecting was put off is of no use for another attempt.
fn attempt(address: &SocketAddrUnix) -> Result<Connection, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, address)?;
    let server = Credentials::of(&socket).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Connection::opened(Stream::new(socket), Peer::Local(server)))
}

fn in_guests_words(error: Errno) -> ErrorCode {
    match error {
        // Nobody takes what waits there.
        Errno::AGAIN => ErrorCode::Unreachable,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => ErrorCode::Limit,
        // It is a socket of another type.
        Errno::PROTOTYPE => ErrorCode::Invalid,
        error => error_code(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn who_is_reached_is_told_and_who_is_not_has_a_reason() {
        let folder = std::env::temp_dir().join(format!("wjob-connect-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let _listener = UnixListener::bind(path("live")).unwrap();
        drop(UnixListener::bind(path("dead")).unwrap());
        let _datagrams = std::os::unix::net::UnixDatagram::bind(path("datagrams")).unwrap();
        let found = block_on(reach(&path("live")));
        assert!(found.is_ok(), "{:?}", found.err());
        for (name, expected) in
            [("dead", ErrorCode::Unreachable), ("none", ErrorCode::Unreachable), ("datagrams", ErrorCode::Invalid)]
        {
            let found = block_on(reach(&path(name))).err();
            let kind = found.as_ref().map(std::mem::discriminant);
            assert_eq!(kind, Some(std::mem::discriminant(&expected)), "{name}: {found:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
