//! What a restore may be made of, and with which words to EC2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Attachment, Image, ImageMapping, ImageState, Instance, InstanceDevice, InstanceState, KeyState,
    LaunchTemplateVersion, Lifecycle, MappingTarget, Snapshot, SnapshotState, Tags, Volume,
    VolumeState,
};
use holdfast_core::lineage::{Consistency, Node, NodeState, SlotRecord, SlotState};
use holdfast_core::plan::restore::{
    InstanceGround, InstanceWish, Keys, Making, Target, VolumeGround, VolumeWish, attachable,
    newest_image, newest_snapshot, performance, plan_instance, plan_volume, sets, usable_image,
    usable_snapshot, whole,
};
use holdfast_core::ports::restore::{
    Disk, LaunchBy, LaunchParameters, Machine, Stored, TemplateChoice, TemplateVersion,
};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::Timestamp;

const KEY: &str = "arn:aws:kms:eu-central-1:1:key/a";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn stored(id: &str, time: &str) -> Stored {
    Stored {
        snapshot: Snapshot {
            id: SnapshotId::new(id),
            volume: Some(VolumeId::new("vol-1")),
            state: SnapshotState::Completed,
            start: Some(at(time)),
            owner: Some("1".into()),
            owner_alias: None,
            size_gib: Some(100),
            tier: Some("standard".into()),
            state_message: None,
            description: String::new(),
            tags: tags(&[("holdfast:managed", "true")]),
        },
        kms_key: None,
    }
}

fn disk(volume_type: &str, iops: Option<i32>, throughput: Option<i32>) -> Disk {
    Disk {
        volume: Volume {
            id: VolumeId::new("vol-1"),
            state: VolumeState::InUse,
            volume_type: Some(volume_type.into()),
            size_gib: Some(100),
            created: None,
            kms_key: None,
            attachments: Vec::new(),
            tags: Tags::new(),
        },
        zone: Some("eu-central-1a".into()),
        iops,
        throughput,
    }
}

fn machine(devices: &[(&str, &str)]) -> Machine {
    let devices = devices.iter().map(|(name, volume)| InstanceDevice {
        name: (*name).into(),
        volume: Some(VolumeId::new(*volume)),
    });
    Machine {
        instance: Instance {
            id: InstanceId::new("i-1"),
            state: InstanceState::Running,
            image: None,
            instance_type: Some("m5.large".into()),
            launched: None,
            root_device: Some("/dev/xvda".into()),
            root_device_type: Some("ebs".into()),
            devices: devices.collect(),
            lifecycle: Lifecycle::default(),
            tags: Tags::new(),
        },
        launch: LaunchParameters {
            instance_type: Some("m5.large".into()),
            zone: Some("eu-central-1b".into()),
            subnet: Some("subnet-1".into()),
            ..LaunchParameters::default()
        },
    }
}

fn image(id: &str, time: &str, snapshots: &[&str]) -> Image {
    let mappings = snapshots.iter().enumerate().map(|(n, id)| ImageMapping {
        device: format!("/dev/sd{n}"),
        target: MappingTarget::Ebs(Some(SnapshotId::new(*id))),
    });
    Image {
        id: ImageId::new(id),
        name: None,
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some("1".into()),
        created: Some(at(time)),
        source_instance: Some(InstanceId::new("i-1")),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: Some("/dev/sd0".into()),
        mappings: mappings.collect(),
        tags: tags(&[("holdfast:managed", "true")]),
    }
}

fn by_id(all: &[Stored]) -> BTreeMap<&str, &Stored> {
    let all = all.iter();
    all.map(|s| (s.snapshot.id.as_str(), s)).collect()
}

fn code<T: std::fmt::Debug>(refused: Result<T, Reason>) -> ReasonCode {
    refused.unwrap_err().code
}

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

fn member(id: &str, run: &str, slot: &str) -> Stored {
    let mut one = stored(id, slot);
    one.snapshot.tags = tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", "snapshot"),
        ("holdfast:policy", "db"),
        ("holdfast:source", "i-1"),
        ("holdfast:slot", slot),
        ("holdfast:run", run),
    ]);
    one
}

fn record(artifacts: &[&str]) -> SlotRecord {
    SlotRecord {
        policy: "db".into(),
        slot: at("2026-03-01T03:00:00Z"),
        source: "i-1".into(),
        request: None,
        trigger: None,
        state: SlotState::Completed,
        run: "r".into(),
        attempt: 1,
        requested_at: None,
        rebooted: false,
        artifacts: artifacts.iter().map(|id| (*id).to_owned()).collect(),
        lost: Vec::new(),
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        fence: 1,
    }
}

