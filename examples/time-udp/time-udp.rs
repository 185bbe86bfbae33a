//! Answers each datagram with the time, in UTC as RFC 3339 has it. It takes its socket over from wjob and ends when it
//! is asked to or nobody has asked for a while; the socket stays, and the next datagram starts it again.

use jiff::Timestamp;
use wjob_sdk::activation::{self, Datagrams};
use wjob_sdk::{Error, lifecycle};

wjob_sdk::command!(main);

async fn main() -> Result<(), Error> {
    let datagrams = activation::check_in()?.datagrams("Listeners")?;
    lifecycle::until_stopped(answer(&datagrams)).await.unwrap_or(Ok(()))
}

/// Answers until the socket gives nothing more.
async fn answer(datagrams: &Datagrams) -> Result<(), Error> {
    loop {
        let question = match datagrams.receive().await {
            Ok(question) => question,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let time = format!("{:.0}\n", Timestamp::now());
        // Somebody who cannot be answered is no reason to leave the others without the time.
        if let Err(error) = datagrams.send_to(time, &question.peer).await {
            eprintln!("an answer was not sent: {error}");
        }
    }
}
