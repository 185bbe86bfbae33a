//! `wasi:sockets/ip-name-lookup`, 0.2 and 0.3, answered from the granted table alone.
//! It never calls a resolver: getaddrinfo would read files and send packets that no grant names, and its
//! answers could differ from the addresses the job may connect to.

use std::net::IpAddr;
use std::vec::IntoIter;

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network as p2;
use wasmtime_wasi::p2::{DynPollable, Network as NetworkHandle, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup as p3, types};
use wjob_model::denial::Denial;
use wjob_model::grant::is_host_name;

use super::{P2, P3, at, network};
use crate::state::State;

const INTERFACE: &str = "wasi:sockets/ip-name-lookup";

/// The `resolve-address-stream` of 0.2; its answers are all there from the start.
struct Answers(IntoIter<IpAddr>);

#[wasmtime_wasi::async_trait]
impl Pollable for Answers {
    async fn ready(&mut self) {}
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    NotAName,
    NotGranted,
    NoAddress,
}

impl From<Failure> for p2::ErrorCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotAName => Self::InvalidArgument,
            Failure::NotGranted => Self::AccessDenied,
            Failure::NoAddress => Self::NameUnresolvable,
        }
    }
}

impl From<Failure> for p3::ErrorCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotAName => Self::InvalidArgument,
            Failure::NotGranted => Self::AccessDenied,
            Failure::NoAddress => Self::NameUnresolvable,
        }
    }
}

/// The addresses of `name`, at least one.
fn resolve(state: &State, name: &str) -> Result<Vec<IpAddr>, Failure> {
    let plain = name.strip_suffix('.').unwrap_or(name);
    if network::literal(name).is_none() && !is_host_name(plain) {
        return Err(Failure::NotAName);
    }
    if state.network.names_are_stale(std::time::Instant::now()) {
        state.denials.ask_for_names();
    }
    match state.network.lookup(name) {
        Some(addresses) if addresses.is_empty() => Err(Failure::NoAddress),
        Some(addresses) => Ok(addresses),
        None => {
            let name = plain.to_ascii_lowercase();
            state.denials.record(Denial::Lookup { name });
            Err(Failure::NotGranted)
        }
    }
}

/// Puts our 0.2 look-up in the place of wasmtime-wasi's; the linker must allow shadowing.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker_p2(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&at(INTERFACE, P2))?;
    let stream = ResourceType::host::<Answers>();
    instance.resource("resolve-address-stream", stream, drop_answers)?;
    instance.func_wrap("resolve-addresses", resolve_p2)?;
    instance.func_wrap("[method]resolve-address-stream.resolve-next-address", next_p2)?;
    instance.func_wrap("[method]resolve-address-stream.subscribe", subscribe_p2)
}

fn drop_answers(mut store: StoreContextMut<'_, State>, rep: u32) -> wasmtime::Result<()> {
    let answers = Resource::<Answers>::new_own(rep);
    store.data_mut().table.delete(answers)?;
    Ok(())
}

type Answered<T> = wasmtime::Result<(Result<T, p2::ErrorCode>,)>;

fn resolve_p2(
    mut store: StoreContextMut<'_, State>,
    (handle, name): (Resource<NetworkHandle>, String),
) -> Answered<Resource<Answers>> {
    let state = store.data_mut();
    state.table.get(&handle)?;
    match resolve(state, &name) {
        Ok(addresses) => Ok((Ok(state.table.push(Answers(addresses.into_iter()))?),)),
        Err(failure) => Ok((Err(failure.into()),)),
    }
}

fn next_p2(mut store: StoreContextMut<'_, State>, (answers,): (Resource<Answers>,)) -> Answered<Option<p2::IpAddress>> {
    let answers = store.data_mut().table.get_mut(&answers)?;
    Ok((Ok(answers.0.next().map(Into::into)),))
}

fn subscribe_p2(
    mut store: StoreContextMut<'_, State>,
    (answers,): (Resource<Answers>,),
) -> wasmtime::Result<(Resource<DynPollable>,)> {
    Ok((subscribe(&mut store.data_mut().table, answers)?,))
}

/// The same for 0.3.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker_p3(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&at(INTERFACE, P3))?;
    instance.func_wrap_concurrent("resolve-addresses", |accessor: &Accessor<State>, (name,): (String,)| {
        Box::pin(async move {
            let found = accessor.with(|mut access| resolve(access.get(), &name));
            Ok((answer_p3(found),))
        })
    })
}

fn answer_p3(found: Result<Vec<IpAddr>, Failure>) -> Result<Vec<types::IpAddress>, p3::ErrorCode> {
    let addresses = found?;
    Ok(addresses.into_iter().map(Into::into).collect())
}
