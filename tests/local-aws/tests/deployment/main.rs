//! What the template promises whoever deploys it: nothing fails unseen, nothing is lost with the
//! stack, and each event finds its function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_local_aws::template::{Rule, Template, Trigger};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn template() -> Value {
    let text = std::fs::read_to_string(Template::default_path()).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().unwrap().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

fn functions(template: &Value) -> Vec<(&str, &Value)> {
    let functions = resources(template, "AWS::Serverless::Function");
    assert_eq!(functions.len(), 4);
    functions
}

fn arn(of: &str) -> Value {
    json!({ "Fn::GetAtt": [of, "Arn"] })
}

fn reference(to: &str) -> Value {
    json!({ "Ref": to })
}

fn rules(function: &str) -> Vec<Rule> {
    let template = Template::load(&Template::default_path()).unwrap();
    let mut functions = template.functions().unwrap().into_iter();
    functions.find(|f| f.name == function).unwrap().rules
}

fn reaches(function: &str, event: &Value) -> bool {
    rules(function).iter().any(|rule| match &rule.trigger {
        Trigger::Pattern(pattern) => pattern.matches(event),
        Trigger::Schedule(_) => false,
    })
}

fn event(detail_type: &str, detail: Value) -> Value {
    json!({ "source": "aws.ec2", "detail-type": detail_type, "detail": detail })
}

#[test]
fn an_event_that_a_rule_cannot_deliver_is_kept_in_a_queue_that_admits_the_rule() {
    let template = template();
    let mut sent = BTreeSet::new();
    for (function, properties) in functions(&template) {
        for (event, source) in properties["Events"].as_object().unwrap() {
            let name = format!("{function}{event}");
            let properties = &source["Properties"];
            assert_eq!(
                properties["DeadLetterConfig"]["Arn"],
                arn("UndeliveredEvents"),
                "{name}"
            );
            assert!(properties["RetryPolicy"].is_object(), "{name}");
            sent.insert(arn(&name).to_string());
        }
    }
    let policies = resources(&template, "AWS::SQS::QueuePolicy");
    let [(_, policy)] = policies[..] else {
        panic!("{policies:?}");
    };
    assert_eq!(policy["Queues"], json!([reference("UndeliveredEvents")]));
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let [statement] = &statements[..] else {
        panic!("{statements:?}");
    };
    assert_eq!(statement["Effect"], "Allow");
    assert_eq!(statement["Action"], "sqs:SendMessage");
    assert_eq!(statement["Principal"]["Service"], "events.amazonaws.com");
    let admitted = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_array();
    let admitted: BTreeSet<_> = admitted.unwrap().iter().map(Value::to_string).collect();
    assert_eq!(admitted, sent);
}

#[test]
fn an_invocation_that_fails_for_good_is_kept_and_the_role_may_send_it() {
    let template = template();
    let configured = resources(&template, "AWS::Lambda::EventInvokeConfig");
    for (function, properties) in functions(&template) {
        let mine: Vec<_> = configured
            .iter()
            .filter(|(_, config)| config["FunctionName"] == reference(function))
            .collect();
        assert_eq!(mine.len(), 1, "{function}");
        assert_eq!(
            mine[0].1["DestinationConfig"]["OnFailure"]["Destination"],
            arn("FailedInvocations"),
            "{function}"
        );
        let statements = properties["Policies"][0]["Statement"].as_array().unwrap();
        let sending: Vec<_> = statements
            .iter()
            .filter(|s| s["Action"] == "sqs:SendMessage")
            .map(|s| (&s["Effect"], &s["Resource"]))
            .collect();
        let expected = (&json!("Allow"), &arn("FailedInvocations"));
        assert_eq!(sending, [expected], "{function}");
    }
}

#[test]
fn errors_throttles_and_waiting_dead_letters_raise_an_alarm_that_somebody_is_told() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let watched: BTreeSet<String> = alarms
        .iter()
        .map(|(id, alarm)| {
            assert_eq!(
                alarm["AlarmActions"],
                json!([reference("AlarmTopic")]),
                "{id}"
            );
            assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{id}");
            assert_eq!(alarm["Threshold"], 0, "{id}");
            let dimension = &alarm["Dimensions"][0]["Value"];
            json!([alarm["Namespace"], alarm["MetricName"], dimension]).to_string()
        })
        .collect();
    let mut expected = BTreeSet::new();
    for (function, _) in functions(&template) {
        for metric in ["Errors", "Throttles"] {
            expected.insert(json!(["AWS/Lambda", metric, reference(function)]).to_string());
        }
    }
    for (queue, _) in resources(&template, "AWS::SQS::Queue") {
        let name = json!({ "Fn::GetAtt": [queue, "QueueName"] });
        let metric = "ApproximateNumberOfMessagesVisible";
        expected.insert(json!(["AWS/SQS", metric, name]).to_string());
    }
    assert_eq!(watched, expected);
    // A key of SNS's own would keep CloudWatch out.
    let topics = resources(&template, "AWS::SNS::Topic");
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].1["KmsMasterKeyId"], Value::Null);
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
fn the_table_outlives_the_stack_and_its_mistakes() {
    let template = template();
    let table = &template["Resources"]["Table"];
    assert_eq!(table["DeletionPolicy"], "Retain");
    assert_eq!(table["UpdateReplacePolicy"], "Retain");
    let properties = &table["Properties"];
    assert_eq!(properties["DeletionProtectionEnabled"], true);
    assert_eq!(properties["SSESpecification"]["SSEEnabled"], true);
    assert_eq!(
        properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
        true
    );
}

