//! Launching, stopping, starting and terminating instances.

use super::{LaunchTemplateReference, TagSpecification};
use crate::model::device::BlockDevice;

structures! {
    /// Launches instances.
    RunInstances {
        /// The image; or that of the launch template.
        image: Option<String>,
        /// The type; or that of the launch template; else `m1.small` in EC2, refused here.
        instance_type: Option<String>,
        /// Least number of instances.
        min_count: i32,
        /// Greatest number of instances.
        max_count: i32,
        /// Launch template.
        launch_template: Option<LaunchTemplateReference>,
        /// Changes to the image's devices.
        mappings: Vec<BlockDevice>,
        /// Availability Zone.
        zone: Option<String>,
        /// Types `instance` and `volume`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Stops instances.
    StopInstances {
        /// Which.
        ids: Vec<String>,
    }
    /// Starts stopped instances.
    StartInstances {
        /// Which.
        ids: Vec<String>,
    }
    /// Terminates instances.
    TerminateInstances {
        /// Which.
        ids: Vec<String>,
    }
}
