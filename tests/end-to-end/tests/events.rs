//! Every file under `events/` against the real binary of its function: what is valid is answered
//! with a report, what is invalid is named and changes nothing.
//!
//! A file `NAME.expect` beside an invalid event holds words that the error must contain. A folder
//! whose function does not exist is not looked at; a function without a folder fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use holdfast_end_to_end::{World, error, function_names};
use holdfast_local_aws::lambda::Invocation;
use serde_json::Value;

/// The policies that the requests name, in an account in which nothing exists.
const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly-db
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    triggers: [stopped, running, spot-interruption]
    retain: { daily: 7 }
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

#[tokio::test]
async fn every_valid_event_is_answered_with_a_report() {
    for name in function_names() {
        let world = world().await;
        let function = world.function(&name);
        for Sample { path, event, .. } in samples(&name, "valid") {
            let outcome = function.invoke(&event).await.unwrap();
            let Invocation::Ok(report) = outcome else {
                panic!("{}: {outcome:?}", path.display())
            };
            assert_eq!(report["schema"], 1, "{}", path.display());
            assert_eq!(report["run"]["function"], name.as_str());
        }
        // Events speak of what does not exist here, so nothing can have been made of it.
        assert_eq!(world.snapshots().len(), 0, "{name}");
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
        assert_eq!(world.local.dynamodb.items().unwrap(), before, "{name}");
        assert_eq!(world.calls(), [""; 0], "{name}");
        assert_eq!(
            function.cold_starts(),
            1,
            "{name}: one process outlived every bad event"
        );
    }
}
