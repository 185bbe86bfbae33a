//! `wjob run`: one job in the foreground, from a job file or from a program and the grants given here. Its status
//! and output are the job's own; the loop is the supervisor's.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use wjob_model::finding::{Finding, Severity};
use wjob_model::job::{Job, STANDARD_PATH};
use wjob_model::message::HandedSocket;
use wjob_model::program::{MAGIC_LENGTH, ProgramKind};
use wjob_model::spec::{Context, load};
use wjob_model::status::Status;
use wjob_supervisor::{Order, RunError, environment, listen};

use crate::program::Options;
use crate::report::{self, Terminal};
use crate::runtime::Runtime;
use crate::{job_file, render};

/// What `wjob run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Run although walls are missing on this machine
    #[arg(long, help_heading = "Running")]
    best_effort: bool,
    /// Say what was denied and which lines would allow it (on a terminal it is said anyway)
    #[arg(long, help_heading = "Running")]
    explain: bool,
    /// Let a terminal have the job's bytes as they are
    #[arg(long, help_heading = "Running")]
    raw: bool,
    /// Say which walls stand, and how that is known
    #[arg(long, help_heading = "Running")]
    show_walls: bool,
    /// Write the exit status, and whose it is, to a file as JSON
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    status_file: Option<PathBuf>,
    /// Print the job file that the options stand for, and run nothing
    #[arg(long, help_heading = "Running")]
    print_plist: bool,
    /// A job file, or a program
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    file: PathBuf,
    /// Further arguments of the job
    #[arg(value_name = "ARGUMENT", help_heading = "Arguments", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

const AFTER_HELP: &str = "\
Exit status: the job's own; 134 trap, 137 limit or SIGKILL, 130 Ctrl-C, 143 SIGTERM;
65 bad job file, 77 a wall is missing, 78 the job cannot be started. `wjob error N` explains.

Examples:
  wjob run job.plist
  wjob run --ro ./texts:/texts tool.wasm -- /texts/a.txt
  wjob run --listen tcp://127.0.0.1:8080 hello-http.wasm
  wjob run --connect https://example.com --memory 64M --run-time 30 fetch.wasm";

/// Runs it.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    let job = match job(&arguments)? {
        Prepared::Job(job) => *job,
        Prepared::Printed => return Ok(ExitCode::SUCCESS),
        Prepared::Refused(status) => {
            if let Some(file) = &arguments.status_file {
                report::write_failure(file, "", status.code(), "the job was refused before its start")?;
            }
            return Ok(ExitCode::from(status.code()));
        }
    };
    if let Some((key, value)) = unsupported(&job) {
        let why = format!("{key} is {value}, and `wjob run` keeps the caller's group and root");
        return Ok(refuse(
            &arguments,
            &job.label,
            Status::NotPermitted.code(),
            &why,
            "remove the key, or load the job into the system's supervisor with `wjob bootstrap`",
        ));
    }
    if let Some(why) = wrong_user(&job) {
        return Ok(refuse(
            &arguments,
            &job.label,
            Status::NotPermitted.code(),
            &why,
            "run it as that user, or remove the key",
        ));
    }
    if let Some(why) = raised(&job) {
        let advice = "make Nice 0 or more, or load the job into the system's supervisor with `wjob bootstrap`";
        return Ok(refuse(&arguments, &job.label, Status::NotPermitted.code(), &why, advice));
    }
    let owner = listen::Owner::own(&job).map_err(RunError::Failed);
    let listeners = match owner.and_then(|owner| sockets(&job, &owner)) {
        Ok(listeners) => listeners,
        Err(error) => return Ok(failed(&arguments, &job.label, &error)),
    };
    for listener in &listeners {
        render::complain(&format!("{}: {} {}", job.label, does(listener), listener.address));
    }
    let runtime = Runtime::open(build)?;
    let explain = arguments.explain || rustix::termios::isatty(std::io::stderr());
    let mut terminal = Terminal::new(explain, arguments.show_walls, &job.grants);
    if let Err(why) = &runtime.cache {
        render::complain(&format!("warning: compiled programs are not kept: {why}"));
    }
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let duplicate = |descriptor: std::os::fd::BorrowedFd<'_>| descriptor.try_clone_to_owned().ok();
    let job = Arc::new(job);
    let order = Order {
        environment: environment(&job, &listeners, |name| std::env::var(name).ok()),
        sockets: handed_over(&listeners)?,
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].map(duplicate),
        native_environment: Vec::new(),
        causes: vec!["wjob run".into()],
        person: None,
        owner: None,
        best_effort: arguments.best_effort,
        explain: terminal.explain,
        learn: false,
        raw: arguments.raw,
        job: job.clone(),
    };
    let result = wjob_supervisor::run(runtime.tools(), order, &mut terminal);
    match result {
        Ok(verdict) => {
            if let Some(words) = verdict.in_words() {
                render::complain(&format!("{}: {words}", job.label));
            }
            if arguments.explain && verdict.status() != 0 {
                terminal.native_view();
            }
            // The status says how the run ended, which is more than how the file did.
            if let Some(file) = &arguments.status_file
                && let Err(error) = terminal.write_status(file, &job.label, &verdict)
            {
                render::complain(&format!("{error:#}"));
            }
            Ok(ExitCode::from(verdict.status()))
        }
        Err(error) => Ok(failed(&arguments, &job.label, &error)),
    }
}

