//! Locking snapshots.

use jiff::Timestamp;

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Locks a snapshot, or modifies its lock.
    LockSnapshot {
        /// The snapshot.
        id: String,
        /// `governance` or `compliance`.
        mode: String,
        /// 1 to 36,500 days; or an expiration date.
        duration_days: Option<i32>,
        /// When the lock ends; or a duration.
        expiration: Option<Timestamp>,
        /// 1 to 72 hours; compliance mode only.
        cool_off_hours: Option<i32>,
    }
    /// Unlocks a snapshot.
    UnlockSnapshot {
        /// The snapshot.
        id: String,
    }
    /// Lists locked snapshots, those whose lock has expired included.
    DescribeLockedSnapshots {
        /// Only these.
        ids: Vec<String>,
        /// Filters: `lock-state`.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
}
