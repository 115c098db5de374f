//! An account with one of everything that refers or protects, and what the lists must say of it.

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::{
    Binned, ImageReference, ReferenceScope, ReferenceType, Referrer, ReferrerKind, Share,
    SnapshotLock, TemplateName, TemplateUse,
};
use holdfast_core::ports::ReadEc2;
use holdfast_end_to_end::{START, at, device};
use holdfast_sim::request::{
    CreateLaunchTemplate, CreateLaunchTemplateVersion, DeleteSnapshot, DeregisterImage,
    EnableFastSnapshotRestores, LaunchTemplateReference, LockSnapshot, Request,
};
use holdfast_sim::{
    Account, AutoScalingGroupSeed, FleetSeed, Grantee, GroupLaunch, ImageSeed, InstanceSeed,
    LaunchOverride, Recipe, Retained, RetentionRule, Settings, SnapshotSeed, SpotFleetSeed,
    SpotRequestSeed, TemplateChoice, TemplateData,
};

pub const SNAPSHOT: &str = "snap-0000000000000000a";
const BINNED_SNAPSHOT: &str = "snap-0000000000000000b";
/// Named by nearly everything.
pub const GOLDEN: &str = "ami-0000000000000000a";
/// Named by the oldest version of a template alone.
pub const OTHER: &str = "ami-0000000000000000b";
/// Open to everybody.
pub const PUBLIC: &str = "ami-0000000000000000c";
const BINNED_IMAGE: &str = "ami-0000000000000000d";
const INSTANCE: &str = "i-0000000000000000a";
/// Launch templates.
pub const TEMPLATES: usize = 4;

const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-1";
const UNIT: &str = "arn:aws:organizations::111122223333:ou/o-1/ou-1";

pub fn settings(settings: &mut Settings) {
    settings.recycle_bin = vec![
        RetentionRule::for_region(Retained::Snapshots, 30),
        RetentionRule::for_region(Retained::Images, 7),
    ];
}

fn named(name: &str, version: Option<&str>) -> LaunchTemplateReference {
    LaunchTemplateReference {
        name: Some(name.to_owned()),
        version: version.map(str::to_owned),
        ..LaunchTemplateReference::default()
    }
}

fn by_id(id: &str, version: Option<&str>) -> LaunchTemplateReference {
    LaunchTemplateReference {
        id: Some(id.to_owned()),
        version: version.map(str::to_owned),
        ..LaunchTemplateReference::default()
    }
}

fn specification() -> TemplateData {
    TemplateData {
        image: Some(GOLDEN.to_owned()),
        mappings: vec![device("/dev/sdf", SNAPSHOT)],
        ..TemplateData::default()
    }
}

fn choice(overrides: Vec<LaunchOverride>) -> TemplateChoice {
    TemplateChoice {
        template: by_id("lt-1", Some("$Latest")),
        overrides,
    }
}

