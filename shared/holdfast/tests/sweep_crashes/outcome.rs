//! What is left in the end, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use holdfast_core::lineage::{Edge, NodeState};
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
