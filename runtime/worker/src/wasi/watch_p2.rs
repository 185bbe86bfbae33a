//! Watches `wasi:filesystem` 0.2 for denials and for grants that are used: the functions that name a path are
//! wrapped, and what wasmtime-wasi answers is passed on unchanged.
//! It costs a copy of every path, which beside the system call that follows is little; a guest without
//! any directory names none.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, NewTimestamp, OpenFlags, PathFlags,
};
use wjob_model::learn::Need;
use wjob_model::outcome::HeldBy;

use super::watch::{Refusal, Refused, finish, note_opened};
use super::{P2, at};
use crate::state::State;

impl Refused for ErrorCode {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NotPermitted => Some(Refusal::Forbidden(HeldBy::Guest)),
            // Modes, landlock and read-only mounts: only the kernel says so.
            Self::Access | Self::ReadOnly => Some(Refusal::Forbidden(HeldBy::Kernel)),
            Self::NoEntry => Some(Refusal::Missing),
            _ => None,
        }
    }
}

/// Wraps one method: its arguments, then each descriptor and the path it names below it.
macro_rules! watch {
    (
        $instance:ident, $name:literal, $method:ident, $need:ident,
        ($($arg:ident: $ty:ty),+), $($base:ident / $path:ident),+
    ) => {
        $instance.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, State>, ($($arg,)+): ($($ty,)+)| {
                Box::new(async move {
                    let named = [$(($base.rep(), $path.clone())),+];
                    let result = store.data_mut().filesystem().$method($($arg),+).await;
                    finish(store.data_mut(), &named, Need::$need, result)
                })
            },
        )?
    };
}

type Fd = Resource<Descriptor>;

/// Puts the watching functions in the place of wasmtime-wasi's; the linker must allow shadowing.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&at("wasi:filesystem/preopens", P2))?;
    instance.func_wrap("get-directories", get_directories)?;
    let mut instance = linker.instance(&at("wasi:filesystem/types", P2))?;
    add_open(&mut instance)?;
    add_listing(&mut instance)?;
    add_reads(&mut instance)?;
    add_changes(&mut instance)?;
    add_pairs(&mut instance)
}

fn get_directories(mut store: StoreContextMut<'_, State>, (): ()) -> wasmtime::Result<(Vec<(Fd, String)>,)> {
    let state = store.data_mut();
    let list = preopens::Host::get_directories(&mut state.filesystem())?;
    let named = list.iter().map(|(fd, name)| (fd.rep(), name.as_str()));
    state.watched.preopened(named);
    Ok((list,))
}

fn add_open(instance: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    instance.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, State>,
         (fd, path_flags, path, open_flags, flags): (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::new(async move {
                let named = [(fd.rep(), path.clone())];
                let mut need = need(open_flags, flags);
                let mut view = store.data_mut().filesystem();
                let opening = view.open_at(fd, path_flags, path, open_flags, flags);
                let result = opening.await;
                if let Ok(opened) = &result {
                    need = note_opened(store.data_mut(), &named[0], opened, need);
                }
                finish(store.data_mut(), &named, need, result)
            })
        },
    )
}

/// What opening a file so takes. Whether it was there already is not asked: the next time it may not be.
fn need(open_flags: OpenFlags, flags: DescriptorFlags) -> Need {
    if open_flags.contains(OpenFlags::CREATE) || open_flags.contains(OpenFlags::EXCLUSIVE) {
        Need::Entry
    } else if open_flags.contains(OpenFlags::TRUNCATE) || flags.contains(DescriptorFlags::WRITE) {
        Need::Change
    } else {
        Need::Read
    }
}

/// A directory that is listed without being opened first: one that was given at the start.
fn add_listing(instance: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    instance.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (fd,): (Fd,)| {
            Box::new(async move {
                let named = [(fd.rep(), String::new())];
                let result = store.data_mut().filesystem().read_directory(fd).await;
                finish(store.data_mut(), &named, Need::List, result)
            })
        },
    )
}

fn add_reads(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "stat-at", stat_at, Look,
        (fd: Fd, flags: PathFlags, path: String), fd / path
    );
    watch!(
        i, "readlink-at", readlink_at, Look,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "metadata-hash-at", metadata_hash_at, Look,
        (fd: Fd, flags: PathFlags, path: String), fd / path
    );
    Ok(())
}

fn add_changes(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "create-directory-at", create_directory_at, Entry,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "remove-directory-at", remove_directory_at, Entry,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "unlink-file-at", unlink_file_at, Entry,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "symlink-at", symlink_at, Entry,
        (fd: Fd, to: String, path: String), fd / path
    );
    watch!(
        i, "set-times-at", set_times_at, Change,
        (fd: Fd, flags: PathFlags, path: String, read: NewTimestamp, changed: NewTimestamp), fd / path
    );
    Ok(())
}

fn add_pairs(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "rename-at", rename_at, Entry,
        (from: Fd, old: String, to: Fd, new: String), from / old, to / new
    );
    watch!(
        i, "link-at", link_at, Entry,
        (from: Fd, flags: PathFlags, old: String, to: Fd, new: String), from / old, to / new
    );
    Ok(())
}
