//! What refers to images and snapshots from outside, set up on each side in its own way: the simulated
//! account takes it as seeds, moto by the calls that create it.

use aws_sdk_autoscaling::types as groups;
use aws_sdk_ec2::types::{
    FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetType, InstanceType,
    RequestSpotLaunchSpecification, SpotFleetLaunchSpecification, SpotFleetRequestConfigData,
    TargetCapacitySpecificationRequest,
};
use holdfast_core::id::SnapshotId;
use holdfast_sim::request::LaunchTemplateReference;
use holdfast_sim::{
    AutoScalingGroupSeed, BlockDevice, FleetSeed, GroupLaunch, LaunchOverride, SpotFleetSeed,
    SpotRequestSeed, TemplateChoice, TemplateData,
};

use crate::set_up::{from_snapshot, got};
use crate::stage::{Stage, Stop, ZONE, made};

/// The device of what launches with a snapshot of its own.
pub(crate) const DATA: &str = "/dev/sdb";

/// What an Auto Scaling group launches.
pub(crate) enum Launches<'a> {
    /// A launch configuration, by name.
    Configuration(&'a str),
    /// This version of a launch template.
    Template(&'a str, &'a str),
    /// This version of a launch template, and in its place another image.
    Mixed(&'a str, &'a str, &'a str),
}

/// The images of overrides in words, of which one is image b.
pub(crate) fn instead<'a>(images: impl Iterator<Item = Option<&'a str>>, b: &str) -> String {
    let named = images.map(|image| match image {
        Some(id) if id == b => "b",
        Some(_) => "another image",
        None => "no image",
    });
    let named: Vec<&str> = named.collect();
    named.join(", ")
}

fn version_of(template: &str, version: &str) -> LaunchTemplateReference {
    LaunchTemplateReference {
        id: Some(template.to_owned()),
        version: Some(version.to_owned()),
        ..LaunchTemplateReference::default()
    }
}

/// A launch template of which one override launches another image.
fn choice(template: &str, version: &str, image: &str) -> TemplateChoice {
    TemplateChoice {
        template: version_of(template, version),
        overrides: vec![LaunchOverride {
            instance_type: Some("m5.xlarge".to_owned()),
            image: Some(image.to_owned()),
            ..LaunchOverride::default()
        }],
    }
}

/// An image, launched with a data device of this snapshot.
fn with_device(image: &str, snapshot: &str) -> TemplateData {
    TemplateData {
        image: Some(image.to_owned()),
        instance_type: Some("m5.large".to_owned()),
        mappings: vec![BlockDevice::from_snapshot(DATA, SnapshotId::new(snapshot))],
    }
}

impl Stage {
    /// A launch configuration of an image, with a data device of a snapshot.
    pub(crate) async fn launch_configuration(
        &self,
        name: &str,
        image: &str,
        snapshot: &str,
    ) -> Result<(), Stop> {
        let seeded = self.seed(|account| {
            let device = BlockDevice::from_snapshot(DATA, SnapshotId::new(snapshot));
            account.seed_launch_configuration(name, image, vec![device]);
        });
        if seeded.is_some() {
            return Ok(());
        }
        let ebs = groups::Ebs::builder().snapshot_id(snapshot).build();
        let device = groups::BlockDeviceMapping::builder().device_name(DATA);
        let call = self.auto_scaling.create_launch_configuration();
        let call = call
            .launch_configuration_name(name)
            .image_id(image)
            .instance_type("m5.large")
            .block_device_mappings(device.ebs(ebs).build());
        made(call.send().await).map(drop)
    }

