//! Watches the path functions of `wasi_snapshot_preview1` for denials and used grants: each calls
//! wasmtime-wasi's own and reads the error number it answers.
//! It repeats no rule of preview 1. Names and memory go through wasmtime-wasi's generated functions,
//! because what a watcher parsed by itself could differ from what was enforced.

use wasmtime::{AsContextMut, Caller, Extern, Linker, bail};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as p1, WasiSnapshotPreview1 as _};
use wiggle::{GuestMemory, GuestPtr};
use wjob_model::learn::Need;
use wjob_model::outcome::HeldBy;

use super::watch::{Refusal, Telling, Watched};
use crate::denial::Denials;
use crate::used::Uses;

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
    /// Where it is told which grants are used.
    pub uses: &'a Uses,
}

impl Parts<'_> {
    /// Tells of a call that answered `errno`.
    fn tell(&self, fd: i32, name: Option<&str>, need: Need, errno: i32) {
        let telling = Telling { watched: &*self.watched, denials: self.denials, uses: self.uses };
        if let Some(name) = name {
            telling.tell(fd as u32, name, need, if errno == SUCCESS { Ok(()) } else { Err(refusal(errno)) });
        }
    }
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

/// Wraps one function: its arguments and their types, then for each path the descriptor, the pointer and the length.
macro_rules! watch {
    (
        $linker:ident, $get:ident, $name:literal, $function:ident, $need:ident,
        ($($arg:ident: $ty:ty),+), $($fd:ident / $pointer:ident / $length:ident),+
    ) => {
        $linker.func_wrap_async(
            MODULE,
            $name,
            move |mut caller: Caller<'_, T>, ($($arg,)+): ($($ty,)+)| {
                Box::new(async move {
                    let export = caller.get_export("memory");
                    let (mut memory, parts) = enter(&export, &mut caller, $get)?;
                    let names = [$((
                        $fd,
                        Named { pointer: $pointer, length: $length }.read(&memory),
                    )),+];
                    let errno = p1::$function(&mut *parts.ctx, &mut memory, $($arg),+).await?;
                    for (fd, name) in names {
                        parts.tell(fd, name.as_deref(), Need::$need, errno);
                    }
                    Ok::<i32, wasmtime::Error>(errno)
                })
            },
        )?;
    };
}

/// Puts the watching functions in the place of wasmtime-wasi's; the linker must allow shadowing.
///
/// # Errors
/// Where the linker does not allow shadowing.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    add_open(linker, get)?;
    add_listing(linker, get)?;
    add_looks(linker, get)?;
    add_changes(linker, get)?;
    add_pairs(linker, get)
}

fn add_looks<T: Send + 'static>(l: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    watch!(
        l, get, "path_filestat_get", path_filestat_get, Look,
        (fd: i32, flags: i32, path: i32, length: i32, result: i32), fd / path / length
    );
    watch!(
        l, get, "path_readlink", path_readlink, Look,
        (fd: i32, path: i32, length: i32, buffer: i32, most: i32, result: i32), fd / path / length
    );
    Ok(())
}

fn add_changes<T: Send + 'static>(l: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    watch!(
        l, get, "path_create_directory", path_create_directory, Entry,
        (fd: i32, path: i32, length: i32), fd / path / length
    );
    watch!(
        l, get, "path_unlink_file", path_unlink_file, Entry,
        (fd: i32, path: i32, length: i32), fd / path / length
    );
    watch!(
        l, get, "path_remove_directory", path_remove_directory, Entry,
        (fd: i32, path: i32, length: i32), fd / path / length
    );
    watch!(
        l, get, "path_symlink", path_symlink, Entry,
        (to: i32, to_length: i32, fd: i32, path: i32, length: i32), fd / path / length
    );
    watch!(
        l, get, "path_filestat_set_times", path_filestat_set_times, Change,
        (fd: i32, flags: i32, path: i32, length: i32, read: i64, changed: i64, which: i32), fd / path / length
    );
    Ok(())
}

fn add_pairs<T: Send + 'static>(l: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    watch!(
        l, get, "path_rename", path_rename, Entry,
        (from: i32, old: i32, old_length: i32, to: i32, new: i32, new_length: i32),
        from / old / old_length, to / new / new_length
    );
    watch!(
        l, get, "path_link", path_link, Entry,
        (from: i32, flags: i32, old: i32, old_length: i32, to: i32, new: i32, new_length: i32),
        from / old / old_length, to / new / new_length
    );
    Ok(())
}

