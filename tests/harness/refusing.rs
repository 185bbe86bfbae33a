//! A kernel that lacks something: a filter of system calls, put around a process before it begins, lets some of them fail
//! as they do where there is no such thing. What wjob makes of that is each test's to say.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_long, c_ulong, sock_filter, sock_fprog};

/// A system call that fails.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    number: c_long,
    when: When,
    errno: i32,
}

/// When it does.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    /// An argument has this value.
    Is(u32, u32),
    /// An argument has one of these bits.
    HasAny(u32, u32),
}

impl Refused {
    /// Always, as a call that the kernel does not know.
    pub const fn unknown(number: c_long) -> Self {
        Self { number, when: When::Always, errno: libc::ENOSYS }
    }

    /// Always, as one that a container's rules do not allow.
    pub const fn forbidden(number: c_long) -> Self {
        Self { number, when: When::Always, errno: libc::EPERM }
    }

    /// The same, but only with this value of an argument, which is counted from 0.
    pub const fn forbidden_with(number: c_long, argument: u32, value: u32) -> Self {
        Self { number, when: When::Is(argument, value), errno: libc::EPERM }
    }

    /// The same, but only with one of these bits in an argument.
    pub const fn forbidden_with_any(number: c_long, argument: u32, bits: u32) -> Self {
        Self { number, when: When::HasAny(argument, bits), errno: libc::EPERM }
    }

    /// Its part of the filter, after which what follows is asked.
    fn statements(self) -> Vec<sock_filter> {
        let number = u32::try_from(self.number).expect("a number of a system call");
        let refusal = libc::SECCOMP_RET_ERRNO | self.errno.unsigned_abs();
        let argument = |argument: u32| statement(LOAD, ARGUMENTS + 8 * argument);
        let (asks, test): (Option<sock_filter>, Option<sock_filter>) = match self.when {
            When::Always => (None, None),
            When::Is(index, value) => (Some(argument(index)), Some(jump(libc::BPF_JEQ, value, 1))),
            When::HasAny(index, bits) => (Some(argument(index)), Some(jump(libc::BPF_JSET, bits, 1))),
        };
        let rest: Vec<sock_filter> = asks.into_iter().chain(test).chain([statement(RETURN, refusal)]).collect();
        let over = u8::try_from(rest.len()).expect("a few statements");
        [statement(LOAD, NUMBER), jump(libc::BPF_JEQ, number, over)].into_iter().chain(rest).collect()
    }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Offsets in struct seccomp_data (seccomp(2)); of an argument the low half is asked for.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("a code"), jt: 0, jf: 0, k }
}

/// Goes on where the comparison holds, and else so many statements further.
fn jump(comparison: u32, k: u32, further: u8) -> sock_filter {
    sock_filter { jf: further, ..statement(libc::BPF_JMP | comparison | libc::BPF_K, k) }
}

/// Puts the filter around what a command starts. It takes no_new_privs, which wjob sets for its workers in any case.
pub fn refusing(mut command: Command, refused: &[Refused]) -> Command {
    let mut program: Vec<sock_filter> = refused.iter().copied().flat_map(Refused::statements).collect();
    program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let filter = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        let (yes, none, mode): (c_ulong, c_ulong, c_ulong) = (1, 0, libc::SECCOMP_MODE_FILTER.into());
        // SAFETY: two calls on numbers and on a program that outlives them and is only read.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) == 0
        };
        if installed { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: what is done between fork and exec allocates nothing and takes no lock.
    unsafe { command.pre_exec(install) };
    command
}
