//! What may be adopted, with which tags, and what a sweep thinks of it then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;
mod whose;

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, MappingTarget, SnapshotState};
use holdfast_core::plan::adopt::Proposed;
use holdfast_core::plan::judge::{Decision, Verdict};
use holdfast_core::report::ReasonCode;

use stage::{Stage, ami, denied, policies, snapshot, tags, volume};

const TIME: &str = "2026-02-01T03:00:00Z";

#[test]
fn a_snapshot_gets_the_contracts_tags_with_its_volume_and_its_time_to_the_second() {
    let taggings = Stage::snapshot(|_| {}).taggings("snap-1");
    assert_eq!(taggings.len(), 1);
    assert_eq!(taggings[0].resources, ["snap-1"]);
    let expected = tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", "snapshot"),
        ("holdfast:policy", "vols"),
        ("holdfast:source", "vol-1"),
        ("holdfast:slot", TIME),
        ("holdfast:run", "adopt-1"),
    ]);
    assert_eq!(taggings[0].tags, expected);
}

#[test]
fn an_amis_snapshots_are_tagged_before_the_ami_and_only_the_ami_names_itself() {
    let taggings = Stage::image(|_, _| {}).taggings("ami-1");
    let of = |kind: &str| {
        tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", kind),
            ("holdfast:policy", "bake"),
            ("holdfast:source", "i-1"),
            ("holdfast:slot", TIME),
            ("holdfast:run", "adopt-1"),
        ])
    };
    let mut image = of("image");
    image.insert("holdfast:adopted".into(), "ami-1".into());
    assert_eq!(taggings.len(), 2);
    assert_eq!(taggings[0].resources, ["snap-1", "snap-2"]);
    assert_eq!(taggings[0].tags, of("image-snapshot"));
    assert_eq!(taggings[1].resources, ["ami-1"]);
    assert_eq!(taggings[1].tags, image);
}

#[test]
fn the_group_is_the_policys_rule_over_what_the_source_has_today() {
    let group = |more: &str, pairs: &[(&str, &str)]| {
        let mut stage = Stage::snapshot(|_| {});
        stage.policies = policies(more);
        stage.inventory.volumes.items = vec![volume("vol-1", pairs)];
        stage.taggings("snap-1")[0]
            .tags
            .get("holdfast:group")
            .cloned()
    };
    assert_eq!(group("", &[("Role", "db")]), None);
    assert_eq!(group("group: policy", &[]).as_deref(), Some("vols"));
    let by_tag = "group: { tag: Role }";
    assert_eq!(group(by_tag, &[("Role", "db")]).as_deref(), Some("db"));
    assert_eq!(
        group(by_tag, &[]),
        None,
        "a group of its own, which keeps more"
    );
}

#[test]
fn what_another_service_may_still_manage_is_refused() {
    for key in [
        ("aws:dlm:lifecycle-policy-id", "policy-1"),
        ("aws:backup:source-resource", "x"),
        ("Ec2ImageBuilderArn", "arn:x"),
        ("CreatedBy", "EC2 Image Builder"),
    ] {
        let stage = Stage::snapshot(|s| s.tags = tags(&[key]));
        assert_eq!(
            stage.refused("snap-1").code,
            ReasonCode::ManagedByOther,
            "{key:?}"
        );
        let stage = Stage::image(|i, _| i.tags = tags(&[key]));
        assert_eq!(
            stage.refused("ami-1").code,
            ReasonCode::ManagedByOther,
            "{key:?}"
        );
        let stage = Stage::image(|_, s| s[1].tags = tags(&[key]));
        assert_eq!(
            stage.refused("ami-1").code,
            ReasonCode::ManagedByOther,
            "{key:?}"
        );
    }
    let vault = |alias: &mut Option<String>| *alias = Some("aws-backup-vault".into());
    let stage = Stage::snapshot(|s| vault(&mut s.owner_alias));
    assert_eq!(stage.refused("snap-1").code, ReasonCode::ManagedByOther);
    let stage = Stage::image(|_, s| vault(&mut s[0].owner_alias));
    assert_eq!(stage.refused("ami-1").code, ReasonCode::ManagedByOther);
    // A tag of somebody's own that merely has the same key.
    let stage = Stage::snapshot(|s| s.tags = tags(&[("CreatedBy", "alice")]));
    assert_eq!(stage.taggings("snap-1").len(), 1);
}

