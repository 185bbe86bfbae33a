//! The body of a request on its way to an instance. Who does not take all of it leaves a client who may still be sending,
//! and his connection is told so: it is not closed over what he says. It bounds nothing; `stream` and `linger` do.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::stream::Stream;

/// A body that comes over this connection.
pub(crate) fn upload<B>(body: B, stream: Weak<Stream>) -> WasiBody
where
    B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
{
    // Most requests have none.
    if body.is_end_stream() { body.boxed_unsync() } else { Upload { body, stream, ended: false }.boxed_unsync() }
}

struct Upload<B: Body> {
    body: B,
    stream: Weak<Stream>,
    /// Whether its end was taken.
    ended: bool,
}

impl<B: Body> Drop for Upload<B> {
    fn drop(&mut self) {
        if !self.ended
            && !self.body.is_end_stream()
            && let Some(stream) = self.stream.upgrade()
        {
            stream.leave_unheard();
        }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Upload<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use http_body_util::{Empty, StreamBody};

    use super::*;

    /// A body of two pieces and of no said length.
    fn pieces() -> impl Body<Data = Bytes, Error = Error> + Send + Unpin + 'static {
        let piece = || -> Result<_, Error> { Ok(Frame::data(Bytes::from_static(b"piece"))) };
        StreamBody::new(futures::stream::iter([piece(), piece()]))
    }

    /// Whether a client is listened to, of whose body so many frames were asked for, the end being one.
    fn is_listened_to<B>(body: B, frames: usize) -> bool
    where
        B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (one, mut client) = UnixStream::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            let stream = Stream::of_client(one.into());
            stream.write(Bytes::from_static(b"told")).unwrap();
            let mut body = upload(body, Arc::downgrade(&stream));
            for _ in 0..frames {
                assert!(body.frame().await.is_none_or(|frame| frame.is_ok()));
            }
            drop(body);
            drop(stream);
            client.write_all(b"more").is_ok()
        })
    }

    #[test]
    fn whoever_was_not_heard_out_is_listened_to() {
        for (frames, expected) in [(0, true), (1, true), (2, true), (3, false)] {
            assert_eq!(is_listened_to(pieces(), frames), expected, "{frames} frames");
        }
        let nothing = Empty::<Bytes>::new().map_err(|never| -> Error { match never {} });
        assert!(!is_listened_to(nothing, 0));
    }
}
