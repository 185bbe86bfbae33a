//! `wjob info`: version, places, the walls this machine can put up, each tried in a process of its own, and the health
//! of the caller's supervisor, if there is one.

use std::process::ExitCode;

use serde_json::json;
use wjob_model::control::Supervisor;
use wjob_model::wall::{LANDLOCK_LEAST, LANDLOCK_TCP, WALLS};
use wjob_sandbox::machine;

use crate::target;
use crate::when::Clock;
use crate::{refusal, render, runtime, socket, supervisor};

/// What `wjob info` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Looks and tries.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    let machine = machine::look();
    let trials = machine::try_walls(&machine);
    let places = runtime::places(machine.uid);
    let supervisor = of_supervisor();
    let trial = |wall| trials.iter().find(|(tried, _)| *tried == wall).map(|(_, result)| result);
    if arguments.json {
        let walls: Vec<_> = WALLS
            .iter()
            .map(|row| {
                let result = trial(row.wall);
                json!({
                    "wall": row.name,
                    "available": matches!(result, Some(Ok(()))),
                    "why": result.and_then(|result| result.as_ref().err()),
                    "evidence": row.evidence,
                })
            })
            .collect();
        let places = places.as_ref().ok();
        let info = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": build,
            "uid": machine.uid,
            "landlockAbi": machine.landlock_abi,
            "cgroup": machine.cgroup.as_ref().ok().map(|delegated| &delegated.folder),
            "cache": places.map(|places| &places.cache),
            "state": places.map(|places| &places.state),
            "walls": walls,
            "supervisor": supervisor.as_ref().ok(),
        });
        render::print(format!("{info}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("wjob       {} (build {build})\nuser       {}\n", env!("CARGO_PKG_VERSION"), machine.uid);
    match places {
        Ok(places) => {
            text += &format!("cache      {}\nstate      {}\n", places.cache.display(), places.state.display())
        }
        Err(why) => text += &format!("cache      none: {why}\n"),
    }
    text += &format!(
        "landlock   ABI {} (every job needs {LANDLOCK_LEAST}, tcp grants {LANDLOCK_TCP})\n\nwalls this machine can put up for this user:\n",
        machine.landlock_abi
    );
    for row in WALLS {
        let result = match trial(row.wall) {
            Some(Ok(())) => "yes".to_owned(),
            Some(Err(why)) => format!("no: {why}"),
            None => "not tried".to_owned(),
        };
        text += &format!("  {:<18} {result}\n  {:<18}   {}; {}\n", row.name, "", row.purpose, row.evidence);
    }
    text += "\nheld by the WASI wall alone: addresses (landlock knows ports only) and UDP ports\n\n";
    text += &match supervisor {
        Ok(supervisor) => supervisor::in_words(&supervisor, build, &Clock::system()),
        Err(why) => format!("supervisor of {}\n  {}\n", target::own(), render::escape(&why)),
    };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The state of the caller's supervisor, or why there is none to tell.
fn of_supervisor() -> Result<Supervisor, String> {
    let asked = socket::control(target::own()).and_then(|mut client| Ok(supervisor::state(&mut client)?));
    let state = asked.map_err(|error| refusal::in_a_line(&error))?;
    state.ok_or_else(|| "it tells its state to the domain's owner and root alone".into())
}
