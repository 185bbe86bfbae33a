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
use super::watch_paths::watch_paths;
use super::{P2, at};
use crate::state::State;

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

watch_paths!(P2, watch);

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
