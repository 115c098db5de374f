//! `DescribeLaunchTemplates`, `DescribeLaunchTemplateVersions`, `DescribeInstanceTypes`.

use std::collections::BTreeSet;

use holdfast_core::id::LaunchTemplateId;

use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::instance_type::InstanceTypeInfo;
use crate::model::launch_template::{LaunchTemplate, LaunchTemplateVersion};
use crate::page::candidates;
use crate::request;
use crate::response::Response;

impl Account {
    pub(super) fn describe_launch_templates(
        &mut self,
        r: &request::DescribeLaunchTemplates,
    ) -> Result<Response, ApiError> {
        filter::check::<LaunchTemplate>(&r.filters, true)?;
        let mut only: BTreeSet<String> = BTreeSet::new();
        for id in &r.ids {
            only.insert(self.shown_template(Some(id), None)?.id.as_str().to_owned());
        }
        for name in &r.names {
            only.insert(
                self.shown_template(None, Some(name))?
                    .id
                    .as_str()
                    .to_owned(),
            );
        }
        let parameters = (&r.ids, &r.names, &r.filters);
        // 1 to 200 `[B]`.
        let cursor = self.open_page("DescribeLaunchTemplates", &parameters, &r.page, (1, 200))?;
        let view = self.view();
        let all = self.past.launch_templates.over(
            &self.launch_templates,
            view,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            LaunchTemplateId::new,
        );
        Ok(Response::LaunchTemplates(
            cursor.collect(all, |t: &LaunchTemplate| {
                view.lists(t.listed_from) && filter::passes(&r.filters, t)
            }),
        ))
    }

