//! Work that begins when an answer is complete: a host may not cut it off before its time, nor bear it for ever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use wjob_sdk::http::{Body, BodyError};

/// Another body, and work that begins with its end.
pub struct Followed {
    body: Body,
    /// How long the work takes; none once it has begun.
    time: Option<Duration>,
}

impl Followed {
    /// Has this body followed by work of this time.
    pub fn of(body: Body, time: Duration) -> Self {
        Self { body, time: Some(time) }
    }
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none()
            && let Some(time) = self.time.take()
        {
            wjob_sdk::spawn(work(time));
        }
        Poll::Ready(frame)
    }
}

async fn work(time: Duration) {
    super::sleep(time).await;
    eprintln!("the work after the answer is done");
}
