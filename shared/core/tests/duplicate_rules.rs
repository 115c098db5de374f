//! Backups that were made twice: case by case, and over random accounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use holdfast_core::artifact::{ArtifactKind, Stamp, image_name};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Inventory, Listing, MappingTarget, Snapshot, SnapshotState,
    Source,
};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::policy::{GroupBy, PolicyFile};
use holdfast_core::report::ReasonCode;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-02-10T12:00:00Z".parse().unwrap()
}

fn slot(hour: i64) -> Timestamp {
    let first: Timestamp = "2026-02-10T03:00:00Z".parse().unwrap();
    first + SignedDuration::from_hours(hour)
}

fn stamp<'a>(kind: ArtifactKind, source: &'a str, run: &'a str, slot: Timestamp) -> Stamp<'a> {
    Stamp {
        kind,
        policy: if source.starts_with("i-") { "p" } else { "q" },
        source,
        slot,
        run,
        group: None,
    }
}

/// A snapshot of a volume, started so many seconds after its slot.
fn snapshot(source: &str, run: &str, hour: i64, volume: u8, seconds: i64) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(format!("snap-{hour}-{run}-{source}-{volume}-{seconds}")),
        volume: Some(VolumeId::new(format!("vol-{volume}"))),
        state: SnapshotState::Completed,
        start: Some(slot(hour) + SignedDuration::from_secs(seconds)),
        owner: Some("1".into()),
        owner_alias: None,
        size_gib: None,
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: stamp(ArtifactKind::Snapshot, source, run, slot(hour)).tags(),
    }
}

fn set(run: &str, hour: i64, volumes: &[u8], seconds: i64) -> Vec<Snapshot> {
    let of = |volume: &u8| snapshot("i-1", run, hour, *volume, seconds);
    volumes.iter().map(of).collect()
}

/// Parsed once: hundreds of cases ask for them.
static POLICIES: LazyLock<BTreeMap<&str, PolicyFile>> =
    LazyLock::new(|| [ALL, FEW].map(|retain| (retain, parsed(retain))).into());

const ALL: &str = "{ last: 9 }";
const FEW: &str = "{ last: 2 }";

fn parsed(retain: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {retain}\n  - name: q\n    protect: volumes\n    \
         select: {{ volumes: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {retain}\n  - name: bake\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {retain}\n"
    );
    PolicyFile::parse("p.yaml", &text, now()).unwrap()
}

fn judged(snapshots: &[Snapshot], images: &[Image], retain: &str) -> Vec<Verdict> {
    judged_by(&POLICIES[retain], snapshots, images)
}

fn judged_by(policies: &PolicyFile, snapshots: &[Snapshot], images: &[Image]) -> Vec<Verdict> {
    let inventory = Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots.to_vec(), now()).into_items(),
        images: Listing::complete(Source::Images, images.to_vec(), now()).into_items(),
        ..Inventory::empty(now())
    };
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &OnRecord::default(),
        account: None,
    };
    judge(policies, &evidence, now(), None)
}

fn is_duplicate(verdict: &Verdict) -> bool {
    let mut reasons = verdict.reasons().iter();
    reasons.any(|reason| reason.code == ReasonCode::Duplicate)
}

/// The duplicates by identifier, sorted, each with what its reason names.
fn duplicates(snapshots: &[Snapshot]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = judged(snapshots, &[], ALL)
        .iter()
        .filter(|verdict| verdict.is_condemned() && is_duplicate(verdict))
        .map(|verdict| {
            let [id, older] = verdict.reasons()[0].path.as_slice() else {
                panic!("{:?}", verdict.reasons())
            };
            assert_eq!(id, verdict.subject.id());
            (id.clone(), older.clone())
        })
        .collect();
    found.sort();
    found
}

/// Another tool's, begun in the slot's own second and adopted, retired Holdfast's.
#[test]
fn what_was_adopted_is_no_duplicate_and_makes_none() {
    let (ours, adopted) = ("run", "adopt-1");
    for (older, newer) in [(ours, adopted), (adopted, ours)] {
        let both = [
            snapshot("vol-1", older, 0, 1, 0),
            snapshot("vol-1", newer, 0, 1, 9),
        ];
        assert_eq!(duplicates(&both), [], "{older} before {newer}");
    }
}

