//! `accepts`: takes the job's sockets over and accepts on all of them at once. The first line of a connection says what
//! is done: `echo` sends everything back, `reason` tells why the run was started, `again` tries a second check-in,
//! `work` begins a piece of work that ends with the connection, `keep` one that ends with `drop`, `close` gives up all
//! listeners, and `exit STATUS` ends the run. A datagram is answered; `send HOST:PORT TEXT` in it is sent on, and the
//! answer says what came of that. With the argument `greet` it sends `here` first, to whom the socket is connected. It
//! ends when it is asked to or is idle, and says which on standard error.

#[path = "../line.rs"]
mod line;
mod listeners;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use wjob_sdk::activation::{self, Datagrams, Sender, Socket};
use wjob_sdk::lifecycle::{self, Transaction};
use wjob_sdk::{Connection, Error, IpAddress, copy, spawn};

use line::line;

thread_local! {
    /// Work that no connection ends.
    static KEPT: RefCell<Vec<Transaction>> = const { RefCell::new(Vec::new()) };
}

wjob_sdk::command!(main);

async fn main() -> Result<(), Error> {
    for socket in activation::check_in()? {
        match socket {
            Socket::Listener(listener) => spawn(listeners::accept_all(listener)),
            Socket::Datagrams(datagrams) => spawn(answer_all(datagrams)),
            Socket::Connection(connection) => spawn(serve(connection)),
        }
    }
    eprintln!("{}", end().await);
    Ok(())
}

/// Waits until the run is to end, and says why.
async fn end() -> &'static str {
    let mut termination = pin!(lifecycle::termination());
    let mut idle = pin!(lifecycle::idle());
    let asked = poll_fn(|context| match termination.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => idle.as_mut().poll(context).map(|()| false),
    });
    if asked.await {
        return "terminated";
    }
    // Whoever is asked to stop may hear first that there is nothing more to do.
    moment().await;
    let asked = poll_fn(|context| Poll::Ready(termination.as_mut().poll(context).is_ready()));
    if asked.await { "terminated" } else { "idle" }
}

/// Long enough for a word that is on its way.
#[cfg(target_arch = "wasm32")]
async fn moment() {
    const MOMENT: u64 = 20_000_000;
    wasip3::clocks::monotonic_clock::wait_for(MOMENT).await;
}

#[cfg(not(target_arch = "wasm32"))]
async fn moment() {}

/// Does what the first line of a connection says.
async fn serve(mut connection: Connection) -> Result<(), Error> {
    let line = line(&mut connection).await?;
    let (word, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
    let told = match word {
        "echo" => {
            let (mut reader, mut writer) = connection.split();
            copy(&mut reader, &mut writer).await?;
            return writer.finish().await;
        }
        "work" => return work(connection).await,
        "reason" => activation::reason().join("; "),
        "again" => match activation::check_in() {
            Ok(_) => "it may check in twice".into(),
            Err(error) => error.to_string(),
        },
        "keep" => {
            KEPT.with_borrow_mut(|kept| kept.push(Transaction::begin()));
            "kept".into()
        }
        "drop" => {
            drop(KEPT.take());
            "dropped".into()
        }
        "close" => {
            listeners::close();
            "closed".into()
        }
        "exit" => exit(rest.parse().unwrap_or(u8::MAX)),
        _ => "unknown".into(),
    };
    connection.write_all(format!("{told}\n").as_bytes()).await?;
    connection.finish().await
}

/// Works until the client has nothing more to say.
async fn work(mut connection: Connection) -> Result<(), Error> {
    let _work = Transaction::begin();
    connection.write_all(b"working\n").await?;
    connection.read_to_end(&mut Vec::new()).await?;
    connection.finish().await
}

/// Ends the run. `std::process::exit` would turn every failure of a component into 1.
fn exit(status: u8) -> ! {
    #[cfg(target_arch = "wasm32")]
    wasip2::cli::exit::exit_with_code(status);
    std::process::exit(i32::from(status))
}

/// Answers until the socket gives nothing more.
async fn answer_all(datagrams: Datagrams) -> Result<(), Error> {
    if std::env::args().any(|argument| argument == "greet") {
        let address = datagrams.address();
        datagrams.send_to("here", &other_end(&address)?).await?;
    }
    loop {
        let question = match datagrams.receive().await {
            Ok(question) => question,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&question.data);
        let answer = match text.strip_prefix("send ") {
            Some(order) => match send_on(&datagrams, order).await {
                Ok(()) => "sent".into(),
                Err(error) => error.to_string(),
            },
            None => format!("answered {text}"),
        };
        // Somebody who cannot be answered is no reason to leave the others without an answer.
        if let Err(error) = datagrams.send_to(answer, &question.peer).await {
            eprintln!("no answer was sent: {error}");
        }
    }
}

/// Sends a text to an address that somebody named: `HOST:PORT TEXT`.
async fn send_on(datagrams: &Datagrams, order: &str) -> Result<(), Error> {
    let (address, text) = order.split_once(' ').ok_or(Error::Invalid)?;
    datagrams.send_to(text, &in_the_network(address)?).await
}

/// `HOST:PORT`.
fn in_the_network(address: &str) -> Result<Sender, Error> {
    let (host, port) = address.rsplit_once(':').ok_or(Error::Invalid)?;
    let port = port.parse().map_err(|_| Error::Invalid)?;
    Ok(Sender::Ip(IpAddress { host: host.into(), port }))
}

/// To whom a socket is connected, by its address.
fn other_end(address: &str) -> Result<Sender, Error> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(Sender::Path(path.into())),
        Some((_, place)) => in_the_network(place),
        None => Err(Error::Invalid),
    }
}
