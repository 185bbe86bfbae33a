//! Control groups (cgroup v2): finds the supervisor's own part of their tree, divides it, makes a group for a run, reads
//! it back and removes it. What a group holds, and whether there is one to be had, is the model's decision. A group is a
//! folder given by its path throughout, so that any folder can play one.
//!
//! It was written from cgroups(7) and the kernel's admin-guide/cgroup-v2 and tried on folders that play cgroupfs; a
//! machine whose unified tree has controllers of memory or processes was not at hand.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Access, access, statfs};
use rustix::io::Errno;
use wjob_model::message::Evidence;
use wjob_model::wall::{
    CgroupPlan, Delegated, OWN_GROUP, RUN_GROUP, Wall, delegated, group_name, own_group, ran_out_of_memory,
    ran_out_of_processes, to_divide,
};

use crate::{Doing, WallError};

/// Where the unified tree is: alone, or beside the old ones.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// CGROUP2_SUPER_MAGIC (linux/magic.h).
const MAGIC: u64 = 0x6367_7270;
/// Files of a group.
const PROCESSES: &str = "cgroup.procs";
const GIVEN: &str = "cgroup.controllers";
const GIVEN_ON: &str = "cgroup.subtree_control";
const EVENTS: &str = "memory.events";
const REFUSALS: &str = "pids.events";
/// How often a group is emptied before it is given up: its processes make others meanwhile.
const TRIES: usize = 8;
/// The farthest ancestor of a process that is looked at.
const FARTHEST: usize = 64;

/// The group that this process may divide.
///
/// # Errors
/// Why there is none.
pub fn look() -> Result<Delegated, String> {
    let root = ROOTS.iter().map(Path::new).find(|root| is_unified(root)).ok_or("cgroup v2 is not mounted")?;
    look_below(root, &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
}

fn is_unified(root: &Path) -> bool {
    statfs(root).is_ok_and(|status| u64::try_from(status.f_type).unwrap_or_default() == MAGIC)
}

/// The same below a root, by the text of /proc/PID/cgroup.
///
/// # Errors
/// Why there is none.
pub fn look_below(root: &Path, own: &str) -> Result<Delegated, String> {
    let own = own_group(own).ok_or("this process is in no group of cgroup v2")?;
    named(&root.join(to_divide(own).trim_start_matches('/')))
}

/// A group by its folder.
///
/// # Errors
/// Why it is not this process's to divide.
pub fn named(folder: &Path) -> Result<Delegated, String> {
    let name = folder.to_str().ok_or_else(|| format!("{}: its name is no text", folder.display()))?;
    let controllers = fs::read_to_string(folder.join(GIVEN)).map_err(|error| format!("{name}/{GIVEN}: {error}"))?;
    let writable = |place: &Path| access(place, Access::WRITE_OK).is_ok();
    let writable = writable(folder) && [PROCESSES, GIVEN_ON].iter().all(|file| writable(&folder.join(file)));
    delegated(name, &controllers, writable, || others(folder))
}

/// How many processes of a group are neither this one nor below it.
fn others(folder: &Path) -> usize {
    let own = std::process::id();
    let text = fs::read_to_string(folder.join(PROCESSES)).unwrap_or_default();
    let belongs = |line: &str| line.trim().parse::<u32>().is_ok_and(|process| descends(process, own));
    text.lines().filter(|line| !belongs(line)).count()
}

fn descends(process: u32, from: u32) -> bool {
    let mut process = Some(process);
    for _ in 0..FARTHEST {
        match process {
            Some(number) if number == from => return true,
            Some(0) | None => return false,
            Some(number) => process = parent(number),
        }
    }
    false
}

/// Field 4 of proc_pid_stat(5).
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The group of one run; it goes when this is dropped, if no process is left in it.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes a group with limits and nobody in it.
    ///
    /// # Errors
    /// When there is none to be had after all, or it would not hold what was planned.
    pub fn make(delegated: &Delegated, label: &str, plan: &CgroupPlan) -> Result<Self, WallError> {
        static SWEPT: Once = Once::new();
        let parent = Path::new(&delegated.folder);
        divide(parent, &delegated.controllers())?;
        SWEPT.call_once(|| sweep(parent));
        let group = Self { folder: fresh(parent, label)? };
        for setting in plan.settings() {
            let written = group.write(setting.file, &setting.value.to_string());
            if setting.required {
                written.doing(Wall::Cgroup, setting.file)?;
            }
        }
        Ok(group)
    }

    /// One that a program before this one has made.
    pub fn resumed(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a process into it, with all that it will make.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_in(&self, process: u32) -> Result<(), WallError> {
        self.write(PROCESSES, &process.to_string()).doing(Wall::Cgroup, PROCESSES)
    }

    /// What its files say, against the plan.
    pub fn read_back(&self, plan: &CgroupPlan, worker: u32) -> Evidence {
        plan.judge(worker, |file| fs::read_to_string(self.folder.join(file)).ok())
    }

    /// Whether the kernel has ended it for what it has used of its own memory.
    pub fn ran_out_of_memory(&self) -> bool {
        fs::read_to_string(self.folder.join(EVENTS)).is_ok_and(|events| ran_out_of_memory(&events))
    }

    /// Whether the kernel has refused it a process for those that it had.
    pub fn ran_out_of_processes(&self) -> bool {
        fs::read_to_string(self.folder.join(REFUSALS)).is_ok_and(|events| ran_out_of_processes(&events))
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(file), text)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is left running in it keeps it; the next supervisor takes it away.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A folder that was not there before.
fn fresh(parent: &Path, label: &str) -> Result<PathBuf, WallError> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(group_name(label, std::process::id(), number));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder).doing(Wall::Cgroup, "make a group"),
        }
    }
}

