//! How a program is run, chosen from the names of its imports and exports. It compares no grants and runs nothing.

use super::name::{Name, Release};
use super::{PREVIEW_1, module_import, unknown, unknown_module};
use crate::advice;
use crate::finding::{Finding, Severity};
use crate::job::Job;
use crate::program::ProgramKind;
use crate::socket::SocketKind;

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowRun {
    /// A native program or script.
    Native,
    /// `wasi:cli/run` of 0.2, once.
    Command02,
    /// `wasi:cli/run` of 0.3, once.
    Command03,
    /// `_start` of a preview 1 module, once.
    Module,
    /// `wjob:service/connection-handler`, for each connection.
    Connection,
    /// `wasi:http/incoming-handler` of 0.2, for each request.
    Http02,
    /// `wasi:http/handler` of 0.3, for each request.
    Http03,
    /// `wasi:cli/run` or `_start` with a connection, or the listener, as standard input and output.
    Inetd,
    /// `wasi:cli/run` that takes its sockets through `wjob:service/activation`.
    Activation,
    /// Its own exports, for each call of another job.
    Service,
}

impl HowRun {
    /// What happens, as `check` says it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Native => "runs as a native program",
            Self::Command02 => "runs wasi:cli/run 0.2 as a command",
            Self::Command03 => "runs wasi:cli/run 0.3 as a command",
            Self::Module => "runs _start of the preview 1 module as a command",
            Self::Connection => "hands each connection to wjob:service/connection-handler",
            Self::Http02 => "hands each HTTP request to wasi:http/incoming-handler 0.2",
            Self::Http03 => "hands each HTTP request to wasi:http/handler 0.3",
            Self::Inetd => "runs as an inetd program, with the socket as standard input and output",
            Self::Activation => "runs wasi:cli/run, which takes its sockets through wjob:service/activation",
            Self::Service => "answers calls of other jobs with its exports",
        }
    }
}

/// What a job asks of its program, as far as that decides how it is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Whether it is handed sockets.
    pub sockets: bool,
    /// The name of the first of them that takes datagrams.
    pub datagrams: Option<&'a str>,
    /// The name of the first of them that takes packets.
    pub packets: Option<&'a str>,
    /// The name of the first of them that is connected to somebody else's.
    pub connected: Option<&'a str>,
    /// Whether it owns names of services.
    pub services: bool,
    /// Whether `inetdCompatibility` is given, and then its `Wait`.
    pub inetd_wait: Option<bool>,
}

impl<'a> Asked<'a> {
    /// What a job asks.
    pub fn of(job: &'a Job) -> Self {
        let sockets = job.sockets.iter().map(|socket| (socket.name.as_str(), socket.kind, socket.place.is_remote()));
        Self { services: !job.services.is_empty(), inetd_wait: job.inetd_wait, ..Self::of_sockets(sockets) }
    }

