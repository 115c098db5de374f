//! Verdicts on AMIs, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doubts;
mod leftovers;
mod limits;
mod orphans;
mod parts;
mod stage;
mod unproven;

use holdfast_core::id::{InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, InstanceState, MappingTarget, Snapshot, SnapshotState,
};
use holdfast_core::report::ReasonCode;
use jiff::SignedDuration;

use stage::{World, at, instance, template};

/// Five AMIs of one instance, a day apart; the policy keeps the newest two.
fn five() -> World {
    World::of("retain: { last: 2 }", 5)
}

#[test]
fn an_ami_that_no_rule_keeps_is_condemned_and_its_snapshots_are_no_items() {
    let world = five();
    let verdicts = world.verdicts();
    let ids: Vec<&str> = verdicts.iter().map(|v| v.subject.id()).collect();
    assert_eq!(
        ids,
        ["ami-4", "ami-3", "ami-2", "ami-1", "ami-0"],
        "oldest first"
    );
    assert_eq!(world.condemned(), ["ami-4", "ami-3", "ami-2"]);
    assert_eq!(world.codes("ami-4"), [ReasonCode::Expired]);
    assert_eq!(world.codes("ami-0"), [ReasonCode::RetainLast]);
    let item = verdicts[0].item(holdfast_core::report::Outcome::Planned);
    assert_eq!(item.source.as_deref(), Some("i-1"));
    assert_eq!(item.time, Some(at("2026-02-06T03:00:00Z")));
}

#[test]
fn unmanaged_images_are_no_items_and_deregistered_ones_are_none_any_more() {
    let mut world = five();
    world.images[1].tags.remove("holdfast:managed");
    world.images[4].state = ImageState::Deregistered;
    let verdicts = world.verdicts();
    let ids: Vec<&str> = verdicts.iter().map(|v| v.subject.id()).collect();
    assert_eq!(
        ids,
        ["snap-4-0", "ami-3", "ami-2", "snap-1-0", "ami-0"],
        "what they were made with is named at once"
    );
    let gone = [ReasonCode::Orphaned, ReasonCode::UsedByImage];
    for (snapshot, image, codes) in [
        ("snap-4-0", "ami-4", &gone[..]),
        ("snap-1-0", "ami-1", &gone[1..]),
    ] {
        assert_eq!(world.codes(snapshot), codes, "{image} stands if untagged");
        let verdict = world.verdict(snapshot);
        let path = &verdict.reasons()[codes.len() - 1].path;
        assert_eq!(path, &[snapshot, image]);
    }
}

#[test]
fn an_ami_in_any_other_state_than_available_is_no_good_backup_and_only_a_failed_one_goes() {
    for (state, code, goes) in [
        (ImageState::Pending, ReasonCode::Pending, false),
        (ImageState::Disabled, ReasonCode::Disabled, false),
        (ImageState::Failed, ReasonCode::FailedBackup, true),
        (ImageState::Invalid, ReasonCode::UnknownState, false),
        (ImageState::Transient, ReasonCode::UnknownState, false),
        (ImageState::Error, ReasonCode::UnknownState, false),
        (
            ImageState::Unknown("new".into()),
            ReasonCode::UnknownState,
            false,
        ),
    ] {
        let mut world = five();
        world.images[0].state = state.clone();
        assert_eq!(world.codes("ami-0"), [code], "{state}");
        assert_eq!(
            world.condemned().contains(&"ami-0".to_owned()),
            goes,
            "{state}"
        );
        // It uses no place: the two after it are kept.
        assert_eq!(world.codes("ami-2"), [ReasonCode::RetainLast], "{state}");
        assert!(!world.verdict("ami-0").good);
    }
}

