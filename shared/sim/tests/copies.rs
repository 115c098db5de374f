//! Copies of snapshots and images, and deprecation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use std::collections::BTreeMap;

use calls::{account, code, delete, details, disable, imaged};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{ImageState, SnapshotState};
use holdfast_sim::request::{self, Request, TagSpecification};
use holdfast_sim::{
    Account, BlockDevice, CallFailure, Grantee, ImageSeed, Response, Settings, SnapshotSeed,
};
use jiff::{SignedDuration, Timestamp};

const REGION: &str = "eu-central-1";

fn copying(source: &SnapshotId) -> request::CopySnapshot {
    request::CopySnapshot {
        source_region: REGION.to_owned(),
        source: source.as_str().to_owned(),
        ..Default::default()
    }
}

fn copied(answer: Result<Response, CallFailure>) -> SnapshotId {
    match answer.unwrap() {
        Response::SnapshotCopied(id, _) => id,
        other => panic!("{other:?}"),
    }
}

fn copy(account: &mut Account, source: &SnapshotId) -> SnapshotId {
    copied(account.call(&Request::CopySnapshot(copying(source))))
}

fn image_copying(source: &ImageId, name: &str) -> request::CopyImage {
    request::CopyImage {
        name: name.to_owned(),
        source_region: REGION.to_owned(),
        source: source.as_str().to_owned(),
        ..Default::default()
    }
}

fn made(answer: Result<Response, CallFailure>) -> ImageId {
    match answer.unwrap() {
        Response::ImageMade(id) => id,
        other => panic!("{other:?}"),
    }
}

fn tags(key: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), "v".to_owned())])
}

#[test]
fn a_copy_is_pending_names_no_volume_and_leaves_user_tags_behind() {
    let mut account = account();
    let source = account.seed_snapshot(SnapshotSeed {
        size_gib: Some(30),
        tags: tags("theirs"),
        started: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..Default::default()
    });
    let request = request::CopySnapshot {
        tags: vec![TagSpecification::new("snapshot", [("ours", "v")])],
        ..copying(&source)
    };
    let id = copied(account.call(&Request::CopySnapshot(request)));
    let pending = account.snapshot(&id).unwrap();
    assert_eq!(pending.state, SnapshotState::Pending);
    assert_eq!(pending.volume.as_str(), "vol-ffffffff");
    assert_eq!((pending.size_gib, &pending.tags), (30, &tags("ours")));
    assert_eq!(pending.started, account.now());
    account.advance_by(SignedDuration::from_mins(1));
    assert_eq!(
        account.snapshot(&id).unwrap().state,
        SnapshotState::Completed
    );
    let events = details(&mut account, "EBS Snapshot Notification");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event"], "copySnapshot");
    assert_eq!(events[0]["incremental"], "true");
    assert_eq!(
        events[0]["source"],
        format!("arn:aws:ec2::{REGION}:snapshot/{source}")
    );
}

#[test]
fn only_a_completed_snapshot_of_the_standard_tier_is_copied() {
    let mut account = account();
    for (state, tier) in [
        (SnapshotState::Pending, "standard"),
        (SnapshotState::Error, "standard"),
        (SnapshotState::Completed, "archive"),
    ] {
        let source = account.seed_snapshot(SnapshotSeed {
            state: Some(state),
            tier: Some(tier.to_owned()),
            ..Default::default()
        });
        let answer = account.call(&Request::CopySnapshot(copying(&source)));
        assert_eq!(code(answer), "IncorrectState");
    }
    let elsewhere = request::CopySnapshot {
        source_region: "us-east-1".to_owned(),
        ..copying(&SnapshotId::new("snap-1"))
    };
    assert_eq!(
        code(account.call(&Request::CopySnapshot(elsewhere))),
        "UnsupportedOperation"
    );
}

