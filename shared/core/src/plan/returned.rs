//! Snapshots that were left of an AMI and are so no more.
//!
//! While an AMI stands over them they have no verdict of their own, and so nothing would take their
//! marks off: deregistered again, the AMI would find them with part of their week gone, or all of it.

use std::collections::BTreeSet;

use crate::id::SnapshotId;
use crate::inventory::{ImageState, Inventory};

/// Which of the snapshots that `waiting` says were left of an AMI belong to an AMI that stands again,
/// or are gone: their wait is over, and another one begins anew. What was not listed is gone only if
/// the list is complete.
#[must_use]
pub fn returned(waiting: &BTreeSet<String>, inventory: &Inventory) -> Vec<String> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let images = &inventory.images.items;
    let standing =
        (0..images.len()).filter(|&row| images.state(row) != Some(ImageState::Deregistered));
    let mapped = standing.flat_map(|row| images.snapshots(row));
    let mapped: BTreeSet<String> = mapped
        .map(|id| id.to_string())
        .filter(|id| waiting.contains(id))
        .collect();
    let snapshots = &inventory.snapshots;
    let listed = snapshots.items.index();
    let is_listed = |id: &str| listed.find(&SnapshotId::new(id)).is_some();
    let over =
        |id: &&String| mapped.contains(id.as_str()) || (snapshots.is_complete() && !is_listed(id));
    waiting.iter().filter(over).cloned().collect()
}
