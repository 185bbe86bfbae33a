//! Tells the supervisor which grants a guest uses, each once, and in a run that is learned from everything it does with
//! what it is granted. It allows and refuses nothing; for a grant that was told of, it costs a look at one flag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wjob_model::grant::{Access, Endpoint, PathGrant};
use wjob_model::learn::{Deed, Deeds, Need};
use wjob_model::message::{FromWorker, Run};
use wjob_model::noted::Used;
use wjob_sandbox::channel::Channel;

use crate::preopens::Behind;

/// The way uses go; without a channel, as in tests, nobody hears of them.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    channel: Option<Arc<Channel>>,
    paths: Box<[AtomicBool]>,
    connect: Box<[AtomicBool]>,
    bind: Box<[AtomicBool]>,
    /// The granted paths behind each preopen, in the order the guest sees them.
    preopens: Box<[Vec<Behind>]>,
    /// What was told of a run that is learned from.
    learned: Option<Mutex<Deeds>>,
}

impl Uses {
    /// Uses of this run's grants, told over `channel`.
    pub fn new(channel: Arc<Channel>, run: &Run, preopens: Vec<Vec<Behind>>) -> Self {
        let roots: Vec<PathGrant> = run.paths.iter().filter(|grant| grant.access != Access::Connect).cloned().collect();
        Self {
            channel: Some(channel),
            paths: flags(run.paths.len()),
            connect: flags(run.connect.len()),
            bind: flags(run.bind.len()),
            preopens: preopens.into(),
            learned: run.learn.then(|| Mutex::new(Deeds::below(&roots))),
        }
    }

    /// Something named `name` below a preopen is used.
    pub fn preopen(&self, position: usize, name: &str) {
        for behind in self.preopens.get(position).into_iter().flatten() {
            if behind.leads_to(name) {
                self.tell(&self.paths, behind.index, Used::Path);
            }
        }
    }

    /// The destination at this place of the list is used.
    pub fn connect(&self, index: usize) {
        self.tell(&self.connect, index, Used::Connect);
    }

    /// The address at this place of the list is used.
    pub fn bind(&self, index: usize) {
        self.tell(&self.bind, index, Used::Bind);
    }

    fn tell(&self, flags: &[AtomicBool], index: usize, used: fn(u32) -> Used) {
        let (Some(flag), Ok(place)) = (flags.get(index), u32::try_from(index)) else {
            return;
        };
        if flag.load(Ordering::Relaxed) || flag.swap(true, Ordering::Relaxed) {
            return;
        }
        // A supervisor that has no room for it now must not hold the guest: the next use says it again.
        if self.channel.as_ref().is_some_and(|channel| channel.offer(&FromWorker::Used(used(place))).is_err()) {
            flag.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the run is learned from.
    pub fn learns(&self) -> bool {
        self.learned.is_some()
    }

    /// Something was done with a path, or refused only for the rights of its grant.
    pub fn did_path(&self, path: String, need: Need) {
        self.did(&Deed::Path { path, need });
    }

    /// A destination was reached, or its name looked up.
    pub fn did_connect(&self, endpoint: impl FnOnce() -> Endpoint) {
        if self.learns() {
            self.did(&Deed::Connect(endpoint()));
        }
    }

    /// An address was bound.
    pub fn did_bind(&self, endpoint: impl FnOnce() -> Endpoint) {
        if self.learns() {
            self.did(&Deed::Bind(endpoint()));
        }
    }

    /// Whoever learns wants all of it, so this waits for room.
    fn did(&self, deed: &Deed) {
        let (Some(learned), Some(channel)) = (&self.learned, &self.channel) else {
            return;
        };
        let mut learned = learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.add(deed) {
            // Without a supervisor there is nobody who learns.
            let _ = channel.send(&FromWorker::Did(deed.clone()), &[]);
        }
    }
}

fn flags(count: usize) -> Box<[AtomicBool]> {
    (0..count).map(|_| AtomicBool::new(false)).collect()
}

#[cfg(test)]
mod tests {
    use wjob_model::grant::{Port, Transport};
    use wjob_sandbox::channel::Heard;

    use super::*;

    /// What was told over a channel.
    fn told(channel: &Channel) -> Vec<FromWorker> {
        let mut told = Vec::new();
        while let Ok(Heard::Message(message)) = channel.hear::<FromWorker>(1 << 16) {
            told.push(message);
        }
        told
    }

    fn uses(channel: Channel, learn: bool) -> Uses {
        let roots = [PathGrant { host: "/srv".into(), guest: "/".into(), access: Access::ReadOnly }];
        Uses {
            channel: Some(Arc::new(channel)),
            paths: flags(3),
            connect: flags(1),
            bind: flags(1),
            preopens: [
                vec![Behind { index: 0, file: None }],
                vec![Behind { index: 1, file: Some("one".into()) }, Behind { index: 2, file: Some("two".into()) }],
            ]
            .into(),
            learned: learn.then(|| Mutex::new(Deeds::below(&roots))),
        }
    }

    #[test]
    fn each_grant_is_told_of_once_and_a_file_by_its_name() {
        let (ours, theirs) = Channel::pair().unwrap();
        let uses = uses(theirs, false);
        uses.preopen(0, "any/thing");
        uses.preopen(0, "else");
        uses.preopen(1, "two");
        uses.preopen(1, "three");
        uses.preopen(7, "one");
        uses.connect(0);
        uses.connect(0);
        uses.connect(1);
        let expected = [Used::Path(0), Used::Path(2), Used::Connect(0)].map(FromWorker::Used);
        assert_eq!(told(&ours), expected);
        uses.did_path("/a".into(), Need::Read);
        uses.did_connect(|| unreachable!("nobody learns"));
        assert!(told(&ours).is_empty());
    }

    #[test]
    fn a_use_that_found_no_room_is_told_the_next_time() {
        let (ours, theirs) = Channel::pair().unwrap();
        let filler = FromWorker::NamesWanted;
        while theirs.offer(&filler).is_ok() {}
        let uses = uses(theirs, false);
        uses.bind(0);
        assert!(!told(&ours).contains(&FromWorker::Used(Used::Bind(0))));
        uses.bind(0);
        assert_eq!(told(&ours), [FromWorker::Used(Used::Bind(0))]);
    }

    #[test]
    fn what_is_learned_is_told_once() {
        let (ours, theirs) = Channel::pair().unwrap();
        let uses = uses(theirs, true);
        let endpoint = || Endpoint {
            transport: Transport::Tcp,
            host: wjob_model::grant::Host::Name("x.example".into()),
            port: Port::Number(1),
        };
        for _ in 0..2 {
            uses.did_path("/a".into(), Need::List);
            uses.did_path("/a/b".into(), Need::Read);
            uses.did_connect(endpoint);
        }
        let deed = Deed::Path { path: "/a".into(), need: Need::List };
        assert_eq!(told(&ours), [FromWorker::Did(deed), FromWorker::Did(Deed::Connect(endpoint()))]);
    }
}
