//! Closing intents that were not carried out, and putting the proofs aside of what came back.
//!
//! An intent whose end was not heard of says that a later loss may be Holdfast's own doing, and the
//! proof of a deletion that it is. Once the artifact is listed again they say nothing any more: the
//! next to delete it is somebody else.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageState, Inventory, List};
use holdfast_core::lineage::lists_have_caught_up;
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

use super::Deleter;
use crate::aws::CALL_TIMEOUT;
use crate::sweep::each::each;

/// Why the intents for an AMI and for the snapshots behind it are closed.
const NOT_CARRIED_OUT: &str = "the AMI was listed after it: it was not carried out";
/// Why the intent for a snapshot is closed whose AMI was deregistered.
const CAME_BACK: &str = "it is listed after it, and so is the AMI, which came back";

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Closes the open intents for AMIs that stand, and for the snapshots behind them, and puts the
    /// proofs aside of those that came back; a failed item for each record that cannot be read.
    ///
    /// An intent's AMI goes first: it alone makes its snapshots leftovers. None of them is taken out
    /// of the breaker's window, because the list that shows the AMI may lag behind. A proof's goes
    /// last: its snapshots are looked at only while it stands there.
    pub(super) async fn close_refuted(&self, lists: &Inventory) -> Result<Vec<Item>, TableError> {
        let images = &lists.images.items;
        let standing: BTreeMap<String, usize> = (0..images.len())
            .filter(|&row| images.tag(row, artifact::MANAGED).is_some())
            .filter(|&row| images.state(row) != Some(ImageState::Deregistered))
            .filter_map(|row| Some((images.id_text(row)?, row)))
            .collect();
        let ids: Vec<String> = standing.keys().cloned().collect();
        let (found, mut unread) = self.deletions(&ids).await?;
        for (deletion, state) in found {
            let image = deletion.resource.clone();
            let Some(&row) = standing.get(&image) else {
                continue;
            };
            let came_back = match state {
                DeletionState::Intended => false,
                DeletionState::Deleted if outlived(&deletion, &lists.images) => true,
                DeletionState::Deleted | DeletionState::Refused => continue,
            };
            let mapped: BTreeSet<String> = images.snapshots(row).map(|id| id.to_string()).collect();
            let mapped: Vec<String> = mapped.into_iter().collect();
            if came_back {
                unread.extend(self.put_aside_with(&image, &mapped, lists).await?);
                self.put_aside(&deletion).await?;
            } else {
                self.close(deletion, NOT_CARRIED_OUT).await?;
                let (snapshots, more) = self.deletions(&mapped).await?;
                unread.extend(more);
                for (deletion, _) in snapshots.into_iter().filter(|one| is_open_of(one, &image)) {
                    self.close(deletion, NOT_CARRIED_OUT).await?;
                }
            }
        }
        Ok(unread)
    }

    /// The same for those of the snapshots behind an AMI that came back which are listed with it.
    async fn put_aside_with(
        &self,
        image: &str,
        mapped: &[String],
        lists: &Inventory,
    ) -> Result<Vec<Item>, TableError> {
        let (snapshots, unread) = self.deletions(mapped).await?;
        for one in snapshots {
            let (deletion, state) = &one;
            if lists.snapshots.items.find(&deletion.resource).is_none() {
                continue;
            }
            if *state == DeletionState::Deleted && outlived(deletion, &lists.snapshots) {
                self.put_aside(deletion).await?;
            } else if is_open_of(&one, image) {
                self.close(one.0, CAME_BACK).await?;
            }
        }
        Ok(unread)
    }

    /// Puts the proofs aside of marked artifacts that stand, and of snapshots that wait no more
    /// because an AMI maps them again; failed items for records that cannot be read.
    pub(super) async fn put_aside_outlived(
        &self,
        marked: Vec<Deletion>,
        returned: &[String],
        lists: &Inventory,
    ) -> Result<Vec<Item>, TableError> {
        let snapshots = &lists.snapshots.items;
        let stand: Vec<String> = returned
            .iter()
            .filter(|id| SnapshotId::parse(id).is_some() && snapshots.find(id).is_some())
            .cloned()
            .collect();
        let (found, unread) = if stand.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            self.deletions(&stand).await?
        };
        let found = found.into_iter();
        let returned = found.filter(|(_, state)| *state == DeletionState::Deleted);
        for deletion in marked.into_iter().chain(returned.map(|(one, _)| one)) {
            let stands = match SnapshotId::parse(&deletion.resource) {
                Some(_) => outlived(&deletion, &lists.snapshots),
                None => outlived(&deletion, &lists.images),
            };
            if stands {
                self.put_aside(&deletion).await?;
            }
        }
        Ok(unread)
    }

    async fn put_aside(&self, deletion: &Deletion) -> Result<(), TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        self.records.put_deletion_aside(deletion, &lease).await
    }

    /// Closes the open intents for snapshots that are listed and judged by themselves.
    pub(super) async fn close_unheard(&self, unheard: Vec<Deletion>) -> Result<(), TableError> {
        let of_snapshot = |deletion: &Deletion| SnapshotId::parse(&deletion.resource).is_some();
        for deletion in unheard.into_iter().filter(of_snapshot) {
            let words = "it was listed after it, and is condemned anew";
            self.close(deletion, words).await?;
        }
        Ok(())
    }

    async fn close(&self, deletion: Deletion, words: &str) -> Result<(), TableError> {
        let lease = self.held.good_for(CALL_TIMEOUT).await?;
        let deletion = Deletion {
            good: false,
            ..deletion
        };
        self.records
            .end_deletion(&deletion, Some(words), &lease)
            .await
    }

    /// What is recorded of the newest deletions of these, and failed items for records that cannot
    /// be read.
    async fn deletions(
        &self,
        ids: &[String],
    ) -> Result<(Vec<(Deletion, DeletionState)>, Vec<Item>), TableError> {
        let (found, unread) = each(ids, async |ids| self.records.deletions(ids).await).await?;
        let failed = |(id, error): (String, TableError)| {
            let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
            Item::new(Action::Record, id, Outcome::Failed).reason(reason)
        };
        let unread = unread.into_iter().map(failed).collect();
        Ok((found.into_values().collect(), unread))
    }
}

/// Whether an artifact of this list stands although it was deleted: the list no longer lags.
fn outlived<I>(deletion: &Deletion, list: &List<I>) -> bool {
    lists_have_caught_up(deletion.at, list.read_at)
}

/// Whether an open intent is one for a snapshot behind this AMI.
fn is_open_of((deletion, state): &(Deletion, DeletionState), image: &str) -> bool {
    *state == DeletionState::Intended && deletion.image.as_deref() == Some(image)
}
