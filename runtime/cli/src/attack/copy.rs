//! The job as an attack runs it: its grants and limits, with the attack as its program and folders of the stage in the
//! place of its own, and limits so low that nobody waits long. And one run of it, with what it said.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, memfd_create};
use wjob_model::grant::{Grants, Host};
use wjob_model::job::{Job, Program, ProgramFile};
use wjob_model::limit::Limits;
use wjob_model::message::Fault;
use wjob_model::outcome::{StopReason, Verdict};
use wjob_supervisor::{CompileError, Order, RunError, Silent, environment};

use super::corpus::{Attack, Corpus};
use super::stage::{Stage, only_read};
use crate::refusal::Refusal;
use crate::runtime::Runtime;

/// Most seconds of one attack, whatever the job's RunTime is; one that only this ends is told of.
pub(super) const RUN_TIME: u64 = 5;
/// Most seconds of computing, where CPUTime is limited.
const CPU_TIME: u64 = 2;
/// Most bytes of memory and of output.
const MEMORY: u64 = 256 << 20;
const OUTPUT_SIZE: u64 = 8 << 20;
/// How much of what it says is looked at.
const SAID: u64 = 64 << 10;
/// Groups of attacks on the network, which need the names of Connect looked up.
const NETWORK: [u64; 2] = [6, 9];

/// The job with an attack as its program.
pub(super) fn of(job: &Job, attack: &Attack, corpus: &Corpus, stage: &Stage) -> Job {
    let program = corpus.program(attack).display().to_string();
    Job {
        program: Program {
            arguments: [program.clone(), attack.name.clone()].into_iter().chain(told(job, stage)).collect(),
            file: ProgramFile::Path(program),
            globbing: false,
        },
        working_directory: None,
        standard_in: None,
        standard_out: None,
        standard_error: None,
        nice: None,
        user: None,
        group: None,
        root_directory: None,
        wait_for_debugger: false,
        grants: grants(&job.grants, attack, stage),
        limits: limits(&job.limits),
        sockets: Vec::new(),
        services: Vec::new(),
        inetd_wait: None,
        ..job.clone()
    }
}

/// The granted paths are the stage's; of the rest only what an attack could meet is left.
fn grants(granted: &Grants, attack: &Attack, stage: &Stage) -> Grants {
    let mut grants = Grants { services: Vec::new(), users: Vec::new(), control: None, ..granted.clone() };
    for (number, grant) in grants.paths.iter_mut().enumerate() {
        grant.host = stage.place(number).display().to_string();
    }
    let named = NETWORK.contains(&attack.group);
    grants.connect.retain(|endpoint| match endpoint.host {
        Host::Address(_) | Host::Network(_) => true,
        Host::Name(_) => named,
        Host::Path(_) => false,
    });
    grants
}

fn limits(given: &Limits) -> Limits {
    let at_most = |given: Option<u64>, most: u64| Some(given.map_or(most, |given| given.min(most)));
    Limits {
        memory: at_most(given.memory, MEMORY),
        cpu_time: given.cpu_time.map(|seconds| seconds.min(CPU_TIME)),
        run_time: at_most(given.run_time, RUN_TIME),
        output_size: at_most(given.output_size, OUTPUT_SIZE),
        output_rate: None,
        processes: None,
        ..given.clone()
    }
}

/// What an attack is told of where things are (guests/hostile/guest/stage.rs).
fn told(job: &Job, stage: &Stage) -> Vec<String> {
    let [tcp, udp] = stage.addresses();
    let mut told = vec![
        format!("outside={}", stage.secret().display()),
        format!("tcp={}", tcp.port()),
        format!("udp={}", udp.port()),
    ];
    for (key, reads) in [("ro", true), ("rw", false)] {
        let folders = job.grants.paths.iter().enumerate();
        let mut folders = folders.filter(|(number, grant)| only_read(grant) == reads && stage.place(*number).is_dir());
        told.extend(folders.next().map(|(_, grant)| format!("{key}={}", grant.guest)));
    }
    told
}

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// It ran.
    Ran(Verdict),
    /// The compiler refused the program before it ran, for this reason.
    Refused(String),
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run {
    /// How.
    pub ended: Ended,
    /// The beginning of what it wrote to standard output.
    pub said: String,
    /// Whether, and why, somebody asked it to stop.
    pub stop: Option<StopReason>,
}

