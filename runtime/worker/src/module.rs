//! Runs a wasip1 core module as what it is: an adapter to a component would flatten its exit status to 0 or 1,
//! and statuses decide KeepAlive.

use wasmtime::{ExternType, Linker, Module, Store};
use wjob_model::imports::{PREVIEW_1, how_run_module};
use wjob_model::message::StartFailure;

use crate::instance::{Prepared, Surroundings, bound_time, watched};
use crate::limiter::{DEFAULT_MEMORY, Limiter};
use crate::state::ModuleState;
use crate::wasi::watch_p1;

/// The function a command exports.
const START: &str = "_start";

/// Whether a module is a wasip1 command.
///
/// # Errors
/// When it is something else, naming the import or export that shows it.
pub(crate) fn check(module: &Module) -> Result<(), StartFailure> {
    let imports: Vec<(&str, &str)> = module.imports().map(|import| (import.module(), import.name())).collect();
    let exports: Vec<&str> = module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(_)))
        .map(|export| export.name())
        .collect();
    how_run_module(&imports, &exports).map(drop).map_err(|finding| {
        StartFailure::job("the module cannot be run", finding.message, finding.help.unwrap_or_default())
    })
}

/// Runs the module once.
pub(crate) async fn run(
    surroundings: Surroundings,
    prepared: &Prepared,
    module: &Module,
) -> wasmtime::Result<Result<(), ()>> {
    let mut linker: Linker<ModuleState> = Linker::new(&prepared.engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state| &mut state.p1)?;
    linker.allow_shadowing(true);
    linker.func_wrap(PREVIEW_1, "proc_exit", exit)?;
    if prepared.run.explain {
        watch_p1::add_to_linker(&mut linker, |state| watch_p1::Parts {
            ctx: &mut state.p1,
            watched: &mut state.watched,
            denials: &state.denials,
        })?;
    }
    let mut store = store(surroundings, prepared);
    let instance = linker.instantiate_async(&mut store, module).await?;
    let start = instance.get_typed_func::<(), ()>(&mut store, START)?;
    start.call_async(&mut store, ()).await.map(Ok)
}

/// Ends with any of a process's 256 statuses; wasmtime-wasi's own takes those from 126 on for a fault.
fn exit(status: i32) -> wasmtime::Result<()> {
    Err(wasmtime_wasi::I32Exit(status).into())
}

fn store(surroundings: Surroundings, prepared: &Prepared) -> Store<ModuleState> {
    let Surroundings { mut builder, denials, halt, .. } = surroundings;
    let limits = &prepared.run.limits;
    let mut watched = watched(prepared);
    let guests: Vec<String> = prepared.preopens.iter().map(|preopen| preopen.guest.clone()).collect();
    watch_p1::start(&mut watched, &guests);
    let state = ModuleState {
        p1: builder.build_p1(),
        denials,
        watched,
        limiter: Limiter::new(limits.memory.unwrap_or(DEFAULT_MEMORY), halt.clone()),
    };
    let mut store = Store::new(&prepared.engine, state);
    store.limiter(|state| &mut state.limiter);
    bound_time(&mut store, limits, halt);
    store
}
