//! Requests about fast restore and storage tiers of snapshots.

use holdfast_sim::ApiError;
use holdfast_sim::request::{self, Request};

use super::decode::{filters, page};
use crate::query::params::Params;

/// Reads an operation of this subject; none where it is another's.
pub(super) fn request(action: &str, p: &mut Params) -> Result<Option<Request>, ApiError> {
    Ok(Some(match action {
        "EnableFastSnapshotRestores" => {
            Request::EnableFastSnapshotRestores(request::EnableFastSnapshotRestores {
                zones: p.list("AvailabilityZone"),
                ids: p.list("SourceSnapshotId"),
            })
        }
        "DisableFastSnapshotRestores" => {
            Request::DisableFastSnapshotRestores(request::DisableFastSnapshotRestores {
                zones: p.list("AvailabilityZone"),
                ids: p.list("SourceSnapshotId"),
            })
        }
        "DescribeFastSnapshotRestores" => {
            Request::DescribeFastSnapshotRestores(request::DescribeFastSnapshotRestores {
                filters: filters(p)?,
                page: page(p)?,
            })
        }
        "ModifySnapshotTier" => Request::ModifySnapshotTier(request::ModifySnapshotTier {
            id: p.required("SnapshotId")?,
            tier: p.required("StorageTier")?,
        }),
        "RestoreSnapshotTier" => Request::RestoreSnapshotTier(request::RestoreSnapshotTier {
            id: p.required("SnapshotId")?,
            permanent: p.boolean("PermanentRestore")?.unwrap_or(false),
            temporary_days: p.number("TemporaryRestoreDays")?,
        }),
        "DescribeSnapshotTierStatus" => {
            Request::DescribeSnapshotTierStatus(request::DescribeSnapshotTierStatus {
                filters: filters(p)?,
                page: page(p)?,
            })
        }
        _ => return Ok(None),
    }))
}
