//! Native programs behind the same grants: what they see of files and processes, what is left of them, and how they
//! end. Their network is in `network`, their limits in `limits`, their signals in `stopping`.

use std::fs;

use crate::harness::{Job, Running, Sandbox};

/// A folder for programs. /tmp is the job's own, so what lies there is a case of itself.
const PROGRAMS: &str = "/var/tmp";

#[test]
fn it_sees_the_base_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    let own = sandbox.name("data");
    for hidden in ["/root", "/home", "/var", "/boot", "/etc/shadow", "/etc/hostname", "/sys/kernel", own.as_str()] {
        let ran = sandbox.run(&Job::new("/bin/ls", &["-d", hidden]));
        assert_ne!(ran.status, 0, "{hidden} is seen\n{}", ran.described());
        ran.says_only("");
    }
    for seen in ["/usr/bin", "/bin/sh", "/etc/passwd", "/dev/null", "/proc/self", "/tmp"] {
        sandbox.run(&Job::new("/bin/ls", &["-d", seen])).exits(0).says(seen);
    }
}

#[test]
fn the_base_cannot_be_changed() {
    let sandbox = Sandbox::new();
    for folder in ["/", "/usr", "/etc", "/dev", "/bin"] {
        let ran = sandbox.run(&Job::shell(&format!("> {folder}/wjob-test-file")));
        assert_ne!(ran.status, 0, "{folder} can be written to\n{}", ran.described());
    }
}

/// /tmp is there, empty, its own, and gone with it.
#[test]
fn it_has_a_tmp_of_its_own() {
    let sandbox = Sandbox::new();
    let job = Job::shell("ls -A /tmp; echo kept > /tmp/file && cat /tmp/file");
    sandbox.run(&job).exits(0).says_only("kept\n");
    sandbox.run(&job).exits(0).says_only("kept\n");
}

#[test]
fn its_paths_have_the_access_that_is_granted() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "hello\n");
    sandbox.write_program("data/tool", "#!/bin/sh\necho tool\n");
    let data = sandbox.name("data");
    let before = sandbox.snapshot("data");
    let run = |script: &str, access: &str| sandbox.run(&Job::shell(script).path(&data, "/data", access));
    for (access, executes) in [("ReadOnly", false), ("Execute", true)] {
        run("cat /data/file", access).exits(0).says_only("hello\n");
        for change in [
            "echo new > /data/file",
            "echo new >> /data/file",
            "> /data/new",
            "rm /data/file",
            "mv /data/file /data/new",
            "ln /data/file /data/new",
            "ln -s file /data/new",
            "mkdir /data/new",
            "touch /data/file",
            "chmod 777 /data/file",
            "truncate -s 0 /data/file",
        ] {
            let ran = run(change, access);
            assert_ne!(ran.status, 0, "it could be changed\n{}", ran.described());
            assert_eq!(sandbox.snapshot("data"), before, "it failed and was done\n{}", ran.described());
        }
        let ran = run("/data/tool", access);
        assert_eq!(ran.status == 0, executes, "{access}\n{}", ran.described());
    }
    run("echo new > /data/new && rm /data/file && cat /data/new", "ReadWrite").exits(0).says_only("new\n");
    let ran = run("/data/tool", "ReadWrite");
    assert_ne!(ran.status, 0, "what it can write it could execute\n{}", ran.described());
    assert!(!sandbox.path("data/file").exists());
}

#[test]
fn a_link_does_not_lead_out_of_a_grant() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("secret", "secret\n");
    sandbox.link("../secret", "data/outside");
    sandbox.link(&sandbox.name("secret"), "data/outside-too");
    let data = sandbox.name("data");
    for name in ["/data/outside", "/data/outside-too", "/data/../secret"] {
        let ran = sandbox.run(&Job::new("/bin/cat", &[name]).path(&data, "/data", "ReadWrite"));
        assert_ne!(ran.status, 0, "{}", ran.described());
        ran.says_only("");
    }
}

#[test]
fn it_has_a_process_table_of_its_own() {
    let sandbox = Sandbox::new();
    let count = "set -- /proc/[0-9]*; echo $#";
    let ran = sandbox.run(&Job::shell(count));
    let seen: usize = ran.exits(0).output().trim().parse().expect("a number");
    assert!(seen <= 3, "{seen} processes are seen\n{}", ran.described());
    // Nobody to signal but itself: the parent it sees is the init of its own table.
    sandbox.run(&Job::shell("echo $PPID")).exits(0).says_only("1\n");
    let own = std::process::id();
    let ran = sandbox.run(&Job::shell(&format!("kill -0 {own}")));
    assert_ne!(ran.status, 0, "{}", ran.described());
}

