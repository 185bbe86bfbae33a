//! A fleet written down, for the supervisor that takes this one's place: its jobs with their lives. What follows from
//! these is not written but found again, and the time zone is the machine's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Fleet, Label, Member};
use crate::run::Moment;

/// What is written down of a fleet. Its form is not that of any file: it is read once, by the next program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    members: Vec<Member>,
    next_id: u32,
    shutdown: Option<Moment>,
    exited: bool,
}

impl Fleet {
    /// What another supervisor needs to know to go on.
    pub fn saved(&self) -> Saved {
        let members = self.members.values().cloned().collect();
        Saved { members, next_id: self.next_id, shutdown: self.shutdown, exited: self.exited }
    }

    /// The fleet that was written down; calendar times are those of this zone.
    pub fn restored(saved: Saved, zone: TimeZone) -> Self {
        let Saved { members, next_id, shutdown, exited } = saved;
        let mut fleet = Self {
            members: BTreeMap::new(),
            by_id: BTreeMap::new(),
            next_id,
            by_boot: BTreeSet::new(),
            by_wall: BTreeSet::new(),
            dependents: BTreeMap::new(),
            zone,
            shutdown,
            exited,
        };
        for member in members {
            fleet.take_in(member);
        }
        fleet
    }

    fn take_in(&mut self, member: Member) {
        let label: Label = member.job.label.as_str().into();
        self.asks(&label, &member.job);
        self.by_id.insert(member.id, label.clone());
        self.members.insert(label.clone(), member);
        self.file(&label);
    }
}
