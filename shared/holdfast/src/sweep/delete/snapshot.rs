//! One `DeleteSnapshot`, with its record before and after.

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{Inventory, Snapshot};
use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::ports::records::{Deletion, Records, TableError};
use holdfast_core::ports::{ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Deleter, deferred, refusal};
use crate::aws::CALL_TIMEOUT;
use crate::pace::Pace;

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// One deletion; its line of the report, and whether nothing of it is left to do.
    pub(super) async fn delete(
        &self,
        verdict: Verdict,
        lists: &Inventory,
        evidence: &Value,
        pace: &Pace,
    ) -> (Item, bool) {
        let Subject::Snapshot(snapshot) = &verdict.subject else {
            return (verdict.item(Outcome::Planned), false);
        };
        if !verdict.is_condemned() {
            return (verdict.item(Outcome::Held), true);
        }
        if !self.invocation.has_time() {
            let words = "this invocation's time is over";
            return (deferred(&verdict, ReasonCode::OutOfTime, words), false);
        }
        pace.turn().await;
        let done = self.delete_recorded(&verdict, snapshot, lists, evidence);
        match done.await {
            Ok(item) => {
                let done = item.outcome != Outcome::Deferred;
                (item, done)
            }
            Err(error) => {
                let words = error.to_string();
                (deferred(&verdict, ReasonCode::TableFailed, words), false)
            }
        }
    }

    async fn delete_recorded(
        &self,
        verdict: &Verdict,
        snapshot: &Snapshot,
        lists: &Inventory,
        evidence: &Value,
    ) -> Result<Item, TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let deletion = Deletion {
            resource: snapshot.id.to_string(),
            policy: verdict.policy.clone(),
            image: verdict.former_image.as_ref().map(ToString::to_string),
            good: verdict.good,
            time: snapshot.start.unwrap_or(Timestamp::UNIX_EPOCH),
            run: self.invocation.id.clone(),
            evidence: self.proof(verdict, &snapshot.tags, json!({}), evidence),
            at: Timestamp::now(),
            tries: 0,
        };
        self.records.intend_deletion(&deletion, &lease).await?;
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        if let Some(reason) = self.thawed(lists) {
            let words = reason.detail.as_deref();
            self.records.end_deletion(&deletion, words, &lease).await?;
            return Ok(verdict.item(Outcome::Deferred).reason(reason));
        }
        let error = match self.ec2.delete_snapshot(&snapshot.id).await {
            Ok(()) => {
                let mut item = verdict.item(Outcome::Deleted);
                let ended = self.records.end_deletion(&deletion, None, &lease).await;
                item.reasons.extend(ended.err().map(unrecorded));
                return Ok(item);
            }
            Err(error) => error,
        };
        match error.class {
            // Somebody was faster, or an earlier answer was lost.
            ErrorClass::NotFound => {
                self.records.end_deletion(&deletion, None, &lease).await?;
                let reason = Reason::with(ReasonCode::Expired, "it was gone already");
                Ok(verdict.item(Outcome::Deleted).reason(reason))
            }
            // Nobody knows: the intent stays, and the next sweep sees whether it is still there.
            ErrorClass::UnknownOutcome => {
                let words = error.to_string();
                Ok(deferred(verdict, ReasonCode::OutcomeUnknown, words))
            }
            class => {
                let words = error.to_string();
                let refused = Some(words.as_str());
                self.records
                    .end_deletion(&deletion, refused, &lease)
                    .await?;
                // For a while after its AMI was deregistered EC2 still says that it is in use
                // (boto issue #3019).
                if class == ErrorClass::InUse && verdict.former_image.is_some() {
                    return Ok(deferred(verdict, ReasonCode::UsedByImage, words));
                }
                Ok(refusal(verdict, &error))
            }
        }
    }
}

/// What a deletion that is done says when its record could not be ended.
pub(super) fn unrecorded(error: TableError) -> Reason {
    Reason::with(ReasonCode::TableFailed, format!("it is gone, but {error}"))
}

/// The identifiers, for a question about all of them.
pub(super) fn ids(snapshots: &[Deletion]) -> Vec<SnapshotId> {
    let resources = snapshots.iter().map(|deletion| deletion.resource.as_str());
    resources.map(SnapshotId::new).collect()
}
