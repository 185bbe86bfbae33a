//! All attacks by name, and how the outcome of one is told. What each tries is in the file of its subject.

mod answers;
mod changes;
mod computing;
mod datagrams;
mod handles;
mod output;
mod paths;
mod requests;
mod sockets;
mod stage;
mod times;

use std::io::Write as _;

use stage::Stage;

/// What an attack achieved, or what refused it.
type Attempt = Result<String, String>;

/// An attack by its name.
type Attack = (&'static str, fn(&Stage) -> Attempt);

const TABLES: &[&[Attack]] = &[
    answers::ATTACKS,
    changes::ATTACKS,
    computing::ATTACKS,
    datagrams::ATTACKS,
    handles::ATTACKS,
    output::ATTACKS,
    paths::ATTACKS,
    requests::ATTACKS,
    sockets::ATTACKS,
    times::ATTACKS,
];

/// The status of an attack that achieved something.
const THROUGH: u8 = 0;
/// The status of an attack that was held.
const HELD: u8 = 3;

/// Performs the attack that the first argument names.
pub fn main() {
    let name = guests::argument(1, "NAME");
    let mut all = TABLES.iter().flat_map(|table| table.iter());
    if name == "--list" {
        let names: Vec<&str> = all.map(|(name, _)| *name).collect();
        say(&names.join("\n"));
        return;
    }
    match all.find(|(known, _)| *known == name) {
        Some((_, perform)) => tell(&name, perform(&Stage::of_arguments())),
        None => guests::misuse(&format!("{name} is no attack; `hostile --list` names them")),
    }
}

fn tell(name: &str, attempt: Attempt) -> ! {
    let (line, status) = match attempt {
        Ok(what) => (format!("attack {name}: got THROUGH: {what}"), THROUGH),
        Err(why) => (format!("held: {why}"), HELD),
    };
    say(&line.replace(['\n', '\r'], " "));
    guests::exit(status)
}

/// If standard output is gone, the status still tells.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What the first call that was allowed did, or what the last one was refused with.
fn first_allowed<Code>(
    calls: impl IntoIterator<Item = (&'static str, Result<(), Code>)>,
    named: fn(Code) -> String,
) -> Attempt {
    let mut last = "nothing was tried".to_owned();
    for (what, result) in calls {
        match result {
            Ok(()) => return Ok(format!("{what} was allowed")),
            Err(code) => last = format!("{what}: {}", named(code)),
        }
    }
    Err(last)
}
