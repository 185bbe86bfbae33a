//! The newcomer's path, from `wjob new` to a service that is supervised: the commands that the README shows, the crates
//! of all templates, and what `wjob new` refuses. What is in the templates is judged by their own tests, which `cargo
//! xtask test` runs before these.
//!
//! Cargo is run where it is cargo that runs these tests: offline, with the choice of versions and the build folder of
//! this repository. Elsewhere the components take its place that were built from the same crates before.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{self, Running, Sandbox, is_root, text};
use crate::listen::{ask, listening, request};
use crate::readme::{blocks, commands, copy, matches, readme, trimmed};

/// The templates.
const TEMPLATES: [&str; 3] = ["command", "connection", "http"];
/// Where components lie in a crate.
const RELEASE: &str = "target/wasm32-wasip2/release";

/// The block of the README that is run here.
const BLOCK: &str = "newcomer";
/// So many commands would be too many.
const TOO_MANY: usize = 10;
/// The template, the crate and the port in that block.
const SHOWN: (&str, &str, &str) = ("http", "hello-service", "8080");

/// The crate of a template, as `cargo xtask test` had it written and built.
fn made(template: &str) -> PathBuf {
    let folder = harness::target().join("templates").join(format!("hello-{template}"));
    assert!(folder.is_dir(), "{} is missing: `cargo xtask test` makes it first", folder.display());
    folder
}

/// The texts of a crate by their places, but for what cargo makes, and for the line that says where the SDK is.
fn texts(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            let place = path.strip_prefix(folder).expect("a path in it").to_path_buf();
            if entry.file_type().expect("a kind").is_dir() {
                folders.extend((place != Path::new("target")).then_some(path));
            } else if place != Path::new("Cargo.lock") {
                let text = fs::read_to_string(&path).expect("a text");
                let lines = text.lines().filter(|line| !line.starts_with("wjob-sdk = "));
                found.insert(place, lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    found
}

/// A copy of that crate in a sandbox, listening on any free port; its job file.
fn copied(sandbox: &Sandbox, template: &str, port: &str) -> String {
    let name = format!("hello-{template}");
    copy(&made(template), &sandbox.path(&name));
    let file = format!("{name}/{name}.plist");
    let text = sandbox.read(&file);
    let [port, any] = [port, "0"].map(|port| format!("<string>{port}</string>"));
    assert!(text.contains(&port), "{text}");
    sandbox.write(&file, text.replace(&port, &any))
}

#[test]
fn what_is_written_is_what_was_built_and_tested() {
    let sandbox = Sandbox::new();
    for template in TEMPLATES {
        let name = format!("hello-{template}");
        let ran = sandbox.wjob(&["new", &name, "--template", template]);
        ran.exits(0).says(format!("cd {name}\n")).says(format!("wjob run {name}.plist\n")).says("from the registry");
        let (written, built) = (texts(&sandbox.path(&name)), texts(&made(template)));
        assert!(written.contains_key(Path::new("tests/service.rs")), "{written:?}");
        assert_eq!(written, built, "{template}");
    }
}

#[test]
fn a_new_command_runs() {
    let sandbox = Sandbox::new();
    let file = text(&made("command").join("hello-command.plist"));
    sandbox.wjob(&["check", &file]).exits(0).says("as a command");
    sandbox.wjob(&["run", &file]).exits(0).says_only("hello, world\n");
}

#[test]
fn a_new_service_of_connections_serves() {
    let sandbox = Sandbox::new();
    let file = copied(&sandbox, "connection", "8007");
    sandbox.wjob(&["check", &file]).exits(0).says("wjob:service/connection-handler");
    let (running, addresses) = listening(&sandbox, &[&file], 1);
    assert_eq!(ask(&addresses[0], "hello\n"), "hello\n");
    running.wait_for_complaint("serving 127.0.0.1:");
    running.signal(Signal::TERM);
    running.end().exits(143);
}

#[test]
fn a_new_service_of_requests_answers() {
    let sandbox = Sandbox::new();
    let file = copied(&sandbox, "http", "8080");
    sandbox.wjob(&["check", &file]).exits(0).says("wasi:http/handler");
    let (running, addresses) = listening(&sandbox, &[&file], 1);
    for (path, status, end) in [("/", "200 OK", "\r\n\r\nhello, world\n"), ("/elsewhere", "404 Not Found", "here\n")] {
        let answer = ask(&addresses[0], &request(path));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.ends_with(end), "{answer}");
    }
    running.wait_for_complaint("GET /elsewhere");
    running.signal(Signal::TERM);
    running.end().exits(143);
}

#[test]
fn what_is_there_is_never_touched_and_nothing_is_half_made() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("full");
    sandbox.write("full/file", "precious");
    sandbox.write("file", "precious");
    sandbox.link("full", "link");
    sandbox.make_folder("empty");
    sandbox.link("empty", "link-to-empty");
    let before = sandbox.snapshot("");
    for path in ["full", "full/", "full/.", "file", "link", "link-to-empty"] {
        sandbox.wjob(&["new", "hello", "--path", path]).exits(64).complains("nothing was changed");
    }
    sandbox.wjob(&["new", "full"]).exits(64).complains("the folder is not empty");
    sandbox.wjob(&["new", "hello", "--path", "."]).exits(64).complains("the folder you are in");
    sandbox.wjob(&["new", "hello", "--path", "no/such/folder"]).exits(71).complains("cannot be made");
    sandbox.wjob(&["new", "Hello"]).exits(64).complains("'H'").complains("hello-service");
    sandbox.wjob(&["new", "hello", "--sdk", "full"]).exits(64).complains("wjob-sdk");
    assert_eq!(sandbox.snapshot(""), before);
    sandbox.wjob(&["new", "hello", "--path", "empty"]).exits(0);
    assert!(sandbox.read("empty/Cargo.toml").contains("name = \"hello\"\n"));
}

