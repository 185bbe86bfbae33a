//! `wjob:service/connection-handler`: each connection handed to a fresh instance, as a value with its peer.

use std::sync::Arc;

use super::own_time::OwnTime;
use super::service::Connection;
use super::service::bindings::{Hosted, HostedPre};
use super::{Client, Serving, Way};
use crate::halt::Halt;
use crate::instance::{Loaded, Template, bound_time};
use crate::state::State;
use crate::stdio::Stdout;
use crate::wasm::judge;
use wjob_model::outcome::Outcome;

/// A handler, linked.
pub(crate) struct Ready(HostedPre<State>);

impl Ready {
    /// Links a component.
    ///
    /// # Errors
    /// When something it imports is not there.
    pub fn new(template: &Arc<Template>, program: &Loaded) -> wasmtime::Result<Self> {
        let Loaded::Component(component, _) = program else {
            return Err(wasmtime::format_err!("a module handles no connections"));
        };
        let linker = crate::command::linker(template, component)?;
        Ok(Self(HostedPre::new(linker.instantiate_pre(component)?)?))
    }
}

/// Serves one client to the end.
pub(crate) async fn serve(client: Client) {
    let serving = client.serving().clone();
    let client = Arc::new(client);
    let halt = Halt::default();
    let [stdout, stderr] = serving.template.outputs.each_ref().map(|output| output.of_connection(client.number));
    let outcome = match client.within_limits(run(&serving, &client, [&stdout, &stderr], &halt)).await {
        Ok(result) => judge(result.map(Ok), &halt),
        Err(limit) => {
            serving.cut_off(client.number, limit);
            Outcome::Stopped
        }
    };
    stdout.finish();
    stderr.finish();
    serving.template.denials.record_limit(halt.outcome().as_ref());
    serving.ended(client.number, &outcome);
}

async fn run(
    serving: &Serving,
    client: &Arc<Client>,
    [stdout, stderr]: [&Stdout; 2],
    halt: &Halt,
) -> wasmtime::Result<()> {
    let (_place, lane) = serving.lane();
    let template = &lane.template;
    let limits = &template.run.limits;
    let (time, counted) = (OwnTime::default(), limits.cpu_time.is_some());
    let spent = time.clone();
    let Way::Handler(Ready(pre)) = lane.way()? else {
        return Err(wasmtime::format_err!("it is no handler"));
    };
    time.during(counted, async move {
        let mut store = template.store(tokio::io::empty(), stdout.clone(), stderr.clone(), halt);
        bound_time(&mut store, limits, halt, move || spent.so_far(), None);
        let hosted: Hosted = pre.instantiate_async(&mut store).await?;
        let connection = store.data_mut().table.push(Connection::of(client.clone()))?;
        store
            .run_concurrent(async move |accessor| {
                hosted.wjob_service_connection_handler().call_handle(accessor, connection).await
            })
            .await?
    })
    .await
}
