//! What a program needs, from the names of its imports and exports, against what its job grants: for `check`, and
//! for choosing how it is run. No program is opened here; whoever reads the file hands the names over.
//!
//! A component's names are as in its binary, `wasi:filesystem/types@0.2.3`. A core module's imports are written
//! `module::function`, see [`module_import`].

mod entry;
mod name;

use name::{Name, Release};

use crate::advice;
use crate::finding::{Finding, Severity};
use crate::grant::{Access, Endpoint, Transport};
use crate::job::Job;
use crate::program::ProgramKind;

pub use entry::{Asked, HowRun, how_run, how_run_component, how_run_module, reuse_without_effect};

/// The module whose functions a core module may import (WASI preview 1).
pub const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// The name of a core module's import.
pub fn module_import(module: &str, function: &str) -> String {
    format!("{module}::{function}")
}

/// An authority that a program's imports can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Files,
    Tcp,
    Udp,
    Unix,
    Lookup,
    Requests,
    Environment,
    Config,
}

/// The interfaces that stand for an authority; an interface ending in `*` is every one that begins so.
const NEEDS: &[(&str, &str, &[Need])] = &[
    ("wasi:filesystem", "*", &[Need::Files]),
    ("wasi:sockets", "tcp*", &[Need::Tcp]),
    ("wasi:sockets", "udp*", &[Need::Udp]),
    ("wasi:sockets", "types", &[Need::Tcp, Need::Udp]),
    ("wasi:sockets", "ip-name-lookup", &[Need::Lookup]),
    ("wasi:http", "outgoing-handler", &[Need::Requests]),
    ("wasi:http", "client", &[Need::Requests]),
    ("wasi:http", "handler", &[Need::Requests]),
    ("wasi:cli", "environment", &[Need::Environment]),
    ("wasi:config", "*", &[Need::Config]),
    ("wjob:service", "connect", &[Need::Unix]),
];

/// The packages that are offered, with the releases of each; none given is any, for packages still in draft.
const OFFERED: &[(&str, &[Release])] = &[
    ("wasi:cli", &[Release::V02, Release::V03]),
    ("wasi:clocks", &[Release::V02, Release::V03]),
    ("wasi:filesystem", &[Release::V02, Release::V03]),
    ("wasi:io", &[Release::V02]),
    ("wasi:random", &[Release::V02, Release::V03]),
    ("wasi:sockets", &[Release::V02, Release::V03]),
    ("wasi:http", &[Release::V02, Release::V03]),
    ("wasi:config", &[]),
    ("wasi:logging", &[]),
    ("wjob:service", &[Release::V01]),
];

/// Compares what a program imports with what its job gives: imports nobody offers are errors, imports without
/// a grant are notes (guests import more than they use), grants without an import are warnings.
pub fn compare(kind: ProgramKind, imports: &[&str], job: &Job) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !kind.is_wasm() {
        return findings;
    }
    let needs = match kind {
        ProgramKind::Module => module_needs(imports, &mut findings),
        _ => component_needs(imports, job, &mut findings),
    };
    missing(&needs, job, &mut findings);
    unused(&needs, job, &mut findings);
    findings.extend(working_directory(job));
    findings
}

fn component_needs(imports: &[&str], job: &Job, findings: &mut Vec<Finding>) -> Vec<Need> {
    let mut needs = Vec::new();
    for import in imports {
        let name = Name::read(import);
        if !job.grants.services.iter().any(|(interface, _)| interface == import) {
            findings.extend(unknown(import, &name));
        }
        for (package, interface, opened) in NEEDS {
            if name.package == *package && covers(interface, name.interface) {
                needs.extend_from_slice(opened);
            }
        }
    }
    needs
}

fn covers(pattern: &str, interface: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => interface.starts_with(start),
        None => interface == pattern,
    }
}

fn unknown(import: &str, name: &Name) -> Option<Finding> {
    let Some((package, releases)) = OFFERED.iter().find(|(package, _)| *package == name.package) else {
        return Some(not_offered(import, name));
    };
    let known = releases.is_empty() || name.release.is_some_and(|release| releases.contains(&release));
    (!known).then(|| {
        let words: Vec<_> = releases.iter().map(|release| release.words()).collect();
        let message = format!("the component imports {import}, a version that is not offered");
        let help = format!("of {package} {} are offered", words.join(" and "));
        error("unknown-import", message).help(help)
    })
}