impl Run {
    /// Runs the job to its end.
    ///
    /// # Errors
    /// When it cannot be run on this machine.
    pub fn perform(runtime: &Runtime, job: Job) -> anyhow::Result<Self> {
        let (mut stdout, stderr) = (output()?, output()?);
        let label = job.label.clone();
        let order = Order {
            environment: environment(&job, &[], |name| std::env::var(name).ok()),
            native_environment: Vec::new(),
            stdio: [None, Some(stdout.try_clone()?.into()), Some(stderr.into())],
            sockets: Vec::new(),
            causes: vec!["wjob audit".into()],
            person: None,
            owner: None,
            best_effort: false,
            explain: false,
            learn: false,
            raw: true,
            job: Arc::new(job),
        };
        // What came of it is told, once; nobody is told of what happens meanwhile.
        let ended = match wjob_supervisor::run(runtime.tools(), order, &mut Silent) {
            Ok(verdict) => Ended::Ran(verdict),
            Err(RunError::Compile(error)) if refuses(&error) => Ended::Refused(error.to_string()),
            Err(error) => return Err(impossible(&label, &error).into()),
        };
        let stop = match &ended {
            Ended::Ran(verdict) => verdict.stop,
            Ended::Refused(_) => None,
        };
        Ok(Self { ended, said: beginning(&mut stdout)?, stop })
    }
}

/// Whether the compiler looked at the program and would not have it: that contains an attack. A program that is not there,
/// or a job that cannot be started, contains nothing.
fn refuses(error: &CompileError) -> bool {
    match error {
        CompileError::Limit { .. } | CompileError::TooLarge { .. } => true,
        CompileError::Program(failure) => failure.fault == Fault::Job,
        CompileError::System { .. } => false,
    }
}

fn impossible(label: &str, error: &RunError) -> Refusal {
    Refusal::new(error.status(), format!("{label} cannot be attacked here"), error.to_string(), error.advice())
}

/// A file that is only in memory.
fn output() -> anyhow::Result<File> {
    let file = memfd_create("wjob-audit", MemfdFlags::CLOEXEC).context("there is no memory for an output")?;
    Ok(File::from(file))
}

fn beginning(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use wjob_model::message::StartFailure;

    use super::*;

    #[test]
    fn only_the_compilers_own_refusal_is_one() {
        let program = |fault| {
            let failure = StartFailure::own("compiling a.wasm", "it is no module");
            CompileError::Program(StartFailure { fault, ..failure })
        };
        for (error, expected) in [
            (program(Fault::Job), true),
            (program(Fault::Own), false),
            (CompileError::TooLarge { path: "a.wasm".into() }, true),
            (CompileError::System { path: "a.wasm".into(), why: "no such file".into() }, false),
        ] {
            assert_eq!(refuses(&error), expected, "{error}");
        }
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let given = Limits { memory: Some(1 << 20), run_time: Some(3600), ..Limits::default() };
        let lowered = limits(&given);
        assert_eq!((lowered.memory, lowered.run_time), (Some(1 << 20), Some(RUN_TIME)));
        assert_eq!((lowered.cpu_time, lowered.output_size), (None, Some(OUTPUT_SIZE)));
        assert_eq!(limits(&Limits { cpu_time: Some(60), ..Limits::default() }).cpu_time, Some(CPU_TIME));
    }

    #[test]
    fn an_output_is_read_from_its_beginning() {
        use std::io::Write as _;
        let mut file = output().expect("a file");
        file.write_all(b"said\n").expect("room");
        assert_eq!(beginning(&mut file).expect("what was said"), "said\n");
    }
}
