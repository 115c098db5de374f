//! Snapshots that were left of an AMI and are so no more.
//!
//! While an AMI stands over them they have no verdict of their own, and so nothing would take their
//! marks off: deregistered again, the AMI would find them with part of their week gone, or all of it.

use std::collections::BTreeSet;

use crate::id::SnapshotId;
use crate::inventory::{Image, ImageState, Inventory};

/// Which of the snapshots that `waiting` says were left of an AMI belong to an AMI that stands again,
/// or are gone: their wait is over, and another one begins anew. What was not listed is gone only if
/// the list is complete.
#[must_use]
pub fn returned(waiting: &BTreeSet<String>, inventory: &Inventory) -> Vec<String> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let images = inventory.images.items.iter();
    let standing = images.filter(|image| image.state != ImageState::Deregistered);
    let mapped: BTreeSet<&str> = standing
        .flat_map(Image::snapshots)
        .map(SnapshotId::as_str)
        .collect();
    let snapshots = &inventory.snapshots;
    let listed: BTreeSet<&str> = snapshots.items.iter().map(|s| s.id.as_str()).collect();
    let over = |id: &&String| {
        mapped.contains(id.as_str()) || (snapshots.is_complete() && !listed.contains(id.as_str()))
    };
    waiting.iter().filter(over).cloned().collect()
}
