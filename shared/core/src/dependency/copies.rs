//! Copies that EC2 is still making.

use std::collections::HashMap;

use crate::id::{ImageId, SnapshotId};
use crate::inventory::{Image, ImageState, Inventory, Snapshot, SnapshotState};
use crate::report::{Reason, ReasonCode};

/// What is being copied, and into what.
#[derive(Debug, Default)]
pub(super) struct Copies(HashMap<String, Vec<String>>);

impl Copies {
    pub(super) fn new(inventory: &Inventory) -> Self {
        let mut copies = Self::default();
        let images = &inventory.images.items;
        for image in images.copies().filter_map(|row| images.get(row)) {
            if let Some(source) = &image.source_image
                && is_copy_in_progress(&image)
            {
                copies.add(source.as_str(), image.id.as_str());
            }
        }
        let lists = [&inventory.pending.items, &inventory.mapped.items];
        for snapshot in lists.into_iter().flatten() {
            if !is_pending(snapshot) {
                continue;
            }
            // `Copied for DestinationAmi ami-… from SourceAmi ami-… for SourceSnapshot snap-….`
            // (CopyImage): informal text, a hint that is enough to hold and proves nothing.
            for word in snapshot.description.split(|c: char| !is_of_id(c)) {
                let named = SnapshotId::parse(word).is_some() || ImageId::parse(word).is_some();
                if named && word != snapshot.id.as_str() {
                    copies.add(word, snapshot.id.as_str());
                }
            }
        }
        copies
    }

    fn add(&mut self, source: &str, copy: &str) {
        let known = self.0.entry(source.to_owned()).or_default();
        if !known.iter().any(|known| known == copy) {
            known.push(copy.to_owned());
        }
    }

    /// A reason for each copy of `source` that is being made.
    pub(super) fn of(&self, source: &str) -> Vec<Reason> {
        let copies = self.0.get(source).map_or(&[][..], Vec::as_slice);
        let reason = |copy: &String| Reason {
            code: ReasonCode::CopyInProgress,
            detail: Some(format!("{copy} is being made and names it")),
            path: vec![source.to_owned(), copy.clone()],
        };
        copies.iter().map(reason).collect()
    }
}

/// An image that names its source instance is no copy: it was made of that machine
/// (`SourceInstanceId` is given for `CreateImage` only, EC2 API Reference, Image).
fn is_copy_in_progress(image: &Image) -> bool {
    let done = matches!(
        image.state,
        ImageState::Available
            | ImageState::Failed
            | ImageState::Disabled
            | ImageState::Deregistered
            | ImageState::Invalid
            | ImageState::Error
    );
    !done && image.source_instance.is_none()
}

fn is_pending(snapshot: &Snapshot) -> bool {
    !matches!(
        snapshot.state,
        SnapshotState::Completed
            | SnapshotState::Error
            | SnapshotState::Recoverable
            | SnapshotState::Recovering
    )
}

fn is_of_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}
