//! What keeps a snapshot or an AMI for other reasons than a launch.

use aws_sdk_ec2::types::{ImageAttributeName, SnapshotAttributeName};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Binned, FastRestore, Listing, Share, SnapshotLock, Source};
use holdfast_core::ports::CallError;

use super::read::PAGE;
use super::{Ec2, convert};
use crate::aws::error::call_error;
use crate::aws::listing::{Tokens, Unreadable, begun, collect, take};

/// Largest page of fast restores (`DescribeFastSnapshotRestores`, EC2 API Reference).
const FAST_RESTORE_PAGE: i32 = 200;

impl Ec2 {
    pub(super) async fn every_fast_restore(&self) -> Listing<FastRestore> {
        let mut list = begun(Source::FastRestore);
        let request = self
            .client
            .describe_fast_snapshot_restores()
            .max_results(FAST_RESTORE_PAGE);
        collect!(list, "DescribeFastSnapshotRestores", request,
            page => Some(page.fast_snapshot_restores.unwrap_or_default()), convert::fast_restore);
        list
    }

    pub(super) async fn whole_bin(&self) -> Listing<Binned> {
        let mut list = begun(Source::RecycleBin);
        let images = self.client.list_images_in_recycle_bin().max_results(PAGE);
        collect!(list, "ListImagesInRecycleBin", images,
            page => Some(page.images.unwrap_or_default()), convert::binned_image);
        let snapshots = self
            .client
            .list_snapshots_in_recycle_bin()
            .max_results(PAGE);
        collect!(list, "ListSnapshotsInRecycleBin", snapshots,
            page => Some(page.snapshots.unwrap_or_default()), convert::binned_snapshot);
        list
    }

    /// The SDK has no paginator for this list.
    pub(super) async fn every_lock(&self) -> Listing<SnapshotLock> {
        const OPERATION: &str = "DescribeLockedSnapshots";
        let mut list = begun(Source::Locks);
        let mut token: Option<String> = None;
        let mut tokens = Tokens::default();
        loop {
            let request = self
                .client
                .describe_locked_snapshots()
                .set_next_token(token)
                .max_results(PAGE);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) => {
                    list.error = Some(call_error(OPERATION, "*", &error));
                    return list;
                }
            };
            list.pages += 1;
            for one in page.snapshots.unwrap_or_default() {
                take(&mut list, OPERATION, convert::lock(one));
            }
            let next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return list;
            }
            if tokens.lead_back(next.as_deref()) {
                list.error = Some(Unreadable::CIRCLE.error(OPERATION));
                return list;
            }
            token = next;
        }
    }

    pub(super) async fn launch_permissions(&self, id: &ImageId) -> Result<Vec<Share>, CallError> {
        const OPERATION: &str = "DescribeImageAttribute";
        let request = self
            .client
            .describe_image_attribute()
            .image_id(id.as_str())
            .attribute(ImageAttributeName::LaunchPermission);
        let answer = request.send().await;
        let answer = answer.map_err(|error| call_error(OPERATION, id.as_str(), &error))?;
        // An image that is open to nobody has an empty list, not none.
        let Some(permissions) = answer.launch_permissions else {
            let why = "the answer does not say who may launch it";
            return Err(Unreadable::of(id.as_str(), why).error(OPERATION));
        };
        let shares = permissions.into_iter().map(convert::launch_permission);
        Ok(shares.collect())
    }

    pub(super) async fn volume_permissions(
        &self,
        id: &SnapshotId,
    ) -> Result<Vec<Share>, CallError> {
        const OPERATION: &str = "DescribeSnapshotAttribute";
        let request = self
            .client
            .describe_snapshot_attribute()
            .snapshot_id(id.as_str())
            .attribute(SnapshotAttributeName::CreateVolumePermission);
        let answer = request.send().await;
        let answer = answer.map_err(|error| call_error(OPERATION, id.as_str(), &error))?;
        let Some(permissions) = answer.create_volume_permissions else {
            let why = "the answer does not say who may make volumes of it";
            return Err(Unreadable::of(id.as_str(), why).error(OPERATION));
        };
        let shares = permissions.into_iter().map(convert::volume_permission);
        Ok(shares.collect())
    }
}
