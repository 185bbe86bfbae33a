//! What the filesystem watchers share: which descriptor stands for which guest path, which grant a call on it
//! uses, and what a failed one says about the grants.
//! Nothing is allowed or refused here. It exists because WASI names files relative to descriptors,
//! while a person who adds a grant needs the whole path.

use std::collections::HashMap;
use std::error::Error;

use wasmtime::component::Resource;
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::filesystem::Descriptor;
use wjob_model::denial::Denial;
use wjob_model::grant::Access;
use wjob_model::learn::Need;
use wjob_model::outcome::HeldBy;

use crate::denial::Denials;
use crate::state::State;
use crate::used::Uses;

/// How many directories are remembered; of more, denials go unreported.
const MOST_PLACES: usize = 1_000;

/// The longest path that is reported; a guest can name longer ones, the kernel cannot.
const LONGEST_PATH: usize = 4_096;

/// Why a call failed, as far as grants could have changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rights of the descriptor, or of the file, do not reach so far; who says so.
    Forbidden(HeldBy),
    /// There is no such file in the job's view.
    Missing,
}

/// A guest directory behind a descriptor.
#[derive(Debug)]
struct Place {
    path: String,
    /// It is, or lies in, the empty `/` that is there for reporting only.
    explain: bool,
    /// Its place among those given at the start, which are never forgotten.
    preopen: Option<usize>,
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
            let place = Place { path, explain, preopen: Some(position) };
            self.remember(index, place);
        }
    }

    /// A directory `name` below `base` was opened as `index`.
    pub fn opened(&mut self, base: u32, name: &str, index: u32) {
        let Some(parent) = self.places.get(&base) else {
            self.places.remove(&index);
            return;
        };
        let place = Place { path: join(&parent.path, name), explain: parent.explain, preopen: None };
        self.remember(index, place);
    }

    /// What to report of a call on `name` below `base` that failed; nothing where no grant would help.
    pub fn denial(&self, base: u32, name: &str, refusal: Refusal, access: Access) -> Option<Denial> {
        let place = self.places.get(&base)?;
        let wall = match refusal {
            Refusal::Forbidden(wall) => wall,
            Refusal::Missing if place.explain => HeldBy::Guest,
            Refusal::Missing => return None,
        };
        let path = join(&place.path, name);
        // The whole of the root is granted to nobody, so no line would help.
        (path != "/" && path.len() <= LONGEST_PATH).then_some(Denial::Path { path, access, wall })
    }

    /// Tells which grant a call on `name` below `base` uses, if `base` was given at the start.
    pub fn touch(&self, uses: &Uses, base: u32, name: &str) {
        if let Some(Place { preopen: Some(position), .. }) = self.places.get(&base) {
            uses.preopen(*position, name);
        }
    }

    /// Tells what was done with `name` below `base`, or would have been if its grant reached so far.
    pub fn learn(&self, uses: &Uses, base: u32, name: &str, need: Need) {
        let granted = self.places.get(&base).filter(|place| !place.explain && uses.learns());
        let path = granted.map(|place| join(&place.path, name)).filter(|path| path.len() <= LONGEST_PATH);
        if let Some(path) = path {
            uses.did_path(path, need);
        }
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
            self.places.retain(|_, place| place.preopen.is_some());
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

/// Passes a host function's result on to the guest, telling what the `named` paths were needed for, and reporting them
/// where it was refused.
pub(super) fn finish<T, C: Refused>(
    state: &mut State,
    named: &[(u32, String)],
    need: Need,
    result: Result<T, TrappableError<C>>,
) -> Answer<T, C> {
    let answer = match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    };
    let came_to = answer.as_ref().map(|_| ()).map_err(C::refusal);
    let telling = state.telling();
    named.iter().for_each(|(base, name)| telling.tell(*base, name, need, came_to));
    Ok((answer,))
}

/// What telling of a call takes.
pub(super) struct Telling<'a> {
    pub watched: &'a Watched,
    pub denials: &'a Denials,
    pub uses: &'a Uses,
}

impl State {
    /// Tells of this instance's calls.
    pub(super) fn telling(&self) -> Telling<'_> {
        Telling { watched: &self.watched, denials: &self.denials, uses: &self.uses }
    }
}

impl Telling<'_> {
    /// Tells of a call on `name` below `base` and what it came to: a failure may be a refusal, or nothing of ours.
    pub fn tell(&self, base: u32, name: &str, need: Need, came_to: Result<(), Option<Refusal>>) {
        self.watched.touch(self.uses, base, name);
        match came_to {
            // What only the rights of its grant refused would be allowed by the grant that is learned.
            Ok(()) | Err(Some(Refusal::Forbidden(HeldBy::Guest))) => self.watched.learn(self.uses, base, name, need),
            Err(_) => {}
        }
        let refusal = came_to.err().flatten();
        if let Some(denial) = refusal.and_then(|it| self.watched.denial(base, name, it, need.access())) {
            self.denials.record(denial);
        }
    }
}

/// Remembers where a descriptor leads that was opened as `name` below `base`, if it is a directory; what opening it so
/// takes.
pub(super) fn note_opened(
    state: &mut State,
    (base, name): &(u32, String),
    opened: &Resource<Descriptor>,
    need: Need,
) -> Need {
    if matches!(state.table.get(opened), Ok(Descriptor::Dir(_))) {
        state.watched.opened(*base, name, opened.rep());
        return Need::List;
    }
    need
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
        use HeldBy::{Guest, Kernel};
        use Refusal::{Forbidden, Missing};
        let mut watched = watched();
        watched.opened(3, "sub", 9);
        for (base, name, refusal, expected) in [
            (3, "x", Forbidden(Guest), Some(("/data/x", Guest))),
            (3, "x", Forbidden(Kernel), Some(("/data/x", Kernel))),
            (3, "x", Missing, None),
            (4, "x", Forbidden(Guest), Some(("/inner/x", Guest))),
            (5, "srv/x", Missing, Some(("/srv/x", Guest))),
            (9, "x", Forbidden(Guest), Some(("/data/sub/x", Guest))),
            (9, "../../etc", Forbidden(Guest), Some(("/etc", Guest))),
            (7, "x", Forbidden(Guest), None),
        ] {
            let access = Access::ReadOnly;
            let denial = watched.denial(base, name, refusal, access);
            let expected = expected.map(|(path, wall)| Denial::Path { path: path.into(), access, wall });
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
        let refusal = Refusal::Forbidden(HeldBy::Guest);
        assert!(watched.denial(3, "x", refusal, Access::ReadOnly).is_some());
        assert!(watched.denial(4_999, "x", refusal, Access::ReadOnly).is_some());
    }

    #[test]
    fn only_the_last_preopen_explains() {
        let mut watched = Watched::new(true, None);
        watched.preopened([(3, "/"), (4, "/data")]);
        let missing = watched.denial(3, "x", Refusal::Missing, Access::ReadOnly);
        assert_eq!(missing, None);
    }
}
