//! What must hold of creation, sweeps and reconciles side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use holdfast_core::lineage::NodeState;
use jiff::Timestamp;

use super::super::interrupted::ports::standing;
use super::super::world::LAST;
use super::{Beside, SLOTS};

/// A backup that a sweep may count.
struct Counted<'b> {
    policy: &'b str,
    source: &'b str,
    slot: Timestamp,
    parts: BTreeSet<&'b str>,
    /// Whether it can be restored from.
    good: bool,
}

impl Beside<'_> {
    /// No sweep's call since took away what was just made, or one of the newest whole backups that a
    /// policy keeps of a source.
    pub(super) fn spared(&self, since: usize) -> Result<(), String> {
        let notes = self.stage.notes.lock().unwrap();
        let backups = self.backups();
        for (n, gone) in notes.gone.iter().enumerate().skip(since) {
            let id = gone.resource.as_str();
            let made = self.made.get(id);
            if let Some(made) = made.filter(|made| made.burst == self.burst) {
                return Err(format!("{id} went as it was made: {made:?}"));
            }
            if self.world.never.contains(id) {
                return Err(format!("{id} went, which no sweep may delete"));
            }
            let before: BTreeSet<&str> =
                (notes.gone[..n].iter().map(|one| one.resource.as_str())).collect();
            let of: Vec<&Counted<'_>> = backups.iter().filter(|b| b.parts.contains(id)).collect();
            for backup in of.iter().filter(|backup| backup.good) {
                // Of a snapshot that AMIs share only one is told by its tags, once a stranger has
                // deregistered another.
                if of.len() > 1 && self.stage.bereaved.contains(id) {
                    continue;
                }
                let newer = backups.iter().filter(|other| {
                    other.good
                        && (other.policy, other.source) == (backup.policy, backup.source)
                        && other.slot > backup.slot
                        && other.parts.is_disjoint(&before)
                });
                let kept = LAST.iter().find(|(policy, _)| *policy == backup.policy);
                if newer.count() < kept.map_or(0, |(_, last)| *last) {
                    let (policy, source, slot) = (backup.policy, backup.source, backup.slot);
                    return Err(format!(
                        "{id} went, which {policy} keeps of {source}: {slot}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What stood before, and what was made in an earlier burst and so is complete.
    fn backups(&self) -> Vec<Counted<'_>> {
        let seeded = self.world.backups.iter().map(|backup| Counted {
            policy: backup.policy,
            source: &backup.source,
            slot: backup.slot,
            parts: backup.parts.iter().map(String::as_str).collect(),
            good: backup.good,
        });
        let whole = self
            .made
            .iter()
            .filter(|(_, made)| made.asked.0 != "image-snapshot");
        let made = whole.map(|(id, made)| {
            let (kind, policy, source, slot) = &made.asked;
            let backing = self.made.iter().filter(|(_, part)| {
                let (part_kind, of_policy, _, of_slot) = &part.asked;
                kind == "image"
                    && part_kind == "image-snapshot"
                    && (of_policy, &part.source, of_slot) == (policy, source, slot)
            });
            let backing = backing.map(|(id, _)| id.as_str());
            Counted {
                policy,
                source,
                slot: *slot,
                parts: backing.chain([id.as_str()]).collect(),
                good: made.burst < self.burst,
            }
        });
        seeded.chain(made).collect()
    }

    /// Whatever was made is in the ledger as the one answer to its slot, and nothing is left open.
    pub(super) fn ledger_tells_the_truth(&self) -> Result<(), String> {
        let contents = self.stage.records.contents();
        for (id, made) in &self.made {
            let (kind, policy, _, slot) = &made.asked;
            if kind == "image-snapshot" {
                continue;
            }
            let slots = contents.slots.get(&(policy.clone(), made.source.clone()));
            let record = slots.and_then(|slots| slots.get(&slot.to_string()));
            let told = record.is_some_and(|r| r.state.is_made() && r.artifacts.contains(id));
            if !told {
                return Err(format!("{id} is {made:?}, the ledger says {record:?}"));
            }
        }
        for (source, slots) in &contents.slots {
            let record = slots.values().find(|record| {
                let made = |id: &String| self.made.contains_key(id);
                !record.state.is_made() || !record.artifacts.iter().all(made)
            });
            if let Some(record) = record {
                return Err(format!("of {source:?} the ledger says {record:?}"));
            }
        }
        let left = contents.open.values().find(|open| !open.is_empty());
        match left {
            Some(left) => Err(format!("left open: {left:?}")),
            None => Ok(()),
        }
    }

    /// What stands has a node that says so, and no other node does.
    pub(super) fn lineage_tells_the_truth(&self) -> Result<(), String> {
        let contents = self.stage.records.contents();
        let standing = standing(&self.stage.ec2.account());
        let says = |id: &str| contents.nodes.get(id).map(|record| record.node.state);
        let usable = |state| matches!(state, NodeState::Completed | NodeState::Available);
        for id in self.made.keys() {
            let state = says(id);
            if standing.contains(id) != state.is_some_and(usable) {
                let stands = standing.contains(id);
                return Err(format!("{id}: it stands: {stands}; lineage says {state:?}"));
            }
        }
        let listed = contents.roster.keys().find(|id| !standing.contains(*id));
        match listed {
            Some(id) => Err(format!("{id} is gone, and the roster lists it")),
            None => Ok(()),
        }
    }

    /// Of what was made of each source the newest that its policy keeps are left, where nobody refers to
    /// more.
    pub(super) fn only_what_is_kept_is_left(&self) -> Result<(), String> {
        let standing = standing(&self.stage.ec2.account());
        let mut slots: BTreeMap<_, BTreeSet<Timestamp>> = BTreeMap::new();
        for made in self.made.values() {
            let (kind, policy, of, slot) = &made.asked;
            slots.entry((kind, policy, of)).or_default().insert(*slot);
        }
        for (id, made) in &self.made {
            let (kind, policy, of, slot) = &made.asked;
            let newer = slots[&(kind, policy, of)].range((Excluded(slot), Unbounded));
            let kept = LAST.iter().find(|(name, _)| name == policy);
            let kept = kept.is_some_and(|(_, last)| newer.count() < *last);
            if standing.contains(id) != kept {
                return Err(format!("{id} is {made:?}; it is kept: {kept}"));
            }
        }
        match slots.values().all(|slots| slots.len() == SLOTS) {
            true => Ok(()),
            false => Err(format!("not in every slot something was made: {slots:?}")),
        }
    }

    /// What stands in the end, without identifiers of what was made.
    fn end(&self) -> BTreeSet<String> {
        let standing = standing(&self.stage.ec2.account()).into_iter();
        let counted = standing.filter(|id| !self.world.of_failed.contains(id));
        let named = counted.map(|id| match self.made.get(&id) {
            Some(made) => format!("{:?}", made.asked),
            None => id,
        });
        named.collect()
    }

    /// How another one's end differs.
    pub(super) fn against(&self, other: &Self) -> Result<(), String> {
        let (one, two) = (self.end(), other.end());
        let (lost, more) = (&one - &two, &two - &one);
        if lost.is_empty() && more.is_empty() {
            return Ok(());
        }
        let killed = other.stage.gate.killed_at();
        Err(format!(
            "killed at {killed:?}: {lost:?} are gone, {more:?} stand"
        ))
    }
}
