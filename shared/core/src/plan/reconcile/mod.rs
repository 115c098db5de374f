//! What the records have to learn from EC2, and what of it the operator should know.
//!
//! Events only say where to look first: a reconcile over everything reaches the same records with
//! none of them. It is decided in five steps, between which the caller reads what the step asks
//! for: [`unlisted`], [`wanted`], [`swept`], [`siblings`], [`reconcile`].
//!
//! What is read is believed only as far as it goes. A list that ends early can show that something
//! is there and never that it is not, and one complete list without it is no proof either: EC2's
//! lists lag ("Eventual consistency", EC2 Developer Guide).

mod absence;
mod artifacts;
mod drift;
mod ledger;
mod live;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::artifact::{Artifact, ArtifactKind};
use crate::id::SnapshotId;
use crate::inventory::{Image, Instance, Listing, Snapshot, Volume};
use crate::lineage::{Edge, Node, NodeState, SlotRecord};
use crate::ports::CallError;
use crate::ports::records::{Absence, Deletion, DeletionState, OpenSource};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

pub use absence::alarm;
use live::Live;
pub(super) use live::{has_evidence, volume_of};

/// How long after the first reconcile that missed a resource a second one may say that it is gone,
/// by the reconciles' `now`.
///
/// That is the events' clock: heartbeats that waited in a queue may run seconds apart. The caller
/// therefore asks for what is missing a second time before it is called gone. What remains is a
/// resource that both of EC2's answers lack, for as long as its lists lag.
pub const ABSENT_FOR: SignedDuration = SignedDuration::from_mins(2);

/// How long an AMI may take; EC2 documents up to 24 hours ("Create an Amazon EBS-backed AMI", EC2
/// User Guide).
pub const PENDING_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// For how long after its start an artifact's slot is looked at again although its own state is on
/// record: it may have settled before the creating run had recorded the answer to its call.
pub const LOOKED_AT_AGAIN: SignedDuration = SignedDuration::from_hours(2);

/// The volume that EC2 names as the origin of a copied snapshot (EBS User Guide, "Copy a
/// snapshot").
pub const COPY_PLACEHOLDER: &str = "vol-ffffffff";

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Everything.
    All {
        /// Whether a later reconcile was made before: this one learns nothing about absence.
        late: bool,
    },
    /// Only these artifacts, because an event named them. Absence is the reconciles' business.
    Artifacts(&'a BTreeSet<String>),
}

/// What EC2 shows.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The snapshots tagged as managed; for an event, those it named.
    pub snapshots: &'a Listing<Snapshot>,
    /// Further snapshots of one's own, asked for by their identifiers.
    pub named: &'a Listing<Snapshot>,
    /// The images of one's own; for an event, those it named.
    pub images: &'a Listing<Image>,
    /// Instances; not listed for an event.
    pub instances: Option<&'a Listing<Instance>>,
    /// Volumes; not listed for an event.
    pub volumes: Option<&'a Listing<Volume>>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
}

/// A slot's record in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotKey {
    /// The policy.
    pub policy: String,
    /// The slot, UTC.
    pub slot: Timestamp,
    /// What the creating call named.
    pub source: String,
    /// The on-demand request, where it is one.
    pub request: Option<String>,
}

impl SlotKey {
    /// The key of a record.
    #[must_use]
    pub fn of(record: &SlotRecord) -> Self {
        Self {
            policy: record.policy.clone(),
            slot: record.slot,
            source: record.source.clone(),
            request: record.request.clone(),
        }
    }

    /// Where an artifact's record may be: that of the scheduled slot, or of the request that its
    /// run tag names. Backing snapshots have none of their own.
    #[must_use]
    pub fn candidates(artifact: &Artifact) -> Vec<Self> {
        let (Some(slot), Some(source)) = (artifact.slot, artifact.source.clone()) else {
            return Vec::new();
        };
        if artifact.kind == ArtifactKind::ImageSnapshot {
            return Vec::new();
        }
        let scheduled = Self {
            policy: artifact.policy.clone(),
            slot,
            source,
            request: None,
        };
        scheduled.or_of_run(artifact.run.as_ref())
    }

