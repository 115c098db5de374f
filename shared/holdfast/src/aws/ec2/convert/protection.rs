//! Shares, locks, fast restore and the Recycle Bin.

use aws_sdk_ec2::types;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{Binned, FastRestore, Share, SnapshotLock};

use crate::aws::listing::{Unreadable, identifier, told};
use crate::aws::timestamp;

pub(in crate::aws::ec2) fn fast_restore(
    from: types::DescribeFastSnapshotRestoreSuccessItem,
) -> Result<FastRestore, Unreadable> {
    let id = identifier(from.snapshot_id)?;
    let Some(state) = from.state else {
        return Err(Unreadable::of(id, "its fast restore has no state"));
    };
    let zone = from.availability_zone.or(from.availability_zone_id);
    Ok(FastRestore {
        snapshot: SnapshotId::new(id),
        zone: zone.unwrap_or_default(),
        state: state.as_str().to_owned(),
    })
}

pub(in crate::aws::ec2) fn binned_image(from: types::ImageRecycleBinInfo) -> Option<Binned> {
    Some(Binned {
        id: told(from.image_id)?,
        name: from.name,
        entered: from.recycle_bin_enter_time.as_ref().and_then(timestamp),
        exits: from.recycle_bin_exit_time.as_ref().and_then(timestamp),
    })
}

pub(in crate::aws::ec2) fn binned_snapshot(from: types::SnapshotRecycleBinInfo) -> Option<Binned> {
    Some(Binned {
        id: told(from.snapshot_id)?,
        name: None,
        entered: from.recycle_bin_enter_time.as_ref().and_then(timestamp),
        exits: from.recycle_bin_exit_time.as_ref().and_then(timestamp),
    })
}

pub(in crate::aws::ec2) fn lock(
    from: types::LockedSnapshotsInfo,
) -> Result<SnapshotLock, Unreadable> {
    let id = identifier(from.snapshot_id)?;
    let Some(state) = from.lock_state else {
        return Err(Unreadable::of(id, "its lock has no state"));
    };
    Ok(SnapshotLock {
        snapshot: SnapshotId::new(id),
        state: state.as_str().to_owned(),
        expires: from.lock_expires_on.as_ref().and_then(timestamp),
    })
}

pub(in crate::aws::ec2) fn launch_permission(from: types::LaunchPermission) -> Share {
    let organization = from.organization_arn.or(from.organizational_unit_arn);
    match (from.group, from.user_id, organization) {
        (group @ Some(_), None, None) => everybody(group),
        (None, Some(account), None) => Share::Account(account),
        (None, None, Some(arn)) => Share::Organization(arn),
        _ => Share::Unknown,
    }
}

pub(in crate::aws::ec2) fn volume_permission(from: types::CreateVolumePermission) -> Share {
    match (from.group, from.user_id) {
        (group @ Some(_), None) => everybody(group),
        (None, Some(account)) => Share::Account(account),
        _ => Share::Unknown,
    }
}

/// The group `all` is the only one (`PermissionGroup`, EC2 API Reference).
fn everybody(group: Option<types::PermissionGroup>) -> Share {
    match group {
        Some(types::PermissionGroup::All) => Share::Everybody,
        _ => Share::Unknown,
    }
}
