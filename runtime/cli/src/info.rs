//! `wjob info`: version, places, the walls this machine can put up, each tried in a process of its own, and the health
//! of the caller's supervisor, if there is one.

use std::process::ExitCode;

use serde_json::{Value, json};
use wjob_model::control::Supervisor;
use wjob_model::wall::{LANDLOCK_LEAST, LANDLOCK_TCP, Machine, WALLS, Wall};
use wjob_sandbox::machine;

use crate::target;
use crate::when::Clock;
use crate::{refusal, render, runtime, socket, supervisor};

/// What becomes of jobs without the walls that take a user namespace.
const NAMESPACES: &str = "user namespaces that a setting of this machine refuses: root's decision; components that need no mount wall run \
     without it and say so\nuser namespaces that have run out: anybody may have seen to that; a start that takes one is \
     refused without --best-effort\n\n";

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
    let tried = machine::try_walls(&machine);
    let supervisor = of_supervisor();
    let group = Group::of(supervisor.as_ref().ok(), &machine);
    let trials = Trials { tried: &tried, group: &group };
    let places = runtime::places(machine.uid);
    if arguments.json {
        let places = places.as_ref().ok();
        let info = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": build,
            "uid": machine.uid,
            "landlockAbi": machine.landlock_abi,
            "cgroup": group.found.ok(),
            "cgroupOf": group.whose,
            "cache": places.map(|places| &places.cache),
            "state": places.map(|places| &places.state),
            "walls": trials.objects(),
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
    text += &trials.in_words();
    text += "\nheld by the WASI wall alone: addresses (landlock knows ports only) and UDP ports\n";
    text += NAMESPACES;
    text += &match &supervisor {
        Ok(supervisor) => supervisor::in_words(supervisor, build, &Clock::system()),
        Err(why) => format!("supervisor of {}\n  {}\n", target::own(), render::escape(why)),
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

/// A part of the tree of control groups that is somebody's to divide: the supervisor's, which starts the jobs, or else
/// this process's, which may be in another group and stands for `wjob run` alone.
struct Group<'a> {
    whose: String,
    /// Its folder, or why there is none.
    found: Result<&'a str, &'a str>,
}

impl<'a> Group<'a> {
    fn of(supervisor: Option<&'a Supervisor>, machine: &'a Machine) -> Self {
        let told = supervisor.and_then(|supervisor| {
            let found = match (&supervisor.cgroup, &supervisor.cgroup_lacking) {
                (Some(folder), _) => Ok(folder.as_str()),
                (None, Some(why)) => Err(why.as_str()),
                // It is of an earlier build, which does not tell.
                (None, None) => return None,
            };
            Some(Self { whose: format!("the supervisor of {}", supervisor.domain), found })
        });
        told.unwrap_or_else(|| Self {
            whose: "this process".into(),
            found: machine.cgroup.as_ref().map(|group| group.folder.as_str()).map_err(String::as_str),
        })
    }

    fn in_words(&self) -> String {
        match self.found {
            Ok(folder) => format!("yes, of {}: {folder}", self.whose),
            Err(why) => format!("no, of {}: {why}", self.whose),
        }
    }
}

/// What came of trying the walls.
struct Trials<'a> {
    tried: &'a [(Wall, Result<(), String>)],
    group: &'a Group<'a>,
}

impl<'a> Trials<'a> {
    /// `None` = it was not tried.
    fn of(&self, wall: Wall) -> Option<Result<(), &'a str>> {
        if wall == Wall::Cgroup {
            return Some(self.group.found.map(|_| ()));
        }
        let (_, result) = self.tried.iter().find(|(tried, _)| *tried == wall)?;
        Some(match result {
            Ok(()) => Ok(()),
            Err(why) => Err(why.as_str()),
        })
    }

    fn objects(&self) -> Vec<Value> {
        let object = |row: &wjob_model::wall::WallRow| {
            let result = self.of(row.wall);
            json!({
                "wall": row.name,
                "available": matches!(result, Some(Ok(()))),
                "why": result.and_then(Result::err),
                "evidence": row.evidence,
            })
        };
        WALLS.iter().map(object).collect()
    }

    fn in_words(&self) -> String {
        let words = |wall: Wall| match self.of(wall) {
            _ if wall == Wall::Cgroup => render::escape(&self.group.in_words()),
            Some(Ok(())) => "yes".to_owned(),
            Some(Err(why)) => format!("no: {why}"),
            None => "not tried".to_owned(),
        };
        let row = |row: &wjob_model::wall::WallRow| {
            let name = row.name;
            format!("  {name:<18} {}\n  {:<18}   {}; {}\n", words(row.wall), "", row.purpose, row.evidence)
        };
        WALLS.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use wjob_model::wall::Delegated;

    use super::*;

    fn supervisor(cgroup: Option<&str>, lacking: Option<&str>) -> Supervisor {
        let known = json!({
            "build": "0.1.0-a", "domain": "user/1000", "pid": 42, "since": "2026-11-21T08:00:00Z", "jobs": 0,
            "running": 0, "stopping": false, "log_level": "info", "state": "/s", "configuration": "/c",
            "folders": [], "logger": "running",
        });
        let supervisor: Supervisor = serde_json::from_value(known).expect("what an earlier build tells");
        Supervisor { cgroup: cgroup.map(String::from), cgroup_lacking: lacking.map(String::from), ..supervisor }
    }

    #[test]
    fn it_is_told_whose_control_group_is_told_of() {
        let own = Delegated { folder: "/own".into(), memory: true, processes: true };
        let machine = Machine { cgroup: Ok(own), ..Machine::able(1000) };
        for (supervisor, expected) in [
            (None, "yes, of this process: /own"),
            (Some(supervisor(None, None)), "yes, of this process: /own"),
            (Some(supervisor(Some("/its"), None)), "yes, of the supervisor of user/1000: /its"),
            (Some(supervisor(None, Some("why"))), "no, of the supervisor of user/1000: why"),
        ] {
            let group = Group::of(supervisor.as_ref(), &machine);
            assert_eq!(group.in_words(), expected);
            let trials = Trials { tried: &[], group: &group };
            assert_eq!(trials.of(Wall::Cgroup).is_some_and(|result| result.is_ok()), expected.starts_with("yes"));
        }
    }
}
