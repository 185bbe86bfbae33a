//! When a job is wanted, as its property list says: launchd's launch criteria and lifetime keys, checked and with
//! defaults. It decides nothing; `fleet` does.

use serde::{Deserialize, Serialize};

use crate::calendar::Entry;

/// launchd's ThrottleInterval when none is given, in seconds (launchd.plist(5)).
pub const DEFAULT_THROTTLE: u32 = 10;
/// launchd's TimeOut when none is given, in seconds.
pub const DEFAULT_TIMEOUT: u32 = 30;

/// When a job is started and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// `Disabled`: how it starts out; the overrides store wins over it.
    pub disabled: bool,
    /// `RunAtLoad`.
    pub at_load: bool,
    /// `KeepAlive`, or what `OnDemand` means by it.
    pub keep_alive: KeepAlive,
    /// `StartInterval` in seconds.
    pub interval: Option<u32>,
    /// `StartCalendarInterval`; any of them is enough.
    pub calendar: Vec<Entry>,
    /// `WatchPaths`, absolute.
    pub watch_paths: Vec<String>,
    /// `QueueDirectories`, absolute.
    pub queue_directories: Vec<String>,
    /// `LaunchOnlyOnce`.
    pub only_once: bool,
    /// `ThrottleInterval` in seconds, start to start; 0 = none.
    pub throttle: u32,
    /// `TimeOut` in seconds: how long an idle job is kept.
    pub idle_timeout: u32,
    /// `EnableTransactions` or `EnablePressuredExit`: idle, it may be ended at once.
    pub transactions: bool,
    /// `InitGroups`.
    pub init_groups: bool,
    /// `Debug`.
    pub debug: bool,
    /// Hosts of `LimitLoadToHosts`; `None` = all.
    pub only_hosts: Option<Vec<String>>,
    /// Hosts of `LimitLoadFromHosts`.
    pub not_hosts: Vec<String>,
    /// `ProcessType` Background: scheduled after everything else (SCHED_IDLE, idle I/O class).
    pub background: bool,
    /// `LowPriorityIO` or `LowPriorityBackgroundIO`: idle I/O class.
    pub low_io: bool,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            disabled: false,
            at_load: false,
            keep_alive: KeepAlive::OnDemand,
            interval: None,
            calendar: Vec::new(),
            watch_paths: Vec::new(),
            queue_directories: Vec::new(),
            only_once: false,
            throttle: DEFAULT_THROTTLE,
            idle_timeout: DEFAULT_TIMEOUT,
            transactions: false,
            init_groups: true,
            debug: false,
            only_hosts: None,
            not_hosts: Vec::new(),
            background: false,
            low_io: false,
        }
    }
}

impl Launch {
    /// Seconds without open work after which a job is ended that counts it, or whose connections are `counted` for it;
    /// `None` = never. One that is to run always would only be started again (launchd.plist(5), EnablePressuredExit).
    pub fn idle_exit(&self, counted: bool) -> Option<u32> {
        let counted = counted || self.transactions;
        let ends = counted && self.idle_timeout > 0 && self.keep_alive != KeepAlive::Always;
        ends.then_some(self.idle_timeout)
    }
}

/// `KeepAlive`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepAlive {
    /// Only demand starts it: false, or nothing.
    #[default]
    OnDemand,
    /// It is to run always: true.
    Always,
    /// While any of these holds; an empty dictionary is demand only.
    While(Conditions),
}

/// The dictionary of `KeepAlive`: conditions, any of which is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// `SuccessfulExit`: again after exit 0, or after anything else.
    pub successful_exit: Option<bool>,
    /// `Crashed`: again after a crash, or after anything else.
    pub crashed: Option<bool>,
    /// `PathState`: absolute path, and whether it is to exist.
    pub path_state: Vec<(String, bool)>,
    /// `OtherJobEnabled`: label, and whether it is to be loaded.
    pub other_loaded: Vec<(String, bool)>,
    /// `OtherJobActive`: label, and whether it is to run; one that is not loaded is neither.
    pub other_active: Vec<(String, bool)>,
    /// `AfterInitialDemand`: nothing holds before the first demand.
    pub after_demand: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_counts_its_work_and_may_rest_is_ended_idle() {
        let on_demand = KeepAlive::While(Conditions::default());
        for (transactions, counted, idle_timeout, keep_alive, expected) in [
            (true, false, 30, KeepAlive::OnDemand, Some(30)),
            (true, false, 1, on_demand, Some(1)),
            (true, true, 0, KeepAlive::OnDemand, None),
            (true, true, 30, KeepAlive::Always, None),
            (false, false, 30, KeepAlive::OnDemand, None),
            (false, true, 30, KeepAlive::OnDemand, Some(30)),
        ] {
            let launch = Launch { transactions, idle_timeout, keep_alive, ..Launch::default() };
            assert_eq!(launch.idle_exit(counted), expected, "{launch:?}");
        }
    }
}
