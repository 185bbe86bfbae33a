//! When a job is wanted: its launch and lifetime keys, as [`Launch`] has them. Only defaults, paths and the older names
//! of keys are settled here. What keys mean together, such as that KeepAlive also starts the job when it is loaded,
//! is for `fleet`.

use crate::calendar::Entry;
use crate::launch::{Conditions, DEFAULT_THROTTLE, DEFAULT_TIMEOUT, KeepAlive, Launch};

use super::Context;
use super::paths::resolve;
use super::raw::{RawData, RawJob, RawValue, entries, items, number, text, truth};

/// Reads when a job is wanted.
pub fn read(raw: &RawJob, context: &Context) -> Launch {
    Launch {
        disabled: truth(raw, "Disabled"),
        at_load: truth(raw, "RunAtLoad"),
        keep_alive: keep_alive(raw, context),
        interval: number(raw, "StartInterval"),
        calendar: calendar(raw),
        watch_paths: paths(raw, "WatchPaths", context),
        queue_directories: paths(raw, "QueueDirectories", context),
        only_once: truth(raw, "LaunchOnlyOnce"),
        throttle: number(raw, "ThrottleInterval").unwrap_or(DEFAULT_THROTTLE),
        idle_timeout: number(raw, "TimeOut").unwrap_or(DEFAULT_TIMEOUT),
        transactions: truth(raw, "EnableTransactions") || truth(raw, "EnablePressuredExit"),
        init_groups: raw.get("InitGroups").and_then(RawValue::boolean).unwrap_or(true),
        debug: truth(raw, "Debug"),
        only_hosts: raw.get("LimitLoadToHosts").map(texts),
        not_hosts: raw.get("LimitLoadFromHosts").map(texts).unwrap_or_default(),
        background: text(raw, "ProcessType") == Some("Background"),
        low_io: truth(raw, "LowPriorityIO") || truth(raw, "LowPriorityBackgroundIO"),
    }
}

/// KeepAlive, whatever it says, wins over its older opposite.
fn keep_alive(raw: &RawJob, context: &Context) -> KeepAlive {
    let Some(value) = raw.get("KeepAlive") else {
        return always_if(raw.get("OnDemand").and_then(RawValue::boolean) == Some(false));
    };
    match value.data {
        RawData::Dictionary(_) => KeepAlive::While(conditions(value, context)),
        _ => always_if(value.boolean() == Some(true)),
    }
}

fn always_if(always: bool) -> KeepAlive {
    if always { KeepAlive::Always } else { KeepAlive::OnDemand }
}

fn conditions(value: &RawValue, context: &Context) -> Conditions {
    let condition = |key| value.get(key).and_then(RawValue::boolean);
    let paths = truths(value, "PathState").into_iter();
    Conditions {
        successful_exit: condition("SuccessfulExit"),
        crashed: condition("Crashed"),
        path_state: paths.map(|(path, exists)| (resolve(context.folder, &path), exists)).collect(),
        other_loaded: truths(value, "OtherJobEnabled"),
        other_active: truths(value, "OtherJobActive"),
        after_demand: condition("AfterInitialDemand").unwrap_or(false),
    }
}

/// Names and what is expected of each, in the file's order.
fn truths(value: &RawValue, key: &str) -> Vec<(String, bool)> {
    let named = entries(value.get(key)).iter();
    named.filter_map(|entry| Some((entry.name.clone(), entry.value.boolean()?))).collect()
}

fn calendar(raw: &RawJob) -> Vec<Entry> {
    let times = raw.get("StartCalendarInterval").into_iter().flat_map(RawValue::one_or_many);
    times.filter(|time| matches!(time.data, RawData::Dictionary(_))).map(time).collect()
}

fn time(value: &RawValue) -> Entry {
    let field = |key| u8::try_from(value.get(key)?.integer()?).ok();
    Entry {
        minute: field("Minute"),
        hour: field("Hour"),
        day: field("Day"),
        weekday: field("Weekday"),
        month: field("Month"),
    }
}

fn paths(raw: &RawJob, key: &str, context: &Context) -> Vec<String> {
    let written = items(raw.get(key)).iter().filter_map(RawValue::text);
    written.map(|path| resolve(context.folder, path)).collect()
}

fn texts(value: &RawValue) -> Vec<String> {
    value.items().iter().filter_map(RawValue::text).map(String::from).collect()
}

#[cfg(test)]
mod tests;
