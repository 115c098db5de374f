//! Multi-volume sets of which a member failed, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{Inventory, Listing, Snapshot, SnapshotState, Source};
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdict, judge};
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::ReasonCode;
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-02-10T12:00:00Z".parse().unwrap()
}

fn slot() -> Timestamp {
    "2026-02-10T03:00:00Z".parse().unwrap()
}

/// A member of the set that `run` made of `i-1`: `snap-RUN-VOLUME`.
fn member(run: &str, volume: u8, state: SnapshotState) -> Snapshot {
    of("i-1", run, volume, state)
}

fn of(source: &str, run: &str, volume: u8, state: SnapshotState) -> Snapshot {
    let stamp = Stamp {
        kind: ArtifactKind::Snapshot,
        policy: "p",
        source,
        slot: slot(),
        run,
        group: None,
    };
    Snapshot {
        id: SnapshotId::new(format!("snap-{run}-{volume}")),
        volume: Some(VolumeId::new(format!("vol-{volume}"))),
        state,
        start: Some(slot() + SignedDuration::from_mins(i64::from(run == "two"))),
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

fn verdicts(snapshots: Vec<Snapshot>) -> Vec<Verdict> {
    let text = "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
                select: { instances: { tags: { B: x } } }\n    schedule: rate(1 hour)\n    \
                retain: { last: 5 }\n    formerly: [p-old]\n";
    let policies = PolicyFile::parse("p.yaml", text, now()).unwrap();
    let inventory = Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots, now()).into_items(),
        ..Inventory::empty(now())
    };
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &OnRecord::default(),
        account: None,
    };
    judge(&policies, &evidence, now(), None)
}

fn condemned(snapshots: Vec<Snapshot>) -> Vec<String> {
    let verdicts = verdicts(snapshots).into_iter();
    let mut ids: Vec<String> = verdicts
        .filter(Verdict::is_condemned)
        .map(|v| v.subject.id().to_owned())
        .collect();
    ids.sort();
    ids
}

use SnapshotState::{Completed, Error, Pending};

/// Run one failed in volume 2; run two made both again.
fn made_again() -> Vec<Snapshot> {
    vec![
        member("one", 1, Completed),
        member("one", 2, Error),
        member("two", 1, Completed),
        member("two", 2, Completed),
    ]
}

#[test]
fn a_half_failed_set_goes_when_another_run_made_it_whole() {
    assert_eq!(condemned(made_again()), ["snap-one-1", "snap-one-2"]);
    let verdicts = verdicts(made_again());
    let half = verdicts.iter().find(|v| v.subject.id() == "snap-one-1");
    let half = half.unwrap();
    assert!(!half.good, "it counts for no rule");
    assert_eq!(half.reasons()[0].code, ReasonCode::FailedBackup);
    let words = half.reasons()[0].detail.clone().unwrap();
    for named in ["one", "i-1", "snap-one-2", "snap-one-1", "snap-two-1"] {
        assert!(words.contains(named), "{words}");
    }
}

#[test]
fn a_half_failed_set_that_nothing_replaces_is_a_normal_backup() {
    type Change = fn(&mut Vec<Snapshot>);
    let cases: [(&str, Change); 8] = [
        ("no other run", |s| s.truncate(2)),
        ("the other run failed, too", |s| s[3].state = Error),
        ("the other run is not done", |s| s[3].state = Pending),
        ("an unknown state in the other run", |s| {
            s[3].state = SnapshotState::Unknown("new".into());
        }),
        ("another slot", |s| {
            for one in &mut s[2..] {
                let slot = "2026-02-10T04:00:00Z".to_owned();
                one.tags.insert("holdfast:slot".into(), slot);
            }
        }),
        ("another policy", |s| {
            for one in &mut s[2..] {
                one.tags.insert("holdfast:policy".into(), "q".into());
            }
        }),
        ("another volume", |s| {
            s[2].volume = Some(VolumeId::new("vol-7"));
        }),
        ("a copy", |s| {
            s[2].volume = Some(VolumeId::new("vol-ffffffff"));
        }),
    ];
    for (case, change) in cases {
        let mut snapshots = made_again();
        change(&mut snapshots);
        let gone = condemned(snapshots.clone());
        assert!(!gone.contains(&"snap-one-1".to_owned()), "{case}: {gone:?}");
        let verdicts = verdicts(snapshots);
        let half = verdicts.iter().find(|v| v.subject.id() == "snap-one-1");
        assert!(half.unwrap().good, "{case}");
    }
}

#[test]
fn a_whole_set_and_single_snapshots_are_never_taken_for_half_failed() {
    let mut whole = made_again();
    whole[1].state = Completed;
    let failed = |verdict: &Verdict| {
        let mut reasons = verdict.reasons().iter();
        reasons.any(|reason| reason.code == ReasonCode::FailedBackup)
    };
    assert!(!verdicts(whole.clone()).iter().any(failed));
    // Made twice, it counts once: the newer set is the duplicate.
    assert_eq!(condemned(whole), ["snap-two-1", "snap-two-2"]);
    let single = vec![
        of("vol-1", "one", 1, Completed),
        of("vol-1", "one", 9, Error),
        member("two", 1, Completed),
    ];
    assert_eq!(condemned(single), ["snap-one-9"]);
}

#[test]
fn a_set_of_an_earlier_name_of_the_policy_is_replaced_by_one_of_its_new_name() {
    let mut snapshots = made_again();
    for one in &mut snapshots[..2] {
        one.tags.insert("holdfast:policy".into(), "p-old".into());
    }
    assert_eq!(condemned(snapshots), ["snap-one-1", "snap-one-2"]);
}
