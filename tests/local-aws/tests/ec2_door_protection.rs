//! The EC2 door: shares, locks, the Recycle Bin, fast restore, tiers, copies and deprecation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;

use door::{call, open, texts};
use holdfast_sim::{
    Account, BlockDevice, ImageSeed, Retained, RetentionRule, Settings, SnapshotSeed,
};
use jiff::SignedDuration;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn account() -> Account {
    Account::new(Settings::default())
}

#[tokio::test]
async fn permissions_are_read_in_both_of_their_spellings() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let image = account.seed_image(ImageSeed {
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let id = ("SnapshotId", snapshot.as_str());
    for parameters in [
        vec![id, ("CreateVolumePermission.Add.1.UserId", "444455556666")],
        vec![
            id,
            ("Attribute", "createVolumePermission"),
            ("OperationType", "add"),
            ("UserGroup.1", "all"),
        ],
    ] {
        let (status, answer) = call(door, "ModifySnapshotAttribute", &parameters).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(texts(&answer, "return"), ["true"]);
    }
    let attribute = [id, ("Attribute", "createVolumePermission")];
    let (_, described) = call(door, "DescribeSnapshotAttribute", &attribute).await;
    assert_eq!(texts(&described, "createVolumePermission").len(), 1);
    assert_eq!(texts(&described, "group"), ["all"]);
    assert_eq!(texts(&described, "userId"), ["444455556666"]);

    let id = ("ImageId", image.as_str());
    let organization = "arn:aws:organizations::111122223333:organization/o-a";
    let unit = "arn:aws:organizations::111122223333:ou/o-a/ou-b";
    let parameters = [
        id,
        ("LaunchPermission.Add.1.OrganizationArn", organization),
        ("LaunchPermission.Add.2.OrganizationalUnitArn", unit),
        ("LaunchPermission.Add.3.UserId", "444455556666"),
    ];
    let (status, answer) = call(door, "ModifyImageAttribute", &parameters).await;
    assert_eq!(status, 200, "{answer}");
    let attribute = [id, ("Attribute", "launchPermission")];
    let (_, described) = call(door, "DescribeImageAttribute", &attribute).await;
    assert_eq!(texts(&described, "launchPermission").len(), 1);
    assert_eq!(texts(&described, "organizationArn"), [organization]);
    assert_eq!(texts(&described, "organizationalUnitArn"), [unit]);
    assert_eq!(texts(&described, "userId"), ["444455556666"]);

    let (status, _) = call(door, "ResetImageAttribute", &attribute).await;
    assert_eq!(status, 200);
    let (_, described) = call(door, "DescribeImageAttribute", &attribute).await;
    assert_eq!(texts(&described, "item"), [""; 0]);
}

#[tokio::test]
async fn an_attribute_that_is_not_modelled_is_refused() {
    let mut account = account();
    let image = account.seed_image(ImageSeed::default());
    let (door, _) = open(account).await;
    let id = ("ImageId", image.as_str());
    for (parameters, code) in [
        ([id, ("ProductCode.1", "abc")], "UnknownParameter"),
        ([id, ("Attribute", "kernel")], "InvalidParameterValue"),
    ] {
        let (status, answer) = call(door, "ModifyImageAttribute", &parameters).await;
        assert_eq!((status, texts(&answer, "Code")), (400, vec![code]));
    }
}

#[tokio::test]
async fn a_lock_is_set_listed_and_taken_away() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let (door, _) = open(account).await;
    let id = ("SnapshotId", snapshot.as_str());
    let parameters = [
        id,
        ("LockMode", "compliance"),
        ("ExpirationDate", "2026-12-03T00:00:00.000Z"),
        ("CoolOffPeriod", "24"),
    ];
    let (status, locked) = call(door, "LockSnapshot", &parameters).await;
    assert_eq!(status, 200, "{locked}");
    let (_, listed) = call(door, "DescribeLockedSnapshots", &[]).await;
    for answer in [locked, listed] {
        assert_eq!(texts(&answer, "lockState"), ["compliance-cooloff"]);
        assert_eq!(texts(&answer, "lockDuration"), ["10"]);
        assert_eq!(texts(&answer, "coolOffPeriod"), ["24"]);
        assert_eq!(
            texts(&answer, "coolOffPeriodExpiresOn"),
            ["2026-11-24T00:00:00.000Z"]
        );
        assert_eq!(
            texts(&answer, "lockExpiresOn"),
            ["2026-12-03T00:00:00.000Z"]
        );
    }
    let (status, _) = call(door, "UnlockSnapshot", &[id]).await;
    assert_eq!(status, 200);
    let (_, listed) = call(door, "DescribeLockedSnapshots", &[]).await;
    assert_eq!(texts(&listed, "lockState"), [""; 0]);
}

