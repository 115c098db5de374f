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
        /// Subnet, `subnet-…`.
        subnet: Option<String>,
        /// Security groups, `sg-…`.
        security_groups: Vec<String>,
        /// Name of the key pair.
        key_name: Option<String>,
        /// ARN of the instance profile.
        instance_profile: Option<String>,
        /// Whether the metadata service demands session tokens.
        metadata_tokens: Option<bool>,
        /// Whether it is optimized for EBS.
        ebs_optimized: Option<bool>,
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
