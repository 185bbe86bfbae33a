//! Runs a WebAssembly job: the start order of the worker, to the letter, then one instance to its end.
//! What an instance reaches is decided by its grants and put together here; which interface does what is in `wasi`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use wasmtime::Engine;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wjob_model::grant::{Access, PathGrant, Transport};
use wjob_model::imports::HowRun;
use wjob_model::limit::Limit;
use wjob_model::message::{Code, Evidence, FromWorker, INLINE_BYTES, Run, StartFailure, TEXT_BYTES, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_sandbox::channel::Channel;
use wjob_sandbox::grants::Opened;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::{confine, grants, mount, namespaces};

use crate::denial::Denials;
use crate::halt::Halt;
use crate::output::{Meter, Output};
use crate::readiness::watch;
use crate::start::{Started, report};
use crate::stdio::{Stdin, Stdout};
use crate::wasi::network::Network;
use crate::{command, engine, module, open, ticks};

/// Most bytes of wasi:random at once.
const MOST_RANDOM: u64 = 1 << 20;

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
}

/// What an instance's contexts are filled from, whichever kind it is.
pub(crate) struct Surroundings {
    pub builder: WasiCtxBuilder,
    pub network: Arc<Network>,
    pub denials: Arc<Denials>,
    pub halt: Halt,
    pub outputs: [Stdout; 2],
}

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

/// The supervisor has read the walls back.
pub(crate) fn told_to_go(channel: &Channel) -> bool {
    matches!(channel.receive::<ToWorker>(INLINE_BYTES), Ok(Some(ToWorker::Go)))
}

/// Steps 3 and 4 of a start, in this order and no other.
fn prepare(
    channel: Arc<Channel>,
    descriptors: Vec<OwnedFd>,
    mut run: Run,
) -> Result<(Prepared, Vec<Evidence>), StartFailure> {
    set_umask(&run);
    namespaces::enter(&run.walls).map_err(|error| wall(&error))?;
    let mut descriptors = descriptors.into_iter();
    let code = descriptors.next().ok_or_else(|| StartFailure::own("the program", "its descriptor is missing"))?;
    let stdio = open::stdio(&run.stdio, &mut descriptors)?;
    let opened = open_grants(&run)?;
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
        mount::put_up(plan, &opened).map_err(|error| wall(&error))?;
    }
    let mut evidence: Vec<Evidence> = before.mounts(&run.walls, &opened).into_iter().collect();
    let preopens = preopens(&run, &opened)?;
    for preopen in &preopens {
        let opened = builder.preopened_dir(&preopen.host, &preopen.guest, preopen.permissions);
        opened.map_err(|error| StartFailure::own(format!("opening {}", preopen.guest), format!("{error:#}")))?;
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

pub(crate) fn wall(error: &wjob_sandbox::WallError) -> StartFailure {
    StartFailure::wall(format!("the {} wall", error.wall.row().name), format!("{}: {}", error.doing, error.why))
}

pub(crate) fn set_umask(run: &Run) {
    if let Some(umask) = run.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
}

pub(crate) fn open_grants(run: &Run) -> Result<Vec<Opened>, StartFailure> {
    grants::open(&run.paths).map_err(|error| {
        let advice = "make it, or give the job's user the right to reach it";
        StartFailure::job(format!("granted path {}", error.path), error.why, advice)
    })
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

/// The directories a guest finds open: granted ones, the folders of granted files, the working directory as `.`,
/// and last, for explaining only, the empty root of the view.
fn preopens(run: &Run, opened: &[Opened]) -> Result<Vec<Preopen>, StartFailure> {
    let mut preopens: Vec<Preopen> = Vec::new();
    for opened in opened {
        add_preopen(&mut preopens, opened, run.walls.mount.is_some())?;
    }
    if let Some(directory) = &run.working_directory {
        preopens.push(working_directory(directory, &preopens)?);
    }
    if run.explain && run.walls.mount.is_some() && !preopens.iter().any(|preopen| preopen.guest == "/") {
        preopens.push(Preopen { host: "/".into(), guest: "/".into(), permissions: FsPerms::ReadOnly });
    }
    Ok(preopens)
}

fn add_preopen(preopens: &mut Vec<Preopen>, opened: &Opened, view: bool) -> Result<(), StartFailure> {
    if !view && !opened.directory {
        let what = format!("the file {} cannot be granted", opened.grant.host);
        return Err(StartFailure::wall(what, "a file needs the mount wall, which is missing"));
    }
    let PathGrant { guest, access, .. } = &opened.grant;
    let folder = if opened.directory { guest.as_str() } else { parent(guest) };
    let permissions = if *access == Access::ReadWrite { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
    match preopens.iter().find(|preopen| preopen.guest == folder) {
        None => {
            // Without a view of its own the guest's folder is nowhere but behind its descriptor.
            let host = if view { folder.into() } else { format!("/proc/self/fd/{}", opened.descriptor.as_raw_fd()) };
            preopens.push(Preopen { host, guest: folder.into(), permissions });
            Ok(())
        }
        Some(shared) if !opened.directory && shared.permissions == permissions => Ok(()),
        Some(_) => {
            let what = format!("GuestPath {guest}");
            let why = "files granted into one folder must have the same Access, which the folder takes";
            Err(StartFailure::job(what, why, "give it a GuestPath in a folder of its own"))
        }
    }
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((folder, _)) => folder,
    }
}

/// `.` with the rights of the grant it lies in.
fn working_directory(directory: &str, preopens: &[Preopen]) -> Result<Preopen, StartFailure> {
    let covers = |preopen: &&Preopen| std::path::Path::new(directory).starts_with(&preopen.guest);
    let covering = preopens.iter().filter(covers).max_by_key(|preopen| preopen.guest.len());
    let Some(covering) = covering else {
        let why = "no Paths grant covers it, and a guest has no other folders";
        return Err(StartFailure::job(format!("WorkingDirectory {directory}"), why, "grant it in Grants.Paths"));
    };
    let below = std::path::Path::new(directory).strip_prefix(&covering.guest).unwrap_or(std::path::Path::new(""));
    let host = std::path::Path::new(&covering.host).join(below);
    if !host.is_dir() {
        let advice = "make the folder, or name another";
        let why = "no such folder in the job's view";
        return Err(StartFailure::job(format!("WorkingDirectory {directory}"), why, advice));
    }
    Ok(Preopen { host: host.display().to_string(), guest: ".".into(), permissions: covering.permissions })
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
        Outcome::Trapped(_) | Outcome::Stopped => halt.outcome().unwrap_or(outcome),
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
            None => Outcome::Trapped(bounded(format!("{error:#}"))),
        },
    }
}

/// The engine has no type for the error of its own handle table, only this text (its handle_table.rs).
fn out_of_handles(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || error.chain().any(|cause| cause.to_string().contains("store handle limit exceeded"))
}

/// A text short enough for a message.
pub(crate) fn bounded(mut text: String) -> String {
    let end = (0..=TEXT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
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
