//! What stands in the account: volumes, instances, snapshots, images and what refers to them.
//!
//! Plain data as EC2 described it. States that Holdfast does not know are carried as
//! `Unknown(text)` and never guessed at. Times are UTC.

mod key;
mod launch;
mod lifecycle;
mod listing;
mod protection;
mod referrer;
pub mod table;
mod template;
mod whole;

pub use key::KeyState;
pub use launch::LaunchParameters;
pub use lifecycle::Lifecycle;
pub use listing::{Items, List, Listing, Reading, Source};
pub use protection::{
    Binned, FastRestore, ImageReference, ReferenceScope, ReferenceType, Share, SnapshotLock,
};
pub use referrer::{Referrer, ReferrerKind, TemplateName, TemplateUse, refresh_is_over};
pub use template::{TemplateEntry, differing, with_known};
pub use whole::Inventory;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};

/// Tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;

macro_rules! state {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A state that Holdfast does not know, as EC2 spelled it.
            Unknown(String),
        }

        impl $name {
            /// The state for EC2's spelling.
            #[must_use]
            pub fn parse(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }

            /// EC2's spelling of the state.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(other) => other,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

state!(
    /// State of an EBS snapshot.
    SnapshotState {
        /// Data is still being copied.
        Pending = "pending",
        /// Usable.
        Completed = "completed",
        /// Failed for good.
        Error = "error",
        /// In the Recycle Bin.
        Recoverable = "recoverable",
        /// Being taken out of the Recycle Bin.
        Recovering = "recovering",
    }
);
state!(
    /// State of an AMI.
    ImageState {
        /// Being made.
        Pending = "pending",
        /// Usable.
        Available = "available",
        /// Failed for good.
        Failed = "failed",
        /// Hidden from use by its owner; its snapshots are still its own.
        Disabled = "disabled",
        /// Gone, but still listed for a short time.
        Deregistered = "deregistered",
        /// EC2's state `invalid`.
        Invalid = "invalid",
        /// EC2's state `transient`.
        Transient = "transient",
        /// EC2's state `error`.
        Error = "error",
    }
);
state!(
    /// State of an instance.
    InstanceState {
        /// Starting.
        Pending = "pending",
        /// Running.
        Running = "running",
        /// Stopping.
        Stopping = "stopping",
        /// Stopped.
        Stopped = "stopped",
        /// On its way to terminated.
        ShuttingDown = "shutting-down",
        /// Gone, but still listed for about an hour.
        Terminated = "terminated",
    }
);
state!(
    /// State of a volume.
    VolumeState {
        /// Being made.
        Creating = "creating",
        /// Usable, attached to nothing.
        Available = "available",
        /// Usable, attached.
        InUse = "in-use",
        /// Being deleted.
        Deleting = "deleting",
        /// Gone.
        Deleted = "deleted",
        /// Unusable.
        Error = "error",
    }
);

/// A block device that an instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDevice {
    /// Device name, such as `/dev/sda1`.
    pub name: String,
    /// The EBS volume behind it; none for anything that is not EBS.
    pub volume: Option<VolumeId>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its identifier.
    pub id: InstanceId,
    /// Its state when it was listed.
    pub state: InstanceState,
    /// The AMI it was launched from.
    pub image: Option<ImageId>,
    /// Such as `m5d.large`.
    pub instance_type: Option<String>,
    /// When it was last launched.
    pub launched: Option<Timestamp>,
    /// Name of the root device.
    pub root_device: Option<String>,
    /// `ebs` or `instance-store`.
    pub root_device_type: Option<String>,
    /// Block devices as the instance's own description lists them.
    pub devices: Vec<InstanceDevice>,
    /// What EC2 tells of its last change of state.
    pub lifecycle: Lifecycle,
    /// How it is launched, where that was kept.
    pub launch: Option<Box<LaunchParameters>>,
    /// Its tags.
    pub tags: Tags,
}

impl Instance {
    /// The volume behind the root device.
    #[must_use]
    pub fn root_volume(&self) -> Option<&VolumeId> {
        let root = self.root_device.as_deref()?;
        self.devices
            .iter()
            .find(|d| d.name == root)?
            .volume
            .as_ref()
    }
}

/// An attachment of a volume to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The instance.
    pub instance: InstanceId,
    /// Device name on that instance.
    pub device: String,
    /// `attaching`, `attached`, `detaching`, `detached` or `busy`.
    pub state: String,
}

/// An EBS volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its identifier.
    pub id: VolumeId,
    /// Its state when it was listed.
    pub state: VolumeState,
    /// Such as `gp3`.
    pub volume_type: Option<String>,
    /// Provisioned size in GiB.
    pub size_gib: Option<i32>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// ARN of the KMS key under which it, and every snapshot of it, is encrypted; none for a volume
    /// that is not encrypted (EBS User Guide, "Amazon EBS encryption").
    pub kms_key: Option<String>,
    /// What it is attached to; more than one with multi-attach.
    pub attachments: Vec<Attachment>,
    /// Its tags.
    pub tags: Tags,
}

/// An EBS snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: SnapshotId,
    /// The volume it was taken of; a placeholder (`vol-ffffffff`) for a copy.
    pub volume: Option<VolumeId>,
    /// Its state when it was listed.
    pub state: SnapshotState,
    /// The point in time it holds.
    pub start: Option<Timestamp>,
    /// Account that owns it.
    pub owner: Option<String>,
    /// Alias of the owner, such as `aws-backup-vault`.
    pub owner_alias: Option<String>,
    /// Provisioned size of the volume in GiB.
    pub size_gib: Option<i32>,
    /// `standard` or `archive`.
    pub tier: Option<String>,
    /// Why its state is `error`.
    pub state_message: Option<String>,
    /// ARN of the KMS key under which it is encrypted; none where it is not, and in answers that do
    /// not tell (`SnapshotInfo`, EC2 API Reference).
    pub kms_key: Option<String>,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
}

