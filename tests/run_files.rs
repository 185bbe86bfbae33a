//! `wjob run JOB.plist`: the keys of a job file, each seen in what the job finds: its arguments, variables, folder,
//! umask and stdio. Grants are in `grants` and `network`, limits in `limits`.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use plist::Value;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use crate::harness::{self, Job, Sandbox, Stream, VARIABLE, texts};
use crate::stopping::{children, silent};

/// `O_NONBLOCK`: the reader of a FIFO does not wait for a writer.
fn without_waiting() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

#[test]
fn program_and_arguments() {
    let sandbox = Sandbox::new();
    let guest = harness::guest("probe-args");
    let both = Job::bare().with("Program", guest.as_str()).with("ProgramArguments", texts(["called so", "one", "two"]));
    sandbox.run(&both).exits(0).says_only("called so\none\ntwo\n");
    let arguments_only = Job::new(&guest, &["one"]);
    sandbox.run(&arguments_only).exits(0).says_only(format!("{guest}\none\n"));
    let program_only = Job::bare().with("Program", guest.as_str());
    sandbox.run(&program_only).exits(0).says_only(format!("{guest}\n"));
    let native = Job::bare().with("Program", "/bin/sh").with("ProgramArguments", texts(["called so", "-c", "echo $0"]));
    sandbox.run(&native).exits(0).says_only("called so\n");
}

#[test]
fn a_relative_program_begins_at_the_folder_of_the_file() {
    let sandbox = Sandbox::new();
    let bytes = fs::read(harness::guest("probe-exit")).expect("a guest");
    sandbox.write("program.wasm", bytes);
    sandbox.run(&Job::new("./program.wasm", &["7"])).exits(7);
}

#[test]
fn a_bare_name_is_found_in_the_standard_path() {
    let sandbox = Sandbox::new();
    sandbox.run(&Job::new("sh", &["-c", "exit 8"])).exits(8);
    sandbox.run(&Job::bare().with("Program", "true")).exits(0);
}

#[test]
fn further_arguments_are_the_jobs() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-args", &["one"]);
    sandbox.run_with(&[], &job, &["--", "--two", "-3"]).exits(0).says("\none\n--two\n-3\n");
    sandbox.run_with(&[], &job, &["two", "--three"]).exits(0).says("\none\ntwo\n--three\n");
}

#[test]
fn the_environment_is_what_the_file_says() {
    let sandbox = Sandbox::new();
    let job = Job::bare().with("Program", harness::guest("probe-args")).with("ProgramArguments", texts(["x"]));
    sandbox.run(&job).exits(0).says_only("x\n");
    let set = job.clone().with_in("EnvironmentVariables", "B", "2").with_in("EnvironmentVariables", "A", "<1> & more");
    sandbox.run(&set).exits(0).says_only("x\nA=<1> & more\nB=2\n");
    let passed = set.grant("Environment", VARIABLE.0);
    let all = format!("x\nA=<1> & more\nB=2\n{}={}\n", VARIABLE.0, VARIABLE.1);
    sandbox.run(&passed).exits(0).says_only(all);
    let both = job.grant("Environment", VARIABLE.0).with_in("EnvironmentVariables", VARIABLE.0, "from the file");
    sandbox.run(&both).exits(0).says_only(format!("x\n{}=from the file\n", VARIABLE.0));
}

#[test]
fn a_native_job_sees_no_other_variables() {
    let sandbox = Sandbox::new();
    let job = Job::new("/usr/bin/env", &[]).with_in("EnvironmentVariables", "A", "1");
    let ran = sandbox.run(&job);
    ran.exits(0).says("A=1\n");
    for line in ran.output().lines() {
        assert!(line == "A=1" || line.starts_with("PATH="), "{line} was not granted\n{}", ran.described());
    }
    sandbox.run(&job.grant("Environment", VARIABLE.0)).exits(0).says(VARIABLE.1);
}

/// What the loader of a worker reads could change it before its walls are up.
#[test]
fn nothing_of_a_jobs_environment_reaches_the_start_of_its_worker() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-sleep", &["1000"]).with_in("EnvironmentVariables", "LD_PRELOAD", "/no/such/library");
    let running = silent(&sandbox, &job.grant("Environment", VARIABLE.0));
    let workers = children(running.pid());
    assert!(!workers.is_empty(), "no worker was found");
    for worker in workers {
        match fs::read(format!("/proc/{worker}/environ")) {
            Ok(environment) => assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment)),
            // What holds no right to be looked at is not to be looked at by its own user either.
            Err(error) => println!("skipped: only who may trace a worker can look at its environment: {error}"),
        }
    }
    running.signal(Signal::TERM);
    running.end().exits(143);
}

