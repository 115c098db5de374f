//! The demo's fleet.

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, VolumeId};
use holdfast_core::inventory::Tags;
use holdfast_sim::request::{
    CreateLaunchTemplate, CreateTags, LaunchTemplateReference, Request, RunInstances,
    TagSpecification,
};
use holdfast_sim::{
    Account, BlockDevice, DeviceTarget, EbsDevice, ImageSeed, Instance, Response, SnapshotSeed,
    TemplateData, VolumeSeed,
};
use jiff::SignedDuration;

use super::DemoError;

/// How long before the demo begins the fleet is launched.
pub const HEAD_START: SignedDuration = SignedDuration::from_hours(1);

/// An instance and its EBS volumes, the root volume first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its `Name` tag.
    pub name: String,
    /// The instance.
    pub id: InstanceId,
    /// Such as `m5d.large`.
    pub instance_type: String,
    /// Device names and volumes.
    pub volumes: Vec<(String, VolumeId)>,
}

/// What the demo is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The web group.
    pub web: Vec<Machine>,
    /// The AMI that the web group was launched from.
    pub web_image: ImageId,
    /// The web group's launch template.
    pub web_template: LaunchTemplateId,
    /// The database: three EBS volumes and an instance-store disk.
    pub database: Machine,
    /// A detached volume.
    pub archive: VolumeId,
    /// The machine from which others are made: two EBS volumes.
    pub golden: Machine,
    /// A machine that no policy selects.
    pub build: Machine,
}

