//! Marks and tries as the table has them: they delay, and neither shorten a wait nor hold for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{ImageId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Inventory, Listing, MappingTarget, Snapshot, SnapshotState,
    Source, Tags,
};
use holdfast_core::plan::census::count;
use holdfast_core::plan::governed::{governed, marks_from};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::plan::returned::returned;
use holdfast_core::plan::settle::{Recorded, Settled, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::policy::period::Period;
use holdfast_core::ports::records::Census;
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::ReasonCode;
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-02-10T12:00:00Z".parse().unwrap()
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn policies() -> PolicyFile {
    let text = "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
                select: { volumes: { tags: { B: x } } }\n    schedule: rate(1 hour)\n    \
                retain: { last: 1 }\n    grace: 2h\n";
    PolicyFile::parse("p.yaml", text, now()).unwrap()
}

fn snapshot(id: &str, time: Timestamp) -> Snapshot {
    let stamp = Stamp {
        kind: ArtifactKind::Snapshot,
        policy: "p",
        source: "vol-0",
        slot: time,
        run: "r",
        group: None,
    };
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new("vol-0")),
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

/// Two backups, of which `snap-old` may go.
fn account() -> Inventory {
    let snapshots = vec![
        snapshot("snap-new", now() - hours(1)),
        snapshot("snap-old", now() - hours(200)),
    ];
    Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots, now()).into_items(),
        ..Inventory::empty(now())
    }
}

fn settled(
    recorded: &Recorded,
    change: impl FnOnce(&mut Verdict),
) -> (Vec<ReasonCode>, bool, Settled) {
    let (file, inventory) = (policies(), account());
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &OnRecord::default(),
        account: None,
    };
    let mut verdicts = judge(&file, &evidence, now(), None);
    let is_old = |v: &Verdict| v.subject.id() == "snap-old";
    change(verdicts.iter_mut().find(|v| is_old(v)).unwrap());
    let settled = settle(&file, &mut verdicts, recorded, now(), now());
    let old = verdicts.iter().find(|v| is_old(v)).unwrap();
    let codes = old.reasons().iter().map(|r| r.code).collect();
    (codes, old.is_condemned(), settled)
}

fn marked(since: Timestamp) -> Recorded {
    Recorded {
        condemned: BTreeMap::from([("snap-old".to_owned(), since)]),
        ..Recorded::default()
    }
}

#[test]
fn a_mark_of_the_future_begins_anew_and_does_not_hold_for_ever() {
    let (_, goes, _) = settled(&marked(now() - hours(2)), |_| {});
    assert!(goes, "its grace has run");
    let (codes, goes, settled) = settled(&marked("2099-01-01T00:00:00Z".parse().unwrap()), |_| {});
    assert_eq!((codes.as_slice(), goes), (&[ReasonCode::Grace][..], false));
    assert_eq!(settled.grace_begins, ["snap-old"]);
}

/// What a sweep of this policy file remembers after one that remembered `before`.
fn remembered(before: Option<&Census>, file: &PolicyFile, at: Timestamp) -> Census {
    let governed = governed(before, file, at);
    Census {
        governed: Some(governed),
        ..count(&Inventory::empty(at), file, at, at)
    }
}

fn with_grace(name: &str, grace: Option<&str>, formerly: &str) -> PolicyFile {
    let mut file = policies();
    let policy = &mut file.policies[0];
    policy.name = name.to_owned();
    policy.grace = grace.map(|text| Period::parse(text).unwrap());
    policy.formerly = [formerly.to_owned()].into();
    file
}

/// From when on marks of what `name` made count in a sweep of the last file: the first sweep found a
/// mark of ten hours ago, the others ran hour by hour.
fn marks_count_from(between: &[&PolicyFile], last: &PolicyFile, name: &str) -> Timestamp {
    let mut known = remembered(None, between[0], now() - hours(9));
    for (n, file) in (1..).zip(&between[1..]) {
        known = remembered(Some(&known), file, now() - hours(9 - n));
    }
    marks_from(&governed(Some(&known), last, now()))[name]
}

#[test]
fn a_policy_that_takes_the_backups_of_another_one_over_does_not_lend_their_marks_its_age() {
    // Both stood in the file; one left it, and months later the other takes its backups over.
    let (x, y) = (
        with_grace("x", Some("1h"), "-"),
        with_grace("y", Some("1h"), "-"),
    );
    let mut both = with_grace("y", Some("1h"), "-");
    both.policies.extend(x.policies);
    let over = with_grace("y", Some("1h"), "x");
    let always = Timestamp::UNIX_EPOCH;
    assert_eq!(marks_count_from(&[&both, &y], &over, "x"), now());
    assert_eq!(marks_count_from(&[&both, &y], &over, "y"), always);
    // Without a sweep between, somebody always governed them.
    assert_eq!(marks_count_from(&[&both, &both], &over, "x"), always);
    // Taken over, they stay so from then on.
    let known = [&both, &y, &over];
    assert_eq!(marks_count_from(&known, &over, "x"), now() - hours(7));
}

#[test]
fn a_mark_counts_by_the_name_that_stands_on_the_artifact() {
    let marks = |from: Timestamp| Recorded {
        marks_from: BTreeMap::from([
            ("p".to_owned(), Timestamp::UNIX_EPOCH),
            ("x".to_owned(), from),
        ]),
        ..marked(now() - hours(2))
    };
    let tagged_x = |verdict: &mut Verdict| {
        let artifact = verdict.artifact.as_mut();
        artifact.unwrap().policy = "x".into();
    };
    let (_, goes, _) = settled(&marks(now() - hours(2)), tagged_x);
    assert!(goes);
    let (codes, goes, settled) = settled(&marks(now() - hours(1)), tagged_x);
    assert_eq!((codes.as_slice(), goes), (&[ReasonCode::Grace][..], false));
    assert_eq!(settled.grace_begins, ["snap-old"]);
}

