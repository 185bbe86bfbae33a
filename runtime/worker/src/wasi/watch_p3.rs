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
use super::watch_paths::watch_paths;
use super::{P3, at};
use crate::state::State;

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

watch_paths!(P3, watch);

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

/// A directory that is listed without being opened first: one that was given at the start. How that went is told by a
/// future, which nobody waits for here.
fn add_listing(instance: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    instance.func_wrap("[method]descriptor.read-directory", |mut store: StoreContextMut<'_, State>, (fd,): (Fd,)| {
        store.data_mut().telling().tell(fd.rep(), "", Need::List, Ok(()));
        let host = Access::<State, Inner>::new(store.as_context_mut(), State::filesystem);
        Ok((<Inner as HostDescriptorWithStore<State>>::read_directory(host, fd)?,))
    })
}
