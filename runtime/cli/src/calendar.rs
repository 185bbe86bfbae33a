//! `wjob calendar FILE|FIELD=NUMBER...`: when the calendar times of a job, or of one entry given here, are due next.
//! It starts nothing and asks no supervisor: what a time means and when it is due is model's decision, for both.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use wjob_model::calendar::{self, Entry};
use wjob_model::status::Status;

use crate::{job_file, render};

/// Most entries of a job file that are put into words; the firings are those of all of them.
const MOST_IN_WORDS: usize = 16;

const AFTER_HELP: &str = "\
Fields are those of StartCalendarInterval: Minute, Hour, Day, Weekday (0 and 7 are Sunday) and Month.
A field left out is any; with Day and Weekday either is enough. A time that the clock skips is due
at the end of the gap, if Hour is given; one that it shows twice is due the first time.

Examples:
  wjob calendar job.plist
  wjob calendar Hour=3 Minute=30
  wjob calendar Weekday=1,Hour=7,Minute=0 --zone Europe/Berlin --after 2026-03-01 --count 10";

/// What `wjob calendar` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A job file (- is standard input), or the fields of one entry, as in Hour=3 Minute=30
    #[arg(value_name = "FILE|FIELD=NUMBER", required = true)]
    what: Vec<OsString>,
    /// How many firings to list, from 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// List those after this moment instead of now: 2026-03-29T01:00Z, or 2026-03-29T02:00 in local time
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Local time is that of this zone, as in Europe/Berlin, instead of the system's
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// Print one JSON object per firing and line
    #[arg(long)]
    json: bool,
}

/// Lists the firings, under the times in words.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let question = match question(&arguments) {
        Ok(question) => question,
        Err(refusal) => {
            render::complain_lines(&[refusal.what, refusal.advice]);
            return Ok(ExitCode::from(refusal.status.code()));
        }
    };
    let firings = question.firings(arguments.count);
    render::print(if arguments.json { question.lines(&firings)? } else { question.in_words(&firings) })?;
    Ok(ExitCode::SUCCESS)
}

/// Why there is nothing to list.
#[derive(Debug)]
struct Refusal {
    status: Status,
    what: String,
    advice: String,
}

impl Refusal {
    fn new(status: Status, what: String, advice: impl Into<String>) -> Self {
        Self { status, what, advice: advice.into() }
    }
}

/// What is asked: when these entries are due after that moment, in local time of the zone.
#[derive(Debug)]
struct Question {
    entries: Vec<Entry>,
    after: Timestamp,
    zone: TimeZone,
}

fn question(arguments: &Arguments) -> Result<Question, Refusal> {
    let zone = zone(arguments.zone.as_deref())?;
    let after = arguments.after.as_deref().map_or_else(|| Ok(Timestamp::now()), |text| moment(text, &zone))?;
    let entries = if are_fields(&arguments.what) { fields(&arguments.what)? } else { of_file(&arguments.what)? };
    Ok(Question { entries, after, zone })
}

fn zone(name: Option<&str>) -> Result<TimeZone, Refusal> {
    let Some(name) = name else {
        return Ok(TimeZone::system());
    };
    TimeZone::get(name).map_err(|error| {
        Refusal::new(Status::Usage, format!("--zone {name}: {error}"), "expected a name such as Europe/Berlin, or UTC")
    })
}

/// A moment with its offset, else the local time of the zone. A zone within the text would be passed over in silence,
/// so it is refused.
fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, Refusal> {
    let local = || text.parse::<DateTime>().and_then(|wall| zone.to_timestamp(wall));
    let read = text.parse::<Timestamp>().or_else(|_| local()).ok();
    read.filter(|_| !text.contains('[')).ok_or_else(|| {
        let advice = "expected 2026-03-29T01:00Z, 2026-03-29T02:00+01:00, or 2026-03-29T02:00 for local time";
        Refusal::new(Status::Usage, format!("--after {text}: it is no moment"), advice)
    })
}

