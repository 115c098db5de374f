//! The project's own template, and templates that must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use holdfast_local_aws::pattern::Pattern;
use holdfast_local_aws::template::{Rule, Template, TemplateError, Trigger};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn own() -> Template {
    Template::load(&Template::default_path()).unwrap()
}

fn rules(function: &str) -> Vec<Rule> {
    let functions = own().functions().unwrap();
    functions
        .into_iter()
        .find(|f| f.name == function)
        .unwrap()
        .rules
}

fn patterns(function: &str) -> Vec<Pattern> {
    let pattern = |rule: Rule| match rule.trigger {
        Trigger::Pattern(pattern) => Some(pattern),
        Trigger::Schedule(_) => None,
    };
    rules(function).into_iter().filter_map(pattern).collect()
}

fn heartbeat(template: &Template, function: &str) -> (String, SignedDuration) {
    let functions = template.functions().unwrap();
    let function = functions.into_iter().find(|f| f.name == function).unwrap();
    let beats = function.rules.into_iter().filter_map(|r| match r.trigger {
        Trigger::Schedule(rate) => Some((r.name, rate.period())),
        Trigger::Pattern(_) => None,
    });
    let beats: Vec<_> = beats.collect();
    assert_eq!(beats.len(), 1, "exactly one heartbeat");
    beats.into_iter().next().unwrap()
}

fn events(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(folder);
    let entries = std::fs::read_dir(&folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // Beside an invalid event stands what its error must say.
    let paths = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let read = |path: PathBuf| {
        let value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path, value)
    };
    let events: Vec<_> = paths.map(read).collect();
    assert!(!events.is_empty(), "{folder:?}");
    events
}

#[test]
fn the_table_is_keyed_by_pk_and_sk_without_indexes() {
    let template = own();
    assert_eq!(
        template.create_table_request("t").unwrap(),
        json!({
            "TableName": "t",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        })
    );
    assert_eq!(
        template.expiry_attribute().unwrap().as_deref(),
        Some("expires_at")
    );
}

#[test]
fn creation_beats_every_five_minutes_and_the_sweep_every_hour_unless_a_parameter_says_otherwise() {
    let mut template = own();
    assert_eq!(
        heartbeat(&template, "create-snapshots"),
        (
            "CreateSnapshotsHeartbeat".to_owned(),
            SignedDuration::from_mins(5)
        )
    );
    assert_eq!(
        heartbeat(&template, "sweep-retention"),
        (
            "SweepRetentionHeartbeat".to_owned(),
            SignedDuration::from_hours(1)
        )
    );
    template
        .set_parameter("SweepHeartbeat", "rate(6 hours)")
        .unwrap();
    assert_eq!(
        heartbeat(&template, "sweep-retention").1,
        SignedDuration::from_hours(6)
    );
    assert!(template.set_parameter("NoSuchParameter", "x").is_err());
}

/// Whether a function only accepts the event, and does nothing about it: a state that is no
/// trigger, a call that failed.
fn is_idle(event: &Value) -> bool {
    let state = event["detail"]["state"].as_str();
    let is_change = event["detail-type"] == "EC2 Instance State-change Notification";
    (is_change && !matches!(state, Some("stopped" | "running")))
        || event["detail"].get("errorCode").is_some()
}

#[test]
fn every_ec2_event_that_a_function_acts_on_is_routed_to_it() {
    for declared in own().functions().unwrap() {
        let patterns = patterns(&declared.name);
        let valid = events(&format!("{}/valid", declared.name));
        let of_ec2 = valid.iter().filter(|(_, e)| e["source"] == "aws.ec2");
        let acted_on: Vec<_> = of_ec2.filter(|(_, event)| !is_idle(event)).collect();
        for (path, event) in &acted_on {
            assert!(patterns.iter().any(|p| p.matches(event)), "{path:?}");
        }
        // Only the sweep acts on nothing but time.
        assert_eq!(acted_on.is_empty(), declared.name == "sweep-retention");
    }
}

#[test]
fn a_state_that_no_trigger_names_is_routed_nowhere() {
    let patterns = patterns("create-snapshots");
    let (_, mut event) = events("create-snapshots/valid")
        .into_iter()
        .find(|(path, _)| path.ends_with("instance-stopped.json"))
        .unwrap();
    for state in ["pending", "stopping", "shutting-down", "terminated"] {
        event["detail"]["state"] = json!(state);
        assert!(!patterns.iter().any(|p| p.matches(&event)), "{state}");
    }
}

#[test]
fn no_event_of_another_service_reaches_a_function() {
    for declared in own().functions().unwrap() {
        let patterns = patterns(&declared.name);
        for (path, event) in events(&format!("{}/invalid", declared.name)) {
            if event["source"] != "aws.ec2" {
                assert!(!patterns.iter().any(|p| p.matches(&event)), "{path:?}");
            }
        }
    }
}

const HEAD: &str = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: x/f\n      Events:\n        E:\n";

fn refusal(event: &str) -> TemplateError {
    let template = Template::parse(&format!("{HEAD}{event}")).unwrap();
    template.functions().unwrap_err()
}

#[test]
fn an_event_source_that_cannot_be_fired_locally_is_refused() {
    let error = refusal("          Type: SQS\n          Properties: {Queue: q}\n");
    assert!(error.to_string().contains("SQS"), "{error}");
    let error = refusal(
        "          Type: Schedule\n          Properties: {Schedule: rate(1 hour), Input: '{}'}\n",
    );
    assert!(error.to_string().contains("FE.Input"), "{error}");
}

#[test]
fn a_schedule_or_pattern_that_is_not_understood_is_refused_by_the_rules_name() {
    let error =
        refusal("          Type: Schedule\n          Properties: {Schedule: cron(0 3 * * ? *)}\n");
    assert!(
        matches!(&error, TemplateError::Schedule { rule, .. } if rule == "FE"),
        "{error}"
    );
    let error = refusal(
        "          Type: EventBridgeRule\n          Properties: {Pattern: {detail: {n: [{numeric: ['>', 1]}]}}}\n",
    );
    assert!(
        matches!(&error, TemplateError::Pattern { rule, .. } if rule == "FE"),
        "{error}"
    );
}

#[test]
fn a_rule_that_is_switched_off_does_not_fire() {
    let text = format!(
        "{HEAD}          Type: Schedule\n          Properties: {{Schedule: rate(1 hour), Enabled: false}}\n"
    );
    let functions = Template::parse(&text).unwrap().functions().unwrap();
    assert!(functions[0].rules.is_empty());
}

#[test]
fn a_template_without_its_one_table_makes_none() {
    let template = Template::parse(HEAD).unwrap();
    assert!(template.create_table_request("t").is_err());
}
