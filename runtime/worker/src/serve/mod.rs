//! Serves clients on the sockets that were handed over: takes them in, as many and as fast as the limits let, and has
//! each served in the way the component asks for. Each thread accepts for itself and keeps what it accepted: nothing is
//! passed between them on the way. One client's trap, limit or silence ends that client's connection and nothing else.

pub(crate) mod answer;
pub(crate) mod bounds;
pub(crate) mod command;
pub(crate) mod crowd;
pub(crate) mod gate;
pub(crate) mod handler;
pub(crate) mod heads;
pub(crate) mod held;
pub(crate) mod http;
pub(crate) mod lifecycle;
pub(crate) mod linger;
pub(crate) mod listening;
pub(crate) mod living;
pub(crate) mod own_time;
pub(crate) mod request;
pub(crate) mod service;
pub(crate) mod shortage;
pub(crate) mod stdio;
pub(crate) mod stream;
pub(crate) mod upload;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use wjob_model::imports::HowRun;
use wjob_model::limit::Limit;
use wjob_model::outcome::{HeldBy, Outcome, Verdict};
use wjob_model::wall::{DEFAULT_INSTANCES, MOST_CONNECTIONS};

use crate::engine::Pool;
use crate::instance::{Loaded, Programs, Template};
use crowd::Crowd;
use gate::Gate;
use held::Pulse;
use lifecycle::{Phase, Work};
use listening::{Arrival, NotNow, Peer, Socket};
use living::Living;
use shortage::Shortage;
use stream::Stream;

/// How long nobody is accepted after the process or the machine had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);
/// Seconds a connection may be silent when the job says nothing.
const DEFAULT_IDLE: u64 = 60;

/// What all threads of a serving run share.
pub(crate) struct Serving {
    pub template: Arc<Template>,
    /// Requests that may be answered at once.
    pub instances: Arc<Semaphore>,
    /// Instances that may live at once, where one may answer again.
    pub living: Arc<Living>,
    /// Instances that may be handed another connection.
    pub resting: handler::Resting,
    /// How long a connection may be silent.
    pub silence: Duration,
    connections: Arc<Semaphore>,
    crowd: Crowd,
    gate: Mutex<Gate>,
    /// Of room for connections.
    shortage: Mutex<Shortage>,
    counted: bool,
    numbers: AtomicU64,
    /// Loops that still accept.
    accepting: AtomicUsize,
    over: Notify,
    /// Places in the pool that nobody has.
    places: Arc<Semaphore>,
    pooled: Option<Lane>,
    plain: Lane,
}

/// The program in one engine, linked when a client first needs it there.
pub(crate) struct Lane {
    pub template: Arc<Template>,
    program: Loaded,
    way: OnceLock<Way>,
}

/// How a client is served.
pub(crate) enum Way {
    /// The guest takes its clients in itself.
    Activation,
    Command(command::Ready),
    Handler(handler::Ready),
    Http(http::Ready),
}

/// A client that was taken in, with everything that is held for him.
pub(crate) struct Client {
    pub stream: Arc<Stream>,
    pub peer: Peer,
    /// Counted from 1.
    pub number: u64,
    /// The name of the socket he came through.
    pub socket: String,
    place: Place,
}

/// What a client takes up, given back when it is dropped.
struct Place {
    serving: Arc<Serving>,
    counted: Option<listening::Source>,
    /// What looks after the connection, and has nothing to do without it.
    watch: OnceLock<AbortHandle>,
    _work: Work,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(source) = self.counted {
            self.serving.gate.lock().unwrap_or_else(PoisonError::into_inner).leave(source);
        }
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
        if self.serving.crowd.leave() {
            crowd::give_back();
        }
    }
}

impl Lane {
    fn new(template: Arc<Template>, program: &Loaded) -> Self {
        Self { template, program: program.clone(), way: OnceLock::new() }
    }

