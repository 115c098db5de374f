//! Calls as CloudTrail hands them to EventBridge, and what AWS Backup keeps to itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use std::collections::BTreeMap;

use calls::{account, code, delete, deregister, details, imaged};
use holdfast_core::inventory::Tags;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{BlockDevice, ImageSeed, SnapshotSeed};

const CALLS: &str = "AWS API Call via CloudTrail";

#[test]
fn a_strangers_deregistration_is_an_event_that_names_image_and_stranger() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    deregister(&mut account, &image, false);
    let calls = details(&mut account, CALLS);
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(call["eventName"], "DeregisterImage");
    assert_eq!(call["eventSource"], "ec2.amazonaws.com");
    assert_eq!(call["requestParameters"]["imageId"], image.as_str());
    assert_eq!(
        call["requestParameters"]["deleteAssociatedSnapshots"],
        false
    );
    assert_eq!(
        call["userIdentity"]["arn"],
        "arn:aws:sts::111122223333:assumed-role/ops/jo"
    );
    assert!(call["errorCode"].is_null());
}

#[test]
fn a_functions_call_bears_its_name_and_the_next_strangers_does_not() {
    let mut account = account();
    let (image, snapshot) = imaged(&mut account);
    account.called_by(Some("sweep-retention".to_owned()));
    deregister(&mut account, &image, false);
    account.called_by(None);
    delete(&mut account, &snapshot).unwrap();
    let callers: Vec<String> = details(&mut account, CALLS)
        .iter()
        .map(|c| c["userIdentity"]["arn"].as_str().unwrap().to_owned())
        .collect();
    let role = "arn:aws:sts::111122223333:assumed-role";
    assert_eq!(
        callers,
        [
            format!("{role}/sweep-retention/sweep-retention"),
            format!("{role}/ops/jo")
        ]
    );
}

#[test]
fn a_refused_call_is_an_event_with_its_code() {
    let mut account = account();
    let (image, snapshot) = imaged(&mut account);
    assert!(delete(&mut account, &snapshot).is_err());
    deregister(&mut account, &image, true);
    assert!(delete(&mut account, &snapshot).is_err());
    let calls = details(&mut account, CALLS);
    let seen: Vec<_> = calls
        .iter()
        .map(|c| (c["eventName"].as_str().unwrap(), c["errorCode"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("DeleteSnapshot", Some("Client.InvalidSnapshot.InUse")),
            // EC2 deletes the snapshots of an image before its call has ended, each with an event.
            ("DeregisterImage", None),
            ("DeleteSnapshot", None),
            ("DeleteSnapshot", Some("Client.InvalidSnapshot.NotFound")),
        ]
    );
}

#[test]
fn what_aws_backup_manages_is_not_deleted_through_ec2() {
    let mut account = account();
    let tags: Tags =
        BTreeMap::from([("aws:backup:source-resource".to_owned(), "i-0a:1".to_owned())]);
    let snapshot = account.seed_snapshot(SnapshotSeed {
        tags: tags.clone(),
        ..Default::default()
    });
    let image = account.seed_image(ImageSeed {
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        owner_alias: Some("aws-backup-vault".to_owned()),
        tags,
        ..Default::default()
    });
    let call = Request::DeregisterImage(request::DeregisterImage {
        id: image.as_str().to_owned(),
        delete_associated_snapshots: true,
    });
    assert_eq!(code(account.call(&call)), "InvalidParameterValue");
    let alone = account.seed_snapshot(SnapshotSeed {
        tags: BTreeMap::from([("aws:backup:source-resource".to_owned(), String::new())]),
        ..Default::default()
    });
    assert_eq!(code(delete(&mut account, &alone)), "InvalidParameterValue");
    assert!(account.snapshot(&alone).is_some());
    assert!(account.image(&image).is_some());
}
