//! Turns a list of system calls into a classic BPF program that finds its entry by halving.
//!
//! The kernel runs a new filter once for each of its system calls to learn which are always allowed (seccomp.c,
//! seccomp_cache_prepare), so a chain of comparisons costs 0.15 ms at every start and a tree a sixth of that.
//! That, and an answer of its own for each entry, is why this is not a library's filter. What is in a list, and
//! why, is in `syscalls`; this file knows no system call.

use libc::sock_filter;

/// What a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is performed.
    Allow,
    /// It fails with this errno.
    Errno(i32),
    /// The process ends.
    Kill,
}

/// One comparison with the low 32 bits of an argument, after a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Which argument, from 0.
    pub argument: u8,
    /// Bits that count.
    pub mask: u32,
    /// What they must be.
    pub value: u32,
}

/// One system call's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub number: u32,
    /// Sets of comparisons; the call is allowed if all of one set hold. Empty: always.
    pub any_of: Vec<Vec<Compare>>,
    /// What it gets when a set holds.
    pub answer: Answer,
    /// What it gets when none does.
    pub otherwise: Answer,
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in struct seccomp_data (seccomp(2)).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// AUDIT_ARCH_X86_64 (linux/audit.h).
const X86_64: u32 = 0xc000_003e;
/// Numbers from here on are the x32 ABI's, which nothing of ours uses.
const X32: u32 = 0x4000_0000;

/// The program: foreign architectures end the process, calls above `newest` are said not to exist, and of the others
/// the unlisted ones get `default`. A default that allows would else allow calls that nobody has looked at yet.
pub fn compile(rules: &[Rule], default: Answer, newest: u32) -> Vec<sock_filter> {
    let mut sorted = rules.to_vec();
    sorted.sort_by_key(|rule| rule.number);
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(EQUAL, X86_64, 1, 0),
        statement(RETURN, code(Answer::Kill)),
        statement(LOAD, NUMBER),
        jump(AT_LEAST, X32, 0, 1),
        statement(RETURN, code(Answer::Kill)),
        jump(AT_LEAST, newest.saturating_add(1), 0, 1),
        statement(RETURN, code(Answer::Errno(libc::ENOSYS))),
    ];
    program.extend(tree(&sorted, default));
    program
}

/// The part of the program that decides among `rules`, which are sorted.
fn tree(rules: &[Rule], default: Answer) -> Vec<sock_filter> {
    match rules {
        [] => vec![statement(RETURN, code(default))],
        [rule] => leaf(rule, default),
        _ => {
            let (lower, upper) = rules.split_at(rules.len() / 2);
            let below = tree(lower, default);
            let mut program = vec![jump(AT_LEAST, upper[0].number, 0, 1), statement(JUMP, length(&below))];
            program.extend(below);
            program.extend(tree(upper, default));
            program
        }
    }
}

fn leaf(rule: &Rule, default: Answer) -> Vec<sock_filter> {
    let mut program = vec![jump(EQUAL, rule.number, 1, 0), statement(RETURN, code(default))];
    if rule.any_of.is_empty() {
        program.push(statement(RETURN, code(rule.answer)));
        return program;
    }
    for set in &rule.any_of {
        program.extend(all_of(set, rule.answer));
    }
    program.push(statement(RETURN, code(rule.otherwise)));
    program
}

/// Returns `answer` if all comparisons hold, else falls through to what follows.
fn all_of(set: &[Compare], answer: Answer) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (index, compare) in set.iter().enumerate() {
        // Each later comparison is three statements long, and the return is one.
        let over = 3 * (set.len() - index - 1) + 1;
        program.push(statement(LOAD, ARGUMENTS + 8 * u32::from(compare.argument)));
        program.push(statement(AND, compare.mask));
        program.push(jump(EQUAL, compare.value, 0, u8::try_from(over).unwrap_or(u8::MAX)));
    }
    program.push(statement(RETURN, code(answer)));
    program
}

fn length(program: &[sock_filter]) -> u32 {
    u32::try_from(program.len()).unwrap_or(u32::MAX)
}

