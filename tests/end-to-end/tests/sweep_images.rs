//! sweep-retention over AMIs: what goes with what, and what holds it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::ImageState;
use holdfast_end_to_end::backups::day;
use holdfast_end_to_end::images::{
    Baked, POLICIES, deletion_state, deregister_by_hand, launched_from, registered, seed_image,
    stands, sweep, sweep_at, template_over, world,
};
use holdfast_end_to_end::{World, at, codes, item_of, items, resources};
use holdfast_sim::request::Request;
use holdfast_sim::{ApiError, BlockDevice, DeviceTarget, EbsDevice, Fault, FaultRule, ImageSeed};
use serde_json::{Value, json};

const LATER: &str = "2026-03-02T11:00:00Z";
const LATEST: &str = "2026-03-02T12:00:00Z";

fn ids(baked: &[Baked]) -> Vec<String> {
    baked.iter().map(|one| one.id.clone()).collect()
}

/// Sets the state of a registered AMI, as a seed of the same identifier.
fn set_state(world: &World, baked: &Baked, state: ImageState) {
    world.account(|account| {
        let image = account.image(&ImageId::new(&baked.id)).unwrap().clone();
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            state: Some(state),
            created: Some(image.created),
            source_instance: image.source_instance,
            mappings: image.mappings,
            tags: image.tags,
            ..ImageSeed::default()
        });
    });
}

#[tokio::test]
async fn an_ami_goes_before_its_snapshots_and_both_are_on_record() {
    let (world, baked) = world("enforce", POLICIES, 5).await;
    let done = sweep(&world).await;
    assert_eq!(
        done["summary"],
        json!({ "deleted": 3, "kept": 2 }),
        "backing snapshots are no items: {done:#}"
    );
    assert_eq!(done["run"]["complete"], true);
    let deleted = resources(&items(&done, "deleted"));
    let oldest_first = [&baked[4], &baked[3], &baked[2]].map(|one| one.id.clone());
    assert_eq!(deleted, oldest_first);
    let calls = world.calls();
    assert_eq!(calls.iter().filter(|c| *c == "DeregisterImage").count(), 3);
    assert!(
        !calls.contains(&"DeleteSnapshot".to_owned()),
        "EC2 takes them along"
    );
    let mut left = ids(&baked[..2]);
    left.sort();
    assert_eq!(registered(&world), left);
    for one in &baked[2..] {
        assert_eq!(deletion_state(&world, &one.id), "deleted");
        for snapshot in &one.snapshots {
            assert!(!stands(&world, snapshot));
            assert_eq!(deletion_state(&world, snapshot), "deleted");
            let node = world.item(&format!("node#{snapshot}"), "node").unwrap();
            assert_eq!(node["state"]["S"], "deleted");
        }
        let record = world
            .item(&format!("delete#{}", one.id), "deletion")
            .unwrap();
        let proof: Value = serde_json::from_str(record["evidence"]["S"].as_str().unwrap()).unwrap();
        let mut snapshots = one.snapshots.clone();
        snapshots.sort();
        assert_eq!(proof["snapshots"], json!(snapshots));
    }
    let item = item_of(&done, &baked[4].id);
    assert_eq!(codes(item), ["expired"]);
    assert_eq!(item["source"], "i-0000000000000000a");
    assert_eq!(item["time"], day(4));
    let again = sweep_at(&world, LATER).await;
    assert_eq!(again["summary"], json!({ "kept": 2 }));
}

#[tokio::test]
async fn plan_mode_says_which_amis_would_go_and_touches_none() {
    let (world, baked) = world("plan", POLICIES, 4).await;
    let plan = sweep(&world).await;
    assert_eq!(
        plan["summary"],
        json!({ "kept": 2, "planned": 2 }),
        "{plan:#}"
    );
    assert_eq!(
        codes(item_of(&plan, &baked[3].id)),
        ["expired", "not-yet-checked"]
    );
    assert!(!world.calls().contains(&"DeregisterImage".to_owned()));
    assert_eq!((registered(&world).len(), world.snapshots().len()), (4, 8));
}

