//! EventBridge patterns: what matches, what does not, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_local_aws::pattern::{Pattern, PatternError};
use serde_json::{Value, json};

fn matches(pattern: Value, event: Value) -> bool {
    Pattern::parse(&pattern).unwrap().matches(&event)
}

#[test]
fn every_field_must_match_by_any_of_its_values() {
    let pattern = json!({"source": ["aws.ec2"], "detail": {"state": ["stopped", "running"]}});
    let event = |source: &str, state: &str| json!({"source": source, "detail": {"state": state}});
    assert!(matches(pattern.clone(), event("aws.ec2", "running")));
    assert!(!matches(pattern.clone(), event("aws.ec2", "pending")));
    assert!(!matches(pattern.clone(), event("aws.ebs", "running")));
    assert!(!matches(pattern.clone(), json!({"source": "aws.ec2"})));
    assert!(!matches(
        pattern,
        json!({"source": "aws.ec2", "detail": "{}"})
    ));
}

#[test]
fn exact_values_keep_their_type() {
    assert!(matches(json!({"a": [1, null, true]}), json!({"a": null})));
    assert!(matches(json!({"a": [1]}), json!({"a": 1})));
    assert!(!matches(json!({"a": [1]}), json!({"a": "1"})));
    assert!(!matches(json!({"a": [null]}), json!({})));
}

#[test]
fn a_list_in_the_event_matches_by_any_element() {
    let pattern = json!({"resources": [{"prefix": "arn:aws:ec2:"}]});
    assert!(matches(
        pattern.clone(),
        json!({"resources": ["x", "arn:aws:ec2:eu"]})
    ));
    assert!(!matches(pattern.clone(), json!({"resources": ["x"]})));
    assert!(!matches(pattern, json!({"resources": []})));
    let pattern = json!({"snapshots": {"status": ["error"]}});
    let event = json!({"snapshots": [{"status": "completed"}, {"status": "error"}]});
    assert!(matches(pattern, event));
}

#[test]
fn text_operators_look_at_text_only() {
    assert!(matches(
        json!({"a": [{"prefix": "vol-"}]}),
        json!({"a": "vol-1"})
    ));
    assert!(!matches(
        json!({"a": [{"prefix": "vol-"}]}),
        json!({"a": "my-vol-1"})
    ));
    assert!(matches(
        json!({"a": [{"suffix": ".png"}]}),
        json!({"a": "x.png"})
    ));
    assert!(!matches(
        json!({"a": [{"suffix": ".png"}]}),
        json!({"a": "x.png.gz"})
    ));
    assert!(matches(
        json!({"a": [{"equals-ignore-case": "Stopped"}]}),
        json!({"a": "STOPPED"})
    ));
    assert!(!matches(json!({"a": [{"prefix": "1"}]}), json!({"a": 1})));
}

#[test]
fn anything_but_refuses_its_values_and_a_missing_field() {
    let one = json!({"a": [{"anything-but": "x"}]});
    assert!(!matches(one.clone(), json!({"a": "x"})));
    assert!(matches(one.clone(), json!({"a": "y"})));
    assert!(!matches(one, json!({})));
    let many = json!({"a": [{"anything-but": ["x", "y"]}]});
    assert!(!matches(many.clone(), json!({"a": "y"})));
    assert!(matches(many, json!({"a": "z"})));
    let prefix = json!({"a": [{"anything-but": {"prefix": "init"}}]});
    assert!(!matches(prefix.clone(), json!({"a": "initializing"})));
    assert!(matches(prefix, json!({"a": "running"})));
}

#[test]
fn exists_tests_presence_of_a_leaf() {
    let absent = json!({"detail": {"errorCode": [{"exists": false}]}});
    assert!(matches(
        absent.clone(),
        json!({"detail": {"eventName": "DeleteSnapshot"}})
    ));
    assert!(!matches(
        absent,
        json!({"detail": {"errorCode": "Client.X"}})
    ));
    let present = json!({"detail": {"errorCode": [{"exists": true}]}});
    assert!(matches(
        present.clone(),
        json!({"detail": {"errorCode": null}})
    ));
    assert!(!matches(
        present,
        json!({"detail": {"errorCode": {"inner": 1}}})
    ));
}

#[test]
fn an_unknown_operator_is_an_error_that_names_it_and_its_place() {
    for operator in ["numeric", "wildcard", "cidr", "prefixx"] {
        let error = Pattern::parse(&json!({"detail": {"a": [{operator: "x"}]}})).unwrap_err();
        let expected = PatternError::Operator {
            path: "detail.a".to_owned(),
            operator: operator.to_owned(),
        };
        assert_eq!(error, expected);
    }
    let error = Pattern::parse(&json!({"$or": [{"a": ["x"]}]})).unwrap_err();
    assert!(matches!(error, PatternError::Operator { operator, .. } if operator == "$or"));
}

#[test]
fn shapes_that_eventbridge_refuses_are_refused() {
    for pattern in [
        json!({"source": "aws.ec2"}),
        json!({"source": []}),
        json!({"source": [["aws.ec2"]]}),
        json!({"detail": {}}),
        json!({}),
        json!([]),
        json!({"a": [{"prefix": "x", "suffix": "y"}]}),
        json!({"a": [{"prefix": 1}]}),
        json!({"a": [{"exists": "yes"}]}),
        json!({"a": [{"anything-but": []}]}),
        json!({"a": [{"anything-but": {"exists": true}}]}),
    ] {
        let error = Pattern::parse(&pattern).unwrap_err();
        assert!(
            matches!(error, PatternError::Shape { .. }),
            "{pattern}: {error}"
        );
    }
}
