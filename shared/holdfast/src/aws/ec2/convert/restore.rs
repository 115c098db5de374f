//! What a restore needs to know besides.

use aws_sdk_ec2::types;
use holdfast_core::ports::restore::{Disk, LaunchParameters, Machine, Stored, TemplateVersion};

use super::{instance, snapshot, template_version, volume};
use crate::aws::listing::{Unreadable, told};

pub(in crate::aws::ec2) fn stored(from: types::Snapshot) -> Option<Stored> {
    let kms_key = told(from.kms_key_id.clone());
    Some(Stored {
        snapshot: snapshot(from)?,
        kms_key,
    })
}

pub(in crate::aws::ec2) fn disk(from: types::Volume) -> Option<Disk> {
    let (zone, iops) = (told(from.availability_zone.clone()), from.iops);
    let throughput = from.throughput;
    Some(Disk {
        volume: volume(from)?,
        zone,
        iops,
        throughput,
    })
}

pub(in crate::aws::ec2) fn machine(from: types::Instance) -> Option<Machine> {
    let placement = from.placement.as_ref();
    let groups = from.security_groups.as_deref().unwrap_or_default();
    let profile = from.iam_instance_profile.as_ref();
    let metadata = from.metadata_options.as_ref();
    let launch = LaunchParameters {
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
    };
    Some(Machine {
        instance: instance(from)?,
        launch,
    })
}

pub(in crate::aws::ec2) fn described_version(
    from: types::LaunchTemplateVersion,
) -> Result<TemplateVersion, Unreadable> {
    let description = told(from.version_description.clone());
    Ok(TemplateVersion {
        version: template_version(from)?,
        description,
    })
}