/// What one device of an AMI is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingTarget {
    /// An EBS snapshot; the identifier may be missing while the AMI is pending.
    Ebs(Option<SnapshotId>),
    /// An instance-store disk, `ephemeralN`.
    InstanceStore(String),
    /// Nothing: the device is left out on purpose.
    NoDevice,
    /// A shape that Holdfast does not know, behind which a snapshot may lie.
    Unknown,
}

/// One device of an AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageMapping {
    /// Device name.
    pub device: String,
    /// What it is made from.
    pub target: MappingTarget,
}

/// An AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its identifier.
    pub id: ImageId,
    /// Its name, unique in the account and Region.
    pub name: Option<String>,
    /// Its state when it was listed.
    pub state: ImageState,
    /// Why its state is `failed`.
    pub state_reason: Option<String>,
    /// Whether EC2 refuses to deregister it (deregistration protection, its cool-down included).
    pub deregistration_protected: bool,
    /// Account that owns it.
    pub owner: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The instance it was made of (`CreateImage` only).
    pub source_instance: Option<InstanceId>,
    /// The AMI it was copied from, or from which its instance was launched.
    pub source_image: Option<ImageId>,
    /// The Region of [`Self::source_image`].
    pub source_region: Option<String>,
    /// When it was last used to launch an instance, as EC2 reports it to the owner, up to 24 hours
    /// late (EC2 User Guide, "Check when an AMI was last used"); `None`: never, as far as known.
    pub last_launched: Option<Timestamp>,
    /// When it is or was deprecated.
    pub deprecated: Option<Timestamp>,
    /// Whether everybody may launch it.
    pub public: bool,
    /// Name of the root device.
    pub root_device: Option<String>,
    /// Its devices.
    pub mappings: Vec<ImageMapping>,
    /// Its tags.
    pub tags: Tags,
}

impl Image {
    /// Whether `CreateImage` made it of this instance; not of none.
    #[must_use]
    pub fn is_made_of(&self, instance: Option<&str>) -> bool {
        let source = self.source_instance.as_ref().map(AsRef::as_ref);
        source.is_some() && source == instance
    }

    /// The snapshots that the AMI's devices are made from.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        self.mappings.iter().filter_map(|m| match &m.target {
            MappingTarget::Ebs(id) => id.as_ref(),
            MappingTarget::InstanceStore(_) | MappingTarget::NoDevice | MappingTarget::Unknown => {
                None
            }
        })
    }

    /// The first device that may be made from a snapshot which EC2 does not name. What the AMI takes
    /// along when it is deregistered with its snapshots nobody knows.
    #[must_use]
    pub fn untold_device(&self) -> Option<&ImageMapping> {
        let mut mappings = self.mappings.iter();
        mappings.find(|m| matches!(m.target, MappingTarget::Ebs(None) | MappingTarget::Unknown))
    }
}

/// One version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTemplateVersion {
    /// The template.
    pub template: LaunchTemplateId,
    /// Name of the template.
    pub name: Option<String>,
    /// Number of the version, from 1.
    pub version: i64,
    /// Whether it is the template's default version.
    pub default: bool,
    /// What it names as its image: an AMI, or `resolve:ssm:…`.
    pub image: Option<String>,
    /// The AMI that a `resolve:ssm:…` stands for today, where EC2 could say (`ResolveAlias`).
    pub resolved: Option<ImageId>,
    /// Snapshots that its block-device mappings name.
    pub snapshots: Vec<SnapshotId>,
}

/// How a launch template names a parameter of Systems Manager instead of an AMI (EC2 User Guide,
/// "Use a Systems Manager parameter instead of an AMI ID").
const PARAMETER: &str = "resolve:ssm:";
/// Names that begin with `/aws` are reserved, and those under `/aws/service` are AWS's public
/// parameters (Systems Manager User Guide, "Working with public parameters").
const PUBLIC_PARAMETER: &str = "resolve:ssm:/aws/service/";

impl LaunchTemplateVersion {
    /// Whether its image is a parameter that may stand for an AMI of one's own. AWS's public
    /// parameters name AWS's AMIs, and nobody else can write them.
    #[must_use]
    pub fn names_private_parameter(&self) -> bool {
        let named = self.image.as_deref();
        named.is_some_and(|n| n.starts_with(PARAMETER) && !n.starts_with(PUBLIC_PARAMETER))
    }

    /// What a template's versions lack that every template has: a version at all, and its default
    /// one, whose number the template's own entry tells (a default version cannot be deleted;
    /// `DeleteLaunchTemplateVersions`, EC2 API Reference). Such a list is one of a read that lags.
    #[must_use]
    pub fn lacking(versions: &[Self], default: Option<i64>) -> Option<&'static str> {
        if versions.is_empty() {
            return Some("it is listed, and none of its versions is");
        }
        let listed = |number: i64| versions.iter().any(|v| v.version == number);
        let lacks = default.is_some_and(|number| !listed(number));
        lacks.then_some("its default version is not among those listed")
    }
}

/// What an instance type brings along in instance-store disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// Such as `m5d.large`.
    pub name: String,
    /// Number of instance-store disks.
    pub disks: u32,
    /// Whether they are NVMe, which attach by themselves whatever the AMI's mappings say.
    pub nvme: bool,
}
