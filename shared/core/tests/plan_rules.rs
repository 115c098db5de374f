//! Due slots, calls and guardrails, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceDevice, InstanceState, InstanceType,
    Inventory, Listing, MappingTarget, Snapshot, SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::plan::create::{Call, Order, instance_store_devices};
use holdfast_core::plan::due::due;
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, Retired, Settled, settle};
use holdfast_core::policy::selection::{PickedSet, PickedVolume, pick};
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::ports::records::{Begun, Head};
use holdfast_core::report::ReasonCode;
use jiff::{SignedDuration, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policies(more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    \
         schedule: rate(1 hour)\n    {more}\n"
    );
    PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z")).unwrap()
}

fn begun(highest: &str, slot: &str, complete: bool) -> Begun {
    let head = Head {
        slot: at(slot),
        complete,
        first: false,
    };
    Begun {
        highest: Some(at(highest)),
        heads: BTreeMap::from([("p".to_owned(), head)]),
        doubts: vec![],
    }
}

#[test]
fn a_first_slot_that_takes_more_than_one_run_is_the_first_all_the_same() {
    let file = policies("retain: { last: 1 }");
    let mut known = begun("2026-01-01T09:59:00Z", "2026-01-01T09:00:00Z", false);
    let is_first = |known: &Begun, now: &str| {
        let due = due(&file, Protect::Volumes, known, at(now));
        (due[0].slot, due[0].first)
    };
    let (nine, ten) = (at("2026-01-01T09:00:00Z"), at("2026-01-01T10:00:00Z"));
    assert_eq!(is_first(&known, "2026-01-01T09:59:30Z"), (nine, false));
    known.heads.get_mut("p").unwrap().first = true;
    assert_eq!(is_first(&known, "2026-01-01T09:59:30Z"), (nine, true));
    assert_eq!(is_first(&known, "2026-01-01T10:00:00Z"), (ten, false));
}

#[test]
fn a_policy_seen_for_the_first_time_has_its_newest_past_slot_due() {
    let file = policies("retain: { last: 1 }");
    let due = due(
        &file,
        Protect::Volumes,
        &Begun::default(),
        at("2026-01-01T09:59:00Z"),
    );
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].slot, due[0].fresh),
        (at("2026-01-01T09:00:00Z"), true)
    );
    assert!(
        due[0].missed.is_empty(),
        "what lies before the first deployment was not missed"
    );
}

#[test]
fn an_unfinished_slot_is_resumed_until_the_next_is_due_and_then_counts_as_missed() {
    let file = policies("retain: { last: 1 }");
    let open = begun("2026-01-01T09:05:00Z", "2026-01-01T09:00:00Z", false);
    let resumed = due(&file, Protect::Volumes, &open, at("2026-01-01T09:10:00Z"));
    assert_eq!(
        (resumed[0].slot, resumed[0].fresh),
        (at("2026-01-01T09:00:00Z"), false)
    );
    let next = due(&file, Protect::Volumes, &open, at("2026-01-01T12:10:00Z"));
    assert_eq!(
        (next[0].slot, next[0].fresh),
        (at("2026-01-01T12:00:00Z"), true)
    );
    let missed: Vec<String> = next[0].missed.iter().map(ToString::to_string).collect();
    assert_eq!(
        missed,
        [
            "2026-01-01T09:00:00Z",
            "2026-01-01T10:00:00Z",
            "2026-01-01T11:00:00Z"
        ]
    );
}

#[test]
fn a_slot_older_than_one_already_started_is_never_due() {
    let file = policies("retain: { last: 1 }");
    let done = begun("2026-01-01T09:05:00Z", "2026-01-01T09:00:00Z", true);
    assert!(due(&file, Protect::Volumes, &done, at("2026-01-01T09:59:00Z")).is_empty());
    // The clock of the events went back: only what was begun is finished.
    assert!(due(&file, Protect::Volumes, &done, at("2026-01-01T08:30:00Z")).is_empty());
    let open = begun("2026-01-01T09:05:00Z", "2026-01-01T09:00:00Z", false);
    let late = due(&file, Protect::Volumes, &open, at("2026-01-01T08:30:00Z"));
    assert_eq!(late[0].slot, at("2026-01-01T09:00:00Z"));
}

#[test]
fn paused_and_retired_policies_and_those_of_another_function_have_nothing_due() {
    for state in ["paused", "retired"] {
        let file = policies(&format!("retain: {{ last: 1 }}\n    state: {state}"));
        let now = at("2026-01-01T09:59:00Z");
        assert!(due(&file, Protect::Volumes, &Begun::default(), now).is_empty());
    }
    let file = policies("retain: { last: 1 }");
    let now = at("2026-01-01T09:59:00Z");
    assert!(due(&file, Protect::Instances, &Begun::default(), now).is_empty());
}