pub fn seed(account: &mut Account) {
    for id in [SNAPSHOT, BINNED_SNAPSHOT] {
        account.seed_snapshot(SnapshotSeed {
            id: Some(SnapshotId::new(id)),
            shared_with: BTreeSet::from(["222233334444".to_owned()]),
            ..SnapshotSeed::default()
        });
    }
    for id in [GOLDEN, OTHER, PUBLIC, BINNED_IMAGE] {
        let shared_with = [
            Grantee::Account("222233334444".to_owned()),
            Grantee::Organization(ORGANIZATION.to_owned()),
            Grantee::OrganizationalUnit(UNIT.to_owned()),
        ];
        account.seed_image(ImageSeed {
            id: Some(ImageId::new(id)),
            name: Some(format!("name of {id}")),
            public: id == PUBLIC,
            shared_with: BTreeSet::from(shared_with)
                .into_iter()
                .filter(|_| id == GOLDEN)
                .collect(),
            ..ImageSeed::default()
        });
    }
    account.seed_instance(InstanceSeed {
        id: Some(InstanceId::new(INSTANCE)),
        image: Some(ImageId::new(GOLDEN)),
        ..InstanceSeed::default()
    });
    seed_launchers(account);
    seed_templates(account);
    account.seed_parameter("/golden", GOLDEN);
    for container in [false, true] {
        account.seed_image_recipe(Recipe {
            name: "base".to_owned(),
            version: "1.0.0".to_owned(),
            parent: GOLDEN.to_owned(),
            container,
        });
    }
    for request in [
        Request::EnableFastSnapshotRestores(EnableFastSnapshotRestores {
            zones: vec!["eu-central-1a".to_owned(), "eu-central-1b".to_owned()],
            ids: vec![SNAPSHOT.to_owned()],
        }),
        Request::LockSnapshot(LockSnapshot {
            id: SNAPSHOT.to_owned(),
            mode: "governance".to_owned(),
            expiration: Some(at("2026-04-01T00:00:00Z")),
            ..LockSnapshot::default()
        }),
        Request::DeleteSnapshot(DeleteSnapshot {
            id: BINNED_SNAPSHOT.to_owned(),
        }),
        Request::DeregisterImage(DeregisterImage {
            id: BINNED_IMAGE.to_owned(),
            delete_associated_snapshots: false,
        }),
    ] {
        account.call(&request).unwrap();
    }
}

fn seed_launchers(account: &mut Account) {
    account.seed_launch_configuration("web", GOLDEN, vec![device("/dev/sdf", SNAPSHOT)]);
    let own_image = LaunchOverride {
        image: Some(OTHER.to_owned()),
        ..LaunchOverride::default()
    };
    let own_template = LaunchOverride {
        template: Some(named("arm", None)),
        ..LaunchOverride::default()
    };
    for (name, launch) in [
        (
            "a-configuration",
            GroupLaunch::Configuration("web".to_owned()),
        ),
        ("b-template", GroupLaunch::Template(named("web", Some("3")))),
        (
            "c-mixed",
            GroupLaunch::Mixed(choice(vec![own_image.clone(), own_template])),
        ),
    ] {
        account.seed_auto_scaling_group(AutoScalingGroupSeed::new(name, launch));
    }
    let new_image = GroupLaunch::Mixed(choice(vec![own_image.clone()]));
    let of_before = GroupLaunch::Template(named("before", Some("1")));
    for (group, status, desired) in [
        ("a-configuration", "Successful", Some(of_before)),
        ("b-template", "InProgress", Some(new_image)),
        ("c-mixed", "Pending", None),
    ] {
        account.seed_instance_refresh(group, status, desired);
    }
    account.seed_fleet(FleetSeed {
        id: Some("fleet-1".to_owned()),
        // None that EC2 documents.
        state: Some("hibernating".to_owned()),
        choices: vec![choice(vec![LaunchOverride {
            mappings: vec![device("/dev/sdf", SNAPSHOT)],
            ..own_image
        }])],
        ..FleetSeed::default()
    });
    account.seed_spot_fleet(SpotFleetSeed {
        id: Some("sfr-1".to_owned()),
        state: Some("cancelled_running".to_owned()),
        specifications: vec![specification()],
        choices: vec![TemplateChoice {
            template: named("web", Some("$Default")),
            overrides: Vec::new(),
        }],
        ..SpotFleetSeed::default()
    });
    account.seed_spot_request(SpotRequestSeed {
        id: Some("sir-1".to_owned()),
        state: Some("closed".to_owned()),
        specification: specification(),
        ..SpotRequestSeed::default()
    });
}

/// Three templates that name parameters, and one of twelve versions, the oldest with an image.
fn seed_templates(account: &mut Account) {
    let data = |image: &str| TemplateData {
        image: Some(image.to_owned()),
        ..TemplateData::default()
    };
    for (name, image) in [
        ("private", "resolve:ssm:/golden"),
        ("missing", "resolve:ssm:/nowhere"),
        ("public", "resolve:ssm:/aws/service/linux"),
        ("old", OTHER),
    ] {
        let make = CreateLaunchTemplate {
            name: name.to_owned(),
            data: data(image),
            ..CreateLaunchTemplate::default()
        };
        account.call(&Request::CreateLaunchTemplate(make)).unwrap();
    }
    for _ in 0..11 {
        let add = CreateLaunchTemplateVersion {
            name: Some("old".to_owned()),
            ..CreateLaunchTemplateVersion::default()
        };
        let add = Request::CreateLaunchTemplateVersion(add);
        account.call(&add).unwrap();
    }
}