/// Of `wasi:*` whatever is missing is linked to a trap, since guests import more than they use; of the rest nothing is.
fn not_offered(import: &str, name: &Name) -> Finding {
    if name.package.starts_with("wasi:") {
        let message = format!("the component imports {import}, which is not offered; a call of it ends the run");
        return Finding::new(Severity::Note, "import-not-offered", message);
    }
    let message = format!("the component imports {import}, which nobody offers");
    error("unknown-import", message)
        .help("wjob offers wasi:cli, clocks, filesystem, io, random, sockets, http, config, logging and wjob:service")
}

/// Functions of preview 1 that need a grant, by the beginning of their names.
const MODULE_NEEDS: [(&str, Need); 2] = [("path_", Need::Files), ("environ_", Need::Environment)];

fn module_needs(imports: &[&str], findings: &mut Vec<Finding>) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut refused: Vec<&str> = Vec::new();
    for import in imports {
        let (module, function) = import.split_once("::").unwrap_or((*import, ""));
        if module == PREVIEW_1 {
            let opened = MODULE_NEEDS.iter().filter(|(start, _)| function.starts_with(*start));
            needs.extend(opened.map(|(_, need)| *need));
        } else if !refused.contains(&module) {
            refused.push(module);
            findings.push(unknown_module(module, import));
        }
    }
    needs
}

fn unknown_module(module: &str, import: &str) -> Finding {
    let message = format!("the module imports {import}; a core module can import {PREVIEW_1} only");
    let help = match module {
        "env" => {
            "it was built for another host, such as Emscripten or a browser; build it for wasm32-wasip1 or -wasip2"
        }
        "wasi_unstable" => "it was built for the draft before preview 1; build it for wasm32-wasip1 or -wasip2",
        _ => "build it for wasm32-wasip1 or wasm32-wasip2",
    };
    error("unknown-import", message).help(help)
}

/// Imports whose every use will be denied.
fn missing(needs: &[Need], job: &Job, findings: &mut Vec<Finding>) {
    let grants = &job.grants;
    let connects = |transport: Transport| grants.connect.iter().any(|endpoint| endpoint.transport == transport);
    let binds = |transport: Transport| grants.bind.iter().any(|endpoint| endpoint.transport == transport);
    let requests = connects(Transport::Http) || connects(Transport::Https);
    if needs.contains(&Need::Files) && grants.paths.is_empty() {
        let lines = advice::lines_for_path("/srv/data", Access::ReadOnly);
        findings.push(without("files", "Grants.Paths", lines));
    }
    if needs.contains(&Need::Tcp) && !connects(Transport::Tcp) && !binds(Transport::Tcp) && !requests {
        let lines = advice::lines_for_connect("tcp://127.0.0.1:5432");
        findings.push(without("TCP sockets", "Grants.Connect", lines));
    }
    if needs.contains(&Need::Udp) && !connects(Transport::Udp) && !binds(Transport::Udp) {
        let lines = advice::lines_for_connect("udp://127.0.0.1:53");
        findings.push(without("UDP sockets", "Grants.Connect", lines));
    }
    if needs.contains(&Need::Unix) && !connects(Transport::Unix) {
        let lines = advice::lines_for_unix("/run/example/socket");
        findings.push(without("connections to Unix sockets", "Grants.Connect", lines));
    }
    if needs.contains(&Need::Requests) && !requests {
        let lines = advice::lines_for_connect("https://api.example.com");
        findings.push(without("outgoing HTTP requests", "Grants.Connect", lines));
    }
}

fn without(what: &str, key: &str, lines: String) -> Finding {
    let message = format!("the program imports {what} and is granted none; if it uses them, that is denied");
    Finding::new(Severity::Note, "import-without-grant", message)
        .at(key, None)
        .help(format!("such lines would grant some:\n{lines}"))
}