#[test]
fn a_guests_working_directory_lies_in_a_grant() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data/inner");
    sandbox.write("data/file", "outer\n");
    sandbox.write("data/inner/file", "inner\n");
    let data = sandbox.name("data");
    let job = |folder: &str| {
        Job::guest("probe-cwd", &["file"]).path(&data, "/data", "ReadOnly").with("WorkingDirectory", folder)
    };
    sandbox.run(&job("/data")).exits(0).says("\"outer\\n\"");
    sandbox.run(&job("/data/inner")).exits(0).says("\"inner\\n\"");
    for folder in ["/", "/elsewhere", data.as_str(), "/data/missing", "/data/../data2"] {
        sandbox.run(&job(folder)).exits(78).complains("WorkingDirectory");
    }
    // It brings the rights of its grant and no more.
    let writing = |access: &str| {
        Job::guest("probe-write", &["new", "x"]).path(&data, "/data", access).with("WorkingDirectory", "/data/inner")
    };
    sandbox.run(&writing("ReadOnly")).exits(3);
    assert!(!sandbox.path("data/inner/new").exists());
    sandbox.run(&writing("ReadWrite")).exits(0);
    assert_eq!(sandbox.read("data/inner/new"), "x");
}

#[test]
fn a_native_working_directory_must_exist() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    let data = sandbox.name("data");
    let job = |folder: &str| Job::shell("pwd").with("WorkingDirectory", folder);
    sandbox.run(&job("/usr")).exits(0).says_only("/usr\n");
    sandbox.run(&job("/data").path(&data, "/data", "ReadOnly")).exits(0).says_only("/data\n");
    sandbox.run(&Job::shell("pwd")).exits(0).says_only("/\n");
    for folder in ["/missing", data.as_str()] {
        sandbox.run(&job(folder)).exits(78).says_only("").complains(folder);
    }
}

#[test]
fn the_umask_holds_for_what_the_job_makes() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    let data = sandbox.name("data");
    // As a number, as launchd reads it: decimal; as a string: octal.
    for (number, (umask, mode)) in
        [(Value::from(0o077), 0o600), (Value::from("027"), 0o640), (Value::from(0o002), 0o664)].into_iter().enumerate()
    {
        let (guest, native) = (format!("guest-{number}"), format!("native-{number}"));
        let wasm = Job::guest("probe-write", &[&format!("/data/{guest}"), "x"]);
        let shell = Job::shell(&format!("> /data/{native}"));
        for (job, name) in [(wasm, guest), (shell, native)] {
            sandbox.run(&job.path(&data, "/data", "ReadWrite").with("Umask", umask.clone())).exits(0);
            assert_eq!(sandbox.mode(&format!("data/{name}")), mode, "{name} under {umask:?}");
        }
    }
}

#[test]
fn standard_output_is_appended_to_its_path() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("log");
    for (name, job) in [("guest", Job::guest("probe-output", &["10"])), ("native", Job::shell("echo 123456789"))] {
        let path = sandbox.name(&format!("log/{name}"));
        let job = job.with("StandardOutPath", path.as_str()).with("Umask", "027");
        sandbox.run(&job).exits(0).says_only("");
        let once = sandbox.read(&format!("log/{name}"));
        assert_eq!(once.len(), 10, "{once}");
        assert_eq!(sandbox.mode(&format!("log/{name}")), 0o640);
        sandbox.run(&job).exits(0).says_only("");
        assert_eq!(sandbox.read(&format!("log/{name}")), once.repeat(2));
    }
}

#[test]
fn all_three_may_have_paths() {
    let sandbox = Sandbox::new();
    let input = sandbox.write("in", "fed\n");
    let (output, errors) = (sandbox.name("out"), sandbox.name("err"));
    let guest = Job::guest("probe-stdin", &[]).with("StandardInPath", input.as_str());
    sandbox.run(&guest).exits(0).says_only("fed\n");
    let job = Job::shell("cat; echo wrong >&2")
        .with("StandardInPath", input)
        .with("StandardOutPath", output)
        .with("StandardErrorPath", errors);
    let ran = sandbox.run(&job);
    ran.exits(0).says_only("").does_not_complain("wrong");
    assert_eq!((sandbox.read("out").as_str(), sandbox.read("err").as_str()), ("fed\n", "wrong\n"));
    // One path for both: nothing is overwritten.
    let both = sandbox.name("both");
    let job = Job::shell("echo one; echo two >&2; echo three")
        .with("StandardOutPath", both.as_str())
        .with("StandardErrorPath", both);
    sandbox.run(&job).exits(0);
    assert_eq!(sandbox.read("both"), "one\ntwo\nthree\n");
}

