//! The mount wall: a file system of the job's own that holds only what was granted, each part bound read-only
//! unless ReadWrite, without devices and set-uid always, without execution unless Execute.
//!
//! It closes what landlock leaves open: chmod, times and attributes, stat outside, foreign names and sockets.
//! What is shown was opened beforehand by `grants`; what a native program needs besides is `BASE`, or another root
//! that holds it.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use wjob_model::grant::Access;
use wjob_model::wall::{MountPlan, Wall};

use crate::grants::Opened;
use crate::root::Root;
use crate::{Doing, WallError, capabilities};

/// Host paths every native program sees read-only: shared libraries, programs and the files libc reads.
pub const BASE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
];

/// Device nodes every native program sees.
pub const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Size of a native program's private /tmp.
const TEMPORARY_SIZE: &str = "256m";

/// Size of the root itself, which holds mount points and the directories above them.
const ROOT_SIZE: &str = "1m";

/// Puts the view up and enters it; the caller is alone in a mount namespace of its own, and for a native
/// program is the init of its own process table. `other` is the root that the plan names, opened.
///
/// # Errors
/// Names the path that could not be shown.
pub fn put_up(plan: &MountPlan, opened: &[Opened], other: Option<&Root>) -> Result<(), WallError> {
    capabilities::take_up()?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).doing(Wall::Mount, "make / private")?;
    let root = match &plan.root {
        Some(path) => other_root(path, other)?,
        None => root(opened)?,
    };
    if plan.base {
        base(&root, plan)?;
    }
    let mut inner: Vec<&Opened> = opened.iter().filter(|opened| opened.grant.guest != "/").collect();
    // Outer folders first, so that a grant inside another's folder is not hidden by it.
    inner.sort_by_key(|opened| Path::new(&opened.grant.guest).components().count());
    for opened in inner {
        show(&root, opened)?;
    }
    if plan.root.is_none() && !opened.iter().any(|opened| opened.grant.guest == "/") {
        seal(root.as_fd())?;
    }
    enter(&root)
}

/// The root of the view: an empty file system, or the directory granted at `/`.
fn root(opened: &[Opened]) -> Result<OwnedFd, WallError> {
    let root = match opened.iter().find(|opened| opened.grant.guest == "/") {
        Some(opened) if opened.directory => bound(opened)?,
        Some(opened) => {
            return Err(WallError::new(Wall::Mount, opened.grant.host.clone(), "a file cannot be the root /"));
        }
        None => empty(ROOT_SIZE, "0755", MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)?,
    };
    attach_root(root)
}

/// RootDirectory, read-only and without what is mounted inside of it: a job sees the folder it was promised, no other
/// file system.
fn other_root(path: &str, other: Option<&Root>) -> Result<OwnedFd, WallError> {
    let doing = format!("RootDirectory {path}");
    let Some(other) = other else {
        return Err(WallError::new(Wall::Mount, doing, "it was not opened"));
    };
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    match tree(other.descriptor().as_fd(), flags, false) {
        Ok(root) => attach_root(root),
        // open_tree(2): what is mounted inside may not be uncovered for a user of another namespace.
        Err(error @ rustix::io::Errno::INVAL) => {
            let why = format!(
                "{error}; another file system is mounted inside of it, unmount that or choose a folder without"
            );
            Err(WallError::new(Wall::Mount, doing, why))
        }
        Err(error) => Err(WallError::new(Wall::Mount, doing, error)),
    }
}

fn attach_root(root: OwnedFd) -> Result<OwnedFd, WallError> {
    rustix::mount::move_mount(&root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .doing(Wall::Mount, "attach the root")?;
    Ok(root)
}

fn empty(size: &str, mode: &str, flags: MountAttrFlags) -> Result<OwnedFd, WallError> {
    let system = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).doing(Wall::Mount, "fsopen tmpfs")?;
    rustix::mount::fsconfig_set_string(system.as_fd(), "size", size).doing(Wall::Mount, "tmpfs size")?;
    rustix::mount::fsconfig_set_string(system.as_fd(), "mode", mode).doing(Wall::Mount, "tmpfs mode")?;
    rustix::mount::fsconfig_create(system.as_fd()).doing(Wall::Mount, "create tmpfs")?;
    rustix::mount::fsmount(system.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags).doing(Wall::Mount, "fsmount tmpfs")
}

