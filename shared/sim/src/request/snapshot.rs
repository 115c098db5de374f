//! Making and deleting snapshots.

use super::TagSpecification;

structures! {
    /// Takes one snapshot.
    CreateSnapshot {
        /// The volume.
        volume: String,
        /// At most 255 characters.
        description: Option<String>,
        /// Type `snapshot`.
        tags: Vec<TagSpecification>,
    }
    /// Takes one crash-consistent set of the volumes of one instance.
    CreateSnapshots {
        /// The instance.
        instance: String,
        /// Leave the root volume out.
        exclude_boot_volume: bool,
        /// Data volumes left out, at most 40.
        exclude_data_volumes: Vec<String>,
        /// Put on every member.
        description: Option<String>,
        /// Type `snapshot`.
        tags: Vec<TagSpecification>,
        /// `volume`, or absent.
        copy_tags_from_source: Option<String>,
    }
    /// Deletes a snapshot.
    DeleteSnapshot {
        /// The snapshot.
        id: String,
    }
}