#[test]
fn the_sdk_may_be_a_folder_or_a_version() {
    let sandbox = Sandbox::new();
    let sdk = fs::canonicalize(harness::root().join("sdk")).expect("the SDK");
    sandbox.link(&text(&sdk), "sdk");
    let path = format!("wjob-sdk = {{ path = \"{}\" }}\n", sdk.display());
    sandbox.wjob(&["new", "one", "--sdk", "sdk"]).exits(0).says("(--sdk)");
    assert!(sandbox.read("one/Cargo.toml").contains(&path));
    let mut command = sandbox.command("wjob", &["new", "two"]);
    command.env("WJOB_SDK", "sdk");
    Running::start(command).end().exits(0).says("(WJOB_SDK)");
    assert!(sandbox.read("two/Cargo.toml").contains(&path));
    sandbox.wjob(&["new", "three", "--sdk", "=0.1.7"]).exits(0).says("wjob-sdk =0.1.7 from the registry");
    let manifest = sandbox.read("three/Cargo.toml");
    assert!(manifest.contains("wjob-sdk = { version = \"=0.1.7\", features = [\"harness\"] }\n"), "{manifest}");
}

/// The cargo that runs these tests, if one does.
fn cargo() -> Option<PathBuf> {
    env::var_os("CARGO").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Where a newcomer begins: a home with the SDK in it. With cargo it is always the same one, so that what cargo builds
/// for a crate in it is not kept once more each time.
fn beginning(sandbox: &Sandbox) -> PathBuf {
    let folder = match cargo() {
        Some(_) => Path::new(env!("CARGO_TARGET_TMPDIR")).join(BLOCK),
        None => sandbox.path(BLOCK),
    };
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the folder of an earlier run goes");
    }
    // Whatever the umask: what others could change would not be loaded.
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&folder).expect("a folder");
    symlink(harness::root().join("sdk"), folder.join("sdk")).expect("a link");
    folder
}

/// What is done in the new crate before its first build: this test's port, and either this repository's build folder
/// and choice of versions, or the component in place of cargo's work.
fn prepared(port: u16) -> String {
    let (template, name, shown) = SHOWN;
    let port = format!("sed -i 's/<string>{shown}</<string>{port}</' {name}.plist\n");
    if cargo().is_some() {
        let (target, lock) = (harness::target(), harness::root().join("Cargo.lock"));
        return format!("{port}ln -s '{}' target\ncp '{}' Cargo.lock\n", target.display(), lock.display());
    }
    let built = made(template).join(RELEASE).join(format!("hello_{template}.wasm"));
    let (built, to) = (built.display(), name.replace('-', "_"));
    format!(
        "{port}mkdir -p {RELEASE}\ncp '{built}' {RELEASE}/{to}.wasm\ncargo() {{ echo \"cargo $* was run before\"; }}\n"
    )
}

