//! Each launch key alone, and the few that meet: what a job file says, and what the job has for it.

use super::*;
use crate::spec::load;

const CONTEXT: Context = Context { folder: "/jobs", home: "/home/me", uid: 1000 };

/// What a job with a label, a program and these keys is told of its launch.
fn launch(xml_body: &str) -> Launch {
    let text = format!(
        "<plist version=\"1.0\"><dict><key>Label</key><string>a.b</string>\
         <key>Program</key><string>/bin/a</string>{xml_body}</dict></plist>"
    );
    let loaded = load(text.as_bytes(), &CONTEXT);
    loaded.job.unwrap_or_else(|| panic!("{xml_body}: {:?}", loaded.findings)).launch
}

/// Asserts that each value of a key changes this of the defaults, and nothing else.
/// A value as written, and what it changes.
type Case<'a> = (&'a str, fn(&mut Launch));

fn assert_each(key: &str, cases: &[Case<'_>]) {
    for (value, change) in cases {
        let mut expected = Launch::default();
        change(&mut expected);
        assert_eq!(launch(&format!("<key>{key}</key>{value}")), expected, "{key} {value}");
    }
}

/// A dictionary of these keys, each with its value.
fn dictionary(entries: &[(&str, &str)]) -> String {
    let inner: String = entries.iter().map(|(key, value)| format!("<key>{key}</key>{value}")).collect();
    format!("<dict>{inner}</dict>")
}

/// Names as text, with what is expected of them.
fn named(names: &[(&str, bool)]) -> Vec<(String, bool)> {
    names.iter().map(|(name, expected)| ((*name).to_owned(), *expected)).collect()
}

#[test]
fn without_a_key_the_defaults_hold() {
    let launch = launch("");
    assert_eq!(launch, Launch::default());
    assert_eq!((launch.throttle, launch.idle_timeout, launch.init_groups), (10, 30, true));
}

#[test]
fn booleans() {
    assert_each("RunAtLoad", &[("<true/>", |launch| launch.at_load = true), ("<false/>", |_| {})]);
    assert_each("LaunchOnlyOnce", &[("<true/>", |launch| launch.only_once = true), ("<false/>", |_| {})]);
    assert_each("EnableTransactions", &[("<true/>", |launch| launch.transactions = true), ("<false/>", |_| {})]);
    assert_each("EnablePressuredExit", &[("<true/>", |launch| launch.transactions = true), ("<false/>", |_| {})]);
    assert_each("InitGroups", &[("<true/>", |_| {}), ("<false/>", |launch| launch.init_groups = false)]);
    assert_each("Debug", &[("<true/>", |launch| launch.debug = true), ("<false/>", |_| {})]);
    assert_each("LowPriorityIO", &[("<true/>", |launch| launch.low_io = true), ("<false/>", |_| {})]);
    assert_each("LowPriorityBackgroundIO", &[("<true/>", |launch| launch.low_io = true), ("<false/>", |_| {})]);
}

#[test]
fn a_machine_of_apple_never_matches() {
    assert_each(
        "Disabled",
        &[
            ("<true/>", |launch| launch.disabled = true),
            ("<false/>", |_| {}),
            ("<dict/>", |_| {}),
            ("<dict><key>ModelName</key><string>Mac1,1</string></dict>", |_| {}),
        ],
    );
}

#[test]
fn seconds() {
    assert_each(
        "StartInterval",
        &[
            ("<integer>1</integer>", |launch| launch.interval = Some(1)),
            ("<integer>4294967295</integer>", |launch| launch.interval = Some(u32::MAX)),
        ],
    );
    assert_each(
        "ThrottleInterval",
        &[
            ("<integer>0</integer>", |launch| launch.throttle = 0),
            ("<integer>60</integer>", |launch| launch.throttle = 60),
        ],
    );
    assert_each(
        "TimeOut",
        &[
            ("<integer>0</integer>", |launch| launch.idle_timeout = 0),
            ("<integer>60</integer>", |launch| launch.idle_timeout = 60),
        ],
    );
}

#[test]
fn paths_begin_at_the_folder_of_the_job_file() {
    const WRITTEN: &str = "<array><string>/a/../b</string><string>c</string><string>./d</string></array>";
    fn resolved() -> Vec<String> {
        ["/a/../b", "/jobs/c", "/jobs/d"].map(String::from).into()
    }
    assert_each("WatchPaths", &[(WRITTEN, |launch| launch.watch_paths = resolved()), ("<array/>", |_| {})]);
    assert_each("QueueDirectories", &[(WRITTEN, |launch| launch.queue_directories = resolved()), ("<array/>", |_| {})]);
}

#[test]
fn an_empty_list_of_hosts_is_none_of_them() {
    assert_each(
        "LimitLoadToHosts",
        &[
            ("<array><string>one</string></array>", |launch| launch.only_hosts = Some(vec!["one".into()])),
            ("<array/>", |launch| launch.only_hosts = Some(Vec::new())),
        ],
    );
    assert_each(
        "LimitLoadFromHosts",
        &[
            ("<array><string>one</string></array>", |launch| launch.not_hosts = vec!["one".into()]),
            ("<array/>", |_| {}),
        ],
    );
}

#[test]
fn one_process_type_counts() {
    assert_each(
        "ProcessType",
        &[
            ("<string>Background</string>", |launch| launch.background = true),
            ("<string>background</string>", |launch| launch.background = true),
            ("<string>Standard</string>", |_| {}),
            ("<string>Adaptive</string>", |_| {}),
            ("<string>Interactive</string>", |_| {}),
        ],
    );
}

#[test]
fn times_are_one_or_many() {
    let full = dictionary(&[
        ("Minute", "<integer>59</integer>"),
        ("Hour", "<integer>23</integer>"),
        ("Day", "<integer>31</integer>"),
        ("Weekday", "<integer>7</integer>"),
        ("Month", "<integer>12</integer>"),
    ]);
    let midnight = dictionary(&[("Minute", "<integer>0</integer>"), ("Hour", "<integer>0</integer>")]);
    let every_field = Entry { minute: Some(59), hour: Some(23), day: Some(31), weekday: Some(7), month: Some(12) };
    let at_midnight = Entry { minute: Some(0), hour: Some(0), ..Entry::default() };
    for (value, calendar) in [
        ("<dict/>".to_owned(), vec![Entry::default()]),
        (full.clone(), vec![every_field]),
        (format!("<array>{midnight}{full}</array>"), vec![at_midnight, every_field]),
        ("<array/>".into(), Vec::new()),
    ] {
        let found = launch(&format!("<key>StartCalendarInterval</key>{value}"));
        assert_eq!(found, Launch { calendar, ..Launch::default() }, "{value}");
    }
}

#[test]
fn keep_alive_wins_over_its_older_opposite() {
    const ALWAYS: &str = "<key>KeepAlive</key><true/>";
    const NEVER: &str = "<key>KeepAlive</key><false/>";
    const CONDITIONS: &str = "<key>KeepAlive</key><dict/>";
    const KEPT: &str = "<key>OnDemand</key><false/>";
    const DEMANDED: &str = "<key>OnDemand</key><true/>";
    let conditions = || KeepAlive::While(Conditions::default());
    for (body, keep_alive) in [
        (ALWAYS.to_owned(), KeepAlive::Always),
        (NEVER.into(), KeepAlive::OnDemand),
        (CONDITIONS.into(), conditions()),
        (KEPT.into(), KeepAlive::Always),
        (DEMANDED.into(), KeepAlive::OnDemand),
        (format!("{ALWAYS}{DEMANDED}"), KeepAlive::Always),
        (format!("{NEVER}{KEPT}"), KeepAlive::OnDemand),
        (format!("{KEPT}{NEVER}"), KeepAlive::OnDemand),
        (format!("{KEPT}{CONDITIONS}"), conditions()),
    ] {
        assert_eq!(launch(&body), Launch { keep_alive, ..Launch::default() }, "{body}");
    }
}

#[test]
fn each_condition_is_its_own() {
    let two = |first: &str, second: &str| dictionary(&[(first, "<true/>"), (second, "<false/>")]);
    let labels = named(&[("c.d", true), ("a.b", false)]);
    let default = Conditions::default;
    for (key, value, conditions) in [
        ("SuccessfulExit", "<true/>".to_owned(), Conditions { successful_exit: Some(true), ..default() }),
        ("SuccessfulExit", "<false/>".into(), Conditions { successful_exit: Some(false), ..default() }),
        ("Crashed", "<true/>".into(), Conditions { crashed: Some(true), ..default() }),
        ("Crashed", "<false/>".into(), Conditions { crashed: Some(false), ..default() }),
        ("AfterInitialDemand", "<true/>".into(), Conditions { after_demand: true, ..default() }),
        ("AfterInitialDemand", "<false/>".into(), default()),
        (
            "PathState",
            two("/there", "gone"),
            Conditions { path_state: named(&[("/there", true), ("/jobs/gone", false)]), ..default() },
        ),
        ("OtherJobEnabled", two("c.d", "a.b"), Conditions { other_loaded: labels.clone(), ..default() }),
        ("OtherJobActive", two("c.d", "a.b"), Conditions { other_active: labels, ..default() }),
        // Nothing acts on it yet, so it never holds.
        ("NetworkState", "<true/>".into(), default()),
    ] {
        let body = format!("<key>KeepAlive</key>{}", dictionary(&[(key, value.as_str())]));
        let keep_alive = KeepAlive::While(conditions);
        // RunAtLoad stays what it is: what a condition means for the first start is decided elsewhere.
        assert_eq!(launch(&body), Launch { keep_alive, ..Launch::default() }, "{body}");
    }
}
