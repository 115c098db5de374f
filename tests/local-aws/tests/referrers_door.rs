//! The doors of EC2 and Auto Scaling: what refers to images, launch templates and snapshots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;

use door::{call, call_version, open, raw, serve, texts};
use holdfast_core::id::SnapshotId;
use holdfast_local_aws::auto_scaling;
use holdfast_sim::request::LaunchTemplateReference;
use holdfast_sim::{
    Account, ApiError, AutoScalingGroupSeed, BlockDevice, CallOutcome, Fault, FaultRule, FleetSeed,
    GroupLaunch, ImageSeed, InstanceSeed, LaunchOverride, Settings, SpotFleetSeed, SpotRequestSeed,
    TemplateChoice, TemplateData,
};

const AUTO_SCALING: &str = "2011-01-01";

fn account() -> Account {
    Account::new(Settings::default())
}

fn choice() -> TemplateChoice {
    TemplateChoice {
        template: LaunchTemplateReference {
            id: Some("lt-1".to_owned()),
            version: Some("$Latest".to_owned()),
            ..Default::default()
        },
        overrides: vec![LaunchOverride {
            image: Some("ami-2".to_owned()),
            instance_type: Some("m5.large".to_owned()),
            ..Default::default()
        }],
    }
}

fn device() -> BlockDevice {
    BlockDevice::from_snapshot("/dev/sdf", SnapshotId::new("snap-1"))
}

#[tokio::test]
async fn references_to_images_are_asked_for_with_options() {
    let mut account = account();
    let image = account.seed_image(ImageSeed::default());
    let instance = account.seed_instance(InstanceSeed {
        image: Some(image.clone()),
        ..Default::default()
    });
    account.seed_parameter("golden", image.as_str());
    let (door, _) = open(account).await;
    let parameters = [
        ("ImageId.1", image.as_str()),
        ("IncludeAllResourceTypes", "true"),
        ("ResourceType.1.ResourceType", "ec2:Instance"),
        (
            "ResourceType.1.ResourceTypeOption.1.OptionName",
            "state-name",
        ),
        (
            "ResourceType.1.ResourceTypeOption.1.OptionValue.1",
            "running",
        ),
        ("ResourceType.2.ResourceType", "ec2:LaunchTemplate"),
        (
            "ResourceType.2.ResourceTypeOption.1.OptionName",
            "version-depth",
        ),
        ("ResourceType.2.ResourceTypeOption.1.OptionValue.1", "10000"),
        ("MaxResults", "5"),
    ];
    let (status, found) = call(door, "DescribeImageReferences", &parameters).await;
    assert_eq!(status, 200, "{found}");
    let mut types = texts(&found, "resourceType");
    types.sort_unstable();
    assert_eq!(types, ["ec2:Instance", "ssm:Parameter"]);
    let arn = format!("arn:aws:ec2:eu-central-1:111122223333:instance/{instance}");
    assert!(texts(&found, "arn").contains(&arn.as_str()), "{found}");
}

#[tokio::test]
async fn an_alias_in_a_launch_template_is_resolved_on_request() {
    let mut account = account();
    account.seed_parameter("/golden", "ami-1");
    let (door, _) = open(account).await;
    let parameters = [
        ("LaunchTemplateName", "web"),
        ("LaunchTemplateData.ImageId", "resolve:ssm:/golden"),
    ];
    let (status, made) = call(door, "CreateLaunchTemplate", &parameters).await;
    assert_eq!(status, 200, "{made}");
    for (resolve, image) in [("false", "resolve:ssm:/golden"), ("true", "ami-1")] {
        let parameters = [("LaunchTemplateName", "web"), ("ResolveAlias", resolve)];
        let (_, listed) = call(door, "DescribeLaunchTemplateVersions", &parameters).await;
        assert_eq!(texts(&listed, "imageId"), [image]);
    }
}

#[tokio::test]
async fn fleets_and_spot_requests_name_what_they_launch() {
    let mut account = account();
    let specification = TemplateData {
        image: Some("ami-1".to_owned()),
        mappings: vec![device()],
        ..Default::default()
    };
    account.seed_fleet(FleetSeed {
        choices: vec![choice()],
        ..Default::default()
    });
    account.seed_spot_fleet(SpotFleetSeed {
        specifications: vec![specification.clone()],
        choices: vec![choice()],
        ..Default::default()
    });
    account.seed_spot_request(SpotRequestSeed {
        specification,
        ..Default::default()
    });
    let (door, _) = open(account).await;
    let (_, fleets) = call(door, "DescribeFleets", &[]).await;
    assert_eq!(texts(&fleets, "launchTemplateId"), ["lt-1"]);
    assert_eq!(texts(&fleets, "version"), ["$Latest"]);
    assert_eq!(texts(&fleets, "imageId"), ["ami-2"]);
    let (_, spot) = call(door, "DescribeSpotFleetRequests", &[]).await;
    assert_eq!(texts(&spot, "launchTemplateId"), ["lt-1"]);
    // Overrides of a Spot Fleet name no image.
    assert_eq!(texts(&spot, "imageId"), ["ami-1"]);
    let (_, requests) = call(door, "DescribeSpotInstanceRequests", &[]).await;
    assert_eq!(texts(&requests, "imageId"), ["ami-1"]);
    for answer in [&spot, &requests] {
        assert_eq!(texts(answer, "snapshotId"), ["snap-1"]);
    }
}

