//! The lists that a deletion rests on, read by the adapter over the real SDK: whole, broken off,
//! refused, empty, and in shapes that nobody knows. The door in process must say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod odd_resources;
mod shapes;

use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use holdfast::aws::ec2::Ec2;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Reading, ReferenceScope, Source};
use holdfast_core::ports::{ErrorClass, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_end_to_end::World;
use holdfast_sim::{Account, ApiError, Fault, FaultRule, InProcess};

use account::{GOLDEN, OTHER, PUBLIC, SNAPSHOT};

const POLICIES: &str = "
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { Backup: nightly } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
";

/// Each call that makes up a list, and the source it is evidence of. Shares are no lists.
const CALLS: [(&str, Source); 18] = [
    ("DescribeInstances", Source::Instances),
    ("DescribeVolumes", Source::Volumes),
    ("DescribeSnapshots", Source::Snapshots),
    ("DescribeImages", Source::Images),
    ("DescribeLaunchTemplates", Source::LaunchTemplates),
    ("DescribeLaunchTemplateVersions", Source::LaunchTemplates),
    ("DescribeLaunchConfigurations", Source::LaunchConfigurations),
    ("DescribeAutoScalingGroups", Source::AutoScaling),
    ("DescribeInstanceRefreshes", Source::AutoScaling),
    ("DescribeFleets", Source::Fleets),
    ("DescribeSpotFleetRequests", Source::Fleets),
    ("DescribeSpotInstanceRequests", Source::Fleets),
    ("DescribeFastSnapshotRestores", Source::FastRestore),
    ("ListImagesInRecycleBin", Source::RecycleBin),
    ("ListSnapshotsInRecycleBin", Source::RecycleBin),
    ("DescribeLockedSnapshots", Source::Locks),
    ("DescribeImageReferences", Source::ImageReferences),
    ("DescribeImageReferences", Source::ImageRecipes),
];

/// One attempt a call, at one endpoint.
async fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

/// The two doors of an account over HTTP. A configuration made in code has one endpoint for all
/// services, so that each door has a client of its own.
struct Doors {
    ec2: Ec2,
    groups: Ec2,
}

impl Doors {
    async fn of(world: &World) -> Self {
        Self {
            ec2: Ec2::new(&config(&world.local.ec2_endpoint).await),
            groups: Ec2::new(&config(&world.local.auto_scaling_endpoint).await),
        }
    }

    async fn reading(&self, source: Source) -> Reading {
        let images = [ImageId::new(GOLDEN)];
        match source {
            Source::Instances => self.ec2.instances(&InstanceScope::All).await.reading(),
            Source::Volumes => self.ec2.volumes().await.reading(),
            Source::Snapshots => self.ec2.snapshots(&SnapshotScope::Managed).await.reading(),
            Source::Images => self.ec2.images(&ImageScope::Own).await.reading(),
            Source::LaunchTemplates => self.ec2.launch_template_versions().await.reading(),
            Source::LaunchConfigurations => self.groups.launch_configurations().await.reading(),
            Source::AutoScaling => self.groups.auto_scaling_groups().await.reading(),
            Source::Fleets => self.ec2.fleets().await.reading(),
            Source::FastRestore => self.ec2.fast_restores().await.reading(),
            Source::RecycleBin => self.ec2.recycle_bin().await.reading(),
            Source::Locks => self.ec2.locks().await.reading(),
            Source::ImageReferences => {
                let scope = ReferenceScope::Launches;
                self.ec2.image_references(&images, scope).await.reading()
            }
            Source::ImageRecipes => {
                let scope = ReferenceScope::Recipes;
                self.ec2.image_references(&images, scope).await.reading()
            }
            other => panic!("{other:?} is tested elsewhere"),
        }
    }
}

async fn populated() -> (World, Doors) {
    let settings = account::settings;
    let world = World::with(POLICIES, "plan", settings, account::seed).await;
    let doors = Doors::of(&world).await;
    world.account(Account::clear_calls);
    (world, doors)
}

#[tokio::test]
async fn both_doors_tell_all_that_refers_and_protects() {
    let (world, doors) = populated().await;
    account::expect_all(&doors.ec2, &doors.groups).await;
    let inside = InProcess::new(Arc::clone(&world.local.account));
    account::expect_all(&inside, &inside).await;
}

#[tokio::test]
async fn an_empty_account_is_a_complete_list_of_nothing() {
    let world = World::new(POLICIES, "plan", |_| {}).await;
    let doors = Doors::of(&world).await;
    for (_, source) in CALLS {
        let read = doors.reading(source).await;
        assert_eq!(read.source, source);
        assert_eq!((read.count, read.error), (0, None), "{source:?}");
        assert!(read.pages > 0, "{source:?}");
    }
}

#[tokio::test]
async fn no_image_at_all_is_no_question() {
    let (world, doors) = populated().await;
    for scope in [ReferenceScope::Launches, ReferenceScope::Recipes] {
        let found = doors.ec2.image_references(&[], scope).await;
        assert!(found.items.is_empty() && found.is_complete());
    }
    assert_eq!(world.calls(), [""; 0]);
}

#[tokio::test]
async fn images_are_asked_about_by_ten_and_templates_to_the_last_version() {
    let (world, doors) = populated().await;
    let mut images: Vec<ImageId> = (0x100..0x114)
        .map(|n| ImageId::new(format!("ami-{n:017x}")))
        .collect();
    images.push(ImageId::new(OTHER));
    let scope = ReferenceScope::Launches;
    let found = doors.ec2.image_references(&images, scope).await;
    assert_eq!(found.error, None);
    assert_eq!(world.calls(), ["DescribeImageReferences"; 3]);
    // Eleven versions have come since the one that names it: EC2 looks at ten unless told.
    let [reference] = found.items.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(reference.image.as_str(), OTHER);
    assert!(
        reference.arn.contains(":launch-template/lt-"),
        "{reference:?}"
    );
}

#[tokio::test]
async fn a_refused_call_leaves_its_list_incomplete_and_says_which() {
    let (world, doors) = populated().await;
    for (operation, source) in CALLS {
        let denied = ApiError::unauthorized();
        world.inject(FaultRule::next(operation, Fault::Error(denied)));
        let read = doors.reading(source).await;
        let error = read.error.unwrap();
        assert_eq!(error.operation, operation);
        assert_eq!(error.class, ErrorClass::Denied, "{operation}");
        assert_eq!(error.code.as_deref(), Some("UnauthorizedOperation"));
        // Once the permission is there, nothing of the refusal is left.
        assert_eq!(doors.reading(source).await.error, None, "{operation}");
    }
}

#[tokio::test]
async fn a_role_without_the_permission_is_refused_in_auto_scalings_own_words() {
    let (world, _) = populated().await;
    let mut role = world.local.role("sweep-retention").unwrap();
    for statement in &mut role.statements {
        let groups = |action: &String| action.starts_with("autoscaling:");
        statement.actions.retain(|action| !groups(action));
    }
    world.local.gate.give_role("local", role);
    let doors = Doors::of(&world).await;
    for source in [Source::LaunchConfigurations, Source::AutoScaling] {
        let error = doors.reading(source).await.error.unwrap();
        assert_eq!(error.code.as_deref(), Some("AccessDenied"));
        assert_eq!(error.class, ErrorClass::Denied);
    }
    assert_eq!(doors.reading(Source::Fleets).await.error, None);
}

#[tokio::test]
async fn a_list_that_breaks_off_after_a_page_is_incomplete() {
    let (world, doors) = populated().await;
    for (operation, source) in CALLS {
        let busy = ApiError::new("RequestLimitExceeded", "Request limit exceeded.");
        world.inject(FaultRule::next(operation, Fault::EmptyPage));
        world.inject(FaultRule::next(operation, Fault::FailPage(2, busy)));
        let read = doors.reading(source).await;
        let error = read.error.unwrap_or_else(|| panic!("{operation}"));
        assert_eq!(error.operation, operation);
        assert_eq!(error.class, ErrorClass::Throttled, "{operation}");
        assert!(read.pages > 0, "{operation}");
    }
}

#[tokio::test]
async fn a_template_that_is_listed_and_not_found_leaves_the_list_incomplete_at_both_doors() {
    let (world, doors) = populated().await;
    let inside = InProcess::new(Arc::clone(&world.local.account));
    let whole = doors.ec2.launch_template_versions().await;
    assert_eq!(whole.error, None);
    let absent = || {
        let code = "InvalidLaunchTemplateId.NotFound";
        let fault = Fault::Error(ApiError::new(code, "no such template"));
        world.inject(FaultRule::next("DescribeLaunchTemplateVersions", fault));
    };
    absent();
    let over_http = doors.ec2.launch_template_versions().await;
    absent();
    let in_process = inside.launch_template_versions().await;
    for list in [over_http, in_process] {
        let error = list.error.unwrap();
        assert_eq!(
            error.code.as_deref(),
            Some("InvalidLaunchTemplateId.NotFound")
        );
        assert!(error.resource.starts_with("lt-"), "named: {error}");
        assert!(list.items.len() < whole.items.len());
        assert!(!list.items.is_empty(), "the others are read all the same");
    }
}

#[tokio::test]
async fn an_empty_page_is_not_the_end_of_a_list() {
    let (world, doors) = populated().await;
    for (operation, source) in CALLS {
        let whole = doors.reading(source).await;
        world.inject(FaultRule::next(operation, Fault::EmptyPage));
        let read = doors.reading(source).await;
        assert_eq!(read.error, None, "{operation}");
        assert_eq!(read.count, whole.count, "{operation}");
        assert_eq!(read.pages, whole.pages + 1, "{operation}");
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_resolved_leaves_the_list_complete_and_itself_unresolved() {
    let (world, doors) = populated().await;
    let resolved = async || {
        let list = doors.ec2.launch_template_versions().await;
        assert_eq!(list.error, None);
        let named = list
            .items
            .into_iter()
            .filter_map(|v| Some((v.image?, v.resolved)));
        let mut of_parameters: Vec<_> = named
            .filter(|(image, _)| !image.starts_with("ami-"))
            .collect();
        of_parameters.sort();
        of_parameters
    };
    let golden = Some(ImageId::new(GOLDEN));
    let expected = |golden| {
        [
            ("resolve:ssm:/aws/service/linux".to_owned(), None),
            ("resolve:ssm:/golden".to_owned(), golden),
            ("resolve:ssm:/nowhere".to_owned(), None),
        ]
    };
    assert_eq!(resolved().await, expected(golden));
    // One question a template, and a second one for those two that name a parameter of one's own.
    let asked = world.calls().into_iter();
    let asked = asked.filter(|call| call == "DescribeLaunchTemplateVersions");
    assert_eq!(asked.count(), account::TEMPLATES + 2);
    // As before permission was given: the plain questions are answered, the others are not.
    let mut role = world.local.role("sweep-retention").unwrap();
    for statement in &mut role.statements {
        statement
            .actions
            .retain(|action| action != "ssm:GetParameters");
    }
    world.local.gate.give_role("local", role);
    assert_eq!(resolved().await, expected(None));
}

#[tokio::test]
async fn shares_of_what_is_not_there_or_may_not_be_read_are_an_error_and_not_none() {
    let (world, doors) = populated().await;
    let missing = "ami-0000000000000dead";
    let error = doors
        .ec2
        .image_shares(&ImageId::new(missing))
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound);
    assert_eq!(error.resource, missing);
    for operation in ["DescribeImageAttribute", "DescribeSnapshotAttribute"] {
        let denied = ApiError::unauthorized();
        world.inject(FaultRule::next(operation, Fault::Error(denied)));
    }
    let error = doors
        .ec2
        .image_shares(&ImageId::new(PUBLIC))
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    let error = doors
        .ec2
        .snapshot_shares(&SnapshotId::new(SNAPSHOT))
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
}
