//! What one instance's store holds: its WASI contexts, its limiter and where its denials go.
//! A store serves one instance and is thrown away with it.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::denial::Denials;
use crate::limiter::Limiter;
use crate::serve::service::Service;
use crate::used::Uses;
use crate::wasi::http::Outgoing;
use crate::wasi::logging::Log;
use crate::wasi::network::Network;
use crate::wasi::watch::Watched;

/// The data of a component's store.
pub struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) hooks: Outgoing,
    pub(crate) config: WasiConfigVariables,
    pub(crate) log: Log,
    pub(crate) network: Arc<Network>,
    pub(crate) denials: Arc<Denials>,
    pub(crate) uses: Arc<Uses>,
    pub(crate) watched: Watched,
    pub(crate) limiter: Limiter,
    /// What it can ask of the job's own interfaces.
    pub(crate) service: Service,
}

impl State {
    /// wasi:config's view.
    pub(crate) fn config(&mut self) -> WasiConfig<'_> {
        WasiConfig::from(&self.config)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// The data of a core module's store.
pub(crate) struct ModuleState {
    pub p1: WasiP1Ctx,
    pub denials: Arc<Denials>,
    pub uses: Arc<Uses>,
    pub watched: Watched,
    pub limiter: Limiter,
}
