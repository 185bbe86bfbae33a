//! Answers every HTTP request with the same line. It opens no port: the requests come from wjob, which listens where
//! the job file says.

use wjob_sdk::http::{Error, Request, Response, header};

wjob_sdk::http!(handle);

async fn handle(_request: Request) -> Result<Response, Error> {
    Response::builder().header(header::CONTENT_TYPE, "text/plain").body("hello, world\n".into())
}
