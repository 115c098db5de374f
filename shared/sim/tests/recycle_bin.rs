//! The Recycle Bin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use std::collections::{BTreeMap, BTreeSet};

use calls::{account, code, delete, deregister, imaged};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{ImageState, SnapshotState};
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{
    Account, Binned, CallFailure, DeletedSnapshot, Image, Response, Retained, RetentionRule,
    Snapshot, SnapshotSeed, VolumeSeed,
};
use jiff::SignedDuration;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn retain(account: &mut Account, retained: Retained, days: u16) {
    let rule = RetentionRule::for_region(retained, days);
    account.settings_mut().recycle_bin.push(rule);
}

fn list_snapshots(
    account: &mut Account,
    ids: &[&SnapshotId],
) -> Result<Vec<Binned<Snapshot>>, CallFailure> {
    let request = Request::ListSnapshotsInRecycleBin(request::ListSnapshotsInRecycleBin {
        ids: ids.iter().map(|id| id.as_str().to_owned()).collect(),
        ..Default::default()
    });
    account.call(&request).map(|answer| match answer {
        Response::BinnedSnapshots(page) => page.items,
        other => panic!("{other:?}"),
    })
}

fn binned_snapshots(account: &mut Account) -> Vec<SnapshotId> {
    let all = list_snapshots(account, &[]).unwrap();
    all.into_iter().map(|b| b.resource.id).collect()
}

fn binned_images(account: &mut Account) -> Vec<Binned<Image>> {
    let request = Request::ListImagesInRecycleBin(Default::default());
    match account.call(&request).unwrap() {
        Response::BinnedImages(page) => page.items,
        other => panic!("{other:?}"),
    }
}

fn restore_snapshot(account: &mut Account, id: &SnapshotId) -> Result<Response, CallFailure> {
    account.call(&Request::RestoreSnapshotFromRecycleBin(
        request::RestoreSnapshotFromRecycleBin {
            id: id.as_str().to_owned(),
        },
    ))
}

fn restore_image(account: &mut Account, id: &ImageId) -> Result<Response, CallFailure> {
    account.call(&Request::RestoreImageFromRecycleBin(
        request::RestoreImageFromRecycleBin {
            id: id.as_str().to_owned(),
        },
    ))
}

#[test]
fn a_deleted_snapshot_stays_in_the_bin_for_its_days_and_can_be_restored_with_its_shares() {
    let mut account = account();
    retain(&mut account, Retained::Snapshots, 7);
    let id = account.seed_snapshot(SnapshotSeed {
        shared_with: BTreeSet::from(["444455556666".to_owned()]),
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        ..Default::default()
    });
    let before = account.snapshot(&id).unwrap().clone();
    let deleted = account.now();
    delete(&mut account, &id).unwrap();
    assert!(account.snapshot(&id).is_none());
    assert_eq!(code(delete(&mut account, &id)), "InvalidSnapshot.NotFound");
    let binned = list_snapshots(&mut account, &[&id]).unwrap();
    assert_eq!(binned[0].entered, deleted);
    assert_eq!(binned[0].exits, deleted + DAY * 7);

    account.advance_by(DAY);
    restore_snapshot(&mut account, &id).unwrap();
    let restored = account.snapshot(&id).unwrap();
    assert_eq!(
        (&restored.shared_with, &restored.tags, restored.started),
        (&before.shared_with, &before.tags, before.started)
    );
    assert_eq!(binned_snapshots(&mut account), []);
    assert_eq!(
        code(restore_snapshot(&mut account, &id)),
        "InvalidSnapshot.NotFound"
    );

    // A second stay is as long as the first, whatever was left of that.
    delete(&mut account, &id).unwrap();
    account.advance_by(DAY * 6);
    assert_eq!(binned_snapshots(&mut account), std::slice::from_ref(&id));
    account.advance_by(DAY);
    assert_eq!(binned_snapshots(&mut account), []);
    assert_eq!(
        code(restore_snapshot(&mut account, &id)),
        "InvalidSnapshot.NotFound"
    );
}

#[test]
fn without_a_matching_rule_a_deleted_snapshot_is_gone() {
    let mut account = account();
    retain(&mut account, Retained::Images, 7);
    let id = account.seed_snapshot(SnapshotSeed::default());
    delete(&mut account, &id).unwrap();
    assert_eq!(binned_snapshots(&mut account), []);
    let unknown = list_snapshots(&mut account, &[&id]).map(|_| Response::Done);
    assert_eq!(code(unknown), "InvalidSnapshot.NotFound");
}

