//! What keeps a snapshot of a volume, and what lets it go: case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{Inventory, Listing, Snapshot, SnapshotState, Source};
use holdfast_core::plan::census::{count, trips};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, Retired, Settled, plan_hash, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::ReasonCode;
use holdfast_core::retention::{Backup, keep};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-02-10T12:00:00Z")
}

fn policies(more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    select: {{ volumes: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    {more}\n"
    );
    PolicyFile::parse("p.yaml", &text, now()).unwrap()
}

fn of(source: &str, run: &str, volume: &str, time: Timestamp, id: &str) -> Snapshot {
    let stamp = Stamp {
        kind: ArtifactKind::Snapshot,
        policy: "p",
        source,
        slot: time,
        run,
        group: None,
    };
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new(volume)),
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

fn backup(n: usize, time: Timestamp) -> Snapshot {
    of("vol-1", "r", "vol-1", time, &format!("snap-{n:04}"))
}

fn hourly(count: i64, newest: Timestamp) -> Vec<Snapshot> {
    (0..count)
        .map(|n| backup(n as usize, newest - SignedDuration::from_hours(n)))
        .collect()
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

fn gone(file: &PolicyFile, snapshots: Vec<Snapshot>) -> Vec<String> {
    let (v, _) = sweep(file, snapshots, &Recorded::default(), now());
    let mut ids: Vec<String> = v
        .iter()
        .filter(|v| v.is_condemned())
        .map(|v| v.subject.id().to_owned())
        .collect();
    ids.sort();
    ids
}

fn codes(snapshot: Snapshot) -> Vec<ReasonCode> {
    let (v, _) = sweep(
        &policies("retain: { last: 1 }"),
        vec![backup(99, now()), snapshot],
        &Recorded::default(),
        now(),
    );
    v[0].reasons().iter().map(|r| r.code).collect()
}

#[test]
fn a_kept_member_keeps_its_whole_set() {
    let file = policies("retain: { last: 1 }");
    let (old, new) = (at("2026-02-08T03:00:00Z"), at("2026-02-09T03:00:00Z"));
    let set = vec![
        of("i-1", "one", "vol-1", old, "snap-1"),
        of("i-1", "one", "vol-2", old, "snap-2"),
        of("i-1", "two", "vol-1", new, "snap-3"),
    ];
    let (verdicts, _) = sweep(&file, set, &Recorded::default(), now());
    let first = verdicts
        .iter()
        .find(|v| v.subject.id() == "snap-1")
        .unwrap();
    assert_eq!(first.reasons()[0].code, ReasonCode::RetainSet);
    assert!(verdicts.iter().all(|v| !v.is_condemned()));
}

#[test]
fn what_a_list_shows_twice_is_one_copy() {
    let mut twice = hourly(3, at("2026-02-10T03:00:00Z"));
    twice.push(twice[0].clone());
    assert_eq!(gone(&policies("retain: { last: 2 }"), twice), ["snap-0002"]);
}

#[test]
fn a_snapshot_in_a_backup_vault_is_held() {
    let mut one = backup(1, at("2026-02-01T00:00:00Z"));
    one.owner_alias = Some("aws-backup-vault".into());
    assert_eq!(codes(one), [ReasonCode::ManagedByOther]);
}

#[test]
fn a_snapshot_in_an_unknown_state_is_held() {
    let mut one = backup(1, at("2026-02-01T00:00:00Z"));
    one.state = SnapshotState::Unknown("new".into());
    assert_eq!(codes(one), [ReasonCode::UnknownState]);
}

#[test]
fn a_snapshot_without_start_is_held() {
    let mut one = backup(1, at("2026-02-01T00:00:00Z"));
    one.start = None;
    assert_eq!(codes(one), [ReasonCode::EvidenceIncomplete]);
}

#[test]
fn a_snapshot_tagged_image_is_held() {
    let mut one = backup(1, at("2026-02-01T00:00:00Z"));
    one.tags.insert("holdfast:artifact".into(), "image".into());
    assert_eq!(codes(one), [ReasonCode::NotManaged]);
}

fn sets() -> Vec<Snapshot> {
    let t = at("2026-02-10T03:00:00Z");
    let mut two: Vec<Snapshot> = (1..3)
        .map(|v| {
            of(
                "i-1",
                "two",
                &format!("vol-{v}"),
                t,
                &format!("snap-two-{v}"),
            )
        })
        .collect();
    for one in &mut two {
        one.start = Some(t + SignedDuration::from_mins(1));
    }
    let mut all = vec![
        of("i-1", "one", "vol-1", t, "snap-one-1"),
        of("i-1", "one", "vol-2", t, "snap-one-2"),
    ];
    all[1].state = SnapshotState::Error;
    all.extend(two);
    all
}

#[test]
fn two_whole_sets_are_not_replaced_because_something_else_of_the_slot_failed() {
    let mut all = sets();
    all[1].state = SnapshotState::Completed;
    let mut failed = of("vol-9", "r", "vol-9", at("2026-02-10T03:00:00Z"), "snap-9");
    failed.state = SnapshotState::Error;
    all.push(failed);
    assert_eq!(
        gone(&policies("retain: { last: 5 }"), all),
        ["snap-9", "snap-two-1", "snap-two-2"]
    );
}

#[test]
fn a_set_without_a_start_replaces_nothing() {
    let mut all = sets();
    all[2].start = None;
    assert_eq!(gone(&policies("retain: { last: 5 }"), all), ["snap-one-2"]);
}

#[test]
fn a_set_in_a_vault_replaces_nothing() {
    let mut all = sets();
    all[2].owner_alias = Some("aws-backup-vault".into());
    assert_eq!(gone(&policies("retain: { last: 5 }"), all), ["snap-one-2"]);
}

#[test]
fn a_copy_is_not_replaced_by_a_copy() {
    let mut all = sets();
    all[0].volume = Some(VolumeId::new("vol-ffffffff"));
    all[2].volume = Some(VolumeId::new("vol-ffffffff"));
    assert_eq!(gone(&policies("retain: { last: 5 }"), all), ["snap-one-2"]);
}

#[test]
fn a_set_of_a_later_slot_in_which_something_failed_replaces_nothing() {
    let mut all = sets();
    let slot = "2026-02-10T04:00:00Z";
    for one in &mut all[2..] {
        one.tags.insert("holdfast:slot".into(), slot.into());
        one.start = Some(at(slot));
    }
    let mut failed = of("vol-9", "r", "vol-9", at(slot), "snap-9");
    failed.state = SnapshotState::Error;
    all.push(failed);
    assert_eq!(
        gone(&policies("retain: { last: 5 }"), all),
        ["snap-9", "snap-one-2"]
    );
}

#[test]
fn a_failed_backup_whose_slot_is_not_reopened_is_held() {
    let mut one = backup(1, at("2026-02-01T00:00:00Z"));
    one.state = SnapshotState::Error;
    let recorded = Recorded {
        unreopened: BTreeMap::from([("snap-0001".into(), "its slot is not open again".into())]),
        ..Recorded::default()
    };
    let (v, _) = sweep(
        &policies("retain: { last: 1 }"),
        vec![one],
        &recorded,
        now(),
    );
    assert!(!v[0].is_condemned());
}

#[test]
fn a_plans_hash_is_of_its_resources() {
    let hash = plan_hash([("p", "snap-1")].into_iter());
    assert_eq!(
        hash,
        "045edb7bb72b19b0d57f997efa828f8e489806349179cf904e7c0894721066d2"
    );
    assert_ne!(hash, plan_hash([("p", "snap-2")].into_iter()));
}

#[test]
fn deletions_of_almost_a_day_ago_count_against_the_breaker() {
    let file = policies("retain: { last: 1 }\n    limits: { max_shrink: 0%, free: 5 }");
    let old = Retired {
        resource: "snap-old".into(),
        time: at("2026-01-01T00:00:00Z"),
        at: now() - SignedDuration::from_mins(24 * 60 - 1),
    };
    let recorded = Recorded {
        retired: BTreeMap::from([("p".into(), vec![old])]),
        ..Recorded::default()
    };
    let (v, _) = sweep(
        &file,
        hourly(10, at("2026-02-08T12:00:00Z")),
        &recorded,
        now(),
    );
    assert_eq!(v.iter().filter(|v| v.is_condemned()).count(), 4);
}

#[test]
fn every_counted_source_that_collapses_trips() {
    let file = policies("retain: { last: 1 }");
    let inventory = Inventory::empty(now());
    for name in [
        "instances",
        "volumes",
        "images",
        "launch_templates",
        "launch_configurations",
        "auto_scaling",
        "fleets",
        "fast_restore",
        "locks",
    ] {
        let current = count(&inventory, &file, now(), now());
        let mut before = current.clone();
        before.listed.insert(name.to_owned(), 10);
        let found = trips(
            Some(&before),
            &current,
            &file,
            &inventory,
            &Vec::<Verdict>::new(),
        );
        assert!(found.contains_key("p"), "{name}");
    }
}

#[test]
fn a_month_is_one_of_its_year() {
    let file = policies("retain: { monthly: 2 }");
    let times = [
        "2026-01-15T00:00:00Z",
        "2025-01-15T00:00:00Z",
        "2024-01-15T00:00:00Z",
    ];
    let all: Vec<Backup> = times
        .iter()
        .enumerate()
        .map(|(n, t)| Backup {
            id: format!("snap-{n}"),
            time: at(t),
        })
        .collect();
    let kept = keep(&file.policies[0].retain, 1, &TimeZone::UTC, now(), &all);
    let kept: Vec<bool> = kept.iter().map(|r| !r.is_empty()).collect();
    assert_eq!(kept, [true, true, false]);
}
