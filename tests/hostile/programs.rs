//! Programs made to exhaust whoever reads or compiles them. Each is refused in few words, or does no harm; nothing of
//! them is kept in memory whole, and nothing hangs. What a program does once it runs is in the corpus.

use std::fs::File;
use std::io::Write;

use crate::harness::{Job, Ran, Sandbox};

/// A message that is to be read by a person.
const FEW_WORDS: usize = 20_000;

#[track_caller]
fn refused(ran: &Ran) {
    assert!([65, 78].contains(&ran.status), "it was not refused: status {}\n{}", ran.status, start(&ran.stderr));
    assert!(ran.stderr.len() < FEW_WORDS, "{} bytes were said: {}", ran.stderr.len(), start(&ran.stderr));
}

fn start(text: &str) -> String {
    text.chars().take(1000).collect()
}

fn run(sandbox: &Sandbox, name: &str, text: &str) -> Ran {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let program = sandbox.write(name, bytes);
    sandbox.run(&Job::new(&program, &[]))
}

#[test]
fn types_of_types_without_end_are_refused() {
    let sandbox = Sandbox::new();
    for depth in [1_000, 50_000] {
        let types: String = (1..depth).map(|number| format!("(type $t{number} (list $t{}))\n", number - 1)).collect();
        let text = format!("(component (type $t0 (list u8))\n{types})");
        refused(&run(&sandbox, &format!("deep-{depth}.wasm"), &text));
    }
}

/// Ten thousand are allowed by the format, and a million are not.
#[test]
fn a_variant_of_very_many_cases_hurts_nobody() {
    let sandbox = Sandbox::new();
    for cases in [10_000, 1_000_000] {
        let list: String = (0..cases).map(|number| format!("(case \"c{number}\" u32) ")).collect();
        refused(&run(&sandbox, &format!("wide-{cases}.wasm"), &format!("(component (type (variant {list})))")));
    }
}

#[test]
fn a_name_of_a_megabyte_is_refused_in_few_words() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(1 << 20);
    refused(&run(&sandbox, "name.wasm", &format!("(component (import \"a:{long}/b\" (instance)))")));
    let module = format!("(module (import \"{long}\" \"f\" (func)) (func (export \"_start\")))");
    refused(&run(&sandbox, "module.wasm", &module));
    let many: String = (0..50_000).map(|number| format!("(import \"m\" \"f{number}\" (func))\n")).collect();
    refused(&run(&sandbox, "many.wasm", &format!("(module {many} (func (export \"_start\")))")));
}

/// A file with a hole: it has its length, takes no room on the disk, and would take all of it in memory.
#[test]
fn a_program_of_six_hundred_megabytes_is_refused_unread() {
    let sandbox = Sandbox::new();
    let program = sandbox.write("huge.wasm", b"\0asm\x01\0\0\0");
    let mut file = File::options().append(true).open(&program).expect("the file");
    // A custom section that is longer than the rest of the file.
    file.write_all(&[0, 0xff, 0xff, 0xff, 0xff, 0x0f]).expect("a few bytes");
    file.set_len(600 << 20).expect("a file with a hole");
    let ran = sandbox.run(&Job::new(&program, &[]));
    refused(&ran);
    ran.complains("huge.wasm has more than");
}
