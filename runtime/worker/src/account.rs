//! The account role: asks every source of accounts this machine has, by the system's own programs. Those load what the
//! name service is configured to load, which neither supervisor nor worker does; whatever they do, they have a user
//! without rights and end with this process, which the supervisor ends when it takes too long.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use wjob_model::account::{Account, Group, Known, Question};
use wjob_model::limit::{Resource, ResourceLimit};
use wjob_model::message::{FromWorker, StartFailure};

use wjob_sandbox::{capabilities, limits};

use crate::role::{Started, report, wall};

/// Where the programs are: the usual places, and NixOS's.
const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin";
/// Most groups of an account that are told: more do not fit into one message.
const MOST_GROUPS: usize = 4096;

/// What the programs may use: they answer within seconds or never.
fn bounds() -> [ResourceLimit; 3] {
    let hard = |resource, value| ResourceLimit { resource, soft: Some(value), hard: Some(value) };
    [hard(Resource::Core, 1), hard(Resource::Cpu, 10), hard(Resource::Data, 256 << 20)]
}

/// Performs the role.
pub(crate) fn perform(started: Started, question: &Question) -> u8 {
    let walled = limits::set(&bounds()).and_then(|()| capabilities::no_new_privileges());
    match walled.map_err(|error| wall(&error)).and_then(|()| known(question)) {
        Ok(known) => u8::from(started.channel.send(&FromWorker::Account(known), &[]).is_err()),
        Err(failure) => {
            report(&started.channel, failure);
            1
        }
    }
}

fn known(question: &Question) -> Result<Known, StartFailure> {
    let account = said("getent", &["passwd", &question.user])?;
    let Some(account) = account.lines().find_map(Account::of_line) else {
        return Ok(Known::default());
    };
    let group = match &question.group {
        Some(group) => said("getent", &["group", group])?.lines().find_map(|line| Some(Group::of_line(line)?.gid)),
        None => None,
    };
    let groups = said("id", &["-G", &account.name])?;
    let groups: Vec<u32> = groups.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    if groups.len() > MOST_GROUPS {
        let why = format!("it is in {} groups; at most {MOST_GROUPS} are taken", groups.len());
        return Err(StartFailure::job(format!("the account {}", account.name), why, "set InitGroups to false"));
    }
    Ok(Known { account: Some(account), group, groups })
}

/// What a program prints; nothing when it finds nothing.
fn said(program: &str, arguments: &[&str]) -> Result<String, StartFailure> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).stdin(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only one system call is made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let output = command.output().map_err(|error| StartFailure::own(program, error))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