/// Whether a process with this in its command line is left.
fn is_left(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(marker))
}

#[test]
fn what_it_left_running_ends_with_it() {
    let sandbox = Sandbox::new();
    let marker = format!("left-by-{}", std::process::id());
    // The marker is assembled in the job, so that only its children have it whole in their command lines.
    let halves = marker.split_at(5);
    let script = format!(
        "m={}; m=${{m}}{}; sh -c 'echo started; while :; do sleep 1000; done' \"$m\" & \
         setsid sh -c 'while :; do sleep 1000; done' \"$m\" & sh -c 'trap \"\" HUP TERM; sleep 1000' \"$m\" & exit 7",
        halves.0, halves.1
    );
    sandbox.run(&Job::shell(&script)).exits(7);
    assert!(!is_left(&marker), "something is left running");
}

#[test]
fn its_status_is_the_runs() {
    let sandbox = Sandbox::new();
    for status in [0, 1, 9, 78, 255] {
        sandbox.run(&Job::shell(&format!("exit {status}"))).exits(status).does_not_complain("wjob:");
    }
    for (signal, number, name) in [("KILL", 9, "SIGKILL"), ("SEGV", 11, "SIGSEGV"), ("ABRT", 6, "SIGABRT")] {
        sandbox.run(&Job::shell(&format!("kill -{signal} $$"))).exits(128 + number).complains(name);
    }
}

#[test]
fn its_stdio_is_the_callers() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::shell("cat; echo aside >&2"));
    let command = sandbox.command("wjob", &["run", &file]);
    let ran = Running::start_with_input(command, b"fed\0\xff\x1b[2J").end();
    ran.exits(0).complains("aside");
    assert_eq!(ran.stdout, b"fed\0\xff\x1b[2J");
}

#[test]
fn a_script_runs_by_its_first_line() {
    let sandbox = Sandbox::below(PROGRAMS);
    let script = sandbox.write_program("script", "#!/bin/sh\necho \"$1 and $2\"; exit 4\n");
    sandbox.run(&Job::new(&script, &["one", "two"])).exits(4).says_only("one and two\n");
    sandbox.wjob(&["run", &script, "three", "four"]).exits(4).says_only("three and four\n");
}

/// A job sees its own program, wherever it lies.
#[test]
fn a_program_below_tmp_runs() {
    let sandbox = Sandbox::below("/tmp");
    let script = sandbox.write_program("script", "#!/bin/sh\necho ran; exit 4\n");
    sandbox.run(&Job::new(&script, &[])).exits(4).says_only("ran\n");
}

#[test]
fn a_program_that_cannot_be_executed_is_refused_with_the_reason() {
    let sandbox = Sandbox::below(PROGRAMS);
    let without_interpreter = sandbox.write_program("missing", "#!/no/such/interpreter\n");
    sandbox.run(&Job::new(&without_interpreter, &[])).exits(78).says_only("").complains("/no/such/interpreter");
    let not_executable = sandbox.write("not-executable", "#!/bin/sh\nexit 0\n");
    sandbox.run(&Job::new(&not_executable, &[])).exits(78).says_only("").complains("nobody may execute");
}

#[test]
fn isolation_none_is_said_and_has_no_walls() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "seen\n");
    let job = Job::new("/bin/cat", &[&sandbox.name("file")]);
    sandbox.run(&job).exits(1).says_only("");
    let ran = sandbox.run(&job.with("Isolation", "None"));
    ran.exits(0).says_only("seen\n").complains("mount").complains("Isolation is None");
    let guest = Job::guest("probe-exit", &["0"]).with("Isolation", "None");
    sandbox.run(&guest).exits(78).complains("native");
}

/// The kernel tells nobody what it refused a native program; what it had is said instead, once and when asked.
#[test]
fn what_a_failed_native_program_had_is_said_when_asked() {
    let sandbox = Sandbox::new();
    let folder = sandbox.make_folder("data");
    let job = Job::shell("cat /elsewhere").path(folder.to_str().expect("a path"), "/in", "ReadOnly");
    let ran = sandbox.run_with(&["--explain"], &job, &[]);
    ran.exits(1).complains("/in (ReadOnly)").complains("a network with nothing in it").complains("Isolation None");
    assert!(!sandbox.run(&job).stderr.contains("Isolation None"), "it was not asked for");
}

#[test]
fn the_whole_view_cannot_be_a_grant() {
    let sandbox = Sandbox::new();
    let folder = sandbox.make_folder("data");
    let job = Job::shell("true").path(folder.to_str().expect("a path"), "/", "ReadOnly");
    sandbox.run(&job).exits(78).complains("GuestPath / takes the place of the whole view");
}
