//! How a native program is executed: its folder, arguments, environment and descriptors, and what is said where it
//! cannot be.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use wjob_model::job::STANDARD_PATH;
use wjob_model::message::{Run, StartFailure};

use crate::handed::Handed;
use crate::transactions;

pub(crate) fn enter_directory(run: &Run) -> Result<(), StartFailure> {
    let directory = run.working_directory.as_deref().unwrap_or("/");
    std::env::set_current_dir(directory).map_err(|error| {
        let advice = "make the folder, or grant it in Grants.Paths: a job sees nothing else";
        StartFailure::job(format!("WorkingDirectory {directory}"), error, advice)
    })
}

/// The command; `account` is the end of a pipe on which the program tells of its open work.
pub(crate) fn command(
    path: &str,
    arguments: &[String],
    run: &Run,
    account: Option<OwnedFd>,
    listeners: &[OwnedFd],
) -> std::io::Result<Command> {
    let mut command = Command::new(path);
    let environment = environment(run, account.is_some().then(|| transactions::descriptor(listeners.len())));
    let pairs = environment.iter().map(|(name, value)| (name, value));
    command.args(arguments.iter().skip(1)).env_clear().envs(pairs).process_group(0);
    if let Some(name) = arguments.first() {
        command.arg0(name);
    }
    let mut handed = match listeners {
        [] => None,
        listeners => Some(Handed::new(Path::new(path), arguments, &environment, listeners, &run.sockets)?),
    };
    let (stopped, at) = (run.wait_for_debugger, transactions::descriptor(listeners.len()));
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked. The descriptor that
    // is replaced is the channel, which ends with the exec anyway.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if let Some(account) = &account
                && libc::dup2(account.as_raw_fd(), at) < 0
            {
                return Err(std::io::Error::last_os_error());
            }
            if stopped {
                rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
            }
            match &mut handed {
                Some(handed) => Err(handed.execute()),
                None => Ok(()),
            }
        });
    }
    Ok(command)
}

/// The program's whole environment: the standard PATH as under launchd, unless the job sets its own, and where it tells
/// of its open work.
fn environment(run: &Run, account: Option<i32>) -> Vec<(String, String)> {
    let mut environment = run.environment.clone();
    if environment.iter().all(|(name, _)| name != "PATH") {
        environment.push(("PATH".into(), STANDARD_PATH.into()));
    }
    environment.extend(account.map(|descriptor| (transactions::VARIABLE.to_owned(), descriptor.to_string())));
    environment
}

pub(crate) fn cannot_execute(path: &str, error: &std::io::Error, run: &Run) -> StartFailure {
    let advice = match run.root {
        None => {
            "a native program sees /usr, /lib and its grants: grant its files in Grants.Paths with Access Execute, or set Isolation to None"
        }
        Some(_) => "a native program sees its RootDirectory and its grants: its interpreter and libraries belong there",
    };
    let what = match interpreter(path).filter(|_| error.kind() == std::io::ErrorKind::NotFound) {
        Some(interpreter) => format!("executing {path} by its interpreter {interpreter}"),
        None => format!("executing {path}"),
    };
    StartFailure::job(what, error, advice)
}

/// What the first line of a script names (execve(2), "Interpreter scripts").
fn interpreter(path: &str) -> Option<String> {
    let mut head = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::open(path).ok()?, 256), &mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(ToOwned::to_owned)
}

/// Arguments with their patterns expanded in the current view; a pattern that matches nothing stays (launchd's
/// EnableGlobbing: tilde, and the pattern kept).
///
/// # Errors
/// When a pattern is none.
pub(crate) fn globbed(arguments: &[String], environment: &[(String, String)]) -> Result<Vec<String>, StartFailure> {
    let home = environment.iter().find(|(name, _)| name == "HOME").map(|(_, value)| value.as_str());
    let mut expanded = Vec::new();
    for argument in arguments {
        let pattern = match (argument.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => argument.clone(),
        };
        let matches = glob::glob(&pattern).map_err(|error| {
            StartFailure::job(
                format!("argument {argument:?}"),
                error,
                "correct the pattern, or set EnableGlobbing to false",
            )
        })?;
        let matches: Vec<String> =
            matches.filter_map(Result::ok).filter_map(|path| path.to_str().map(ToOwned::to_owned)).collect();
        if matches.is_empty() {
            expanded.push(pattern);
        } else {
            expanded.extend(matches);
        }
    }
    Ok(expanded)
}
