//! `wasi:http` on the job's sockets: HTTP/1.1 with keep-alive, each request answered by a fresh instance or, where
//! InstanceReuse says so, by one that has answered before. A request has an instance only while it is answered; who
//! leaves before that, or takes longer than RunTime, costs the instance. The machinery of instances is wasmtime-wasi-http's.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{CallHook, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView as _};
use wjob_model::outcome::{Outcome, Verdict};

use super::lifecycle::Phase;
use super::own_time::OwnTime;
use super::stdio::Side;
use super::{Client, Serving, Way};
use crate::halt::Halt;
use crate::instance::{Loaded, Template, bound_time};
use crate::state::State;
use crate::stdio::Stdout;
use crate::wasm::judge;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Largest head of a request, bytes.
const HEAD_BYTES: usize = 64 << 10;
/// Most header lines of a request.
const HEAD_LINES: usize = 100;
/// How long an instance that may answer again waits for the next request.
const WAITS: Duration = Duration::from_secs(1);
/// How long a worker whose sockets another one has waits for a request that may be on its way: longer than that takes.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// A component, linked.
pub(crate) struct Ready(ProxyPre<State>);

/// Instances of one thread.
pub(crate) type Handler = ProxyHandler<Instances>;

impl Ready {
    /// Links a component.
    ///
    /// # Errors
    /// When something it imports is not there.
    pub fn new(template: &Arc<Template>, program: &Loaded) -> wasmtime::Result<Self> {
        let Loaded::Component(component, _) = program else {
            return Err(wasmtime::format_err!("a module handles no requests"));
        };
        let pre = crate::command::linker(template, component)?.instantiate_pre(component)?;
        Ok(Self(match wasmtime_wasi_http::p3::bindings::ServicePre::new(pre.clone()) {
            Ok(third) => ProxyPre::P3(third),
            Err(_) => ProxyPre::P2(wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre)?),
        }))
    }
}

/// The instances of one thread.
pub(crate) fn handler(serving: Arc<Serving>) -> Handler {
    ProxyHandler::new(Instances { serving })
}

/// Makes instances.
pub(crate) struct Instances {
    serving: Arc<Serving>,
}

impl HandlerState for Instances {
    type StoreData = State;
    type WorkerExpiration = Expiration;
    type WorkerState = One;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, One>> {
        let (place, lane) = self.serving.lane();
        let template = &lane.template;
        let limits = &template.run.limits;
        let halt = Halt::default();
        let [stdout, stderr] = template.outputs.each_ref().map(|output| output.of_connection(0));
        let mut store = template.store(tokio::io::empty(), stdout.clone(), stderr.clone(), &halt);
        let time = OwnTime::default();
        if limits.cpu_time.is_some() {
            count(&mut store, time.clone());
        }
        let hooked = time.clone();
        bound_time(&mut store, limits, &halt, move || time.so_far(), Some(hooked));
        let Way::Http(Ready(pre)) = &lane.way else {
            return Err(wasmtime::format_err!("it handles no requests"));
        };
        let proxy = pre.instantiate_async(&mut store).await?;
        let (now, expired) = (Now::default(), Arc::new(AtomicBool::new(false)));
        let bounds = Bounds {
            run_time: limits.run_time.map(Duration::from_secs),
            silence: self.serving.silence,
            reuse: usize::try_from(template.run.instance_reuse).unwrap_or(usize::MAX).max(1),
        };
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: Expiration { now: now.clone(), bounds, expired: expired.clone(), sleep: None },
            state: One {
                serving: self.serving.clone(),
                now,
                bounds,
                halt,
                expired,
                outputs: [stdout, stderr],
                _place: place,
            },
        })
    }
}

/// Counts the time that the guest itself computes.
fn count(store: &mut Store<State>, time: OwnTime) {
    store.call_hook(move |_, hook| {
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => time.enter(),
            CallHook::CallingHost | CallHook::ReturningFromWasm => time.leave(),
        }
        Ok(())
    });
}

/// What bounds an instance.
#[derive(Clone, Copy)]
struct Bounds {
    run_time: Option<Duration>,
    silence: Duration,
    reuse: usize,
}

/// The request an instance answers now.
type Now = Arc<Mutex<Option<Arc<Asked>>>>;

