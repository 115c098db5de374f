//! What is simulated: instances and volumes, and when they come and go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::id::VolumeId;
use crate::inventory::{Instance, Inventory, Volume};

/// An instance or a volume, and from when until when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting<T> {
    /// What it is.
    pub what: T,
    /// From when on it is there; always, where it is not said. UTC.
    pub since: Option<Timestamp>,
    /// From when on it is there no more; it stays, where it is not said. UTC.
    pub until: Option<Timestamp>,
}

impl<T> Lasting<T> {
    /// What is there all the time.
    pub fn always(what: T) -> Self {
        Self {
            what,
            since: None,
            until: None,
        }
    }

    /// Whether it is there at a time.
    #[must_use]
    pub fn is_there(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// The instances and volumes of a simulation.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Instances.
    pub instances: Vec<Lasting<Instance>>,
    /// Volumes, attached or not.
    pub volumes: Vec<Lasting<Volume>>,
    /// MiB that a volume's contents change by in a day, where that is known. Blocks that change
    /// twice between two backups count once, which is what a backup stores.
    pub changed_mib: BTreeMap<VolumeId, u32>,
}

impl Fleet {
    /// The fleet that an account has now, and goes on to have.
    #[must_use]
    pub fn of(inventory: &Inventory) -> Self {
        let instances = inventory.instances.items.iter().cloned();
        let volumes = inventory.volumes.items.iter().cloned();
        Self {
            instances: instances.map(Lasting::always).collect(),
            volumes: volumes.map(Lasting::always).collect(),
            changed_mib: BTreeMap::new(),
        }
    }

    /// What is there at a time.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> (Vec<Instance>, Vec<Volume>) {
        let instances = self.instances.iter().filter(|one| one.is_there(at));
        let volumes = self.volumes.iter().filter(|one| one.is_there(at));
        (
            instances.map(|one| one.what.clone()).collect(),
            volumes.map(|one| one.what.clone()).collect(),
        )
    }

    /// `from`, and the times between it and `to` at which something comes or goes, ascending:
    /// between two of them the fleet is the same.
    #[must_use]
    pub fn changes(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let of_instances = self.instances.iter().flat_map(|one| [one.since, one.until]);
        let of_volumes = self.volumes.iter().flat_map(|one| [one.since, one.until]);
        let all = of_instances.chain(of_volumes).flatten();
        let within: BTreeSet<Timestamp> = all.filter(|at| from < *at && *at < to).collect();
        std::iter::once(from).chain(within).collect()
    }
}
