//! One `DeregisterImage`, which takes the AMI's snapshots along, with its records before and after.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{Image, Inventory, Snapshot};
use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::ports::records::{Deletion, Lease, Records, TableError};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ErrorClass, ReadEc2, SnapshotScope, WriteEc2,
};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::snapshot::{ids, unrecorded};
use super::{Deleter, deferred, refusal};
use crate::aws::CALL_TIMEOUT;
use crate::pace::Pace;

/// Records of one AMI's snapshots that are written at once.
const RECORDS_AT_ONCE: usize = 8;

/// What became of an AMI and its snapshots.
pub(super) struct Deregistered {
    /// The AMI's line of the report.
    pub item: Item,
    /// Whether nothing is left to do.
    pub done: bool,
    /// Snapshots that went with it.
    gone: Vec<SnapshotId>,
    /// Intents for snapshots that stay because another AMI uses them.
    shared: Vec<Deletion>,
}

impl Deregistered {
    fn without_snapshots(item: Item, done: bool) -> Self {
        Self {
            item,
            done,
            gone: Vec::new(),
            shared: Vec::new(),
        }
    }
}

/// What is about to go: the AMI's record and those of its snapshots.
struct Intent {
    image: Deletion,
    snapshots: Vec<Deletion>,
}

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// One deregistration.
    pub(super) async fn deregister(
        &self,
        verdict: Verdict,
        lists: &Inventory,
        evidence: &Value,
        pace: &Pace,
    ) -> Deregistered {
        let Subject::Image { image, snapshots } = &verdict.subject else {
            return Deregistered::without_snapshots(verdict.item(Outcome::Planned), false);
        };
        if !verdict.is_condemned() {
            return Deregistered::without_snapshots(verdict.item(Outcome::Held), true);
        }
        if !self.invocation.has_time() {
            let words = "this invocation's time is over";
            let item = deferred(&verdict, ReasonCode::OutOfTime, words);
            return Deregistered::without_snapshots(item, false);
        }
        pace.turn().await;
        let intent = self.intent(&verdict, image, snapshots, evidence);
        let done = self
            .deregister_recorded(&verdict, image, intent, lists)
            .await;
        done.unwrap_or_else(|error| {
            let item = deferred(&verdict, ReasonCode::TableFailed, error.to_string());
            Deregistered::without_snapshots(item, false)
        })
    }

    /// Closes the intents for snapshots that stay with another AMI. One whose other AMI went in
    /// the same sweep is gone meanwhile.
    pub(super) async fn close_shared(&self, ended: Vec<Deregistered>) -> Vec<Item> {
        let mut gone: BTreeSet<String> = BTreeSet::new();
        let mut shared: BTreeMap<String, Deletion> = BTreeMap::new();
        for one in ended {
            gone.extend(one.gone.iter().map(ToString::to_string));
            let deletions = one.shared.into_iter();
            shared.extend(deletions.map(|deletion| (deletion.resource.clone(), deletion)));
        }
        let mut failed = Vec::new();
        for (id, deletion) in shared.into_iter().filter(|(id, _)| !gone.contains(id)) {
            let closed = async {
                let lease = self.held.good_for(CALL_TIMEOUT).await?;
                let words = Some("another AMI uses it");
                self.records.end_deletion(&deletion, words, &lease).await
            };
            if let Err(error) = closed.await {
                let detail = format!("it stays with another AMI, but {error}");
                let reason = Reason::with(ReasonCode::TableFailed, detail);
                failed.push(Item::new(Action::Record, id, Outcome::Failed).reason(reason));
            }
        }
        failed
    }

    fn intent(
        &self,
        verdict: &Verdict,
        image: &Image,
        listed: &[Snapshot],
        evidence: &Value,
    ) -> Intent {
        let time = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        let record = |resource: String, of: Option<String>, evidence: String| Deletion {
            resource,
            policy: verdict.policy.clone(),
            good: of.is_none() && verdict.good,
            image: of,
            time,
            run: self.invocation.id.clone(),
            evidence,
            at: Timestamp::now(),
            tries: 0,
        };
        let mut mapped: BTreeSet<&SnapshotId> = image.snapshots().collect();
        mapped.extend(listed.iter().map(|snapshot| &snapshot.id));
        let own = json!({
            "name": image.name, "snapshots": mapped.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        });
        let proof = self.proof(verdict, &image.tags, own, evidence);
        let snapshots = mapped.iter().map(|id| {
            let known = listed.iter().find(|s| s.id == **id);
            let tags = known.map(|s| s.tags.clone()).unwrap_or_default();
            let own = json!({
                "image": image.id.as_str(),
                "volume": known.and_then(|s| s.volume.as_ref()).map(ToString::to_string),
                "state": known.map(|s| s.state.as_str()),
            });
            let proof = self.proof(verdict, &tags, own, evidence);
            record(id.to_string(), Some(image.id.to_string()), proof)
        });
        Intent {
            snapshots: snapshots.collect(),
            image: record(image.id.to_string(), None, proof),
        }
    }

    async fn deregister_recorded(
        &self,
        verdict: &Verdict,
        image: &Image,
        intent: Intent,
        lists: &Inventory,
    ) -> Result<Deregistered, TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        // The AMI's comes last: where it stands, its snapshots' stand too.
        stream::iter(&intent.snapshots)
            .map(|snapshot| self.records.intend_deletion(snapshot, &lease))
            .buffer_unordered(RECORDS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.records.intend_deletion(&intent.image, &lease).await?;
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        if let Some(reason) = self.thawed(lists) {
            let mut over = intent.snapshots;
            over.push(intent.image);
            self.end_all(&over, reason.detail.as_deref(), &lease)
                .await?;
            let item = verdict.item(Outcome::Deferred).reason(reason);
            return Ok(Deregistered::without_snapshots(item, false));
        }
        match self.ec2.deregister_image(&image.id, Backing::Delete).await {
            Ok(results) => Ok(self.gone(verdict, intent, results, &lease).await),
            Err(error) => self.not_gone(verdict, intent, error, &lease).await,
        }
    }

    /// The AMI is gone; each of its snapshots has an answer of its own.
    async fn gone(
        &self,
        verdict: &Verdict,
        intent: Intent,
        results: Vec<(SnapshotId, BackingDeletion)>,
        lease: &Lease,
    ) -> Deregistered {
        let mut results: BTreeMap<String, BackingDeletion> = results
            .into_iter()
            .map(|(id, result)| (id.to_string(), result))
            .collect();
        let mut ended = Deregistered::without_snapshots(verdict.item(Outcome::Deleted), true);
        let mut over = vec![intent.image];
        for snapshot in intent.snapshots {
            let id = snapshot.resource.clone();
            let path = vec![verdict.subject.id().to_owned(), id.clone()];
            let stays = |item: &mut Item, code, detail: String| {
                let detail = Some(detail);
                item.reasons.push(Reason { code, detail, path });
            };
            match results.remove(&id) {
                Some(BackingDeletion::Deleted) => {
                    ended.gone.push(SnapshotId::new(&id));
                    over.push(snapshot);
                }
                Some(BackingDeletion::Shared) => {
                    let detail = format!("{id} stays: another AMI uses it");
                    stays(&mut ended.item, ReasonCode::UsedByImage, detail);
                    ended.shared.push(snapshot);
                }
                Some(BackingDeletion::Refused(code)) => {
                    let detail = format!("{id} stays for the next sweep: EC2 answered {code}");
                    stays(&mut ended.item, ReasonCode::Orphaned, detail);
                    ended.done = false;
                }
                None => {
                    let detail = format!("{id} is left to the next sweep: EC2 did not say");
                    stays(&mut ended.item, ReasonCode::Orphaned, detail);
                    ended.done = false;
                }
            }
        }
        if let Err(error) = self.end_all(&over, None, lease).await {
            ended.item.reasons.push(unrecorded(error));
        }
        ended
    }

    /// The call failed, which may still mean that the AMI is gone.
    async fn not_gone(
        &self,
        verdict: &Verdict,
        intent: Intent,
        error: CallError,
        lease: &Lease,
    ) -> Result<Deregistered, TableError> {
        let words = error.to_string();
        match error.class {
            // Somebody was faster, or an earlier answer was lost and its snapshots went with it.
            ErrorClass::NotFound => {
                let again = SnapshotScope::Ids(ids(&intent.snapshots));
                let listed = self.ec2.snapshots(&again).await;
                let still: BTreeSet<&str> = listed.items.iter().map(|s| s.id.as_str()).collect();
                let (left, mut over): (Vec<Deletion>, Vec<Deletion>) =
                    intent.snapshots.into_iter().partition(|snapshot| {
                        !listed.is_complete() || still.contains(snapshot.resource.as_str())
                    });
                over.push(intent.image);
                self.end_all(&over, None, lease).await?;
                let reason = Reason::with(ReasonCode::Expired, "it was gone already");
                let mut item = verdict.item(Outcome::Deleted).reason(reason);
                for snapshot in &left {
                    let id = &snapshot.resource;
                    item.reasons.push(Reason {
                        code: ReasonCode::Orphaned,
                        detail: Some(format!("{id} is left to the next sweep")),
                        path: vec![verdict.subject.id().to_owned(), id.clone()],
                    });
                }
                Ok(Deregistered::without_snapshots(item, left.is_empty()))
            }
            // Nobody knows: the intents stay, and the next sweep sees what is still there.
            ErrorClass::UnknownOutcome => {
                let item = deferred(verdict, ReasonCode::OutcomeUnknown, words);
                Ok(Deregistered::without_snapshots(item, false))
            }
            _ => {
                let mut over = intent.snapshots;
                over.push(intent.image);
                self.end_all(&over, Some(&words), lease).await?;
                let item = refusal(verdict, &error);
                let done = item.outcome != Outcome::Deferred;
                Ok(Deregistered::without_snapshots(item, done))
            }
        }
    }

    async fn end_all(
        &self,
        deletions: &[Deletion],
        refused: Option<&str>,
        lease: &Lease,
    ) -> Result<(), TableError> {
        stream::iter(deletions)
            .map(|deletion| self.records.end_deletion(deletion, refused, lease))
            .buffer_unordered(RECORDS_AT_ONCE)
            .try_collect()
            .await
    }
}
