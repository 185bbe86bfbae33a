//! `wjobd`: the supervisor as a program of its own, without engine and without database. It reads its flags and its
//! configuration, settles where everything is, and serves; its workers and its logger are the `wjob` file beside it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use wjob_model::daemon::{Ask, Configuration, Flags, Partial, from_flags, help, merge, read};
use wjob_model::status::Status;
use wjob_supervisor::{Daemon, Places, Settings, SetupError};

/// This build, which supervisor and worker compare.
const BUILD: &str = env!("WJOB_BUILD");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flags = match from_flags(&arguments) {
        Ok(flags) => flags,
        Err(error) => return failed(Status::Usage, &error.to_string()),
    };
    match flags.ask {
        Ask::Help => say(&mut std::io::stdout(), &help()),
        Ask::Version => say(&mut std::io::stdout(), &format!("wjobd {BUILD}\n")),
        Ask::Serve => return serve(flags),
    }
    ExitCode::SUCCESS
}

fn serve(flags: Flags) -> ExitCode {
    let (settings, configuration) = match settle(flags) {
        Ok(settled) => settled,
        Err(why) => return failed(Status::Misconfigured, &why),
    };
    match Daemon::new(settings, configuration) {
        Ok(daemon) => ExitCode::from(daemon.serve()),
        Err(error) => failed(status(&error), &error.to_string()),
    }
}

fn status(error: &SetupError) -> Status {
    match error {
        SetupError::Held(_) | SetupError::Place(_) => Status::Misconfigured,
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
fn settle(flags: Flags) -> Result<(Settings, Configuration), String> {
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
    };
    let (name, text) = settings.configuration_text()?;
    let file = text.map_or(Ok(Partial::default()), |text| read(&name, &text)).map_err(|error| error.to_string())?;
    let configuration = merge(file, settings.flags.clone()).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    settings.worker = configuration.worker.clone().unwrap_or_else(|| own.with_file_name("wjob"));
    let places = || Places::of(uid, variable);
    settings.state = configuration.state_directory.clone().map_or_else(|| places().map(|places| places.state), Ok)?;
    settings.cache = configuration.cache_directory.clone().map_or_else(|| places().map(|places| places.cache), Ok)?;
    settings.socket = configuration.socket.clone().map_or_else(|| socket(uid, variable), Ok)?;
    Ok((settings, configuration))
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
