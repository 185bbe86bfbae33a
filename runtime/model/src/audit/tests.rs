//! The rules over data: what each line says of a job, and of the table as a whole that no grant lowers a score and no
//! wall raises one.

use std::collections::BTreeSet;

use super::*;
use crate::grant::{Access, Control, Endpoint, PathGrant};
use crate::limit::LIMITS;
use crate::message::Evidence;
use crate::socket::{Family, Place, Remote, Service, Socket, SocketKind};
use crate::wall::{Machine, WALLS};

const WASM: Option<ProgramKind> = Some(ProgramKind::Component);
const NATIVE: Option<ProgramKind> = Some(ProgramKind::Elf);

fn job(keys: &str) -> Job {
    let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
    let context = crate::spec::Context { folder: "/", home: "/home/u", uid: 1000 };
    let loaded = crate::spec::load(text.as_bytes(), &context);
    loaded.job.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.findings))
}

fn all_walls() -> Vec<Wall> {
    WALLS.iter().map(|row| row.wall).collect()
}

fn standing(walls: Vec<Wall>) -> Standing {
    Standing { basis: Basis::ReadBack, walls, note: None }
}

fn judged(job: &Job, kind: Option<ProgramKind>, root: bool, walls: Vec<Wall>) -> Audit {
    audit(&Subject { job, kind, root, standing: &standing(walls) })
}

/// The line of a job behind all walls.
fn line(keys: &str, kind: Option<ProgramKind>, id: &str) -> Finding {
    let audit = judged(&job(keys), kind, false, all_walls());
    audit.findings.into_iter().find(|finding| finding.row.id == id).unwrap_or_else(|| panic!("no line {id}"))
}

#[test]
fn every_row_has_its_name_its_weight_and_what_to_change() {
    let names: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
    assert_eq!(names.len(), ROWS.len());
    for row in ROWS {
        assert!(row.weight > 0 && !row.change.is_empty(), "{}", row.id);
    }
    for row in WALLS {
        assert!(names.contains(format!("wall-{}", row.name).as_str()), "{} has no row", row.name);
    }
}

#[test]
fn a_job_granted_nothing_behind_all_walls_is_safe_and_a_native_one_nearly() {
    for (kind, root, most) in [(WASM, false, 0.9), (WASM, true, 0.9), (NATIVE, false, 2.9), (NATIVE, true, 2.9)] {
        let score = judged(&job(""), kind, root, all_walls()).score();
        assert!(score.number() > 0.0 && score.number() <= most, "{kind:?} root {root}: {score:?}");
        assert_eq!(score.level(), if kind == WASM { Level::Safe } else { Level::Ok });
    }
}

#[test]
fn with_all_limits_set_nothing_is_left_of_it() {
    let mut bounded = job("");
    for row in LIMITS {
        *bounded.limits.slot(row.limit) = Some(row.most);
    }
    let audit = judged(&bounded, WASM, false, all_walls());
    let left: Vec<&str> = audit.findings.iter().filter(|line| line.points() > 0).map(|line| line.row.id).collect();
    assert_eq!((audit.score().number(), left), (0.0, vec![]));
}

#[test]
fn without_walls_by_its_own_will_the_score_is_the_worst() {
    let unwalled = job("Isolation = None;");
    for walls in [vec![], vec![Wall::User, Wall::Limits], all_walls()] {
        let score = judged(&unwalled, NATIVE, false, walls).score();
        assert_eq!((score.number(), score.level()), (10.0, Level::Unsafe));
    }
}

#[test]
fn levels_are_in_the_order_of_scores() {
    let levels: Vec<Level> = (0..=100).map(|tenths| Score(tenths).level()).collect();
    assert!(levels.is_sorted());
    for (tenths, word) in
        [(0, "SAFE"), (9, "SAFE"), (10, "OK"), (30, "MEDIUM"), (50, "EXPOSED"), (80, "UNSAFE"), (100, "UNSAFE")]
    {
        assert_eq!(Score(tenths).level().word(), word, "{tenths}");
    }
}

