//! What an owner is told of an image's launches, and aliases in launch templates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code, imaged};
use holdfast_core::id::ImageId;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{Account, Response, TemplateData};
use jiff::{SignedDuration, Timestamp};

fn launch(account: &mut Account, image: &ImageId) {
    let request = Request::RunInstances(request::RunInstances {
        image: Some(image.as_str().to_owned()),
        instance_type: Some("m5.large".to_owned()),
        min_count: 1,
        max_count: 1,
        ..Default::default()
    });
    account.call(&request).unwrap();
}

fn last_launched(account: &Account, image: &ImageId) -> Option<Timestamp> {
    account.image(image).unwrap().last_launched
}

#[test]
fn a_launch_is_reported_late_and_the_latest_one_counts() {
    let mut account = account();
    let day = SignedDuration::from_hours(24);
    account.settings_mut().last_launched_delay = day;
    let (image, _) = imaged(&mut account);
    let first = account.now();
    launch(&mut account, &image);
    account.advance_by(SignedDuration::from_hours(1));
    launch(&mut account, &image);
    assert_eq!(last_launched(&account, &image), None);
    account.advance_to(first + day);
    assert_eq!(last_launched(&account, &image), Some(first));
    account.advance_by(SignedDuration::from_hours(1));
    let second = first + SignedDuration::from_hours(1);
    assert_eq!(last_launched(&account, &image), Some(second));
    // A shorter delay brings nothing older back.
    account.settings_mut().last_launched_delay = SignedDuration::ZERO;
    launch(&mut account, &image);
    assert_eq!(last_launched(&account, &image), Some(account.now()));
}

#[test]
fn one_alias_that_cannot_be_resolved_fails_the_call_or_stays_as_it_is_written() {
    let mut account = account();
    account.seed_parameter("/golden", "ami-0a");
    let template = |image: &str, name: &str| {
        Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
            name: name.to_owned(),
            data: TemplateData {
                image: Some(image.to_owned()),
                ..Default::default()
            },
            ..Default::default()
        })
    };
    account
        .call(&template("resolve:ssm:/golden", "good"))
        .unwrap();
    account
        .call(&template("resolve:ssm:/gone", "lost"))
        .unwrap();
    let resolved =
        Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
            versions: vec!["$Latest".to_owned()],
            resolve_alias: true,
            ..Default::default()
        });
    assert_eq!(code(account.call(&resolved)), "InvalidParameterValue");
    account.settings_mut().unresolved_alias_fails = false;
    let mut images: Vec<_> = match account.call(&resolved).unwrap() {
        Response::LaunchTemplateVersions(page) => {
            page.items.into_iter().map(|v| v.data.image).collect()
        }
        other => panic!("{other:?}"),
    };
    images.sort();
    let expected = ["ami-0a", "resolve:ssm:/gone"].map(|text| Some(text.to_owned()));
    assert_eq!(images, expected);
}
