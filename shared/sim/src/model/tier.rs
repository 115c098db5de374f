//! Storage tiers of snapshots.

use std::borrow::Cow;

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{SnapshotState, Tags};
use jiff::Timestamp;

use crate::filter::Filterable;

/// What a tiering does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieringKind {
    /// Moves the snapshot to the archive.
    Archival,
    /// Brings it back for good.
    PermanentRestore,
    /// Brings it back for so many days.
    TemporaryRestore(i32),
}

/// The last tiering of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiering {
    /// What it does.
    pub kind: TieringKind,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; none: in progress.
    pub ended: Option<Timestamp>,
}

impl Tiering {
    /// Its status as `LastTieringOperationStatus` has it `[B]`. Nothing here lets one fail.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (self.kind, self.ended.is_some()) {
            (TieringKind::Archival, false) => "archival-in-progress",
            (TieringKind::Archival, true) => "archival-completed",
            (TieringKind::PermanentRestore, false) => "permanent-restore-in-progress",
            (TieringKind::PermanentRestore, true) => "permanent-restore-completed",
            (TieringKind::TemporaryRestore(_), false) => "temporary-restore-in-progress",
            (TieringKind::TemporaryRestore(_), true) => "temporary-restore-completed",
        }
    }
}

/// Where a snapshot stands between the tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierHistory {
    /// The last tiering.
    pub last: Option<Tiering>,
    /// When the last archival ended.
    pub archived: Option<Timestamp>,
    /// When a temporary restore ends.
    pub restore_expires: Option<Timestamp>,
}

/// A snapshot as `DescribeSnapshotTierStatus` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierStatus {
    /// The snapshot.
    pub id: SnapshotId,
    /// The volume it was taken of.
    pub volume: VolumeId,
    /// Its state.
    pub state: SnapshotState,
    /// Its owner.
    pub owner: String,
    /// `standard` or `archive`.
    pub tier: String,
    /// How it came there.
    pub history: TierHistory,
    /// Its tags.
    pub tags: Tags,
}

impl Filterable for TierStatus {
    const NAMES: &'static [&'static str] = &["last-tiering-operation", "snapshot-id", "volume-id"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "last-tiering-operation" => self
                .history
                .last
                .iter()
                .map(|t| Cow::Borrowed(t.status()))
                .collect(),
            "snapshot-id" => vec![Cow::Borrowed(self.id.as_str())],
            "volume-id" => vec![Cow::Borrowed(self.volume.as_str())],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}
