//! The end of one AMI: intents recorded, `DeregisterImage`, and what becomes of its snapshots.
//!
//! Cut off anywhere it goes on in a later sweep: an AMI that still stands is judged again, and the
//! snapshots of one that does not are leftovers with an open intent.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{Image, Snapshot};
use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::ports::records::{Deletion, Records, TableError};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ErrorClass, ReadEc2, SnapshotScope, WriteEc2,
};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::call::{Sent, deferred, refusal, unrecorded};
use super::check::Looked;
use super::snapshot::ids;
use super::{Deleter, Ground};
use crate::aws::CALL_TIMEOUT;

/// Records of one AMI's snapshots that are written at once.
const RECORDS_AT_ONCE: usize = 8;

/// What became of an AMI and its snapshots.
pub(super) struct Deregistered {
    /// The AMI's line of the report.
    pub item: Item,
    /// Whether nothing is left to do.
    pub done: bool,
    /// The judgement it went by.
    pub looked: Looked,
    /// Snapshots that went with it.
    pub gone: BTreeSet<String>,
    /// Snapshots that stay for now.
    pub staying: Vec<Staying>,
}

/// A snapshot with an open intent that something else needs.
pub(super) struct Staying {
    /// The intent.
    pub deletion: Deletion,
    /// Whether that is EC2's own word, and not only the lists'.
    pub told: bool,
}

impl Deregistered {
    pub(super) fn new(item: Item, done: bool, looked: Looked) -> Self {
        Self {
            item,
            done,
            looked,
            gone: BTreeSet::new(),
            staying: Vec::new(),
        }
    }

    /// Says that a snapshot stays, and why.
    pub(super) fn stays(&mut self, id: &str, code: ReasonCode, words: &str) {
        self.item.reasons.push(Reason {
            code,
            detail: Some(format!("{id} {words}")),
            path: vec![self.item.resource.clone(), id.to_owned()],
        });
    }

    /// Says that a snapshot is left to a later sweep, and why.
    pub(super) fn left(&mut self, id: &str, words: &str) {
        self.stays(id, ReasonCode::Orphaned, words);
        self.done = false;
    }
}

/// What is about to go: the AMI's record and those of its snapshots.
struct Intent {
    image: Deletion,
    snapshots: Vec<Deletion>,
    /// Those of the snapshots that nobody looked at: they were not listed.
    unseen: BTreeSet<String>,
}