fn asked(now: &Now) -> Option<Arc<Asked>> {
    now.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// One request, as long as somebody wants its answer.
#[derive(Default)]
pub(crate) struct Asked {
    connection: AtomicU64,
    answered: AtomicBool,
    /// Whether its instance may answer again.
    reused: bool,
    gone: AtomicBool,
    /// Whether its time was up before it was answered.
    late: AtomicBool,
    /// Its share of Instances.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    waker: AtomicWaker,
}

impl Asked {
    /// Whether somebody still waits for the answer, or the rest of it.
    fn is_wanted(&self) -> bool {
        !self.answered.load(Ordering::Acquire) && !self.gone.load(Ordering::Acquire)
    }
}

/// The interest in an answer; dropped before the answer is complete, nobody wants it any more.
struct Interest(Arc<Asked>);

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.0.answered.load(Ordering::Acquire) {
            self.0.gone.store(true, Ordering::Release);
        }
        self.0.waker.wake();
    }
}

/// One instance's acceptance of requests.
pub(crate) struct One {
    serving: Arc<Serving>,
    now: Now,
    bounds: Bounds,
    halt: Halt,
    /// Whether its time was up, whatever it did.
    expired: Arc<AtomicBool>,
    outputs: [Stdout; 2],
    _place: Option<OwnedSemaphorePermit>,
}

impl WorkerState for One {
    type StoreData = State;
    type RequestData = Arc<Asked>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.bounds.reuse {
            ShouldAccept::Never
        } else if concurrent > 0 || asked(&self.now).is_some_and(|asked| asked.is_wanted()) {
            // One at a time: what one request leaves in memory is not read by another while it is answered, and the
            // answer ends with its last byte.
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, State>,
        request: Arc<Asked>,
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        for output in &self.outputs {
            output.now_of(request.connection.load(Ordering::Relaxed));
        }
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        // Its time is counted from outside, which a guest that only computes cannot hold up.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<State>, result: Result<(), wasmtime::Error>) {
        drop(store);
        self.outputs.iter().for_each(Stdout::finish);
        let Err(error) = result else {
            return;
        };
        let asked = asked(&self.now);
        let number = asked.as_ref().map_or(0, |asked| asked.connection.load(Ordering::Relaxed));
        if self.expired.load(Ordering::Acquire) {
            // Thrown away after its work, or because nobody wanted the answer any more: that is as it should be.
            if asked.is_some_and(|asked| asked.late.load(Ordering::Acquire)) {
                self.serving.complain(number, "the limit RunTime is reached");
            }
            return;
        }
        let outcome = self.halt.refined(judge(Err(error)));
        if let Outcome::Trapped(_) | Outcome::LimitHit { .. } = &outcome {
            let words = Verdict { outcome, stop: None }.in_words();
            self.serving.complain(number, &words.unwrap_or_default());
        }
    }
}

/// When an instance is thrown away, whatever it does.
pub(crate) struct Expiration {
    now: Now,
    bounds: Bounds,
    expired: Arc<AtomicBool>,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let polled = self.poll_bounds(context, status, start);
        if polled.is_ready() {
            self.expired.store(true, Ordering::Release);
            if let Some(asked) = asked(&self.now) {
                asked.late.store(asked.is_wanted(), Ordering::Release);
            }
        }
        polled
    }
}

impl Expiration {
    fn poll_bounds(&mut self, context: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let asked = asked(&self.now);
        if let Some(asked) = &asked {
            asked.waker.register(context.waker());
            if asked.gone.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
        }
        let complete = asked.is_none_or(|asked| asked.answered.load(Ordering::Acquire));
        let bounds = self.bounds;
        let bound = match status {
            WorkerStatus::Idle if bounds.reuse == 1 => return Poll::Ready(()),
            WorkerStatus::Idle => Some(WAITS),
            WorkerStatus::PostReturn if complete => Some(bounds.run_time.unwrap_or(bounds.silence)),
            WorkerStatus::PostReturn | WorkerStatus::Requests => bounds.run_time,
        };
        match bound {
            Some(bound) => self.poll_until(context, start + bound),
            None => Poll::Pending,
        }
    }

