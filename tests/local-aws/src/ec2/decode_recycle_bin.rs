//! Requests about the Recycle Bin.

use holdfast_sim::ApiError;
use holdfast_sim::request::{self, Request};

use super::decode::page;
use crate::query::params::Params;

/// Reads an operation of this subject; none where it is another's.
pub(super) fn request(action: &str, p: &mut Params) -> Result<Option<Request>, ApiError> {
    Ok(Some(match action {
        "ListSnapshotsInRecycleBin" => {
            Request::ListSnapshotsInRecycleBin(request::ListSnapshotsInRecycleBin {
                ids: p.list("SnapshotId"),
                page: page(p)?,
            })
        }
        "ListImagesInRecycleBin" => {
            Request::ListImagesInRecycleBin(request::ListImagesInRecycleBin {
                ids: p.list("ImageId"),
                page: page(p)?,
            })
        }
        "RestoreSnapshotFromRecycleBin" => {
            Request::RestoreSnapshotFromRecycleBin(request::RestoreSnapshotFromRecycleBin {
                id: p.required("SnapshotId")?,
            })
        }
        "RestoreImageFromRecycleBin" => {
            Request::RestoreImageFromRecycleBin(request::RestoreImageFromRecycleBin {
                id: p.required("ImageId")?,
            })
        }
        _ => return Ok(None),
    }))
}
