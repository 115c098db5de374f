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
    let read = |path: PathBuf| {
        let value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path, value)
    };
    let events: Vec<_> = entries.map(|e| read(e.unwrap().path())).collect();
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

#[test]
fn every_ec2_event_that_create_snapshots_accepts_is_routed_to_it() {
    let patterns = patterns("create-snapshots");
    let mut seen = 0;
    for (path, event) in events("create-snapshots/valid") {
        if event["source"] == "aws.ec2" {
            seen += 1;
            assert!(patterns.iter().any(|p| p.matches(&event)), "{path:?}");
        }
    }
    assert!(seen >= 3, "stopped, running and spot interruption: {seen}");
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
    for function in ["create-snapshots", "sweep-retention"] {
        let patterns = patterns(function);
        for (path, event) in events(&format!("{function}/invalid")) {
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
