//! AMIs.

use std::borrow::Cow;
use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::{ImageState, Tags};
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::device::{BlockDevice, DeviceTarget};
use crate::model::permission::Grantee;
use crate::model::spell;

/// Whether an AMI is protected from deregistration (EC2 User Guide, "Protect an AMI from
/// deregistration").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeregistrationProtection {
    /// Not protected.
    Disabled,
    /// Protected.
    Enabled {
        /// Protection outlives its end by 24 hours.
        cooldown: bool,
    },
    /// Protection was ended and lasts until this time.
    Cooling(Timestamp),
}

/// An AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its identifier.
    pub id: ImageId,
    /// Its name, unique among the images of account and Region.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its state.
    pub state: ImageState,
    /// Code and message of the failure.
    pub state_reason: Option<(String, String)>,
    /// Account that owns it.
    pub owner: String,
    /// Alias of the owner, such as `amazon`, or `aws-backup-vault` where AWS Backup manages it.
    pub owner_alias: Option<String>,
    /// Whether everybody may launch it.
    pub public: bool,
    /// Who else may launch it; never [`Grantee::Everybody`].
    pub shared_with: BTreeSet<Grantee>,
    /// When it was made.
    pub created: Timestamp,
    /// The instance it was made of; `CreateImage` only `[B]`.
    pub source_instance: Option<InstanceId>,
    /// The AMI that instance was launched from, or the one it is a copy of `[B]`.
    pub source_image: Option<ImageId>,
    /// The Region of that AMI.
    pub source_region: Option<String>,
    /// When it was last used to launch an instance, as its owner is told: late, and not at all
    /// where it never was (EC2 User Guide, "Check when an AMI was last used").
    pub last_launched: Option<Timestamp>,
    /// Name of the root device.
    pub root_device: String,
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// `i386`, `x86_64` or `arm64`.
    pub architecture: String,
    /// Its devices.
    pub mappings: Vec<BlockDevice>,
    /// Protection from deregistration.
    pub protection: DeregistrationProtection,
    /// After this time it is deprecated: hidden from others, shown to its owner.
    pub deprecated_from: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
    pub(crate) listed_from: Timestamp,
    pub(crate) fails_with: Option<String>,
    /// Made without a reboot and still pending: counts towards EC2's limit.
    pub(crate) no_reboot: bool,
}

impl Image {
    /// The snapshots that its devices are made from.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        self.mappings.iter().filter_map(BlockDevice::snapshot)
    }

    /// Whether it is protected from deregistration at `now`.
    #[must_use]
    pub fn is_protected(&self, now: Timestamp) -> bool {
        match self.protection {
            DeregistrationProtection::Disabled => false,
            DeregistrationProtection::Enabled { .. } => true,
            DeregistrationProtection::Cooling(until) => now < until,
        }
    }

    /// The same image without its snapshots' identifiers.
    pub(crate) fn without_snapshot_ids(&self) -> Self {
        let mut image = self.clone();
        for mapping in &mut image.mappings {
            if let DeviceTarget::Ebs(ebs) = &mut mapping.target {
                ebs.snapshot = None;
            }
        }
        image
    }
}

impl Filterable for Image {
    const NAMES: &'static [&'static str] = &[
        "architecture",
        "block-device-mapping.device-name",
        "block-device-mapping.snapshot-id",
        "creation-date",
        "description",
        "image-id",
        "is-public",
        "name",
        "owner-alias",
        "owner-id",
        "root-device-name",
        "root-device-type",
        "source-image-id",
        "source-image-region",
        "source-instance-id",
        "state",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let one: Cow<'_, str> = match name {
            "architecture" => Cow::Borrowed(&self.architecture),
            "block-device-mapping.device-name" => {
                return self
                    .mappings
                    .iter()
                    .map(|m| Cow::Borrowed(m.device.as_str()))
                    .collect();
            }
            "block-device-mapping.snapshot-id" => {
                return self
                    .snapshots()
                    .map(|s| Cow::Borrowed(s.as_str()))
                    .collect();
            }
            "creation-date" => Cow::Owned(spell(self.created)),
            "description" => Cow::Borrowed(&self.description),
            "image-id" => Cow::Borrowed(self.id.as_str()),
            "is-public" => Cow::Borrowed(if self.public { "true" } else { "false" }),
            "name" => Cow::Borrowed(&self.name),
            "owner-alias" => match &self.owner_alias {
                Some(alias) => Cow::Borrowed(alias),
                None => return Vec::new(),
            },
            "owner-id" => Cow::Borrowed(&self.owner),
            "root-device-name" => Cow::Borrowed(&self.root_device),
            "root-device-type" => Cow::Borrowed(&self.root_device_type),
            "source-image-id" => match &self.source_image {
                Some(id) => Cow::Borrowed(id.as_str()),
                None => return Vec::new(),
            },
            "source-image-region" => match &self.source_region {
                Some(region) => Cow::Borrowed(region),
                None => return Vec::new(),
            },
            "source-instance-id" => match &self.source_instance {
                Some(id) => Cow::Borrowed(id.as_str()),
                None => return Vec::new(),
            },
            "state" => Cow::Borrowed(self.state.as_str()),
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
