//! Answers in shapes that nobody knows: never dropped, never a crash, always named.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast::aws::ec2::Ec2;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Listing, ReferenceScope, ReferenceType, Share};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2};
use holdfast_local_aws::door::Door;

use super::config;

/// Answers each operation with what stands here for it, and every other with an empty list.
async fn answering(answers: &[(&str, &str)]) -> (Door, Ec2) {
    let answers: BTreeMap<String, String> = answers
        .iter()
        .map(|(operation, content)| ((*operation).to_owned(), (*content).to_owned()))
        .collect();
    let answers = Arc::new(answers);
    let answer = move |body: String| {
        let operation = body
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="))
            .unwrap_or_default();
        let content = answers.get(operation).map_or("", String::as_str);
        std::future::ready(response(operation, content))
    };
    let door = Door::open(Router::new().route("/", post(answer)), 0)
        .await
        .unwrap();
    let ec2 = Ec2::new(&config(&door.endpoint()).await);
    (door, ec2)
}

/// Auto Scaling wraps its content once more than EC2.
fn response(operation: &str, content: &str) -> Response {
    let groups = ["DescribeAutoScalingGroups", "DescribeLaunchConfigurations"];
    let content = if groups.contains(&operation) {
        format!("<{operation}Result>{content}</{operation}Result>")
    } else {
        content.to_owned()
    };
    let xml = format!("<{operation}Response>{content}</{operation}Response>");
    ([(CONTENT_TYPE, "text/xml")], xml).into_response()
}

/// The list keeps what could be read and says of what it could not.
#[track_caller]
fn expect<T: std::fmt::Debug>(list: &Listing<T>, count: usize, resource: &str) {
    let error = list.error.as_ref().unwrap_or_else(|| panic!("{list:?}"));
    assert_eq!(error.class, ErrorClass::Permanent);
    assert_eq!(error.resource, resource, "{error}");
    assert_eq!(list.items.len(), count, "{list:?}");
}

#[tokio::test]
async fn a_group_or_configuration_that_names_nothing_to_launch_is_named_itself() {
    for (group, resource) in [
        ("<AutoScalingGroupName>bare</AutoScalingGroupName>", "bare"),
        (
            "<LaunchConfigurationName>web</LaunchConfigurationName>",
            "*",
        ),
        (
            "<AutoScalingGroupName>empty</AutoScalingGroupName><MixedInstancesPolicy/>",
            "empty",
        ),
        (
            "<AutoScalingGroupName>vague</AutoScalingGroupName>\
             <LaunchTemplate><Version>1</Version></LaunchTemplate>",
            "vague",
        ),
    ] {
        let groups = format!(
            "<AutoScalingGroups><member>{group}</member><member>\
             <AutoScalingGroupName>good</AutoScalingGroupName>\
             <LaunchConfigurationName>web</LaunchConfigurationName>\
             </member></AutoScalingGroups>"
        );
        let (_door, ec2) = answering(&[("DescribeAutoScalingGroups", &groups)]).await;
        expect(&ec2.auto_scaling_groups().await, 1, resource);
    }
    let configurations = "<LaunchConfigurations><member>\
        <LaunchConfigurationName>web</LaunchConfigurationName></member></LaunchConfigurations>";
    let (_door, ec2) = answering(&[("DescribeLaunchConfigurations", configurations)]).await;
    expect(&ec2.launch_configurations().await, 0, "web");
}

#[tokio::test]
async fn a_fleet_or_spot_request_that_names_nothing_to_launch_is_named_itself() {
    for (operation, list, item, resource) in [
        (
            "DescribeFleets",
            "fleetSet",
            "<fleetState>active</fleetState>",
            "*",
        ),
        (
            "DescribeFleets",
            "fleetSet",
            "<fleetId>fleet-1</fleetId>",
            "fleet-1",
        ),
        (
            "DescribeFleets",
            "fleetSet",
            "<fleetId>fleet-2</fleetId><launchTemplateConfigs><item><overrides/></item>\
             </launchTemplateConfigs>",
            "fleet-2",
        ),
        (
            "DescribeSpotFleetRequests",
            "spotFleetRequestConfigSet",
            "<spotFleetRequestId>sfr-1</spotFleetRequestId><spotFleetRequestConfig/>",
            "sfr-1",
        ),
        (
            "DescribeSpotFleetRequests",
            "spotFleetRequestConfigSet",
            "<spotFleetRequestId>sfr-2</spotFleetRequestId><spotFleetRequestConfig>\
             <launchSpecifications><item><instanceType>m5.large</instanceType></item>\
             </launchSpecifications></spotFleetRequestConfig>",
            "sfr-2",
        ),
        (
            "DescribeSpotInstanceRequests",
            "spotInstanceRequestSet",
            "<spotInstanceRequestId>sir-1</spotInstanceRequestId>",
            "sir-1",
        ),
    ] {
        let content = format!("<{list}><item>{item}</item></{list}>");
        let (_door, ec2) = answering(&[(operation, &content)]).await;
        let fleets = ec2.fleets().await;
        expect(&fleets, 0, resource);
        assert_eq!(fleets.error.unwrap().operation, operation);
    }
}

