//! `wjob learn`: what a guest did under recording grants comes out as the least grants with which it does the same again.
//! How paths become grants is tested in the model.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::thread;

use wjob_model::grant::Grants;
use wjob_model::spec::{self, Context};

use crate::harness::{self, Job, Ran, Sandbox, VARIABLE};

/// The grants that were printed: they are the value of a key of any job file.
#[track_caller]
fn learned(ran: &Ran) -> Grants {
    grants(&ran.output(), "/")
}

#[track_caller]
fn grants(lines: &str, home: &str) -> Grants {
    let text = job_with("/a", &[], lines);
    let loaded = spec::load(text.as_bytes(), &Context { folder: "/", home, uid: 1000 });
    loaded.job.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings)).grants
}

/// A job file with these lines in it.
fn job_with(program: &str, arguments: &[&str], lines: &str) -> String {
    let words = std::iter::once(&program).chain(arguments).map(|word| format!("<string>{word}</string>"));
    let words: String = words.collect();
    format!(
        "<plist version=\"1.0\"><dict><key>Label</key><string>com.example.test</string>\
         <key>ProgramArguments</key><array>{words}</array>{lines}</dict></plist>"
    )
}

/// A sandbox with a folder of two files.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.make_folder("data/inner");
    sandbox.write("data/file", "text\n");
    sandbox.write("data/inner/file", "text\n");
    sandbox
}

fn learn(sandbox: &Sandbox, options: &[&str], job: &Job) -> Ran {
    let file = sandbox.job_file(job);
    sandbox.wjob(&[&["learn"][..], options, &[file.as_str()]].concat())
}

#[test]
fn what_a_guest_did_is_granted_and_no_more_and_it_does_it_again() {
    for (probe, arguments, expected) in [
        ("probe-read", &["/data/file"][..], "ReadOnly {data}/file as /data/file"),
        ("probe-stat", &["/data/inner/file"], "ReadOnly {data}/inner/file as /data/inner/file"),
        ("probe-list", &["/data/inner"], "ReadOnly {data}/inner as /data/inner"),
        ("probe-append", &["/data/file", "more"], "ReadWrite {data}/file as /data/file"),
        ("probe-write", &["/data/inner/new", "x"], "ReadWrite {data}/inner as /data/inner"),
        ("probe-remove", &["/data/inner/file"], "ReadWrite {data}/inner as /data/inner"),
        ("probe-mkdir", &["/data/new"], "ReadWrite {data} as /data"),
    ] {
        let sandbox = sandbox();
        let data = sandbox.name("data");
        let root = format!("{data}:/data");
        let ran = learn(&sandbox, &["--root", &root, "--rw-root"], &Job::guest(probe, arguments));
        ran.exits(0).complains("granted: ");
        assert_eq!(learned(&ran).in_words(), [expected.replace("{data}", &data)], "{probe}\n{}", ran.described());
        // With a fresh folder it can do the same, and nothing else was needed.
        let again = self::sandbox();
        let lines = ran.output().replace(&data, &again.name("data"));
        let file = again.write("learned.plist", job_with(&harness::guest(probe), arguments, &lines));
        again.wjob(&["run", &file]).exits(0).says("granted: ");
    }
}

#[test]
fn wordcount_gives_back_its_own_grants() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("home/wjob-wordcount/texts");
    sandbox.make_folder("home/wjob-wordcount/result");
    let examples = harness::root().join("examples/wordcount");
    for text in ["garden.txt", "harbour.txt"] {
        let to = sandbox.path("home/wjob-wordcount/texts").join(text);
        fs::copy(examples.join("texts").join(text), to).expect("a text");
    }
    let file = examples.join("wordcount.plist");
    let own = fs::read_to_string(&file).expect("a job file");
    let home = sandbox.name("home");
    let loaded = spec::load(own.as_bytes(), &Context { folder: "/", home: &home, uid: 1000 });
    let own = loaded.job.expect("a job").grants;
    let root = format!("{home}/wjob-wordcount:/");
    let ran = sandbox.wjob(&["learn", "--root", &root, "--rw-root", &harness::text(&file)]);
    ran.exits(0).complains("46 words, 28 different, in 2 texts");
    let sorted = |grants: Grants| {
        let mut words = grants.in_words();
        words.sort();
        words
    };
    assert_eq!(sorted(learned(&ran)), sorted(own), "{}", ran.described());
}

#[test]
fn nothing_is_written_but_by_the_job_itself() {
    let sandbox = sandbox();
    let root = format!("{}:/data", sandbox.name("data"));
    let job = Job::guest("probe-read", &["/data/file"]);
    let file = sandbox.job_file(&job);
    let before = sandbox.snapshot("");
    let ran = sandbox.wjob(&["learn", "--root", &root, &file]);
    ran.exits(0).says("<key>Grants</key>");
    assert_eq!(sandbox.snapshot(""), before, "{}", ran.described());
}

#[test]
fn what_would_have_been_changed_is_learned_though_it_was_refused() {
    let sandbox = sandbox();
    let root = format!("{}:/data", sandbox.name("data"));
    let before = sandbox.snapshot("data");
    let ran = learn(&sandbox, &["--root", &root], &Job::guest("probe-write", &["/data/inner/new", "x"]));
    ran.exits(3).complains("changing /data/inner/new: refused: without --rw-root");
    let expected = format!("ReadWrite {} as /data/inner", sandbox.name("data/inner"));
    assert_eq!(learned(&ran).in_words(), [expected], "{}", ran.described());
    assert_eq!(sandbox.snapshot("data"), before);
}

