//! Each function's role is what its code declares and what its calls need: none missing, none
//! spare. The local AWS enforces the roles besides, in every test that runs a function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exercise;

use std::collections::BTreeSet;

use holdfast::permissions;
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_end_to_end::{
    DOCUMENT, SeededInstance, World, at, device, function_names, seed_backup, tags,
};
use holdfast_local_aws::iam::{Demand, Effect, Role, Statement, access_key, ec2};
use holdfast_sim::request::{
    CreateImage, CreateSnapshot, CreateSnapshots, Request, TagSpecification,
};
use holdfast_sim::{
    Account, AutoScalingGroupSeed, GroupLaunch, GuestSeed, ImageSeed, InstanceSeed, SnapshotSeed,
    VolumeSeed,
};

use exercise::exercise;

const POLICIES: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select:
      instances: { tags: { Backup: nightly } }
      volumes: { tags: { Backup: detached } }
    schedule: "cron(0 3 * * ? *)"
    triggers: [stopped]
    retain: { last: 1 }
  - name: frozen
    protect: volumes
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 4 * * ? *)"
    consistency: application
    application: { document: holdfast-freeze, timeout: 30s }
    retain: { last: 1 }
  - name: golden
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    triggers: [stopped]
    retain: { last: 1 }
"#;

const VOLUME: &str = "vol-0000000000000000a";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/7f1d2c3b-0000-4000-8000-000000000000";
const SNAPSHOT: &str = "arn:aws:ec2:eu-central-1::snapshot/snap-0123456789abcdef0";
const IMAGE: &str = "arn:aws:ec2:eu-central-1::image/ami-0123456789abcdef0";

/// An AMI of an instance with one backing snapshot, as create-images makes them.
fn seed_image(account: &mut Account, instance: &str, volume: &str, time: &str) {
    let stamp = time.replace(['-', ':'], "");
    let tags = |artifact: &str| {
        tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", artifact),
            ("holdfast:policy", "golden"),
            ("holdfast:source", instance),
            ("holdfast:slot", time),
            ("holdfast:run", &format!("run-{time}")),
        ])
    };
    let snapshot = account.seed_snapshot(SnapshotSeed {
        volume: Some(VolumeId::new(volume)),
        started: Some(at(time)),
        tags: tags("image-snapshot"),
        ..SnapshotSeed::default()
    });
    account.seed_image(ImageSeed {
        name: Some(format!("holdfast/golden/{instance}/{stamp}/1")),
        created: Some(at(time)),
        source_instance: Some(InstanceId::new(instance)),
        root_device: Some("/dev/xvda".to_owned()),
        mappings: vec![device("/dev/xvda", snapshot.as_str())],
        tags: tags("image"),
        ..ImageSeed::default()
    });
}

/// A machine with two encrypted volumes.
fn seed_machine(account: &mut Account) -> SeededInstance {
    let volumes = ["/dev/xvda", "/dev/sdf"].map(|device| {
        let volume = account.seed_volume(VolumeSeed {
            kms_key: Some(KEY.to_owned()),
            ..VolumeSeed::default()
        });
        (device.to_owned(), volume)
    });
    let id = account.seed_instance(InstanceSeed {
        devices: volumes.to_vec(),
        tags: tags(&[("Backup", "nightly")]),
        ..InstanceSeed::default()
    });
    SeededInstance {
        id: id.to_string(),
        volumes: volumes.map(|(_, volume)| volume.to_string()).to_vec(),
    }
}

/// An account with something for every path of every function.
async fn world() -> World {
    let world = World::new(POLICIES, "enforce", |account| {
        account.set_key(KEY, "Enabled");
        let machine = seed_machine(account);
        account.seed_document(DOCUMENT);
        account.seed_guest(GuestSeed::new(InstanceId::new(machine.id.as_str())));
        account.seed_volume(VolumeSeed {
            id: Some(VolumeId::new(VOLUME)),
            kms_key: Some(KEY.to_owned()),
            tags: tags(&[("Backup", "detached")]),
            ..VolumeSeed::default()
        });
        for day in ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"] {
            let time = format!("{day}T03:00:00Z");
            seed_backup(account, "nightly", VOLUME, &time, &[]);
            seed_image(account, &machine.id, &machine.volumes[0], &time);
        }
        let launch = GroupLaunch::Configuration("web".to_owned());
        account.seed_auto_scaling_group(AutoScalingGroupSeed::new("web", launch));
    })
    .await;
    let newest = world.snapshots().pop().unwrap();
    world.launch_template("web", newest.id.as_str());
    world
}

