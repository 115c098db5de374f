//! What a restore may be made of, and with which words to EC2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;
mod wholes;

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{
    Attachment, Image, ImageState, InstanceState, KeyState, SnapshotState, VolumeState,
};
use holdfast_core::lineage::{Consistency, Node, NodeState};
use holdfast_core::plan::restore::{
    Keys, Target, VolumeGround, VolumeWish, attachable, newest_image, newest_snapshot, performance,
    plan_volume, usable_image, usable_snapshot,
};
use holdfast_core::ports::restore::{Disk, Stored};
use holdfast_core::report::ReasonCode;

use crate::stage::{KEY, at, by_id, code, disk, image, machine, stored, tags};

#[test]
fn only_what_ec2_can_read_is_restored() {
    let judged = |change: &dyn Fn(&mut Stored), keys: &Keys| {
        let mut one = stored("snap-1", "2026-03-01T00:00:00Z");
        change(&mut one);
        usable_snapshot(&one, keys).map_err(|reason| reason.code)
    };
    let none = Keys::new();
    assert_eq!(judged(&|_| {}, &none), Ok(()));
    // The first answer of a create call tells no tier.
    assert_eq!(judged(&|s| s.snapshot.tier = None, &none), Ok(()));
    let states = [
        (SnapshotState::Pending, ReasonCode::Pending),
        (SnapshotState::Error, ReasonCode::FailedBackup),
        (SnapshotState::Recoverable, ReasonCode::InRecycleBin),
        (SnapshotState::Recovering, ReasonCode::InRecycleBin),
        (
            SnapshotState::Unknown("odd".into()),
            ReasonCode::UnknownState,
        ),
    ];
    for (state, code) in states {
        let judged = judged(&|s| s.snapshot.state = state.clone(), &none);
        assert_eq!(judged, Err(code), "{state}");
    }
    for tier in ["archive", "deep"] {
        let judged = judged(&|s| s.snapshot.tier = Some(tier.into()), &none);
        assert_eq!(judged, Err(ReasonCode::Archived));
    }
    let keys = [
        (KeyState::Enabled, Ok(())),
        (KeyState::Updating, Ok(())),
        (KeyState::Disabled, Err(ReasonCode::KeyUnusable)),
        (KeyState::PendingDeletion, Err(ReasonCode::KeyUnusable)),
        (KeyState::Missing, Err(ReasonCode::KeyUnusable)),
        (
            KeyState::Unknown("odd".into()),
            Err(ReasonCode::KeyUnusable),
        ),
    ];
    for (state, expected) in keys {
        let keys = Keys::from([(KEY.to_owned(), Ok(state.clone()))]);
        let judged = judged(&|s| s.kms_key = Some(KEY.into()), &keys);
        assert_eq!(judged, expected, "{state}");
    }
}

#[test]
fn the_newest_good_snapshot_not_after_the_time_is_chosen() {
    let mut broken = stored("snap-5", "2026-03-04T00:00:00Z");
    broken.snapshot.state = SnapshotState::Error;
    let mut foreign = stored("snap-6", "2026-03-04T00:00:00Z");
    foreign.snapshot.tags.clear();
    let all = [
        stored("snap-1", "2026-03-01T00:00:00Z"),
        stored("snap-3", "2026-03-03T00:00:00Z"),
        stored("snap-2", "2026-03-03T00:00:00Z"),
        stored("snap-4", "2026-03-05T00:00:00Z"),
        broken,
        foreign,
    ];
    let chosen = |time: &str| {
        let (chosen, passed) = newest_snapshot(&all, at(time), &Keys::new()).unwrap();
        let passed: Vec<String> = passed.into_iter().map(|p| p.id).collect();
        (chosen.snapshot.id.to_string(), passed)
    };
    assert_eq!(chosen("2026-03-05T00:00:00Z"), ("snap-4".into(), vec![]));
    // Of one instant the greater identifier; the failed one between is told.
    let (id, passed) = chosen("2026-03-04T23:59:59Z");
    assert_eq!((id.as_str(), passed), ("snap-3", vec!["snap-5".to_owned()]));
    assert_eq!(chosen("2026-03-02T00:00:00Z").0, "snap-1");
    let before = newest_snapshot(&all, at("2026-02-28T00:00:00Z"), &Keys::new());
    assert_eq!(before.unwrap_err(), []);
}

