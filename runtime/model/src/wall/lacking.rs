//! A machine without each single wall, as a value, and what becomes of a job on it: refused with the name of the wall, or
//! run without it and said so. What each wall holds off is the sandbox's own tests' business.

use super::*;

/// Why the wall is not there.
const WHY: &str = "it was taken away";

/// What a worker of one kind makes of a wall.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    /// Nothing runs without it.
    Always,
    /// Nothing runs without it unless `--best-effort` is said.
    Required,
    /// It is used where there is one; without it that is said.
    Used,
    /// It has none, and misses none.
    Nothing,
}

use Need::{Always, Nothing, Required, Used};

/// Every wall, and what WebAssembly and a native program without grants make of it.
const TABLE: &[(Wall, Need, Need)] = &[
    (Wall::User, Always, Always),
    (Wall::NoNewPrivileges, Always, Always),
    (Wall::Capabilities, Always, Always),
    (Wall::Limits, Always, Always),
    (Wall::Landlock, Required, Required),
    (Wall::Seccomp, Required, Required),
    (Wall::Mount, Used, Required),
    (Wall::Processes, Nothing, Required),
    (Wall::Network, Nothing, Required),
    (Wall::Cgroup, Used, Used),
];

fn job(keys: &str) -> Job {
    let text = format!("{{ Label = a; Program = \"/bin/a\"; Limits = {{ Memory = 1048576; }}; {keys} }}");
    let context = crate::spec::Context { folder: "/", home: "/root", uid: 0 };
    let loaded = crate::spec::load(text.as_bytes(), &context);
    loaded.job.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.findings))
}

/// A machine that has everything.
fn whole(uid: u32) -> Machine {
    let delegated = Delegated { folder: "/sys/fs/cgroup/a".into(), memory: true, processes: true };
    Machine { cgroup: Ok(delegated), ..Machine::able(uid) }
}

/// Whether a plan puts a wall up.
fn promises(plan: &WallPlan, wall: Wall) -> bool {
    match wall {
        Wall::User | Wall::NoNewPrivileges | Wall::Capabilities | Wall::Limits => true,
        Wall::Landlock => plan.landlock_abi > 0,
        Wall::Seccomp => plan.seccomp,
        Wall::Mount => plan.mount.is_some(),
        Wall::Processes => plan.processes,
        Wall::Network => plan.network_namespace,
        Wall::Cgroup => plan.cgroup.is_some(),
    }
}

/// Holds what became of a job against what was expected.
fn judge(need: Need, wall: Wall, best_effort: bool, found: Result<WallPlan, WallRefusal>, said: &str) {
    let refused = need == Always || (need == Required && !best_effort);
    match found {
        Err(refusal) => {
            assert!(refused, "{said}: {refusal}");
            let words = format!("the {} wall is required and cannot be put up: {WHY}", wall.row().name);
            assert_eq!(refusal.to_string(), words, "{said}");
        }
        Ok(plan) => {
            assert!(!refused && !promises(&plan, wall), "{said}: {plan:?}");
            let first = plan.missing.first().map(|missing| (missing.wall, missing.why.as_str()));
            assert_eq!(first, (need != Nothing).then_some((wall, WHY)), "{said}");
        }
    }
}

#[test]
fn the_table_has_every_wall() {
    for row in WALLS {
        assert!(TABLE.iter().any(|(wall, ..)| *wall == row.wall), "{} is missing", row.name);
    }
    assert_eq!(TABLE.len(), WALLS.len());
}

#[test]
fn without_a_wall_a_job_is_refused_by_its_name_or_runs_and_says_so() {
    let job = job("");
    for (wall, of_wasm, of_native) in TABLE {
        for (wasm, need) in [(true, *of_wasm), (false, *of_native)] {
            for (uid, best_effort) in [(0, false), (0, true), (1000, false), (1000, true)] {
                let machine = whole(uid).without(*wall, WHY);
                let said = format!("{wall:?}, wasm {wasm}, user {uid}, best effort {best_effort}");
                judge(need, *wall, best_effort, plan(&job, "/bin/a", wasm, &machine, best_effort), &said);
            }
        }
    }
}

#[test]
fn with_every_wall_nothing_is_missing() {
    for (uid, wasm) in [(0, true), (0, false), (1000, true), (1000, false)] {
        let plan = plan(&job(""), "/bin/a", wasm, &whole(uid), false).unwrap();
        assert_eq!(plan.missing, [], "user {uid}, wasm {wasm}");
        for (wall, of_wasm, of_native) in TABLE {
            let need = if wasm { *of_wasm } else { *of_native };
            assert_eq!(promises(&plan, *wall), need != Nothing, "{wall:?}, user {uid}, wasm {wasm}");
        }
    }
}