#[tokio::test]
async fn auto_scaling_answers_at_its_own_door_in_its_own_words() {
    let mut account = account();
    account.seed_launch_configuration("web", "ami-1", vec![device()]);
    account.seed_auto_scaling_group(AutoScalingGroupSeed::new(
        "a",
        GroupLaunch::Configuration("web".to_owned()),
    ));
    account.seed_auto_scaling_group(AutoScalingGroupSeed::new("b", GroupLaunch::Mixed(choice())));
    let desired = GroupLaunch::Template(LaunchTemplateReference {
        id: Some("lt-2".to_owned()),
        ..Default::default()
    });
    account.seed_instance_refresh("b", "InProgress", Some(desired));
    account.seed_instance_refresh("a", "Successful", None);
    let account = account.shared();
    let door = serve(auto_scaling::router(account.clone())).await;
    let ask = async |action, parameters: &[(&str, &str)]| {
        call_version(door, AUTO_SCALING, action, parameters).await
    };
    let named = [("LaunchConfigurationNames.member.1", "web")];
    let (status, configurations) = ask("DescribeLaunchConfigurations", &named).await;
    assert_eq!(status, 200, "{configurations}");
    assert!(configurations.contains(
        "<DescribeLaunchConfigurationsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <DescribeLaunchConfigurationsResult><LaunchConfigurations><member>"
    ), "{configurations}");
    assert_eq!(texts(&configurations, "ImageId"), ["ami-1"]);
    assert_eq!(texts(&configurations, "SnapshotId"), ["snap-1"]);
    let (_, first) = ask("DescribeAutoScalingGroups", &[("MaxRecords", "1")]).await;
    assert_eq!(texts(&first, "LaunchConfigurationName"), ["web"]);
    let token = texts(&first, "NextToken")[0];
    let next = [("MaxRecords", "1"), ("NextToken", token)];
    let (_, second) = ask("DescribeAutoScalingGroups", &next).await;
    assert_eq!(texts(&second, "AutoScalingGroupName"), ["b"]);
    assert_eq!(texts(&second, "LaunchTemplateId"), ["lt-1"]);
    assert_eq!(texts(&second, "ImageId"), ["ami-2"]);
    assert_eq!(texts(&second, "NextToken"), [""; 0]);

    let of_b = [("AutoScalingGroupName", "b")];
    let (status, refreshes) = ask("DescribeInstanceRefreshes", &of_b).await;
    assert_eq!(status, 200, "{refreshes}");
    assert_eq!(texts(&refreshes, "Status"), ["InProgress"]);
    assert!(refreshes.contains("<DesiredConfiguration><LaunchTemplate>"));
    assert_eq!(texts(&refreshes, "LaunchTemplateId"), ["lt-2"]);
    let of_nobody = [("AutoScalingGroupName", "c")];
    let (status, unknown) = ask("DescribeInstanceRefreshes", &of_nobody).await;
    assert_eq!(
        (status, texts(&unknown, "Code")),
        (400, vec!["ValidationError"])
    );

    let (status, bad) = ask("DescribeAutoScalingGroups", &[("NextToken", "junk")]).await;
    assert_eq!(
        (status, texts(&bad, "Code")),
        (400, vec!["InvalidNextToken"])
    );
    assert_eq!(texts(&bad, "Type"), ["Sender"]);
    assert_eq!(texts(&bad, "RequestId").len(), 1);
}

#[tokio::test]
async fn a_door_refuses_the_other_services_operations_and_what_it_does_not_know() {
    let account = account().shared();
    let ec2 = serve(holdfast_local_aws::ec2::router(account.clone())).await;
    let groups = serve(auto_scaling::router(account.clone())).await;
    let (status, answer) = call(ec2, "DescribeAutoScalingGroups", &[]).await;
    assert_eq!(
        (status, texts(&answer, "Code")),
        (400, vec!["InvalidAction"])
    );
    for (action, parameters, code) in [
        ("DescribeImages", vec![], "InvalidAction"),
        ("DeleteAutoScalingGroup", vec![], "InvalidAction"),
        (
            "DescribeAutoScalingGroups",
            vec![("Colour", "red")],
            "UnknownParameter",
        ),
    ] {
        let (status, answer) = call_version(groups, AUTO_SCALING, action, &parameters).await;
        assert_eq!((status, texts(&answer, "Code")), (400, vec![code]));
    }
    let logged: Vec<_> = account
        .lock()
        .unwrap()
        .calls()
        .iter()
        .map(|c| (c.service, c.outcome.clone()))
        .collect();
    let refused = |code: &str| CallOutcome::Refused(code.to_owned());
    assert_eq!(
        logged,
        [
            ("ec2", refused("InvalidAction")),
            ("autoscaling", refused("InvalidAction")),
            ("autoscaling", refused("InvalidAction")),
            ("autoscaling", refused("UnknownParameter")),
        ]
    );
}

#[tokio::test]
async fn faults_meet_auto_scaling_too() {
    let mut account = account();
    account.inject(FaultRule::next(
        "DescribeAutoScalingGroups",
        Fault::Error(ApiError::internal()),
    ));
    account.inject(FaultRule::next(
        "DescribeAutoScalingGroups",
        Fault::AppliedButResponseLost,
    ));
    let door = serve(auto_scaling::router(account.shared())).await;
    let (status, answer) = call_version(door, AUTO_SCALING, "DescribeAutoScalingGroups", &[]).await;
    assert_eq!((status, texts(&answer, "Type")), (500, vec!["Receiver"]));
    let parameters = [
        ("Action", "DescribeAutoScalingGroups"),
        ("Version", AUTO_SCALING),
    ];
    let lost = raw(door, &parameters).await;
    assert!(!lost.contains("DescribeAutoScalingGroupsResult"), "{lost}");
}
