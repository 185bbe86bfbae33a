//! Workers that break the rules: this test speaks in a worker's place, and what it says is listened to as long as one of
//! ours would say it. A process of the test's own stands for the worker's, to be killed.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::Arc;

use rustix::net::SendFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wjob_model::denial::Denial;
use wjob_model::message::{INLINE_BYTES, Manner, TEXT_BYTES, ToWorker};
use wjob_model::noted::Used;
use wjob_model::outcome::Outcome;
use wjob_model::run::{Action, Exit};
use wjob_model::spec::{Context, load};
use wjob_model::wall::{CompileBounds, Machine};
use wjob_sandbox::channel::Channel;

use super::*;
use crate::attempt::Source;
use crate::order::{Order, Silent};
use crate::spawn::{Image, Worker};

/// A run whose worker the test is.
struct Scene {
    attempt: Attempt,
    /// The worker's end.
    worker: Channel,
    image: Image,
    machine: Machine,
    _child: Child,
}

impl Scene {
    fn new() -> Self {
        let text = b"{ Label = a; Program = \"/bin/sleep\"; Isolation = None; }";
        let job = load(text, &Context { folder: "/", home: "/", uid: 0 }).job.unwrap();
        let order = Order {
            job: Arc::new(job),
            environment: Vec::new(),
            native_environment: Vec::new(),
            stdio: [None, None, None],
            sockets: Vec::new(),
            causes: Vec::new(),
            person: None,
            owner: None,
            best_effort: false,
            explain: false,
            learn: false,
            raw: false,
        };
        let (image, machine) = (Image::own("test").unwrap(), wjob_sandbox::machine::look());
        let mut attempt = Attempt::begin(order, tools(&image, &machine), Vec::new()).unwrap();
        let (ours, worker) = Channel::pair().unwrap();
        // It ends by itself long after it should have been killed.
        let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        attempt.phase = Phase::Working(Worker::in_place(child.id(), pidfd, ours));
        Self { attempt, worker, image, machine, _child: child }
    }

    /// What is heard next.
    fn hear(&mut self) -> Option<Event> {
        self.attempt.said(tools(&self.image, &self.machine), &mut Silent)
    }

    /// The worker says something; whether it is listened to.
    fn is_heard(&mut self, said: &FromWorker) -> bool {
        self.worker.send(said, &[]).unwrap();
        self.hear() == Some(Event::Said(said.clone()))
    }

    /// That nothing more is heard, and that the process is killed for what it said.
    #[track_caller]
    fn cut_off(mut self) {
        assert!(!self.attempt.talking, "it is listened to");
        assert_eq!(self.attempt.sources().len(), 1, "its end alone is waited for");
        assert_eq!(self.attempt.gone(&mut Silent), Some(Event::Gone(Exit::Signal(9))));
    }
}

fn tools<'a>(image: &'a Image, machine: &'a Machine) -> Tools<'a> {
    Tools { image, machine, cache: None, may_compile: false, compile: CompileBounds::default() }
}

fn denial(number: usize) -> FromWorker {
    FromWorker::Denied(Denial::Lookup { name: format!("host-{number}") })
}

#[test]
fn reports_are_counted_and_one_too_many_is_the_last() {
    let mut scene = Scene::new();
    let most = scene.attempt.order.most_reports();
    for number in 0..most {
        let said = if number % 2 == 0 { denial(number) } else { FromWorker::Used(Used::Path(7)) };
        assert!(scene.is_heard(&said), "report {number} of {most}");
    }
    assert!(!scene.is_heard(&denial(most)));
    scene.cut_off();
}

/// Out of turn they change nothing, and there is no end of them.
#[test]
fn words_that_come_without_an_end_are_not_listened_to() {
    for said in [
        FromWorker::Manner(Manner::default()),
        FromWorker::Walls(Vec::new()),
        FromWorker::Ended(Outcome::Trapped("x".repeat(TEXT_BYTES))),
        FromWorker::Compiled,
        FromWorker::Resolved(Vec::new()),
    ] {
        let mut scene = Scene::new();
        let heard = (0..=MOST_WORDS).take_while(|_| scene.is_heard(&said)).count();
        assert_eq!(heard, MOST_WORDS, "{said:?}");
        scene.cut_off();
    }
}

