//! The images that map a snapshot.

use super::References;
use crate::artifact::MANAGED;
use crate::id::SnapshotId;
use crate::inventory::table::PackedId;
use crate::inventory::{Image, ImageState};
use crate::report::{Reason, ReasonCode};

impl References<'_> {
    /// The images that map a snapshot, in whatever state they are.
    #[must_use]
    pub fn images_of(&self, snapshot: &SnapshotId) -> Vec<Image> {
        let images = &self.inventory.images.items;
        let rows = self.rows_over(snapshot).iter();
        rows.filter_map(|&(_, row)| images.get(row as usize))
            .collect()
    }

    /// Whether any image maps a snapshot.
    #[must_use]
    pub fn is_mapped(&self, snapshot: &SnapshotId) -> bool {
        !self.rows_over(snapshot).is_empty()
    }

    /// Whether a managed image that stands maps a snapshot.
    #[must_use]
    pub fn has_managed_over(&self, snapshot: &SnapshotId) -> bool {
        let images = &self.inventory.images.items;
        let mut rows = self.rows_over(snapshot).iter();
        rows.any(|&(_, row)| {
            let row = row as usize;
            images.tag(row, MANAGED) == Some("true")
                && images.state(row) != Some(ImageState::Deregistered)
        })
    }

    /// The images that map a snapshot, as what needs it.
    #[must_use]
    pub fn images_over(&self, snapshot: &SnapshotId) -> Vec<Reason> {
        let over = self.images_of(snapshot).into_iter();
        over.map(|image| over_snapshot(snapshot, &image)).collect()
    }

    fn rows_over(&self, snapshot: &SnapshotId) -> &[(PackedId, u32)] {
        let Some(wanted) = self.inventory.images.items.pack(snapshot) else {
            return &[];
        };
        let from = self.images.partition_point(|(id, _)| *id < wanted);
        let rest = self.images.get(from..).unwrap_or_default();
        &rest[..rest.partition_point(|(id, _)| *id == wanted)]
    }
}

/// That an image maps a snapshot.
pub(super) fn over_snapshot(snapshot: &SnapshotId, image: &Image) -> Reason {
    Reason {
        code: ReasonCode::UsedByImage,
        detail: Some(format!("{} ({}) maps it", image.id, image.state)),
        path: vec![snapshot.to_string(), image.id.to_string()],
    }
}
