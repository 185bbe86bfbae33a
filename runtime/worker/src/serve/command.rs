//! inetd's way: for each connection a fresh instance of a command, with the connection as its stdin and stdout. What it
//! writes to stderr goes to the job's log, with the connection's number.

use std::sync::Arc;

use wasmtime::InstancePre;
use wasmtime::component::Linker;
use wjob_model::outcome::Outcome;

use super::own_time::OwnTime;
use super::stdio::Side;
use super::{Client, Serving, Way};
use crate::halt::Halt;
use crate::instance::{Loaded, Template, bound_time};
use crate::state::{ModuleState, State};
use crate::stdio::Stdout;
use crate::wasm::judge;

/// A command, linked.
pub(crate) enum Ready {
    Second(wasmtime_wasi::p2::bindings::CommandPre<State>),
    Third(wasmtime_wasi::p3::bindings::CommandPre<State>),
    Module(InstancePre<ModuleState>),
}

impl Ready {
    /// Links a program.
    ///
    /// # Errors
    /// When something it imports is not there.
    pub fn new(template: &Arc<Template>, program: &Loaded) -> wasmtime::Result<Self> {
        match program {
            Loaded::Module(module, _) => Ok(Self::Module(crate::module::linker(template)?.instantiate_pre(module)?)),
            Loaded::Component(component, _) => {
                let linker: Linker<State> = crate::command::linker(template, component)?;
                let pre = linker.instantiate_pre(component)?;
                match wasmtime_wasi::p3::bindings::CommandPre::new(pre.clone()) {
                    Ok(third) => Ok(Self::Third(third)),
                    Err(_) => Ok(Self::Second(wasmtime_wasi::p2::bindings::CommandPre::new(pre)?)),
                }
            }
        }
    }
}

/// Serves one client to the end.
pub(crate) async fn serve(client: Client) {
    let serving = client.serving().clone();
    let halt = Halt::default();
    let stderr = serving.template.outputs[1].of_connection(client.number);
    let outcome = match client.within_limits(run(&serving, &client, &stderr, &halt)).await {
        Ok(result) => judge(result, &halt),
        Err(limit) => {
            serving.cut_off(client.number, limit);
            Outcome::Stopped
        }
    };
    stderr.finish();
    serving.template.denials.record_limit(halt.outcome().as_ref());
    serving.ended(client.number, &outcome);
    if outcome != Outcome::Stopped {
        // What it has written is the client's; who does not take it in time does without.
        let _ = client.within_limits(std::future::poll_fn(|context| client.stream.poll_flush(context))).await;
    }
}

async fn run(serving: &Serving, client: &Client, stderr: &Stdout, halt: &Halt) -> wasmtime::Result<Result<(), ()>> {
    let (_place, lane) = serving.lane();
    let template = &lane.template;
    let limits = &template.run.limits;
    let (time, counted) = (OwnTime::default(), limits.cpu_time.is_some());
    let spent = time.clone();
    let side = Side(client.stream.clone());
    let Way::Command(ready) = lane.way()? else {
        return Err(wasmtime::format_err!("it is no command"));
    };
    time.during(counted, async move {
        if let Ready::Module(pre) = ready {
            let mut store = template.module_store(side.clone(), side, stderr.clone(), halt);
            bound_time(&mut store, limits, halt, move || spent.so_far(), None);
            let instance = pre.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, crate::module::START)?;
            return start.call_async(&mut store, ()).await.map(Ok);
        }
        let mut store = template.store(side.clone(), side, stderr.clone(), halt);
        bound_time(&mut store, limits, halt, move || spent.so_far(), None);
        match ready {
            Ready::Second(pre) => {
                let command = pre.instantiate_async(&mut store).await?;
                command.wasi_cli_run().call_run(&mut store).await
            }
            Ready::Third(pre) => {
                let command = pre.instantiate_async(&mut store).await?;
                store.run_concurrent(async move |accessor| command.wasi_cli_run().call_run(accessor).await).await?
            }
            Ready::Module(_) => Err(wasmtime::format_err!("it is a module")),
        }
    })
    .await
}