/// Grants that no import can use.
fn unused(needs: &[Need], job: &Job, findings: &mut Vec<Finding>) {
    let grants = &job.grants;
    let mut say = |key: String, what: &str| {
        let message = format!("the program imports nothing that could use {what}");
        findings.push(Finding::new(Severity::Warning, "unused-grant", message).at(key, None));
    };
    if !grants.paths.is_empty() && !needs.contains(&Need::Files) {
        say("Grants.Paths".into(), "paths");
    }
    for (index, endpoint) in grants.connect.iter().enumerate() {
        if !can_connect(needs, endpoint) {
            say(format!("Grants.Connect[{index}]"), &endpoint.to_string());
        }
    }
    for (index, endpoint) in grants.bind.iter().enumerate() {
        if !needs.contains(&socket(endpoint.transport)) {
            say(format!("Grants.Bind[{index}]"), &format!("the address {endpoint}"));
        }
    }
    if !grants.environment.is_empty() && !needs.contains(&Need::Environment) {
        say("Grants.Environment".into(), "variables");
    }
    if !job.config.is_empty() && !needs.contains(&Need::Config) {
        say("Config".into(), "settings");
    }
}

fn can_connect(needs: &[Need], endpoint: &Endpoint) -> bool {
    let requests = matches!(endpoint.transport, Transport::Http | Transport::Https) && needs.contains(&Need::Requests);
    // A tcp grant of a name may be there for nothing but looking it up.
    let lookup = matches!(endpoint.host, crate::grant::Host::Name(_)) && needs.contains(&Need::Lookup);
    requests || lookup || needs.contains(&socket(endpoint.transport))
}

fn socket(transport: Transport) -> Need {
    match transport {
        Transport::Udp => Need::Udp,
        Transport::Unix => Need::Unix,
        Transport::Tcp | Transport::Http | Transport::Https => Need::Tcp,
    }
}

