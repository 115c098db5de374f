//! Launch configurations and Auto Scaling groups.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code};
use holdfast_core::id::SnapshotId;
use holdfast_sim::request::{self, LaunchTemplateReference, PageRequest, Request};
use holdfast_sim::{
    Account, AutoScalingGroup, AutoScalingGroupSeed, BlockDevice, CallFailure, Filter, GroupLaunch,
    LaunchOverride, Page, Response, Settings, TemplateChoice,
};

fn groups(
    account: &mut Account,
    names: &[&str],
    filters: Vec<Filter>,
    page: PageRequest,
) -> Result<Page<AutoScalingGroup>, CallFailure> {
    let request = Request::DescribeAutoScalingGroups(request::DescribeAutoScalingGroups {
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        filters,
        page,
    });
    account.call(&request).map(|answer| match answer {
        Response::AutoScalingGroups(page) => page,
        other => panic!("{other:?}"),
    })
}

fn refused(result: Result<Page<AutoScalingGroup>, CallFailure>) -> String {
    code(result.map(|_| Response::Done))
}

fn by_configuration(name: &str) -> AutoScalingGroupSeed {
    AutoScalingGroupSeed::new(name, GroupLaunch::Configuration("web".to_owned()))
}

fn page(max: i32, next_token: Option<String>) -> PageRequest {
    PageRequest {
        max_results: Some(max),
        next_token,
    }
}

#[test]
fn a_launch_configuration_names_an_image_and_snapshots() {
    let mut account = account();
    let device = BlockDevice::from_snapshot("/dev/sdf", SnapshotId::new("snap-1"));
    account.seed_launch_configuration("web", "ami-1", vec![device.clone()]);
    account.seed_launch_configuration("db", "ami-2", Vec::new());
    let mut ask = |names: &[&str]| {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        let request =
            Request::DescribeLaunchConfigurations(request::DescribeLaunchConfigurations {
                names,
                ..Default::default()
            });
        match account.call(&request).unwrap() {
            Response::LaunchConfigurations(page) => page.items,
            other => panic!("{other:?}"),
        }
    };
    let both = ask(&[]);
    assert_eq!(both.len(), 2);
    // An unknown name is left out without an error.
    let one = ask(&["web", "unknown"]);
    assert_eq!(one.len(), 1);
    assert_eq!(
        (one[0].image.as_str(), &one[0].mappings),
        ("ami-1", &vec![device])
    );
}

#[test]
fn a_group_shows_what_it_launches_in_each_of_its_forms() {
    let mut account = account();
    let template = LaunchTemplateReference {
        id: Some("lt-1".to_owned()),
        version: Some("$Latest".to_owned()),
        ..Default::default()
    };
    let mixed = GroupLaunch::Mixed(TemplateChoice {
        template: template.clone(),
        overrides: vec![
            LaunchOverride {
                template: Some(LaunchTemplateReference {
                    id: Some("lt-2".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            LaunchOverride {
                image: Some("ami-1".to_owned()),
                ..Default::default()
            },
        ],
    });
    let forms = [
        ("a", GroupLaunch::Configuration("web".to_owned())),
        ("b", GroupLaunch::Template(template)),
        ("c", mixed),
    ];
    for (name, launch) in forms.clone() {
        account.seed_auto_scaling_group(AutoScalingGroupSeed::new(name, launch));
    }
    let found = groups(&mut account, &[], Vec::new(), PageRequest::default()).unwrap();
    let launches: Vec<_> = found
        .items
        .iter()
        .map(|g| (g.name.as_str(), g.launch.clone()))
        .collect();
    assert_eq!(launches, forms);
    assert!(account.remove_auto_scaling_group("a"));
    let left = groups(
        &mut account,
        &["a", "b"],
        Vec::new(),
        PageRequest::default(),
    )
    .unwrap();
    assert_eq!(left.items.len(), 1);
}

#[test]
fn groups_are_always_paged_and_keep_the_services_bounds() {
    let mut account = account();
    for n in 0..51 {
        account.seed_auto_scaling_group(by_configuration(&format!("group-{n:02}")));
    }
    let first = groups(&mut account, &[], Vec::new(), PageRequest::default()).unwrap();
    assert_eq!(first.items.len(), 50);
    let rest = PageRequest {
        max_results: None,
        next_token: first.next_token,
    };
    let last = groups(&mut account, &[], Vec::new(), rest).unwrap();
    assert_eq!((last.items.len(), last.next_token), (1, None));
    assert_eq!(
        groups(&mut account, &[], Vec::new(), page(100, None))
            .unwrap()
            .items
            .len(),
        51
    );
    for max in [0, 101] {
        let answer = groups(&mut account, &[], Vec::new(), page(max, None));
        assert_eq!(refused(answer), "ValidationError");
    }
    let junk = page(50, Some("junk".to_owned()));
    assert_eq!(
        refused(groups(&mut account, &[], Vec::new(), junk)),
        "InvalidNextToken"
    );
    let many = vec!["g"; 51];
    let answer = groups(&mut account, &many, Vec::new(), PageRequest::default());
    assert_eq!(refused(answer), "ValidationError");
}

#[test]
fn groups_are_filtered_by_their_tags() {
    let mut account = account();
    account.seed_auto_scaling_group(AutoScalingGroupSeed {
        tags: [("team".to_owned(), "a".to_owned())].into(),
        ..by_configuration("tagged")
    });
    account.seed_auto_scaling_group(by_configuration("plain"));
    for (name, value) in [("tag:team", "a"), ("tag-key", "team"), ("tag-value", "a")] {
        let filters = vec![Filter::new(name, [value])];
        let found = groups(&mut account, &[], filters, PageRequest::default()).unwrap();
        assert_eq!(found.items.len(), 1, "{name}");
        assert_eq!(found.items[0].name, "tagged");
    }
    let filters = vec![Filter::new("status", ["x"])];
    let answer = groups(&mut account, &[], filters, PageRequest::default());
    assert_eq!(refused(answer), "ValidationError");
}

#[test]
fn calls_are_logged_under_their_service_and_draw_from_no_bucket_of_ec2() {
    let mut account = Account::new(Settings {
        throttling: true,
        ..Settings::default()
    });
    for _ in 0..200 {
        groups(&mut account, &[], Vec::new(), PageRequest::default()).unwrap();
    }
    assert!(account.calls().iter().all(|c| c.service == "autoscaling"));
    account
        .call(&Request::DescribeImages(Default::default()))
        .unwrap();
    assert_eq!(account.calls().last().unwrap().service, "ec2");
}
