//! Every file under `events/` against the real binary of its function: what is valid is answered
//! with a report and does what it is for, what is invalid is named and changes nothing.
//!
//! A file `NAME.expect` beside an invalid event holds words that the error must contain. A folder
//! whose function does not exist is not looked at; a function without a folder fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::InstanceState;
use holdfast_end_to_end::{World, at, device, error, function_names, report, tags};
use holdfast_local_aws::lambda::Invocation;
use holdfast_sim::{Account, ImageSeed, InstanceSeed, Settings, SnapshotSeed, VolumeSeed};
use serde_json::{Value, json};

/// The policies that the requests name, in an account in which nothing exists.
const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly-db
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    triggers: [stopped, running, spot-interruption]
    retain: { last: 1 }
  - name: golden-web
    protect: instances
    select: { instances: { tags: { Role: web } } }
    schedule: "cron(0 4 * * ? *)"
    triggers: [stopped, running, spot-interruption]
    retain: { last: 5 }
"#;

/// One file, and beside an invalid one what its error must name.
struct Sample {
    path: PathBuf,
    event: Value,
    expect: Option<String>,
}

fn samples(function: &str, kind: &str) -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(function)
        .join(kind);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{function} has no events: {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let of = |extension: &str| {
        let with = |path: &&PathBuf| path.extension().is_some_and(|e| e == extension);
        files.iter().filter(with).cloned().collect::<Vec<_>>()
    };
    let (events, expectations) = (of("json"), of("expect"));
    assert_eq!(
        events.len() + expectations.len(),
        files.len(),
        "{}: a file that is neither an event nor an expectation",
        folder.display()
    );
    for path in &expectations {
        assert!(
            path.with_extension("json").is_file(),
            "{} belongs to no event",
            path.display()
        );
    }
    assert!(events.len() >= 10, "{} is too empty", folder.display());
    events
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let event = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let expect = std::fs::read_to_string(path.with_extension("expect"));
            Sample {
                event,
                expect: expect.ok().map(|words| words.trim().to_owned()),
                path,
            }
        })
        .collect()
}

async fn world() -> World {
    World::new(POLICIES, "plan", |_| {}).await
}

/// An account in which everything exists that the events name.
async fn named(state: InstanceState) -> World {
    let midnight = |settings: &mut Settings| settings.start = at("2026-11-23T00:00:00Z");
    World::with(POLICIES, "plan", midnight, move |account| {
        let volume = |account: &mut Account, id: &str| {
            account.seed_volume(VolumeSeed {
                id: Some(VolumeId::new(id)),
                ..VolumeSeed::default()
            })
        };
        let root = volume(account, "vol-0fedcba9876543210");
        let data = volume(account, "vol-0aaa6666bbb7777cc");
        let other = volume(account, "vol-0ccc6666bbb7777cc");
        for (id, state, devices) in [
            (
                "i-0aaa1111bbb2222cc",
                state,
                vec![
                    ("/dev/xvda".to_owned(), root),
                    ("/dev/sdf".to_owned(), data),
                ],
            ),
            (
                "i-0bbb1111bbb2222cc",
                InstanceState::Running,
                vec![("/dev/xvda".to_owned(), other)],
            ),
        ] {
            account.seed_instance(InstanceSeed {
                id: Some(InstanceId::new(id)),
                state,
                devices,
                tags: tags(&[("Backup", "nightly"), ("Role", "web")]),
                ..InstanceSeed::default()
            });
        }
        for (id, volume, time) in [
            (
                "snap-0123456789abcdef0",
                "vol-0fedcba9876543210",
                "2026-11-22T03:00:00Z",
            ),
            (
                "snap-0bbb4444ccc5555dd",
                "vol-0aaa6666bbb7777cc",
                "2026-11-22T03:00:00Z",
            ),
            // No rule keeps it.
            (
                "snap-0eee4444ccc5555dd",
                "vol-0fedcba9876543210",
                "2026-11-01T03:00:00Z",
            ),
        ] {
            account.seed_snapshot(SnapshotSeed {
                id: Some(SnapshotId::new(id)),
                volume: Some(VolumeId::new(volume)),
                started: Some(at(time)),
                tags: tags(&[
                    ("holdfast:managed", "true"),
                    ("holdfast:artifact", "snapshot"),
                    ("holdfast:policy", "nightly-db"),
                    ("holdfast:source", volume),
                    ("holdfast:slot", time),
                    ("holdfast:run", time),
                ]),
                ..SnapshotSeed::default()
            });
        }
        let time = "2026-11-22T04:00:00Z";
        let of_image = |artifact: &str| {
            tags(&[
                ("holdfast:managed", "true"),
                ("holdfast:artifact", artifact),
                ("holdfast:policy", "golden-web"),
                ("holdfast:source", "i-0aaa1111bbb2222cc"),
                ("holdfast:slot", time),
                ("holdfast:run", time),
            ])
        };
        let backing = account.seed_snapshot(SnapshotSeed {
            volume: Some(VolumeId::new("vol-0fedcba9876543210")),
            started: Some(at(time)),
            tags: of_image("image-snapshot"),
            ..SnapshotSeed::default()
        });
        account.seed_image(ImageSeed {
            id: Some(ImageId::new("ami-0123456789abcdef0")),
            name: Some("holdfast/golden-web/i-0aaa1111bbb2222cc/20261122T040000Z/1".to_owned()),
            created: Some(at(time)),
            source_instance: Some(InstanceId::new("i-0aaa1111bbb2222cc")),
            root_device: Some("/dev/xvda".to_owned()),
            mappings: vec![device("/dev/xvda", backing.as_str())],
            tags: of_image("image"),
            ..ImageSeed::default()
        });
    })
    .await
}

