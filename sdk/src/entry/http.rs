//! The macro `http!`: one function for each request, as `wasi:http/handler` of WASI 0.3. Between the types of WASI and
//! those of the crate `http` wasip3 translates; listening, HTTP itself and its limits are the host's.

use std::fmt::Display;

use ::http::HeaderValue;
use ::http::header::CONTENT_LENGTH;
use http_body::Body as _;

use super::Outcome;
use crate::http::Response;

/// Makes an asynchronous function the handler of the job's HTTP requests.
///
/// It takes a [`Request`](crate::http::Request) and returns a `Result` with a [`Response`](crate::http::Response); an
/// error is written to standard error as `error: …`, and the client is told no more than that something failed.
///
/// ```
/// use wjob_sdk::http::{Error, Request, Response};
///
/// wjob_sdk::http!(greet);
///
/// async fn greet(request: Request) -> Result<Response, Error> {
///     let text = format!("hello from {}\n", request.uri().path());
///     Response::builder().header("content-type", "text/plain").body(text.into())
/// }
/// # use wjob_sdk::testing;
/// # let response = testing::run(greet(Request::new("".into()))).unwrap();
/// # assert_eq!(testing::run(response.into_body().bytes(100)).unwrap(), b"hello from /\n");
/// ```
///
/// It is used once in a crate with `crate-type = ["cdylib"]`. On other hosts than WebAssembly it only checks the types.
#[macro_export]
macro_rules! http {
    ($handle:path) => {
        const _: () = {
            #[allow(dead_code, reason = "called on WebAssembly only")]
            async fn __wjob_sdk_http(request: $crate::http::Request) -> ::core::option::Option<$crate::http::Response> {
                $crate::entry::answered($handle(request)).await
            }

            #[cfg(target_arch = "wasm32")]
            struct __WjobSdkHttp;

            #[cfg(target_arch = "wasm32")]
            impl $crate::entry::wasip3::exports::http::handler::Guest for __WjobSdkHttp {
                async fn handle(
                    request: $crate::entry::WasiRequest,
                ) -> ::core::result::Result<$crate::entry::WasiResponse, $crate::entry::WasiError> {
                    let request = $crate::entry::accepted(request)?;
                    $crate::entry::sent(__wjob_sdk_http(request).await)
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::entry::wasip3::http::service::export!(__WjobSdkHttp);
        };
    };
}

/// Answers one request; `None` when that failed, which is reported.
pub async fn answered<E: Display>(answer: impl Future<Output = Result<Response, E>>) -> Option<Response> {
    let answer = answer.await;
    super::flush();
    match answer {
        Ok(response) => Some(measured(response)),
        Err(error) => {
            Err::<(), E>(error).report();
            None
        }
    }
}

/// Says how long the body is where that is known, so that it need not be sent in pieces. Statuses that have no body
/// must not have a length either.
fn measured(mut response: Response) -> Response {
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

#[cfg(target_arch = "wasm32")]
pub use self::wasi::{WasiError, WasiRequest, WasiResponse, accepted, sent};

/// The way from and to the types of WASI.
#[cfg(target_arch = "wasm32")]
mod wasi {
    pub use wasip3::http::types::{ErrorCode as WasiError, Request as WasiRequest, Response as WasiResponse};
    use wasip3::http_compat::{http_from_wasi_request, http_into_wasi_response};

    use crate::http::{Body, Request, Response};

    /// A request as the handler gets it.
    pub fn accepted(request: WasiRequest) -> Result<Request, WasiError> {
        Ok(http_from_wasi_request(request)?.map(Body::new))
    }

    /// A response as the host sends it; without one the client hears of a failure and nothing about it.
    pub fn sent(response: Option<Response>) -> Result<WasiResponse, WasiError> {
        http_into_wasi_response(response.ok_or(WasiError::InternalError(None))?)
    }
}

#[cfg(test)]
mod tests {
    use super::answered;
    use crate::http::{Body, Response};
    use crate::testing::run;

    #[test]
    fn a_length_is_said_where_it_is_known() {
        let response = run(answered(async { Ok::<_, String>(Response::new(Body::from("hello"))) }));
        let response = response.expect("an answer");
        assert_eq!(response.headers().get("content-length").map(|value| value.as_bytes()), Some(b"5".as_slice()));
        let response = run(answered(async { Ok::<_, String>(Response::new(Body::default())) }));
        assert!(response.expect("an answer").headers().is_empty());
    }

    #[test]
    fn an_error_is_no_answer() {
        assert!(run(answered(async { Err::<Response, _>("no such page") })).is_none());
    }
}
