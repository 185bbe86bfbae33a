//! The macro `connection_handler!`: one function for each connection, as `wjob:service/connection-handler`. Accepting,
//! instances and limits are wjob's; nothing here sees more than one connection.

/// Makes an asynchronous function the handler of the job's connections.
///
/// It takes a [`Connection`](crate::Connection) and returns nothing or a `Result`; an error is written to standard
/// error as `error: …`. The connection is closed when the function returns. What it has [spawned](crate::spawn()) is not
/// waited for, and may never come to its end: wjob ends the instance, or has it serve the next connection. It waits for
/// its own work, with `join!` of the crate `futures` for example, where it does two things at once.
///
/// ```
/// use wjob_sdk::{Connection, Error};
///
/// wjob_sdk::connection_handler!(greet);
///
/// async fn greet(mut connection: Connection) -> Result<(), Error> {
///     connection.write_all(b"hello\n").await?;
///     connection.finish().await
/// }
/// # let (connection, client) = wjob_sdk::testing::connection("");
/// # wjob_sdk::testing::run(greet(connection)).unwrap();
/// # assert_eq!(client.received(), b"hello\n");
/// ```
///
/// It is used once in a crate with `crate-type = ["cdylib"]`. On other hosts than WebAssembly it only checks the types.
#[macro_export]
macro_rules! connection_handler {
    ($handle:path) => {
        const _: () = {
            #[allow(dead_code, reason = "called on WebAssembly only")]
            async fn __wjob_sdk_connection(connection: $crate::Connection) {
                $crate::entry::connection($handle(connection)).await
            }

            #[cfg(target_arch = "wasm32")]
            struct __WjobSdkHandler;

            #[cfg(target_arch = "wasm32")]
            impl $crate::bindings::handler::exports::wjob::service::connection_handler::Guest for __WjobSdkHandler {
                async fn handle(connection: $crate::entry::RawConnection) {
                    __wjob_sdk_connection(::core::convert::From::from(connection)).await
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::handler::export_handler!(__WjobSdkHandler with_types_in $crate::bindings::handler);
        };
    };
}
