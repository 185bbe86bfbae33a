//! Which system calls workers made behind their filters, from what strace writes while tests run. It follows every task
//! from the one that made it, and counts those of the roles of `wjob` from the moment their filter stands; what the
//! tests' own programs do, in a worker's place too, is not counted. It starts nothing.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};
use std::rc::Rc;

use super::filter::{self, Filter, Told};

/// Calls that make tasks, programs and filters: they are looked at always.
pub const FOLLOWED: [&str; 7] = ["execve", "execveat", "seccomp", "clone", "clone3", "fork", "vfork"];

/// The names under which `wjob` is a worker of some kind.
const ROLES: [&str; 2] = ["wjob-worker", "wjob-logger"];

/// How many lines of a task are kept until it is known whose child it is: of one whose parent did not live to be told
/// its number, it never is.
const KEPT: usize = 10_000;

/// How often a call was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In all.
    pub made: u64,
    /// With an error as its answer.
    pub failed: u64,
}

/// What was seen.
#[derive(Default)]
pub struct Trace {
    tasks: HashMap<u32, Task>,
    /// Lines of tasks that nobody is known to have made yet.
    early: HashMap<u32, Vec<String>>,
    /// Calls made behind each filter.
    pub seen: BTreeMap<(Filter, String), Times>,
    /// How many workers had each filter.
    pub workers: BTreeMap<Filter, u64>,
    /// How many workers installed a filter that strace could not read.
    pub unread: u64,
}

/// A thread, or a process with one.
#[derive(Default)]
struct Task {
    role: bool,
    filter: Option<Rc<Filter>>,
    /// Whether it is in a process table of its own, whose numbers are not the tracer's (pid_namespaces(7)).
    apart: bool,
    begun: Option<(String, Change)>,
}

/// What a call brings about when it succeeds.
enum Change {
    Nothing,
    Program { role: bool },
    Filter(Filter),
    UnreadFilter,
    Child,
}

