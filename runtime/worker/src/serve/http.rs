//! `wasi:http` on the job's sockets: HTTP/1.1 with keep-alive, each request answered by a fresh instance or, where
//! InstanceReuse says so, by one that has answered before. A request has an instance only while it is answered; who
//! leaves before that, or takes longer than RunTime, costs the instance. The machinery of instances is wasmtime-wasi-http's.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{CallHook, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, InstantiationError, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};
use wasmtime_wasi_http::{Error, WasiHttpView as _};
use wjob_model::limit::Limit;
use wjob_model::outcome::{HeldBy, Verdict};

use super::answer::{Answer, Asked, Interest, refused};
use super::bounds::Bounds;
use super::heads;
use super::lifecycle::Phase;
use super::living::{Life, Rest};
use super::own_time::OwnTime;
use super::request::{self, Refusal};
use super::stdio::Side;
use super::stream::Stream;
use super::upload::upload;
use super::{Client, Serving, Way};
use crate::denial::Denials;
use crate::halt::Halt;
use crate::instance::{Loaded, Template, bound_time};
use crate::state::State;
use crate::stdio::Stdout;
use crate::wasm::judge;

/// How long a worker whose sockets another one has waits for a request that may be on its way: longer than that takes.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// What is answered when there is nothing else to be told.
const FAILED: Refusal = (StatusCode::BAD_GATEWAY, "the job failed\n");
const LATE: Refusal = (StatusCode::GATEWAY_TIMEOUT, "the job took too long\n");

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
        let life = self.life().await;
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
        let Way::Http(Ready(pre)) = lane.way()? else {
            return Err(wasmtime::format_err!("it handles no requests"));
        };
        let bounds = Bounds {
            run_time: limits.run_time.map(Duration::from_secs),
            silence: self.serving.silence,
            reuse: usize::try_from(template.run.instance_reuse).unwrap_or(usize::MAX).max(1),
        };
        // What it does before it can be asked anything takes time too.
        let made = tokio::select! {
            biased;
            made = pre.instantiate_async(&mut store) => made,
            () = super::overtime(bounds.run_time) => {
                halt.now(Limit::RunTime, HeldBy::Guest);
                Err(wasmtime::format_err!("the limit RunTime is reached"))
            }
        };
        let proxy = made.map_err(|error| unmade(&template.denials, &halt, error))?;
        let (now, expired) = (Now::default(), Arc::new(AtomicBool::new(false)));
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: Expiration {
                now: now.clone(),
                bounds,
                expired: expired.clone(),
                rest: life.clone().map(Rest::new),
                sleep: None,
            },
            state: One {
                serving: self.serving.clone(),
                now,
                bounds,
                halt,
                expired,
                outputs: [stdout, stderr],
                place: Mutex::new(place),
                _life: life,
            },
        })
    }
}

impl Instances {
    /// The share of Instances of one that may answer again; another one has that of its only request.
    async fn life(&self) -> Option<Arc<Life>> {
        match self.serving.template.run.instance_reuse {
            0 | 1 => None,
            _ => Some(Arc::new(self.serving.living.one_more().await)),
        }
    }
}

/// Why an instance could not be made, as its limits explain it.
fn unmade(denials: &Denials, halt: &Halt, error: wasmtime::Error) -> wasmtime::Error {
    let outcome = judge(Err(error), halt);
    denials.record_limit(Some(&outcome));
    let words = Verdict { outcome, stop: None }.in_words();
    wasmtime::format_err!("{}", words.unwrap_or_else(|| "it ended before it could be asked anything".into()))
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

/// The request an instance answers now.
type Now = Arc<Mutex<Option<Arc<Asked>>>>;

fn asked(now: &Now) -> Option<Arc<Asked>> {
    now.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// Its place in the pool, if it has one: free before its share of Instances is, so that whoever has that finds it.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    _life: Option<Arc<Life>>,
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
            output.now_of(request.number);
        }
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        // Its time is counted from outside, which a guest that only computes cannot hold up.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<State>, result: Result<(), wasmtime::Error>) {
        let asked = asked(&self.now);
        if let (Some(asked), Err(_)) = (&asked, &result) {
            asked.break_off();
        }
        drop(store);
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(asked) = &asked {
            asked.let_go();
        }
        self.outputs.iter().for_each(Stdout::finish);
        self.serving.template.denials.record_limit(self.halt.outcome().as_ref());
        let Err(error) = result else {
            return;
        };
        let number = asked.as_ref().map_or(0, |asked| asked.number);
        if self.expired.load(Ordering::Acquire) {
            // That nobody wants the answer any more is as it should be.
            match asked {
                Some(asked) if asked.is_late() => self.serving.cut_off(number, Limit::RunTime),
                Some(asked) if asked.is_answered() => self.serving.complain(number, self.bounds.cut_short()),
                _ => {}
            }
            return;
        }
        self.serving.ended(number, &judge(Err(error), &self.halt));
    }
}