/// Puts the fleet into an account and lets [`HEAD_START`] pass, so that everything runs.
///
/// # Errors
///
/// The account refuses a call.
pub fn seed(account: &mut Account) -> Result<Fleet, DemoError> {
    let ready = account.now() + HEAD_START;
    let base = account.seed_snapshot(SnapshotSeed {
        description: "root of web-base".to_owned(),
        ..SnapshotSeed::default()
    });
    let image = account.seed_image(ImageSeed {
        name: Some("web-base".to_owned()),
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", base)],
        ..ImageSeed::default()
    });
    let template = match account.call(&Request::CreateLaunchTemplate(CreateLaunchTemplate {
        name: "web".to_owned(),
        data: TemplateData {
            image: Some(image.to_string()),
            instance_type: Some("t3.micro".to_owned()),
            ..TemplateData::default()
        },
        ..CreateLaunchTemplate::default()
    }))? {
        Response::LaunchTemplate(template) => template.id,
        other => return Err(odd("CreateLaunchTemplate", &other)),
    };
    let web = launch(
        account,
        RunInstances {
            launch_template: Some(LaunchTemplateReference {
                id: Some(template.to_string()),
                ..LaunchTemplateReference::default()
            }),
            ..run(3, &[("Role", "web")])
        },
        "web",
    )?;
    let database = launch_one(
        account,
        RunInstances {
            image: Some(image.to_string()),
            instance_type: Some("m5d.large".to_owned()),
            mappings: vec![disk("/dev/sdf", 200), disk("/dev/sdg", 50)],
            ..run(1, &[("Role", "database"), ("Backup", "nightly")])
        },
        "db",
    )?;
    let golden = launch_one(
        account,
        RunInstances {
            image: Some(image.to_string()),
            instance_type: Some("t3.micro".to_owned()),
            mappings: vec![disk("/dev/sdf", 20)],
            ..run(1, &[("Role", "golden")])
        },
        "golden",
    )?;
    let build = launch_one(
        account,
        RunInstances {
            image: Some(image.to_string()),
            instance_type: Some("t3.micro".to_owned()),
            ..run(1, &[("Role", "build")])
        },
        "build",
    )?;
    let archive = account.seed_volume(VolumeSeed {
        size_gib: 500,
        tags: tags(&[("Name", "archive-2019"), ("Backup", "archive")]),
        ..VolumeSeed::default()
    });
    account.advance_to(ready);
    // What the launches emitted was before the demo's time.
    drop(account.drain_events());
    Ok(Fleet {
        web,
        web_image: image,
        web_template: template,
        database,
        archive,
        golden,
        build,
    })
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(super) fn run(count: i32, tags: &[(&str, &str)]) -> RunInstances {
    RunInstances {
        min_count: count,
        max_count: count,
        tags: vec![TagSpecification::new("instance", tags.iter().copied())],
        ..RunInstances::default()
    }
}

fn disk(device: &str, size_gib: i32) -> BlockDevice {
    BlockDevice {
        device: device.to_owned(),
        target: DeviceTarget::Ebs(EbsDevice {
            size_gib: Some(size_gib),
            volume_type: Some("gp3".to_owned()),
            ..EbsDevice::default()
        }),
    }
}

/// Launches instances and names them and their volumes.
fn launch(
    account: &mut Account,
    request: RunInstances,
    name: &str,
) -> Result<Vec<Machine>, DemoError> {
    let several = request.max_count > 1;
    let launched = match account.call(&Request::RunInstances(request))? {
        Response::Launched(instances) => instances,
        other => return Err(odd("RunInstances", &other)),
    };
    let mut machines = Vec::new();
    for (number, instance) in (1..).zip(launched) {
        let name = if several {
            format!("{name}-{number}")
        } else {
            name.to_owned()
        };
        machines.push(named(account, &instance, name)?);
    }
    Ok(machines)
}

pub(super) fn launch_one(
    account: &mut Account,
    request: RunInstances,
    name: &str,
) -> Result<Machine, DemoError> {
    let mut machines = launch(account, request, name)?;
    machines
        .pop()
        .ok_or_else(|| DemoError::Unexpected("RunInstances launched nothing".to_owned()))
}

fn named(account: &mut Account, instance: &Instance, name: String) -> Result<Machine, DemoError> {
    let mut volumes: Vec<(String, VolumeId)> = instance
        .devices
        .iter()
        .map(|d| (d.device.clone(), d.volume.clone()))
        .collect();
    volumes.sort_by_key(|(device, _)| (*device != instance.root_device, device.clone()));
    let mut tag = |resource: String, value: String| {
        account.call(&Request::CreateTags(CreateTags {
            resources: vec![resource],
            tags: vec![("Name".to_owned(), value)],
        }))
    };
    tag(instance.id.to_string(), name.clone())?;
    for (device, volume) in &volumes {
        tag(volume.to_string(), format!("{name} {device}"))?;
    }
    Ok(Machine {
        name,
        id: instance.id.clone(),
        instance_type: instance.instance_type.clone(),
        volumes,
    })
}

pub(super) fn odd(operation: &str, answer: &Response) -> DemoError {
    DemoError::Unexpected(format!("{operation} answered {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_core::policy::PolicyFile;
    use holdfast_core::policy::selection::pick;
    use holdfast_core::ports::{InstanceScope, ReadEc2};
    use holdfast_sim::{InProcess, Settings};

    #[tokio::test]
    async fn the_demos_policies_pick_all_of_the_fleet_but_the_build_machine() {
        let mut account = Account::new(Settings::default());
        let fleet = seed(&mut account).unwrap();
        let now = account.now();
        let ec2 = InProcess::new(account.shared());
        let (instances, volumes) = (
            ec2.instances(&InstanceScope::All).await.items,
            ec2.volumes().await.items,
        );
        let path = super::super::policies_path();
        let text = std::fs::read_to_string(path).unwrap();
        let file = PolicyFile::parse("policies.yaml", &text, now).unwrap();
        let picked: Vec<_> = file
            .policies
            .iter()
            .map(|policy| {
                let picked = pick(policy, &instances, &volumes);
                let sets = picked
                    .sets
                    .iter()
                    .map(|s| (s.instance.clone(), s.volumes.len()));
                let singles = picked.volumes.iter().map(|v| v.volume.clone());
                let (sets, singles): (Vec<_>, Vec<_>) = (sets.collect(), singles.collect());
                (sets, singles, picked.instances)
            })
            .collect();
        let mut web: Vec<_> = fleet.web.iter().map(|m| (m.id.clone(), 1)).collect();
        web.sort();
        assert_eq!(
            picked,
            [
                (vec![(fleet.database.id.clone(), 3)], vec![], vec![]),
                (web, vec![], vec![]),
                (vec![], vec![fleet.archive.clone()], vec![]),
                (vec![], vec![], vec![fleet.golden.id.clone()]),
            ]
        );
        assert_eq!(fleet.web.len(), 3);
        assert_eq!(fleet.golden.volumes.len(), 2);
        let types = ec2
            .instance_types(&[fleet.database.instance_type])
            .await
            .items;
        assert!(
            types[0].nvme && types[0].disks == 1,
            "an instance-store disk: {types:?}"
        );
    }
}
