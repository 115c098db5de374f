//! `CreateTags`, `DeleteTags`, `DescribeTags`.

use std::borrow::Cow;

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::Tags;
use jiff::Timestamp;

use crate::account::Account;
use crate::error::ApiError;
use crate::filter::{self, Filterable};
use crate::request;
use crate::response::{Response, TagDescription};
use crate::tag;

/// Resources that one call may tag `[B]`.
const MAX_RESOURCES: usize = 1000;

/// A resource's identifier, type, tags and when lists begin to show it.
type Tagged<'a> = (&'a str, &'static str, &'a Tags, Timestamp);

impl Filterable for TagDescription {
    const NAMES: &'static [&'static str] = &["key", "resource-id", "resource-type", "value"];

    fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        match name {
            "key" => vec![Cow::Borrowed(&self.key)],
            "resource-id" => vec![Cow::Borrowed(&self.resource)],
            "resource-type" => vec![Cow::Borrowed(self.resource_type)],
            "value" => vec![Cow::Borrowed(&self.value)],
            _ => Vec::new(),
        }
    }

    fn filter_tags(&self) -> Option<&Tags> {
        None
    }
}

impl Account {
    /// The tags of a resource of one's own.
    fn tags_mut(&mut self, id: &str) -> Result<&mut Tags, ApiError> {
        let account = self.settings.account_id.as_str();
        let kind = id.split_once('-').map_or("", |(kind, _)| kind);
        match kind {
            "i" => self
                .instances
                .get_mut(&InstanceId::new(id))
                .map(|i| &mut i.tags)
                .ok_or_else(|| ApiError::instance_not_found(id)),
            "vol" => self
                .volumes
                .get_mut(&VolumeId::new(id))
                .map(|v| &mut v.tags)
                .ok_or_else(|| ApiError::volume_not_found(id)),
            "snap" => match self.snapshots.get_mut(&SnapshotId::new(id)) {
                Some(s) if s.owner == account => Ok(&mut s.tags),
                Some(_) => Err(ApiError::not_owner(id)),
                None => Err(ApiError::snapshot_not_found(id)),
            },
            "ami" => match self.images.get_mut(&ImageId::new(id)) {
                Some(i) if i.owner == account => Ok(&mut i.tags),
                Some(_) => Err(ApiError::not_owner(id)),
                None => Err(ApiError::image_not_found(id)),
            },
            "lt" => self
                .launch_templates
                .get_mut(&LaunchTemplateId::new(id))
                .map(|t| &mut t.tags)
                .ok_or_else(|| {
                    ApiError::not_found("InvalidLaunchTemplateId.NotFound", "launch template", id)
                }),
            _ => Err(ApiError::new(
                "InvalidID",
                format!("The ID '{id}' is not valid"),
            )),
        }
    }

    pub(super) fn create_tags(&mut self, r: &request::CreateTags) -> Result<Response, ApiError> {
        check_count(&r.resources)?;
        if r.tags.is_empty() {
            return Err(ApiError::missing("Tag"));
        }
        let new = tag::checked(&r.tags)?;
        // All resources are checked before the first is tagged.
        for id in &r.resources {
            let mut tags = self.tags_mut(id)?.clone();
            tags.extend(new.clone());
            tag::within_limit(&tags)?;
        }
        for id in &r.resources {
            self.tags_mut(id)?.extend(new.clone());
        }
        Ok(Response::Done)
    }

