//! Deeds and the grants that come of them.

use super::*;
use crate::spec::{Context, load};

fn root(host: &str, guest: &str) -> PathGrant {
    PathGrant { host: host.into(), guest: guest.into(), access: Access::ReadWrite }
}

fn job(keys: &str) -> Job {
    let text = format!("{{ Label = a; Program = \"/a\"; {keys} }}");
    let loaded = load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 });
    loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

fn path(text: &str) -> Deed {
    let (need, path) = text.split_once(' ').expect("a need and a path");
    let need = match need {
        "look" => Need::Look,
        "read" => Need::Read,
        "list" => Need::List,
        "change" => Need::Change,
        "entry" => Need::Entry,
        other => panic!("no need {other}"),
    };
    Deed::Path { path: path.into(), need }
}

/// The paths that are granted for deeds below `/`, as `r PATH` and `w PATH`.
fn granted(deeds: &[&str], keys: &str) -> Vec<String> {
    let deeds: Vec<Deed> = deeds.iter().map(|text| path(text)).collect();
    let grants = grants(&deeds, &[root("/srv", "/")], &job(keys));
    let letter = |grant: &PathGrant| if grant.access == Access::ReadWrite { 'w' } else { 'r' };
    let host = |guest: &str| if guest == "/" { "/srv".to_owned() } else { format!("/srv{guest}") };
    grants.paths.iter().for_each(|grant| assert_eq!(grant.host, host(&grant.guest)));
    grants.paths.iter().map(|grant| format!("{} {}", letter(grant), grant.guest)).collect()
}

#[test]
fn folders_and_files_are_granted_as_they_were_used() {
    for (deeds, expected) in [
        (&[][..], &[][..]),
        (&["read /a/one"], &["r /a/one"]),
        (&["change /a/one"], &["w /a/one"]),
        (&["list /texts", "read /texts/one", "entry /result/counts"], &["w /result", "r /texts"]),
        (&["entry /a/new", "read /a/b/deep", "change /a/old"], &["w /a"]),
        (&["list /a", "entry /a/b/new"], &["r /a", "w /a/b"]),
        (&["list /"], &["r /"]),
        (&["entry /new"], &["w /"]),
        (&["entry /"], &["w /"]),
        // Two stay two, three become their folder; those that are changed are counted by themselves.
        (&["read /a/1", "read /a/2"], &["r /a/1", "r /a/2"]),
        (&["read /a/1", "read /a/2", "read /a/3"], &["r /a"]),
        (&["list /a/1", "list /a/2", "entry /a/3/new"], &["r /a/1", "r /a/2", "w /a/3"]),
        (&["list /a/1", "list /a/2", "list /a/4", "entry /a/3/new"], &["r /a", "w /a/3"]),
        (&["read /a/b/1", "read /a/b/2", "read /a/b/3", "list /a/c", "list /a/d"], &["r /a"]),
        // Folders do not make the root one, files do.
        (&["list /a", "list /b", "list /c"], &["r /a", "r /b", "r /c"]),
        (&["read /1", "read /2", "read /3"], &["r /"]),
        // What lies in one folder has one access.
        (&["read /a/1", "change /a/2"], &["w /a/1", "w /a/2"]),
        (&["list /a", "change /a/1"], &["w /a"]),
        (&["list /a", "change /a"], &["w /a"]),
    ] {
        assert_eq!(granted(deeds, ""), expected, "{deeds:?}");
    }
}

#[test]
fn a_look_alone_is_granted_and_one_on_the_way_is_let_go() {
    for (deeds, expected) in [
        (&["look /a"][..], &["r /a"][..]),
        (&["look /a", "look /a/b"], &["r /a/b"]),
        (&["look /a", "read /a/b/c"], &["r /a/b/c"]),
        (&["look /a/b", "list /a"], &["r /a"]),
        (&["look /"], &[]),
    ] {
        assert_eq!(granted(deeds, ""), expected, "{deeds:?}");
    }
}

#[test]
fn a_job_needs_the_folder_it_begins_in() {
    let keys = "WorkingDirectory = \"/a\";";
    assert_eq!(granted(&["read /a/one"], keys), ["r /a"]);
    assert_eq!(granted(&["entry /a/new"], keys), ["w /a"]);
}

#[test]
fn nothing_is_granted_beside_or_above_a_root() {
    let roots = [root("/srv/one", "/one"), root("/home/me/two", "/deep/two")];
    let deeds: Vec<Deed> =
        ["read /other/x", "read /one/x", "entry /one", "list /deep/two/x", "read /deep"].map(path).into();
    let grants = grants(&deeds, &roots, &job(""));
    let found: Vec<(&str, &str)> =
        grants.paths.iter().map(|grant| (grant.host.as_str(), grant.guest.as_str())).collect();
    assert_eq!(found, [("/home/me/two/x", "/deep/two/x"), ("/srv/one", "/one")]);
}

#[test]
fn destinations_are_those_that_were_reached() {
    let connect = |text: &str| Deed::Connect(Endpoint::parse_connect(text).unwrap());
    let deeds = [
        connect("tcp://db.example:*"),
        connect("tcp://db.example:5432"),
        connect("https://x.example"),
        connect("tcp://db.example:5432"),
        connect("udp://only.looked.up:*"),
        Deed::Bind(Endpoint::parse_bind("udp://127.0.0.1:0").unwrap()),
    ];
    let own = "Grants = { Connect = (\"tcp://1.1.1.1:1\"); Environment = (TZ); Control = Observe; };";
    let found = grants(&deeds, &[], &job(own));
    let words = ["tcp://db.example:5432", "https://x.example:443", "udp://only.looked.up:*"];
    assert_eq!(found.connect.iter().map(ToString::to_string).collect::<Vec<_>>(), words);
    assert_eq!((found.bind.len(), found.environment.as_slice()), (1, &["TZ".to_owned()][..]));
    assert_eq!(found.control, Some(crate::grant::Control::Observe));
}

#[test]
fn what_follows_from_a_deed_is_not_told_again() {
    let mut deeds = Deeds::below(&[root("/srv", "/data")]);
    for (text, expected) in [
        ("read /elsewhere", false),
        ("read /data/a/one", true),
        ("read /data/a/one", false),
        ("change /data/a/one", true),
        ("list /data/a", true),
        ("read /data/a/two", false),
        ("look /data/a", false),
        ("change /data/a/two", true),
        ("entry /data/b/new", true),
        ("change /data/b/deep/two", false),
        ("list /data/b", false),
        // The root is the folder of its own entry: what lies beside it follows from nothing.
        ("list /data", true),
    ] {
        assert_eq!(deeds.add(&path(text)), expected, "{text}");
    }
    let mut deeds = Deeds::below(&[root("/srv", "/")]);
    let told = (0..2 * MOST_DEEDS).filter(|number| deeds.add(&path(&format!("read /{number}")))).count();
    assert_eq!(told, MOST_DEEDS);
}