/// The commands of the block, and between them what a person would do without thinking of it: to wait until something
/// that was begun has happened.
fn script(commands: &[String], sandbox: &Sandbox, port: u16) -> String {
    let (_, name, shown) = SHOWN;
    // Left running, the supervisor would hold the output open.
    let mut script = String::from("set -e\numask 022\ntrap 'test -z \"$!\" || kill $!; wait' EXIT\n");
    if is_root() {
        // Root's own supervisor would be the machine's.
        let [state, cache, jobs, socket] = ["state", "cache", "jobs", "run/wjob.sock"].map(|name| sandbox.name(name));
        let flags =
            format!("--state-directory '{state}' --cache-directory '{cache}' --jobs '{jobs}' --socket '{socket}'");
        sandbox.make_folder("jobs");
        script += &format!("wjobd() {{ exec '{}' {flags}; }}\n", harness::binary("wjobd").display());
    }
    for command in commands {
        if command.starts_with("wjob log ") {
            script +=
                &format!("until wjob log com.example.{name} 2> /dev/null | grep -q 'GET /'; do sleep 0.1; done\n");
        }
        script += &command.replace(shown, &port.to_string());
        script.push('\n');
        if command.starts_with("cd ") {
            script += &prepared(port);
        }
        if command.starts_with("wjobd ") {
            script += "until wjob list > /dev/null 2>&1; do sleep 0.1; done\n";
        }
    }
    script
}

/// The programs, and cargo with what it needs to find its own.
fn equip(command: &mut Command, sandbox: &Sandbox) {
    let programs = harness::binary("wjob");
    let mut path = format!("{}:/usr/bin:/bin", programs.parent().expect("a folder").display());
    sandbox.make_folder("run");
    command.env("XDG_RUNTIME_DIR", sandbox.path("run"));
    if is_root() {
        command.env("WJOB_SOCKET", sandbox.path("run/wjob.sock"));
    }
    if let Some(cargo) = cargo() {
        path = format!("{}:{path}", cargo.parent().expect("a folder").display());
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
        command.envs(home.map(|home| ("CARGO_HOME", home)));
        let kept = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"];
        command.envs(kept.iter().filter_map(|name| Some((*name, env::var_os(name)?))));
        command.env("CARGO_TARGET_DIR", harness::target()).env("CARGO_NET_OFFLINE", "true");
    }
    command.env("PATH", path);
}

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

#[test]
fn the_readme_leads_from_nothing_to_a_supervised_service() {
    let Some(readme) = readme() else { return };
    let blocks = blocks(&readme);
    let at = blocks.iter().position(|block| block.language == "sh" && block.file.as_deref() == Some(BLOCK));
    let at = at.expect("the block of the README");
    let commands = commands(&blocks[at].text);
    assert!(commands.len() < TOO_MANY, "{} commands: {commands:?}", commands.len());
    assert!(commands.iter().all(|command| !command.contains("&&") && !command.contains(';')), "{commands:?}");
    if !Path::new("/usr/bin/curl").exists() {
        println!("skipped: curl is not installed");
        return;
    }
    // What is built here was built there too, or it would take too long now.
    made(SHOWN.0);
    let sandbox = Sandbox::with_own_caches();
    let folder = beginning(&sandbox);
    let script = script(&commands, &sandbox, free_port());
    let mut command = sandbox.command_at(Path::new("/bin/sh"), &["-c", &script]);
    equip(command.current_dir(&folder).env("HOME", &folder), &sandbox);
    let ran = Running::start(command).end();
    ran.exits(0).says("hello, world\n").says("GET /");
    let expected = blocks.get(at + 1).filter(|next| next.follows && next.language == "text").expect("its output");
    assert!(matches(&trimmed(&expected.text), &trimmed(&ran.output())), "{}\n{}", expected.text, ran.described());
}