#[tokio::test]
async fn a_template_version_without_content_or_number_is_named_by_its_template() {
    let templates = "<launchTemplates><item><launchTemplateId>lt-1</launchTemplateId></item>\
        </launchTemplates>";
    for version in [
        "<launchTemplateId>lt-1</launchTemplateId><versionNumber>1</versionNumber>",
        "<launchTemplateId>lt-1</launchTemplateId><launchTemplateData/>",
    ] {
        let versions =
            format!("<launchTemplateVersionSet><item>{version}</item></launchTemplateVersionSet>");
        let (_door, ec2) = answering(&[
            ("DescribeLaunchTemplates", templates),
            ("DescribeLaunchTemplateVersions", &versions),
        ])
        .await;
        expect(&ec2.launch_template_versions().await, 0, "lt-1");
    }
}

#[tokio::test]
async fn protection_without_an_identifier_or_a_state_is_an_incomplete_list() {
    let (_door, ec2) = answering(&[
        (
            "DescribeFastSnapshotRestores",
            "<fastSnapshotRestoreSet><item><snapshotId>snap-1</snapshotId></item>\
             </fastSnapshotRestoreSet>",
        ),
        (
            "DescribeLockedSnapshots",
            "<snapshotSet><item><snapshotId>snap-2</snapshotId></item></snapshotSet>",
        ),
        (
            "ListImagesInRecycleBin",
            "<imageSet><item><name>nameless</name></item></imageSet>",
        ),
        (
            "ListSnapshotsInRecycleBin",
            "<snapshotSet><item><snapshotId>snap-3</snapshotId></item></snapshotSet>",
        ),
    ])
    .await;
    expect(&ec2.fast_restores().await, 0, "snap-1");
    expect(&ec2.locks().await, 0, "snap-2");
    // The other half of the bin is there all the same, without times that nobody told.
    expect(&ec2.recycle_bin().await, 1, "*");
}

#[tokio::test]
async fn locks_that_lead_in_a_circle_are_an_incomplete_list() {
    let page = "<snapshotSet/><nextToken>again</nextToken>";
    let (_door, ec2) = answering(&[("DescribeLockedSnapshots", page)]).await;
    let locks = ec2.locks().await;
    expect(&locks, 0, "*");
    assert_eq!(locks.pages, 2);
}

#[tokio::test]
async fn a_reference_of_a_type_nobody_knows_is_kept_under_its_name() {
    let references = "<imageReferenceSet>\
        <item><imageId>ami-1</imageId><resourceType>eks:NodeGroup</resourceType>\
        <arn>arn:aws:eks:r:a:nodegroup/n</arn></item>\
        <item><imageId>ami-2</imageId><arn>arn:aws:eks:r:a:nodegroup/m</arn></item>\
        </imageReferenceSet>";
    let (_door, ec2) = answering(&[("DescribeImageReferences", references)]).await;
    let images = [ImageId::new("ami-1"), ImageId::new("ami-2")];
    let found = ec2
        .image_references(&images, ReferenceScope::Launches)
        .await;
    expect(&found, 1, "ami-2");
    let expected = ReferenceType::Unknown("eks:NodeGroup".to_owned());
    assert_eq!(found.items[0].kind, expected);
}

#[tokio::test]
async fn grantees_of_a_shape_nobody_knows_are_grantees() {
    let permissions = "<item><group>friends</group></item><item/>\
        <item><userId>222233334444</userId></item>";
    let image = format!("<launchPermission>{permissions}</launchPermission>");
    let snapshot = format!("<createVolumePermission>{permissions}</createVolumePermission>");
    let (_door, ec2) = answering(&[
        ("DescribeImageAttribute", &image),
        ("DescribeSnapshotAttribute", &snapshot),
    ])
    .await;
    let expected = [
        Share::Unknown,
        Share::Unknown,
        Share::Account("222233334444".to_owned()),
    ];
    assert_eq!(
        ec2.image_shares(&ImageId::new("ami-1")).await.unwrap(),
        expected
    );
    let shares = ec2.snapshot_shares(&SnapshotId::new("snap-1")).await;
    assert_eq!(shares.unwrap(), expected);
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_shares_is_no_proof_that_there_are_none() {
    let (_door, ec2) = answering(&[
        ("DescribeImageAttribute", "<imageId>ami-1</imageId>"),
        (
            "DescribeSnapshotAttribute",
            "<snapshotId>snap-1</snapshotId>",
        ),
    ])
    .await;
    let refused = |error: CallError| (error.resource, error.class);
    let image = ec2.image_shares(&ImageId::new("ami-1")).await;
    let expected = ("ami-1".to_owned(), ErrorClass::Permanent);
    assert_eq!(image.map_err(refused), Err(expected));
    let snapshot = ec2.snapshot_shares(&SnapshotId::new("snap-1")).await;
    let expected = ("snap-1".to_owned(), ErrorClass::Permanent);
    assert_eq!(snapshot.map_err(refused), Err(expected));
}
