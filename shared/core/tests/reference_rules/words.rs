//! What a policy's words let go, and what holds all the same.

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{InstanceState, ReferrerKind, TemplateName, TemplateUse};
use holdfast_core::report::ReasonCode;

use crate::stage::{Stage, at, group, instance, referrer, told, version};

/// The versions of `lt-1`, out of five, that hold `ami-1` under these words.
fn holding(words: &str, default: Option<i64>) -> Vec<i64> {
    let of = |number: &i64| {
        let mut stage = Stage::with_words(words);
        stage.versions((1..=5).map(|n| {
            let image = if n == *number {
                "ami-1"
            } else {
                "ami-elsewhere"
            };
            let mut version = version(n, image);
            version.default = default == Some(n);
            version
        }));
        !stage.ami().is_empty()
    };
    (1..=5).filter(of).collect()
}

#[test]
fn the_versions_that_a_policy_names_hold_and_the_others_do_not() {
    assert_eq!(holding("", Some(2)), [1, 2, 3, 4, 5]);
    assert_eq!(
        holding("launch_template_versions: all", Some(2)),
        [1, 2, 3, 4, 5]
    );
    let narrow = "launch_template_versions: default-and-latest";
    assert_eq!(holding(narrow, Some(2)), [2, 5]);
    assert_eq!(holding(narrow, Some(5)), [5]);
    assert_eq!(
        holding("launch_template_versions: { newest: 1 }", Some(2)),
        [2, 5]
    );
    assert_eq!(
        holding("launch_template_versions: { newest: 3 }", Some(1)),
        [1, 3, 4, 5]
    );
    assert_eq!(
        holding("launch_template_versions: { newest: 9 }", Some(1)),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(
        holding(narrow, None),
        [1, 2, 3, 4, 5],
        "any may be the default"
    );
}

#[test]
fn the_highest_number_is_the_latest_in_whatever_order_they_are_listed() {
    let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
    let versions = [
        version(10, "ami-1"),
        version(1, "ami-x"),
        version(9, "ami-x"),
    ];
    stage.versions(versions);
    assert_eq!(stage.ami()[0].detail.as_deref(), Some("lt-1 version 10"));
}

#[test]
fn a_version_that_a_group_launches_holds_whatever_the_words_say() {
    // Of the four versions only the second names the AMI, and its snapshot-to-be.
    let launched_by = |version_of: Option<&str>, default: i64, by: ReferrerKind| {
        let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
        stage.versions((1..=4).map(|n| {
            let mut version = version(n, if n == 2 { "ami-1" } else { "ami-elsewhere" });
            version.default = n == default;
            if n == 2 {
                version.snapshots = vec![SnapshotId::new("snap-9")];
            }
            version
        }));
        let mut launching = referrer(by, "web-1");
        launching.templates = group("", version_of).templates;
        match by {
            ReferrerKind::AutoScalingGroup => stage.groups(launching),
            _ => stage.fleets(launching),
        }
        (told(&stage.ami()), told(&stage.snapshot("snap-9")))
    };
    let by = ReferrerKind::AutoScalingGroup;
    let code = ReasonCode::UsedByAutoScalingGroup;
    let explicit = (
        vec![(code, "ami-1 > lt-1 > web-1".to_owned())],
        vec![(code, "snap-9 > lt-1 > web-1".to_owned())],
    );
    assert_eq!(launched_by(Some("2"), 1, by), explicit);
    assert_eq!(
        launched_by(Some("newest"), 1, by),
        explicit,
        "which one it means is not known"
    );
    assert_eq!(launched_by(Some("3"), 1, by), (vec![], vec![]));
    assert_eq!(launched_by(Some("$Latest"), 1, by), (vec![], vec![]));
    assert_eq!(launched_by(Some("$Default"), 1, by), (vec![], vec![]));
    for version in [None, Some("$Default")] {
        let (ami, _) = launched_by(version, 2, by);
        let path = (code, "ami-1 > lt-1 > web-1".to_owned());
        assert!(ami.contains(&path), "{version:?} is the default version");
    }
    let (ami, _) = launched_by(Some("2"), 1, ReferrerKind::SpotFleet);
    assert_eq!(
        ami,
        [(ReasonCode::UsedByFleet, "ami-1 > lt-1 > web-1".to_owned())]
    );
}

#[test]
fn the_latest_version_that_a_group_launches_is_the_highest_of_that_template() {
    let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
    stage.versions([version(1, "ami-elsewhere"), version(2, "ami-1")]);
    stage.groups(group("asg-1", Some("$Latest")));
    assert_eq!(
        told(&stage.ami()),
        [
            (ReasonCode::UsedByLaunchTemplate, "ami-1 > lt-1".to_owned()),
            (
                ReasonCode::UsedByAutoScalingGroup,
                "ami-1 > lt-1 > asg-1".to_owned()
            ),
        ]
    );
}

#[test]
fn a_group_that_names_a_template_nobody_told_the_name_of_may_mean_any_such() {
    let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
    let mut versions = [
        version(1, "ami-x"),
        version(2, "ami-1"),
        version(3, "ami-x"),
    ];
    for version in &mut versions {
        version.name = None;
    }
    stage.versions(versions);
    assert!(stage.ami().is_empty());
    stage.groups(group("asg-1", Some("2")));
    let path = (
        ReasonCode::UsedByAutoScalingGroup,
        "ami-1 > lt-1 > asg-1".to_owned(),
    );
    assert_eq!(told(&stage.ami()), [path]);
}

#[test]
fn a_fleet_that_is_over_launches_no_version() {
    let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
    stage.versions([
        version(1, "ami-x"),
        version(2, "ami-1"),
        version(3, "ami-x"),
    ]);
    let mut fleet = referrer(ReferrerKind::Fleet, "fleet-1");
    fleet.state = Some("deleted".into());
    fleet.templates.push(TemplateUse {
        template: TemplateName::Id("lt-1".into()),
        version: Some("2".into()),
    });
    stage.fleets(fleet);
    assert!(stage.ami().is_empty());
}

#[test]
fn an_unresolved_version_holds_only_where_a_version_would() {
    let mut stage = Stage::with_words("launch_template_versions: default-and-latest");
    let hidden = "resolve:ssm:/golden:7";
    stage.versions([version(1, "ami-x"), version(2, hidden), version(3, "ami-x")]);
    assert!(stage.ami().is_empty());
    stage.groups(group("asg-1", Some("2")));
    let doubt = (ReasonCode::EvidenceIncomplete, "ami-1 > lt-1".to_owned());
    assert_eq!(told(&stage.ami()), [doubt]);
    assert_eq!(
        stage.ami()[0].detail.as_deref(),
        Some("lt-1 version 2: its image is a parameter that is not resolved")
    );
}

#[test]
fn a_parameter_of_another_account_holds_and_one_of_ones_own_is_listed_by_ec2() {
    let held = |account: &str| {
        let mut stage = Stage::new();
        let arn = format!("resolve:ssm:arn:aws:ssm:eu-central-1:{account}:parameter/golden");
        stage.versions([version(1, &arn)]);
        !stage.ami().is_empty()
    };
    assert!(held("999999999999"));
    assert!(!held(crate::stage::OWNER));
}

#[test]
fn stopped_and_terminated_instances_hold_by_the_words_and_all_others_always() {
    let holds = |words: &str| -> Vec<&str> {
        let states = [
            "running",
            "stopping",
            "stopped",
            "shutting-down",
            "terminated",
        ];
        let of = |state: &&str| {
            let mut stage = Stage::with_words(words);
            let launched = instance("i-1", InstanceState::parse(state), "ami-1");
            stage.inventory.instances.items.push(launched);
            !stage.ami().is_empty()
        };
        states.into_iter().filter(of).collect()
    };
    assert_eq!(
        holds(""),
        ["running", "stopping", "stopped", "shutting-down"]
    );
    let narrow = "stopped_instances_hold: false";
    assert_eq!(holds(narrow), ["running", "stopping", "shutting-down"]);
    assert_eq!(
        holds("terminated_instances_hold: true"),
        [
            "running",
            "stopping",
            "stopped",
            "shutting-down",
            "terminated"
        ]
    );
}

#[test]
fn an_ami_launched_within_the_time_that_the_policy_names_is_held() {
    let at_launch = |words: &str, launched: &str| {
        let mut stage = Stage::with_words(words);
        stage
            .inventory
            .images
            .items
            .update(0, |i| i.last_launched = Some(at(launched)));
        told(&stage.ami())
    };
    let recent = vec![(ReasonCode::RecentlyLaunched, "ami-1".to_owned())];
    let words = "recently_launched: 30d";
    // It is 10 February, noon: thirty days before is 11 January, noon.
    assert_eq!(at_launch(words, "2026-01-11T12:00:00Z"), recent);
    assert_eq!(at_launch(words, "2026-01-11T11:59:59Z"), []);
    assert_eq!(
        at_launch(words, "2026-03-01T00:00:00Z"),
        recent,
        "a time to come"
    );
    assert_eq!(at_launch("", "2026-02-10T11:00:00Z"), []);
    assert_eq!(
        at_launch("recently_launched: 0d", "2026-02-10T12:00:00Z"),
        []
    );
}

#[test]
fn a_launch_that_ec2_does_not_report_yet_is_seen_at_the_instance() {
    // EC2 tells of a launch up to 24 hours late, and lists a terminated instance for an hour.
    let mut stage = Stage::with_words("recently_launched: 7d");
    let mut launched = instance("i-1", InstanceState::Terminated, "ami-1");
    launched.launched = Some(at("2026-02-10T11:30:00Z"));
    stage.inventory.instances.items.push(launched);
    let path = (ReasonCode::RecentlyLaunched, "ami-1 > i-1".to_owned());
    assert_eq!(told(&stage.ami()), [path]);
}