#[test]
fn of_two_whole_sets_the_newer_goes_and_names_the_older() {
    let both = [set("one", 0, &[1, 2], 5), set("two", 0, &[1, 2], 300)].concat();
    let expected = [1, 2].map(|volume| {
        (
            format!("snap-0-two-i-1-{volume}-300"),
            "snap-0-one-i-1-1-5".to_owned(),
        )
    });
    assert_eq!(duplicates(&both), expected);
}

#[test]
fn an_older_set_that_has_not_all_of_the_newer_takes_nothing_from_it() {
    let both = [set("one", 0, &[1], 5), set("two", 0, &[1, 2], 300)].concat();
    assert_eq!(duplicates(&both), []);
}

#[test]
fn a_set_that_has_not_completed_is_not_the_one_that_stays() {
    let mut older = set("one", 0, &[1], 5);
    older[0].state = SnapshotState::Pending;
    let both = [older, set("two", 0, &[1], 300)].concat();
    assert_eq!(duplicates(&both), []);
}

#[test]
fn another_slot_another_source_and_another_policy_are_no_duplicates() {
    let snapshots = [
        set("one", 0, &[1], 5),
        set("two", 1, &[1], 5),
        vec![snapshot("i-2", "three", 0, 1, 300)],
        vec![snapshot("vol-1", "four", 0, 1, 400)],
    ];
    assert_eq!(duplicates(&snapshots.concat()), []);
}

#[test]
fn two_sets_of_one_run_are_told_apart_by_their_start() {
    let both = [set("one", 0, &[1, 2], 5), set("one", 0, &[1, 2], 300)].concat();
    let ids: Vec<String> = duplicates(&both).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["snap-0-one-i-1-1-300", "snap-0-one-i-1-2-300"]);
}

#[test]
fn a_duplicate_uses_up_no_slot_of_a_rule() {
    let snapshots = [
        set("one", 0, &[1], 5),
        set("two", 1, &[1], 5),
        set("three", 1, &[1], 300),
    ];
    // Two are kept: with the duplicate counted, the older would go.
    let kept: Vec<String> = judged(&snapshots.concat(), &[], FEW)
        .iter()
        .filter(|verdict| !verdict.is_condemned())
        .map(|verdict| verdict.subject.id().to_owned())
        .collect();
    assert_eq!(kept, ["snap-0-one-i-1-1-5", "snap-1-two-i-1-1-5"]);
}

#[test]
fn a_backup_dated_after_now_is_kept_although_its_slot_has_another() {
    // The slot is now; the first was taken just before, the others after it.
    let all = [-5, 5, 300].map(|seconds| snapshot("vol-1", "one", 9, 1, seconds));
    let verdicts = judged(&all, &[], FEW);
    let codes: Vec<ReasonCode> = verdicts.iter().map(|v| v.reasons()[0].code).collect();
    let kept = ReasonCode::FutureDated;
    assert_eq!(codes, [ReasonCode::RetainLast, kept, kept]);
    assert!(verdicts.iter().all(|v| !v.is_condemned()));
}

#[test]
fn a_backup_in_another_group_stands_in_for_none() {
    // The volume's tag was changed between the two: each is the only backup of its group.
    let mut both = [5, 300].map(|seconds| snapshot("vol-1", "one", 0, 1, seconds));
    for (snapshot, group) in both.iter_mut().zip(["blue", "green"]) {
        let tags = &mut snapshot.tags;
        tags.insert("holdfast:group".into(), group.into());
    }
    assert_eq!(duplicates(&both).len(), 1, "by source they are one group");
    let mut policies = POLICIES[FEW].clone();
    for policy in &mut policies.policies {
        policy.group = GroupBy::Tag("Colour".into());
    }
    for verdict in judged_by(&policies, &both, &[]) {
        let id = verdict.subject.id();
        assert_eq!(verdict.reasons()[0].code, ReasonCode::RetainLast, "{id}");
    }
}

