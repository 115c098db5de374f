//! Making, attaching and deleting volumes.

use super::TagSpecification;

structures! {
    /// Makes a volume.
    CreateVolume {
        /// Availability Zone.
        zone: String,
        /// Size in GiB; required without a snapshot.
        size_gib: Option<i32>,
        /// The snapshot it is made from.
        snapshot: Option<String>,
        /// EC2's default is `gp2` `[B]`.
        volume_type: Option<String>,
        /// IOPS; gp3, io1 and io2 only, required for the last two.
        iops: Option<i32>,
        /// Throughput in MiB/s; gp3 only.
        throughput: Option<i32>,
        /// `VolumeInitializationRate` in MiB/s; with a snapshot only.
        initialization_rate: Option<i32>,
        /// Whether it is encrypted.
        encrypted: Option<bool>,
        /// Whether several instances may attach it; io1 and io2 only.
        multi_attach: bool,
        /// Type `volume`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Attaches a volume.
    AttachVolume {
        /// The volume.
        volume: String,
        /// The instance.
        instance: String,
        /// Device name.
        device: String,
    }
    /// Detaches a volume.
    DetachVolume {
        /// The volume.
        volume: String,
        /// The instance; required for a volume attached to several.
        instance: Option<String>,
        /// Device name.
        device: Option<String>,
    }
    /// Deletes a volume.
    DeleteVolume {
        /// The volume.
        volume: String,
    }
}