#[tokio::test]
async fn an_ami_that_a_stopped_instance_was_launched_from_is_held_until_it_is_terminated() {
    let (world, baked) = world("enforce", POLICIES, 4).await;
    let instance = launched_from(&world, &baked[3].id);
    let held = sweep(&world).await;
    let item = item_of(&held, &baked[3].id);
    assert_eq!(codes(item), ["used-by-instance"]);
    assert_eq!(item["reasons"][0]["path"], json!([baked[3].id, instance]));
    assert_eq!(item_of(&held, &baked[2].id)["outcome"], "deleted");
    let terminate = holdfast_sim::request::TerminateInstances {
        ids: vec![instance],
    };
    let terminate = Request::TerminateInstances(terminate);
    world.account(|account| account.call(&terminate)).unwrap();
    let free = sweep_at(&world, LATER).await;
    assert_eq!(
        item_of(&free, &baked[3].id)["outcome"],
        "deleted",
        "{free:#}"
    );
}

#[tokio::test]
async fn an_ami_that_an_old_launch_template_version_names_is_held() {
    let (world, baked) = world("enforce", POLICIES, 4).await;
    let [newest, old] = [&baked[0].id, &baked[3].id].map(String::as_str);
    let template = template_over(&world, "web", &[old, newest, old, newest]);
    let held = sweep(&world).await;
    let reason = &item_of(&held, old)["reasons"][0];
    assert_eq!(reason["code"], "used-by-launch-template");
    assert_eq!(reason["path"], json!([old, template]));
    assert_eq!(reason["detail"], format!("{template} versions 1, 3"));
    assert_eq!(registered(&world).len(), 3);
}

#[tokio::test]
async fn a_snapshot_that_two_amis_share_goes_with_the_last() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    // A second AMI over the root snapshot of the oldest, not Holdfast's.
    let root = baked[2].snapshots[0].as_str();
    let other = world.register_image("golden", &[root]);
    let first = sweep(&world).await;
    let item = item_of(&first, &baked[2].id);
    assert_eq!(item["outcome"], "deleted", "{first:#}");
    assert_eq!(item["reasons"][1]["path"], json!([baked[2].id, root]));
    assert_eq!(
        first["run"]["complete"], true,
        "nothing is left for the next sweep"
    );
    assert!(stands(&world, root) && !stands(&world, &baked[2].snapshots[1]));
    assert_eq!(deletion_state(&world, root), "refused");
    let second = sweep_at(&world, LATER).await;
    assert_eq!(
        second["summary"],
        json!({ "held": 1, "kept": 2 }),
        "{second:#}"
    );
    // No alarm: Holdfast itself deregistered what it was of.
    let held = item_of(&second, root);
    assert_eq!(codes(held), ["used-by-image"], "it backs the other");
    assert_eq!(held["reasons"][0]["path"], json!([root, other]));
    deregister_by_hand(&world, &other);
    let third = sweep_at(&world, LATEST).await;
    assert_eq!(codes(item_of(&third, root)), ["orphaned", "expired"]);
    assert_eq!(item_of(&third, root)["outcome"], "deleted");
    assert!(!stands(&world, root));
}

#[tokio::test]
async fn two_of_holdfasts_amis_over_one_snapshot_go_and_take_it_along() {
    let (world, mut baked) = world("enforce", POLICIES, 3).await;
    let shared = baked[2].snapshots[0].clone();
    world.account(|account| {
        let mut last = seed_image(account, &day(3), &[]);
        let mut image = account.image(&ImageId::new(&last.id)).unwrap().clone();
        image
            .mappings
            .push(holdfast_end_to_end::device("/dev/sdf", &shared));
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            created: Some(image.created),
            source_instance: image.source_instance,
            mappings: image.mappings,
            tags: image.tags,
            ..ImageSeed::default()
        });
        last.snapshots.push(shared.clone());
        baked.push(last);
    });
    let done = sweep(&world).await;
    assert_eq!(
        done["summary"],
        json!({ "deleted": 2, "kept": 2 }),
        "{done:#}"
    );
    assert!(!stands(&world, &shared));
    assert_eq!(deletion_state(&world, &shared), "deleted");
    assert_eq!(world.snapshots().len(), 4);
}

