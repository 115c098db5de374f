//! Snapshot locks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code, delete, deregister, details, image_of};
use holdfast_core::id::SnapshotId;
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{
    Account, CallFailure, DeletedSnapshot, Filter, LockState, LockedSnapshot, Response,
    SnapshotSeed, VolumeSeed,
};
use jiff::SignedDuration;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn lock_with(
    account: &mut Account,
    id: &SnapshotId,
    mode: &str,
    days: i32,
    cool_off: Option<i32>,
) -> Result<Response, CallFailure> {
    account.call(&Request::LockSnapshot(request::LockSnapshot {
        id: id.as_str().to_owned(),
        mode: mode.to_owned(),
        duration_days: Some(days),
        expiration: None,
        cool_off_hours: cool_off,
    }))
}

fn lock(account: &mut Account, id: &SnapshotId, mode: &str, days: i32) -> LockedSnapshot {
    match lock_with(account, id, mode, days, None).unwrap() {
        Response::Locked(locked) => *locked,
        other => panic!("{other:?}"),
    }
}

fn unlock(account: &mut Account, id: &SnapshotId) -> Result<Response, CallFailure> {
    account.call(&Request::UnlockSnapshot(request::UnlockSnapshot {
        id: id.as_str().to_owned(),
    }))
}

fn listed(account: &mut Account, filters: Vec<Filter>) -> Vec<(SnapshotId, LockState)> {
    let request = Request::DescribeLockedSnapshots(request::DescribeLockedSnapshots {
        filters,
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::LockedSnapshots(page) => {
            page.items.into_iter().map(|s| (s.id, s.state)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_locked_snapshot_is_not_deleted_until_its_lock_expires() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    let locked = lock(&mut account, &id, "governance", 2);
    assert_eq!(locked.state, LockState::Governance);
    assert_eq!(locked.lock.expires(), Some(account.now() + DAY + DAY));
    account.advance_by(DAY + DAY - SignedDuration::from_secs(1));
    assert_eq!(code(delete(&mut account, &id)), "OperationNotPermitted");
    account.settings_mut().locked_delete_code = "SnapshotLocked".to_owned();
    assert_eq!(code(delete(&mut account, &id)), "SnapshotLocked");
    account.advance_by(SignedDuration::from_secs(1));
    assert_eq!(
        listed(&mut account, Vec::new()),
        [(id.clone(), LockState::Expired)]
    );
    delete(&mut account, &id).unwrap();
    assert!(account.snapshot(&id).is_none());
}

#[test]
fn governance_unlocks_and_compliance_only_within_its_cooling_off_period() {
    let mut account = account();
    let governed = account.seed_snapshot(SnapshotSeed::default());
    lock(&mut account, &governed, "governance", 10);
    unlock(&mut account, &governed).unwrap();
    delete(&mut account, &governed).unwrap();

    let id = account.seed_snapshot(SnapshotSeed::default());
    lock_with(&mut account, &id, "compliance", 10, Some(24)).unwrap();
    assert_eq!(
        listed(&mut account, Vec::new()),
        [(id.clone(), LockState::ComplianceCoolOff)]
    );
    assert_eq!(code(delete(&mut account, &id)), "OperationNotPermitted");
    unlock(&mut account, &id).unwrap();
    assert_eq!(code(unlock(&mut account, &id)), "IncorrectState");

    lock_with(&mut account, &id, "compliance", 10, Some(24)).unwrap();
    account.advance_by(DAY);
    assert_eq!(
        listed(&mut account, Vec::new()),
        [(id.clone(), LockState::Compliance)]
    );
    assert_eq!(code(unlock(&mut account, &id)), "OperationNotPermitted");
}

#[test]
fn a_compliance_lock_is_only_ever_extended() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    lock(&mut account, &id, "compliance", 10);
    for (mode, days, cool_off) in [
        ("governance", 20, None),
        ("compliance", 9, None),
        ("compliance", 10, None),
        ("compliance", 20, Some(1)),
    ] {
        assert_eq!(
            code(lock_with(&mut account, &id, mode, days, cool_off)),
            "OperationNotPermitted",
            "{mode} {days} {cool_off:?}"
        );
    }
    account.advance_by(DAY);
    let extended = lock(&mut account, &id, "compliance", 11);
    // Its eleven days count from its start.
    let ten_more = (0..10).fold(account.now(), |time, _| time + DAY);
    assert_eq!(extended.lock.expires(), Some(ten_more));
}

#[test]
fn the_lock_of_a_pending_snapshot_starts_when_it_completes() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    let make = Request::CreateSnapshot(request::CreateSnapshot {
        volume: volume.as_str().to_owned(),
        ..Default::default()
    });
    let made = match account.call(&make).unwrap() {
        Response::Snapshot(snapshot) => snapshot.id.clone(),
        other => panic!("{other:?}"),
    };
    let pending = lock(&mut account, &made, "governance", 1);
    assert_eq!((pending.lock.started, pending.lock.expires()), (None, None));
    assert_eq!(code(delete(&mut account, &made)), "OperationNotPermitted");
    account.advance_by(SignedDuration::from_mins(1));
    let completed = account.now();
    let events = details(&mut account, "EBS Snapshot Notification");
    let locked = events
        .iter()
        .find(|e| e["event"] == "lockSnapshot")
        .unwrap();
    assert_eq!(locked["result"], "succeeded");
    assert_eq!(locked["lockState"], "governance");
    assert_eq!(locked["source"], 111_122_223_333_u64);
    let lock = account.snapshot(&made).unwrap().lock.clone().unwrap();
    assert_eq!(lock.expires(), Some(completed + DAY));
}

#[test]
fn a_pending_snapshot_that_fails_loses_its_lock_with_an_event() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    account.fail_next_snapshot(None, "broken");
    let made = match account
        .call(&Request::CreateSnapshot(request::CreateSnapshot {
            volume: volume.as_str().to_owned(),
            ..Default::default()
        }))
        .unwrap()
    {
        Response::Snapshot(snapshot) => snapshot.id.clone(),
        other => panic!("{other:?}"),
    };
    lock(&mut account, &made, "governance", 1);
    account.advance_by(SignedDuration::from_mins(1));
    let events = details(&mut account, "EBS Snapshot Notification");
    let failed = events
        .iter()
        .find(|e| e["event"] == "lockSnapshot")
        .unwrap();
    assert_eq!(
        (failed["result"].as_str(), failed["cause"].as_str()),
        (Some("failed"), Some("snapshot failed"))
    );
    assert_eq!(
        code(lock_with(&mut account, &made, "governance", 1, None)),
        "IncorrectState"
    );
    delete(&mut account, &made).unwrap();
}

#[test]
fn a_lock_does_not_stop_deregistration_and_the_snapshot_stays() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    let image = image_of(&mut account, &id);
    lock(&mut account, &id, "governance", 1);
    assert_eq!(
        deregister(&mut account, &image, true),
        Response::Deregistered(vec![DeletedSnapshot {
            id: id.clone(),
            return_code: "client-error"
        }])
    );
    assert!(account.image(&image).is_none());
    assert!(account.snapshot(&id).is_some());
}