    pub(super) fn delete_tags(&mut self, r: &request::DeleteTags) -> Result<Response, ApiError> {
        check_count(&r.resources)?;
        if r.tags.iter().any(|(key, _)| tag::is_reserved(key)) {
            return Err(ApiError::invalid_value(
                "Tag keys starting with 'aws:' are reserved for internal use",
            ));
        }
        for id in &r.resources {
            self.tags_mut(id)?;
        }
        for id in &r.resources {
            let tags = self.tags_mut(id)?;
            if r.tags.is_empty() {
                // Without keys every user tag goes; `aws:` ones stay `[B]`.
                tags.retain(|key, _| tag::is_reserved(key));
            }
            for (key, value) in &r.tags {
                let meant = |has: &String| value.as_ref().is_none_or(|v| v == has);
                if tags.get(key).is_some_and(meant) {
                    tags.remove(key);
                }
            }
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_tags(
        &mut self,
        r: &request::DescribeTags,
    ) -> Result<Response, ApiError> {
        // `tag:KEY` is documented here too: its values are the tag's.
        let (by_key, plain): (Vec<_>, Vec<_>) = r
            .filters
            .iter()
            .cloned()
            .partition(|f| f.name.starts_with("tag:"));
        filter::check::<TagDescription>(&plain, false)?;
        let cursor = self.open_page("DescribeTags", &r.filters, &r.page, (5, 1000))?;
        let from = cursor
            .after
            .as_deref()
            .and_then(|a| a.split_once('\0'))
            .map(|(id, _)| id.to_owned());
        let view = self.view();
        let all = self
            .tagged()
            .filter(|(id, _, _, listed)| {
                view.lists(*listed) && from.as_deref().is_none_or(|from| *id >= from)
            })
            .flat_map(|(id, resource_type, tags, _)| {
                tags.iter().map(move |(key, value)| {
                    let description = TagDescription {
                        resource: id.to_owned(),
                        resource_type,
                        key: key.clone(),
                        value: value.clone(),
                    };
                    (format!("{id}\0{key}"), description)
                })
            })
            .filter(|(key, _)| cursor.after.as_ref().is_none_or(|after| key > after));
        Ok(Response::Tags(cursor.collect(all, |t: &TagDescription| {
            filter::passes(&plain, t)
                && by_key.iter().all(|f| {
                    f.name.strip_prefix("tag:") == Some(t.key.as_str())
                        && filter::any_matches(f, &t.value)
                })
        })))
    }

    /// Every resource of one's own that can carry tags, as reads see them, in the order of
    /// identifiers: the prefixes `ami-`, `i-`, `lt-`, `snap-`, `vol-` sort so.
    fn tagged(&self) -> impl Iterator<Item = Tagged<'_>> {
        let (past, view) = (&self.past, self.view());
        let images = past
            .images
            .over(&self.images, view, None, None, ImageId::new)
            .filter(|(_, i)| self.is_own(&i.owner))
            .map(|(_, i)| (i.id.as_str(), "image", &i.tags, i.listed_from));
        let instances = past
            .instances
            .over(&self.instances, view, None, None, InstanceId::new)
            .map(|(_, i)| (i.id.as_str(), "instance", &i.tags, i.listed_from));
        let templates = past
            .launch_templates
            .over(
                &self.launch_templates,
                view,
                None,
                None,
                LaunchTemplateId::new,
            )
            .map(|(_, t)| (t.id.as_str(), "launch-template", &t.tags, t.listed_from));
        let snapshots = past
            .snapshots
            .over(&self.snapshots, view, None, None, SnapshotId::new)
            .filter(|(_, s)| self.is_own(&s.owner))
            .map(|(_, s)| (s.id.as_str(), "snapshot", &s.tags, s.listed_from));
        let volumes = past
            .volumes
            .over(&self.volumes, view, None, None, VolumeId::new)
            .map(|(_, v)| (v.id.as_str(), "volume", &v.tags, v.listed_from));
        images
            .chain(instances)
            .chain(templates)
            .chain(snapshots)
            .chain(volumes)
    }
}

fn check_count(resources: &[String]) -> Result<(), ApiError> {
    if resources.is_empty() {
        return Err(ApiError::missing("ResourceId"));
    }
    if resources.len() > MAX_RESOURCES {
        return Err(ApiError::invalid_value(format!(
            "At most {MAX_RESOURCES} resources can be tagged in one call."
        )));
    }
    Ok(())
}
