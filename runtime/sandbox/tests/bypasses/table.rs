//! What an attack is, and what must become of it behind which walls. The attacks stand in the files named after
//! their groups; nothing is performed or judged here.

use wjob_model::wall::{LANDLOCK_LEAST, Wall, WorkerKind};

use crate::scene::Scene;

/// What an attack achieved, or the errno that stopped it.
pub type Answer = Result<String, i32>;

/// The answer of something that gives words instead of an errno.
pub const REFUSED: i32 = 0;

/// The end by a signal, where an errno is expected.
pub const fn killed(signal: i32) -> i32 {
    -signal
}

/// The network grants in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// None.
    Nothing,
    /// Connect to one port.
    Tcp,
    /// Connect to one datagram port.
    Udp,
    /// Both.
    TcpAndUdp,
    /// Bind one port.
    Bind,
    /// Connect to one Unix socket.
    Unix,
    /// Connect to one Unix socket and to one port.
    UnixAndTcp,
}

/// What an attack needs besides what every stage has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A device node in the ReadWrite grant, which only root can have put there.
    Device,
    /// A terminal as standard input that belongs to the neighbour's session.
    Terminal,
    /// A descriptor of the granted folder from before the walls.
    OldDescriptor,
    /// To be performed before any wall stands.
    NoWalls,
}

/// What must become of an attack.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// A wall stops it with one of these answers; landlock does from this ABI on.
    Held { by: Wall, since: u32, answers: &'static [i32] },
    /// No kernel wall stops it, and the documentation says so: if one does, the documentation is wrong.
    Limit(&'static str),
    /// The same on kernels whose landlock is older than this.
    LimitBelow(u32, &'static str),
    /// It is no attack and must succeed; what arrives where, if anything does.
    Works(Option<&'static str>),
}

/// One set of walls and what must become of the attack behind them.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Around what.
    pub kind: WorkerKind,
    /// The wall left out, to see another hold.
    pub without: Option<Wall>,
    /// What must come of it.
    pub expected: Expected,
}

impl Row {
    const fn held(kind: WorkerKind, without: Option<Wall>, by: Wall, answers: &'static [i32]) -> Self {
        Self { kind, without, expected: Expected::Held { by, since: LANDLOCK_LEAST, answers } }
    }

    /// Landlock holds it only from this ABI on.
    pub const fn since(self, abi: u32) -> Self {
        match self.expected {
            Expected::Held { by, answers, .. } => {
                Self { expected: Expected::Held { by, since: abi, answers }, kind: self.kind, without: self.without }
            }
            _ => self,
        }
    }
}

/// Behind all walls of a WebAssembly worker.
pub const fn wasm(by: Wall, answers: &'static [i32]) -> Row {
    Row::held(WorkerKind::Wasm, None, by, answers)
}

/// Behind a WebAssembly worker's walls but one.
pub const fn wasm_without(without: Wall, by: Wall, answers: &'static [i32]) -> Row {
    Row::held(WorkerKind::Wasm, Some(without), by, answers)
}

/// Behind all walls of a native program.
pub const fn native(by: Wall, answers: &'static [i32]) -> Row {
    Row::held(WorkerKind::Native, None, by, answers)
}

/// Behind a native program's walls but one.
pub const fn native_without(without: Wall, by: Wall, answers: &'static [i32]) -> Row {
    Row::held(WorkerKind::Native, Some(without), by, answers)
}

/// A documented limit of a WebAssembly worker's walls, all or all but one.
pub const fn wasm_limit(without: Option<Wall>, why: &'static str) -> Row {
    Row { kind: WorkerKind::Wasm, without, expected: Expected::Limit(why) }
}

/// A documented limit of a native program's walls.
pub const fn native_limit(why: &'static str) -> Row {
    Row { kind: WorkerKind::Native, without: None, expected: Expected::Limit(why) }
}

/// A documented limit of all walls of a worker, on kernels whose landlock is older than this.
pub const fn limit_below(abi: u32, kind: WorkerKind, why: &'static str) -> Row {
    Row { kind, without: None, expected: Expected::LimitBelow(abi, why) }
}

/// What a WebAssembly worker must be able to do.
pub const fn wasm_works(arrives: Option<&'static str>) -> Row {
    Row { kind: WorkerKind::Wasm, without: None, expected: Expected::Works(arrives) }
}

/// What a native program must be able to do.
pub const fn native_works(arrives: Option<&'static str>) -> Row {
    Row { kind: WorkerKind::Native, without: None, expected: Expected::Works(arrives) }
}

/// One attack.
pub struct Attack {
    /// The name of its function.
    pub name: &'static str,
    /// The network grants in force.
    pub network: Network,
    /// What it needs.
    pub need: Need,
    /// The attack itself; the errno of any step ends it.
    pub perform: fn(&Scene) -> Answer,
    /// What must become of it.
    pub rows: &'static [Row],
}

/// A row of a table of attacks, named after its function.
macro_rules! attack {
    ($perform:ident, $network:expr, $need:expr, [$($row:expr),* $(,)?]) => {
        attack!($perform, $network, $need, &[$($row),*])
    };
    ($perform:ident, $network:expr, $need:expr, $rows:expr) => {
        $crate::table::Attack {
            name: stringify!($perform),
            network: $network,
            need: $need,
            perform: $perform,
            rows: $rows,
        }
    };
}
pub(crate) use attack;

/// All tables.
const GROUPS: &[(&str, &[Attack])] = &[
    ("controls", crate::controls::CONTROLS),
    ("files", crate::files::ATTACKS),
    ("kernel", crate::kernel::ATTACKS),
    ("memory", crate::memory::ATTACKS),
    ("network", crate::network::ATTACKS),
    ("nodes", crate::nodes::ATTACKS),
    ("opening", crate::opening::ATTACKS),
    ("privileges", crate::privileges::ATTACKS),
    ("processes", crate::processes::ATTACKS),
    ("read_only", crate::read_only::ATTACKS),
    ("unix", crate::unix::ATTACKS),
];

/// One attack behind one set of walls.
#[derive(Clone, Copy)]
pub struct Case {
    group: &'static str,
    /// The attack.
    pub attack: &'static Attack,
    /// The walls and what must become of it.
    pub row: &'static Row,
}

impl Case {
    /// Its name in the output.
    pub fn name(&self) -> String {
        let kind = if self.row.kind == WorkerKind::Native { "native" } else { "wasm" };
        let without = self.row.without.map_or(String::new(), |wall| format!("_without_{}", wall.row().name));
        let older = if matches!(self.row.expected, Expected::LimitBelow(..)) { "_on_older_kernels" } else { "" };
        format!("{}::{}::{kind}{without}{older}", self.group, self.attack.name)
    }
}

/// Every attack behind every set of walls it has a row for.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(group, attacks) in GROUPS {
        for attack in attacks {
            cases.extend(attack.rows.iter().map(|row| Case { group, attack, row }));
        }
    }
    cases
}
