//! What the rule tests ask an account for.

// Each test binary uses a part of it.
#![allow(dead_code)]

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_sim::request::{self, Request};
use holdfast_sim::{
    Account, BlockDevice, CallFailure, ImageSeed, Response, Settings, SnapshotSeed,
};
use serde_json::Value;

pub fn account() -> Account {
    Account::new(Settings::default())
}

/// The code of a refusal.
pub fn code(result: Result<Response, CallFailure>) -> String {
    match result {
        Err(CallFailure::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// A completed snapshot and an image that maps it as its root.
pub fn imaged(account: &mut Account) -> (ImageId, SnapshotId) {
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let image = image_of(account, &snapshot);
    (image, snapshot)
}

pub fn image_of(account: &mut Account, snapshot: &SnapshotId) -> ImageId {
    account.seed_image(ImageSeed {
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        ..Default::default()
    })
}

pub fn delete(account: &mut Account, id: &SnapshotId) -> Result<Response, CallFailure> {
    account.call(&Request::DeleteSnapshot(request::DeleteSnapshot {
        id: id.as_str().to_owned(),
    }))
}

pub fn deregister(account: &mut Account, id: &ImageId, with_snapshots: bool) -> Response {
    account
        .call(&Request::DeregisterImage(request::DeregisterImage {
            id: id.as_str().to_owned(),
            delete_associated_snapshots: with_snapshots,
        }))
        .unwrap()
}

pub fn disable(account: &mut Account, id: &ImageId) {
    account
        .call(&Request::DisableImage(request::DisableImage {
            id: id.as_str().to_owned(),
        }))
        .unwrap();
}

/// The details of the events of one type since the last look, oldest first.
pub fn details(account: &mut Account, detail_type: &str) -> Vec<Value> {
    account
        .drain_events()
        .into_iter()
        .filter(|e| e["detail-type"] == detail_type)
        .map(|mut e| e["detail"].take())
        .collect()
}
