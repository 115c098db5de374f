//! Nodes and edges of the lineage graph.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::inventory::LaunchParameters;

/// For how long after a recorded deletion a listing may still show the resource.
///
/// EC2 promises no bound ("Ensuring idempotency and eventual consistency", EC2 Developer Guide);
/// its guidance backs off up to a few minutes.
pub const LISTING_LAG: SignedDuration = SignedDuration::from_mins(15);

/// Whether what is listed `at` stands although it was deleted at `deleted`, both on the wall clock:
/// EC2's lists no longer lag by more than [`LISTING_LAG`].
#[must_use]
pub fn lists_have_caught_up(deleted: Timestamp, at: Timestamp) -> bool {
    at.duration_since(deleted) > LISTING_LAG
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// An EBS snapshot.
    Snapshot,
    /// An AMI.
    Image,
    /// An EBS volume.
    Volume,
    /// An instance.
    Instance,
    /// Something with an identifier that Holdfast does not know.
    Other,
}

impl NodeKind {
    /// The kind that an identifier's prefix tells.
    #[must_use]
    pub fn of(id: &str) -> Self {
        match id.split_once('-').map(|(prefix, _)| prefix) {
            Some("snap") => Self::Snapshot,
            Some("ami") => Self::Image,
            Some("vol") => Self::Volume,
            Some("i") => Self::Instance,
            _ => Self::Other,
        }
    }
}

/// What is known of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Being made.
    Pending,
    /// A snapshot that is usable.
    Completed,
    /// An AMI that is usable.
    Available,
    /// Failed for good.
    Error,
    /// A volume or an instance that was there when last seen.
    Present,
    /// Holdfast is about to delete it, or did and has not heard.
    Deleting,
    /// Holdfast deleted it.
    Deleted,
    /// Somebody else deleted it.
    Gone,
}

impl NodeState {
    /// Whether the resource is no longer there.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Deleted | Self::Gone)
    }

    /// The state for a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use serde::de::IntoDeserializer;
        let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            text.into_deserializer();
        Self::deserialize(text).ok()
    }

    /// Its spelling in `holdfast lineage`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Available => "available",
            Self::Error => "error",
            Self::Present => "present",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
        }
    }

    /// The state after `seen` at `at`, where the record last changed at `changed`.
    ///
    /// Total: every pair has an answer. What was deleted comes back only when it is still listed
    /// [`LISTING_LAG`] later (restored from the Recycle Bin); before that the list merely lags.
    /// A finished artifact never becomes pending again: that is an older reading.
    #[must_use]
    pub fn after(self, seen: Self, changed: Timestamp, at: Timestamp) -> Self {
        use NodeState::{Available, Completed, Deleted, Deleting, Error, Gone, Pending, Present};
        let settled = lists_have_caught_up(changed, at);
        match (self, seen) {
            // Holdfast's own doing is recorded as it happens.
            (_, Deleting | Deleted) => seen,
            // What Holdfast deleted is not somebody else's doing.
            (Deleted | Deleting, Gone) => Deleted,
            (_, Gone) => Gone,
            (Deleted | Deleting | Gone, _) if settled => seen,
            (Deleted | Deleting | Gone, _) => self,
            (Completed | Available | Error, Pending) => self,
            (Pending | Completed | Available | Error | Present, _) => seen,
        }
    }
}

/// A resource in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// EC2's identifier.
    pub id: String,
    /// What is known of it.
    pub state: NodeState,
    /// When this was learnt, on the wall clock.
    pub changed: Timestamp,
    /// The policy that made it.
    pub policy: Option<String>,
    /// The slot it answers.
    pub slot: Option<Timestamp>,
    /// The run that made it.
    pub run: Option<String>,
    /// `holdfast:source` as written on it.
    pub source: Option<String>,
    /// The point in time it holds.
    pub time: Option<Timestamp>,
    /// The consistency that the backup reached, where known.
    pub consistency: Option<Consistency>,
    /// For how long writes were held inside the guest for it, in milliseconds, at most: from sending
    /// the command that held them to hearing that they go on.
    pub frozen_ms: Option<u32>,
    /// Volumes of its source that it leaves out.
    pub excluded: Vec<String>,
    /// Instance-store devices of its source, whose data it lacks.
    pub not_covered: Vec<String>,
    /// How its source was launched when it was made; of an AMI.
    pub launch: Option<LaunchParameters>,
    /// The source's tags that did not fit on the artifact.
    pub tags: BTreeMap<String, String>,
}

/// What a backup's point in time is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// As after a power failure.
    Crash,
    /// The instance was stopped before the call and still after it, without a start in between.
    Stopped,
    /// EC2 rebooted the instance for it.
    Rebooted,
    /// Writes were held inside the guest over the point in time, and found held after it.
    Application,
}

impl Consistency {
    /// Its spelling in records and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Stopped => "stopped",
            Self::Rebooted => "rebooted",
            Self::Application => "application",
        }
    }

    /// The level for a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Crash,
            Self::Stopped,
            Self::Rebooted,
            Self::Application,
        ]
        .into_iter()
        .find(|level| level.as_str() == text)
    }
}