/// Takes away the groups of runs that are over: a supervisor that was killed leaves them.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(RUN_GROUP)) {
            // One with processes in it stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Gives controllers on to the groups below, for which the group must have no process of its own.
fn divide(folder: &Path, controllers: &str) -> Result<(), WallError> {
    let given = fs::read_to_string(folder.join(GIVEN_ON)).unwrap_or_default();
    let is_given = |controller: &str| given.split_whitespace().any(|other| other == controller.trim_start_matches('+'));
    if controllers.split_whitespace().all(is_given) {
        return Ok(());
    }
    let mut tries = 0..TRIES;
    loop {
        move_out(folder)?;
        match fs::write(folder.join(GIVEN_ON), controllers) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && tries.next().is_some() => {}
            given => return given.doing(Wall::Cgroup, GIVEN_ON),
        }
    }
}

/// Moves all processes of a group into one of their own below it.
fn move_out(folder: &Path) -> Result<(), WallError> {
    let inside = fs::read_to_string(folder.join(PROCESSES)).doing(Wall::Cgroup, PROCESSES)?;
    if inside.trim().is_empty() {
        return Ok(());
    }
    let own = folder.join(OWN_GROUP);
    match fs::create_dir(&own) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made.doing(Wall::Cgroup, OWN_GROUP)?,
    }
    for process in inside.split_whitespace() {
        match fs::write(own.join(PROCESSES), process) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {}
            moved => moved.doing(Wall::Cgroup, "move out of the own group")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: CgroupPlan = CgroupPlan { memory: Some(1 << 20), processes: Some(9) };

    /// A folder that plays a group with these controllers, in which these processes are.
    fn group(controllers: &str, processes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [(GIVEN, controllers), (PROCESSES, processes), (GIVEN_ON, "")] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        folder
    }

    fn read(folder: &Path, file: &str) -> String {
        fs::read_to_string(folder.join(file)).unwrap_or_default()
    }

    /// The kernel takes the files of a group away with it; here that is done by hand.
    fn clear(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    #[test]
    fn the_own_group_is_found_below_a_root() {
        let root = group("cpu memory pids", "");
        let below = root.path().join("a/wjobd.service");
        fs::create_dir_all(below.join(OWN_GROUP)).unwrap();
        for (file, text) in [(GIVEN, "memory"), (PROCESSES, ""), (GIVEN_ON, "memory")] {
            fs::write(below.join(file), text).unwrap();
        }
        for (own, expected) in [
            ("0::/\n", Ok(root.path())),
            ("4:memory:/x\n0::/a/wjobd.service\n", Ok(below.as_path())),
            ("0::/a/wjobd.service/wjob.supervisor\n", Ok(below.as_path())),
            ("0::/none\n", Err("none/cgroup.controllers: No such file")),
            ("4:memory:/x\n", Err("in no group")),
        ] {
            let found = look_below(root.path(), own).map(|delegated| PathBuf::from(delegated.folder));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "{own}: {why}"),
                (found, _) => panic!("{own}: {found:?}"),
            }
        }
    }

    /// This process and its children are a supervisor and its workers.
    #[test]
    fn a_group_in_which_others_are_is_not_divided() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let parent = rustix::process::getppid().map_or(1, |parent| parent.as_raw_nonzero().get());
        for (processes, others) in [
            (String::new(), 0),
            (format!("{own}\n"), 0),
            (format!("{own}\n{}\n", child.id()), 0),
            (format!("{own}\n{parent}\n"), 1),
            // Of another process table.
            (format!("0\n0\n{own}\n"), 2),
        ] {
            let folder = group("memory pids", &processes);
            let found = named(folder.path());
            let words = format!("{others} processes in it that are not wjob's");
            assert_eq!(found.is_ok(), others == 0, "{processes}: {found:?}");
            assert!(found.err().is_none_or(|why| why.contains(&words)), "{processes}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_run_has_a_group_with_its_limits_and_leaves_none() {
        let folder = group("memory pids", &std::process::id().to_string());
        let delegated = named(folder.path()).unwrap();
        let group = Group::make(&delegated, "org.example.a", &PLAN).unwrap();
        assert_eq!(read(folder.path(), GIVEN_ON), "+memory +pids");
        assert_eq!(read(&folder.path().join(OWN_GROUP), PROCESSES), std::process::id().to_string());
        group.take_in(4711).unwrap();
        for (file, expected) in [
            ("memory.max", "1048576"),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("pids.max", "9"),
            (PROCESSES, "4711"),
        ] {
            assert_eq!(read(group.folder(), file), expected, "{file}");
        }
        for (worker, stands) in [(4711, true), (4712, false)] {
            let evidence = group.read_back(&PLAN, worker);
            assert_eq!((evidence.wall, evidence.stands), (Wall::Cgroup, stands), "{}", evidence.found);
        }
        fs::write(group.folder().join("memory.max"), "max\n").unwrap();
        assert!(!group.read_back(&PLAN, 4711).stands, "a limit that is gone");
        let other = Group::make(&delegated, "org.example.a", &PLAN).unwrap();
        assert_ne!(group.folder(), other.folder());
        let places = [group.folder().to_owned(), other.folder().to_owned()];
        places.iter().for_each(|place| clear(place));
        drop((group, other));
        assert!(places.iter().all(|place| !place.exists()));
    }

    #[test]
    fn the_end_of_a_group_that_is_out_of_memory_is_told_from_others() {
        let folder = group("memory", "");
        let group = Group::make(&named(folder.path()).unwrap(), "a", &PLAN).unwrap();
        assert!(!group.ran_out_of_memory());
        for (events, expected) in [("oom 0\noom_kill 1\n", false), ("oom 1\noom_kill 1\n", true)] {
            fs::write(group.folder().join(EVENTS), events).unwrap();
            assert_eq!(Group::resumed(group.folder().to_owned()).ran_out_of_memory(), expected, "{events}");
        }
    }

    #[test]
    fn what_cannot_be_made_names_the_wall() {
        let folder = group("memory pids", "");
        let delegated = named(folder.path()).unwrap();
        drop(folder);
        let error = Group::make(&delegated, "a", &PLAN).unwrap_err();
        assert!(error.to_string().starts_with("cgroup: cgroup.procs: "), "{error}");
    }

    #[test]
    fn what_an_earlier_supervisor_left_is_taken_away_and_nothing_else() {
        let folder = group("memory pids", "");
        let places = ["job-a-1-1", "job-b-1-2", OWN_GROUP, "other"].map(|name| folder.path().join(name));
        places.iter().for_each(|place| fs::create_dir(place).unwrap());
        // As if a process were in it.
        fs::create_dir(places[1].join("below")).unwrap();
        sweep(folder.path());
        assert_eq!(places.map(|place| place.exists()), [false, true, true, true]);
    }
}