#[test]
fn what_the_parameters_of_a_lock_may_be() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    let past = account.now() - DAY;
    let base = request::LockSnapshot {
        id: id.as_str().to_owned(),
        mode: "governance".to_owned(),
        duration_days: Some(1),
        ..Default::default()
    };
    let bad = [
        (
            request::LockSnapshot {
                duration_days: Some(0),
                ..base.clone()
            },
            "InvalidParameterValue",
        ),
        (
            request::LockSnapshot {
                duration_days: Some(36_501),
                ..base.clone()
            },
            "InvalidParameterValue",
        ),
        (
            request::LockSnapshot {
                duration_days: None,
                ..base.clone()
            },
            "MissingParameter",
        ),
        (
            request::LockSnapshot {
                expiration: Some(past),
                ..base.clone()
            },
            "InvalidParameterCombination",
        ),
        (
            request::LockSnapshot {
                duration_days: None,
                expiration: Some(past),
                ..base.clone()
            },
            "InvalidParameterValue",
        ),
        (
            request::LockSnapshot {
                cool_off_hours: Some(1),
                ..base.clone()
            },
            "InvalidParameterCombination",
        ),
        (
            request::LockSnapshot {
                mode: "compliance".into(),
                cool_off_hours: Some(73),
                ..base.clone()
            },
            "InvalidParameterValue",
        ),
        (
            request::LockSnapshot {
                mode: "firm".into(),
                ..base.clone()
            },
            "InvalidParameterValue",
        ),
    ];
    for (request, expected) in bad {
        let answer = account.call(&Request::LockSnapshot(request.clone()));
        assert_eq!(code(answer), expected, "{request:?}");
    }
    let until = account.now() + DAY + SignedDuration::from_hours(1);
    let dated = request::LockSnapshot {
        duration_days: None,
        expiration: Some(until),
        ..base
    };
    match account.call(&Request::LockSnapshot(dated)).unwrap() {
        Response::Locked(locked) => {
            assert_eq!(
                (locked.lock.expires(), locked.lock.days()),
                (Some(until), 2)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn locked_snapshots_are_paged_and_filtered_by_state() {
    let mut account = account();
    let ids: Vec<SnapshotId> = (0..7)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    for id in &ids[..6] {
        lock(&mut account, id, "governance", 1);
    }
    lock(&mut account, &ids[6], "compliance", 1);
    let compliant = listed(
        &mut account,
        vec![Filter::new("lock-state", ["compliance"])],
    );
    assert_eq!(compliant, [(ids[6].clone(), LockState::Compliance)]);
    let page = |account: &mut Account, max, next_token| {
        account.call(&Request::DescribeLockedSnapshots(
            request::DescribeLockedSnapshots {
                page: PageRequest {
                    max_results: Some(max),
                    next_token,
                },
                ..Default::default()
            },
        ))
    };
    assert_eq!(code(page(&mut account, 4, None)), "InvalidParameterValue");
    let mut found = 0;
    let mut token = None;
    let mut pages = 0;
    loop {
        match page(&mut account, 5, token).unwrap() {
            Response::LockedSnapshots(page) => {
                found += page.items.len();
                token = page.next_token;
            }
            other => panic!("{other:?}"),
        }
        pages += 1;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (7, 2));
}