/// A detached mount of a granted path, and of what is mounted inside, with the attributes its access asks for. What that
/// may be was judged when the path was opened (`grants`).
fn bound(opened: &Opened) -> Result<OwnedFd, WallError> {
    let mut flags = libc::MOUNT_ATTR_NOSUID;
    // A device that can be granted is one that NODEV would only break.
    if opened.directory || !opened.grant.host.starts_with("/dev/") {
        flags |= libc::MOUNT_ATTR_NODEV;
    }
    if opened.grant.access != Access::ReadWrite {
        flags |= libc::MOUNT_ATTR_RDONLY;
    }
    if opened.grant.access != Access::Execute {
        flags |= libc::MOUNT_ATTR_NOEXEC;
    }
    tree(opened.descriptor.as_fd(), flags, true).doing(Wall::Mount, &opened.grant.host)
}

/// A detached bind of a descriptor, with or without what is mounted inside, and with flags set on all of it.
fn tree(descriptor: BorrowedFd<'_>, flags: u64, recursive: bool) -> Result<OwnedFd, rustix::io::Errno> {
    let mut clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    clone.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let tree = rustix::mount::open_tree(descriptor, "", clone)?;
    set_attributes(tree.as_fd(), flags, recursive)?;
    Ok(tree)
}

/// mount_setattr(2), for which rustix has no wrapper.
fn set_attributes(mount: BorrowedFd<'_>, flags: u64, recursive: bool) -> Result<(), rustix::io::Errno> {
    let attributes = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let how = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant, the attributes outlive the call and their true size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            how,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

fn last_error() -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(rustix::io::Errno::IO)
}

fn show(root: &OwnedFd, opened: &Opened) -> Result<(), WallError> {
    let tree = bound(opened)?;
    let place = place(root, &opened.grant.guest, opened.directory)?;
    attach(&tree, &place, &opened.grant.guest)
}

fn attach(tree: &OwnedFd, place: &OwnedFd, name: &str) -> Result<(), WallError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", place, "", flags).doing(Wall::Mount, name)
}

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// The mount point for a path of the view, made if it is not there.
fn place(root: &OwnedFd, path: &str, directory: bool) -> Result<OwnedFd, WallError> {
    let relative = path.trim_start_matches('/');
    let (folder, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    let parent = folders(root, folder, path)?;
    let made = if directory {
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
    } else {
        rustix::fs::openat(&parent, name, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::from_raw_mode(0o444))
            .map(drop)
    };
    match made {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(cannot_make(path, error)),
    }
    open_inside(&parent, name).doing(Wall::Mount, path)
}

fn cannot_make(path: &str, error: rustix::io::Errno) -> WallError {
    let why = format!("{error}; what it lies in, a grant or RootDirectory, has no such entry");
    WallError::new(Wall::Mount, format!("GuestPath {path}"), why)
}

fn folders(root: &OwnedFd, folder: &str, path: &str) -> Result<OwnedFd, WallError> {
    let mut parent = root.try_clone().doing(Wall::Mount, path)?;
    for name in folder.split('/').filter(|name| !name.is_empty()) {
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(cannot_make(path, error)),
        }
        parent = open_inside(&parent, name).doing(Wall::Mount, path)?;
    }
    Ok(parent)
}

fn open_inside(parent: &OwnedFd, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::openat2(parent, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), INSIDE)
}

/// What a native program needs besides its grants.
fn base(root: &OwnedFd, plan: &MountPlan) -> Result<(), WallError> {
    if plan.root.is_none() {
        for path in BASE {
            base_path(root, path)?;
        }
        links(root)?;
    }
    devices(root)?;
    temporary(root)?;
    process_table(root)?;
    // Last, since it may lie in what was just mounted.
    match &plan.program {
        Some(program) => own_program(root, plan, program),
        None => Ok(()),
    }
}