#[tokio::test]
async fn the_recycle_bin_lists_and_gives_back() {
    let mut account = Account::new(Settings {
        recycle_bin: vec![
            RetentionRule::for_region(Retained::Snapshots, 7),
            RetentionRule::for_region(Retained::Images, 3),
        ],
        ..Settings::default()
    });
    let snapshot = account.seed_snapshot(SnapshotSeed {
        description: "a & b".to_owned(),
        ..Default::default()
    });
    let image = account.seed_image(ImageSeed {
        name: Some("golden".to_owned()),
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let parameters = [
        ("ImageId", image.as_str()),
        ("DeleteAssociatedSnapshots", "true"),
    ];
    let (_, deregistered) = call(door, "DeregisterImage", &parameters).await;
    assert_eq!(texts(&deregistered, "returnCode"), ["success"]);
    let page = [("MaxResults", "5")];
    let (_, snapshots) = call(door, "ListSnapshotsInRecycleBin", &page).await;
    assert_eq!(texts(&snapshots, "snapshotId"), [snapshot.as_str()]);
    assert_eq!(texts(&snapshots, "description"), ["a &amp; b"]);
    assert_eq!(
        texts(&snapshots, "recycleBinExitTime"),
        ["2026-11-30T00:00:00.000Z"]
    );
    let named = [("ImageId.1", image.as_str())];
    let (_, images) = call(door, "ListImagesInRecycleBin", &named).await;
    assert_eq!(texts(&images, "name"), ["golden"]);
    assert_eq!(
        texts(&images, "recycleBinEnterTime"),
        ["2026-11-23T00:00:00.000Z"]
    );
    assert_eq!(
        texts(&images, "recycleBinExitTime"),
        ["2026-11-26T00:00:00.000Z"]
    );
    let restore_image = [("ImageId", image.as_str())];
    let (status, early) = call(door, "RestoreImageFromRecycleBin", &restore_image).await;
    assert_eq!(
        (status, texts(&early, "Code")),
        (400, vec!["IncorrectState"])
    );
    let restore_snapshot = [("SnapshotId", snapshot.as_str())];
    let (_, restored) = call(door, "RestoreSnapshotFromRecycleBin", &restore_snapshot).await;
    assert_eq!(texts(&restored, "status"), ["completed"]);
    let (_, restored) = call(door, "RestoreImageFromRecycleBin", &restore_image).await;
    assert_eq!(texts(&restored, "return"), ["true"]);
}

#[tokio::test]
async fn fast_restore_succeeds_in_part() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let (door, account) = open(account).await;
    let parameters = [
        ("AvailabilityZone.1", "eu-central-1a"),
        ("AvailabilityZone.2", "eu-central-1b"),
        ("SourceSnapshotId.1", snapshot.as_str()),
        ("SourceSnapshotId.2", "snap-0dead"),
    ];
    let (status, changed) = call(door, "EnableFastSnapshotRestores", &parameters).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(texts(&changed, "state"), ["enabling"; 2]);
    let refused = texts(&changed, "unsuccessful")[0];
    assert_eq!(texts(refused, "snapshotId"), ["snap-0dead"]);
    assert_eq!(texts(refused, "code"), ["InvalidSnapshot.NotFound"; 2]);
    account
        .lock()
        .unwrap()
        .advance_by(SignedDuration::from_hours(2));
    let filter = [
        ("Filter.1.Name", "availability-zone"),
        ("Filter.1.Value.1", "eu-central-1b"),
    ];
    let (_, listed) = call(door, "DescribeFastSnapshotRestores", &filter).await;
    assert_eq!(texts(&listed, "state"), ["enabled"]);
    assert_eq!(
        texts(&listed, "optimizingTime"),
        ["2026-11-23T00:00:30.000Z"]
    );
    assert_eq!(texts(&listed, "enabledTime"), ["2026-11-23T01:00:30.000Z"]);
    assert_eq!(texts(&listed, "disabledTime"), [""; 0]);
}

#[tokio::test]
async fn tiers_change_and_are_described() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let (door, account) = open(account).await;
    let id = ("SnapshotId", snapshot.as_str());
    let (_, started) = call(
        door,
        "ModifySnapshotTier",
        &[id, ("StorageTier", "archive")],
    )
    .await;
    assert_eq!(
        texts(&started, "tieringStartTime"),
        ["2026-11-23T00:00:00.000Z"]
    );
    account.lock().unwrap().advance_by(DAY);
    let (_, status) = call(door, "DescribeSnapshotTierStatus", &[]).await;
    assert_eq!(texts(&status, "storageTier"), ["archive"]);
    assert_eq!(
        texts(&status, "lastTieringOperationStatus"),
        ["archival-completed"]
    );
    assert_eq!(
        texts(&status, "archivalCompleteTime"),
        ["2026-11-24T00:00:00.000Z"]
    );
    let parameters = [id, ("TemporaryRestoreDays", "2")];
    let (_, restore) = call(door, "RestoreSnapshotTier", &parameters).await;
    assert_eq!(texts(&restore, "restoreDuration"), ["2"]);
    assert_eq!(texts(&restore, "isPermanentRestore"), ["false"]);
    account.lock().unwrap().advance_by(DAY);
    let (_, listed) = call(door, "DescribeSnapshots", &[]).await;
    assert_eq!(texts(&listed, "storageTier"), ["standard"]);
    assert_eq!(
        texts(&listed, "restoreExpiryTime"),
        ["2026-11-27T00:00:00.000Z"]
    );
}

