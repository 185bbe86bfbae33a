//! HTTP requests and responses, as the crate `http` has them, with a body that is bytes or comes piece by piece. It
//! routes nothing and keeps no session; libraries that build on the crate `http` do, and work on top of it.
//!
//! ```
//! use wjob_sdk::http::{Error, Method, Request, Response, StatusCode};
//!
//! wjob_sdk::http!(handle);
//!
//! async fn handle(request: Request) -> Result<Response, Error> {
//!     match (request.method(), request.uri().path()) {
//!         (&Method::GET, "/") => Ok(Response::new("hello, world\n".into())),
//!         _ => Response::builder().status(StatusCode::NOT_FOUND).body("nothing here\n".into()),
//!     }
//! }
//! # let request = Request::builder().uri("/elsewhere").body("".into()).unwrap();
//! # assert_eq!(wjob_sdk::testing::run(handle(request)).unwrap().status(), 404);
//! ```

mod body;

pub use ::http::{Error, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

pub use self::body::{Body, BodyError};

/// A request: method, address, headers and body.
///
/// ```
/// use wjob_sdk::http::Request;
///
/// let request: Request = Request::builder().uri("/users?page=2").body("".into()).unwrap();
/// assert_eq!(request.uri().query(), Some("page=2"));
/// ```
pub type Request<T = Body> = ::http::Request<T>;

/// A response: status, headers and body.
///
/// ```
/// use wjob_sdk::http::Response;
///
/// let response: Response = Response::builder().status(201).body("made\n".into()).unwrap();
/// assert_eq!(response.status(), 201);
/// ```
pub type Response<T = Body> = ::http::Response<T>;
