//! What everything else of this crate stands on: `component` is wjob itself, through the generated bindings; `double`
//! is a stand-in in memory for hosts that are not WebAssembly. Both have the same items, so that no other file asks
//! where it runs. Neither decides anything; they only translate.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod double;

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{
    Connection, Datagrams, Incoming, Listener, Outgoing, Transaction, block_on, check_in, idle, open, reason, spawn,
    termination,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::{
    Connection, Datagrams, Incoming, Listener, Outgoing, Transaction, Wire, block_on, check_in, idle, open, reason,
    spawn, stage, termination, wire,
};