fn path(host: &str, access: Access) -> PathGrant {
    PathGrant { host: host.into(), guest: host.into(), access }
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse_connect(text).unwrap()
}

fn unix_socket(mode: u32) -> Socket {
    let place = Place::Path { path: "/run/a".into(), mode: Some(mode), owner: None, group: None };
    Socket { name: "a".into(), kind: SocketKind::Stream, place }
}

fn udp_connection() -> Socket {
    let remote = Remote::Network { node: None, service: Service::Port(53), family: Family::Each };
    Socket { name: "b".into(), kind: SocketKind::Datagram, place: Place::Remote(remote) }
}

/// What a job can be given, one by one.
const GRANTS: &[fn(&mut Job)] = &[
    |job: &mut Job| job.grants.paths.push(path("/srv/a/b/c", Access::ReadOnly)),
    |job: &mut Job| job.grants.paths.push(path("/srv/d", Access::ReadWrite)),
    |job: &mut Job| job.grants.paths.push(path("/etc", Access::ReadWrite)),
    |job: &mut Job| job.grants.connect.push(endpoint("tcp://127.0.0.1:80")),
    |job: &mut Job| job.grants.connect.push(endpoint("udp://192.0.2.1:*")),
    |job: &mut Job| job.grants.connect.push(endpoint("unix:///run/docker.sock")),
    |job: &mut Job| job.grants.bind.push(Endpoint::parse_bind("tcp://0.0.0.0:0").unwrap()),
    |job: &mut Job| job.grants.environment.push("API_TOKEN".into()),
    |job: &mut Job| job.grants.users.push("www".into()),
    |job: &mut Job| job.grants.control = Some(Control::Operate),
    |job: &mut Job| job.sockets.push(Socket::on_port("web", 80)),
    |job: &mut Job| job.sockets.push(unix_socket(0o666)),
    |job: &mut Job| job.sockets.push(udp_connection()),
    |job: &mut Job| job.services.push("org.example.a".into()),
];

/// The job with those whose bits are set.
fn with_grants(plain: &Job, mask: usize) -> Job {
    let mut job = plain.clone();
    let given = GRANTS.iter().enumerate().filter(|(index, _)| mask & (1 << index) != 0);
    given.for_each(|(_, grant)| grant(&mut job));
    job
}

/// The badness of each line, and the score.
type Steps = (Vec<u32>, Score);

fn steps(audit: &Audit) -> Steps {
    (audit.findings.iter().map(|finding| finding.judged.badness).collect(), audit.score())
}

#[test]
fn a_grant_never_lowers_a_score() {
    let plain = job("");
    for (kind, walls) in [(WASM, all_walls()), (NATIVE, all_walls()), (WASM, vec![]), (NATIVE, vec![])] {
        let judged = |mask| steps(&judged(&with_grants(&plain, mask), kind, false, walls.clone()));
        let all: Vec<Steps> = (0..1 << GRANTS.len()).map(judged).collect();
        for (mask, (before, score)) in all.iter().enumerate() {
            for more in (0..GRANTS.len()).map(|index| mask | (1 << index)) {
                let (after, higher) = &all[more];
                let lower = before.iter().zip(after).position(|(before, after)| after < before);
                assert_eq!(lower.map(|row| ROWS[row].id), None, "{kind:?} {mask:b} {more:b}");
                assert!(higher >= score, "{kind:?} {mask:b} {more:b}");
            }
        }
    }
}

#[test]
fn a_wall_never_raises_a_score() {
    let walls_of = |mask: usize| -> Vec<Wall> {
        let chosen = WALLS.iter().enumerate().filter(|(index, _)| mask & (1 << index) != 0);
        chosen.map(|(_, row)| row.wall).collect()
    };
    let granted = with_grants(&job(""), (1 << GRANTS.len()) - 1);
    let jobs = [job(""), granted, job("Limits = { Memory = 1048576; RunTime = 5; };")];
    for (job, kind) in jobs.iter().flat_map(|job| [(job, WASM), (job, NATIVE), (job, None)]) {
        let judged = |mask| steps(&judged(job, kind, true, walls_of(mask)));
        let all: Vec<Steps> = (0..1 << WALLS.len()).map(judged).collect();
        for (mask, (before, score)) in all.iter().enumerate() {
            for more in (0..WALLS.len()).map(|index| mask | (1 << index)) {
                let (after, lower) = &all[more];
                let higher = before.iter().zip(after).position(|(before, after)| after > before);
                assert_eq!(higher.map(|row| ROWS[row].id), None, "{kind:?} {mask:b} {more:b}");
                assert!(lower <= score, "{kind:?} {mask:b} {more:b}");
            }
        }
    }
}

