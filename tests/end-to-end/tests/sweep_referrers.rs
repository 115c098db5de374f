//! sweep-retention and who launches from an AMI: each kind of referrer holds it, with the path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::{ImageId, InstanceId};
use holdfast_end_to_end::images::{
    Baked, POLICIES, registered, stands, sweep, sweep_at, template_over, world,
};
use holdfast_end_to_end::{World, codes, device, item_of};
use holdfast_sim::request::LaunchTemplateReference;
use holdfast_sim::{
    Account, AutoScalingGroupSeed, FleetSeed, GroupLaunch, InstanceSeed, LaunchOverride, Recipe,
    SpotFleetSeed, SpotRequestSeed, TemplateChoice, TemplateData,
};
use serde_json::Value;

const LATER: &str = "2026-03-02T11:00:00Z";

/// The reason that holds the oldest of four AMIs after `change`, while the next oldest goes.
async fn held(change: impl FnOnce(&World, &Baked)) -> Value {
    let (world, baked) = world("enforce", POLICIES, 4).await;
    change(&world, &baked[3]);
    let swept = sweep(&world).await;
    let item = item_of(&swept, &baked[3].id);
    assert_eq!(item["outcome"], "held", "{swept:#}");
    assert_eq!(item_of(&swept, &baked[2].id)["outcome"], "deleted");
    assert_eq!(swept["run"]["complete"], true, "{swept:#}");
    assert_eq!(registered(&world).len(), 3);
    assert!(baked[3].snapshots.iter().all(|id| stands(&world, id)));
    let reason = item["reasons"][0].clone();
    let path = reason["path"].as_array().unwrap();
    assert_eq!(path[0], baked[3].id.as_str(), "from the AMI: {reason:#}");
    reason
}

fn last(reason: &Value) -> &str {
    let path = reason["path"].as_array().unwrap();
    path.last().unwrap().as_str().unwrap()
}

fn launching(image: &str) -> TemplateData {
    TemplateData {
        image: Some(image.to_owned()),
        ..TemplateData::default()
    }
}

#[tokio::test]
async fn an_ami_that_only_an_instance_of_an_aws_service_runs_on_is_held() {
    // By the list of instances alone, which shows it to whoever asks for such ones too.
    let policies = POLICIES.replace(
        "retain:",
        "evidence: { image_references: not-used }\n    retain:",
    );
    let (world, baked) = world("enforce", &policies, 4).await;
    world.account(|account| {
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new("i-0000000000000000f")),
            image: Some(ImageId::new(&baked[3].id)),
            managed: true,
            ..InstanceSeed::default()
        })
    });
    let swept = sweep(&world).await;
    let item = item_of(&swept, &baked[3].id);
    assert_eq!(item["outcome"], "held", "{swept:#}");
    assert_eq!(codes(item), ["used-by-instance"]);
    assert_eq!(last(&item["reasons"][0]), "i-0000000000000000f");
    assert_eq!(item_of(&swept, &baked[2].id)["outcome"], "deleted");
    assert_eq!(registered(&world).len(), 3);
}

#[tokio::test]
async fn an_ami_that_a_launch_configuration_names_is_held() {
    let reason = held(|world, ami| {
        world.account(|a| a.seed_launch_configuration("web-v1", &ami.id, Vec::new()));
    })
    .await;
    assert_eq!(reason["code"], "used-by-launch-configuration");
    assert_eq!(last(&reason), "web-v1");
}

#[tokio::test]
async fn an_ami_that_a_groups_override_names_is_held() {
    let reason = held(|world, ami| {
        let template = template_over(world, "base", &["ami-00000000000000fff"]);
        let choice = TemplateChoice {
            template: LaunchTemplateReference {
                id: Some(template),
                ..LaunchTemplateReference::default()
            },
            overrides: vec![LaunchOverride {
                image: Some(ami.id.clone()),
                ..LaunchOverride::default()
            }],
        };
        let group = AutoScalingGroupSeed::new("web", GroupLaunch::Mixed(choice));
        world.account(|a| a.seed_auto_scaling_group(group));
    })
    .await;
    assert_eq!(reason["code"], "used-by-auto-scaling-group");
    assert_eq!(last(&reason), "web");
}

