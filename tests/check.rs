//! `wjob check` and `wjob keys` as a person or a script meets them: status, words, places, JSON, and that no file,
//! however made, does anything to the terminal or the machine. Which rules there are is the model's and `plists`'s;
//! here each kind of outcome is met once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use wjob_model::keys;

use crate::harness::{Job, Ran, Running, Sandbox, is_root};

/// What `check` says of the probes, which are components made for wasm32-wasip2.
const HOW: &str = "runs wasi:cli/run 0.2 as a command";
/// Kilobytes of address space, and seconds of CPU time, in which every file must be dealt with.
const BOUNDS: &str = "ulimit -v 1048576 && ulimit -t 20";

/// A property list of these lines inside the outer dictionary.
fn list(lines: &str) -> String {
    format!("<plist version=\"1.0\">\n<dict>\n{lines}\n</dict>\n</plist>\n")
}

/// A job of /bin/true with further lines.
fn native(lines: &str) -> String {
    list(&format!(
        "    <key>Label</key>\n    <string>com.example.check</string>\n    \
         <key>Program</key>\n    <string>/bin/true</string>\n{lines}"
    ))
}

/// Writes a list and checks it, with options before the file's name.
fn check(sandbox: &Sandbox, text: impl AsRef<[u8]>, options: &[&str]) -> Ran {
    sandbox.write("job.plist", text);
    sandbox.wjob(&[&["check"][..], options, &["job.plist"]].concat())
}

/// Standard output as JSON, a value for each line.
fn rows(ran: &Ran) -> Vec<Value> {
    let parse = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}\n{}", ran.described()))
    };
    ran.output().lines().map(parse).collect()
}

#[test]
fn a_clean_file_is_ok_and_the_program_says_how_it_is_run() {
    let sandbox = Sandbox::new();
    check(&sandbox, native(""), &[]).exits(0).says_only("job.plist: ok\n");
    let file = sandbox.job_file(&Job::guest("probe-exit", &["0"]));
    let expected = format!("{file}: ok\n{file}: {HOW}\n");
    sandbox.wjob(&["check", "--strict", &file]).exits(0).says_only(expected);
}

/// Nobody sees how long a connection of a native program is silent.
#[test]
fn a_limit_that_nobody_holds_is_found_before_it_is_run_and_refused_when_it_is() {
    let sandbox = Sandbox::new();
    let silent = native("    <key>Limits</key>\n    <dict><key>IdleTime</key><integer>5</integer></dict>");
    check(&sandbox, &silent, &[]).exits(65).says("error[limit-not-held]: Limits.IdleTime cannot be held");
    sandbox.wjob(&["run", "job.plist"]).exits(77).complains("the limit IdleTime cannot be held here");
    let accepts = native(
        "    <key>Sockets</key>\n    <dict><key>a</key><dict><key>SockServiceName</key><integer>0</integer></dict></dict>\n    \
         <key>Limits</key>\n    <dict><key>ConnectionRate</key><integer>5</integer></dict>",
    );
    check(&sandbox, &accepts, &[]).exits(65).says("error[limit-not-held]: Limits.ConnectionRate cannot be held");
    sandbox.wjob(&["run", "job.plist"]).exits(77).complains("the limit ConnectionRate cannot be held here");
}

#[test]
fn a_warning_fails_with_strict_only_and_an_error_always() {
    let sandbox = Sandbox::new();
    let warning = native("    <key>Umask</key>\n    <integer>22</integer>");
    check(&sandbox, &warning, &[]).exits(0).says("warning[decimal-mode]").says("job.plist: 1 warning\n");
    check(&sandbox, &warning, &["--strict"]).exits(65).says("job.plist: 1 warning\n");
    let error = native("    <key>Umask</key>\n    <true/>");
    check(&sandbox, error, &[]).exits(65).says("error[wrong-type]").says("job.plist: 1 error\n");
}

#[test]
fn notes_are_counted_and_shown_when_asked_for() {
    let sandbox = Sandbox::new();
    let noted = native("    <key>LegacyTimers</key>\n    <true/>");
    check(&sandbox, &noted, &["--strict"]).exits(0).says_only("job.plist: ok, 1 note (see --verbose)\n");
    check(&sandbox, &noted, &["--verbose"]).exits(0).says("note[noted-key]").says("job.plist: ok, 1 note\n");
}

#[test]
fn the_line_is_drawn_with_its_place() {
    let sandbox = Sandbox::new();
    let text = native("    <key>RunAtLoad</key>\n    <string>true</string>");
    check(&sandbox, text, &[]).exits(65).says_only(
        "error[wrong-type]: RunAtLoad is a string; expected true or false\n \
         --> job.plist:8:5\n  \
         |\n\
         8 |     <string>true</string>\n  \
         |     ^^^^^^^^^^^^^^^^^^^^^\n  \
         |\n  \
         = help: write <true/>\n\
         \n\
         job.plist: 1 error\n",
    );
}

