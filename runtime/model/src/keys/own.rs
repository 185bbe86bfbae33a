//! wjob's own keys. macOS ignores them, so one file serves both systems.
//! The rows of `Limits` come from the table of limits, so that no limit is stated twice.

use super::{Available, Class, Key, Kind};
use crate::limit::{LIMITS, LimitRow};

const SINCE: &str = "wjob 0.1";
const TEXTS: Kind = Kind::Array(&Kind::Text);
const ENDPOINTS: Kind = Kind::Array(&Kind::Endpoint);
/// The words of `Access`; `spec` reads them by `grant::Access::word`.
const ACCESS: Kind = Kind::OneOf(&["ReadOnly", "ReadWrite", "Execute"]);
/// An account: a name, `@group`, or a number below the one that means "nobody in particular".
const ACCOUNT: Kind = Kind::AnyOf(&[Kind::Text, Kind::Integer { least: 0, most: 4_294_967_294 }]);

/// A row; every key of ours is honoured.
const fn key(path: &'static str, kind: Kind, available: Available, summary: &'static str) -> Key {
    Key { path, kind, class: Class::Honoured, since: SINCE, summary, available }
}

// One key is two lines: what it is, and what it does.
#[rustfmt::skip]
static KEYS: &[Key] = &[
    key("Grants", Kind::Dictionary("Grants"), Available::Run,
        "What the job may reach besides its own memory, the clocks and random numbers; what is not granted is refused."),
    key("Grants.Paths", Kind::Array(&Kind::AnyOf(&[Kind::Path, Kind::Dictionary("Grants.Paths.*")])), Available::Run,
        "Files and folders of the host the job may see. A plain string is readable at the same path."),
    key("Grants.Paths.*.Path", Kind::Path, Available::Run,
        "The file or folder on the host: absolute, or with ~/ for the home of the job's user."),
    key("Grants.Paths.*.GuestPath", Kind::Path, Available::Run,
        "The absolute path at which the job sees it; the same as Path if it is left out."),
    key("Grants.Paths.*.Access", ACCESS, Available::Run,
        "What may be done there: look and read, also change, or read and execute. Without it nothing can be changed."),
    key("Grants.Connect", ENDPOINTS, Available::Run,
        "Where connections and datagrams may go: tcp, udp, http or https, a host and a port, * for any port; or unix:// and the path of a Unix socket, which must be there when the job starts. Nothing else leaves."),
    key("Grants.Bind", ENDPOINTS, Available::Run,
        "Which tcp and udp addresses the job may bind by itself, beside what Sockets hands to it."),
    key("Grants.Services", Kind::Map(&Kind::Text), Available::NotYet,
        "Which job provides an interface that this one imports, by label."),
    key("Grants.Environment", TEXTS, Available::Run,
        "Names of host variables that are passed on; without it the job sees none but its EnvironmentVariables."),
    key("Grants.Users", Kind::Array(&ACCOUNT), Available::Run,
        "Who may connect to the job's Unix sockets and call its services besides its own user and root: names, @groups or numbers. Each socket has an access list of them in place of SockPathMode, and whom wjob accepts it looks at again, for which WebAssembly of a user's own domain runs without the mount wall; of native programs there the list holds alone."),
    key("Grants.Control", Kind::OneOf(&["Observe", "Operate"]), Available::Supervisor,
        "Whether the job may look at other jobs, or also start and stop loaded ones. Without it neither."),
    key("Limits", Kind::Dictionary("Limits"), Available::Run,
        "How much the job may use; what ended a run is named in its message and record."),
    key("Isolation", Kind::OneOf(&["Process", "Shared", "None"]), Available::Run,
        "How the job is kept apart: in a worker of its own, in a shared one (not yet), or, for native programs, not at all."),
    key("InstanceReuse", Kind::Integer { least: 1, most: 1_000_000 }, Available::Run,
        "How many requests, or connections of a connection-handler, one instance serves one after another before it is thrown away; 1, the default, is a fresh one each time."),
    key("Config", Kind::Settings, Available::Run,
        "Settings the job reads through wasi:config; nested dictionaries become names joined by dots."),
];

/// The rows.
pub fn keys() -> Vec<Key> {
    KEYS.iter().copied().chain(LIMITS.iter().map(limit)).collect()
}

/// A limit's row of the registry. Its texts are made once for the life of the process, and so leaked.
fn limit(row: &LimitRow) -> Key {
    let bound = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let summary = format!(
        "Largest number of {} per {}. Guest wall: {}; kernel wall: {}.",
        row.unit, row.per, row.guest_wall, row.kernel_wall
    );
    Key {
        path: format!("Limits.{}", row.key).leak(),
        kind: Kind::Integer { least: bound(row.least), most: bound(row.most) },
        class: Class::Honoured,
        since: SINCE,
        summary: summary.leak(),
        available: row.available,
    }
}
