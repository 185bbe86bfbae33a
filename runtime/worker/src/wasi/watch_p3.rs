//! Watches `wasi:filesystem` 0.3 for denials and used grants, as [`super::watch_p2`] does 0.2.
//! It differs in that the store is not held while a call waits, which is why the two share no wrapper.

use wasmtime::component::{Access, Accessor, Linker, LinkerInstance, Resource};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptorWithStore, NewTimestamp, OpenFlags, PathFlags,
};
use wjob_model::learn::Need;
use wjob_model::outcome::HeldBy;

use super::watch::{Refusal, Refused, finish, note_opened};
use super::{P3, at};
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

/// wasmtime-wasi's own implementation.
type Inner = WasiFilesystem;

type Fd = Resource<Descriptor>;

/// The same access to the store, seen as wasmtime-wasi's implementation wants it.
fn inner(accessor: &Accessor<State>) -> Accessor<State, Inner> {
    accessor.with_getter::<Inner>(State::filesystem)
}

/// Wraps one method: its arguments, then each descriptor and the path it names below it.
macro_rules! watch {
    (
        $instance:ident, $name:literal, $method:ident, $need:ident,
        ($($arg:ident: $ty:ty),+), $($base:ident / $path:ident),+
    ) => {
        $instance.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |accessor: &Accessor<State>, ($($arg,)+): ($($ty,)+)| {
                Box::pin(async move {
                    let named = [$(($base.rep(), $path.clone())),+];
                    let host = &inner(accessor);
                    let result =
                        <Inner as HostDescriptorWithStore<State>>::$method(host, $($arg),+).await;
                    accessor.with(|mut access| {
                        finish(access.get(), &named, Need::$need, result)
                    })
                })
            },
        )?
    };
}

/// Puts the watching functions in the place of wasmtime-wasi's; the linker must allow shadowing.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(&at("wasi:filesystem/preopens", P3))?;
    instance.func_wrap("get-directories", get_directories)?;
    let mut instance = linker.instance(&at("wasi:filesystem/types", P3))?;
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
    instance.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |accessor: &Accessor<State>,
         (fd, path_flags, path, open_flags, flags): (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::pin(async move {
                let named = [(fd.rep(), path.clone())];
                let mut need = need(open_flags, flags);
                let host = &inner(accessor);
                let result =
                    <Inner as HostDescriptorWithStore<State>>::open_at(host, fd, path_flags, path, open_flags, flags)
                        .await;
                accessor.with(|mut access| {
                    if let Ok(opened) = &result {
                        need = note_opened(access.get(), &named[0], opened, need);
                    }
                    finish(access.get(), &named, need, result)
                })
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

/// A directory that is listed without being opened first: one that was given at the start. How that went is told by a
/// future, which nobody waits for here.
fn add_listing(instance: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    instance.func_wrap("[method]descriptor.read-directory", |mut store: StoreContextMut<'_, State>, (fd,): (Fd,)| {
        store.data_mut().telling().tell(fd.rep(), "", Need::List, Ok(()));
        let host = Access::<State, Inner>::new(store.as_context_mut(), State::filesystem);
        Ok((<Inner as HostDescriptorWithStore<State>>::read_directory(host, fd)?,))
    })
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