/// Fresh addresses are wished for once in a while, for as long as a run lasts: only who cannot wait is counted.
#[test]
fn whoever_wishes_for_addresses_all_the_time_is_not_listened_to() {
    let mut scene = Scene::new();
    let heard = (0..=2 * MOST_WORDS).take_while(|_| scene.is_heard(&FromWorker::NamesWanted)).count();
    assert_eq!(heard, MOST_WORDS + 1);
    scene.cut_off();
}

/// A worker that may not have its user or its priority ends before it is spoken to, and how it ended says why.
#[test]
fn a_worker_that_is_gone_before_it_is_spoken_to_is_heard_of_by_its_end() {
    let Scene { mut attempt, worker, image, machine, _child: mut child } = Scene::new();
    let Phase::Working(made) = &attempt.phase else { panic!("there is a worker") };
    drop(worker);
    assert_eq!(made.hand(&ToWorker::Go, &[]), Ok(()));
    child.kill().unwrap();
    let tools = tools(&image, &machine);
    assert_eq!(attempt.woken(Some(Source::Process), tools, &mut Silent), Some(Event::Gone(Exit::Signal(9))));
}

#[test]
fn what_is_no_message_of_this_build_is_the_last() {
    for said in [vec![0, 0xff], vec![7; 100], vec![1], vec![0; INLINE_BYTES + 100]] {
        let mut scene = Scene::new();
        rustix::net::send(scene.worker.as_fd(), &said, SendFlags::empty()).unwrap();
        assert_eq!(scene.hear(), None, "{} bytes", said.len());
        scene.cut_off();
    }
}

/// The message counts; what came with it is let go, which shows at the other end of a pipe.
#[test]
fn descriptors_that_a_worker_sends_are_let_go() {
    let mut scene = Scene::new();
    let (read, write) = rustix::pipe::pipe().unwrap();
    let said = FromWorker::Manner(Manner::default());
    scene.worker.send(&said, &[write.as_fd()]).unwrap();
    drop(write);
    assert_eq!(scene.hear(), Some(Event::Said(said)));
    let mut rest = Vec::new();
    std::fs::File::from(read).read_to_end(&mut rest).unwrap();
    assert_eq!((rest.len(), scene.attempt.talking), (0, true));
}

/// Only before it begins is it made anew, for code that does not fit and for walls that are not there.
#[test]
fn whoever_runs_gets_no_other_worker_by_saying_that_a_wall_is_missing() {
    for fault in [Fault::Stale, Fault::Namespaces(Wall::Mount), Fault::Refused(Wall::Seccomp)] {
        let failure = StartFailure::new(fault, "a", "b", "c");
        let mut scene = Scene::new();
        scene.attempt.order.best_effort = true;
        assert!(scene.attempt.renewable(&failure), "{fault:?}");
        let go = Action::Send(ToWorker::Go);
        assert_eq!(scene.attempt.perform(go, tools(&scene.image, &scene.machine), &mut Silent), None);
        assert!(!scene.attempt.renewable(&failure) && scene.is_heard(&FromWorker::Failed(failure)), "{fault:?}");
    }
}

/// What a wall that was tried failed for may be an earlier run's doing: no weaker one stands in its place unasked.
#[test]
fn a_wall_that_fails_is_done_without_once_and_by_an_operators_word() {
    let refused = StartFailure::refused(Wall::Mount, "no such entry");
    let mut scene = Scene::new();
    assert!(!scene.attempt.renewable(&refused));
    scene.attempt.order.best_effort = true;
    assert!(scene.attempt.renewable(&refused));
    assert!(scene.attempt.plan_without(Wall::Mount, "no such entry").is_ok());
    assert!(!scene.attempt.renewable(&refused), "it would have no end");
}