    /// An Auto Scaling group without instances, tagged `Team` with its name.
    pub(crate) async fn group(&self, name: &str, launches: Launches<'_>) -> Result<(), Stop> {
        let seeded = self.seed(|account| {
            let launch = match launches {
                Launches::Configuration(name) => GroupLaunch::Configuration(name.to_owned()),
                Launches::Template(id, version) => GroupLaunch::Template(version_of(id, version)),
                Launches::Mixed(id, version, image) => {
                    GroupLaunch::Mixed(choice(id, version, image))
                }
            };
            account.seed_auto_scaling_group(AutoScalingGroupSeed {
                desired: 0,
                tags: [("Team".to_owned(), name.to_owned())].into(),
                ..AutoScalingGroupSeed::new(name, launch)
            });
        });
        if seeded.is_some() {
            return Ok(());
        }
        let tag = groups::Tag::builder().key("Team").value(name);
        let call = self.auto_scaling.create_auto_scaling_group();
        let call = call
            .auto_scaling_group_name(name)
            .min_size(0)
            .max_size(0)
            .availability_zones(ZONE)
            .tags(tag.propagate_at_launch(false).build());
        let specification = |id: &str, version: &str| {
            let builder = groups::LaunchTemplateSpecification::builder();
            builder.launch_template_id(id).version(version).build()
        };
        let call = match launches {
            Launches::Configuration(name) => call.launch_configuration_name(name),
            Launches::Template(id, version) => call.launch_template(specification(id, version)),
            Launches::Mixed(id, version, image) => {
                let other = groups::LaunchTemplateOverrides::builder();
                let other = other.instance_type("m5.xlarge").image_id(image).build();
                let template = groups::LaunchTemplate::builder()
                    .launch_template_specification(specification(id, version))
                    .overrides(other)
                    .build();
                let policy = groups::MixedInstancesPolicy::builder();
                call.mixed_instances_policy(policy.launch_template(template).build())
            }
        };
        made(call.send().await).map(drop)
    }

    /// An EC2 Fleet of this type over a version of a launch template and, beside it, an image.
    pub(crate) async fn fleet(
        &self,
        kind: &str,
        template: &str,
        version: &str,
        image: &str,
    ) -> Result<String, Stop> {
        let seeded = self.seed(|account| {
            account.seed_fleet(FleetSeed {
                kind: Some(kind.to_owned()),
                choices: vec![choice(template, version, image)],
                ..FleetSeed::default()
            })
        });
        if let Some(id) = seeded {
            return Ok(id);
        }
        let specification = FleetLaunchTemplateSpecificationRequest::builder();
        let specification = specification.launch_template_id(template).version(version);
        let other = FleetLaunchTemplateOverridesRequest::builder();
        let other = other.instance_type(InstanceType::M5Xlarge).image_id(image);
        let config = FleetLaunchTemplateConfigRequest::builder()
            .launch_template_specification(specification.build())
            .overrides(other.build());
        let capacity = TargetCapacitySpecificationRequest::builder().total_target_capacity(1);
        let call = self.ec2.create_fleet().r#type(FleetType::from(kind));
        let call = call
            .launch_template_configs(config.build())
            .target_capacity_specification(capacity.build());
        got(made(call.send().await)?.fleet_id(), "fleet id")
    }

    /// A Spot Fleet request for an image, with a data device of a snapshot.
    pub(crate) async fn spot_fleet(&self, image: &str, snapshot: &str) -> Result<String, Stop> {
        let seeded = self.seed(|account| {
            account.seed_spot_fleet(SpotFleetSeed {
                specifications: vec![with_device(image, snapshot)],
                ..SpotFleetSeed::default()
            })
        });
        if let Some(id) = seeded {
            return Ok(id);
        }
        let specification = SpotFleetLaunchSpecification::builder()
            .image_id(image)
            .instance_type(InstanceType::M5Large)
            .block_device_mappings(from_snapshot(DATA, snapshot));
        let config = SpotFleetRequestConfigData::builder()
            .iam_fleet_role("arn:aws:iam::123456789012:role/fleet")
            .allocation_strategy(aws_sdk_ec2::types::AllocationStrategy::LowestPrice)
            .target_capacity(1)
            .launch_specifications(specification.build());
        let call = self.ec2.request_spot_fleet();
        let call = call.spot_fleet_request_config(config.build());
        let asked = made(call.send().await)?;
        got(asked.spot_fleet_request_id(), "Spot Fleet request id")
    }

    /// A Spot Instance request for an image that has been fulfilled.
    pub(crate) async fn spot_request(&self, image: &str) -> Result<String, Stop> {
        let seeded = self.seed(|account| {
            account.seed_spot_request(SpotRequestSeed {
                state: Some("active".to_owned()),
                kind: Some("one-time".to_owned()),
                specification: TemplateData {
                    mappings: Vec::new(),
                    ..with_device(image, "")
                },
                ..SpotRequestSeed::default()
            })
        });
        if let Some(id) = seeded {
            return Ok(id);
        }
        let specification = RequestSpotLaunchSpecification::builder().image_id(image);
        let specification = specification.instance_type(InstanceType::M5Large).build();
        let call = self.ec2.request_spot_instances();
        let asked = made(call.launch_specification(specification).send().await)?;
        let first = asked.spot_instance_requests().first();
        let id = first.and_then(|request| request.spot_instance_request_id());
        got(id, "Spot Instance request id")
    }
}
