//! Runs a WebAssembly job: the start order of the worker, to the letter, then one instance to its end.
//! What an instance reaches is decided by its grants and put together here; which interface does what is in `wasi`.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use wasmtime::Engine;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::WasiCtxBuilder;
use wjob_model::grant::Transport;
use wjob_model::limit::Limit;
use wjob_model::message::{Code, Evidence, FromWorker, INLINE_BYTES, Run, StartFailure, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_sandbox::channel::Channel;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::{confine, mount, namespaces};

use crate::denial::Denials;
use crate::halt::Halt;
use crate::instance::{Loaded, Prepared, Surroundings};
use crate::output::{Meter, Output};
use crate::preopens::preopens;
use crate::readiness::watch;
use crate::role::{Started, bounded, no_namespaces, open_grants, open_root, report, set_umask, told_to_go, wall};
use crate::stdio::{Stdin, Stdout};
use crate::wasi::network::Network;
use crate::{command, engine, module, open, ticks};

/// Most bytes of wasi:random at once.
const MOST_RANDOM: u64 = 1 << 20;

/// Performs the role.
pub(crate) fn perform(started: Started, run: Run) -> u8 {
    let channel = Arc::new(started.channel);
    match prepare(channel.clone(), started.descriptors, run) {
        Ok((prepared, evidence)) => {
            if channel.send(&FromWorker::Walls(evidence), &[]).is_err() || !told_to_go(&channel) {
                return 1;
            }
            let outcome = instance(prepared);
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
) -> Result<(Prepared, Vec<Evidence>), StartFailure> {
    set_umask(&run);
    namespaces::enter(&run.walls).map_err(|error| no_namespaces(&error))?;
    let mut descriptors = descriptors.into_iter();
    let code = descriptors.next().ok_or_else(|| StartFailure::own("the program", "its descriptor is missing"))?;
    let root = open_root(&run)?;
    let stdio = open::stdio(&run.stdio, &mut descriptors, &run.own, root.as_ref())?;
    let opened = open_grants(&run, root.as_ref())?;
    drop(root);
    let engine = engine::engine()?;
    let program = load(&engine, &run, &code)?;
    let tls =
        run.connect.iter().any(|endpoint| endpoint.transport == Transport::Https).then(crate::wasi::http::load_roots);
    // It seeds its random numbers, for which a static C library opens a device.
    let mut builder = WasiCtxBuilder::new();
    // One instance and one thread: a blocking call may hold it, and the supervisor's clock runs elsewhere.
    builder.allow_blocking_current_thread(true);
    let before = Before::open();
    if let Some(plan) = &run.walls.mount {
        mount::put_up(plan, &opened, None).map_err(|error| wall(&error))?;
    }
    let mut evidence: Vec<Evidence> = before.mounts(&run.walls, &opened).into_iter().collect();
    let mut preopens = preopens(&run, &opened)?;
    for preopen in &mut preopens {
        let opened = builder.preopened_dir(&preopen.host, &preopen.guest, preopen.permissions);
        opened.map_err(|error| StartFailure::own(format!("opening {}", preopen.guest), format!("{error:#}")))?;
        drop(preopen.held.take());
    }
    ticks::start(&engine).map_err(|error| StartFailure::own("the timer", error))?;
    confine(&run.walls, &opened).map_err(|error| wall(&error))?;
    evidence.extend(try_what_must_fail(&run.walls).map_err(|error| wall(&error))?);
    if run.globbing {
        run.arguments = crate::native::globbed(&run.arguments, &run.environment)?;
    }
    let prepared = Prepared { engine, program, run, stdio: Some(stdio), preopens, builder, tls, channel };
    Ok((prepared, evidence))
}

fn load(engine: &Engine, run: &Run, code: &OwnedFd) -> Result<Loaded, StartFailure> {
    match run.code {
        Code::Module => {
            let module = engine::module(engine, code)?;
            module::check(&module)?;
            Ok(Loaded::Module(module))
        }
        _ => {
            let component = engine::component(engine, code)?;
            let how = command::how(engine, &component)?;
            Ok(Loaded::Component(component, how))
        }
    }
}

/// Step 5: the runtime, the instance, and the words of the supervisor meanwhile.
fn instance(prepared: Prepared) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run_to_end(prepared));
            // A blocking call that is still under way must not hold the end.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Outcome::Trapped(format!("the runtime: {error}")),
    }
}