#[test]
fn another_accounts_is_refused_and_so_is_what_is_not_there() {
    let other = || Some("999988887777".to_owned());
    let stage = Stage::snapshot(|s| s.owner = other());
    assert_eq!(stage.refused("snap-1").code, ReasonCode::NotManaged);
    let stage = Stage::image(|i, _| i.owner = other());
    assert_eq!(stage.refused("ami-1").code, ReasonCode::NotManaged);
    let stage = Stage::image(|_, s| s[0].owner = other());
    assert_eq!(stage.refused("ami-1").code, ReasonCode::NotManaged);
    let mut stage = Stage::snapshot(|_| {});
    assert_eq!(stage.refused("snap-9").code, ReasonCode::NotFound);
    stage.snapshots.error = Some(denied());
    assert_eq!(stage.refused("snap-9").code, ReasonCode::EvidenceIncomplete);
}

#[test]
fn only_what_is_complete_can_be_adopted() {
    for (state, code) in [
        (SnapshotState::Pending, ReasonCode::Pending),
        (SnapshotState::Error, ReasonCode::FailedBackup),
        (SnapshotState::Recovering, ReasonCode::UnknownState),
        (
            SnapshotState::Unknown("new".into()),
            ReasonCode::UnknownState,
        ),
    ] {
        let of_snapshot = Stage::snapshot(|s| s.state = state.clone());
        assert_eq!(of_snapshot.refused("snap-1").code, code);
        let of_image = Stage::image(|_, s| s[1].state = state.clone());
        assert_eq!(of_image.refused("ami-1").code, code);
    }
    for (state, code) in [
        (ImageState::Pending, ReasonCode::Pending),
        (ImageState::Failed, ReasonCode::FailedBackup),
        (ImageState::Disabled, ReasonCode::Disabled),
        (ImageState::Deregistered, ReasonCode::UnknownState),
        (ImageState::Unknown("new".into()), ReasonCode::UnknownState),
    ] {
        let stage = Stage::image(|i, _| i.state = state.clone());
        assert_eq!(stage.refused("ami-1").code, code);
    }
}

#[test]
fn a_copy_and_an_ami_of_no_instance_are_refused() {
    let copy = Stage::snapshot(|s| s.volume = Some(VolumeId::new("vol-ffffffff")));
    assert_eq!(copy.refused("snap-1").code, ReasonCode::EvidenceIncomplete);
    let registered = Stage::image(|i, _| i.source_instance = None);
    assert_eq!(
        registered.refused("ami-1").code,
        ReasonCode::EvidenceIncomplete
    );
}

#[test]
fn a_snapshot_that_an_ami_maps_is_refused_in_favour_of_the_ami() {
    let mut stage = Stage::snapshot(|_| {});
    let mut image = ami("ami-7", None, &["snap-1"], TIME);
    image.state = ImageState::Disabled;
    stage.inventory.images.items = vec![image].into();
    let reason = stage.refused("snap-1");
    assert_eq!(reason.code, ReasonCode::UsedByImage);
    assert_eq!(reason.path, ["snap-1", "ami-7"]);
}

#[test]
fn a_snapshot_is_refused_while_an_ami_that_maps_it_may_be_hidden() {
    let mut stage = Stage::snapshot(|_| {});
    stage.inventory.images.error = Some(denied());
    assert_eq!(stage.refused("snap-1").code, ReasonCode::EvidenceIncomplete);
    let mut stage =
        Stage::snapshot(|s| s.description = "Created by CreateImage(i-1) for ami-7".into());
    assert_eq!(
        stage.taggings("snap-1").len(),
        1,
        "that AMI is gone for good"
    );
    stage.bin("ami-7");
    assert_eq!(stage.refused("snap-1").code, ReasonCode::InRecycleBin);
    let bin = stage.inventory.recycle_bin.as_mut().unwrap();
    bin.items.clear();
    bin.error = Some(denied());
    assert_eq!(stage.refused("snap-1").code, ReasonCode::EvidenceIncomplete);
}

#[test]
fn what_the_policy_does_not_make_is_refused() {
    let mut stage = Stage::snapshot(|_| {});
    stage.policy = "bake";
    assert_eq!(stage.refused("snap-1").code, ReasonCode::NotPicked);
    let mut stage = Stage::image(|_, _| {});
    stage.policy = "vols";
    assert_eq!(stage.refused("ami-1").code, ReasonCode::NotPicked);
}

