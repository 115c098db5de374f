//! Multi-volume sets: which snapshots are of one point in time, and whether all are there.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::choose::managed;
use super::usable::{Keys, usable_snapshot};
use crate::artifact::{Artifact, ArtifactKind};
use crate::id::InstanceId;
use crate::lineage::SlotRecord;
use crate::ports::restore::Stored;
use crate::report::{Reason, ReasonCode};

/// The snapshots of one `CreateSnapshots` call: of one policy, with the same run, slot and `i-…`
/// source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<'a> {
    /// The policy.
    pub policy: String,
    /// The instance.
    pub instance: String,
    /// The slot it answers.
    pub slot: Timestamp,
    /// The run that made it.
    pub run: String,
    /// Those that are listed, by identifier.
    pub members: Vec<&'a Stored>,
}

impl Set<'_> {
    /// The point in time: the latest `StartTime` of its members, which EC2 gives them all at once.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let starts = self.members.iter().filter_map(|m| m.snapshot.start);
        starts.max()
    }
}

/// The sets among snapshots, the newest first.
#[must_use]
pub fn sets(all: &[Stored]) -> Vec<Set<'_>> {
    let mut sets: BTreeMap<(Timestamp, String, String, String), Set<'_>> = BTreeMap::new();
    for stored in all {
        let snapshot = &stored.snapshot;
        if !managed(&snapshot.tags) {
            continue;
        }
        let Ok(artifact) = Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), None) else {
            continue;
        };
        let (Some(instance), Some(slot), Some(run)) =
            (artifact.source, artifact.slot, artifact.run)
        else {
            continue;
        };
        if artifact.kind != ArtifactKind::Snapshot || InstanceId::parse(&instance).is_none() {
            continue;
        }
        let key = (slot, artifact.policy.clone(), instance.clone(), run.clone());
        let set = sets.entry(key).or_insert_with(|| Set {
            policy: artifact.policy,
            instance,
            slot,
            run,
            members: Vec::new(),
        });
        set.members.push(stored);
    }
    let mut sets: Vec<Set<'_>> = sets.into_values().collect();
    for set in &mut sets {
        set.members
            .sort_by(|a, b| a.snapshot.id.cmp(&b.snapshot.id));
    }
    sets.sort_by_key(|set| std::cmp::Reverse((set.time(), set.slot, set.run.clone())));
    sets
}

/// Refuses a set of which a member is missing or not good, by what the ledger says was made; what
/// is to be said of it otherwise.
///
/// # Errors
/// Why, and what to do instead.
pub fn whole(
    set: &Set<'_>,
    record: Option<&SlotRecord>,
    keys: &Keys,
) -> Result<Option<Reason>, Reason> {
    let listed = |id: &str| set.members.iter().any(|m| m.snapshot.id.as_str() == id);
    let of_this = record.filter(|record| record.artifacts.iter().any(|id| listed(id)));
    if let Some(record) = of_this {
        let gone: Vec<&str> = record
            .artifacts
            .iter()
            .filter(|id| !listed(id))
            .map(String::as_str)
            .collect();
        if !gone.is_empty() {
            let words = format!(
                "the set had {} members, and {} is not there any more: restore an earlier set \
                 (--source {} --at TIME), or what is left volume by volume (holdfast restore \
                 volume snap-…)",
                record.artifacts.len(),
                gone.join(", "),
                set.instance
            );
            return Err(Reason::with(ReasonCode::IncompleteSet, words));
        }
    }
    for member in &set.members {
        usable_snapshot(member, keys).map_err(|reason| {
            let words = reason.detail.unwrap_or_default();
            Reason::with(
                reason.code,
                format!("member {}: {words}", member.snapshot.id),
            )
        })?;
    }
    if of_this.is_some() {
        return Ok(None);
    }
    let words = format!(
        "no record says how many members the set had; {} are listed",
        set.members.len()
    );
    Ok(Some(Reason::with(ReasonCode::EvidenceIncomplete, words)))
}
