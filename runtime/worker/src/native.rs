//! Runs a native program behind the same grants. The worker makes a process table whose first process, the init,
//! puts the walls up around itself, starts the program in them, and ends with it: so everything the program left
//! behind ends too, however wjob itself ends. Only for a job with AbandonProcessGroup the init stays for that, under
//! the same walls and limits.

mod exec;
mod piping;
mod program;

use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal, WaitOptions};
use wjob_model::message::{Evidence, FromWorker, Manner, Run, StartFailure};
use wjob_model::outcome::Outcome;
use wjob_sandbox::channel::Channel;
use wjob_sandbox::grants::Opened;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::root::Root;
use wjob_sandbox::{capabilities, confine, mount, namespaces};

use crate::role::{Started, no_namespaces, open_grants, open_root, report, set_umask, told_to_go, wall};
use crate::{open, served};

use program::Program;

pub(crate) use exec::{cannot_execute, command, enter_directory, globbed};
pub(crate) use program::outcome;

/// Performs the role.
pub(crate) fn perform(started: Started, run: Run) -> u8 {
    let Started { channel, descriptors } = started;
    match outside(descriptors, &run) {
        Ok(found) if run.walls.processes => in_own_process_table(channel, run, found),
        Ok(found) => inside(&channel, run, found),
        Err(failure) => {
            report(&channel, failure);
            1
        }
    }
}

/// What the job names, opened.
struct Found {
    stdio: [OwnedFd; 3],
    listeners: Vec<OwnedFd>,
    opened: Vec<Opened>,
    root: Option<Root>,
}

/// Step 3: namespaces, then everything the job names is opened.
fn outside(descriptors: Vec<OwnedFd>, run: &Run) -> Result<Found, StartFailure> {
    set_umask(run);
    namespaces::enter(&run.walls).map_err(|error| no_namespaces(&error))?;
    let root = open_root(run)?;
    let mut descriptors = descriptors.into_iter();
    let stdio = open::stdio(&run.stdio, &mut descriptors, &run.own, root.as_ref())?;
    Ok(Found { stdio, listeners: descriptors.collect(), opened: open_grants(run, root.as_ref())?, root })
}

/// The next child is the first process of the new table: it is the init, and this process only waits for it.
fn in_own_process_table(channel: Channel, run: Run, found: Found) -> u8 {
    // SAFETY: this process has one thread, so the child may do anything its parent could.
    match unsafe { libc::fork() } {
        0 => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let status = inside(&channel, run, found);
            std::process::exit(status.into())
        }
        -1 => {
            report(&channel, StartFailure::own("fork", std::io::Error::last_os_error()));
            1
        }
        init => {
            // Only the init speaks from here on, and its end must show as the end of the channel.
            drop((channel, found));
            // It has no use for any right, and the init ends with it.
            if capabilities::drop_all().is_ok() { wait_for(init) } else { 1 }
        }
    }
}

fn wait_for(init: i32) -> u8 {
    let pid = Pid::from_raw(init);
    loop {
        match rustix::process::waitpid(pid, WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                if let Some(signal) = status.terminating_signal().and_then(Signal::from_named_raw) {
                    // The supervisor is to see what the init met, as if it had been its own child.
                    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
                }
                return status.exit_status().and_then(|status| u8::try_from(status).ok()).unwrap_or(1);
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 1,
        }
    }
}

/// Steps 4 and 5, in the process that the walls are around.
fn inside(channel: &Channel, run: Run, found: Found) -> u8 {
    let Found { stdio, listeners, opened, root } = found;
    let walls = match put_up(&run, &opened, root.as_ref()) {
        Ok(walls) => walls,
        Err(failure) => {
            report(channel, failure);
            return 1;
        }
    };
    let serves = run.inetd_wait == Some(false) && !listeners.is_empty();
    if channel.send(&FromWorker::Manner(Manner { hears: true, serves }), &[]).is_err() {
        return 1;
    }
    if channel.send(&FromWorker::Walls(walls), &[]).is_err() || !told_to_go(channel) {
        return 1;
    }
    drop((opened, root));
    if serves {
        let outcome = match served::serve(channel, &run, stdio, listeners) {
            Ok(outcome) => outcome,
            Err(failure) => {
                report(channel, failure);
                return 1;
            }
        };
        let _ = channel.send(&FromWorker::Ended(outcome), &[]);
        return 0;
    }
    match Program::start(&run, stdio, listeners) {
        Ok(mut program) => {
            if !run.walls.processes {
                // The end of the channel tells of the supervisor's; this process outlives it to end the program's group.
                let _ = rustix::process::set_parent_process_death_signal(None);
            }
            let outcome = program.see_out(channel, &run);
            // A limit ends the whole run.
            let stays = run.abandon && run.walls.processes && !matches!(outcome, Outcome::LimitHit { .. });
            let _ = channel.send(&FromWorker::Ended(outcome), &[]);
            if stays {
                program.stay(channel, &run);
            }
            0
        }
        Err(failure) => {
            report(channel, failure);
            1
        }
    }
}

fn put_up(run: &Run, opened: &[Opened], root: Option<&Root>) -> Result<Vec<Evidence>, StartFailure> {
    let before = Before::open();
    if let Some(plan) = &run.walls.mount {
        mount::put_up(plan, opened, root).map_err(|error| wall(&error))?;
    }
    let mut evidence: Vec<_> = before.mounts(&run.walls, opened).into_iter().collect();
    confine(&run.walls, opened).map_err(|error| wall(&error))?;
    evidence.extend(try_what_must_fail(&run.walls).map_err(|error| wall(&error))?);
    Ok(evidence)
}
