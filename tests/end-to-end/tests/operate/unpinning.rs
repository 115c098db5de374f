//! `unpin`.

use holdfast_end_to_end::backups::{POLICIES, VOLUME, sweep, world};
use holdfast_end_to_end::{World, codes, item_of, items, report, resources};
use holdfast_sim::request::{CreateTags, DeleteVolume, Request};
use serde_json::json;

use super::holdfast;

fn pin(world: &World, id: &str) {
    let request = Request::CreateTags(CreateTags {
        resources: vec![id.to_owned()],
        tags: vec![("holdfast:pin".to_owned(), "legal".to_owned())],
    });
    world.account(|account| account.call(&request)).unwrap();
}

async fn later(world: &World) -> serde_json::Value {
    let beat = world.heartbeat("2026-03-02T11:00:00Z");
    report(&world.function("sweep-retention"), &beat).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_of_a_source_that_is_gone_is_taken_off_the_record_only_when_it_is_told_to() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    pin(&world, VOLUME);
    sweep(&world).await;
    let volume = VOLUME.to_owned();
    let gone = Request::DeleteVolume(DeleteVolume { volume });
    world.account(|account| account.call(&gone)).unwrap();

    let shown = holdfast(&world, &["unpin", VOLUME]);
    assert_eq!(shown.status, 0);
    assert!(shown.err.contains("--yes"), "{}", shown.err);
    assert!(
        shown.out.contains("it is the source of 3 backups"),
        "{}",
        shown.out
    );
    let held = later(&world).await;
    assert_eq!(codes(item_of(&held, &ids[2])), ["pinned"], "{held:#}");

    let done = holdfast(&world, &["unpin", VOLUME, "--yes", "--json"]);
    assert_eq!(done.json()["summary"], json!({ "recorded": 1 }));
    let beat = world.heartbeat("2026-03-02T12:00:00Z");
    let swept = report(&world.function("sweep-retention"), &beat).await;
    assert_eq!(
        resources(&items(&swept, "deleted")),
        [ids[2].clone()],
        "{swept:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_go_from_a_backup_and_from_a_living_source_and_what_is_not_pinned_stays_as_it_is() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    pin(&world, VOLUME);
    pin(&world, &ids[2]);
    sweep(&world).await;
    let _ = world.calls();
    let ran = holdfast(
        &world,
        &[
            "unpin",
            VOLUME,
            &ids[2],
            &ids[0],
            "snap-0fff",
            "--yes",
            "--json",
        ],
    );
    let done = ran.json();
    assert_eq!(
        (ran.status, &done["summary"]),
        (3, &json!({ "failed": 1, "recorded": 2, "skipped": 1 })),
        "{done:#}"
    );
    assert_eq!(codes(item_of(&done, "snap-0fff")), ["not-found"]);
    let changes: Vec<String> = world
        .calls()
        .into_iter()
        .filter(|call| !call.starts_with("Describe"))
        .collect();
    assert_eq!(changes, ["DeleteTags", "DeleteTags"]);
    let swept = later(&world).await;
    assert_eq!(
        resources(&items(&swept, "deleted")),
        [ids[2].clone()],
        "{swept:#}"
    );
}
