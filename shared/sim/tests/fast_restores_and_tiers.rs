//! Fast snapshot restore and storage tiers over virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code, delete, details, disable, image_of, imaged};
use holdfast_core::id::SnapshotId;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{
    Account, CallFailure, FastRestore, FastRestoreChanges, FastRestoreState, Filter, Response,
    Retained, RetentionRule, SnapshotSeed, TierStatus,
};
use jiff::SignedDuration;

const ZONE: &str = "eu-central-1a";
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn enable(account: &mut Account, ids: &[&SnapshotId]) -> FastRestoreChanges {
    let request = Request::EnableFastSnapshotRestores(request::EnableFastSnapshotRestores {
        zones: vec![ZONE.to_owned()],
        ids: ids.iter().map(|id| id.as_str().to_owned()).collect(),
    });
    match account.call(&request).unwrap() {
        Response::FastRestoresChanged(changes) => changes,
        other => panic!("{other:?}"),
    }
}

fn fast_restores(account: &mut Account, filters: Vec<Filter>) -> Vec<FastRestore> {
    let request = Request::DescribeFastSnapshotRestores(request::DescribeFastSnapshotRestores {
        filters,
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::FastRestores(page) => page.items,
        other => panic!("{other:?}"),
    }
}

fn state(account: &mut Account) -> FastRestoreState {
    fast_restores(account, Vec::new())[0].state
}

fn archive(account: &mut Account, id: &SnapshotId) -> Result<Response, CallFailure> {
    account.call(&Request::ModifySnapshotTier(request::ModifySnapshotTier {
        id: id.as_str().to_owned(),
        tier: "archive".to_owned(),
    }))
}

fn bring_back(
    account: &mut Account,
    id: &SnapshotId,
    temporary_days: Option<i32>,
) -> Result<Response, CallFailure> {
    account.call(&Request::RestoreSnapshotTier(
        request::RestoreSnapshotTier {
            id: id.as_str().to_owned(),
            permanent: temporary_days.is_none(),
            temporary_days,
        },
    ))
}

fn status(account: &mut Account, id: &SnapshotId) -> TierStatus {
    let request = Request::DescribeSnapshotTierStatus(request::DescribeSnapshotTierStatus {
        filters: vec![Filter::new("snapshot-id", [id.as_str()])],
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::TierStatuses(page) => page.items[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fast_restore_passes_through_its_states_and_says_so() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    let changes = enable(&mut account, &[&id]);
    assert_eq!(changes.successful[0].state, FastRestoreState::Enabling);
    account.advance_by(SignedDuration::from_secs(30));
    assert_eq!(state(&mut account), FastRestoreState::Optimizing);
    account.advance_by(SignedDuration::from_hours(1));
    assert_eq!(state(&mut account), FastRestoreState::Enabled);
    let disable = Request::DisableFastSnapshotRestores(request::DisableFastSnapshotRestores {
        zones: vec![ZONE.to_owned()],
        ids: vec![id.as_str().to_owned()],
    });
    account.call(&disable).unwrap();
    assert_eq!(state(&mut account), FastRestoreState::Disabling);
    account.advance_by(SignedDuration::from_secs(30));
    assert_eq!(state(&mut account), FastRestoreState::Disabled);
    match account.call(&disable).unwrap() {
        Response::FastRestoresChanged(changes) => {
            assert_eq!(changes.successful, []);
            assert_eq!(changes.unsuccessful[0].code, "IncorrectState");
        }
        other => panic!("{other:?}"),
    }
    let kind = "EBS Fast Snapshot Restore State-change Notification";
    let states: Vec<String> = details(&mut account, kind)
        .iter()
        .map(|d| d["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        states,
        ["enabling", "optimizing", "enabled", "disabling", "disabled"]
    );
}

#[test]
fn enabling_again_does_not_inherit_the_times_of_the_first_attempt() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    enable(&mut account, &[&id]);
    account.advance_by(SignedDuration::from_secs(20));
    account
        .call(&Request::DisableFastSnapshotRestores(
            request::DisableFastSnapshotRestores {
                zones: vec![ZONE.to_owned()],
                ids: vec![id.as_str().to_owned()],
            },
        ))
        .unwrap();
    enable(&mut account, &[&id]);
    account.advance_by(SignedDuration::from_secs(29));
    assert_eq!(state(&mut account), FastRestoreState::Enabling);
    account.advance_by(SignedDuration::from_secs(1));
    assert_eq!(state(&mut account), FastRestoreState::Optimizing);
}

#[test]
fn five_snapshots_can_be_enabled_and_each_refusal_is_told_by_itself() {
    let mut account = account();
    let ids: Vec<SnapshotId> = (0..6)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    let archived = account.seed_snapshot(SnapshotSeed {
        tier: Some("archive".to_owned()),
        ..Default::default()
    });
    let gone = SnapshotId::new("snap-0dead");
    let mut asked = vec![&archived, &gone];
    asked.extend(&ids);
    let changes = enable(&mut account, &asked);
    assert_eq!(changes.successful.len(), 5);
    let refused: Vec<_> = changes
        .unsuccessful
        .iter()
        .map(|r| (r.snapshot.as_str(), r.code.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (archived.as_str(), "InvalidSnapshot.InvalidState"),
            (gone.as_str(), "InvalidSnapshot.NotFound"),
            (ids[5].as_str(), "ResourceLimitExceeded"),
        ]
    );
    let enabling = vec![Filter::new("state", ["enabling"])];
    assert_eq!(fast_restores(&mut account, enabling).len(), 5);
}

#[test]
fn a_deleted_snapshots_fast_restore_ends_unless_it_leaves_the_bin_before() {
    let mut account = account();
    let rule = RetentionRule::for_region(Retained::Snapshots, 7);
    account.settings_mut().recycle_bin.push(rule);
    let id = account.seed_snapshot(SnapshotSeed::default());
    enable(&mut account, &[&id]);
    account.advance_by(SignedDuration::from_hours(2));
    let restore = Request::RestoreSnapshotFromRecycleBin(request::RestoreSnapshotFromRecycleBin {
        id: id.as_str().to_owned(),
    });
    delete(&mut account, &id).unwrap();
    account.call(&restore).unwrap();
    account.advance_by(SignedDuration::from_hours(1));
    assert_eq!(state(&mut account), FastRestoreState::Enabled);

    delete(&mut account, &id).unwrap();
    account.advance_by(SignedDuration::from_hours(1));
    assert_eq!(state(&mut account), FastRestoreState::Disabled);
    account.call(&restore).unwrap();
    account.advance_by(SignedDuration::from_hours(1));
    assert_eq!(state(&mut account), FastRestoreState::Disabled);
}

#[test]
fn a_snapshot_is_archived_only_when_every_image_of_it_is_disabled() {
    let mut account = account();
    let (first, id) = imaged(&mut account);
    let second = image_of(&mut account, &id);
    disable(&mut account, &first);
    assert_eq!(code(archive(&mut account, &id)), "InvalidSnapshot.InUse");
    disable(&mut account, &second);
    archive(&mut account, &id).unwrap();
    assert_eq!(code(archive(&mut account, &id)), "IncorrectState");
    let during = status(&mut account, &id);
    assert_eq!(during.tier, "standard");
    assert_eq!(
        during.history.last.unwrap().status(),
        "archival-in-progress"
    );
    account.advance_by(DAY);
    let after = status(&mut account, &id);
    assert_eq!(after.tier, "archive");
    assert_eq!(after.history.last.unwrap().status(), "archival-completed");
    assert_eq!(after.history.archived, Some(account.now()));
    // Still not to be deleted, and the images not to be enabled.
    assert_eq!(code(delete(&mut account, &id)), "InvalidSnapshot.InUse");
    let enable = Request::EnableImage(request::EnableImage {
        id: first.as_str().to_owned(),
    });
    assert_eq!(code(account.call(&enable)), "IncorrectState");
    bring_back(&mut account, &id, None).unwrap();
    account.advance_by(DAY);
    account.call(&enable).unwrap();
}

#[test]
fn a_temporary_restore_ends_in_the_archive_again() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    assert_eq!(
        code(bring_back(&mut account, &id, Some(3))),
        "IncorrectState"
    );
    archive(&mut account, &id).unwrap();
    account.advance_by(DAY);
    assert_eq!(
        code(bring_back(&mut account, &id, Some(181))),
        "InvalidParameterValue"
    );
    bring_back(&mut account, &id, Some(3)).unwrap();
    account.advance_by(DAY);
    let back = status(&mut account, &id);
    assert_eq!(back.tier, "standard");
    assert_eq!(back.history.restore_expires, Some(account.now() + DAY * 3));
    account.advance_by(DAY * 3);
    assert_eq!(status(&mut account, &id).tier, "archive");
    let events: Vec<String> = details(&mut account, "EBS Snapshot Notification")
        .iter()
        .map(|d| d["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        events,
        [
            "archiveSnapshot",
            "temporaryRestoreSnapshot",
            "restoreExpiry"
        ]
    );
}

#[test]
fn a_temporary_restore_can_be_made_permanent() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    archive(&mut account, &id).unwrap();
    account.advance_by(DAY);
    bring_back(&mut account, &id, Some(3)).unwrap();
    account.advance_by(DAY);
    assert_eq!(code(archive(&mut account, &id)), "IncorrectState");
    bring_back(&mut account, &id, None).unwrap();
    account.advance_by(DAY * 30);
    let status = status(&mut account, &id);
    assert_eq!(
        (status.tier.as_str(), status.history.restore_expires),
        ("standard", None)
    );
    archive(&mut account, &id).unwrap();
}
