//! The JSON of every command against the schemas under `events/schema/`.

use std::collections::BTreeSet;

use holdfast_core::report::{Action, Outcome, ReasonCode};
use holdfast_end_to_end::backups::{POLICIES, VOLUME, sweep, world};
use holdfast_end_to_end::schema::{check, schema, validator};
use holdfast_end_to_end::{report, seed_backup};

use super::holdfast;

#[test]
fn the_schema_has_the_programs_words_and_no_others() {
    let schema = schema("report-1.schema.json");
    let words = |name: &str| -> Vec<&str> {
        let words = schema.pointer(&format!("/$defs/{name}/enum")).unwrap();
        words
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect()
    };
    let all = |spelled: Vec<&'static str>| -> BTreeSet<&str> { spelled.into_iter().collect() };
    for (name, has) in [
        (
            "action",
            all(Action::ALL.iter().map(|w| w.as_str()).collect()),
        ),
        (
            "outcome",
            all(Outcome::ALL.iter().map(|w| w.as_str()).collect()),
        ),
        (
            "code",
            all(ReasonCode::ALL.iter().map(|w| w.as_str()).collect()),
        ),
    ] {
        let told: BTreeSet<&str> = words(name).into_iter().collect();
        assert_eq!(told, has, "{name}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_report() {
    let schema = schema("report-1.schema.json");
    let good = serde_json::json!({
        "schema": 1,
        "run": { "id": "r", "function": "plan", "now": "2026-11-23T03:00:00Z", "complete": true },
        "summary": { "kept": 1 },
        "items": [ { "action": "delete", "resource": "snap-1", "outcome": "kept",
                     "reasons": [ { "code": "retain.last" } ] } ],
    });
    check(&schema, "a report", &good);
    for (pointer, wrong) in [
        ("/schema", serde_json::json!(2)),
        ("/run/now", serde_json::json!("2026-11-23T03:00:00+01:00")),
        ("/run/complete", serde_json::json!("yes")),
        ("/summary", serde_json::json!({ "eaten": 1 })),
        ("/items/0/outcome", serde_json::json!("eaten")),
        ("/items/0/reasons/0/code", serde_json::json!("because")),
        (
            "/items/0/reasons/0",
            serde_json::json!({ "code": "grace", "why": "x" }),
        ),
    ] {
        let mut report = good.clone();
        *report.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator(&schema).is_valid(&report), "{pointer}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_every_command_and_function_fits_its_schema() {
    let (world, ids) = world("enforce", POLICIES, 3).await;
    let schema = schema("report-1.schema.json");
    check(&schema, "sweep-retention", &sweep(&world).await);
    let beat = world.heartbeat("2026-03-02T10:05:00Z");
    for function in ["create-snapshots", "create-images", "check-dependencies"] {
        let told = report(&world.function(function), &beat).await;
        check(&schema, function, &told);
    }
    let foreign =
        world.account(|account| seed_backup(account, "", VOLUME, "2026-03-01T12:00:00Z", &[]));
    world.advance(&jiff::Timestamp::now().to_string());
    world.deploy(&["create-snapshots", "sweep-retention"]);

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policies = file("policies.yaml", POLICIES);
    let times = file("times.txt", "2026-11-22T03:00:00Z\n2026-11-23T03:00:00Z\n");
    let event = file("event.json", r#"{"dry_run": true}"#);
    let deleted = ids[2].as_str();
    let lines: [&[&str]; 14] = [
        &["policies", "check", &policies],
        &[
            "retention",
            "--policies",
            &policies,
            "--policy",
            "nightly",
            "--times",
            &times,
        ],
        &["plan"],
        &["coverage"],
        &["explain", &ids[0], deleted],
        &["evidence", deleted, "snap-0fff"],
        &["adopt", "--policy", "nightly", &foreign],
        &["ls"],
        &["runs"],
        &["run", "nightly", "--function", "create-snapshots"],
        &["sweep"],
        &[
            "sweep",
            "--enforce",
            "--yes",
            "--function",
            "sweep-retention",
        ],
        &["unpin", VOLUME],
        &[
            "events",
            "send",
            &event,
            "--function",
            "sweep-retention",
            "--local",
        ],
    ];
    for line in lines {
        let ran = holdfast(&world, &[line, &["--json"]].concat());
        assert_ne!(ran.out, "", "{line:?}: {}", ran.err);
        check(&schema, &line.join(" "), &ran.json());
    }
    let lineage = holdfast(&world, &["lineage", &ids[0]]);
    let known = holdfast_end_to_end::schema::schema("lineage-1.schema.json");
    let lineage = lineage.json();
    assert!(validator(&known).is_valid(&lineage), "{lineage:#}");
    assert!(!lineage["edges"].as_array().unwrap().is_empty());
}
