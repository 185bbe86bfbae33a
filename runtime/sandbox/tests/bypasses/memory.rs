//! Attacks that make code run that was not there: memory, files and programs, and system calls by another door.
//! What the calls themselves would do is in the other tables.

use wjob_model::wall::Wall::{Landlock, Mount, Seccomp};

use crate::raw::{self, at, call, descriptor, done, number, open};
use crate::scene::Scene;
use crate::table::{Answer, Attack, Need, Network, Row, attack, killed, native, native_without, wasm, wasm_without};

const EACCES: i32 = libc::EACCES;
const EPERM: i32 = libc::EPERM;

/// Executable memory: a guest's code was there before the walls, a native program may load its own.
const NO_CODE: &[Row] =
    &[wasm(Seccomp, &[EPERM]), wasm_without(Landlock, Seccomp, &[EPERM]), wasm_without(Mount, Seccomp, &[EPERM])];

/// Executing what the job itself could have written.
const WRITTEN: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Mount, &[EACCES]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Mount, &[EACCES]),
    native_without(Seccomp, Mount, &[EACCES]),
    native_without(Landlock, Mount, &[EACCES]),
];

/// Mapping it for execution instead: the mount answers, landlock has no rule for it.
const MAPPED: &[Row] = &[
    wasm(Seccomp, &[EPERM]),
    wasm_without(Seccomp, Mount, &[EPERM]),
    wasm_without(Landlock, Seccomp, &[EPERM]),
    wasm_without(Mount, Seccomp, &[EPERM]),
    native(Mount, &[EPERM]),
    native_without(Seccomp, Mount, &[EPERM]),
    native_without(Landlock, Mount, &[EPERM]),
];

