//! Fast snapshot restore.

use std::borrow::Cow;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::Tags;
use jiff::Timestamp;

use crate::filter::Filterable;

/// State of fast restore of one snapshot in one zone `[B]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastRestoreState {
    /// Asked for.
    Enabling,
    /// Being made ready.
    Optimizing,
    /// In force.
    Enabled,
    /// Being ended.
    Disabling,
    /// Ended.
    Disabled,
}

impl FastRestoreState {
    /// EC2's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabling => "enabling",
            Self::Optimizing => "optimizing",
            Self::Enabled => "enabled",
            Self::Disabling => "disabling",
            Self::Disabled => "disabled",
        }
    }

    /// Whether it is in force or on its way there.
    #[must_use]
    pub fn is_on(self) -> bool {
        matches!(self, Self::Enabling | Self::Optimizing | Self::Enabled)
    }

    /// What follows by itself.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Enabling => Some(Self::Optimizing),
            Self::Optimizing => Some(Self::Enabled),
            Self::Disabling => Some(Self::Disabled),
            Self::Enabled | Self::Disabled => None,
        }
    }
}

/// Fast restore of one snapshot in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastRestore {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Availability Zone.
    pub zone: String,
    /// Its state.
    pub state: FastRestoreState,
    /// The account that enabled it, which need not own the snapshot.
    pub owner: String,
    /// The states it was in since it was last enabled, with their times; the last is the present.
    pub history: Vec<(FastRestoreState, Timestamp)>,
    /// When the next state is due.
    pub(crate) due: Option<Timestamp>,
}

impl FastRestore {
    /// When it entered a state.
    #[must_use]
    pub fn entered(&self, state: FastRestoreState) -> Option<Timestamp> {
        self.history
            .iter()
            .find(|(s, _)| *s == state)
            .map(|(_, time)| *time)
    }
}

impl Filterable for FastRestore {
    const NAMES: &'static [&'static str] =
        &["availability-zone", "owner-id", "snapshot-id", "state"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "availability-zone" => vec![Cow::Borrowed(&self.zone)],
            "owner-id" => vec![Cow::Borrowed(&self.owner)],
            "snapshot-id" => vec![Cow::Borrowed(self.snapshot.as_str())],
            "state" => vec![Cow::Borrowed(self.state.as_str())],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}

/// What one call could and could not do, by snapshot and zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastRestoreChanges {
    /// What was done.
    pub successful: Vec<FastRestore>,
    /// What was not: snapshot, zone, code and message.
    pub unsuccessful: Vec<FastRestoreRefusal>,
}

/// Why fast restore of one snapshot in one zone was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastRestoreRefusal {
    /// The snapshot as the request names it.
    pub snapshot: String,
    /// Availability Zone.
    pub zone: String,
    /// Error code.
    pub code: String,
    /// Words for people.
    pub message: String,
}
