//! `wjob:service/connect`: connections the guest opens to Unix sockets, which WASI has none of. Nothing grants one yet.

use wasmtime::component::{Accessor, Resource};

use super::bindings::wjob::service::connect::{Host as Connect, HostWithStore};
use super::{Connection, ErrorCode, Host};
use crate::state::State;

impl Connect for &mut State {}

impl<T: Send + 'static> HostWithStore<T> for Host {
    async fn open(
        _accessor: &Accessor<T, Self>,
        url: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, ErrorCode>> {
        Ok(Err(if url.starts_with("unix://") { ErrorCode::Denied } else { ErrorCode::Invalid }))
    }
}