fn images(world: &World) -> usize {
    world.account(|account| account.images().count())
}

#[tokio::test]
async fn every_valid_event_is_answered_with_a_report() {
    for name in function_names() {
        let world = world().await;
        let function = world.function(&name);
        let samples = samples(&name, "valid");
        let runs = samples.len();
        for Sample { path, event, .. } in samples {
            let outcome = function.invoke(&event).await.unwrap();
            let Invocation::Ok(report) = outcome else {
                panic!("{}: {outcome:?}", path.display())
            };
            assert_eq!(report["schema"], 1, "{}", path.display());
            assert_eq!(report["run"]["function"], name.as_str());
        }
        // What the alarms read: a line in the embedded metric format for each run.
        let logs = function.logs();
        let lines = logs
            .iter()
            .filter_map(|l| serde_json::from_str::<Value>(&l.text).ok());
        let metrics: Vec<Value> = lines.filter(|line| !line["_aws"].is_null()).collect();
        assert_eq!(metrics.len(), runs, "{name}");
        assert!(metrics.iter().all(|line| line["function"] == name.as_str()));
        // Events speak of what does not exist here, so nothing can have been made of it.
        assert_eq!(world.snapshots().len(), 0, "{name}");
        assert_eq!(images(&world), 0, "{name}");
        assert_eq!(
            function.cold_starts(),
            1,
            "{name}: one process served them all"
        );
    }
}