#[tokio::test]
async fn copies_are_begun_within_the_region_only() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let image = account.seed_image(ImageSeed {
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let parameters = [
        ("SourceRegion", "eu-central-1"),
        ("SourceSnapshotId", snapshot.as_str()),
        ("TagSpecification.1.ResourceType", "snapshot"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "copy"),
    ];
    let (status, copied) = call(door, "CopySnapshot", &parameters).await;
    assert_eq!(status, 200, "{copied}");
    let copy = texts(&copied, "snapshotId")[0];
    assert_eq!(texts(&copied, "value"), ["copy"]);
    let (_, listed) = call(door, "DescribeSnapshots", &[("SnapshotId.1", copy)]).await;
    assert_eq!(texts(&listed, "status"), ["pending"]);
    assert_eq!(texts(&listed, "volumeId"), ["vol-ffffffff"]);
    // As botocore sends it.
    let signed = [
        parameters[0],
        parameters[1],
        ("DestinationRegion", "eu-central-1"),
        ("PresignedUrl", "https://signed.invalid/"),
    ];
    let (status, _) = call(door, "CopySnapshot", &signed).await;
    assert_eq!(status, 200);
    let elsewhere = [("SourceRegion", "us-east-1"), parameters[1]];
    let (_, refused) = call(door, "CopySnapshot", &elsewhere).await;
    assert_eq!(texts(&refused, "Code"), ["UnsupportedOperation"]);
    let parameters = [
        ("SourceRegion", "eu-central-1"),
        ("SourceImageId", image.as_str()),
        ("Name", "the copy"),
        ("ClientToken", "once"),
    ];
    let (_, copied) = call(door, "CopyImage", &parameters).await;
    let copy = texts(&copied, "imageId")[0];
    let (_, listed) = call(door, "DescribeImages", &[("ImageId.1", copy)]).await;
    assert_eq!(texts(&listed, "imageState"), ["pending"]);
    assert_eq!(texts(&listed, "sourceImageId"), [image.as_str()]);
}

#[tokio::test]
async fn deprecation_shows_its_time_until_it_is_taken_back() {
    let mut account = account();
    let image = account.seed_image(ImageSeed::default());
    let (door, _) = open(account).await;
    let id = ("ImageId", image.as_str());
    let parameters = [id, ("DeprecateAt", "2027-01-01T00:00:10.000Z")];
    let (status, answer) = call(door, "EnableImageDeprecation", &parameters).await;
    assert_eq!(status, 200, "{answer}");
    let (_, listed) = call(door, "DescribeImages", &[]).await;
    assert_eq!(
        texts(&listed, "deprecationTime"),
        ["2027-01-01T00:00:00.000Z"]
    );
    let (status, _) = call(door, "DisableImageDeprecation", &[id]).await;
    assert_eq!(status, 200);
    let (_, listed) = call(door, "DescribeImages", &[]).await;
    assert_eq!(texts(&listed, "deprecationTime"), [""; 0]);
}
