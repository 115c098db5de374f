//! The list of sources that are left to the heartbeats, in the table itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use holdfast::aws::dynamodb::Table;
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::policy::Trigger;
use holdfast_core::ports::records::{OpenSource, Records};
use holdfast_end_to_end::World;
use holdfast_end_to_end::lineage::items_under;

const POLICIES: &str = "
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
";

async fn table(world: &World) -> Table {
    let environment = world.local.environment();
    let of = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .clone()
    };
    let (id, secret) = (of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY"));
    let credentials = Credentials::new(id, secret, None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(of("AWS_REGION")))
        .endpoint_url(of("AWS_ENDPOINT_URL_DYNAMODB"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await;
    Table::new(&config, of("HOLDFAST_TABLE"))
}

fn opening(failures: u32) -> OpenSource {
    OpenSource {
        policy: "nightly".into(),
        slot: "2026-03-03T03:00:00Z".parse().unwrap(),
        source: "vol-1".into(),
        request: None,
        trigger: None,
        failures,
    }
}

#[tokio::test]
async fn an_opening_outlasts_the_longest_time_to_a_policys_next_slot() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    table(&world).await.open("f", &opening(0)).await.unwrap();
    let items = items_under(&world, "open#f");
    let expires: i64 = items[0]["expires_at"]["N"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let year = 366 * 86_400;
    assert!(expires - opening(0).slot.as_second() > year);
}

#[tokio::test]
async fn the_record_of_a_bake_outlasts_the_time_that_its_machine_stays_as_it_is() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let table = table(&world).await;
    let record = SlotRecord {
        policy: "nightly".into(),
        slot: opening(0).slot,
        source: "i-1".into(),
        request: None,
        trigger: Some(Trigger::Stopped),
        scheduled: false,
        state: SlotState::Requested,
        run: "run-1".into(),
        attempt: 1,
        requested_at: None,
        rebooted: false,
        artifacts: Vec::new(),
        lost: Vec::new(),
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        event_over: false,
        fence: 1,
    };
    table.write_slot(&record, None).await.unwrap();
    let item = world
        .item("slot#nightly#i-1", &record.slot.to_string())
        .unwrap();
    let expires: i64 = item["expires_at"]["N"].as_str().unwrap().parse().unwrap();
    let years = 5 * 366 * 86_400;
    assert!(expires - record.slot.as_second() > years);
    // Years later it is found among whatever else there is by then.
    let found = table.bakes("nightly", "i-1", record.slot).await.unwrap();
    assert_eq!(found, [record]);
}

#[tokio::test]
async fn closing_an_opening_leaves_the_one_that_a_later_failure_made() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let table = table(&world).await;
    let open = async || table.open_sources("f").await.unwrap().read;
    table.open("f", &opening(1)).await.unwrap();
    let read = open().await.remove(0);
    // check-dependencies sees the second attempt fail while the heartbeat is still at work.
    table.open("f", &opening(2)).await.unwrap();
    table.close("f", &read).await.unwrap();
    assert_eq!(open().await, [opening(2)]);
    // Nor does a duplicate of the event take it back.
    table.open("f", &opening(0)).await.unwrap();
    assert_eq!(open().await, [opening(2)]);
    table.close("f", &opening(2)).await.unwrap();
    assert_eq!(open().await, []);
}
