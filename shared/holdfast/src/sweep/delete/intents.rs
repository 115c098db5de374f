//! Closing intents that were not carried out.
//!
//! An intent whose end was not heard of says that a later loss may be Holdfast's own doing. Once
//! the AMI is listed again it says nothing any more: the next to deregister it is somebody else.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageState, Inventory};
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

use super::Deleter;
use crate::aws::CALL_TIMEOUT;
use crate::sweep::each::each;

/// Why the intents for an AMI and for the snapshots behind it are closed.
const NOT_CARRIED_OUT: &str = "the AMI was listed after it: it was not carried out";

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Closes the open intents for AMIs that stand, and for the snapshots behind them; a failed
    /// item for each record that cannot be read.
    ///
    /// The AMI's goes first: it alone makes its snapshots leftovers. None of them is taken out of
    /// the breaker's window, because the list that shows the AMI may lag behind.
    pub(super) async fn close_refuted(&self, lists: &Inventory) -> Result<Vec<Item>, TableError> {
        let images = &lists.images.items;
        let standing: BTreeMap<String, usize> = (0..images.len())
            .filter(|&row| images.tag(row, artifact::MANAGED).is_some())
            .filter(|&row| images.state(row) != Some(ImageState::Deregistered))
            .filter_map(|row| Some((images.id_text(row)?, row)))
            .collect();
        let ids: Vec<String> = standing.keys().cloned().collect();
        let (open, mut unread) = self.open(&ids).await?;
        for deletion in open {
            let image = deletion.resource.clone();
            let Some(&row) = standing.get(&image) else {
                continue;
            };
            self.close(deletion, NOT_CARRIED_OUT).await?;
            let mapped: BTreeSet<String> = images.snapshots(row).map(|id| id.to_string()).collect();
            let mapped: Vec<String> = mapped.into_iter().collect();
            let (snapshots, more) = self.open(&mapped).await?;
            unread.extend(more);
            let of_it = |d: &Deletion| d.image.as_deref() == Some(image.as_str());
            for deletion in snapshots.into_iter().filter(of_it) {
                self.close(deletion, NOT_CARRIED_OUT).await?;
            }
        }
        Ok(unread)
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

    /// The open intents among these, and failed items for records that cannot be read.
    async fn open(&self, ids: &[String]) -> Result<(Vec<Deletion>, Vec<Item>), TableError> {
        let (found, unread) = each(ids, async |ids| self.records.deletions(ids).await).await?;
        let failed = |(id, error): (String, TableError)| {
            let reason = Reason::with(ReasonCode::TableFailed, error.to_string());
            Item::new(Action::Record, id, Outcome::Failed).reason(reason)
        };
        let unread: Vec<Item> = unread.into_iter().map(failed).collect();
        let open = found.into_values();
        let open = open.filter(|(_, state)| *state == DeletionState::Intended);
        Ok((open.map(|(deletion, _)| deletion).collect(), unread))
    }
}