fn plain(id: &str, kind: ReferrerKind, state: Option<&str>) -> Referrer {
    Referrer {
        id: id.to_owned(),
        kind,
        state: state.map(str::to_owned),
        images: Vec::new(),
        snapshots: Vec::new(),
        templates: Vec::new(),
        launch_configuration: None,
    }
}

fn template(template: TemplateName, version: Option<&str>) -> TemplateUse {
    TemplateUse {
        template,
        version: version.map(str::to_owned),
    }
}

/// What every door must say of the account.
pub async fn expect_all(ec2: &impl ReadEc2, groups: &impl ReadEc2) {
    expect_groups(groups).await;
    expect_fleets(ec2).await;
    expect_templates(ec2).await;
    expect_protection(ec2).await;
    expect_shares(ec2).await;
    expect_references(ec2).await;
}

async fn expect_groups(groups: &impl ReadEc2) {
    let list = groups.launch_configurations().await;
    assert_eq!(list.error, None);
    let web = Referrer {
        images: vec![GOLDEN.to_owned()],
        snapshots: vec![SnapshotId::new(SNAPSHOT)],
        ..plain("web", ReferrerKind::LaunchConfiguration, None)
    };
    assert_eq!(list.items, [web]);

    let list = groups.auto_scaling_groups().await;
    assert_eq!(list.error, None);
    let group = |id| plain(id, ReferrerKind::AutoScalingGroup, None);
    assert_eq!(
        list.items,
        [
            Referrer {
                launch_configuration: Some("web".to_owned()),
                ..group("a-configuration")
            },
            Referrer {
                // The second template and the image are those of its instance refresh.
                images: vec![OTHER.to_owned()],
                templates: vec![
                    template(TemplateName::Name("web".to_owned()), Some("3")),
                    template(TemplateName::Id("lt-1".to_owned()), Some("$Latest")),
                ],
                ..group("b-template")
            },
            Referrer {
                images: vec![OTHER.to_owned()],
                templates: vec![
                    template(TemplateName::Id("lt-1".to_owned()), Some("$Latest")),
                    template(TemplateName::Name("arm".to_owned()), None),
                ],
                ..group("c-mixed")
            },
        ]
    );
}

async fn expect_fleets(ec2: &impl ReadEc2) {
    let list = ec2.fleets().await;
    assert_eq!(list.error, None);
    let snapshots = vec![SnapshotId::new(SNAPSHOT)];
    assert_eq!(
        list.items,
        [
            Referrer {
                images: vec![OTHER.to_owned()],
                snapshots: snapshots.clone(),
                templates: vec![template(
                    TemplateName::Id("lt-1".to_owned()),
                    Some("$Latest")
                )],
                ..plain("fleet-1", ReferrerKind::Fleet, Some("hibernating"))
            },
            Referrer {
                images: vec![GOLDEN.to_owned()],
                snapshots: snapshots.clone(),
                templates: vec![template(
                    TemplateName::Name("web".to_owned()),
                    Some("$Default")
                )],
                ..plain("sfr-1", ReferrerKind::SpotFleet, Some("cancelled_running"))
            },
            Referrer {
                images: vec![GOLDEN.to_owned()],
                snapshots,
                ..plain("sir-1", ReferrerKind::SpotRequest, Some("closed"))
            },
        ]
    );
}