#[test]
fn an_image_is_good_only_with_all_of_its_disks() {
    let mut archived = stored("snap-2", "2026-03-01T00:00:00Z");
    archived.snapshot.tier = Some("archive".into());
    let all = [stored("snap-1", "2026-03-01T00:00:00Z"), archived];
    let stored = by_id(&all);
    let judged = |image: &Image| usable_image(image, &stored, &Keys::new());
    let good = image("ami-1", "2026-03-01T00:00:00Z", &["snap-1"]);
    assert_eq!(judged(&good), Ok(()));
    let lost = image("ami-3", "2026-03-03T00:00:00Z", &["snap-1", "snap-9"]);
    assert_eq!(code(judged(&lost)), ReasonCode::SnapshotMissing);
    let frozen = image("ami-2", "2026-03-02T00:00:00Z", &["snap-1", "snap-2"]);
    assert_eq!(code(judged(&frozen)), ReasonCode::Archived);
    let states = [
        (ImageState::Pending, ReasonCode::Pending),
        (ImageState::Failed, ReasonCode::FailedBackup),
        (ImageState::Disabled, ReasonCode::Disabled),
        (ImageState::Deregistered, ReasonCode::Gone),
        (ImageState::Transient, ReasonCode::UnknownState),
    ];
    for (state, expected) in states {
        let image = Image {
            state: state.clone(),
            ..good.clone()
        };
        assert_eq!(code(judged(&image)), expected, "{state}");
    }
    let images = [good, lost, frozen];
    let (chosen, passed) =
        newest_image(&images, &stored, at("2026-03-09T00:00:00Z"), &Keys::new()).unwrap();
    assert_eq!(chosen.id.as_str(), "ami-1");
    let passed: Vec<&str> = passed.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(passed, ["ami-3", "ami-2"]);
}

#[test]
fn performance_is_the_sources_as_far_as_the_type_allows_it_at_the_snapshots_size() {
    let asked = |source: Option<&Disk>, size, asked| {
        performance(source, Some(size), asked).map(|p| (p.volume_type, p.iops, p.throughput))
    };
    let fast = disk("gp3", Some(16_000), Some(1000));
    let nothing = (None, None, None);
    assert_eq!(
        asked(Some(&fast), 100, nothing),
        Ok(("gp3".into(), Some(16_000), Some(1000)))
    );
    // 500 IOPS for each of 10 GiB, and a quarter of that in MiB/s would be 1,250: 1,000 stays.
    assert_eq!(
        asked(Some(&fast), 10, nothing),
        Ok(("gp3".into(), Some(5000), Some(1000)))
    );
    // 3,000 at any size; 750 MiB/s are a quarter of them.
    assert_eq!(
        asked(Some(&fast), 1, nothing),
        Ok(("gp3".into(), Some(3000), Some(750)))
    );
    // gp2 tells its baseline, which nobody can ask for.
    let gp2 = disk("gp2", Some(300), None);
    assert_eq!(
        asked(Some(&gp2), 100, nothing),
        Ok(("gp2".into(), None, None))
    );
    assert_eq!(asked(None, 100, nothing), Ok(("gp3".into(), None, None)));
    // 50 for each GiB.
    let io1 = disk("io1", Some(6000), None);
    assert_eq!(
        asked(Some(&io1), 100, nothing),
        Ok(("io1".into(), Some(5000), None))
    );
    assert!(asked(None, 100, (Some("io1"), None, None)).is_err());
    assert_eq!(
        asked(Some(&io1), 100, (Some("gp3"), None, None)),
        Ok(("gp3".into(), None, None))
    );
    for wrong in [
        (Some("gp2"), Some(3000), None),
        (Some("st1"), None, Some(125)),
        (Some("gp3"), Some(2999), None),
        (Some("gp3"), Some(80_001), None),
        (Some("gp3"), Some(50_001), None),
        (Some("gp3"), Some(4000), Some(1001)),
        (Some("gp3"), None, Some(124)),
        (Some("io2"), Some(99), None),
    ] {
        assert!(asked(None, 100, wrong).is_err(), "{wrong:?}");
    }
    assert!(asked(None, 124, (Some("st1"), None, None)).is_err());
    assert!(asked(None, 125, (Some("st1"), None, None)).is_ok());
}

fn ground<'a>(stored: &'a Stored, wish: &'a VolumeWish) -> VolumeGround<'a> {
    VolumeGround {
        kind: "volume",
        stored,
        node: None,
        disk: None,
        zone: None,
        host: None,
        made: &[],
        wish,
    }
}

#[test]
fn the_zone_is_asked_for_or_the_instances_or_the_sources_and_never_guessed() {
    let stored = stored("snap-1", "2026-03-01T00:00:00Z");
    let source = disk("gp3", None, None);
    let host = machine(&[]);
    let attach = Target::parse("i-1:/dev/sdf");
    let zone = |az: Option<&str>, with_host: bool, with_source: bool| {
        let wish = VolumeWish {
            zone: az.map(str::to_owned),
            attach: attach.clone().filter(|_| with_host),
            ..VolumeWish::default()
        };
        let ground = VolumeGround {
            disk: with_source.then_some(&source),
            host: with_host.then_some(&host),
            ..ground(&stored, &wish)
        };
        plan_volume(&ground).map(|plan| plan.request.zone)
    };
    assert_eq!(zone(None, false, true), Ok("eu-central-1a".into()));
    assert_eq!(zone(None, true, true), Ok("eu-central-1b".into()));
    assert_eq!(
        zone(Some("eu-central-1c"), false, true),
        Ok("eu-central-1c".into())
    );
    assert_eq!(
        code(zone(Some("eu-central-1c"), true, true)),
        ReasonCode::Refused
    );
    let unknown = zone(None, false, false).unwrap_err();
    assert!(unknown.detail.unwrap().contains("--az"));
}

