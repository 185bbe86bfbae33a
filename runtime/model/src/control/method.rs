//! The one list of what can be called, each with what a caller needs for it. Parameters and replies are in `types`;
//! who has what is needed is in `who`.

use super::INTERFACE;
use super::who::Need;
use crate::varlink::{Standard, shortened};

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// All jobs.
    List,
    /// One job in full.
    Print,
    /// Load a job file or a folder of them.
    Bootstrap,
    /// Take a job out.
    Bootout,
    /// Let a job be loaded and started again.
    Enable,
    /// Keep a job from being loaded and started.
    Disable,
    /// What was enabled and disabled.
    Overrides,
    /// Start a job now.
    Kickstart,
    /// Send a job a signal.
    Kill,
    /// Why a job was started.
    Blame,
    /// How much a job could do if its program were hostile.
    Audit,
    /// Read job files again.
    Reload,
    /// The supervisor itself.
    Supervisor,
    /// Replace the supervisor by the program that is in its place now.
    Upgrade,
    /// What happens from now on.
    Events,
}

/// A row of the list.
#[derive(Clone, Copy, Debug)]
pub struct MethodRow {
    /// Which.
    pub method: Method,
    /// Its name in the interface.
    pub name: &'static str,
    /// What a caller needs to be allowed it.
    pub needs: Need,
    /// What it does, in one line.
    pub summary: &'static str,
}

const fn row(method: Method, name: &'static str, needs: Need, summary: &'static str) -> MethodRow {
    MethodRow { method, name, needs, summary }
}

/// The list, in the order of [`Method`].
pub const METHODS: &[MethodRow] = &[
    row(Method::List, "List", Need::Labels, "all jobs with their states"),
    row(Method::Print, "Print", Need::Detail, "everything about one job"),
    row(Method::Bootstrap, "Bootstrap", Need::Own, "load a job file, or all of a folder"),
    row(Method::Bootout, "Bootout", Need::Own, "stop a job and take it out"),
    row(Method::Enable, "Enable", Need::Operate, "let a job be loaded and started, and remember it"),
    row(Method::Disable, "Disable", Need::Operate, "keep a job from being loaded and started, and remember it"),
    row(Method::Overrides, "Overrides", Need::History, "what was enabled and disabled"),
    row(Method::Kickstart, "Kickstart", Need::Operate, "start a job now, or end it and start it again"),
    row(Method::Kill, "Kill", Need::Operate, "send a job a signal"),
    row(Method::Blame, "Blame", Need::History, "what demanded the current or last run of a job"),
    row(Method::Audit, "Audit", Need::Own, "how much a job could do if its program were hostile"),
    row(Method::Reload, "Reload", Need::Own, "read one job file again, or the configuration and all folders"),
    row(Method::Supervisor, "Supervisor", Need::Own, "the supervisor's health, version and places"),
    row(Method::Upgrade, "Upgrade", Need::Own, "replace the supervisor by the program that is installed now"),
    row(Method::Events, "Events", Need::History, "what happens to jobs, from now on until the caller leaves"),
];

impl Method {
    /// The method of a full name, as in `io.wjob.List`.
    ///
    /// # Errors
    /// Which part of the name is not known: its interface or its method.
    pub fn named(full: &str) -> Result<Self, Standard> {
        let (interface, name) = full.rsplit_once('.').unwrap_or((full, ""));
        if interface != INTERFACE {
            return Err(Standard::InterfaceNotFound { interface: shortened(interface) });
        }
        let row = METHODS.iter().find(|row| row.name == name);
        row.map(|row| row.method).ok_or_else(|| Standard::MethodNotFound { method: shortened(full) })
    }

    /// Its row.
    pub fn row(self) -> &'static MethodRow {
        &METHODS[self as usize]
    }

    /// Its full name, as in `io.wjob.List`.
    pub fn full_name(self) -> String {
        format!("{INTERFACE}.{}", self.row().name)
    }

    /// Whether it answers many times; called without `more` it answers [`Standard::ExpectedMore`].
    pub fn streams(self) -> bool {
        self == Self::Events
    }

    /// Whether it does nothing but answer, so that nothing is to be done for a caller who wants no answer.
    pub fn only_tells(self) -> bool {
        matches!(
            self,
            Self::List | Self::Print | Self::Overrides | Self::Blame | Self::Audit | Self::Supervisor | Self::Events
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_own_row_and_is_found_by_its_name() {
        for (index, row) in METHODS.iter().enumerate() {
            assert_eq!(row.method as usize, index, "{}", row.name);
            assert_eq!(row.method.row().name, format!("{:?}", row.method));
            assert_eq!(Method::named(&row.method.full_name()), Ok(row.method));
            assert!(!row.summary.is_empty() && !row.summary.ends_with('.'), "{}", row.name);
        }
        assert_eq!(METHODS.len(), Method::Events as usize + 1, "Events is the last one");
    }

    #[test]
    fn unknown_names_say_what_is_unknown() {
        let interface = |text: &str| Standard::InterfaceNotFound { interface: text.into() };
        let method = |text: &str| Standard::MethodNotFound { method: text.into() };
        for (full, expected) in [
            ("io.wjob.Else", method("io.wjob.Else")),
            ("io.wjob.list", method("io.wjob.list")),
            ("io.wjob.", method("io.wjob.")),
            ("io.wjob.log.Log", interface("io.wjob.log")),
            ("org.example.List", interface("org.example")),
            ("List", interface("List")),
            ("", interface("")),
        ] {
            assert_eq!(Method::named(full), Err(expected), "{full:?}");
        }
    }
}