fn volume(id: &str, tags: Tags) -> Volume {
    Volume {
        id: VolumeId::new(id),
        state: VolumeState::InUse,
        volume_type: None,
        size_gib: None,
        created: None,
        kms_key: None,
        attachments: vec![],
        tags,
    }
}

fn instance(devices: &[(&str, Option<&str>)]) -> Instance {
    Instance {
        id: InstanceId::new("i-1"),
        state: InstanceState::Running,
        image: None,
        instance_type: None,
        launched: None,
        root_device: Some("/dev/xvda".into()),
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: devices
            .iter()
            .map(|(name, volume)| InstanceDevice {
                name: (*name).into(),
                volume: volume.map(VolumeId::new),
            })
            .collect(),
        tags: Tags::from([("B".into(), "x".into())]),
    }
}

fn many_tags(count: usize) -> Tags {
    (0..count)
        .map(|n| (format!("tag-{n:02}"), format!("value {n}")))
        .collect()
}

#[test]
fn a_full_volume_keeps_its_first_tags_and_the_rest_goes_into_lineage() {
    let file = policies("retain: { last: 1 }");
    let order = Order {
        policy: &file.policies[0],
        slot: at("2026-01-01T09:00:00Z"),
        run: "r",
        request: None,
    };
    let picked = PickedVolume {
        volume: VolumeId::new("vol-1"),
        unusable: None,
    };
    let creation = order
        .single(&picked, &volume("vol-1", many_tags(50)))
        .unwrap();
    let Call::Single(call) = &creation.call else {
        panic!("not a single volume")
    };
    assert_eq!(call.tags.len(), 50);
    assert_eq!(call.tags["holdfast:source"], "vol-1");
    let left = &creation.leftover["vol-1"];
    assert_eq!(left.len() + call.tags.len(), 50 + 7);
}

#[test]
fn a_member_with_too_many_tags_turns_copying_off_for_the_whole_set() {
    let file = policies("retain: { last: 1 }");
    let order = Order {
        policy: &file.policies[0],
        slot: at("2026-01-01T09:00:00Z"),
        run: "r",
        request: None,
    };
    let machine = instance(&[("/dev/xvda", Some("vol-1")), ("/dev/sdb", Some("vol-2"))]);
    let set = |full: usize| {
        let (one, two) = (
            volume("vol-1", many_tags(2)),
            volume("vol-2", many_tags(full)),
        );
        let picked = PickedSet {
            instance: machine.id.clone(),
            volumes: vec![one.id.clone(), two.id.clone()],
            not_picked: vec![],
            boot_excluded: false,
            unusable: vec![],
        };
        let volumes = BTreeMap::from([(&one.id, &one), (&two.id, &two)]);
        order.set(&picked, &machine, &volumes, &[]).unwrap()
    };
    // Seven tags of ours, `holdfast:consistency` among them, and forty-three of theirs are EC2's fifty.
    let Call::Set(fits) = set(43).call else {
        panic!("not a set")
    };
    assert!(fits.copy_tags_from_volume);
    let over = set(44);
    let Call::Set(call) = &over.call else {
        panic!("not a set")
    };
    assert!(!call.copy_tags_from_volume);
    assert_eq!(call.tags.len(), 7 + 2, "ours and what both members have");
    assert_eq!(over.leftover["vol-2"].len(), 42);
    assert!(!over.leftover.contains_key("vol-1"));
}

#[test]
fn instance_store_disks_are_named_from_the_type_or_from_the_ami() {
    let machine = instance(&[("/dev/xvda", Some("vol-1"))]);
    let image = Image {
        id: ImageId::new("ami-1"),
        name: None,
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        owner: None,
        created: None,
        source_instance: None,
        root_device: None,
        mappings: vec![
            ImageMapping {
                device: "/dev/sdb".into(),
                target: MappingTarget::InstanceStore("ephemeral0".into()),
            },
            ImageMapping {
                device: "/dev/sdc".into(),
                target: MappingTarget::InstanceStore("ephemeral1".into()),
            },
        ],
        tags: Tags::new(),
    };
    let kind = |disks, nvme| InstanceType {
        name: "t".into(),
        disks,
        nvme,
    };
    let devices =
        |image, kind: Option<&InstanceType>| instance_store_devices(&machine, image, kind);
    assert!(devices(None, None).is_empty());
    assert_eq!(
        devices(Some(&image), None),
        ["/dev/sdb (ephemeral0)", "/dev/sdc (ephemeral1)"]
    );
    // Only as many as the type has disks; a type without disks ignores the mapping.
    assert_eq!(
        devices(Some(&image), Some(&kind(1, false))),
        ["/dev/sdb (ephemeral0)"]
    );
    assert!(devices(Some(&image), Some(&kind(0, false))).is_empty());
    // NVMe disks attach whatever the AMI says.
    assert_eq!(
        devices(None, Some(&kind(1, true))),
        ["NVMe disk 1 of 1 (t)"]
    );
    let odd = instance(&[("/dev/xvda", Some("vol-1")), ("/dev/sdz", None)]);
    assert_eq!(instance_store_devices(&odd, None, None), ["/dev/sdz"]);
}