#[test]
fn several_files_are_all_checked_and_one_error_is_enough() {
    let sandbox = Sandbox::new();
    sandbox.write("good.plist", native(""));
    sandbox.write("bad.plist", list(""));
    let ran = sandbox.wjob(&["check", "good.plist", "bad.plist", "good.plist"]);
    ran.exits(65).says("error[missing-key]").says("error[no-program]").says("bad.plist: 2 errors\n");
    assert_eq!(ran.output().matches("good.plist: ok\n").count(), 2, "{}", ran.described());
}

#[test]
fn a_dash_is_standard_input() {
    let sandbox = Sandbox::new();
    let checked = |text: String| Running::start_with_input(sandbox.command("wjob", &["check", "-"]), text.as_bytes());
    checked(native("")).end().exits(0).says_only("-: ok\n");
    checked(list("")).end().exits(65).says("--> -:2:1");
}

#[test]
fn a_file_must_be_named() {
    Sandbox::new().wjob(&["check"]).exits(64).complains("<FILE>");
}

#[test]
fn what_is_no_readable_file_is_said_at_once() {
    let sandbox = Sandbox::new();
    sandbox.make_fifo("fifo");
    for (name, words) in
        [("missing.plist", "No such file or directory"), ("home", "not a regular file"), ("fifo", "not a regular file")]
    {
        let ran = sandbox.wjob(&["check", name]);
        ran.exits(65).says("error[unreadable]").says(words).says(format!("{name}: 1 error\n"));
    }
}

#[test]
fn a_file_without_the_right_to_read_it_is_said() {
    if is_root() {
        println!("skipped: root may read every file");
        return;
    }
    let sandbox = Sandbox::new();
    let file = sandbox.write("secret.plist", native(""));
    fs::set_permissions(Path::new(&file), Permissions::from_mode(0o000)).expect("a mode");
    sandbox.wjob(&["check", &file]).exits(65).says("error[unreadable]").says("Permission denied");
}

#[test]
fn json_has_a_row_for_each_finding_and_every_field() {
    let sandbox = Sandbox::new();
    let text = native("    <key>RunAtLoad</key>\n    <string>true</string>\n    <key>WatchPath</key>\n    <array/>");
    let ran = check(&sandbox, text, &["--json"]);
    let rows = rows(ran.exits(65));
    let expected = serde_json::json!([
        {
            "file": "job.plist", "severity": "error", "code": "wrong-type", "line": 8, "column": 5,
            "keyPath": "RunAtLoad", "message": "RunAtLoad is a string; expected true or false",
            "help": "write <true/>"
        },
        {
            "file": "job.plist", "severity": "warning", "code": "unknown-key", "line": 9, "column": 10,
            "keyPath": "WatchPath", "message": "unknown key \"WatchPath\"",
            "help": "the nearest known key is WatchPaths"
        }
    ]);
    assert_eq!(Value::Array(rows), expected);
    check(&sandbox, native(""), &["--json"]).exits(0).says_only("");
}

#[test]
fn json_fields_are_there_even_when_they_are_empty() {
    let sandbox = Sandbox::new();
    for name in ["missing.plist", "home"] {
        let rows = rows(sandbox.wjob(&["check", "--json", name]).exits(65));
        let row = rows.first().and_then(Value::as_object).expect("a row");
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        for field in ["file", "severity", "code", "line", "column", "keyPath", "message", "help"] {
            assert!(names.contains(&field), "{field} in {names:?}");
        }
        assert!(row["line"].is_null() && row["column"].is_null(), "{row:?}");
    }
}

#[test]
fn nothing_in_a_file_or_its_name_reaches_the_terminal_as_a_command() {
    let sandbox = Sandbox::new();
    let ascii = "{ Label = x; Program = \"/bin/true\"; \"a\u{1b}]0;owned\u{7}b\" = 1; }".to_owned();
    let overridden = native("    <key>a\u{202e}b\u{2066}c</key>\n    <true/>");
    let binary = binary_list(&[b"\xd1\x01\x02", b"\x54\x1b[2J", b"\x09"]);
    for text in [ascii.into_bytes(), overridden.into_bytes(), binary] {
        check(&sandbox, &text, &[]).says("warning[unknown-key]");
        for options in [&["--verbose"][..], &["--json"], &[]] {
            obeys_nothing(&check(&sandbox, &text, options));
        }
    }
    sandbox.write("a\u{1b}[2Jb.plist", "x");
    for options in [&["check"][..], &["check", "--json"]] {
        let ran = sandbox.wjob(&[options, &["a\u{1b}[2Jb.plist"]].concat());
        obeys_nothing(ran.exits(65));
    }
}