fn image(id: &str, seconds: i64) -> (Image, Snapshot) {
    let stamp = |kind| Stamp {
        policy: "bake",
        ..stamp(kind, "i-1", id, slot(0))
    };
    let backing = Snapshot {
        id: SnapshotId::new(format!("snap-of-{id}")),
        tags: stamp(ArtifactKind::ImageSnapshot).tags(),
        ..snapshot("i-1", id, 0, 1, seconds)
    };
    let image = Image {
        id: ImageId::new(id),
        name: Some(image_name(
            "bake",
            "i-1",
            slot(0),
            1 + u32::from(seconds > 5),
        )),
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some("1".into()),
        created: Some(slot(0) + SignedDuration::from_secs(seconds)),
        source_instance: Some(InstanceId::new("i-1")),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: Some("/dev/xvda".into()),
        mappings: vec![ImageMapping {
            device: "/dev/xvda".into(),
            target: MappingTarget::Ebs(Some(backing.id.clone())),
        }],
        tags: stamp(ArtifactKind::Image).tags(),
    };
    (image, backing)
}

/// EC2 refuses a second AMI of one name, and the name's attempt grows only after a failure.
#[test]
fn two_amis_of_one_slot_are_two_backups() {
    let (images, snapshots): (Vec<Image>, Vec<Snapshot>) =
        [image("ami-1", 5), image("ami-2", 300)].into_iter().unzip();
    let verdicts = judged(&snapshots, &images, ALL);
    assert_eq!(verdicts.len(), 2);
    assert!(!verdicts.iter().any(is_duplicate));
    assert!(verdicts.iter().all(|verdict| verdict.good));
}

fn account() -> impl Strategy<Value = Vec<Snapshot>> {
    let one = (
        prop::sample::select(vec!["i-1", "i-2", "vol-1"]),
        prop::sample::select(vec!["one", "two", "three"]),
        0..3_i64,
        1..4_u8,
        prop::sample::select(vec![5_i64, 90, 300]),
        prop::sample::select(vec![
            SnapshotState::Completed,
            SnapshotState::Completed,
            SnapshotState::Completed,
            SnapshotState::Pending,
        ]),
    );
    let snapshot = one.prop_map(|(source, run, hour, volume, seconds, state)| Snapshot {
        state,
        ..snapshot(source, run, hour, volume, seconds)
    });
    prop::collection::vec(snapshot, 0..24).prop_map(|all| {
        let by_id: BTreeMap<_, _> = all.into_iter().map(|s| (s.id.clone(), s)).collect();
        by_id.into_values().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    /// Each duplicate's volume is held by an older completed snapshot of the same slot and source,
    /// which is no duplicate.
    #[test]
    fn what_goes_as_a_duplicate_is_there_in_an_older_backup_that_is_none(all in account()) {
        let verdicts = judged(&all, &[], ALL);
        let asked = |v: &Verdict| {
            let artifact = v.artifact.clone().unwrap();
            (artifact.policy, artifact.slot, artifact.source, v.subject.source().unwrap().to_owned())
        };
        for verdict in verdicts.iter().filter(|v| is_duplicate(v)) {
            let older = verdicts.iter().any(|other| {
                other.good
                    && !is_duplicate(other)
                    && asked(other) == asked(verdict)
                    && other.subject.time() <= verdict.subject.time()
            });
            prop_assert!(older, "{} of {:?}", verdict.subject.id(), all);
        }
    }

    /// In retention they count once: without the duplicates every other verdict is the same.
    #[test]
    fn the_other_backups_fare_as_if_no_duplicate_had_been_made(all in account()) {
        let verdicts = judged(&all, &[], FEW);
        let gone: BTreeSet<String> = verdicts
            .iter()
            .filter(|v| is_duplicate(v))
            .map(|v| v.subject.id().to_owned())
            .collect();
        let rest: Vec<Snapshot> = all
            .into_iter()
            .filter(|snapshot| !gone.contains(snapshot.id.as_str()))
            .collect();
        let said = |verdicts: &[Verdict]| -> Vec<(String, String)> {
            let rest = verdicts.iter().filter(|v| !is_duplicate(v));
            rest.map(|v| (v.subject.id().to_owned(), format!("{:?}", v.decision))).collect()
        };
        prop_assert_eq!(said(&verdicts), said(&judged(&rest, &[], FEW)));
    }
}
