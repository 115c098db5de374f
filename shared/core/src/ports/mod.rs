//! The few traits behind which I/O happens, and the plain data that crosses them.
//!
//! The AWS adapters implement them over the SDK, the simulated account in process.

pub mod guest;
mod ledger;
pub mod records;
pub mod restore;
mod table_error;

use std::future::Future;

use crate::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use crate::inventory::table::{ImageTable, SnapshotTable};
use crate::inventory::{
    Binned, FastRestore, Image, ImageReference, Instance, InstanceType, KeyState,
    LaunchTemplateVersion, List, Listing, ReferenceScope, Referrer, Share, Snapshot, SnapshotLock,
    Tags, Volume,
};

/// What a failed call means for the one who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Refused for too many requests; nothing was done; ask again after a pause.
    Throttled,
    /// A resource-bound limit (per volume, pending at once); nothing was done; minutes help.
    Limited,
    /// Nobody knows whether the call was carried out.
    UnknownOutcome,
    /// The resource is in a state that forbids the call now; nothing was done.
    WrongState,
    /// The resource does not exist, or not yet, or no longer.
    NotFound,
    /// Something still depends on the resource.
    InUse,
    /// Credentials or permissions refuse the call.
    Denied,
    /// Asking again with the same words does not help.
    Permanent,
}

impl ErrorClass {
    /// Whether a later attempt with the same words may succeed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Throttled | Self::Limited | Self::UnknownOutcome | Self::WrongState => true,
            Self::NotFound | Self::InUse | Self::Denied | Self::Permanent => false,
        }
    }
}

/// A call to AWS that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {resource}: {}{message}", .code.as_deref().map(|c| format!("{c}: ")).unwrap_or_default())]
pub struct CallError {
    /// The API operation, such as `CreateSnapshots`.
    pub operation: &'static str,
    /// What it was about; `*` for a list.
    pub resource: String,
    /// The service's error code, when it answered.
    pub code: Option<String>,
    /// What it means.
    pub class: ErrorClass,
    /// The service's or the transport's words; for people, never for decisions.
    pub message: String,
}

/// A request for one crash-consistent set: `CreateSnapshots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRequest {
    /// The instance whose volumes are taken together.
    pub instance: InstanceId,
    /// Leave the root volume out.
    pub exclude_boot_volume: bool,
    /// Data volumes left out; at most 40 (`aws-sdk-ec2`, `InstanceSpecification`).
    pub exclude_data_volumes: Vec<VolumeId>,
    /// Description put on every member.
    pub description: String,
    /// Tags put on every member.
    pub tags: Tags,
    /// Let EC2 copy each volume's own tags.
    pub copy_tags_from_volume: bool,
}

/// A request for one snapshot of one volume: `CreateSnapshot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// The volume.
    pub volume: VolumeId,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: Tags,
}

/// A request for an AMI: `CreateImage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRequest {
    /// The instance.
    pub instance: InstanceId,
    /// Name, unique in the account and Region: EC2's only idempotency key here.
    pub name: String,
    /// Description.
    pub description: String,
    /// Do not reboot the instance.
    pub no_reboot: bool,
    /// Devices left out (`NoDevice`); never the root.
    pub excluded_devices: Vec<String>,
    /// Tags put on the AMI.
    pub tags: Tags,
    /// Tags put on every backing snapshot.
    pub snapshot_tags: Tags,
}

/// What is to become of the snapshots behind an AMI that is deregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// They go with it (`DeleteAssociatedSnapshots`).
    Delete,
    /// They stay.
    Keep,
}

/// What became of one backing snapshot of a deregistered AMI
/// (`DeleteSnapshotReturnCode`, EC2 API Reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackingDeletion {
    /// It is gone.
    Deleted,
    /// Another AMI uses it, so it stays.
    Shared,
    /// EC2 could not or would not delete it; its return code.
    Refused(String),
}

impl BackingDeletion {
    /// For EC2's return code.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code {
            "success" => Self::Deleted,
            "skipped" => Self::Shared,
            other => Self::Refused(other.to_owned()),
        }
    }
}

/// Which instances to list. In any state, managed ones (`IncludeManagedResources`) included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceScope {
    /// Every one.
    All,
    /// Those named, asked for by filter, so that a missing one is absent rather than an error.
    Ids(Vec<InstanceId>),
    /// Those launched from any of these images.
    LaunchedFrom(Vec<ImageId>),
}

/// Which snapshots to list. Always one's own (`OwnerIds=self`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotScope {
    /// Every snapshot of the account.
    All,
    /// Those tagged `holdfast:managed=true`.
    Managed,
    /// Those in the making, whoever makes them.
    Pending,
    /// Those that carry all of these tags.
    Tagged(Tags),
    /// Those named, asked for by filter, so that a missing one is absent rather than an error.
    Ids(Vec<SnapshotId>),
}

/// Which images to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageScope {
    /// Every image of one's own, disabled and deprecated ones included.
    Own,
    /// Those of one's own that map any of these snapshots, disabled and deprecated ones included.
    MappingAny(Vec<SnapshotId>),
    /// Those named, whoever owns them, asked for by filter; disabled and deprecated ones included.
    Ids(Vec<ImageId>),
    /// The one of one's own that has this name, in any state.
    Named(String),
}

