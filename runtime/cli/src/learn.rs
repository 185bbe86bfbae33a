//! `wjob learn FILE`: runs a job in the foreground with recording grants, under the folders and to the destinations
//! that are named here, and prints the least grants for what it did. It writes nothing, and only the grants go to
//! standard output: what the job itself writes there goes to standard error.

mod network;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use wjob_model::advice;
use wjob_model::denial::{Denial, GRANTED};
use wjob_model::grant::Grants;
use wjob_model::job::Job;
use wjob_model::learn::{self, Deed, MOST_DEEDS};
use wjob_model::message::Evidence;
use wjob_model::program::ProgramKind;
use wjob_model::spec::{Context, load};
use wjob_model::status::Status;
use wjob_model::wall::WallPlan;
use wjob_supervisor::{Order, Reporter, RunError, Usage, environment, listen};

use crate::program::Options;
use crate::refusal::Refusal;
use crate::report::Terminal;
use crate::runtime::Runtime;
use crate::{job_file, render, run};

/// What `wjob learn` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Let it loose in a folder, at G or at the same path
    #[arg(long, value_name = "DIR[:G]")]
    root: Vec<String>,
    /// Let it change what is in those folders too
    #[arg(long)]
    rw_root: bool,
    /// Let it connect: tcp://HOST:PORT (* = any port), udp://, http://, https://, unix:///PATH; to a whole network:
    /// tcp://10.0.0.0/8:*, tcp://[fd00::/8]:443
    #[arg(long, value_name = "URL")]
    connect: Vec<String>,
    /// Pass a variable on, beside those of the file
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// A job file, or a WebAssembly program
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Further arguments of the job
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

const AFTER_HELP: &str = "\
The Paths and Connect of a job file are left aside and learned anew; its other grants stay.
Of a network, the addresses and ports that were reached are printed: job files name no networks.
Exit status: the job's own, as with `wjob run`.

Examples:
  wjob learn --root ~/work:/ --rw-root job.plist
  wjob learn --root . --connect https://example.com fetch.wasm -- --verbose";

/// Runs it and prints what it takes.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    let job = Arc::new(recording(&arguments)?);
    let refused = |error: RunError| {
        Refusal::new(error.status(), format!("{} was not run", job.label), error.to_string(), error.advice())
    };
    let found = wjob_supervisor::find(&job.program.file).map_err(|error| refused(error.into()))?;
    if !found.kind.is_wasm() {
        return Err(native(&job.label, found.kind).into());
    }
    drop(found);
    let owner = listen::Owner::own(&job).map_err(|error| refused(RunError::Failed(error)))?;
    let listeners = run::sockets(&job, &owner).map_err(refused)?;
    for listener in &listeners {
        render::complain(&format!("{}: {} {}", job.label, run::does(listener), listener.address));
    }
    let order = order(&job, &listeners)?;
    let runtime = Runtime::open(build)?;
    let mut learner =
        Learner { terminal: Terminal::new(false, false, &job.grants), job: job.clone(), deeds: Vec::new() };
    let verdict = wjob_supervisor::run(runtime.tools(), order, &mut learner).map_err(refused)?;
    if let Some(words) = verdict.in_words() {
        render::complain(&format!("{}: {words}", job.label));
    }
    learner.tell()?;
    Ok(ExitCode::from(verdict.status()))
}

/// The job, with recording grants in the place of its own.
fn recording(arguments: &Arguments) -> anyhow::Result<Job> {
    let file = run::find(&arguments.file);
    let head = run::head(&file).map_err(|why| {
        let what = format!("{} cannot be learned from", file.display());
        Refusal::new(Status::Misconfigured, what, why, "expected a job file or a WebAssembly program")
    })?;
    let mut job = match ProgramKind::of(&head) {
        Some(_) => of_options(arguments, &file)?,
        None => {
            let job = of_file(&file)?;
            let granted = of_options(arguments, Path::new(job.program.file.text()))?.grants;
            with_grants(job, granted)
        }
    };
    job.program.arguments.extend_from_slice(&arguments.arguments);
    stands_here(&job)?;
    Ok(job)
}

