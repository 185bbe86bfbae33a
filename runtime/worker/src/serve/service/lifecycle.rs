//! `wjob:service/lifecycle`: the end of the run, as a guest hears of it, and the work it would not have cut off.

use wasmtime::component::{Access, Accessor, Resource};

use super::Host;
use super::bindings::wjob::service::lifecycle::{
    Host as Lifecycle, HostTransaction, HostTransactionWithStore, HostWithStore,
};
use crate::serve::lifecycle::{Phase, Work};
use crate::state::State;

/// Open work.
pub struct Transaction(#[allow(dead_code, reason = "it counts while it is there")] Work);

impl Lifecycle for &mut State {}
impl HostTransaction for &mut State {}

impl<T: Send + 'static> HostWithStore<T> for Host {
    async fn termination(accessor: &Accessor<T, Self>) -> wasmtime::Result<()> {
        let lifecycle = accessor.with(|mut access| access.get().service.lifecycle.clone());
        lifecycle.reached(Phase::Draining).await;
        Ok(())
    }

    async fn idle(accessor: &Accessor<T, Self>) -> wasmtime::Result<()> {
        let lifecycle = accessor.with(|mut access| access.get().service.lifecycle.clone());
        lifecycle.is_idle().await;
        Ok(())
    }
}

impl<T: Send + 'static> HostTransactionWithStore<T> for Host {
    fn new(mut access: Access<'_, T, Self>) -> wasmtime::Result<Resource<Transaction>> {
        let state = access.get();
        let work = state.service.lifecycle.begin();
        Ok(state.table.push(Transaction(work))?)
    }

    fn drop(mut access: Access<'_, T, Self>, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        access.get().table.delete(transaction)?;
        Ok(())
    }
}