/// EC2 takes along what the AMI maps, also what it does not name.
#[tokio::test]
async fn a_failed_ami_with_a_device_of_unknown_making_takes_no_snapshot_along() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    world.account(|account| {
        let image = account.image(&ImageId::new(&baked[0].id)).unwrap().clone();
        let mut mappings = image.mappings;
        mappings.push(BlockDevice {
            device: "/dev/sdz".to_owned(),
            target: DeviceTarget::Ebs(EbsDevice::default()),
        });
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            state: Some(ImageState::Failed),
            created: Some(image.created),
            source_instance: image.source_instance,
            mappings,
            tags: image.tags,
            ..ImageSeed::default()
        });
    });
    let done = sweep(&world).await;
    let item = item_of(&done, &baked[0].id);
    assert_eq!(item["outcome"], "deleted", "{done:#}");
    let calls = world.calls();
    let named = calls.iter().filter(|call| *call == "DeleteSnapshot");
    assert_eq!(named.count(), baked[0].snapshots.len(), "each by itself");
    assert!(baked[0].snapshots.iter().all(|id| !stands(&world, id)));
}

#[tokio::test]
async fn only_a_failed_ami_goes_of_those_that_are_no_backups() {
    let (world, baked) = world("enforce", POLICIES, 6).await;
    set_state(&world, &baked[0], ImageState::Failed);
    set_state(&world, &baked[1], ImageState::Disabled);
    set_state(&world, &baked[2], ImageState::Pending);
    let broken = SnapshotId::new(&baked[3].snapshots[1]);
    world.account(|account| account.vanish_snapshot(&broken));
    let done = sweep(&world).await;
    assert_eq!(
        item_of(&done, &baked[0].id)["outcome"],
        "deleted",
        "{done:#}"
    );
    assert_eq!(codes(item_of(&done, &baked[0].id)), ["failed-backup"]);
    assert!(baked[0].snapshots.iter().all(|id| !stands(&world, id)));
    for (n, code) in [(1, "disabled"), (2, "pending"), (3, "snapshot-missing")] {
        let item = item_of(&done, &baked[n].id);
        assert_eq!(
            (&item["outcome"], codes(item)),
            (&json!("held"), vec![code])
        );
    }
    let missing = item_of(&done, &baked[3].id)["reasons"][0]["detail"]
        .as_str()
        .unwrap();
    assert!(missing.contains(broken.as_str()), "{missing}");
    // None of them used a place: the two oldest are the newest that count.
    for one in &baked[4..] {
        assert_eq!(codes(item_of(&done, &one.id)), ["retain.last"]);
    }
}

#[tokio::test]
async fn a_protected_ami_is_held_and_never_asked_to_go() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let protect = holdfast_sim::request::EnableImageDeregistrationProtection {
        id: baked[2].id.clone(),
        with_cooldown: true,
    };
    let protect = Request::EnableImageDeregistrationProtection(protect);
    world.account(|account| account.call(&protect)).unwrap();
    let held = sweep(&world).await;
    assert_eq!(
        codes(item_of(&held, &baked[2].id)),
        ["deregistration-protected"]
    );
    assert!(!world.calls().contains(&"DeregisterImage".to_owned()));
}

#[tokio::test]
async fn an_ami_whose_snapshot_lost_its_tags_is_a_backup_and_does_not_go() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let untag = |id: &str| {
        let names = ["managed", "artifact", "policy", "source", "slot", "run"];
        let tags = names
            .map(|name| (format!("holdfast:{name}"), None))
            .to_vec();
        let resources = vec![id.to_owned()];
        let untag = Request::DeleteTags(holdfast_sim::request::DeleteTags { resources, tags });
        world.account(|account| account.call(&untag)).unwrap();
    };
    untag(&baked[0].snapshots[1]);
    untag(&baked[2].snapshots[1]);
    let held = sweep(&world).await;
    assert_eq!(
        codes(item_of(&held, &baked[0].id)),
        ["retain.last"],
        "{held:#}"
    );
    let item = item_of(&held, &baked[2].id);
    assert_eq!(codes(item), ["not-managed"]);
    assert_eq!(
        item["reasons"][0]["path"],
        json!([baked[2].id, baked[2].snapshots[1]])
    );
    assert_eq!(registered(&world).len(), 3);
}

#[tokio::test]
async fn a_copy_with_copied_tags_is_held_and_takes_no_place_from_the_originals() {
    let (world, baked) = world("enforce", POLICIES, 2).await;
    let copy = world.account(|account| {
        let image = account.image(&ImageId::new(&baked[0].id)).unwrap().clone();
        account.seed_image(ImageSeed {
            name: Some("copy of the newest".to_owned()),
            created: Some(at("2026-03-02T09:00:00Z")),
            mappings: image.mappings,
            tags: image.tags,
            ..ImageSeed::default()
        })
    });
    let swept = sweep(&world).await;
    assert_eq!(
        swept["summary"],
        json!({ "held": 1, "kept": 2 }),
        "{swept:#}"
    );
    assert_eq!(
        codes(item_of(&swept, copy.as_str())),
        ["evidence-incomplete"]
    );
}