/// What a line is of.
enum Line<'a> {
    Call { name: &'a str, text: &'a str, answer: Option<&'a str> },
    Answer(&'a str),
    End,
}

impl Trace {
    /// Reads a run of strace until the task that it began with has ended: whether it has, and not the trace before it.
    pub fn read_first(&mut self, from: &mut impl BufRead) -> io::Result<bool> {
        self.tasks.clear();
        self.early.clear();
        let (mut first, mut line) = (None, Vec::new());
        while from.read_until(b'\n', &mut line)? > 0 {
            let told = self.line(&String::from_utf8_lossy(&line));
            line.clear();
            if told.is_some_and(|(task, ended)| *first.get_or_insert(task) == task && ended) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads what is left of a run, to its end.
    pub fn read_rest(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line)? > 0 {
            self.line(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(())
    }

    /// Whose line it is, and whether that task has ended with it.
    fn line(&mut self, text: &str) -> Option<(u32, bool)> {
        let (task, line) = parsed(text)?;
        let ended = matches!(line, Line::End);
        match line {
            line if !self.tasks.contains_key(&task) && !begins(&line) => self.keep(task, text, ended),
            Line::Call { name, text, answer } => self.call(task, name, text, answer),
            Line::Answer(answer) => self.answer(task, answer),
            Line::End => _ = self.tasks.remove(&task),
        }
        Some((task, ended))
    }

    fn keep(&mut self, task: u32, text: &str, ended: bool) {
        let kept = self.early.entry(task).or_default();
        // What had this number is gone, and this is another task.
        if kept.last().and_then(|last| parsed(last)).is_some_and(|(_, line)| matches!(line, Line::End)) {
            kept.clear();
        }
        if kept.len() < KEPT || ended {
            kept.push(text.to_owned());
        }
    }

    fn call(&mut self, task: u32, name: &str, text: &str, answer: Option<&str>) {
        self.early.remove(&task);
        let state = self.tasks.entry(task).or_default();
        if let Some(filter) = state.filter.as_ref().filter(|_| state.role) {
            self.seen.entry((Filter::clone(filter), name.to_owned())).or_default().made += 1;
        }
        state.begun = Some((name.to_owned(), change(name, text)));
        if let Some(answer) = answer {
            self.answer(task, answer);
        }
    }

    fn answer(&mut self, task: u32, answer: &str) {
        let Some(state) = self.tasks.get_mut(&task) else { return };
        let Some((name, change)) = state.begun.take() else { return };
        if answer.starts_with('-') {
            if let Some(filter) = state.filter.as_ref().filter(|_| state.role) {
                self.seen.entry((Filter::clone(filter), name)).or_default().failed += 1;
            }
            return;
        }
        match change {
            Change::Nothing => {}
            Change::Program { role } => *state = Task { role, apart: state.apart, ..Task::default() },
            Change::Filter(filter) => {
                if state.role {
                    *self.workers.entry(filter.clone()).or_default() += 1;
                }
                state.filter = Some(Rc::new(filter));
            }
            Change::UnreadFilter => self.unread += u64::from(state.role),
            Change::Child => self.child(task, answer),
        }
    }

    /// A task is what its parent was, unless it is another program already.
    fn child(&mut self, parent: u32, answer: &str) {
        let (Some((child, apart)), Some(parent)) = (number(answer), self.tasks.get_mut(&parent)) else { return };
        parent.apart |= apart;
        // A number of another table for which strace found none of its own: somebody else may have it in the tracer's.
        if parent.apart && !apart {
            return;
        }
        let state = Task { role: parent.role, filter: parent.filter.clone(), apart, begun: None };
        self.tasks.entry(child).and_modify(|task| task.apart |= apart).or_insert(state);
        for line in self.early.remove(&child).unwrap_or_default() {
            self.line(&line);
        }
    }
}

/// Whether a task can be followed from this line on, whoever made it: a program's start leaves nothing of its parent.
fn begins(line: &Line) -> bool {
    matches!(line, Line::Call { name: "execve" | "execveat", .. })
}

/// Whose line it is, and what it is of.
fn parsed(text: &str) -> Option<(u32, Line<'_>)> {
    let (task, rest) = text.trim_end().split_once(' ')?;
    Some((task.parse().ok()?, line(rest.trim_start())?))
}

fn line(text: &str) -> Option<Line<'_>> {
    if text.starts_with("+++ ") {
        return Some(Line::End);
    }
    if text.starts_with("<... ") {
        return Some(Line::Answer(answer(text)?));
    }
    let (name, _) = text.split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let unfinished = text.ends_with("<unfinished ...>");
    is_name.then(|| Line::Call { name, text, answer: answer(text).filter(|_| !unfinished) })
}

/// What stands behind the last equals sign: words of a guest are in quotes before it.
fn answer(text: &str) -> Option<&str> {
    text.rsplit_once(" = ").map(|(_, answer)| answer)
}

/// The tracer's number of a new task, and whether its parent was told another one, that of a process table of its own:
/// `2 /* 4711 in strace's PID NS */`.
fn number(answer: &str) -> Option<(u32, bool)> {
    let own = answer.split_once(" /* ").filter(|(_, more)| more.contains(" in strace's PID NS"));
    let number = own.map_or(answer, |(_, more)| more).split(' ').next()?;
    Some((number.parse().ok()?, own.is_some()))
}

fn change(name: &str, text: &str) -> Change {
    match name {
        "execve" | "execveat" => Change::Program { role: is_role(text) },
        "clone" | "clone3" | "fork" | "vfork" => Change::Child,
        "seccomp" => match filter::told(text) {
            Told::Nothing => Change::Nothing,
            Told::Unread => Change::UnreadFilter,
            Told::Filter(filter) => Change::Filter(filter),
        },
        _ => Change::Nothing,
    }
}

/// Whether the first argument is the name of a role. Within a name strace writes a quote with a backslash.
fn is_role(text: &str) -> bool {
    let first = text.split_once("[\"").and_then(|(_, rest)| rest.split_once('"'));
    first.is_some_and(|(name, _)| ROLES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTER: &str = "seccomp(0x1, 0x1, {len=4, filter=[BPF_JUMP(0x5|0|0x10, 0x14c, 0x1, 0)]}";

    fn read(mut text: &[u8]) -> Trace {
        let mut trace = Trace::default();
        trace.read_first(&mut text).expect("a text");
        trace.read_rest(&mut text).expect("a text");
        trace
    }

    /// What a trace tells: kind, call, times made and failed.
    fn seen(trace: &str) -> Vec<String> {
        let read = read(trace.as_bytes());
        let words = |((filter, call), times): (&(Filter, String), &Times)| {
            format!("{} {call} {} {}", filter.kind, times.made, times.failed)
        };
        read.seen.iter().map(words).collect()
    }

    fn program(name: &str) -> String {
        format!("execveat(5, \"\", [\"{name}\"], 0x55 /* 0 vars */, 0x1000) = 0")
    }

    #[test]
    fn only_workers_count_and_only_behind_their_filter() {
        for (name, expected) in
            [("wjob-worker", &["compile read 1 0"][..]), ("bypasses", &[]), ("wjob-worker\\\"", &[])]
        {
            let trace = format!(
                "10    {}\n10    read(3, \"\", 9) = 1\n10    {FILTER}) = 0\n10    read(3, \"\", 9) = 1\n",
                program(name)
            );
            assert_eq!(seen(&trace), expected, "{name}");
        }
        let refused = format!("10 {}\n10 {FILTER}) = -1 EINVAL (x)\n10 read(3, \"\", 9) = 1\n", program("wjob-worker"));
        assert!(seen(&refused).is_empty());
    }

    #[test]
    fn threads_count_whenever_the_tracer_sees_them_first() {
        let begin =
            format!("10 {}\n10 {FILTER} <unfinished ...>\n10 <... seccomp resumed>) = 0\n", program("wjob-worker"));
        let made = "10 clone(child_stack=0x7f, flags=0x3d0f00 => {parent_tid=[11]}, tls=0x7f) = 11\n";
        let (apart, resumed) =
            ("10 clone(child_stack=0x7f <unfinished ...>\n", "10 <... clone resumed>, tls=0x7f) = 11\n");
        let thread =
            "11 futex(0x7f, 0x81, 1) = -1 EAGAIN (Resource temporarily unavailable)\n11 +++ exited with 0 +++\n";
        let expected = ["compile clone 1 0", "compile futex 1 1"];
        assert_eq!(seen(&format!("{begin}{made}{thread}")), expected);
        assert_eq!(seen(&format!("{begin}{apart}{thread}{resumed}")), expected);
    }

    #[test]
    fn in_another_process_table_the_tracers_numbers_count() {
        let worker = format!("10 {}\n10 {FILTER}) = 0\n", program("wjob-worker"));
        let apart = "10 clone(child_stack=0x7f) = 2 /* 11 in strace's PID NS */\n";
        let clone = |task: u32, answer: u32| format!("{task} clone(child_stack=0x7f) = {answer}\n");
        let futex = |task: u32| format!("{task} futex(0x7f, 0x81, 1) = 0\n");
        for (lines, expected) in [
            (format!("{worker}{apart}{}", futex(11)), &["compile clone 1 0", "compile futex 1 0"][..]),
            (format!("{worker}{}{apart}", futex(11)), &["compile clone 1 0", "compile futex 1 0"]),
            // Another task has that number in the tracer's table, and is seen before or afterwards.
            (format!("{worker}{}{apart}{}", futex(2), futex(2)), &["compile clone 1 0"]),
            // Numbers that could not be translated: of the same task, of its child, of a program in its place.
            (format!("{worker}{apart}{}{}", clone(10, 3), futex(3)), &["compile clone 2 0"]),
            (format!("{worker}{apart}{}{}", clone(11, 3), futex(3)), &["compile clone 2 0"]),
            (
                format!("10 {}\n{apart}10 {}\n10 {FILTER}) = 0\n", program("sh"), program("wjob-worker"))
                    + &clone(10, 3)
                    + &futex(3),
                &["compile clone 1 0"],
            ),
        ] {
            assert_eq!(seen(&lines), expected, "{lines}");
        }
    }

    #[test]
    fn what_had_the_number_before_does_not_count() {
        let worker = format!("10 {}\n10 {FILTER}) = 0\n", program("wjob-worker"));
        let lines = format!("{worker}11 read(0) = 0\n11 +++ exited with 0 +++\n11 futex(0x7f) = 0\n10 clone() = 11\n");
        assert_eq!(seen(&lines), ["compile clone 1 0", "compile futex 1 0"]);
    }

    #[test]
    fn another_program_or_task_of_that_number_does_not_count() {
        let worker = format!("10 {}\n10 {FILTER}) = 0\n", program("wjob-worker"));
        for between in [program("sh"), "+++ killed by SIGKILL +++".to_owned()] {
            assert!(
                seen(&format!("{worker}10 {between}\n10 read(0, \"\", 9) = 0\n"))
                    .iter()
                    .all(|row| !row.contains("read"))
            );
        }
        let program_first = format!(
            "{worker}10 vfork( <unfinished ...>\n11 {}\n10 <... vfork resumed>) = 11\n11 read(0) = 0\n",
            program("sh")
        );
        assert_eq!(seen(&program_first), ["compile vfork 1 0"]);
    }

    #[test]
    fn what_a_guest_writes_is_no_line_and_no_answer() {
        let worker = format!("10 {}\n10 {FILTER}) = 0\n", program("wjob-worker"));
        let trace = format!(
            "{worker}10 write(1, \") = -1 x\\n10 read(0) = 0\\n\", 40) = 40\n--- no ---\n10 --- SIGCHLD ---\nbroken\n"
        );
        assert_eq!(seen(&trace), ["compile write 1 0"]);
    }

    #[test]
    fn reading_stops_where_the_first_task_ends() {
        let first = program("sh");
        for (text, ended, left) in [
            (format!("10 {first}\n11 +++ exited with 0 +++\n10 +++ exited with 0 +++\n11 rest\n"), true, "11 rest\n"),
            (format!("10 {first}\n10 +++ killed by SIGKILL +++\n"), true, ""),
            (format!("broken\n10 {first}\n11 +++ exited with 0 +++\n"), false, ""),
            (format!("10 {first}\n10 write(1, \"+++ exited\", 10) = 10\n"), false, ""),
            (String::new(), false, ""),
        ] {
            let mut rest = text.as_bytes();
            assert_eq!(Trace::default().read_first(&mut rest).expect("a text"), ended, "{text}");
            assert_eq!(rest, left.as_bytes(), "{text}");
        }
    }

    #[test]
    fn workers_are_counted_and_so_are_filters_that_could_not_be_read() {
        let unread = "seccomp(0x1, 0x1, {len=4, filter=0x7ffc}) = 0";
        let text = format!(
            "10 {0}\n10 {FILTER}) = 0\n11 {0}\n11 {unread}\n12 {1}\n12 {unread}\n",
            program("wjob-logger"),
            program("sh")
        );
        let trace = read(text.as_bytes());
        assert_eq!((trace.workers.values().sum::<u64>(), trace.unread), (1, 1));
    }
}
