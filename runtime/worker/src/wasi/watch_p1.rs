//! Watches the path functions of `wasi_snapshot_preview1` for denials: each calls wasmtime-wasi's own
//! and reads the error number it answers.
//! It repeats no rule of preview 1. Names and memory go through wasmtime-wasi's generated functions,
//! because what a watcher parsed by itself could differ from what was enforced.

use wasmtime::{AsContextMut, Caller, Extern, Linker, bail};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as p1, WasiSnapshotPreview1 as _};
use wiggle::{GuestMemory, GuestPtr};
use wjob_model::grant::Access;

use super::watch::{Refusal, Watched};
use crate::denial::Denials;

const MODULE: &str = "wasi_snapshot_preview1";

/// The descriptor of the first preopen; 0 to 2 are stdio.
pub const FIRST_PREOPEN: u32 = 3;

/// What a watching function needs of the store's data.
pub struct Parts<'a> {
    /// The preview 1 context that answers.
    pub ctx: &'a mut WasiP1Ctx,
    /// The paths of the open directories; [`start`] fills in the preopens.
    pub watched: &'a mut Watched,
    /// Where denials go.
    pub denials: &'a Denials,
}

/// Tells `watched` the guest paths of the preopens, in the order the context has them.
pub fn start(watched: &mut Watched, preopens: &[String]) {
    let names = preopens.iter().map(String::as_str);
    watched.preopened((FIRST_PREOPEN..).zip(names));
}

/// A path that a guest names: where it lies in memory.
#[derive(Clone, Copy)]
struct Named {
    pointer: i32,
    length: i32,
}

impl Named {
    fn read(self, memory: &GuestMemory<'_>) -> Option<String> {
        let pointer = GuestPtr::<str>::new((self.pointer as u32, self.length as u32));
        let name = memory.as_cow_str(pointer).ok()?;
        Some(name.into_owned())
    }
}

/// Wraps one function: its arguments, then for each path the descriptor, the pointer and the length.
macro_rules! watch {
    (
        $linker:ident, $get:ident, $name:literal, $function:ident, $access:ident,
        ($($arg:ident),+), $($fd:ident / $pointer:ident / $length:ident),+
    ) => {
        $linker.func_wrap_async(
            MODULE,
            $name,
            move |mut caller: Caller<'_, T>, ($($arg,)+): ($(watch!(@i32 $arg),)+)| {
                Box::new(async move {
                    let fuel = caller.as_context_mut().hostcall_fuel();
                    let export = caller.get_export("memory");
                    let (mut memory, data) = split(&export, &mut caller)?;
                    let names = [$((
                        $fd,
                        Named { pointer: $pointer, length: $length }.read(&memory),
                    )),+];
                    let parts = $get(data);
                    parts.ctx.set_hostcall_fuel(fuel);
                    let errno = p1::$function(parts.ctx, &mut memory, $($arg),+).await?;
                    for (fd, name) in names {
                        report(parts.watched, parts.denials, fd, name, errno, Access::$access);
                    }
                    Ok::<i32, wasmtime::Error>(errno)
                })
            },
        )?;
    };
    (@i32 $arg:ident) => { i32 };
}

/// Puts the watching functions in the place of wasmtime-wasi's; the linker must allow shadowing.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    add_open(linker, get)?;
    watch!(
        linker,
        get,
        "path_filestat_get",
        path_filestat_get,
        ReadOnly,
        (fd, flags, path, length, result),
        fd / path / length
    );
    watch!(
        linker,
        get,
        "path_create_directory",
        path_create_directory,
        ReadWrite,
        (fd, path, length),
        fd / path / length
    );
    watch!(linker, get, "path_unlink_file", path_unlink_file, ReadWrite, (fd, path, length), fd / path / length);
    watch!(
        linker,
        get,
        "path_remove_directory",
        path_remove_directory,
        ReadWrite,
        (fd, path, length),
        fd / path / length
    );
    watch!(
        linker,
        get,
        "path_rename",
        path_rename,
        ReadWrite,
        (from, old, old_length, to, new, new_length),
        from / old / old_length,
        to / new / new_length
    );
    Ok(())
}

