//! `probe-config NAME`: reads one setting through wasi:config. It lists no others.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    guests::only_a_guest("probe-config");
}

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(missing_docs, reason = "generated from the interface below")]

    wit_bindgen::generate!({
        world: "probe",
        inline: "
            package wasi:config@0.2.0-rc.1;

            interface store {
                variant error {
                    upstream(string),
                    io(string),
                }

                get: func(key: string) -> result<option<string>, error>;
            }

            world probe {
                import store;
            }
        ",
    });
}

#[cfg(target_arch = "wasm32")]
fn main() {
    let name = guests::argument(1, "NAME");
    guests::report("config", setting(&name));
}

#[cfg(target_arch = "wasm32")]
fn setting(name: &str) -> Result<String, String> {
    match bindings::wasi::config::store::get(name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(format!("{name} is not set")),
        Err(error) => Err(format!("{error:?}")),
    }
}
