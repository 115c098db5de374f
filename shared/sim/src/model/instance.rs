//! Instances.

use std::borrow::Cow;

use holdfast_core::id::{ImageId, InstanceId, VolumeId};
use holdfast_core::inventory::{InstanceState, Tags};
use jiff::Timestamp;

use crate::filter::Filterable;
use crate::model::spell;

/// A block device of an instance that is an EBS volume; others are not described `[B]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedDevice {
    /// Device name.
    pub device: String,
    /// The volume.
    pub volume: VolumeId,
    /// When it was attached.
    pub attached: Timestamp,
    /// Whether the volume goes with the instance.
    pub delete_on_termination: bool,
}

/// An instance-store disk mapped at launch; `DescribeInstances` does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualDevice {
    /// Device name.
    pub device: String,
    /// `ephemeralN`.
    pub name: String,
}

/// What an instance was launched with besides its image, type and disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchSettings {
    /// Subnet, `subnet-…`.
    pub subnet: Option<String>,
    /// Security groups, `sg-…`.
    pub security_groups: Vec<String>,
    /// Name of the key pair.
    pub key_name: Option<String>,
    /// ARN of the instance profile.
    pub instance_profile: Option<String>,
    /// Whether the metadata service demands session tokens.
    pub metadata_tokens: bool,
    /// Whether it is optimized for EBS.
    pub ebs_optimized: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its identifier.
    pub id: InstanceId,
    /// The reservation it was launched in, `r-…`.
    pub reservation: String,
    /// Its state.
    pub state: InstanceState,
    /// The AMI it was launched from.
    pub image: ImageId,
    /// Such as `m5d.large`.
    pub instance_type: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// Availability Zone.
    pub zone: String,
    /// When it was last launched: starting a stopped instance renews it.
    pub launched: Timestamp,
    /// What else it was launched with.
    pub launch: LaunchSettings,
    /// Name of the root device.
    pub root_device: String,
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// EBS volumes attached.
    pub devices: Vec<AttachedDevice>,
    /// Instance-store disks mapped at launch.
    pub virtual_devices: Vec<VirtualDevice>,
    /// Whether an AWS service manages it; lists show it only with `IncludeManagedResources`.
    pub managed: bool,
    /// Whether it is enabled for hibernation.
    pub hibernation: bool,
    /// `StateReason.Code`.
    pub state_reason: Option<String>,
    /// `StateTransitionReason`.
    pub transition_reason: Option<String>,
    /// Times that `CreateImage` rebooted it.
    pub reboots: u32,
    /// Its tags.
    pub tags: Tags,
    pub(crate) listed_from: Timestamp,
}

impl Instance {
    /// The volume behind the root device.
    #[must_use]
    pub fn root_volume(&self) -> Option<&VolumeId> {
        self.devices
            .iter()
            .find(|d| d.device == self.root_device)
            .map(|d| &d.volume)
    }

    /// EC2's number of the state.
    #[must_use]
    pub fn state_code(state: &InstanceState) -> u16 {
        match state {
            InstanceState::Pending => 0,
            InstanceState::Running => 16,
            InstanceState::ShuttingDown => 32,
            InstanceState::Terminated => 48,
            InstanceState::Stopping => 64,
            InstanceState::Stopped => 80,
            InstanceState::Unknown(_) => 272,
        }
    }
}

impl Filterable for Instance {
    const NAMES: &'static [&'static str] = &[
        "architecture",
        "availability-zone",
        "block-device-mapping.device-name",
        "block-device-mapping.volume-id",
        "image-id",
        "instance-id",
        "instance-state-code",
        "instance-state-name",
        "instance-type",
        "launch-time",
        "reservation-id",
        "root-device-name",
        "root-device-type",
    ];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let one: Cow<'_, str> = match name {
            "architecture" => Cow::Borrowed(&self.architecture),
            "availability-zone" => Cow::Borrowed(&self.zone),
            "block-device-mapping.device-name" => {
                return self
                    .devices
                    .iter()
                    .map(|d| Cow::Borrowed(d.device.as_str()))
                    .collect();
            }
            "block-device-mapping.volume-id" => {
                return self
                    .devices
                    .iter()
                    .map(|d| Cow::Borrowed(d.volume.as_str()))
                    .collect();
            }
            "image-id" => Cow::Borrowed(self.image.as_str()),
            "instance-id" => Cow::Borrowed(self.id.as_str()),
            "instance-state-code" => Cow::Owned(Self::state_code(&self.state).to_string()),
            "instance-state-name" => Cow::Borrowed(self.state.as_str()),
            "instance-type" => Cow::Borrowed(&self.instance_type),
            "launch-time" => Cow::Owned(spell(self.launched)),
            "reservation-id" => Cow::Borrowed(&self.reservation),
            "root-device-name" => Cow::Borrowed(&self.root_device),
            "root-device-type" => Cow::Borrowed(&self.root_device_type),
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn filter_tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
}
