//! The Recycle Bin: what enters it, what it lists, what is restored from it.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{ImageState, SnapshotState};

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::image::Image;
use crate::model::recycle_bin::{Binned, Retained, retention};
use crate::model::snapshot::Snapshot;
use crate::page::candidates;
use crate::request;
use crate::response::Response;
use crate::transition::Transition;

/// Bounds of `MaxResults`, and identifiers in one request `[B]`.
const SNAPSHOT_PAGE: (i32, i32) = (5, 1000);
const IMAGE_PAGE: (i32, i32) = (1, 1000);
const MAX_IMAGES: usize = 20;

impl Account {
    /// Deletes a settled snapshot: for good, or into the Recycle Bin where a rule retains it.
    ///
    /// Assumed: what is in the bin does not count against the quota of snapshots.
    pub(super) fn discard_snapshot(&mut self, id: &SnapshotId) {
        let Some(snapshot) = self.snapshots.get(id).cloned() else {
            return;
        };
        let deletion = self.deletion(id.as_str());
        self.past.snapshots.keep(id, &snapshot, deletion);
        self.remove_snapshot(id);
        let rules = &self.settings.recycle_bin;
        if let Some(time) = retention(rules, Retained::Snapshots, &snapshot.tags) {
            let binned = Binned {
                resource: snapshot,
                entered: self.now,
                exits: self.after(time),
            };
            self.schedule
                .add(binned.exits, Transition::SnapshotLeavesBin(id.clone()));
            self.binned_snapshots.insert(id.clone(), binned);
        }
    }

    /// Keeps a deregistered image in the Recycle Bin where a rule retains it: EBS-backed ones only
    /// (EBS User Guide, "Considerations for Recycle Bin"); assumed: not one that is pending or has
    /// failed.
    ///
    /// An image in the bin does not hold its snapshots: they can be deleted, and the image is then
    /// lost (same page).
    pub(super) fn retain_image(&mut self, image: Image) {
        let registered = matches!(image.state, ImageState::Available | ImageState::Disabled);
        if image.root_device_type != "ebs" || !registered {
            return;
        }
        let rules = &self.settings.recycle_bin;
        if let Some(time) = retention(rules, Retained::Images, &image.tags) {
            let id = image.id.clone();
            let binned = Binned {
                resource: image,
                entered: self.now,
                exits: self.after(time),
            };
            self.schedule
                .add(binned.exits, Transition::ImageLeavesBin(id.clone()));
            self.binned_images.insert(id, binned);
        }
    }

    /// Ends a stay in the bin; one that began after a restore is another stay.
    pub(super) fn end_snapshot_stay(&mut self, id: &SnapshotId) {
        let over = |b: &Binned<Snapshot>| b.exits <= self.now;
        if self.binned_snapshots.get(id).is_some_and(over) {
            self.binned_snapshots.remove(id);
        }
    }

    /// As [`Self::end_snapshot_stay`].
    pub(super) fn end_image_stay(&mut self, id: &ImageId) {
        let over = |b: &Binned<Image>| b.exits <= self.now;
        if self.binned_images.get(id).is_some_and(over) {
            self.binned_images.remove(id);
        }
    }

    pub(super) fn list_snapshots_in_recycle_bin(
        &mut self,
        r: &request::ListSnapshotsInRecycleBin,
    ) -> Result<Response, ApiError> {
        for id in &r.ids {
            well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
            // Assumed: one that is not in the bin is an error, as in other lists.
            if !self.binned_snapshots.contains_key(&SnapshotId::new(id)) {
                return Err(ApiError::snapshot_not_found(id));
            }
        }
        let operation = "ListSnapshotsInRecycleBin";
        let cursor = self.open_page(operation, &r.ids, &r.page, SNAPSHOT_PAGE)?;
        let only: BTreeSet<String> = r.ids.iter().cloned().collect();
        let all = candidates(
            &self.binned_snapshots,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            SnapshotId::new,
        );
        let (view, lag) = (self.view(), self.settings.list_lag);
        Ok(Response::BinnedSnapshots(
            cursor.collect(all, |b: &Binned<Snapshot>| {
                view.lists(self.later(b.entered, b.resource.id.as_str(), lag))
            }),
        ))
    }

    pub(super) fn list_images_in_recycle_bin(
        &mut self,
        r: &request::ListImagesInRecycleBin,
    ) -> Result<Response, ApiError> {
        if r.ids.len() > MAX_IMAGES {
            return Err(ApiError::invalid_value(format!(
                "At most {MAX_IMAGES} image IDs can be given."
            )));
        }
        for id in &r.ids {
            well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
            if !self.binned_images.contains_key(&ImageId::new(id)) {
                return Err(ApiError::image_not_found(id));
            }
        }
        let operation = "ListImagesInRecycleBin";
        let cursor = self.open_page(operation, &r.ids, &r.page, IMAGE_PAGE)?;
        let only: BTreeSet<String> = r.ids.iter().cloned().collect();
        let all = candidates(
            &self.binned_images,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            ImageId::new,
        );
        let (view, lag) = (self.view(), self.settings.list_lag);
        Ok(Response::BinnedImages(
            cursor.collect(all, |b: &Binned<Image>| {
                view.lists(self.later(b.entered, b.resource.id.as_str(), lag))
            }),
        ))
    }

    /// Shares come back with the snapshot (EBS User Guide, "Considerations for Recycle Bin").
    pub(super) fn restore_snapshot_from_bin(&mut self, id: &str) -> Result<Response, ApiError> {
        well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
        let binned = self
            .binned_snapshots
            .remove(&SnapshotId::new(id))
            .ok_or_else(|| ApiError::snapshot_not_found(id))?;
        let mut snapshot = binned.resource;
        snapshot.listed_from = self.listed_from(id);
        snapshot.delete_when_settled = false;
        self.insert_snapshot(snapshot.clone());
        Ok(Response::RestoredSnapshot(Box::new(snapshot)))
    }

    /// All of an image's snapshots must be restored and completed first (same page; the codes, and
    /// that its name must still be free, are assumed).
    pub(super) fn restore_image_from_bin(&mut self, id: &str) -> Result<Response, ApiError> {
        well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
        let binned = self
            .binned_images
            .get(&ImageId::new(id))
            .ok_or_else(|| ApiError::image_not_found(id))?;
        let completed = |s: &SnapshotId| {
            let snapshot = self.snapshots.get(s);
            snapshot.is_some_and(|s| s.state == SnapshotState::Completed)
        };
        if let Some(missing) = binned.resource.snapshots().find(|s| !completed(s)) {
            return Err(ApiError::new(
                "IncorrectState",
                format!("The snapshot {missing} of {id} must be restored first."),
            ));
        }
        self.free_name(&binned.resource.name)?;
        if let Some(binned) = self.binned_images.remove(&ImageId::new(id)) {
            let mut image = binned.resource;
            image.listed_from = self.listed_from(id);
            self.insert_image(image);
        }
        Ok(Response::Done)
    }
}
