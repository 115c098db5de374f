//! Volumes and their attachments.

use std::borrow::Cow;

use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{Tags, VolumeState};
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::spell;

/// An attachment of a volume to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAttachment {
    /// The volume.
    pub volume: VolumeId,
    /// The instance.
    pub instance: InstanceId,
    /// Device name on that instance.
    pub device: String,
    /// `attaching`, `attached`, `detaching`, `detached` or `busy`.
    pub state: String,
    /// When it was attached.
    pub attached: Timestamp,
    /// Whether the volume goes with the instance.
    pub delete_on_termination: bool,
}

/// An EBS volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its identifier.
    pub id: VolumeId,
    /// Its state.
    pub state: VolumeState,
    /// Such as `gp3`.
    pub volume_type: String,
    /// Size in GiB.
    pub size_gib: i32,
    /// Provisioned IOPS; none for a type that has none.
    pub iops: Option<i32>,
    /// Provisioned throughput in MiB/s; none for a type that has none.
    pub throughput: Option<i32>,
    /// The rate in MiB/s at which it is initialized from its snapshot, where one was asked for.
    pub initialization_rate: Option<i32>,
    /// Availability Zone.
    pub zone: String,
    /// The snapshot it was made from.
    pub snapshot: Option<SnapshotId>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// ARN of the customer's key it is encrypted under; none with `encrypted`: the account's
    /// default key.
    pub kms_key: Option<String>,
    /// Whether several instances may attach it.
    pub multi_attach: bool,
    /// Whether an AWS service manages it; lists show it only with `IncludeManagedResources`.
    pub managed: bool,
    /// What it is attached to.
    pub attachments: Vec<VolumeAttachment>,
    /// Its tags.
    pub tags: Tags,
    pub(crate) listed_from: Timestamp,
    /// When the last snapshot of it was begun.
    pub(crate) last_snapshot: Option<Timestamp>,
    /// Snapshots of it that are pending.
    pub(crate) pending_snapshots: usize,
}

impl Volume {
    /// Snapshots of one volume that may be pending at once `[Q]`.
    pub(crate) fn pending_limit(&self) -> usize {
        match self.volume_type.as_str() {
            "st1" | "sc1" => 1,
            _ => 5,
        }
    }
}

impl Filterable for Volume {
    const NAMES: &'static [&'static str] = &[
        "attachment.delete-on-termination",
        "attachment.device",
        "attachment.instance-id",
        "attachment.status",
        "availability-zone",
        "create-time",
        "encrypted",
        "multi-attach-enabled",
        "size",
        "snapshot-id",
        "status",
        "volume-id",
        "volume-type",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let each = |of: fn(&VolumeAttachment) -> &str| {
            self.attachments
                .iter()
                .map(|a| Cow::Borrowed(of(a)))
                .collect()
        };
        let truth = |b: bool| Cow::Borrowed(if b { "true" } else { "false" });
        match name {
            "attachment.delete-on-termination" => self
                .attachments
                .iter()
                .map(|a| truth(a.delete_on_termination))
                .collect(),
            "attachment.device" => each(|a| &a.device),
            "attachment.instance-id" => each(|a| a.instance.as_str()),
            "attachment.status" => each(|a| &a.state),
            "availability-zone" => vec![Cow::Borrowed(&self.zone)],
            "create-time" => vec![Cow::Owned(spell(self.created))],
            "encrypted" => vec![truth(self.encrypted)],
            "multi-attach-enabled" => vec![truth(self.multi_attach)],
            "size" => vec![Cow::Owned(self.size_gib.to_string())],
            "snapshot-id" => self
                .snapshot
                .iter()
                .map(|s| Cow::Borrowed(s.as_str()))
                .collect(),
            "status" => vec![Cow::Borrowed(self.state.as_str())],
            "volume-id" => vec![Cow::Borrowed(self.id.as_str())],
            "volume-type" => vec![Cow::Borrowed(&self.volume_type)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
