//! SDK types, all of whose fields are optional, into Holdfast's strict ones.
//!
//! What lacks its identifier, or has a shape nobody knows, makes its list incomplete; it is never
//! guessed at.

use aws_sdk_ec2::operation::create_snapshot::CreateSnapshotOutput;
use aws_sdk_ec2::types;
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Attachment, Image, ImageMapping, ImageState, Instance, InstanceDevice, InstanceState,
    InstanceType, LaunchParameters, LaunchTemplateVersion, Lifecycle, MappingTarget, Snapshot,
    SnapshotState, Tags, Volume, VolumeState,
};

use crate::aws::listing::{Unreadable, identifier, told};
use crate::aws::timestamp;

mod protection;
mod referrer;
mod restore;

pub(super) use protection::{
    binned_image, binned_snapshot, fast_restore, launch_permission, lock, volume_permission,
};
pub(super) use referrer::{fleet, image_reference, spot_fleet, spot_request};
pub(super) use restore::{described_version, disk, machine, stored};

pub(super) fn tags(tags: &[types::Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default())))
        .collect()
}

pub(super) fn sdk_tags(resource: types::ResourceType, tags: &Tags) -> types::TagSpecification {
    types::TagSpecification::builder()
        .resource_type(resource)
        .set_tags(Some(sdk_tag_list(tags)))
        .build()
}

pub(super) fn sdk_tag_list(tags: &Tags) -> Vec<types::Tag> {
    tags.iter()
        .map(|(key, value)| types::Tag::builder().key(key).value(value).build())
        .collect()
}

/// The instances of a reservation; one without its list has at least one that nobody can see.
pub(super) fn instances(from: types::Reservation) -> Vec<Option<types::Instance>> {
    match from.instances {
        Some(instances) => instances.into_iter().map(Some).collect(),
        None => vec![None],
    }
}

pub(super) fn instance(from: types::Instance) -> Option<Instance> {
    let state = from
        .state
        .as_ref()
        .and_then(|s| s.name.as_ref())
        .map_or("", |n| n.as_str());
    let launch = launch_parameters(&from);
    Some(Instance {
        id: InstanceId::new(told(from.instance_id)?),
        state: InstanceState::parse(state),
        image: told(from.image_id).map(ImageId::new),
        instance_type: from.instance_type.map(|t| t.as_str().to_owned()),
        launched: from.launch_time.as_ref().and_then(timestamp),
        root_device: from.root_device_name,
        root_device_type: from.root_device_type.map(|t| t.as_str().to_owned()),
        devices: from
            .block_device_mappings
            .unwrap_or_default()
            .into_iter()
            .filter_map(|mapping| {
                Some(InstanceDevice {
                    name: mapping.device_name?,
                    volume: mapping.ebs.and_then(|ebs| ebs.volume_id).map(VolumeId::new),
                })
            })
            .collect(),
        lifecycle: Lifecycle {
            hibernation: from
                .hibernation_options
                .and_then(|options| options.configured)
                .unwrap_or(false),
            code: told(from.state_reason.and_then(|reason| reason.code)),
            words: told(from.state_transition_reason),
        },
        launch: Some(Box::new(launch)),
        tags: tags(&from.tags.unwrap_or_default()),
    })
}

fn launch_parameters(from: &types::Instance) -> LaunchParameters {
    let placement = from.placement.as_ref();
    let groups = from.security_groups.as_deref().unwrap_or_default();
    let profile = from.iam_instance_profile.as_ref();
    let metadata = from.metadata_options.as_ref();
    LaunchParameters {
        instance_type: from.instance_type.as_ref().map(|t| t.as_str().to_owned()),
        zone: placement.and_then(|p| told(p.availability_zone.clone())),
        subnet: told(from.subnet_id.clone()),
        security_groups: groups.iter().filter_map(|g| g.group_id.clone()).collect(),
        key_name: told(from.key_name.clone()),
        instance_profile: profile.and_then(|p| told(p.arn.clone())),
        metadata_tokens: metadata
            .and_then(|m| m.http_tokens.as_ref())
            .is_some_and(|tokens| *tokens == types::HttpTokensState::Required),
        ebs_optimized: from.ebs_optimized.unwrap_or(false),
    }
}

pub(super) fn volume(from: types::Volume) -> Option<Volume> {
    Some(Volume {
        id: VolumeId::new(told(from.volume_id)?),
        state: VolumeState::parse(from.state.as_ref().map_or("", |s| s.as_str())),
        volume_type: from.volume_type.map(|t| t.as_str().to_owned()),
        size_gib: from.size,
        created: from.create_time.as_ref().and_then(timestamp),
        kms_key: from.kms_key_id.filter(|key| !key.is_empty()),
        attachments: from
            .attachments
            .unwrap_or_default()
            .into_iter()
            .filter_map(|attachment| {
                Some(Attachment {
                    instance: InstanceId::new(attachment.instance_id?),
                    device: attachment.device.unwrap_or_default(),
                    state: attachment
                        .state
                        .map(|s| s.as_str().to_owned())
                        .unwrap_or_default(),
                })
            })
            .collect(),
        tags: tags(&from.tags.unwrap_or_default()),
    })
}