#[test]
fn an_ami_that_nothing_can_be_launched_from_is_held_and_uses_no_place() {
    type Break = fn(&mut World);
    let cases: [(&str, Break, ReasonCode); 8] = [
        (
            "a snapshot is gone",
            |w| {
                w.snapshots.remove(0);
            },
            ReasonCode::SnapshotMissing,
        ),
        (
            "a snapshot is pending",
            |w| w.snapshots[0].state = SnapshotState::Pending,
            ReasonCode::Pending,
        ),
        (
            "a snapshot failed",
            |w| w.snapshots[0].state = SnapshotState::Error,
            ReasonCode::FailedBackup,
        ),
        (
            "a snapshot is in the Recycle Bin",
            |w| w.snapshots[0].state = SnapshotState::Recoverable,
            ReasonCode::UnknownState,
        ),
        (
            "a device without a snapshot",
            |w| w.images[0].mappings[0].target = MappingTarget::Ebs(None),
            ReasonCode::EvidenceIncomplete,
        ),
        (
            "instance-store devices only",
            |w| {
                w.images[0].mappings = vec![ImageMapping {
                    device: "/dev/sdb".into(),
                    target: MappingTarget::InstanceStore("ephemeral0".into()),
                }];
            },
            ReasonCode::EvidenceIncomplete,
        ),
        (
            "no devices",
            |w| w.images[0].mappings.clear(),
            ReasonCode::EvidenceIncomplete,
        ),
        (
            "no creation date",
            |w| w.images[0].created = None,
            ReasonCode::EvidenceIncomplete,
        ),
    ];
    for (case, spoil, code) in cases {
        let mut world = five();
        spoil(&mut world);
        assert_eq!(world.codes("ami-0"), [code], "{case}");
        assert_eq!(world.codes("ami-2"), [ReasonCode::RetainLast], "{case}");
        assert!(!world.verdict("ami-0").good, "{case}");
    }
    let mut world = five();
    world.snapshots.remove(0);
    let verdict = world.verdict("ami-0");
    assert!(
        verdict.reasons()[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("snap-0-0")
    );
}

#[test]
fn an_instance_store_device_beside_ebs_ones_spoils_nothing() {
    let mut world = five();
    for image in &mut world.images {
        image.mappings.push(ImageMapping {
            device: "/dev/sdy".into(),
            target: MappingTarget::InstanceStore("ephemeral0".into()),
        });
        image.mappings.push(ImageMapping {
            device: "/dev/sdz".into(),
            target: MappingTarget::NoDevice,
        });
    }
    assert_eq!(world.condemned(), ["ami-4", "ami-3", "ami-2"]);
}

/// It went with the AMI, pinned as it was, and no record told of it.
#[test]
fn an_ami_with_a_device_of_which_nobody_knows_what_it_is_made_from_is_held() {
    let mut world = five();
    world.images[4].mappings.push(ImageMapping {
        device: "/dev/sdz".into(),
        target: MappingTarget::Unknown,
    });
    assert_eq!(world.condemned(), ["ami-3", "ami-2"]);
    assert_eq!(world.codes("ami-4"), [ReasonCode::EvidenceIncomplete]);
}

#[test]
fn what_may_be_a_copy_is_held_because_its_date_is_not_that_of_what_it_holds() {
    type Change = fn(&mut Image);
    let cases: [(&str, Change); 6] = [
        ("no instance", |i| i.source_instance = None),
        ("another name", |i| i.name = Some("golden".into())),
        ("no name", |i| i.name = None),
        ("another instance", |i| {
            i.source_instance = Some(InstanceId::new("i-2"))
        }),
        ("no slot", |i| {
            i.tags.remove("holdfast:slot");
        }),
        ("no source", |i| {
            i.tags.remove("holdfast:source");
        }),
    ];
    for (case, change) in cases {
        let mut world = five();
        change(&mut world.images[4]);
        assert_eq!(
            world.codes("ami-4"),
            [ReasonCode::EvidenceIncomplete],
            "{case}"
        );
    }
    // A later attempt is an original.
    let mut world = five();
    world.images[4].name = Some("holdfast/p/i-1/20260206T030000Z/3".into());
    assert_eq!(world.codes("ami-4"), [ReasonCode::Expired]);
}

#[test]
fn whose_it_is_decides_before_anything_else() {
    let held = |change: fn(&mut World), code| {
        let mut world = five();
        change(&mut world);
        assert_eq!(world.codes("ami-4"), [code]);
    };
    held(
        |w| w.images[4].owner = Some("999999999999".into()),
        ReasonCode::NotManaged,
    );
    held(|w| w.images[4].owner = None, ReasonCode::NotManaged);
    held(
        |w| w.tag("aws:backup:source-resource", "x"),
        ReasonCode::ManagedByOther,
    );
    held(
        |w| w.tag("holdfast:artifact", "snapshot"),
        ReasonCode::NotManaged,
    );
    held(
        |w| w.tag("holdfast:policy", "elsewhere"),
        ReasonCode::PolicyUnknown,
    );
    held(
        |w| w.policies = stage::policies("volumes", "retain: { last: 2 }"),
        ReasonCode::PolicyChanged,
    );
}

#[test]
fn a_condemned_ami_is_held_by_everything_that_needs_it_with_its_path() {
    let mut world = five();
    world
        .instances
        .push(instance("i-9", InstanceState::Stopped, Some("ami-4")));
    world
        .instances
        .push(instance("i-8", InstanceState::Terminated, Some("ami-3")));
    world
        .templates
        .extend([template("lt-1", 1, "ami-2"), template("lt-1", 3, "ami-2")]);
    let reasons = world.verdict("ami-4").reasons().to_vec();
    assert_eq!(reasons[0].code, ReasonCode::UsedByInstance);
    assert_eq!(reasons[0].path, ["ami-4", "i-9"]);
    let reasons = world.verdict("ami-2").reasons().to_vec();
    assert_eq!(reasons[0].code, ReasonCode::UsedByLaunchTemplate);
    assert_eq!(reasons[0].path, ["ami-2", "lt-1"]);
    assert_eq!(reasons[0].detail.as_deref(), Some("lt-1 versions 1, 3"));
    assert_eq!(
        world.condemned(),
        ["ami-3"],
        "a terminated instance needs nothing"
    );
}

#[test]
fn a_launch_template_that_names_a_backing_snapshot_holds_the_ami() {
    let mut world = five();
    let mut version = template("lt-1", 2, "ami-elsewhere");
    version.snapshots = vec![SnapshotId::new("snap-4-0")];
    world.templates.push(version);
    let reasons = world.verdict("ami-4").reasons().to_vec();
    assert_eq!(reasons[0].path, ["ami-4", "snap-4-0", "lt-1"]);
}

#[test]
fn pins_and_protection_hold_a_condemned_ami() {
    type Change = fn(&mut World);
    let cases: [(Change, ReasonCode); 5] = [
        (|w| w.tag("holdfast:pin", "x"), ReasonCode::Pinned),
        (
            |w| w.images[4].deregistration_protected = true,
            ReasonCode::DeregistrationProtected,
        ),
        (
            |w| {
                w.snapshots[4]
                    .tags
                    .insert("holdfast:pin".into(), "x".into());
            },
            ReasonCode::Pinned,
        ),
        (|w| w.pin_volume("vol-1"), ReasonCode::Pinned),
        (
            |w| {
                let mut source = instance("i-1", InstanceState::Running, Some("ami-elsewhere"));
                source.tags.insert("holdfast:pin".into(), "x".into());
                w.instances.push(source);
            },
            ReasonCode::Pinned,
        ),
    ];
    for (change, code) in cases {
        let mut world = five();
        change(&mut world);
        assert_eq!(world.codes("ami-4"), [code]);
    }
    let mut paused = five();
    paused.policies = stage::policies("instances", "retain: { last: 2 }\n    state: paused");
    assert_eq!(paused.codes("ami-4"), [ReasonCode::PolicyPaused]);
}

#[test]
fn a_backing_snapshot_that_is_not_ours_to_delete_holds_its_ami() {
    type Change = fn(&mut Snapshot);
    let cases: [(Change, ReasonCode); 5] = [
        (|s| s.tags.clear(), ReasonCode::NotManaged),
        (
            |s| {
                s.tags
                    .insert("aws:dlm:lifecycle-policy-id".into(), "x".into());
            },
            ReasonCode::ManagedByOther,
        ),
        (
            |s| s.owner_alias = Some("aws-backup-vault".into()),
            ReasonCode::ManagedByOther,
        ),
        // A backup of its own, which another policy may keep.
        (
            |s| {
                s.tags.insert("holdfast:artifact".into(), "snapshot".into());
            },
            ReasonCode::NotManaged,
        ),
        // Perhaps all that is left of another instance's AMI.
        (
            |s| {
                s.tags.insert("holdfast:source".into(), "i-2".into());
            },
            ReasonCode::NotManaged,
        ),
    ];
    for (change, code) in cases {
        let mut world = five();
        change(&mut world.snapshots[4]);
        assert_eq!(world.codes("ami-4"), [code]);
        assert_eq!(
            world.verdict("ami-4").reasons()[0].path,
            ["ami-4", "snap-4-0"]
        );
    }
}

#[test]
fn a_snapshot_without_tags_counts_as_there_but_does_not_go() {
    let mut world = five();
    let mut kept = world.snapshots.remove(0);
    kept.tags.clear();
    world.mapped.push(kept);
    assert_eq!(world.codes("ami-0"), [ReasonCode::RetainLast]);
    // Whether it is there is not known when its list was not read.
    world.mapped.clear();
    world.mapped_failed = true;
    assert_eq!(world.codes("ami-0"), [ReasonCode::EvidenceIncomplete]);
}

#[test]
fn another_ami_over_the_same_snapshot_holds_neither() {
    let mut world = five();
    let shared = world.images[4].mappings[0].clone();
    world.images[3].mappings.push(shared);
    assert_eq!(world.condemned(), ["ami-4", "ami-3", "ami-2"]);
}

#[test]
fn images_are_grouped_by_instance_by_policy_or_by_tag() {
    let grouped = |group: &str| {
        let rules = format!("retain: {{ last: 1 }}\n    group: {group}");
        let mut world = World::of(&rules, 4);
        for n in [2, 3] {
            world.remake(n, "i-2");
        }
        world.images[1]
            .tags
            .insert("holdfast:group".into(), "web".into());
        world.images[2]
            .tags
            .insert("holdfast:group".into(), "web".into());
        world.condemned()
    };
    assert_eq!(grouped("source"), ["ami-3", "ami-1"]);
    assert_eq!(grouped("policy"), ["ami-3", "ami-2", "ami-1"]);
    assert_eq!(grouped("{ tag: Role }"), ["ami-2"]);
}

#[test]
fn images_of_one_run_are_no_set() {
    let mut world = World::of("retain: { last: 1 }", 2);
    let run = world.images[0].tags["holdfast:run"].clone();
    let slot = world.images[0].tags["holdfast:slot"].clone();
    world.images[1].tags.insert("holdfast:run".into(), run);
    world.images[1].tags.insert("holdfast:slot".into(), slot);
    world.images[1].name = Some("holdfast/p/i-1/20260210T030000Z/2".into());
    assert_eq!(world.condemned(), ["ami-1"]);
}

#[test]
fn the_last_amis_of_a_gone_instance_go_only_while_no_list_shows_it() {
    let rules = "retain: { last: 2 }\n    source_gone: { delete_after: 30d }";
    let mut world = World::of(rules, 3);
    for image in &mut world.images {
        image.created = image
            .created
            .map(|t| t - SignedDuration::from_hours(24 * 40));
    }
    world
        .gone_since
        .insert("i-1".into(), at("2026-01-01T00:00:00Z"));
    assert_eq!(world.condemned(), ["ami-2", "ami-1", "ami-0"]);
    assert_eq!(world.codes("ami-0"), [ReasonCode::SourceGone]);
    // The table may be wrong; what is listed is there.
    world.instances.push(instance(
        "i-1",
        InstanceState::Stopped,
        Some("ami-elsewhere"),
    ));
    assert_eq!(world.condemned(), ["ami-2"]);
    world.instances.clear();
    world.instances_failed = true;
    assert!(world.condemned().is_empty());
    assert_eq!(
        world.codes("ami-0"),
        [ReasonCode::RetainLast],
        "not even condemned and held"
    );
}

#[test]
fn a_future_dated_ami_of_a_gone_instance_is_kept() {
    let rules = "retain: { last: 1 }\n    source_gone: { delete_after: 30d }";
    let mut world = World::of(rules, 1);
    world.images[0].created = Some(at("2027-01-01T00:00:00Z"));
    world
        .gone_since
        .insert("i-1".into(), at("2026-01-01T00:00:00Z"));
    assert_eq!(world.codes("ami-0"), [ReasonCode::FutureDated]);
}

#[test]
fn sources_are_the_instance_and_the_volumes_behind_the_snapshots() {
    let mut world = five();
    world.snapshots[4].volume = Some(VolumeId::new("vol-7"));
    let verdict = world.verdict("ami-4");
    let sources: Vec<&str> = verdict.subject.sources().into_iter().collect();
    assert_eq!(sources, ["i-1", "vol-7"]);
}
