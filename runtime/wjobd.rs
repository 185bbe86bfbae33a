//! `wjobd`: the supervisor as a program of its own, without engine and without database. It reads its flags and its
//! configuration, settles where everything is, and serves; its workers and its logger are the `wjob` file beside it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wjob_model::daemon::{Ask, Configuration, Flags, Partial, from_flags, help, merge, read};
use wjob_model::status::Status;
use wjob_supervisor::{Begun, Daemon, Places, Resumed, Settings, SetupError, begun, tell_version};

/// This build, which supervisor and worker compare.
const BUILD: &str = env!("WJOB_BUILD");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match begun(&arguments) {
        Begun::Anew(flags) => begin(flags),
        Begun::Asked(flags) => {
            let flaw = from_flags(flags).err().map(|error| error.to_string());
            say(&mut std::io::stdout(), &tell_version(BUILD, flaw));
            ExitCode::SUCCESS
        }
        Begun::Successor(descriptor, flags) => {
            // They were said to be right before this was executed, and only a reload reads them again.
            let flags = from_flags(flags).unwrap_or_default();
            served(Daemon::resume(descriptor, flags.options, BUILD).map(Resumed::serve))
        }
    }
}

fn begin(arguments: &[String]) -> ExitCode {
    let flags = match from_flags(arguments) {
        Ok(flags) => flags,
        Err(error) => return failed(Status::Usage, &error.to_string()),
    };
    match flags.ask {
        Ask::Help => say(&mut std::io::stdout(), &help()),
        Ask::Version => say(&mut std::io::stdout(), &format!("wjobd {BUILD}\n")),
        Ask::Serve => return serve(flags, arguments),
    }
    ExitCode::SUCCESS
}

fn serve(flags: Flags, arguments: &[String]) -> ExitCode {
    match settle(flags, arguments) {
        Ok((settings, configuration)) => served(Daemon::new(settings, configuration).map(Daemon::serve)),
        Err(why) => failed(Status::Misconfigured, &why),
    }
}

/// How a supervisor ended, or that there was none.
fn served(status: Result<u8, SetupError>) -> ExitCode {
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => failed(status_of(&error), &error.to_string()),
    }
}

fn status_of(error: &SetupError) -> Status {
    match error {
        SetupError::Held(_) | SetupError::Place(_) | SetupError::Handover(_) => Status::Misconfigured,
        SetupError::System { .. } => Status::System,
    }
}

fn say(out: &mut dyn Write, text: &str) {
    // A closed terminal is no reason to fail.
    let _ = out.write_all(text.as_bytes());
}

fn failed(status: Status, why: &str) -> ExitCode {
    for line in why.lines() {
        say(&mut std::io::stderr(), &format!("wjobd: {line}\n"));
    }
    ExitCode::from(status.code())
}

/// Where everything is, and what is to be done: the domain's usual places, the configuration file, the flags.
fn settle(flags: Flags, arguments: &[String]) -> Result<(Settings, Configuration), String> {
    let variable = |name: &str| std::env::var(name).ok();
    let uid = rustix::process::geteuid().as_raw();
    let (configured, folders) = usual(uid, variable)?;
    let mut settings = Settings {
        build: BUILD.into(),
        uid,
        home: variable("HOME").unwrap_or_else(|| "/".into()),
        state: PathBuf::new(),
        cache: PathBuf::new(),
        socket: PathBuf::new(),
        configuration: absolute(flags.config.clone().unwrap_or(configured))?,
        configuration_named: flags.config.is_some(),
        folders,
        flags: flags.options,
        worker: PathBuf::new(),
        program: PathBuf::new(),
        arguments: arguments.to_owned(),
    };
    let (name, text) = settings.configuration_text()?;
    let file = text.map_or(Ok(Partial::default()), |text| read(&name, &text)).map_err(|error| error.to_string())?;
    let configuration = merge(file, settings.flags.clone()).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    settings.worker = Settings::worker_beside(&configuration, &own);
    settings.program = name_of(own, variable);
    let places = || Places::of(uid, variable);
    settings.state = configuration.state_directory.clone().map_or_else(|| places().map(|places| places.state), Ok)?;
    settings.cache = configuration.cache_directory.clone().map_or_else(|| places().map(|places| places.cache), Ok)?;
    settings.socket = configuration.socket.clone().map_or_else(|| socket(uid, variable), Ok)?;
    Ok((settings, configuration))
}

/// The name this program was started under, links and all: what is found there later is what it is to be replaced by.
/// One that is not its own is no such name.
fn name_of(own: PathBuf, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let name = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let names: Vec<PathBuf> = match name.components().count() {
        1 if !name.is_absolute() => {
            std::env::split_paths(&variable("PATH").unwrap_or_default()).map(|folder| folder.join(&name)).collect()
        }
        _ => vec![name],
    };
    let mut names = names.into_iter().filter_map(|name| std::path::absolute(name).ok());
    names.find(|name| is_same(name, &own)).unwrap_or(own)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|status| (status.dev(), status.ino())).ok();
    file(one).is_some() && file(one) == file(other)
}

fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The configuration file and the folders of job files.
fn usual(uid: u32, variable: impl Fn(&str) -> Option<String>) -> Result<(PathBuf, Vec<PathBuf>), String> {
    if uid == 0 {
        return Ok((
            "/etc/wjob/daemon.json".into(),
            ["/etc/wjob/jobs", "/usr/lib/wjob/jobs"].map(PathBuf::from).into(),
        ));
    }
    let absolute = |name: &str| variable(name).filter(|path| path.starts_with('/')).map(PathBuf::from);
    let own = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let own = own.ok_or("neither XDG_CONFIG_HOME nor HOME is set")?.join("wjob");
    let folders = [own.join("jobs"), "/etc/wjob/agents".into(), "/usr/lib/wjob/agents".into()];
    Ok((own.join("daemon.json"), folders.into()))
}

fn socket(uid: u32, variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, String> {
    if uid == 0 {
        return Ok("/run/wjob/wjob.sock".into());
    }
    let folder = variable("XDG_RUNTIME_DIR").filter(|path| path.starts_with('/'));
    let folder = folder.ok_or("XDG_RUNTIME_DIR is not set; set it, or name a control socket with --socket")?;
    Ok(PathBuf::from(folder).join("wjob/wjob.sock"))
}