    /// The same of an artifact that is on record only.
    fn of_node(node: &Node) -> Vec<Self> {
        let (Some(policy), Some(slot), Some(source)) =
            (node.policy.clone(), node.slot, node.source.clone())
        else {
            return Vec::new();
        };
        let scheduled = Self {
            policy,
            slot,
            source,
            request: None,
        };
        scheduled.or_of_run(node.run.as_ref())
    }

    fn or_of_run(self, run: Option<&String>) -> Vec<Self> {
        let requested = run.map(|run| Self {
            request: Some(run.clone()),
            ..self.clone()
        });
        std::iter::once(self).chain(requested).collect()
    }
}

/// What Holdfast recorded of its newest deletion of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnDeletion {
    /// How it ended.
    pub state: DeletionState,
    /// When its intent was recorded, on the wall clock.
    pub at: Timestamp,
    /// Whether EC2 refused the call when it was last due.
    pub refused: bool,
}

impl OwnDeletion {
    /// That of a record.
    #[must_use]
    pub fn of(deletion: &Deletion, state: DeletionState) -> Self {
        Self {
            state,
            at: deletion.at,
            refused: deletion.refused.is_some(),
        }
    }
}

/// What is on record of what [`wanted`] asked for.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The artifacts that the lineage says exist; for an event, those it named.
    pub roster: BTreeMap<String, NodeState>,
    /// Nodes.
    pub nodes: BTreeMap<String, Node>,
    /// Nodes that could not be read: nothing is written over them.
    pub unreadable: BTreeSet<String>,
    /// Edges.
    pub edges: BTreeSet<Edge>,
    /// Absences.
    pub absences: BTreeMap<String, Absence>,
    /// The ledger's records.
    pub slots: BTreeMap<SlotKey, SlotRecord>,
    /// Records of the ledger that could not be read: what depends on them waits.
    pub unreadable_slots: BTreeSet<SlotKey>,
    /// Deletions that Holdfast recorded.
    pub deletions: BTreeMap<String, OwnDeletion>,
    /// Those of them that were of failed backups.
    pub swept_failures: BTreeSet<String>,
}

/// The records that a decision needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nodes.
    pub nodes: BTreeSet<String>,
    /// Edges.
    pub edges: BTreeSet<Edge>,
    /// Records of the ledger.
    pub slots: BTreeSet<SlotKey>,
    /// Deletions.
    pub deletions: BTreeSet<String>,
}

/// A step of the run ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The record it was decided on.
    pub before: SlotRecord,
    /// The record after it; none where only the reopening is still to be written.
    pub after: Option<SlotRecord>,
    /// What the creating function is left to start again, and which kind of artifact it makes.
    pub reopen: Option<(ArtifactKind, OpenSource)>,
    /// What it is reported as.
    pub items: Vec<Item>,
}

/// What is written about one resource, together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The resource.
    pub id: String,
    /// Steps of the ledger that have to be written before: they are found again only while the
    /// artifact's new state is not on record.
    pub after: BTreeSet<SlotKey>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Edges.
    pub edges: Vec<Edge>,
    /// The absence to be set (`Some(Some)`) or forgotten (`Some(None)`) when the rest is written.
    pub absence: Option<Option<Absence>>,
    /// What it is reported as.
    pub items: Vec<Item>,
}

/// What a comparison comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Steps of the ledger, to be written first.
    pub slots: BTreeMap<SlotKey, SlotChange>,
    /// Resources: sources, then snapshots, then images.
    pub units: Vec<Unit>,
    /// What is so without being written.
    pub items: Vec<Item>,
}

impl Changes {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn writes_nothing(&self) -> bool {
        self.slots.is_empty() && self.units.is_empty()
    }
}

