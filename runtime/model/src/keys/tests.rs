//! Walks the registry, so that no row is half filled in.

use super::*;
use crate::limit::{LIMITS, RESOURCES};

#[test]
fn every_row_is_complete_and_stands_once() {
    for (index, key) in all().iter().enumerate() {
        let path = key.path;
        assert!(all()[..index].iter().all(|other| other.path != path), "{path} stands twice");
        assert!(key.summary.len() > 15 && key.summary.ends_with('.'), "{path}: {}", key.summary);
        assert!(!key.kind.words().is_empty(), "{path} has words");
        assert!(key.since.starts_with("launchd") || key.since.starts_with("wjob"), "{path}");
        assert!(!key.summary.contains('\n'), "{path}");
    }
}

/// What launchd's manual pages of both generations document, and what its sources know besides; `*` is any name.
const OF_LAUNCHD: &str = "
    Label Disabled Disabled.MachineType Disabled.ModelName LimitLoadToHosts LimitLoadFromHosts LimitLoadToHardware
    LimitLoadFromHardware LimitLoadToHostType _LimitLoadToBootMode LimitLoadToVariant LimitLoadToDeveloperMode
    LimitLoadToSessionType AssociatedBundleIdentifiers BundleProgram

    Program ProgramArguments EnableGlobbing UserName GroupName InitGroups RootDirectory WorkingDirectory
    EnvironmentVariables UserEnvironmentVariables Umask StandardInPath StandardOutPath StandardErrorPath Nice
    ProcessType LowPriorityIO LowPriorityBackgroundIO MaterializeDatalessFiles LegacyTimers SoftResourceLimits
    HardResourceLimits SessionCreate Debug WaitForDebugger DisableASLR BinaryOrderPreference SandboxProfile
    SandboxFlags SandboxContainer QuarantineData CFBundleIdentifier MachExceptionHandler
    EnterKernelDebuggerBeforeKill JetsamProperties JoinGUISession XPCDomain SecuritySessionUUID Policies EventMonitor
    ShutdownMonitor ServiceIPC

    RunAtLoad OnDemand KeepAlive KeepAlive.SuccessfulExit KeepAlive.Crashed KeepAlive.NetworkState
    KeepAlive.PathState KeepAlive.OtherJobEnabled KeepAlive.OtherJobActive KeepAlive.AfterInitialDemand StartInterval
    StartCalendarInterval StartCalendarInterval.Minute StartCalendarInterval.Hour StartCalendarInterval.Day
    StartCalendarInterval.Weekday StartCalendarInterval.Month StartOnMount WatchPaths QueueDirectories MachServices
    Sockets LaunchEvents inetdCompatibility inetdCompatibility.Wait LaunchOnlyOnce

    Sockets.*.SockType Sockets.*.SockPassive Sockets.*.SockNodeName Sockets.*.SockServiceName Sockets.*.SockFamily
    Sockets.*.SockProtocol Sockets.*.SockPathName Sockets.*.SockPathMode Sockets.*.SockPathOwner
    Sockets.*.SockPathGroup Sockets.*.SecureSocketWithKey Sockets.*.Bonjour Sockets.*.MulticastGroup
    Sockets.*.ReceivePacketInfo

    MachServices.*.ResetAtClose MachServices.*.HideUntilCheckIn MachServices.*.DrainMessagesOnCrash
    MachServices.*.HostSpecialPort MachServices.*.TaskSpecialPort MachServices.*.ExceptionServer
    MachServices.*.kUNCServer MachServices.*.EnterKernelDebuggerOnClose MachServices.*.PingEventUpdates

    ThrottleInterval ExitTimeOut TimeOut AbandonProcessGroup IgnoreProcessGroupAtShutdown EnableTransactions
    EnablePressuredExit HopefullyExitsFirst HopefullyExitsLast MultipleInstances
";
/// The names in its dictionaries of resource limits.
const RESOURCES_OF_LAUNCHD: &str =
    "Core CPU Data FileSize MemoryLock NumberOfFiles NumberOfProcesses ResidentSetSize Stack";

#[test]
fn every_key_of_launchd_has_a_row() {
    let resources = RESOURCES_OF_LAUNCHD
        .split_whitespace()
        .flat_map(|name| ["SoftResourceLimits", "HardResourceLimits"].map(|dictionary| format!("{dictionary}.{name}")));
    for path in OF_LAUNCHD.split_whitespace().map(String::from).chain(resources) {
        let key = find(&path).unwrap_or_else(|| panic!("{path} has no row"));
        assert!(!key.is_own(), "{path} is launchd's");
    }
}

#[test]
fn names_of_one_dictionary_differ_by_more_than_letter_case() {
    for key in all() {
        let same = children(key.parent()).filter(|other| other.name().eq_ignore_ascii_case(key.name()));
        assert_eq!(same.count(), 1, "{}", key.path);
    }
}

#[test]
fn every_dictionary_has_keys_and_every_sub_key_a_dictionary() {
    let mut dictionaries = vec![""];
    for key in all() {
        collect(&key.kind, &mut dictionaries);
    }
    for key in all() {
        assert!(dictionaries.contains(&key.parent()), "{} belongs in no dictionary", key.path);
    }
    for parent in dictionaries {
        assert!(children(parent).next().is_some(), "{parent} has no keys");
    }
}

fn collect(kind: &Kind, into: &mut Vec<&'static str>) {
    match kind {
        Kind::Dictionary(parent) => into.push(*parent),
        Kind::Array(each) | Kind::Map(each) => collect(each, into),
        Kind::AnyOf(kinds) => kinds.iter().for_each(|kind| collect(kind, into)),
        _ => {}
    }
}

#[test]
fn every_limit_and_resource_has_a_row() {
    for row in LIMITS {
        let key = find(&format!("Limits.{}", row.key)).expect(row.key);
        assert_eq!(key.kind, Kind::Integer { least: row.least as i64, most: row.most as i64 });
        assert!(key.is_own());
    }
    for row in RESOURCES {
        for parent in ["SoftResourceLimits", "HardResourceLimits"] {
            assert!(find(&format!("{parent}.{}", row.key)).is_some(), "{parent}.{}", row.key);
        }
    }
}

#[test]
fn launchd_keys_match_in_any_letter_case_and_ours_do_not() {
    assert!(matches!(look_up("", "Label"), Match::Exact(key) if key.path == "Label"));
    assert!(matches!(look_up("", "enabletransactions"), Match::OtherCase(_)));
    assert!(matches!(look_up("StartCalendarInterval", "WeekDay"), Match::OtherCase(_)));
    assert!(matches!(look_up("", "limits"), Match::OwnOtherCase(_)));
    assert!(matches!(look_up("Grants.Paths.*", "access"), Match::OwnOtherCase(_)));
    assert!(matches!(look_up("", "Nonsense"), Match::Unknown));
}
