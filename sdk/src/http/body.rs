//! The body of a request or a response: bytes that are there, or a stream of any library that speaks `http_body`. It
//! leaves trailers to that crate's own interface and drops them in its own.

use std::fmt::{self, Display};
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// What a request or a response holds.
///
/// ```
/// use wjob_sdk::http::Body;
///
/// let bodies = [Body::from("text"), Body::from(String::from("text")), Body::from(vec![1, 2]), Body::default()];
/// # assert_eq!(bodies.len(), 4);
/// ```
pub struct Body {
    content: Content,
}

enum Content {
    /// Bytes that are there; empty once they were taken.
    Whole(Bytes),
    /// Bytes that come.
    Stream(Stream),
}

type Stream = Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Unpin>;

/// Why a body could not be read to its end.
///
/// ```
/// use wjob_sdk::http::{Body, BodyError};
///
/// let result = wjob_sdk::testing::run(Body::from("a long story").bytes(5));
/// assert!(matches!(result, Err(BodyError::TooLong)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than was asked for.
    #[error("the body is longer than what was asked for")]
    TooLong,
    /// It broke off.
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl Body {
    /// A body that comes from any library that speaks `http_body`.
    ///
    /// ```
    /// use wjob_sdk::http::Body;
    ///
    /// let inner = Body::from("hello");
    /// let outer = Body::new(inner);
    /// assert_eq!(wjob_sdk::testing::run(outer.bytes(100)).unwrap(), b"hello");
    /// ```
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Display,
    {
        Self { content: Content::Stream(Box::new(Told { body: Box::pin(body) })) }
    }

    /// The next piece of it, as it comes; `None` is the end.
    ///
    /// ```
    /// use wjob_sdk::http::{Body, BodyError};
    ///
    /// async fn length(mut body: Body) -> Result<usize, BodyError> {
    ///     let mut total = 0;
    ///     while let Some(piece) = body.chunk().await? {
    ///         total += piece.len();
    ///     }
    ///     Ok(total)
    /// }
    /// # assert_eq!(wjob_sdk::testing::run(length("hello".into())).unwrap(), 5);
    /// ```
    ///
    /// # Errors
    /// How it broke off, if it did.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await;
            let Some(frame) = frame.transpose()? else { return Ok(None) };
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// All of it, when that is no longer than the limit: who sends it decides how long it is, and the job's memory is
    /// its own.
    ///
    /// ```
    /// use wjob_sdk::http::Body;
    ///
    /// let body = Body::from("hello");
    /// assert_eq!(wjob_sdk::testing::run(body.bytes(1024)).unwrap(), b"hello");
    /// ```
    ///
    /// # Errors
    /// [`BodyError::TooLong`], or how it broke off.
    pub async fn bytes(mut self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if piece.len() > limit - all.len() {
                return Err(BodyError::TooLong);
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl Default for Body {
    /// An empty one.
    fn default() -> Self {
        Self { content: Content::Whole(Bytes::new()) }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("length", &self.size_hint().exact()).finish()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Content::Stream(stream) => Pin::new(stream).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(stream) => stream.size_hint(),
        }
    }
}

/// A body whose errors are told in words.
struct Told<B> {
    body: Pin<Box<B>>,
}

impl<B> http_body::Body for Told<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Display,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = self.get_mut().body.as_mut().poll_frame(context);
        frame.map_err(|error| BodyError::Broken(error.to_string()))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
