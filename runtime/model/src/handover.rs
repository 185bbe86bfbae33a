//! What a program says of itself before a supervisor lets it take over (`wjob upgrade`), and the form of what is handed
//! over then. It is the business of `supervisor` to hand it over.

use serde::{Deserialize, Serialize};

/// The form of what one supervisor hands over to the next: the state it writes down, and how a worker and it talk after
/// the start, since workers go on under another build's supervisor. Whoever changes either counts this on.
pub const FORM: u32 = 7;

/// What a program is asked that is to take over. Two descriptors come with it: the state as it would be handed over, and
/// the `wjob` file that would belong to the program. This is read by other builds, and so it stays as it is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question;

/// What a program says that was asked. This too stays as it is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The [`FORM`] it takes over.
    pub form: u32,
    /// Its version and build.
    pub build: String,
    /// Why it could not go on, if so: the flags it was asked with, the state, the `wjob` file.
    pub flaw: Option<String>,
}

impl Version {
    /// Whether it can take over from a supervisor of the build `own`.
    ///
    /// # Errors
    /// Why it cannot, naming both builds.
    pub fn fits(&self, own: &str) -> Result<(), String> {
        let Self { form, build, flaw } = self;
        if *form != FORM {
            return Err(format!(
                "wjobd {build} takes over what has form {form}, and this is wjobd {own} with form {FORM}; it takes a \
                 restart"
            ));
        }
        match flaw {
            Some(flaw) => Err(format!("wjobd {build} cannot go on for this wjobd {own}: {flaw}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::Denial;
    use crate::learn::{Deed, Need};
    use crate::limit::Limit;
    use crate::message::{Evidence, Fault, FromWorker, Manner, StartFailure, ToWorker};
    use crate::noted::Used;
    use crate::outcome::{HeldBy, Outcome};
    use crate::wall::Wall;

    #[test]
    fn a_program_takes_over_what_has_its_form_and_is_refused_by_both_names_otherwise() {
        let version = |form, flaw: Option<&str>| Version { form, build: "new".into(), flaw: flaw.map(str::to_owned) };
        assert_eq!(version(FORM, None).fits("old"), Ok(()));
        for (version, part) in [
            (version(FORM + 1, None), "takes a restart"),
            (version(FORM + 1, Some("no --such")), "takes a restart"),
            (version(FORM, Some("no --such")), "no --such"),
        ] {
            let why = version.fits("old").unwrap_err();
            assert!(why.contains(part) && why.contains("wjobd new") && why.contains("wjobd old"), "{why}");
        }
    }

    /// The bytes are written out here: a worker of an earlier build has sent them, or waits for them.
    #[test]
    fn workers_and_supervisors_of_one_form_understand_each_other() {
        let to_worker: [(ToWorker, Vec<u8>); 4] = [
            (ToWorker::Go, vec![0]),
            (ToWorker::Stop { signal: 15 }, vec![1, 15]),
            (ToWorker::Names(Vec::new()), vec![2, 0]),
            (ToWorker::Drain, vec![3]),
        ];
        for (message, bytes) in to_worker {
            assert_eq!(postcard::to_stdvec(&message).unwrap(), bytes, "{message:?}: count FORM on");
        }
        let evidence = Evidence { wall: Wall::Seccomp, found: "x".into(), stands: true };
        let failure = StartFailure::new(Fault::Own, "a", "b", "c");
        let deed = Deed::Path { path: "p".into(), need: Need::Entry };
        let limit = Denial::Limit { limit: Limit::CpuTime, wall: HeldBy::Guest };
        let from_worker: [(FromWorker, Vec<u8>); 10] = [
            (FromWorker::Manner(Manner { hears: true, serves: false }), vec![0, 1, 0]),
            (FromWorker::Walls(vec![evidence]), vec![1, 1, 5, 1, b'x', 1]),
            (FromWorker::Denied(Denial::Lookup { name: "n".into() }), vec![2, 5, 1, b'n']),
            (FromWorker::Denied(limit), vec![2, 8, 1, 0]),
            (FromWorker::NamesWanted, vec![3]),
            (FromWorker::Ended(Outcome::Exited(3)), vec![4, 0, 3]),
            (FromWorker::Ended(Outcome::Stopped), vec![4, 4]),
            (FromWorker::Failed(failure), vec![5, 4, 1, b'a', 1, b'b', 1, b'c']),
            (FromWorker::Used(Used::Connect(3)), vec![9, 1, 3]),
            (FromWorker::Did(deed), vec![10, 0, 1, b'p', 4]),
        ];
        for (message, bytes) in from_worker {
            assert_eq!(postcard::to_stdvec(&message).unwrap(), bytes, "{message:?}: count FORM on");
        }
        let version = Version { form: 7, build: "b".into(), flaw: None };
        assert_eq!(postcard::to_stdvec(&version).unwrap(), [7, 1, b'b', 0], "that never changes");
        assert!(postcard::to_stdvec(&Question).unwrap().is_empty(), "nor does this");
    }
}