async fn run_to_end(prepared: Prepared) -> Outcome {
    let channel = prepared.channel.clone();
    let (surroundings, prepared) = match surroundings(prepared) {
        Ok(both) => both,
        Err(error) => return Outcome::Trapped(bounded(format!("{error:#}"))),
    };
    let (halt, outputs) = (surroundings.halt.clone(), surroundings.outputs.clone());
    let network = surroundings.network.clone();
    let outcome = tokio::select! {
        biased;
        () = stopped(&channel, &network) => Outcome::Stopped,
        () = halt.asked() => Outcome::Stopped,
        result = execute(surroundings, prepared) => judge(result),
    };
    outputs.iter().for_each(Stdout::finish);
    match outcome {
        // What was refused before has nothing to do with being stopped.
        Outcome::Stopped => halt.ended().unwrap_or(outcome),
        Outcome::Trapped(_) => halt.outcome().unwrap_or(outcome),
        outcome => outcome,
    }
}

async fn execute(surroundings: Surroundings, prepared: Prepared) -> wasmtime::Result<Result<(), ()>> {
    match prepared.program {
        Loaded::Component(ref component, how) => command::run(surroundings, &prepared, component, how).await,
        Loaded::Module(ref module) => module::run(surroundings, &prepared, module).await,
    }
}

/// Resolves when the supervisor wants the run to end, or is gone.
async fn stopped(channel: &Arc<Channel>, network: &Arc<Network>) {
    let copy = rustix::io::fcntl_dupfd_cloexec(channel.as_ref(), 0);
    let Some(watched) = copy.ok().and_then(|copy| watch(Arc::new(copy), Interest::READABLE).ok()) else {
        return std::future::pending().await;
    };
    loop {
        let Ok(mut guard) = watched.readable().await else {
            return;
        };
        if !crate::output::ready(channel.as_ref(), rustix::event::PollFlags::IN, Some(std::time::Duration::ZERO)) {
            guard.clear_ready();
            continue;
        }
        match channel.receive::<ToWorker>(INLINE_BYTES) {
            Ok(Some(ToWorker::Names(names))) => network.replace_names(names),
            Ok(Some(ToWorker::Go)) => {}
            Ok(Some(ToWorker::Stop { .. }) | None) | Err(_) => return,
        }
    }
}

fn judge(result: wasmtime::Result<Result<(), ()>>) -> Outcome {
    match result {
        Ok(Ok(())) => Outcome::Exited(0),
        Ok(Err(())) => Outcome::Exited(1),
        Err(error) if out_of_handles(&error) => Outcome::LimitHit { limit: Limit::Handles, wall: HeldBy::Guest },
        Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            // Statuses are eight bits wide, as for any process (wait(2)).
            Some(exit) => Outcome::Exited((exit.0 & 0xff) as u8),
            None => Outcome::Trapped(bounded(cause_first(&error))),
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

/// Fills what every kind of instance shares.
fn surroundings(mut prepared: Prepared) -> wasmtime::Result<(Surroundings, Prepared)> {
    let halt = Halt::default();
    let denials = Arc::new(Denials::new(prepared.channel.clone()));
    let run = &mut prepared.run;
    let network = Arc::new(Network::new(run.connect.clone(), run.bind.clone(), std::mem::take(&mut run.names)));
    let meter = Meter::shared(&run.limits);
    let [stdin, stdout, stderr] = prepared.stdio.take().ok_or_else(|| wasmtime::format_err!("no stdio"))?;
    let output = |descriptor| Stdout::new(Output::new(descriptor, meter.clone(), run.raw), halt.clone());
    let outputs = [output(stdout), output(stderr)];
    let mut builder = std::mem::take(&mut prepared.builder);
    builder
        .stdin(Stdin::new(stdin))
        .stdout(outputs[0].clone())
        .stderr(outputs[1].clone())
        .args(&run.arguments)
        .envs(&run.environment)
        .max_random_size(MOST_RANDOM)
        .allow_tcp(run.walls.network.tcp)
        .allow_udp(run.walls.network.udp)
        .allow_ip_name_lookup(true)
        .socket_addr_check(crate::wasi::network::socket_check(network.clone(), denials.clone()));
    if let Some(directory) = &run.working_directory {
        builder.initial_cwd(directory);
    }
    Ok((Surroundings { builder, network, denials, halt, outputs }, prepared))
}
