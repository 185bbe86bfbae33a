//! Whole job files: what is said about them and what they mean.

use super::*;
use crate::finding::Severity::{Error, Note, Warning};
use crate::grant::Access;
use crate::job::{Isolation, ProgramFile};
use crate::socket::{Place, SocketKind};

const CONTEXT: Context = Context { folder: "/jobs", home: "/home/me", uid: 1000 };
const NEEDED: &str = "<key>Label</key><string>a.b</string><key>Program</key><string>/bin/a</string>";

type Said = (Severity, &'static str, String);

/// A whole file around the inside of its dictionary.
fn file(xml_body: &str) -> String {
    format!("<plist version=\"1.0\"><dict>{xml_body}</dict></plist>")
}

/// What is said about a job with a label and a program and these keys.
fn findings(xml_body: &str) -> Vec<Said> {
    said(&file(&format!("{NEEDED}{xml_body}")))
}

/// The same, but for the warnings that nothing acts on a key yet.
fn remarks(xml_body: &str) -> Vec<Said> {
    let mut said = findings(xml_body);
    said.retain(|said| (said.0, said.1) != (Warning, "not-yet"));
    said
}

fn said(text: &str) -> Vec<Said> {
    let loaded = load(text.as_bytes(), &CONTEXT);
    let error = loaded.findings.iter().any(|finding| finding.severity == Error);
    assert_eq!(loaded.job.is_none(), error, "a job exactly if there is no error: {text}");
    loaded.findings.into_iter().map(|finding| (finding.severity, finding.code, finding.key_path)).collect()
}

fn job(xml_body: &str) -> Job {
    let loaded = load(file(&format!("{NEEDED}{xml_body}")).as_bytes(), &CONTEXT);
    loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// Asserts that each body gives exactly one finding.
fn assert_each(cases: &[(&str, Severity, &str, &str)]) {
    for (body, severity, code, path) in cases {
        let expected = vec![(*severity, *code, (*path).to_owned())];
        let found = findings(body);
        assert!(
            found.len() == 1 && (found[0].0, found[0].1, &found[0].2) == (expected[0].0, expected[0].1, &expected[0].2),
            "{body}: {found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn keys_are_checked_by_the_registry() {
    assert_each(&[
        ("<key>Nonsense</key><true/>", Warning, "unknown-key", "Nonsense"),
        ("<key>enabletransactions</key><true/>", Warning, "key-case", "enabletransactions"),
        ("<key>limits</key><dict/>", Error, "key-case", "limits"),
        ("<key>Grants</key><dict><key>Path</key><array/></dict>", Error, "unknown-key", "Grants.Path"),
        ("<key>Limits</key><dict><key>Memroy</key><integer>1</integer></dict>", Error, "unknown-key", "Limits.Memroy"),
        ("<key>KeepAlive</key><dict><key>X</key><true/></dict>", Warning, "unknown-key", "KeepAlive.X"),
        ("<key>label</key><string>c</string>", Error, "duplicate-key", "label"),
        ("<key>LegacyTimers</key><true/>", Note, "noted-key", "LegacyTimers"),
        ("<key>StartOnMount</key><true/>", Warning, "not-yet", "StartOnMount"),
        ("<key>RunAtLoad</key><string>true</string>", Error, "wrong-type", "RunAtLoad"),
        ("<key>Nice</key><integer>21</integer>", Error, "out-of-range", "Nice"),
        ("<key>StartInterval</key><integer>0</integer>", Error, "out-of-range", "StartInterval"),
        (
            "<key>StartCalendarInterval</key><dict><key>Minute</key><integer>60</integer></dict>",
            Error,
            "out-of-range",
            "StartCalendarInterval.Minute",
        ),
        ("<key>ProgramArguments</key><array><integer>1</integer></array>", Error, "wrong-type", "ProgramArguments[0]"),
        ("<key>Isolation</key><string>process</string>", Error, "wrong-value", "Isolation"),
        ("<key>Limits</key><dict><key>Memory</key><integer>1</integer></dict>", Error, "out-of-range", "Limits.Memory"),
        ("<key>Umask</key><string>0x12</string>", Error, "wrong-value", "Umask"),
        ("<key>Umask</key><integer>512</integer>", Error, "out-of-range", "Umask"),
    ]);
}

#[test]
fn what_nothing_acts_on_says_so_once_for_all_inside_it() {
    let socket = |inner: &str| format!("<key>Sockets</key><dict><key>a</key><dict>{inner}</dict></dict>");
    let port = "<key>SockServiceName</key><string>1</string>";
    for (body, expected) in [
        (
            "<key>LimitLoadToSessionType</key><string>Aqua</string>".to_owned(),
            vec![("not-yet", "LimitLoadToSessionType")],
        ),
        (
            "<key>KeepAlive</key><dict><key>NetworkState</key><true/><key>Crashed</key><true/></dict>".into(),
            vec![("not-yet", "KeepAlive.NetworkState")],
        ),
        (
            "<key>MachServices</key><dict><key>m</key><dict><key>ResetAtClose</key><true/></dict></dict>".into(),
            vec![("not-yet", "MachServices")],
        ),
        (format!("<key>inetdCompatibility</key><dict><key>Wait</key><true/></dict>{}", socket(port)), vec![]),
        (socket(&format!("<key>X</key><true/>{port}")), vec![("unknown-key", "Sockets.a.X")]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(code, path)| (Warning, code, path.to_owned())).collect();
        assert_eq!(findings(&body), expected, "{body}");
    }
}

#[test]
fn a_finding_names_the_nearest_key_and_the_correction() {
    for (body, expected) in [
        ("<key>WatchPath</key><array/>", "WatchPaths"),
        ("<key>SuccessfulExit</key><true/>", "belongs in KeepAlive"),
        ("<key>RunAtLoad</key><integer>1</integer>", "<true/>"),
        ("<key>StartInterval</key><string>30</string>", "<integer>30</integer>"),
        ("<key>ProgramArguments</key><string>a</string>", "<array><string>a</string></array>"),
    ] {
        let loaded = load(file(&format!("{NEEDED}{body}")).as_bytes(), &CONTEXT);
        let help = loaded.findings[0].help.as_deref().unwrap_or_default();
        assert!(help.contains(expected), "{body}: {help}");
    }
}

#[test]
fn a_job_needs_a_label_and_a_program() {
    let program = "<key>Program</key><string>/bin/a</string>";
    let label = |text: &str| format!("<key>Label</key><string>{text}</string>{program}");
    for (body, code, path) in [
        (program.to_owned(), "missing-key", "Label"),
        (label(""), "wrong-label", "Label"),
        (label("a\tb"), "wrong-label", "Label"),
        (label("COM.apple.launchd.x"), "wrong-label", "Label"),
        ("<key>Label</key><string>a</string>".into(), "no-program", "Program"),
        ("<key>Label</key><string>a</string><key>ProgramArguments</key><array/>".into(), "no-program", "Program"),
        ("<key>Label</key><string>a</string><key>Program</key><string></string>".into(), "no-program", "Program"),
    ] {
        assert_eq!(said(&file(&body)), [(Error, code, path.to_owned())], "{body}");
    }
    assert_eq!(said("<plist><array/></plist>"), [(Error, "wrong-type", String::new())]);
    assert!(load(b"", &CONTEXT).job.is_none());
}

#[test]
fn programs_are_found_by_their_slashes() {
    for (program, expected) in [
        ("/bin/x", ProgramFile::Path("/bin/x".into())),
        ("./x", ProgramFile::Path("/jobs/x".into())),
        ("a/../x", ProgramFile::Path("/jobs/a/../x".into())),
        ("x", ProgramFile::Name("x".into())),
    ] {
        for body in [
            format!("<key>Program</key><string>{program}</string>"),
            format!("<key>ProgramArguments</key><array><string>{program}</string></array>"),
        ] {
            let text = file(&format!("<key>Label</key><string>a</string>{body}"));
            let job = load(text.as_bytes(), &CONTEXT).job.expect("no errors");
            assert_eq!(job.program.file, expected);
            assert_eq!(job.program.arguments, [program]);
        }
    }
}

#[test]
fn in_another_root_every_path_of_the_host_is_inside_it() {
    let root = "<key>RootDirectory</key><string>/srv/./root/</string>";
    let entries = format!("<string>/data</string>{}", path("/etc", "/in", "ReadOnly"));
    let keys = "<key>WorkingDirectory</key><string>work</string>\
        <key>StandardInPath</key><string>in</string><key>StandardOutPath</key><string>/../../out</string>\
        <key>WatchPaths</key><array><string>/watched</string></array>";
    let job = job(&format!("{root}{keys}{}", paths(&entries)));
    assert_eq!(job.root_directory.as_deref(), Some("/srv/root"));
    assert_eq!(job.program.file, ProgramFile::Path("/srv/root/bin/a".into()));
    assert_eq!(job.program.arguments, ["/bin/a"]);
    assert_eq!(job.working_directory.as_deref(), Some("/work"));
    assert_eq!(job.standard_in.as_deref(), Some("/srv/root/work/in"));
    assert_eq!(job.standard_out.as_deref(), Some("/srv/root/out"));
    assert_eq!(job.launch.watch_paths, ["/watched"], "the supervisor watches from outside");
    let plain: Vec<_> = job.grants.paths.iter().map(|grant| (grant.host.as_str(), grant.guest.as_str())).collect();
    assert_eq!(plain, [("/srv/root/data", "/data"), ("/srv/root/etc", "/in")]);
}

#[test]
fn a_root_shows_nothing_that_cannot_be_granted() {
    for (root, refused) in [
        ("/srv/root", false),
        ("/", false),
        ("/x/..", false),
        ("/var", true),
        ("/proc/1/root", true),
        ("/home/me", true),
    ] {
        let found = findings(&format!("<key>RootDirectory</key><string>{root}</string>"));
        let expected = refused.then(|| (Error, "protected-path", "RootDirectory".to_owned()));
        assert_eq!(found, Vec::from_iter(expected), "{root}");
    }
    let wjobs = "<key>RootDirectory</key><string>/etc</string>".to_owned() + &paths("<string>/wjob</string>");
    assert!(findings(&wjobs).contains(&(Error, "protected-path", "Grants.Paths[0]".to_owned())));
    assert_eq!(job("<key>RootDirectory</key><string>/</string>").root_directory, None);
}

#[test]
fn values_are_converted() {
    let body = "<key>ProgramArguments</key><array><string>other</string><string>-v</string></array>
        <key>Umask</key><string>022</string><key>ExitTimeOut</key><integer>0</integer>
        <key>WorkingDirectory</key><string>data</string>
        <key>StandardOutPath</key><string>out.log</string><key>StandardErrorPath</key><string>/e</string>
        <key>InstanceReuse</key><integer>5</integer>
        <key>Config</key><dict><key>a</key><dict><key>b</key><integer>1</integer></dict><key>c</key><true/></dict>
        <key>inetdCompatibility</key><dict/><key>MachServices</key><dict><key>m</key><true/></dict>
        <key>Sockets</key><dict><key>s</key><dict><key>SockServiceName</key><integer>80</integer></dict></dict>";
    let job = job(body);
    assert_eq!(job.program.file, ProgramFile::Path("/bin/a".into()));
    assert_eq!(job.program.arguments, ["other", "-v"]);
    assert_eq!((job.umask, job.exit_timeout, job.instance_reuse), (Some(0o22), 0, 5));
    assert_eq!(job.working_directory.as_deref(), Some("/jobs/data"));
    assert_eq!(job.standard_out.as_deref(), Some("/jobs/data/out.log"));
    assert_eq!(job.standard_error.as_deref(), Some("/e"));
    assert_eq!(job.config, [("a.b".to_owned(), "1".to_owned()), ("c".to_owned(), "true".to_owned())]);
    let sockets: Vec<&str> = job.sockets.iter().map(|socket| socket.name.as_str()).collect();
    assert_eq!((sockets, job.services), (vec!["s"], vec!["m".to_owned()]));
    assert_eq!((job.inetd_wait, job.isolation), (Some(false), Isolation::Process));
}

#[test]
fn an_ascii_list_has_numbers_and_booleans_as_words() {
    let text = "{ Label = a; Program = \"/bin/a\"; Nice = 5; Umask = 022; WaitForDebugger = YES; \
        KeepAlive = { SuccessfulExit = NO; }; }";
    let loaded = load(text.as_bytes(), &CONTEXT);
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    let job = loaded.job.expect("no errors");
    assert_eq!((job.nice, job.umask, job.wait_for_debugger), (Some(5), Some(0o22), true));
}

fn grants(inner: &str) -> String {
    format!("<key>Grants</key><dict>{inner}</dict>")
}

fn paths(entries: &str) -> String {
    grants(&format!("<key>Paths</key><array>{entries}</array>"))
}

fn path(host: &str, guest: &str, access: &str) -> String {
    format!(
        "<dict><key>Path</key><string>{host}</string><key>GuestPath</key><string>{guest}</string>\
         <key>Access</key><string>{access}</string></dict>"
    )
}

#[test]
fn path_grants_are_normalised() {
    let entries = format!("<string>/srv//a/./b/../c/</string>{}", path("~/data", "/", "ReadWrite"));
    let grants = job(&paths(&entries)).grants.paths;
    let plain: Vec<_> = grants.iter().map(|grant| (grant.host.as_str(), grant.guest.as_str(), grant.access)).collect();
    assert_eq!(plain, [("/srv/a/c", "/srv/a/c", Access::ReadOnly), ("/home/me/data", "/", Access::ReadWrite)]);
}

#[test]
fn bad_path_grants_are_refused() {
    let first = "Grants.Paths[0]";
    let second = "Grants.Paths[1]";
    for (entries, code, at) in [
        ("<string>a</string>".to_owned(), "relative-path", first),
        ("<string>~you/a</string>".into(), "relative-path", first),
        ("<string>/proc/self</string>".into(), "protected-path", first),
        ("<string>/</string>".into(), "protected-path", first),
        ("<string>/srv/../etc/wjob/jobs</string>".into(), "protected-path", first),
        ("<string>~/.config</string>".into(), "protected-path", first),
        ("<dict/>".into(), "missing-key", first),
        (
            "<dict><key>Path</key><string>/a</string><key>Mode</key><true/></dict>".into(),
            "unknown-key",
            "Grants.Paths[0].Mode",
        ),
        (path("/a", "b", "ReadOnly"), "relative-path", "Grants.Paths[0].GuestPath"),
        (path("/a", "/sys/b", "ReadOnly"), "protected-path", "Grants.Paths[0].GuestPath"),
        (path("/a", "/b", "readonly"), "wrong-value", "Grants.Paths[0].Access"),
        (path("/a", "/x", "ReadOnly") + &path("/b", "/x", "ReadOnly"), "duplicate-guest-path", second),
        (path("/a", "/a", "ReadWrite") + "<string>/a/b</string>", "read-only-inside-read-write", second),
        (path("/a/b", "/x", "Execute") + &path("/a", "/a", "ReadWrite"), "read-only-inside-read-write", second),
    ] {
        assert_eq!(findings(&paths(&entries)), [(Error, code, at.to_owned())], "{entries}");
    }
    for entries in [
        "<string>/dev/null</string>".to_owned(),
        path("/a", "/a", "ReadOnly") + &path("/a/b", "/a/b", "ReadWrite"),
        path("/a", "/a", "ReadWrite") + "<string>/ab</string>",
    ] {
        assert!(findings(&paths(&entries)).is_empty(), "{entries}");
    }
}

#[test]
fn other_grants_are_checked() {
    let list = |key: &str, text: &str| grants(&format!("<key>{key}</key><array><string>{text}</string></array>"));
    for (body, code, at) in [
        (list("Connect", "tcp://x"), "wrong-endpoint", "Grants.Connect[0]"),
        (list("Connect", "unix://run/x"), "wrong-endpoint", "Grants.Connect[0]"),
        (list("Connect", "unix:///dev/log"), "protected-path", "Grants.Connect[0]"),
        (list("Connect", "unix:///run/wjob/wjob.sock"), "protected-path", "Grants.Connect[0]"),
        (list("Connect", "unix:///run/user/7/wjob/wjob.sock"), "protected-path", "Grants.Connect[0]"),
        (list("Connect", "unix:///home/me/.cache/wjob/x"), "protected-path", "Grants.Connect[0]"),
        (list("Bind", "unix:///run/x"), "wrong-endpoint", "Grants.Bind[0]"),
        (list("Bind", "tcp://name:1"), "wrong-endpoint", "Grants.Bind[0]"),
        (list("Environment", "A=B"), "wrong-value", "Grants.Environment[0]"),
        (grants("<key>Services</key><dict><key>a:b/c</key><string>d</string></dict>"), "not-yet", "Grants.Services"),
        (
            list("Users", "me")
                + "<key>Sockets</key><dict><key>a</key><dict><key>SockServiceName</key><string>1</string></dict></dict>",
            "users-on-network-socket",
            "Grants.Users",
        ),
        ("<key>Isolation</key><string>Shared</string>".into(), "not-yet", "Isolation"),
    ] {
        assert_eq!(remarks(&body), [(Error, code, at.to_owned())], "{body}");
    }
    let users = "<key>Users</key><array><string>@staff</string><integer>7</integer></array>\
        <key>Control</key><string>Operate</string>";
    assert_eq!(job(&grants(users)).grants.users, ["@staff", "7"]);
}

#[test]
fn unix_sockets_are_opened_beside_paths() {
    let connect = "<key>Connect</key><array><string>tcp://127.0.0.1:1</string><string>unix:///run/a</string></array>";
    let both = grants(&format!("{connect}<key>Paths</key><array><string>/srv</string></array>"));
    for (root, prefix) in [("", ""), ("<key>RootDirectory</key><string>/srv/root</string>", "/srv/root")] {
        let opened = job(&format!("{root}{both}")).opened();
        let plain: Vec<_> =
            opened.iter().map(|grant| (grant.host.as_str(), grant.guest.as_str(), grant.access)).collect();
        let (path, socket) = (format!("{prefix}/srv"), format!("{prefix}/run/a"));
        let expected = [(path.as_str(), "/srv", Access::ReadOnly), (socket.as_str(), "/run/a", Access::Connect)];
        assert_eq!(plain, expected);
    }
    let word = path("/run/a", "/run/a", "Connect");
    assert_eq!(findings(&paths(&word)), [(Error, "wrong-value", "Grants.Paths[0].Access".to_owned())]);
}

#[test]
fn sockets_have_the_place_that_their_keys_say() {
    let key = |name: &str, value: &str| format!("<key>{name}</key><string>{value}</string>");
    let place = |keys: String| {
        let job = job(&format!("<key>Sockets</key><dict><key>a</key><dict>{keys}</dict></dict>"));
        job.sockets.into_iter().map(|socket| (socket.kind, socket.place)).next().expect("a socket")
    };
    let (kind, secret) = place(key("SecureSocketWithKey", "SOCK"));
    assert_eq!((kind, secret), (SocketKind::Stream, Place::Private { variable: "SOCK".into() }));
    let dgram = key("SockType", "dgram") + &key("SockServiceName", "5353") + &key("MulticastGroup", "224.0.0.251");
    let (kind, Place::Network { group, .. }) = place(dgram) else { panic!("a place in the network was expected") };
    assert_eq!((kind, group), (SocketKind::Datagram, Some([224, 0, 0, 251].into())));
    // A protocol of the network says nothing of a path.
    let (kind, _) = place(key("SockPathName", "/s") + &key("SockProtocol", "UDP"));
    assert_eq!(kind, SocketKind::Stream);
}

#[test]
fn resource_limits_become_limits_and_the_smaller_counts() {
    let resource = |key: &str, value: &str| {
        format!("<key>HardResourceLimits</key><dict><key>{key}</key><integer>{value}</integer></dict>")
    };
    assert_eq!(job(&resource("NumberOfFiles", "64")).limits.handles, Some(64));
    let unlimited = job(&resource("Data", "9223372036854775807"));
    assert_eq!((unlimited.limits.memory, unlimited.resource_limits[0].hard), (None, Some(u64::MAX)));
    let both = resource("CPU", "10") + "<key>Limits</key><dict><key>CPUTime</key><integer>5</integer></dict>";
    assert_eq!(job(&both).limits.cpu_time, Some(5));
    assert_eq!(findings(&both), [(Warning, "conflicting-limits", "Limits.CPUTime".to_owned())]);
}

#[test]
fn odd_combinations_are_warned_of() {
    let time = |fields: &[(&str, u8)]| {
        let fields: String =
            fields.iter().map(|(key, value)| format!("<key>{key}</key><integer>{value}</integer>")).collect();
        format!("<key>StartCalendarInterval</key><dict>{fields}</dict>")
    };
    let socket = |inner: &str| format!("<key>Sockets</key><dict><key>a</key><dict>{inner}</dict></dict>");
    let cases = [
        ("<key>KeepAlive</key><dict><key>Crashed</key><false/></dict>".to_owned(), Warning, "endless"),
        ("<key>KeepAlive</key><dict><key>SuccessfulExit</key><true/></dict>".into(), Warning, "endless"),
        ("<key>KeepAlive</key><true/><key>StartInterval</key><integer>9</integer>".into(), Warning, "endless"),
        ("<key>KeepAlive</key><true/><key>OnDemand</key><true/>".into(), Warning, "on-demand-and-keep-alive"),
        (time(&[]), Warning, "every-minute"),
        (time(&[("Hour", 3)]), Warning, "every-minute"),
        (time(&[("Minute", 0), ("Day", 31), ("Month", 4)]), Warning, "never"),
        (time(&[("Minute", 0), ("Day", 29), ("Month", 2)]), Note, "missing-day"),
        (time(&[("Minute", 0), ("Day", 31)]), Note, "missing-day"),
        ("<key>inetdCompatibility</key><dict/>".into(), Warning, "inetd-without-sockets"),
        ("<key>EnableGlobbing</key><true/>".into(), Warning, "no-effect"),
        ("<key>StandardOutPath</key><string>~/x</string>".into(), Warning, "tilde"),
        ("<key>Umask</key><integer>22</integer>".into(), Warning, "decimal-mode"),
        (socket(""), Warning, "no-address"),
        (
            socket("<key>SockPathName</key><string>/s</string><key>SockServiceName</key><string>1</string>"),
            Warning,
            "two-addresses",
        ),
        (socket("<key>SockPathName</key><string>s</string>"), Error, "relative-path"),
        (
            socket("<key>SockPathName</key><string>/s</string><key>SecureSocketWithKey</key><string>A</string>"),
            Warning,
            "two-addresses",
        ),
        (socket("<key>SecureSocketWithKey</key><string>A=</string>"), Error, "wrong-value"),
        (
            socket("<key>SockPathName</key><string>/s</string><key>SockFamily</key><string>IPv4</string>"),
            Warning,
            "no-effect",
        ),
        (
            socket(
                "<key>SockServiceName</key><string>1</string><key>SockType</key><string>dgram</string>\
                 <key>SockProtocol</key><string>TCP</string>",
            ),
            Error,
            "socket-type",
        ),
        (
            socket(
                "<key>SockServiceName</key><string>1</string><key>SockType</key><string>stream</string>\
                 <key>SockProtocol</key><string>UDP</string>",
            ),
            Error,
            "socket-type",
        ),
        (
            socket("<key>SockServiceName</key><string>1</string><key>SockType</key><string>seqpacket</string>"),
            Error,
            "socket-type",
        ),
        (
            socket("<key>SockServiceName</key><string>1</string><key>MulticastGroup</key><string>224.0.0.1</string>"),
            Error,
            "socket-type",
        ),
        (
            socket(
                "<key>SockServiceName</key><string>1</string><key>SockType</key><string>dgram</string>\
                 <key>MulticastGroup</key><string>192.0.2.1</string>",
            ),
            Error,
            "wrong-value",
        ),
        (
            socket("<key>SockServiceName</key><string>1</string><key>SockType</key><string>dgram</string>")
                + "<key>inetdCompatibility</key><dict/>",
            Error,
            "nobody-accepts",
        ),
        (
            socket("<key>SecureSocketWithKey</key><string>A</string>")
                + "<key>Grants</key><dict><key>Users</key><array><string>me</string></array></dict>",
            Warning,
            "no-effect",
        ),
        (
            socket("<key>SockPathName</key><string>/s</string><key>SockPathMode</key><integer>384</integer>")
                + "<key>Grants</key><dict><key>Users</key><array><string>me</string></array></dict>",
            Warning,
            "no-effect",
        ),
        (
            "<key>EnvironmentVariables</key><dict><key>__LAUNCHD_FD</key><string>1</string></dict>".into(),
            Warning,
            "reserved-variable",
        ),
        ("<key>EnvironmentVariables</key><dict><key>A=</key><string>1</string></dict>".into(), Error, "wrong-value"),
        (
            "<key>Config</key><dict><key>a.b</key><true/><key>a</key><dict><key>b</key><true/></dict></dict>".into(),
            Error,
            "duplicate-key",
        ),
    ];
    for (body, severity, code) in cases {
        let found: Vec<_> = remarks(&body).into_iter().map(|said| (said.0, said.1)).collect();
        assert_eq!(found, [(severity, code)], "{body}");
    }
}

#[test]
fn usual_jobs_are_not_remarked_on() {
    for body in [
        "<key>KeepAlive</key><true/><key>RunAtLoad</key><true/>",
        "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/><key>Crashed</key><true/></dict>",
        "<key>StartInterval</key><integer>60</integer>",
        "<key>StartCalendarInterval</key><array><dict><key>Hour</key><integer>3</integer><key>Minute</key><integer>0</integer></dict></array>",
        "<key>QueueDirectories</key><array><string>/q</string></array>",
        "<key>Umask</key><integer>18</integer>",
        "<key>EnvironmentVariables</key><dict><key>path</key><string>a</string><key>PATH</key><string>b</string></dict>",
        "<key>Sockets</key><dict><key>a</key><array><dict><key>SockNodeName</key><string>::1</string><key>SockServiceName</key><string>ipp</string></dict>\
         <dict><key>SockPassive</key><true/><key>SockPathMode</key><integer>49663</integer><key>SockPathName</key><string>/s</string></dict></array></dict>",
    ] {
        assert!(remarks(body).is_empty(), "{body}");
    }
}
