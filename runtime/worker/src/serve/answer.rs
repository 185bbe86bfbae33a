//! One request and its answer, between the client who waits for it and the instance that makes it: either may be gone
//! before the other is done. Nothing looks complete here that is not. What is answered, and when an instance's time is
//! up, is `http`'s.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, WasiBody};

use super::request::Refusal;
use super::stream::Stream;

/// One request, as long as somebody wants its answer.
pub(crate) struct Asked {
    /// The number of its connection.
    pub number: u64,
    /// When its RunTime began.
    pub began: Instant,
    /// Its connection, which may be closed while its instance waits for another request.
    stream: Weak<Stream>,
    /// Its share of Instances.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// Whether the client is told the beginning of an answer.
    begun: AtomicBool,
    /// When all of the answer was taken.
    answered: OnceLock<Instant>,
    gone: AtomicBool,
    /// Whether its time was up before it was answered.
    late: AtomicBool,
    /// Whether its instance came to no good end before it was answered.
    broken: AtomicBool,
    waker: AtomicWaker,
}

impl Asked {
    /// A request of a connection, whose time begins now.
    pub fn new(number: u64, stream: Weak<Stream>, permit: Option<OwnedSemaphorePermit>) -> Arc<Self> {
        Arc::new(Self {
            number,
            began: Instant::now(),
            stream,
            permit: Mutex::new(permit),
            begun: AtomicBool::new(false),
            answered: OnceLock::new(),
            gone: AtomicBool::new(false),
            late: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    /// Whether somebody still waits for the answer, or the rest of it.
    pub fn is_wanted(&self) -> bool {
        !self.is_answered() && !self.gone.load(Ordering::Acquire)
    }

    /// Whether all of the answer was taken.
    pub fn is_answered(&self) -> bool {
        self.answered_at().is_some()
    }

    /// When all of the answer was taken.
    pub fn answered_at(&self) -> Option<Instant> {
        self.answered.get().copied()
    }

    /// All of the answer was taken, at this moment.
    pub fn is_now_answered(&self) {
        // It was before, if it was.
        let _ = self.answered.set(Instant::now());
    }

    /// Whether the client has left before that; if not, whoever asks is woken when he does.
    pub fn is_given_up(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.gone.load(Ordering::Acquire)
    }

    /// Whether its time was up before it was answered.
    pub fn is_late(&self) -> bool {
        self.late.load(Ordering::Acquire)
    }

    /// The client is to be told what its instance says, unless that comes too late.
    pub fn begin(&self) -> bool {
        self.begun.store(true, Ordering::Release);
        !self.is_late()
    }

    /// Its time is up. Whoever has got a part of the answer gets no more of it, however slowly he takes what there is.
    pub fn time_is_up(&self) {
        if !self.is_wanted() {
            return;
        }
        self.late.store(true, Ordering::Release);
        if self.begun.load(Ordering::Acquire)
            && let Some(stream) = self.stream.upgrade()
        {
            stream.cut_off();
        }
    }

    /// Its instance comes to no good end: what it has not said will not come.
    pub fn break_off(&self) {
        self.broken.store(self.is_wanted(), Ordering::Release);
    }

    /// Gives its share of Instances back: nothing runs for it any more.
    pub fn let_go(&self) {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The interest in an answer; dropped before the answer is complete, nobody wants it any more.
pub(crate) struct Interest(pub Arc<Asked>);

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.0.is_answered() {
            self.0.gone.store(true, Ordering::Release);
        }
        self.0.waker.wake();
    }
}

/// The body of an answer, and the interest in it.
pub(crate) struct Answer {
    body: WasiBody,
    /// Bytes that are still to come, if that is known: nobody asks for the end of a body that has had them all.
    left: Option<u64>,
    /// None once it is complete, and for what no instance has said.
    interest: Option<Interest>,
}

/// An answer of wjob's own.
pub(crate) fn refused((status, words): Refusal, interest: Option<Interest>) -> Response<Answer> {
    let body = Full::new(Bytes::from_static(words.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(Answer::of(body.boxed_unsync(), None, interest));
    *response.status_mut() = status;
    response
}

impl Answer {
    /// What an instance answers; `bodiless` to somebody who wants to know no more than how it begins. Some statuses
    /// have no body either (RFC 9110, 15.3.5 and 15.4.5).
    pub fn begin(response: Response<WasiBody>, bodiless: bool, interest: Interest) -> Response<Self> {
        let said = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bodiless = bodiless || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status());
        let length = if bodiless { Some(0) } else { said };
        response.map(|body| Self::of(body, length, Some(interest)))
    }

    fn of(body: WasiBody, length: Option<u64>, interest: Option<Interest>) -> Self {
        let mut answer = Self { left: length.or(body.size_hint().exact()), body, interest };
        answer.look();
        answer
    }

    /// Complete, it may be dropped.
    fn look(&mut self) {
        if self.body.is_end_stream() || self.left == Some(0) {
            self.complete();
        }
    }

    fn complete(&mut self) {
        if let Some(interest) = self.interest.take() {
            interest.0.is_now_answered();
        }
    }

    /// Whether what seems to be its end is only that of its instance.
    fn is_broken(&self) -> bool {
        self.interest.as_ref().is_some_and(|interest| interest.0.broken.load(Ordering::Acquire))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) && self.is_broken() {
            polled = Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
        }
        match &polled {
            Poll::Ready(None) => self.complete(),
            // Nothing follows the trailers, and nobody asks whether it does.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => self.complete(),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.left = self.left.map(|left| left.saturating_sub(length));
                self.look();
            }
            // What came of it is known: the connection is cut off.
            Poll::Ready(Some(Err(_))) => self.complete(),
            Poll::Pending => {}
        }
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
    use std::os::unix::net::UnixStream;

    use http_body_util::StreamBody;

    use super::*;

    const PIECE: &[u8] = b"piece";

    fn asked() -> Arc<Asked> {
        Asked::new(1, Weak::new(), None)
    }

    /// An answer of one piece and of no said length.
    fn answer(asked: &Arc<Asked>) -> Answer {
        let piece: Result<_, Error> = Ok(Frame::data(Bytes::from_static(PIECE)));
        let body = StreamBody::new(futures::stream::iter([piece])).boxed_unsync();
        Answer::begin(Response::new(body), false, Interest(asked.clone())).into_body()
    }

    /// The pieces of an answer; `Err` when it breaks off. `meanwhile` happens after the first one.
    fn pieces(answer: &mut Answer, meanwhile: impl FnOnce()) -> Result<usize, Error> {
        futures::executor::block_on(async {
            let mut pieces = 0;
            let mut meanwhile = Some(meanwhile);
            while let Some(frame) = answer.frame().await {
                pieces += usize::from(frame?.is_data());
                if let Some(meanwhile) = meanwhile.take() {
                    meanwhile();
                }
            }
            Ok(pieces)
        })
    }

    #[test]
    fn an_answer_whose_instance_ends_well_is_complete() {
        let asked = asked();
        let mut answer = answer(&asked);
        assert!(matches!(pieces(&mut answer, || {}), Ok(1)));
        assert!(asked.is_answered() && !asked.is_wanted());
        // What comes after that is not the answer's.
        asked.break_off();
        asked.time_is_up();
        assert!(!answer.is_broken() && !asked.is_late());
    }

    #[test]
    fn an_answer_is_complete_when_its_last_byte_is_taken() {
        let asked = asked();
        let mut answer = answer(&asked);
        let mut began = None;
        assert!(matches!(pieces(&mut answer, || began = Some(Instant::now())), Ok(1)));
        assert!(asked.answered_at() >= began && began.is_some());
    }

    #[test]
    fn an_answer_whose_instance_does_not_end_well_breaks_off() {
        let asked = asked();
        assert!(pieces(&mut answer(&asked), || asked.break_off()).is_err());
    }

    #[test]
    fn a_client_who_leaves_is_known_to_have_left() {
        let asked = asked();
        drop(answer(&asked));
        assert!(!asked.is_wanted() && !asked.is_answered());
    }

    #[test]
    fn an_answer_that_has_begun_is_cut_off_when_its_time_is_up() {
        for begun in [false, true] {
            let (one, mut other) = UnixStream::pair().unwrap();
            other.set_nonblocking(true).unwrap();
            let stream = Stream::new(one.into());
            let asked = Asked::new(1, Arc::downgrade(&stream), None);
            let interest = Interest(asked.clone());
            assert!(!begun || asked.begin());
            asked.time_is_up();
            let ended = std::io::Read::read(&mut other, &mut [0]).is_ok_and(|length| length == 0);
            assert_eq!(ended, begun);
            assert!(asked.is_late() && !asked.begin(), "what its instance says now is not told");
            drop(interest);
        }
    }
}