#[test]
fn each_line_says_what_is_granted_and_what_holds_it() {
    for (keys, kind, id, badness, held, part) in [
        ("", WASM, "paths-change", 0, Held::Both, "change no path"),
        ("", NATIVE, "paths-change", 0, Held::Kernel, "change no path"),
        ("Grants = { Paths = (\"/srv/a/b/c\"); };", WASM, "paths-read", 2, Held::Both, "may read /srv/a/b/c"),
        ("Grants = { Paths = (\"/srv/a/.ssh/c\"); };", WASM, "paths-read", 10, Held::Both, "may read"),
        ("Grants = { Paths = (\"/etc/a/b/c\"); };", NATIVE, "paths-read", 10, Held::Kernel, "may read"),
        (
            "Grants = { Paths = (\"/srv/a\", \"/srv/b\", \"/srv/c\", \"/srv/d\"); };",
            WASM,
            "paths-read",
            8,
            Held::Both,
            "may read /srv/a, /srv/b, /srv/c and 1 more",
        ),
        (
            "Grants = { Paths = ({ Path = \"/srv\"; Access = ReadWrite; }); };",
            WASM,
            "paths-change",
            10,
            Held::Both,
            "may change /srv",
        ),
        ("Grants = { Connect = (\"tcp://127.0.0.1:80\"); };", WASM, "connect", 2, Held::Both, "tcp://127.0.0.1:80"),
        ("Grants = { Connect = (\"tcp://127.0.0.1:*\"); };", WASM, "connect", 5, Held::Both, "tcp://127.0.0.1:*"),
        ("Grants = { Connect = (\"http://169.254.169.254\"); };", WASM, "connect", 10, Held::Both, "169.254"),
        ("Grants = { Connect = (\"https://a.example\"); };", WASM, "addresses", 2, Held::Guest, "WASI wall alone"),
        ("Grants = { Connect = (\"https://a.example\"); };", NATIVE, "addresses", 10, Held::Nothing, "nothing holds"),
        ("Grants = { Bind = (\"udp://127.0.0.1:53\"); };", WASM, "udp", 3, Held::Guest, "WASI wall alone"),
        ("Grants = { Bind = (\"udp://127.0.0.1:53\"); };", NATIVE, "udp", 10, Held::Nothing, "nothing holds"),
        ("Grants = { Bind = (\"tcp://0.0.0.0:0\"); };", WASM, "bind", 9, Held::Both, "listen on tcp://0.0.0.0:0"),
        ("Grants = { Connect = (\"unix:///run/x\"); };", WASM, "connect-unix", 4, Held::Both, "/run/x"),
        ("Grants = { Connect = (\"unix:///run/x\"); };", WASM, "addresses", 0, Held::Both, "no address"),
        (
            "Grants = { Connect = (\"unix:///run/x\"); Paths = (\"/srv\"); };",
            WASM,
            "connect-unix",
            5,
            Held::Both,
            "to those in its Paths",
        ),
        ("Grants = { Connect = (\"unix:///run/x\"); };", WASM, "connect-powerful", 0, Held::Both, "acts for it"),
        (
            "Grants = { Connect = (\"unix:///run/docker.sock\"); };",
            WASM,
            "connect-powerful",
            10,
            Held::Nothing,
            "no wall holds",
        ),
        ("Grants = { Connect = (\"tcp://[fe80::1]:80\"); };", WASM, "connect", 10, Held::Both, "fe80::1"),
        ("Grants = { Paths = (\"/home/alice\"); };", WASM, "paths-read", 10, Held::Both, "/home/alice"),
        ("RootDirectory = \"/srv/root\";", NATIVE, "paths-read", 5, Held::Kernel, "may read /srv/root"),
        ("StandardOutPath = \"/etc/cron.d/a\";", WASM, "stdio", 10, Held::Both, "/etc/cron.d/a"),
        ("StandardOutPath = \"/srv/log/a\";", WASM, "stdio", 1, Held::Both, "/srv/log/a"),
        ("StandardOutPath = \"/dev/null\";", WASM, "stdio", 0, Held::Both, "no file is opened"),
        ("Grants = { Environment = (TZ); };", WASM, "environment", 1, Held::Both, "TZ"),
        ("Grants = { Environment = (TZ, \"GITHUB_TOKEN\"); };", WASM, "environment", 10, Held::Both, "GITHUB_TOKEN"),
        ("Grants = { Control = Observe; };", WASM, "control", 4, Held::Both, "Observe"),
        ("Isolation = None;", NATIVE, "isolation", 10, Held::Nothing, "all rights of its user"),
        ("", None, "program", 10, Held::Kernel, "cannot be told"),
        ("", WASM, "processes", 0, Held::Both, "no processes"),
        ("", NATIVE, "processes", 10, Held::Nothing, "no limit Processes"),
        ("Limits = { RunTime = 9; };", WASM, "time", 0, Held::Both, "RunTime is at most 9 seconds"),
        ("", WASM, "time", 4, Held::Nothing, "for ever"),
        ("InstanceReuse = 64;", WASM, "reuse", 6, Held::Nothing, "64 requests"),
        ("Limits = { Memory = 1048576; };", NATIVE, "wall-cgroup", 0, Held::Kernel, "the cgroup wall stands"),
        ("AbandonProcessGroup = YES;", NATIVE, "left-over", 5, Held::Kernel, "go on without it"),
    ] {
        let Finding { judged, .. } = line(keys, kind, id);
        assert_eq!((judged.badness, judged.held), (badness, held), "{keys} {kind:?}: {}", judged.words);
        assert!(judged.words.contains(part), "{keys} {kind:?}: {} lacks {part:?}", judged.words);
    }
}