#[tokio::test]
async fn the_breaker_and_grace_count_amis() {
    let (world, _) = world("enforce", POLICIES, 30).await;
    let tripped = sweep(&world).await;
    assert_eq!(
        tripped["summary"],
        json!({ "deleted": 20, "held": 8, "kept": 2 }),
        "{tripped:#}"
    );
    assert_eq!(codes(items(&tripped, "held")[0]), ["circuit-breaker"]);
    let request = json!({ "override": tripped["run"]["plan_hash"], "now": LATER });
    let function = world.function("sweep-retention");
    let released = holdfast_end_to_end::report(&function, &request).await;
    assert_eq!(
        released["summary"],
        json!({ "deleted": 8, "kept": 2 }),
        "{released:#}"
    );

    let graced = POLICIES.replace("retain:", "grace: 1h\n    retain:");
    let (world, baked) = holdfast_end_to_end::images::world("enforce", &graced, 3).await;
    let first = sweep(&world).await;
    assert_eq!(codes(item_of(&first, &baked[2].id)), ["grace"]);
    let second = sweep_at(&world, LATER).await;
    assert_eq!(
        item_of(&second, &baked[2].id)["outcome"],
        "deleted",
        "{second:#}"
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_deregisters_nothing() {
    for operation in [
        "DescribeSnapshots",
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeLaunchTemplates",
    ] {
        let (world, baked) = world("enforce", POLICIES, 3).await;
        let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
        world.inject(FaultRule::next(operation, Fault::FailPage(1, denied)).times(9));
        let swept = sweep(&world).await;
        let item = item_of(&swept, &baked[2].id);
        assert_eq!(item["outcome"], "held", "{operation} {swept:#}");
        assert!(codes(item).contains(&"evidence-incomplete"));
        assert_eq!(registered(&world).len(), 3, "{operation}");
    }
}

#[tokio::test]
async fn a_list_of_images_that_cannot_be_read_deletes_nothing() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let denied = ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next("DescribeImages", Fault::FailPage(1, denied)).times(9));
    let swept = sweep(&world).await;
    let failed = item_of(&swept, "images");
    assert_eq!(
        (&failed["outcome"], codes(failed)),
        (&json!("failed"), vec!["evidence-incomplete"])
    );
    assert_eq!(items(&swept, "deleted").len(), 0, "{swept:#}");
    assert_eq!(swept["run"]["complete"], false);
    assert_eq!(registered(&world), {
        let mut all = ids(&baked);
        all.sort();
        all
    });
    assert_eq!(world.snapshots().len(), 6);
}

#[tokio::test]
async fn the_last_amis_go_when_the_reconciles_have_missed_the_instance_for_long_enough() {
    let policies = POLICIES.replace("retain:", "source_gone: { delete_after: 30d }\n    retain:");
    let gone = World::new(&policies, "enforce", |account| {
        seed_image(account, &day(40), &[]);
        seed_image(account, &day(41), &[]);
    })
    .await;
    let absent = |confirmed: Option<&str>| {
        let mut item = json!({
            "pk": { "S": "absent" }, "sk": { "S": "i-0000000000000000a" },
            "schema": { "N": "1" }, "id": { "S": "i-0000000000000000a" },
            "first": { "S": "2026-01-01T00:00:00Z" }, "fence": { "N": "0" },
        });
        if let Some(at) = confirmed {
            item["confirmed"] = json!({ "S": at });
        }
        gone.local.dynamodb.put_item(item).unwrap();
    };
    absent(None);
    let unconfirmed = sweep(&gone).await;
    assert_eq!(
        unconfirmed["summary"],
        json!({ "kept": 2 }),
        "{unconfirmed:#}"
    );
    absent(Some("2026-01-01T01:00:00Z"));
    let confirmed = sweep_at(&gone, LATER).await;
    assert_eq!(
        codes(items(&confirmed, "deleted")[0]),
        ["source-gone"],
        "{confirmed:#}"
    );
    assert!(registered(&gone).is_empty());
}
