//! The engine: one configuration for compiling and running, since code compiled under another does not load.

use std::os::fd::{AsRawFd, OwnedFd};

use wasmtime::component::Component;
use wasmtime::{Config, Engine, Module, OptLevel};
use wjob_model::message::{Fault, StartFailure};

/// Frames of a back-trace that are worth showing.
const FRAMES: usize = 32;

/// The engine of every role.
///
/// # Errors
/// When the processor lacks what the engine needs.
pub(crate) fn engine() -> Result<Engine, StartFailure> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES));
    Engine::new(&config).map_err(|error| StartFailure::own("the engine", format!("{error:#}")))
}

/// Loads compiled code by descriptor.
macro_rules! load {
    ($name:ident, $type:ty) => {
        /// Loads what the compile role made of a program.
        ///
        /// # Errors
        /// When it was compiled by another build: it must be compiled anew.
        pub(crate) fn $name(engine: &Engine, code: &OwnedFd) -> Result<$type, StartFailure> {
            let path = format!("/proc/self/fd/{}", code.as_raw_fd());
            // SAFETY: the supervisor handed this descriptor, read-only, of a file that it authenticated by its
            // keyed tag (or has just received from its own compile role), in a folder nobody else can enter.
            let loaded = unsafe { <$type>::deserialize_file(engine, path) };
            loaded.map_err(|error| {
                StartFailure::new(Fault::Stale, "loading compiled code", format!("{error:#}"), "compile it again")
            })
        }
    };
}

load!(component, Component);
load!(module, Module);
