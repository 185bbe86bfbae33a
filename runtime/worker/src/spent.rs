//! Processor time of a whole native run: RLIMIT_CPU counts each process by itself, and one that forks would get the
//! limit anew. It only counts; the init of the run compares and ends it.

use std::time::Duration;

/// How often a limited run is looked at; a limit is in whole seconds.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// USER_HZ, which is 100 on every architecture wjob runs on (proc_pid_stat(5), sysconf(3)).
const TICKS_A_SECOND: u64 = 100;
/// The init of the run: its own time is wjob's, that of its children the run's.
const INIT: u32 = 1;

/// The time of all processes of this process table but its init: those that ended and those that run.
pub(crate) fn by_the_run() -> Duration {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of = |number: u32| ticks(number, &std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?);
    let ticks: u64 = numbers.filter_map(of).sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// utime, stime and those of reaped children: fields 14 to 17, counted behind the name, which may hold anything.
fn ticks(number: u32, stat: &str) -> Option<u64> {
    let (skipped, counted) = if number == INIT { (13, 2) } else { (11, 4) };
    let behind = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = behind.split(' ').skip(skipped).take(counted).collect();
    fields.iter().map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fields_count_whatever_the_name_holds() {
        let rest = "S 1 2 3 0 -1 0 9 9 9 9 10 20 300 4000 20 0";
        for name in ["sh", "a) S 5", "("] {
            assert_eq!(ticks(7, &format!("7 ({name}) {rest}")), Some(4330), "{name}");
            assert_eq!(ticks(INIT, &format!("1 ({name}) {rest}")), Some(4300), "{name}");
        }
        assert_eq!(ticks(7, "7 sh"), None);
    }
}