#[test]
fn a_key_that_cannot_be_used_fails_the_copy_after_the_call_has_succeeded() {
    let key = "arn:aws:kms:eu-central-1:444455556666:key/k";
    let mut account = Account::new(Settings {
        inaccessible_keys: [key.to_owned()].into(),
        ..Settings::default()
    });
    let source = account.seed_snapshot(SnapshotSeed::default());
    let plain = request::CopySnapshot {
        kms_key: Some(key.to_owned()),
        ..copying(&source)
    };
    let answer = account.call(&Request::CopySnapshot(plain.clone()));
    assert_eq!(code(answer), "InvalidParameterCombination");
    let encrypted = request::CopySnapshot {
        encrypted: true,
        ..plain
    };
    let id = copied(account.call(&Request::CopySnapshot(encrypted)));
    account.advance_by(SignedDuration::from_mins(1));
    let failed = account.snapshot(&id).unwrap();
    assert_eq!(failed.state, SnapshotState::Error);
    assert_eq!(
        failed.state_message.as_deref(),
        Some("Given key ID is not accessible")
    );
}

#[test]
fn a_copy_fails_when_its_source_is_deleted_meanwhile() {
    let mut account = account();
    let source = account.seed_snapshot(SnapshotSeed::default());
    let id = copy(&mut account, &source);
    delete(&mut account, &source).unwrap();
    account.advance_by(SignedDuration::from_mins(1));
    assert_eq!(account.snapshot(&id).unwrap().state, SnapshotState::Error);
    let events = details(&mut account, "EBS Snapshot Notification");
    assert_eq!(events[0]["result"], "failed");
    assert_eq!(events[0]["cause"], "Source snapshot ID is not valid");

    // Once complete, it needs its source no more.
    let source = account.seed_snapshot(SnapshotSeed::default());
    let id = copy(&mut account, &source);
    account.advance_by(SignedDuration::from_mins(1));
    delete(&mut account, &source).unwrap();
    account.advance_by(SignedDuration::from_mins(1));
    assert_eq!(
        account.snapshot(&id).unwrap().state,
        SnapshotState::Completed
    );
}

#[test]
fn twenty_copies_may_be_in_progress() {
    let mut account = account();
    let source = account.seed_snapshot(SnapshotSeed::default());
    for _ in 0..20 {
        copy(&mut account, &source);
    }
    let one_more = account.call(&Request::CopySnapshot(copying(&source)));
    assert_eq!(code(one_more), "ResourceLimitExceeded");
    account.advance_by(SignedDuration::from_mins(1));
    copy(&mut account, &source);
}

#[test]
fn a_copied_image_has_snapshots_of_its_own() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let source = account.seed_image(ImageSeed {
        mappings: vec![
            BlockDevice::from_snapshot("/dev/xvda", snapshot.clone()),
            BlockDevice::ephemeral("/dev/sdb", "ephemeral0"),
        ],
        shared_with: [Grantee::Account("444455556666".to_owned())].into(),
        tags: tags("theirs"),
        ..Default::default()
    });
    let request = request::CopyImage {
        tags: vec![
            TagSpecification::new("image", [("ours", "v")]),
            TagSpecification::new("snapshot", [("backing", "v")]),
        ],
        client_token: Some("once".to_owned()),
        ..image_copying(&source, "the copy")
    };
    let call = Request::CopyImage(request);
    let id = made(account.call(&call));
    assert_eq!(made(account.call(&call)), id);
    let image = account.image(&id).unwrap().clone();
    assert_eq!(image.state, ImageState::Pending);
    assert_eq!(image.source_image, Some(source.clone()));
    assert_eq!(image.tags, tags("ours"));
    assert!(image.shared_with.is_empty());
    assert_eq!(image.mappings.len(), 2);
    let backing: Vec<SnapshotId> = image.snapshots().cloned().collect();
    assert_ne!(backing, std::slice::from_ref(&snapshot));
    let copy = account.snapshot(&backing[0]).unwrap();
    assert_eq!(copy.tags, tags("backing"));
    let words = format!(
        "Copied for DestinationAmi {id} from SourceAmi {source} for SourceSnapshot {snapshot}. Task created on 1,795,392,000,000."
    );
    assert_eq!(copy.description, words);
    assert_eq!(
        code(delete(&mut account, &backing[0])),
        "InvalidSnapshot.InUse"
    );
    account.advance_by(SignedDuration::from_mins(2));
    assert_eq!(account.image(&id).unwrap().state, ImageState::Available);

    let tagged = request::CopyImage {
        copy_image_tags: true,
        ..image_copying(&source, "another")
    };
    let tagged = made(account.call(&Request::CopyImage(tagged)));
    assert_eq!(account.image(&tagged).unwrap().tags, tags("theirs"));
    let again = account.call(&Request::CopyImage(image_copying(&source, "another")));
    assert_eq!(code(again), "InvalidAMIName.Duplicate");
    disable(&mut account, &source);
    let disabled = account.call(&Request::CopyImage(image_copying(&source, "third")));
    assert_eq!(code(disabled), "InvalidAMIID.Unavailable");
}