/// The SDK has a type of its own for a snapshot in each answer, with the same fields.
macro_rules! snapshot {
    ($from:expr, $owner_alias:expr, $tier:expr, $message:expr, $key:expr) => {
        Some(Snapshot {
            id: SnapshotId::new(told($from.snapshot_id)?),
            volume: told($from.volume_id).map(VolumeId::new),
            state: SnapshotState::parse($from.state.as_ref().map_or("", |s| s.as_str())),
            start: $from.start_time.as_ref().and_then(timestamp),
            owner: $from.owner_id,
            owner_alias: $owner_alias,
            size_gib: $from.volume_size,
            tier: $tier,
            state_message: $message,
            kms_key: $key.filter(|key: &String| !key.is_empty()),
            description: $from.description.unwrap_or_default(),
            tags: tags(&$from.tags.unwrap_or_default()),
        })
    };
}

pub(super) fn snapshot(from: types::Snapshot) -> Option<Snapshot> {
    let tier = from.storage_tier.map(|t| t.as_str().to_owned());
    snapshot!(
        from,
        from.owner_alias,
        tier,
        from.state_message,
        from.kms_key_id
    )
}

/// A member of `CreateSnapshots`' answer, which tells neither alias, tier nor key.
pub(super) fn set_member(from: types::SnapshotInfo) -> Option<Snapshot> {
    snapshot!(from, None, None, None, None)
}

/// The answer of `CreateSnapshot`.
pub(super) fn created(from: CreateSnapshotOutput) -> Option<Snapshot> {
    let tier = from.storage_tier.map(|t| t.as_str().to_owned());
    snapshot!(
        from,
        from.owner_alias,
        tier,
        from.state_message,
        from.kms_key_id
    )
}

pub(super) fn image(from: types::Image) -> Result<Image, Unreadable> {
    let id = identifier(from.image_id)?;
    // An ISO 8601 string in UTC. Without one it was never launched, as far as EC2 knows; one that
    // nobody can read is not the same.
    let last_launched = match told(from.last_launched_time).map(|text| text.parse()) {
        None => None,
        Some(Ok(time)) => Some(time),
        Some(Err(_)) => {
            let why = "the time when it was last launched cannot be read";
            return Err(Unreadable::of(id, why));
        }
    };
    Ok(Image {
        id: ImageId::new(id),
        name: from.name,
        state: ImageState::parse(from.state.as_ref().map_or("", |s| s.as_str())),
        state_reason: from.state_reason.and_then(|reason| reason.message),
        // `disabled`, `enabled-without-cooldown`, `enabled-with-cooldown` or, in the cool-down, the
        // time until which it lasts (`DeregistrationProtection`, EC2 API Reference).
        deregistration_protected: from
            .deregistration_protection
            .is_some_and(|text| !text.is_empty() && text != "disabled"),
        owner: from.owner_id,
        // An ISO 8601 string in UTC, unlike every other time of EC2's.
        created: from.creation_date.and_then(|text| text.parse().ok()),
        source_instance: told(from.source_instance_id).map(InstanceId::new),
        source_image: told(from.source_image_id).map(ImageId::new),
        source_region: from.source_image_region,
        last_launched,
        // As the others.
        deprecated: from.deprecation_time.and_then(|text| text.parse().ok()),
        public: from.public.unwrap_or(false),
        root_device: from.root_device_name,
        mappings: from
            .block_device_mappings
            .unwrap_or_default()
            .into_iter()
            .map(|mapping| ImageMapping {
                device: mapping.device_name.unwrap_or_default(),
                target: match (mapping.ebs, mapping.virtual_name, mapping.no_device) {
                    (Some(ebs), ..) => {
                        MappingTarget::Ebs(told(ebs.snapshot_id).map(SnapshotId::new))
                    }
                    (None, Some(name), _) => MappingTarget::InstanceStore(name),
                    // An empty string leaves the device out (`NoDevice`, EC2 API Reference).
                    (None, None, Some(_)) => MappingTarget::NoDevice,
                    (None, None, None) => MappingTarget::Unknown,
                },
            })
            .collect(),
        tags: tags(&from.tags.unwrap_or_default()),
    })
}

pub(super) fn template_version(
    from: types::LaunchTemplateVersion,
) -> Result<LaunchTemplateVersion, Unreadable> {
    let template = identifier(from.launch_template_id)?;
    let Some(version) = from.version_number else {
        return Err(Unreadable::of(
            template,
            "one of its versions has no number",
        ));
    };
    // Without it nobody knows what the version names.
    let Some(data) = from.launch_template_data else {
        return Err(Unreadable::of(
            template,
            "one of its versions has no content",
        ));
    };
    let mappings = data.block_device_mappings.unwrap_or_default().into_iter();
    let snapshots = mappings.filter_map(|mapping| mapping.ebs?.snapshot_id);
    Ok(LaunchTemplateVersion {
        template: LaunchTemplateId::new(template),
        name: from.launch_template_name,
        version,
        default: from.default_version.unwrap_or(false),
        image: data.image_id,
        resolved: None,
        snapshots: snapshots.map(SnapshotId::new).collect(),
    })
}

pub(super) fn instance_type(from: types::InstanceTypeInfo) -> Option<InstanceType> {
    let name = from.instance_type?.as_str().to_owned();
    let storage = from.instance_storage_info;
    let disks = storage
        .as_ref()
        .and_then(|s| s.disks.as_ref())
        .map_or(0, |disks| {
            disks
                .iter()
                .map(|d| u32::try_from(d.count.unwrap_or(0)).unwrap_or(0))
                .sum()
        });
    // `unsupported | supported | required` (`EphemeralNvmeSupport`, EC2 API Reference).
    let nvme = storage
        .and_then(|s| s.nvme_support)
        .is_some_and(|support| support != types::EphemeralNvmeSupport::Unsupported);
    Some(InstanceType { name, disks, nvme })
}
