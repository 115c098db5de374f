//! Opening snapshots and images to others.

use crate::model::permission::Grantee;

structures! {
    /// Opens a snapshot to accounts or takes it back from them.
    ModifySnapshotAttribute {
        /// The snapshot.
        id: String,
        /// `createVolumePermission`, or absent.
        attribute: Option<String>,
        /// Who may use it from now on.
        add: Vec<Grantee>,
        /// Who may no more; not in one call with additions.
        remove: Vec<Grantee>,
    }
    /// Reads one attribute of a snapshot.
    DescribeSnapshotAttribute {
        /// The snapshot.
        id: String,
        /// `createVolumePermission` or `productCodes`.
        attribute: String,
    }
    /// Takes a snapshot back from everybody.
    ResetSnapshotAttribute {
        /// The snapshot.
        id: String,
        /// `createVolumePermission`.
        attribute: String,
    }
    /// Opens an image to others or takes it back from them.
    ModifyImageAttribute {
        /// The image.
        id: String,
        /// `launchPermission`, or absent.
        attribute: Option<String>,
        /// Who may launch it from now on.
        add: Vec<Grantee>,
        /// Who may no more.
        remove: Vec<Grantee>,
    }
    /// Reads one attribute of an image.
    DescribeImageAttribute {
        /// The image.
        id: String,
        /// `launchPermission` or `description`.
        attribute: String,
    }
    /// Takes an image back from everybody.
    ResetImageAttribute {
        /// The image.
        id: String,
        /// `launchPermission`.
        attribute: String,
    }
}
