//! What Holdfast's records hold, as plain data that can be looked at and compared.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord};
use holdfast_core::plan::settle::{Retired, TrippedPlan};
use holdfast_core::ports::records::{
    Absence, Census, Deletion, DeletionState, Head, Lease, Ledger, OpenSource, RunRecord,
};
use jiff::{SignedDuration, Timestamp};

use super::deletion;

/// A value and the fencing token of the lease under which it was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced<T> {
    /// The value.
    pub value: T,
    /// The token; zero where it was written without a lease.
    pub fence: u64,
}

impl<T> Fenced<T> {
    /// Whether a holder of `lease` may write over it.
    pub(super) fn yields_to(&self, lease: &Lease) -> bool {
        self.fence <= lease.fence
    }
}

/// What is recorded of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionRecord {
    /// The highest `now` it woke for.
    pub highest: Option<Timestamp>,
    /// The policies' newest slots.
    pub heads: BTreeMap<String, Fenced<Head>>,
}

/// A lease as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Who holds it, or who held it last; `-` where it was given back.
    pub holder: String,
    /// The fencing token.
    pub fence: u64,
    /// When it ends, on the wall clock, to the millisecond.
    pub expires: Timestamp,
}

/// A node of the lineage graph as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// The node.
    pub node: Node,
    /// The fencing token of each lease under which it was written, by the lease's name: a resource
    /// may be written under the leases of several policies, whose tokens have nothing to do with
    /// each other.
    pub fences: BTreeMap<String, u64>,
}

/// A deletion as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionRecord {
    /// The deletion.
    pub deletion: Deletion,
    /// How it ended.
    pub state: DeletionState,
}

/// What a tripped breaker held, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrippedRecord {
    /// As it was shown.
    pub plan: TrippedPlan,
    /// When the breaker tripped, on the wall clock.
    pub at: Timestamp,
    /// Whether a request has released it.
    pub taken: bool,
}

/// Everything recorded, each kind sorted by its key, so that two of these compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// By the function's name.
    pub functions: BTreeMap<String, FunctionRecord>,
    /// By name.
    pub leases: BTreeMap<String, LeaseRecord>,
    /// Sources left to the heartbeats: by function, then by policy, source and slot.
    pub open: BTreeMap<String, BTreeMap<String, OpenSource>>,
    /// Creations: by policy and source, then by slot and request.
    pub slots: BTreeMap<(String, String), BTreeMap<String, SlotRecord>>,
    /// On-demand runs, by function and identifier.
    pub runs: BTreeMap<(String, String), RunRecord>,
    /// Nodes of the lineage graph, by identifier.
    pub nodes: BTreeMap<String, NodeRecord>,
    /// Edges of the lineage graph.
    pub edges: BTreeSet<Edge>,
    /// Artifacts that the graph says exist.
    pub roster: BTreeMap<String, NodeState>,
    /// Whether a source is pinned, by its identifier; one that is no longer pinned stays.
    pub pins: BTreeMap<String, Fenced<bool>>,
    /// Since when an artifact is condemned, by its identifier; `None` for one that is free again.
    pub marks: BTreeMap<String, Fenced<Option<Timestamp>>>,
    /// Snapshots that are marked as left of an AMI that somebody else deregistered.
    pub orphans: BTreeMap<String, Fenced<()>>,
    /// The newest deletions, by the resource.
    pub deletions: BTreeMap<String, Fenced<DeletionRecord>>,
    /// Deletions of what came back, put aside: by the resource, then by time.
    pub earlier: BTreeMap<String, BTreeMap<Timestamp, Fenced<DeletionRecord>>>,
    /// Deletions that the breaker counts: by policy and UTC day, then by time and resource.
    pub retired: BTreeMap<(String, String), BTreeMap<String, Fenced<Retired>>>,
    /// What tripped breakers held, by the plan's hash.
    pub tripped: BTreeMap<String, Fenced<TrippedRecord>>,
    /// Resources that reconciles miss, by identifier.
    pub absences: BTreeMap<String, Fenced<Absence>>,
    /// What the last sweep counted.
    pub census: Option<Fenced<Census>>,
}

impl Contents {
    /// The ledger.
    pub(super) fn ledger(&self) -> Ledger {
        let slots = self.slots.values().flat_map(BTreeMap::values);
        let newest = self.deletions.values().map(|record| &record.value);
        let earlier = self.earlier.values().flat_map(BTreeMap::values);
        let earlier = earlier.map(|record| &record.value);
        let deletions = newest.chain(earlier);
        Ledger {
            creations: slots.cloned().collect(),
            requests: self.runs.values().cloned().collect(),
            deletions: deletions.map(|r| (r.deletion.clone(), r.state)).collect(),
        }
    }

    /// Moves what is recorded by the wall clock back.
    pub(super) fn let_pass(&mut self, time: SignedDuration) {
        let back = |at: &mut Timestamp| *at = at.saturating_sub(time).unwrap_or(Timestamp::MIN);
        for lease in self.leases.values_mut() {
            back(&mut lease.expires);
        }
        for slot in self.slots.values_mut().flat_map(BTreeMap::values_mut) {
            slot.requested_at.as_mut().map(back);
            slot.failed_at.as_mut().map(back);
        }
        for run in self.runs.values_mut() {
            back(&mut run.started);
        }
        for node in self.nodes.values_mut() {
            back(&mut node.node.changed);
        }
        for deletion in self.deletions.values_mut() {
            back(&mut deletion.value.deletion.at);
        }
        for earlier in self.earlier.values_mut() {
            for (_, mut record) in std::mem::take(earlier) {
                let at = &mut record.value.deletion.at;
                back(at);
                earlier.insert(*at, record);
            }
        }
        for plan in self.tripped.values_mut() {
            back(&mut plan.value.at);
        }
        if let Some(census) = &mut self.census {
            back(&mut census.value.wall);
            for accepted in census.value.accepted.values_mut() {
                back(&mut accepted.wall);
            }
        }
        // These are found by their time.
        for ((policy, _), of_day) in std::mem::take(&mut self.retired) {
            for mut counted in of_day.into_values() {
                back(&mut counted.value.at);
                let (day, key) = deletion::counted_keys(&policy, &counted.value);
                let of_day = self.retired.entry(day).or_default();
                of_day.insert(key, counted);
            }
        }
    }
}
