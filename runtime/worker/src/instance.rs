//! What an instance is made of, whether component or module, the only one of a run or one of many: what was prepared
//! before the walls, and what each one's store is filled from. Running it is `command`'s, `module`'s and `serve`'s.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiView as _};
use wasmtime_wasi_http::WasiHttpCtx;
use wjob_model::imports::HowRun;
use wjob_model::limit::{Limit, Limits};
use wjob_model::message::Run;
use wjob_model::outcome::HeldBy;
use wjob_sandbox::channel::Channel;

use crate::denial::Denials;
use crate::halt::Halt;
use crate::limiter::{DEFAULT_MEMORY, Limiter, header_bytes};
use crate::output::{Meter, Output};
use crate::preopens::Behind;
use crate::serve::lifecycle::Lifecycle;
use crate::serve::listening::Socket;
use crate::serve::own_time::OwnTime;
use crate::serve::service::Service;
use crate::state::{ModuleState, State};
use crate::stdio::{Stdin, Stdout};
use crate::used::Uses;
use crate::wasi::http::Outgoing;
use crate::wasi::network::{Network, socket_check};
use crate::wasi::watch::Watched;
use crate::wasi::watch_p1;
use crate::wasm::Housed;

/// Handles an instance may hold when the job says nothing.
const DEFAULT_HANDLES: u64 = 10_000;
/// Most bytes of wasi:random at once.
const MOST_RANDOM: u64 = 1 << 20;

/// Everything that was opened, loaded and put up before the guest.
pub(crate) struct Prepared {
    pub housed: Housed,
    /// The same program where instances find their places made.
    pub pooled: Option<Housed>,
    pub run: Run,
    pub stdio: [OwnedFd; 3],
    pub sockets: Vec<Socket>,
    pub preopens: Vec<Preopen>,
    pub filesystem: WasiFilesystemCtx,
    pub tls: Option<Arc<rustls::ClientConfig>>,
    pub channel: Arc<Channel>,
}

/// The program in its engines.
pub(crate) struct Programs {
    pub plain: Loaded,
    pub pooled: Option<Housed>,
}

/// Code, ready to be instantiated.
#[derive(Clone)]
pub(crate) enum Loaded {
    Component(wasmtime::component::Component, HowRun),
    Module(wasmtime::Module, HowRun),
}

impl Loaded {
    /// How it is run.
    pub fn how(&self) -> HowRun {
        match self {
            Self::Component(_, how) | Self::Module(_, how) => *how,
        }
    }
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
    /// The granted paths that are reached through it.
    pub behind: Vec<Behind>,
}

