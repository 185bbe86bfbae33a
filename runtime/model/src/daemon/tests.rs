//! Every option from both places, and every message.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{DEBUG, LOG_LEVEL};
use super::*;

/// The name the tests give the file.
const FILE: &str = "/etc/wjob/daemon.json";

fn flags(arguments: &[&str]) -> Result<Flags, ConfigurationError> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    from_flags(&arguments)
}

/// What file and command line make together.
fn together(text: &str, arguments: &[&str]) -> Result<Configuration, ConfigurationError> {
    merge(read(FILE, text)?, flags(arguments)?.options)
}

/// A value that is not the default, as JSON and as the flag's text; `None` for a flag without value.
fn sample(option: &DaemonOption) -> (String, Option<String>) {
    let (json, text) = match option.kind {
        Kind::Folders(_) => ("[\"/srv/jobs\"]".into(), Some("/srv/jobs".into())),
        Kind::Path { .. } => ("\"/srv/it\"".into(), Some("/srv/it".into())),
        Kind::Level(_) => ("\"warn\"".into(), Some("warn".into())),
        Kind::Switch(_) => ("true".into(), None),
        Kind::Number { least, .. } => (least.to_string(), Some(least.to_string())),
        Kind::Seconds { least, .. } => (least.to_string(), Some(least.to_string())),
        Kind::Users(_) => ("[3000, 4000]".into(), Some("3000-4000".into())),
    };
    if option.name == "log-total-bytes" {
        // Not less than the default of one job.
        return ("16777216".into(), Some("16777216".into()));
    }
    (json, text)
}

/// The option alone in a file.
fn in_file(option: &DaemonOption) -> String {
    format!("{{\"{}\": {}}}", option.name, sample(option).0)
}

fn on_line(option: &DaemonOption) -> Vec<String> {
    [option.flag.to_owned()].into_iter().chain(sample(option).1).collect()
}

fn alone(option: &DaemonOption) -> Configuration {
    together(&in_file(option), &[]).unwrap()
}

#[test]
fn every_option_is_accepted_from_either_place() {
    for option in options() {
        let flags = from_flags(&on_line(option)).unwrap();
        let by_flag = merge(Partial::default(), flags.options).unwrap();
        assert_eq!(by_flag, alone(option), "{}", option.name);
        assert_ne!(by_flag, Configuration::default(), "{}", option.name);
        if let Some(value) = sample(option).1 {
            let joined = from_flags(&[format!("{}={value}", option.flag)]).unwrap();
            assert_eq!(merge(Partial::default(), joined.options).unwrap(), by_flag, "{}", option.name);
        }
    }
}

#[test]
fn every_option_sets_a_field_of_its_own() {
    let twins = [LOG_LEVEL, DEBUG];
    for one in options() {
        for other in options() {
            let both = merge(read(FILE, &in_file(one)).unwrap(), from_flags(&on_line(other)).unwrap().options);
            if one.name == other.name {
                assert!(matches!(both, Err(ConfigurationError::InBoth { .. })), "{}", one.name);
            } else if twins.contains(&one.name) && twins.contains(&other.name) {
                assert!(matches!(both, Err(ConfigurationError::Contradiction { .. })), "{}", one.name);
            } else {
                let both = both.unwrap();
                assert_ne!(both, alone(one), "{} and {}", one.name, other.name);
                assert_ne!(both, alone(other), "{} and {}", one.name, other.name);
            }
        }
    }
}

#[test]
fn every_option_refuses_values_of_another_kind() {
    for option in options() {
        for wrong in ["null", "{}", "\"\"", "\"relative\"", "-1", "1.5", "1e999", "[1]", "[true]", "[[]]", "\"5\""] {
            let text = format!("{{\n  \"{}\": {wrong}\n}}", option.name);
            let error = read(FILE, &text).unwrap_err();
            let ConfigurationError::Wrong { place, name, found, expected } = error else {
                panic!("{}: {error}", option.name);
            };
            let column = option.name.len() + 7;
            assert_eq!(place, format!("{FILE}:2:{column}"), "{text}");
            assert_eq!((name, found.as_str(), expected), (option.name, wrong, option.kind.words()));
        }
        let wrong = match option.kind {
            Kind::Switch(_) => format!("{}=yes", option.flag),
            _ => format!("{}=relative", option.flag),
        };
        let message = flags(&[&wrong]).unwrap_err().to_string();
        assert!(message.starts_with(option.flag), "{message}");
    }
}