    pub(super) fn describe_launch_template_versions(
        &mut self,
        r: &request::DescribeLaunchTemplateVersions,
    ) -> Result<Response, ApiError> {
        filter::check::<LaunchTemplateVersion>(&r.filters, false)?;
        let one = if r.id.is_some() || r.name.is_some() {
            Some(
                self.shown_template(r.id.as_ref(), r.name.as_ref())?
                    .id
                    .clone(),
            )
        } else {
            // Without a template only `$Latest` and `$Default` of all of them can be asked for `[B]`.
            let known = |v: &String| v == "$Latest" || v == "$Default";
            if r.versions.is_empty() || !r.versions.iter().all(known) {
                return Err(ApiError::missing("LaunchTemplateId"));
            }
            None
        };
        if !r.versions.is_empty() && (r.min_version.is_some() || r.max_version.is_some()) {
            return Err(ApiError::invalid_combination(
                "Versions cannot be named together with a range of versions.",
            ));
        }
        let view = self.view();
        let templates = &self.past.launch_templates;
        let named = one
            .as_ref()
            .and_then(|id| templates.one(&self.launch_templates, id, view));
        if let Some(template) = named {
            for version in &r.versions {
                template
                    .version(version)
                    .ok_or_else(|| version_not_found(template, version))?;
            }
        }
        let parameters = (
            &r.id,
            &r.name,
            &r.versions,
            r.min_version,
            r.max_version,
            r.resolve_alias,
            &r.filters,
        );
        let cursor = self.open_page(
            "DescribeLaunchTemplateVersions",
            &parameters,
            &r.page,
            (1, 200),
        )?;
        let wanted = |t: &LaunchTemplate, v: &LaunchTemplateVersion| {
            (r.versions.is_empty()
                || r.versions
                    .iter()
                    .any(|name| t.version(name).is_some_and(|n| n.version == v.version)))
                && r.min_version.is_none_or(|min| v.version >= min)
                && r.max_version.is_none_or(|max| v.version <= max)
        };
        let only: Option<BTreeSet<String>> = one.as_ref().map(|id| [id.as_str().to_owned()].into());
        let all = self
            .past
            .launch_templates
            .over(
                &self.launch_templates,
                view,
                None,
                only.as_ref(),
                LaunchTemplateId::new,
            )
            .map(|(_, t)| t)
            .filter(|t| view.lists(t.listed_from))
            .flat_map(|t| t.versions.values().map(move |v| (t, v)))
            .filter(|(t, v)| wanted(t, v))
            .map(|(t, v)| (format!("{}:{:012}", t.id, v.version), v))
            .filter(|(key, _)| cursor.after.as_ref().is_none_or(|after| key > after));
        let mut page = cursor.collect(all, |v: &LaunchTemplateVersion| {
            filter::passes(&r.filters, v)
        });
        if r.resolve_alias {
            for version in &mut page.items {
                let Some(image) = &version.data.image else {
                    continue;
                };
                match self.resolved_image(image) {
                    Ok(resolved) => version.data.image = Some(resolved),
                    Err(error) if self.settings.unresolved_alias_fails => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Ok(Response::LaunchTemplateVersions(page))
    }

    /// The template that an identifier or a name means for a call that reads: one that was deleted
    /// a moment ago may still be there, and one that was just made not yet.
    fn shown_template(
        &self,
        id: Option<&String>,
        name: Option<&String>,
    ) -> Result<&LaunchTemplate, ApiError> {
        let (templates, view) = (&self.past.launch_templates, self.view());
        let (real, key) = (&self.launch_templates, LaunchTemplateId::new);
        let shown = match (id, name) {
            (Some(id), None) => templates.one(real, &key(id.clone()), view),
            (None, Some(name)) => templates
                .over(real, view, None, None, key)
                .map(|(_, t)| t)
                .find(|t| t.name == *name),
            _ => None,
        };
        shown
            .filter(|t| view.lists(t.listed_from))
            .ok_or_else(|| no_template(id, name))
    }

    /// The template that an identifier or a name means; exactly one of them must be given.
    pub(super) fn find_template(
        &self,
        id: Option<&String>,
        name: Option<&String>,
    ) -> Result<&LaunchTemplate, ApiError> {
        let found = match (id, name) {
            (Some(id), None) => self
                .launch_templates
                .get(&LaunchTemplateId::new(id.clone())),
            (None, Some(name)) => self.launch_templates.values().find(|t| t.name == *name),
            _ => None,
        };
        found.ok_or_else(|| no_template(id, name))
    }

    pub(super) fn describe_instance_types(
        &mut self,
        r: &request::DescribeInstanceTypes,
    ) -> Result<Response, ApiError> {
        filter::check::<InstanceTypeInfo>(&r.filters, false)?;
        if !r.names.is_empty() && !r.page.is_whole_list() {
            return Err(ApiError::invalid_combination(
                "InstanceTypes cannot be used with MaxResults",
            ));
        }
        // At most 100 names `[B]`.
        if r.names.len() > 100 {
            return Err(ApiError::invalid_value("At most 100 instance types."));
        }
        if let Some(unknown) = r
            .names
            .iter()
            .find(|n| !self.instance_types.contains_key(*n))
        {
            return Err(ApiError::new(
                "InvalidInstanceType",
                format!("The following supplied instance types do not exist: [{unknown}]"),
            ));
        }
        let parameters = (&r.names, &r.filters);
        let cursor = self.open_page("DescribeInstanceTypes", &parameters, &r.page, (5, 100))?;
        let only: BTreeSet<String> = r.names.iter().cloned().collect();
        let all = candidates(
            &self.instance_types,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            |name| name,
        );
        Ok(Response::InstanceTypes(
            cursor.collect(all, |t: &InstanceTypeInfo| filter::passes(&r.filters, t)),
        ))
    }
}

/// Why there is no template: there is none of that identifier or name, or not exactly one of the
/// two was given.
fn no_template(id: Option<&String>, name: Option<&String>) -> ApiError {
    let missing = |code, what: &str| ApiError::not_found(code, "launch template", what);
    match (id, name) {
        (Some(id), None) => missing("InvalidLaunchTemplateId.NotFound", id),
        (None, Some(name)) => missing("InvalidLaunchTemplateName.NotFoundException", name),
        (Some(_), Some(_)) => ApiError::invalid_combination(
            "Give the launch template's identifier or its name, not both.",
        ),
        (None, None) => ApiError::missing("LaunchTemplateId"),
    }
}

pub(super) fn version_not_found(template: &LaunchTemplate, version: &str) -> ApiError {
    ApiError::new(
        "InvalidLaunchTemplateId.VersionNotFound",
        format!(
            "Could not find the specified version {version} for the launch template with ID {}.",
            template.id
        ),
    )
}