/// A directory that is listed without being opened first: one that was given at the start.
fn add_listing<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_readdir",
        move |mut caller: Caller<'_, T>, (fd, buffer, length, cookie, result): (i32, i32, i32, i64, i32)| {
            Box::new(async move {
                let export = caller.get_export("memory");
                let (mut memory, parts) = enter(&export, &mut caller, get)?;
                let errno = p1::fd_readdir(&mut *parts.ctx, &mut memory, fd, buffer, length, cookie, result).await?;
                parts.tell(fd, Some(""), Need::List, errno);
                Ok::<i32, wasmtime::Error>(errno)
            })
        },
    )?;
    Ok(())
}

/// The arguments of `path_open`: descriptor, look-up flags, path and its length, open flags, rights,
/// inherited rights, descriptor flags, where the new descriptor goes.
type Open = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

fn add_open<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> Parts<'_>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "path_open", move |mut caller: Caller<'_, T>, arguments: Open| {
        Box::new(async move {
            let export = caller.get_export("memory");
            let (mut memory, parts) = enter(&export, &mut caller, get)?;
            open(parts, &mut memory, arguments).await
        })
    })?;
    Ok(())
}

async fn open(parts: Parts<'_>, memory: &mut GuestMemory<'_>, arguments: Open) -> wasmtime::Result<i32> {
    let (fd, look_up, pointer, length, how, rights, inherited, flags, result) = arguments;
    let named = Named { pointer, length };
    let name = named.read(memory);
    let ctx = &mut *parts.ctx;
    let errno = p1::path_open(ctx, memory, fd, look_up, pointer, length, how, rights, inherited, flags, result).await?;
    if errno == SUCCESS && how & DIRECTORY != 0 {
        note_opened(parts.watched, memory, fd, name.as_deref(), result);
    }
    parts.tell(fd, name.as_deref(), need(how, rights), errno);
    Ok(errno)
}

const SUCCESS: i32 = 0;
const DIRECTORY: i32 = 1 << 1;
/// `creat` and `excl` of the open flags.
const CREATES: i32 = 1 | (1 << 2);
/// `trunc` of them.
const TRUNCATES: i32 = 1 << 3;
/// `fd_write` of the rights.
const FD_WRITE: i64 = 1 << 6;

/// What opening so takes. Whether a file was there already is not asked: the next time it may not be.
fn need(how: i32, rights: i64) -> Need {
    if how & DIRECTORY != 0 {
        Need::List
    } else if how & CREATES != 0 {
        Need::Entry
    } else if how & TRUNCATES != 0 || rights & FD_WRITE != 0 {
        Need::Change
    } else {
        Need::Read
    }
}

fn note_opened(watched: &mut Watched, memory: &GuestMemory<'_>, base: i32, name: Option<&str>, result: i32) {
    let opened = memory.read(GuestPtr::<u32>::new(result as u32));
    if let (Ok(opened), Some(name)) = (opened, name) {
        watched.opened(base as u32, name, opened);
    }
}

/// What a call works on: the guest's memory and the parts of the store's data, whose context is told what is left of
/// the fuel for calls of the host.
fn enter<'a, T: 'static>(
    export: &'a Option<Extern>,
    caller: &'a mut Caller<'_, T>,
    get: fn(&mut T) -> Parts<'_>,
) -> wasmtime::Result<(GuestMemory<'a>, Parts<'a>)> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (memory, data) = split(export, caller)?;
    let parts = get(data);
    parts.ctx.set_hostcall_fuel(fuel);
    Ok((memory, parts))
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

/// What an error number of preview 1 means.
fn refusal(errno: i32) -> Option<Refusal> {
    const ACCES: i32 = 2;
    const NOENT: i32 = 44;
    const PERM: i32 = 63;
    const ROFS: i32 = 69;
    const NOTCAPABLE: i32 = 76;
    match errno {
        PERM | NOTCAPABLE => Some(Refusal::Forbidden(HeldBy::Guest)),
        // Modes, landlock and read-only mounts: only the kernel says so.
        ACCES | ROFS => Some(Refusal::Forbidden(HeldBy::Kernel)),
        NOENT => Some(Refusal::Missing),
        _ => None,
    }
}
