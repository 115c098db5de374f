//! Requests that change the account.

use holdfast_core::id::SnapshotId;
use holdfast_sim::request::{self, LaunchTemplateReference, Request, TagSpecification};
use holdfast_sim::{ApiError, BlockDevice, DeviceTarget, EbsDevice, TemplateData};

use super::decode::refuse_resolving;
use crate::query::params::Params;

/// Reads a changing operation; none where there is no such operation.
pub(super) fn request(action: &str, p: &mut Params) -> Result<Option<Request>, ApiError> {
    Ok(Some(match action {
        "CreateSnapshot" => Request::CreateSnapshot(request::CreateSnapshot {
            volume: p.required("VolumeId")?,
            description: p.text("Description"),
            tags: tag_specifications(p)?,
        }),
        "CreateSnapshots" => create_snapshots(p)?,
        "CopySnapshot" => copy_snapshot(p)?,
        "CopyImage" => copy_image(p)?,
        "EnableImageDeprecation" => {
            Request::EnableImageDeprecation(request::EnableImageDeprecation {
                id: p.required("ImageId")?,
                at: p
                    .number("DeprecateAt")?
                    .ok_or_else(|| ApiError::missing("DeprecateAt"))?,
            })
        }
        "DisableImageDeprecation" => {
            Request::DisableImageDeprecation(request::DisableImageDeprecation {
                id: p.required("ImageId")?,
            })
        }
        "DeleteSnapshot" => Request::DeleteSnapshot(request::DeleteSnapshot {
            id: p.required("SnapshotId")?,
        }),
        "CreateTags" => Request::CreateTags(request::CreateTags {
            resources: p.list("ResourceId"),
            tags: p.structures("Tag", tag)?,
        }),
        "DeleteTags" => Request::DeleteTags(request::DeleteTags {
            resources: p.list("ResourceId"),
            tags: p.structures("Tag", |t| Ok((t.required("Key")?, t.text("Value"))))?,
        }),
        "RegisterImage" => register_image(p)?,
        "CreateImage" => create_image(p)?,
        "DeregisterImage" => Request::DeregisterImage(request::DeregisterImage {
            id: p.required("ImageId")?,
            delete_associated_snapshots: p.boolean("DeleteAssociatedSnapshots")?.unwrap_or(false),
        }),
        "DisableImage" => Request::DisableImage(request::DisableImage {
            id: p.required("ImageId")?,
        }),
        "EnableImage" => Request::EnableImage(request::EnableImage {
            id: p.required("ImageId")?,
        }),
        "EnableImageDeregistrationProtection" => Request::EnableImageDeregistrationProtection(
            request::EnableImageDeregistrationProtection {
                id: p.required("ImageId")?,
                with_cooldown: p.boolean("WithCooldown")?.unwrap_or(false),
            },
        ),
        "DisableImageDeregistrationProtection" => Request::DisableImageDeregistrationProtection(
            request::DisableImageDeregistrationProtection {
                id: p.required("ImageId")?,
            },
        ),
        "CreateVolume" => create_volume(p)?,
        "AttachVolume" => Request::AttachVolume(request::AttachVolume {
            volume: p.required("VolumeId")?,
            instance: p.required("InstanceId")?,
            device: p.required("Device")?,
        }),
        "DetachVolume" => Request::DetachVolume(request::DetachVolume {
            volume: p.required("VolumeId")?,
            instance: p.text("InstanceId"),
            device: p.text("Device"),
        }),
        "DeleteVolume" => Request::DeleteVolume(request::DeleteVolume {
            volume: p.required("VolumeId")?,
        }),
        "RunInstances" => run_instances(p)?,
        "StopInstances" => Request::StopInstances(request::StopInstances {
            ids: p.list("InstanceId"),
        }),
        "StartInstances" => Request::StartInstances(request::StartInstances {
            ids: p.list("InstanceId"),
        }),
        "TerminateInstances" => Request::TerminateInstances(request::TerminateInstances {
            ids: p.list("InstanceId"),
        }),
        "CreateLaunchTemplate" => create_launch_template(p)?,
        "CreateLaunchTemplateVersion" => create_launch_template_version(p)?,
        "DeleteLaunchTemplate" => Request::DeleteLaunchTemplate(request::DeleteLaunchTemplate {
            id: p.text("LaunchTemplateId"),
            name: p.text("LaunchTemplateName"),
        }),
        _ => return Ok(None),
    }))
}