#[test]
fn a_first_deployment_only_plans() {
    let template = template();
    assert_eq!(template["Parameters"]["Mode"]["Default"], "plan");
    let variables = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(variables["HOLDFAST_MODE"], reference("Mode"));
}

#[test]
fn every_function_logs_into_a_group_of_its_own_that_forgets() {
    let template = template();
    for (function, properties) in functions(&template) {
        let group = format!("{function}Logs");
        assert_eq!(properties["LoggingConfig"]["LogGroup"], reference(&group));
        assert_eq!(
            template["Resources"][&group]["Properties"]["RetentionInDays"],
            reference("LogRetentionDays")
        );
    }
}

#[test]
fn the_lineage_is_reconciled_every_hour_unless_a_parameter_says_otherwise() {
    let period = |template: &Template| {
        let mut functions = template.functions().unwrap().into_iter();
        let function = functions.find(|f| f.name == "check-dependencies").unwrap();
        let mut rates = function.rules.into_iter().filter_map(|r| match r.trigger {
            Trigger::Schedule(rate) => Some(rate.period()),
            Trigger::Pattern(_) => None,
        });
        (rates.next().unwrap(), rates.next())
    };
    let mut template = Template::load(&Template::default_path()).unwrap();
    assert_eq!(period(&template), (SignedDuration::from_hours(1), None));
    template
        .set_parameter("ReconcileHeartbeat", "rate(15 minutes)")
        .unwrap();
    assert_eq!(period(&template).0, SignedDuration::from_mins(15));
}

#[test]
fn what_happens_to_snapshots_and_images_reaches_check_dependencies() {
    for detail in [
        json!({ "event": "createSnapshot", "result": "succeeded" }),
        json!({ "event": "createSnapshot", "result": "failed" }),
        json!({ "event": "copySnapshot", "result": "succeeded" }),
    ] {
        let event = event("EBS Snapshot Notification", detail);
        assert!(reaches("check-dependencies", &event), "{event}");
    }
    let set = json!({ "event": "createSnapshots", "result": "failed" });
    let set = event("EBS Multi-Volume Snapshots Completion Status", set);
    assert!(reaches("check-dependencies", &set));
    for state in ["available", "failed", "deregistered", "disabled"] {
        let event = event("EC2 AMI State Change", json!({ "State": state }));
        assert!(reaches("check-dependencies", &event), "{event}");
        // Else a backup would be the cause of the next one.
        assert!(!reaches("create-images", &event), "{event}");
        assert!(!reaches("create-snapshots", &event), "{event}");
    }
}

#[test]
fn only_removals_that_succeeded_reach_check_dependencies_from_cloudtrail() {
    let call = |name: &str| {
        let detail = json!({ "eventSource": "ec2.amazonaws.com", "eventName": name });
        event("AWS API Call via CloudTrail", detail)
    };
    assert!(reaches("check-dependencies", &call("DeregisterImage")));
    assert!(reaches("check-dependencies", &call("DeleteSnapshot")));
    assert!(!reaches("check-dependencies", &call("RunInstances")));
    let mut refused = call("DeleteSnapshot");
    refused["detail"]["errorCode"] = json!("Client.InvalidSnapshot.InUse");
    assert!(!reaches("check-dependencies", &refused));
}

#[test]
fn both_creating_functions_hear_of_stops_starts_and_spot_interruptions() {
    for function in ["create-snapshots", "create-images"] {
        for state in ["stopped", "running"] {
            let detail = json!({ "instance-id": "i-0123456789abcdef0", "state": state });
            let event = event("EC2 Instance State-change Notification", detail);
            assert!(reaches(function, &event), "{function}: {state}");
        }
        let warning = json!({ "instance-id": "i-0123456789abcdef0", "instance-action": "stop" });
        let warning = event("EC2 Spot Instance Interruption Warning", warning);
        assert!(reaches(function, &warning), "{function}");
    }
}