/// What is handed over counts like what is granted, as far as more than its own peers can be reached by it.
#[test]
fn a_socket_that_reaches_others_counts_like_a_grant() {
    let at = |keys: &str| format!("Sockets = {{ a = {{ {keys} }}; }};");
    let to = |keys: &str| at(&format!("{keys} SockPassive = NO;"));
    let (udp, tcp) = ("SockServiceName = 53; SockType = dgram;", "SockServiceName = 80;");
    let granted = format!("{} Grants = {{ Connect = (\"udp://127.0.0.1:53\"); }};", at(udp));
    for (keys, kind, id, badness, held, part) in [
        (at(udp), NATIVE, "udp", 10, Held::Nothing, "send to every one"),
        (to(udp), NATIVE, "udp", 10, Held::Nothing, "send to every one"),
        (at(udp), NATIVE, "addresses", 10, Held::Nothing, "send to every one"),
        (to(udp), NATIVE, "addresses", 10, Held::Nothing, "send to every one"),
        (granted.clone(), NATIVE, "udp", 10, Held::Nothing, "send to every one"),
        (granted, WASM, "udp", 3, Held::Guest, "the UDP ports granted"),
        (at(udp), WASM, "udp", 3, Held::Guest, "who have sent it something"),
        (to(udp), WASM, "addresses", 2, Held::Guest, "to whom it is connected"),
        (to(udp), None, "udp", 10, Held::Nothing, "send to every one"),
        (at(tcp), NATIVE, "addresses", 0, Held::Kernel, "no address"),
        (to(tcp), NATIVE, "addresses", 0, Held::Kernel, "no address"),
        (to(tcp), NATIVE, "udp", 0, Held::Kernel, "no UDP"),
        (to(tcp), NATIVE, "connect", 2, Held::Kernel, "port 80 of localhost"),
        (at("SockPathName = \"/run/x\"; SockType = dgram;"), NATIVE, "udp", 0, Held::Kernel, "no UDP"),
        (to("SockPathName = \"/run/x\";"), NATIVE, "connect-unix", 4, Held::Kernel, "/run/x"),
        (to("SockPathName = \"/run/docker.sock\";"), WASM, "connect-unix", 10, Held::Both, "/run/docker.sock"),
        (to("SockPathName = \"/run/docker.sock\";"), WASM, "connect-powerful", 10, Held::Nothing, "no wall holds"),
        (at("SockPathName = \"/run/docker.sock\";"), WASM, "connect-powerful", 0, Held::Both, "acts for it"),
    ] {
        let Finding { judged, .. } = line(&keys, kind, id);
        assert_eq!((judged.badness, judged.held), (badness, held), "{keys} {kind:?} {id}: {}", judged.words);
        assert!(judged.words.contains(part), "{keys} {kind:?} {id}: {} lacks {part:?}", judged.words);
    }
}

