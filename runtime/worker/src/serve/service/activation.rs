//! `wjob:service/activation`: the check-in of a job that accepts by itself, and its listeners.

use std::sync::{Arc, Weak};

use wasmtime::component::{Access, Accessor, Resource};

use super::bindings::wjob::service::activation::{
    Host as Activation, HostListener, HostListenerWithStore, HostWithStore, Socket as Handed,
};
use super::datagrams::Datagrams;
use super::{Connection, ErrorCode, Host, readable};
use crate::readiness::Watched;
use crate::serve::Serving;
use crate::serve::lifecycle::Phase;
use crate::serve::listening::{NotNow, Socket};
use crate::serve::stream::Stream;
use crate::state::State;

/// A listener in a guest's hands.
pub struct Listener {
    inner: Arc<Inner>,
}

struct Inner {
    socket: Socket,
    watched: Watched,
    serving: Arc<Serving>,
}

impl Activation for &mut State {}
impl HostListener for &mut State {}

impl<T: Send + 'static> HostWithStore<T> for Host {
    fn check_in(mut access: Access<'_, T, Self>) -> wasmtime::Result<Result<Vec<Handed>, ErrorCode>> {
        let state = access.get();
        let Some((serving, sockets)) = state.service.check_in() else {
            return Ok(Err(ErrorCode::Invalid));
        };
        let mut handed = Vec::new();
        for socket in sockets {
            if socket.about.connected && socket.about.kind.accepts() {
                handed.push(Handed::Connection(state.table.push(made(&serving, socket)?)?));
                continue;
            }
            let watched = socket.watched()?;
            let serving = serving.clone();
            handed.push(if socket.about.kind.accepts() {
                let inner = Arc::new(Inner { socket, watched, serving });
                Handed::Listener(state.table.push(Listener { inner })?)
            } else {
                Handed::Datagrams(state.table.push(Datagrams::new(socket, watched, serving))?)
            });
        }
        Ok(Ok(handed))
    }

    fn reason(mut access: Access<'_, T, Self>) -> wasmtime::Result<Vec<String>> {
        Ok(access.get().service.serving.as_ref().map(|serving| serving.template.run.causes.clone()).unwrap_or_default())
    }
}

/// A connection that was made for the run. Nobody cuts it off when it is silent: its other end was asked for by the job.
fn made(serving: &Serving, socket: Socket) -> std::io::Result<Connection> {
    let name = socket.about.name.clone();
    let (stream, peer) = socket.into_connection()?;
    Ok(Connection::made(stream, peer, serving.next_number(), name, serving.template.lifecycle.begin()))
}

impl<T: Send + 'static> HostListenerWithStore<T> for Host {
    fn socket(mut access: Access<'_, T, Self>, listener: Resource<Listener>) -> wasmtime::Result<String> {
        Ok(access.get().table.get(&listener)?.inner.socket.about.name.clone())
    }

    fn address(mut access: Access<'_, T, Self>, listener: Resource<Listener>) -> wasmtime::Result<String> {
        Ok(access.get().table.get(&listener)?.inner.socket.about.address.clone())
    }

    async fn accept(
        accessor: &Accessor<T, Self>,
        listener: Resource<Listener>,
    ) -> wasmtime::Result<Result<Resource<Connection>, ErrorCode>> {
        let inner = accessor.with(|mut access| access.get().table.get(&listener).map(|it| it.inner.clone()))?;
        match inner.accept().await {
            Ok(connection) => Ok(Ok(accessor.with(|mut access| access.get().table.push(connection))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn drop(mut access: Access<'_, T, Self>, listener: Resource<Listener>) -> wasmtime::Result<()> {
        access.get().table.delete(listener)?;
        Ok(())
    }
}

impl Inner {
    async fn accept(&self) -> Result<Connection, ErrorCode> {
        let lifecycle = &self.serving.template.lifecycle;
        loop {
            let mut guard = readable(&self.watched, lifecycle).await?;
            let room = tokio::select! {
                biased;
                () = lifecycle.reached(Phase::Idle) => return Err(ErrorCode::Closed),
                room = self.serving.room() => room,
            };
            let work = lifecycle.begin();
            if lifecycle.phase() != Phase::Open {
                return Err(ErrorCode::Closed);
            }
            match self.socket.accept() {
                Ok(arrival) => {
                    if let Some(client) = self.serving.admit(&self.socket, arrival, work, room) {
                        let watched = (Arc::downgrade(&client.stream), client.number);
                        let watch = tokio::spawn(cut_off_when_silent(watched, Arc::downgrade(&self.serving)));
                        client.watched_by(watch.abort_handle());
                        return Ok(Connection::of(Arc::new(client)));
                    }
                }
                Err(NotNow::Nobody) => guard.clear_ready(),
                Err(NotNow::Gone) => {}
                Err(NotNow::NoRoom(error)) => self.serving.pause(&error).await,
                Err(NotNow::Dead(_)) => return Err(ErrorCode::Closed),
            }
        }
    }
}

/// Nobody else looks after the connections of a guest that accepts by itself.
async fn cut_off_when_silent((stream, number): (Weak<Stream>, u64), serving: Weak<Serving>) {
    loop {
        let left = match (stream.upgrade(), serving.upgrade()) {
            (Some(stream), Some(serving)) => serving.silence.saturating_sub(stream.silent()),
            _ => return,
        };
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left).await;
    }
    if let (Some(stream), Some(serving)) = (stream.upgrade(), serving.upgrade()) {
        serving.complain(number, "it was silent for IdleTime");
        stream.cut_off();
    }
}