/// When an instance is thrown away, whatever it does.
pub(crate) struct Expiration {
    now: Now,
    bounds: Bounds,
    expired: Arc<AtomicBool>,
    /// Between two requests, where there may be two.
    rest: Option<Rest>,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let polled = self.poll_bounds(context, status, start);
        if polled.is_ready() {
            self.expired.store(true, Ordering::Release);
            if status != WorkerStatus::Idle
                && let Some(asked) = asked(&self.now)
            {
                asked.time_is_up();
            }
        }
        polled
    }
}

impl Expiration {
    fn poll_bounds(&mut self, context: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let asked = asked(&self.now);
        if asked.as_ref().is_some_and(|asked| asked.is_given_up(context)) {
            return Poll::Ready(());
        }
        if status == WorkerStatus::Idle && self.poll_rest(context, asked.as_deref()).is_ready() {
            return Poll::Ready(());
        }
        match self.bounds.end(status, start, asked.as_deref()) {
            Some(moment) => self.poll_until(context, moment),
            None => Poll::Pending,
        }
    }

    /// Ready when one that has nothing to do is to end at once: it answers nothing more, or another waits for its share.
    fn poll_rest(&mut self, context: &mut Context<'_>, asked: Option<&Asked>) -> Poll<()> {
        match &mut self.rest {
            None => Poll::Ready(()),
            // Not all of its answer is taken: it is not free yet.
            Some(_) if asked.is_some_and(Asked::is_wanted) => Poll::Pending,
            Some(rest) => {
                // Who waits for his turn may be answered by this one.
                asked.iter().for_each(|asked| asked.let_go());
                rest.poll_over(context)
            }
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
    let (number, stream) = (client.number, Arc::downgrade(&client.stream));
    let service = service_fn(move |request| {
        let (handler, stream) = (handler.clone(), stream.clone());
        async move { Ok::<_, Infallible>(answer_or_last_answer(handler, number, stream, request).await) }
    });
    let (builder, io) = heads::over(Side(client.stream.clone()), heads::HEAD);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let mut over = std::pin::pin!(is_over(&client));
    let lifecycle = &serving.template.lifecycle;
    tokio::select! {
        biased;
        end = connection.as_mut() => {
            // Whoever was refused may have more to say.
            if end.is_err() {
                client.stream.leave_unheard();
            }
        }
        () = over.as_mut() => {}
        () = lifecycle.reached(Phase::Draining) => {
            // One who was closed on while his request was on its way could not know whether it was heard (RFC 9112, 9.5).
            // He is answered too, and told that it was the last; he who is silent now has nothing to lose.
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = over.as_mut() => return,
                () = lifecycle.reached(Phase::Stopping) => {}
                () = tokio::time::sleep(ON_ITS_WAY) => {}
            }
            // What was asked is answered; then the connection is closed.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                _ = connection => {}
                () = over => {}
            }
        }
    }
}

/// An answer of a worker that is to end says that nothing more is answered on its connection (RFC 9112, 9.6).
async fn answer_or_last_answer(
    handler: Handler,
    number: u64,
    stream: Weak<Stream>,
    request: Request<Incoming>,
) -> Response<Answer> {
    let mut response = answer(handler.clone(), number, stream, request).await;
    if handler.state().serving.template.lifecycle.phase() >= Phase::Draining {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Resolves when a client is silent for too long, or has left. hyper misses him while it has read more than it can use.
async fn is_over(client: &Client) {
    tokio::select! {
        () = super::silence(&client.stream, client.serving().silence) => {}
        () = client.stream.left() => {}
    }
}

async fn answer(handler: Handler, number: u64, stream: Weak<Stream>, request: Request<Incoming>) -> Response<Answer> {
    let mut request = request.map(|body| upload(body.map_err(Error::from), stream.clone()));
    if let Err(refusal) = request::check(&mut request) {
        return refused(refusal, None);
    }
    let serving = &handler.state().serving;
    // Whoever leaves while he waits here waits no more.
    let permit = serving.instances.clone().acquire_owned().await.ok();
    let run = &serving.template.run;
    let asked = Asked::new(number, stream, permit);
    let interest = Interest(asked.clone());
    let bodiless = request.method() == Method::HEAD;
    match handler.handle(asked.clone(), request).await {
        Ok(response) if response.status().is_informational() => {
            serving.complain(number, &format!("it answered {}, which is no answer", response.status()));
            refused(FAILED, Some(interest))
        }
        Ok(response) if asked.begin() => Answer::begin(response, bodiless, interest),
        Ok(_) => refused(LATE, Some(interest)),
        Err(error) => {
            if let Some(unmade) = error.downcast_ref::<InstantiationError<Arc<Asked>>>() {
                serving.complain(number, &unmade.error.to_string());
            }
            let over = run.limits.run_time.is_some_and(|seconds| asked.began.elapsed() >= Duration::from_secs(seconds));
            refused(if over || asked.is_late() { LATE } else { FAILED }, Some(interest))
        }
    }
}