/// A tag; EC2 takes an absent value as the empty one `[B]`.
fn tag(p: &mut Params) -> Result<(String, String), ApiError> {
    Ok((p.required("Key")?, p.text("Value").unwrap_or_default()))
}

fn tag_specifications(p: &mut Params) -> Result<Vec<TagSpecification>, ApiError> {
    p.structures("TagSpecification", |s| {
        Ok(TagSpecification {
            resource_type: s.required("ResourceType")?,
            tags: s.structures("Tag", tag)?,
        })
    })
}

fn block_devices(p: &mut Params) -> Result<Vec<BlockDevice>, ApiError> {
    p.structures("BlockDeviceMapping", |m| {
        let device = m.required("DeviceName")?;
        let target = match (
            m.structure("Ebs", ebs_device)?,
            m.text("VirtualName"),
            m.text("NoDevice"),
        ) {
            (Some(ebs), None, None) => DeviceTarget::Ebs(ebs),
            (None, Some(name), None) => DeviceTarget::Virtual(name),
            (None, None, Some(_)) => DeviceTarget::NoDevice,
            _ => {
                return Err(ApiError::new(
                    "InvalidBlockDeviceMapping",
                    format!("'{device}' needs one of Ebs, VirtualName and NoDevice"),
                ));
            }
        };
        Ok(BlockDevice { device, target })
    })
}

fn ebs_device(p: &mut Params) -> Result<EbsDevice, ApiError> {
    Ok(EbsDevice {
        snapshot: p.text("SnapshotId").map(SnapshotId::new),
        size_gib: p.number("VolumeSize")?,
        volume_type: p.text("VolumeType"),
        delete_on_termination: p.boolean("DeleteOnTermination")?,
        encrypted: p.boolean("Encrypted")?,
    })
}

fn create_snapshots(p: &mut Params) -> Result<Request, ApiError> {
    let description = p.text("Description");
    let tags = tag_specifications(p)?;
    let copy_tags_from_source = p.text("CopyTagsFromSource");
    p.structure("InstanceSpecification", |s| {
        Ok(Request::CreateSnapshots(request::CreateSnapshots {
            instance: s.required("InstanceId")?,
            exclude_boot_volume: s.boolean("ExcludeBootVolume")?.unwrap_or(false),
            exclude_data_volumes: s.list("ExcludeDataVolumeId"),
            description,
            tags,
            copy_tags_from_source,
        }))
    })?
    .ok_or_else(|| ApiError::missing("InstanceSpecification"))
}

fn register_image(p: &mut Params) -> Result<Request, ApiError> {
    // Everything here is `hvm` with ENA; other values would be claims that nothing keeps.
    let virtualization = p.text("VirtualizationType");
    if virtualization.is_some_and(|v| v != "hvm") {
        return Err(ApiError::new(
            "UnsupportedOperation",
            "Only VirtualizationType hvm is supported by this simulated account.",
        ));
    }
    p.boolean("EnaSupport")?;
    Ok(Request::RegisterImage(request::RegisterImage {
        name: p.required("Name")?,
        description: p.text("Description"),
        architecture: p.text("Architecture"),
        root_device: p.text("RootDeviceName"),
        mappings: block_devices(p)?,
        tags: tag_specifications(p)?,
    }))
}

fn create_image(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::CreateImage(request::CreateImage {
        instance: p.required("InstanceId")?,
        name: p.required("Name")?,
        description: p.text("Description"),
        no_reboot: p.boolean("NoReboot")?.unwrap_or(false),
        mappings: block_devices(p)?,
        tags: tag_specifications(p)?,
    }))
}