#[tokio::test]
async fn every_invalid_event_is_an_error_that_names_what_is_wrong_and_changes_nothing() {
    for name in function_names() {
        let world = world().await;
        let before = world.local.dynamodb.items().unwrap();
        let function = world.function(&name);
        let mut wrong = Vec::new();
        for sample in samples(&name, "invalid") {
            let (kind, message) = error(&function, &sample.event).await;
            let said = ["nothing was changed", "refused without dry_run"];
            let says_so = said.iter().any(|words| message.contains(words));
            let expect = sample.expect.unwrap_or_default();
            // A file without its words would be satisfied by any error.
            let named = !expect.is_empty() && message.contains(&expect);
            if kind != "Event" || !says_so || !named {
                let shown = sample.path.display();
                wrong.push(format!(
                    "{shown}: expected {expect:?}, got {kind}: {message}"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(world.snapshots().len(), 0, "{name}");
        assert_eq!(images(&world), 0, "{name}");
        assert_eq!(world.local.dynamodb.items().unwrap(), before, "{name}");
        assert_eq!(world.calls(), [""; 0], "{name}");
        assert_eq!(
            function.cold_starts(),
            1,
            "{name}: one process outlived every bad event"
        );
    }
}

/// What comes of a valid event where everything exists that it names.
struct Expected {
    summary: Value,
    /// Snapshots and images that are there afterwards and were not before.
    made: (usize, usize),
    /// What is on record afterwards, of [`NAMED`].
    recorded: &'static [&'static str],
}

const SNAPSHOT: &str = "snap-0123456789abcdef0";
const OTHER: &str = "snap-0bbb4444ccc5555dd";
const IMAGE: &str = "ami-0123456789abcdef0";
const NAMED: [&str; 3] = [SNAPSHOT, OTHER, IMAGE];

fn nothing() -> Expected {
    made(json!({}), 0, 0)
}

fn made(summary: Value, snapshots: usize, images: usize) -> Expected {
    Expected {
        summary,
        made: (snapshots, images),
        recorded: &[],
    }
}

fn recorded(summary: Value, recorded: &'static [&'static str]) -> Expected {
    Expected {
        recorded,
        ..made(summary, 0, 0)
    }
}

/// Two instances, one of two volumes and one of one, both picked.
fn of_create_snapshots(stem: &str) -> Expected {
    match stem {
        s if s.starts_with("schedule") => made(json!({ "created": 3 }), 3, 0),
        "instance-running" => made(json!({ "created": 2 }), 2, 0),
        s if s.starts_with("instance-stopped") => made(json!({ "created": 2 }), 2, 0),
        s if s.starts_with("spot-interruption") => made(json!({ "created": 2 }), 2, 0),
        // No trigger names these states.
        s if s.starts_with("instance-") => nothing(),
        "on-demand-dry-run" | "on-demand-dry-run-of-the-future" => {
            made(json!({ "planned": 3 }), 0, 0)
        }
        // A dry run on the instance with two volumes.
        "on-demand-everything" => made(json!({ "planned": 2 }), 0, 0),
        "on-demand-volume" => made(json!({ "created": 1 }), 1, 0),
        "on-demand-resource-of-no-kind" => made(json!({ "skipped": 1 }), 0, 0),
        "on-demand-no-resources" => nothing(),
        "on-demand"
        | "on-demand-dry-run-false"
        | "on-demand-id"
        | "on-demand-instances"
        | "on-demand-now"
        | "on-demand-now-with-offset" => made(json!({ "created": 3 }), 3, 0),
        other => panic!("nobody said what comes of {other}"),
    }
}

fn of_create_images(stem: &str) -> Expected {
    match stem {
        // The newest slot, yesterday's, has its AMI for the instance with two volumes, which is taken
        // over by its name and tags; the other gets one.
        s if s.starts_with("schedule") => Expected {
            recorded: &[IMAGE],
            ..made(json!({ "created": 2 }), 1, 1)
        },
        "instance-running" => made(json!({ "created": 1 }), 2, 1),
        s if s.starts_with("instance-stopped") => made(json!({ "created": 1 }), 2, 1),
        s if s.starts_with("spot-interruption") => made(json!({ "created": 1 }), 2, 1),
        s if s.starts_with("instance-") => nothing(),
        "on-demand-dry-run" | "on-demand-dry-run-of-the-future" => {
            made(json!({ "planned": 2 }), 0, 0)
        }
        "on-demand-everything" => made(json!({ "planned": 1 }), 0, 0),
        // An AMI is of an instance.
        "on-demand-volume" | "on-demand-resource-of-no-kind" => made(json!({ "skipped": 1 }), 0, 0),
        "on-demand-no-resources" => nothing(),
        "on-demand"
        | "on-demand-dry-run-false"
        | "on-demand-id"
        | "on-demand-instances"
        | "on-demand-now"
        | "on-demand-now-with-offset" => made(json!({ "created": 2 }), 3, 2),
        other => panic!("nobody said what comes of {other}"),
    }
}

/// In plan mode: of the snapshots two are the newest of their volumes and one is expired, and there
/// is one AMI.
fn of_sweep_retention(stem: &str) -> Expected {
    let all = json!({ "kept": 3, "planned": 1 });
    let of_policy = json!({ "kept": 2, "planned": 1 });
    // No breaker tripped, so that the hash releases none.
    let with_finding = |mut summary: Value| {
        summary["finding"] = json!(1);
        summary
    };
    let summary = match stem {
        s if s.starts_with("schedule") => all,
        "empty-request"
        | "on-demand-dry-run-all-policies"
        | "on-demand-dry-run-of-the-future"
        | "on-demand-now-all-policies"
        | "on-demand-now-with-offset" => all,
        "on-demand-dry-run" | "on-demand-now" | "on-demand-policy" => of_policy,
        "on-demand-override-all-policies" => with_finding(all),
        "on-demand-override" | "on-demand-everything" => with_finding(of_policy),
        other => panic!("nobody said what comes of {other}"),
    };
    made(summary, 0, 0)
}

/// What was not on record is recorded as EC2 shows it, whatever the event says became of it.
fn of_check_dependencies(stem: &str) -> Expected {
    let one = json!({ "recorded": 1 });
    match stem {
        // Both policies are triggered by `running`, and no backup answers that the two instances run.
        s if s == "request-reconcile" || s.starts_with("schedule") => {
            recorded(json!({ "recorded": 4, "finding": 4 }), &NAMED)
        }
        // A rule keeps each of them.
        "request-explain-image" | "request-explain-snapshot" => made(json!({ "held": 1 }), 0, 0),
        "request-explain-several" => made(json!({ "held": 3 }), 0, 0),
        // Changed nothing, or nothing that the lineage knows.
        "cloudtrail-delete-snapshot-refused" | "cloudtrail-deregister-image-refused" => nothing(),
        s if s.starts_with("share-snapshot") => nothing(),
        s if s.starts_with("multi-volume") => {
            recorded(json!({ "recorded": 2 }), &[SNAPSHOT, OTHER])
        }
        s if s.starts_with("ami-") || s.starts_with("cloudtrail-deregister-image") => {
            recorded(one, &[IMAGE])
        }
        s if s.contains("-snapshot") || s.starts_with("restore-expiry") => {
            recorded(one, &[SNAPSHOT])
        }
        other => panic!("nobody said what comes of {other}"),
    }
}

/// The state that the event found the instance in.
fn state_at(stem: &str) -> InstanceState {
    match stem {
        s if s.starts_with("instance-stopped") => InstanceState::Stopped,
        "instance-pending" => InstanceState::Pending,
        "instance-stopping" => InstanceState::Stopping,
        "instance-shutting-down" => InstanceState::ShuttingDown,
        "instance-terminated" => InstanceState::Terminated,
        _ => InstanceState::Running,
    }
}

#[tokio::test]
async fn every_valid_event_does_what_it_is_for_where_everything_exists_that_it_names() {
    let mut wrong = Vec::new();
    for name in function_names() {
        for Sample { path, event, .. } in samples(&name, "valid") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let expected = match name.as_str() {
                "create-snapshots" => of_create_snapshots(stem),
                "create-images" => of_create_images(stem),
                "sweep-retention" => of_sweep_retention(stem),
                "check-dependencies" => of_check_dependencies(stem),
                other => panic!("{other} has no expectations"),
            };
            let world = named(state_at(stem)).await;
            if let Some(time) = event["time"].as_str() {
                world.advance(time);
            }
            let before = (world.snapshots().len(), images(&world));
            let report = report(&world.function(&name), &event).await;
            let made = (
                world.snapshots().len() - before.0,
                images(&world) - before.1,
            );
            let on_record = |id: &&&str| world.item(&format!("node#{id}"), "node").is_some();
            let on_record: Vec<&str> = NAMED.iter().filter(on_record).copied().collect();
            if report["summary"] != expected.summary
                || report["run"]["complete"] != true
                || made != expected.made
                || on_record != expected.recorded
            {
                let run = &report["run"];
                wrong.push(format!(
                    "{name} {stem}: made {made:?}, on record {on_record:?}: {run} {}",
                    report["summary"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
