//! Instances, volumes, snapshots and images in shapes that nobody knows.

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{
    ImageState, InstanceState, MappingTarget, SnapshotState, VolumeState,
};
use holdfast_core::ports::{ImageScope, InstanceScope, ReadEc2, SnapshotScope};

use super::shapes::{answering, expect};

#[tokio::test]
async fn an_answer_without_the_list_that_was_asked_for_is_no_proof_that_there_is_nothing() {
    let operations = [
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSnapshots",
        "DescribeImages",
        "DescribeLaunchTemplates",
    ];
    let (_door, ec2) = answering(&operations.map(|name| (name, "<requestId>r</requestId>"))).await;
    expect(&ec2.instances(&InstanceScope::All).await, 0, "*");
    expect(&ec2.volumes().await, 0, "*");
    expect(&ec2.snapshots(&SnapshotScope::Managed).await, 0, "*");
    expect(&ec2.images(&ImageScope::Own).await, 0, "*");
    expect(&ec2.launch_template_versions().await, 0, "*");
}

#[tokio::test]
async fn what_lacks_its_identifier_leaves_the_list_incomplete_and_the_rest_is_there() {
    let (_door, ec2) = answering(&[
        (
            "DescribeInstances",
            "<reservationSet><item><instancesSet><item><imageId>ami-1</imageId></item>\
             <item><instanceId>i-1</instanceId></item></instancesSet></item></reservationSet>",
        ),
        (
            "DescribeVolumes",
            "<volumeSet><item><volumeId/></item><item><volumeId>vol-1</volumeId></item></volumeSet>",
        ),
        (
            "DescribeSnapshots",
            "<snapshotSet><item><volumeId>vol-1</volumeId></item>\
             <item><snapshotId>snap-1</snapshotId></item></snapshotSet>",
        ),
        (
            "DescribeImages",
            "<imagesSet><item><name>n</name></item><item><imageId>ami-1</imageId></item></imagesSet>",
        ),
    ])
    .await;
    expect(&ec2.instances(&InstanceScope::All).await, 1, "*");
    expect(&ec2.volumes().await, 1, "*");
    expect(&ec2.snapshots(&SnapshotScope::Managed).await, 1, "*");
    expect(&ec2.images(&ImageScope::Own).await, 1, "*");
}

#[tokio::test]
async fn a_reservation_without_its_instances_leaves_the_list_incomplete() {
    let reservations = "<reservationSet><item><reservationId>r-1</reservationId></item>\
        <item><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></item>\
        </reservationSet>";
    let (_door, ec2) = answering(&[("DescribeInstances", reservations)]).await;
    expect(&ec2.instances(&InstanceScope::All).await, 1, "*");
}

#[tokio::test]
async fn states_that_nobody_knows_are_carried_as_they_are_spelled() {
    let (_door, ec2) = answering(&[
        (
            "DescribeInstances",
            "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>\
             <instanceState><name>hovering</name></instanceState></item>\
             <item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet>",
        ),
        (
            "DescribeVolumes",
            "<volumeSet><item><volumeId>vol-1</volumeId><status>hovering</status></item>\
             <item><volumeId>vol-2</volumeId></item></volumeSet>",
        ),
        (
            "DescribeSnapshots",
            "<snapshotSet><item><snapshotId>snap-1</snapshotId><status>hovering</status></item>\
             <item><snapshotId>snap-2</snapshotId></item></snapshotSet>",
        ),
        (
            "DescribeImages",
            "<imagesSet><item><imageId>ami-1</imageId><imageState>hovering</imageState></item>\
             <item><imageId>ami-2</imageId></item></imagesSet>",
        ),
    ])
    .await;
    let (known, none) = ("hovering".to_owned(), String::new());
    let instances = ec2.instances(&InstanceScope::All).await;
    assert_eq!(instances.error, None);
    let states: Vec<_> = instances.items.into_iter().map(|i| i.state).collect();
    let unknown = InstanceState::Unknown;
    assert_eq!(states, [unknown(known.clone()), unknown(none.clone())]);
    let volumes = ec2.volumes().await;
    assert_eq!(volumes.error, None);
    let states: Vec<_> = volumes.items.into_iter().map(|v| v.state).collect();
    let unknown = VolumeState::Unknown;
    assert_eq!(states, [unknown(known.clone()), unknown(none.clone())]);
    let snapshots = ec2.snapshots(&SnapshotScope::Managed).await;
    assert_eq!(snapshots.error, None);
    let states: Vec<_> = snapshots.items.into_iter().map(|s| s.state).collect();
    let unknown = SnapshotState::Unknown;
    assert_eq!(states, [unknown(known.clone()), unknown(none.clone())]);
    let images = ec2.images(&ImageScope::Own).await;
    assert_eq!(images.error, None);
    let states: Vec<_> = images.items.into_iter().map(|i| i.state).collect();
    let unknown = ImageState::Unknown;
    assert_eq!(states, [unknown(known), unknown(none)]);
}

