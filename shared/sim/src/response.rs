//! Answers of the EC2 API, as plain data.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::{InstanceState, Tags};
use jiff::Timestamp;

use crate::model::auto_scaling::{AutoScalingGroup, InstanceRefresh, LaunchConfiguration};
use crate::model::fast_restore::{FastRestore, FastRestoreChanges};
use crate::model::fleet::{Fleet, SpotFleet, SpotRequest};
use crate::model::image::Image;
use crate::model::image_reference::ImageReference;
use crate::model::instance::Instance;
use crate::model::instance_type::InstanceTypeInfo;
use crate::model::launch_template::{LaunchTemplate, LaunchTemplateVersion};
use crate::model::lock::LockedSnapshot;
use crate::model::permission::Grantee;
use crate::model::recycle_bin::Binned;
use crate::model::snapshot::Snapshot;
use crate::model::tier::TierStatus;
use crate::model::volume::{Volume, VolumeAttachment};
use crate::page::Page;

/// One tag of one resource, as `DescribeTags` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagDescription {
    /// The resource.
    pub resource: String,
    /// Its type, such as `snapshot`.
    pub resource_type: &'static str,
    /// The tag's key.
    pub key: String,
    /// The tag's value.
    pub value: String,
}

/// What `DeregisterImage` says of one snapshot it was to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// `success`, `skipped`, `missing-permissions`, `internal-error` or `client-error` `[B]`.
    pub return_code: &'static str,
}

/// One attribute of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageAttribute {
    /// Who may launch it besides its owner.
    LaunchPermission(Vec<Grantee>),
    /// Its description.
    Description(String),
}

/// A restore from the archive that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRestore {
    /// The snapshot.
    pub id: SnapshotId,
    /// When.
    pub started: Timestamp,
    /// For how many days; none: for good.
    pub days: Option<i32>,
}

/// A change of an instance's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The instance.
    pub instance: InstanceId,
    /// Its state before the call.
    pub previous: InstanceState,
    /// Its state after it.
    pub current: InstanceState,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Of `DescribeInstances`.
    Instances(Page<Instance>),
    /// Of `DescribeVolumes`.
    Volumes(Page<Volume>),
    /// Of `DescribeSnapshots`.
    Snapshots(Page<Snapshot>),
    /// Of `DescribeImages`.
    Images(Page<Image>),
    /// Of `DescribeLaunchTemplates`.
    LaunchTemplates(Page<LaunchTemplate>),
    /// Of `DescribeLaunchTemplateVersions`.
    LaunchTemplateVersions(Page<LaunchTemplateVersion>),
    /// Of `DescribeInstanceTypes`.
    InstanceTypes(Page<InstanceTypeInfo>),
    /// Of `DescribeTags`.
    Tags(Page<TagDescription>),
    /// Of `CreateSnapshot`.
    Snapshot(Box<Snapshot>),
    /// Of `CreateSnapshots`.
    SnapshotSet(Vec<Snapshot>),
    /// Of `CopySnapshot`: the copy and its tags.
    SnapshotCopied(SnapshotId, Tags),
    /// Of `RegisterImage`, `CreateImage` and `CopyImage`.
    ImageMade(ImageId),
    /// Of `DeregisterImage`.
    Deregistered(Vec<DeletedSnapshot>),
    /// Of `DescribeSnapshotAttribute` for `createVolumePermission`.
    SnapshotPermissions(SnapshotId, Vec<Grantee>),
    /// Of `DescribeSnapshotAttribute` for `productCodes`: there are none.
    SnapshotProductCodes(SnapshotId),
    /// Of `DescribeImageAttribute`.
    ImageAttribute(ImageId, ImageAttribute),
    /// Of `LockSnapshot`.
    Locked(Box<LockedSnapshot>),
    /// Of `UnlockSnapshot`.
    Unlocked(SnapshotId),
    /// Of `DescribeLockedSnapshots`.
    LockedSnapshots(Page<LockedSnapshot>),
    /// Of `ListSnapshotsInRecycleBin`.
    BinnedSnapshots(Page<Binned<Snapshot>>),
    /// Of `ListImagesInRecycleBin`.
    BinnedImages(Page<Binned<Image>>),
    /// Of `RestoreSnapshotFromRecycleBin`.
    RestoredSnapshot(Box<Snapshot>),
    /// Of `DescribeImageReferences`.
    ImageReferences(Page<ImageReference>),
    /// Of `EnableFastSnapshotRestores` and `DisableFastSnapshotRestores`.
    FastRestoresChanged(FastRestoreChanges),
    /// Of `DescribeFastSnapshotRestores`.
    FastRestores(Page<FastRestore>),
    /// Of `ModifySnapshotTier`: the snapshot, and when archiving began.
    TieringStarted(SnapshotId, Timestamp),
    /// Of `RestoreSnapshotTier`.
    TierRestoreStarted(TierRestore),
    /// Of `DescribeSnapshotTierStatus`.
    TierStatuses(Page<TierStatus>),
    /// Of `DescribeFleets`.
    Fleets(Page<Fleet>),
    /// Of `DescribeSpotFleetRequests`.
    SpotFleets(Page<SpotFleet>),
    /// Of `DescribeSpotInstanceRequests`.
    SpotRequests(Page<SpotRequest>),
    /// Of `DescribeLaunchConfigurations`.
    LaunchConfigurations(Page<LaunchConfiguration>),
    /// Of `DescribeAutoScalingGroups`.
    AutoScalingGroups(Page<AutoScalingGroup>),
    /// Of `DescribeInstanceRefreshes`.
    InstanceRefreshes(Page<InstanceRefresh>),
    /// Of `CreateVolume`.
    Volume(Box<Volume>),
    /// Of `AttachVolume` and `DetachVolume`.
    Attachment(VolumeAttachment),
    /// Of `RunInstances`.
    Launched(Vec<Instance>),
    /// Of `StopInstances`, `StartInstances` and `TerminateInstances`.
    StateChanges(Vec<StateChange>),
    /// Of `CreateLaunchTemplate` and `DeleteLaunchTemplate`.
    LaunchTemplate(Box<LaunchTemplate>),
    /// Of `CreateLaunchTemplateVersion`.
    LaunchTemplateVersion(Box<LaunchTemplateVersion>),
    /// Of calls that answer only that they were done.
    Done,
}
