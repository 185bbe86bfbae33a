//! Runs a component's `wasi:cli/run`, 0.2 or 0.3, once; and links what a component imports, however it is run.

use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wjob_model::imports::{Asked, HowRun, how_run_component};
use wjob_model::message::StartFailure;

use crate::instance::{Template, bound_time};
use crate::serve::service::{self, Service};
use crate::state::State;
use crate::ticks::own_time;
use crate::wasi;

/// The names of a component's imports and exports.
pub(crate) fn names(engine: &Engine, component: &Component) -> (Vec<String>, Vec<String>) {
    let kind = component.component_type();
    let imports = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
    (imports, kind.exports(engine).map(|(name, _)| name.to_owned()).collect())
}

/// How a component is run, from the names of its imports and exports.
///
/// # Errors
/// When it cannot be run as it is asked for, or imports what nobody provides; naming the import or export.
pub(crate) fn how(engine: &Engine, component: &Component, asked: Asked<'_>) -> Result<HowRun, StartFailure> {
    let (imports, exports) = names(engine, component);
    let imports: Vec<&str> = imports.iter().map(String::as_str).collect();
    let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
    how_run_component(&imports, &exports, asked).map_err(|finding| {
        StartFailure::job("the component cannot be run", finding.message, finding.help.unwrap_or_default())
    })
}

/// Runs the component once.
pub(crate) async fn run(
    template: &Arc<Template>,
    component: &Component,
    service: Service,
) -> wasmtime::Result<Result<(), ()>> {
    let linker = linker(template, component)?;
    let [stdout, stderr] = template.outputs.clone();
    let mut store: Store<State> = template.store(template.stdin.clone(), stdout, stderr, &template.halt);
    store.data_mut().service = service;
    bound_time(&mut store, &template.run.limits, &template.halt, own_time, None);
    let pre = linker.instantiate_pre(component)?;
    if let Ok(third) = wasmtime_wasi::p3::bindings::CommandPre::new(pre.clone()) {
        let command = third.instantiate_async(&mut store).await?;
        return store.run_concurrent(async move |accessor| command.wasi_cli_run().call_run(accessor).await).await?;
    }
    let command = wasmtime_wasi::p2::bindings::CommandPre::new(pre)?.instantiate_async(&mut store).await?;
    command.wasi_cli_run().call_run(&mut store).await
}

/// Links what the component imports, and nothing for versions and packages it does not.
///
/// # Errors
/// When it imports what nobody provides.
pub(crate) fn linker(template: &Arc<Template>, component: &Component) -> wasmtime::Result<Linker<State>> {
    let engine = &template.engine;
    let mut linker: Linker<State> = Linker::new(engine);
    let (imported, _) = names(engine, component);
    let imports =
        |package: &str, version: &str| imported.iter().any(|name| name.starts_with(package) && name.contains(version));
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
    for import in imported.iter().filter(|name| name.starts_with(wasi::logging::INTERFACE)) {
        wasi::logging::add_to_linker(&mut linker, import)?;
    }
    if imports("wjob:service/", "@0.1") {
        service::add_to_linker(&mut linker)?;
    }
    linker.allow_shadowing(true);
    if imports("wasi:sockets/ip-name-lookup", "@0.2") {
        wasi::lookup::add_to_linker_p2(&mut linker)?;
    }
    if imports("wasi:sockets/ip-name-lookup", "@0.3") {
        wasi::lookup::add_to_linker_p3(&mut linker)?;
    }
    if second && template.has_paths() {
        wasi::watch_p2::add_to_linker(&mut linker)?;
    }
    if third && template.has_paths() {
        wasi::watch_p3::add_to_linker(&mut linker)?;
    }
    if imports("wasi:sockets/", "@0.2") {
        wasi::watch_sockets::add_to_linker_p2(&mut linker)?;
    }
    if imports("wasi:sockets/", "@0.3") {
        wasi::watch_sockets::add_to_linker_p3(&mut linker)?;
    }
    wasi::other::deny_unknown_wasi(&mut linker, engine, component)?;
    Ok(linker)
}
