//! Auto Scaling's lists: launch configurations, and the groups with all that they launch from, an
//! instance refresh under way included.

use aws_config::SdkConfig;
use aws_sdk_autoscaling::config::Builder;
use aws_sdk_autoscaling::{Client, types};
use futures::{StreamExt, stream};
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{
    Listing, Referrer, ReferrerKind, Source, TemplateName, TemplateUse, refresh_is_over,
};

use super::answers::Watch;
use super::listing::{Unreadable, begun, collect, identifier, told};

/// Largest page (`MaxRecords`, Auto Scaling API Reference).
const PAGE: i32 = 100;
/// Groups whose instance refreshes are read at once.
const AT_ONCE: usize = 8;

/// The Auto Scaling API of one account and Region.
#[derive(Clone, Debug)]
pub(super) struct AutoScaling {
    client: Client,
}

impl AutoScaling {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(
                Builder::from(config)
                    .interceptor(Watch("Auto Scaling"))
                    .build(),
            ),
        }
    }

    pub(super) async fn launch_configurations(&self) -> Listing<Referrer> {
        let mut list = begun(Source::LaunchConfigurations);
        let request = self.client.describe_launch_configurations();
        collect!(list, "DescribeLaunchConfigurations", request.max_records(PAGE),
            page => Some(page.launch_configurations.unwrap_or_default()), launch_configuration);
        list
    }

    pub(super) async fn groups(&self) -> Listing<Referrer> {
        let mut list: Listing<Referrer> = begun(Source::AutoScaling);
        // Their instances are EC2's to list. Managed groups come unless they are refused.
        let request = self
            .client
            .describe_auto_scaling_groups()
            .include_instances(false)
            .max_records(PAGE);
        collect!(list, "DescribeAutoScalingGroups", request,
            page => Some(page.auto_scaling_groups.unwrap_or_default()), group);
        let names = list.items.iter().map(|group| group.id.clone());
        let names: Vec<(usize, String)> = names.enumerate().collect();
        let mut parts = stream::iter(names)
            .map(|(index, name)| async move { (index, self.refreshes_of(name).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((index, part)) = parts.next().await {
            list.pages += part.pages;
            if part.error.is_some() {
                list.error = part.error;
            }
            if let Some(group) = list.items.get_mut(index) {
                for launched in part.items {
                    group.images.extend(launched.images);
                    group.templates.extend(launched.templates);
                }
            }
        }
        list
    }

    /// What a group's instance refreshes bring in. There is no list of those of all groups.
    async fn refreshes_of(&self, group: String) -> Listing<Launched> {
        let mut list = begun(Source::AutoScaling);
        let request = self
            .client
            .describe_instance_refreshes()
            .auto_scaling_group_name(group.as_str())
            .max_records(PAGE);
        collect!(list, "DescribeInstanceRefreshes", request,
            page => Some(page.instance_refreshes.unwrap_or_default()), refresh);
        if let Some(error) = list.error.as_mut().filter(|e| e.resource == "*") {
            error.resource = group;
        }
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

/// What is launched by a launch template or a mixed-instances policy.
#[derive(Default)]
struct Launched {
    images: Vec<String>,
    templates: Vec<TemplateUse>,
}

impl Launched {
    fn of(
        template: Option<types::LaunchTemplateSpecification>,
        mixed: Option<types::MixedInstancesPolicy>,
    ) -> Result<Self, &'static str> {
        let mut images = Vec::new();
        let mut used: Vec<types::LaunchTemplateSpecification> = Vec::new();
        used.extend(template);
        if let Some(mixed) = mixed {
            let choice = mixed.launch_template;
            let choice = choice.ok_or("its mixed-instances policy names no launch template")?;
            used.extend(choice.launch_template_specification);
            for instead in choice.overrides.unwrap_or_default() {
                used.extend(instead.launch_template_specification);
                images.extend(told(instead.image_id));
            }
        }
        let templates: Option<Vec<TemplateUse>> = used.into_iter().map(template_use).collect();
        let templates = templates.ok_or("it launches from a template that it does not name")?;
        Ok(Self { images, templates })
    }
}

/// A group launches from a launch configuration, a launch template or a mixed-instances policy
/// (`AutoScalingGroup`, Auto Scaling API Reference).
fn group(from: types::AutoScalingGroup) -> Result<Referrer, Unreadable> {
    let id = identifier(from.auto_scaling_group_name)?;
    let launched = match Launched::of(from.launch_template, from.mixed_instances_policy) {
        Ok(launched) => launched,
        Err(why) => return Err(Unreadable::of(id, why)),
    };
    let launch_configuration = told(from.launch_configuration_name);
    if launched.templates.is_empty() && launch_configuration.is_none() {
        return Err(Unreadable::of(id, "it names nothing to launch from"));
    }
    Ok(Referrer {
        id,
        kind: ReferrerKind::AutoScalingGroup,
        // Set only while the group is being deleted; it may still launch until it is gone.
        state: from.status,
        images: launched.images,
        snapshots: Vec::new(),
        templates: launched.templates,
        launch_configuration,
    })
}

/// What an instance refresh launches besides what its group names: its desired configuration,
/// which becomes the group's only when the refresh has succeeded (Auto Scaling User Guide, "How an
/// instance refresh works"). What it would roll back to is what the group itself names until then.
fn refresh(from: types::InstanceRefresh) -> Result<Launched, Unreadable> {
    let status = from
        .status
        .as_ref()
        .map(types::InstanceRefreshStatus::as_str);
    let Some(desired) = from.desired_configuration else {
        return Ok(Launched::default());
    };
    if status.is_some_and(refresh_is_over) {
        return Ok(Launched::default());
    }
    let launched = Launched::of(desired.launch_template, desired.mixed_instances_policy);
    let launched = launched.and_then(|launched| match launched.templates.is_empty() {
        true => Err("its instance refresh names nothing to launch from"),
        false => Ok(launched),
    });
    launched.map_err(|why| Unreadable {
        resource: told(from.auto_scaling_group_name),
        why,
    })
}

fn template_use(from: types::LaunchTemplateSpecification) -> Option<TemplateUse> {
    let id = told(from.launch_template_id).map(TemplateName::Id);
    Some(TemplateUse {
        template: id.or(told(from.launch_template_name).map(TemplateName::Name))?,
        version: told(from.version),
    })
}
