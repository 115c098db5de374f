//! Who refers to an image: `DescribeImageReferences`, and parameters in launch templates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code, imaged};
use holdfast_core::id::ImageId;
use holdfast_core::inventory::InstanceState;
use holdfast_sim::request::{self, PageRequest, ReferenceScope, Request};
use holdfast_sim::{
    Account, CallFailure, ImageReference, InstanceSeed, Recipe, ReferrerType, Response,
    TemplateData,
};

fn template(account: &mut Account, name: &str, images: &[&str]) -> String {
    let data = |image: &str| TemplateData {
        image: Some(image.to_owned()),
        ..Default::default()
    };
    let made = account
        .call(&Request::CreateLaunchTemplate(
            request::CreateLaunchTemplate {
                name: name.to_owned(),
                data: data(images[0]),
                ..Default::default()
            },
        ))
        .unwrap();
    for image in &images[1..] {
        account
            .call(&Request::CreateLaunchTemplateVersion(
                request::CreateLaunchTemplateVersion {
                    name: Some(name.to_owned()),
                    data: data(image),
                    ..Default::default()
                },
            ))
            .unwrap();
    }
    match made {
        Response::LaunchTemplate(template) => template.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn scope(resource_type: &str, options: &[(&str, &[&str])]) -> ReferenceScope {
    ReferenceScope {
        resource_type: resource_type.to_owned(),
        options: options
            .iter()
            .map(|(name, values)| {
                let values = values.iter().map(|v| (*v).to_owned()).collect();
                ((*name).to_owned(), values)
            })
            .collect(),
    }
}

fn ask(
    account: &mut Account,
    ids: &[&str],
    include_all: bool,
    scopes: Vec<ReferenceScope>,
) -> Result<Vec<ImageReference>, CallFailure> {
    let request = Request::DescribeImageReferences(request::DescribeImageReferences {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        include_all,
        scopes,
        ..Default::default()
    });
    account.call(&request).map(|answer| match answer {
        Response::ImageReferences(page) => page.items,
        other => panic!("{other:?}"),
    })
}

fn refused(result: Result<Vec<ImageReference>, CallFailure>) -> String {
    code(result.map(|_| Response::Done))
}

fn launched(account: &mut Account, image: &ImageId, state: InstanceState) -> String {
    let id = account.seed_instance(InstanceSeed {
        image: Some(image.clone()),
        state,
        ..Default::default()
    });
    id.as_str().to_owned()
}

#[test]
fn every_type_of_resource_is_named_by_its_arn() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    let (unused, _) = imaged(&mut account);
    let instance = launched(&mut account, &image, InstanceState::Terminated);
    let lt = template(&mut account, "web", &[image.as_str()]);
    account.seed_parameter("/golden/linux", image.as_str());
    for container in [false, true] {
        account.seed_image_recipe(Recipe {
            name: "Base".to_owned(),
            version: "1.0.0".to_owned(),
            parent: image.as_str().to_owned(),
            container,
        });
    }
    let ids = [image.as_str(), unused.as_str()];
    let found = ask(&mut account, &ids, true, Vec::new()).unwrap();
    assert!(found.iter().all(|r| r.image == image));
    let mut named: Vec<_> = found
        .into_iter()
        .map(|r| (r.resource_type, r.arn))
        .collect();
    named.sort();
    let place = "eu-central-1:111122223333";
    assert_eq!(
        named,
        [
            (
                ReferrerType::Instance,
                format!("arn:aws:ec2:{place}:instance/{instance}")
            ),
            (
                ReferrerType::LaunchTemplate,
                format!("arn:aws:ec2:{place}:launch-template/{lt}")
            ),
            (
                ReferrerType::Parameter,
                format!("arn:aws:ssm:{place}:parameter/golden/linux")
            ),
            (
                ReferrerType::ImageRecipe,
                format!("arn:aws:imagebuilder:{place}:image-recipe/base/1.0.0")
            ),
            (
                ReferrerType::ContainerRecipe,
                format!("arn:aws:imagebuilder:{place}:container-recipe/base/1.0.0")
            ),
        ]
    );
}

#[test]
fn the_eleventh_newest_version_is_seen_only_at_greater_depth() {
    let mut account = account();
    let mut images = vec!["ami-0"];
    images.extend(["ami-1"; 10]);
    template(&mut account, "web", &images);
    assert_eq!(ask(&mut account, &["ami-0"], true, Vec::new()).unwrap(), []);
    assert_eq!(
        ask(&mut account, &["ami-1"], true, Vec::new())
            .unwrap()
            .len(),
        1,
        "a template is named once however many of its versions refer"
    );
    let deep = |depth: &str| vec![scope("ec2:LaunchTemplate", &[("version-depth", &[depth])])];
    for include_all in [true, false] {
        let found = ask(&mut account, &["ami-0"], include_all, deep("11")).unwrap();
        assert_eq!(found.len(), 1);
    }
    assert_eq!(
        ask(&mut account, &["ami-0"], false, deep("10000"))
            .unwrap()
            .len(),
        1
    );
    for bad in ["0", "10001", "many"] {
        let answer = ask(&mut account, &["ami-0"], true, deep(bad));
        assert_eq!(refused(answer), "InvalidParameterValue");
    }
}

#[test]
fn instances_are_scoped_by_state_and_the_default_is_all() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    launched(&mut account, &image, InstanceState::Running);
    launched(&mut account, &image, InstanceState::Terminated);
    let id = [image.as_str()];
    let plain = vec![scope("ec2:Instance", &[])];
    assert_eq!(ask(&mut account, &id, false, plain).unwrap().len(), 2);
    let running = vec![scope(
        "ec2:Instance",
        &[("state-name", &["running", "pending"])],
    )];
    assert_eq!(ask(&mut account, &id, false, running).unwrap().len(), 1);
    let bad = vec![scope("ec2:Instance", &[("state-name", &["asleep"])])];
    assert_eq!(
        refused(ask(&mut account, &id, false, bad)),
        "InvalidParameterValue"
    );
}

