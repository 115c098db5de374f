//! Somebody hears of whatever goes wrong: each alarm reads a metric that is really written, and none
//! of the metrics that tell of trouble is without an alarm.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::report::{Invoked, Report, Run};
use holdfast_local_aws::template::{Template, Trigger};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{functions, reference, resources, template};

/// `CreateSnapshots` as `create-snapshots`.
fn binary<'a>(template: &'a Value, function: &str) -> &'a str {
    let code = &template["Resources"][function]["Properties"]["CodeUri"];
    code.as_str().unwrap().rsplit('/').next().unwrap()
}

/// The stack's own topic, or the one that it was given.
fn topic() -> Value {
    json!({ "Fn::If": ["MakesTopic", reference("AlarmTopic"), reference("NotificationTopicArn")] })
}

/// Namespace, metric and dimensions of each alarm; every alarm tells the topic.
fn watched(template: &Value, namespace: &str) -> BTreeMap<String, Value> {
    let mut watched = BTreeMap::new();
    for (id, alarm) in resources(template, "AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["AlarmActions"], json!([topic()]), "{id}");
        if alarm["Namespace"] != namespace {
            continue;
        }
        let of = json!([alarm["MetricName"], alarm["Dimensions"]]).to_string();
        let twice = watched.insert(of, alarm.clone());
        assert!(twice.is_none(), "{id} is there twice");
    }
    watched
}

fn of_metric(metric: &str, dimension: &str, value: &Value) -> String {
    json!([metric, [{ "Name": dimension, "Value": value }]]).to_string()
}

#[test]
fn every_alarm_reads_aws_or_what_a_report_writes() {
    let namespaces: BTreeSet<String> = resources(&template(), "AWS::CloudWatch::Alarm")
        .into_iter()
        .map(|(_, alarm)| alarm["Namespace"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["AWS/Lambda", "AWS/SQS", "Holdfast"];
    assert_eq!(namespaces, expected.map(str::to_owned).into());
}

#[test]
fn errors_throttles_and_waiting_dead_letters_raise_an_alarm_that_somebody_is_told() {
    let template = template();
    let mut lambda = watched(&template, "AWS/Lambda");
    for (function, _) in functions(&template) {
        for metric in ["Errors", "Throttles"] {
            let of = of_metric(metric, "FunctionName", &reference(function));
            let alarm = lambda.remove(&of).unwrap();
            assert_eq!(alarm["Statistic"], "Sum", "{of}");
            assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{of}");
            assert_eq!(alarm["Threshold"], 0, "{of}");
            assert_eq!(alarm["EvaluationPeriods"], 1, "{of}");
        }
    }
    assert!(lambda.is_empty(), "{lambda:?}");
    let mut queues = watched(&template, "AWS/SQS");
    for (queue, _) in resources(&template, "AWS::SQS::Queue") {
        let name = json!({ "Fn::GetAtt": [queue, "QueueName"] });
        let of = of_metric("ApproximateNumberOfMessagesVisible", "QueueName", &name);
        let alarm = queues.remove(&of).unwrap();
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{of}");
        assert_eq!(alarm["Threshold"], 0, "{of}");
    }
    assert!(queues.is_empty(), "{queues:?}");
    // A key of SNS's own would keep CloudWatch out.
    let topics = resources(&template, "AWS::SNS::Topic");
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].1["KmsMasterKeyId"], Value::Null);
}

#[test]
fn a_heartbeat_that_stays_away_raises_an_alarm_whatever_events_come() {
    let template = template();
    let reported = watched(&template, "Holdfast");
    for (function, _) in functions(&template) {
        let name = binary(&template, function);
        let of = of_metric("run.heartbeat", "function", &name.into());
        let alarm = &reported[&of];
        assert!(emitted(name).2.contains("run.heartbeat"), "{of}");
        assert_eq!(alarm["Statistic"], "Sum", "{of}");
        assert_eq!(alarm["ComparisonOperator"], "LessThanThreshold", "{of}");
        assert_eq!(alarm["Threshold"], 1, "{of}");
        assert_eq!(alarm["TreatMissingData"], "breaching", "{of}");
        assert_eq!(alarm["Period"], 3600, "{of}");
        assert_eq!(
            alarm["EvaluationPeriods"],
            reference("SilenceHours"),
            "{of}"
        );
        assert_eq!(alarm["DatapointsToAlarm"], Value::Null, "{of}");
    }
    // Longer than the heartbeats.
    let hours = template["Parameters"]["SilenceHours"]["Default"].as_i64();
    let silence = SignedDuration::from_hours(hours.unwrap());
    for function in Template::load(&Template::default_path())
        .unwrap()
        .functions()
        .unwrap()
    {
        for rule in function.rules {
            if let Trigger::Schedule(rate) = rule.trigger {
                assert!(rate.period() * 2 <= silence, "{}", rule.name);
            }
        }
    }
}

/// What a run's line in the embedded metric format declares: namespace, dimensions, metrics.
fn emitted(function: &str) -> (Value, Vec<Value>, BTreeSet<String>) {
    let run = Run {
        id: "r".to_owned(),
        function: function.to_owned(),
        mode: None,
        now: Timestamp::UNIX_EPOCH,
        account: None,
        region: None,
        policy_sha256: None,
        plan_hash: None,
        complete: true,
        evidence: Vec::new(),
    };
    let line = Report::new(run, Vec::new()).metrics(&Invoked {
        heartbeat: true,
        ended: Timestamp::UNIX_EPOCH,
        took: SignedDuration::ZERO,
    });
    let declared = &line["_aws"]["CloudWatchMetrics"][0];
    let metrics = declared["Metrics"].as_array().unwrap().iter();
    let metrics = metrics.map(|metric| metric["Name"].as_str().unwrap().to_owned());
    let dimensions = declared["Dimensions"].as_array().unwrap();
    let dimensions = dimensions.iter().map(|set| {
        let names = set.as_array().unwrap().iter();
        let named =
            names.map(|name| json!({ "Name": name, "Value": line[name.as_str().unwrap()] }));
        named.collect()
    });
    (
        declared["Namespace"].clone(),
        dimensions.collect(),
        metrics.collect(),
    )
}

