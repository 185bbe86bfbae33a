//! The WASI wall: what a component's `wasi:*` imports reach, decided from the job's grants.
//! It opens nothing and starts nothing; contexts are filled and linkers are run elsewhere, because a
//! wall that also ran programs could not be read in one sitting.
//!
//! | interface | 0.2 | 0.3 | answered by | without any grant |
//! |---|---|---|---|---|
//! | `wasi:io`, `wasi:clocks`, `wasi:random` | yes | yes | wasmtime-wasi | as usual; nothing to grant |
//! | `wasi:cli` | yes | yes | wasmtime-wasi | empty environment, stdin at its end |
//! | `wasi:filesystem` | yes | yes | wasmtime-wasi; seen by [`watch_p2`] and [`watch_p3`] | no preopens |
//! | `wasi:sockets/tcp`, `udp`, `types` | yes | yes | wasmtime-wasi, each address asked of [`network`] | every address denied |
//! | `wasi:sockets/ip-name-lookup` | yes | yes | [`lookup`], from the granted table alone | every name denied |
//! | `wasi:http` | yes | yes | wasmtime-wasi-http, sending through [`http`] | every request denied |
//! | `wasi:config` | 0.2.0-rc.1 | - | wasmtime-wasi-config, from the job file's `Config` | empty |
//! | `wasi:logging` | any | - | [`logging`] | lines on standard error; nothing to grant |
//! | any other `wasi:*` | yes | yes | [`other`] | a call traps, naming the interface |
//! | `wasi_snapshot_preview1` | core modules | - | wasmtime-wasi; seen by [`watch_p1`] | no preopens |
//!
//! Our own functions shadow single ones of wasmtime-wasi, so they go into a linker after it, with
//! `allow_shadowing(true)`; [`other`] goes last and switches shadowing off.

pub mod answers;
pub mod http;
pub mod logging;
pub mod lookup;
pub mod network;
pub mod other;
pub mod watch;
pub mod watch_p1;
pub mod watch_p2;
pub mod watch_p3;
mod watch_paths;
pub mod watch_sockets;

/// The 0.2 version under which wasmtime-wasi and wasmtime-wasi-http define their interfaces.
///
/// A linker matches imports of any 0.2.x, but an entry is shadowed only under its exact name.
pub(crate) const P2: &str = "0.2.12";

/// The 0.3 version under which they do.
pub(crate) const P3: &str = "0.3.0";

/// The full name of `interface` in `version`.
pub(crate) fn at(interface: &str, version: &str) -> String {
    format!("{interface}@{version}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use wasmtime::component::Linker;
    use wasmtime::{Config, Engine};

    type Add = fn(&mut Linker<State>) -> wasmtime::Result<()>;

    fn linker() -> Linker<State> {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let mut linker = Linker::new(&Engine::new(&config).unwrap());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p3::add_to_linker(&mut linker).unwrap();
        linker
    }

    #[test]
    fn what_we_shadow_is_there_under_the_same_name() {
        let ours: [(&str, Add); 4] = [
            ("lookup 0.2", lookup::add_to_linker_p2),
            ("lookup 0.3", lookup::add_to_linker_p3),
            ("watch 0.2", watch_p2::add_to_linker),
            ("watch 0.3", watch_p3::add_to_linker),
        ];
        for (what, add) in ours {
            let mut strict = linker();
            assert!(add(&mut strict).is_err(), "{what} shadows nothing");
            let mut shadowing = linker();
            shadowing.allow_shadowing(true);
            add(&mut shadowing).unwrap();
        }
    }
}
