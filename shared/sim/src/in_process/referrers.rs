//! What launches by itself, and what EC2 says refers to an image.

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    ImageReference, Listing, ReferenceScope, ReferenceType, Referrer, ReferrerKind, Source,
    TemplateName, TemplateUse, refresh_is_over,
};

use super::InProcess;
use crate::model::auto_scaling::{AutoScalingGroup, GroupLaunch, LaunchConfiguration};
use crate::model::device::BlockDevice;
use crate::model::fleet::{Fleet, SpotFleet, SpotRequest, TemplateChoice};
use crate::model::image_reference::ReferrerType;
use crate::request::{self, LaunchTemplateReference, Request};
use crate::response::Response;

/// Largest page of Auto Scaling's lists (`MaxRecords`, Auto Scaling API Reference).
const AUTO_SCALING_PAGE: i32 = 100;
/// Most images that one call may ask about `[B]`.
const IMAGES_PER_CALL: usize = 10;

impl InProcess {
    pub(super) fn every_launch_configuration(&self) -> Listing<Referrer> {
        self.in_pages_of_at_most(AUTO_SCALING_PAGE).list(
            Source::LaunchConfigurations,
            |page| {
                Request::DescribeLaunchConfigurations(request::DescribeLaunchConfigurations {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::LaunchConfigurations(page) => Some(page),
                _ => None,
            },
            launch_configuration,
        )
    }

    pub(super) fn every_group(&self) -> Listing<Referrer> {
        let mut groups = self.groups();
        for group in &mut groups.items {
            let refreshes = self.refreshes_of(&group.id);
            groups.pages += refreshes.pages;
            if refreshes.error.is_some() {
                groups.error = refreshes.error;
            }
            for desired in refreshes.items.into_iter().flatten() {
                let launched = launched_by(desired);
                group.images.extend(launched.images);
                group.templates.extend(launched.templates);
            }
        }
        groups
    }

    /// What each of a group's instance refreshes brings in, if it is under way.
    fn refreshes_of(&self, name: &str) -> Listing<Option<GroupLaunch>> {
        let mut list = self.in_pages_of_at_most(AUTO_SCALING_PAGE).list(
            Source::AutoScaling,
            |page| {
                Request::DescribeInstanceRefreshes(request::DescribeInstanceRefreshes {
                    group: name.to_owned(),
                    ids: Vec::new(),
                    page,
                })
            },
            |r| match r {
                Response::InstanceRefreshes(page) => Some(page),
                _ => None,
            },
            |refresh| {
                refresh
                    .desired
                    .filter(|_| !refresh_is_over(&refresh.status))
            },
        );
        if let Some(error) = &mut list.error {
            error.resource = name.to_owned();
        }
        list
    }

    fn groups(&self) -> Listing<Referrer> {
        self.in_pages_of_at_most(AUTO_SCALING_PAGE).list(
            Source::AutoScaling,
            |page| {
                Request::DescribeAutoScalingGroups(request::DescribeAutoScalingGroups {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::AutoScalingGroups(page) => Some(page),
                _ => None,
            },
            group,
        )
    }

    pub(super) fn every_fleet(&self) -> Listing<Referrer> {
        let fleets = self.list(
            Source::Fleets,
            |page| {
                Request::DescribeFleets(request::DescribeFleets {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::Fleets(page) => Some(page),
                _ => None,
            },
            fleet,
        );
        let spot_fleets = self.list(
            Source::Fleets,
            |page| {
                Request::DescribeSpotFleetRequests(request::DescribeSpotFleetRequests {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::SpotFleets(page) => Some(page),
                _ => None,
            },
            spot_fleet,
        );
        let spot_requests = self.list(
            Source::Fleets,
            |page| {
                Request::DescribeSpotInstanceRequests(request::DescribeSpotInstanceRequests {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::SpotRequests(page) => Some(page),
                _ => None,
            },
            spot_request,
        );
        and(and(fleets, spot_fleets), spot_requests)
    }

    pub(super) fn references_to(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> Listing<ImageReference> {
        let source = match scope {
            ReferenceScope::Launches => Source::ImageReferences,
            ReferenceScope::Recipes => Source::ImageRecipes,
        };
        let mut all = Listing::complete(source, Vec::new(), self.account().now());
        all.pages = 0;
        let parts = images.chunks(IMAGES_PER_CALL).map(|images| {
            let ids: Vec<String> = images.iter().map(ToString::to_string).collect();
            self.list(
                source,
                |page| {
                    Request::DescribeImageReferences(request::DescribeImageReferences {
                        ids: ids.clone(),
                        include_all: false,
                        scopes: scopes(scope),
                        page,
                    })
                },
                |r| match r {
                    Response::ImageReferences(page) => Some(page),
                    _ => None,
                },
                |found| ImageReference {
                    image: found.image,
                    kind: ReferenceType::parse(found.resource_type.as_str()),
                    arn: found.arn,
                },
            )
        });
        parts.fold(all, and)
    }
}

/// Adds a further part of the same list.
pub(super) fn and<T>(mut all: Listing<T>, part: Listing<T>) -> Listing<T> {
    all.pages += part.pages;
    all.items.extend(part.items);
    all.error = all.error.or(part.error);
    all
}

/// Every type of the scope, launch templates to the greatest depth.
fn scopes(scope: ReferenceScope) -> Vec<request::ReferenceScope> {
    let plain = |kind: ReferrerType| request::ReferenceScope {
        resource_type: kind.as_str().to_owned(),
        options: Vec::new(),
    };
    match scope {
        ReferenceScope::Launches => vec![
            plain(ReferrerType::Instance),
            request::ReferenceScope {
                options: vec![("version-depth".to_owned(), vec!["10000".to_owned()])],
                ..plain(ReferrerType::LaunchTemplate)
            },
            plain(ReferrerType::Parameter),
        ],
        ReferenceScope::Recipes => vec![
            plain(ReferrerType::ImageRecipe),
            plain(ReferrerType::ContainerRecipe),
        ],
    }
}

fn snapshots_of<'a>(mappings: impl IntoIterator<Item = &'a BlockDevice>) -> Vec<SnapshotId> {
    let mapped = mappings.into_iter().filter_map(BlockDevice::snapshot);
    mapped.cloned().collect()
}

/// A template that is named in neither way is in no account, so that its name matters to nobody.
fn template(from: &LaunchTemplateReference) -> TemplateUse {
    let template = match (&from.id, &from.name) {
        (Some(id), _) => TemplateName::Id(id.clone()),
        (None, name) => TemplateName::Name(name.clone().unwrap_or_default()),
    };
    TemplateUse {
        template,
        version: from.version.clone(),
    }
}

/// The templates of choices, their overrides' included.
fn templates<'a>(choices: impl IntoIterator<Item = &'a TemplateChoice>) -> Vec<TemplateUse> {
    let each = choices.into_iter().flat_map(|choice| {
        let instead = choice.overrides.iter().filter_map(|o| o.template.as_ref());
        std::iter::once(&choice.template).chain(instead)
    });
    each.map(template).collect()
}

/// The images of choices' overrides.
fn images<'a>(choices: impl IntoIterator<Item = &'a TemplateChoice>) -> Vec<String> {
    let instead = choices.into_iter().flat_map(|choice| &choice.overrides);
    instead.filter_map(|o| o.image.clone()).collect()
}

fn launch_configuration(c: LaunchConfiguration) -> Referrer {
    Referrer {
        snapshots: snapshots_of(&c.mappings),
        id: c.name,
        kind: ReferrerKind::LaunchConfiguration,
        state: None,
        images: vec![c.image],
        templates: Vec::new(),
        launch_configuration: None,
    }
}

/// What a launch names, apart from whose it is.
struct Launched {
    images: Vec<String>,
    templates: Vec<TemplateUse>,
    configuration: Option<String>,
}

fn launched_by(launch: GroupLaunch) -> Launched {
    let (images, templates, configuration) = match launch {
        GroupLaunch::Configuration(name) => (Vec::new(), Vec::new(), Some(name)),
        GroupLaunch::Template(reference) => (Vec::new(), vec![template(&reference)], None),
        GroupLaunch::Mixed(choice) => (images([&choice]), templates([&choice]), None),
    };
    Launched {
        images,
        templates,
        configuration,
    }
}

fn group(g: AutoScalingGroup) -> Referrer {
    let launched = launched_by(g.launch);
    Referrer {
        id: g.name,
        kind: ReferrerKind::AutoScalingGroup,
        state: None,
        images: launched.images,
        snapshots: Vec::new(),
        templates: launched.templates,
        launch_configuration: launched.configuration,
    }
}

fn fleet(f: Fleet) -> Referrer {
    let instead = f.choices.iter().flat_map(|choice| &choice.overrides);
    Referrer {
        images: images(&f.choices),
        snapshots: snapshots_of(instead.flat_map(|o| &o.mappings)),
        templates: templates(&f.choices),
        id: f.id,
        kind: ReferrerKind::Fleet,
        state: Some(f.state),
        launch_configuration: None,
    }
}

fn spot_fleet(f: SpotFleet) -> Referrer {
    let specifications = &f.specifications;
    Referrer {
        images: specifications
            .iter()
            .filter_map(|s| s.image.clone())
            .collect(),
        snapshots: snapshots_of(specifications.iter().flat_map(|s| &s.mappings)),
        templates: templates(&f.choices),
        id: f.id,
        kind: ReferrerKind::SpotFleet,
        state: Some(f.state),
        launch_configuration: None,
    }
}

fn spot_request(r: SpotRequest) -> Referrer {
    Referrer {
        snapshots: snapshots_of(&r.specification.mappings),
        images: r.specification.image.into_iter().collect(),
        id: r.id,
        kind: ReferrerKind::SpotRequest,
        state: Some(r.state),
        templates: Vec::new(),
        launch_configuration: None,
    }
}
