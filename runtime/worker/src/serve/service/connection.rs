//! `wjob:service/types`: one connection in a guest's hands, its bytes as streams straight from and to the socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Access, Destination, FutureReader, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
};

use super::bindings::wjob::service::types::{Host as Types, HostConnection, HostConnectionWithStore};
use super::{ErrorCode, Host, IpAddress, LocalProcess, Peer};
use crate::serve::Client;
use crate::serve::lifecycle::Work;
use crate::serve::listening;
use crate::serve::stream::{MOST_READ, Stream};
use crate::state::State;

/// A connection; dropping it closes it, once its streams are dropped too.
pub struct Connection {
    stream: Arc<Stream>,
    number: u64,
    socket: String,
    peer: listening::Peer,
    received: bool,
    sent: bool,
    /// What is held for a client, if it is one.
    held: Option<Arc<Client>>,
    /// What a connection is that was made for the run.
    work: Option<Arc<Work>>,
}

impl Connection {
    /// A client's.
    pub(crate) fn of(client: Arc<Client>) -> Self {
        Self {
            stream: client.stream.clone(),
            number: client.number,
            socket: client.socket.clone(),
            peer: client.peer.clone(),
            received: false,
            sent: false,
            held: Some(client),
            work: None,
        }
    }

    /// One that was made for the run, which is not idle while it has that.
    pub(super) fn made(stream: Arc<Stream>, peer: listening::Peer, number: u64, socket: String, work: Work) -> Self {
        Self { number, socket, work: Some(Arc::new(work)), ..Self::opened(stream, peer) }
    }

    /// One that the guest has opened itself.
    pub(crate) fn opened(stream: Arc<Stream>, peer: listening::Peer) -> Self {
        Self { stream, number: 0, socket: String::new(), peer, received: false, sent: false, held: None, work: None }
    }

    /// One of its ways, which tells how it ends.
    fn way(&self, ending: Ending) -> Way {
        let (stream, held, work) = (self.stream.clone(), self.held.clone(), self.work.clone());
        Way { stream, ending: Some(ending), _held: held, _work: work }
    }
}

/// Why a socket failed, in the guest's words.
pub(crate) fn error_code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => ErrorCode::Closed,
        io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionAborted => ErrorCode::Reset,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorCode::Unreachable,
        io::ErrorKind::PermissionDenied => ErrorCode::Denied,
        io::ErrorKind::InvalidInput => ErrorCode::Invalid,
        _ => ErrorCode::Other,
    }
}

/// How a stream ended, for the future beside it.
type Ending = oneshot::Sender<Result<(), ErrorCode>>;

/// A connection one way.
struct Way {
    stream: Arc<Stream>,
    ending: Option<Ending>,
    _held: Option<Arc<Client>>,
    _work: Option<Arc<Work>>,
}

impl Way {
    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some(ending) = self.ending.take() {
            // Whoever does not ask is not told.
            let _ = ending.send(result);
        }
    }

    /// The socket takes or gives nothing more.
    fn failed(&mut self, error: &io::Error) -> Poll<wasmtime::Result<StreamResult>> {
        self.end(Err(error_code(error)));
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// The socket takes or gives nothing now; somebody who is to finish does not wait for it.
fn pending(finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending }
}

/// From the socket into the guest.
struct Incoming(Way);

impl<D> StreamProducer<D> for Incoming {
    type Item = u8;
    type Buffer = bytes::BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, bytes::BytesMut>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut destination = destination.as_direct(store, MOST_READ);
        let room = destination.remaining();
        if room.is_empty() {
            // The guest asks whether it could read; reading is how to find out.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.0.stream.poll_read_into(context, room) {
            Poll::Ready(Ok(0)) => {
                self.0.end(Ok(()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(Ok(length)) => {
                destination.mark_written(length);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => self.0.failed(&error),
            Poll::Pending => pending(finish),
        }
    }
}

/// From the guest into the socket.
struct Outgoing(Way);

impl<D> StreamConsumer<D> for Outgoing {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if bytes.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.0.stream.poll_write(context, bytes) {
            Poll::Ready(Ok(length)) => {
                source.mark_read(length);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => self.0.failed(&error),
            Poll::Pending => pending(finish),
        }
    }
}

impl Drop for Outgoing {
    /// The guest has sent everything it had.
    fn drop(&mut self) {
        if self.0.ending.is_some() {
            self.0.stream.end_sending();
        }
        self.0.end(Ok(()));
    }
}

/// The future of how a stream ends.
fn ending<T>(
    access: &mut Access<'_, T, Host>,
    receiver: oneshot::Receiver<Result<(), ErrorCode>>,
) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>>
where
    T: Send + 'static,
{
    FutureReader::new(access, async move { wasmtime::error::Ok(receiver.await.unwrap_or(Ok(()))) })
}

impl Types for &mut State {}
impl HostConnection for &mut State {}
impl<T: Send + 'static> HostConnectionWithStore<T> for Host {
    fn number(mut access: Access<'_, T, Self>, connection: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(access.get().table.get(&connection)?.number)
    }

    fn socket(mut access: Access<'_, T, Self>, connection: Resource<Connection>) -> wasmtime::Result<String> {
        Ok(access.get().table.get(&connection)?.socket.clone())
    }

    fn peer(mut access: Access<'_, T, Self>, connection: Resource<Connection>) -> wasmtime::Result<Peer> {
        Ok(match &access.get().table.get(&connection)?.peer {
            listening::Peer::Network(host, port) => Peer::Ip(IpAddress { host: host.to_string(), port: *port }),
            listening::Peer::Local(local) => {
                Peer::Local(LocalProcess { pid: local.pid, uid: local.uid, gid: local.gid })
            }
        })
    }

    fn receive(
        mut access: Access<'_, T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), ErrorCode>>)> {
        let (sender, receiver) = oneshot::channel();
        let entry = access.get().table.get_mut(&connection)?;
        let again = std::mem::replace(&mut entry.received, true);
        let incoming = Incoming(entry.way(sender));
        let reader = if again {
            drop(incoming);
            StreamReader::new(&mut access, std::iter::empty())?
        } else {
            StreamReader::new(&mut access, incoming)?
        };
        Ok((reader, ending(&mut access, receiver)?))
    }

    fn send(
        mut access: Access<'_, T, Self>,
        connection: Resource<Connection>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        let (sender, receiver) = oneshot::channel();
        let entry = access.get().table.get_mut(&connection)?;
        if std::mem::replace(&mut entry.sent, true) {
            let _ = sender.send(Err(ErrorCode::Invalid));
        } else {
            let outgoing = Outgoing(entry.way(sender));
            data.pipe(&mut access, outgoing)?;
        }
        ending(&mut access, receiver)
    }

    fn drop(mut access: Access<'_, T, Self>, connection: Resource<Connection>) -> wasmtime::Result<()> {
        access.get().table.delete(connection)?;
        Ok(())
    }
}