#[test]
fn every_option_is_refused_when_in_both_places() {
    for option in options() {
        let flags = from_flags(&on_line(option)).unwrap();
        let message = merge(read(FILE, &in_file(option)).unwrap(), flags.options).unwrap_err().to_string();
        for part in [option.name, "/etc/wjob/daemon.json:1:", option.flag, "systemctl cat wjobd"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}

#[test]
fn every_option_is_refused_when_twice_in_one_place() {
    for option in options() {
        let value = sample(option).0;
        let text = format!("{{\"{0}\": {value},\n \"{0}\": {value}}}", option.name);
        let expected = format!("{FILE}:2:2: {} for the second time, first given at {FILE}:1:", option.name);
        let message = read(FILE, &text).unwrap_err().to_string();
        assert!(message.starts_with(&expected), "{message}");
        let twice = from_flags(&[on_line(option), on_line(option)].concat());
        match option.kind {
            Kind::Folders(_) => assert!(twice.is_ok(), "folders add up"),
            _ => assert!(matches!(twice, Err(ConfigurationError::Twice { .. })), "{}", option.name),
        }
    }
}

#[test]
fn the_registry_is_in_order() {
    let names: BTreeSet<&str> = options().iter().map(|option| option.name).collect();
    assert_eq!(names.len(), options().len());
    let help = help();
    for option in options() {
        assert_eq!(option.flag, format!("--{}", option.name));
        for part in [option.flag, option.kind.hint(), option.summary, option.default, &option.kind.flag_words()] {
            assert!(help.contains(part), "{part}");
        }
    }
    for flag in ["--config FILE", "--help", "--version", "SIGHUP"] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn defaults_are_those_in_words() {
    let default = Configuration::default();
    assert_eq!(merge(Partial::default(), Partial::default()).unwrap(), default);
    assert_eq!(together("{}", &[]).unwrap(), default);
    let numbers = [
        ("log-job-bytes", default.log_job_bytes),
        ("log-total-bytes", default.log_total_bytes),
        ("history-runs", default.history_runs),
        ("shutdown-timeout", default.shutdown_timeout.as_secs()),
        ("uid-range", default.uid_range.first().into()),
        ("compile-memory", default.compile_memory),
        ("compile-seconds", default.compile_time.as_secs()),
        ("account-seconds", default.account_time.as_secs()),
    ];
    for (name, number) in numbers {
        let option = options().iter().find(|option| option.name == name).unwrap();
        assert_eq!(option.default.split(' ').next(), Some(number.to_string().as_str()), "{name}");
    }
    let range = default.uid_range;
    assert!(UidRange::new(range.first().into(), range.last().into()).is_some(), "{range:?}");
    assert_eq!(default.log_level, LogLevel::Info);
}

#[test]
fn values_arrive_as_written() {
    let text =
        "{\"jobs\": [\"/a\", \"/b\"], \"log-level\": \"fatal\", \"shutdown-timeout\": 7, \"uid-range\": [5000, 5000]}";
    let read = together(text, &["--history-runs", "3", "--socket=/run/x=y.sock"]).unwrap();
    let expected = Configuration {
        jobs: Some(vec!["/a".into(), "/b".into()]),
        log_level: LogLevel::Fatal,
        shutdown_timeout: Duration::from_secs(7),
        uid_range: UidRange::new(5000, 5000).unwrap(),
        history_runs: 3,
        socket: Some("/run/x=y.sock".into()),
        ..Configuration::default()
    };
    assert_eq!(read, expected);
    let folders = together("{}", &["--jobs", "/a", "--debug", "--jobs=/b"]).unwrap();
    assert_eq!(folders.jobs, Some(vec!["/a".into(), "/b".into()]));
    assert_eq!(folders.log_level, LogLevel::Debug);
    assert_eq!(together("{\"debug\": false}", &[]).unwrap().log_level, LogLevel::Info);
    assert_eq!(together("{\"jobs\": []}", &[]).unwrap().jobs, Some(vec![]));
}

#[test]
fn a_fault_of_the_file_is_explained() {
    for (text, expected) in [
        ("", "/etc/wjob/daemon.json: an empty file; expected a JSON object; write {} for all defaults"),
        (" \n\t\n", "/etc/wjob/daemon.json: an empty file"),
        ("{\n  \"debug\": true,\n}", ":2:16: found a comma after the last member; expected a comma only between two"),
        ("{\"jobs\": [\"/a\", ]}", ":1:15: found a comma after the last member"),
        ("{\"debug\": true,}", ":1:15: found a comma after the last member"),
        ("{ // all of it\n}", ":1:3: found a comment; expected plain JSON; JSON has no comments; remove it"),
        ("{\"debug\": true /* yes */}", ":1:16: found a comment"),
        ("{\"debug\": # yes\n true}", ":1:11: found a comment"),
        ("{\"debug\": true}\n# end", ":2:1: found a comment"),
        ("# it\n{}", ":1:1: found a comment"),
        ("{'debug': true}", ":1:2: found a single quote; expected a double quote"),
        ("{\"debug\": 'yes'}", ":1:11: found a single quote"),
        ("{\"debug\": true", ":1:15: found the end of the file; expected the rest"),
        ("{\"debug\": tr", ":1:13: found the end of the file"),
        ("{\"deb", ":1:6: found the end of the file"),
        ("[\"debug\"]", ":1:1: found [\"debug\"]; expected an object; put the options between { and }"),
        ("\n 5", ":2:2: found 5; expected an object"),
        ("\"debug\"", ":1:1: found \"debug\"; expected an object"),
        ("{} {}", ":1:4: found '{'; expected well-formed JSON (trailing characters); correct it there"),
        ("{\"debug\" true}", ":1:10: found 't'; expected well-formed JSON"),
        ("{\"socket\": \"/ä\" x}", ":1:17: found 'x'; expected well-formed JSON"),
        ("{\"debug\": yes}", ":1:11: found 'y'; expected well-formed JSON"),
        ("{debug: true}", ":1:2: found 'd'; expected well-formed JSON"),
        ("{\"debug\": true \"jobs\": []}", ":1:16: found '\"'; expected well-formed JSON"),
        (
            "{\"log-levle\": 1}",
            ":1:2: no option is called log-levle; expected one of those that wjobd --help lists; did",
        ),
        ("{\"log-levle\": 1}", "did you mean log-level?"),
        ("{\"Log_Level\": 1}", "did you mean log-level?"),
        ("{\"tls\": 1}", "no option is called tls; expected one of those that wjobd --help lists; remove it"),
        ("{\"\\ud800\": 1}", "no option is called \"\\ud800\""),
        ("{\"config\": \"/x\"}", "no option is called config"),
        (
            "{\"log-level\": \"verbose\"}",
            ":1:15: log-level is \"verbose\"; expected one of debug, info, warn, error, fatal",
        ),
        ("{\"log-level\": \"Info\"}", "log-level is \"Info\"; expected one of"),
        ("{\"debug\": 1}", "debug is 1; expected true or false; correct it, or leave it out for the default"),
        ("{\"history-runs\": 0}", "history-runs is 0; expected a whole number of runs from 1 to 1000000"),
        ("{\"shutdown-timeout\": \"30s\"}", "is \"30s\"; expected a whole number of seconds from 1 to 3600"),
        ("{\"jobs\": \"/a\"}", "jobs is \"/a\"; expected an array of at most 64 absolute paths"),
        ("{\"jobs\": [\"/a/../b\"]}", "absolute paths without `..`"),
        ("{\"worker\": \"/a\\u0000b\"}", "expected an absolute path"),
        ("{\"uid-range\": [70000, 60000]}", "the first not above the last"),
        ("{\"uid-range\": [65000, 66000]}", "not 65534 or 65535 among them"),
        ("{\"uid-range\": [0, 10]}", "from 1000 to 2147483647"),
        ("{\"uid-range\": [1000, 2000000]}", "at most 1000000 uids"),
        ("{\"uid-range\": [4294967296, 4294967297]}", "from 1000 to 2147483647"),
    ] {
        let message = read(FILE, text).unwrap_err().to_string();
        assert!(message.starts_with(FILE) && message.contains(expected), "{text}\n{message}\n{expected}");
    }
}

#[test]
fn what_is_too_large_is_refused_and_shown_in_part() {
    let long = format!("{{\"{}\": 1}}", "x".repeat(100));
    let message = read(FILE, &long).unwrap_err().to_string();
    assert!(message.contains(&format!("{}…;", "x".repeat(60))), "{message}");
    let folders = vec!["\"/a\""; 65].join(",\n");
    let message = read(FILE, &format!("{{\"jobs\": [{folders}]}}")).unwrap_err().to_string();
    assert!(message.contains("at most 64") && !message.contains('\n'), "{message}");
    let socket = format!("{{\"socket\": \"/{}\"}}", "x".repeat(107));
    assert!(read(FILE, &socket).unwrap_err().to_string().contains("at most 107 bytes"));
    let much = " ".repeat(MOST_BYTES + 1);
    assert_eq!(
        read(FILE, &much).unwrap_err(),
        ConfigurationError::TooLong { file: FILE.into(), bytes: MOST_BYTES + 1 }
    );
}

#[test]
fn a_fault_of_the_command_line_is_explained() {
    for (arguments, expected) in [
        (&["--log-levle", "info"][..], "--log-levle: no option is called log-levle;"),
        (&["--log-levle", "info"], "did you mean --log-level?"),
        (&["--tls"], "--tls: no option is called tls; expected one of those that wjobd --help lists; remove it"),
        (&["-d"], "-d: no option is called d"),
        (&["--log-level"], "--log-level: no value; expected one of debug, info, warn, error, fatal; write --log-level"),
        (&["--log-level="], "--log-level: no value"),
        (&["--config"], "--config: no value; expected the name of a file"),
        (&["--log-level", "loud"], "--log-level: log-level is loud; expected one of debug"),
        (&["--history-runs", "many"], "--history-runs: history-runs is many; expected a whole number of runs"),
        (&["--history-runs", "99999999999999999999"], "expected a whole number of runs from 1 to 1000000"),
        (&["--jobs", "relative"], "--jobs: jobs is relative; expected an absolute path without `..`, at most 64 times"),
        (&["--jobs", "/a", "--jobs", "b"], "--jobs: jobs is b;"),
        (&["--uid-range", "3000"], "--uid-range: uid-range is 3000; expected FIRST-LAST"),
        (&["--uid-range", "4000-3000"], "the first not above the last"),
        (&["--debug=true"], "--debug: the value true; expected none; write --debug alone"),
        (&["--help=all"], "--help: the value all; expected none"),
        (&["--socket", "/a", "--socket", "/b"], "--socket: socket for the second time, first given at --socket"),
        (&["--config", "a", "--config=b"], "--config b: config for the second time, first given at --config a"),
        (&["job.plist"], "job.plist: not a flag; expected only flags"),
        (&["a=b"], "a=b: not a flag"),
        (&[""], ": not a flag"),
    ] {
        let message = flags(arguments).unwrap_err().to_string();
        assert!(message.contains(expected), "{arguments:?}\n{message}\n{expected}");
    }
}

#[test]
fn flags_that_are_no_options_are_read() {
    for (arguments, ask, config) in [
        (&["--help"][..], Ask::Help, None),
        (&[], Ask::Serve, None),
        (&["--version"], Ask::Version, None),
        (&["--version", "--help"], Ask::Version, None),
        (&["--config", "here.json"], Ask::Serve, Some("here.json")),
        (&["--config=/a=b.json", "--debug"], Ask::Serve, Some("/a=b.json")),
    ] {
        let flags = flags(arguments).unwrap();
        assert_eq!((flags.ask, flags.config), (ask, config.map(PathBuf::from)), "{arguments:?}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let level = "{\"log-level\": \"warn\"}";
    let debug = "{\"debug\": false}";
    for (text, arguments, expected) in [
        (level, &["--debug"][..], "debug is given at --debug and log-level at /etc/wjob/daemon.json:1:15"),
        (debug, &["--log-level", "info"], "debug is given at /etc/wjob/daemon.json:1:11 and log-level at --log-level"),
        ("{\"log-level\": \"warn\", \"debug\": true}", &[], "both set the log level"),
        ("{}", &["--debug", "--log-level=debug"], "expected one of them"),
        ("{\"log-total-bytes\": 65536}", &[], "log-job-bytes is 16777216 and log-total-bytes 65536; expected"),
        ("{\"log-job-bytes\": 70000}", &["--log-total-bytes=69999"], "lower log-job-bytes or raise log-total-bytes"),
    ] {
        let message = together(text, arguments).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\n{expected}");
    }
}

#[test]
fn a_reload_changes_what_it_may_and_names_the_rest() {
    let running = together("{\"history-runs\": 5, \"worker\": \"/old/wjob\"}", &[]).unwrap();
    for option in options() {
        let (now, held) = running.reload(alone(option));
        let mut expected = BTreeSet::from(["worker"]);
        if !option.reloadable {
            expected.insert(option.name);
        }
        let held: BTreeSet<&str> = held.into_iter().collect();
        assert_eq!(held, expected, "{}", option.name);
        assert_eq!(now.worker, running.worker);
        if !option.reloadable {
            assert_eq!(now, Configuration { worker: running.worker.clone(), ..Configuration::default() });
        }
    }
    let (same, held) = running.reload(running.clone());
    assert_eq!((same, held), (running, vec![]));
}

#[test]
fn levels_are_in_order_of_importance() {
    assert!(LogLevel::ALL.is_sorted());
    for level in LogLevel::ALL {
        assert_eq!(LogLevel::named(level.word()), Some(level));
    }
    assert_eq!(LogLevel::named("trace"), None);
}

#[test]
fn a_range_holds_both_its_ends() {
    let range = UidRange::new(3000, 3001).unwrap();
    let inside = [2999, 3000, 3001, 3002].map(|uid| range.contains(uid));
    assert_eq!(inside, [false, true, true, false]);
}
