//! The interfaces of `wjob:service` (sdk/wit): what a component can ask of the run it is part of. Each has its file; what
//! may be asked was decided by the job's grants before.

mod activation;
mod connect;
mod connection;
mod datagrams;
mod lifecycle;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::unix::AsyncFdReadyGuard;
use wasmtime::component::{HasData, Linker};

use super::Serving;
use super::lifecycle::{Lifecycle, Phase};
use super::listening::Socket;
use crate::readiness::Watched;
use crate::state::State;

pub use connection::Connection;

#[allow(missing_docs, reason = "generated from sdk/wit")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "wjob:service/hosted",
        imports: { default: trappable | store },
        exports: { default: async },
        with: {
            "wjob:service/types.connection": super::Connection,
            "wjob:service/activation.listener": super::activation::Listener,
            "wjob:service/activation.datagram-socket": super::datagrams::Datagrams,
            "wjob:service/lifecycle.transaction": super::lifecycle::Transaction,
        },
        require_store_data_send: true,
    });
}

pub(crate) use bindings::wjob::service::types::{ErrorCode, IpAddress, LocalProcess, Peer};

/// What one instance can ask.
#[derive(Clone, Default)]
pub(crate) struct Service {
    /// The run's way to its end.
    pub lifecycle: Lifecycle,
    /// Sockets it may check in for, once, and what they belong to.
    sockets: Option<Arc<Mutex<Option<Vec<Socket>>>>>,
    serving: Option<Arc<Serving>>,
}

impl Service {
    /// Of an instance that is one of many.
    pub fn of_one(lifecycle: Lifecycle) -> Self {
        Self { lifecycle, sockets: None, serving: None }
    }

    /// Of the only instance of a run, which takes its sockets itself.
    pub fn with_sockets(serving: Arc<Serving>, sockets: Vec<Socket>) -> Self {
        let sockets = Some(Arc::new(Mutex::new(Some(sockets))));
        Self { lifecycle: serving.template.lifecycle.clone(), sockets, serving: Some(serving) }
    }

    /// The sockets, at the first asking.
    fn check_in(&self) -> Option<(Arc<Serving>, Vec<Socket>)> {
        let sockets = self.sockets.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((self.serving.clone()?, sockets))
    }
}

/// Waits until there may be something to take from a socket that the guest was handed. It is closed once the run is
/// found idle: whoever comes then is the next run's.
async fn readable<'a>(
    watched: &'a Watched,
    lifecycle: &Lifecycle,
) -> Result<AsyncFdReadyGuard<'a, Arc<OwnedFd>>, ErrorCode> {
    tokio::select! {
        biased;
        () = lifecycle.reached(Phase::Idle) => Err(ErrorCode::Closed),
        ready = watched.readable() => ready.map_err(|_| ErrorCode::Other),
    }
}

/// The host's side of all interfaces.
pub(crate) struct Host;

impl HasData for Host {
    type Data<'a> = &'a mut State;
}

/// Links all of them.
///
/// # Errors
/// When one is there already.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use bindings::wjob::service::{activation, connect, lifecycle, types};
    types::add_to_linker::<_, Host>(linker, |state| state)?;
    activation::add_to_linker::<_, Host>(linker, |state| state)?;
    connect::add_to_linker::<_, Host>(linker, |state| state)?;
    lifecycle::add_to_linker::<_, Host>(linker, |state| state)
}