#[test]
fn a_set_is_all_of_one_run_slot_and_instance_or_nothing() {
    let (day, next) = ("2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z");
    let all = [
        member("snap-1", "r1", day),
        member("snap-2", "r1", day),
        member("snap-3", "r2", next),
        stored("snap-9", day),
    ];
    let found = sets(&all);
    let ids: Vec<Vec<&str>> = found
        .iter()
        .map(|set| set.members.iter().map(|m| m.snapshot.id.as_str()).collect())
        .collect();
    assert_eq!(ids, [vec!["snap-3"], vec!["snap-1", "snap-2"]]);
    let old = &found[1];
    let none = Keys::new();
    assert_eq!(
        whole(old, Some(&record(&["snap-1", "snap-2"])), &none),
        Ok(None)
    );
    let lost = whole(old, Some(&record(&["snap-1", "snap-2", "snap-4"])), &none);
    assert_eq!(code(lost), ReasonCode::IncompleteSet);
    // A record of other artifacts tells nothing about these.
    for unknown in [None, Some(record(&["snap-7"]))] {
        let told = whole(old, unknown.as_ref(), &none).unwrap().unwrap();
        assert_eq!(told.code, ReasonCode::EvidenceIncomplete);
    }
    let mut broken = all.clone();
    broken[1].snapshot.state = SnapshotState::Pending;
    let found = sets(&broken);
    let pending = whole(&found[1], Some(&record(&["snap-1", "snap-2"])), &none);
    assert_eq!(code(pending), ReasonCode::Pending);
}

fn version(number: i64, default: bool, snapshots: &[&str]) -> TemplateVersion {
    let snapshots = snapshots.iter();
    TemplateVersion {
        version: LaunchTemplateVersion {
            template: LaunchTemplateId::new("lt-1"),
            name: Some("web".into()),
            version: number,
            default,
            image: Some("ami-0".into()),
            resolved: None,
            snapshots: snapshots.map(|id| SnapshotId::new(*id)).collect(),
        },
        description: None,
    }
}

#[test]
fn an_instance_is_launched_by_what_is_known_and_nothing_is_invented() {
    let all = [stored("snap-1", "2026-03-01T00:00:00Z")];
    let stored = by_id(&all);
    let mut image = image("ami-1", "2026-03-01T00:00:00Z", &["snap-1"]);
    image.mappings.push(ImageMapping {
        device: "/dev/sdc".into(),
        target: MappingTarget::InstanceStore("ephemeral0".into()),
    });
    let versions = [version(1, true, &[]), version(2, false, &["snap-7"])];
    let planned = |source: Option<&Machine>, wish: &InstanceWish| {
        plan_instance(&InstanceGround {
            image: &image,
            stored: &stored,
            node: None,
            source,
            versions: &versions,
            made: &[],
            wish,
        })
    };
    let source = machine(&[]);
    let plain = InstanceWish::default();
    let plan = planned(Some(&source), &plain).unwrap();
    let Making::Instance(request) = &plan.making else {
        panic!("{plan:?}")
    };
    assert_eq!(request.by, LaunchBy::Parameters(source.launch.clone()));
    assert_eq!(plan.origin.missing.len(), 1, "{:?}", plan.origin.missing);
    assert_eq!(code(planned(None, &plain)), ReasonCode::LaunchUnknown);
    // EC2 forgets the subnet of an instance that is terminated; another one would be a guess.
    let mut terminated = machine(&[]);
    terminated.launch.subnet = None;
    assert_eq!(
        code(planned(Some(&terminated), &plain)),
        ReasonCode::LaunchUnknown
    );

    let by = |text: &str| InstanceWish {
        template: TemplateChoice::parse(text),
        ..InstanceWish::default()
    };
    assert!(planned(None, &by("web")).is_ok(), "the default version, 1");
    assert_eq!(code(planned(None, &by("web:2"))), ReasonCode::Refused);
    assert_eq!(code(planned(None, &by("web:$Latest"))), ReasonCode::Refused);
    assert_eq!(code(planned(None, &by("web:3"))), ReasonCode::NotFound);
    let into = |text: &str| InstanceWish {
        into_template: TemplateChoice::parse(text),
        ..InstanceWish::default()
    };
    assert_eq!(
        code(planned(None, &into("web"))),
        ReasonCode::Refused,
        "from the latest, 2"
    );
    let plan = planned(None, &into("web:1")).unwrap();
    let Making::Version(request) = &plan.making else {
        panic!("{plan:?}")
    };
    assert_eq!(request.image.as_str(), "ami-1");
    assert!(request.description.contains(&request.token));
    for wrong in ["", ":1", "web:", "web:0", "web:x", "web:$Newest"] {
        assert_eq!(TemplateChoice::parse(wrong), None, "{wrong}");
    }
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
