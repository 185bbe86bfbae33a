//! wjob itself, through the generated bindings: the only file that names their types, the conversions included. It
//! keeps no state but that of the streams.

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::activation::{Datagram, Sender, Socket};
use crate::bindings::imports::wit_stream;
use crate::bindings::imports::wjob::service::{activation, connect, lifecycle, types};
use crate::{Error, IpAddress, LocalProcess, Peer};

/// How a stream ended.
type Ended = FutureReader<Result<(), types::ErrorCode>>;

pub(crate) use wit_bindgen::block_on;

pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(work);
}

#[derive(Debug)]
pub(crate) struct Connection(types::Connection);

impl Connection {
    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }

    pub(crate) fn socket(&self) -> String {
        self.0.socket()
    }

    pub(crate) fn peer(&self) -> Peer {
        match self.0.peer() {
            types::Peer::Ip(address) => Peer::Ip(address.into()),
            types::Peer::Local(process) => {
                Peer::Local(LocalProcess { pid: process.pid, uid: process.uid, gid: process.gid })
            }
        }
    }

    pub(crate) fn receive(&self) -> Incoming {
        let (data, ended) = self.0.receive();
        Incoming { data, ended: Some(ended) }
    }

    pub(crate) fn send(&self) -> Outgoing {
        let (data, reader) = wit_stream::new();
        let ended = self.0.send(reader);
        Outgoing { data, ended: Some(ended) }
    }
}

impl From<types::Connection> for crate::Connection {
    fn from(raw: types::Connection) -> Self {
        Self::new(Connection(raw))
    }
}

#[derive(Debug)]
pub(crate) struct Incoming {
    data: StreamReader<u8>,
    // None once the end was seen.
    ended: Option<Ended>,
}

impl Incoming {
    /// Reads into the spare capacity of a buffer, which has some. Nothing added is the end.
    pub(crate) async fn read(&mut self, mut buffer: Vec<u8>) -> Result<Vec<u8>, Error> {
        let before = buffer.len();
        while self.ended.is_some() {
            let (result, filled) = self.data.read(buffer).await;
            buffer = filled;
            if buffer.len() > before {
                break;
            }
            if let StreamResult::Dropped = result
                && let Some(ended) = self.ended.take()
            {
                ended.await?;
            }
        }
        Ok(buffer)
    }
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    data: StreamWriter<u8>,
    // None once it was asked how it ended.
    ended: Option<Ended>,
}

impl Outgoing {
    /// Sends all of it and gives the allocation back, empty.
    pub(crate) async fn write(&mut self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        let rest = self.data.write_all(data).await;
        if rest.is_empty() {
            return Ok(rest);
        }
        // The host takes no more; why, it says at the end.
        if let Some(ended) = self.ended.take() {
            ended.await?;
        }
        Err(Error::Closed)
    }

    /// Ends the stream and waits until all of it is sent.
    pub(crate) async fn finish(self) -> Result<(), Error> {
        let Self { data, ended } = self;
        drop(data);
        match ended {
            Some(ended) => Ok(ended.await?),
            None => Err(Error::Closed),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Listener(activation::Listener);

impl Listener {
    pub(crate) fn socket(&self) -> String {
        self.0.socket()
    }

    pub(crate) fn address(&self) -> String {
        self.0.address()
    }

    pub(crate) async fn accept(&self) -> Result<crate::Connection, Error> {
        Ok(self.0.accept().await?.into())
    }
}

#[derive(Debug)]
pub(crate) struct Datagrams(activation::DatagramSocket);

impl Datagrams {
    pub(crate) fn socket(&self) -> String {
        self.0.socket()
    }

    pub(crate) fn address(&self) -> String {
        self.0.address()
    }

    pub(crate) async fn receive(&self) -> Result<Datagram, Error> {
        let datagram = self.0.receive().await?;
        Ok(Datagram { data: datagram.data, peer: datagram.peer.into() })
    }

    pub(crate) async fn send(&self, datagram: Datagram) -> Result<(), Error> {
        let Datagram { data, peer } = datagram;
        Ok(self.0.send(activation::Datagram { data, peer: peer.into() }).await?)
    }
}

#[derive(Debug)]
pub(crate) struct Transaction {
    _work: lifecycle::Transaction,
}

impl Transaction {
    pub(crate) fn begin() -> Self {
        Self { _work: lifecycle::Transaction::new() }
    }
}

pub(crate) fn check_in() -> Result<Vec<Socket>, Error> {
    Ok(activation::check_in()?.into_iter().map(Socket::from).collect())
}

pub(crate) fn reason() -> Vec<String> {
    activation::reason()
}

pub(crate) async fn open(url: String) -> Result<crate::Connection, Error> {
    Ok(connect::open(url).await?.into())
}

pub(crate) async fn termination() {
    lifecycle::termination().await;
}

pub(crate) async fn idle() {
    lifecycle::idle().await;
}

impl From<activation::Socket> for Socket {
    fn from(socket: activation::Socket) -> Self {
        match socket {
            activation::Socket::Listener(raw) => Self::Listener(crate::activation::Listener::new(Listener(raw))),
            activation::Socket::Datagrams(raw) => Self::Datagrams(crate::activation::Datagrams::new(Datagrams(raw))),
            activation::Socket::Connection(raw) => Self::Connection(raw.into()),
        }
    }
}

impl From<activation::Sender> for Sender {
    fn from(sender: activation::Sender) -> Self {
        match sender {
            activation::Sender::Ip(address) => Self::Ip(address.into()),
            activation::Sender::Path(path) => Self::Path(path),
            activation::Sender::Unnamed => Self::Unnamed,
        }
    }
}

impl From<Sender> for activation::Sender {
    fn from(sender: Sender) -> Self {
        match sender {
            Sender::Ip(IpAddress { host, port }) => Self::Ip(types::IpAddress { host, port }),
            Sender::Path(path) => Self::Path(path),
            Sender::Unnamed => Self::Unnamed,
        }
    }
}

impl From<types::IpAddress> for IpAddress {
    fn from(address: types::IpAddress) -> Self {
        Self { host: address.host, port: address.port }
    }
}

impl From<types::ErrorCode> for Error {
    fn from(code: types::ErrorCode) -> Self {
        match code {
            types::ErrorCode::Closed => Self::Closed,
            types::ErrorCode::Reset => Self::Reset,
            types::ErrorCode::Denied => Self::Denied,
            types::ErrorCode::Limit => Self::Limit,
            types::ErrorCode::Invalid => Self::Invalid,
            types::ErrorCode::Unreachable => Self::Unreachable,
            types::ErrorCode::Other => Self::Other,
        }
    }
}