/// Fields have a =; so may the name of a file, if it is there.
fn are_fields(what: &[OsString]) -> bool {
    what.iter().any(|part| part.to_string_lossy().contains('=') && !Path::new(part).exists())
}

/// The one entry whose fields the arguments are, each by itself or several in one.
fn fields(what: &[OsString]) -> Result<Vec<Entry>, Refusal> {
    let parts: Vec<_> = what.iter().map(|part| part.to_string_lossy()).collect();
    let entry = calendar::parse(&parts.join(" ")).map_err(|error| {
        let advice = "`wjob keys StartCalendarInterval` lists the fields";
        Refusal::new(Status::Usage, error.to_string(), advice)
    })?;
    Ok(vec![entry])
}

fn of_file(what: &[OsString]) -> Result<Vec<Entry>, Refusal> {
    const EXPECTED: &str = "expected one job file, or the fields of one entry, such as Hour=3 Minute=30";
    let [file] = what else {
        let given = what.len();
        return Err(Refusal::new(Status::Usage, format!("{given} job files are given"), EXPECTED));
    };
    let file = Path::new(file);
    let name = file.display();
    let text =
        job_file::read(file).map_err(|why| Refusal::new(Status::BadJobFile, format!("{name}: {why}"), EXPECTED))?;
    let loaded = job_file::load(file, &text)
        .map_err(|error| Refusal::new(Status::System, format!("{name}: {error:#}"), EXPECTED))?;
    let Some(job) = loaded.job else {
        let advice = format!("`wjob check {name}` says why");
        return Err(Refusal::new(Status::BadJobFile, format!("{name}: a bad job file"), advice));
    };
    if job.launch.calendar.is_empty() {
        let what = format!("{name}: the job has no calendar times (StartCalendarInterval)");
        return Err(Refusal::new(Status::Misconfigured, what, without_times(job.launch.interval)));
    }
    Ok(job.launch.calendar)
}

/// What is said of a job without calendar times.
fn without_times(interval: Option<u32>) -> String {
    match interval {
        Some(seconds) => format!("its StartInterval starts it every {seconds} s, at no time of the clock"),
        None => "`wjob keys StartCalendarInterval` explains the key".into(),
    }
}

impl Question {
    fn firings(&self, count: u16) -> Vec<Timestamp> {
        let next = |after: Timestamp| calendar::next(&self.entries, after, &self.zone);
        std::iter::successors(next(self.after), |last| next(*last)).take(count.into()).collect()
    }

    /// The times in words, then each firing in local time.
    fn in_words(&self, firings: &[Timestamp]) -> String {
        let mut text: String = self.entries.iter().take(MOST_IN_WORDS).map(|entry| format!("{entry}\n")).collect();
        if let Some(more) = self.entries.len().checked_sub(MOST_IN_WORDS).filter(|more| *more > 0) {
            text += &format!("and {more} more\n");
        }
        text += &format!("{}:\n", render::escape(&self.zone_in_words()));
        for firing in firings {
            text += &format!("  {}\n", firing.to_zoned(self.zone.clone()).strftime("%a %F %T %:z"));
        }
        if firings.is_empty() {
            text += "  never\n";
        }
        text
    }

    fn zone_in_words(&self) -> String {
        match self.zone.iana_name() {
            _ if self.zone.is_unknown() => "UTC, because this system has no time zone set".into(),
            Some(name) => name.into(),
            None => "local time".into(),
        }
    }

    /// The firings as JSON, one per line.
    fn lines(&self, firings: &[Timestamp]) -> anyhow::Result<String> {
        let mut lines = String::new();
        for firing in firings {
            let time = firing.display_with_offset(self.zone.to_offset(*firing)).to_string();
            lines += &serde_json::to_string(&Row { time, epoch: firing.as_second() })?;
            lines.push('\n');
        }
        Ok(lines)
    }
}