#[test]
fn failed_items_findings_breakers_and_unfinished_work_raise_alarms_on_what_reports_write() {
    let template = template();
    let mut expected = BTreeSet::new();
    for (function, _) in functions(&template) {
        let name = binary(&template, function);
        let (namespace, dimensions, metrics) = emitted(name);
        assert_eq!(namespace, "Holdfast");
        let mut watched_here = vec!["items.failed", "items.finding", "run.incomplete"];
        if function == "SweepRetention" {
            watched_here.push("items.circuit-breaker");
        }
        if function == "CheckDependencies" {
            watched_here.push("sources.uncovered");
        }
        for metric in watched_here {
            assert!(metrics.contains(metric), "no report writes {metric}");
            let [set] = &dimensions[..] else {
                panic!("{dimensions:?}");
            };
            expected.insert(json!([metric, set]).to_string());
        }
    }
    let mut watched = watched(&template, "Holdfast");
    let silence = |of: &str| of.starts_with(r#"["run.heartbeat","#);
    watched.retain(|of, _| !silence(of));
    assert_eq!(watched.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (of, alarm) in watched {
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{of}");
        assert_eq!(alarm["Threshold"], 0, "{of}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{of}");
        let number = |key: &str| alarm[key].as_u64().unwrap();
        let looks_back = number("Period") * number("EvaluationPeriods");
        if alarm["MetricName"] == "run.incomplete" {
            // Every run of six hours: one alone goes on in the next.
            assert_eq!(alarm["Statistic"], "Minimum", "{of}");
            assert_eq!(alarm["DatapointsToAlarm"], Value::Null, "{of}");
            assert_eq!(looks_back, 6 * 3600, "{of}");
        } else {
            // One is enough, and within minutes; the same every hour is one alarm.
            assert_eq!(alarm["Statistic"], "Sum", "{of}");
            assert_eq!(alarm["DatapointsToAlarm"], 1, "{of}");
            assert_eq!(number("Period"), 300, "{of}");
            assert_eq!(looks_back, 12 * 3600, "{of}");
        }
    }
}

#[test]
fn nobody_is_subscribed_unless_an_address_is_given() {
    let template = template();
    assert_eq!(template["Parameters"]["NotificationEmail"]["Default"], "");
    let subscription = &template["Resources"]["AlarmSubscription"];
    assert_eq!(subscription["Condition"], "HasNotificationEmail");
    assert_eq!(
        template["Conditions"]["HasNotificationEmail"],
        json!({ "Fn::Not": [{ "Fn::Equals": [reference("NotificationEmail"), ""] }] })
    );
}

#[test]
fn alarms_go_to_a_topic_that_is_given_and_then_the_stack_makes_none() {
    let template = template();
    assert_eq!(
        template["Parameters"]["NotificationTopicArn"]["Default"],
        ""
    );
    let given = json!({ "Fn::Equals": [reference("NotificationTopicArn"), ""] });
    assert_eq!(template["Conditions"]["MakesTopic"], given);
    for own in ["AlarmTopic", "AlarmTopicPolicy"] {
        assert_eq!(template["Resources"][own]["Condition"], "MakesTopic");
    }
    let subscribed = &template["Resources"]["AlarmSubscription"]["Properties"];
    assert_eq!(subscribed["TopicArn"], topic());
    assert_eq!(template["Outputs"]["AlarmTopicArn"]["Value"], topic());
}

#[test]
fn keys_are_used_only_where_they_are_named_and_granted_only_to_aws_services() {
    let template = template();
    assert_eq!(template["Parameters"]["KmsKeyArns"]["Default"], "");
    let policies = resources(&template, "AWS::IAM::Policy");
    let mut uses = BTreeSet::new();
    for (id, policy) in &policies {
        assert_eq!(template["Resources"][id]["Condition"], "HasKmsKeys");
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            assert_eq!(statement["Resource"], reference("KmsKeyArns"));
            let for_aws = json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } });
            let grants = statement["Action"] == "kms:CreateGrant";
            let condition = if grants { for_aws } else { Value::Null };
            assert_eq!(statement["Condition"], condition, "{id}");
            for role in policy["Roles"].as_array().unwrap() {
                let role = role["Ref"].as_str().unwrap();
                let actions = &statement["Action"];
                let one = std::slice::from_ref(actions);
                for action in actions.as_array().map_or(one, Vec::as_slice) {
                    uses.insert((role.to_owned(), action.as_str().unwrap().to_owned()));
                }
            }
        }
    }
    // EBS User Guide, "Requirements for Amazon EBS encryption".
    let needed = [
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    let mut expected: BTreeSet<(String, String)> = BTreeSet::new();
    for role in ["CreateSnapshotsRole", "CreateImagesRole"] {
        expected.extend(needed.map(|action| (role.to_owned(), action.to_owned())));
    }
    let looks = ("CheckDependenciesRole", "kms:DescribeKey");
    expected.insert((looks.0.to_owned(), looks.1.to_owned()));
    assert_eq!(uses, expected);
}
