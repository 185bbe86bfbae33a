//! Requests without a pause, from clients of two kinds: those that ask once on each connection, and those that keep theirs
//! for as long as they may. Together they ask three thousand times a second, or as often as the machine lets them. What is
//! asked is asked in time, whether or not the server keeps up: a client that is late makes up for nothing.
//!
//! A request is lost when its connection breaks off, or ends before the answer does. One that was sent on a connection
//! that had been used before, and which the server closed without a byte of an answer, is asked once more on
//! another: a server may close a connection that nobody uses, and cannot know that a request is on its way (RFC 9112,
//! 9.3.1 and 9.5). Every client does so with what is idempotent, and it is no loss where a worker has been replaced: at
//! most once for each time. Whatever else is closed is lost.
//!
//! How many requests a second there are is said and not judged: that hangs on the machine, and `cargo xtask bench
//! takeover` measures it.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::{Client, PATIENCE, Place};
use super::requests::{Answer, Lost, ask};

/// Requests a second of all clients, at most.
const RATE: u32 = 3_000;
/// Clients of each kind at each place.
const CLIENTS: usize = 2;
/// How often each client is answered between two things that happen.
const BETWEEN: usize = 200;

/// What clients ask for, and what they may be answered.
pub struct Wanted {
    /// The path.
    pub path: &'static str,
    /// Bodies, of which any is right.
    pub bodies: &'static [&'static [u8]],
}

/// One client's account of itself.
#[derive(Default)]
struct Account {
    asked: AtomicUsize,
    answered: AtomicUsize,
    asked_again: AtomicUsize,
    /// Answers that ended a connection which would have been kept.
    told_so: AtomicUsize,
}

/// The clients, while they ask.
pub struct Traffic {
    wanted: Wanted,
    accounts: Vec<Account>,
    /// How often a worker was replaced, or is being so.
    replaced: AtomicUsize,
    lost: Mutex<Vec<String>>,
    over: AtomicBool,
}