/// The sockets of a job, bound and connected; a connection that is under way is the job's to wait for.
///
/// # Errors
/// The first that is not to be had. Nobody would connect it later.
pub(crate) fn sockets(job: &Job, owner: &listen::Owner) -> Result<Vec<listen::Listener>, RunError> {
    let sockets = listen::bind(&job.sockets, owner)?;
    sockets.iter().try_for_each(listen::Listener::demand)?;
    Ok(sockets)
}

/// What a socket does, before its address.
pub(crate) fn does(listener: &listen::Listener) -> &'static str {
    match listener.connection() {
        None => "listening on",
        Some(listen::Connection::Begun) => "connecting to",
        Some(_) => "connected to",
    }
}

/// The sockets as the worker gets them.
///
/// # Errors
/// When the system has no descriptors left.
pub(crate) fn handed_over(listeners: &[listen::Listener]) -> anyhow::Result<Vec<(HandedSocket, OwnedFd)>> {
    Ok(listeners.iter().map(listen::Listener::handed_over).collect::<Result<_, _>>()?)
}

enum Prepared {
    Job(Box<Job>),
    /// Nothing was to be run.
    Printed,
    Refused(Status),
}

/// The job of the file, or of the program and the options.
fn job(arguments: &Arguments) -> anyhow::Result<Prepared> {
    let file = find(&arguments.file);
    let head = match head(&file) {
        Ok(head) => head,
        Err(why) => {
            let file = file.display();
            render::complain_lines(&[format!("{file}: {why}"), "expected a job file or a program".into()]);
            return Ok(Prepared::Refused(Status::Misconfigured));
        }
    };
    if ProgramKind::of(&head).is_some() {
        return of_program(arguments, &file);
    }
    if arguments.print_plist && arguments.options.none() {
        render::complain_lines(&[
            format!("{} is a job file already", file.display()),
            "--print-plist shows what a program and its options come to".into(),
        ]);
        return Ok(Prepared::Refused(Status::Usage));
    }
    if !arguments.options.none() {
        render::complain_lines(&[
            format!("{}: grants on the command line are for a program, and this is a job file", file.display()),
            "write them into its Grants and Limits".into(),
        ]);
        return Ok(Prepared::Refused(Status::Usage));
    }
    of_file(arguments, &file)
}

/// The file itself, or a bare name looked up as in a shell.
pub(crate) fn find(file: &Path) -> PathBuf {
    let bare = file.components().count() == 1 && !file.exists();
    if !bare {
        return file.to_owned();
    }
    let found = STANDARD_PATH.split(':').map(|folder| Path::new(folder).join(file)).find(|path| path.is_file());
    found.unwrap_or_else(|| file.to_owned())
}

/// The first bytes of a file, which say what it is.
///
/// # Errors
/// In words, when it cannot be read.
pub(crate) fn head(file: &Path) -> Result<Vec<u8>, String> {
    if file == Path::new("-") {
        return Ok(Vec::new());
    }
    let mut head = Vec::new();
    job_file::open(file)?.take(MAGIC_LENGTH as u64).read_to_end(&mut head).map_err(|error| error.to_string())?;
    Ok(head)
}