/// Doors that end the process; a kernel built without 32-bit calls ends it by a fault.
const ENDED: &[Row] = &[
    wasm(Seccomp, &[killed(libc::SIGSYS), killed(libc::SIGSEGV)]),
    wasm_without(Landlock, Seccomp, &[killed(libc::SIGSYS), killed(libc::SIGSEGV)]),
    native(Seccomp, &[killed(libc::SIGSYS), killed(libc::SIGSEGV)]),
];

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(map_writable_and_executable, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(map_executable, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(make_memory_executable, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(make_memory_executable_by_key, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(map_shared_memory_executable, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(make_a_memory_file, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(execute_a_memory_file, Network::Nothing, Need::Nothing, NO_CODE),
    attack!(
        make_reading_imply_executing,
        Network::Nothing,
        Need::Nothing,
        [wasm(Seccomp, &[EPERM]), native(Seccomp, &[EPERM]),]
    ),
    attack!(map_a_granted_file_executable, Network::Nothing, Need::Nothing, MAPPED),
    attack!(map_a_written_file_executable, Network::Nothing, Need::Nothing, MAPPED),
    attack!(
        execute_a_shell,
        Network::Nothing,
        Need::Nothing,
        [
            wasm(Seccomp, &[EPERM]),
            wasm_without(Seccomp, Mount, &[libc::ENOENT]),
            wasm_without(Landlock, Seccomp, &[EPERM]),
            wasm_without(Mount, Seccomp, &[EPERM]),
        ]
    ),
    attack!(execute_a_written_file, Network::Nothing, Need::Nothing, WRITTEN),
    attack!(
        execute_a_temporary_file,
        Network::Nothing,
        Need::Nothing,
        [native(Mount, &[EACCES]), native_without(Landlock, Mount, &[EACCES]),]
    ),
    attack!(call_by_the_other_numbers, Network::Nothing, Need::Nothing, ENDED),
    attack!(call_by_the_old_door, Network::Nothing, Need::Nothing, ENDED),
];

const PAGE: usize = 4096;
const READ: i32 = libc::PROT_READ;
const WRITE: i32 = libc::PROT_WRITE;
const EXECUTE: i32 = libc::PROT_EXEC;

fn map(protection: i32) -> Result<i64, i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(libc::SYS_mmap, &[0, PAGE, number(protection), number(flags), number(-1), 0])
}

fn map_file(file: i64) -> Answer {
    let (protection, flags) = (number(READ | EXECUTE), number(libc::MAP_PRIVATE));
    done(call(libc::SYS_mmap, &[0, PAGE, protection, flags, descriptor(file), 0]))
}

fn map_writable_and_executable(_: &Scene) -> Answer {
    done(map(READ | WRITE | EXECUTE))
}

fn map_executable(_: &Scene) -> Answer {
    done(map(EXECUTE))
}

fn make_memory_executable(_: &Scene) -> Answer {
    let page = map(READ | WRITE)?;
    done(call(libc::SYS_mprotect, &[descriptor(page), PAGE, number(READ | EXECUTE)]))
}

fn make_memory_executable_by_key(_: &Scene) -> Answer {
    let page = map(READ | WRITE)?;
    done(call(libc::SYS_pkey_mprotect, &[descriptor(page), PAGE, number(READ | EXECUTE), number(-1)]))
}

fn map_shared_memory_executable(_: &Scene) -> Answer {
    let segment = call(libc::SYS_shmget, &[0, PAGE, number(libc::IPC_CREAT | 0o700)])?;
    let result = call(libc::SYS_shmat, &[descriptor(segment), 0, number(libc::SHM_EXEC)]);
    call(libc::SYS_shmctl, &[descriptor(segment), number(libc::IPC_RMID), 0])?;
    done(result)
}

fn memory_file() -> Result<i64, i32> {
    let name = raw::text("attack");
    call(libc::SYS_memfd_create, &[at(name.as_c_str()), 0])
}

fn make_a_memory_file(_: &Scene) -> Answer {
    done(memory_file())
}

fn execute_a_memory_file(_: &Scene) -> Answer {
    let file = memory_file()?;
    raw::write(file, SCRIPT)?;
    let (name, none) = (raw::text(""), [0usize]);
    let flags = number(libc::AT_EMPTY_PATH);
    done(call(libc::SYS_execveat, &[descriptor(file), at(name.as_c_str()), at(&none), at(&none), flags]))
}

fn make_reading_imply_executing(_: &Scene) -> Answer {
    const READ_IMPLIES_EXEC: usize = 0x0040_0000;
    done(call(libc::SYS_personality, &[READ_IMPLIES_EXEC]))
}

fn map_a_granted_file_executable(scene: &Scene) -> Answer {
    map_file(open(&scene.read_only("file"), libc::O_RDONLY)?)
}

fn map_a_written_file_executable(scene: &Scene) -> Answer {
    map_file(open(&scene.read_write("file"), libc::O_RDWR)?)
}

fn execute_a_shell(_: &Scene) -> Answer {
    done(raw::execute("/bin/sh", &["sh", "-c", "echo 'escaped: it ran'"]))
}

const SCRIPT: &[u8] = b"#!/bin/sh\necho 'escaped: it ran'\n";

fn execute_written(path: &str) -> Answer {
    let file = open(path, libc::O_CREAT | libc::O_WRONLY)?;
    raw::write(file, SCRIPT)?;
    // A file that is open for writing is not executed, whatever the walls say.
    call(libc::SYS_close, &[descriptor(file)])?;
    done(raw::execute(path, &["script"]))
}

fn execute_a_written_file(scene: &Scene) -> Answer {
    execute_written(&scene.read_write("script"))
}

fn execute_a_temporary_file(_: &Scene) -> Answer {
    execute_written("/tmp/script")
}

/// The x32 numbers reach the same calls.
fn call_by_the_other_numbers(_: &Scene) -> Answer {
    const X32: i64 = 0x4000_0000;
    done(call(X32 | libc::SYS_getpid, &[]))
}

/// 32-bit calls have other numbers: 20 is getpid there and writev here.
fn call_by_the_old_door(_: &Scene) -> Answer {
    const GETPID: i64 = 20;
    let mut result = GETPID;
    // SAFETY: a 32-bit getpid touches no memory; the registers that the kernel may clear are named.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") result,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    let errno = i32::try_from(-result).unwrap_or_default();
    if result < 0 { Err(errno) } else { Ok(format!("the call returned {result}")) }
}
