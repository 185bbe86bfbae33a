//! launchd's keys, documented and private, from both generations (launchd 842 and the closed one after it).
//! A flat table in the order of a reader's interest; what a value means in detail is written beside its use.

use super::{Available, Class, Key, Kind};
use crate::limit::{MOST_INSTANCES, RESOURCES, ResourceRow};

use Available::{Nobody, NotYet, Run, Supervisor};
use Class::{Adapted, Honoured, Noted};
use Kind::{AnyOf, Anything, Array, Boolean, Dictionary, Map, Path, Text, Umask, Word};

const TEXTS: Kind = Array(&Text);
const PATHS: Kind = Array(&Path);
const TEXT_OR_TEXTS: Kind = AnyOf(&[Text, Array(&Text)]);
const BOOLEANS: Kind = Map(&Boolean);
/// Seconds, none included.
const SECONDS: Kind = integer(0, u32::MAX as i64);
/// File mode bits; sockets in use carry the file type in them too (49663 = 0140777).
const MODE: Kind = integer(0, 0o177_777);
/// uid and gid: 32 bits, the largest of which means "leave it".
const ACCOUNT: Kind = integer(0, u32::MAX as i64 - 1);
const PORT: Kind = integer(0, 65_535);
const PROCESS_TYPE: Kind = Word(&["Background", "Standard", "Adaptive", "Interactive", "App", "SystemApp", "TALApp"]);
const CALENDAR: Kind = Dictionary("StartCalendarInterval");
const SOCKET: Kind = Dictionary("Sockets.*");

const fn integer(least: i64, most: i64) -> Kind {
    Kind::Integer { least, most }
}

const fn key(
    path: &'static str,
    kind: Kind,
    class: Class,
    available: Available,
    since: &'static str,
    summary: &'static str,
) -> Key {
    Key { path, kind, class, since, summary, available }
}

/// A row for a key that does nothing here, now or ever.
const fn noted(path: &'static str, kind: Kind, since: &'static str, summary: &'static str) -> Key {
    key(path, kind, Noted, Nobody, since, summary)
}