fn of_file(arguments: &Arguments, file: &Path) -> anyhow::Result<Prepared> {
    let text = match job_file::read(file) {
        Ok(text) => text,
        Err(why) => {
            render::complain(&format!("{}: {why}", file.display()));
            return Ok(Prepared::Refused(Status::BadJobFile));
        }
    };
    if let Some(who) = job_file::changeable_by_others(file) {
        render::complain(&format!("warning: whoever can change this job file decides what runs here: {who}"));
    }
    let loaded = job_file::load(file, &text)?;
    complain(&file.to_string_lossy(), &text, &loaded.findings);
    if loaded.job.is_none() {
        render::complain(&format!("{} was refused for its errors; nothing was run", file.display()));
    }
    Ok(finished(loaded.job, &arguments.arguments))
}

fn of_program(arguments: &Arguments, file: &Path) -> anyhow::Result<Prepared> {
    // A property list is text, and arguments are any bytes: only what is printed has them in it.
    let written: &[String] = if arguments.print_plist { &arguments.arguments } else { &[] };
    let text = match arguments.options.property_list(file, written) {
        Ok(text) => text,
        Err(error) => {
            render::complain(&format!("{error:#}"));
            return Ok(Prepared::Refused(Status::Usage));
        }
    };
    let home = job_file::home();
    let uid = rustix::process::geteuid().as_raw();
    let loaded = load(text.as_bytes(), &Context { folder: "/", home: &home, uid });
    complain("(command line)", text.as_bytes(), &loaded.findings);
    if arguments.print_plist && loaded.job.is_some() {
        render::print(&text)?;
        return Ok(Prepared::Printed);
    }
    Ok(finished(loaded.job, &arguments.arguments))
}

fn finished(job: Option<Job>, more: &[String]) -> Prepared {
    match job {
        Some(mut job) => {
            job.program.arguments.extend_from_slice(more);
            Prepared::Job(Box::new(job))
        }
        None => Prepared::Refused(Status::BadJobFile),
    }
}

/// Errors and warnings; notes are for `wjob check`.
pub(crate) fn complain(file: &str, text: &[u8], findings: &[Finding]) {
    let colour = render::colour_of_errors();
    for finding in findings.iter().filter(|finding| finding.severity >= Severity::Warning) {
        render::complain_text(&(render::finding(file, text, finding, colour) + "\n"));
    }
}

/// Keys that would change who the job is or what it sees, and that only a system supervisor will act on: running
/// without them would run something else.
pub(crate) fn unsupported(job: &Job) -> Option<(&'static str, &str)> {
    let keys = [("GroupName", &job.group), ("RootDirectory", &job.root_directory)];
    keys.into_iter().find_map(|(key, value)| Some((key, value.as_deref()?)))
}

/// `wjob run` keeps the caller's user; a job that names another must not run as this one.
pub(crate) fn wrong_user(job: &Job) -> Option<String> {
    let wanted = job.user.as_ref()?;
    let uid = rustix::process::geteuid().as_raw();
    let own = account(uid);
    let same = *wanted == uid.to_string() || own.as_ref() == Some(wanted);
    (!same).then(|| {
        let own = own.unwrap_or_else(|| uid.to_string());
        format!("UserName is {wanted}, and `wjob run` keeps the caller's user, {own}")
    })
}

/// Whoever is not root lets his jobs go before nobody else's, whatever the kernel would allow him.
pub(crate) fn raised(job: &Job) -> Option<String> {
    let nice = job.raised_priority()?;
    (!rustix::process::geteuid().is_root()).then(|| format!("Nice is {nice}, and below 0 takes root"))
}

/// The name of a user in passwd(5).
fn account(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    })
}

fn failed(arguments: &Arguments, label: &str, error: &RunError) -> ExitCode {
    refuse(arguments, label, error.status().code(), &error.to_string(), error.advice())
}

fn refuse(arguments: &Arguments, label: &str, status: u8, why: &str, advice: &str) -> ExitCode {
    let mut lines = vec![format!("{label} was not run"), why.to_owned()];
    if !advice.is_empty() {
        lines.push(advice.to_owned());
    }
    render::complain_lines(&lines);
    if let Some(file) = &arguments.status_file
        && let Err(error) = report::write_failure(file, label, status, why)
    {
        render::complain(&format!("{error:#}"));
    }
    ExitCode::from(status)
}
