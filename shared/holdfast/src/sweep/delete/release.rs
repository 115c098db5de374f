//! When a release is used up: once what it frees has been carried out, and not before.
//!
//! A sweep that is cut off, whose time is over, or that cannot read what it needs leaves it as it was,
//! so that the same request, repeated, frees the rest. It never frees more than the plan that was shown.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageState, Inventory};
use holdfast_core::plan::judge::Decision;
use holdfast_core::plan::settle::Settled;
use holdfast_core::ports::records::Records;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::Deleter;

/// A plan that a request releases from the breaker.
pub(super) struct Release {
    hash: String,
    freed: BTreeSet<(String, String)>,
    /// Those of it that the plan says nothing of: gone, or not listed.
    unseen: BTreeSet<(String, String)>,
    /// Whether something of it is left, as far as the plan tells.
    left: bool,
}

impl Release {
    /// `None` for a plan that the breaker holds again as it was: it is on offer anew.
    pub(super) fn new(
        hash: &str,
        freed: BTreeSet<(String, String)>,
        settled: &Settled,
    ) -> Option<Self> {
        let again = !settled.tripped.is_empty() && settled.plan_hash == hash;
        (!again).then(|| Self {
            hash: hash.to_owned(),
            unseen: freed.clone(),
            freed,
            left: false,
        })
    }

    /// Something of it is left.
    pub(super) fn leave(&mut self) {
        self.left = true;
    }

    /// Takes note of an artifact that the plan judges, and why.
    pub(super) fn look(&mut self, policy: &str, resource: &str, decision: &Decision) {
        let key = (policy.to_owned(), resource.to_owned());
        self.unseen.remove(&key);
        self.left |= waits(decision.reasons()) && self.freed.contains(&key);
    }

    /// After the last one: what a list that was not read to its end does not show may stand, and a
    /// sweep of one policy does not judge what else was held.
    pub(super) fn looked(&mut self, lists: &Inventory, only: Option<&str>) {
        let complete = lists.snapshots.is_complete()
            && lists.mapped.is_complete()
            && lists.images.is_complete();
        self.left |= !complete && !self.unseen.is_empty();
        if only.is_none() || self.left {
            return;
        }
        let (images, snapshots) = (&lists.images.items, lists.snapshots.items.index());
        let mut unseen = self.unseen.iter();
        self.left = unseen.any(|(_, id)| match images.find(id) {
            Some(row) => images.state(row) != Some(ImageState::Deregistered),
            None => snapshots.find(&SnapshotId::new(id)).is_some(),
        });
    }

    /// Whether nothing of it is left, by the lines on what the plan let go.
    pub(super) fn is_carried_out(&self, items: &[Item]) -> bool {
        let undone = |item: &&Item| {
            matches!(item.outcome, Outcome::Deferred | Outcome::Failed) || waits(&item.reasons)
        };
        let of_it = |item: &Item| {
            let policy = item.policy.clone().unwrap_or_default();
            self.freed.contains(&(policy, item.resource.clone()))
        };
        !self.left && !items.iter().filter(undone).any(of_it)
    }
}

/// Whether a deletion waits for nothing but its grace, evidence, or EC2 to be asked again.
fn waits(reasons: &[Reason]) -> bool {
    let waits = [
        ReasonCode::Grace,
        ReasonCode::EvidenceIncomplete,
        ReasonCode::RetryLater,
    ];
    let mut holds = reasons
        .iter()
        .filter(|r| r.code != ReasonCode::Orphaned)
        .peekable();
    holds.peek().is_some() && holds.all(|reason| waits.contains(&reason.code))
}

impl<E, R: Records> Deleter<'_, E, R> {
    /// Takes a release that has been carried out. Where that fails it stands until its 24 hours are
    /// over, and the report says so.
    pub(super) async fn spend(&self, release: &Release) -> Option<Item> {
        let (hash, wall) = (&release.hash, Timestamp::now());
        let error = self.records.tripped(hash, wall, true).await.err()?;
        let detail =
            format!("its release was carried out, and is not recorded as used up: {error}");
        let reason = Reason::with(ReasonCode::TableFailed, detail);
        Some(Item::new(Action::Record, hash, Outcome::Failed).reason(reason))
    }
}