#[test]
fn a_device_is_free_or_the_restore_is_refused() {
    let host = machine(&[("/dev/xvda", "vol-1"), ("/dev/sdf", "vol-2")]);
    let ours = VolumeId::new("vol-2");
    assert_eq!(attachable(&host, "/dev/sdg", None), Ok(()));
    for taken in ["/dev/sdf", "/dev/xvdf", "xvdf", "/dev/sda"] {
        assert_eq!(
            code(attachable(&host, taken, None)),
            ReasonCode::DeviceInUse,
            "{taken}"
        );
    }
    // What this command attached before is where it belongs.
    assert_eq!(attachable(&host, "/dev/sdf", Some(&ours)), Ok(()));
    assert_eq!(
        code(attachable(&host, "/dev/xvda", Some(&ours))),
        ReasonCode::DeviceInUse
    );
    let mut stopping = machine(&[]);
    stopping.instance.state = InstanceState::Stopping;
    assert_eq!(
        code(attachable(&stopping, "/dev/sdf", None)),
        ReasonCode::InstanceState
    );
    for wrong in ["i-1", "i-1:", "i-1:sdf", "vol-1:/dev/sdf", "i-1:/dev/../x"] {
        assert_eq!(Target::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn what_the_same_command_made_before_is_gone_on_with_unless_it_is_elsewhere_or_broken() {
    let stored = stored("snap-1", "2026-03-01T00:00:00Z");
    let host = machine(&[]);
    let wish = VolumeWish {
        attach: Target::parse("i-1:/dev/sdf"),
        ..VolumeWish::default()
    };
    let planned = |state: VolumeState, attached: Option<(&str, &str)>| {
        let mut before = disk("gp3", None, None);
        before.volume.id = VolumeId::new("vol-9");
        before.volume.state = state;
        before.volume.attachments = attached
            .map(|(instance, device)| Attachment {
                instance: InstanceId::new(instance),
                device: device.into(),
                state: "attached".into(),
            })
            .into_iter()
            .collect();
        let made = [before];
        let ground = VolumeGround {
            host: Some(&host),
            made: &made,
            ..ground(&stored, &wish)
        };
        plan_volume(&ground).map(|plan| plan.made.unwrap().to_string())
    };
    let there = Some(("i-1", "/dev/sdf"));
    assert_eq!(planned(VolumeState::Creating, None), Ok("vol-9".into()));
    assert_eq!(planned(VolumeState::Available, None), Ok("vol-9".into()));
    assert_eq!(planned(VolumeState::InUse, there), Ok("vol-9".into()));
    let elsewhere = planned(VolumeState::InUse, Some(("i-2", "/dev/sdf")));
    assert_eq!(code(elsewhere), ReasonCode::VolumeState);
    for over in [VolumeState::Error, VolumeState::Deleting] {
        assert_eq!(code(planned(over, None)), ReasonCode::VolumeState);
    }
}

#[test]
fn the_plan_tells_what_the_point_in_time_is_worth_and_what_is_missing() {
    let mut stored = stored("snap-1", "2026-03-01T00:00:00Z");
    stored.snapshot.tags = tags(&[
        ("holdfast:policy", "db"),
        ("holdfast:consistency", "application"),
    ]);
    let wish = VolumeWish {
        zone: Some("eu-central-1a".into()),
        initialization_rate: Some(200),
        ..VolumeWish::default()
    };
    let mut node = Node::new("snap-1", NodeState::Completed, at("2026-03-01T00:00:00Z"));
    node.consistency = Some(Consistency::Crash);
    node.excluded = vec!["vol-8".into()];
    node.not_covered = vec!["/dev/nvme1n1".into()];
    let known = VolumeGround {
        node: Some(&node),
        ..ground(&stored, &wish)
    };
    let plan = plan_volume(&known).unwrap();
    assert_eq!(plan.origin.consistency, Some(Consistency::Crash));
    assert_eq!(plan.origin.missing.len(), 2);
    // 100 GiB are 102,400 MiB, at 200 MiB/s 512 s.
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("200 MiB/s, in 9 min at most")),
        "{:?}",
        plan.notes
    );
    // The tag tells what was asked for, which is not what was reached.
    let unknown = plan_volume(&ground(&stored, &wish)).unwrap();
    assert_eq!(unknown.origin.consistency, None);
    assert!(unknown.origin.worth.contains("asked for application"));
}

#[test]
fn users_tags_come_along_only_when_asked_for_and_never_make_an_artifact() {
    let mut stored = stored("snap-1", "2026-03-01T00:00:00Z");
    let many = (0..50).map(|n| (format!("k{n:02}"), "v".to_owned()));
    stored.snapshot.tags.extend(many);
    let with = |copy_tags| {
        let wish = VolumeWish {
            zone: Some("eu-central-1a".into()),
            copy_tags,
            ..VolumeWish::default()
        };
        plan_volume(&ground(&stored, &wish)).unwrap().request.tags
    };
    let keys: Vec<String> = with(false).into_keys().collect();
    assert_eq!(keys, ["holdfast:restore", "holdfast:restored-from"]);
    let copied = with(true);
    assert_eq!(copied.len(), 50);
    assert!(!copied.contains_key("holdfast:managed"));
}
