//! `wjob man`: the manual page in roff, made from the command line's own description, the registry of keys and the
//! table of exit statuses, so that the page cannot say anything else than the program does.

use std::process::ExitCode;

use anyhow::Context as _;
use clap_mangen::roff::{Roff, bold, roman};
use wjob_model::daemon::options;
use wjob_model::keys::{self, Available, Class, Key};
use wjob_model::status::STATUSES;

use crate::render;

/// What `wjob man` is told: nothing.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Prints the page.
pub fn run(_arguments: Arguments) -> anyhow::Result<ExitCode> {
    render::print(String::from_utf8_lossy(&page()?))?;
    Ok(ExitCode::SUCCESS)
}

fn page() -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(crate::command())
        .manual("wjob manual")
        .render(&mut page)
        .context("cannot make the manual page")?;
    let mut roff = Roff::new();
    exit_statuses(&mut roff);
    job_file_keys(&mut roff);
    supervisor_options(&mut roff);
    roff.to_writer(&mut page).context("cannot make the manual page")?;
    Ok(page)
}

fn exit_statuses(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(
        "wjob run ends with the job's own status, or with 128 + N when signal N ended it. wjob's own are:",
    )]);
    for row in STATUSES {
        roff.control("TP", []);
        roff.text([bold(row.status.code().to_string())]);
        roff.text([roman(format!("{}: {}.", row.name, row.meaning))]);
    }
}

fn job_file_keys(roff: &mut Roff) {
    roff.control("SH", ["JOB FILE KEYS"]);
    for class in [Class::Honoured, Class::Adapted, Class::Noted] {
        roff.control("SS", [crate::keys::heading(class)]);
        for key in keys::all().iter().filter(|key| key.class == class) {
            job_file_key(roff, key);
        }
    }
}

fn job_file_key(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    roff.text([bold(key.path), roman(format!(" ({}; {})", key.kind.words(), key.since))]);
    let acts = match key.available {
        Available::Run | Available::Nobody => "",
        Available::Supervisor => " Only wjobd acts on it.",
        Available::NotYet => " Nothing acts on it yet.",
    };
    roff.text([roman(format!("{}{acts}", key.summary))]);
}

/// What `wjobd` can be told, by flag or in `daemon.json`.
fn supervisor_options(roff: &mut Roff) {
    roff.control("SH", ["OPTIONS OF WJOBD"]);
    roff.text([roman("Each as a flag, or in daemon.json under its name without the dashes; never in both.")]);
    for option in options() {
        roff.control("TP", []);
        roff.text([bold(option.flag), roman(format!(" ({}; default: {})", option.kind.flag_words(), option.default))]);
        let reload = if option.reloadable { "SIGHUP applies a change" } else { "a change takes a restart" };
        roff.text([roman(format!("{}; {reload}.", option.summary))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_key_and_every_status() {
        let page = page().expect("a page");
        let page = String::from_utf8_lossy(&page);
        for key in keys::all() {
            assert!(page.contains(key.path), "{}", key.path);
        }
        for row in STATUSES {
            assert!(page.contains(row.name), "{}", row.name);
        }
        for option in options() {
            // roff escapes the dashes.
            assert!(page.replace('\\', "").contains(option.flag), "{}", option.flag);
        }
    }
}
