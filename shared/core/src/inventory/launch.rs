//! How an instance is launched.

use serde::{Deserialize, Serialize};

/// How an instance is launched, as far as a restore takes it over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchParameters {
    /// Such as `m5.large`.
    pub instance_type: Option<String>,
    /// Availability Zone.
    pub zone: Option<String>,
    /// Subnet of the first network interface, `subnet-…`.
    pub subnet: Option<String>,
    /// Security groups of the first network interface, `sg-…`.
    pub security_groups: Vec<String>,
    /// Name of the key pair.
    pub key_name: Option<String>,
    /// ARN of the instance profile.
    pub instance_profile: Option<String>,
    /// Whether the metadata service demands session tokens (`HttpTokens=required`, IMDSv2).
    pub metadata_tokens: bool,
    /// Whether it is optimized for EBS.
    pub ebs_optimized: bool,
}
