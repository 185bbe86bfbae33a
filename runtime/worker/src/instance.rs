//! What an instance is made of, whether component or module: what was prepared before the walls, what its contexts
//! are filled from, and the bounds that both kinds share. Running it is `command`'s and `module`'s business.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wjob_model::imports::HowRun;
use wjob_model::limit::{Limit, Limits};
use wjob_model::message::Run;
use wjob_model::outcome::HeldBy;
use wjob_sandbox::channel::Channel;

use crate::denial::Denials;
use crate::halt::Halt;
use crate::stdio::Stdout;
use crate::ticks::own_time;
use crate::wasi::network::Network;
use crate::wasi::watch::Watched;

/// Everything that was opened, loaded and put up before the guest.
pub(crate) struct Prepared {
    pub engine: Engine,
    pub program: Loaded,
    pub run: Run,
    pub stdio: Option<[OwnedFd; 3]>,
    pub preopens: Vec<Preopen>,
    pub builder: WasiCtxBuilder,
    pub tls: Option<Arc<rustls::ClientConfig>>,
    pub channel: Arc<Channel>,
}

/// Code, ready to be instantiated.
pub(crate) enum Loaded {
    Component(wasmtime::component::Component, HowRun),
    Module(wasmtime::Module),
}

/// A directory the guest finds open.
pub(crate) struct Preopen {
    /// Where this process finds it.
    pub host: String,
    /// Where the guest does.
    pub guest: String,
    pub permissions: FsPerms,
    /// What `host` stands for, kept open until it is opened by that name.
    pub held: Option<OwnedFd>,
}

/// What an instance's contexts are filled from, whichever kind it is.
pub(crate) struct Surroundings {
    pub builder: WasiCtxBuilder,
    pub network: Arc<Network>,
    pub denials: Arc<Denials>,
    pub halt: Halt,
    pub outputs: [Stdout; 2],
}

/// Paths the watchers need to name what was denied.
pub(crate) fn watched(prepared: &Prepared) -> Watched {
    let explaining = prepared.run.explain && prepared.preopens.last().is_some_and(|last| last.guest == "/");
    let granted =
        prepared.run.walls.mount.as_ref().is_some_and(|plan| plan.grants.iter().any(|grant| grant.guest == "/"));
    Watched::new(explaining && !granted, prepared.run.working_directory.clone())
}

/// At each tick of processor time: CPUTime is checked and the runtime looks at its other work, so that a stop
/// is heard by a guest that only computes. Set before the instance is made, since start functions run there.
pub(crate) fn bound_time<T: 'static>(store: &mut Store<T>, limits: &Limits, halt: Halt) {
    let bound = limits.cpu_time.map(|seconds| own_time() + Duration::from_secs(seconds));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if bound.is_some_and(|bound| own_time() >= bound) {
            halt.now(Limit::CpuTime, HeldBy::Guest);
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}