#[test]
fn a_pending_snapshot_enters_the_bin_when_its_deletion_takes_effect() {
    let mut account = account();
    retain(&mut account, Retained::Snapshots, 7);
    let volume = account.seed_volume(VolumeSeed::default());
    let id = account.seed_snapshot(SnapshotSeed {
        volume: Some(volume),
        state: Some(SnapshotState::Pending),
        ..Default::default()
    });
    delete(&mut account, &id).unwrap();
    assert_eq!(binned_snapshots(&mut account), []);
    account.advance_by(SignedDuration::from_mins(1));
    assert_eq!(binned_snapshots(&mut account), std::slice::from_ref(&id));
    restore_snapshot(&mut account, &id).unwrap();
    assert_eq!(
        account.snapshot(&id).unwrap().state,
        SnapshotState::Completed
    );
}

#[test]
fn an_image_in_the_bin_does_not_hold_its_snapshots_and_is_restored_after_them() {
    let mut account = account();
    retain(&mut account, Retained::Images, 7);
    retain(&mut account, Retained::Snapshots, 14);
    let (image, snapshot) = imaged(&mut account);
    assert_eq!(
        deregister(&mut account, &image, true),
        Response::Deregistered(vec![DeletedSnapshot {
            id: snapshot.clone(),
            return_code: "success"
        }])
    );
    assert!(account.image(&image).is_none());
    assert_eq!(binned_images(&mut account)[0].resource.id, image);
    assert_eq!(
        binned_snapshots(&mut account),
        std::slice::from_ref(&snapshot)
    );

    assert_eq!(code(restore_image(&mut account, &image)), "IncorrectState");
    restore_snapshot(&mut account, &snapshot).unwrap();
    restore_image(&mut account, &image).unwrap();
    assert_eq!(account.image(&image).unwrap().state, ImageState::Available);
    assert_eq!(
        code(delete(&mut account, &snapshot)),
        "InvalidSnapshot.InUse"
    );
}

#[test]
fn an_image_whose_snapshots_left_the_bin_cannot_be_restored() {
    let mut account = account();
    retain(&mut account, Retained::Images, 7);
    retain(&mut account, Retained::Snapshots, 1);
    let (image, snapshot) = imaged(&mut account);
    deregister(&mut account, &image, false);
    delete(&mut account, &snapshot).unwrap();
    account.advance_by(DAY);
    assert_eq!(binned_snapshots(&mut account), []);
    assert_eq!(binned_images(&mut account).len(), 1);
    assert_eq!(code(restore_image(&mut account, &image)), "IncorrectState");
    account.advance_by(DAY * 6);
    assert_eq!(binned_images(&mut account), []);
    assert_eq!(
        code(restore_image(&mut account, &image)),
        "InvalidAMIID.NotFound"
    );
}

#[test]
fn a_restored_image_keeps_its_snapshots_when_the_lag_of_its_deregistration_ends() {
    let mut account = account();
    retain(&mut account, Retained::Images, 7);
    account.settings_mut().in_use_lag = SignedDuration::from_mins(5);
    account.settings_mut().deregistered_visible = SignedDuration::from_mins(5);
    let (image, snapshot) = imaged(&mut account);
    deregister(&mut account, &image, false);
    account.advance_by(SignedDuration::from_mins(1));
    restore_image(&mut account, &image).unwrap();
    account.advance_by(SignedDuration::from_mins(10));
    assert_eq!(account.image(&image).unwrap().state, ImageState::Available);
    assert_eq!(
        code(delete(&mut account, &snapshot)),
        "InvalidSnapshot.InUse"
    );
}

#[test]
fn the_lists_of_the_bin_keep_their_bounds() {
    let mut account = account();
    let page = |max| PageRequest {
        max_results: Some(max),
        next_token: None,
    };
    let snapshots = |max| {
        Request::ListSnapshotsInRecycleBin(request::ListSnapshotsInRecycleBin {
            page: page(max),
            ..Default::default()
        })
    };
    let images = |ids: usize, max| {
        Request::ListImagesInRecycleBin(request::ListImagesInRecycleBin {
            ids: (0..ids).map(|n| format!("ami-{n:x}")).collect(),
            page: page(max),
        })
    };
    assert_eq!(code(account.call(&snapshots(4))), "InvalidParameterValue");
    account.call(&snapshots(5)).unwrap();
    assert_eq!(code(account.call(&images(0, 0))), "InvalidParameterValue");
    account.call(&images(0, 1)).unwrap();
    assert_eq!(code(account.call(&images(21, 1))), "InvalidParameterValue");
    assert_eq!(code(account.call(&images(20, 1))), "InvalidAMIID.NotFound");
}