/// No control character but the line end. A JSON string may hold the letters that only change directions.
fn obeys_nothing(ran: &Ran) {
    let json = ran.output().starts_with('{');
    let both = format!("{}{}", ran.output(), ran.stderr);
    let directions = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let found = both.chars().find(|letter| {
        let control = letter.is_control() && *letter != '\n';
        control || (directions(*letter) && !json)
    });
    assert_eq!(found, None, "{}", ran.described());
}

/// A binary property list of these objects, the first of which is the outermost.
fn binary_list(objects: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        let offset = u16::try_from(bytes.len()).expect("a short list");
        offsets.extend(offset.to_be_bytes());
        bytes.extend(*object);
    }
    let table = bytes.len() as u64;
    bytes.extend(offsets);
    // The trailer: unused, bytes of an offset, bytes of a reference, number of objects, first of them, offset table.
    bytes.extend([0, 0, 0, 0, 0, 0, 2, 1]);
    for number in [objects.len() as u64, 0, table] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

/// Nine arrays of ten references to the next: 10^9 values in less than 181 bytes.
fn binary_bomb() -> Vec<u8> {
    let arrays: Vec<Vec<u8>> = (1..=9).map(|next| [&[0xaa_u8][..], &[next; 10]].concat()).collect();
    let mut objects: Vec<&[u8]> = arrays.iter().map(Vec::as_slice).collect();
    objects.push(&[0x09]);
    let bomb = binary_list(&objects);
    assert!(bomb.len() <= 181, "{}", bomb.len());
    bomb
}

/// Entities that stand for 10^9 words.
fn laughs() -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE plist [\n<!ENTITY a0 \"laugh\">\n");
    for level in 1..=9 {
        let repeated = format!("&a{};", level - 1).repeat(10);
        text += &format!("<!ENTITY a{level} \"{repeated}\">\n");
    }
    text + "]>\n" + &list("<key>Label</key><string>&a9;</string>")
}

/// An array of this many items.
fn items(count: usize) -> String {
    format!("<plist version=\"1.0\"><array>{}</array></plist>", "<true/>".repeat(count))
}

#[test]
fn files_made_to_exhaust_a_reader_are_refused_within_bounds() {
    let long = list(&format!("<key>Label</key><string>{}</string>", "a".repeat(2 << 20)));
    let nested = |count: usize| format!("{}{}", "<array>".repeat(count), "</array>".repeat(count));
    let number = "9".repeat(100_000);
    let settings: String = (0..8000).map(|number| format!("<key>{number}</key><true/>")).collect();
    let settings = format!("<key>{}</key><dict>{settings}</dict>", "n".repeat(500_000));
    for (text, code) in [
        (binary_bomb(), "too-many-values"),
        (binary_list(&[&[0xa1, 0]]), "too-deep"),
        (format!("<plist version=\"1.0\">{}", "<array>".repeat(100_000)).into_bytes(), "too-deep"),
        (format!("<plist version=\"1.0\">{}</plist>", nested(60_000)).into_bytes(), "too-deep"),
        ("(".repeat(100_000).into_bytes(), "too-deep"),
        (laughs().into_bytes(), "internal-subset"),
        (long.into_bytes(), "too-large"),
        (items(10_001).into_bytes(), "too-many-values"),
        (native("<key>Label</key><string>again</string>").into_bytes(), "duplicate-key"),
        (native("<key>Nice</key><integer>99999999999999999999</integer>").into_bytes(), "integer-out-of-range"),
        (native(&format!("<key>Nice</key><integer>{number}</integer>")).into_bytes(), "integer-out-of-range"),
        (native(&format!("<key>Config</key><dict>{settings}</dict>")).into_bytes(), "out-of-range"),
    ] {
        let ran = bounded_check(&text);
        ran.exits(65).says(format!("error[{code}]")).says("job.plist: 1 error\n");
        assert!(ran.stdout.len() < 10_000, "{} bytes are printed", ran.stdout.len());
    }
}

/// Checks a list with bounds on memory and CPU time, which end the process where they are reached.
fn bounded_check(text: &[u8]) -> Ran {
    let sandbox = Sandbox::new();
    sandbox.write("job.plist", text);
    let wjob = crate::harness::text(&crate::harness::binary("wjob"));
    let script = format!("{BOUNDS} && exec \"$0\" check job.plist");
    Running::start(sandbox.command_at(Path::new("/bin/sh"), &["-c", &script, &wjob])).end()
}

