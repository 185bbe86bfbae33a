//! A job that shuts its listener down, for itself and everybody who shares it: its socket is bound anew when the run has
//! ended, whoever comes next is served, and the run is blamed for it. A component cannot do that: it lets go of a
//! listener, which is the supervisor's (`serving::activation`).

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::datagram::{ask_by_datagram, datagrams, free_address, sender};
use super::{CAUSE, KINDS, Place, at, kickstart, perl, serving, wait_until_it_is};
use crate::daemon::life::{open_folder, standing};
use crate::daemon::output::history;
use crate::harness::{Job, Supervisor};

/// What is said of a socket that is there again.
const ANEW: &str = " a: its run had shut a listener down; it is bound anew\n";

/// What is said of one that is not.
const NOT_YET: &str = " a: its run had shut a listener down, and it cannot be bound anew yet: ";

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
        let (mut word, data) = word(&supervisor);
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

/// A word that a job waits for, and the folder that it is in.
fn word(supervisor: &Supervisor) -> (File, String) {
    let data = open_folder(&supervisor.sandbox, "data");
    let fifo = supervisor.sandbox.make_fifo("data/word");
    fs::set_permissions(&fifo, Permissions::from_mode(0o666)).expect("a mode");
    // Open for both, so that neither side waits for the other to open it.
    (File::options().read(true).write(true).open(&fifo).expect("a FIFO"), data)
}

/// Meanwhile no run begins, and another program of the supervisor goes on with that.
#[test]
fn a_socket_whose_place_is_taken_is_bound_anew_as_soon_as_that_is_free() {
    let supervisor = Supervisor::new();
    let place = Place::in_a_folder(&supervisor.sandbox);
    let Place::Path(path) = &place else { panic!("a path was expected") };
    let supervisor = supervisor.with("a", at(&place, shuts())).start();
    let mut client = place.connect();
    fs::remove_file(path).expect("a socket");
    fs::write(path, "precious").expect("a file");
    client.say("shut\n");
    assert_eq!(client.rest(), "answered shut\n");
    supervisor.logs(&format!("{NOT_YET}socket listener: {path}: something else is there"));
    supervisor.wjob(&["print", "a"]).exits(0).says("not bound: ");
    kickstart(&supervisor);
    supervisor.logs(" a: failed: a listener that an earlier run has shut down: ");
    supervisor.wjob(&["upgrade"]).exits(0);
    assert_eq!(fs::read_to_string(path).expect("a file"), "precious");
    fs::remove_file(path).expect("a file");
    supervisor.logs(ANEW);
    assert_eq!(place.ask("hello"), "answered hello\n");
    assert_eq!(supervisor.state("a"), "running");
    assert_eq!(supervisor.log().matches(NOT_YET).count(), 1, "{}", supervisor.log());
}

/// Answers each datagram; at `leave` it shuts the socket down and leaves a process that has it until a word comes.
const LEAVES: &str = r#"
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
while (defined(my $from = recv $socket, my $text, 1500, 0)) {
    send $socket, "answered $text", 0, $from or die "send: $!";
    next if $text ne "leave";
    if (fork) { shutdown $socket, 2; exit 0 }
    open my $word, '<', '/data/word' or die "word: $!";
    my $said = <$word>;
    exit 0;
}
die "recv: $!";
"#;

/// A socket for datagrams has its address as long as anybody has it, and the supervisor is not to be the one.
#[test]
fn a_socket_that_a_left_over_process_keeps_is_bound_anew_when_that_has_ended() {
    let supervisor = Supervisor::new();
    let (address, (mut word, data)) = (free_address(), word(&supervisor));
    let job = perl(LEAVES).path(&data, "/data", "ReadWrite").with("AbandonProcessGroup", true);
    let job = job.with("ThrottleInterval", 0).with_in("Sockets", "listener", datagrams(address));
    let supervisor = supervisor.with("a", job).start();
    assert_eq!(ask_by_datagram(&sender(), address, "leave"), "answered leave");
    supervisor.logs(&format!(" a: ended: exit 0; it had shut down udp://{address}\n"));
    supervisor.logs(&format!("{NOT_YET}socket listener: udp://{address}: another process has it"));
    word.write_all(b"go\n").expect("a process that hears it");
    supervisor.logs(ANEW);
    assert_eq!(ask_by_datagram(&sender(), address, "again"), "answered again");
    assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
}

/// Shuts the listener down when it is told to end, and waits for clients whatever becomes of it.
const SHUTS_AT_ITS_END: &str = r#"
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
$SIG{TERM} = sub { shutdown $listener, 2; exit 0 };
for (;;) {
    if (accept my $client, $listener) {
        my $line = <$client>;
        syswrite $client, "answered $line";
        close $client;
    } else {
        select undef, undef, undef, 0.05;
    }
}
"#;

#[test]
fn a_run_whose_listener_its_former_one_shut_down_makes_way_for_one_that_has_another() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, perl(SHUTS_AT_ITS_END).with("ThrottleInterval", 0));
        assert_eq!(place.ask("hello"), "answered hello\n");
        supervisor.call("Kickstart", json!({ "label": "a", "kill": true })).expect("it is started anew");
        supervisor.logs(ANEW).logs(" a: started: Sockets: a listener was bound anew\n");
        wait_until_it_is(&supervisor, "running, 3 runs");
        assert_eq!(place.ask("again"), "answered again\n");
    }
}