/// The arguments of `path_open`: descriptor, look-up flags, path and its length, open flags, rights,
/// inherited rights, descriptor flags, where the new descriptor goes.
type Open = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

fn add_open<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "path_open", move |mut caller: Caller<'_, T>, arguments: Open| {
        Box::new(async move {
            let fuel = caller.as_context_mut().hostcall_fuel();
            let export = caller.get_export("memory");
            let (mut memory, data) = split(&export, &mut caller)?;
            let parts = get(data);
            parts.ctx.set_hostcall_fuel(fuel);
            open(parts, &mut memory, arguments).await
        })
    })?;
    Ok(())
}

async fn open(parts: Parts<'_>, memory: &mut GuestMemory<'_>, arguments: Open) -> wasmtime::Result<i32> {
    let (fd, look_up, pointer, length, how, rights, inherited, flags, result) = arguments;
    let named = Named { pointer, length };
    let name = named.read(memory);
    let ctx = parts.ctx;
    let errno = p1::path_open(ctx, memory, fd, look_up, pointer, length, how, rights, inherited, flags, result).await?;
    if errno == SUCCESS && how & DIRECTORY != 0 {
        note_opened(parts.watched, memory, fd, name.as_deref(), result);
    }
    let access = access(how, rights);
    report(parts.watched, parts.denials, fd, name, errno, access);
    Ok(errno)
}

const SUCCESS: i32 = 0;
const DIRECTORY: i32 = 1 << 1;
/// `creat`, `excl` and `trunc` of the open flags.
const CHANGES: i32 = 1 | (1 << 2) | (1 << 3);
/// `fd_write` of the rights.
const FD_WRITE: i64 = 1 << 6;

/// The access that opening so would need.
fn access(how: i32, rights: i64) -> Access {
    if how & CHANGES != 0 || rights & FD_WRITE != 0 { Access::ReadWrite } else { Access::ReadOnly }
}

fn note_opened(watched: &mut Watched, memory: &GuestMemory<'_>, base: i32, name: Option<&str>, result: i32) {
    let opened = memory.read(GuestPtr::<u32>::new(result as u32));
    if let (Ok(opened), Some(name)) = (opened, name) {
        watched.opened(base as u32, name, opened);
    }
}

/// The guest's memory and the store's data, borrowed side by side.
fn split<'a, T: 'static>(
    export: &'a Option<Extern>,
    caller: &'a mut Caller<'_, T>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut T)> {
    match export {
        Some(Extern::Memory(memory)) => {
            let (bytes, data) = memory.data_and_store_mut(caller);
            Ok((GuestMemory::Unshared(bytes), data))
        }
        Some(Extern::SharedMemory(memory)) => Ok((GuestMemory::Shared(memory.data()), caller.data_mut())),
        _ => bail!("missing required memory export"),
    }
}

fn report(watched: &Watched, denials: &Denials, fd: i32, name: Option<String>, errno: i32, access: Access) {
    let (Some(name), Some(refusal)) = (name, refusal(errno)) else {
        return;
    };
    if let Some(denial) = watched.denial(fd as u32, &name, refusal, access) {
        denials.record(denial);
    }
}

/// What an error number of preview 1 means.
fn refusal(errno: i32) -> Option<Refusal> {
    const ACCES: i32 = 2;
    const NOENT: i32 = 44;
    const PERM: i32 = 63;
    const ROFS: i32 = 69;
    const NOTCAPABLE: i32 = 76;
    match errno {
        ACCES | PERM | ROFS | NOTCAPABLE => Some(Refusal::Forbidden),
        NOENT => Some(Refusal::Missing),
        _ => None,
    }
}
