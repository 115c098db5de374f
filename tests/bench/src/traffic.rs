//! What reached the account while something was measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Requests by operation, and how the deletions went.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Requests by operation. A list asked for by identifiers counts as `OPERATION by id`.
    pub requests: BTreeMap<String, u64>,
    /// Deletions that were refused by a bucket.
    pub throttled: u64,
    /// Artifacts that went: snapshots, and images.
    pub deleted: (u64, u64),
    /// Most deletions that were under way at once.
    pub at_once: usize,
    under_way: usize,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// Whether an operation takes something away.
#[must_use]
pub(crate) fn deletes(operation: &str) -> bool {
    matches!(operation, "DeleteSnapshot" | "DeregisterImage")
}

impl Traffic {
    pub(crate) fn begin(&mut self, kind: &str, now: Instant) {
        *self.requests.entry(kind.to_owned()).or_default() += 1;
        if deletes(kind) {
            self.first.get_or_insert(now);
            self.under_way += 1;
            self.at_once = self.at_once.max(self.under_way);
        }
    }

    pub(crate) fn end(&mut self, kind: &str, now: Instant) {
        if deletes(kind) {
            self.under_way = self.under_way.saturating_sub(1);
            self.last = Some(now);
        }
    }

    /// From the first deletion's arrival to the last one's answer.
    #[must_use]
    pub fn deleting(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last.saturating_duration_since(first),
            _ => Duration::ZERO,
        }
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests that delete, refused ones included.
    #[must_use]
    pub fn deletions(&self) -> u64 {
        let of = self.requests.iter().filter(|(kind, _)| deletes(kind));
        of.map(|(_, count)| count).sum()
    }

    /// Requests that only read.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.total() - self.deletions()
    }
}
