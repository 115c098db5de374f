//! Fast snapshot restore.

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Enables fast restore of snapshots in zones.
    EnableFastSnapshotRestores {
        /// Availability Zones.
        zones: Vec<String>,
        /// The snapshots.
        ids: Vec<String>,
    }
    /// Disables fast restore of snapshots in zones.
    DisableFastSnapshotRestores {
        /// Availability Zones.
        zones: Vec<String>,
        /// The snapshots.
        ids: Vec<String>,
    }
    /// Lists fast restores by snapshot and zone.
    DescribeFastSnapshotRestores {
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
}
