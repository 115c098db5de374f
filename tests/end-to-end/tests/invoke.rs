//! `make invoke`: an event from a file through a real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use holdfast_local_aws::invoke::{SNAPSHOT, VOLUME};
use holdfast_local_aws::lambda::find_binary;
use serde_json::Value;

fn invoke(function: &str, file: &str) -> Output {
    let event = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(function)
        .join(file);
    Command::new(find_binary("invoke").unwrap())
        .arg(function)
        .arg(event)
        .env_remove("AWS_ENDPOINT_URL_EC2")
        .output()
        .unwrap()
}

fn report(function: &str, file: &str) -> Value {
    let output = invoke(function, file);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_event_finds_what_it_speaks_of() {
    let stopped = report("create-snapshots", "valid/instance-stopped.json");
    let [made] = stopped["items"].as_array().unwrap().as_slice() else {
        panic!("{stopped:#}")
    };
    assert_eq!(made["outcome"], "created");
    assert_eq!(made["source"], VOLUME);
    let asked = report("create-snapshots", "valid/on-demand-instances.json");
    let skipped = asked["items"].as_array().unwrap();
    let skipped = skipped.iter().filter(|i| i["outcome"] == "skipped").count();
    assert_eq!(skipped, 1, "the other instance is not there: {asked:#}");
    assert_eq!(asked["run"]["function"], "create-snapshots");
}

#[test]
fn a_sweep_is_planned_over_the_days_before_the_event() {
    let plan = report("sweep-retention", "valid/scheduled-event.json");
    assert_eq!(plan["run"]["mode"], "plan");
    let items = plan["items"].as_array().unwrap();
    let newest = items.iter().find(|i| i["resource"] == SNAPSHOT).unwrap();
    assert_eq!(newest["outcome"], "kept", "one of the last three");
    let of_volumes = items.iter().filter(|i| i["policy"] == "nightly-db");
    let planned = of_volumes.filter(|i| i["outcome"] == "planned").count();
    assert_eq!(planned, 3, "six days, three kept: {plan:#}");
}

#[test]
fn an_error_of_the_function_is_told_and_is_the_exit_status() {
    let refused = invoke("sweep-retention", "invalid/unknown-request-key.json");
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        message.contains("sweep-retention answers Event"),
        "{message}"
    );
    assert!(message.contains("force"), "{message}");
    assert!(refused.stdout.is_empty());
    let nowhere = invoke("sweep-retention", "valid/no-such-file.json");
    assert_eq!(nowhere.status.code(), Some(1));
    let message = String::from_utf8(nowhere.stderr).unwrap();
    assert!(message.contains("no-such-file.json"), "{message}");
}
