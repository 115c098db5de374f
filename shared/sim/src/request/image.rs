//! Making, deregistering, disabling and protecting images.

use jiff::Timestamp;

use super::TagSpecification;
use crate::model::device::BlockDevice;

structures! {
    /// Registers an image over snapshots.
    RegisterImage {
        /// Unique.
        name: String,
        /// At most 255 characters.
        description: Option<String>,
        /// EC2's default is `i386` `[B]`.
        architecture: Option<String>,
        /// Name of the root device.
        root_device: Option<String>,
        /// Devices.
        mappings: Vec<BlockDevice>,
        /// Type `image`.
        tags: Vec<TagSpecification>,
    }
    /// Makes an image of an instance.
    CreateImage {
        /// The instance.
        instance: String,
        /// Unique.
        name: String,
        /// At most 255 characters.
        description: Option<String>,
        /// Do not reboot the instance.
        no_reboot: bool,
        /// Changes to the instance's devices.
        mappings: Vec<BlockDevice>,
        /// Types `image` and `snapshot`.
        tags: Vec<TagSpecification>,
    }
    /// Deregisters an image.
    DeregisterImage {
        /// The image.
        id: String,
        /// Delete its snapshots, where no other image uses them.
        delete_associated_snapshots: bool,
    }
    /// Disables an image.
    DisableImage {
        /// The image.
        id: String,
    }
    /// Enables a disabled image.
    EnableImage {
        /// The image.
        id: String,
    }
    /// Protects an image from deregistration.
    EnableImageDeregistrationProtection {
        /// The image.
        id: String,
        /// Protection outlives its end by 24 hours.
        with_cooldown: bool,
    }
    /// Ends the protection of an image.
    DisableImageDeregistrationProtection {
        /// The image.
        id: String,
    }
}

structures! {
    /// Deprecates an image from a time on.
    EnableImageDeprecation {
        /// The image.
        id: String,
        /// The time; EC2 rounds it to the minute.
        at: Timestamp,
    }
    /// Takes the deprecation of an image back.
    DisableImageDeprecation {
        /// The image.
        id: String,
    }
}
