//! Who may take a supervisor's place: what one program hands over to the next is taken by nobody it was not meant for,
//! and by nobody at all if somebody could have changed it. That no other words have an effect is shown in `takeover`.

use std::path::Path;

use serde_json::json;
use wjob_model::handover::FORM;

use super::{ONE, is_alone};
use crate::harness::{Ran, Running, Sandbox, Supervisor, is_root, perl, text};

/// Writes a state of its own making into a file of memory, seals it, and has itself replaced by a supervisor that is told
/// to take it up: the number of a process, or its own; which seals; and what comes behind.
const FORGES: &str = r#"
$^F = 255;
my ($program, $form, $for, $seals, $rest) = @ARGV;
my $name = "wjob-handover";
my $number = syscall 319, $name, 2;
die "memfd_create: $!" if $number < 0;
open my $file, '+<&=', $number or die "open: $!";
syswrite $file, pack('VV', $form, $for eq 'own' ? $$ : $for) . $rest;
if ($seals) {
    fcntl $file, 1033, $seals + 0 or die "seals: $!";
}
exec $program, '--resume', $number or die "exec: $!";
"#;

/// All that make it one that nobody changes (fcntl(2), F_SEAL_SEAL, SHRINK, GROW and WRITE).
const SEALED: &str = "15";

/// A state that is handed over: for whom, how it is sealed, what it says, and why it is not taken.
const FORGED: &[(&str, &str, &str, &str)] = &[
    ("own", "0", "", "what is handed over is not sealed"),
    ("own", "7", "", "what is handed over is not sealed"),
    ("1", SEALED, "", "it is for process 1, and this is process "),
    ("own", SEALED, "", "it cannot be handed over"),
    ("own", SEALED, "a state of somebody's own making", "it cannot be handed over"),
];

/// Forges one: as somebody who is not root, if root runs the tests.
fn forge(sandbox: &Sandbox, form: u32, (meant, seals, rest): (&str, &str, &str)) -> Ran {
    let program = text(&sandbox.programs().join("wjobd"));
    let form = form.to_string();
    let words = ["-we", FORGES, &program, &form, meant, seals, rest];
    let command = match is_root() {
        true => sandbox.command_as(ONE, Path::new(perl()), &words),
        false => sandbox.command_at(Path::new(perl()), &words),
    };
    Running::start(command).end()
}

#[test]
fn a_state_that_somebody_has_made_himself_is_not_taken_up() {
    let sandbox = Sandbox::new();
    for (meant, seals, rest, why) in FORGED {
        forge(&sandbox, FORM, (meant, seals, rest)).exits(78).complains(why);
    }
    forge(&sandbox, FORM + 1, ("own", SEALED, "")).exits(78).complains(format!("it has form {}", FORM + 1));
}

/// Beside a supervisor of root's, whose process, state and places the words name.
#[test]
fn a_stranger_succeeds_no_supervisor_of_root() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new().start();
    let own = supervisor.process().pid().to_string();
    forge(&supervisor.sandbox, FORM, (&own, SEALED, "")).exits(78).complains(format!("it is for process {own}"));
    let command = supervisor.command();
    let flags: Vec<String> = command.get_args().map(|word| text(Path::new(word))).collect();
    let flags: Vec<&str> = ["--resume", "9"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let program = supervisor.sandbox.programs().join("wjobd");
    let begun = |words: &[&str]| Running::start(supervisor.sandbox.command_as(ONE, &program, words)).end();
    begun(&flags).exits(78).complains("descriptor 9 was not handed over");
    // Neither does one that begins anew in the same places.
    assert_ne!(begun(&flags[2..]).status, 0);
    let state = supervisor.call("Supervisor", json!({})).expect("root's goes on");
    assert_eq!(state["pid"], supervisor.process().pid(), "{state}");
}
