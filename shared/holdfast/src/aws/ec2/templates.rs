//! Launch templates: every version of every one, and the AMIs that parameters stand for in them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types;
use futures::{StreamExt, stream};
use holdfast_core::id::{ImageId, LaunchTemplateId};
use holdfast_core::inventory::{
    LaunchTemplateVersion, Listing, Source, TemplateEntry, differing, with_known,
};

use super::{Ec2, convert};
use crate::aws::listing::{Unreadable, begun, collect, identifier};

/// Largest page of both lists (`MaxResults`, EC2 API Reference).
const PAGE: i32 = 200;
/// Launch templates whose versions are read at once.
const AT_ONCE: usize = 8;

impl Ec2 {
    pub(super) async fn every_template_version(&self) -> Listing<LaunchTemplateVersion> {
        let templates = self.templates().await;
        self.versions_of_all(templates).await
    }

    pub(super) async fn template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> Listing<LaunchTemplateVersion> {
        let mut templates = self.templates().await;
        templates.items = differing(templates.items, known);
        let mut list = self.versions_of_all(templates).await;
        list.items = with_known(list.items, known);
        list
    }

    async fn templates(&self) -> Listing<TemplateEntry> {
        let mut templates = begun(Source::LaunchTemplates);
        // `$Latest` and `$Default` are all that can be asked of every template at once; old
        // versions only template by template.
        let request = self
            .client
            .describe_launch_templates()
            .include_managed_resources(true)
            .max_results(PAGE);
        collect!(templates, "DescribeLaunchTemplates", request,
        page => page.launch_templates,
        |template: types::LaunchTemplate| {
            Ok::<_, Unreadable>(TemplateEntry {
                id: LaunchTemplateId::new(identifier(template.launch_template_id)?),
                default: template.default_version_number,
                latest: template.latest_version_number,
            })
        });
        templates
    }

    async fn versions_of_all(
        &self,
        templates: Listing<TemplateEntry>,
    ) -> Listing<LaunchTemplateVersion> {
        let mut list: Listing<LaunchTemplateVersion> = begun(Source::LaunchTemplates);
        list.read_at = templates.read_at;
        list.pages = templates.pages;
        list.error = templates.error;
        let mut parts = stream::iter(templates.items)
            .map(|template| self.versions_of(template))
            .buffer_unordered(AT_ONCE);
        while let Some(part) = parts.next().await {
            list.pages += part.pages;
            list.items.extend(part.items);
            if part.error.is_some() {
                list.error = part.error;
            }
        }
        list
    }

    /// A template that was listed and is not found is either deleted or not yet seen by what
    /// answers; nobody can tell which from here, so that the list is not complete.
    async fn versions_of(&self, template: TemplateEntry) -> Listing<LaunchTemplateVersion> {
        let (template, default) = (template.id.as_str(), template.default);
        let mut list = self.versions(template, false).await;
        if let Some(error) = list.error.as_mut().filter(|e| e.resource == "*") {
            template.clone_into(&mut error.resource);
        } else if list.error.is_none()
            && let Some(why) = LaunchTemplateVersion::lacking(&list.items, default)
        {
            let unreadable = Unreadable::of(template, why);
            list.error = Some(unreadable.error("DescribeLaunchTemplateVersions"));
        }
        let hidden = LaunchTemplateVersion::names_private_parameter;
        if !list.items.iter().any(hidden) {
            return list;
        }
        // Asked apart: whether one parameter that cannot be read fails the whole call is
        // documented nowhere. What stays unresolved is held by the graph, so that a failure of
        // this call is no gap in the list.
        let resolved = self.versions(template, true).await;
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

    async fn versions(&self, template: &str, resolve: bool) -> Listing<LaunchTemplateVersion> {
        let mut list = begun(Source::LaunchTemplates);
        let request = self
            .client
            .describe_launch_template_versions()
            .launch_template_id(template)
            .include_managed_resources(true)
            .set_resolve_alias(resolve.then_some(true))
            .max_results(PAGE);
        collect!(list, "DescribeLaunchTemplateVersions", request,
            page => Some(page.launch_template_versions.unwrap_or_default()), convert::template_version);
        list
    }
}
