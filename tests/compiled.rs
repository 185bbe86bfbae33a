//! Compiled programs: made once, found again, never used when they were tampered with, made anew when the program
//! changes. Each test has a program of its own, because root's are kept in one place for all tests.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::harness::{self, Job, Sandbox};

/// A module that leaves with a status and holds a text, which makes it unlike any other.
fn module(status: u8, text: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "{text}")
            (func (export "_start") i32.const {status} call $exit))"#
    ))
    .expect("a module")
}

/// A text no other program has.
fn unique(sandbox: &Sandbox, name: &str) -> String {
    format!("only in {} as {name}", sandbox.name(""))
}

/// The compiled programs since `start` that hold a text.
fn entries(sandbox: &Sandbox, start: SystemTime, text: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.compiled_programs()).expect("the compiled programs");
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    // The kernel's clock for files lags behind by some milliseconds.
    let start = start - Duration::from_secs(1);
    let fresh = paths.filter(|path| {
        let changed = fs::metadata(path).and_then(|status| status.modified());
        changed.is_ok_and(|changed| changed >= start)
    });
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    fresh.filter(holds).collect()
}

#[test]
fn a_program_is_compiled_once() {
    let sandbox = Sandbox::with_own_caches();
    let program = sandbox.write("program.wasm", module(3, &unique(&sandbox, "once")));
    sandbox.wjob(&["compile", &program]).exits(0).says_only(format!("{program}: compiled\n"));
    sandbox.wjob(&["compile", &program]).exits(0).says_only(format!("{program}: was compiled already\n"));
    sandbox.wjob(&["run", &program]).exits(3);
    sandbox.wjob(&["compile", "--again", &program]).exits(0).says_only(format!("{program}: compiled\n"));
    sandbox.wjob(&["run", &program]).exits(3);
}

#[test]
fn a_run_compiles_and_the_next_finds_it() {
    let sandbox = Sandbox::with_own_caches();
    let program = sandbox.write("program.wasm", module(4, &unique(&sandbox, "run")));
    let job = Job::new(&program, &[]);
    sandbox.run(&job).exits(4);
    let file = sandbox.job_file(&job);
    sandbox.wjob(&["compile", &file]).exits(0).says("was compiled already");
    // The same bytes elsewhere are the same program.
    let copy = sandbox.write("copy.wasm", fs::read(&program).expect("the program"));
    sandbox.wjob(&["compile", &copy]).exits(0).says("was compiled already");
}

#[test]
fn a_changed_program_gets_new_code() {
    let sandbox = Sandbox::with_own_caches();
    for status in [5, 6, 7, 5] {
        let program = sandbox.write("program.wasm", module(status, &unique(&sandbox, "changed")));
        sandbox.wjob(&["run", &program]).exits(status.into());
    }
}

#[test]
fn what_was_tampered_with_is_compiled_again() {
    let sandbox = Sandbox::with_own_caches();
    let (start, text) = (SystemTime::now(), unique(&sandbox, "damaged"));
    let program = sandbox.write("program.wasm", module(8, &text));
    sandbox.wjob(&["compile", &program]).exits(0);
    let found = entries(&sandbox, start, &text);
    let [entry] = &found[..] else { panic!("expected one compiled program that holds {text:?}, found {found:?}") };
    let status = fs::metadata(entry).expect("the entry");
    assert_eq!(status.mode() & 0o022, 0, "somebody else could change {}", entry.display());
    let file = OpenOptions::new().write(true).open(entry).expect("the entry");
    file.write_all_at(b"damaged", status.len() / 2).expect("damage");
    sandbox.wjob(&["run", &program]).exits(8);
    sandbox.wjob(&["compile", &program]).exits(0).says("was compiled already");
    // An empty one, and none at all.
    OpenOptions::new().write(true).truncate(true).open(entry).expect("the entry");
    sandbox.wjob(&["compile", &program]).exits(0).says("compiled");
    fs::remove_file(entry).expect("the entry");
    sandbox.wjob(&["compile", &program]).exits(0).says("compiled");
    sandbox.wjob(&["run", &program]).exits(8);
}

#[test]
fn what_cannot_be_compiled_is_said_and_the_rest_is_done() {
    let sandbox = Sandbox::with_own_caches();
    let good = sandbox.write("good.wasm", module(0, &unique(&sandbox, "good")));
    let guest = fs::read(harness::guest("probe-exit")).expect("a guest");
    let broken = sandbox.write("broken.wasm", &guest[..guest.len() / 2]);
    let text = sandbox.write("text", "Dear reader,\n");
    let missing = sandbox.name("missing.wasm");
    sandbox.wjob(&["compile", &broken, &good]).exits(78).complains(&broken).says(": compiled");
    sandbox.wjob(&["compile", &text]).exits(65).complains(&text);
    sandbox.wjob(&["compile", &missing]).exits(65).complains(&missing);
    sandbox.wjob(&["compile", "/bin/sh"]).exits(0).says("native");
    sandbox.wjob(&["compile"]).exits(64);
    let reactor = wat::parse_str(r#"(module (func (export "_initialize")))"#).expect("a module");
    let reactor = sandbox.write("reactor.wasm", reactor);
    // It is valid code; that nothing in it can be run is said when somebody tries.
    sandbox.wjob(&["compile", &reactor]).exits(0).says("compiled");
}

/// A pipe sees no message about compiling, and a folder that cannot be used costs time and nothing else.
#[test]
fn compiling_is_quiet_and_needs_no_place_to_keep() {
    let sandbox = Sandbox::with_own_caches();
    let program = sandbox.write("program.wasm", module(2, &unique(&sandbox, "quiet")));
    let ran = sandbox.wjob(&["run", &program]);
    ran.exits(2);
    assert_eq!(ran.stderr, "", "{}", ran.described());
    if harness::is_root() {
        return; // Root's place is fixed.
    }
    let mut command = sandbox.command("wjob", &["run", &program]);
    command.env("XDG_CACHE_HOME", "/proc/no-such-folder");
    harness::Running::start(command).end().exits(2).complains("not kept");
}

/// Unsigned LEB128, as the binary format writes numbers.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// A function with very many variables, each of which may have been changed at each of very many joins: five
/// megabytes that need many gigabytes to compile.
fn bomb() -> Vec<u8> {
    const VARIABLES: usize = 40_000;
    const JOINS: usize = 330_000;
    let section = |kind: u8, content: Vec<u8>| [vec![kind], number(content.len()), content].concat();
    let mut body = [number(1), number(VARIABLES), vec![0x7f]].concat();
    let mut state = 1usize;
    let mut variable = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number((state >> 33) % VARIABLES)
    };
    for _ in 0..JOINS {
        let (one, other) = (variable(), variable());
        // block; local.get one; br_if 0; local.get other; local.set one; end
        body.extend(
            [vec![0x02, 0x40, 0x20], one.clone(), vec![0x0d, 0, 0x20], other, vec![0x21], one, vec![0x0b]].concat(),
        );
    }
    body.push(0x0b);
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, vec![1, 0]),
        section(10, [vec![1], number(body.len()), body].concat()),
    ]
    .concat()
}

#[test]
fn a_compile_bomb_ends_at_the_limits_of_the_role() {
    let sandbox = Sandbox::new();
    let bomb = sandbox.write("bomb.wasm", bomb());
    sandbox.wjob(&["compile", &bomb]).exits(78).complains("bomb.wasm reached the limit");
}
