//! Programs that a supervisor is to be replaced by: those that cannot take over are refused, whatever they say of
//! themselves, and nothing has happened then; one of another build can, with the `wjob` of that build beside it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::{inetd, is_served, pid, upgrade, wait_until};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::daemon::sockets::{Place, at};
use crate::harness::{Job, Running, Sandbox, Supervisor, binary, text};

/// Has the name under which a supervisor was started lead to another file.
fn lead(supervisor: &Supervisor, target: Option<&str>) {
    let _ = fs::remove_file(supervisor.sandbox.path("bin/wjobd"));
    if let Some(target) = target {
        supervisor.sandbox.link(target, "bin/wjobd");
    }
}

/// One that was started by a link.
#[track_caller]
fn linked(mut supervisor: Supervisor) -> Supervisor {
    supervisor.sandbox.make_folder("bin");
    lead(&supervisor, Some(&text(&binary("wjobd"))));
    let own = supervisor.command();
    let words: Vec<String> = own.get_args().map(|word| text(Path::new(word))).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = supervisor.sandbox.command_at(&supervisor.sandbox.path("bin/wjobd"), &words);
    command.env("XDG_CONFIG_HOME", supervisor.sandbox.path("config"));
    supervisor.adopt(Running::start(command));
    supervisor
}

/// What a program says of itself by one of its own words.
#[track_caller]
fn said(sandbox: &Sandbox, word: &str) -> String {
    let ran = Running::start(sandbox.command("wjobd", &[word])).end();
    ran.exits(0);
    ran.output().trim_end().to_owned()
}

/// The build of all that is built here.
#[track_caller]
fn build(sandbox: &Sandbox) -> String {
    said(sandbox, "--version").trim_start_matches("wjobd ").to_owned()
}

/// Puts a program into its place. It is not copied here: what this process has open for writing, nobody can execute.
#[track_caller]
fn install(sandbox: &Sandbox, from: &Path, name: &str) {
    let words = [text(from), sandbox.name(name)];
    let words = words.each_ref().map(String::as_str);
    Running::start(sandbox.command_at(Path::new("/bin/cp"), &words)).end().exits(0);
}

/// The same for a copy that says it is of another build, and is the same in everything else.
#[track_caller]
fn install_as(sandbox: &Sandbox, build: &str, other: &str, name: &str) {
    let program = name.rsplit('/').next().unwrap_or_default();
    let mut bytes = fs::read(binary(program)).expect("a program");
    let mut after = 0;
    while let Some(found) = bytes[after..].windows(build.len()).position(|window| window == build.as_bytes()) {
        let place = after + found;
        after = place + build.len();
        bytes[place..after].copy_from_slice(other.as_bytes());
    }
    assert!(after > 0, "{program} does not say its build");
    sandbox.write_program(name, bytes);
}

/// Another build of as many letters: another digit in its middle.
fn another(build: &str) -> String {
    let (before, after) = build.rsplit_once('-').expect("a build with its profile");
    let (before, digit) = before.split_at(before.len() - 1);
    format!("{before}{}-{after}", if digit == "0" { "1" } else { "0" })
}

/// A program that sends these bytes on its channel and ends.
#[cfg(target_arch = "x86_64")]
fn sends(bytes: &[u8]) -> Vec<u8> {
    const AT: u64 = 0x40_0000;
    const HEADS: u64 = 64 + 56;
    let length = bytes.len() as u32;
    let code = [
        &[0xb8_u8, 1, 0, 0, 0][..],       // mov eax, 1 (write)
        &[0xbf, 3, 0, 0, 0],              // mov edi, 3
        &[0x48, 0x8d, 0x35, 16, 0, 0, 0], // lea rsi, [rip + 16]: behind the code
        &[0xba],                          // mov edx, length
        &length.to_le_bytes(),
        &[0x0f, 0x05],        // syscall
        &[0xb8, 60, 0, 0, 0], // mov eax, 60 (exit)
        &[0x31, 0xff],        // xor edi, edi
        &[0x0f, 0x05],        // syscall
    ]
    .concat();
    let size = HEADS + code.len() as u64 + bytes.len() as u64;
    let head = [
        &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[2, 0, 0x3e, 0, 1, 0, 0, 0], // executable, x86-64
        &(AT + HEADS).to_le_bytes(),  // where it begins
        &64u64.to_le_bytes(),         // where the second head is
        &[0; 12],
        &[64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0], // lengths and numbers of heads
    ]
    .concat();
    let second = [
        &[1_u8, 0, 0, 0, 5, 0, 0, 0][..], // to be loaded, read and executed
        &0u64.to_le_bytes(),
        &AT.to_le_bytes(),
        &AT.to_le_bytes(),
        &size.to_le_bytes(),
        &size.to_le_bytes(),
        &0x1000u64.to_le_bytes(),
    ]
    .concat();
    [head, second, code, bytes.to_vec()].concat()
}

