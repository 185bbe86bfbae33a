//! Runs a WebAssembly job: the start order of the worker, to the letter, then its instances to their end, and the words
//! of the supervisor meanwhile. What an instance reaches is decided by its grants and put together in `instance`; which
//! interface does what is in `wasi`; taking clients in is `serve`'s.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use wasmtime::Engine;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::WasiCtxBuilder;
use wjob_model::grant::Transport;
use wjob_model::imports::{Asked, HowRun};
use wjob_model::limit::Limit;
use wjob_model::message::{Code, Evidence, FromWorker, INLINE_BYTES, Manner, Run, StartFailure, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_model::wall::DEFAULT_INSTANCES;
use wjob_sandbox::channel::Channel;
use wjob_sandbox::mounter::Mounter;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::{confine, mount, namespaces};

use crate::engine::Pool;
use crate::halt::Halt;
use crate::instance::{Loaded, Prepared, Programs, Template};
use crate::limiter::DEFAULT_MEMORY;
use crate::panics;
use crate::preopens::preopens;
use crate::readiness::watch;
use crate::role::{Started, bounded, no_namespaces, open_grants, open_root, report, set_umask, told_to_go, wall};
use crate::serve::lifecycle::Phase;
use crate::serve::listening::Socket;
use crate::serve::service::Service;
use crate::serve::{self, Serving};
use crate::stdio::Stdout;
use crate::{command, engine, module, open, ticks};

/// Performs the role.
pub(crate) fn perform(started: Started, run: Run) -> u8 {
    let channel = Arc::new(started.channel);
    panics::end_by_a_status(channel.clone());
    match prepare(channel.clone(), started.descriptors, run) {
        Ok((prepared, manner, evidence)) => {
            let told = channel.send(&FromWorker::Manner(manner), &[]);
            let told = told.and_then(|()| channel.send(&FromWorker::Walls(evidence), &[]));
            if told.is_err() || !told_to_go(&channel) {
                return 1;
            }
            let outcome = instances(prepared, manner);
            let _ = channel.send(&FromWorker::Ended(outcome), &[]);
            0
        }
        Err(failure) => {
            report(&channel, failure);
            1
        }
    }
}

/// Steps 3 and 4 of a start, in this order and no other.
fn prepare(
    channel: Arc<Channel>,
    descriptors: Vec<OwnedFd>,
    mut run: Run,
) -> Result<(Prepared, Manner, Vec<Evidence>), StartFailure> {
    set_umask(&run);
    namespaces::enter(&run.walls).map_err(|error| no_namespaces(&error))?;
    let mut descriptors = descriptors.into_iter();
    let code = descriptors.next().ok_or_else(|| StartFailure::own("the program", "its descriptor is missing"))?;
    let root = open_root(&run)?;
    let stdio = open::stdio(&run.stdio, &mut descriptors, &run.own, root.as_ref())?;
    let sockets = sockets(&run, descriptors)?;
    let opened = open_grants(&run, root.as_ref())?;
    drop(root);
    let mounter = Mounter::for_view(&run.walls, &opened).map_err(|error| wall(&error))?;
    let (housed, pooled, manner) = loaded(&run, &code)?;
    let tls =
        run.connect.iter().any(|endpoint| endpoint.transport == Transport::Https).then(crate::wasi::http::load_roots);
    // It seeds its random numbers, for which a static C library opens a device.
    let mut builder = WasiCtxBuilder::new();
    // A thread that has one instance may be held by a blocking call: the supervisor's clock runs elsewhere.
    builder.allow_blocking_current_thread(!manner.hears);
    let before = Before::open();
    match (mounter, &run.walls.mount) {
        (Some(mounter), _) => mounter.put_up(),
        (None, Some(plan)) => mount::put_up(plan, &opened, None),
        (None, None) => Ok(()),
    }
    .map_err(|error| wall(&error))?;
    let mut evidence: Vec<Evidence> = before.mounts(&run.walls, &opened).into_iter().collect();
    let mut preopens = preopens(&run, &opened)?;
    for preopen in &mut preopens {
        let opened = builder.preopened_dir(&preopen.host, &preopen.guest, preopen.permissions);
        opened.map_err(|error| StartFailure::own(format!("opening {}", preopen.guest), format!("{error:#}")))?;
        drop(preopen.held.take());
    }
    let filesystem = builder.build().filesystem().clone();
    ticks::start(&housed.0, pooled.as_ref().map(|(engine, _)| engine))
        .map_err(|error| StartFailure::own("the timer", error))?;
    confine(&run.walls, &opened).map_err(|error| wall(&error))?;
    evidence.extend(try_what_must_fail(&run.walls).map_err(|error| wall(&error))?);
    if run.globbing {
        run.arguments = crate::native::globbed(&run.arguments, &run.environment)?;
    }
    let prepared = Prepared { housed, pooled, run, stdio, sockets, preopens, filesystem, tls, channel };
    Ok((prepared, manner, evidence))
}

fn sockets(run: &Run, descriptors: impl Iterator<Item = OwnedFd>) -> Result<Vec<Socket>, StartFailure> {
    let sockets = descriptors.zip(&run.sockets).map(|(descriptor, about)| Socket::new(descriptor, about.clone()));
    sockets.collect::<Result<_, _>>().map_err(|error| StartFailure::own("a socket", error))
}

/// A program in an engine.
pub(crate) type Housed = (Engine, Loaded);

/// The program in an engine without a pool, and where many instances serve in one with a pool too: the first of them find
/// their place in it. A pool for all of them would take longer to make than the first client waits.
fn loaded(run: &Run, code: &OwnedFd) -> Result<(Housed, Option<Housed>, Manner), StartFailure> {
    let engine = engine::engine(None)?;
    let (program, manner) = load(&engine, run, code)?;
    let pooled = if manner.serves { pooled(run, code, &program) } else { None };
    Ok(((engine, program), pooled, manner))
}

fn pooled(run: &Run, code: &OwnedFd, program: &Loaded) -> Option<Housed> {
    let instances = run.limits.instances.unwrap_or(DEFAULT_INSTANCES).min(Pool::MOST.into());
    let memory = run.limits.memory.unwrap_or(DEFAULT_MEMORY).min(DEFAULT_MEMORY);
    let pool = Pool {
        instances: u32::try_from(instances).unwrap_or(Pool::MOST),
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
    };
    if matches!(program, Loaded::Component(component, _) if !pool.fits(component)) {
        return None;
    }
    // Its address space is much, and a machine may have been told to give away only what it has.
    let engine = engine::engine(Some(pool)).ok()?;
    // A memory that begins larger than Memory has no place there, and no instance anywhere.
    let (program, _) = load(&engine, run, code).ok()?;
    Some((engine, program))
}

/// The program, and how it goes about its end.
fn load(engine: &Engine, run: &Run, code: &OwnedFd) -> Result<(Loaded, Manner), StartFailure> {
    // What it offers to other jobs is called by nobody yet.
    let sockets = run.sockets.iter().map(|socket| (socket.name.as_str(), socket.kind, socket.connected));
    let asked = Asked { inetd_wait: run.inetd_wait, ..Asked::of_sockets(sockets) };
    match run.code {
        Code::Module => {
            let module = engine::module(engine, code)?;
            let how = module::how(&module, asked)?;
            let serves = how == HowRun::Inetd;
            Ok((Loaded::Module(module, how), Manner { hears: serves, serves }))
        }
        _ => {
            let component = engine::component(engine, code)?;
            let how = command::how(engine, &component, asked)?;
            let (imports, _) = command::names(engine, &component);
            let serves = asked.sockets && how != HowRun::Activation;
            let hears = asked.sockets || imports.iter().any(|name| name.starts_with(LIFECYCLE));
            Ok((Loaded::Component(component, how), Manner { hears, serves }))
        }
    }
}

/// Whether the end of a run waits for what is under way: a guest that hears of it, or requests, which are finite.
/// Connections are not, and a guest that cannot hear would never know.
fn hears_stopping(engine: &Engine, program: &Loaded) -> bool {
    match program {
        Loaded::Module(..) => false,
        Loaded::Component(component, how) => {
            let (imports, _) = command::names(engine, component);
            matches!(how, HowRun::Http02 | HowRun::Http03) || imports.iter().any(|name| name.starts_with(LIFECYCLE))
        }
    }
}

/// Who imports it hears that the run is to end.
const LIFECYCLE: &str = "wjob:service/lifecycle@";

/// Step 5: the runtime, the instances, and the words of the supervisor meanwhile.
fn instances(prepared: Prepared, manner: Manner) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run_to_end(prepared, manner));
            // A blocking call that is still under way must not hold the end.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Outcome::Trapped(format!("the runtime: {error}")),
    }
}