#[test]
fn who_may_connect_decides_how_a_socket_counts() {
    let path = |more: &str| format!("Sockets = {{ a = {{ SockPathName = \"/run/a\"; {more} }}; }};");
    let port = |more: &str| format!("Sockets = {{ a = {{ SockServiceName = \"80\"; {more} }}; }};");
    for (keys, id, badness, part) in [
        (String::new(), "sockets-network", 0, "nobody"),
        (port(""), "sockets-network", 10, "port 80 of every address"),
        (port("SockNodeName = localhost;"), "sockets-network", 3, "port 80 of localhost"),
        (port("SockNodeName = \"192.0.2.1\";"), "sockets-network", 8, "port 80 of 192.0.2.1"),
        (path(""), "sockets-network", 0, "nobody"),
        (path(""), "sockets-unix", 1, "its own user and root"),
        (path("SockPathMode = 432;"), "sockets-unix", 4, "its group (SockPathMode 660)"),
        (path("SockPathMode = 438;"), "sockets-unix", 8, "every user of this machine (SockPathMode 666)"),
        (format!("{} Grants = {{ Users = (www); }};", path("")), "sockets-unix", 3, "its own user, root and www"),
    ] {
        let Finding { judged, .. } = line(&keys, WASM, id);
        assert_eq!(judged.badness, badness, "{keys}: {}", judged.words);
        assert!(judged.words.contains(part), "{keys}: {} lacks {part:?}", judged.words);
    }
}

#[test]
fn a_wall_that_does_not_stand_is_said_with_the_jobs_own_part_in_it() {
    let connects = job("Grants = { Connect = (\"tcp://127.0.0.1:80\"); };");
    let limited = job("Limits = { Memory = 1048576; };");
    let without = |wall: Wall| all_walls().into_iter().filter(move |other| *other != wall).collect::<Vec<_>>();
    for (job, kind, wall, badness, held, part) in [
        (&job(""), WASM, Wall::Mount, 3, Held::Guest, "the mount wall does not stand; it would be"),
        (&job(""), NATIVE, Wall::Mount, 10, Held::Nothing, "the mount wall does not stand; it would be"),
        (&connects, NATIVE, Wall::Network, 10, Held::Nothing, "does not stand, since Connect or Bind is granted"),
        (&connects, WASM, Wall::Network, 0, Held::Both, "for native programs"),
        (&job(""), NATIVE, Wall::Cgroup, 0, Held::Kernel, "no more than its resource limits"),
        (&limited, WASM, Wall::Cgroup, 0, Held::Both, "no more than its resource limits"),
        (&limited, NATIVE, Wall::Cgroup, 5, Held::Kernel, "Memory holds for each of its processes"),
    ] {
        let audit = judged(job, kind, false, without(wall));
        let id = format!("wall-{}", wall.row().name);
        let found = audit.findings.iter().find(|finding| finding.row.id == id).expect("its line");
        assert_eq!((found.judged.badness, found.judged.held), (badness, held), "{id} {kind:?}");
        assert!(found.judged.words.contains(part), "{}", found.judged.words);
    }
}

fn machine(uid: u32, namespaces: Result<(), String>) -> Machine {
    Machine { namespaces, ..Machine::able(uid) }
}