/// What goes with a wall that is missing is named after it.
#[test]
fn a_native_program_without_its_view_says_all_that_it_does_without() {
    let walls = |keys: &str, wall: Wall| {
        let plan = plan(&job(keys), "/bin/a", false, &whole(1000).without(wall, WHY), true).unwrap();
        plan.missing.iter().map(|missing| missing.wall).collect::<Vec<_>>()
    };
    let connects = "Grants = { Connect = (\"tcp://127.0.0.1:1\"); };";
    for (keys, wall, expected) in [
        ("", Wall::Mount, vec![Wall::Mount, Wall::Processes, Wall::Network]),
        ("", Wall::Processes, vec![Wall::Processes, Wall::Mount, Wall::Network]),
        ("", Wall::Network, vec![Wall::Network]),
        (connects, Wall::Mount, vec![Wall::Mount, Wall::Processes]),
        (connects, Wall::Network, vec![]),
    ] {
        assert_eq!(walls(keys, wall), expected, "{keys} without {wall:?}");
    }
}

/// What is needed for a grant to be one is not let go by any word.
#[test]
fn a_grant_that_a_wall_makes_narrow_is_not_given_without_it() {
    let unix = "Grants = { Connect = (\"unix:///run/x\"); };";
    let connected = format!("UserName = root; {}", to_path("stream"));
    let root = "RootDirectory = \"/srv/root\";";
    for (keys, wasm, wall) in [
        (unix, true, Wall::Mount),
        (unix, false, Wall::Mount),
        (unix, false, Wall::Processes),
        (&connected, false, Wall::Mount),
        (&connected, false, Wall::Processes),
        (root, false, Wall::Mount),
        (root, false, Wall::Processes),
    ] {
        let found = plan(&job(keys), "/bin/a", wasm, &whole(1000).without(wall, WHY), true);
        assert_eq!(found, Err(WallRefusal::Required { wall, why: WHY.into() }), "{keys} wasm {wasm}");
    }
    // A component can do nothing with such a socket but speak to who is there.
    let found = plan(&job(&connected), "/bin/a", true, &whole(1000).without(Wall::Mount, WHY), false);
    assert_eq!(found.map(|plan| plan.missing.len()), Ok(1));
}

/// A connection of this type to somebody else's Unix socket.
fn to_path(kind: &str) -> String {
    format!("Sockets = {{ a = {{ SockPathName = \"/run/y\"; SockType = {kind}; SockPassive = NO; }}; }};")
}

/// Landlock has grown, and each grant asks for as much of it as holds the grant.
#[test]
fn an_older_landlock_is_enough_for_what_it_can_hold() {
    let tcp = "Grants = { Connect = (\"tcp://127.0.0.1:1\"); };";
    let unix = "Grants = { Connect = (\"unix:///run/x\"); };";
    let stream = "Sockets = { a = { SockServiceName = 8080; }; };";
    let datagram = "Sockets = { a = { SockPathName = \"/run/y\"; SockType = dgram; }; };";
    let connections = "Sockets = { a = { SockPathName = \"/run/y\"; }; };";
    let [to_stream, to_packets] = ["stream", "seqpacket"].map(|kind| format!("UserName = root; {}", to_path(kind)));
    let to_port = "Sockets = { a = { SockServiceName = 8080; SockPassive = NO; }; };";
    for (keys, wasm, least) in [
        ("", true, LANDLOCK_LEAST),
        ("", false, LANDLOCK_LEAST),
        (tcp, true, LANDLOCK_TCP),
        (tcp, false, LANDLOCK_TCP),
        (unix, true, LANDLOCK_UNIX),
        // Its network has no abstract socket in it.
        (unix, false, LANDLOCK_LEAST),
        // What it is handed is of the machine's network, and a native program can connect it anew.
        (stream, true, LANDLOCK_LEAST),
        (stream, false, LANDLOCK_TCP),
        (datagram, true, LANDLOCK_LEAST),
        (datagram, false, LANDLOCK_UNIX),
        (connections, false, LANDLOCK_LEAST),
        // Where nobody answered, it is not connected yet.
        (&to_stream, false, LANDLOCK_UNIX),
        (&to_packets, false, LANDLOCK_UNIX),
        (&to_stream, true, LANDLOCK_LEAST),
        (to_port, false, LANDLOCK_TCP),
        (to_port, true, LANDLOCK_LEAST),
    ] {
        for landlock_abi in 0..=LANDLOCK_NEWEST {
            let machine = Machine { landlock_abi, ..whole(1000) };
            let said = format!("{keys} wasm {wasm} ABI {landlock_abi}");
            let plans = [false, true].map(|best_effort| plan(&job(keys), "/bin/a", wasm, &machine, best_effort));
            if landlock_abi >= least {
                assert!(plans.iter().flatten().all(|plan| plan.missing.is_empty()), "{said}");
                assert!(plans.iter().flatten().all(|plan| plan.landlock_abi == landlock_abi), "{said}");
                assert_eq!(plans.iter().flatten().count(), 2, "{said}");
                continue;
            }
            let [refused, without] = plans;
            let why = format!("landlock ABI {least} is needed, the kernel has {landlock_abi}");
            assert_eq!(refused, Err(WallRefusal::Required { wall: Wall::Landlock, why: why.clone() }), "{said}");
            // As much of it as there is.
            let without = without.expect("a plan");
            assert_eq!(
                (without.landlock_abi, without.missing),
                (landlock_abi, vec![Missing { wall: Wall::Landlock, why }])
            );
        }
    }
}