#[test]
fn an_ami_with_a_snapshot_missing_or_unnamed_is_refused() {
    let stage = Stage::image(|_, s| drop(s.pop()));
    assert_eq!(stage.refused("ami-1").code, ReasonCode::SnapshotMissing);
    let stage = Stage::image(|i, _| i.mappings[1].target = MappingTarget::Ebs(None));
    assert_eq!(stage.refused("ami-1").code, ReasonCode::EvidenceIncomplete);
    let stage = Stage::image(|i, _| i.mappings.clear());
    assert_eq!(stage.refused("ami-1").code, ReasonCode::EvidenceIncomplete);
}

#[test]
fn more_tags_than_ec2_allows_are_not_tried_and_awss_own_do_not_count() {
    let many = |count: usize, prefix: &str| {
        (0..count)
            .map(|n| (format!("{prefix}{n:02}"), "x".to_owned()))
            .collect::<Vec<_>>()
    };
    // Six are written.
    let stage = Stage::snapshot(|s| s.tags.extend(many(45, "k")));
    assert_eq!(stage.refused("snap-1").code, ReasonCode::ResourceLimit);
    let stage = Stage::snapshot(|s| {
        s.tags.extend(many(44, "k"));
        s.tags.extend(many(5, "aws:x"));
    });
    assert_eq!(stage.taggings("snap-1").len(), 1);
}

#[test]
fn what_is_the_policys_already_needs_nothing_and_another_policys_is_refused() {
    let mut stage = Stage::image(|i, _| {
        i.tags = tags(&[("holdfast:managed", "true"), ("holdfast:policy", "oven")]);
    });
    let proposed = stage.propose(&["ami-1"]).remove(0).proposed;
    assert!(
        matches!(proposed, Proposed::Already(_)),
        "bake was the oven: {proposed:?}"
    );
    let image = &mut stage.images.items[0];
    image.tags.insert("holdfast:policy".into(), "other".into());
    assert_eq!(stage.refused("ami-1").code, ReasonCode::NotPicked);
}

#[test]
fn an_adoption_that_was_cut_off_after_the_snapshots_is_finished_by_the_same_command() {
    let first = Stage::image(|_, _| {}).taggings("ami-1");
    let cut = Stage::image(|_, snapshots| {
        for snapshot in snapshots {
            snapshot.tags = first[0].tags.clone();
            snapshot
                .tags
                .insert("holdfast:run".into(), "adopt-0".into());
        }
    });
    assert_eq!(cut.taggings("ami-1"), first);
}

#[test]
fn a_backing_snapshot_that_is_a_backup_of_its_own_or_of_another_source_refuses_its_ami() {
    for pairs in [
        [
            ("holdfast:artifact", "snapshot"),
            ("holdfast:source", "i-1"),
        ],
        [
            ("holdfast:artifact", "image-snapshot"),
            ("holdfast:source", "i-2"),
        ],
    ] {
        let stage = Stage::image(|_, s| {
            s[0].tags = tags(&pairs);
            s[0].tags.extend(tags(&[
                ("holdfast:managed", "true"),
                ("holdfast:policy", "bake"),
            ]));
        });
        assert_eq!(
            stage.refused("ami-1").code,
            ReasonCode::NotPicked,
            "{pairs:?}"
        );
    }
}

#[test]
fn two_amis_over_one_snapshot_share_its_tags_if_they_are_of_one_instance() {
    let stage = |second: &str| {
        let snapshots = vec![snapshot("snap-1", "vol-1", TIME)];
        let images = vec![
            ami("ami-1", Some("i-1"), &["snap-1"], TIME),
            ami("ami-2", Some(second), &["snap-1"], "2026-02-02T03:00:00Z"),
        ];
        Stage::of("bake", snapshots, images)
    };
    let both = stage("i-1").propose(&["ami-1", "ami-2", "ami-1"]);
    assert_eq!(both.len(), 2, "each once");
    let Proposed::Adopt(second) = &both[1].proposed else {
        panic!("{:?}", both[1]);
    };
    assert_eq!(second.len(), 1, "the snapshot has the first one's tags");
    assert_eq!(second[0].resources, ["ami-2"]);
    let both = stage("i-2").propose(&["ami-1", "ami-2"]);
    assert!(matches!(&both[1].proposed, Proposed::Refuse(r) if r.code == ReasonCode::NotPicked));
}