#[test]
fn a_stdio_path_that_cannot_be_opened_is_named() {
    let sandbox = Sandbox::new();
    let missing = sandbox.name("missing/file");
    let folder = harness::text(&sandbox.make_folder("folder"));
    for key in ["StandardInPath", "StandardOutPath", "StandardErrorPath"] {
        for job in [Job::guest("probe-exit", &["0"]), Job::shell("exit 0")] {
            sandbox.run(&job.with(key, missing.as_str())).exits(78).complains(key).complains(&missing);
        }
    }
    sandbox.run(&Job::shell("exit 0").with("StandardOutPath", folder.as_str())).exits(78).complains(&folder);
    assert!(!sandbox.path("missing").exists());
}

/// The worker opens it as the job's user would, with no power over modes that a name space of its own would give.
#[test]
fn a_folder_nobody_may_write_to_takes_no_output() {
    let sandbox = Sandbox::new();
    let folder = sandbox.make_folder("sealed");
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("a mode");
    let ran = sandbox.run(&Job::shell("echo out").with("StandardOutPath", sandbox.name("sealed/out").as_str()));
    // Root's own power over modes is real.
    ran.exits(if harness::is_root() { 0 } else { 78 });
    assert_eq!(sandbox.path("sealed/out").exists(), harness::is_root());
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn a_fifo_as_standard_output_hangs_nothing() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.make_fifo("fifo");
    let jobs = [Job::guest("probe-output", &["1000"]), Job::shell("head -c 1000 /dev/zero")];
    for job in jobs.map(|job| job.with("StandardOutPath", fifo.as_str())) {
        sandbox.run(&job).exits(78).complains(&fifo);
        let reader = OpenOptions::new().read(true).custom_flags(without_waiting()).open(&fifo).expect("the reader");
        sandbox.run(&job).exits(0).says_only("");
        // All of it is in the pipe, whose writers are gone.
        assert_eq!(Stream::of(reader).whole().len(), 1000);
    }
}

#[test]
fn patterns_are_expanded_in_the_jobs_own_view() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/b.txt", "");
    sandbox.write("data/a.txt", "");
    sandbox.write("data/c.log", "");
    let data = sandbox.name("data");
    let outside = format!("{data}/*.txt");
    let words = ["x", "/data/*.txt", "/data/*.none", "/data/c.*", outside.as_str()];
    let whole = format!("/data/a.txt\n/data/b.txt\n/data/*.none\n/data/c.log\n{outside}\n");
    let guest = Job::bare().with("Program", harness::guest("probe-args"));
    let native = Job::bare().with("Program", "/usr/bin/printf");
    let native_words = [&["x", "%s\\n"][..], &words[1..]].concat();
    for (job, words, first) in [(guest, &words[..], "x\n"), (native, &native_words[..], "")] {
        let job = job.with("ProgramArguments", texts(words.iter().copied())).path(&data, "/data", "ReadOnly");
        sandbox.run(&job).exits(0).says("/data/*.txt\n");
        sandbox.run(&job.with("EnableGlobbing", true)).exits(0).says_only(format!("{first}{whole}"));
    }
}

#[test]
fn a_nice_job_is_nice() {
    let sandbox = Sandbox::new();
    let niceness = |job: &Job| {
        let ran = sandbox.run(job);
        let text = ran.exits(0).output().trim().to_owned();
        text.parse::<i32>().unwrap_or_else(|error| panic!("{error}\n{}", ran.described()))
    };
    let own = niceness(&Job::new("/usr/bin/nice", &[]));
    let wanted = (own + 5).min(19);
    assert_eq!(niceness(&Job::new("/usr/bin/nice", &[]).with("Nice", wanted)), wanted);
}

#[test]
fn a_job_goes_before_others_only_where_root_says_so() {
    let sandbox = Sandbox::new();
    let job = Job::new("/usr/bin/nice", &[]).with("Nice", -3);
    if !harness::is_root() {
        sandbox.run(&job).exits(77).says_only("").complains("Nice is -3, and below 0 takes root");
    } else if may_raise_priorities() {
        sandbox.run(&job).exits(0).says_only("-3\n");
    } else {
        sandbox.run(&job).exits(78).says_only("").complains("Nice");
    }
}

/// Whether root is left CAP_SYS_NICE (capability 23 of linux/capability.h).
pub fn may_raise_priorities() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("this process");
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("its capabilities");
    u64::from_str_radix(held.trim(), 16).expect("a number") & (1 << 23) != 0
}

