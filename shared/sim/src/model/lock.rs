//! Locks of snapshots.

use std::borrow::Cow;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::Tags;
use jiff::{SignedDuration, Timestamp};

use crate::filter::Filterable;

/// Mode of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Whoever has the permission may unlock.
    Governance,
    /// Nobody may unlock once the cooling-off period is over.
    Compliance,
}

/// When a lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockEnd {
    /// So many days after it started.
    After(i32),
    /// At this time.
    At(Timestamp),
}

/// State of a lock (API Reference, "LockedSnapshotsInfo").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Locked; may be unlocked and modified.
    Governance,
    /// Locked in compliance mode; may still be unlocked and modified.
    ComplianceCoolOff,
    /// Locked; may only be extended.
    Compliance,
    /// No longer locked.
    Expired,
}

impl LockState {
    /// EC2's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::ComplianceCoolOff => "compliance-cooloff",
            Self::Compliance => "compliance",
            Self::Expired => "expired",
        }
    }
}

/// The lock of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Its mode.
    pub mode: LockMode,
    /// When it ends.
    pub end: LockEnd,
    /// Hours of the cooling-off period, and its end; compliance mode only.
    pub cool_off: Option<(i32, Timestamp)>,
    /// When the snapshot was locked.
    pub created: Timestamp,
    /// When its duration started; none while the snapshot is pending: a pending snapshot's lock
    /// starts when the snapshot completes (API Reference, "LockedSnapshotsInfo").
    pub started: Option<Timestamp>,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Lock {
    /// When it will end if its duration started with the snapshot's completion or, while that is
    /// pending, with the lock.
    pub(crate) fn reckoned_end(&self) -> Timestamp {
        match self.end {
            LockEnd::At(time) => time,
            LockEnd::After(days) => self
                .started
                .unwrap_or(self.created)
                .checked_add(DAY.saturating_mul(days))
                .unwrap_or(Timestamp::MAX),
        }
    }

    /// When it ends; none while a duration in days has not started.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match (self.end, self.started) {
            (LockEnd::After(_), None) => None,
            _ => Some(self.reckoned_end()),
        }
    }

    /// Its duration in days; a rest of a day counts as one.
    #[must_use]
    pub fn days(&self) -> i32 {
        match self.end {
            LockEnd::After(days) => days,
            LockEnd::At(time) => {
                let from = self.started.unwrap_or(self.created);
                let seconds = time.duration_since(from).as_secs().max(0);
                i32::try_from((seconds + 86_399) / 86_400).unwrap_or(i32::MAX)
            }
        }
    }

    /// Its state at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> LockState {
        if self.expires().is_some_and(|end| end <= now) {
            return LockState::Expired;
        }
        match self.mode {
            LockMode::Governance => LockState::Governance,
            LockMode::Compliance if self.cool_off.is_some_and(|(_, until)| now < until) => {
                LockState::ComplianceCoolOff
            }
            LockMode::Compliance => LockState::Compliance,
        }
    }
}

/// A locked snapshot as `DescribeLockedSnapshots` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its owner.
    pub owner: String,
    /// Its lock.
    pub lock: Lock,
    /// State of the lock now.
    pub state: LockState,
}

impl Filterable for LockedSnapshot {
    const NAMES: &'static [&'static str] = &["lock-state"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "lock-state" => vec![Cow::Borrowed(self.state.as_str())],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}
