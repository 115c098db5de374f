//! sweep-retention beside records of a newer version of Holdfast.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::backups::{self, NOW, POLICIES, sweep};
use holdfast_end_to_end::images::{deletion_state, stands, sweep_at};
use holdfast_end_to_end::{World, codes, error, item_of};
use serde_json::{Value, json};

/// Makes a record another version's; what it is now.
fn newer(world: &World, pk: &str, sk: &str) -> Value {
    world.change(pk, sk, |item| item["schema"] = json!({ "N": "2" }));
    world.item(pk, sk).unwrap()
}

fn is_named(item: &Value, pk: &str) {
    let reasons = item["reasons"].as_array().unwrap();
    let words = reasons.last().unwrap()["detail"].as_str().unwrap();
    for part in [pk, "schema version is 2", "nothing was overwritten"] {
        assert!(words.contains(part), "{part} in {words}");
    }
}

#[tokio::test]
async fn an_intent_over_a_newer_versions_deletion_is_refused_named_and_the_snapshot_stays() {
    let (world, ids) = backups::world("enforce", POLICIES, 4).await;
    let pk = format!("delete#{}", ids[3]);
    let foreign = json!({
        "pk": { "S": pk }, "sk": { "S": "deletion" }, "schema": { "N": "2" },
        "what": { "S": "only a newer version knows" },
    });
    world.local.dynamodb.put_item(foreign.clone()).unwrap();
    let swept = sweep(&world).await;
    let item = item_of(&swept, &ids[3]);
    assert_eq!(item["outcome"], "deferred", "{swept:#}");
    assert_eq!(codes(item), ["expired", "table-failed"]);
    is_named(item, &pk);
    assert!(stands(&world, &ids[3]));
    assert_eq!(world.item(&pk, "deletion"), Some(foreign));
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted");
    assert_eq!(swept["run"]["complete"], false);
}

#[tokio::test]
async fn a_newer_versions_mark_holds_its_own_snapshot_alone_and_stays_as_it_is() {
    let graced = POLICIES.replace("retain:", "grace: 1h\n    retain:");
    let (world, ids) = backups::world("enforce", &graced, 4).await;
    sweep_at(&world, NOW).await;
    let pk = format!("delete#{}", ids[3]);
    let before = newer(&world, &pk, "mark");
    let swept = sweep_at(&world, "2026-03-02T11:00:00Z").await;
    let item = item_of(&swept, &ids[3]);
    assert_eq!(item["outcome"], "held", "{swept:#}");
    assert_eq!(codes(item), ["evidence-incomplete"]);
    is_named(item, &pk);
    assert_eq!(world.item(&pk, "mark"), Some(before));
    assert_eq!(item_of(&swept, &ids[2])["outcome"], "deleted");
}

#[tokio::test]
async fn a_newer_versions_lease_is_not_taken_and_the_sweep_says_why() {
    let (world, ids) = backups::world("enforce", POLICIES, 4).await;
    let pk = "lease#sweep-retention";
    let foreign = json!({
        "pk": { "S": pk }, "sk": { "S": "lease" }, "schema": { "N": "2" },
        "holder": { "S": "-" }, "expires_ms": { "N": "0" }, "fence": { "N": "7" },
    });
    world.local.dynamodb.put_item(foreign.clone()).unwrap();
    let (kind, message) = error(&world.function("sweep-retention"), &world.heartbeat(NOW)).await;
    assert_eq!(kind, "Table");
    assert!(message.contains("schema version is 2"), "{message}");
    assert_eq!(world.item(pk, "lease"), Some(foreign));
    assert!(ids.iter().all(|id| stands(&world, id)));
}

#[tokio::test]
async fn a_newer_versions_entry_in_the_roster_stays_and_the_deletion_says_that_it_is_not_on_record()
{
    let (world, ids) = backups::world("enforce", POLICIES, 3).await;
    let digit = ids[2].chars().last().unwrap().to_digit(16).unwrap();
    let pk = format!("roster#{digit}");
    let foreign = json!({
        "pk": { "S": pk }, "sk": { "S": ids[2] }, "schema": { "N": "2" },
        "state": { "S": "resting" },
    });
    world.local.dynamodb.put_item(foreign.clone()).unwrap();
    let swept = sweep(&world).await;
    let item = item_of(&swept, &ids[2]);
    assert_eq!(item["outcome"], "deleted", "{swept:#}");
    assert_eq!(codes(item), ["expired", "table-failed"]);
    is_named(item, "lineage");
    assert_eq!(world.item(&pk, &ids[2]), Some(foreign));
    assert_eq!(deletion_state(&world, &ids[2]), "deleted");
}
