//! `holdfast adopt`: backups of another tool come under a policy, by name and after being shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::process::Output;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_end_to_end::backups::{self, NOW, VOLUME, day};
use holdfast_end_to_end::images::{self, MACHINE};
use holdfast_end_to_end::{World, at, codes, device, item_of, tags};
use holdfast_sim::{ApiError, Fault, FaultRule, ImageSeed, SnapshotSeed};
use serde_json::{Value, json};

fn adopt(world: &World, policy: &str, arguments: &[&str]) -> Output {
    let mut all = vec!["adopt", "--policy", policy, "--now", NOW];
    all.extend(arguments);
    world.holdfast(&all)
}

/// The report of `--json`, and the exit status.
fn adopted(world: &World, policy: &str, arguments: &[&str]) -> (Value, i32) {
    let mut all = arguments.to_vec();
    all.push("--json");
    let output = adopt(world, policy, &all);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

/// A snapshot of the volume that another tool made.
fn foreign(world: &World, time: &str, pairs: &[(&str, &str)]) -> String {
    let seed = SnapshotSeed {
        volume: Some(VolumeId::new(VOLUME)),
        started: Some(at(time)),
        tags: tags(pairs),
        ..SnapshotSeed::default()
    };
    world.account(|account| account.seed_snapshot(seed).to_string())
}

/// An AMI of the machine over two snapshots, as another tool made it.
fn foreign_image(world: &World, time: &str) -> (String, Vec<String>) {
    let snapshots = [foreign(world, time, &[]), foreign(world, time, &[])];
    let seed = ImageSeed {
        name: Some("golden by hand".into()),
        created: Some(at(time)),
        source_instance: Some(InstanceId::new(MACHINE)),
        mappings: vec![
            device("/dev/xvda", &snapshots[0]),
            device("/dev/sdb", &snapshots[1]),
        ],
        tags: tags(&[("Name", "golden")]),
        ..ImageSeed::default()
    };
    let id = world.account(|account| account.seed_image(seed).to_string());
    (id, snapshots.to_vec())
}

fn tags_of(world: &World, id: &str) -> BTreeMap<String, String> {
    world.account(|account| match SnapshotId::parse(id) {
        Some(id) => account.snapshot(&id).unwrap().tags.clone(),
        None => account.image(&ImageId::new(id)).unwrap().tags.clone(),
    })
}

/// The item with this action about a resource.
fn of<'r>(report: &'r Value, action: &str, id: &str) -> &'r Value {
    let mut items = report["items"].as_array().unwrap().iter();
    items
        .find(|item| item["action"] == action && item["resource"] == id)
        .unwrap_or_else(|| panic!("no {action} of {id} in {report:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_yes_it_shows_tags_and_verdicts_old_and_new_and_changes_nothing() {
    // Two of Holdfast's, both kept by `last: 2`; one of another tool's is newer, one older.
    let (world, ids) = backups::world("enforce", backups::POLICIES, 2).await;
    let newer = foreign(&world, "2026-03-02T05:00:00Z", &[("Name", "db")]);
    let older = foreign(&world, &day(9), &[]);
    let before = world.local.dynamodb.items().unwrap();
    let (report, status) = adopted(&world, "nightly", &[&newer, &older]);
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(report["run"]["complete"], true);
    for id in [&newer, &older] {
        let item = of(&report, "record", id);
        assert_eq!(
            (&item["outcome"], codes(item)),
            (&json!("planned"), vec!["adopted"])
        );
        assert_eq!(
            (&item["policy"], &item["source"]),
            (&json!("nightly"), &json!(VOLUME))
        );
    }
    let writes = &of(&report, "record", &newer)["writes"];
    let run = report["run"]["id"].as_str().unwrap();
    assert!(run.starts_with("adopt-"), "{run}");
    assert_eq!(
        *writes,
        json!([{ "resources": [newer], "tags": {
            "holdfast:managed": "true", "holdfast:artifact": "snapshot",
            "holdfast:policy": "nightly", "holdfast:source": VOLUME,
            "holdfast:slot": "2026-03-02T05:00:00Z", "holdfast:run": run } }])
    );
    // Newest first: `newer`, then 0 and 1 days old, then `older`.
    assert_eq!(of(&report, "delete", &newer)["outcome"], "kept");
    let older_then = of(&report, "delete", &older);
    assert_eq!(older_then["outcome"], "planned");
    assert_eq!(codes(older_then), ["expired", "not-yet-checked"]);
    let changed = of(&report, "delete", &ids[1]);
    assert_eq!(
        (&changed["before"], &changed["outcome"]),
        (&json!("kept"), &json!("planned"))
    );
    let items = report["items"].as_array().unwrap();
    assert!(
        !items.iter().any(|item| item["resource"] == ids[0].as_str()),
        "kept before and after: {report:#}"
    );

    let output = adopt(&world, "nightly", &[&newer, &older]);
    let (text, words) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(
        text.contains("holdfast:slot=2026-03-02T05:00:00Z"),
        "{text}"
    );
    assert!(
        words.contains("nothing was changed; --yes writes these tags"),
        "{words}"
    );
    assert_eq!(tags_of(&world, &newer), tags(&[("Name", "db")]));
    assert_eq!(tags_of(&world, &older), tags(&[]));
    assert!(!world.calls().contains(&"CreateTags".to_owned()));
    assert_eq!(world.local.dynamodb.items().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_snapshot_is_recorded_by_the_next_reconcile_and_swept_like_any_other() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 2).await;
    let older = foreign(&world, &day(9), &[("Name", "db")]);
    let (report, status) = adopted(&world, "nightly", &["--yes", &older]);
    assert_eq!(
        (of(&report, "record", &older)["outcome"].as_str(), status),
        (Some("recorded"), 0)
    );
    let written = tags_of(&world, &older);
    assert_eq!(
        (
            written["Name"].as_str(),
            written["holdfast:source"].as_str()
        ),
        ("db", VOLUME)
    );
    assert!(world.item(&format!("node#{older}"), "node").is_none());

    let reconciled = world.reconcile(NOW).await;
    assert_eq!(
        item_of(&reconciled, &older)["outcome"],
        "recorded",
        "{reconciled:#}"
    );
    let node = world.item(&format!("node#{older}"), "node").unwrap();
    assert_eq!(node["policy"]["S"], "nightly");

    // A second command has nothing to do, and that is not wrong.
    let (again, status) = adopted(&world, "nightly", &["--yes", &older]);
    let item = of(&again, "record", &older);
    assert_eq!(
        (&item["outcome"], status),
        (&json!("skipped"), 0),
        "{again:#}"
    );
    assert_eq!(tags_of(&world, &older), written);

    let swept = backups::sweep(&world).await;
    assert_eq!(item_of(&swept, &older)["outcome"], "deleted", "{swept:#}");
    assert_eq!(item_of(&swept, &ids[0])["outcome"], "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ami_comes_with_its_snapshots_and_counts_as_a_backup_whatever_its_name() {
    let (world, baked) = images::world("enforce", images::POLICIES, 2).await;
    let (ami, snapshots) = foreign_image(&world, "2026-03-02T05:00:00Z");
    let (report, status) = adopted(&world, "bake", &["--yes", &ami]);
    assert_eq!(status, 0, "{report:#}");
    let image = tags_of(&world, &ami);
    assert_eq!(image["Name"], "golden");
    for (tag, value) in [
        ("holdfast:artifact", "image"),
        ("holdfast:source", MACHINE),
        ("holdfast:slot", "2026-03-02T05:00:00Z"),
        ("holdfast:adopted", &ami),
    ] {
        assert_eq!(image[tag], value, "{tag}");
    }
    for id in &snapshots {
        let backing = tags_of(&world, id);
        assert_eq!(backing["holdfast:artifact"], "image-snapshot");
        assert_eq!(backing["holdfast:run"], image["holdfast:run"]);
        assert!(!backing.contains_key("holdfast:adopted"));
    }
    let reconciled = world.reconcile(NOW).await;
    assert_eq!(
        item_of(&reconciled, &ami)["outcome"],
        "recorded",
        "{reconciled:#}"
    );
    assert!(
        world
            .item(&format!("node#{}", snapshots[0]), "node")
            .is_some()
    );
    // `last: 2` keeps it and the newer of the two before it.
    let swept = images::sweep(&world).await;
    assert_eq!(item_of(&swept, &ami)["outcome"], "kept", "{swept:#}");
    assert_eq!(item_of(&swept, &baked[0].id)["outcome"], "kept");
    assert_eq!(item_of(&swept, &baked[1].id)["outcome"], "deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_cut_off_between_snapshots_and_ami_leaves_no_backup_and_is_finished_later() {
    let (world, _) = images::world("enforce", images::POLICIES, 2).await;
    let (ami, snapshots) = foreign_image(&world, &day(9));
    let refused = Fault::Error(ApiError::new(
        "UnauthorizedOperation",
        "You are not authorized",
    ));
    world.inject(FaultRule::next("CreateTags", refused).on(&ami));
    let (report, status) = adopted(&world, "bake", &["--yes", &ami]);
    let item = of(&report, "record", &ami);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("failed"), vec!["access-denied"])
    );
    assert_eq!(status, 3);
    assert_eq!(
        tags_of(&world, &snapshots[1])["holdfast:artifact"],
        "image-snapshot"
    );
    assert_eq!(tags_of(&world, &ami), tags(&[("Name", "golden")]));
    // Nothing of the half is judged, so nothing of it goes.
    let swept = images::sweep(&world).await;
    let items = swept["items"].as_array().unwrap();
    assert!(
        !items.iter().any(|i| i["resource"] == ami.as_str()),
        "{swept:#}"
    );
    assert!(snapshots.iter().all(|id| images::stands(&world, id)));

    let (report, status) = adopted(&world, "bake", &["--yes", &ami]);
    assert_eq!(
        (of(&report, "record", &ami)["outcome"].as_str(), status),
        (Some("recorded"), 0)
    );
    let image = tags_of(&world, &ami);
    assert_eq!(image["holdfast:run"], report["run"]["id"].as_str().unwrap());
    assert_eq!(
        tags_of(&world, &snapshots[0])["holdfast:run"],
        image["holdfast:run"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_adopted_is_refused_with_its_reason_and_the_rest_is_adopted() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 1).await;
    let dlm = foreign(
        &world,
        &day(8),
        &[("aws:dlm:lifecycle-policy-id", "policy-1")],
    );
    let builder = foreign(&world, &day(7), &[("CreatedBy", "EC2 Image Builder")]);
    let mapped = foreign(&world, &day(6), &[]);
    let image = world.register_image("golden", &[&mapped]);
    let good = foreign(&world, &day(5), &[]);
    let missing = "snap-0000000000000dead";
    let all = [
        "--yes", &dlm, &builder, &mapped, &image, missing, &ids[0], &good,
    ];
    let (report, status) = adopted(&world, "nightly", &all);
    assert_eq!(status, 3);
    for (id, code) in [
        (dlm.as_str(), "managed-by-other"),
        (&builder, "managed-by-other"),
        (&mapped, "used-by-image"),
        (&image, "not-picked"),
        (missing, "not-found"),
    ] {
        let item = of(&report, "record", id);
        assert_eq!(
            (&item["outcome"], codes(item)),
            (&json!("failed"), vec![code]),
            "{id}"
        );
        assert!(item["writes"].is_null());
    }
    assert_eq!(of(&report, "record", &ids[0])["outcome"], "skipped");
    assert_eq!(of(&report, "record", &good)["outcome"], "recorded");
    for id in [&dlm, &builder, &mapped] {
        assert!(
            !tags_of(&world, id).contains_key("holdfast:managed"),
            "{id}"
        );
    }
    assert!(tags_of(&world, &good).contains_key("holdfast:managed"));
    assert!(tags_of(&world, &image).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_adopted_ami_that_carried_its_tags_over_stays_held() {
    let (world, _) = images::world("enforce", images::POLICIES, 2).await;
    let (ami, snapshots) = foreign_image(&world, &day(9));
    assert_eq!(adopted(&world, "bake", &["--yes", &ami]).1, 0);
    let seed = ImageSeed {
        name: Some("copy of golden".into()),
        created: Some(at(&day(8))),
        mappings: vec![device("/dev/xvda", &snapshots[0])],
        tags: tags_of(&world, &ami),
        ..ImageSeed::default()
    };
    let copy = world.account(|account| account.seed_image(seed).to_string());
    let swept = images::sweep(&world).await;
    let item = item_of(&swept, &copy);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("held"), vec!["evidence-incomplete"])
    );
    assert!(images::registered(&world).contains(&copy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_not_in_the_file_and_an_identifier_of_something_else_are_wrong_usage() {
    let (world, ids) = backups::world("enforce", backups::POLICIES, 1).await;
    for (policy, id, words) in [
        ("nigthly", ids[0].as_str(), "nightly"),
        ("nightly", VOLUME, VOLUME),
    ] {
        let output = adopt(&world, policy, &[id]);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words), "{told}");
    }
}