fn verdict<'v>(verdicts: &'v [Verdict], id: &str) -> &'v Verdict {
    verdicts.iter().find(|v| v.subject.id() == id).unwrap()
}

#[test]
fn adopted_backups_are_judged_like_any_other() {
    let stage = Stage::of(
        "vols",
        vec![
            snapshot("snap-1", "vol-1", "2026-02-01T03:00:00Z"),
            snapshot("snap-2", "vol-1", "2026-02-02T03:00:00Z"),
            snapshot("snap-3", "vol-2", "2026-01-01T03:00:00Z"),
        ],
        vec![],
    );
    let verdicts = stage.judged(&["snap-1", "snap-2", "snap-3"]);
    assert!(verdict(&verdicts, "snap-1").good);
    // `last: 1` of each volume.
    let codes = |id| {
        verdict(&verdicts, id)
            .reasons()
            .iter()
            .map(|r| r.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes("snap-2"), [ReasonCode::RetainLast]);
    assert_eq!(codes("snap-3"), [ReasonCode::RetainLast]);
    assert!(verdict(&verdicts, "snap-1").is_condemned());
}

#[test]
fn an_adopted_ami_counts_whatever_its_name_and_a_copy_of_it_does_not() {
    let stage = Stage::image(|_, _| {});
    let verdicts = stage.judged(&["ami-1"]);
    assert!(matches!(
        verdict(&verdicts, "ami-1").decision,
        Decision::Keep(_)
    ));
    assert_eq!(verdicts.len(), 1, "its snapshots take its verdict");

    // Its tags were copied along; the source instance is made up, and the tag still tells.
    let mut copied = Stage::image(|_, _| {});
    let taggings = stage.taggings("ami-1");
    let mut copy = ami("ami-2", Some("i-1"), &["snap-1"], "2026-02-03T03:00:00Z");
    copy.tags = taggings[1].tags.clone();
    copied.inventory.images.items.push(copy);
    let verdicts = copied.judged(&["ami-1"]);
    let Decision::Hold(reasons) = &verdict(&verdicts, "ami-2").decision else {
        panic!("{:?}", verdict(&verdicts, "ami-2"));
    };
    assert_eq!(reasons[0].code, ReasonCode::EvidenceIncomplete);
    assert!(matches!(
        verdict(&verdicts, "ami-1").decision,
        Decision::Keep(_)
    ));
}

#[test]
fn an_adopted_tag_does_not_replace_ec2s_word_on_the_source() {
    let stage = Stage::image(|_, _| {});
    let taggings = stage.taggings("ami-1");
    for source in [None, Some("i-2")] {
        let time = "2026-02-01T03:00:00Z";
        let mut image = ami("ami-1", source, &["snap-1"], time);
        image.tags = taggings[1].tags.clone();
        let mut snapshot = snapshot("snap-1", "vol-1", time);
        snapshot.tags = taggings[0].tags.clone();
        let mut other = Stage::of("bake", vec![], vec![image]);
        other.inventory.snapshots.items = vec![snapshot].into();
        let verdicts = other.judged(&[]);
        let one = verdict(&verdicts, "ami-1");
        assert!(!one.good, "{source:?}");
        assert_eq!(one.reasons()[0].code, ReasonCode::EvidenceIncomplete);
    }
}

#[test]
fn snapshots_of_a_half_adopted_ami_are_no_backups_and_no_orphans() {
    let first = Stage::image(|_, _| {}).taggings("ami-1");
    let mut cut = Stage::image(|_, _| {});
    let mut tagged = cut.snapshots.items.clone();
    for snapshot in &mut tagged {
        snapshot.tags = first[0].tags.clone();
    }
    cut.inventory.snapshots.items = tagged.into();
    let verdicts = cut.judged(&[]);
    let codes = |v: &Verdict| v.reasons().iter().map(|r| r.code).collect::<Vec<_>>();
    assert_eq!(verdicts.len(), 2);
    for one in &verdicts {
        assert_eq!(codes(one), [ReasonCode::UsedByImage], "{one:?}");
        assert!(
            !one.good,
            "they live and die with an AMI that is not Holdfast's yet"
        );
    }
    assert_eq!(cut.snapshots.items[0].id, SnapshotId::new("snap-1"));
}