#[test]
fn a_mark_from_before_a_break_in_the_policy_begins_anew() {
    let (graced, other) = (
        with_grace("p", Some("1h"), "x"),
        with_grace("q", Some("1h"), "x"),
    );
    let without = with_grace("p", None, "x");
    let renamed = with_grace("p", Some("1h"), "q");
    let from = |between: &[&PolicyFile]| marks_count_from(between, &graced, "p");
    let always = Timestamp::UNIX_EPOCH;
    assert_eq!(from(&[&graced, &graced]), always);
    assert_eq!(from(&[&graced, &without]), now(), "the grace is new");
    assert_eq!(from(&[&graced, &other]), now(), "the policy is");
    assert_eq!(from(&[&graced, &other, &graced]), now() - hours(7));
    let earlier = marks_count_from(&[&other, &renamed], &renamed, "q");
    assert_eq!(earlier, always, "under its earlier name");
    let ahead = remembered(None, &other, now());
    let ahead = remembered(Some(&ahead), &graced, now() + hours(5));
    let of_now = governed(Some(&ahead), &graced, now());
    assert_eq!(marks_from(&of_now)["p"], now(), "no wait is put off");

    let after = |from: Timestamp| {
        let marks = Recorded {
            marks_from: BTreeMap::from([("p".to_owned(), from)]),
            ..marked(now() - hours(2))
        };
        settled(&marks, |_| {})
    };
    let (_, goes, _) = after(now() - hours(2));
    assert!(goes, "the mark is the policy's");
    let (codes, goes, settled) = after(now() - hours(1));
    assert_eq!((codes.as_slice(), goes), (&[ReasonCode::Grace][..], false));
    assert_eq!(settled.grace_begins, ["snap-old"]);
}

#[test]
fn a_try_of_the_future_does_not_keep_a_deletion_from_being_tried_again() {
    let (day, second) = (hours(24), SignedDuration::from_secs(1));
    for (at, waits) in [
        (now() + second, true),
        (now() + day, true),
        (now() + day + second, false),
        (Timestamp::MAX, false),
    ] {
        let mark = marked(now() - hours(2));
        let (codes, goes, _) = settled(&mark, |verdict| verdict.retry_at = Some(at));
        assert_eq!(codes.contains(&ReasonCode::RetryLater), waits, "{at}");
        assert_eq!(goes, !waits, "{at}");
    }
}

#[test]
fn an_artifact_whose_own_record_cannot_be_read_is_held_and_begins_no_new_grace() {
    let recorded = Recorded {
        unreadable: BTreeMap::from([("snap-old".to_owned(), "schema version 2".to_owned())]),
        ..Recorded::default()
    };
    let (codes, goes, settled) = settled(&recorded, |_| {});
    let held = &[ReasonCode::EvidenceIncomplete][..];
    assert_eq!((codes.as_slice(), goes), (held, false));
    assert!(settled.grace_begins.is_empty() && settled.freed.is_empty());
}

fn image(state: ImageState, snapshot: &str) -> Image {
    Image {
        id: ImageId::new("ami-1"),
        name: None,
        state,
        state_reason: None,
        deregistration_protected: false,
        owner: Some("1".into()),
        created: Some(now()),
        source_instance: None,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: None,
        mappings: vec![ImageMapping {
            device: "/dev/xvda".into(),
            target: MappingTarget::Ebs(Some(SnapshotId::new(snapshot))),
        }],
        tags: Tags::new(),
    }
}

#[test]
fn the_wait_is_over_of_what_an_ami_maps_again_and_of_what_is_gone() {
    let waiting: BTreeSet<String> = ["snap-old", "snap-new", "snap-gone"]
        .map(str::to_owned)
        .into();
    let mut inventory = account();
    assert_eq!(returned(&waiting, &inventory), ["snap-gone"]);
    let restored = image(ImageState::Available, "snap-old");
    inventory.images = Listing::complete(Source::Images, vec![restored], now()).into_items();
    assert_eq!(returned(&waiting, &inventory), ["snap-gone", "snap-old"]);
    // EC2 lists a deregistered AMI for a while.
    inventory
        .images
        .items
        .update(0, |i| i.state = ImageState::Deregistered);
    assert_eq!(returned(&waiting, &inventory), ["snap-gone"]);
    let amis: BTreeSet<String> = ["ami-1", "ami-2"].map(str::to_owned).into();
    assert_eq!(returned(&amis, &inventory), ["ami-1", "ami-2"]);
    inventory
        .images
        .items
        .update(0, |i| i.state = ImageState::Disabled);
    assert_eq!(returned(&amis, &inventory), ["ami-2"]);
    inventory.images.error = Some(CallError {
        operation: "DescribeImages",
        resource: "*".into(),
        code: None,
        class: ErrorClass::Throttled,
        message: "page 2".into(),
    });
    assert!(returned(&amis, &inventory).is_empty());
    inventory
        .images
        .items
        .update(0, |i| i.state = ImageState::Deregistered);
    inventory.snapshots.error = Some(CallError {
        operation: "DescribeSnapshots",
        resource: "*".into(),
        code: None,
        class: ErrorClass::Throttled,
        message: "page 2".into(),
    });
    assert!(returned(&waiting, &inventory).is_empty());
}