#[test]
fn a_volume_shared_by_two_instances_is_excluded_from_the_second_set() {
    let file = policies("retain: { last: 1 }");
    let mut shared = volume("vol-9", Tags::new());
    let mut machines = Vec::new();
    for n in 1..3 {
        let mut machine = instance(&[("/dev/sdb", Some("vol-9"))]);
        machine.id = InstanceId::new(format!("i-{n}"));
        machine.devices.push(InstanceDevice {
            name: "/dev/xvda".into(),
            volume: Some(VolumeId::new(format!("vol-{n}"))),
        });
        shared
            .attachments
            .push(holdfast_core::inventory::Attachment {
                instance: machine.id.clone(),
                device: "/dev/sdb".into(),
                state: "attached".into(),
            });
        machines.push(machine);
    }
    let volumes = vec![
        volume("vol-1", Tags::new()),
        volume("vol-2", Tags::new()),
        shared,
    ];
    let picked = pick(&file.policies[0], &machines, &volumes);
    assert_eq!(picked.sets.len(), 2);
    assert!(picked.sets[0].volumes.contains(&VolumeId::new("vol-9")));
    assert_eq!(picked.sets[1].volumes, [VolumeId::new("vol-2")]);
    assert_eq!(picked.sets[1].not_picked, [VolumeId::new("vol-9")]);
}

fn backup(n: usize, time: Timestamp) -> Snapshot {
    let stamp = Stamp {
        kind: ArtifactKind::Snapshot,
        policy: "p",
        source: "vol-1",
        slot: time,
        run: "r",
        group: None,
    };
    Snapshot {
        id: SnapshotId::new(format!("snap-{n:04}")),
        volume: Some(VolumeId::new("vol-1")),
        state: SnapshotState::Completed,
        start: Some(time),
        owner: Some("1".into()),
        owner_alias: None,
        size_gib: None,
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: stamp.tags(),
    }
}

fn sweep(
    file: &PolicyFile,
    snapshots: Vec<Snapshot>,
    recorded: &Recorded,
    now: Timestamp,
) -> (Vec<Verdict>, Settled) {
    let inventory = Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots, now).into_items(),
        ..Inventory::empty(now)
    };
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &OnRecord::default(),
        account: None,
    };
    let mut verdicts = judge(file, &evidence, now, None);
    let settled = settle(file, &mut verdicts, recorded, now, now);
    (verdicts, settled)
}

fn hourly(count: i64, newest: Timestamp) -> Vec<Snapshot> {
    (0..count)
        .map(|n| backup(n as usize, newest - SignedDuration::from_hours(n)))
        .collect()
}

#[test]
fn the_breaker_does_not_trip_on_the_steady_state_of_an_hourly_policy() {
    let file = policies("retain: { last: 100 }\n    limits: { max_shrink: 25%, free: 0 }");
    let now = at("2026-02-01T12:30:00Z");
    // A hundred stand, one was made this hour, and each hour of the last day one has gone.
    let retired: Vec<Retired> = (1..24)
        .map(|n| Retired {
            resource: format!("snap-old-{n}"),
            time: now - SignedDuration::from_hours(100 + n),
            at: now - SignedDuration::from_hours(n),
        })
        .collect();
    let recorded = Recorded {
        retired: BTreeMap::from([("p".into(), retired)]),
        ..Recorded::default()
    };
    let (verdicts, settled) = sweep(
        &file,
        hourly(101, at("2026-02-01T12:00:00Z")),
        &recorded,
        now,
    );
    assert!(settled.tripped.is_empty());
    assert_eq!(verdicts.iter().filter(|v| v.is_condemned()).count(), 1);
}

