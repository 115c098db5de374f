//! What is left in the end, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use holdfast_core::lineage::{Edge, NodeState};
use holdfast_core::ports::records::DeletionState;
use holdfast_core::report::{self, Report};
use jiff::Timestamp;

use super::interrupted::ports::standing;
use super::stage::Stage;
use super::world::World;

/// The account and the records in the end, without what differs from run to run: identifiers of
/// runs, times by the wall clock, fencing tokens, and [`World::of_failed`].
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    standing: BTreeSet<String>,
    nodes: BTreeMap<String, NodeState>,
    edges: BTreeSet<Edge>,
    roster: BTreeMap<String, NodeState>,
    pins: BTreeSet<String>,
    condemned: BTreeMap<String, Timestamp>,
    /// Of what is gone, by whether it was a good backup. That EC2's answer was lost shows: nobody can
    /// tell any more whose doing it was, so such an intent stays open, and its node as it was.
    deletions: BTreeMap<String, bool>,
    listed: BTreeMap<String, u64>,
}

impl Outcome {
    pub fn of(world: &World, stage: &Stage<'_>) -> Self {
        let counts = |id: &String| !world.of_failed.contains(id);
        let mut records = stage.records.contents();
        records.nodes.retain(|id, _| counts(id));
        records.roster.retain(|id, _| counts(id));
        records.deletions.retain(|id, _| counts(id));
        let ends = |edge: &Edge| counts(&edge.from) && counts(&edge.to);
        records.edges.retain(ends);
        let standing: BTreeSet<String> = standing(&stage.ec2.account())
            .into_iter()
            .filter(counts)
            .collect();
        let mut nodes = records.nodes;
        nodes.retain(|id, _| standing.contains(id));
        let mut roster = records.roster;
        roster.retain(|id, _| standing.contains(id));
        let mut deletions = records.deletions;
        deletions.retain(|id, _| !standing.contains(id));
        let pins = records.pins.into_iter().filter(|(_, pin)| pin.value);
        let mut marks = records.marks;
        // What only the last look finds needed is condemned and freed in turns.
        let needed = |id: &String| stage.references.iter().any(|r| r.protects.contains(id));
        marks.retain(|id, _| standing.contains(id) && !needed(id));
        let marks = marks.into_iter();
        let deletions = deletions.into_iter();
        let deletions = deletions.map(|(id, record)| (id, record.value.deletion.good));
        Self {
            standing,
            nodes: nodes
                .into_iter()
                .map(|(id, record)| (id, record.node.state))
                .collect(),
            edges: records.edges,
            roster,
            pins: pins.map(|(id, _)| id).collect(),
            condemned: marks
                .filter_map(|(id, mark)| Some((id, mark.value?)))
                .collect(),
            deletions: deletions.collect(),
            listed: records
                .census
                .map_or_else(BTreeMap::new, |c| c.value.listed),
        }
    }

    /// How the other differs, part by part.
    pub fn against(&self, other: &Self) -> Result<(), String> {
        let mut words = String::new();
        let set = |set: &BTreeSet<String>| set.iter().map(|id| (id.clone(), ())).collect();
        differ(
            &mut words,
            "standing",
            &set(&self.standing),
            &set(&other.standing),
        );
        differ(&mut words, "nodes", &self.nodes, &other.nodes);
        differ(&mut words, "roster", &self.roster, &other.roster);
        differ(&mut words, "pins", &set(&self.pins), &set(&other.pins));
        differ(&mut words, "condemned", &self.condemned, &other.condemned);
        differ(&mut words, "deletions", &self.deletions, &other.deletions);
        differ(&mut words, "listed", &self.listed, &other.listed);
        if self.edges != other.edges {
            words += &format!("edges: {:?} and {:?}\n", self.edges, other.edges);
        }
        if words.is_empty() { Ok(()) } else { Err(words) }
    }
}

fn differ<V: Debug + PartialEq>(
    words: &mut String,
    part: &str,
    one: &BTreeMap<String, V>,
    other: &BTreeMap<String, V>,
) {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let (one, other) = (one.get(key), other.get(key));
        if one != other {
            *words += &format!("{part} of {key}: {one:?} and {other:?}\n");
        }
    }
}

/// Nothing went that a reference needed which its run had seen.
pub fn heeded(stage: &Stage<'_>) -> Result<(), String> {
    let notes = stage.notes.lock().unwrap();
    for gone in &notes.gone {
        let mut needing = stage.references.iter().filter(|reference| {
            reference.moment < gone.moment && reference.protects.contains(&gone.resource)
        });
        let ignored = needing.find(|reference| {
            notes.looks.iter().any(|look| {
                look.run == gone.run
                    && reference.moment < look.moment
                    && look.moment < gone.moment
                    && reference.kind.is_seen_by(look, &reference.target)
            })
        });
        if let Some(reference) = ignored {
            return Err(format!(
                "{} went at {} although its run had seen {reference:?}",
                gone.resource, gone.moment
            ));
        }
    }
    Ok(())
}

/// Whatever a sweep's call took away was on record before. Where another took its lease while the
/// call was under way, that one saw it stand and may have closed the record.
pub fn recorded(stage: &Stage<'_>) -> Result<(), String> {
    let records = stage.records.contents().deletions;
    let notes = stage.notes.lock().unwrap();
    for gone in &notes.gone {
        let record = records.get(&gone.resource).map(|record| &record.value);
        let state = record.map(|record| record.state);
        let closed = state == Some(DeletionState::Refused);
        if state.is_none() || closed && !stage.lapsed {
            return Err(format!("{} went, on record as {state:?}", gone.resource));
        }
    }
    Ok(())
}

/// No backing snapshot is left without its AMI that had one before, unless something needs it or the
/// last report says why it is held.
pub fn nothing_orphaned(world: &World, stage: &Stage<'_>, last: &Report) -> Result<(), String> {
    let orphans = |account: &holdfast_sim::Account| -> BTreeSet<String> {
        let images = account.images();
        let mapped: BTreeSet<&str> = images
            .flat_map(|image| &image.mappings)
            .filter_map(|device| device.snapshot().map(|id| id.as_str()))
            .collect();
        let snapshots = account.snapshots();
        let backing = snapshots.filter(|snapshot| {
            snapshot.tags.get("holdfast:artifact").map(String::as_str) == Some("image-snapshot")
        });
        backing
            .map(|snapshot| snapshot.id.as_str())
            .filter(|id| !mapped.contains(id))
            .map(str::to_owned)
            .collect()
    };
    let before = orphans(&world.account);
    let needed = |id: &String| stage.references.iter().any(|r| r.protects.contains(id));
    let told = |id: &String| {
        let mut items = last.items.iter();
        items.any(|item| item.resource == *id && item.outcome == report::Outcome::Held)
    };
    let excused = |id: &String| needed(id) || world.of_failed.contains(id) && told(id);
    let after = orphans(&stage.ec2.account());
    let left: Vec<&String> = after
        .difference(&before)
        .filter(|id| !excused(id))
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("orphaned: {left:?}"))
    }
}