#[tokio::test]
async fn an_ami_that_an_instance_refresh_brings_in_is_held_until_the_refresh_is_over() {
    let policies = POLICIES.replace(
        "retain:",
        "launch_template_versions: { newest: 1 }\n    retain:",
    );
    for (status, holds) in [("InProgress", true), ("RollbackSuccessful", false)] {
        let (world, baked) = world("enforce", &policies, 4).await;
        // Version 2 names the oldest; it is old, and no group's own configuration launches it.
        let template = template_over(
            &world,
            "web",
            &["ami-00000000000000fff", &baked[3].id, &baked[0].id],
        );
        let of = |version: &str| LaunchTemplateReference {
            id: Some(template.clone()),
            version: Some(version.to_owned()),
            ..LaunchTemplateReference::default()
        };
        // An override of the new configuration names the next oldest by itself.
        let desired = GroupLaunch::Mixed(TemplateChoice {
            template: of("2"),
            overrides: vec![LaunchOverride {
                image: Some(baked[2].id.clone()),
                ..LaunchOverride::default()
            }],
        });
        world.account(|account| {
            let group = AutoScalingGroupSeed::new("web", GroupLaunch::Template(of("3")));
            account.seed_auto_scaling_group(group);
            account.seed_instance_refresh("web", status, Some(desired));
        });
        let swept = sweep(&world).await;
        for (ami, path) in [
            (&baked[3].id, vec![&baked[3].id[..], &template, "web"]),
            (&baked[2].id, vec![&baked[2].id[..], "web"]),
        ] {
            let item = item_of(&swept, ami);
            if !holds {
                assert_eq!(item["outcome"], "deleted", "{swept:#}");
                continue;
            }
            assert_eq!(item["outcome"], "held", "{swept:#}");
            let reasons = item["reasons"].as_array().unwrap();
            let by_group = |r: &&Value| r["code"] == "used-by-auto-scaling-group";
            let reason = reasons.iter().find(by_group).expect("the group is told");
            assert_eq!(reason["path"], serde_json::json!(path));
        }
    }
}

#[tokio::test]
async fn an_ami_that_an_ec2_fleet_names_is_held_until_the_fleet_is_deleted() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let template = template_over(&world, "base", &["ami-00000000000000fff"]);
    let fleet = |state: &str| FleetSeed {
        id: Some("fleet-1".to_owned()),
        state: Some(state.to_owned()),
        choices: vec![TemplateChoice {
            template: LaunchTemplateReference {
                id: Some(template.clone()),
                ..LaunchTemplateReference::default()
            },
            overrides: vec![LaunchOverride {
                image: Some(baked[2].id.clone()),
                ..LaunchOverride::default()
            }],
        }],
        ..FleetSeed::default()
    };
    world.account(|a| a.seed_fleet(fleet("active")));
    let held = sweep(&world).await;
    let item = item_of(&held, &baked[2].id);
    assert_eq!(codes(item), ["used-by-fleet"], "{held:#}");
    assert_eq!(last(&item["reasons"][0]), "fleet-1");
    world.account(|a| a.seed_fleet(fleet("deleted")));
    let free = sweep_at(&world, LATER).await;
    assert_eq!(item_of(&free, &baked[2].id)["outcome"], "deleted");
}

#[tokio::test]
async fn an_ami_that_a_spot_fleet_names_is_held() {
    let reason = held(|world, ami| {
        let seed = SpotFleetSeed {
            id: Some("sfr-1".to_owned()),
            specifications: vec![launching(&ami.id)],
            ..SpotFleetSeed::default()
        };
        world.account(|a| a.seed_spot_fleet(seed));
    })
    .await;
    assert_eq!(reason["code"], "used-by-fleet");
    assert_eq!(last(&reason), "sfr-1");
}