    /// What these sockets ask, by their names and by whether they are connected, of a job that asks nothing else.
    pub fn of_sockets(sockets: impl Iterator<Item = (&'a str, SocketKind, bool)>) -> Self {
        let mut asked = Self::default();
        for (name, kind, connected) in sockets {
            asked.sockets = true;
            asked.connected = asked.connected.or(connected.then_some(name));
            match kind {
                SocketKind::Stream => {}
                SocketKind::Datagram => asked.datagrams = asked.datagrams.or(Some(name)),
                SocketKind::Seqpacket => asked.packets = asked.packets.or(Some(name)),
            }
        }
        asked
    }

    /// Whether every socket is of a kind that is taken by who is run so. Whoever accepts for the program takes
    /// connections alone; and what comes through a connection reaches WebAssembly as a stream, in which packets would
    /// lose their bounds.
    fn taken(self, how: HowRun) -> Result<HowRun, Finding> {
        if let Some(name) = self.packets {
            return Err(untaken(name, "takes packets, whose bounds no stream of WebAssembly keeps")
                .help("give the socket the type stream, or name a native program"));
        }
        if how == HowRun::Activation {
            return Ok(how);
        }
        match (self.connected, self.datagrams) {
            (Some(name), _) => {
                Err(untaken(name, "is a connection, which reaches a component through wjob:service/activation alone")
                    .help("import wjob:service/activation in a command, or set SockPassive to true"))
            }
            (None, Some(name)) => {
                Err(untaken(name, "takes datagrams, which reach a component through wjob:service/activation alone")
                    .help("import wjob:service/activation in a command, or give the socket the type stream"))
            }
            (None, None) => Ok(how),
        }
    }
}

fn untaken(name: &str, what: &str) -> Finding {
    nobody_accepts(&format!("the socket {name} {what}")).at(format!("Sockets.{name}"), None)
}

/// Chooses how a program is run.
///
/// # Errors
/// Says what the file is, which export is missing and what would do.
pub fn how_run(kind: ProgramKind, imports: &[&str], exports: &[&str], job: &Job) -> Result<HowRun, Finding> {
    match kind {
        ProgramKind::Elf | ProgramKind::Script => Ok(HowRun::Native),
        ProgramKind::Module => module(exports, Asked::of(job)),
        ProgramKind::Component => component(imports, exports, Asked::of(job)),
    }
}

/// `InstanceReuse` where no instance is asked for anything twice, whatever it says.
pub fn reuse_without_effect(how: HowRun, job: &Job) -> Option<Finding> {
    let asked_again = matches!(how, HowRun::Connection | HowRun::Http02 | HowRun::Http03);
    (job.instance_reuse > 1 && !asked_again).then(|| {
        let message = format!("InstanceReuse does nothing for a program that {}", how.in_words());
        Finding::new(Severity::Warning, "no-effect", message)
            .at("InstanceReuse", None)
            .help("it is for components that export a wasi:http handler or wjob:service/connection-handler")
    })
}

fn component(imports: &[&str], exports: &[&str], asked: Asked<'_>) -> Result<HowRun, Finding> {
    let exports: Vec<Name> = exports.iter().map(|name| Name::read(name)).collect();
    let activates = imports.iter().any(|name| Name::read(name).is("wjob:service", "activation"));
    if asked.sockets {
        asked.taken(accepting(&exports, activates, asked.inetd_wait)?)
    } else if asked.services {
        service(&exports)
    } else {
        command(&exports)
    }
}

/// Chooses how a component is run: what a worker can tell without the job.
///
/// # Errors
/// Names the first import that nobody offers, or the export that is missing.
pub fn how_run_component(imports: &[&str], exports: &[&str], asked: Asked<'_>) -> Result<HowRun, Finding> {
    let mut remarks = imports.iter().filter_map(|import| unknown(import, &Name::read(import)));
    match remarks.find(|finding| finding.severity == Severity::Error) {
        Some(finding) => Err(finding),
        None => component(imports, exports, asked),
    }
}

/// The same for a core module, its imports as module and function.
///
/// # Errors
/// Names the first import that nobody offers, or says that `_start` is missing.
pub fn how_run_module(imports: &[(&str, &str)], exports: &[&str], asked: Asked<'_>) -> Result<HowRun, Finding> {
    match imports.iter().find(|(module, _)| *module != PREVIEW_1) {
        Some((module, function)) => Err(unknown_module(module, &module_import(module, function))),
        None => self::module(exports, asked),
    }
}

fn module(exports: &[&str], asked: Asked<'_>) -> Result<HowRun, Finding> {
    let command = start(exports)?;
    match (asked.sockets, asked.inetd_wait) {
        (false, _) => Ok(command),
        (true, Some(false)) => asked.taken(HowRun::Inetd),
        (true, _) => Err(nobody_accepts("a preview 1 module can take a socket only as standard input and output")),
    }
}

fn start(exports: &[&str]) -> Result<HowRun, Finding> {
    if exports.contains(&"_start") {
        return Ok(HowRun::Module);
    }
    let message = match exports.contains(&"_initialize") {
        true => "the module is a reactor: it exports _initialize, but no _start to run",
        false => "the module is a library: it exports no _start to run",
    };
    Err(no_entry(message).help("build it as a program (a main function) for wasm32-wasip1 or wasm32-wasip2"))
}

/// The order of the contract: handlers first, because they say plainly what they are for.
fn accepting(exports: &[Name], activates: bool, inetd_wait: Option<bool>) -> Result<HowRun, Finding> {
    let has = |package, interface, release| has(exports, package, interface, release);
    let run = has("wasi:cli", "run", Release::V02) || has("wasi:cli", "run", Release::V03);
    if has("wjob:service", "connection-handler", Release::V01) {
        Ok(HowRun::Connection)
    } else if has("wasi:http", "handler", Release::V03) {
        Ok(HowRun::Http03)
    } else if has("wasi:http", "incoming-handler", Release::V02) {
        Ok(HowRun::Http02)
    } else if run && inetd_wait == Some(false) {
        Ok(HowRun::Inetd)
    } else if run && activates {
        Ok(HowRun::Activation)
    } else if inetd_wait == Some(true) {
        Err(nobody_accepts("with Wait the component itself accepts, which it can do through activation alone"))
    } else {
        Err(nobody_accepts("the component exports no handler of connections or requests"))
    }
}

fn has(exports: &[Name], package: &str, interface: &str, release: Release) -> bool {
    exports.iter().any(|name| name.is(package, interface) && name.release == Some(release))
}

fn service(exports: &[Name]) -> Result<HowRun, Finding> {
    match exports.iter().any(|name| !name.package.starts_with("wasi:")) {
        true => Ok(HowRun::Service),
        false => {
            Err(no_entry("the job has MachServices, but the component exports nothing that another job could call")
                .help("export an interface of your own, or remove MachServices"))
        }
    }
}

fn command(exports: &[Name]) -> Result<HowRun, Finding> {
    if has(exports, "wasi:cli", "run", Release::V03) {
        return Ok(HowRun::Command03);
    }
    if has(exports, "wasi:cli", "run", Release::V02) {
        return Ok(HowRun::Command02);
    }
    let exports_one = |package, interface| exports.iter().any(|name| name.is(package, interface));
    Err(if exports_one("wasi:cli", "run") {
        no_entry("the component exports wasi:cli/run in a version that is not offered; expected 0.2.x or 0.3.x")
            .help("build it with current tools")
    } else if exports_one("wasi:http", "incoming-handler") || exports_one("wasi:http", "handler") {
        unasked("wasi:http handler")
    } else if exports_one("wjob:service", "connection-handler") {
        unasked("wjob:service/connection-handler")
    } else {
        library(exports)
    })
}

/// A handler without a socket.
fn unasked(what: &str) -> Finding {
    let message = format!("the component exports a {what}, but the job has no Sockets, so nothing would ever reach it");
    no_entry(message).help(format!("such lines would give it one:\n{}", advice::lines_for_socket("8080")))
}

fn library(exports: &[Name]) -> Finding {
    let names: Vec<_> = exports
        .iter()
        .take(3)
        .map(|name| match name.interface {
            "" => name.package.to_owned(),
            interface => format!("{}/{interface}", name.package),
        })
        .collect();
    let message = match names.as_slice() {
        [] => "the component exports nothing; expected wasi:cli/run".into(),
        names => format!("the component is a library: it exports {}; expected wasi:cli/run", names.join(", ")),
    };
    no_entry(message).help("build it as a command (a program with a main function)")
}

fn no_entry(message: impl Into<String>) -> Finding {
    Finding::new(Severity::Error, "no-entry-point", message).at("Program", None)
}

fn nobody_accepts(what: &str) -> Finding {
    let message = format!("the job has Sockets, but nobody would accept: {what}");
    Finding::new(Severity::Error, "nobody-accepts", message).at("Sockets", None).help(
        "export wjob:service/connection-handler or a wasi:http handler, add inetdCompatibility, \
         or import wjob:service/activation",
    )
}
