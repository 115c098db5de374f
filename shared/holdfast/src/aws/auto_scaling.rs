//! Auto Scaling's lists: launch configurations, and the groups with all that they launch from.

use aws_config::SdkConfig;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{
    Listing, Referrer, ReferrerKind, Source, TemplateName, TemplateUse,
};

use super::listing::{Unreadable, begun, collect, identifier, told};

/// Largest page (`MaxRecords`, Auto Scaling API Reference).
const PAGE: i32 = 100;

/// The Auto Scaling API of one account and Region.
#[derive(Clone, Debug)]
pub(super) struct AutoScaling {
    client: Client,
}

impl AutoScaling {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    pub(super) async fn launch_configurations(&self) -> Listing<Referrer> {
        let mut list = begun(Source::LaunchConfigurations);
        let request = self.client.describe_launch_configurations();
        collect!(list, "DescribeLaunchConfigurations", request.max_records(PAGE),
            page => page.launch_configurations.unwrap_or_default(), launch_configuration);
        list
    }

    pub(super) async fn groups(&self) -> Listing<Referrer> {
        let mut list = begun(Source::AutoScaling);
        // Their instances are EC2's to list. Managed groups come unless they are refused.
        let request = self
            .client
            .describe_auto_scaling_groups()
            .include_instances(false)
            .max_records(PAGE);
        collect!(list, "DescribeAutoScalingGroups", request,
            page => page.auto_scaling_groups.unwrap_or_default(), group);
        list
    }
}

fn launch_configuration(from: types::LaunchConfiguration) -> Result<Referrer, Unreadable> {
    let id = identifier(from.launch_configuration_name)?;
    // Always there (`LaunchConfiguration`, Auto Scaling API Reference).
    let Some(image) = told(from.image_id) else {
        return Err(Unreadable::of(id, "it names no image"));
    };
    let mappings = from.block_device_mappings.unwrap_or_default().into_iter();
    let snapshots = mappings.filter_map(|mapping| mapping.ebs?.snapshot_id);
    Ok(Referrer {
        id,
        kind: ReferrerKind::LaunchConfiguration,
        state: None,
        images: vec![image],
        snapshots: snapshots.map(SnapshotId::new).collect(),
        templates: Vec::new(),
        launch_configuration: None,
    })
}

/// A group launches from a launch configuration, a launch template or a mixed-instances policy
/// (`AutoScalingGroup`, Auto Scaling API Reference).
fn group(from: types::AutoScalingGroup) -> Result<Referrer, Unreadable> {
    let id = identifier(from.auto_scaling_group_name)?;
    let mut images = Vec::new();
    let mut used: Vec<types::LaunchTemplateSpecification> = Vec::new();
    used.extend(from.launch_template);
    if let Some(mixed) = from.mixed_instances_policy {
        let Some(choice) = mixed.launch_template else {
            let why = "its mixed-instances policy names no launch template";
            return Err(Unreadable::of(id, why));
        };
        used.extend(choice.launch_template_specification);
        for instead in choice.overrides.unwrap_or_default() {
            used.extend(instead.launch_template_specification);
            images.extend(told(instead.image_id));
        }
    }
    let launch_configuration = told(from.launch_configuration_name);
    if used.is_empty() && launch_configuration.is_none() {
        return Err(Unreadable::of(id, "it names nothing to launch from"));
    }
    let templates: Option<Vec<TemplateUse>> = used.into_iter().map(template).collect();
    let Some(templates) = templates else {
        let why = "it launches from a template that it does not name";
        return Err(Unreadable::of(id, why));
    };
    Ok(Referrer {
        id,
        kind: ReferrerKind::AutoScalingGroup,
        // Set only while the group is being deleted; it may still launch until it is gone.
        state: from.status,
        images,
        snapshots: Vec::new(),
        templates,
        launch_configuration,
    })
}

fn template(from: types::LaunchTemplateSpecification) -> Option<TemplateUse> {
    let id = told(from.launch_template_id).map(TemplateName::Id);
    Some(TemplateUse {
        template: id.or(told(from.launch_template_name).map(TemplateName::Name))?,
        version: told(from.version),
    })
}
