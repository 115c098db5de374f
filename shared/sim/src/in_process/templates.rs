//! Launch templates: every version of every one, and the AMIs that parameters stand for in them.

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, LaunchTemplateId};
use holdfast_core::inventory::{
    LaunchTemplateVersion, Listing, Source, TemplateEntry, differing, with_known,
};
use holdfast_core::ports::{CallError, ErrorClass};

use super::InProcess;
use super::convert::template_version;
use crate::request::{self, Request};
use crate::response::Response;

/// Largest page `[B]`.
const PAGE: i32 = 200;

impl InProcess {
    pub(super) fn every_template_version(&self) -> Listing<LaunchTemplateVersion> {
        let templates = self.templates();
        self.versions_of_all(templates)
    }

    pub(super) fn template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> Listing<LaunchTemplateVersion> {
        let mut templates = self.templates();
        templates.items = differing(templates.items, known);
        let mut all = self.versions_of_all(templates);
        all.items = with_known(all.items, known);
        all
    }

    fn templates(&self) -> Listing<TemplateEntry> {
        self.in_pages_of_at_most(PAGE).list(
            Source::LaunchTemplates,
            |page| {
                Request::DescribeLaunchTemplates(request::DescribeLaunchTemplates {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::LaunchTemplates(page) => Some(page),
                _ => None,
            },
            |t| TemplateEntry {
                id: t.id,
                default: Some(t.default_version),
                latest: Some(t.latest_version),
            },
        )
    }

    fn versions_of_all(&self, templates: Listing<TemplateEntry>) -> Listing<LaunchTemplateVersion> {
        let mut all = Listing {
            items: Vec::new(),
            source: Source::LaunchTemplates,
            pages: templates.pages,
            read_at: templates.read_at,
            error: templates.error,
        };
        for template in templates.items {
            let versions = self.versions_of(&template);
            all.pages += versions.pages;
            all.items.extend(versions.items);
            all.error = all.error.or(versions.error);
        }
        all
    }

    /// As the adapter over the SDK reads them: what is listed and not found makes the list
    /// incomplete, and what cannot be resolved stays unresolved.
    fn versions_of(&self, template: &TemplateEntry) -> Listing<LaunchTemplateVersion> {
        let (id, default) = (&template.id, template.default);
        let mut list = self.versions(id, false);
        if let Some(error) = &mut list.error {
            error.resource = id.to_string();
        } else if let Some(why) = LaunchTemplateVersion::lacking(&list.items, default) {
            list.error = Some(CallError {
                operation: "DescribeLaunchTemplateVersions",
                resource: id.to_string(),
                code: None,
                class: ErrorClass::Permanent,
                message: why.to_owned(),
            });
        }
        let hidden = LaunchTemplateVersion::names_private_parameter;
        if !list.items.iter().any(hidden) {
            return list;
        }
        let resolved = self.versions(id, true);
        list.pages += resolved.pages;
        let images: BTreeMap<i64, String> = resolved
            .items
            .into_iter()
            .filter_map(|version| Some((version.version, version.image?)))
            .filter(|(_, image)| image.starts_with(ImageId::PREFIX))
            .collect();
        for version in list.items.iter_mut().filter(|version| hidden(version)) {
            let image = images.get(&version.version);
            version.resolved = image.map(|id| ImageId::new(id.clone()));
        }
        list
    }

    fn versions(&self, id: &LaunchTemplateId, resolve: bool) -> Listing<LaunchTemplateVersion> {
        self.in_pages_of_at_most(PAGE).list(
            Source::LaunchTemplates,
            |page| {
                Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
                    id: Some(id.as_str().to_owned()),
                    resolve_alias: resolve,
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::LaunchTemplateVersions(page) => Some(page),
                _ => None,
            },
            template_version,
        )
    }
}