impl Intent {
    fn all(&self) -> impl Iterator<Item = &Deletion> {
        self.snapshots.iter().chain(std::iter::once(&self.image))
    }
}

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// One deregistration.
    pub(super) async fn deregister(&self, mut looked: Looked, ground: &Ground) -> Deregistered {
        if !looked.verdict.is_condemned() {
            self.free(ground, &mut looked).await;
            let item = looked.verdict.item(Outcome::Held);
            let done = !looked.unread();
            return Deregistered::new(item, done, looked);
        }
        if !self.invocation.has_time() {
            let words = "this invocation's time is over";
            let item = deferred(&looked.verdict, ReasonCode::OutOfTime, words);
            return Deregistered::new(item, false, looked);
        }
        ground.paces.images.turn().await;
        let Subject::Image { image, snapshots } = looked.verdict.subject.clone() else {
            let item = looked.verdict.item(Outcome::Deferred);
            return Deregistered::new(item, false, looked);
        };
        let intent = self.intent(&looked, &image, &snapshots, ground);
        let item = looked.verdict.item(Outcome::Deleted);
        let mut ended = Deregistered::new(item, true, looked);
        let done = self
            .deregister_recorded(&mut ended, &image, intent, ground)
            .await;
        if let Err(error) = done {
            let verdict = &ended.looked.verdict;
            ended.item = deferred(verdict, ReasonCode::TableFailed, error.to_string());
            ended.done = false;
        }
        ended
    }

    fn intent(
        &self,
        looked: &Looked,
        image: &Image,
        listed: &[Snapshot],
        ground: &Ground,
    ) -> Intent {
        let verdict: &Verdict = &looked.verdict;
        let time = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        let record = |resource: String, of: Option<String>, evidence: String| Deletion {
            resource,
            policy: verdict.policy.clone(),
            good: of.is_none() && verdict.good,
            image: of,
            other_images: BTreeSet::new(),
            time,
            run: self.invocation.id.clone(),
            evidence,
            at: Timestamp::now(),
            tries: 0,
            refused: None,
        };
        let proof = self.proof(ground);
        let mut mapped: BTreeSet<&SnapshotId> = image.snapshots().collect();
        mapped.extend(listed.iter().map(|snapshot| &snapshot.id));
        let snapshots = mapped.iter().map(|id| {
            let known = listed.iter().find(|s| s.id == **id);
            let evidence = proof.of_backing(looked, image, known);
            Deletion {
                other_images: ground.other_images(id, &image.id),
                ..record(id.to_string(), Some(image.id.to_string()), evidence)
            }
        });
        let seen = |id: &&&SnapshotId| listed.iter().any(|s| s.id == ***id);
        let unseen = mapped.iter().filter(|id| !seen(id));
        Intent {
            unseen: unseen.map(ToString::to_string).collect(),
            snapshots: snapshots.collect(),
            image: record(image.id.to_string(), None, proof.of(looked)),
        }
    }

    async fn deregister_recorded(
        &self,
        ended: &mut Deregistered,
        image: &Image,
        intent: Intent,
        ground: &Ground,
    ) -> Result<(), TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        // The AMI's comes last: where it stands, its snapshots' stand too.
        stream::iter(&intent.snapshots)
            .map(|snapshot| self.records.intend_deletion(snapshot, &lease))
            .buffer_unordered(RECORDS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.records.intend_deletion(&intent.image, &lease).await?;
        let needed = |snapshot: &Deletion| {
            ground
                .needing(&snapshot.resource, image.id.as_str())
                .is_some()
        };
        // What nobody looked at must not go along.
        let unseen = !intent.unseen.is_empty() || image.untold_device().is_some();
        let backing = match unseen || intent.snapshots.iter().any(needed) {
            true => Backing::Keep,
            false => Backing::Delete,
        };
        let call = || self.ec2.deregister_image(&image.id, backing);
        let sent = self.send(ground, &ended.looked, &ground.paces.images, call);
        let answer = match sent.await? {
            Sent::Answered(answer) => answer,
            Sent::Stopped(reason) => {
                let words = reason.detail.clone();
                self.end_all(intent.all(), words.as_deref()).await?;
                ended.item = ended.looked.verdict.item(Outcome::Deferred).reason(reason);
                ended.done = false;
                return Ok(());
            }
        };
        match answer {
            Ok(results) => {
                ground.went(&image.id);
                if let Err(error) = self.end_all([&intent.image], None).await {
                    ended.item.reasons.push(unrecorded(error));
                }
                match backing {
                    Backing::Delete => self.told(ended, intent.snapshots, results).await,
                    Backing::Keep => {
                        let (unseen, snapshots) = intent
                            .snapshots
                            .into_iter()
                            .partition(|s| intent.unseen.contains(&s.resource));
                        self.leave_unseen(ended, unseen).await;
                        self.one_by_one(ended, snapshots, ground).await;
                    }
                }
                Ok(())
            }
            Err(error) => self.not_gone(ended, image, intent, error, ground).await,
        }
    }

    /// The AMI is gone with its snapshots; each of them has an answer of its own.
    async fn told(
        &self,
        ended: &mut Deregistered,
        snapshots: Vec<Deletion>,
        results: Vec<(SnapshotId, BackingDeletion)>,
    ) {
        let mut results: BTreeMap<String, BackingDeletion> = results
            .into_iter()
            .map(|(id, result)| (id.to_string(), result))
            .collect();
        let mut over = Vec::new();
        for snapshot in snapshots {
            let id = snapshot.resource.clone();
            match results.remove(&id) {
                Some(BackingDeletion::Deleted) => {
                    ended.gone.insert(id);
                    over.push(snapshot);
                }
                Some(BackingDeletion::Shared) => ended.staying.push(Staying {
                    deletion: snapshot,
                    told: true,
                }),
                Some(BackingDeletion::Refused(code)) => {
                    let words = format!("stays for a later sweep: EC2 answered {code}");
                    ended.left(&id, &words);
                    let refusal = format!("DeregisterImage: EC2 answered {code} for it");
                    let counted = self.try_again(&snapshot, refusal).await;
                    ended.item.reasons.extend(counted.err().map(uncounted));
                }
                None => ended.left(&id, "is left to the next sweep: EC2 did not say"),
            }
        }
        if let Err(error) = self.end_all(&over, None).await {
            ended.item.reasons.push(unrecorded(error));
        }
    }

    /// The call failed, which may still mean that the AMI is gone.
    async fn not_gone(
        &self,
        ended: &mut Deregistered,
        image: &Image,
        intent: Intent,
        error: CallError,
        ground: &Ground,
    ) -> Result<(), TableError> {
        let verdict = &ended.looked.verdict;
        let words = error.to_string();
        match error.class {
            // Somebody was faster, or an earlier answer was lost and its snapshots went with it.
            ErrorClass::NotFound => {
                ground.went(&image.id);
                let again = SnapshotScope::Ids(ids(&intent.snapshots));
                let listed = self.ec2.snapshots(&again).await;
                let still: BTreeSet<&str> = listed.items.iter().map(|s| s.id.as_str()).collect();
                let (left, mut over): (Vec<Deletion>, Vec<Deletion>) =
                    intent.snapshots.into_iter().partition(|snapshot| {
                        !listed.is_complete() || still.contains(snapshot.resource.as_str())
                    });
                over.push(intent.image);
                self.end_all(&over, None).await?;
                let reason = Reason::with(ReasonCode::Expired, "it was gone already");
                ended.item.reasons.push(reason);
                for snapshot in &left {
                    ended.left(&snapshot.resource, "is left to the next sweep");
                }
            }
            // Nobody knows: the intents stay, and the next sweep sees what is still there.
            ErrorClass::UnknownOutcome => {
                ended.item = deferred(verdict, ReasonCode::OutcomeUnknown, words);
                ended.done = false;
            }
            _ => {
                self.end_all(intent.all(), Some(&words)).await?;
                ended.item = refusal(verdict, &error);
                ended.done = ended.item.outcome != Outcome::Deferred;
            }
        }
        Ok(())
    }

    /// Ends intents: gone, or (with the words) not.
    pub(super) async fn end_all<'d>(
        &self,
        deletions: impl IntoIterator<Item = &'d Deletion>,
        refused: Option<&str>,
    ) -> Result<(), TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let lease = &lease;
        stream::iter(deletions)
            .map(|deletion| self.records.end_deletion(deletion, refused, lease))
            .buffer_unordered(RECORDS_AT_ONCE)
            .try_collect()
            .await
    }
}

/// That a refused call could not be counted: the intent stands as it was.
pub(super) fn uncounted(error: TableError) -> Reason {
    let detail = format!("the attempt is not on record: {error}");
    Reason::with(ReasonCode::TableFailed, detail)
}
