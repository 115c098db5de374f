//! Who refers to an AMI or a snapshot, referrer by referrer, each with its path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod reported;
mod stage;
mod unread;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::dependency::References;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    FastRestore, ImageMapping, ImageState, InstanceState, MappingTarget, ReferrerKind,
    SnapshotLock, SnapshotState, TemplateName, TemplateUse,
};
use holdfast_core::report::ReasonCode;

use stage::{Stage, at, group, image, instance, referrer, snapshot, told, version};

fn one(code: ReasonCode, path: &str) -> Vec<stage::Told> {
    vec![(code, path.to_owned())]
}

#[test]
fn nothing_refers_to_what_nothing_names() {
    let stage = Stage::new();
    assert!(stage.ami().is_empty());
    assert!(stage.snapshot("snap-9").is_empty());
}

#[test]
fn an_instance_in_any_state_but_terminated_holds_its_ami_unless_the_policy_says_otherwise() {
    for state in [
        "pending",
        "running",
        "stopping",
        "stopped",
        "shutting-down",
        "hovering",
    ] {
        let mut stage = Stage::new();
        let launched = instance("i-1", InstanceState::parse(state), "ami-1");
        stage.inventory.instances.items.push(launched);
        let expected = one(ReasonCode::UsedByInstance, "ami-1 > i-1");
        assert_eq!(told(&stage.ami()), expected, "{state}");
        let through = (
            ReasonCode::UsedByInstance,
            "snap-1 > ami-1 > i-1".to_owned(),
        );
        assert!(told(&stage.snapshot("snap-1")).contains(&through));
    }
}

#[test]
fn an_instance_of_which_nobody_tells_what_it_was_launched_from_holds_every_ami() {
    let mut stage = Stage::new();
    let mut launched = instance("i-1", InstanceState::Running, "ami-1");
    launched.image = None;
    stage.inventory.instances.items.push(launched);
    let expected = one(ReasonCode::EvidenceIncomplete, "ami-1 > i-1");
    assert_eq!(told(&stage.ami()), expected);
    let detail = "i-1 (running): EC2 does not tell what it was launched from";
    assert_eq!(stage.ami()[0].detail.as_deref(), Some(detail));
    // A snapshot by itself is nothing that can be launched.
    assert_eq!(stage.snapshot("snap-9"), []);
    // By the default words a terminated one holds nothing, whatever it was launched from.
    stage.inventory.instances.items[0].state = InstanceState::Terminated;
    assert_eq!(stage.ami(), []);
}

#[test]
fn a_source_in_a_state_nobody_knows_does_not_take_a_recorded_pin_off() {
    let mut stage = Stage::new();
    let states = ["running", "stopped", "terminated", "hovering", ""];
    for (n, state) in states.iter().enumerate() {
        let id = format!("i-{n}");
        let listed = instance(&id, InstanceState::parse(state), "ami-1");
        stage.inventory.instances.items.push(listed);
    }
    let pins = stage.inventory.listed_pins();
    let told: Vec<Option<bool>> = pins.into_values().collect();
    assert_eq!(told, [Some(false), Some(false), None, None, None]);
}

#[test]
fn an_ami_in_any_state_holds_its_snapshots() {
    for state in [
        "available",
        "pending",
        "disabled",
        "failed",
        "deregistered",
        "hovering",
    ] {
        let mut stage = Stage::new();
        stage
            .inventory
            .images
            .items
            .update(0, |i| i.state = ImageState::parse(state));
        stage
            .inventory
            .images
            .items
            .update(0, |i| i.deprecated = Some(at("2026-01-02T00:00:00Z")));
        let expected = one(ReasonCode::UsedByImage, "snap-1 > ami-1");
        assert_eq!(told(&stage.snapshot("snap-1")), expected, "{state}");
    }
}

#[test]
fn a_template_holds_by_its_image_by_its_devices_and_by_what_its_parameter_resolves_to() {
    let mut stage = Stage::new();
    let mut by_device = version(2, "ami-elsewhere");
    by_device.snapshots = vec![SnapshotId::new("snap-9"), SnapshotId::new("snap-1")];
    let mut by_parameter = version(3, "resolve:ssm:/golden:7");
    by_parameter.resolved = Some(ImageId::new("ami-1"));
    stage.versions([version(1, "ami-1"), by_device, by_parameter]);
    let code = ReasonCode::UsedByLaunchTemplate;
    let reasons = stage.ami();
    let by_detail: BTreeMap<&str, String> = reasons
        .iter()
        .map(|r| (r.detail.as_deref().unwrap(), r.path.join(" > ")))
        .collect();
    let expected = [
        ("lt-1 versions 1, 3", "ami-1 > lt-1".to_owned()),
        ("lt-1 version 2", "ami-1 > snap-1 > lt-1".to_owned()),
    ];
    assert_eq!(by_detail, BTreeMap::from(expected));
    assert!(reasons.iter().all(|r| r.code == code));
    assert_eq!(told(&stage.snapshot("snap-9")), one(code, "snap-9 > lt-1"));
    assert_eq!(
        stage.snapshot("snap-9")[0].detail.as_deref(),
        Some("lt-1 version 2")
    );
}

