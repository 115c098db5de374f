//! One `DeleteSnapshot` of a snapshot that was judged itself, with its record before and after.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::Snapshot;
use holdfast_core::plan::judge::Subject;
use holdfast_core::ports::records::{Deletion, Records, TableError};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::call::{Sent, deferred, refusal, unrecorded};
use super::check::{Look, Looked};
use super::{Deleter, Ground};
use crate::aws::CALL_TIMEOUT;

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// One deletion; its line of the report, and whether nothing of it is left to do.
    pub(super) async fn delete(
        &self,
        mut looked: Looked,
        look: &Look<'_, E>,
        ground: &Ground,
    ) -> (Item, bool) {
        let in_time = match looked.verdict.is_condemned() {
            true => self.invocation.in_time(look.shares(&mut looked)).await,
            false => Some(()),
        };
        if !looked.verdict.is_condemned() {
            self.free(ground, &mut looked).await;
            let done = !looked.unread();
            return (looked.verdict.item(Outcome::Held), done);
        }
        let verdict = &looked.verdict;
        if in_time.is_none() || !self.invocation.has_time() {
            let words = "this invocation's time is over";
            return (deferred(verdict, ReasonCode::OutOfTime, words), false);
        }
        ground.paces.snapshots.turn().await;
        match self.delete_recorded(&looked, ground).await {
            Ok(item) => {
                let done = item.outcome != Outcome::Deferred;
                (item, done)
            }
            Err(error) => {
                let words = error.to_string();
                (deferred(verdict, ReasonCode::TableFailed, words), false)
            }
        }
    }

    async fn delete_recorded(&self, looked: &Looked, ground: &Ground) -> Result<Item, TableError> {
        let verdict = &looked.verdict;
        let Subject::Snapshot(snapshot) = &verdict.subject else {
            return Ok(verdict.item(Outcome::Deferred));
        };
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let deletion = self.deletion_of(looked, snapshot, ground);
        self.records.intend_deletion(&deletion, &lease).await?;
        let call = || self.ec2.delete_snapshot(&snapshot.id);
        let sent = self.send(ground, looked, &ground.paces.snapshots, call);
        let answer = match sent.await? {
            Sent::Answered(answer) => answer,
            Sent::Stopped(reason) => {
                let words = reason.detail.as_deref();
                self.records.end_deletion(&deletion, words, &lease).await?;
                return Ok(verdict.item(Outcome::Deferred).reason(reason));
            }
        };
        let lease = self.held.token().await;
        match answer {
            Ok(()) => {
                let mut item = verdict.item(Outcome::Deleted);
                let ended = self.records.end_deletion(&deletion, None, &lease).await;
                item.reasons.extend(ended.err().map(unrecorded));
                Ok(item)
            }
            Err(error) => self.not_deleted(looked, &deletion, &error, ground).await,
        }
    }

    fn deletion_of(&self, looked: &Looked, snapshot: &Snapshot, ground: &Ground) -> Deletion {
        let verdict = &looked.verdict;
        let before = ground.on_record.leftovers.get(snapshot.id.as_str());
        Deletion {
            resource: snapshot.id.to_string(),
            policy: verdict.policy.clone(),
            image: verdict.former_image.as_ref().map(ToString::to_string),
            other_images: BTreeSet::new(),
            good: verdict.good || ground.counting.contains(snapshot.id.as_str()),
            time: snapshot.start.unwrap_or(Timestamp::UNIX_EPOCH),
            run: self.invocation.id.clone(),
            evidence: self.proof(ground).of(looked),
            at: Timestamp::now(),
            tries: before.map_or(0, |leftover| leftover.tries),
            refused: None,
        }
    }

    async fn not_deleted(
        &self,
        looked: &Looked,
        deletion: &Deletion,
        error: &CallError,
        ground: &Ground,
    ) -> Result<Item, TableError> {
        let verdict = &looked.verdict;
        let words = error.to_string();
        let lease = self.held.token().await;
        match error.class {
            // Somebody was faster, or an earlier answer was lost.
            ErrorClass::NotFound => {
                self.records.end_deletion(deletion, None, &lease).await?;
                let reason = Reason::with(ReasonCode::Expired, "it was gone already");
                Ok(verdict.item(Outcome::Deleted).reason(reason))
            }
            // Nobody knows: the intent stays, and the next sweep sees whether it is still there.
            ErrorClass::UnknownOutcome => Ok(deferred(verdict, ReasonCode::OutcomeUnknown, words)),
            // For a while after its AMI was deregistered EC2 still says that it is in use
            // (boto issue #3019): the intent stays, and later sweeps try again, ever more rarely.
            ErrorClass::InUse if verdict.former_image.is_some() => {
                self.try_again(deletion, words.clone()).await?;
                Ok(deferred(verdict, ReasonCode::UsedByImage, words))
            }
            class => {
                let refused = Some(words.as_str());
                self.records.end_deletion(deletion, refused, &lease).await?;
                let mut item = refusal(verdict, error);
                if class == ErrorClass::InUse {
                    // EC2 knows of a reference that no list showed yet.
                    item.reasons.extend(self.freed(ground, verdict).await);
                }
                Ok(item)
            }
        }
    }

    /// Leaves an intent open after a call that EC2 refused with these words, and counts the call.
    pub(super) async fn try_again(
        &self,
        deletion: &Deletion,
        refused: String,
    ) -> Result<(), TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let again = Deletion {
            tries: deletion.tries.saturating_add(1),
            refused: Some(refused),
            ..deletion.clone()
        };
        self.records.intend_deletion(&again, &lease).await
    }
}

/// The identifiers, for a question about all of them.
pub(super) fn ids(snapshots: &[Deletion]) -> Vec<SnapshotId> {
    let resources = snapshots.iter().map(|deletion| deletion.resource.as_str());
    resources.map(SnapshotId::new).collect()
}