async fn expect_templates(ec2: &impl ReadEc2) {
    let list = ec2.launch_template_versions().await;
    assert_eq!(list.error, None);
    let of = |name: &str| {
        let versions = list
            .items
            .iter()
            .filter(move |v| v.name.as_deref() == Some(name));
        versions.collect::<Vec<_>>()
    };
    let [private] = of("private")[..] else {
        panic!("{list:?}")
    };
    assert_eq!(private.image.as_deref(), Some("resolve:ssm:/golden"));
    assert_eq!(private.resolved, Some(ImageId::new(GOLDEN)));
    let [public] = of("public")[..] else {
        panic!("{list:?}")
    };
    assert_eq!(public.resolved, None);
    let old = of("old");
    assert_eq!(old.len(), 12);
    let naming: Vec<i64> = old
        .iter()
        .filter(|v| v.image.is_some())
        .map(|v| v.version)
        .collect();
    assert_eq!(naming, [1]);
}

async fn expect_protection(ec2: &impl ReadEc2) {
    let list = ec2.fast_restores().await;
    assert_eq!(list.error, None);
    let told: Vec<(&str, &str, &str)> = list
        .items
        .iter()
        .map(|f| (f.snapshot.as_str(), f.zone.as_str(), f.state.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (SNAPSHOT, "eu-central-1a", "enabling"),
            (SNAPSHOT, "eu-central-1b", "enabling")
        ]
    );

    let list = ec2.locks().await;
    assert_eq!(list.error, None);
    let lock = SnapshotLock {
        snapshot: SnapshotId::new(SNAPSHOT),
        state: "governance".to_owned(),
        expires: Some(at("2026-04-01T00:00:00Z")),
    };
    assert_eq!(list.items, [lock]);

    let list = ec2.recycle_bin().await;
    assert_eq!(list.error, None);
    let binned = |id: &str, name: Option<String>, exits| Binned {
        id: id.to_owned(),
        name,
        entered: Some(at(START)),
        exits: Some(at(exits)),
    };
    let name = format!("name of {BINNED_IMAGE}");
    assert_eq!(
        list.items,
        [
            binned(BINNED_IMAGE, Some(name), "2026-03-09T00:00:00Z"),
            binned(BINNED_SNAPSHOT, None, "2026-04-01T00:00:00Z"),
        ]
    );
}

async fn expect_shares(ec2: &impl ReadEc2) {
    let mut shares = ec2.image_shares(&ImageId::new(GOLDEN)).await.unwrap();
    shares.sort();
    assert_eq!(
        shares,
        [
            Share::Account("222233334444".to_owned()),
            Share::Organization(ORGANIZATION.to_owned()),
            Share::Organization(UNIT.to_owned()),
        ]
    );
    let public = ec2.image_shares(&ImageId::new(PUBLIC)).await.unwrap();
    assert_eq!(public, [Share::Everybody]);
    let private = ec2.image_shares(&ImageId::new(OTHER)).await.unwrap();
    assert_eq!(private, []);
    let shares = ec2
        .snapshot_shares(&SnapshotId::new(SNAPSHOT))
        .await
        .unwrap();
    assert_eq!(shares, [Share::Account("222233334444".to_owned())]);
}

async fn expect_references(ec2: &impl ReadEc2) {
    let images = [ImageId::new(GOLDEN)];
    let reference = |kind, arn: &str| ImageReference {
        image: ImageId::new(GOLDEN),
        kind,
        arn: arn.to_owned(),
    };
    let list = ec2
        .image_references(&images, ReferenceScope::Launches)
        .await;
    assert_eq!(list.error, None);
    let instance = format!("arn:aws:ec2:eu-central-1:111122223333:instance/{INSTANCE}");
    let parameter = "arn:aws:ssm:eu-central-1:111122223333:parameter/golden";
    assert_eq!(
        list.items,
        [
            reference(ReferenceType::Instance, &instance),
            reference(ReferenceType::Parameter, parameter),
        ]
    );
    let list = ec2.image_references(&images, ReferenceScope::Recipes).await;
    assert_eq!(list.error, None);
    let recipe = |kind: &str| {
        let arn = format!("arn:aws:imagebuilder:eu-central-1:111122223333:{kind}/base/1.0.0");
        reference(ReferenceType::Recipe, &arn)
    };
    assert_eq!(
        list.items,
        [recipe("container-recipe"), recipe("image-recipe")]
    );
}