#[test]
fn a_launch_configuration_holds_what_it_names_and_so_does_the_group_that_launches_it() {
    let mut stage = Stage::new();
    let mut configuration = referrer(ReferrerKind::LaunchConfiguration, "lc-1");
    configuration.images = vec!["ami-1".into()];
    configuration.snapshots = vec![SnapshotId::new("snap-9")];
    stage.configurations(configuration);
    let mut group = referrer(ReferrerKind::AutoScalingGroup, "asg-1");
    group.launch_configuration = Some("lc-1".into());
    stage.groups(group);
    let (by_configuration, by_group) = (
        ReasonCode::UsedByLaunchConfiguration,
        ReasonCode::UsedByAutoScalingGroup,
    );
    assert_eq!(
        told(&stage.ami()),
        [
            (by_configuration, "ami-1 > lc-1".into()),
            (by_group, "ami-1 > lc-1 > asg-1".into()),
        ]
    );
    assert_eq!(
        told(&stage.snapshot("snap-9")),
        [
            (by_configuration, "snap-9 > lc-1".into()),
            (by_group, "snap-9 > lc-1 > asg-1".into()),
        ]
    );
}

#[test]
fn a_group_holds_the_amis_of_its_overrides() {
    let mut stage = Stage::new();
    let mut group = referrer(ReferrerKind::AutoScalingGroup, "asg-1");
    group.images = vec!["ami-elsewhere".into(), "ami-1".into()];
    stage.groups(group);
    let expected = one(ReasonCode::UsedByAutoScalingGroup, "ami-1 > asg-1");
    assert_eq!(told(&stage.ami()), expected);
}

#[test]
fn every_path_to_an_artifact_is_told() {
    let mut stage = Stage::new();
    stage.versions([version(1, "ami-1")]);
    stage.groups(group("asg-1", None));
    let launched = instance("i-1", InstanceState::Running, "ami-1");
    stage.inventory.instances.items.push(launched);
    assert_eq!(
        told(&stage.snapshot("snap-1")),
        [
            (ReasonCode::UsedByImage, "snap-1 > ami-1".into()),
            (ReasonCode::UsedByInstance, "snap-1 > ami-1 > i-1".into()),
            (
                ReasonCode::UsedByLaunchTemplate,
                "snap-1 > ami-1 > lt-1".into()
            ),
            (
                ReasonCode::UsedByAutoScalingGroup,
                "snap-1 > ami-1 > lt-1 > asg-1".into()
            ),
        ]
    );
}

#[test]
fn fleets_and_spot_requests_hold_what_they_name_until_they_are_over() {
    let kinds = [
        (
            ReferrerKind::Fleet,
            &["submitted", "active", "modifying", "deleted_running", "new"][..],
            &["deleted", "failed"][..],
        ),
        (
            ReferrerKind::SpotFleet,
            &[
                "active",
                "cancelled_running",
                "cancelled_terminating",
                "new",
            ],
            &["cancelled", "failed"],
        ),
        (
            ReferrerKind::SpotRequest,
            &["open", "active", "disabled", "new"],
            &["closed", "cancelled", "failed"],
        ),
    ];
    for (kind, alive, over) in kinds {
        let holds = |state: Option<&str>| {
            let mut stage = Stage::new();
            let mut fleet = referrer(kind, "fleet-1");
            fleet.state = state.map(str::to_owned);
            fleet.images = vec!["ami-1".into()];
            fleet.snapshots = vec![SnapshotId::new("snap-9")];
            stage.fleets(fleet);
            let both = [told(&stage.ami()), told(&stage.snapshot("snap-9"))].concat();
            if both.is_empty() {
                return false;
            }
            let code = ReasonCode::UsedByFleet;
            assert_eq!(
                both,
                [
                    (code, "ami-1 > fleet-1".into()),
                    (code, "snap-9 > fleet-1".into())
                ]
            );
            true
        };
        assert!(holds(None), "{kind:?} without a state");
        assert!(alive.iter().all(|state| holds(Some(state))), "{kind:?}");
        assert!(!over.iter().any(|state| holds(Some(state))), "{kind:?}");
    }
}