    fn poll_until(&mut self, context: &mut Context<'_>, moment: Instant) -> Poll<()> {
        if self.sleep.as_ref().is_none_or(|(until, _)| *until != moment) {
            self.sleep = Some((moment, Box::pin(tokio::time::sleep_until(moment.into()))));
        }
        match &mut self.sleep {
            Some((_, sleep)) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

/// Serves one client until he leaves, is silent for too long, or the run ends.
pub(crate) async fn serve(handler: Handler, client: Client) {
    let serving = client.serving().clone();
    let number = client.number;
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(answer_or_last_answer(handler, number, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(Side(client.stream.clone())), service);
    let mut connection = std::pin::pin!(connection);
    let lifecycle = &serving.template.lifecycle;
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        () = super::silence(&client.stream, serving.silence) => {}
        () = lifecycle.reached(Phase::Draining) => {
            // One who was closed on while his request was on its way could not know whether it was heard (RFC 9112, 9.5).
            // He is answered too, and told that it was the last; he who is silent now has nothing to lose.
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = lifecycle.reached(Phase::Stopping) => {}
                () = tokio::time::sleep(ON_ITS_WAY) => {}
            }
            // What was asked is answered; then the connection is closed.
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// An answer of a worker that is to end says that nothing more is answered on its connection (RFC 9112, 9.6).
async fn answer_or_last_answer(handler: Handler, number: u64, request: Request<Incoming>) -> Response<Answer> {
    let mut response = answer(handler.clone(), number, request).await;
    if handler.state().serving.template.lifecycle.phase() >= Phase::Draining {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer(handler: Handler, number: u64, mut request: Request<Incoming>) -> Response<Answer> {
    let serving = &handler.state().serving;
    // Whoever leaves while he waits here waits no more.
    let permit = serving.instances.clone().acquire_owned().await.ok();
    let asked = Arc::new(Asked {
        connection: AtomicU64::new(number),
        permit: Mutex::new(permit),
        reused: serving.template.run.instance_reuse > 1,
        ..Asked::default()
    });
    let interest = Interest(asked.clone());
    if !names_its_host(&mut request) {
        return refused(StatusCode::BAD_REQUEST, "a request names its host\n", interest);
    }
    let bodiless = request.method() == Method::HEAD;
    let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
    match handler.handle(asked.clone(), request).await {
        Ok(response) if bodiless => response.map(|body| Answer::with_length(body, Some(0), interest)),
        Ok(response) => {
            let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            response.map(|body| Answer::with_length(body, length, interest))
        }
        Err(_) => {
            let (status, words) = if asked.late.load(Ordering::Acquire) {
                (StatusCode::GATEWAY_TIMEOUT, "the job took too long\n")
            } else {
                (StatusCode::BAD_GATEWAY, "the job failed\n")
            };
            refused(status, words, interest)
        }
    }
}

/// HTTP/1.1 wants a Host (RFC 9112, 3.2); an older client need not know of it, and a component is told of none.
fn names_its_host(request: &mut Request<Incoming>) -> bool {
    if request.uri().authority().is_some() || request.headers().contains_key(HOST) {
        return true;
    }
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    request.version() < Version::HTTP_11
}

/// An answer of wjob's own.
fn refused(status: StatusCode, words: &'static str, interest: Interest) -> Response<Answer> {
    let body = Full::new(Bytes::from_static(words.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(Answer::of(body.boxed_unsync(), interest));
    *response.status_mut() = status;
    response
}

/// The body of an answer, and the interest in it.
struct Answer {
    body: WasiBody,
    /// Bytes that are still to come, if that is known: nobody asks for the end of a body that has had them all.
    left: Option<u64>,
    interest: Option<Interest>,
}

impl Answer {
    fn of(body: WasiBody, interest: Interest) -> Self {
        let mut answer = Self { left: body.size_hint().exact(), body, interest: Some(interest) };
        answer.look();
        answer
    }

    fn with_length(body: WasiBody, length: Option<u64>, interest: Interest) -> Self {
        let mut answer = Self::of(body, interest);
        answer.left = length.or(answer.left);
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
            interest.0.answered.store(true, Ordering::Release);
            if interest.0.reused {
                // An instance that waits for the next request runs nothing.
                interest.0.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.complete(),
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
