//! What the filesystem watchers share: which descriptor stands for which guest path, and what a failed
//! call on it says about the grants.
//! Nothing is allowed or refused here. It exists because WASI names files relative to descriptors,
//! while a person who adds a grant needs the whole path.

use std::collections::HashMap;
use std::error::Error;

use wasmtime::component::Resource;
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::filesystem::Descriptor;
use wjob_model::denial::Denial;
use wjob_model::grant::Access;

use crate::state::State;

/// How many directories are remembered; of more, denials go unreported.
const MOST_PLACES: usize = 1_000;

/// The longest path that is reported; a guest can name longer ones, the kernel cannot.
const LONGEST_PATH: usize = 4_096;

/// Why a call failed, as far as grants could have changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rights of the descriptor or of the file do not reach so far.
    Forbidden,
    /// There is no such file in the job's view.
    Missing,
}

/// A guest directory behind a descriptor.
#[derive(Debug)]
struct Place {
    path: String,
    /// It is, or lies in, the empty `/` that is there for reporting only.
    explain: bool,
    /// It was given at the start, so it is never forgotten.
    preopen: bool,
}

/// The guest paths of an instance's open directories, by table index (0.2, 0.3) or descriptor (0.1).
#[derive(Debug, Default)]
pub struct Watched {
    places: HashMap<u32, Place>,
    explain: bool,
    working_directory: Option<String>,
}

impl Watched {
    /// `explain`: the last preopen is an empty `/`, there for reporting only. `working_directory`: the
    /// guest path that the preopen `.` stands for.
    pub fn new(explain: bool, working_directory: Option<String>) -> Self {
        Self { places: HashMap::new(), explain, working_directory }
    }

    /// The preopens, each with its index, in the order the guest sees them.
    pub fn preopened<'a>(&mut self, preopens: impl IntoIterator<Item = (u32, &'a str)>) {
        let preopens: Vec<_> = preopens.into_iter().collect();
        let last = preopens.len().saturating_sub(1);
        for (position, (index, name)) in preopens.into_iter().enumerate() {
            let explain = self.explain && position == last && name == "/";
            let path = self.absolute(name);
            let place = Place { path, explain, preopen: true };
            self.remember(index, place);
        }
    }

    /// A directory `name` below `base` was opened as `index`.
    pub fn opened(&mut self, base: u32, name: &str, index: u32) {
        let Some(parent) = self.places.get(&base) else {
            self.places.remove(&index);
            return;
        };
        let place = Place { path: join(&parent.path, name), explain: parent.explain, preopen: false };
        self.remember(index, place);
    }

    /// What to report of a call on `name` below `base` that failed; nothing where no grant would help.
    pub fn denial(&self, base: u32, name: &str, refusal: Refusal, access: Access) -> Option<Denial> {
        let place = self.places.get(&base)?;
        if refusal == Refusal::Missing && !place.explain {
            return None;
        }
        let path = join(&place.path, name);
        // The whole of the root is granted to nobody, so no line would help.
        (path != "/" && path.len() <= LONGEST_PATH).then_some(Denial::Path { path, access })
    }

    fn absolute(&self, name: &str) -> String {
        match (name, &self.working_directory) {
            (".", Some(directory)) => directory.clone(),
            _ => join("/", name),
        }
    }

    fn remember(&mut self, index: u32, place: Place) {
        if place.path.len() > LONGEST_PATH {
            self.places.remove(&index);
            return;
        }
        if self.places.len() >= MOST_PLACES && !self.places.contains_key(&index) {
            self.places.retain(|_, place| place.preopen);
        }
        if self.places.len() < MOST_PLACES {
            self.places.insert(index, place);
        }
    }
}

/// `name` seen from the directory `base`, without `.` and `..`; links are not known here.
fn join(base: &str, name: &str) -> String {
    let base = if name.starts_with('/') { "" } else { base };
    let mut segments: Vec<&str> = Vec::new();
    for segment in base.split('/').chain(name.split('/')) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// An error code that can say whether grants are the reason.
pub(super) trait Refused: Error + Send + Sync + 'static {
    /// The refusal it means, if any.
    fn refusal(&self) -> Option<Refusal>;
}

/// A component function's answer: the guest's result in the tuple the linker wants.
pub(super) type Answer<T, C> = wasmtime::Result<(Result<T, C>,)>;

/// Passes a host function's result on to the guest, reporting the `named` paths where it was refused.
pub(super) fn finish<T, C: Refused>(
    state: &mut State,
    named: &[(u32, String)],
    access: Access,
    result: Result<T, TrappableError<C>>,
) -> Answer<T, C> {
    let code = match result {
        Ok(value) => return Ok((Ok(value),)),
        Err(error) => error.downcast()?,
    };
    if let Some(refusal) = code.refusal() {
        report(state, named, refusal, access);
    }
    Ok((Err(code),))
}

/// Remembers where a descriptor leads that was opened as `name` below `base`, if it is a directory.
pub(super) fn note_opened(state: &mut State, (base, name): &(u32, String), opened: &Resource<Descriptor>) {
    if matches!(state.table.get(opened), Ok(Descriptor::Dir(_))) {
        state.watched.opened(*base, name, opened.rep());
    }
}

fn report(state: &State, named: &[(u32, String)], refusal: Refusal, access: Access) {
    for (base, name) in named {
        if let Some(denial) = state.watched.denial(*base, name, refusal, access) {
            state.denials.record(denial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining() {
        for (base, name, expected) in [
            ("/", ".", "/"),
            ("/", "a/b", "/a/b"),
            ("/data", "./a//b/", "/data/a/b"),
            ("/data", "../etc/passwd", "/etc/passwd"),
            ("/data", "../../..", "/"),
            ("/data", "/etc", "/etc"),
        ] {
            assert_eq!(join(base, name), expected, "{base} {name}");
        }
    }

    fn watched() -> Watched {
        let mut watched = Watched::new(true, Some("/inner".into()));
        watched.preopened([(3, "/data"), (4, "."), (5, "/")]);
        watched
    }

    #[test]
    fn what_is_reported() {
        use Refusal::{Forbidden, Missing};
        let mut watched = watched();
        watched.opened(3, "sub", 9);
        for (base, name, refusal, expected) in [
            (3, "x", Forbidden, Some("/data/x")),
            (3, "x", Missing, None),
            (4, "x", Forbidden, Some("/inner/x")),
            (5, "srv/x", Missing, Some("/srv/x")),
            (9, "x", Forbidden, Some("/data/sub/x")),
            (9, "../../etc", Forbidden, Some("/etc")),
            (7, "x", Forbidden, None),
        ] {
            let denial = watched.denial(base, name, refusal, Access::ReadOnly);
            let expected = expected.map(|path| Denial::Path { path: path.into(), access: Access::ReadOnly });
            assert_eq!(denial, expected, "{base} {name}");
        }
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_preopens() {
        let mut watched = watched();
        for index in 10..5_000 {
            watched.opened(3, "sub", index);
            assert!(watched.places.len() <= MOST_PLACES);
        }
        assert!(watched.denial(3, "x", Refusal::Forbidden, Access::ReadOnly).is_some());
        assert!(watched.denial(4_999, "x", Refusal::Forbidden, Access::ReadOnly).is_some());
    }

    #[test]
    fn only_the_last_preopen_explains() {
        let mut watched = Watched::new(true, None);
        watched.preopened([(3, "/"), (4, "/data")]);
        let missing = watched.denial(3, "x", Refusal::Missing, Access::ReadOnly);
        assert_eq!(missing, None);
    }
}
