//! What the table says about artifacts and slots, and AMIs as create-images makes them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_sim::request::{CreateImage, DeregisterImage, Request, TagSpecification};
use holdfast_sim::{FaultRule, Response};
use serde_json::{Value, json};

use crate::{World, codes};

/// An AMI of `instance`, tagged and named as create-images does it.
#[must_use]
pub fn create_image(world: &World, policy: &str, instance: &str, slot: &str) -> String {
    let tags = |artifact: &str| {
        [
            ("holdfast:managed", "true"),
            ("holdfast:artifact", artifact),
            ("holdfast:policy", policy),
            ("holdfast:source", instance),
            ("holdfast:slot", slot),
            ("holdfast:run", "run-1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let request = Request::CreateImage(CreateImage {
        instance: instance.to_owned(),
        name: format!("holdfast/{policy}/{instance}/20260303T030000Z/1"),
        no_reboot: true,
        tags: vec![
            TagSpecification::new("image", tags("image")),
            TagSpecification::new("snapshot", tags("image-snapshot")),
        ],
        ..CreateImage::default()
    });
    match world.account(|account| account.call(&request)).unwrap() {
        Response::ImageMade(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Somebody deregisters an AMI and leaves its snapshots.
pub fn deregister(world: &World, image: &str) {
    let request = Request::DeregisterImage(DeregisterImage {
        id: image.to_owned(),
        ..DeregisterImage::default()
    });
    world.account(|account| account.call(&request)).unwrap();
}

/// The ledger says that EC2 answered with these artifacts.
pub fn record_created(world: &World, policy: &str, source: &str, slot: &str, artifacts: &[&str]) {
    let texts: Vec<Value> = artifacts.iter().map(|id| json!({ "S": id })).collect();
    let item = json!({
        "pk": { "S": format!("slot#{policy}#{source}") }, "sk": { "S": slot },
        "policy": { "S": policy }, "slot": { "S": slot }, "source": { "S": source },
        "state": { "S": "created" }, "run": { "S": "run-1" }, "attempt": { "N": "1" },
        "requested_at": { "S": slot }, "rebooted": { "BOOL": false },
        "artifacts": { "L": texts }, "lost": { "L": [] }, "failures": { "N": "0" },
        "permanent": { "BOOL": false }, "fence": { "N": "1" }, "schema": { "N": "1" },
    });
    world.local.dynamodb.put_item(item).unwrap();
}

/// The recorded state of a resource; none where there is no record.
#[must_use]
pub fn recorded(world: &World, id: &str) -> Option<String> {
    let item = world.item(&format!("node#{id}"), "node")?;
    Some(item["state"]["S"].as_str().unwrap().to_owned())
}

/// The ends of the recorded edges of one kind that begin at a resource; each must be recorded from
/// its other end, too.
#[must_use]
pub fn edges(world: &World, from: &str, kind: &str) -> BTreeSet<String> {
    let pk = format!("node#{from}");
    let prefix = format!("out#{kind}#");
    let items = world.local.dynamodb.items().unwrap();
    let out = items.iter().filter(|item| item["pk"]["S"] == pk.as_str());
    let ends: BTreeSet<String> = out
        .filter_map(|item| item["sk"]["S"].as_str()?.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    for end in &ends {
        let back = world.item(&format!("node#{end}"), &format!("in#{kind}#{from}"));
        assert!(back.is_some(), "no way back from {end} to {from}");
    }
    ends
}

/// Records under these partition keys.
#[must_use]
pub fn items_under(world: &World, prefix: &str) -> Vec<Value> {
    let items = world.local.dynamodb.items().unwrap().into_iter();
    items
        .filter(|item| item["pk"]["S"].as_str().unwrap().starts_with(prefix))
        .collect()
}

/// The next such call fails at this page of its list, in a way that is not tried again.
pub fn fail_page(world: &World, operation: &str, page: u32) {
    let error = holdfast_sim::ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next(
        operation,
        holdfast_sim::Fault::FailPage(page, error),
    ));
}

/// A report without what it says of promised backups, which `tests/coverage.rs` is about: a
/// world of one policy's sources has others that match nothing.
#[must_use]
pub fn of_lineage(mut report: Value) -> Value {
    const COVERAGE: [&str; 4] = ["no-backup", "rpo-exceeded", "not-picked", "matches-nothing"];
    let of_coverage = |item: &Value| {
        let mut codes = codes(item).into_iter();
        item["action"] == "check" && codes.any(|code| COVERAGE.contains(&code))
    };
    let all = report["items"].as_array().unwrap().clone();
    let (_, items): (Vec<Value>, Vec<Value>) = all.into_iter().partition(of_coverage);
    let mut summary = BTreeMap::new();
    for item in &items {
        *summary
            .entry(item["outcome"].as_str().unwrap())
            .or_insert(0) += 1;
    }
    report["summary"] = json!(summary);
    report["items"] = json!(items);
    report
}
