//! Resource limits: setrlimit for each that the plan names. Which and how much is the model's decision.

use rustix::process::{Resource as Kernel, Rlimit, getrlimit, setrlimit};
use wjob_model::limit::{Resource, ResourceLimit};
use wjob_model::wall::Wall;

use crate::{Doing, WallError};

/// The kernel's name of a resource.
pub(crate) fn kernel(resource: Resource) -> Kernel {
    match resource {
        Resource::Core => Kernel::Core,
        Resource::Cpu => Kernel::Cpu,
        Resource::Data => Kernel::Data,
        Resource::FileSize => Kernel::Fsize,
        Resource::MemoryLock => Kernel::Memlock,
        Resource::NumberOfFiles => Kernel::Nofile,
        Resource::NumberOfProcesses => Kernel::Nproc,
        Resource::ResidentSetSize => Kernel::Rss,
        Resource::Stack => Kernel::Stack,
    }
}

/// Sets the limits; a value above what the caller may have becomes the highest he may.
///
/// # Errors
/// When the kernel refuses one.
pub fn set(limits: &[ResourceLimit]) -> Result<(), WallError> {
    for limit in limits {
        let wanted = wanted(limit, &getrlimit(kernel(limit.resource)));
        setrlimit(kernel(limit.resource), wanted).doing(Wall::Limits, limit.resource.row().key)?;
    }
    Ok(())
}

/// What a limit becomes: never above the hard limit in force, soft never above hard.
pub fn wanted(limit: &ResourceLimit, now: &Rlimit) -> Rlimit {
    let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let maximum = least(limit.hard, now.maximum);
    let current = least(limit.soft.or(now.current), maximum);
    Rlimit { current, maximum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_raised_and_soft_stays_below_hard() {
        let now = Rlimit { current: Some(100), maximum: Some(200) };
        for (soft, hard, expected) in [
            (Some(50), Some(60), (Some(50), Some(60))),
            (None, Some(60), (Some(60), Some(60))),
            (Some(500), None, (Some(200), Some(200))),
            (Some(150), Some(900), (Some(150), Some(200))),
            (None, None, (Some(100), Some(200))),
        ] {
            let limit = ResourceLimit { resource: Resource::Data, soft, hard };
            let wanted = wanted(&limit, &now);
            assert_eq!((wanted.current, wanted.maximum), expected);
        }
    }
}
