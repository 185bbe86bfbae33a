//! A job that shuts its listener down, for itself and everybody who shares it: its socket is bound anew when the run has
//! ended, whoever comes next is served, and the run is blamed for it. A component cannot do that: it lets go of a
//! listener, which is the supervisor's (`serving::activation`).

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::{CAUSE, KINDS, Place, at, perl, serving, wait_until_it_is};
use crate::daemon::life::{open_folder, standing};
use crate::daemon::output::history;
use crate::harness::{Job, Supervisor};

/// What is said of a socket that is there again.
const ANEW: &str = " a: its run had shut a listener down; it is bound anew\n";

/// Answers a line of each client; at `shut` it shuts the listener down and ends, at `leave` it ends and leaves a process
/// that does so when a word comes.
const SHUTS: &str = r#"
$SIG{PIPE} = 'IGNORE';
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
sub shut_down { shutdown $listener, 2 or die "shutdown: $!" }
while (accept my $client, $listener) {
    my $line = <$client>;
    shut_down() if $line eq "shut\n";
    syswrite $client, "answered $line";
    close $client;
    exit 0 if $line eq "shut\n";
    next if $line ne "leave\n";
    exit 0 if fork;
    open my $word, '<', '/data/word' or die "word: $!";
    my $said = <$word>;
    shut_down();
    exit 0;
}
die "accept: $!";
"#;

fn shuts() -> Job {
    perl(SHUTS).with("ThrottleInterval", 0)
}

/// An address as the supervisor writes it.
fn url(place: &Place) -> String {
    match place {
        Place::Path(path) => format!("unix://{path}"),
        Place::Tcp(_) => place.in_words(),
    }
}

#[test]
fn a_listener_that_a_run_shut_down_is_bound_anew_and_the_run_is_blamed() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, shuts());
        for round in 1..=2 {
            assert_eq!(place.ask("hello"), "answered hello\n");
            assert_eq!(place.ask("shut"), "answered shut\n");
            supervisor.logs_times(&format!(" a: ended: exit 0; it had shut down {}\n", url(&place)), round);
            supervisor.logs_times(ANEW, round);
            wait_until_it_is(&supervisor, &format!("idle, {round} runs"));
        }
        assert_eq!(place.ask("again"), "answered again\n");
        assert_eq!(standing(&supervisor, "a"), "running, 3 runs");
        let runs = history(&supervisor, "a", 2);
        let blame = format!("; it had shut down {}", url(&place));
        let blamed = runs.iter().filter(|run| run["outcome"].as_str().is_some_and(|words| words.ends_with(&blame)));
        assert_eq!(blamed.count(), 2, "{runs:?}");
        supervisor.wjob(&["log", "a"]).exits(0).says("it had shut down").says("it is bound anew");
        supervisor.wjob(&["blame", "a"]).exits(0).says_only(format!("{CAUSE}\n"));
    }
}

/// No run is started for that: nobody had come.
#[test]
fn a_listener_that_a_left_over_process_shut_down_is_bound_anew_at_once() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let data = open_folder(&supervisor.sandbox, "data");
        let fifo = supervisor.sandbox.make_fifo("data/word");
        fs::set_permissions(&fifo, Permissions::from_mode(0o666)).expect("a mode");
        // Open for both, so that neither side waits for the other to open it.
        let mut word = File::options().read(true).write(true).open(&fifo).expect("a FIFO");
        let job = shuts().path(&data, "/data", "ReadWrite").with("AbandonProcessGroup", true);
        let supervisor = supervisor.with("a", at(&place, job)).start();
        assert_eq!(place.ask("leave"), "answered leave\n");
        supervisor.logs(" a: left over: 1 process");
        wait_until_it_is(&supervisor, "idle, 1 runs");
        word.write_all(b"shut\n").expect("a process that hears it");
        supervisor.logs(ANEW);
        assert_eq!(standing(&supervisor, "a"), "idle, 1 runs");
        assert_eq!(place.ask("hello"), "answered hello\n");
        assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
    }
}