#[tokio::test]
async fn an_ami_that_a_spot_request_names_is_held() {
    let reason = held(|world, ami| {
        let seed = SpotRequestSeed {
            id: Some("sir-1".to_owned()),
            specification: launching(&ami.id),
            ..SpotRequestSeed::default()
        };
        world.account(|a| a.seed_spot_request(seed));
    })
    .await;
    assert_eq!(reason["code"], "used-by-fleet");
    assert_eq!(last(&reason), "sir-1");
}

#[tokio::test]
async fn an_ami_that_a_parameter_holds_is_held_although_no_list_tells_of_it() {
    let reason = held(|world, ami| {
        world.account(|a| a.seed_parameter("/golden/web", &ami.id));
    })
    .await;
    assert_eq!(reason["code"], "used-by-parameter");
    assert!(last(&reason).contains("golden/web"), "{reason:#}");
}

#[tokio::test]
async fn an_ami_that_a_recipe_builds_on_is_held() {
    for container in [false, true] {
        let reason = held(|world, ami| {
            let recipe = Recipe {
                name: "hardened".to_owned(),
                version: "1.0.0".to_owned(),
                parent: ami.id.clone(),
                container,
            };
            world.account(|a| a.seed_image_recipe(recipe));
        })
        .await;
        assert_eq!(reason["code"], "used-by-image-recipe");
        assert!(last(&reason).contains("hardened"), "{reason:#}");
    }
}

#[tokio::test]
async fn an_ami_whose_snapshot_a_launch_template_maps_is_held() {
    let reason = held(|world, ami| world.launch_template("data", &ami.snapshots[1])).await;
    assert_eq!(reason["code"], "used-by-launch-template");
    assert!(last(&reason).starts_with("lt-"), "{reason:#}");
}

#[tokio::test]
async fn an_ami_whose_snapshot_a_launch_configuration_maps_is_held() {
    let reason = held(|world, ami| {
        let mapping = vec![device("/dev/sdf", &ami.snapshots[1])];
        let name = |a: &mut Account| {
            a.seed_launch_configuration("data-v1", "ami-00000000000000fff", mapping);
        };
        world.account(name);
    })
    .await;
    assert_eq!(reason["code"], "used-by-launch-configuration");
    assert_eq!(last(&reason), "data-v1");
}

#[tokio::test]
async fn an_ami_launched_by_a_group_through_the_latest_version_of_a_template_is_held_with_the_path()
{
    let policies = POLICIES.replace(
        "retain:",
        "launch_template_versions: { newest: 1 }\n    retain:",
    );
    let (world, baked) = world("enforce", &policies, 4).await;
    // Version 1 names the oldest and is an old one; a group launches it by its number.
    let template = template_over(&world, "web", &[&baked[3].id, &baked[2].id, &baked[0].id]);
    let of_version = |version: &str| {
        GroupLaunch::Template(LaunchTemplateReference {
            id: Some(template.clone()),
            version: Some(version.to_owned()),
            ..LaunchTemplateReference::default()
        })
    };
    // The default version is 1 unless told otherwise, so that it holds by itself; 2 is old.
    let group = AutoScalingGroupSeed::new("web-2", of_version("2"));
    world.account(|a| a.seed_auto_scaling_group(group));
    let swept = sweep(&world).await;
    let item = item_of(&swept, &baked[2].id);
    assert_eq!(item["outcome"], "held", "{swept:#}");
    let by_group = item["reasons"].as_array().unwrap().iter();
    let mut by_group = by_group.filter(|r| r["code"] == "used-by-auto-scaling-group");
    let path = &by_group.next().expect("the group is told")["path"];
    assert_eq!(*path, serde_json::json!([baked[2].id, template, "web-2"]));
    world.account(|a| a.remove_auto_scaling_group("web-2"));
    let free = sweep_at(&world, LATER).await;
    assert_eq!(
        item_of(&free, &baked[2].id)["outcome"],
        "deleted",
        "{free:#}"
    );
}