#[test]
fn a_fleet_holds_through_the_template_version_that_it_launches() {
    let mut stage = Stage::new();
    stage.versions([version(1, "ami-elsewhere"), version(2, "ami-1")]);
    let mut fleet = referrer(ReferrerKind::Fleet, "fleet-1");
    fleet.templates.push(TemplateUse {
        template: TemplateName::Id("lt-1".into()),
        version: Some("2".into()),
    });
    stage.fleets(fleet);
    assert_eq!(
        told(&stage.ami()),
        [
            (ReasonCode::UsedByLaunchTemplate, "ami-1 > lt-1".into()),
            (ReasonCode::UsedByFleet, "ami-1 > lt-1 > fleet-1".into()),
        ]
    );
}

#[test]
fn what_is_being_copied_is_held_until_the_copy_is_done() {
    let mut stage = Stage::new();
    let mut copy = image("ami-copy", &[]);
    copy.state = ImageState::Pending;
    copy.source_instance = None;
    copy.source_image = Some(ImageId::new("ami-1"));
    stage.inventory.images.items.push(copy);
    let code = ReasonCode::CopyInProgress;
    assert_eq!(told(&stage.ami()), one(code, "ami-1 > ami-copy"));
    stage
        .inventory
        .images
        .items
        .update(1, |i| i.state = ImageState::parse("hovering"));
    assert_eq!(told(&stage.ami()), one(code, "ami-1 > ami-copy"));
    stage
        .inventory
        .images
        .items
        .update(1, |i| i.state = ImageState::Available);
    assert!(stage.ami().is_empty());
    // An image in the making of a machine names the AMI that the machine was launched from.
    stage
        .inventory
        .images
        .items
        .update(1, |i| *i = image("ami-made", &[]));
    stage
        .inventory
        .images
        .items
        .update(1, |i| i.state = ImageState::Pending);
    stage
        .inventory
        .images
        .items
        .update(1, |i| i.source_image = Some(ImageId::new("ami-1")));
    assert!(stage.ami().is_empty());
}

#[test]
fn a_pending_snapshot_whose_description_names_it_holds_a_snapshot_and_an_ami() {
    for (words, by_snapshot) in [
        ("[Copied snap-9 from eu-central-1]", true),
        (
            "Copied for DestinationAmi ami-2 from SourceAmi ami-1 for SourceSnapshot snap-8.",
            false,
        ),
    ] {
        let mut stage = Stage::new();
        let mut copy = snapshot("snap-new");
        copy.state = SnapshotState::Pending;
        copy.description = words.into();
        stage.inventory.pending.items.push(copy);
        let code = ReasonCode::CopyInProgress;
        if by_snapshot {
            assert_eq!(
                told(&stage.snapshot("snap-9")),
                one(code, "snap-9 > snap-new")
            );
        } else {
            assert_eq!(told(&stage.ami()), one(code, "ami-1 > snap-new"));
        }
        stage.inventory.pending.items[0].state = SnapshotState::Completed;
        assert!(
            stage.ami().is_empty() && stage.snapshot("snap-9").is_empty(),
            "{words}"
        );
    }
}

#[test]
fn fast_restore_in_any_state_but_disabled_holds_the_snapshot_and_the_ami_over_it() {
    for state in [
        "enabling",
        "optimizing",
        "enabled",
        "disabling",
        "new",
        "disabled",
    ] {
        let mut stage = Stage::new();
        let restores = ["snap-1", "snap-9"].map(|id| FastRestore {
            snapshot: SnapshotId::new(id),
            zone: "eu-central-1a".into(),
            state: state.into(),
        });
        stage
            .inventory
            .fast_restores
            .as_mut()
            .unwrap()
            .items
            .extend(restores);
        let both = [told(&stage.ami()), told(&stage.snapshot("snap-9"))].concat();
        let code = ReasonCode::FastRestoreEnabled;
        let expected = [
            (code, "ami-1 > snap-1".to_owned()),
            (code, "snap-9".to_owned()),
        ];
        let expected = if state == "disabled" {
            &[][..]
        } else {
            &expected
        };
        assert_eq!(both, expected, "{state}");
    }
}