/// Where the starter is nicer than the job is to be, and has no right to go back.
#[test]
fn a_priority_that_is_not_to_be_had_is_no_other() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::new("/usr/bin/nice", &[]).with("Nice", 0));
    let wjob = harness::text(&harness::binary("wjob"));
    let without_right = ["/usr/bin/setpriv", "--bounding-set=-sys_nice"];
    let first: &[&str] = if harness::is_root() { &without_right } else { &[] };
    let nicer = ["/usr/bin/prlimit", "--nice=0:0", "/usr/bin/nice", "-n", "10", wjob.as_str(), "run", file.as_str()];
    let words = [first, &nicer[..]].concat();
    let command = sandbox.command_at(Path::new(words[0]), &words[1..]);
    harness::Running::start(command).end().exits(78).says_only("").complains("Nice").complains("RLIMIT_NICE");
}

#[test]
fn a_job_of_another_user_is_not_run() {
    let sandbox = Sandbox::new();
    let own = rustix::process::geteuid().as_raw();
    for other in ["nobody-has-this-name", if own == 0 { "daemon" } else { "root" }] {
        let job = Job::guest("probe-exit", &["0"]).with("UserName", other);
        sandbox.run(&job).exits(77).complains("UserName").complains(other);
    }
    if own == 0 {
        sandbox.run(&Job::guest("probe-exit", &["6"]).with("UserName", "root")).exits(6);
    }
}

#[test]
fn what_the_file_means_decides_whether_it_runs() {
    let sandbox = Sandbox::new();
    let job = || Job::guest("probe-exit", &["5"]);
    sandbox.run(&job().with("NoSuchKey", 1)).exits(5).complains("NoSuchKey");
    sandbox.run(&job().with("KeepAlive", true).with("RunAtLoad", true)).exits(5);
    for bad in [job().with("Nice", "many"), job().with("Umask", true), job().limit("NoSuchLimit", 1)] {
        sandbox.run(&bad).exits(65).says_only("").complains("error[");
    }
    let broken = sandbox.write("broken.plist", "<plist><dict><key>Label</key>");
    sandbox.wjob(&["run", &broken]).exits(65).complains("broken.plist");
}

#[test]
fn a_job_file_may_come_from_standard_input() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::guest("probe-exit", &["5"]));
    let text = fs::read(file).expect("a job file");
    let command = sandbox.command("wjob", &["run", "-"]);
    harness::Running::start_with_input(command, &text).end().exits(5);
}

/// What a program holds open it can use whatever wall is around it: writing the memory of the process outside, a disk.
#[test]
fn what_is_no_file_is_opened_for_nobodys_input_and_output() {
    let sandbox = Sandbox::new();
    for (key, path) in [
        ("StandardInPath", "/proc/self/mem"),
        ("StandardOutPath", "/proc/self/mem"),
        ("StandardErrorPath", "/proc/self/oom_score_adj"),
        ("StandardInPath", "/proc/self/environ"),
    ] {
        for job in [Job::shell("true"), Job::guest("probe-exit", &["0"])] {
            sandbox.run(&job.with(key, path)).exits(78).complains(key).complains("it leads into /proc or /sys");
        }
    }
    sandbox.run(&Job::shell("cat").with("StandardInPath", "/dev/null").with("StandardOutPath", "/dev/zero")).exits(0);
    sandbox
        .run(&Job::shell("true").with("StandardOutPath", "/dev/kmsg"))
        .exits(78)
        .complains("StandardOutPath /dev/kmsg");
}

/// Opening alone makes a file, wakes who waits at a FIFO, and starts what a driver does.
#[test]
fn what_is_refused_for_input_and_output_was_never_opened() {
    let sandbox = Sandbox::new();
    let runtime = sandbox.make_folder("run");
    sandbox.make_folder("run/wjob");
    let fifo = sandbox.make_fifo("run/wjob/fifo");
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = rustix::fs::open(fifo.as_str(), flags, Mode::empty()).expect("a FIFO needs no writer to be read");
    let unmade = sandbox.name("run/wjob/unmade");
    sandbox.link(&unmade, "link");
    for (key, path) in [
        ("StandardOutPath", &fifo),
        ("StandardErrorPath", &fifo),
        ("StandardOutPath", &unmade),
        ("StandardErrorPath", &sandbox.name("link")),
    ] {
        for job in [Job::shell("true"), Job::guest("probe-exit", &["0"])] {
            let mut command = sandbox.command("wjob", &["run", &sandbox.job_file(&job.with(key, path.as_str()))]);
            command.env("XDG_RUNTIME_DIR", &runtime);
            harness::Running::start(command).end().exits(78).complains(key).complains("which is wjob's own");
        }
    }
    assert!(!sandbox.path("run/wjob/unmade").exists());
    // A writer that came and went would have left the end of the stream behind (poll(2), POLLHUP).
    let mut seen = [PollFd::new(&reader, PollFlags::IN)];
    assert_eq!(poll(&mut seen, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0), "somebody has opened the FIFO");
}