/// What a job that is run here cannot have.
fn stands_here(job: &Job) -> Result<(), Refusal> {
    let refused = |why: String, advice: &str| {
        Err(Refusal::new(Status::NotPermitted, format!("{} was not run", job.label), why, advice))
    };
    if let Some((key, value)) = run::unsupported(job) {
        return refused(format!("{key} is {value}, and it would be run with the caller's"), "remove the key to learn");
    }
    if let Some(why) = run::raised(job) {
        return refused(why, "make Nice 0 or more to learn");
    }
    run::wrong_user(job).map_or(Ok(()), |why| refused(why, "learn from it as that user, or remove the key"))
}

/// The job of a file.
fn of_file(file: &Path) -> anyhow::Result<Job> {
    let bad = |why: String| {
        let what = format!("{} is no job to learn from", file.display());
        Refusal::new(Status::BadJobFile, what, why, "`wjob check` says what is wrong with a job file")
    };
    let text = job_file::read(file).map_err(bad)?;
    if let Some(who) = job_file::changeable_by_others(file) {
        render::complain(&format!("warning: whoever can change this job file decides what runs here: {who}"));
    }
    let loaded = job_file::load(file, &text)?;
    run::complain(&file.to_string_lossy(), &text, &loaded.findings);
    Ok(loaded.job.ok_or_else(|| bad("it was refused for its errors".into()))?)
}

/// A job of a program and the grants that are named here; they are held to the same rules as those of a file.
fn of_options(arguments: &Arguments, program: &Path) -> anyhow::Result<Job> {
    if let Some(entry) = arguments.env.iter().find(|entry| entry.contains('=')) {
        let advice = "write --env NAME; EnvironmentVariables of a job file set variables";
        return Err(Refusal::usage(format!("--env {entry}"), "only names are passed on", advice).into());
    }
    let (networks, connect) = network::apart(&arguments.connect)?;
    let options = Options::recording(&arguments.root, arguments.rw_root, &connect, &arguments.env);
    let text = options.property_list(program, &[])?;
    let (home, uid) = (job_file::home(), rustix::process::geteuid().as_raw());
    let loaded = load(text.as_bytes(), &Context { folder: "/", home: &home, uid });
    run::complain("(command line)", text.as_bytes(), &loaded.findings);
    let refused =
        || Refusal::usage("nothing was run", "what is named here cannot be granted", "correct what is said above");
    let mut job = loaded.job.ok_or_else(refused)?;
    job.grants.connect.extend(networks);
    Ok(job)
}

/// A job's own grants, but where it may go: that is what is named here.
fn with_grants(mut job: Job, granted: Grants) -> Job {
    let more = granted.environment.into_iter().filter(|name| !job.grants.environment.contains(name));
    let environment: Vec<String> = job.grants.environment.iter().cloned().chain(more).collect();
    job.grants = Grants { paths: granted.paths, connect: granted.connect, environment, ..job.grants };
    job
}

fn native(label: &str, kind: ProgramKind) -> Refusal {
    let why =
        format!("its program is {}, and the kernel tells nobody which files and addresses that uses", kind.in_words());
    let advice = "`wjob run --explain` says what a native program that failed could see; grant from there";
    Refusal::usage(format!("nothing can be learned from {label}"), why, advice)
}

fn order(job: &Arc<Job>, listeners: &[listen::Listener]) -> anyhow::Result<Order> {
    let (stdin, stderr) = (std::io::stdin(), std::io::stderr());
    let duplicate = |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().ok();
    Ok(Order {
        environment: environment(job, listeners, |name| std::env::var(name).ok()),
        sockets: run::handed_over(listeners)?,
        // Standard output is for the grants.
        stdio: [stdin.as_fd(), stderr.as_fd(), stderr.as_fd()].map(duplicate),
        native_environment: Vec::new(),
        causes: vec!["wjob learn".into()],
        person: None,
        owner: None,
        best_effort: false,
        explain: true,
        learn: true,
        raw: false,
        job: job.clone(),
    })
}

/// Hears what a job does.
struct Learner {
    terminal: Terminal,
    /// With its recording grants.
    job: Arc<Job>,
    deeds: Vec<Deed>,
}

