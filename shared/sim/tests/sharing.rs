//! Snapshot shares and launch permissions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use std::collections::BTreeSet;

use calls::{account, code, disable, image_of, imaged};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::ImageState;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{
    Account, CallFailure, Grantee, ImageAttribute, ImageSeed, Response, SnapshotSeed,
};

const OTHER: &str = "444455556666";
const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abc";

fn other() -> Grantee {
    Grantee::Account(OTHER.to_owned())
}

fn share(account: &mut Account, id: &SnapshotId, add: &[Grantee]) -> Result<Response, CallFailure> {
    modify(account, id, add, &[])
}

fn modify(
    account: &mut Account,
    id: &SnapshotId,
    add: &[Grantee],
    remove: &[Grantee],
) -> Result<Response, CallFailure> {
    account.call(&Request::ModifySnapshotAttribute(
        request::ModifySnapshotAttribute {
            id: id.as_str().to_owned(),
            attribute: None,
            add: add.to_vec(),
            remove: remove.to_vec(),
        },
    ))
}

fn sharers(account: &mut Account, id: &SnapshotId) -> Vec<Grantee> {
    let request = Request::DescribeSnapshotAttribute(request::DescribeSnapshotAttribute {
        id: id.as_str().to_owned(),
        attribute: "createVolumePermission".to_owned(),
    });
    match account.call(&request).unwrap() {
        Response::SnapshotPermissions(of, all) if of == *id => all,
        answer => panic!("{answer:?}"),
    }
}

fn permit(
    account: &mut Account,
    id: &ImageId,
    add: &[Grantee],
    remove: &[Grantee],
) -> Result<Response, CallFailure> {
    account.call(&Request::ModifyImageAttribute(
        request::ModifyImageAttribute {
            id: id.as_str().to_owned(),
            attribute: None,
            add: add.to_vec(),
            remove: remove.to_vec(),
        },
    ))
}

fn launchers(account: &mut Account, id: &ImageId) -> Vec<Grantee> {
    let request = Request::DescribeImageAttribute(request::DescribeImageAttribute {
        id: id.as_str().to_owned(),
        attribute: "launchPermission".to_owned(),
    });
    match account.call(&request).unwrap() {
        Response::ImageAttribute(of, ImageAttribute::LaunchPermission(all)) if of == *id => all,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_snapshot_is_shared_described_and_taken_back() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    assert_eq!(sharers(&mut account, &id), []);
    share(&mut account, &id, &[other()]).unwrap();
    share(&mut account, &id, &[Grantee::Everybody]).unwrap();
    assert_eq!(sharers(&mut account, &id), [Grantee::Everybody, other()]);
    modify(&mut account, &id, &[], &[Grantee::Everybody]).unwrap();
    assert_eq!(sharers(&mut account, &id), [other()]);
    account
        .call(&Request::ResetSnapshotAttribute(
            request::ResetSnapshotAttribute {
                id: id.as_str().to_owned(),
                attribute: "createVolumePermission".to_owned(),
            },
        ))
        .unwrap();
    assert_eq!(sharers(&mut account, &id), []);
}

#[test]
fn one_call_adds_or_removes_at_most_five_hundred_well_formed_accounts() {
    let mut account = account();
    let id = account.seed_snapshot(SnapshotSeed::default());
    let both = modify(&mut account, &id, &[other()], &[Grantee::Everybody]);
    assert_eq!(code(both), "InvalidParameterCombination");
    assert_eq!(code(share(&mut account, &id, &[])), "MissingParameter");
    let short = Grantee::Account("12345".to_owned());
    assert_eq!(
        code(share(&mut account, &id, &[short])),
        "InvalidUserID.Malformed"
    );
    let many: Vec<Grantee> = (0..501)
        .map(|n| Grantee::Account(format!("{n:012}")))
        .collect();
    assert_eq!(
        code(share(&mut account, &id, &many)),
        "InvalidParameterValue"
    );
    share(&mut account, &id, &many[..500]).unwrap();
    assert_eq!(sharers(&mut account, &id).len(), 500);
}

#[test]
fn a_snapshot_under_the_default_key_is_not_shared_and_no_encrypted_one_is_public() {
    let mut account = account();
    let default_key = account.seed_snapshot(SnapshotSeed {
        encrypted: true,
        ..Default::default()
    });
    let customer_key = account.seed_snapshot(SnapshotSeed {
        encrypted: true,
        kms_key: Some("arn:aws:kms:eu-central-1:111122223333:key/k".to_owned()),
        ..Default::default()
    });
    assert_eq!(
        code(share(&mut account, &default_key, &[other()])),
        "OperationNotPermitted"
    );
    assert_eq!(
        code(share(&mut account, &customer_key, &[Grantee::Everybody])),
        "OperationNotPermitted"
    );
    share(&mut account, &customer_key, &[other()]).unwrap();
    let image = image_of(&mut account, &default_key);
    assert_eq!(
        code(permit(&mut account, &image, &[other()], &[])),
        "InvalidParameter"
    );
    assert_eq!(launchers(&mut account, &image), []);
}

#[test]
fn an_image_is_opened_to_accounts_and_organizations() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    let organization = Grantee::Organization(ORGANIZATION.to_owned());
    permit(&mut account, &image, &[other(), organization.clone()], &[]).unwrap();
    permit(&mut account, &image, &[Grantee::Everybody], &[other()]).unwrap();
    assert_eq!(
        launchers(&mut account, &image),
        [Grantee::Everybody, organization]
    );
    account
        .call(&Request::ResetImageAttribute(
            request::ResetImageAttribute {
                id: image.as_str().to_owned(),
                attribute: "launchPermission".to_owned(),
            },
        ))
        .unwrap();
    assert_eq!(launchers(&mut account, &image), []);
    assert!(!account.image(&image).unwrap().public);
}

#[test]
fn disabling_an_image_wipes_its_launch_permissions_for_good() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    permit(&mut account, &image, &[other(), Grantee::Everybody], &[]).unwrap();
    disable(&mut account, &image);
    assert_eq!(launchers(&mut account, &image), []);
    assert_eq!(
        code(permit(&mut account, &image, &[other()], &[])),
        "InvalidAMIID.Unavailable"
    );
    account
        .call(&Request::EnableImage(request::EnableImage {
            id: image.as_str().to_owned(),
        }))
        .unwrap();
    assert_eq!(account.image(&image).unwrap().state, ImageState::Available);
    assert_eq!(launchers(&mut account, &image), []);
}

#[test]
fn only_the_owner_reads_and_changes_permissions() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed {
        owner: Some(OTHER.to_owned()),
        shared_with: BTreeSet::from(["111122223333".to_owned()]),
        ..Default::default()
    });
    let image = account.seed_image(ImageSeed {
        owner: Some(OTHER.to_owned()),
        ..Default::default()
    });
    assert_eq!(
        code(share(&mut account, &snapshot, &[other()])),
        "AuthFailure"
    );
    assert_eq!(
        code(permit(&mut account, &image, &[other()], &[])),
        "InvalidAMIID.NotFound"
    );
}
