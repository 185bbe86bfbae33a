//! The bindings that wit-bindgen generates from `wit/`. Nothing is written by hand here, and nothing but `host` and the
//! macros uses it; it is public only because the macros expand in the crates of others.
//!
//! There are two worlds because an export must not be asked of every component that links this crate: `imports` is
//! what any component may import, `handler` adds the export and takes its types from there. Imports that a component
//! does not use are left out of it by the linker.

#![allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks, reason = "generated from wit/")]

pub mod imports {
    wit_bindgen::generate!({
        world: "activated",
        path: "wit",
        type_section_suffix: "-wjob-sdk-imports",
    });
}

pub mod handler {
    wit_bindgen::generate!({
        world: "handler",
        path: "wit",
        with: {
            "wjob:service/types@0.1.0": crate::bindings::imports::wjob::service::types,
            "wjob:service/connect@0.1.0": crate::bindings::imports::wjob::service::connect,
            "wjob:service/lifecycle@0.1.0": crate::bindings::imports::wjob::service::lifecycle,
        },
        pub_export_macro: true,
        export_macro_name: "export_handler",
        default_bindings_module: "wjob_sdk::bindings::handler",
        type_section_suffix: "-wjob-sdk-handler",
    });
}