#[test]
fn what_lies_outside_is_refused_said_and_not_granted() {
    let sandbox = sandbox();
    let root = format!("{}:/data", sandbox.name("data/inner"));
    for (probe, arguments, what) in [
        ("probe-read", &["/elsewhere/file"][..], "reading /elsewhere/file"),
        ("probe-read", &["/data/../file"], "denied: read"),
        ("probe-connect", &["127.0.0.1:9"], "making a tcp socket"),
    ] {
        let ran = learn(&sandbox, &["--root", &root], &Job::guest(probe, arguments));
        ran.exits(3).complains(what);
        assert_eq!(learned(&ran), Grants::default(), "{}", ran.described());
    }
}

#[test]
fn destinations_are_learned_with_the_port_that_was_reached() {
    // A network is let loose to, and what is learned is the address in it.
    for connect in ["tcp://127.0.0.1:*", "tcp://127.0.0.0/8:*", "tcp://0.0.0.0/0:*"] {
        let sandbox = Sandbox::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address").to_string();
        // It reads what the probe says and closes, which the probe takes for an answer.
        let server = thread::spawn(move || listener.accept().map(|(mut client, _)| client.read(&mut [0; 64]).is_ok()));
        let ran = learn(&sandbox, &["--connect", connect], &Job::guest("probe-connect", &[&address]));
        ran.exits(0);
        assert!(server.join().expect("a server").expect("a client"), "{}", ran.described());
        assert_eq!(learned(&ran).in_words(), [format!("connect tcp://{address}")], "{}", ran.described());
    }
}

#[test]
fn what_lies_outside_of_a_network_is_refused_and_not_learned() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-connect", &["127.0.0.1:9"]);
    let ran = learn(&sandbox, &["--connect", "tcp://10.0.0.0/8:*"], &job);
    ran.exits(3).complains("connecting to tcp://127.0.0.1:9: refused: none of --root, --connect");
    assert_eq!(learned(&ran), Grants::default(), "{}", ran.described());
}

#[test]
fn networks_are_for_learning_alone() {
    let sandbox = Sandbox::new();
    let network = "tcp://10.0.0.0/8:80";
    let job = Job::guest("probe-connect", &["10.0.0.1:80"]).grant("Connect", network);
    let file = sandbox.job_file(&job);
    sandbox.wjob(&["run", &file]).exits(65).complains("a grant covers a whole host and port, not a path");
    let probe = harness::guest("probe-connect");
    sandbox.wjob(&["run", "--connect", network, &probe]).exits(65).complains("a whole host and port");
}

#[test]
fn variables_are_those_of_the_file_and_of_the_command_line() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-environment", &[VARIABLE.0]).grant("Environment", "TZ");
    let ran = learn(&sandbox, &["--env", VARIABLE.0], &job);
    ran.exits(0).complains("a guest is handed all variables at once");
    assert_eq!(learned(&ran).environment, ["TZ", VARIABLE.0], "{}", ran.described());
}

#[test]
fn a_program_without_a_job_file_is_learned_from_too() {
    let sandbox = sandbox();
    let guest = harness::guest("probe-list");
    let data = sandbox.name("data");
    let ran = sandbox.wjob(&["learn", "--root", &data, &guest, "--", &data]);
    ran.exits(0).complains("2 names: file inner");
    assert_eq!(learned(&ran).in_words(), [format!("ReadOnly {data}")], "{}", ran.described());
}

#[test]
fn a_preview_1_module_is_learned_from() {
    let sandbox = sandbox();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "inner/file")
        (data (i32.const 96) "inner")
        (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 10)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 96) (i32.const 5)
                (i32.const 2) (i64.const 16384) (i64.const 0) (i32.const 0) (i32.const 0)))
            LIST))"#;
    let listing = "(drop (call $list (i32.const 3) (i32.const 1024) (i32.const 512) (i64.const 0) (i32.const 8)))";
    let data = sandbox.name("data");
    let root = format!("{data}:/data");
    for (more, expected) in
        [("", format!("ReadOnly {data}/inner as /data/inner")), (listing, format!("ReadOnly {data} as /data"))]
    {
        let module = wat::parse_str(text.replace("LIST", more)).expect("a module");
        let program = sandbox.write("program.wasm", module);
        let ran = learn(&sandbox, &["--root", &root], &Job::new(&program, &[]));
        ran.exits(0);
        assert_eq!(learned(&ran).in_words(), [expected], "{}", ran.described());
    }
}

#[test]
fn what_cannot_be_learned_from_is_refused_with_the_reason() {
    let sandbox = sandbox();
    learn(&sandbox, &[], &Job::shell("true")).exits(64).says_only("").complains("the kernel tells nobody");
    let guest = Job::guest("probe-exit", &["0"]);
    learn(&sandbox, &["--root", "/proc"], &guest).exits(64).says_only("").complains("/proc");
    learn(&sandbox, &["--env", "A=b"], &guest).exits(64).complains("only names are passed on");
    learn(&sandbox, &["--connect", "tcp://10.0.0.1/8:*"], &guest)
        .exits(64)
        .says_only("")
        .complains("--connect tcp://10.0.0.1/8:*")
        .complains("that network is 10.0.0.0/8")
        .complains("or name single addresses");
    learn(&sandbox, &["--root", &sandbox.name("none")], &guest).exits(78).says_only("").complains("none");
    sandbox.wjob(&["learn", &sandbox.name("none.plist")]).exits(78).complains("none.plist");
    let bad = sandbox.write("bad.plist", "{ Label = a; }");
    sandbox.wjob(&["learn", &bad]).exits(65).complains("wjob check");
}
