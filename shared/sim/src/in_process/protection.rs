//! What keeps a snapshot or an AMI for other reasons than a launch.

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Binned, FastRestore, Listing, Share, SnapshotLock, Source};
use holdfast_core::ports::CallError;

use super::referrers::and;
use super::{InProcess, mismatch};
use crate::model::permission::Grantee;
use crate::request::{self, Request};
use crate::response::{ImageAttribute, Response};

/// Largest page of fast restores `[B]`.
const FAST_RESTORE_PAGE: i32 = 200;

impl InProcess {
    pub(super) fn every_fast_restore(&self) -> Listing<FastRestore> {
        self.in_pages_of_at_most(FAST_RESTORE_PAGE).list(
            Source::FastRestore,
            |page| {
                Request::DescribeFastSnapshotRestores(request::DescribeFastSnapshotRestores {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::FastRestores(page) => Some(page),
                _ => None,
            },
            |restore| FastRestore {
                snapshot: restore.snapshot,
                zone: restore.zone,
                state: restore.state.as_str().to_owned(),
            },
        )
    }

    pub(super) fn whole_bin(&self) -> Listing<Binned> {
        let images = self.list(
            Source::RecycleBin,
            |page| {
                Request::ListImagesInRecycleBin(request::ListImagesInRecycleBin {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::BinnedImages(page) => Some(page),
                _ => None,
            },
            |binned| Binned {
                id: binned.resource.id.to_string(),
                name: Some(binned.resource.name),
                entered: Some(binned.entered),
                exits: Some(binned.exits),
            },
        );
        let snapshots = self.list(
            Source::RecycleBin,
            |page| {
                Request::ListSnapshotsInRecycleBin(request::ListSnapshotsInRecycleBin {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::BinnedSnapshots(page) => Some(page),
                _ => None,
            },
            |binned| Binned {
                id: binned.resource.id.to_string(),
                name: None,
                entered: Some(binned.entered),
                exits: Some(binned.exits),
            },
        );
        and(images, snapshots)
    }

    pub(super) fn every_lock(&self) -> Listing<SnapshotLock> {
        self.list(
            Source::Locks,
            |page| {
                Request::DescribeLockedSnapshots(request::DescribeLockedSnapshots {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::LockedSnapshots(page) => Some(page),
                _ => None,
            },
            |locked| SnapshotLock {
                expires: locked.lock.expires(),
                snapshot: locked.id,
                state: locked.state.as_str().to_owned(),
            },
        )
    }

    pub(super) fn launch_permissions(&self, id: &ImageId) -> Result<Vec<Share>, CallError> {
        let request = Request::DescribeImageAttribute(request::DescribeImageAttribute {
            id: id.to_string(),
            attribute: "launchPermission".to_owned(),
        });
        match self.make(&request, id.as_str())? {
            Response::ImageAttribute(_, ImageAttribute::LaunchPermission(grantees)) => {
                Ok(grantees.into_iter().map(share).collect())
            }
            _ => Err(mismatch(request.operation(), id.as_str())),
        }
    }

    pub(super) fn volume_permissions(&self, id: &SnapshotId) -> Result<Vec<Share>, CallError> {
        let request = Request::DescribeSnapshotAttribute(request::DescribeSnapshotAttribute {
            id: id.to_string(),
            attribute: "createVolumePermission".to_owned(),
        });
        match self.make(&request, id.as_str())? {
            Response::SnapshotPermissions(_, grantees) => {
                Ok(grantees.into_iter().map(share).collect())
            }
            _ => Err(mismatch(request.operation(), id.as_str())),
        }
    }
}

fn share(grantee: Grantee) -> Share {
    match grantee {
        Grantee::Everybody => Share::Everybody,
        Grantee::Account(id) => Share::Account(id),
        Grantee::Organization(arn) | Grantee::OrganizationalUnit(arn) => Share::Organization(arn),
    }
}
