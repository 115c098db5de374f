//! A record of another schema version is refused by every write, named, and stays as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use holdfast::aws::dynamodb::Table;
use holdfast_core::lineage::{Edge, EdgeKind, Node, NodeState};
use holdfast_core::plan::settle::TrippedPlan;
use holdfast_core::ports::records::{
    Absence, Census, Deletion, Head, Lease, OpenSource, Records, RunRecord, TableError,
    TableErrorKind,
};
use holdfast_local_aws::dynamodb::{DynamoDb, Storage};
use holdfast_local_aws::template::Template;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const SNAPSHOT: &str = "snap-0a";

fn wall() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn lease() -> Lease {
    Lease {
        name: "sweep-retention".into(),
        holder: "run-1".into(),
        fence: 1,
        expires: wall() + SignedDuration::from_mins(1),
    }
}

fn ids() -> [String; 1] {
    [SNAPSHOT.to_owned()]
}

fn deletion() -> Deletion {
    Deletion {
        resource: SNAPSHOT.into(),
        policy: "nightly".into(),
        image: None,
        other_images: BTreeSet::new(),
        good: true,
        time: wall(),
        run: "run-1".into(),
        evidence: "{}".into(),
        at: wall(),
        tries: 0,
        refused: None,
    }
}

fn open_source() -> OpenSource {
    OpenSource {
        policy: "nightly".into(),
        slot: wall(),
        source: "vol-0a".into(),
        request: None,
        trigger: None,
        failures: 0,
    }
}

fn census() -> Census {
    Census {
        now: wall(),
        wall: wall(),
        listed: [("images".to_owned(), 1)].into(),
        picked: [].into(),
        accepted: [].into(),
        governed: None,
        resume_at: None,
    }
}

fn node(state: NodeState) -> Node {
    Node::new(SNAPSHOT, state, wall())
}

fn edge() -> Edge {
    Edge::new(SNAPSHOT, EdgeKind::SnapshotOf, "vol-0a")
}

async fn absent(table: &Table, absence: Option<Absence>) -> Result<(), TableError> {
    let changes = [("vol-0a".to_owned(), absence)].into();
    table.set_absences(&changes, &lease()).await
}

fn noted() -> Option<Absence> {
    Some(Absence {
        first: wall(),
        confirmed: None,
    })
}

async fn record(table: &Table, state: NodeState) -> Result<(), TableError> {
    table.record(&[node(state)], &[edge()], &lease()).await
}

/// Puts one of every record there is into the table.
async fn fill(table: &Table) {
    let sources = ["vol-0a".to_owned()];
    table.begin("create-snapshots", wall()).await.unwrap();
    let head = Head {
        slot: wall(),
        complete: false,
        first: false,
    };
    let lease = lease();
    let set = table.set_head("create-snapshots", "nightly", &head, &lease);
    set.await.unwrap();
    let taken = table.acquire("sweep-retention", "run-1", wall()).await;
    taken.unwrap();
    let opened = table.open("create-snapshots", &open_source()).await;
    opened.unwrap();
    table.start_run(&run()).await.unwrap();
    table.pin(&sources, Some(&lease)).await.unwrap();
    let marked = table.set_condemned(&ids(), Some(wall()), &lease).await;
    marked.unwrap();
    let waits = table.set_waiting_orphans(&ids(), true, &lease).await;
    waits.unwrap();
    table.intend_deletion(&deletion(), &lease).await.unwrap();
    save_tripped(table).await.unwrap();
    let saved = table.save_census(&census(), Some(&lease)).await;
    saved.unwrap();
    absent(table, noted()).await.unwrap();
    record(table, NodeState::Available).await.unwrap();
}

fn run() -> RunRecord {
    RunRecord {
        function: "create-snapshots".into(),
        id: "r".into(),
        policy: "nightly".into(),
        slot: wall(),
        started: wall(),
        resources: None,
    }
}

async fn save_tripped(table: &Table) -> Result<(), TableError> {
    let pair = |told: &str| [("nightly".to_owned(), told.to_owned())].into();
    let plan = TrippedPlan {
        deletions: pair(SNAPSHOT),
        comparisons: pair("images: 1 listed now, 9 when the last sweep counted"),
    };
    table.save_tripped("hash", &plan, wall(), &lease()).await
}

/// Every write that could replace or remove a record that stands.
const WRITES: [&str; 26] = [
    "begin",
    "set head",
    "set head of another policy",
    "acquire",
    "renew",
    "release",
    "open",
    "close",
    "start run",
    "pin",
    "pin without a lease",
    "unpin",
    "condemn",
    "free",
    "orphan waits",
    "orphan waits no more",
    "intend",
    "refuse",
    "delete",
    "put deletion aside",
    "save tripped",
    "take tripped",
    "save census",
    "set absence",
    "forget absence",
    "record",
];