impl Node {
    /// A node of which only the state is known.
    pub fn new(id: impl Into<String>, state: NodeState, changed: Timestamp) -> Self {
        Self {
            id: id.into(),
            state,
            changed,
            policy: None,
            slot: None,
            run: None,
            source: None,
            time: None,
            consistency: None,
            frozen_ms: None,
            excluded: Vec::new(),
            not_covered: Vec::new(),
            launch: None,
            tags: BTreeMap::new(),
        }
    }

    /// Whether it was found standing, or gone by another's hand, after a deletion by Holdfast whose
    /// intent was recorded at `deleted`, on the wall clock, and too late for a list that merely lags:
    /// it came back out of the Recycle Bin, and that deletion is not how it went since.
    #[must_use]
    pub fn outlives(&self, deleted: Timestamp) -> bool {
        let by_holdfast = matches!(self.state, NodeState::Deleted | NodeState::Deleting);
        !by_holdfast && lists_have_caught_up(deleted, self.changed)
    }

    /// What is known after `seen`: a fact once recorded is not forgotten by a record without it.
    #[must_use]
    pub fn merged(before: Option<&Self>, seen: &Self) -> Self {
        let Some(before) = before else {
            return seen.clone();
        };
        let state = before.state.after(seen.state, before.changed, seen.changed);
        let changed = if state == before.state {
            before.changed
        } else {
            seen.changed
        };
        let tags = if seen.tags.is_empty() {
            &before.tags
        } else {
            &seen.tags
        };
        let list = |seen: &Vec<String>, before: &Vec<String>| {
            let known = if seen.is_empty() { before } else { seen };
            known.clone()
        };
        Self {
            id: before.id.clone(),
            state,
            changed,
            policy: seen.policy.clone().or_else(|| before.policy.clone()),
            slot: seen.slot.or(before.slot),
            run: seen.run.clone().or_else(|| before.run.clone()),
            source: seen.source.clone().or_else(|| before.source.clone()),
            time: seen.time.or(before.time),
            consistency: seen.consistency.or(before.consistency),
            frozen_ms: seen.frozen_ms.or(before.frozen_ms),
            excluded: list(&seen.excluded, &before.excluded),
            not_covered: list(&seen.not_covered, &before.not_covered),
            launch: seen.launch.clone().or_else(|| before.launch.clone()),
            tags: tags.clone(),
        }
    }

    /// Whether it is a backup's node rather than a source's: a snapshot or an AMI.
    #[must_use]
    pub fn is_artifact(&self) -> bool {
        matches!(self.kind(), NodeKind::Snapshot | NodeKind::Image)
    }

    /// What the identifier says it is.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        NodeKind::of(&self.id)
    }
}

/// How two resources are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// A snapshot of a volume.
    SnapshotOf,
    /// An AMI of an instance.
    ImageOf,
    /// An AMI made from a snapshot.
    BackedBy,
    /// An instance launched from an AMI.
    LaunchedFrom,
    /// A volume attached to an instance.
    AttachedTo,
    /// A copy of a snapshot or an AMI.
    CopiedFrom,
    /// A volume or an instance restored from a backup.
    RestoredFrom,
}

impl EdgeKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::SnapshotOf,
        Self::ImageOf,
        Self::BackedBy,
        Self::LaunchedFrom,
        Self::AttachedTo,
        Self::CopiedFrom,
        Self::RestoredFrom,
    ];

    /// Its spelling in records and in `holdfast lineage`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SnapshotOf => "snapshot-of",
            Self::ImageOf => "image-of",
            Self::BackedBy => "backed-by",
            Self::LaunchedFrom => "launched-from",
            Self::AttachedTo => "attached-to",
            Self::CopiedFrom => "copied-from",
            Self::RestoredFrom => "restored-from",
        }
    }

    /// The kind for a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A directed relation between two resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The dependent one.
    pub from: String,
    /// What it came from.
    pub to: String,
    /// How.
    pub kind: EdgeKind,
}

impl Edge {
    /// An edge.
    pub fn new(from: impl Into<String>, kind: EdgeKind, to: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn a_lagging_list_does_not_revive_what_was_deleted() {
        use NodeState::{Completed, Deleted};
        assert_eq!(Deleted.after(Completed, at(0), at(10)), Deleted);
        assert_eq!(Deleted.after(Completed, at(0), at(16)), Completed);
    }

    #[test]
    fn a_late_pending_event_does_not_undo_a_completion() {
        use NodeState::{Completed, Pending};
        assert_eq!(Completed.after(Pending, at(0), at(60)), Completed);
        assert_eq!(Pending.after(Completed, at(0), at(0)), Completed);
    }

    #[test]
    fn what_we_deleted_is_not_reported_as_lost() {
        use NodeState::{Completed, Deleted, Gone};
        assert_eq!(Deleted.after(Gone, at(0), at(60)), Deleted);
        assert_eq!(Completed.after(Gone, at(0), at(60)), Gone);
    }

    #[test]
    fn every_edge_kind_has_the_contracts_spelling_and_reads_back() {
        let spelled: Vec<&str> = EdgeKind::ALL.iter().map(|k| k.as_str()).collect();
        assert_eq!(
            spelled,
            [
                "snapshot-of",
                "image-of",
                "backed-by",
                "launched-from",
                "attached-to",
                "copied-from",
                "restored-from"
            ]
        );
        for kind in EdgeKind::ALL {
            assert_eq!(EdgeKind::parse(kind.as_str()), Some(kind));
        }
    }
}