fn instance(world: &World) -> String {
    world.account(|account| account.instances().next().unwrap().id.to_string())
}

/// What Lambda itself calls, with the function's role, so that the function does not: writing its
/// log, and sending a failed event to the queue for them.
const LAMBDAS_OWN: [&str; 3] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
];

fn allowed(role: &Role) -> BTreeSet<String> {
    let actions = role.of(Effect::Allow).flat_map(|s| &s.actions);
    let functions_own = actions.filter(|a| !LAMBDAS_OWN.contains(&a.as_str()));
    functions_own.cloned().collect()
}

/// What has no resource-level permissions (Service Authorization Reference).
const LISTS: [&str; 5] = [
    "ec2:Describe",
    "ec2:List",
    "autoscaling:Describe",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
];

/// Whether a statement allows only what EC2 asks for in the function's name.
fn only_through_ec2(statement: &Statement) -> bool {
    let (operator, key) = ("ForAnyValue:StringEquals", "aws:CalledVia");
    has_condition(statement, operator, key, &["ec2-images.amazonaws.com"])
        || has_condition(statement, operator, key, &["ec2.amazonaws.com"])
}

/// Each pattern over partition keys, with the Sid of its statement.
fn leading_keys(role: &Role) -> BTreeSet<(String, String)> {
    let patterns = role.of(Effect::Allow).flat_map(|s| {
        let values = s.leading_keys().flat_map(|condition| &condition.values);
        values.map(|pattern| (s.sid.clone(), pattern.clone()))
    });
    patterns.collect()
}

/// What is in the first set and not in the second, each with words for what it is.
fn spare(
    name: &str,
    (of, set): (&str, &BTreeSet<String>),
    (other, others): (&str, &BTreeSet<String>),
) -> Option<String> {
    let spare: Vec<&String> = set.difference(others).collect();
    (!spare.is_empty()).then(|| format!("{name}: {of} but not {other}: {spare:?}"))
}

fn roles(world: &World) -> Vec<Role> {
    let names = function_names();
    let role = |name: &String| world.local.role(name).unwrap();
    names.iter().map(role).collect()
}

fn has_condition(statement: &Statement, operator: &str, key: &str, values: &[&str]) -> bool {
    let mut conditions = statement.conditions.iter();
    conditions.any(|c| c.operator == operator && c.key == key && c.values == values)
}