/// The snapshots that have to be asked for by their identifiers: those that an AMI maps, or that
/// are on record, and that the list of managed ones does not have. A tag that somebody took off
/// does not make a snapshot gone.
#[must_use]
pub fn unlisted(
    seen: &Seen<'_>,
    roster: &BTreeMap<String, NodeState>,
    scope: Scope<'_>,
) -> BTreeSet<SnapshotId> {
    // A list that ended early would make nearly all of them asked for, and proves nothing after.
    if !seen.snapshots.is_complete() {
        return BTreeSet::new();
    }
    let live = Live::new(*seen);
    let mut ids: BTreeSet<SnapshotId> = live
        .ours
        .values()
        .filter_map(|ours| ours.image())
        .flat_map(Image::snapshots)
        .cloned()
        .collect();
    if matches!(scope, Scope::All { .. }) {
        ids.extend(roster.keys().filter_map(|id| SnapshotId::parse(id)));
    }
    ids.retain(|id| !live.snapshots.contains_key(id.as_str()));
    ids
}

/// The records that the decision needs. Of `recorded` only roster and absences are looked at.
#[must_use]
pub fn wanted(seen: &Seen<'_>, recorded: &Recorded, scope: Scope<'_>, now: Timestamp) -> Wanted {
    let live = Live::new(*seen);
    let mut wanted = Wanted::default();
    artifacts::want(&live, recorded, scope, &mut wanted);
    ledger::want(&live, recorded, scope, now, &mut wanted);
    if let Scope::All { late } = scope {
        absence::want(&live, recorded, late, now, &mut wanted);
        sources::want(&live, &mut wanted);
    }
    wanted
}

/// The ledger's records of failed backups that were swept, asked for when the rest was read.
#[must_use]
pub fn swept(recorded: &Recorded) -> BTreeSet<SlotKey> {
    let nodes = recorded.swept_failures.iter();
    let nodes = nodes.filter_map(|id| recorded.nodes.get(id));
    nodes.flat_map(SlotKey::of_node).collect()
}

/// The snapshots of the ledger's records whose state is still unknown: members of sets.
#[must_use]
pub fn siblings(seen: &Seen<'_>, slots: &BTreeMap<SlotKey, SlotRecord>) -> BTreeSet<SnapshotId> {
    let live = Live::new(*seen);
    let artifacts = slots.values().flat_map(|record| &record.artifacts);
    artifacts
        .filter(|id| !live.snapshots.contains_key(id.as_str()))
        .filter_map(|id| SnapshotId::parse(id))
        .collect()
}

/// What is to be written, and what is to be said.
///
/// Writing it and comparing again comes to nothing more to write. `now` is the time that the
/// comparison is made for, `wall` the clock's.
#[must_use]
pub fn reconcile(
    seen: &Seen<'_>,
    recorded: &Recorded,
    scope: Scope<'_>,
    now: Timestamp,
    wall: Timestamp,
) -> Changes {
    let live = Live::new(*seen);
    let mut changes = Changes::default();
    ledger::step_slots(&live, recorded, scope, now, wall, &mut changes);
    if let Scope::All { late } = scope {
        sources::compare(&live, recorded, late, now, wall, &mut changes);
    }
    artifacts::compare(&live, recorded, scope, wall, &mut changes);
    absence::compare(&live, recorded, scope, now, wall, &mut changes);
    drift::find(&live, scope, now, &mut changes);
    changes
}

/// A failed item for each list that was not read to its end.
#[must_use]
pub fn unread(seen: &Seen<'_>) -> Vec<Item> {
    let named = seen.named.error.as_ref();
    let lists: [(&str, Option<&CallError>); 4] = [
        ("snapshots", seen.snapshots.error.as_ref().or(named)),
        ("images", seen.images.error.as_ref()),
        ("instances", seen.instances.and_then(|l| l.error.as_ref())),
        ("volumes", seen.volumes.and_then(|l| l.error.as_ref())),
    ];
    let failed = lists.into_iter().filter_map(|(list, error)| {
        let detail = format!("{}; nothing is taken for absent", error?);
        let reason = Reason::with(ReasonCode::EvidenceIncomplete, detail);
        Some(Item::new(Action::Check, list, Outcome::Failed).reason(reason))
    });
    failed.collect()
}