async fn write(table: &Table, name: &str) -> Result<(), TableError> {
    let sources = ["vol-0a".to_owned()];
    let head = Head {
        slot: wall() + SignedDuration::from_hours(1),
        complete: true,
        first: false,
    };
    let function = "create-snapshots";
    match name {
        "begin" => table.begin(function, wall()).await.map(|_| ()),
        "set head" => table.set_head(function, "nightly", &head, &lease()).await,
        "set head of another policy" => table.set_head(function, "other", &head, &lease()).await,
        "acquire" => {
            let later = wall() + SignedDuration::from_hours(1);
            let acquired = table.acquire("sweep-retention", "run-2", later).await;
            acquired.map(|_| ())
        }
        "renew" => table.renew(&lease(), wall()).await.map(|_| ()),
        "release" => table.release(&lease()).await,
        "open" => table.open(function, &open_source()).await,
        "close" => table.close(function, &open_source()).await,
        "start run" => table.start_run(&run()).await.map(|_| ()),
        "pin" => table.pin(&sources, Some(&lease())).await,
        "pin without a lease" => table.pin(&sources, None).await,
        "unpin" => table.unpin(&sources, &lease()).await,
        "condemn" => table.set_condemned(&ids(), Some(wall()), &lease()).await,
        "free" => table.set_condemned(&ids(), None, &lease()).await,
        "orphan waits" => table.set_waiting_orphans(&ids(), true, &lease()).await,
        "orphan waits no more" => table.set_waiting_orphans(&ids(), false, &lease()).await,
        "intend" => table.intend_deletion(&deletion(), &lease()).await,
        "refuse" => {
            let (deletion, lease) = (deletion(), lease());
            table.end_deletion(&deletion, Some("no"), &lease).await
        }
        "delete" => table.end_deletion(&deletion(), None, &lease()).await,
        "put deletion aside" => table.put_deletion_aside(&deletion(), &lease()).await,
        "save tripped" => save_tripped(table).await,
        "take tripped" => table.tripped("hash", wall(), true).await.map(|_| ()),
        "save census" => table.save_census(&census(), Some(&lease())).await,
        "set absence" => absent(table, noted()).await,
        "forget absence" => absent(table, None).await,
        "record" => record(table, NodeState::Error).await,
        other => panic!("{other}"),
    }
}

fn key(item: &Value) -> (String, String) {
    let text = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
    (text("pk"), text("sk"))
}

async fn table() -> (Table, DynamoDb) {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await;
    let template = Template::load(&Template::default_path()).unwrap();
    let database = DynamoDb::start(&Storage::Memory, 0, &template, "holdfast")
        .await
        .unwrap();
    let config = config.to_builder().endpoint_url(database.endpoint());
    (Table::new(&config.build(), "holdfast"), database)
}

#[tokio::test]
async fn no_write_replaces_or_removes_a_record_of_another_schema_version() {
    let (table, database) = table().await;
    fill(&table).await;
    for name in WRITES {
        let mut before = database.items().unwrap();
        for item in &mut before {
            item["schema"] = json!({ "N": "2" });
            database.put_item(item.clone()).unwrap();
        }
        let refused = write(&table, name).await.unwrap_err();
        assert_eq!(
            refused.kind,
            TableErrorKind::Unreadable,
            "{name}: {refused}"
        );
        let words = refused.to_string();
        assert!(
            words.contains("schema version is 2") && words.contains("nothing was overwritten"),
            "{name}: {words}"
        );
        for item in &before {
            let (pk, sk) = key(item);
            let now = database.get_item(&pk, &sk).unwrap();
            assert_eq!(now.as_ref(), Some(item), "{name}: {pk} {sk}");
        }
    }
}

#[tokio::test]
async fn a_deletion_of_the_day_that_cannot_be_read_is_an_error_and_not_one_less() {
    let (table, database) = table().await;
    fill(&table).await;
    let since = wall() - SignedDuration::from_hours(24);
    let counted = table.retired("nightly", since, wall()).await.unwrap();
    assert_eq!(counted.len(), 1);
    let items = database.items().unwrap().into_iter();
    for mut item in items.filter(|item| key(item).0.starts_with("retired#")) {
        item["at"] = json!({ "S": "yesterday" });
        database.put_item(item).unwrap();
    }
    let refused = table.retired("nightly", since, wall()).await.unwrap_err();
    assert_eq!(refused.kind, TableErrorKind::Unreadable);
}

#[tokio::test]
async fn deletions_of_a_run_whose_clock_was_a_little_ahead_count_over_midnight() {
    let (table, _database) = table().await;
    let midnight: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let ahead = Deletion {
        at: midnight + SignedDuration::from_mins(2),
        ..deletion()
    };
    table.intend_deletion(&ahead, &lease()).await.unwrap();
    let wall = midnight - SignedDuration::from_mins(2);
    let since = wall - SignedDuration::from_hours(24);
    let counted = table.retired("nightly", since, wall).await.unwrap();
    assert_eq!(counted.len(), 1);
}
