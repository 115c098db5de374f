//! The list of sources that are left to the heartbeats, in the table itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use holdfast::aws::dynamodb::Table;
use holdfast_core::ports::records::{OpenSource, Records};
use holdfast_end_to_end::World;

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
