//! `probe-run3 [fail]`: a command of WASI 0.3. It prints `hello from 0.3` and succeeds; with `fail` it prints
//! the same and fails. It tries no authority. On other hosts than WebAssembly it is empty.

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(missing_docs, reason = "generated from wit/")]

    wit_bindgen::generate!({
        world: "run3",
        path: "wit",
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
mod program {
    use crate::bindings;
    use crate::bindings::exports::wasi::cli::run::Guest;
    use crate::bindings::wasi::cli::{environment, stdout};

    /// What is printed.
    const GREETING: &[u8] = b"hello from 0.3\n";

    struct Program;

    impl Guest for Program {
        async fn run() -> Result<(), ()> {
            print(GREETING).await?;
            if asked_to_fail() { Err(()) } else { Ok(()) }
        }
    }

    /// Writes all of it and waits until the host has taken it.
    async fn print(text: &[u8]) -> Result<(), ()> {
        let (mut writer, reader) = bindings::wit_stream::new();
        let written = stdout::write_via_stream(reader);
        let rest = writer.write_all(text.to_vec()).await;
        drop(writer);
        written.await.map_err(|_| ())?;
        if rest.is_empty() { Ok(()) } else { Err(()) }
    }

    /// Whether the first argument after the program's name is `fail`.
    fn asked_to_fail() -> bool {
        let arguments = environment::get_arguments();
        arguments.get(1).is_some_and(|argument| argument == "fail")
    }

    bindings::export!(Program with_types_in bindings);
}
