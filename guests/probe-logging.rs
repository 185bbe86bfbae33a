//! `probe-logging CONTEXT MESSAGE`: logs one warning through wasi:logging, which is no authority. It writes nothing to
//! standard error by itself.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    guests::only_a_guest("probe-logging");
}

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(missing_docs, reason = "generated from the interface below")]

    wit_bindgen::generate!({
        world: "probe",
        inline: "
            package wasi:logging@0.1.0-draft;

            interface logging {
                enum level {
                    trace,
                    debug,
                    info,
                    warn,
                    error,
                    critical,
                }

                log: func(level: level, context: string, message: string);
            }

            world probe {
                import logging;
            }
        ",
    });
}

#[cfg(target_arch = "wasm32")]
fn main() {
    use bindings::wasi::logging::logging::{Level, log};

    let (context, message) = (guests::argument(1, "CONTEXT"), guests::argument(2, "MESSAGE"));
    log(Level::Warn, &context, &message);
    guests::report("logging", Ok(format!("{} bytes", message.len())));
}