#[test]
fn a_request_names_up_to_ten_images_and_where_to_look() {
    let mut account = account();
    let eleven: Vec<String> = (0..11).map(|n| format!("ami-{n:x}")).collect();
    let ids: Vec<&str> = eleven.iter().map(String::as_str).collect();
    assert_eq!(
        refused(ask(&mut account, &ids, true, Vec::new())),
        "InvalidParameterValue"
    );
    assert_eq!(ask(&mut account, &ids[..10], true, Vec::new()).unwrap(), []);
    assert_eq!(
        refused(ask(&mut account, &[], true, Vec::new())),
        "MissingParameter"
    );
    assert_eq!(
        refused(ask(&mut account, &ids[..1], false, Vec::new())),
        "MissingParameter"
    );
    for bad in [
        scope("ec2:Fleet", &[]),
        scope("ssm:Parameter", &[("version-depth", &["5"])]),
        scope("ec2:Instance", &[("version-depth", &["5"])]),
    ] {
        assert_eq!(
            refused(ask(&mut account, &ids[..1], false, vec![bad])),
            "InvalidParameterValue"
        );
    }
}

#[test]
fn references_are_paged_five_at_least() {
    let mut account = account();
    let (image, _) = imaged(&mut account);
    for _ in 0..7 {
        launched(&mut account, &image, InstanceState::Running);
    }
    let page = |account: &mut Account, max, next_token| {
        account.call(&Request::DescribeImageReferences(
            request::DescribeImageReferences {
                ids: vec![image.as_str().to_owned()],
                include_all: true,
                page: PageRequest {
                    max_results: Some(max),
                    next_token,
                },
                ..Default::default()
            },
        ))
    };
    assert_eq!(code(page(&mut account, 4, None)), "InvalidParameterValue");
    let (mut arns, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        match page(&mut account, 5, token).unwrap() {
            Response::ImageReferences(page) => {
                arns.extend(page.items.into_iter().map(|r| r.arn));
                token = page.next_token;
            }
            other => panic!("{other:?}"),
        }
        pages += 1;
        if token.is_none() {
            break;
        }
    }
    arns.sort();
    arns.dedup();
    assert_eq!((arns.len(), pages), (7, 2));
}

#[test]
fn a_parameter_in_a_launch_template_is_resolved_where_it_is_asked_for() {
    let mut account = account();
    account.seed_parameter("/golden/linux", "ami-1");
    account.seed_parameter("/golden/linux", "ami-2");
    let arn = "resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/golden/linux";
    let names = [
        "resolve:ssm:/golden/linux",
        "resolve:ssm:/golden/linux:1",
        arn,
        "ami-3",
    ];
    template(&mut account, "web", &names);
    let images = |account: &mut Account, resolve_alias| {
        let request =
            Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
                name: Some("web".to_owned()),
                resolve_alias,
                ..Default::default()
            });
        account.call(&request).map(|answer| match answer {
            Response::LaunchTemplateVersions(page) => page
                .items
                .into_iter()
                .map(|v| v.data.image.unwrap())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(images(&mut account, false).unwrap(), names);
    assert_eq!(
        images(&mut account, true).unwrap(),
        ["ami-2", "ami-1", "ami-2", "ami-3"]
    );
    assert!(account.remove_parameter("/golden/linux"));
    assert_eq!(
        code(images(&mut account, true).map(|_| Response::Done)),
        "InvalidParameterValue"
    );
    assert_eq!(images(&mut account, false).unwrap(), names);
}
