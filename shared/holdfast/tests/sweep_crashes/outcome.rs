//! What is left in the end, compared part by part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use holdfast_core::lineage::{Edge, NodeState};
use jiff::Timestamp;

use super::interrupted::ports::standing;
use super::stage::Stage;
use super::world::{Backup, World};

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
    /// Of what is gone. That EC2's answer was lost shows: nobody can tell any more whose doing it was,
    /// so such an intent stays open, and its node as it was.
    deletions: BTreeSet<String>,
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
        let needed = |id: &String| {
            let with = |backup: &&Backup| backup.parts.contains(id);
            let parts = world.backups.iter().filter(with).flat_map(|b| &b.parts);
            let mut all = parts.chain([id]);
            all.any(|id| stage.references.iter().any(|r| r.protects.contains(id)))
        };
        marks.retain(|id, _| standing.contains(id) && !needed(id));
        let marks = marks.into_iter();
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
            deletions: deletions.into_keys().collect(),
            listed: records
                .census
                .map_or_else(BTreeMap::new, |c| c.value.listed),
        }
    }

    /// The same, but for since when things are condemned.
    pub fn without_times(mut self) -> Self {
        self.condemned
            .values_mut()
            .for_each(|at| *at = Timestamp::UNIX_EPOCH);
        self
    }

    /// The same, but for these artifacts.
    pub fn without(mut self, ids: &BTreeSet<String>) -> Self {
        self.standing.retain(|id| !ids.contains(id));
        self.deletions.retain(|id| !ids.contains(id));
        self.condemned.retain(|id, _| !ids.contains(id));
        self
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
        let (one, two) = (set(&self.deletions), set(&other.deletions));
        differ(&mut words, "deletions", &one, &two);
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