/// The end of the traffic, also of a test that fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something while clients of both kinds ask at each place. No request may be lost.
#[track_caller]
pub fn under_traffic(places: &[Place], wanted: Wanted, act: impl FnOnce(&Traffic)) {
    let clients: Vec<(&Place, bool)> =
        places.iter().flat_map(|place| [(place, true), (place, false)]).flat_map(|one| [one; CLIENTS]).collect();
    let accounts = clients.iter().map(|_| Account::default()).collect();
    let (replaced, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let traffic = Traffic { wanted, accounts, replaced, lost: Mutex::default(), over };
    let start = Instant::now();
    thread::scope(|scope| {
        for ((place, keeps), account) in clients.into_iter().zip(&traffic.accounts) {
            let traffic = &traffic;
            scope.spawn(move || traffic.go_on(place, keeps, account));
        }
        let _end = End(&traffic.over);
        act(&traffic);
    });
    let (answered, seconds) = (traffic.answered(), start.elapsed().as_secs_f64());
    let again: usize = traffic.accounts.iter().map(|account| account.asked_again.load(Ordering::Relaxed)).sum();
    println!("{answered} requests in {seconds:.1} s, {:.0} a second; {again} asked again", answered as f64 / seconds);
    traffic.nothing_is_lost();
    for Account { asked, answered, .. } in &traffic.accounts {
        assert_eq!(answered.load(Ordering::Relaxed), asked.load(Ordering::Relaxed), "a request has no answer");
    }
}

impl Traffic {
    /// Waits until each client was answered so many times more.
    #[track_caller]
    pub fn goes_on(&self) {
        let start = Instant::now();
        let counts = || self.accounts.iter().map(|account| account.answered.load(Ordering::Relaxed));
        let until: Vec<usize> = counts().map(|count| count + BETWEEN).collect();
        while counts().zip(&until).any(|(count, until)| count < *until) {
            self.nothing_is_lost();
            assert!(start.elapsed() < PATIENCE, "clients are not answered {until:?} times");
            thread::yield_now();
        }
    }

    /// Has a worker replaced, during which clients are answered; each may find the connection closed that he keeps, once.
    #[track_caller]
    pub fn while_replacing(&self, act: impl FnOnce()) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
        self.meanwhile(act);
    }

    /// Does something during which clients are answered.
    #[track_caller]
    pub fn meanwhile(&self, act: impl FnOnce()) {
        let before = self.answered();
        act();
        self.nothing_is_lost();
        assert!(self.answered() > before, "nobody was answered meanwhile");
    }

    /// How often somebody who keeps his connection was told with an answer that it was the last.
    pub fn told_so(&self) -> usize {
        self.accounts.iter().map(|account| account.told_so.load(Ordering::Relaxed)).sum()
    }

    fn answered(&self) -> usize {
        self.accounts.iter().map(|account| account.answered.load(Ordering::Relaxed)).sum()
    }

    #[track_caller]
    fn nothing_is_lost(&self) {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(lost.is_empty(), "{} requests were lost: {lost:?}", lost.len());
    }

    /// One client, from the first request to the last.
    fn go_on(&self, place: &Place, keeps: bool, account: &Account) {
        // The moments between requests are the load itself; nothing is waited for by them.
        let pause = Duration::from_secs(1) / RATE * u32::try_from(self.accounts.len()).unwrap_or(1);
        let mut next = Instant::now();
        let mut kept = None;
        while !self.over.load(Ordering::Relaxed) {
            account.asked.fetch_add(1, Ordering::Relaxed);
            match self.ask(place, keeps, &mut kept, account) {
                Ok(()) => account.answered.fetch_add(1, Ordering::Relaxed),
                Err(why) => {
                    self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{place:?}: {why}"));
                    return;
                }
            };
            next = (next + pause).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// One request. A connection is kept for the next one by who keeps any, unless the answer says that it was its last.
    fn ask(&self, place: &Place, keeps: bool, kept: &mut Option<Client>, account: &Account) -> Result<(), String> {
        let used = kept.take();
        let word = if keeps { "keep-alive" } else { "close" };
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: {word}\r\n\r\n", self.wanted.path);
        if let Some(mut client) = used {
            match ask(&mut client, &request) {
                Ok(answer) => return self.take(answer, keeps.then_some(client), kept, account),
                Err(Lost::Closed) => self.may_ask_again(account)?,
                Err(Lost::Broken(why)) => return Err(format!("on a connection that was kept: {why}")),
            }
        }
        let mut client = connected(place).map_err(|error| format!("connecting: {error}"))?;
        match ask(&mut client, &request) {
            Ok(answer) => self.take(answer, keeps.then_some(client), kept, account),
            Err(Lost::Closed) => Err("a new connection was closed without an answer".into()),
            Err(Lost::Broken(why)) => Err(format!("on a new connection: {why}")),
        }
    }

    /// Counts a connection that was kept and closed; each time that a worker is replaced, a client may find one.
    fn may_ask_again(&self, account: &Account) -> Result<(), String> {
        let again = account.asked_again.fetch_add(1, Ordering::Relaxed) + 1;
        let replaced = self.replaced.load(Ordering::Relaxed);
        if again <= replaced {
            return Ok(());
        }
        Err(format!("{again} connections that were kept were closed, and workers were replaced {replaced} times"))
    }

    /// Looks at an answer, and keeps the connection of a client who wants to if he may.
    fn take(
        &self,
        answer: Answer,
        client: Option<Client>,
        kept: &mut Option<Client>,
        account: &Account,
    ) -> Result<(), String> {
        account.told_so.fetch_add(usize::from(client.is_some() && answer.is_last), Ordering::Relaxed);
        *kept = client.filter(|_| !answer.is_last);
        let body = answer.body.as_slice();
        if answer.status == 200 && self.wanted.bodies.contains(&body) {
            return Ok(());
        }
        Err(format!("status {} and {:?}", answer.status, String::from_utf8_lossy(body)))
    }
}

/// A connection; that there is none is a loss, and not the end of the test on the spot.
fn connected(place: &Place) -> io::Result<Client> {
    let socket: OwnedFd = match place {
        Place::Path(path) => UnixStream::connect(path)?.into(),
        Place::Tcp(address) => TcpStream::connect(address)?.into(),
    };
    Ok(Client::of(socket))
}