#[test]
fn an_import_without_a_grant_comes_with_the_lines_that_would_grant_it() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::guest("probe-read", &["/etc/hostname"]));
    sandbox.wjob(&["check", "--strict", &file]).exits(0).says(format!("{file}: ok, 1 note (see --verbose)\n"));
    let ran = sandbox.wjob(&["check", "--verbose", &file]);
    ran.exits(0).says("note[import-without-grant]: the program imports files and is granted none").says(HOW);
    for part in ["<key>Grants</key>", "<key>Paths</key>", "<array>", "<string>/srv/data</string>"] {
        ran.says(part);
    }
}

#[test]
fn a_grant_that_no_import_can_use_is_a_warning() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-read", &["/srv"]).path("/srv", "/srv", "ReadOnly");
    let file = sandbox.job_file(&job.grant("Connect", "tcp://127.0.0.1:80"));
    let ran = sandbox.wjob(&["check", &file]);
    ran.exits(0).says("warning[unused-grant]").says("tcp://127.0.0.1:80").says("<string>tcp://127.0.0.1:80</string>");
    sandbox.wjob(&["check", "--strict", &file]).exits(65);
}

/// Checks a job whose program is this text of WebAssembly.
fn check_program(text: &str) -> Ran {
    let sandbox = Sandbox::new();
    sandbox.write("program.wasm", wat::parse_str(text).expect("a WebAssembly text"));
    let lines = "<key>Label</key><string>com.example.check</string><key>Program</key><string>./program.wasm</string>";
    check(&sandbox, list(lines), &[])
}

#[test]
fn programs_that_cannot_be_run_say_what_is_missing() {
    for (text, code, words) in [
        ("(module (func (export \"_initialize\")))", "no-entry-point", "the module is a reactor"),
        ("(module (func (export \"add\")))", "no-entry-point", "the module is a library"),
        ("(component)", "no-entry-point", "the component exports nothing"),
        (
            "(component (import \"acme:thing/api@1.0.0\" (instance)))",
            "unknown-import",
            "the component imports acme:thing/api@1.0.0, which nobody offers",
        ),
        (
            "(component (import \"wasi:cli/environment@0.4.0\" (instance)))",
            "unknown-import",
            "a version that is not offered",
        ),
        (
            "(module (import \"env\" \"work\" (func)) (func (export \"_start\")))",
            "unknown-import",
            "the module imports env::work",
        ),
    ] {
        check_program(text).exits(65).says(format!("error[{code}]")).says(words);
    }
}

#[test]
fn every_patch_version_of_what_is_offered_is_known() {
    for version in ["0.2.0", "0.2.3", "0.2.99", "0.3.0"] {
        let text = format!("(component (import \"wasi:cli/environment@{version}\" (instance)))");
        let ran = check_program(&text);
        assert!(!ran.output().contains("unknown-import"), "{}", ran.described());
    }
}

#[test]
fn keys_lists_every_key_of_the_registry() {
    let sandbox = Sandbox::new();
    let table = sandbox.wjob(&["keys"]);
    let first_words: Vec<String> =
        table.exits(0).output().lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect();
    for key in keys::all() {
        assert!(first_words.iter().any(|word| word == key.path), "{} is not in the table", key.path);
    }
    let rows = rows(sandbox.wjob(&["keys", "--json"]).exits(0));
    let paths: Vec<&str> = rows.iter().filter_map(|row| row["path"].as_str()).collect();
    let all: Vec<&str> = keys::all().iter().map(|key| key.path).collect();
    assert_eq!(paths, all);
}

#[test]
fn keys_tells_one_key_in_full() {
    let sandbox = Sandbox::new();
    for name in ["KeepAlive.SuccessfulExit", "SuccessfulExit", "successfulexit"] {
        let key = keys::find("KeepAlive.SuccessfulExit").expect("a key of the registry");
        sandbox.wjob(&["keys", name]).exits(0).says(key.path).says(key.summary).says(key.kind.words()).says(key.since);
    }
    let rows = rows(sandbox.wjob(&["keys", "--json", "Limits.Memory"]).exits(0));
    assert_eq!(rows.len(), 1);
    for field in ["path", "type", "class", "since", "available", "summary"] {
        assert!(rows[0][field].is_string(), "{field} in {}", rows[0]);
    }
}

#[test]
fn keys_names_the_nearest_for_a_typo() {
    let sandbox = Sandbox::new();
    for (name, nearest) in [
        ("WatchPath", "the nearest is WatchPaths"),
        ("KeepAlive.SucessfulExit", "the nearest is KeepAlive.SuccessfulExit"),
        ("Zzz", "`wjob keys` lists all keys"),
    ] {
        sandbox.wjob(&["keys", name]).exits(64).says_only("").complains(name).complains(nearest);
    }
    obeys_nothing(sandbox.wjob(&["keys", "a\u{1b}[2Jb"]).exits(64));
}
