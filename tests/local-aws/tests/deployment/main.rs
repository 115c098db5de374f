//! What the template promises whoever deploys it: nothing fails unseen, nothing is lost with the
//! stack, and each event finds its function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alarms;
mod partitions;

use std::collections::BTreeSet;
use std::process::Command;

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

fn role_of(function: &str) -> String {
    format!("{function}Role")
}

/// `create-snapshots` as `CreateSnapshots`.
fn logical_id(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    words.collect()
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
        // Only asynchronous invocations are retried, and events arrive as such; what is put to an
        // alias or version would not be covered by this.
        assert_eq!(mine[0].1["Qualifier"], "$LATEST", "{function}");
        assert_eq!(mine[0].1["MaximumRetryAttempts"], 2, "{function}");
        // Only of the sweep's are all events heartbeats, and the next one does what a lost one would.
        let only_heartbeats = properties["Events"].as_object().unwrap().len() == 1;
        let age = if only_heartbeats { 3600 } else { 21600 };
        assert_eq!(mine[0].1["MaximumEventAgeInSeconds"], age, "{function}");
        let role = &template["Resources"][role_of(function)]["Properties"];
        let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array();
        let sending: Vec<_> = statements
            .unwrap()
            .iter()
            .filter(|s| s["Action"] == "sqs:SendMessage")
            .map(|s| (&s["Effect"], &s["Resource"]))
            .collect();
        let expected = (&json!("Allow"), &arn("FailedInvocations"));
        assert_eq!(sending, [expected], "{function}");
    }
}

#[test]
fn nobody_gets_rights_but_each_function_by_a_role_of_its_own() {
    let template = template();
    let all = template["Resources"].as_object().unwrap().iter();
    let mut rights: Vec<&str> = all
        .filter(|(_, r)| r["Type"].as_str().unwrap().starts_with("AWS::IAM::"))
        .map(|(id, _)| id.as_str())
        .collect();
    let mut roles = Vec::new();
    for (function, properties) in functions(&template) {
        let role = role_of(function);
        assert_eq!(properties["Role"], arn(&role), "{function}");
        // SAM looks at neither beside a role, but whoever reads the template would.
        assert_eq!(properties["Policies"], Value::Null, "{function}");
        assert_eq!(properties["PermissionsBoundary"], Value::Null, "{function}");
        let resource = &template["Resources"][&role];
        assert_eq!(resource["Type"], "AWS::IAM::Role");
        let properties = resource["Properties"].as_object().unwrap();
        let keys: Vec<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(keys, ["AssumeRolePolicyDocument", "Policies"], "{role}");
        assert_eq!(
            properties["Policies"].as_array().unwrap().len(),
            1,
            "{role}"
        );
        assert_eq!(
            properties["AssumeRolePolicyDocument"]["Statement"],
            json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" },
                     "Action": "sts:AssumeRole" }]),
            "{role}"
        );
        roles.push(role);
    }
    // Beside them one policy, which stands only where documents are named: partitions.rs tries it.
    let commands = &template["Resources"]["CreateSnapshotsGuestCommands"];
    assert_eq!(commands["Type"], "AWS::IAM::RolePolicy");
    assert_eq!(commands["Condition"], "SendsGuestCommands");
    let role = &commands["Properties"]["RoleName"];
    assert_eq!(*role, json!({ "Ref": "CreateSnapshotsRole" }));
    rights.retain(|id| *id != "CreateSnapshotsGuestCommands");
    // Rights on keys, for whoever names some: see `alarms.rs` on what they allow.
    roles.extend(["EncryptedVolumes", "EncryptedVolumesLookedAt"].map(str::to_owned));
    rights.sort_unstable();
    roles.sort_unstable();
    assert_eq!(rights, roles);
}

#[test]
fn a_heartbeat_is_tried_for_an_hour_and_an_event_for_six() {
    let template = template();
    for (function, properties) in functions(&template) {
        for (name, source) in properties["Events"].as_object().unwrap() {
            let age = if source["Type"] == "Schedule" {
                3600
            } else {
                21600
            };
            assert_eq!(
                source["Properties"]["RetryPolicy"],
                // As many attempts as EventBridge ever makes, so that the age alone decides.
                json!({ "MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": age }),
                "{function}{name}"
            );
        }
    }
}

#[test]
fn one_concurrent_sweep_is_reserved_unless_the_account_cannot_and_nothing_else() {
    let template = template();
    for (function, properties) in functions(&template) {
        let expected = match function {
            "SweepRetention" => json!({
                "Fn::If": ["ReservesConcurrency", 1, reference("AWS::NoValue")]
            }),
            // A burst of events would be throttled.
            _ => Value::Null,
        };
        assert_eq!(
            properties["ReservedConcurrentExecutions"], expected,
            "{function}"
        );
    }
    assert_eq!(
        template["Parameters"]["ReserveConcurrency"]["Default"],
        "true"
    );
    assert_eq!(
        template["Conditions"]["ReservesConcurrency"],
        json!({ "Fn::Equals": [reference("ReserveConcurrency"), "true"] })
    );
}

#[test]
fn every_function_is_its_own_binary_and_reads_the_policy_file_where_the_layer_puts_it() {
    let template = template();
    let folder = Template::default_path();
    let folder = folder.parent().unwrap();
    let mut binaries = BTreeSet::new();
    for (function, properties) in functions(&template) {
        let code = properties["CodeUri"].as_str().unwrap();
        let name = code.strip_prefix("../target/lambda/").unwrap();
        assert!(
            folder.join("../functions").join(name).is_dir(),
            "{function}: {name}"
        );
        assert_eq!(logical_id(name), function, "{name}");
        binaries.insert(name);
        assert_eq!(properties["Layers"], Value::Null, "{function}");
        assert_eq!(properties["Environment"], Value::Null, "{function}");
    }
    assert_eq!(binaries.len(), 4);
    let all = &template["Globals"]["Function"];
    assert_eq!(all["Layers"], json!([reference("PolicyLayer")]));
    let variables = &all["Environment"]["Variables"];
    assert_eq!(variables["HOLDFAST_POLICIES"], reference("PoliciesPath"));
    assert_eq!(variables["HOLDFAST_TABLE"], reference("Table"));
    let default = "/opt/holdfast/policies.yaml";
    assert_eq!(template["Parameters"]["PoliciesPath"]["Default"], default);
    // Lambda unpacks a layer into /opt.
    let layer = &template["Resources"]["PolicyLayer"]["Properties"]["ContentUri"];
    let content = folder.join(layer.as_str().unwrap());
    let within = default.strip_prefix("/opt/").unwrap();
    assert!(content.join(within).is_file(), "{}", content.display());
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

#[test]
fn make_deploys_to_the_region_that_the_shell_names() {
    let folder = Template::default_path();
    let root = folder.parent().unwrap().parent().unwrap();
    let shown = |region: Option<&str>| {
        let mut make = Command::new("make");
        make.args(["--dry-run", "deploy"]).current_dir(root);
        for inherited in ["AWS_REGION", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            make.env_remove(inherited);
        }
        if let Some(region) = region {
            make.env("AWS_REGION", region);
        }
        let output = make.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text.replace("\\\n", " ");
        let mut lines = text.lines().filter(|line| line.contains("/sam deploy"));
        lines.next().unwrap().to_owned()
    };
    assert!(shown(Some("ap-south-1")).contains(" --region ap-south-1"));
    // SAM reads AWS_DEFAULT_REGION and the profile itself.
    assert!(!shown(None).contains("--region"));
}
