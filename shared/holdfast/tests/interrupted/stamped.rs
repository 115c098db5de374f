//! The simulated account, whose lists are dated by the wall clock.
//!
//! The account's own clock may stand in another year than the machine's, by which a sweep asks how old
//! its evidence is. Its lists are answered at once, so they are as old as the machine's clock says.

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Binned, FastRestore, Image, ImageReference, Instance, InstanceType, KeyState,
    LaunchTemplateVersion, Listing, ReferenceScope, Referrer, Share, Snapshot, SnapshotLock,
    Volume,
};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ImageRequest, ImageScope, InstanceScope, ReadEc2,
    SetRequest, SnapshotRequest, SnapshotScope, WriteEc2,
};
use holdfast_sim::InProcess;
use jiff::Timestamp;

/// The account behind the ports.
#[derive(Clone)]
pub struct Stamped(pub InProcess);

fn stamp<T>(listing: Listing<T>) -> Listing<T> {
    Listing {
        read_at: Timestamp::now(),
        ..listing
    }
}

macro_rules! stamped {
    ($($name:ident($($argument:ident: $type:ty),*) -> $item:ty;)*) => {$(
        async fn $name(&self, $($argument: $type),*) -> Listing<$item> {
            stamp(self.0.$name($($argument),*).await)
        }
    )*};
}

macro_rules! as_it_is {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        async fn $name(&self, $($argument: $type),*) -> Result<$answer, CallError> {
            self.0.$name($($argument),*).await
        }
    )*};
}

impl ReadEc2 for Stamped {
    stamped! {
        instances(scope: &InstanceScope) -> Instance;
        volumes() -> Volume;
        snapshots(scope: &SnapshotScope) -> Snapshot;
        images(scope: &ImageScope) -> Image;
        launch_template_versions() -> LaunchTemplateVersion;
        launch_template_versions_again(known: &[LaunchTemplateVersion]) -> LaunchTemplateVersion;
        instance_types(names: &[String]) -> InstanceType;
        launch_configurations() -> Referrer;
        auto_scaling_groups() -> Referrer;
        fleets() -> Referrer;
        fast_restores() -> FastRestore;
        recycle_bin() -> Binned;
        locks() -> SnapshotLock;
        image_references(images: &[ImageId], scope: ReferenceScope) -> ImageReference;
    }
    as_it_is! {
        image_shares(id: &ImageId) -> Vec<Share>;
        snapshot_shares(id: &SnapshotId) -> Vec<Share>;
        key_state(key: &str) -> KeyState;
    }
}

impl WriteEc2 for Stamped {
    as_it_is! {
        create_snapshots(request: &SetRequest) -> Vec<Snapshot>;
        create_snapshot(request: &SnapshotRequest) -> Snapshot;
        create_image(request: &ImageRequest) -> ImageId;
        deregister_image(id: &ImageId, backing: Backing) -> Vec<(SnapshotId, BackingDeletion)>;
        delete_snapshot(id: &SnapshotId) -> ();
        tag(ids: &[String], tags: &BTreeMap<String, String>) -> ();
        untag(ids: &[String], key: &str) -> ();
    }
}
