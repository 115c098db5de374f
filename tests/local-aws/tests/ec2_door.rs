//! The EC2 door, spoken to in raw HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;

use std::collections::BTreeMap;
use std::time::Duration;

use door::{call, open, raw, texts};
use holdfast_core::id::ImageId;
use holdfast_sim::{
    Account, ApiError, BlockDevice, CallOutcome, Fault, FaultRule, ImageSeed, InstanceSeed,
    Settings, SnapshotSeed, VolumeSeed,
};

fn account() -> Account {
    Account::new(Settings::default())
}

#[tokio::test]
async fn a_snapshot_is_made_listed_and_deleted() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    let (door, account) = open(account).await;
    let (status, made) = call(
        door,
        "CreateSnapshot",
        &[
            ("VolumeId", volume.as_str()),
            ("Description", "a <b> & \"c\""),
            ("TagSpecification.1.ResourceType", "snapshot"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "x&y"),
        ],
    )
    .await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(texts(&made, "status"), ["pending"]);
    assert_eq!(texts(&made, "startTime"), ["2026-11-23T00:00:00.000Z"]);
    assert!(
        made.contains(
            "<CreateSnapshotResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"
        )
    );
    let id = texts(&made, "snapshotId")[0];
    account
        .lock()
        .unwrap()
        .advance_by(jiff::SignedDuration::from_mins(1));
    let (_, listed) = call(
        door,
        "DescribeSnapshots",
        &[
            ("Owner.1", "self"),
            ("Filter.1.Name", "tag:Name"),
            ("Filter.1.Value.1", "x&*"),
        ],
    )
    .await;
    assert_eq!(texts(&listed, "snapshotId"), [id]);
    assert_eq!(texts(&listed, "status"), ["completed"]);
    assert_eq!(texts(&listed, "value"), ["x&amp;y"]);
    assert_eq!(
        texts(&listed, "description")[0],
        "a &lt;b&gt; &amp; &quot;c&quot;"
    );
    let (status, _) = call(door, "DeleteSnapshot", &[("SnapshotId", id)]).await;
    assert_eq!(status, 200);
    let (status, gone) = call(door, "DeleteSnapshot", &[("SnapshotId", id)]).await;
    assert_eq!(status, 400);
    assert_eq!(texts(&gone, "Code"), ["InvalidSnapshot.NotFound"]);
    assert_eq!(texts(&gone, "RequestID").len(), 1);
}