impl Reporter for Learner {
    fn compiling(&mut self, path: &Path) {
        self.terminal.compiling(path);
    }

    fn denied(&mut self, denial: &Denial) {
        let grants = &self.job.grants;
        let why = match (denial.lines(grants), denial.within(grants)) {
            _ if matches!(denial, Denial::Limit { .. }) => "refused, and what would come after is not learned",
            (None, _) => GRANTED,
            (Some(_), Some(_)) => {
                "refused: without --rw-root it may only read there, and what comes after is not learned"
            }
            (Some(_), None) => "refused: none of --root, --connect and --env names it, and it is not among the grants",
        };
        render::complain(&format!("{denial}: {why}"));
    }

    fn did(&mut self, deed: &Deed) {
        self.deeds.push(deed.clone());
    }

    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan) {
        self.terminal.walls(evidence, plan);
    }

    fn warn(&mut self, text: &str) {
        self.terminal.warn(text);
    }

    fn used(&mut self, usage: Usage) {
        self.terminal.used(usage);
    }
}

impl Learner {
    /// The grants on standard output, and on standard error what they do not show.
    fn tell(self) -> anyhow::Result<()> {
        let mut grants = learn::grants(&self.deeds, &self.job.grants.paths, &self.job);
        grants.paths.retain(|grant| {
            let plain = !grant.guest.contains(char::is_control);
            if !plain {
                render::complain(&format!("{}: left out, since a property list cannot name it", grant.guest));
            }
            plain
        });
        if self.deeds.len() >= MOST_DEEDS {
            render::complain(&format!(
                "it did more than the {MOST_DEEDS} things that are learned from: grants may be missing"
            ));
        }
        if !grants.environment.is_empty() {
            render::complain("Environment is as the file and --env have it: a guest is handed all variables at once");
        }
        render::complain("learned from this run alone: what another one would do, it has not shown");
        render::print(advice::lines_for_grants(&grants) + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let words = ["learn"].iter().chain(words);
        <Line as clap::Parser>::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).arguments
    }

    #[test]
    fn recording_grants_take_the_place_of_paths_and_connect_alone() {
        let text = "{ Label = a; Program = \"/a\"; Grants = { Paths = (\"/own\"); Connect = (\"tcp://1.1.1.1:1\");
            Bind = (\"tcp://127.0.0.1:0\"); Environment = (TZ); }; }";
        let own = load(text.as_bytes(), &Context { folder: "/", home: "/", uid: 1 }).job.expect("a job");
        let network = ["--connect", "tcp://10.0.0.0/8:*"];
        let words = ["--root", "/srv/x:/", "--connect", "tcp://127.0.0.1:*", "--env", "TZ", "--env", "LANG", "f"];
        let words = [&network[..], &words].concat();
        let granted = of_options(&arguments(&words), Path::new("/a")).expect("grants").grants;
        let found = with_grants(own, granted).grants.in_words();
        let expected = [
            "ReadOnly /srv/x as /",
            "connect tcp://127.0.0.1:*",
            "connect tcp://10.0.0.0/8:*",
            "bind tcp://127.0.0.1:0",
            "environment TZ",
            "environment LANG",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_no_file_could_grant_is_not_recorded_either() {
        for words in [
            &["--root", "/proc", "f"][..],
            &["--connect", "tcp://0.0.0.0:1", "f"],
            &["--connect", "tcp://10.0.0.1/8:1", "f"],
            &["--env", "A=b", "f"],
        ] {
            let error = of_options(&arguments(words), Path::new("/a")).expect_err("a refusal");
            let refusal = error.downcast_ref::<Refusal>().expect("a refusal");
            assert_eq!(refusal.status, Status::Usage, "{words:?}");
        }
        let words = ["--root", "/srv/x", "--rw-root", "f", "--", "--flag"];
        let arguments = arguments(&words);
        assert_eq!(arguments.arguments, ["--flag"]);
        let granted = of_options(&arguments, Path::new("/a")).expect("grants").grants;
        assert_eq!(granted.in_words(), ["ReadWrite /srv/x"]);
    }
}