/// WebAssembly has no working directory of its own: the folder has to come from a grant.
fn working_directory(job: &Job) -> Option<Finding> {
    let directory = job.working_directory.as_deref()?;
    let inside = |guest: &str| {
        guest == "/" || directory.strip_prefix(guest).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    (!job.grants.paths.iter().any(|grant| inside(&grant.guest))).then(|| {
        let message = format!("WorkingDirectory {directory} lies in no Paths grant, so the job cannot start in it");
        error("working-directory-not-granted", message).at("WorkingDirectory", None).help(format!(
            "grant it or leave it out; such lines would grant it:\n{}",
            advice::lines_for_path(directory, Access::ReadOnly)
        ))
    })
}

fn error(code: &'static str, message: String) -> Finding {
    Finding::new(Severity::Error, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, load};

    fn job(xml_body: &str) -> Job {
        let text = format!(
            "<plist version=\"1.0\"><dict><key>Label</key><string>a</string>\
             <key>Program</key><string>/a</string>{xml_body}</dict></plist>"
        );
        let context = Context { folder: "/", home: "/home/me", uid: 1000 };
        let loaded = load(text.as_bytes(), &context);
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    fn findings(kind: ProgramKind, imports: &[&str], body: &str) -> Vec<(Severity, &'static str, String)> {
        compare(kind, imports, &job(body))
            .into_iter()
            .map(|finding| (finding.severity, finding.code, finding.key_path))
            .collect()
    }

    fn grant(key: &str, value: &str) -> String {
        format!("<key>Grants</key><dict><key>{key}</key><array><string>{value}</string></array></dict>")
    }

    const SETTINGS: &str = "<key>Config</key><dict><key>a</key><string>b</string></dict>";

    #[test]
    fn imports_and_grants_are_compared() {
        const FILES: &str = "wasi:filesystem/types@0.2.3";
        const TCP: &str = "wasi:sockets/tcp@0.2.3";
        const HTTP: &str = "wasi:http/outgoing-handler@0.2.3";
        let component = ProgramKind::Component;
        let note = |path: &str| Some((Severity::Note, "import-without-grant", path.to_owned()));
        let warning = |path: &str| Some((Severity::Warning, "unused-grant", path.to_owned()));
        let error = |code| Some((Severity::Error, code, String::new()));
        for (kind, import, body, expected) in [
            (component, FILES, String::new(), note("Grants.Paths")),
            (component, FILES, grant("Paths", "/srv"), None),
            (component, "wasi:cli/run@0.2.0", grant("Paths", "/srv"), warning("Grants.Paths")),
            (component, TCP, String::new(), note("Grants.Connect")),
            (component, TCP, grant("Connect", "tcp://127.0.0.1:1"), None),
            (component, TCP, grant("Bind", "tcp://127.0.0.1:1"), None),
            (component, HTTP, String::new(), note("Grants.Connect")),
            (component, HTTP, grant("Connect", "https://x.example"), None),
            (component, "wasi:http/client@0.3.0", grant("Connect", "https://x.example"), None),
            (component, "wasi:random/random@0.2.0", grant("Connect", "https://1.1.1.1"), warning("Grants.Connect[0]")),
            (component, "wasi:random/random@0.2.0", grant("Bind", "udp://0.0.0.0:0"), warning("Grants.Bind[0]")),
            (component, "wasi:random/random@0.2.0", grant("Environment", "TZ"), warning("Grants.Environment")),
            (component, "wasi:cli/environment@0.2.0", grant("Environment", "TZ"), None),
            (component, "wasi:config/store@0.2.0-rc.1", String::new(), None),
            (component, "wasi:config/store@0.2.0-rc.1", SETTINGS.into(), None),
            (component, "wasi:random/random@0.2.0", SETTINGS.into(), warning("Config")),
            (component, "wasi:logging/logging@0.1.0-draft", String::new(), None),
            (component, "wjob:service/lifecycle@0.1.0", String::new(), None),
            (component, "wjob:service/connect@0.1.0", String::new(), note("Grants.Connect")),
            (component, "wjob:service/connect@0.1.0", grant("Connect", "unix:///run/x"), None),
            (component, "wasi:random/random@0.2.0", grant("Connect", "unix:///run/x"), warning("Grants.Connect[0]")),
            (component, "wasi:cli/stdout@0.1.9", String::new(), error("unknown-import")),
            (component, "acme:thing/x@1.0.0", String::new(), error("unknown-import")),
            (
                component,
                "wasi:nn/tensor@0.2.0",
                String::new(),
                Some((Severity::Note, "import-not-offered", String::new())),
            ),
            (ProgramKind::Module, "wasi_snapshot_preview1::path_open", String::new(), note("Grants.Paths")),
            (ProgramKind::Module, "wasi_snapshot_preview1::fd_write", String::new(), None),
            (
                ProgramKind::Module,
                "wasi_snapshot_preview1::fd_write",
                grant("Connect", "tcp://1.1.1.1:1"),
                warning("Grants.Connect[0]"),
            ),
            (ProgramKind::Module, "env::memory", String::new(), error("unknown-import")),
            (ProgramKind::Elf, "anything", grant("Paths", "/srv"), None),
        ] {
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(findings(kind, &[import], &body), expected, "{import} {body}");
        }
    }

    #[test]
    fn a_guest_working_directory_must_be_granted() {
        let body = "<key>WorkingDirectory</key><string>/srv/a</string>";
        let files = ["wasi:filesystem/types@0.2.3"];
        let found = findings(ProgramKind::Component, &files, body);
        assert!(found.iter().any(|finding| finding.1 == "working-directory-not-granted"));
        let body = format!("{body}{}", grant("Paths", "/srv"));
        assert!(findings(ProgramKind::Component, &files, &body).is_empty());
    }

    const SOCKETS: &str =
        "<key>Sockets</key><dict><key>a</key><dict><key>SockServiceName</key><string>1</string></dict></dict>";

    #[test]
    fn exports_decide_how_a_program_is_run() {
        let component = ProgramKind::Component;
        let inetd = format!("{SOCKETS}<key>inetdCompatibility</key><dict/>");
        let services = "<key>MachServices</key><dict><key>m</key><true/></dict>";
        for (kind, export, body, expected) in [
            (component, "wasi:cli/run@0.2.7", "", Ok(HowRun::Command02)),
            (component, "wasi:cli/run@0.3.0", "", Ok(HowRun::Command03)),
            (component, "wasi:cli/run@0.4.0", "", Err("no-entry-point")),
            (component, "wasi:http/incoming-handler@0.2.0", "", Err("no-entry-point")),
            (component, "example:x/y", "", Err("no-entry-point")),
            (component, "wasi:http/incoming-handler@0.2.0", SOCKETS, Ok(HowRun::Http02)),
            (component, "wasi:http/handler@0.3.0", SOCKETS, Ok(HowRun::Http03)),
            (component, "wjob:service/connection-handler@0.1.0", SOCKETS, Ok(HowRun::Connection)),
            (component, "wasi:cli/run@0.2.0", SOCKETS, Err("nobody-accepts")),
            (component, "wasi:cli/run@0.2.0", inetd.as_str(), Ok(HowRun::Inetd)),
            (component, "example:x/y", services, Ok(HowRun::Service)),
            (component, "wasi:cli/run@0.2.0", services, Err("no-entry-point")),
            (ProgramKind::Module, "_start", "", Ok(HowRun::Module)),
            (ProgramKind::Module, "_initialize", "", Err("no-entry-point")),
            (ProgramKind::Module, "_start", inetd.as_str(), Ok(HowRun::Inetd)),
            (ProgramKind::Module, "_start", SOCKETS, Err("nobody-accepts")),
            (ProgramKind::Elf, "", SOCKETS, Ok(HowRun::Native)),
        ] {
            let found = how_run(kind, &[], &[export], &job(body)).map_err(|finding| finding.code);
            assert_eq!(found, expected, "{export} {body}");
        }
        let imports = ["wjob:service/activation@0.1.0"];
        let found = how_run(component, &imports, &["wasi:cli/run@0.2.0"], &job(SOCKETS));
        assert_eq!(found.map_err(|finding| finding.code), Ok(HowRun::Activation));
    }

    /// What is not of the type that is taken by whoever accepts, named.
    #[test]
    fn every_socket_is_of_a_type_that_somebody_takes() {
        let sockets = |kind: &str| {
            let unix = |name: &str, kind: &str| {
                format!(
                    "<key>{name}</key><dict><key>SockPathName</key><string>/run/{name}</string>\
                     <key>SockType</key><string>{kind}</string></dict>"
                )
            };
            format!("<key>Sockets</key><dict>{}{}</dict>", unix("first", "stream"), unix("odd", kind))
        };
        let (component, module) = (ProgramKind::Component, ProgramKind::Module);
        let activation: &[&str] = &["wjob:service/activation@0.1.0"];
        let inetd = "<key>inetdCompatibility</key><dict/>";
        for (kind, imports, export, type_word, body, expected) in [
            (component, &[][..], "wasi:http/incoming-handler@0.2.0", "dgram", "", Err("datagrams")),
            (component, &[], "wasi:http/handler@0.3.0", "dgram", "", Err("datagrams")),
            (component, activation, "wjob:service/connection-handler@0.1.0", "dgram", "", Err("datagrams")),
            (component, activation, "wasi:cli/run@0.2.0", "dgram", "", Ok(HowRun::Activation)),
            (component, activation, "wasi:cli/run@0.2.0", "stream", "", Ok(HowRun::Activation)),
            (component, activation, "wasi:cli/run@0.2.0", "seqpacket", "", Err("packets")),
            (component, &[], "wjob:service/connection-handler@0.1.0", "seqpacket", "", Err("packets")),
            (component, &[], "wasi:cli/run@0.2.0", "seqpacket", inetd, Err("packets")),
            (module, &[], "_start", "seqpacket", inetd, Err("packets")),
            (module, &[], "_start", "stream", inetd, Ok(HowRun::Inetd)),
            (ProgramKind::Elf, &[], "", "seqpacket", "", Ok(HowRun::Native)),
            (ProgramKind::Elf, &[], "", "dgram", "", Ok(HowRun::Native)),
        ] {
            let found = how_run(kind, imports, &[export], &job(&format!("{}{body}", sockets(type_word))));
            match (&found, expected) {
                (Ok(how), Ok(expected)) => assert_eq!(*how, expected, "{export} {type_word}"),
                (Err(finding), Err(expected)) => {
                    let words = format!("nobody would accept: the socket odd takes {expected}");
                    assert!(finding.message.contains(&words), "{export}: {}", finding.message);
                    assert_eq!((finding.code, finding.key_path.as_str()), ("nobody-accepts", "Sockets.odd"));
                }
                _ => panic!("{export} {type_word}: {found:?}"),
            }
        }
    }

    /// Nobody comes through a connection that is made for the job.
    #[test]
    fn a_connection_is_for_native_programs_and_activation() {
        let connected = SOCKETS.replace("</dict></dict>", "<key>SockPassive</key><false/></dict></dict>");
        let (component, activation) = (ProgramKind::Component, ["wjob:service/activation@0.1.0"]);
        for (kind, imports, export, expected) in [
            (component, &activation[..], "wasi:cli/run@0.2.0", Some(HowRun::Activation)),
            (component, &activation, "wjob:service/connection-handler@0.1.0", None),
            (component, &[], "wasi:http/incoming-handler@0.2.0", None),
            (ProgramKind::Elf, &[], "", Some(HowRun::Native)),
        ] {
            match how_run(kind, imports, &[export], &job(&connected)) {
                Ok(how) => assert_eq!(Some(how), expected, "{export}"),
                Err(finding) => {
                    assert_eq!((expected, finding.key_path.as_str()), (None, "Sockets.a"), "{export}");
                    assert!(finding.message.contains("the socket a is a connection"), "{}", finding.message);
                }
            }
        }
    }

    #[test]
    fn instances_are_used_again_only_where_they_are_asked_again() {
        let reused = job("<key>InstanceReuse</key><integer>2</integer>");
        for (how, expected) in [
            (HowRun::Connection, false),
            (HowRun::Http02, false),
            (HowRun::Http03, false),
            (HowRun::Inetd, true),
            (HowRun::Activation, true),
            (HowRun::Command02, true),
            (HowRun::Native, true),
        ] {
            assert_eq!(reuse_without_effect(how, &reused).is_some(), expected, "{how:?}");
            assert_eq!(reuse_without_effect(how, &job("")), None, "{how:?}");
        }
    }

    #[test]
    fn a_worker_can_tell_without_the_job() {
        let code = |found: Result<HowRun, Finding>| found.map_err(|finding| finding.code);
        let (run, none) = (["wasi:cli/run@0.2.0"], Asked::default());
        assert_eq!(code(how_run_component(&["wasi:nn/tensor@0.2.0"], &run, none)), Ok(HowRun::Command02));
        assert_eq!(code(how_run_component(&["acme:thing/x"], &run, none)), Err("unknown-import"));
        assert_eq!(code(how_run_component(&[], &[], none)), Err("no-entry-point"));
        assert_eq!(code(how_run_module(&[(PREVIEW_1, "fd_write")], &["_start"], none)), Ok(HowRun::Module));
        assert_eq!(code(how_run_module(&[("env", "f")], &["_start"], none)), Err("unknown-import"));
        assert_eq!(code(how_run_module(&[], &["_initialize"], none)), Err("no-entry-point"));
    }

    #[test]
    fn names_are_taken_apart() {
        for (text, package, interface, release) in [
            ("wasi:cli/run@0.2.3", "wasi:cli", "run", Some(Release::V02)),
            ("wasi:cli/run@0.3.0", "wasi:cli", "run", Some(Release::V03)),
            ("wasi:cli/run@0.2.0-rc-2023-12-05", "wasi:cli", "run", None),
            ("wasi:cli/run@0.20.0", "wasi:cli", "run", None),
            ("wjob:service/activation@0.1.0", "wjob:service", "activation", Some(Release::V01)),
            ("wasi:logging/logging", "wasi:logging", "logging", None),
            ("double", "double", "", None),
        ] {
            assert_eq!(Name::read(text), Name { package, interface, release }, "{text}");
        }
    }
}