/// A firing as `--json` prints it.
#[derive(Serialize)]
struct Row {
    /// RFC 3339, in local time.
    time: String,
    /// Seconds since 1970.
    epoch: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cet() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule")
    }

    fn ask(fields: &str) -> Question {
        let entries = fields.split(';').map(|fields| calendar::parse(fields).expect(fields)).collect();
        let zone = cet();
        let after = moment("2026-03-28T12:00", &zone).expect("a moment");
        Question { entries, after, zone }
    }

    fn arguments(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn firings_are_listed_in_local_time() {
        for (fields, count, expected) in [
            (
                "Hour=2 Minute=30",
                2,
                "every day at 02:30\nlocal time:\n  Sun 2026-03-29 03:00:00 +02:00\n  Mon 2026-03-30 02:30:00 +02:00\n",
            ),
            (
                "Hour=13 Minute=0;Weekday=1 Hour=7 Minute=0",
                1,
                "every day at 13:00\nMondays at 07:00\nlocal time:\n  Sat 2026-03-28 13:00:00 +01:00\n",
            ),
            (
                "Month=2 Day=30 Hour=0 Minute=0",
                5,
                "on day 30 of February (which it never has) at 00:00\nlocal time:\n  never\n",
            ),
        ] {
            let question = ask(fields);
            assert_eq!(question.in_words(&question.firings(count)), expected);
        }
    }

    #[test]
    fn a_long_list_of_entries_is_cut_in_words_only() {
        let question = ask(&["Hour=13 Minute=0"; MOST_IN_WORDS + 3].join(";"));
        let text = question.in_words(&question.firings(1));
        assert_eq!(text.matches("every day").count(), MOST_IN_WORDS);
        assert!(text.contains("\nand 3 more\n"), "{text}");
    }

    #[test]
    fn json_has_one_firing_per_line() {
        let question = ask("Hour=2 Minute=30");
        let lines = question.lines(&question.firings(2)).expect("JSON");
        let expected = "{\"time\":\"2026-03-29T03:00:00+02:00\",\"epoch\":1774746000}\n\
                        {\"time\":\"2026-03-30T02:30:00+02:00\",\"epoch\":1774830600}\n";
        assert_eq!(lines, expected);
    }

    #[test]
    fn moments_have_an_offset_or_are_local() {
        for (text, expected) in [
            ("2026-03-29T01:00Z", Some("2026-03-29T01:00:00Z")),
            ("2026-03-29T03:00:00+02:00", Some("2026-03-29T01:00:00Z")),
            ("2026-03-29 12:00", Some("2026-03-29T10:00:00Z")),
            ("2026-01-01", Some("2025-12-31T23:00:00Z")),
            ("2026-03-29T12:00[Europe/Paris]", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let read = moment(text, &cet()).ok().map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        for (words, are) in
            [(&["Hour=3", "Minute=30"][..], true), (&["Hour=3,"], true), (&["job.plist"], false), (&["-"], false)]
        {
            assert_eq!(are_fields(&arguments(words)), are, "{words:?}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let missing = of_file(&arguments(&["/no/such/file"]));
        let two = of_file(&arguments(&["one.plist", "two.plist"]));
        let wrong = fields(&arguments(&["Hour=3", "Minute=60"]));
        for (answer, status, part) in [
            (missing, Status::BadJobFile, "/no/such/file"),
            (two, Status::Usage, "2 job files"),
            (wrong, Status::Usage, "from 0 to 59"),
        ] {
            let refusal = answer.expect_err(part);
            assert_eq!(refusal.status, status);
            assert!(refusal.what.contains(part) && !refusal.advice.is_empty(), "{refusal:?}");
        }
        let zone = zone(Some("No/Such_Zone")).expect_err("no zone");
        assert_eq!(zone.status, Status::Usage);
    }
}
