//! `wjobd`: the supervisor as a program of its own, without engine and without database.
//!
//! It runs the jobs of the files it is given, each once and in turn, with the loop that `wjob run` has; its worker
//! is the `wjob` file beside it. Domains, demand and control are not its business yet.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wjob_model::denial::Denial;
use wjob_model::job::Job;
use wjob_model::message::Evidence;
use wjob_model::spec::{Context, load};
use wjob_model::status::Status;
use wjob_model::wall::WallPlan;
use wjob_supervisor::{Cache, Image, Places, Reporter, Request, RunError, run};

/// This build, which supervisor and worker compare.
const BUILD: &str = env!("WJOB_BUILD");

const HELP: &str = "\
Usage: wjobd FILE...

Runs the jobs of property lists in the foreground, each once and in turn, and ends with the status of the last
one that failed. Its workers are the `wjob` file in its own folder. SIGTERM and SIGINT stop the running job.

  --help     this text
  --version  version and build
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--help") => say(&mut std::io::stdout(), HELP),
        Some("--version") => say(&mut std::io::stdout(), &format!("wjobd {BUILD}\n")),
        None => {
            say(&mut std::io::stderr(), HELP);
            return ExitCode::from(Status::Usage.code());
        }
        Some(option) if option.starts_with('-') => {
            say(&mut std::io::stderr(), &format!("wjobd: unknown option {option}\n{HELP}"));
            return ExitCode::from(Status::Usage.code());
        }
        Some(_) => return ExitCode::from(run_all(&arguments)),
    }
    ExitCode::SUCCESS
}

fn say(out: &mut dyn Write, text: &str) {
    // A closed terminal is no reason to fail.
    let _ = out.write_all(text.as_bytes());
}

fn run_all(files: &[String]) -> u8 {
    let image = match image() {
        Ok(image) => image,
        Err(why) => {
            say(&mut std::io::stderr(), &format!("wjobd: no worker: {why}\n"));
            return Status::System.code();
        }
    };
    files
        .iter()
        .map(|file| run_one(&image, Path::new(file)))
        .fold(0, |last, status| if status == 0 { last } else { status })
}

/// The `wjob` file beside this one.
fn image() -> Result<Image, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    Image::open(&own.with_file_name("wjob"), BUILD)
}

fn run_one(image: &Image, file: &Path) -> u8 {
    let job = match read(file) {
        Ok(job) => job,
        Err(why) => {
            say(&mut std::io::stderr(), &format!("wjobd: {}: {why}\n", file.display()));
            return Status::BadJobFile.code();
        }
    };
    let machine = wjob_sandbox::machine::look();
    let places = Places::of(machine.uid, |name| std::env::var(name).ok());
    let cache = places.and_then(|places| Cache::open(&places, machine.uid, BUILD)).ok();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let request = Request {
        job: &job,
        environment: job.environment.clone(),
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        best_effort: false,
        explain: false,
        raw: false,
    };
    let mut log = Log { label: job.label.clone() };
    match run(image, &machine, cache.as_ref(), &request, &mut log) {
        Ok(verdict) => {
            log.line(&verdict.in_words().unwrap_or_else(|| format!("exit {}", verdict.status())));
            verdict.status()
        }
        Err(error) => {
            log.line(&error.to_string());
            status(&error)
        }
    }
}

fn status(error: &RunError) -> u8 {
    error.status().code()
}

fn read(file: &Path) -> Result<Job, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let absolute: PathBuf = std::path::absolute(file).map_err(|error| error.to_string())?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).display().to_string();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
    let uid = rustix::process::geteuid().as_raw();
    let loaded = load(&bytes, &Context { folder: &folder, home: &home, uid });
    loaded.job.ok_or_else(|| {
        let errors: Vec<String> = loaded
            .findings
            .iter()
            .filter(|finding| finding.severity == wjob_model::finding::Severity::Error)
            .map(|finding| format!("{}: {}", finding.key_path, finding.message))
            .collect();
        errors.join("; ")
    })
}

/// One line on stderr for whatever happens.
struct Log {
    label: String,
}

impl Log {
    fn line(&self, text: &str) {
        say(&mut std::io::stderr(), &format!("wjobd: {}: {text}\n", self.label));
    }
}

impl Reporter for Log {
    fn compiling(&mut self, path: &Path) {
        self.line(&format!("compiling {}", path.display()));
    }

    fn denied(&mut self, denial: &Denial) {
        self.line(&format!("denied: {denial}"));
    }

    fn walls(&mut self, _evidence: &[Evidence], plan: &WallPlan) {
        for missing in &plan.missing {
            self.line(&format!("without the {} wall: {}", missing.wall.row().name, missing.why));
        }
    }

    fn warn(&mut self, text: &str) {
        self.line(text);
    }

    fn used(&mut self, usage: wjob_supervisor::Usage) {
        self.line(&format!("used {} ms of processor time, {} KiB", usage.cpu_micros / 1000, usage.peak_memory / 1024));
    }
}