// One key is two lines: what it is, and what it does.
#[rustfmt::skip]
static KEYS: &[Key] = &[
    // Identity and load filters.
    key("Label", Text, Honoured, Run, "launchd 10.4",
        "The job's name, once per domain. Required; no control characters, and not one of launchd's own names."),
    key("Disabled", AnyOf(&[Boolean, Dictionary("Disabled")]), Honoured, Supervisor, "launchd 10.4",
        "Whether the job starts out disabled; `wjob enable` and `wjob disable` are remembered and win over it."),
    noted("Disabled.MachineType", Text, "launchd to 10.9", "There are no Apple machine types on Linux, so it never matches."),
    noted("Disabled.ModelName", Text, "launchd to 10.9", "There are no Apple model names on Linux, so it never matches."),
    key("LimitLoadToHosts", TEXTS, Honoured, Supervisor, "launchd 10.4",
        "Loads the job only on hosts with one of these names."),
    key("LimitLoadFromHosts", TEXTS, Honoured, Supervisor, "launchd 10.4",
        "Does not load the job on hosts with one of these names."),
    noted("LimitLoadToHardware", Anything, "launchd 10.7", "It compares values of the macOS sysctl tree, which Linux does not have; the job loads everywhere."),
    noted("LimitLoadFromHardware", Anything, "launchd 10.7", "It compares values of the macOS sysctl tree, which Linux does not have; the job loads everywhere."),
    noted("LimitLoadToHostType", Anything, "launchd, undocumented", "Its meaning is published nowhere."),
    noted("LimitLoadToVariant", Anything, "launchd, undocumented", "It chooses among builds of macOS."),
    noted("LimitLoadFromVariant", Anything, "launchd, undocumented", "It chooses among builds of macOS."),
    noted("_LimitLoadToVariant", Anything, "launchd, undocumented", "It chooses among builds of macOS."),
    noted("_LimitLoadFromVariant", Anything, "launchd, undocumented", "It chooses among builds of macOS."),
    noted("_LimitLoadToBootMode", Anything, "launchd, undocumented", "It chooses among the boot modes of a Mac."),
    noted("LimitLoadToDeveloperMode", Anything, "launchd, undocumented", "Linux has no developer mode to ask for."),
    key("LimitLoadToSessionType", TEXT_OR_TEXTS, Adapted, NotYet, "launchd 10.5",
        "Names the kinds of session in which an agent loads; here every session of a user counts."),
    noted("AssociatedBundleIdentifiers", TEXT_OR_TEXTS, "launchd 13", "It only names an app in the settings of macOS."),
    noted("BundleProgram", Text, "launchd 13", "It is a path inside an app bundle, which Linux does not have; use Program."),
    // Program and process context.
    key("Program", Path, Adapted, Run, "launchd 10.4",
        "The component or program to run: absolute, relative to the job file if it has a slash, else a name in the standard PATH."),
    key("ProgramArguments", TEXTS, Honoured, Run, "launchd 10.4",
        "The arguments, the name the program is called by first. Without Program that first one is also what is run."),
    key("EnableGlobbing", Boolean, Adapted, Run, "launchd 10.5",
        "Expands shell patterns in the arguments, in the job's own view of the files and after its walls are up."),
    key("UserName", Text, Honoured, Supervisor, "launchd 10.4",
        "The account the job runs as; system domain only. `wjob run` keeps the caller's."),
    key("GroupName", Text, Honoured, Supervisor, "launchd 10.4",
        "The group the job runs as; system domain only. `wjob run` keeps the caller's."),
    key("InitGroups", Boolean, Honoured, Supervisor, "launchd 10.5",
        "Whether the user's further groups are set as well; true if it is left out."),
    key("RootDirectory", Path, Adapted, Supervisor, "launchd 10.4",
        "The folder the job takes for its root, with every path it names for itself inside; system domain only. A native job sees it read-only, and it must have what mounts need: /tmp, /proc, the device files and places of grants."),
    key("WorkingDirectory", Path, Adapted, Run, "launchd 10.4",
        "The folder the job starts in. For WebAssembly it must lie in a Paths grant; a native job needs it to exist."),
    key("EnvironmentVariables", Map(&Text), Honoured, Run, "launchd 10.4",
        "Variables set for the job, over those passed on from the host."),
    noted("UserEnvironmentVariables", Anything, "launchd to 10.9", "A job cannot set variables for other jobs here."),
    key("Umask", Umask, Honoured, Run, "launchd 10.4",
        "Mode bits taken from new files. A number is decimal, so 18 is octal 022; a string with a leading 0 is octal."),
    key("StandardInPath", Path, Honoured, Run, "launchd 10.5",
        "The file the job reads as standard input, opened as the job's user. Without it there is none; under `wjob run` the caller's."),
    key("StandardOutPath", Path, Honoured, Run, "launchd 10.4",
        "The file standard output is appended to, opened as the job's user; a relative one lies in WorkingDirectory. If it cannot be opened the job does not run."),
    key("StandardErrorPath", Path, Honoured, Run, "launchd 10.4",
        "The file standard error is appended to, opened as the job's user; a relative one lies in WorkingDirectory. If it cannot be opened the job does not run."),
    key("Nice", integer(-20, 20), Adapted, Run, "launchd 10.4",
        "Scheduling priority, lower is sooner; Linux ends at 19; below 0 takes the system domain, or root under `wjob run`."),
    key("ProcessType", PROCESS_TYPE, Adapted, Supervisor, "launchd 10.9",
        "Background runs at idle scheduling and I/O priority; every other value is the normal one."),
    noted("POSIXSpawnType", PROCESS_TYPE, "launchd 10.7", "It is an older name of ProcessType, which is the one that counts here."),
    key("LowPriorityIO", Boolean, Adapted, Supervisor, "launchd 10.4",
        "True gives the job's disk access idle I/O priority, after that of everybody else."),
    key("LowPriorityBackgroundIO", Boolean, Adapted, Supervisor, "launchd 10.9",
        "The same as LowPriorityIO, at all times: a process does not move in and out of the background here."),
    noted("MaterializeDatalessFiles", Boolean, "launchd 10.15", "Linux has no cloud files without data."),
    noted("LegacyTimers", Boolean, "launchd 10.9", "Timers of jobs are not coalesced here, so there is nothing to opt out of."),
    key("SoftResourceLimits", Dictionary("SoftResourceLimits"), Adapted, Run, "launchd 10.4",
        "Kernel limits a process may raise again up to the hard ones; those with a counterpart in Limits hold for WebAssembly too."),
    key("HardResourceLimits", Dictionary("HardResourceLimits"), Adapted, Run, "launchd 10.4",
        "Kernel limits that cannot be raised; those with a counterpart in Limits hold for WebAssembly too."),
    noted("SessionCreate", Boolean, "launchd 10.5", "It makes a macOS security session; every job has a session of its own here."),
    key("Debug", Boolean, Adapted, Supervisor, "launchd 10.4",
        "Logs the supervisor's handling of this job in detail, with denials that are otherwise silent."),
    key("WaitForDebugger", Boolean, Adapted, Run, "launchd 10.5",
        "Stops a native program before its first instruction, walls up; WebAssembly runs on."),
    // Private and undocumented.
    noted("DisableASLR", Boolean, "launchd, private", "Address randomisation is never taken from a job here."),
    noted("BinaryOrderPreference", Anything, "launchd, private", "It chooses among the architectures of a Mach-O file."),
    noted("SandboxProfile", Anything, "launchd, private", "It names a macOS sandbox profile; use Grants."),
    noted("SandboxFlags", Anything, "launchd, private", "It belongs to macOS sandbox profiles; use Grants."),
    noted("SandboxContainer", Anything, "launchd, private", "It belongs to macOS sandbox profiles; use Grants."),
    noted("QuarantineData", Anything, "launchd, private", "Linux has no file quarantine."),
    noted("CFBundleIdentifier", Anything, "launchd, private", "Linux has no app bundles."),
    noted("MachExceptionHandler", Anything, "launchd, private", "Linux has no Mach exceptions."),
    noted("EnterKernelDebuggerBeforeKill", Anything, "launchd, private", "A job never reaches the kernel's debugger here."),
    noted("JetsamProperties", Anything, "launchd, private", "Linux has no jetsam; use Limits.Memory."),
    noted("JoinGUISession", Anything, "launchd, private", "It belongs to macOS logins."),
    noted("XPCDomain", Anything, "launchd, private", "It belongs to XPC, which Linux does not have."),
    noted("SecuritySessionUUID", Anything, "launchd, private", "It belongs to macOS security sessions."),
    noted("Policies", Anything, "launchd, private", "A job can create no other jobs here, whatever it says."),
    noted("EventMonitor", Anything, "launchd, private", "It marks the one process that watches events for launchd."),
    noted("ShutdownMonitor", Anything, "launchd, private", "It marks the one process that watches a Mac shut down."),
    noted("ServiceIPC", Anything, "launchd 10.4", "It has done nothing since 10.5: every job may check in."),
    noted("SHAuthorizationRight", Anything, "launchd, undocumented", "It names a right of macOS authorisation."),
    noted("MinimalBootProfile", Anything, "launchd, undocumented", "It belongs to the start-up of macOS."),
    noted("PreventsSleep", Anything, "launchd, undocumented", "Jobs do not hold sleep back here."),
    noted("_ExponentialThrottling", Anything, "launchd, undocumented", "Restarts after failures always come at growing delays here."),
    noted("_PanicOnCrash", Anything, "launchd, undocumented", "A job's crash never ends the system here."),
    // Launch criteria.
    key("RunAtLoad", Boolean, Honoured, Supervisor, "launchd 10.4",
        "Starts the job once when it is loaded."),
    key("OnDemand", Boolean, Honoured, Supervisor, "launchd 10.4",
        "The older opposite of KeepAlive: false keeps the job running. KeepAlive counts if both are given."),
    key("KeepAlive", AnyOf(&[Boolean, Dictionary("KeepAlive")]), Honoured, Supervisor, "launchd 10.5",
        "Starts the job again whenever it ends, or while any one of the conditions inside holds."),
    key("KeepAlive.SuccessfulExit", Boolean, Honoured, Supervisor, "launchd 10.5",
        "True: again after exit status 0. False: again after any other status or a signal."),
    key("KeepAlive.Crashed", Boolean, Honoured, Supervisor, "launchd 10.7",
        "True: again after a crash, a trap included. False: again after anything but a crash."),
    key("KeepAlive.NetworkState", Boolean, Honoured, NotYet, "launchd 10.5",
        "True: while a network other than loopback is up. False: while none is."),
    key("KeepAlive.PathState", BOOLEANS, Honoured, Supervisor, "launchd 10.5",
        "For each path, true: while it exists; false: while it does not."),
    key("KeepAlive.OtherJobEnabled", BOOLEANS, Honoured, Supervisor, "launchd 10.5",
        "For each label, true: while that job is loaded; false: while it is not."),
    key("KeepAlive.OtherJobActive", BOOLEANS, Honoured, Supervisor, "launchd, undocumented",
        "For each label, true: while that job is running; false: while it is loaded and is not."),
    key("KeepAlive.AfterInitialDemand", Boolean, Honoured, Supervisor, "launchd, undocumented",
        "Holds every other condition back until the job was asked for once."),
    key("StartInterval", integer(1, u32::MAX as i64), Adapted, Supervisor, "launchd 10.4",
        "Starts the job every so many seconds, first after that time; what was missed asleep is made up for once."),
    key("StartCalendarInterval", AnyOf(&[CALENDAR, Array(&CALENDAR)]), Adapted, Supervisor, "launchd 10.4",
        "Starts the job at these local times. A field left out is any; with Day and Weekday either is enough; a day the month lacks is skipped."),
    key("StartCalendarInterval.Minute", integer(0, 59), Honoured, Supervisor, "launchd 10.4",
        "The minute of the hour; left out it is every minute."),
    key("StartCalendarInterval.Hour", integer(0, 23), Honoured, Supervisor, "launchd 10.4",
        "The hour of the day; left out it is every hour."),
    key("StartCalendarInterval.Day", integer(1, 31), Adapted, Supervisor, "launchd 10.4",
        "The day of the month; months that lack it are skipped."),
    key("StartCalendarInterval.Weekday", integer(0, 7), Adapted, Supervisor, "launchd 10.4",
        "The day of the week, Sunday is 0 and 7; with Month it is these days of that month."),
    key("StartCalendarInterval.Month", integer(1, 12), Honoured, Supervisor, "launchd 10.4",
        "The month; left out it is every month."),
    key("StartOnMount", Boolean, Honoured, NotYet, "launchd 10.5",
        "Starts the job each time a file system is mounted."),
    key("WatchPaths", PATHS, Honoured, Supervisor, "launchd 10.4",
        "Starts the job when one of these files or folders changes; a link of another user is watched itself and not followed, and what lies on another user's FUSE mount, or for root's wjobd on a server's file system, is not looked at."),
    key("QueueDirectories", PATHS, Honoured, Supervisor, "launchd 10.4",
        "Keeps the job running as long as one of these folders has anything in it."),
    noted("LaunchEvents", Anything, "launchd 10.7", "Its events come from macOS frameworks; WatchPaths, Sockets and schedules cover the usual needs."),
    key("LaunchOnlyOnce", Boolean, Adapted, Supervisor, "launchd 10.5",
        "Lets the job run one time only; afterwards it stays listed as finished."),
    key("inetdCompatibility", Dictionary("inetdCompatibility"), Honoured, Run, "launchd 10.4",
        "Hands each connection, or the listening socket, to the job as standard input and output."),
    key("inetdCompatibility.Wait", Boolean, Honoured, Run, "launchd 10.4",
        "True: the job gets the listening socket. False: one run for each connection."),
    key("inetdCompatibility.Instances", integer(1, MOST_INSTANCES as i64), Honoured, Run, "launchd 10.10",
        "Most connections served at once; Limits.Instances is the same."),
    // Sockets.
    key("Sockets", Map(&AnyOf(&[SOCKET, Array(&SOCKET)])), Honoured, Run, "launchd 10.4",
        "Sockets that are there from load to unload, by names of your choice; traffic on one starts the job."),
    key("Sockets.*.SockType", Word(&["stream", "dgram", "seqpacket"]), Honoured, Run, "launchd 10.4",
        "The type of the socket; stream if it is left out. A dgram socket is for native programs and for activation, a seqpacket one, which has a path, for native programs."),
    key("Sockets.*.SockPassive", Boolean, Adapted, Run, "launchd 10.4",
        "True, the default: wait for connections. False: connect to the address at load, and anew after an end, at most once in ThrottleInterval and never twice in a second; what comes through the connection, or its end, starts the job. For native programs and activation. A Unix socket must be root's, the domain owner's or the job's user's; root connects to one for jobs with UserName root only."),
    key("Sockets.*.SockNodeName", Text, Honoured, Run, "launchd 10.4",
        "The address, or localhost; every address of the machine if it is left out, and this machine where SockPassive is false."),
    key("Sockets.*.SockServiceName", AnyOf(&[Text, PORT]), Honoured, Run, "launchd 10.4",
        "The port, as a number or as a name in the services file."),
    key("Sockets.*.SockFamily", Word(&["IPv4", "IPv6", "IPv4v6", "Unix"]), Honoured, Run, "launchd 10.4",
        "The address family; without it one socket for each family, IPv4v6 is one for both."),
    key("Sockets.*.SockProtocol", Word(&["TCP", "UDP"]), Honoured, Run, "launchd 10.4",
        "The protocol, where SockType leaves it open."),
    key("Sockets.*.SockPathName", Path, Adapted, Run, "launchd 10.4",
        "The path of a Unix socket. It is made beside its place and renamed into it, and removed at unload."),
    key("Sockets.*.SockPathMode", MODE, Honoured, Run, "launchd 10.4",
        "The mode of a Unix socket, in decimal: 438 is octal 0666. Without it only the job's user may connect, or whom Grants.Users names; beside that it does nothing."),
    key("Sockets.*.SockPathOwner", ACCOUNT, Honoured, Run, "launchd 10.10",
        "The uid that owns a Unix socket; system domain only."),
    key("Sockets.*.SockPathGroup", ACCOUNT, Honoured, Run, "launchd 10.10",
        "The gid that owns a Unix socket; system domain only."),
    key("Sockets.*.SecureSocketWithKey", Text, Adapted, Run, "launchd 10.5",
        "Makes a Unix socket in a fresh folder that only the job's user may enter, and gives its path to the job, and to no other one, in the variable named here."),
    noted("Sockets.*.Bonjour", AnyOf(&[Boolean, Text, Array(&Text)]), "launchd 10.4", "Sockets are not announced on the network here; run an mDNS responder beside it."),
    key("Sockets.*.MulticastGroup", Text, Honoured, Run, "launchd 10.5",
        "The address of the multicast group that a datagram socket joins, on the interface to which the machine's routes lead."),
    noted("Sockets.*.ReceivePacketInfo", Boolean, "launchd, undocumented", "A program asks by itself for the address that a datagram came to, by setsockopt: IP_PKTINFO, IPV6_RECVPKTINFO."),
    // Services.
    key("MachServices", Map(&AnyOf(&[Boolean, Dictionary("MachServices.*")])), Adapted, NotYet, "launchd 10.4",
        "Names under which other jobs reach the typed interfaces that this job exports; there are no Mach ports here."),
    key("MachServices.*.ResetAtClose", Boolean, Adapted, NotYet, "launchd 10.5",
        "True: callers are told when the job ends. False: their calls wait for its next run."),
    key("MachServices.*.HideUntilCheckIn", Boolean, Adapted, NotYet, "launchd 10.5",
        "Keeps the name out of reach until the job has checked in."),
    noted("MachServices.*.DrainMessagesOnCrash", Anything, "launchd 10.7", "Calls are not kept across a crash here, so there is nothing to drain."),
    noted("MachServices.*.HostSpecialPort", Anything, "launchd, private", "Linux has no Mach ports."),
    noted("MachServices.*.TaskSpecialPort", Anything, "launchd, private", "Linux has no Mach ports."),
    noted("MachServices.*.ExceptionServer", Anything, "launchd, private", "Linux has no Mach exceptions."),
    noted("MachServices.*.kUNCServer", Anything, "launchd, private", "It belongs to notices of the macOS kernel."),
    noted("MachServices.*.EnterKernelDebuggerOnClose", Anything, "launchd, private", "A job never reaches the kernel's debugger here."),
    noted("MachServices.*.PingEventUpdates", Anything, "launchd, private", "It belongs to the event agents of macOS."),
    // Lifetime.
    key("ThrottleInterval", SECONDS, Adapted, Supervisor, "launchd 10.5",
        "Least seconds from one start to the next, 10 if left out, 0 for none; grows while starts fail."),
    key("ExitTimeOut", SECONDS, Adapted, Run, "launchd 10.5",
        "Seconds a job that can hear SIGTERM has before it is ended, 20 if left out, 0 for no end."),
    key("TimeOut", SECONDS, Adapted, Supervisor, "launchd 10.4",
        "Seconds without a connection after which an inetd job's worker goes, or without open work after which a job with EnableTransactions does; 30 if left out, 0 for never."),
    key("AbandonProcessGroup", Boolean, Adapted, Supervisor, "launchd 10.5",
        "True lets a native job's children live on after it, listed as left over until they end or the job is taken out; false ends them with it. `wjob run` always ends what it started."),
    noted("IgnoreProcessGroupAtShutdown", Boolean, "launchd, private", "Children are ended with the job's process name space here."),
    key("EnableTransactions", Boolean, Adapted, Run, "launchd 10.6",
        "A native job counts its open work: it writes a + for each piece that begins and a - for each that ends to the descriptor that WJOB_TRANSACTIONS names. With none open it is stopped by SIGKILL at once; wjobd also ends it once it has had none for TimeOut, unless KeepAlive is true."),
    key("EnablePressuredExit", Boolean, Adapted, Run, "launchd 10.10",
        "The same as EnableTransactions: a job that is idle for TimeOut gives its memory back, short or not."),
    noted("HopefullyExitsFirst", Boolean, "launchd 10.5", "All jobs are stopped together at shutdown."),
    noted("HopefullyExitsLast", Boolean, "launchd 10.5", "All jobs are stopped together at shutdown."),
    noted("BeginTransactionAtShutdown", Anything, "launchd, private", "All jobs are stopped together at shutdown."),
    noted("MultipleInstances", Anything, "launchd, private", "A fresh instance for each request is the rule here."),
];

/// The rows.
pub fn keys() -> Vec<Key> {
    let resources = |parent| RESOURCES.iter().map(move |row| resource(parent, row));
    KEYS.iter().copied().chain(resources("SoftResourceLimits")).chain(resources("HardResourceLimits")).collect()
}

/// A resource limit's row. Its texts are made once for the life of the process, and so leaked.
fn resource(parent: &str, row: &ResourceRow) -> Key {
    let also = row.limit.map_or(String::new(), |limit| format!("; it also sets Limits.{limit}"));
    Key {
        path: format!("{parent}.{}", row.key).leak(),
        kind: integer(0, i64::MAX),
        class: Adapted,
        since: "launchd 10.4",
        summary: format!("The kernel's \"{}\"{also}.", row.proc_name.to_ascii_lowercase()).leak(),
        available: Run,
    }
}
