//! Block-device mappings of AMIs, launch templates and launch requests.

use holdfast_core::id::SnapshotId;

/// One entry of a block-device mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Device name, such as `/dev/xvda`.
    pub device: String,
    /// What the device is made from.
    pub target: DeviceTarget,
}

/// What a device is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTarget {
    /// An EBS volume.
    Ebs(EbsDevice),
    /// An instance-store disk, `ephemeralN`.
    Virtual(String),
    /// The device is suppressed.
    NoDevice,
}

/// The EBS part of an entry. In a request, what is absent is left to EC2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EbsDevice {
    /// The snapshot the volume is made from.
    pub snapshot: Option<SnapshotId>,
    /// Size in GiB.
    pub size_gib: Option<i32>,
    /// Such as `gp3`.
    pub volume_type: Option<String>,
    /// Whether the volume goes with the instance.
    pub delete_on_termination: Option<bool>,
    /// Whether the volume is encrypted.
    pub encrypted: Option<bool>,
}

impl BlockDevice {
    /// A device made from a snapshot.
    pub fn from_snapshot(device: impl Into<String>, snapshot: SnapshotId) -> Self {
        Self {
            device: device.into(),
            target: DeviceTarget::Ebs(EbsDevice {
                snapshot: Some(snapshot),
                ..EbsDevice::default()
            }),
        }
    }

    /// An instance-store disk, such as `ephemeral0`.
    pub fn ephemeral(device: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            target: DeviceTarget::Virtual(name.into()),
        }
    }

    /// A suppressed device.
    pub fn none(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            target: DeviceTarget::NoDevice,
        }
    }

    /// The snapshot behind the device.
    #[must_use]
    pub fn snapshot(&self) -> Option<&SnapshotId> {
        match &self.target {
            DeviceTarget::Ebs(ebs) => ebs.snapshot.as_ref(),
            DeviceTarget::Virtual(_) | DeviceTarget::NoDevice => None,
        }
    }
}
