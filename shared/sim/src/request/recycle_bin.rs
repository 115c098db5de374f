//! What was deleted and can still be restored.

use super::PageRequest;

structures! {
    /// Lists snapshots in the Recycle Bin.
    ListSnapshotsInRecycleBin {
        /// Only these.
        ids: Vec<String>,
        /// Page.
        page: PageRequest,
    }
    /// Lists images in the Recycle Bin.
    ListImagesInRecycleBin {
        /// Only these, at most 20.
        ids: Vec<String>,
        /// Page.
        page: PageRequest,
    }
    /// Restores a snapshot from the Recycle Bin.
    RestoreSnapshotFromRecycleBin {
        /// The snapshot.
        id: String,
    }
    /// Restores an image from the Recycle Bin.
    RestoreImageFromRecycleBin {
        /// The image.
        id: String,
    }
}
