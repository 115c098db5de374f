//! Storage tiers of snapshots.

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Archives a snapshot.
    ModifySnapshotTier {
        /// The snapshot.
        id: String,
        /// `archive`.
        tier: String,
    }
    /// Brings an archived snapshot back.
    RestoreSnapshotTier {
        /// The snapshot.
        id: String,
        /// For good.
        permanent: bool,
        /// For so many days, 1 to 180.
        temporary_days: Option<i32>,
    }
    /// Lists snapshots with their tiers.
    DescribeSnapshotTierStatus {
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
}