async fn run_to_end(prepared: Prepared, manner: Manner) -> Outcome {
    let (template, programs, sockets) = Template::new(prepared);
    let hears_stopping = hears_stopping(&template.engine, &programs.plain);
    let result = tokio::select! {
        biased;
        () = ended(&template, manner, hears_stopping) => None,
        () = template.halt.asked() => None,
        result = execute(&template, programs, sockets) => match template.lifecycle.phase() {
            // It has given its sockets back because it could.
            Phase::Idle => None,
            _ => Some(result),
        },
    };
    template.outputs.iter().for_each(Stdout::finish);
    let outcome = match result {
        Some(result) => judge(result, &template.halt),
        // What was refused before has nothing to do with being stopped.
        None => template.halt.ended().unwrap_or(Outcome::Stopped),
    };
    // One that ends the run is its end; one that only refused something would be known to nobody.
    if !matches!(outcome, Outcome::LimitHit { .. }) {
        template.denials.record_limit(template.halt.outcome().as_ref());
    }
    outcome
}

async fn execute(
    template: &Arc<Template>,
    programs: Programs,
    sockets: Vec<Socket>,
) -> wasmtime::Result<Result<(), ()>> {
    let program = &programs.plain;
    match (program, program.how()) {
        (Loaded::Component(component, _), HowRun::Command02 | HowRun::Command03) => {
            command::run(template, component, Service::of_one(template.lifecycle.clone())).await
        }
        (Loaded::Component(component, _), HowRun::Activation) => {
            let serving = Serving::new(template, &programs)?;
            command::run(template, component, Service::with_sockets(serving, sockets)).await
        }
        (Loaded::Module(module, _), HowRun::Module) => module::run(template, module).await,
        _ => serve::serve(Serving::new(template, &programs)?, sockets).await.map(Ok),
    }
}