/// botocore always adds a `PresignedUrl`; it matters between Regions only (API Reference,
/// "CopySnapshot"), and other Regions are refused.
fn copy_snapshot(p: &mut Params) -> Result<Request, ApiError> {
    p.text("PresignedUrl");
    Ok(Request::CopySnapshot(request::CopySnapshot {
        source_region: p.required("SourceRegion")?,
        source: p.required("SourceSnapshotId")?,
        destination_region: p.text("DestinationRegion"),
        description: p.text("Description"),
        encrypted: p.boolean("Encrypted")?.unwrap_or(false),
        kms_key: p.text("KmsKeyId"),
        tags: tag_specifications(p)?,
    }))
}

fn copy_image(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::CopyImage(request::CopyImage {
        name: p.required("Name")?,
        source_region: p.required("SourceRegion")?,
        source: p.required("SourceImageId")?,
        description: p.text("Description"),
        encrypted: p.boolean("Encrypted")?.unwrap_or(false),
        kms_key: p.text("KmsKeyId"),
        copy_image_tags: p.boolean("CopyImageTags")?.unwrap_or(false),
        tags: tag_specifications(p)?,
        client_token: p.text("ClientToken"),
    }))
}

fn create_volume(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::CreateVolume(request::CreateVolume {
        zone: p.required("AvailabilityZone")?,
        size_gib: p.number("Size")?,
        snapshot: p.text("SnapshotId"),
        volume_type: p.text("VolumeType"),
        iops: p.number("Iops")?,
        throughput: p.number("Throughput")?,
        initialization_rate: p.number("VolumeInitializationRate")?,
        encrypted: p.boolean("Encrypted")?,
        multi_attach: p.boolean("MultiAttachEnabled")?.unwrap_or(false),
        tags: tag_specifications(p)?,
        client_token: p.text("ClientToken"),
    }))
}

fn run_instances(p: &mut Params) -> Result<Request, ApiError> {
    let launch_template = p.structure("LaunchTemplate", |t| {
        Ok(LaunchTemplateReference {
            id: t.text("LaunchTemplateId"),
            name: t.text("LaunchTemplateName"),
            version: t.text("Version"),
        })
    })?;
    let missing = |name: &str| ApiError::missing(name);
    Ok(Request::RunInstances(request::RunInstances {
        image: p.text("ImageId"),
        instance_type: p.text("InstanceType"),
        min_count: p.number("MinCount")?.ok_or_else(|| missing("MinCount"))?,
        max_count: p.number("MaxCount")?.ok_or_else(|| missing("MaxCount"))?,
        launch_template,
        mappings: block_devices(p)?,
        zone: p
            .structure("Placement", |l| Ok(l.text("AvailabilityZone")))?
            .flatten(),
        subnet: p.text("SubnetId"),
        security_groups: p.list("SecurityGroupId"),
        key_name: p.text("KeyName"),
        instance_profile: p.structure("IamInstanceProfile", |profile| profile.required("Arn"))?,
        metadata_tokens: p
            .structure("MetadataOptions", |options| {
                Ok(options
                    .text("HttpTokens")
                    .map(|tokens| tokens == "required"))
            })?
            .flatten(),
        ebs_optimized: p.boolean("EbsOptimized")?,
        tags: tag_specifications(p)?,
        client_token: p.text("ClientToken"),
    }))
}

fn template_data(p: &mut Params) -> Result<TemplateData, ApiError> {
    Ok(p.structure("LaunchTemplateData", |d| {
        Ok(TemplateData {
            image: d.text("ImageId"),
            instance_type: d.text("InstanceType"),
            mappings: block_devices(d)?,
        })
    })?
    .unwrap_or_default())
}

fn create_launch_template(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::CreateLaunchTemplate(
        request::CreateLaunchTemplate {
            name: p.required("LaunchTemplateName")?,
            description: p.text("VersionDescription"),
            data: template_data(p)?,
            tags: tag_specifications(p)?,
            client_token: p.text("ClientToken"),
        },
    ))
}

fn create_launch_template_version(p: &mut Params) -> Result<Request, ApiError> {
    refuse_resolving(p)?;
    Ok(Request::CreateLaunchTemplateVersion(
        request::CreateLaunchTemplateVersion {
            id: p.text("LaunchTemplateId"),
            name: p.text("LaunchTemplateName"),
            source_version: p.text("SourceVersion"),
            description: p.text("VersionDescription"),
            data: template_data(p)?,
            client_token: p.text("ClientToken"),
        },
    ))
}