/// Programs that answer what they like: their names, their bytes and what is said of them.
#[cfg(target_arch = "x86_64")]
fn liars(sandbox: &Sandbox) -> Vec<(&'static str, Vec<u8>, String)> {
    let words = said(sandbox, "--state-version");
    let form: u8 = words.rsplit(' ').next().and_then(|form| form.parse().ok()).expect("its form");
    let own = build(sandbox);
    // What is in a packet: that it is whole, the form, the build and perhaps a flaw (`wjob_model::handover::Version`).
    vec![
        (
            "form",
            sends(&[0, form + 1, 1, b'b', 0]),
            format!("wjobd b takes over what has form {}, and this is wjobd {own} with form {form}", form + 1),
        ),
        (
            "flaw",
            sends(&[0, form, 1, b'b', 1, 3, b'b', b'a', b'd']),
            format!("b cannot go on for this wjobd {own}: bad"),
        ),
        ("nonsense", sends(&[0, form, 9]), "does not say which wjobd it is: not a message".into()),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn liars(_: &Sandbox) -> Vec<(&'static str, Vec<u8>, String)> {
    println!("skipped: programs that answer what they like are made for x86-64 alone");
    Vec::new()
}

#[test]
fn a_file_that_cannot_take_over_is_refused_and_nothing_has_happened() {
    let job = Job::guest("probe-sleep", &["1000000"]).with("KeepAlive", true);
    let supervisor = linked(Supervisor::new().with("a", job));
    wait_until(&supervisor, "the job runs", || standing(&supervisor, "a") == "running, 1 runs");
    let before = pid(&supervisor, "a");
    let sandbox = &supervisor.sandbox;
    let open = sandbox.write_program("open", "#!/bin/sh\n");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("a mode");
    let anyone = sandbox.make_folder("anyone");
    fs::set_permissions(&anyone, Permissions::from_mode(0o777)).expect("a mode");
    sandbox.link(&text(&binary("wjobd")), "anyone/wjobd");
    for folder in ["alone", "other", "mixed"] {
        sandbox.make_folder(folder);
    }
    for folder in ["alone", "other"] {
        install(sandbox, Path::new("/bin/true"), &format!("{folder}/wjobd"));
    }
    let (own, other) = (build(sandbox), another(&build(sandbox)));
    install_as(sandbox, &own, &other, "mixed/wjobd");
    for folder in ["other", "mixed"] {
        sandbox.link(&text(&binary("wjob")), &format!("{folder}/wjob"));
    }
    let mut refused = vec![
        (None, "bin/wjobd: No such file".to_owned()),
        (Some(open), "open: mode 777 lets everybody write".into()),
        (Some(sandbox.name("anyone/wjobd")), "anyone: mode 777 lets everybody write".into()),
        (Some(sandbox.name("alone/wjobd")), "alone/wjob: No such file".into()),
        (
            Some(sandbox.name("other/wjobd")),
            "does not say which wjobd it is: it ended with status 0 and no answer".into(),
        ),
        (
            Some(sandbox.name("mixed/wjobd")),
            format!("belongs to it: the start message: the supervisor is build {other}, this worker is build {own}"),
        ),
    ];
    for (name, bytes, why) in liars(sandbox) {
        sandbox.make_folder(name);
        let program = sandbox.write_program("copy", bytes);
        install(sandbox, Path::new(&program), &format!("{name}/wjobd"));
        sandbox.link(&text(&binary("wjob")), &format!("{name}/wjob"));
        refused.push((Some(sandbox.name(&format!("{name}/wjobd"))), why));
    }
    for (target, why) in refused {
        lead(&supervisor, target.as_deref());
        supervisor.wjob(&["upgrade"]).exits(71).complains("the supervisor could not do it").complains(why);
        assert_eq!((standing(&supervisor, "a").as_str(), pid(&supervisor, "a")), ("running, 1 runs", before));
    }
    assert!(!supervisor.log().contains("upgraded: "), "{}", supervisor.log());
    lead(&supervisor, Some(&text(&binary("wjobd"))));
    upgrade(&supervisor);
    assert_eq!(pid(&supervisor, "a"), before);
}

/// What runs goes on under it, and what begins is made from the other files.
#[test]
fn one_of_another_build_takes_over_with_the_workers_and_the_logger_of_that_build() {
    let supervisor = Supervisor::new();
    let place = Place::named(&supervisor.sandbox, "echo");
    let supervisor = linked(supervisor.with("echo", at(&place, inetd(Job::guest("echo", &[])))));
    let sandbox = &supervisor.sandbox;
    is_served(&place, 0);
    let before = pid(&supervisor, "echo");
    let (own, other) = (build(sandbox), another(&build(sandbox)));
    sandbox.make_folder("new");
    for program in ["wjobd", "wjob"] {
        install_as(sandbox, &own, &other, &format!("new/{program}"));
    }
    lead(&supervisor, Some(&sandbox.name("new/wjobd")));
    supervisor.wjob(&["upgrade"]).exits(0).says(format!("wjobd is {other} now, 1 worker went on\n"));
    is_served(&place, 1);
    assert_eq!(pid(&supervisor, "echo"), before);
    for (label, job) in [("guest", Job::guest("wordcount", &[])), ("native", Job::shell("echo said; exit 6"))] {
        let file = supervisor.file(&format!("{label}.plist"), label, job.with("RunAtLoad", true));
        supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
        supervisor.logs(&format!(" {label}: ended: exit "));
    }
    captured(&supervisor, "native", "said", 1);
    lead(&supervisor, Some(&text(&binary("wjobd"))));
    supervisor.wjob(&["upgrade"]).exits(0).says(format!("wjobd is {own} now, 1 worker went on\n"));
    is_served(&place, 2);
    assert_eq!(pid(&supervisor, "echo"), before);
}

/// Supervisors alone say these words, each to the next one.
#[test]
fn nobody_else_can_have_a_supervisor_take_over() {
    let sandbox = &Supervisor::new().sandbox;
    let begun = |words: &[&str]| Running::start(sandbox.command("wjobd", words)).end();
    begun(&["--resume", "9"]).exits(78).complains("nothing can be taken over: descriptor 9 was not handed over");
    begun(&["--resume", "0"]).exits(78).complains("descriptor 0 was not handed over");
    begun(&["--resume", "nine"]).exits(64).complains("--resume");
    begun(&["--debug", "--resume", "9"]).exits(64).complains("--resume");
    begun(&["--state-version"]).exits(0).says("which takes over form ");
}
