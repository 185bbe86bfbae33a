//! `Limits`, and launchd's resource limits mapped onto them: one block for both walls.
//! Ranges were checked against the registry before; here the two sources are brought together.

use crate::finding::{Finding, Severity};
use crate::limit::{LIMITS, Limits, RESOURCES, ResourceLimit, ResourceRow};

use super::raw::{RawJob, RawValue};

/// launchd writes "unlimited" as the largest number a property list of its day could hold.
const UNLIMITED: i64 = i64::MAX;

/// Reads the limits of a job, and the kernel limits it asks for.
pub fn read(raw: &RawJob, findings: &mut Vec<Finding>) -> (Limits, Vec<ResourceLimit>) {
    let mut limits = own(raw);
    let resources: Vec<ResourceLimit> = RESOURCES.iter().filter_map(|row| resource(raw, row)).collect();
    for limit in &resources {
        findings.extend(adopt(&mut limits, limit, raw));
    }
    for row in RESOURCES {
        findings.extend(soft_above_hard(raw, row));
    }
    (limits, resources)
}

fn own(raw: &RawJob) -> Limits {
    let mut limits = Limits::default();
    for row in LIMITS {
        let value = raw.get("Limits").and_then(|limits| limits.get(row.key));
        let number = value.and_then(RawValue::integer);
        *limits.slot(row.limit) = number.and_then(|number| u64::try_from(number).ok());
    }
    limits
}

fn half<'a>(raw: &'a RawJob, parent: &str, row: &ResourceRow) -> Option<(&'a RawValue, u64)> {
    let value = raw.get(parent)?.get(row.key)?;
    let number = match value.integer()? {
        UNLIMITED => u64::MAX,
        number => u64::try_from(number).ok()?,
    };
    Some((value, number))
}

fn resource(raw: &RawJob, row: &ResourceRow) -> Option<ResourceLimit> {
    let soft = half(raw, "SoftResourceLimits", row).map(|(_, number)| number);
    let hard = half(raw, "HardResourceLimits", row).map(|(_, number)| number);
    (soft.is_some() || hard.is_some()).then_some(ResourceLimit { resource: row.resource, soft, hard })
}

/// Brings a kernel limit into the block; where both say something the smaller counts.
/// The block's own bounds hold for it too: the kernel limit itself is set as written.
fn adopt(limits: &mut Limits, resource: &ResourceLimit, raw: &RawJob) -> Option<Finding> {
    let row = resource.resource.row();
    let limit = row.limit?.row();
    let asked = resource.soft.into_iter().chain(resource.hard).min()?;
    if asked == u64::MAX {
        return None;
    }
    let asked = asked.clamp(limit.least, limit.most);
    let slot = limits.slot(limit.limit);
    let given = *slot;
    *slot = Some(given.map_or(asked, |given| given.min(asked)));
    let given = given.filter(|given| *given != asked)?;
    let value = raw.get("Limits")?.get(limit.key)?;
    let message = format!(
        "Limits.{} is {given}, but the resource limit {} is {asked}; the smaller, {}, counts",
        limit.key,
        row.key,
        given.min(asked)
    );
    Some(value.finding(Severity::Warning, "conflicting-limits", message))
}

/// setrlimit(2) refuses a soft limit above the hard one.
fn soft_above_hard(raw: &RawJob, row: &ResourceRow) -> Option<Finding> {
    let (value, soft) = half(raw, "SoftResourceLimits", row)?;
    let (_, hard) = half(raw, "HardResourceLimits", row)?;
    (soft > hard).then(|| {
        let message = format!("{} is {soft}, above its hard limit of {hard}", value.path);
        value.finding(Severity::Error, "out-of-range", message)
    })
}