/// A path of the base: bound if it is a file or folder, copied if it is a symbolic link into the base.
fn base_path(root: &OwnedFd, path: &str) -> Result<(), WallError> {
    let Ok(status) = rustix::fs::lstat(path) else {
        return Ok(());
    };
    let is_link = FileType::from_raw_mode(status.st_mode) == FileType::Symlink;
    if is_link && !path.starts_with("/etc/") {
        return copy_link(root, path);
    }
    let Ok(descriptor) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        // A dangling link, or a file that only root may reach: the program does not get what its user cannot read.
        return Ok(());
    };
    let kind = rustix::fs::fstat(&descriptor).doing(Wall::Mount, path)?;
    let directory = FileType::from_raw_mode(kind.st_mode) == FileType::Directory;
    bind_read_only(root, path, &descriptor, directory)
}

fn bind_read_only(root: &OwnedFd, path: &str, descriptor: &OwnedFd, directory: bool) -> Result<(), WallError> {
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let tree = tree(descriptor.as_fd(), flags, true).doing(Wall::Mount, path)?;
    attach(&tree, &place(root, path, directory)?, path)
}

fn copy_link(root: &OwnedFd, path: &str) -> Result<(), WallError> {
    let target: CString = rustix::fs::readlink(path, Vec::new()).doing(Wall::Mount, path)?;
    rustix::fs::symlinkat(target.as_c_str(), root, path.trim_start_matches('/')).doing(Wall::Mount, path)
}

/// The program's own file, where neither base nor grants show it already.
fn own_program(root: &OwnedFd, plan: &MountPlan, program: &str) -> Result<(), WallError> {
    let below = |folder: &str| Path::new(program).starts_with(folder);
    let shown = BASE.iter().any(|folder| below(folder)) || plan.grants.iter().any(|grant| below(&grant.guest));
    if shown {
        return Ok(());
    }
    let descriptor =
        rustix::fs::open(program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(Wall::Mount, program)?;
    bind_read_only(root, program, &descriptor, false)
}

fn devices(root: &OwnedFd) -> Result<(), WallError> {
    for path in DEVICES {
        let descriptor =
            rustix::fs::open(*path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(Wall::Mount, path)?;
        let tree = tree(descriptor.as_fd(), libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC, true)
            .doing(Wall::Mount, path)?;
        attach(&tree, &place(root, path, false)?, path)?;
    }
    Ok(())
}

/// Names under which a program finds its own descriptors; another root has them or does without.
fn links(root: &OwnedFd) -> Result<(), WallError> {
    folders(root, "dev", "/dev")?;
    for (name, target) in [
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
    ] {
        rustix::fs::symlinkat(target, root, name).doing(Wall::Mount, name)?;
    }
    Ok(())
}

fn temporary(root: &OwnedFd) -> Result<(), WallError> {
    let flags =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = empty(TEMPORARY_SIZE, "1777", flags)?;
    attach(&mount, &place(root, "/tmp", true)?, "/tmp")
}

/// /proc of the job's own process table.
fn process_table(root: &OwnedFd) -> Result<(), WallError> {
    let system = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).doing(Wall::Mount, "fsopen proc")?;
    rustix::mount::fsconfig_create(system.as_fd()).doing(Wall::Mount, "create proc")?;
    // Read-only: uid 0 may change the kernel's settings in it without any capability.
    let flags = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = rustix::mount::fsmount(system.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .doing(Wall::Mount, "fsmount proc")?;
    attach(&mount, &place(root, "/proc", true)?, "/proc")
}

/// The root itself takes no more entries.
fn seal(root: BorrowedFd<'_>) -> Result<(), WallError> {
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    set_attributes(root, flags, false).doing(Wall::Mount, "seal the root")
}

/// Makes the view the root and lets go of the old one (pivot_root(2), "pivot_root(".", ".")").
fn enter(root: &OwnedFd) -> Result<(), WallError> {
    rustix::process::fchdir(root).doing(Wall::Mount, "enter the root")?;
    rustix::process::pivot_root(".", ".").doing(Wall::Mount, "pivot_root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing(Wall::Mount, "let go of the old root")?;
    rustix::process::chdir("/").doing(Wall::Mount, "chdir /")
}
