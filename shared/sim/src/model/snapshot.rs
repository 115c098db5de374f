//! Snapshots.

use std::borrow::Cow;
use std::collections::BTreeSet;

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{SnapshotState, Tags};
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::lock::Lock;
use crate::model::spell;
use crate::model::tier::TierHistory;

/// An EBS snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: SnapshotId,
    /// The volume it was taken of; `vol-ffffffff` for a copy.
    pub volume: VolumeId,
    /// Its state.
    pub state: SnapshotState,
    /// Why it is in `error`; only `DescribeSnapshots` gives it `[B]`.
    pub state_message: Option<String>,
    /// The point in time it holds.
    pub started: Timestamp,
    /// When it completed.
    pub completed: Option<Timestamp>,
    /// Account that owns it.
    pub owner: String,
    /// Alias of the owner, such as `amazon`.
    pub owner_alias: Option<String>,
    /// Size of the volume in GiB.
    pub size_gib: i32,
    /// Its description.
    pub description: String,
    /// `standard` or `archive`.
    pub tier: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// ARN of the customer's key it is encrypted under; none with `encrypted`: the account's
    /// default key.
    pub kms_key: Option<String>,
    /// Whether everybody may use it.
    pub public: bool,
    /// Accounts that may use it.
    pub shared_with: BTreeSet<String>,
    /// Its lock, expired or not.
    pub lock: Option<Lock>,
    /// How it came to its tier.
    pub tiering: TierHistory,
    /// The snapshot it is a copy of. No API shows it.
    pub copied_from: Option<SnapshotId>,
    /// Its tags.
    pub tags: Tags,
    /// From when on lists show it.
    pub(crate) listed_from: Timestamp,
    /// The multi-volume set it belongs to.
    pub(crate) set: Option<u64>,
    /// What it will fail with.
    pub(crate) fails_with: Option<String>,
    /// Deletion was asked for while it was pending.
    pub(crate) delete_when_settled: bool,
}

impl Snapshot {
    /// Progress as EC2 spells it.
    #[must_use]
    pub fn progress(&self) -> &'static str {
        match self.state {
            SnapshotState::Completed => "100%",
            _ => "0%",
        }
    }
}

impl Filterable for Snapshot {
    const NAMES: &'static [&'static str] = &[
        "description",
        "encrypted",
        "owner-alias",
        "owner-id",
        "progress",
        "snapshot-id",
        "start-time",
        "status",
        "storage-tier",
        "volume-id",
        "volume-size",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let one: Cow<'_, str> = match name {
            "description" => Cow::Borrowed(&self.description),
            "encrypted" => Cow::Borrowed(if self.encrypted { "true" } else { "false" }),
            "owner-alias" => match &self.owner_alias {
                Some(alias) => Cow::Borrowed(alias),
                None => return Vec::new(),
            },
            "owner-id" => Cow::Borrowed(&self.owner),
            "progress" => Cow::Borrowed(self.progress()),
            "snapshot-id" => Cow::Borrowed(self.id.as_str()),
            "start-time" => Cow::Owned(spell(self.started)),
            "status" => Cow::Borrowed(self.state.as_str()),
            "storage-tier" => Cow::Borrowed(&self.tier),
            "volume-id" => Cow::Borrowed(self.volume.as_str()),
            "volume-size" => Cow::Owned(self.size_gib.to_string()),
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
