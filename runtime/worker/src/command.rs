//! Runs a component's `wasi:cli/run`, 0.2 or 0.3: links what it imports, makes its store, calls it once.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpCtx;
use wjob_model::imports::{HowRun, how_run_component};
use wjob_model::message::StartFailure;

use crate::instance::{Prepared, Surroundings, bound_time, watched};
use crate::limiter::{DEFAULT_MEMORY, Limiter};
use crate::state::State;
use crate::wasi;
use crate::wasi::http::Outgoing;

/// Handles an instance may hold when the job says nothing.
const DEFAULT_HANDLES: u64 = 10_000;

/// How a component is run, from the names of its imports and exports.
///
/// # Errors
/// When it is no command, or imports what nobody provides; naming the import or export.
pub(crate) fn how(engine: &Engine, component: &Component) -> Result<HowRun, StartFailure> {
    let kind = component.component_type();
    let imports: Vec<&str> = kind.imports(engine).map(|(name, _)| name).collect();
    let exports: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    how_run_component(&imports, &exports).map_err(|finding| {
        StartFailure::job("the component cannot be run", finding.message, finding.help.unwrap_or_default())
    })
}

/// Runs the component once.
pub(crate) async fn run(
    surroundings: Surroundings,
    prepared: &Prepared,
    component: &Component,
    how: HowRun,
) -> wasmtime::Result<Result<(), ()>> {
    let linker = linker(prepared, component)?;
    let mut store = store(surroundings, prepared);
    match how {
        HowRun::Command03 => {
            let command =
                wasmtime_wasi::p3::bindings::Command::instantiate_async(&mut store, component, &linker).await?;
            store.run_concurrent(async move |accessor| command.wasi_cli_run().call_run(accessor).await).await?
        }
        _ => {
            let command =
                wasmtime_wasi::p2::bindings::Command::instantiate_async(&mut store, component, &linker).await?;
            command.wasi_cli_run().call_run(&mut store).await
        }
    }
}

/// Links what the component imports, and nothing for versions and packages it does not.
fn linker(prepared: &Prepared, component: &Component) -> wasmtime::Result<Linker<State>> {
    let engine = &prepared.engine;
    let mut linker: Linker<State> = Linker::new(engine);
    let imports: Vec<String> = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
    let imports =
        |package: &str, version: &str| imports.iter().any(|name| name.starts_with(package) && name.contains(version));
    let (second, third) = (imports("wasi:", "@0.2"), imports("wasi:", "@0.3"));
    if second {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    if third {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    }
    if imports("wasi:http/", "@0.2") {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    if imports("wasi:http/", "@0.3") {
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    if imports("wasi:config/", "") {
        wasmtime_wasi_config::add_to_linker(&mut linker, State::config)?;
    }
    linker.allow_shadowing(true);
    if imports("wasi:sockets/ip-name-lookup", "@0.2") {
        wasi::lookup::add_to_linker_p2(&mut linker)?;
    }
    if imports("wasi:sockets/ip-name-lookup", "@0.3") {
        wasi::lookup::add_to_linker_p3(&mut linker)?;
    }
    if prepared.run.explain && second {
        wasi::watch_p2::add_to_linker(&mut linker)?;
        wasi::watch_sockets::add_to_linker_p2(&mut linker)?;
    }
    if prepared.run.explain && third {
        wasi::watch_p3::add_to_linker(&mut linker)?;
        wasi::watch_sockets::add_to_linker_p3(&mut linker)?;
    }
    wasi::other::deny_unknown_wasi(&mut linker, engine, component)?;
    Ok(linker)
}

fn store(surroundings: Surroundings, prepared: &Prepared) -> Store<State> {
    let Surroundings { mut builder, network, denials, halt, .. } = surroundings;
    let run = &prepared.run;
    let handles = usize::try_from(run.limits.handles.unwrap_or(DEFAULT_HANDLES)).unwrap_or(usize::MAX);
    let mut table = ResourceTable::new();
    table.set_max_capacity(handles);
    let state = State {
        table,
        wasi: builder.build(),
        http: WasiHttpCtx::new(),
        hooks: Outgoing::new(network.clone(), denials.clone(), prepared.tls.clone()),
        config: run.config.iter().cloned().collect::<WasiConfigVariables>(),
        network,
        denials,
        watched: watched(prepared),
        limiter: Limiter::new(run.limits.memory.unwrap_or(DEFAULT_MEMORY), halt.clone()),
    };
    let mut store = Store::new(&prepared.engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_max_component_handles(handles);
    bound_time(&mut store, &run.limits, halt);
    store
}
