//! `asks PATH LINE`: connects to a Unix socket, says who is at its other end, sends the line and prints all that is
//! answered. It has no socket of its own and is run once; a refusal is its error.

use wjob_sdk::{Error, connect};

wjob_sdk::command!(main);

async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (path, line) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let mut connection = connect::unix(&path).await?;
    println!("reached {} as connection {}", connection.peer(), connection.number());
    connection.write_all(format!("{line}\n").as_bytes()).await?;
    connection.finish().await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    print!("{}", String::from_utf8_lossy(&answer));
    Ok(())
}
