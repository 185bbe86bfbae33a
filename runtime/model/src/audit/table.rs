//! The table of all that is judged, with what each line weighs. How a line judges is in the files beside it.

use super::{Judged, Subject, grants, limits, network, reach, walls};
use crate::limit::Limit;
use crate::wall::Wall;

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its fixed name, for scripts.
    pub id: &'static str,
    /// What each step of badness adds to the score, in hundredths: a row of weight 10 adds at most 1.0.
    pub weight: u32,
    /// What to change to lower it: a key of the job file, and how.
    pub change: &'static str,
    judge: Judge,
}

/// How a row judges.
#[derive(Clone, Copy, Debug)]
enum Judge {
    /// By a rule of its own.
    Rule(fn(&Subject<'_>) -> Judged),
    /// By whether this wall stands.
    Wall(Wall),
    /// By whether this limit is set.
    Limit(Limit),
}

impl Row {
    /// What it says of a job.
    pub fn judge(&self, subject: &Subject<'_>) -> Judged {
        match self.judge {
            Judge::Rule(rule) => rule(subject),
            Judge::Wall(wall) => walls::wall(subject, wall),
            Judge::Limit(limit) => limits::limit(subject, limit),
        }
    }
}

const fn rule(id: &'static str, weight: u32, rule: fn(&Subject<'_>) -> Judged, change: &'static str) -> Row {
    Row { id, weight, change, judge: Judge::Rule(rule) }
}

const fn wall(id: &'static str, weight: u32, wall: Wall) -> Row {
    Row { id, weight, change: OF_THE_MACHINE, judge: Judge::Wall(wall) }
}

const fn limit(id: &'static str, weight: u32, limit: Limit, change: &'static str) -> Row {
    Row { id, weight, change, judge: Judge::Limit(limit) }
}

/// What a wall depends on that stands whatever the job file says.
const OF_THE_MACHINE: &str = "nothing in the file: `wjob info` says what this machine lacks";
/// Connect and Bind keep a native program from having the network wall, Users in some places a job from the mount wall.
const OF_GRANTS: &str = "Grants: without the key that the line names; else `wjob info` says what this machine lacks";

/// The table. What weighs how much: first that nothing stands between the program and its user's rights, then each
/// wall, then what can be changed or taken over outside, then what can be seen, then what can be used up.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    rule("isolation", 100, walls::isolation, "Isolation: remove it"),
    rule("program", 10, walls::program, "Program: a WebAssembly component"),
    rule("root", 30, walls::root, "UserName: an account that is not root"),
    wall("wall-user", 30, Wall::User),
    wall("wall-processes", 10, Wall::Processes),
    Row { change: OF_GRANTS, ..wall("wall-network", 15, Wall::Network) },
    Row { change: OF_GRANTS, ..wall("wall-mount", 20, Wall::Mount) },
    wall("wall-limits", 10, Wall::Limits),
    wall("wall-cgroup", 3, Wall::Cgroup),
    wall("wall-no-new-privileges", 15, Wall::NoNewPrivileges),
    wall("wall-capabilities", 20, Wall::Capabilities),
    wall("wall-landlock", 20, Wall::Landlock),
    wall("wall-seccomp", 20, Wall::Seccomp),
    rule("paths-change", 25, grants::changes, "Grants.Paths: ReadOnly, or a folder further in"),
    rule("paths-read", 10, grants::reads, "Grants.Paths: fewer, or folders further in"),
    rule("stdio", 25, grants::stdio, "StandardOutPath and its like: a folder of logs, or remove it: output is kept"),
    rule("connect", 20, network::connect, "Grants.Connect: fewer entries, each with its one port"),
    rule("connect-unix", 30, network::unix, "Grants.Connect: fewer unix:// entries; Sockets: fewer with SockPassive false"),
    rule("connect-powerful", 100, network::powerful,
        "Grants.Connect, Sockets with SockPassive false: no socket of a service that acts for others"),
    rule("bind", 15, network::bind, "Grants.Bind: a loopback address with its port, or Sockets in its place"),
    rule("addresses", 15, network::addresses,
        "Program: WebAssembly; or nothing in Connect and Bind but unix://, and no dgram Sockets of the network"),
    rule("udp", 15, network::udp, "Grants.Connect and Bind: tcp in place of udp; Sockets: stream in place of dgram"),
    rule("environment", 5, grants::environment, "Grants.Environment: fewer; a secret is better granted as a file"),
    rule("services", 5, grants::services, "Grants.Services and MachServices: fewer"),
    rule("control", 15, grants::control, "Grants.Control: Observe, or remove it"),
    rule("sockets-network", 15, reach::network, "Sockets: SockNodeName 127.0.0.1, or SockPathName"),
    rule("sockets-unix", 10, reach::unix, "Sockets: no SockPathMode; Grants.Users: fewer"),
    rule("reuse", 5, walls::reuse, "InstanceReuse: remove it"),
    rule("left-over", 5, walls::left_over, "AbandonProcessGroup: remove it"),
    limit("memory", 3, Limit::Memory, "Limits.Memory: set it"),
    rule("time", 2, limits::time, "Limits.CPUTime or Limits.RunTime: set one"),
    limit("processes", 3, Limit::Processes, "Limits.Processes: set it"),
    limit("output", 1, Limit::OutputSize, "Limits.OutputSize: set it"),
    limit("connections", 1, Limit::ConnectionsPerSource,
        "Limits.ConnectionsPerSource: set it; a native program needs inetdCompatibility without Wait for it"),
];
