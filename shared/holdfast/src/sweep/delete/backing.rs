//! Snapshots of a deregistered AMI that did not go with it: deleted one by one, or left with what
//! else needs them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::SnapshotId;
use holdfast_core::ports::records::{Deletion, Records, TableError};
use holdfast_core::ports::{ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

use super::call::{Sent, unrecorded};
use super::ground::Need;
use super::image::{Deregistered, Staying, uncounted};
use super::{Deleter, Ground};

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Leaves those that were not listed: they may not exist, or a later sweep finds them.
    pub(super) async fn leave_unseen(&self, ended: &mut Deregistered, unseen: Vec<Deletion>) {
        for snapshot in &unseen {
            let words = "was not listed, and is left alone";
            ended.stays(&snapshot.resource, ReasonCode::SnapshotMissing, words);
            if let Err(error) = self.end_all([snapshot], Some(words)).await {
                ended.item.reasons.push(uncounted(error));
            }
        }
    }

    /// Deletes those that nothing else needs.
    pub(super) async fn one_by_one(
        &self,
        ended: &mut Deregistered,
        snapshots: Vec<Deletion>,
        ground: &Ground,
    ) {
        let image = ended.item.resource.clone();
        for snapshot in snapshots {
            if ground.needing(&snapshot.resource, image.as_str()).is_some() {
                ended.staying.push(Staying {
                    deletion: snapshot,
                    told: false,
                });
            } else if let Err(error) = self.delete_backing(ended, &snapshot, ground).await {
                ended.left(&snapshot.resource, "is left to the next sweep");
                ended.item.reasons.push(uncounted(error));
            }
        }
    }

    /// One of them. Whatever its AMI's evidence was, it holds for its snapshots too.
    async fn delete_backing(
        &self,
        ended: &mut Deregistered,
        snapshot: &Deletion,
        ground: &Ground,
    ) -> Result<(), TableError> {
        let id = SnapshotId::new(&snapshot.resource);
        let pace = &ground.paces.snapshots;
        pace.turn().await;
        let sent = self.send(ground, &ended.looked, pace, || {
            self.ec2.delete_snapshot(&id)
        });
        let error = match sent.await? {
            Sent::Stopped(reason) => {
                let words = reason.detail.unwrap_or_default();
                ended.left(id.as_str(), &format!("is left to the next sweep: {words}"));
                return Ok(());
            }
            Sent::Answered(Ok(())) => None,
            Sent::Answered(Err(error)) => Some(error),
        };
        match error {
            Some(error) if error.class != ErrorClass::NotFound => {
                let code = error.code.as_deref().unwrap_or("no answer");
                let words = format!("stays for a later sweep: EC2 answered {code}");
                ended.left(id.as_str(), &words);
                match error.class {
                    // It may be gone: what was not refused is no attempt without success.
                    ErrorClass::UnknownOutcome => Ok(()),
                    _ => self.try_again(snapshot, error.to_string()).await,
                }
            }
            // Gone now, or before.
            _ => {
                ended.gone.insert(id.to_string());
                if let Err(error) = self.end_all([snapshot], None).await {
                    ended.item.reasons.push(unrecorded(error));
                }
                Ok(())
            }
        }
    }

    /// Ends the intents for snapshots that something else needs. One that only AMIs needed which
    /// went in the same breath goes with the last of them.
    pub(super) async fn settle_staying(
        &self,
        ended: &mut [Deregistered],
        ground: &Ground,
    ) -> Vec<Item> {
        let gone: BTreeSet<String> = ended.iter().flat_map(|one| one.gone.clone()).collect();
        let mut staying: BTreeMap<String, (usize, Staying)> = BTreeMap::new();
        for (index, one) in ended.iter_mut().enumerate() {
            for stays in std::mem::take(&mut one.staying) {
                let id = stays.deletion.resource.clone();
                let told = stays.told || staying.get(&id).is_some_and(|(_, other)| other.told);
                staying.insert(id, (index, Staying { told, ..stays }));
            }
        }
        let mut failed = Vec::new();
        for (id, (index, Staying { deletion, told })) in staying {
            if gone.contains(&id) {
                continue;
            }
            let one = &mut ended[index];
            let image = one.item.resource.clone();
            let need = ground.needing(&id, image.as_str());
            let Some(need) = need.or(told.then_some(Need::IMAGE)) else {
                if let Err(error) = self.delete_backing(one, &deletion, ground).await {
                    one.left(&id, "is left to the next sweep");
                    one.item.reasons.push(uncounted(error));
                }
                continue;
            };
            one.stays(&id, need.code, need.words);
            if let Err(error) = self.end_all([&deletion], Some(need.words)).await {
                let detail = format!("it stays, but {error}");
                let reason = Reason::with(ReasonCode::TableFailed, detail);
                failed.push(Item::new(Action::Record, id, Outcome::Failed).reason(reason));
            }
        }
        failed
    }
}
