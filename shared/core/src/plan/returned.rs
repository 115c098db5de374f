//! What waits for its deletion and does so no more, although no verdict says so.
//!
//! A mark is taken off by the verdict that finds an artifact free again. But while an AMI stands over
//! snapshots that were left of it they have no verdict of their own, and what is gone has none at all:
//! deregistered again, or taken out of the Recycle Bin, they would be found with part of their wait
//! gone, or all of it.

use std::collections::BTreeSet;

use super::judge::{FormerImage, Judged};
use crate::id::{ImageId, SnapshotId};
use crate::inventory::{ImageState, Inventory};

/// Which of the artifacts that `waiting` says are marked wait no more, so that another wait begins
/// anew: snapshots that an AMI maps again, and what is gone. What was not listed is gone only if the
/// list is complete.
#[must_use]
pub fn returned(waiting: &BTreeSet<String>, inventory: &Inventory) -> Vec<String> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let images = &inventory.images.items;
    let stands = |row: &usize| images.state(*row) != Some(ImageState::Deregistered);
    let standing = || (0..images.len()).filter(stands);
    let listed_images: BTreeSet<String> = standing()
        .filter_map(|row| images.id_text(row))
        .filter(|id| waiting.contains(id))
        .collect();
    let mapped = standing().flat_map(|row| images.snapshots(row));
    let mapped: BTreeSet<String> = mapped
        .map(|id| id.to_string())
        .filter(|id| waiting.contains(id))
        .collect();
    let snapshots = &inventory.snapshots;
    let listed = snapshots.items.index();
    let is_listed = |id: &str| listed.find(&SnapshotId::new(id)).is_some();
    let over = |id: &&String| {
        if FormerImage::is_mark(id) {
            return false;
        }
        if ImageId::parse(id).is_some() {
            return inventory.images.is_complete() && !listed_images.contains(id.as_str());
        }
        mapped.contains(id.as_str()) || (snapshots.is_complete() && !is_listed(id))
    };
    waiting.iter().filter(over).cloned().collect()
}

/// Which of the former AMIs in `waiting` wait no more: no AMI of which all is judged takes what is
/// left of them along. `verdicts` are those of all policies.
#[must_use]
pub fn parted(
    waiting: &BTreeSet<String>,
    inventory: &Inventory,
    verdicts: &impl Judged,
) -> Vec<String> {
    let marks = waiting.iter().filter(|id| FormerImage::is_mark(id));
    let mut marks: BTreeSet<String> = marks.cloned().collect();
    if marks.is_empty() || !inventory.images.is_complete() || !inventory.snapshots.is_complete() {
        return Vec::new();
    }
    for v in 0..verdicts.count() {
        let former = verdicts.orphan_of(v).filter(|_| verdicts.is_image(v));
        if let Some(former) = former {
            marks.remove(&former.mark());
        }
    }
    marks.into_iter().collect()
}