#[tokio::test]
async fn a_set_excludes_what_the_request_names() {
    let mut account = account();
    let volumes: Vec<_> = (0..3)
        .map(|_| account.seed_volume(VolumeSeed::default()))
        .collect();
    let devices = ["/dev/xvda", "/dev/xvdb", "/dev/xvdc"];
    let instance = account.seed_instance(InstanceSeed {
        devices: devices
            .iter()
            .zip(&volumes)
            .map(|(d, v)| ((*d).to_owned(), v.clone()))
            .collect(),
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let (status, set) = call(
        door,
        "CreateSnapshots",
        &[
            ("InstanceSpecification.InstanceId", instance.as_str()),
            ("InstanceSpecification.ExcludeBootVolume", "true"),
            (
                "InstanceSpecification.ExcludeDataVolumeId.1",
                volumes[2].as_str(),
            ),
            ("CopyTagsFromSource", "volume"),
        ],
    )
    .await;
    assert_eq!(status, 200, "{set}");
    assert_eq!(texts(&set, "volumeId"), [volumes[1].as_str()]);
    assert_eq!(texts(&set, "state"), ["pending"]);
    let (_, instances) = call(door, "DescribeInstances", &[]).await;
    assert_eq!(texts(&instances, "deviceName"), devices);
    let (_, listed) = call(door, "DescribeVolumes", &[]).await;
    assert_eq!(texts(&listed, "attachmentSet").len(), 3);
}

#[tokio::test]
async fn pages_follow_their_tokens() {
    let mut account = account();
    let mut expected: Vec<String> = (0..12)
        .map(|_| {
            let id = account.seed_snapshot(SnapshotSeed::default());
            id.as_str().to_owned()
        })
        .collect();
    expected.sort();
    let (door, _) = open(account).await;
    let (mut found, mut token, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let mut parameters = vec![("MaxResults", "5")];
        if let Some(token) = &token {
            parameters.push(("NextToken", token));
        }
        let (status, page) = call(door, "DescribeSnapshots", &parameters).await;
        assert_eq!(status, 200, "{page}");
        found.extend(texts(&page, "snapshotId").iter().map(|s| (*s).to_owned()));
        pages += 1;
        token = texts(&page, "nextToken").first().map(|t| (*t).to_owned());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(found, expected);
    let (status, bad) = call(door, "DescribeSnapshots", &[("NextToken", "junk")]).await;
    assert_eq!(
        (status, texts(&bad, "Code")),
        (400, vec!["InvalidPaginationToken"])
    );
}

#[tokio::test]
async fn images_templates_and_types_are_spelled_as_the_sdk_reads_them() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let image = account.seed_image(ImageSeed {
        mappings: vec![
            BlockDevice::from_snapshot("/dev/xvda", snapshot.clone()),
            BlockDevice::ephemeral("/dev/sdb", "ephemeral0"),
            BlockDevice::none("/dev/sdc"),
        ],
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let (_, images) = call(
        door,
        "DescribeImages",
        &[
            ("Owner.1", "self"),
            ("IncludeDisabled", "true"),
            ("Filter.1.Name", "block-device-mapping.snapshot-id"),
            ("Filter.1.Value.1", snapshot.as_str()),
        ],
    )
    .await;
    assert_eq!(texts(&images, "imageId"), [image.as_str()]);
    assert_eq!(texts(&images, "imageState"), ["available"]);
    assert_eq!(texts(&images, "snapshotId"), [snapshot.as_str()]);
    assert_eq!(texts(&images, "virtualName"), ["ephemeral0"]);
    assert_eq!(texts(&images, "noDevice"), [""]);
    let (status, made) = call(
        door,
        "CreateLaunchTemplate",
        &[
            ("LaunchTemplateName", "web"),
            ("LaunchTemplateData.ImageId", image.as_str()),
            (
                "LaunchTemplateData.BlockDeviceMapping.1.DeviceName",
                "/dev/sdf",
            ),
            (
                "LaunchTemplateData.BlockDeviceMapping.1.Ebs.SnapshotId",
                snapshot.as_str(),
            ),
        ],
    )
    .await;
    assert_eq!(status, 200, "{made}");
    let id = texts(&made, "launchTemplateId")[0];
    for parameters in [
        [("LaunchTemplateId", id), ("LaunchTemplateVersion.1", "1")],
        [
            ("LaunchTemplateVersion.1", "$Latest"),
            ("LaunchTemplateVersion.2", "$Default"),
        ],
    ] {
        let (_, versions) = call(door, "DescribeLaunchTemplateVersions", &parameters).await;
        assert_eq!(texts(&versions, "imageId"), [image.as_str()], "{versions}");
        assert_eq!(texts(&versions, "snapshotId"), [snapshot.as_str()]);
        assert_eq!(texts(&versions, "defaultVersion"), ["true"]);
    }
    let (_, types) = call(
        door,
        "DescribeInstanceTypes",
        &[
            ("InstanceType.1", "m5d.large"),
            ("InstanceType.2", "m1.large"),
        ],
    )
    .await;
    assert_eq!(texts(&types, "count"), ["2", "1"]);
    assert_eq!(texts(&types, "nvmeSupport"), ["unsupported", "required"]);
    let (_, tags) = call(door, "DescribeTags", &[]).await;
    assert_eq!(texts(&tags, "resourceType"), ["image"]);
}

#[tokio::test]
async fn what_the_door_does_not_know_is_a_loud_error() {
    let (door, account) = open(account()).await;
    for (action, parameters, code) in [
        ("MakeCoffee", vec![], "InvalidAction"),
        (
            "DescribeSnapshots",
            vec![("Colour", "red")],
            "UnknownParameter",
        ),
        (
            "DescribeSnapshots",
            vec![("Filter.1.Name", "status"), ("Filter.1.Odd", "x")],
            "UnknownParameter",
        ),
        ("DeleteSnapshot", vec![], "MissingParameter"),
        ("CreateSnapshots", vec![], "MissingParameter"),
        (
            "CreateLaunchTemplateVersion",
            vec![("ResolveAlias", "true")],
            "UnsupportedOperation",
        ),
    ] {
        let (status, answer) = call(door, action, &parameters).await;
        assert_eq!(
            (status, texts(&answer, "Code")),
            (400, vec![code]),
            "{action}"
        );
    }
    let unversioned = raw(door, &[("Action", "DescribeTags")]).await;
    assert_eq!(texts(&unversioned, "Code"), ["MissingParameter"]);
    let account = account.lock().unwrap();
    assert_eq!(account.calls().len(), 7);
    assert!(
        account
            .calls()
            .iter()
            .all(|c| matches!(c.outcome, CallOutcome::Refused(_)))
    );
}

#[tokio::test]
async fn throttling_is_a_503_and_a_dry_run_a_412() {
    let mut account = account();
    account.inject(FaultRule::next(
        "DescribeTags",
        Fault::Error(ApiError::throttled()),
    ));
    let (door, _) = open(account).await;
    let (status, answer) = call(door, "DescribeTags", &[]).await;
    assert_eq!(
        (status, texts(&answer, "Code")),
        (503, vec!["RequestLimitExceeded"])
    );
    let (status, answer) = call(door, "DescribeTags", &[("DryRun", "true")]).await;
    assert_eq!(
        (status, texts(&answer, "Code")),
        (412, vec!["DryRunOperation"])
    );
    assert_eq!(call(door, "DescribeTags", &[]).await.0, 200);
}

#[tokio::test]
async fn a_lost_response_is_a_broken_connection_after_the_call_was_carried_out() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    account.inject(FaultRule::next(
        "CreateSnapshot",
        Fault::AppliedButResponseLost,
    ));
    let (door, account) = open(account).await;
    let answer = raw(
        door,
        &[
            ("Action", "CreateSnapshot"),
            ("Version", "2016-11-15"),
            ("VolumeId", volume.as_str()),
        ],
    )
    .await;
    // Not even a status line: the client cannot take it for an answer.
    assert_eq!(answer, "");
    assert_eq!(account.lock().unwrap().snapshots().count(), 1);
}

#[tokio::test]
async fn a_hung_call_was_carried_out_and_does_not_hold_up_others() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    account.inject(FaultRule::next("CreateSnapshot", Fault::AppliedThenHang));
    let (door, account) = open(account).await;
    let parameters = [
        ("Action", "CreateSnapshot"),
        ("Version", "2016-11-15"),
        ("VolumeId", volume.as_str()),
    ];
    let hung = raw(door, &parameters);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), hung)
            .await
            .is_err()
    );
    assert_eq!(account.lock().unwrap().snapshots().count(), 1);
    assert_eq!(call(door, "DescribeTags", &[]).await.0, 200);
}