#[test]
fn the_walls_expected_are_those_of_the_plan() {
    let unusual = |wall: &Wall| matches!(wall, Wall::Processes | Wall::Network | Wall::Cgroup);
    let usual: Vec<Wall> = all_walls().into_iter().filter(|wall| !unusual(wall)).collect();
    let no = || Err("no namespaces".to_owned());
    for (keys, kind, namespaces, lacks, refused) in [
        ("", WASM, Ok(()), vec![], false),
        ("", WASM, no(), vec![Wall::Mount], false),
        ("", NATIVE, no(), vec![Wall::Mount], true),
        ("Isolation = None;", WASM, Ok(()), usual.clone(), true),
    ] {
        let standing = Standing::expected(&job(keys), kind, &machine(1000, namespaces));
        let expected: Vec<&Wall> = usual.iter().filter(|wall| !lacks.contains(wall)).collect();
        let found: Vec<&Wall> = usual.iter().filter(|wall| standing.walls.contains(wall)).collect();
        assert_eq!((found, standing.note.is_some()), (expected, refused), "{keys} {kind:?}: {:?}", standing.note);
    }
    let native = |keys: &str| Standing::expected(&job(keys), NATIVE, &machine(1000, Ok(())));
    // There is no control group without delegation, nor without a limit that it would hold.
    assert_eq!(native("").walls.len(), WALLS.len() - 1);
    assert!(!native("Grants = { Connect = (\"tcp://127.0.0.1:80\"); };").walls.contains(&Wall::Network));
    assert_eq!(native("Isolation = None;").walls, [Wall::User, Wall::Limits]);
}

#[test]
fn a_wall_stands_when_all_that_was_seen_of_it_did_and_the_job_would_have_it() {
    let seen = |wall, stands| Evidence { wall, found: "x".into(), stands };
    let caps = Wall::Capabilities;
    for (keys, evidence, expected) in [
        ("", vec![], vec![]),
        ("", vec![seen(Wall::User, true)], vec![Wall::User]),
        ("", vec![seen(Wall::User, false)], vec![]),
        ("", vec![seen(caps, true), seen(caps, true)], vec![caps]),
        ("", vec![seen(caps, true), seen(caps, false)], vec![]),
        ("", vec![seen(Wall::Network, true)], vec![Wall::Network]),
        ("Grants = { Connect = (\"tcp://127.0.0.1:80\"); };", vec![seen(Wall::Network, true)], vec![]),
    ] {
        let standing = Standing::read_back(&job(keys), NATIVE, &machine(1000, Ok(())), &evidence);
        assert_eq!((standing.basis, &standing.walls), (Basis::ReadBack, &expected), "{keys} {evidence:?}");
    }
    let tried = standing(all_walls()).without(|wall| wall == Wall::Mount);
    assert!(!tried.walls.contains(&Wall::Mount) && tried.walls.len() == WALLS.len() - 1);
}

#[test]
fn root_is_told_by_what_the_machine_gives_it() {
    for (root, caller, expected) in [(true, 1000, 0), (true, 0, 0), (false, 1000, 1000), (false, 0, 1)] {
        assert_eq!(user_like(root, caller), expected);
    }
}

#[test]
fn what_is_told_adds_up() {
    let job = job("Grants = { Connect = (\"udp://192.0.2.1:53\"); Environment = (TZ); };");
    let standing = standing(all_walls());
    let subject = Subject { job: &job, kind: WASM, root: true, standing: &standing };
    let told = audit(&subject).told(&subject);
    let sum: f64 = told.findings.iter().map(|finding| finding.points).sum();
    assert!(told.score >= sum - 1e-9 && told.score < sum + 0.1, "{} is not the sum {sum}", told.score);
    assert_eq!((told.label.as_str(), told.walls.as_str(), told.note), ("a", "read back", None));
    let udp = told.findings.iter().find(|finding| finding.id == "udp").expect("its line");
    assert_eq!((udp.badness, udp.held.as_str()), (3, "guest"));
    assert_eq!(told.findings.len(), ROWS.len());
}
