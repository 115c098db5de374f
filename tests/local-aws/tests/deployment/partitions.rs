//! Which partitions of the table each role may read and write: what a function has no business with
//! it cannot spoil, whatever is wrong with it. Kinds of partition: `holdfast::aws::dynamodb`. And who
//! may send commands to instances.

use holdfast_local_aws::iam::{Demand, Place, Role};
use holdfast_local_aws::template::Template;

const TABLE: &str = "arn:aws:dynamodb:eu-central-1:111122223333:table/holdfast";

/// One partition of each kind and owner.
const ALL: [&str; 23] = [
    "head#create-snapshots",
    "head#create-images",
    "head#sweep-retention",
    "head#check-dependencies",
    "open#create-snapshots",
    "open#create-images",
    "run#create-snapshots#r-1",
    "run#create-images#r-1",
    "lease#create-snapshots#nightly",
    "lease#create-images#nightly",
    "lease#sweep-retention",
    "lease#check-dependencies",
    "lease#check-dependencies#events",
    "slot#nightly#i-1",
    "node#snap-1",
    "roster#7",
    "absent",
    "pins",
    "delete#snap-1",
    "retired#nightly#2026-11-23",
    "tripped#0a1b",
    "census",
    "something-new#1",
];

fn role(function: &str) -> Role {
    role_with(function, &[])
}

fn role_with(function: &str, parameters: &[(&str, &str)]) -> Role {
    let mut template = Template::load(&Template::default_path()).unwrap();
    for (name, value) in parameters {
        template.set_parameter(name, *value).unwrap();
    }
    let place = Place {
        region: "eu-central-1",
        account_id: "111122223333",
        table_name: "holdfast",
    };
    let mut functions = template.functions().unwrap().into_iter();
    let declared = functions.find(|f| f.name == function).unwrap();
    place
        .role(&template, function, &declared.logical_id)
        .unwrap()
}

fn demand(action: &str, partitions: &[&str]) -> Demand {
    let partitions = partitions.iter().map(|p| (*p).to_owned()).collect();
    let demand = Demand::new(format!("dynamodb:{action}"), TABLE);
    demand.with_all("dynamodb:LeadingKeys", partitions)
}

#[track_caller]
fn expect(function: &str, reads: &[&str], writes: &[&str]) {
    let role = role(function);
    for (actions, expected) in [
        (["GetItem", "Query", "BatchGetItem"], reads),
        (["PutItem", "UpdateItem", "DeleteItem"], writes),
    ] {
        for action in actions {
            let alone = |partition: &&&str| role.allows(&demand(action, &[partition]));
            let allowed: Vec<&str> = ALL.iter().filter(alone).copied().collect();
            assert_eq!(allowed, expected, "{function}: {action}");
            // A batch or transaction that reaches one partition more is refused as a whole.
            assert!(role.allows(&demand(action, expected)), "{function}");
            let more = [expected, &["something-new#1"]].concat();
            assert!(!role.allows(&demand(action, &more)), "{function}: {action}");
        }
    }
    for action in ["Scan", "BatchWriteItem", "DeleteTable", "PartiQLDelete"] {
        assert!(!role.allows(&demand(action, &[])), "{function}: {action}");
    }
}

#[test]
fn a_creating_function_has_its_own_ledger_and_the_lineage() {
    for (function, head, open, run, lease) in [
        (
            "create-snapshots",
            "head#create-snapshots",
            "open#create-snapshots",
            "run#create-snapshots#r-1",
            "lease#create-snapshots#nightly",
        ),
        (
            "create-images",
            "head#create-images",
            "open#create-images",
            "run#create-images#r-1",
            "lease#create-images#nightly",
        ),
    ] {
        expect(
            function,
            &[head, open, run, "slot#nightly#i-1", "node#snap-1"],
            &[
                head,
                open,
                run,
                lease,
                "slot#nightly#i-1",
                "node#snap-1",
                "roster#7",
            ],
        );
    }
}

#[test]
fn the_sweep_has_pins_and_deletions_and_touches_no_ledger_of_creation() {
    expect(
        "sweep-retention",
        &[
            "head#sweep-retention",
            "slot#nightly#i-1",
            "node#snap-1",
            "absent",
            "pins",
            "delete#snap-1",
            "retired#nightly#2026-11-23",
            "tripped#0a1b",
            "census",
        ],
        &[
            "head#sweep-retention",
            "lease#sweep-retention",
            "node#snap-1",
            "roster#7",
            "pins",
            "delete#snap-1",
            "retired#nightly#2026-11-23",
            "tripped#0a1b",
            "census",
        ],
    );
}

#[test]
fn the_reconcile_reopens_slots_and_only_reads_what_deletions_go_by() {
    expect(
        "check-dependencies",
        &[
            "head#check-dependencies",
            "open#create-snapshots",
            "open#create-images",
            "slot#nightly#i-1",
            "node#snap-1",
            "roster#7",
            "absent",
            "pins",
            "delete#snap-1",
            "retired#nightly#2026-11-23",
            "census",
        ],
        &[
            "head#check-dependencies",
            "open#create-snapshots",
            "open#create-images",
            "lease#check-dependencies",
            "lease#check-dependencies#events",
            "slot#nightly#i-1",
            "node#snap-1",
            "roster#7",
            "absent",
        ],
    );
}

#[test]
fn commands_are_sent_only_with_documents_that_the_stack_names_and_by_create_snapshots_alone() {
    let arn = |kind: &str| format!("arn:aws:{kind}");
    let freeze = arn("ssm:eu-central-1:111122223333:document/holdfast-freeze");
    let mysql = arn("ssm:eu-central-1:111122223333:document/mysql");
    let shell = arn("ssm:eu-central-1::document/AWS-RunShellScript");
    let instance = arn("ec2:eu-central-1:111122223333:instance/i-1");
    let both = format!("{freeze},{mysql}");
    let parameters = [("GuestDocuments", both.as_str())];
    for function in [
        "create-snapshots",
        "create-images",
        "sweep-retention",
        "check-dependencies",
    ] {
        let may = function == "create-snapshots";
        for (role, named) in [
            (role(function), false),
            (role_with(function, &parameters), may),
        ] {
            for (action, resource, expected) in [
                ("ssm:SendCommand", freeze.as_str(), named),
                ("ssm:SendCommand", mysql.as_str(), named),
                ("ssm:SendCommand", shell.as_str(), false),
                ("ssm:SendCommand", instance.as_str(), named),
                ("ssm:GetCommandInvocation", "*", named),
                ("ssm:DescribeInstanceInformation", "*", named),
                ("ssm:CancelCommand", "*", false),
            ] {
                let allowed = role.allows(&Demand::new(action, resource));
                assert_eq!(allowed, expected, "{function}: {action} {resource}");
            }
        }
    }
}