/// Resolves when the run is to end whatever is under way: its work is done after it was asked to, or its time for that
/// is up, or nothing of it hears.
async fn ended(template: &Arc<Template>, manner: Manner, hears_stopping: bool) {
    let lifecycle = &template.lifecycle;
    let asked = async {
        tokio::select! {
            biased;
            phase = told(template) => phase,
            () = idle(template) => Phase::Idle,
        }
    };
    let phase = asked.await;
    lifecycle.reach(phase);
    if !manner.hears || phase == Phase::Stopping && !hears_stopping {
        return;
    }
    let time = match template.run.exit_timeout {
        0 => None,
        seconds => Some(Duration::from_secs(seconds.into())),
    };
    tokio::select! {
        biased;
        // Whoever finds it idle may have found a client who had just come.
        () = told_more(template, hears_stopping), if phase != Phase::Stopping => {}
        () = serve::overtime(time), if phase != Phase::Idle => {}
        () = ignored(template, time), if phase == Phase::Idle => {}
    }
}

/// Resolves when a run that has no work any more goes on nevertheless: its sockets are wanted back.
async fn ignored(template: &Arc<Template>, time: Option<Duration>) {
    template.lifecycle.rest().await;
    serve::overtime(time).await;
}

/// Resolves when it was asked once more and the time for what is under way is up; what hears nothing of its end has none.
async fn told_more(template: &Arc<Template>, hears_stopping: bool) {
    let phase = told(template).await;
    template.lifecycle.reach(phase);
    if phase == Phase::Stopping && !hears_stopping {
        return;
    }
    let seconds = template.run.exit_timeout;
    serve::overtime((seconds > 0).then(|| Duration::from_secs(seconds.into()))).await;
}

async fn idle(template: &Arc<Template>) {
    match template.run.idle_timeout {
        Some(seconds) => template.lifecycle.idle(Duration::from_secs(seconds.into())).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the supervisor wants the run to end, or is gone; how.
async fn told(template: &Arc<Template>) -> Phase {
    let channel = &template.channel;
    let copy = rustix::io::fcntl_dupfd_cloexec(channel.as_ref(), 0);
    let Some(watched) = copy.ok().and_then(|copy| watch(Arc::new(copy), Interest::READABLE).ok()) else {
        return std::future::pending().await;
    };
    loop {
        let Ok(mut guard) = watched.readable().await else {
            return Phase::Stopping;
        };
        if !crate::output::ready(channel.as_ref(), rustix::event::PollFlags::IN, Some(Duration::ZERO)) {
            guard.clear_ready();
            continue;
        }
        match channel.receive::<ToWorker>(INLINE_BYTES) {
            Ok(Some(ToWorker::Names(names))) => template.network.replace_names(names),
            Ok(Some(ToWorker::Go)) => {}
            Ok(Some(ToWorker::Drain)) => return Phase::Draining,
            Ok(Some(ToWorker::Stop { .. }) | None) | Err(_) => return Phase::Stopping,
        }
    }
}

/// What a result counts as, by the limits that were hit before it.
pub(crate) fn judge(result: wasmtime::Result<Result<(), ()>>, halt: &Halt) -> Outcome {
    match result {
        Ok(Ok(())) => Outcome::Exited(0),
        Ok(Err(())) => Outcome::Exited(1),
        Err(error) if out_of_handles(&error) => Outcome::LimitHit { limit: Limit::Handles, wall: HeldBy::Guest },
        Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            // Statuses are eight bits wide, as for any process (wait(2)).
            Some(exit) => Outcome::Exited((exit.0 & 0xff) as u8),
            None => halt.explains(&error).unwrap_or_else(|| Outcome::Trapped(bounded(cause_first(&error)))),
        },
    }
}

/// What went wrong, then where: the engine's own order buries the cause under the back-trace.
fn cause_first(error: &wasmtime::Error) -> String {
    let mut chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.reverse();
    chain.join("\n")
}

/// The engine has no type for the error of its own handle table, only this text (its handle_table.rs).
fn out_of_handles(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || error.chain().any(|cause| cause.to_string().contains("store handle limit exceeded"))
}
