//! Learning: what a job did while its grants were recording ones, and the least grants that would have let it do that.
//! Nothing is watched here; the worker tells each deed once, and whoever runs the job asks for the grants at its end.

mod paths;

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::grant::{Access, Endpoint, Grants, PathGrant, Port};
use crate::job::Job;
use crate::spec::lies_in;

/// Most deeds that are told of one run; what comes after them is not learned.
pub const MOST_DEEDS: usize = 4_096;

/// Something that a job did, or was kept from only because its recording grants did not reach so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Deed {
    /// Something with a path.
    Path {
        /// As the job sees it, absolute, without `.` and `..`.
        path: String,
        /// What it takes.
        need: Need,
    },
    /// A destination was reached, or its name looked up.
    Connect(Endpoint),
    /// An address was bound.
    Bind(Endpoint),
}

/// What something done with a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Need {
    /// To look at what is there, without opening it.
    Look,
    /// To read a file.
    Read,
    /// To list a folder, or to open it.
    List,
    /// To change what a file holds, or its times.
    Change,
    /// To make or remove an entry of the folder it lies in.
    Entry,
}

impl Need {
    /// The access that allows it.
    pub fn access(self) -> Access {
        match self {
            Self::Look | Self::Read | Self::List => Access::ReadOnly,
            Self::Change | Self::Entry => Access::ReadWrite,
        }
    }
}

/// Deeds that were told, so that none is told twice, and none that follows from another.
#[derive(Debug, Default)]
pub struct Deeds {
    /// Where recording grants are, in the job's view.
    roots: Vec<String>,
    heard: HashSet<Deed>,
    listed: HashSet<String>,
    changed: HashSet<String>,
}

impl Deeds {
    /// None yet, below these grants.
    pub fn below(roots: &[PathGrant]) -> Self {
        Self { roots: roots.iter().map(|root| root.guest.clone()).collect(), ..Self::default() }
    }

    /// Whether a deed is to be told: it lies in a recording grant, says something new, and there is room.
    pub fn add(&mut self, deed: &Deed) -> bool {
        if self.heard.len() >= MOST_DEEDS || self.heard.contains(deed) {
            return false;
        }
        if let Deed::Path { path, need } = deed {
            let Some(root) = self.roots.iter().filter(|root| lies_in(path, root)).max_by_key(|root| root.len()) else {
                return false;
            };
            if self.follows(path, *need) {
                return false;
            }
            let (folders, folder) = match need {
                Need::List => (&mut self.listed, path.as_str()),
                Need::Entry => (&mut self.changed, folder(path, root)),
                Need::Look | Need::Read | Need::Change => return self.heard.insert(deed.clone()),
            };
            folders.insert(folder.to_owned());
        }
        self.heard.insert(deed.clone())
    }

    /// Whether a grant of a folder that is needed anyway allows it.
    fn follows(&self, path: &str, need: Need) -> bool {
        let mut folders = Path::new(path).ancestors().filter_map(Path::to_str);
        let reads = need.access() == Access::ReadOnly;
        folders.any(|folder| self.changed.contains(folder) || (reads && self.listed.contains(folder)))
    }
}

/// The folder that a path lies in; a root is its own.
fn folder<'a>(path: &'a str, root: &'a str) -> &'a str {
    match path.rsplit_once('/') {
        _ if path == root => root,
        None | Some(("", _)) => "/",
        Some((folder, _)) => folder,
    }
}

/// The least grants for what was done, where `roots` were granted for recording. Of the job's own grants the variables
/// stay, since a guest that reads one is handed all of them, and so does what says who may reach the job and what it
/// may do to the supervisor.
pub fn grants(deeds: &[Deed], roots: &[PathGrant], job: &Job) -> Grants {
    let paths = deeds.iter().filter_map(|deed| match deed {
        Deed::Path { path, need } => Some((path.as_str(), *need)),
        Deed::Connect(_) | Deed::Bind(_) => None,
    });
    let connect = deeds.iter().filter_map(|deed| match deed {
        Deed::Connect(endpoint) => Some(endpoint),
        Deed::Path { .. } | Deed::Bind(_) => None,
    });
    let bind = deeds.iter().filter_map(|deed| match deed {
        Deed::Bind(endpoint) => Some(endpoint),
        Deed::Path { .. } | Deed::Connect(_) => None,
    });
    Grants {
        paths: paths::least(paths, roots, job.working_directory.as_deref()),
        connect: endpoints(connect),
        bind: endpoints(bind),
        ..job.grants.clone()
    }
}

/// Each once, in the order they were used; a name granted at any port is left to the ports of it that were reached.
fn endpoints<'a>(used: impl Iterator<Item = &'a Endpoint>) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for endpoint in used {
        if !endpoints.contains(endpoint) {
            endpoints.push(endpoint.clone());
        }
    }
    let reached: Vec<Endpoint> = endpoints.iter().filter(|one| one.port != Port::Any).cloned().collect();
    let same = |one: &Endpoint, other: &Endpoint| one.transport == other.transport && one.host == other.host;
    endpoints.retain(|one| one.port != Port::Any || !reached.iter().any(|other| same(one, other)));
    endpoints
}

#[cfg(test)]
mod tests;