#[tokio::test]
async fn devices_without_a_snapshot_and_two_hundred_tags_are_read_as_they_are() {
    let tags: String = (0..200)
        .map(|n| format!("<item><key>k{n}</key><value>v{n}</value></item>"))
        .collect();
    let images = format!(
        "<imagesSet><item><imageId>ami-1</imageId><blockDeviceMapping>\
         <item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-1</snapshotId></ebs></item>\
         <item><deviceName>/dev/sdb</deviceName><ebs/></item>\
         <item><deviceName>/dev/sdc</deviceName><ebs><snapshotId/></ebs></item>\
         <item><deviceName>/dev/sdd</deviceName><virtualName>ephemeral0</virtualName></item>\
         <item><deviceName>/dev/sde</deviceName><noDevice/></item>\
         <item/></blockDeviceMapping><tagSet>{tags}</tagSet></item></imagesSet>"
    );
    let (_door, ec2) = answering(&[("DescribeImages", &images)]).await;
    let list = ec2.images(&ImageScope::Own).await;
    assert_eq!(list.error, None);
    let image = &list.items[0];
    let targets: Vec<&MappingTarget> = image.mappings.iter().map(|m| &m.target).collect();
    let store = MappingTarget::InstanceStore("ephemeral0".to_owned());
    let snapshot = MappingTarget::Ebs(Some(SnapshotId::new("snap-1")));
    let nameless = MappingTarget::Ebs(None);
    let (none, unknown) = (MappingTarget::NoDevice, MappingTarget::Unknown);
    assert_eq!(
        targets,
        [&snapshot, &nameless, &nameless, &store, &none, &unknown]
    );
    assert_eq!(image.tags.len(), 200);
    assert_eq!(image.tags["k199"], "v199");
    // What the image says of itself it does not say: nothing is made up.
    assert_eq!((image.created, image.last_launched), (None, None));
}

/// `recently_launched` holds by it: one that cannot be read is not the same as none.
#[tokio::test]
async fn a_last_launch_that_nobody_can_read_leaves_the_list_incomplete() {
    let images = |time: &str| {
        format!(
            "<imagesSet><item><imageId>ami-1</imageId>\
             <lastLaunchedTime>{time}</lastLaunchedTime></item>\
             <item><imageId>ami-2</imageId></item></imagesSet>"
        )
    };
    let (_door, ec2) = answering(&[("DescribeImages", &images("yesterday"))]).await;
    expect(&ec2.images(&ImageScope::Own).await, 1, "ami-1");
    let readable = images("2026-03-01T10:00:00.000Z");
    let (_door, ec2) = answering(&[("DescribeImages", &readable)]).await;
    let list = ec2.images(&ImageScope::Own).await;
    assert_eq!(list.error, None);
    let launched = list.items[0].last_launched;
    assert_eq!(launched, Some("2026-03-01T10:00:00Z".parse().unwrap()));
}