fn code(answer: Answer) -> u32 {
    match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Errno(errno) => libc::SECCOMP_RET_ERRNO | (errno.unsigned_abs() & libc::SECCOMP_RET_DATA),
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small interpreter of the statements used here: what the kernel would answer.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut accumulator) = (0usize, 0u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD if k == NUMBER => accumulator = number,
                LOAD if k == ARCHITECTURE => accumulator = architecture,
                LOAD => accumulator = arguments[((k - ARGUMENTS) / 8) as usize],
                AND => accumulator &= k,
                JUMP => at += k as usize,
                EQUAL => at += usize::from(if accumulator == k { jt } else { jf }),
                AT_LEAST => at += usize::from(if accumulator >= k { jt } else { jf }),
                RETURN => return k,
                other => panic!("statement {other:#x}"),
            }
        }
    }

    fn rule(number: u32, any_of: Vec<Vec<Compare>>) -> Rule {
        Rule { number, any_of, answer: Answer::Allow, otherwise: Answer::Errno(1) }
    }

    const DENIED: u32 = libc::SECCOMP_RET_ERRNO | 1;
    const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const NEWEST: u32 = 700;

    #[test]
    fn listed_calls_are_allowed_and_no_other() {
        for count in [0, 1, 2, 3, 7, 64, 300] {
            let rules: Vec<Rule> = (0..count).map(|index| rule(index * 2, Vec::new())).collect();
            let program = compile(&rules, Answer::Errno(1), NEWEST);
            assert!(program.len() < 4096, "BPF_MAXINSNS");
            for number in 0..count * 2 + 3 {
                let listed = number % 2 == 0 && number / 2 < count;
                let expected = if listed { libc::SECCOMP_RET_ALLOW } else { DENIED };
                assert_eq!(run(&program, X86_64, number, [0; 6]), expected, "{number} of {count}");
            }
        }
    }

    #[test]
    fn arguments_decide() {
        let compare = |argument, mask, value| Compare { argument, mask, value };
        let rules = [rule(
            41,
            vec![
                vec![compare(0, u32::MAX, 2), compare(1, 0xf, 1), compare(2, u32::MAX, 0)],
                vec![compare(0, u32::MAX, 10), compare(1, 0xf, 2)],
            ],
        )];
        let program = compile(&rules, Answer::Kill, NEWEST);
        for (arguments, allowed) in [
            ([2, 0x801, 0, 0, 0, 0], true),
            ([2, 1, 262, 0, 0, 0], false),
            ([10, 2, 262, 0, 0, 0], true),
            ([10, 1, 0, 0, 0, 0], false),
            ([1, 1, 0, 0, 0, 0], false),
        ] {
            let expected = if allowed { libc::SECCOMP_RET_ALLOW } else { DENIED };
            assert_eq!(run(&program, X86_64, 41, arguments), expected, "{arguments:?}");
        }
        assert_eq!(run(&program, X86_64, 40, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn what_no_list_can_know_does_not_exist() {
        for (rules, default) in [(vec![], Answer::Allow), (vec![rule(1, Vec::new())], Answer::Errno(1))] {
            let program = compile(&rules, default, NEWEST);
            for (number, expected) in [
                (NEWEST, code(default)),
                (NEWEST + 1, UNKNOWN),
                (0xffff, UNKNOWN),
                (X32 - 1, UNKNOWN),
                (X32, libc::SECCOMP_RET_KILL_PROCESS),
                (X32 | 1, libc::SECCOMP_RET_KILL_PROCESS),
                (X32 | NEWEST, libc::SECCOMP_RET_KILL_PROCESS),
                (u32::MAX, libc::SECCOMP_RET_KILL_PROCESS),
            ] {
                assert_eq!(run(&program, X86_64, number, [0; 6]), expected, "{number:#x} {default:?}");
            }
        }
    }

    #[test]
    fn foreign_architectures_end_the_process() {
        let program = compile(&[rule(1, Vec::new())], Answer::Errno(1), NEWEST);
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(run(&program, X86_64, X32 | 1, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
