//! Which directories a guest finds open, from what was granted and opened. It opens nothing itself.

use std::os::fd::AsRawFd;

use wasmtime_wasi::FsPerms;
use wjob_model::grant::{Access, PathGrant};
use wjob_model::message::{Run, StartFailure};
use wjob_sandbox::grants::Opened;

use crate::instance::Preopen;

/// The directories a guest finds open: granted ones, the folders of granted files, the working directory as `.`,
/// and last, for explaining only, the empty root of the view.
pub(crate) fn preopens(run: &Run, opened: &[Opened]) -> Result<Vec<Preopen>, StartFailure> {
    let mut preopens: Vec<Preopen> = Vec::new();
    for opened in opened {
        add_preopen(&mut preopens, opened, run.walls.mount.is_some())?;
    }
    if let Some(directory) = &run.working_directory {
        preopens.push(working_directory(directory, &preopens)?);
    }
    if run.explain && run.walls.mount.is_some() && !preopens.iter().any(|preopen| preopen.guest == "/") {
        preopens.push(Preopen { host: "/".into(), guest: "/".into(), permissions: FsPerms::ReadOnly });
    }
    Ok(preopens)
}

fn add_preopen(preopens: &mut Vec<Preopen>, opened: &Opened, view: bool) -> Result<(), StartFailure> {
    if !view && !opened.directory {
        let what = format!("the file {} cannot be granted", opened.grant.host);
        return Err(StartFailure::wall(what, "a file needs the mount wall, which is missing"));
    }
    let PathGrant { guest, access, .. } = &opened.grant;
    let folder = if opened.directory { guest.as_str() } else { parent(guest) };
    let permissions = if *access == Access::ReadWrite { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
    match preopens.iter().find(|preopen| preopen.guest == folder) {
        None => {
            // Without a view of its own the guest's folder is nowhere but behind its descriptor.
            let host = if view { folder.into() } else { format!("/proc/self/fd/{}", opened.descriptor.as_raw_fd()) };
            preopens.push(Preopen { host, guest: folder.into(), permissions });
            Ok(())
        }
        Some(shared) if !opened.directory && shared.permissions == permissions => Ok(()),
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

/// `.` with the rights of the grant it lies in.
fn working_directory(directory: &str, preopens: &[Preopen]) -> Result<Preopen, StartFailure> {
    let covers = |preopen: &&Preopen| std::path::Path::new(directory).starts_with(&preopen.guest);
    let covering = preopens.iter().filter(covers).max_by_key(|preopen| preopen.guest.len());
    let Some(covering) = covering else {
        let why = "no Paths grant covers it, and a guest has no other folders";
        return Err(StartFailure::job(format!("WorkingDirectory {directory}"), why, "grant it in Grants.Paths"));
    };
    let below = std::path::Path::new(directory).strip_prefix(&covering.guest).unwrap_or(std::path::Path::new(""));
    let host = std::path::Path::new(&covering.host).join(below);
    if !host.is_dir() {
        let advice = "make the folder, or name another";
        let why = "no such folder in the job's view";
        return Err(StartFailure::job(format!("WorkingDirectory {directory}"), why, advice));
    }
    Ok(Preopen { host: host.display().to_string(), guest: ".".into(), permissions: covering.permissions })
}
