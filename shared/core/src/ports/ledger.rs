//! The run ledger as people read it.

use jiff::Timestamp;

use super::records::{Deletion, DeletionState, RunRecord};
use crate::lineage::SlotRecord;

/// What the run ledger holds of a stretch of time, for people to read; nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Creations, by policy, source, slot and request.
    pub creations: Vec<SlotRecord>,
    /// On-demand and event-triggered runs, by function and identifier.
    pub requests: Vec<RunRecord>,
    /// Deletions, by resource; those of one resource oldest first.
    pub deletions: Vec<(Deletion, DeletionState)>,
}

impl Ledger {
    /// What of it lies at or after `since`, in its order. A creation counts by its slot, and by when
    /// it was last asked for or failed.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.creations.retain(|record| {
            let times = [Some(record.slot), record.requested_at, record.failed_at];
            times.into_iter().flatten().any(|time| time >= since)
        });
        self.requests.retain(|run| run.started >= since);
        self.deletions.retain(|(deletion, _)| deletion.at >= since);
        let key = |r: &SlotRecord| {
            let request = r.request.clone();
            (r.policy.clone(), r.source.clone(), r.slot, request)
        };
        self.creations.sort_by_cached_key(key);
        self.requests
            .sort_by_cached_key(|run| (run.function.clone(), run.id.clone()));
        let key = |(d, _): &(Deletion, DeletionState)| (d.resource.clone(), d.at, d.run.clone());
        self.deletions.sort_by_cached_key(key);
        // A run that was cut off between the two writes left one on record twice.
        self.deletions.dedup_by_key(|one| key(one));
        self
    }
}
