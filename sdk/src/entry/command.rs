//! The macro `command!`: a program that is run once, as `wasi:cli/run` of WASI 0.3. A `main` of the standard library
//! would be exported as that of WASI 0.2, which must not wait for anything asynchronous.

/// Makes an asynchronous function the program of the job.
///
/// It takes nothing (`std::env::args` has the arguments) and returns nothing or a `Result`; an error is written to
/// standard error as `error: …`, and the run fails. The run ends when the function and all it
/// [spawned](crate::spawn()) have ended.
///
/// ```
/// use wjob_sdk::{Error, activation};
///
/// wjob_sdk::command!(serve);
///
/// async fn serve() -> Result<(), Error> {
///     let listener = activation::check_in()?.listener("Listeners")?;
///     while let Ok(mut connection) = listener.accept().await {
///         connection.write_all(b"hello\n").await?;
///         connection.finish().await?;
///     }
///     Ok(())
/// }
/// # use wjob_sdk::testing;
/// # let (connection, client) = testing::connection("");
/// # testing::hand_over([testing::listener("Listeners", [connection])]);
/// # assert_eq!(testing::run(serve()), Ok(()));
/// # assert_eq!(client.received(), b"hello\n");
/// ```
///
/// It is used once in a crate with `crate-type = ["cdylib"]`. On other hosts than WebAssembly it only checks the types.
#[macro_export]
macro_rules! command {
    ($main:path) => {
        const _: () = {
            #[allow(dead_code, reason = "called on WebAssembly only")]
            async fn __wjob_sdk_command() -> bool {
                $crate::entry::command($main()).await
            }

            #[cfg(target_arch = "wasm32")]
            struct __WjobSdkCommand;

            #[cfg(target_arch = "wasm32")]
            impl $crate::entry::wasip3::exports::cli::run::Guest for __WjobSdkCommand {
                async fn run() -> ::core::result::Result<(), ()> {
                    match __wjob_sdk_command().await {
                        true => ::core::result::Result::Ok(()),
                        false => ::core::result::Result::Err(()),
                    }
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::entry::wasip3::cli::command::export!(__WjobSdkCommand);
        };
    };
}