#[test]
fn a_lock_that_has_not_expired_holds_the_snapshot_and_the_ami_over_it() {
    for state in [
        "governance",
        "compliance",
        "compliance-cooloff",
        "new",
        "expired",
    ] {
        let mut stage = Stage::new();
        let locks = ["snap-1", "snap-9"].map(|id| SnapshotLock {
            snapshot: SnapshotId::new(id),
            state: state.into(),
            expires: None,
        });
        stage.inventory.locks.items.extend(locks);
        let both = [told(&stage.ami()), told(&stage.snapshot("snap-9"))].concat();
        let code = ReasonCode::Locked;
        let expected = [
            (code, "ami-1 > snap-1".to_owned()),
            (code, "snap-9".to_owned()),
        ];
        let expected = if state == "expired" {
            &[][..]
        } else {
            &expected
        };
        assert_eq!(both, expected, "{state}");
    }
}

#[test]
fn an_ami_in_the_recycle_bin_holds_the_snapshots_that_it_is_recorded_to_be_made_of() {
    let stage = Stage::new();
    let bin = BTreeSet::from([ImageId::new("ami-binned")]);
    let binned = BTreeMap::from([
        ("snap-1".to_owned(), bin.clone()),
        ("snap-9".to_owned(), bin),
    ]);
    let graph = References::new(&stage.inventory).with_binned(&binned);
    let code = ReasonCode::InRecycleBin;
    let held = graph.holders_of_snapshot(&SnapshotId::new("snap-9"), &stage.words());
    assert_eq!(told(&held), one(code, "snap-9 > ami-binned"));
    let image = &stage.inventory.images.items.get(0).unwrap();
    let held = graph.holders_of_image_with_snapshots(image, std::iter::empty(), &stage.words());
    assert_eq!(told(&held), one(code, "ami-1 > snap-1 > ami-binned"));
}

#[test]
fn what_needs_a_snapshot_that_goes_along_unmapped_holds_the_ami() {
    // A failed AMI may not name its snapshots any more.
    let mut stage = Stage::new();
    stage.inventory.locks.items.push(SnapshotLock {
        snapshot: SnapshotId::new("snap-9"),
        state: "governance".into(),
        expires: None,
    });
    let graph = References::new(&stage.inventory);
    let along = SnapshotId::new("snap-9");
    let image = &stage.inventory.images.items.get(0).unwrap();
    let held =
        graph.holders_of_image_with_snapshots(image, std::iter::once(&along), &stage.words());
    assert_eq!(told(&held), one(ReasonCode::Locked, "ami-1 > snap-9"));
}

#[test]
fn an_ami_that_everybody_may_launch_is_shared() {
    let mut stage = Stage::new();
    stage.inventory.images.items.update(0, |i| i.public = true);
    assert_eq!(
        told(&stage.ami()),
        one(ReasonCode::SharedWithAccount, "ami-1")
    );
}

#[test]
fn shapes_never_seen_are_kept_and_named() {
    let mut stage = Stage::new();
    let mut odd = image("ami-odd", &[]);
    odd.state = ImageState::parse("");
    odd.mappings = vec![
        ImageMapping {
            device: String::new(),
            target: MappingTarget::Unknown,
        },
        ImageMapping {
            device: String::new(),
            target: MappingTarget::Ebs(None),
        },
        ImageMapping {
            device: "/dev/sdb".into(),
            target: MappingTarget::InstanceStore("ephemeral0".into()),
        },
        ImageMapping {
            device: "/dev/sdc".into(),
            target: MappingTarget::Ebs(Some(SnapshotId::new("snap-9"))),
        },
    ];
    stage.inventory.images.items.push(odd);
    let expected = one(ReasonCode::UsedByImage, "snap-9 > ami-odd");
    assert_eq!(told(&stage.snapshot("snap-9")), expected);
    // A template that names no image at all names none; one that names no AMI may name any.
    let mut nothing = version(1, "");
    nothing.image = None;
    stage.versions([nothing]);
    assert!(stage.ami().is_empty());
    stage.versions([version(2, "something new")]);
    assert_eq!(
        told(&stage.ami()),
        one(ReasonCode::EvidenceIncomplete, "ami-1 > lt-1")
    );
    // So may a fleet.
    let mut fleet = referrer(ReferrerKind::Fleet, "fleet-1");
    fleet.images = vec!["resolve:ssm:/golden:7".into()];
    stage.fleets(fleet);
    let doubt = (ReasonCode::EvidenceIncomplete, "ami-1 > fleet-1".to_owned());
    assert!(told(&stage.ami()).contains(&doubt));
}
