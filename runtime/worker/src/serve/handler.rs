//! `wjob:service/connection-handler`: each connection handed to an instance, as a value with its peer. The instance is a
//! fresh one or, where InstanceReuse says so, one that has served others before, one after another: never after a trap or
//! a limit, and only when nothing of its last connection is left in its hands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use super::own_time::OwnTime;
use super::service::Connection;
use super::service::bindings::{Hosted, HostedPre};
use super::{Client, Serving, Way};
use crate::halt::Halt;
use crate::instance::{Loaded, Template, bound_time};
use crate::state::State;
use crate::stdio::Stdout;
use crate::wasm::judge;

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

/// Instances that may serve again and have nobody to serve, of all threads. Whoever serves one has a share of Instances,
/// and a fresh one is made only when none is here: so no more live than may serve at once.
#[derive(Default)]
pub(crate) struct Resting(Mutex<Vec<Instance>>);

impl Resting {
    fn instances(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has served this client well rests, if it may serve again. What still holds something of a connection does
    /// not: its end is that connection's.
    fn take_in(&self, instance: Instance, client: &Arc<Client>) {
        if instance.left > 0 && instance.own.halt.outcome().is_none() && Arc::strong_count(client) == 1 {
            self.instances().push(instance);
        }
    }
}

/// What belongs to one instance and is asked for after its end too.
#[derive(Clone)]
struct Own {
    halt: Halt,
    time: OwnTime,
    outputs: [Stdout; 2],
}

/// An instance of a handler.
struct Instance {
    hosted: Hosted,
    store: Store<State>,
    own: Own,
    /// Connections that it may serve yet.
    left: u64,
    /// Its place in the pool, if it has one: free once the store is gone.
    place: Option<OwnedSemaphorePermit>,
}

/// Serves one client to the end.
pub(crate) async fn serve(client: Client) {
    let serving = client.serving().clone();
    let client = Arc::new(client);
    let resting = serving.resting.instances().pop();
    let own = resting.as_ref().map_or_else(|| Own::of(&serving), |instance| instance.own.clone());
    own.outputs.iter().for_each(|output| output.now_of(client.number));
    let served = client.within_limits(run(&serving, &client, resting, own.clone())).await;
    own.outputs.iter().for_each(Stdout::finish);
    serving.template.denials.record_limit(own.halt.outcome().as_ref());
    match served {
        Ok(Ok(instance)) => serving.resting.take_in(instance, &client),
        Ok(Err(error)) => serving.ended(client.number, &judge(Err(error), &own.halt)),
        Err(limit) => serving.cut_off(client.number, limit),
    }
}

/// The instance that has served him, which may be that which rested.
async fn run(
    serving: &Serving,
    client: &Arc<Client>,
    resting: Option<Instance>,
    own: Own,
) -> wasmtime::Result<Instance> {
    let (time, counted) = (own.time.clone(), serving.template.run.limits.cpu_time.is_some());
    time.during(counted, async move {
        let instance = match resting {
            Some(instance) => instance,
            None => Instance::new(serving, own).await?,
        };
        instance.serve(client.clone()).await
    })
    .await
}

impl Own {
    fn of(serving: &Serving) -> Self {
        let outputs = serving.template.outputs.each_ref().map(|output| output.of_connection(0));
        Self { halt: Halt::default(), time: OwnTime::default(), outputs }
    }
}

impl Instance {
    async fn new(serving: &Serving, own: Own) -> wasmtime::Result<Self> {
        let (place, lane) = serving.lane();
        let template = &lane.template;
        let Way::Handler(Ready(pre)) = lane.way()? else {
            return Err(wasmtime::format_err!("it is no handler"));
        };
        let [stdout, stderr] = own.outputs.clone();
        let mut store = template.store(tokio::io::empty(), stdout, stderr, &own.halt);
        let spent = own.time.clone();
        bound_time(&mut store, &template.run.limits, &own.halt, move || spent.so_far(), None);
        let hosted: Hosted = pre.instantiate_async(&mut store).await?;
        Ok(Self { hosted, store, own, left: template.run.instance_reuse.max(1), place })
    }

    /// Serves one client, and is there afterwards if it came to a good end.
    async fn serve(self, client: Arc<Client>) -> wasmtime::Result<Self> {
        // In this order they are let go backwards: the place last.
        let Self { place, own, left, hosted, mut store } = self;
        let connection = store.data_mut().table.push(Connection::of(client))?;
        let (served, hosted) = store
            .run_concurrent(async move |accessor| {
                let served = hosted.wjob_service_connection_handler().call_handle(accessor, connection).await;
                (served, hosted)
            })
            .await?;
        served?;
        Ok(Self { hosted, store, own, left: left.saturating_sub(1), place })
    }
}