#[test]
fn the_breaker_counts_what_earlier_runs_of_the_day_deleted() {
    let file = policies("retain: { last: 10 }\n    limits: { max_shrink: 50%, free: 0 }");
    let now = at("2026-02-10T12:30:00Z");
    // Eighty stood a day ago; thirty went an hour ago; fifty are left and forty are condemned.
    let retired: Vec<Retired> = (0..30)
        .map(|n| Retired {
            resource: format!("snap-old-{n}"),
            time: now - SignedDuration::from_hours(1_000 + n),
            at: now - SignedDuration::from_hours(1),
        })
        .collect();
    let recorded = Recorded {
        retired: BTreeMap::from([("p".into(), retired)]),
        ..Recorded::default()
    };
    let (verdicts, settled) = sweep(
        &file,
        hourly(50, at("2026-02-08T12:00:00Z")),
        &recorded,
        now,
    );
    // Forty of eighty must remain, so ten more may go.
    assert_eq!(verdicts.iter().filter(|v| v.is_condemned()).count(), 10);
    assert_eq!(settled.tripped["p"].len(), 30);
}

#[test]
fn the_breaker_never_tears_a_set_apart() {
    let file = policies("retain: { last: 1 }\n    limits: { max_shrink: 0%, free: 4 }");
    let now = at("2026-02-10T12:30:00Z");
    let mut snapshots = Vec::new();
    for (n, day) in ["01", "02", "03", "04"].iter().enumerate() {
        for member in 0..3 {
            let mut snapshot = backup(10 * n + member, at(&format!("2026-02-{day}T03:00:00Z")));
            snapshot.volume = Some(VolumeId::new(format!("vol-{member}")));
            snapshot.tags.insert("holdfast:source".into(), "i-1".into());
            snapshots.push(snapshot);
        }
    }
    let (verdicts, settled) = sweep(&file, snapshots, &Recorded::default(), now);
    // Nine of three sets are condemned and four may go: one set of three does.
    assert_eq!(verdicts.iter().filter(|v| v.is_condemned()).count(), 3);
    assert_eq!(settled.tripped["p"].len(), 6);
}

#[test]
fn deletions_older_than_a_day_do_not_count_against_the_breaker() {
    let file = policies("retain: { last: 1 }\n    limits: { max_shrink: 0%, free: 5 }");
    let now = at("2026-02-10T12:30:00Z");
    let old = Retired {
        resource: "snap-old".into(),
        time: at("2026-01-01T00:00:00Z"),
        at: now - SignedDuration::from_hours(24),
    };
    let recorded = Recorded {
        retired: BTreeMap::from([("p".into(), vec![old])]),
        ..Recorded::default()
    };
    let (verdicts, _) = sweep(
        &file,
        hourly(10, at("2026-02-08T12:00:00Z")),
        &recorded,
        now,
    );
    assert_eq!(verdicts.iter().filter(|v| v.is_condemned()).count(), 5);
}

#[test]
fn a_source_gone_for_long_enough_lets_its_last_backups_go_and_not_before() {
    let file = policies("retain: { last: 3 }\n    source_gone: { delete_after: 30d }");
    let now = at("2026-03-01T00:00:00Z");
    let snapshots = hourly(2, at("2026-01-01T00:00:00Z"));
    let inventory = Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots, now).into_items(),
        ..Inventory::empty(now)
    };
    let condemned = |since: Option<&str>| {
        let gone = since.map(|text| ("vol-1".to_owned(), at(text)));
        let on_record = OnRecord {
            gone_since: gone.into_iter().collect(),
            ..OnRecord::default()
        };
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &on_record,
            account: None,
        };
        judge(&file, &evidence, now, None)
            .iter()
            .filter(|v| v.is_condemned())
            .count()
    };
    assert_eq!(condemned(None), 0, "absent from a list is not gone");
    assert_eq!(condemned(Some("2026-01-30T00:00:01Z")), 0);
    assert_eq!(condemned(Some("2026-01-30T00:00:00Z")), 2);
}

#[test]
fn a_snapshot_of_a_copy_is_held_because_its_volume_is_a_placeholder() {
    let file = policies("retain: { last: 1 }");
    let mut copy = backup(1, at("2026-01-01T00:00:00Z"));
    copy.volume = Some(VolumeId::new("vol-ffffffff"));
    let now = at("2026-02-01T00:00:00Z");
    let (verdicts, _) = sweep(&file, vec![copy], &Recorded::default(), now);
    let item = verdicts[0].item(holdfast_core::report::Outcome::Planned);
    assert_eq!(item.reasons[0].code, ReasonCode::EvidenceIncomplete);
}
