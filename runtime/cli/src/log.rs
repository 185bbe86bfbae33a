//! `wjob log [TARGET]`: what jobs wrote and what the supervisor said of them, asked of the logger. How a line looks is
//! `log_lines`' business.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use serde_json::{Map, Value};
use wjob_model::record::{INTERFACE, LogLine, LogQuery};

use crate::client::CallError;
use crate::log_lines::Lines;
use crate::refusal::Refusal;
use crate::target::{self, Domain, Target};
use crate::when::Clock;
use crate::{outlet, socket};

/// How many lines there are to be if neither their number nor their time is said.
const LAST: u32 = 100;

/// What `wjob log` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A job, or a domain; without it your own domain
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Go on with lines as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only lines from then on: 10m, 2h or 1d ago, or a moment as in 2026-03-29T02:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines with this text in them
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only so many of the newest; 100 unless --since is given
    #[arg(long, value_name = "N")]
    last: Option<u32>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Prints the lines, the newest last.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let target = Target::or_own(arguments.target.as_deref())?;
    let query = query(&arguments, target.label.clone(), &clock)?;
    let lines = Lines::new(clock, std::io::stdout().is_terminal());
    let mut printer = Printer { domain: target.domain, query, json: arguments.json, lines, silent: true };
    let all = match printer.print() {
        // One logger gives way to the next (`wjob upgrade`), or is started again: that one has the same socket.
        Err(error) if printer.silent && is_lost(&error) => printer.print(),
        printed => printed,
    }?;
    if !all {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(label) = target.label.filter(|_| printer.silent) {
        socket::is_loaded(target.domain, &label)?;
    }
    outlet::write(printer.lines.finish())?;
    Ok(ExitCode::SUCCESS)
}

/// What is asked, and how it is printed.
struct Printer {
    domain: Domain,
    query: LogQuery,
    json: bool,
    lines: Lines,
    /// Whether nothing was printed yet.
    silent: bool,
}

impl Printer {
    /// Asks and prints each line as it comes; false when nobody reads them any more.
    fn print(&mut self) -> anyhow::Result<bool> {
        let mut client = socket::log(self.domain)?;
        for reply in client.stream::<Value>(&format!("{INTERFACE}.Log"), &self.query)? {
            let Some(line) = line(reply?)? else {
                break;
            };
            self.silent = false;
            let text = if self.json { serde_json::to_string(&line)? + "\n" } else { self.lines.show(&line) };
            if !outlet::write(&text)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether whoever was asked has left before he had answered.
fn is_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<CallError>(), Some(CallError::Lost(_)))
}

fn query(arguments: &Arguments, label: Option<String>, clock: &Clock) -> Result<LogQuery, Refusal> {
    let since = arguments.since.as_deref().map(|text| clock.moment(text)).transpose()?;
    let last = arguments.last.or_else(|| since.is_none().then_some(LAST));
    Ok(LogQuery {
        label,
        since: since.map(|moment| moment.to_string()),
        grep: arguments.grep.clone(),
        last: last.map(i64::from),
        follow: arguments.follow,
    })
}

/// The line of a reply; the last reply has none.
fn line(reply: Value) -> Result<Option<LogLine>, CallError> {
    if reply.as_object().is_some_and(Map::is_empty) {
        return Ok(None);
    }
    serde_json::from_value(reply).map(Some).map_err(|error| CallError::Nonsense(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wjob_model::status::Status;

    use super::*;
    use crate::when::standing;

    fn asked(since: Option<&str>, last: Option<u32>) -> Result<(Option<String>, Option<i64>), Status> {
        let arguments =
            Arguments { target: None, follow: false, since: since.map(str::to_owned), grep: None, last, json: false };
        let query = query(&arguments, None, &standing());
        query.map(|query| (query.since, query.last)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn without_a_time_there_are_so_many_lines() {
        let since = || Some("2026-11-21T08:50:00Z".to_owned());
        assert_eq!(asked(None, None), Ok((None, Some(100))));
        assert_eq!(asked(None, Some(0)), Ok((None, Some(0))));
        assert_eq!(asked(Some("10m"), None), Ok((since(), None)));
        assert_eq!(asked(Some("10m"), Some(5)), Ok((since(), Some(5))));
        assert_eq!(asked(Some("soon"), None), Err(Status::Usage));
    }

    #[test]
    fn the_last_reply_has_no_line() {
        let whole = json!({ "time": "t", "stream": "out", "text": "x", "continued": false });
        assert_eq!(line(json!({})).unwrap(), None);
        assert_eq!(line(whole).unwrap().map(|line| line.text), Some("x".into()));
        assert_eq!(line(json!({ "text": "x" })).unwrap_err().status(), Status::Internal);
    }
}
