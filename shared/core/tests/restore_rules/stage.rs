//! Backups, disks and machines as EC2 tells of them.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceDevice, InstanceState, Lifecycle,
    MappingTarget, Snapshot, SnapshotState, Tags, Volume, VolumeState,
};
use holdfast_core::ports::restore::{Disk, LaunchParameters, Machine, Stored};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub const KEY: &str = "arn:aws:kms:eu-central-1:1:key/a";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub fn stored(id: &str, time: &str) -> Stored {
    Stored {
        snapshot: Snapshot {
            id: SnapshotId::new(id),
            volume: Some(VolumeId::new("vol-1")),
            state: SnapshotState::Completed,
            start: Some(at(time)),
            owner: Some("1".into()),
            owner_alias: None,
            size_gib: Some(100),
            tier: Some("standard".into()),
            state_message: None,
            kms_key: None,
            description: String::new(),
            tags: tags(&[("holdfast:managed", "true")]),
        },
        kms_key: None,
    }
}

pub fn disk(volume_type: &str, iops: Option<i32>, throughput: Option<i32>) -> Disk {
    Disk {
        volume: Volume {
            id: VolumeId::new("vol-1"),
            state: VolumeState::InUse,
            volume_type: Some(volume_type.into()),
            size_gib: Some(100),
            created: None,
            kms_key: None,
            attachments: Vec::new(),
            tags: Tags::new(),
        },
        zone: Some("eu-central-1a".into()),
        iops,
        throughput,
    }
}

pub fn machine(devices: &[(&str, &str)]) -> Machine {
    let devices = devices.iter().map(|(name, volume)| InstanceDevice {
        name: (*name).into(),
        volume: Some(VolumeId::new(*volume)),
    });
    Machine {
        instance: Instance {
            id: InstanceId::new("i-1"),
            state: InstanceState::Running,
            image: None,
            instance_type: Some("m5.large".into()),
            launched: None,
            root_device: Some("/dev/xvda".into()),
            root_device_type: Some("ebs".into()),
            devices: devices.collect(),
            lifecycle: Lifecycle::default(),
            launch: None,
            tags: Tags::new(),
        },
        launch: LaunchParameters {
            instance_type: Some("m5.large".into()),
            zone: Some("eu-central-1b".into()),
            subnet: Some("subnet-1".into()),
            ..LaunchParameters::default()
        },
    }
}

pub fn image(id: &str, time: &str, snapshots: &[&str]) -> Image {
    let mappings = snapshots.iter().enumerate().map(|(n, id)| ImageMapping {
        device: format!("/dev/sd{n}"),
        target: MappingTarget::Ebs(Some(SnapshotId::new(*id))),
    });
    Image {
        id: ImageId::new(id),
        name: None,
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some("1".into()),
        created: Some(at(time)),
        source_instance: Some(InstanceId::new("i-1")),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: Some("/dev/sd0".into()),
        mappings: mappings.collect(),
        tags: tags(&[("holdfast:managed", "true")]),
    }
}

pub fn by_id(all: &[Stored]) -> BTreeMap<&str, &Stored> {
    let all = all.iter();
    all.map(|s| (s.snapshot.id.as_str(), s)).collect()
}

pub fn code<T: std::fmt::Debug>(refused: Result<T, Reason>) -> ReasonCode {
    refused.unwrap_err().code
}
