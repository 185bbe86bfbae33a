//! What `answers` does wrong on purpose, for a host that has to hold it, and the length of a body, which is what a
//! client's own wrongs show at.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use wjob_sdk::http::{Body, BodyError, Error, Response, StatusCode};

/// What a body without an end is made of.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

/// The length of a body, or that it broke off.
pub async fn length(mut body: Body) -> Result<Response, Error> {
    let mut length = 0;
    loop {
        match body.chunk().await {
            Ok(Some(piece)) => length += piece.len(),
            Ok(None) => return Ok(Response::new(format!("{length}\n").into())),
            Err(_) => return Response::builder().status(StatusCode::BAD_REQUEST).body("it broke off\n".into()),
        }
    }
}

/// An answer that says it were so long.
pub fn of_length(length: &str, body: &'static str) -> Result<Response, Error> {
    Response::builder().header("content-length", length).body(body.into())
}

/// A body without an end, as fast as it is taken.
pub struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}

/// The first piece of another body, and a trap at the next.
pub struct Breaking {
    body: Body,
    begun: bool,
}

impl Breaking {
    /// Breaks off this body.
    pub fn of(body: Body) -> Self {
        Self { body, begun: false }
    }
}

impl http_body::Body for Breaking {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        assert!(!self.begun, "answers breaks off on purpose");
        self.begun = true;
        Poll::Ready(frame)
    }
}

/// Writes more than anybody reads: of each of these bytes the host makes a line.
pub fn babble() -> ! {
    loop {
        eprint!("{}", "\n".repeat(4096));
    }
}

/// How much is taken of what no header may say.
#[cfg(target_arch = "wasm32")]
pub fn forged() -> usize {
    use wasip3::http::types::Fields;

    const FORGED: &[(&str, &str)] = &[
        ("x-name", "a\r\nset-cookie: b"),
        ("x-name", "a\nset-cookie: b"),
        ("x-name", "a\0b"),
        ("x-name: a\r\nset-cookie", "b"),
        ("x name", "b"),
        ("", "b"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("upgrade", "b"),
        ("content-length", "+1"),
        ("content-length", "1, 1"),
    ];
    let fields = Fields::new();
    FORGED.iter().filter(|(name, value)| fields.append(name, value.as_bytes()).is_ok()).count()
}

/// How many bytes of values one map of headers takes, more or less.
#[cfg(target_arch = "wasm32")]
pub fn room() -> usize {
    use wasip3::http::types::Fields;

    let (fields, value) = (Fields::new(), [b'y'; 1000]);
    let mut taken = 0;
    while taken < 1 << 20 && fields.append("x", &value).is_ok() {
        taken += value.len();
    }
    taken
}

/// On other hosts there is nobody who could take it.
#[cfg(not(target_arch = "wasm32"))]
pub fn forged() -> usize {
    0
}

#[cfg(not(target_arch = "wasm32"))]
pub fn room() -> usize {
    0
}
