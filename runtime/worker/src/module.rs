//! Runs a wasip1 core module as what it is: an adapter to a component would flatten its exit status to 0 or 1,
//! and statuses decide KeepAlive.

use std::sync::Arc;

use wasmtime::{ExternType, Linker, Module};
use wjob_model::imports::{Asked, HowRun, PREVIEW_1, how_run_module};
use wjob_model::message::StartFailure;

use crate::instance::{Template, bound_time};
use crate::state::ModuleState;
use crate::ticks::own_time;
use crate::wasi::watch_p1;

/// The function a command exports.
pub(crate) const START: &str = "_start";

/// How a wasip1 command is run.
///
/// # Errors
/// When it is something else, naming the import or export that shows it.
pub(crate) fn how(module: &Module, asked: Asked<'_>) -> Result<HowRun, StartFailure> {
    let imports: Vec<(&str, &str)> = module.imports().map(|import| (import.module(), import.name())).collect();
    let exports: Vec<&str> = module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(_)))
        .map(|export| export.name())
        .collect();
    how_run_module(&imports, &exports, asked).map_err(|finding| {
        StartFailure::job("the module cannot be run", finding.message, finding.help.unwrap_or_default())
    })
}

/// Runs the module once.
pub(crate) async fn run(template: &Arc<Template>, module: &Module) -> wasmtime::Result<Result<(), ()>> {
    let linker = linker(template)?;
    let [stdout, stderr] = template.outputs.clone();
    let mut store = template.module_store(template.stdin.clone(), stdout, stderr, &template.halt);
    bound_time(&mut store, &template.run.limits, &template.halt, own_time, None);
    let instance = linker.instantiate_async(&mut store, module).await?;
    let start = instance.get_typed_func::<(), ()>(&mut store, START)?;
    start.call_async(&mut store, ()).await.map(Ok)
}

/// Everything a module may import.
pub(crate) fn linker(template: &Arc<Template>) -> wasmtime::Result<Linker<ModuleState>> {
    let mut linker: Linker<ModuleState> = Linker::new(&template.engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state| &mut state.p1)?;
    linker.allow_shadowing(true);
    linker.func_wrap(PREVIEW_1, "proc_exit", exit)?;
    if template.has_paths() {
        watch_p1::add_to_linker(&mut linker, |state| watch_p1::Parts {
            ctx: &mut state.p1,
            watched: &mut state.watched,
            denials: &state.denials,
            uses: &state.uses,
        })?;
    }
    Ok(linker)
}

/// Ends with any of a process's 256 statuses; wasmtime-wasi's own takes those from 126 on for a fault.
fn exit(status: i32) -> wasmtime::Result<()> {
    Err(wasmtime_wasi::I32Exit(status).into())
}
