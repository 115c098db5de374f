//! Copying snapshots and images.

use super::TagSpecification;

structures! {
    /// Copies a snapshot; within the account's Region only.
    CopySnapshot {
        /// The Region of the source.
        source_region: String,
        /// The source.
        source: String,
        /// The Region of the copy; absent: the account's.
        destination_region: Option<String>,
        /// At most 255 characters.
        description: Option<String>,
        /// Encrypt the copy; that of an encrypted snapshot is encrypted anyway.
        encrypted: bool,
        /// ARN of the customer's key; absent: the account's default key.
        kms_key: Option<String>,
        /// Type `snapshot`.
        tags: Vec<TagSpecification>,
    }
    /// Copies an image with its snapshots; within the account's Region only.
    CopyImage {
        /// Unique.
        name: String,
        /// The Region of the source.
        source_region: String,
        /// The source.
        source: String,
        /// At most 255 characters.
        description: Option<String>,
        /// Encrypt the copied snapshots.
        encrypted: bool,
        /// ARN of the customer's key; absent: the account's default key.
        kms_key: Option<String>,
        /// Take over the user tags of an image of one's own.
        copy_image_tags: bool,
        /// Types `image` and `snapshot`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
}