#[test]
fn a_copied_image_fails_with_the_copy_of_its_snapshot() {
    let key = "arn:aws:kms:eu-central-1:444455556666:key/k";
    let mut account = account();
    account
        .settings_mut()
        .inaccessible_keys
        .insert(key.to_owned());
    let (source, _) = imaged(&mut account);
    let request = request::CopyImage {
        encrypted: true,
        kms_key: Some(key.to_owned()),
        ..image_copying(&source, "the copy")
    };
    let id = made(account.call(&Request::CopyImage(request)));
    account.advance_by(SignedDuration::from_mins(2));
    assert_eq!(account.image(&id).unwrap().state, ImageState::Failed);
    let states = details(&mut account, "EC2 AMI State Change");
    assert_eq!(states[0]["State"], "failed");
}

#[test]
fn deprecation_is_rounded_bounded_and_hides_an_image_from_others_only() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    let mut deprecate = |id: &ImageId, at: &str| {
        account.call(&Request::EnableImageDeprecation(
            request::EnableImageDeprecation {
                id: id.as_str().to_owned(),
                at: at.parse().unwrap(),
            },
        ))
    };
    assert_eq!(
        code(deprecate(&image, "2026-11-22T23:59:59Z")),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(deprecate(&image, "2036-11-23T00:00:01Z")),
        "InvalidParameterValue"
    );
    deprecate(&image, "2036-11-23T00:00:00Z").unwrap();
    deprecate(&image, "2026-12-01T10:00:30Z").unwrap();
    let expected: Timestamp = "2026-12-01T10:01:00Z".parse().unwrap();
    assert_eq!(
        account.image(&image).unwrap().deprecated_from,
        Some(expected)
    );
    let foreign = account.seed_image(ImageSeed {
        owner: Some("444455556666".to_owned()),
        public: true,
        deprecated_from: Some(account.now()),
        ..Default::default()
    });
    account.advance_by(SignedDuration::from_hours(24 * 30));
    let listed = |account: &mut Account, include_deprecated| {
        let request = Request::DescribeImages(request::DescribeImages {
            include_deprecated,
            ..Default::default()
        });
        match account.call(&request).unwrap() {
            Response::Images(page) => page.items.into_iter().map(|i| i.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(listed(&mut account, false), std::slice::from_ref(&image));
    assert!(listed(&mut account, true).contains(&foreign));
    account
        .call(&Request::DisableImageDeprecation(
            request::DisableImageDeprecation {
                id: image.as_str().to_owned(),
            },
        ))
        .unwrap();
    assert_eq!(account.image(&image).unwrap().deprecated_from, None);
}

#[test]
fn a_public_image_is_deprecated_at_most_two_years_after_it_was_made() {
    let mut account = account();
    let image = account.seed_image(ImageSeed {
        public: true,
        created: Some("2025-01-01T00:00:00Z".parse().unwrap()),
        ..Default::default()
    });
    let mut deprecate = |at: &str| {
        account.call(&Request::EnableImageDeprecation(
            request::EnableImageDeprecation {
                id: image.as_str().to_owned(),
                at: at.parse().unwrap(),
            },
        ))
    };
    assert_eq!(
        code(deprecate("2027-01-01T00:01:00Z")),
        "InvalidParameterValue"
    );
    deprecate("2027-01-01T00:00:00Z").unwrap();
}
