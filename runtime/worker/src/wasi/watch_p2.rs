//! Watches `wasi:filesystem` 0.2 for denials: the functions that name a path are wrapped, and what
//! wasmtime-wasi answers is passed on unchanged.
//! Used only where denials are explained: it costs a copy of every path, and an instance that is fully
//! granted needs none of it.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, NewTimestamp, OpenFlags, PathFlags,
};
use wjob_model::grant::Access;

use super::watch::{Refusal, Refused, finish, note_opened};
use super::{P2, at};
use crate::state::State;

impl Refused for ErrorCode {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Access | Self::NotPermitted | Self::ReadOnly => Some(Refusal::Forbidden),
            Self::NoEntry => Some(Refusal::Missing),
            _ => None,
        }
    }
}

/// Wraps one method: its arguments, then each descriptor and the path it names below it.
macro_rules! watch {
    (
        $instance:ident, $name:literal, $method:ident, $access:ident,
        ($($arg:ident: $ty:ty),+), $($base:ident / $path:ident),+
    ) => {
        $instance.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, State>, ($($arg,)+): ($($ty,)+)| {
                Box::new(async move {
                    let named = [$(($base.rep(), $path.clone())),+];
                    let result = store.data_mut().filesystem().$method($($arg),+).await;
                    finish(store.data_mut(), &named, Access::$access, result)
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
                let access = access(open_flags, flags);
                let mut view = store.data_mut().filesystem();
                let opening = view.open_at(fd, path_flags, path, open_flags, flags);
                let result = opening.await;
                if let Ok(opened) = &result {
                    note_opened(store.data_mut(), &named[0], opened);
                }
                finish(store.data_mut(), &named, access, result)
            })
        },
    )
}

/// The access that opening so would need.
fn access(open_flags: OpenFlags, flags: DescriptorFlags) -> Access {
    let changes = [OpenFlags::CREATE, OpenFlags::TRUNCATE, OpenFlags::EXCLUSIVE];
    let changes = changes.into_iter().any(|flag| open_flags.contains(flag));
    if changes || flags.contains(DescriptorFlags::WRITE) { Access::ReadWrite } else { Access::ReadOnly }
}

fn add_reads(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "stat-at", stat_at, ReadOnly,
        (fd: Fd, flags: PathFlags, path: String), fd / path
    );
    watch!(
        i, "readlink-at", readlink_at, ReadOnly,
        (fd: Fd, path: String), fd / path
    );
    Ok(())
}

fn add_changes(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "create-directory-at", create_directory_at, ReadWrite,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "remove-directory-at", remove_directory_at, ReadWrite,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "unlink-file-at", unlink_file_at, ReadWrite,
        (fd: Fd, path: String), fd / path
    );
    watch!(
        i, "symlink-at", symlink_at, ReadWrite,
        (fd: Fd, to: String, path: String), fd / path
    );
    watch!(
        i, "set-times-at", set_times_at, ReadWrite,
        (fd: Fd, flags: PathFlags, path: String, read: NewTimestamp, changed: NewTimestamp), fd / path
    );
    Ok(())
}

fn add_pairs(i: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    watch!(
        i, "rename-at", rename_at, ReadWrite,
        (from: Fd, old: String, to: Fd, new: String), from / old, to / new
    );
    watch!(
        i, "link-at", link_at, ReadWrite,
        (from: Fd, flags: PathFlags, old: String, to: Fd, new: String), from / old, to / new
    );
    Ok(())
}