    /// How a client is served there.
    ///
    /// # Errors
    /// When the program cannot be linked.
    pub fn way(&self) -> wasmtime::Result<&Way> {
        match self.way.get() {
            Some(way) => Ok(way),
            None => self.linked().map(|way| self.way.get_or_init(|| way)),
        }
    }

    fn linked(&self) -> wasmtime::Result<Way> {
        let (template, program) = (&self.template, &self.program);
        Ok(match program.how() {
            HowRun::Connection => Way::Handler(handler::Ready::new(template, program)?),
            HowRun::Activation => Way::Activation,
            HowRun::Http02 | HowRun::Http03 => Way::Http(http::Ready::new(template, program)?),
            _ => Way::Command(command::Ready::new(template, program)?),
        })
    }
}

impl Serving {
    /// Makes ready what serves each client.
    ///
    /// # Errors
    /// When the program cannot be linked.
    pub fn new(template: &Arc<Template>, programs: &Programs) -> wasmtime::Result<Arc<Self>> {
        let plain = Lane::new(template.clone(), &programs.plain);
        let pooled =
            programs.pooled.as_ref().map(|(engine, program)| Lane::new(Arc::new(template.in_engine(engine)), program));
        // What cannot be linked is to be known before the first client; the other engine can wait until the pool is full.
        pooled.as_ref().unwrap_or(&plain).way()?;
        let limits = &template.run.limits;
        let how = programs.plain.how();
        let many = matches!(how, HowRun::Http02 | HowRun::Http03 | HowRun::Activation);
        let instances = limits.instances.unwrap_or(DEFAULT_INSTANCES);
        let most = usize::try_from(instances).unwrap_or(Semaphore::MAX_PERMITS);
        let connections = if many { MOST_CONNECTIONS } else { instances };
        let connections = Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS)));
        let gate = Gate::new(limits, Instant::now());
        Ok(Arc::new(Self {
            instances: Arc::new(Semaphore::new(most)),
            living: Living::new(most),
            resting: handler::Resting::default(),
            connections,
            crowd: Crowd::default(),
            silence: Duration::from_secs(limits.idle_time.unwrap_or(DEFAULT_IDLE)),
            counted: !gate.is_open(),
            gate: Mutex::new(gate),
            shortage: Mutex::default(),
            numbers: AtomicU64::new(0),
            accepting: AtomicUsize::new(0),
            over: Notify::new(),
            places: Arc::new(Semaphore::new(usize::try_from(instances.min(Pool::MOST.into())).unwrap_or(0))),
            pooled,
            plain,
            template: template.clone(),
        }))
    }

    /// Waits until one more may come. Nobody is held up who came through another socket meanwhile.
    async fn room(&self) -> OwnedSemaphorePermit {
        loop {
            let pause = if self.counted { self.gate().pause(Instant::now()) } else { None };
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break,
            }
        }
        match self.connections.clone().acquire_owned().await {
            Ok(permit) => permit,
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Nobody is accepted for a while, because there is no room for another connection.
    pub async fn pause(&self, error: &std::io::Error) {
        let number = error.raw_os_error();
        let is_news = self.shortage.lock().unwrap_or_else(PoisonError::into_inner).is_news(Instant::now(), number);
        if is_news {
            self.template.outputs[1].complain(&format!("wjob: accepting pauses: {error}\n"));
        }
        tokio::time::sleep(NO_ROOM).await;
    }

    /// Takes a client in, if he may come.
    fn admit(
        self: &Arc<Self>,
        socket: &Socket,
        arrival: Arrival,
        work: Work,
        permit: OwnedSemaphorePermit,
    ) -> Option<Client> {
        let Arrival { stream, peer } = arrival;
        if !peer.is_admitted(&self.template.run, &*stream) {
            return None;
        }
        let counted = self.counted.then(|| peer.source());
        if let Some(source) = counted
            && !self.gate().enter(source)
        {
            return None;
        }
        self.crowd.enter();
        let number = self.next_number();
        let place = Place { counted, watch: OnceLock::new(), _work: work, _permit: permit, serving: self.clone() };
        Some(Client { stream, peer, number, socket: socket.about.name.clone(), place })
    }

    /// The number of the next connection.
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where the next instance is made: in the pool while it has places.
    pub fn lane(&self) -> (Option<OwnedSemaphorePermit>, &Lane) {
        if let Some(pooled) = &self.pooled
            && let Ok(place) = self.places.clone().try_acquire_owned()
        {
            return (Some(place), pooled);
        }
        (None, &self.plain)
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how an instance has ended, if that was no good end. A limit that it met is in the run's record too.
    pub fn ended(&self, number: u64, outcome: &Outcome) {
        match outcome {
            Outcome::Trapped(_) | Outcome::LimitHit { .. } => {
                self.template.denials.record_limit(Some(outcome));
                let words = Verdict { outcome: outcome.clone(), stop: None }.in_words();
                self.complain(number, &words.unwrap_or_default());
            }
            // As it is said of a native program.
            Outcome::Exited(status) if *status != 0 => self.complain(number, &format!("exit {status}")),
            _ => {}
        }
    }

    /// Says which limit a connection was ended by. That of silence is its client's affair and no want of the job's.
    pub fn cut_off(&self, number: u64, limit: Limit) {
        match limit {
            Limit::IdleTime => self.complain(number, "it was silent for IdleTime"),
            limit => self.ended(number, &Outcome::LimitHit { limit, wall: HeldBy::Guest }),
        }
    }

    /// Something the job's log should have, beside what its instances write.
    pub fn complain(&self, number: u64, what: &str) {
        // A back-trace has many lines, and each is to be known for this connection's.
        let lines: String = what.lines().map(|line| format!("wjob: connection {number}: {line}\n")).collect();
        self.template.outputs[1].complain(&lines);
    }
}

/// Serves until nobody is to be accepted any more and everybody was served.
///
/// # Errors
/// When there are no threads or no runtime for them, or one of them is held beyond RunTime.
pub(crate) async fn serve(serving: Arc<Serving>, sockets: Vec<Socket>) -> wasmtime::Result<()> {
    let sockets: Arc<Vec<Socket>> = Arc::new(sockets);
    let most =
        usize::try_from(serving.template.run.limits.instances.unwrap_or(DEFAULT_INSTANCES)).unwrap_or(usize::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(most).max(1);
    serving.accepting.store(threads, Ordering::Release);
    let pulses: Vec<Pulse> = std::iter::repeat_with(Pulse::default).take(threads).collect();
    for pulse in &pulses {
        let (serving, sockets, pulse) = (serving.clone(), sockets.clone(), pulse.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        std::thread::Builder::new()
            .name("serve".into())
            .spawn(move || runtime.block_on(one_thread(serving, sockets, pulse)))?;
    }
    tokio::select! {
        biased;
        () = served(&serving) => Ok(()),
        () = held::by_a_call(&pulses, serving.template.run.limits.run_time) => {
            serving.template.halt.now(Limit::RunTime, HeldBy::Kernel);
            Err(wasmtime::format_err!("a call of the host holds a thread beyond RunTime"))
        }
    }
}

/// Resolves when nobody is to be accepted any more and everybody was served.
async fn served(serving: &Serving) {
    while serving.accepting.load(Ordering::Acquire) > 0 {
        serving.over.notified().await;
    }
    serving.template.lifecycle.rest().await;
}

async fn one_thread(serving: Arc<Serving>, sockets: Arc<Vec<Socket>>, pulse: Pulse) {
    tokio::spawn(pulse.beat());
    let requests = matches!(serving.plain.program.how(), HowRun::Http02 | HowRun::Http03);
    let handler = requests.then(|| http::handler(serving.clone()));
    let thread = Thread { serving: serving.clone(), http: handler };
    join_all(sockets.iter().map(|socket| thread.accept_all(socket))).await;
    serving.accepting.fetch_sub(1, Ordering::AcqRel);
    serving.over.notify_one();
    // Those it has taken in are served by this thread; the process's end is its own.
    std::future::pending::<()>().await;
}

/// One that serves.
struct Thread {
    serving: Arc<Serving>,
    /// Instances of its own, which answer requests.
    http: Option<http::Handler>,
}

impl Thread {
    /// Takes clients in until nobody is welcome any more.
    async fn accept_all(&self, socket: &Socket) {
        let Ok(watched) = socket.watched() else {
            return self.give_up(socket, "it cannot be waited on");
        };
        let lifecycle = &self.serving.template.lifecycle;
        let closed = lifecycle.reached(Phase::Idle);
        let mut closed = std::pin::pin!(closed);
        loop {
            let mut guard = tokio::select! {
                biased;
                () = &mut closed => return,
                ready = watched.readable() => match ready {
                    Ok(guard) => guard,
                    Err(_) => return self.give_up(socket, "it cannot be waited on"),
                },
            };
            let room = tokio::select! {
                biased;
                () = &mut closed => return,
                room = self.serving.room() => room,
            };
            let work = lifecycle.begin();
            if lifecycle.phase() != Phase::Open {
                return;
            }
            match socket.accept() {
                Ok(arrival) => self.take_in(socket, arrival, work, room),
                Err(NotNow::Nobody) => guard.clear_ready(),
                Err(NotNow::Gone) => {}
                Err(NotNow::NoRoom(error)) => self.serving.pause(&error).await,
                Err(NotNow::Dead(error)) => return self.give_up(socket, &error.to_string()),
            }
        }
    }

    fn give_up(&self, socket: &Socket, why: &str) {
        let address = &socket.about.address;
        self.serving.template.outputs[1].complain(&format!("wjob: nobody is accepted at {address} any more: {why}\n"));
    }

    fn take_in(&self, socket: &Socket, arrival: Arrival, work: Work, room: OwnedSemaphorePermit) {
        let Some(client) = self.serving.admit(socket, arrival, work, room) else {
            return;
        };
        match (&self.http, self.serving.plain.program.how()) {
            (Some(handler), _) => drop(tokio::spawn(http::serve(handler.clone(), client))),
            (None, HowRun::Connection) => drop(tokio::spawn(handler::serve(client))),
            _ => drop(tokio::spawn(command::serve(client))),
        }
    }
}

impl Client {
    /// The run he is a client of.
    pub fn serving(&self) -> &Arc<Serving> {
        &self.place.serving
    }

    /// A task that ends with the connection, however long it would wait.
    pub fn watched_by(&self, task: AbortHandle) {
        // There is one: whoever accepts begins it.
        let _ = self.place.watch.set(task);
    }

    /// Performs `service` for him: within RunTime, and while he is not silent for too long.
    ///
    /// # Errors
    /// The limit that came before its end.
    pub async fn within_limits<F: Future>(&self, service: F) -> Result<F::Output, Limit> {
        let run_time = self.serving().template.run.limits.run_time.map(Duration::from_secs);
        tokio::select! {
            biased;
            output = service => Ok(output),
            () = overtime(run_time) => Err(Limit::RunTime),
            () = silence(&self.stream, self.serving().silence) => Err(Limit::IdleTime),
        }
    }
}

/// Resolves after a time, if there is one.
pub(crate) async fn overtime(run_time: Option<Duration>) {
    match run_time {
        Some(run_time) => tokio::time::sleep(run_time).await,
        None => std::future::pending().await,
    }
}

/// Resolves when nothing has gone through a connection for `most`.
pub(crate) async fn silence(stream: &Stream, most: Duration) {
    loop {
        let left = most.saturating_sub(stream.silent());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}
