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
use holdfast_core::ports::{
    CallError, ErrorClass, ImageScope, InstanceScope, ReadEc2, SnapshotScope,
};
use holdfast_local_aws::door::Door;

use super::config;

/// Answers each operation with what stands here for it, and every other with an empty list.
pub async fn answering(answers: &[(&str, &str)]) -> (Door, Ec2) {
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
    let groups = [
        "DescribeAutoScalingGroups",
        "DescribeLaunchConfigurations",
        "DescribeInstanceRefreshes",
    ];
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
pub fn expect<T: std::fmt::Debug>(list: &Listing<T>, count: usize, resource: &str) {
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
async fn an_instance_refresh_of_a_shape_nobody_knows_is_named_by_its_group() {
    let groups = "<AutoScalingGroups><member><AutoScalingGroupName>web</AutoScalingGroupName>\
        <LaunchConfigurationName>web</LaunchConfigurationName></member></AutoScalingGroups>";
    for (status, desired, readable) in [
        ("InProgress", "<DesiredConfiguration/>", false),
        (
            "InProgress",
            "<DesiredConfiguration><MixedInstancesPolicy/></DesiredConfiguration>",
            false,
        ),
        // Whatever it was, it launches nothing any more.
        ("Successful", "<DesiredConfiguration/>", true),
        ("InProgress", "", true),
    ] {
        let refreshes = format!(
            "<InstanceRefreshes><member><AutoScalingGroupName>web</AutoScalingGroupName>\
             <Status>{status}</Status>{desired}</member></InstanceRefreshes>"
        );
        let (_door, ec2) = answering(&[
            ("DescribeAutoScalingGroups", groups),
            ("DescribeInstanceRefreshes", &refreshes),
        ])
        .await;
        let list = ec2.auto_scaling_groups().await;
        if readable {
            assert_eq!((list.error, list.items.len()), (None, 1), "{desired}");
        } else {
            expect(&list, 1, "web");
        }
    }
}

#[tokio::test]
async fn a_desired_configuration_in_a_state_nobody_knows_counts() {
    let groups = "<AutoScalingGroups><member><AutoScalingGroupName>web</AutoScalingGroupName>\
        <LaunchConfigurationName>web</LaunchConfigurationName></member></AutoScalingGroups>";
    for status in ["<Status>Hovering</Status>", ""] {
        let refreshes = format!(
            "<InstanceRefreshes><member>{status}<DesiredConfiguration><LaunchTemplate>\
             <LaunchTemplateId>lt-1</LaunchTemplateId><Version>7</Version></LaunchTemplate>\
             </DesiredConfiguration></member></InstanceRefreshes>"
        );
        let (_door, ec2) = answering(&[
            ("DescribeAutoScalingGroups", groups),
            ("DescribeInstanceRefreshes", &refreshes),
        ])
        .await;
        let list = ec2.auto_scaling_groups().await;
        assert_eq!(list.error, None);
        let [launched] = list.items[0].templates.as_slice() else {
            panic!("{list:?}")
        };
        assert_eq!(launched.version.as_deref(), Some("7"));
    }
}

#[tokio::test]
async fn a_template_that_lacks_the_versions_every_template_has_is_an_incomplete_list() {
    let templates = "<launchTemplates><item><launchTemplateId>lt-1</launchTemplateId>\
        <defaultVersionNumber>2</defaultVersionNumber></item></launchTemplates>";
    let version = |number: u8| {
        format!(
            "<item><launchTemplateId>lt-1</launchTemplateId><versionNumber>{number}\
             </versionNumber><launchTemplateData/></item>"
        )
    };
    for (versions, whole) in [
        (String::new(), false),
        (version(1), false),
        (version(1) + &version(2), true),
    ] {
        let count = versions.matches("<item>").count();
        let content = format!("<launchTemplateVersionSet>{versions}</launchTemplateVersionSet>");
        let (_door, ec2) = answering(&[
            ("DescribeLaunchTemplates", templates),
            ("DescribeLaunchTemplateVersions", &content),
        ])
        .await;
        let list = ec2.launch_template_versions().await;
        if whole {
            assert_eq!((list.error, list.items.len()), (None, 2));
        } else {
            expect(&list, count, "lt-1");
        }
    }
}

/// The SDK itself takes a token that comes twice for the end of the list.
#[tokio::test]
async fn lists_that_lead_in_a_circle_are_incomplete() {
    for (operation, content) in [
        ("DescribeInstances", "<reservationSet/>"),
        ("DescribeVolumes", "<volumeSet/>"),
        ("DescribeSnapshots", "<snapshotSet/>"),
        ("DescribeImages", "<imagesSet/>"),
        ("DescribeLaunchTemplates", "<launchTemplates/>"),
        ("DescribeFleets", "<fleetSet/>"),
        ("DescribeSpotFleetRequests", "<spotFleetRequestConfigSet/>"),
        ("DescribeSpotInstanceRequests", "<spotInstanceRequestSet/>"),
        ("DescribeFastSnapshotRestores", "<fastSnapshotRestoreSet/>"),
        ("ListImagesInRecycleBin", "<imageSet/>"),
        ("ListSnapshotsInRecycleBin", "<snapshotSet/>"),
        ("DescribeLockedSnapshots", "<snapshotSet/>"),
        ("DescribeImageReferences", "<imageReferenceSet/>"),
        ("DescribeInstanceTypes", "<instanceTypeSet/>"),
        ("DescribeLaunchConfigurations", "<LaunchConfigurations/>"),
        ("DescribeAutoScalingGroups", "<AutoScalingGroups/>"),
    ] {
        let token = match content.starts_with("<L") || content.starts_with("<A") {
            true => "<NextToken>again</NextToken>",
            false => "<nextToken>again</nextToken>",
        };
        let (_door, ec2) = answering(&[(operation, &format!("{content}{token}"))]).await;
        let images = [ImageId::new("ami-1")];
        let types = ["m5.large".to_owned()];
        let read = match operation {
            "DescribeInstances" => ec2.instances(&InstanceScope::All).await.reading(),
            "DescribeVolumes" => ec2.volumes().await.reading(),
            "DescribeSnapshots" => ec2.snapshots(&SnapshotScope::Managed).await.reading(),
            "DescribeImages" => ec2.images(&ImageScope::Own).await.reading(),
            "DescribeLaunchTemplates" => ec2.launch_template_versions().await.reading(),
            "DescribeFastSnapshotRestores" => ec2.fast_restores().await.reading(),
            "ListImagesInRecycleBin" | "ListSnapshotsInRecycleBin" => {
                ec2.recycle_bin().await.reading()
            }
            "DescribeLockedSnapshots" => ec2.locks().await.reading(),
            "DescribeImageReferences" => {
                let scope = ReferenceScope::Launches;
                ec2.image_references(&images, scope).await.reading()
            }
            "DescribeInstanceTypes" => ec2.instance_types(&types).await.reading(),
            "DescribeLaunchConfigurations" => ec2.launch_configurations().await.reading(),
            "DescribeAutoScalingGroups" => ec2.auto_scaling_groups().await.reading(),
            _ => ec2.fleets().await.reading(),
        };
        let error = read.error.unwrap_or_else(|| panic!("{operation}"));
        assert_eq!(error.operation, operation);
        assert_eq!(error.class, ErrorClass::Permanent);
    }
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
