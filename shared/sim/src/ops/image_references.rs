//! `DescribeImageReferences`.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId};
use holdfast_core::inventory::InstanceState;

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::image_reference::{ImageReference, ReferrerType};
use crate::request::{self, ReferenceScope};
use crate::response::Response;

/// Images in one call `[B]`.
const MAX_IMAGES: usize = 10;
/// The least `MaxResults` `[B]`; the greatest is assumed.
const PAGE: (i32, i32) = (5, 1000);
/// Newest versions of a launch template that are looked at (EC2 User Guide, "Identify your
/// resources referencing specified AMIs").
const DEFAULT_DEPTH: usize = 10;
const MAX_DEPTH: usize = 10_000;

/// Where to look, and how far.
struct Scope {
    /// States of instances; none: all.
    states: Option<BTreeSet<String>>,
    depth: usize,
}

impl Account {
    pub(super) fn describe_image_references(
        &mut self,
        r: &request::DescribeImageReferences,
    ) -> Result<Response, ApiError> {
        if r.ids.is_empty() {
            return Err(ApiError::missing("ImageId"));
        }
        if r.ids.len() > MAX_IMAGES {
            return Err(ApiError::invalid_value(format!(
                "At most {MAX_IMAGES} images can be checked in one request."
            )));
        }
        // Whoever owns it and whether or not it still exists (EC2 User Guide, same page, for the
        // owner; that a deregistered one is no error is assumed).
        for id in &r.ids {
            well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
        }
        let types = types_of(r)?;
        let scope = scope_of(&r.scopes)?;
        let parameters = (&r.ids, r.include_all, &r.scopes);
        let cursor = self.open_page("DescribeImageReferences", &parameters, &r.page, PAGE)?;
        let wanted: BTreeSet<&str> = r.ids.iter().map(String::as_str).collect();
        let mut found = BTreeMap::new();
        for (image, resource_type, arn) in self.references(&types, &scope) {
            if wanted.contains(image.as_str()) {
                let reference = ImageReference {
                    image: ImageId::new(image),
                    resource_type,
                    arn,
                };
                let key = format!("{}\t{}", reference.image, reference.arn);
                found.insert(key, reference);
            }
        }
        let rest = found
            .into_iter()
            .filter(|(key, _)| cursor.after.as_ref().is_none_or(|after| key > after));
        Ok(Response::ImageReferences(
            cursor.collect(rest, |_: &ImageReference| true),
        ))
    }

    /// Every reference to any image; lists that lag, lag here too.
    fn references(
        &self,
        types: &BTreeSet<ReferrerType>,
        scope: &Scope,
    ) -> Vec<(String, ReferrerType, String)> {
        let (region, account) = (&self.settings.region, &self.settings.account_id);
        let ec2 = |kind: &str, id: &str| format!("arn:aws:ec2:{region}:{account}:{kind}/{id}");
        let view = self.view();
        let mut all = Vec::new();
        for &resource_type in types {
            match resource_type {
                ReferrerType::Instance => {
                    let instances = &self.past.instances;
                    let shown = instances
                        .over(&self.instances, view, None, None, InstanceId::new)
                        .map(|(_, i)| i);
                    let shown = shown.filter(|i| {
                        view.lists(i.listed_from)
                            && scope
                                .states
                                .as_ref()
                                .is_none_or(|s| s.contains(i.state.as_str()))
                    });
                    all.extend(shown.map(|i| {
                        let arn = ec2("instance", i.id.as_str());
                        (i.image.as_str().to_owned(), resource_type, arn)
                    }));
                }
                ReferrerType::LaunchTemplate => {
                    let templates = &self.past.launch_templates;
                    let shown = templates
                        .over(
                            &self.launch_templates,
                            view,
                            None,
                            None,
                            LaunchTemplateId::new,
                        )
                        .map(|(_, t)| t);
                    for template in shown.filter(|t| view.lists(t.listed_from)) {
                        let arn = ec2("launch-template", template.id.as_str());
                        // Assumed: a version that names a parameter is no reference of its own;
                        // the parameter is one.
                        let newest = template.versions.values().rev().take(scope.depth);
                        let images = newest.filter_map(|v| v.data.image.clone());
                        all.extend(images.map(|image| (image, resource_type, arn.clone())));
                    }
                }
                ReferrerType::Parameter => {
                    for (name, parameter) in &self.parameters {
                        let path = name.trim_start_matches('/');
                        let arn = format!("arn:aws:ssm:{region}:{account}:parameter/{path}");
                        let latest = parameter.value(None).map(str::to_owned);
                        all.extend(latest.map(|image| (image, resource_type, arn)));
                    }
                }
                ReferrerType::ImageRecipe | ReferrerType::ContainerRecipe => {
                    let container = resource_type == ReferrerType::ContainerRecipe;
                    let kind = if container { "container" } else { "image" };
                    let of_kind = self.recipes.iter().filter(|r| r.container == container);
                    all.extend(of_kind.map(|r| {
                        let arn = format!(
                            "arn:aws:imagebuilder:{region}:{account}:{kind}-recipe/{}/{}",
                            r.name.to_lowercase(),
                            r.version
                        );
                        (r.parent.clone(), resource_type, arn)
                    }));
                }
            }
        }
        all
    }
}

/// All types, or those named; one of both must be asked for `[B]`.
fn types_of(r: &request::DescribeImageReferences) -> Result<BTreeSet<ReferrerType>, ApiError> {
    if !r.include_all && r.scopes.is_empty() {
        return Err(ApiError::missing("ResourceType"));
    }
    let mut types = BTreeSet::new();
    for scope in &r.scopes {
        let known = ReferrerType::ALL
            .into_iter()
            .find(|t| t.as_str() == scope.resource_type);
        types.insert(known.ok_or_else(|| {
            ApiError::invalid_value(format!(
                "Value ({}) for parameter ResourceType is invalid.",
                scope.resource_type
            ))
        })?);
    }
    if r.include_all {
        types.extend(ReferrerType::ALL);
    }
    Ok(types)
}

fn scope_of(scopes: &[ReferenceScope]) -> Result<Scope, ApiError> {
    let mut result = Scope {
        states: None,
        depth: DEFAULT_DEPTH,
    };
    for scope in scopes {
        for (name, values) in &scope.options {
            let invalid = || {
                ApiError::invalid_value(format!(
                    "The option {name} with {values:?} is invalid for {}.",
                    scope.resource_type
                ))
            };
            match (scope.resource_type.as_str(), name.as_str()) {
                ("ec2:Instance", "state-name") => {
                    let known = |v: &String| {
                        let state = InstanceState::parse(v);
                        !matches!(state, InstanceState::Unknown(_))
                    };
                    if values.is_empty() || !values.iter().all(known) {
                        return Err(invalid());
                    }
                    result.states = Some(values.iter().cloned().collect());
                }
                ("ec2:LaunchTemplate", "version-depth") => {
                    let depth = match values.as_slice() {
                        [one] => one.parse().ok(),
                        _ => None,
                    };
                    result.depth = depth
                        .filter(|d| (1..=MAX_DEPTH).contains(d))
                        .ok_or_else(invalid)?;
                }
                _ => return Err(invalid()),
            }
        }
    }
    Ok(result)
}
