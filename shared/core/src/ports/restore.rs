//! What a restore reads of EC2 and asks of it.
//!
//! A trait of its own, because nothing but the command line restores: no function has these
//! permissions.

use std::future::Future;

use super::CallError;
use crate::id::{ImageId, InstanceId, SnapshotId, VolumeId};
pub use crate::inventory::LaunchParameters;
use crate::inventory::{Image, Instance, LaunchTemplateVersion, Listing, Snapshot, Tags, Volume};

/// A snapshot with what a restore of it needs besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// ARN of the KMS key it is encrypted under; none for one that is not encrypted.
    pub kms_key: Option<String>,
}

/// A volume with where it is and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The volume.
    pub volume: Volume,
    /// Availability Zone.
    pub zone: Option<String>,
    /// IOPS as EC2 tells them: of gp2 the baseline, which nobody can provision.
    pub iops: Option<i32>,
    /// Throughput in MiB/s.
    pub throughput: Option<i32>,
}

/// An instance with how it was launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The instance.
    pub instance: Instance,
    /// How it was launched.
    pub launch: LaunchParameters,
}

/// A version of a launch template with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVersion {
    /// The version.
    pub version: LaunchTemplateVersion,
    /// Its description.
    pub description: Option<String>,
}

/// A launch template as people name it: `lt-…` or its name, with a version or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateChoice {
    /// `lt-…` or the name.
    pub template: String,
    /// A number, `$Latest` or `$Default`; none: see each use.
    pub version: Option<String>,
}

impl TemplateChoice {
    /// Reads `TEMPLATE` or `TEMPLATE:VERSION`. Names of launch templates have no colon
    /// (`LaunchTemplateName`, EC2 API Reference).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (template, version) = match text.split_once(':') {
            Some((template, version)) => (template, Some(version)),
            None => (text, None),
        };
        let number = |v: &str| v.parse::<u32>().is_ok_and(|n| n > 0);
        let known = |v: &str| matches!(v, "$Latest" | "$Default") || number(v);
        let plain = !template.is_empty() && version.is_none_or(known);
        plain.then(|| Self {
            template: template.to_owned(),
            version: version.map(str::to_owned),
        })
    }

    /// Whether it is named by its identifier.
    #[must_use]
    pub fn is_id(&self) -> bool {
        self.template.starts_with("lt-")
    }
}

/// Which snapshots to list; always one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredScope {
    /// Those named, asked for by filter, so that a missing one is absent rather than an error.
    Ids(Vec<SnapshotId>),
    /// Those of a volume.
    OfVolume(VolumeId),
    /// Those that carry all of these tags.
    Tagged(Tags),
}

/// Which volumes or instances to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<I> {
    /// Those named, asked for by filter.
    Ids(Vec<I>),
    /// Those that carry all of these tags.
    Tagged(Tags),
}

/// A request for a volume: `CreateVolume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRequest {
    /// What it is made from.
    pub snapshot: SnapshotId,
    /// Availability Zone.
    pub zone: String,
    /// Such as `gp3`; EC2's own default is `gp2`.
    pub volume_type: String,
    /// IOPS, where the type lets them be chosen.
    pub iops: Option<i32>,
    /// Throughput in MiB/s, where the type lets it be chosen.
    pub throughput: Option<i32>,
    /// `VolumeInitializationRate` in MiB/s.
    pub initialization_rate: Option<i32>,
    /// Tags put on it.
    pub tags: Tags,
    /// Client token: the same one with the same words makes nothing twice.
    pub token: String,
}

/// What an instance is launched by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchBy {
    /// Parameters taken over from another instance.
    Parameters(LaunchParameters),
    /// A launch template; without a version its default one.
    Template(TemplateChoice),
}

/// A request for one instance: `RunInstances`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRequest {
    /// What it is launched from.
    pub image: ImageId,
    /// How.
    pub by: LaunchBy,
    /// Tags put on the instance.
    pub tags: Tags,
    /// Tags put on its volumes.
    pub volume_tags: Tags,
    /// Client token.
    pub token: String,
}

/// A request for a version of a launch template: `CreateLaunchTemplateVersion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRequest {
    /// The template, and the version that the new one takes everything over from but its image;
    /// none: the latest.
    pub base: TemplateChoice,
    /// The new version's image.
    pub image: ImageId,
    /// The new version's description.
    pub description: String,
    /// Client token.
    pub token: String,
}

/// Reads what a restore needs to know, and makes what it is to make. No method changes or takes
/// away anything that is there, but [`Self::attach_volume`], which attaches a volume.
pub trait RestoreEc2: Send + Sync {
    /// Snapshots.
    fn stored(&self, scope: &StoredScope) -> impl Future<Output = Listing<Stored>> + Send;
    /// Volumes in any state.
    fn disks(&self, wanted: &Wanted<VolumeId>) -> impl Future<Output = Listing<Disk>> + Send;
    /// Instances in any state.
    fn machines(
        &self,
        wanted: &Wanted<InstanceId>,
    ) -> impl Future<Output = Listing<Machine>> + Send;
    /// One's own images that were made of an instance, disabled and deprecated ones included.
    fn images_of(&self, instance: &InstanceId) -> impl Future<Output = Listing<Image>> + Send;
    /// Every version of one launch template.
    fn template_versions(
        &self,
        template: &TemplateChoice,
    ) -> impl Future<Output = Listing<TemplateVersion>> + Send;
    /// `CreateVolume`.
    fn create_volume(
        &self,
        request: &VolumeRequest,
    ) -> impl Future<Output = Result<VolumeId, CallError>> + Send;
    /// `AttachVolume`. It has no client token: a second call finds the device in use.
    fn attach_volume(
        &self,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &str,
    ) -> impl Future<Output = Result<(), CallError>> + Send;
    /// `RunInstances`, one instance.
    fn launch(
        &self,
        request: &LaunchRequest,
    ) -> impl Future<Output = Result<InstanceId, CallError>> + Send;
    /// `CreateLaunchTemplateVersion`; the new version's number.
    fn create_template_version(
        &self,
        request: &VersionRequest,
    ) -> impl Future<Output = Result<i64, CallError>> + Send;
}