#[tokio::test]
async fn a_role_allows_what_the_code_declares_and_what_the_calls_need_and_no_more() {
    let mut wrong = Vec::new();
    for name in function_names() {
        let world = world().await;
        exercise(&world, &name).await;
        let declared = permissions::of(&name)
            .unwrap_or_else(|| panic!("{name} declares no permissions"))
            .into_iter()
            .map(str::to_owned)
            .collect();
        let seen = world.local.gate.seen(&access_key(&name));
        let role = allowed(&world.local.role(&name).unwrap());
        let called = ("called", &seen);
        let declared = ("declared", &declared);
        let allowed = ("allowed by its role", &role);
        wrong.extend(spare(&name, called, declared));
        wrong.extend(spare(&name, declared, called));
        wrong.extend(spare(&name, declared, allowed));
        wrong.extend(spare(&name, allowed, declared));
        let patterns = leading_keys(&world.local.role(&name).unwrap());
        let used = world.local.gate.leading_keys_used(&access_key(&name));
        let unused: Vec<_> = patterns.difference(&used).collect();
        if !unused.is_empty() {
            wrong.push(format!(
                "{name}: partitions allowed but not used: {unused:?}"
            ));
        }
        // An action may be there, and its resource or condition be wrong.
        let refused = world.local.gate.refused(&access_key(&name));
        wrong.extend(refused.iter().map(|r| format!("{name}: refused: {r}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_call_that_the_role_does_not_allow_is_refused_like_ec2_and_dynamodb_refuse_it() {
    let world = world().await;
    let create = world.function("create-snapshots");
    for (removed, words) in [
        ("ec2:DescribeVolumes", "UnauthorizedOperation"),
        ("dynamodb:UpdateItem", "not authorized to perform"),
    ] {
        let mut role = world.local.role("create-snapshots").unwrap();
        for statement in &mut role.statements {
            statement.actions.retain(|action| action != removed);
        }
        let key = access_key("create-snapshots");
        world.local.gate.give_role(&key, role);
        let beat = world.heartbeat("2026-03-03T03:00:00Z");
        let (_, message) = holdfast_end_to_end::error(&create, &beat).await;
        assert!(message.contains(words), "{removed}: {message}");
    }
}

#[tokio::test]
async fn actions_are_spelt_out_and_only_lists_are_allowed_on_everything() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let table = "arn:aws:dynamodb:eu-central-1:111122223333:table/holdfast";
    for role in roles(&world) {
        for statement in role.of(Effect::Allow) {
            for action in &statement.actions {
                let shown = format!("{}: {}: {action}", role.function, statement.sid);
                assert!(!action.contains(['*', '?']), "{shown} is a pattern");
                if action.starts_with("dynamodb:") {
                    assert_eq!(statement.resources, [table], "{shown}");
                    let narrowed = statement.leading_keys().any(|c| {
                        let everything = |p: &String| p.starts_with(['*', '?']) || p.is_empty();
                        c.operator == "ForAllValues:StringLike" && !c.values.iter().any(everything)
                    });
                    assert!(narrowed, "{shown} is allowed on every partition");
                } else if !LISTS.iter().any(|prefix| action.starts_with(prefix)) {
                    let everything = statement.resources.iter().any(|r| r == "*");
                    let through_ec2 = only_through_ec2(statement);
                    assert!(
                        !everything || through_ec2,
                        "{shown} is allowed on everything"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn only_the_sweep_deletes_and_only_what_is_tagged_as_managed() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let deletions = [
        ("ec2:DeleteSnapshot", SNAPSHOT),
        ("ec2:DeregisterImage", IMAGE),
    ];
    for role in roles(&world) {
        for (action, resource) in deletions {
            let statements = role.of(Effect::Allow).filter(|s| s.names(action));
            for statement in statements {
                assert_eq!(role.function, "sweep-retention", "{action}");
                let key = "aws:ResourceTag/holdfast:managed";
                assert!(
                    has_condition(statement, "StringEquals", key, &["true"]),
                    "{action}: {statement:?}"
                );
                let (kind, _) = resource.rsplit_once('/').unwrap();
                assert_eq!(statement.resources, [format!("{kind}/*")], "{action}");
            }
            let demand = Demand::new(action, resource);
            let other = tags(&[("holdfast:managed", "false"), ("Name", "web")]);
            assert!(!role.allows(&demand), "{}: {action}", role.function);
            assert!(!role.allows(&demand.tagged(&other)), "{action}");
        }
    }
    let sweep = world.local.role("sweep-retention").unwrap();
    let ours = tags(&[("holdfast:managed", "true")]);
    for (action, resource) in deletions {
        if allowed(&sweep).contains(action) {
            assert!(sweep.allows(&Demand::new(action, resource).tagged(&ours)));
        }
    }
}

#[tokio::test]
async fn a_role_holds_no_policy_from_elsewhere_and_of_other_services_what_lambda_does_with_it() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let at = "eu-central-1:111122223333";
    for declared in world.local.template().functions().unwrap() {
        let role = world.local.role(&declared.name).unwrap();
        assert_eq!(role.managed, [""; 0], "{}", role.function);
        let mut other = Vec::new();
        let by_itself = role.of(Effect::Allow).filter(|s| !only_through_ec2(s));
        for statement in by_itself {
            for action in &statement.actions {
                let services = ["ec2:", "autoscaling:", "dynamodb:", "ssm:"];
                if !services.iter().any(|s| action.starts_with(s)) {
                    other.push((action.clone(), statement.resources.clone()));
                }
            }
        }
        other.sort();
        let log = format!("arn:aws:logs:{at}:log-group:{}Logs:*", declared.logical_id);
        let queue = format!("arn:aws:sqs:{at}:FailedInvocations");
        let resources = [&log, &log, &queue];
        let expected = LAMBDAS_OWN.iter().zip(resources);
        let mut expected: Vec<_> = expected
            .map(|(a, r)| ((*a).to_owned(), vec![r.clone()]))
            .collect();
        if declared.name != "sweep-retention" {
            // Looking at a key of one's own, and at nothing that it encrypts.
            let keys = format!("arn:aws:kms:{at}:key/*");
            expected.insert(0, ("kms:DescribeKey".to_owned(), vec![keys]));
        }
        assert_eq!(other, expected, "{}", role.function);
    }
}

#[tokio::test]
async fn nothing_is_made_that_does_not_carry_the_tag_by_which_the_sweep_knows_it() {
    let world = world().await;
    let id = instance(&world);
    let make = |tags: &[TagSpecification]| {
        let tags = tags.to_vec();
        [
            (
                "create-snapshots",
                Request::CreateSnapshot(CreateSnapshot {
                    volume: VOLUME.to_owned(),
                    tags: tags.clone(),
                    ..CreateSnapshot::default()
                }),
            ),
            (
                "create-snapshots",
                Request::CreateSnapshots(CreateSnapshots {
                    instance: id.clone(),
                    tags: tags.clone(),
                    ..CreateSnapshots::default()
                }),
            ),
            (
                "create-images",
                Request::CreateImage(CreateImage {
                    instance: id.clone(),
                    tags,
                    ..CreateImage::default()
                }),
            ),
        ]
    };
    let tagged =
        |kind: &str, value: &str| TagSpecification::new(kind, [("holdfast:managed", value)]);
    let both = |value: &str| vec![tagged("snapshot", value), tagged("image", value)];
    for (tags, expected) in [
        (both("true"), true),
        (both("false"), false),
        (vec![tagged("image", "true")], false),
        (Vec::new(), false),
    ] {
        for (function, request) in make(&tags) {
            let role = world.local.role(function).unwrap();
            let demands = world.account(|account| ec2::demands(&request, account));
            let allowed = demands.iter().all(|demand| role.allows(demand));
            assert_eq!(allowed, expected, "{function}: {request:?}");
        }
    }
}

#[tokio::test]
async fn tags_are_written_only_by_the_call_that_makes_the_artifact() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    for role in roles(&world) {
        let of_tags = role
            .of(Effect::Allow)
            .filter(|s| s.names("ec2:CreateTags") || s.names("ec2:DeleteTags"));
        for statement in of_tags {
            assert!(!statement.names("ec2:DeleteTags"), "{}", role.function);
            let creating = statement
                .conditions
                .iter()
                .find(|c| c.operator == "StringEquals" && c.key == "ec2:CreateAction")
                .unwrap_or_else(|| panic!("{}: {statement:?}", role.function));
            for operation in &creating.values {
                let action = format!("ec2:{operation}");
                assert!(
                    allowed(&role).contains(&action),
                    "{}: tags in {operation}, which it may not call",
                    role.function
                );
            }
        }
        let later = Demand::new("ec2:CreateTags", SNAPSHOT);
        let ours = [("holdfast:managed".to_owned(), "true".to_owned())];
        assert!(!role.allows(&later.tagging(&ours)), "{}", role.function);
    }
}

#[tokio::test]
async fn our_own_tags_are_denied_whatever_else_is_allowed_one_day() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let keys = ["holdfast:managed".to_owned(), "Name".to_owned()];
    for mut role in roles(&world) {
        // As if somebody had attached a policy that allows everything.
        role.statements.push(Statement {
            sid: "AttachedLater".to_owned(),
            effect: Effect::Allow,
            actions: vec!["*".to_owned()],
            resources: vec!["*".to_owned()],
            conditions: Vec::new(),
        });
        for resource in [SNAPSHOT, IMAGE] {
            let claim = Demand::new("ec2:CreateTags", resource).naming(keys.to_vec());
            assert!(!role.allows(&claim), "{}: claims {resource}", role.function);
            let disown = Demand::new("ec2:DeleteTags", resource);
            // Without keys it removes every tag.
            for demand in [disown.clone().naming(keys.to_vec()), disown] {
                assert!(!role.allows(&demand), "{}: {demand:?}", role.function);
            }
            let made = claim.with("ec2:CreateAction", "CreateSnapshots");
            assert!(role.allows(&made), "{}: tags on create", role.function);
        }
    }
}
