//! The names of imports and exports, taken apart: package, interface and series of versions. What a name is good
//! for is not known here.

/// A name; parts that are missing are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// `wasi:cli`; a name without `/` is all package.
    pub(super) package: &'a str,
    /// `run`.
    pub(super) interface: &'a str,
    /// Which release, if it is one that is known.
    pub(super) release: Option<Release>,
}

/// A series of versions that can stand for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// 0.1.x
    V01,
    /// 0.2.x
    V02,
    /// 0.3.x
    V03,
}

impl Release {
    /// The series as written in help.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::V01 => "0.1",
            Self::V02 => "0.2",
            Self::V03 => "0.3",
        }
    }

    /// The series of a version. Pre-releases stand for nothing but themselves (semantic versioning, 9).
    pub(super) fn of(version: &str) -> Option<Self> {
        [Self::V01, Self::V02, Self::V03].into_iter().find(|release| {
            let patch = version.strip_prefix(release.words()).and_then(|rest| rest.strip_prefix('.'));
            patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }
}

impl<'a> Name<'a> {
    /// Takes a name apart; any text is a name of something.
    pub(super) fn read(text: &'a str) -> Self {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        let (package, interface) = name.split_once('/').unwrap_or((name, ""));
        Self { package, interface, release: Release::of(version) }
    }

    /// Whether it is this interface, of whatever version.
    pub(super) fn is(&self, package: &str, interface: &str) -> bool {
        self.package == package && self.interface == interface
    }
}
