//! Which directories a guest finds open, from what was granted and opened. It opens nothing itself.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use wasmtime_wasi::FsPerms;
use wjob_model::grant::{Access, PathGrant};
use wjob_model::message::{Run, StartFailure};
use wjob_sandbox::grants::Opened;

use crate::instance::Preopen;

/// A granted path that is reached through a preopen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Its place in the list of the start message.
    pub index: usize,
    /// Its name in the preopen, if it is a file; a directory is the preopen itself.
    pub file: Option<String>,
}

impl Behind {
    /// Whether something of this name in the preopen is the granted path, or in it.
    pub fn leads_to(&self, name: &str) -> bool {
        self.file.as_deref().is_none_or(|file| name.trim_start_matches("./") == file)
    }
}

/// The directories a guest finds open: granted ones, the folders of granted files, the working directory as `.`,
/// and last, for explaining only, the empty root of the view.
pub(crate) fn preopens(run: &Run, opened: &[Opened]) -> Result<Vec<Preopen>, StartFailure> {
    let mut preopens: Vec<Preopen> = Vec::new();
    let paths = opened.iter().enumerate().filter(|(_, opened)| opened.grant.access != Access::Connect);
    for (index, opened) in paths {
        add_preopen(&mut preopens, index, opened, run.walls.mount.is_some())?;
    }
    if let Some(directory) = &run.working_directory {
        preopens.push(working_directory(directory, &preopens, run.walls.mount.is_some())?);
    }
    if run.explain && run.walls.mount.is_some() && !preopens.iter().any(|preopen| preopen.guest == "/") {
        let permissions = FsPerms::ReadOnly;
        preopens.push(Preopen { host: "/".into(), guest: "/".into(), permissions, held: None, behind: Vec::new() });
    }
    Ok(preopens)
}

fn add_preopen(preopens: &mut Vec<Preopen>, index: usize, opened: &Opened, view: bool) -> Result<(), StartFailure> {
    if !view && !opened.directory {
        let what = format!("the file {} cannot be granted", opened.grant.host);
        return Err(StartFailure::wall(what, "a file needs the mount wall, which is missing"));
    }
    let PathGrant { guest, access, .. } = &opened.grant;
    let folder = if opened.directory { guest.as_str() } else { parent(guest) };
    let permissions = if *access == Access::ReadWrite { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
    let behind = Behind { index, file: (!opened.directory).then(|| name(guest).to_owned()) };
    match preopens.iter_mut().find(|preopen| preopen.guest == folder) {
        None => {
            // Without a view of its own the guest's folder is nowhere but behind its descriptor.
            let host = if view { folder.into() } else { format!("/proc/self/fd/{}", opened.descriptor.as_raw_fd()) };
            preopens.push(Preopen { host, guest: folder.into(), permissions, held: None, behind: vec![behind] });
            Ok(())
        }
        Some(shared) if !opened.directory && shared.permissions == permissions => {
            shared.behind.push(behind);
            Ok(())
        }
        Some(_) => {
            let what = format!("GuestPath {guest}");
            let why = "files granted into one folder must have the same Access, which the folder takes";
            Err(StartFailure::job(what, why, "give it a GuestPath in a folder of its own"))
        }
    }
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((folder, _)) => folder,
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// `.` with the rights of the grant it lies in. No link is followed on the way: one that an earlier run made in a
/// ReadWrite grant could lead out of it, or into another with fewer rights.
fn working_directory(directory: &str, preopens: &[Preopen], view: bool) -> Result<Preopen, StartFailure> {
    let refuse = |why: String, advice| StartFailure::job(format!("WorkingDirectory {directory}"), why, advice);
    let covers = |preopen: &&Preopen| Path::new(directory).starts_with(&preopen.guest);
    let covering = preopens.iter().filter(covers).max_by_key(|preopen| preopen.guest.len());
    let Some(covering) = covering else {
        let why = "no Paths grant covers it, and a guest has no other folders";
        return Err(refuse(why.into(), "grant it in Grants.Paths"));
    };
    let below = Path::new(directory).strip_prefix(&covering.guest).unwrap_or(Path::new(""));
    let descriptor = open_below(&covering.host, below)
        .map_err(|error| refuse(format!("in the job's view: {error}"), "name a folder that is there, without links"))?;
    let host = if view {
        Path::new(&covering.host).join(below).display().to_string()
    } else {
        format!("/proc/self/fd/{}", descriptor.as_raw_fd())
    };
    let (permissions, behind) = (covering.permissions, covering.behind.clone());
    Ok(Preopen { host, guest: ".".into(), permissions, held: Some(descriptor), behind })
}

fn open_below(folder: &str, below: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(folder, below, flags, Mode::empty(), inside)
}