#[tokio::test]
async fn an_images_last_launch_is_told_to_its_owner_alone() {
    let mut account = account();
    let launched = account.now();
    let own = account.seed_image(ImageSeed {
        last_launched: Some(launched),
        source_image: Some(ImageId::new("ami-0b")),
        owner_alias: Some("aws-backup-vault".to_owned()),
        deprecated_from: Some(launched),
        ..Default::default()
    });
    account.seed_image(ImageSeed {
        owner: Some("444455556666".to_owned()),
        public: true,
        last_launched: Some(launched),
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let (_, all) = call(door, "DescribeImages", &[]).await;
    assert_eq!(texts(&all, "imageId").len(), 2);
    let time = ["2026-11-23T00:00:00.000Z"];
    assert_eq!(texts(&all, "lastLaunchedTime"), time);
    assert_eq!(texts(&all, "deprecationTime"), time);
    let (_, found) = call(
        door,
        "DescribeImages",
        &[
            ("Owner.1", "aws-backup-vault"),
            ("Filter.1.Name", "source-image-region"),
            ("Filter.1.Value.1", "eu-central-1"),
        ],
    )
    .await;
    assert_eq!(texts(&found, "imageId"), [own.as_str()]);
    assert_eq!(texts(&found, "sourceImageRegion"), ["eu-central-1"]);
    assert_eq!(texts(&found, "isPublic"), ["false"]);
}
