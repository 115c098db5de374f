//! The reconcile alone brings the records to what EC2 shows, and reports what has drifted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::SnapshotId;
use holdfast_end_to_end::backups::VOLUME;
use holdfast_end_to_end::lineage::{
    create_image, deregister, edges, fail_page, items_under, of_lineage, record_created, recorded,
};
use holdfast_end_to_end::{
    SeededInstance, World, at, codes, item_of, items, report, resources, seed_backup, seed_instance,
};
use holdfast_sim::InstanceSeed;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
  - name: golden
    protect: instances
    select: { instances: { tags: { Backup: golden } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { daily: 7 }
"#;
const SLOT: &str = "2026-03-03T03:00:00Z";

/// One instance with `data` data volumes under the policy.
async fn world(policy: &'static str, data: usize) -> (World, SeededInstance) {
    let (send, receive) = std::sync::mpsc::channel();
    let world = World::new(POLICIES, "plan", move |account| {
        send.send(seed_instance(account, data, &[("Backup", policy)]))
            .unwrap();
    })
    .await;
    let instance = receive.recv().unwrap();
    (world, instance)
}

async fn reconcile(world: &World, time: &str) -> Value {
    of_lineage(world.reconcile(time).await)
}

fn slot(world: &World, policy: &str, source: &str) -> Value {
    world
        .item(&format!("slot#{policy}#{source}"), SLOT)
        .unwrap()
}

fn findings(report: &Value) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<_> = items(report, "finding")
        .into_iter()
        .map(|item| {
            let codes = codes(item).into_iter().map(str::to_owned).collect();
            (item["resource"].as_str().unwrap().to_owned(), codes)
        })
        .collect();
    found.sort();
    found
}

/// An AMI at [`SLOT`], as it stands after create-images and before EC2 has made it.
fn begun_image(world: &World, instance: &SeededInstance) -> String {
    world.advance(SLOT);
    let image = create_image(world, "golden", &instance.id, SLOT);
    record_created(world, "golden", &instance.id, SLOT, &[&image]);
    image
}

fn snapshots_of(world: &World, image: &str) -> Vec<String> {
    world.account(|account| {
        let image = account.images().find(|i| i.id.as_str() == image).unwrap();
        let snapshots = image
            .mappings
            .iter()
            .filter_map(|device| match &device.target {
                holdfast_sim::DeviceTarget::Ebs(ebs) => ebs.snapshot.as_ref(),
                _ => None,
            });
        snapshots.map(ToString::to_string).collect()
    })
}

#[tokio::test]
async fn with_every_event_dropped_one_reconcile_completes_lineage_and_ledger() {
    let (world, instance) = world("nightly", 2).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    let pending = reconcile(&world, "2026-03-03T03:00:30Z").await;
    assert_eq!(pending["items"], json!([]), "{pending:#}");
    assert_eq!(
        slot(&world, "nightly", &instance.id)["state"]["S"],
        "created"
    );

    let done = reconcile(&world, "2026-03-03T03:10:00Z").await;
    assert_eq!(done["summary"], json!({ "recorded": 3 }), "{done:#}");
    assert_eq!(done["run"]["complete"], true);
    for snapshot in world.snapshots() {
        assert_eq!(recorded(&world, snapshot.id.as_str()).unwrap(), "completed");
    }
    let record = slot(&world, "nightly", &instance.id);
    assert_eq!(record["state"]["S"], "completed");
    assert_eq!(record["artifacts"]["L"].as_array().unwrap().len(), 3);

    let again = reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert_eq!(again["items"], json!([]), "{again:#}");
    assert_eq!(again["run"]["complete"], true);
}

#[tokio::test]
async fn a_set_with_one_member_still_pending_is_not_complete() {
    let (world, instance) = world("nightly", 2).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    // Members complete one second after the other.
    let part = reconcile(&world, "2026-03-03T03:01:01Z").await;
    assert_eq!(part["summary"], json!({ "recorded": 2 }), "{part:#}");
    assert_eq!(
        slot(&world, "nightly", &instance.id)["state"]["S"],
        "created"
    );
    let rest = reconcile(&world, "2026-03-03T03:02:00Z").await;
    assert_eq!(rest["summary"], json!({ "recorded": 1 }), "{rest:#}");
    assert_eq!(
        slot(&world, "nightly", &instance.id)["state"]["S"],
        "completed"
    );
}

#[tokio::test]
async fn a_backup_that_ec2_fails_reopens_its_slot_until_the_third_time() {
    let (world, instance) = world("nightly", 1).await;
    let create = world.function("create-snapshots");
    let key = format!("slot#nightly#{}", instance.id);
    for (attempt, begun, seen) in [
        (1, SLOT, "2026-03-03T03:03:00Z"),
        (2, "2026-03-03T03:05:00Z", "2026-03-03T03:08:00Z"),
        (3, "2026-03-03T03:10:00Z", "2026-03-03T03:13:00Z"),
    ] {
        world.account(|account| account.fail_next_snapshot(None, "Given key ID is not accessible"));
        let beat = report(&create, &world.heartbeat(begun)).await;
        let made = resources(&items(&beat, "created"));
        assert_eq!(made.len(), 2, "attempt {attempt}: {beat:#}");
        let report = reconcile(&world, seen).await;
        for id in &made {
            let item = item_of(&report, id);
            assert_eq!(item["action"], "check");
            assert_eq!(item["outcome"], "finding");
            assert_eq!(codes(item), ["failed-backup"]);
            let words = item["reasons"][0]["detail"].as_str().unwrap();
            assert!(words.contains("Given key ID is not accessible"), "{words}");
            assert_eq!(recorded(&world, id).unwrap(), "error");
        }
        let record = slot(&world, "nightly", &instance.id);
        assert_eq!(record["state"]["S"], "failed");
        assert_eq!(record["failures"]["N"], attempt.to_string());
        assert_eq!(record["artifacts"]["L"], json!([]));
        assert_eq!(record["lost"]["L"].as_array().unwrap().len(), 2 * attempt);
        let open = items_under(&world, "open#create-snapshots");
        let exhausted = findings(&report)
            .into_iter()
            .filter(|(_, codes)| codes == &["attempts-exhausted"]);
        let exhausted: Vec<String> = exhausted.map(|(id, _)| id).collect();
        if attempt < 3 {
            assert_eq!(open.len(), 1, "attempt {attempt}");
            assert_eq!(open[0]["source"]["S"], instance.id.as_str());
            assert_eq!(open[0]["slot"]["S"], SLOT);
            assert_eq!(open[0]["failures"]["N"], attempt.to_string());
            assert_eq!(exhausted, [""; 0]);
            // The waits go by the wall clock.
            let long_ago = Timestamp::now() - SignedDuration::from_hours(2);
            world.change(&key, SLOT, |item| {
                item["failed_at"] = json!({ "S": long_ago.to_string() });
            });
        } else {
            assert_eq!(exhausted, std::slice::from_ref(&instance.id));
            assert_eq!(record["permanent"]["BOOL"], true);
        }
    }
    // There is no fourth start, however long ago the third failure was.
    let long_ago = Timestamp::now() - SignedDuration::from_hours(2);
    world.change(&key, SLOT, |item| {
        item["failed_at"] = json!({ "S": long_ago.to_string() });
    });
    let before = world.snapshots().len();
    let fourth = report(&create, &world.heartbeat("2026-03-03T03:30:00Z")).await;
    assert_eq!(items(&fourth, "created").len(), 0, "{fourth:#}");
    assert_eq!(world.snapshots().len(), before);
    // It is said as long as it is so.
    let later = reconcile(&world, "2026-03-03T05:00:00Z").await;
    assert_eq!(
        findings(&later),
        [(instance.id.clone(), vec!["attempts-exhausted".to_owned()])]
    );
    assert_eq!(later["run"]["complete"], true);
}

#[tokio::test]
async fn a_run_cut_off_between_the_failure_and_the_reopening_is_made_up_for() {
    let (world, _) = world("nightly", 0).await;
    let create = world.function("create-snapshots");
    world.account(|account| account.fail_next_snapshot(None, "no"));
    report(&create, &world.heartbeat(SLOT)).await;
    reconcile(&world, "2026-03-03T03:03:00Z").await;
    let open = items_under(&world, "open#create-snapshots");
    let (pk, sk) = (&open[0]["pk"]["S"], &open[0]["sk"]["S"]);
    let (pk, sk) = (pk.as_str().unwrap(), sk.as_str().unwrap());
    world.local.dynamodb.delete_item(pk, sk).unwrap();
    let id = world.snapshots()[0].id.to_string();
    let state = |item: &mut Value| item["state"] = json!({ "S": "pending" });
    world.change(&format!("node#{id}"), "node", state);
    let roster = items_under(&world, "roster#");
    world.change(roster[0]["pk"]["S"].as_str().unwrap(), &id, state);

    reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert!(world.item(pk, sk).is_some());
    assert_eq!(recorded(&world, &id).unwrap(), "error");
}

#[tokio::test]
async fn an_available_ami_has_all_its_snapshots_and_its_slot_on_record() {
    for data in [2, 127] {
        let (world, instance) = world("golden", data).await;
        let image = begun_image(&world, &instance);
        let done = reconcile(&world, "2026-03-03T03:10:00Z").await;
        assert_eq!(done["run"]["complete"], true, "{done:#}");
        // Backing snapshots take their AMI's place in the report.
        assert_eq!(resources(&items(&done, "recorded")), [image.as_str()]);
        assert_eq!(codes(item_of(&done, &image)), ["unrecorded"]);
        assert_eq!(recorded(&world, &image).unwrap(), "available");
        assert_eq!(
            slot(&world, "golden", &instance.id)["state"]["S"],
            "completed"
        );
        let backing = edges(&world, &image, "backed-by");
        assert_eq!(backing.len(), data + 1);
        for snapshot in &backing {
            assert_eq!(recorded(&world, snapshot).unwrap(), "completed");
            assert_eq!(edges(&world, snapshot, "snapshot-of").len(), 1);
        }
        let source = [instance.id.clone()];
        assert!(edges(&world, &image, "image-of").iter().eq(&source));
        let again = reconcile(&world, "2026-03-03T04:00:00Z").await;
        assert_eq!(again["items"], json!([]), "{again:#}");
    }
}

#[tokio::test]
async fn instances_launched_from_an_ami_are_in_its_lineage() {
    let (world, instance) = world("golden", 0).await;
    let image = begun_image(&world, &instance);
    reconcile(&world, "2026-03-03T03:10:00Z").await;
    let user = world.account(|account| {
        account
            .seed_instance(InstanceSeed {
                image: Some(holdfast_core::id::ImageId::new(&image)),
                ..InstanceSeed::default()
            })
            .to_string()
    });
    reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert!(edges(&world, &user, "launched-from").contains(&image));
    assert_eq!(recorded(&world, &user).unwrap(), "present");
}

#[tokio::test]
async fn an_ami_that_ec2_fails_is_a_finding_and_reopens_its_slot() {
    let (world, instance) = world("golden", 1).await;
    world.account(|account| account.fail_next_image("disk on fire"));
    let image = begun_image(&world, &instance);
    let seen = reconcile(&world, "2026-03-03T03:10:00Z").await;
    let item = item_of(&seen, &image);
    assert_eq!(item["outcome"], "finding");
    assert!(codes(item).contains(&"failed-backup"), "{seen:#}");
    assert!(
        item["reasons"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("disk on fire")
    );
    assert_eq!(recorded(&world, &image).unwrap(), "error");
    let record = slot(&world, "golden", &instance.id);
    assert_eq!(record["state"]["S"], "failed");
    assert_eq!(record["failures"]["N"], "1");
    let open = items_under(&world, "open#create-images");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["source"]["S"], instance.id.as_str());
    assert_eq!(open[0]["failures"]["N"], "1");
}

#[tokio::test]
async fn an_ami_pending_for_more_than_a_day_is_a_finding() {
    let (world, instance) = world("golden", 0).await;
    world.account(|account| {
        account.settings_mut().image_duration = SignedDuration::from_hours(100);
    });
    let image = begun_image(&world, &instance);
    let day = reconcile(&world, "2026-03-04T03:00:00Z").await;
    assert_eq!(findings(&day), [], "{day:#}");
    let more = reconcile(&world, "2026-03-04T03:00:01Z").await;
    assert_eq!(findings(&more), [(image, vec!["pending".to_owned()])]);
}

#[tokio::test]
async fn an_ami_deregistered_by_somebody_leaves_orphans_and_is_gone_at_the_second_look() {
    let (world, instance) = world("golden", 1).await;
    let image = begun_image(&world, &instance);
    reconcile(&world, "2026-03-03T03:10:00Z").await;
    let mut backing: Vec<_> = snapshots_of(&world, &image);
    backing.sort();
    deregister(&world, &image);
    let orphaned: Vec<_> = backing
        .iter()
        .map(|id| (id.clone(), vec!["orphaned".to_owned()]))
        .collect();

    let first = reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert_eq!(findings(&first), orphaned, "{first:#}");
    assert_eq!(item_of(&first, &image)["outcome"], "deferred");
    assert_eq!(recorded(&world, &image).unwrap(), "available");
    // Delivered twice, and once more a minute and 59 seconds later.
    for time in ["2026-03-03T04:00:00Z", "2026-03-03T04:01:59Z"] {
        let early = reconcile(&world, time).await;
        assert_eq!(findings(&early), orphaned, "{early:#}");
        assert_eq!(recorded(&world, &image).unwrap(), "available");
    }
    let second = reconcile(&world, "2026-03-03T04:02:00Z").await;
    assert_eq!(codes(item_of(&second, &image)), ["gone"]);
    assert_eq!(item_of(&second, &image)["outcome"], "finding");
    assert_eq!(recorded(&world, &image).unwrap(), "gone");
    // What it was made of is still told.
    assert_eq!(edges(&world, &image, "backed-by").len(), 2);
    let third = reconcile(&world, "2026-03-03T05:00:00Z").await;
    assert_eq!(findings(&third), orphaned, "{third:#}");
    assert_eq!(items_under(&world, "absent"), [""; 0].map(Value::from));
}

#[tokio::test]
async fn a_late_reconcile_learns_nothing_about_absence() {
    let (world, instance) = world("golden", 0).await;
    let image = begun_image(&world, &instance);
    reconcile(&world, "2026-03-03T03:10:00Z").await;
    reconcile(&world, "2026-03-03T06:00:00Z").await;
    deregister(&world, &image);
    let late = reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert_eq!(codes(item_of(&late, "check-dependencies")), ["late"]);
    assert_eq!(items_under(&world, "absent"), [""; 0].map(Value::from));
    assert_eq!(recorded(&world, &image).unwrap(), "available");
}

#[tokio::test]
async fn a_snapshot_that_vanished_behind_its_ami_is_a_finding_with_the_path() {
    let (world, instance) = world("golden", 1).await;
    let image = begun_image(&world, &instance);
    reconcile(&world, "2026-03-03T03:10:00Z").await;
    let lost = snapshots_of(&world, &image)[1].clone();
    world.account(|account| account.vanish_snapshot(&SnapshotId::new(&lost)));
    let seen = reconcile(&world, "2026-03-03T04:00:00Z").await;
    let item = item_of(&seen, &image);
    assert_eq!(item["outcome"], "finding");
    assert_eq!(codes(item), ["snapshot-missing"]);
    assert_eq!(item["reasons"][0]["path"], json!([image, lost]));
    let later = reconcile(&world, "2026-03-03T05:00:00Z").await;
    assert_eq!(codes(item_of(&later, &image)), ["snapshot-missing"]);
    assert_eq!(recorded(&world, &lost).unwrap(), "gone");
}

#[tokio::test]
async fn an_artifact_with_our_tags_and_no_record_is_recorded_and_a_foreign_one_is_not() {
    let volume = VOLUME;
    let world = World::new(POLICIES, "plan", move |account| {
        seed_backup(account, "nightly", volume, "2026-03-01T03:00:00Z", &[]);
        let foreign = [("aws:dlm:lifecycle-policy-id", "policy-1")];
        seed_backup(account, "nightly", volume, "2026-03-01T04:00:00Z", &foreign);
    })
    .await;
    let mut ids = world.snapshots();
    ids.sort_by_key(|snapshot| snapshot.started);
    let seen = reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert_eq!(seen["summary"], json!({ "recorded": 1 }), "{seen:#}");
    let item = item_of(&seen, ids[0].id.as_str());
    assert_eq!(item["action"], "record");
    assert_eq!(codes(item), ["unrecorded"]);
    assert_eq!(item["policy"], "nightly");
    assert_eq!(item["source"], volume);
    assert_eq!(item["time"], "2026-03-01T03:00:00Z");
    assert_eq!(recorded(&world, ids[0].id.as_str()).unwrap(), "completed");
    assert!(edges(&world, ids[0].id.as_str(), "snapshot-of").contains(volume));
    assert_eq!(recorded(&world, ids[1].id.as_str()), None);
}

#[tokio::test]
async fn a_list_that_fails_on_its_second_page_makes_nothing_absent() {
    let before = at("2026-03-01T00:00:00Z");
    let world = World::new(POLICIES, "plan", move |account| {
        holdfast_end_to_end::backups::volume(account, &[]);
        for n in 0..1_100 {
            let time = (before - SignedDuration::from_mins(n)).to_string();
            seed_backup(account, "nightly", VOLUME, &time, &[]);
        }
    })
    .await;
    let seen = reconcile(&world, "2026-03-03T04:00:00Z").await;
    assert_eq!(seen["summary"], json!({ "recorded": 1_100 }));
    // The second look at the same gap would call everything behind it gone.
    for (hour, list, operation, page) in [
        (5, "snapshots", "DescribeSnapshots", 2),
        (6, "snapshots", "DescribeSnapshots", 2),
        (7, "volumes", "DescribeVolumes", 1),
        (8, "volumes", "DescribeVolumes", 1),
    ] {
        fail_page(&world, operation, page);
        let seen = reconcile(&world, &format!("2026-03-03T0{hour}:00:00Z")).await;
        let failed = item_of(&seen, list);
        assert_eq!(failed["outcome"], "failed");
        assert_eq!(codes(failed), ["evidence-incomplete"]);
        assert_eq!(seen["summary"], json!({ "failed": 1 }), "{seen:#}");
        assert_eq!(seen["run"]["complete"], false);
        assert_eq!(items_under(&world, "absent").len(), 0);
    }
}

#[tokio::test]
async fn a_gone_source_stays_noted_with_the_time_of_the_second_reconcile_until_it_is_back() {
    let volume = VOLUME;
    let world = World::new(POLICIES, "plan", move |account| {
        seed_backup(account, "nightly", volume, "2026-03-01T03:00:00Z", &[]);
    })
    .await;
    for (time, confirmed) in [
        ("2026-03-03T04:00:00Z", Value::Null),
        ("2026-03-03T05:00:00Z", json!("2026-03-03T05:00:00Z")),
        ("2026-03-03T06:00:00Z", json!("2026-03-03T05:00:00Z")),
    ] {
        let seen = reconcile(&world, time).await;
        assert_eq!(findings(&seen), [], "gone sources keep their backups");
        let absent = world.item("absent", volume).unwrap();
        assert_eq!(absent["first"]["S"], "2026-03-03T04:00:00Z");
        assert_eq!(absent["confirmed"]["S"], confirmed, "{time}");
    }
    assert_eq!(recorded(&world, volume).unwrap(), "gone");
    world.account(|account| holdfast_end_to_end::backups::volume(account, &[]));
    reconcile(&world, "2026-03-03T07:00:00Z").await;
    assert_eq!(world.item("absent", volume), None);
}

#[tokio::test]
async fn a_record_of_another_schema_is_named_and_kept_and_the_others_go_on() {
    let (world, _) = world("nightly", 2).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    let mut ids = world.snapshots();
    ids.sort_by_key(|snapshot| snapshot.id.clone());
    let newer = format!("node#{}", ids[1].id);
    world.change(&newer, "node", |item| item["schema"] = json!({ "N": "2" }));
    let before = world.item(&newer, "node");
    let seen = reconcile(&world, "2026-03-03T03:10:00Z").await;
    assert_eq!(
        seen["summary"],
        json!({ "failed": 1, "recorded": 2 }),
        "{seen:#}"
    );
    let failed = item_of(&seen, ids[1].id.as_str());
    assert_eq!(codes(failed), ["table-failed"]);
    let words = failed["reasons"][0]["detail"].as_str().unwrap();
    assert!(
        words.contains(&newer) && words.contains("schema version is 2"),
        "{words}"
    );
    assert_eq!(seen["run"]["complete"], false);
    assert_eq!(world.item(&newer, "node"), before);
    assert_eq!(recorded(&world, ids[0].id.as_str()).unwrap(), "completed");
    assert_eq!(recorded(&world, ids[2].id.as_str()).unwrap(), "completed");
}

#[tokio::test]
async fn a_request_reconciles_for_the_present() {
    let (world, _) = world("nightly", 0).await;
    let create = world.function("create-snapshots");
    report(&create, &world.heartbeat(SLOT)).await;
    world.advance("2026-03-03T04:00:00Z");
    let check = world.function("check-dependencies");
    let seen = of_lineage(report(&check, &json!({ "reconcile": true })).await);
    assert_eq!(seen["summary"], json!({ "recorded": 1 }), "{seen:#}");
    assert_eq!(seen["run"]["function"], "check-dependencies");
}