/// What every instance of a run is filled from.
#[derive(Clone)]
pub(crate) struct Template {
    pub engine: Engine,
    pub run: Arc<Run>,
    pub channel: Arc<Channel>,
    pub network: Arc<Network>,
    pub denials: Arc<Denials>,
    pub uses: Arc<Uses>,
    /// The run's own end, whoever brings it about.
    pub halt: Halt,
    pub lifecycle: Lifecycle,
    pub stdin: Stdin,
    /// stdout and stderr of the run.
    pub outputs: [Stdout; 2],
    /// Where the guest finds its directories.
    guests: Arc<[String]>,
    filesystem: WasiFilesystemCtx,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Template {
    /// Takes apart what was prepared.
    pub fn new(prepared: Prepared) -> (Arc<Self>, Programs, Vec<Socket>) {
        let Prepared { housed, pooled, mut run, stdio, sockets, preopens, filesystem, tls, channel } = prepared;
        let (engine, plain) = housed;
        let halt = Halt::default();
        let (guests, behind): (Vec<String>, Vec<_>) =
            preopens.into_iter().map(|preopen| (preopen.guest, preopen.behind)).unzip();
        let uses = Arc::new(Uses::new(channel.clone(), &run, behind));
        let network = Network::new(run.connect.clone(), run.bind.clone(), std::mem::take(&mut run.names));
        let network = network.telling(uses.clone());
        let meter = Meter::shared(&run.limits);
        let [stdin, stdout, stderr] = stdio;
        let output = |descriptor| Stdout::new(Output::new(descriptor, meter.clone(), run.raw), halt.clone());
        let template = Self {
            network: Arc::new(network),
            denials: Arc::new(Denials::new(channel.clone())),
            uses,
            lifecycle: Lifecycle::default(),
            stdin: Stdin::new(stdin),
            outputs: [output(stdout), output(stderr)],
            engine,
            run: Arc::new(run),
            channel,
            halt,
            guests: guests.into(),
            filesystem,
            tls,
        };
        (Arc::new(template), Programs { plain, pooled }, sockets)
    }

    /// The same in another engine.
    pub fn in_engine(&self, engine: &Engine) -> Self {
        Self { engine: engine.clone(), ..self.clone() }
    }

    fn builder(
        &self,
        stdin: impl StdinStream + 'static,
        stdout: impl StdoutStream + 'static,
        stderr: impl StdoutStream + 'static,
    ) -> WasiCtxBuilder {
        let run = &self.run;
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .args(&run.arguments)
            .envs(&run.environment)
            .max_random_size(MOST_RANDOM)
            .allow_tcp(run.walls.network.tcp)
            .allow_udp(run.walls.network.udp)
            .allow_ip_name_lookup(true)
            .socket_addr_check(socket_check(self.network.clone(), self.denials.clone()));
        if let Some(directory) = &run.working_directory {
            builder.initial_cwd(directory);
        }
        builder
    }

    /// The store of an instance of a component. `halt` hears of the limits it meets.
    pub fn store(
        &self,
        stdin: impl StdinStream + 'static,
        stdout: impl StdoutStream + 'static,
        stderr: impl StdoutStream + 'static,
        halt: &Halt,
    ) -> Store<State> {
        let run = &self.run;
        let memory = run.limits.memory.unwrap_or(DEFAULT_MEMORY);
        let handles = self.handles();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(header_bytes(memory, handles as u64));
        let mut table = ResourceTable::new();
        table.set_max_capacity(handles);
        let log = Box::into_pin(stderr.async_stream());
        let mut wasi: WasiCtx = self.builder(stdin, stdout, stderr).build();
        *wasi.filesystem() = self.filesystem.clone();
        let state = State {
            table,
            wasi,
            http,
            hooks: Outgoing::new(self.network.clone(), self.denials.clone(), self.tls.clone()),
            config: run.config.iter().cloned().collect(),
            log,
            network: self.network.clone(),
            denials: self.denials.clone(),
            uses: self.uses.clone(),
            watched: self.watched(),
            limiter: Limiter::new(memory, halt.clone()),
            service: Service::of_one(self.lifecycle.clone()),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_max_component_handles(handles);
        store
    }

    /// The store of an instance of a core module.
    pub fn module_store(
        &self,
        stdin: impl StdinStream + 'static,
        stdout: impl StdoutStream + 'static,
        stderr: impl StdoutStream + 'static,
        halt: &Halt,
    ) -> Store<ModuleState> {
        let mut watched = self.watched();
        watch_p1::start(&mut watched, &self.guests);
        let mut p1: WasiP1Ctx = self.builder(stdin, stdout, stderr).build_p1();
        *p1.ctx().ctx.filesystem() = self.filesystem.clone();
        // Behind each of its descriptors is an entry of this table.
        p1.ctx().table.set_max_capacity(self.handles());
        let state = ModuleState {
            p1,
            denials: self.denials.clone(),
            uses: self.uses.clone(),
            watched,
            limiter: Limiter::new(self.run.limits.memory.unwrap_or(DEFAULT_MEMORY), halt.clone()),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store
    }

    /// Handles that an instance may hold.
    fn handles(&self) -> usize {
        usize::try_from(self.run.limits.handles.unwrap_or(DEFAULT_HANDLES)).unwrap_or(usize::MAX)
    }

    /// Whether the guest can name any file, so that watching is of use.
    pub fn has_paths(&self) -> bool {
        !self.guests.is_empty()
    }

    /// Paths the watchers need to name what was denied.
    fn watched(&self) -> Watched {
        let run = &self.run;
        let explaining = run.explain && self.guests.last().is_some_and(|last| last == "/");
        let granted = run.walls.mount.as_ref().is_some_and(|plan| plan.grants.iter().any(|grant| grant.guest == "/"));
        Watched::new(explaining && !granted, run.working_directory.clone())
    }
}

/// At each tick of processor time: CPUTime is checked and the runtime looks at its other work, so that a stop
/// is heard by a guest that only computes. Set before the instance is made, since start functions run there. What is
/// `hooked` to its calls has to be told when it rests between them.
pub(crate) fn bound_time<T: 'static>(
    store: &mut Store<T>,
    limits: &Limits,
    halt: &Halt,
    spent: impl Fn() -> Duration + Send + Sync + 'static,
    hooked: Option<OwnTime>,
) {
    let halt = halt.clone();
    let bound = limits.cpu_time.map(|seconds| spent() + Duration::from_secs(seconds));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if bound.is_some_and(|bound| spent() >= bound) {
            halt.now(Limit::CpuTime, HeldBy::Guest);
            return Ok(UpdateDeadline::Interrupt);
        }
        let hooked = hooked.clone();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(let_others(hooked))))
    });
}

async fn let_others(hooked: Option<OwnTime>) {
    hooked.iter().for_each(OwnTime::leave);
    tokio::task::yield_now().await;
    hooked.iter().for_each(OwnTime::enter);
}