/// Reads the account. Every list goes to the last page or says that it did not.
pub trait ReadEc2: Send + Sync {
    /// Instances.
    fn instances(&self, scope: &InstanceScope) -> impl Future<Output = Listing<Instance>> + Send;
    /// Every volume in any state.
    fn volumes(&self) -> impl Future<Output = Listing<Volume>> + Send;
    /// Snapshots of the account.
    fn snapshots(&self, scope: &SnapshotScope) -> impl Future<Output = Listing<Snapshot>> + Send;
    /// The same in the form for many; put there as it is read, where that spares memory.
    fn snapshot_table(
        &self,
        scope: &SnapshotScope,
    ) -> impl Future<Output = List<SnapshotTable>> + Send {
        async { self.snapshots(scope).await.into_items() }
    }
    /// Images in the form for many; put there as they are read, where that spares memory.
    fn image_table(&self, scope: &ImageScope) -> impl Future<Output = List<ImageTable>> + Send {
        async { self.images(scope).await.into_items() }
    }
    /// Images.
    fn images(&self, scope: &ImageScope) -> impl Future<Output = Listing<Image>> + Send;
    /// Every version of every launch template.
    fn launch_template_versions(
        &self,
    ) -> impl Future<Output = Listing<LaunchTemplateVersion>> + Send;
    /// The same again, given a complete list of a moment ago: the versions of those templates alone
    /// that [differ](crate::inventory::differing) since are asked for, the others are
    /// taken over, and so is [what vanished](crate::inventory::with_known).
    fn launch_template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> impl Future<Output = Listing<LaunchTemplateVersion>> + Send;
    /// What these instance types bring along in instance-store disks.
    fn instance_types(
        &self,
        names: &[String],
    ) -> impl Future<Output = Listing<InstanceType>> + Send;
    /// Launch configurations of Auto Scaling.
    fn launch_configurations(&self) -> impl Future<Output = Listing<Referrer>> + Send;
    /// Auto Scaling groups, with the overrides of their mixed-instances policies.
    fn auto_scaling_groups(&self) -> impl Future<Output = Listing<Referrer>> + Send;
    /// EC2 Fleets, Spot Fleets and Spot requests, in any state.
    fn fleets(&self) -> impl Future<Output = Listing<Referrer>> + Send;
    /// Fast snapshot restores, in any state.
    fn fast_restores(&self) -> impl Future<Output = Listing<FastRestore>> + Send;
    /// AMIs and snapshots in the Recycle Bin.
    fn recycle_bin(&self) -> impl Future<Output = Listing<Binned>> + Send;
    /// Locked snapshots.
    fn locks(&self) -> impl Future<Output = Listing<SnapshotLock>> + Send;
    /// What EC2 knows to refer to these images, asked for ten at a time; of launch templates every
    /// version.
    fn image_references(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> impl Future<Output = Listing<ImageReference>> + Send;
    /// Who besides the owner may launch an image.
    fn image_shares(
        &self,
        id: &ImageId,
    ) -> impl Future<Output = Result<Vec<Share>, CallError>> + Send;
    /// Who besides the owner may make volumes of a snapshot.
    fn snapshot_shares(
        &self,
        id: &SnapshotId,
    ) -> impl Future<Output = Result<Vec<Share>, CallError>> + Send;
    /// The state of a KMS key, by its ARN; [`KeyState::Missing`] where KMS knows none.
    fn key_state(&self, key: &str) -> impl Future<Output = Result<KeyState, CallError>> + Send;
}

/// Changes the account. No method retries by itself where EC2 has no client token.
pub trait WriteEc2: Send + Sync {
    /// `CreateSnapshots`: one set.
    fn create_snapshots(
        &self,
        request: &SetRequest,
    ) -> impl Future<Output = Result<Vec<Snapshot>, CallError>> + Send;
    /// `CreateSnapshot`: one snapshot.
    fn create_snapshot(
        &self,
        request: &SnapshotRequest,
    ) -> impl Future<Output = Result<Snapshot, CallError>> + Send;
    /// `CreateImage`. It answers with the identifier alone; the backing snapshots are read later.
    fn create_image(
        &self,
        request: &ImageRequest,
    ) -> impl Future<Output = Result<ImageId, CallError>> + Send;
    /// `DeregisterImage`. With [`Backing::Delete`] the AMI goes, then each backing snapshot that no
    /// other AMI maps; the call succeeds even if every snapshot was refused, so each is told. An
    /// image that is not there is [`ErrorClass::NotFound`].
    fn deregister_image(
        &self,
        id: &ImageId,
        backing: Backing,
    ) -> impl Future<Output = Result<Vec<(SnapshotId, BackingDeletion)>, CallError>> + Send;
    /// `DeleteSnapshot`. A snapshot that is not there is [`ErrorClass::NotFound`].
    fn delete_snapshot(
        &self,
        id: &SnapshotId,
    ) -> impl Future<Output = Result<(), CallError>> + Send;
    /// `CreateTags`: puts the tags on every one of the resources, over what they had under the same
    /// keys. Asking again comes to the same. Nothing of the product's functions calls it: they tag
    /// in the create call itself.
    fn tag(
        &self,
        resources: &[String],
        tags: &Tags,
    ) -> impl Future<Output = Result<(), CallError>> + Send;
    /// `DeleteTags`: takes the tag of this key, whatever its value, from every one of the resources.
    /// Where there is none, nothing happens. Nothing of the product's functions calls it.
    fn untag(
        &self,
        resources: &[String],
        key: &str,
    ) -> impl Future<Output = Result<(), CallError>> + Send;
}
