//! `DescribeInstances`, `DescribeVolumes`, `DescribeSnapshots`, `DescribeImages`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::ImageState;
use jiff::Timestamp;

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::image::Image;
use crate::model::instance::Instance;
use crate::model::permission::Grantee;
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::request::{self, PageRequest};
use crate::response::Response;

/// Documented for snapshots in older API versions; assumed for the others.
const BOUNDS: (i32, i32) = (5, 1000);

/// Identifiers and paging exclude one another `[B]`.
fn not_paged(ids: &[String], page: &PageRequest) -> Result<(), ApiError> {
    if ids.is_empty() || page.is_whole_list() {
        Ok(())
    } else {
        Err(ApiError::invalid_combination(
            "A list of identifiers cannot be used with the parameters maxResults and nextToken",
        ))
    }
}

/// What a list need look at: the identifiers asked for, or those a filter names exactly.
fn named(ids: &[String], filters: &[filter::Filter], key: &str) -> Option<BTreeSet<String>> {
    if ids.is_empty() {
        filter::exact(filters, key)
    } else {
        Some(ids.iter().cloned().collect())
    }
}

impl Account {
    pub(super) fn describe_instances(
        &mut self,
        r: &request::DescribeInstances,
    ) -> Result<Response, ApiError> {
        filter::check::<Instance>(&r.filters, true)?;
        not_paged(&r.ids, &r.page)?;
        for id in &r.ids {
            well_formed(id, "i-", "InvalidInstanceID.Malformed")?;
            self.past
                .instances
                .one(&self.instances, &InstanceId::new(id.clone()), self.view())
                .filter(|i| self.view().lists(i.listed_from))
                .ok_or_else(|| ApiError::instance_not_found(id))?;
        }
        let parameters = (&r.ids, &r.filters, r.include_managed);
        let cursor = self.open_page("DescribeInstances", &parameters, &r.page, BOUNDS)?;
        let only = named(&r.ids, &r.filters, "instance-id");
        let view = self.view();
        let all = self.past.instances.over(
            &self.instances,
            view,
            cursor.after.as_deref(),
            only.as_ref(),
            InstanceId::new,
        );
        Ok(Response::Instances(cursor.collect(all, |i: &Instance| {
            view.lists(i.listed_from)
                && (r.include_managed || !i.managed)
                && filter::passes(&r.filters, i)
        })))
    }

    pub(super) fn describe_volumes(
        &mut self,
        r: &request::DescribeVolumes,
    ) -> Result<Response, ApiError> {
        filter::check::<Volume>(&r.filters, true)?;
        not_paged(&r.ids, &r.page)?;
        for id in &r.ids {
            well_formed(id, "vol-", "InvalidParameterValue")?;
            self.past
                .volumes
                .one(&self.volumes, &VolumeId::new(id.clone()), self.view())
                .filter(|v| self.view().lists(v.listed_from))
                .ok_or_else(|| ApiError::volume_not_found(id))?;
        }
        let parameters = (&r.ids, &r.filters, r.include_managed);
        let cursor = self.open_page("DescribeVolumes", &parameters, &r.page, BOUNDS)?;
        let only = named(&r.ids, &r.filters, "volume-id");
        let view = self.view();
        let all = self.past.volumes.over(
            &self.volumes,
            view,
            cursor.after.as_deref(),
            only.as_ref(),
            VolumeId::new,
        );
        Ok(Response::Volumes(cursor.collect(all, |v: &Volume| {
            view.lists(v.listed_from)
                && (r.include_managed || !v.managed)
                && filter::passes(&r.filters, v)
        })))
    }

    pub(super) fn describe_snapshots(
        &mut self,
        r: &request::DescribeSnapshots,
    ) -> Result<Response, ApiError> {
        filter::check::<Snapshot>(&r.filters, true)?;
        not_paged(&r.ids, &r.page)?;
        for id in &r.ids {
            well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
            // One without permission is silently absent, one that is not there is an error `[B]`.
            self.past
                .snapshots
                .one(&self.snapshots, &SnapshotId::new(id.clone()), self.view())
                .filter(|s| self.view().lists(s.listed_from))
                .ok_or_else(|| ApiError::snapshot_not_found(id))?;
        }
        let parameters = (&r.ids, &r.owners, &r.restorable_by, &r.filters);
        let cursor = self.open_page("DescribeSnapshots", &parameters, &r.page, BOUNDS)?;
        let only = named(&r.ids, &r.filters, "snapshot-id");
        let view = self.view();
        let all = self.past.snapshots.over(
            &self.snapshots,
            view,
            cursor.after.as_deref(),
            only.as_ref(),
            SnapshotId::new,
        );
        Ok(Response::Snapshots(cursor.collect(all, |s: &Snapshot| {
            view.lists(s.listed_from)
                && self.may_see_snapshot(s)
                && (r.owners.is_empty()
                    || self.is_owned_by_any(&s.owner, s.owner_alias.as_deref(), &r.owners))
                && (r.restorable_by.is_empty() || self.is_restorable_by(s, &r.restorable_by))
                && filter::passes(&r.filters, s)
        })))
    }

    pub(super) fn may_see_snapshot(&self, s: &Snapshot) -> bool {
        self.is_own(&s.owner) || s.public || s.shared_with.contains(&self.settings.account_id)
    }

    fn is_owned_by_any(&self, owner: &str, alias: Option<&str>, wanted: &[String]) -> bool {
        wanted.iter().any(|w| match w.as_str() {
            "self" => self.is_own(owner),
            other => other == owner || Some(other) == alias,
        })
    }

    /// `self` means explicit permission or ownership, `all` public ones `[B]`.
    fn is_restorable_by(&self, s: &Snapshot, wanted: &[String]) -> bool {
        wanted.iter().any(|w| match w.as_str() {
            "self" => self.is_own(&s.owner) || s.shared_with.contains(&self.settings.account_id),
            "all" => s.public,
            account => s.owner == account || s.shared_with.contains(account),
        })
    }

    pub(super) fn describe_images(
        &mut self,
        r: &request::DescribeImages,
    ) -> Result<Response, ApiError> {
        filter::check::<Image>(&r.filters, true)?;
        not_paged(&r.ids, &r.page)?;
        for id in &r.ids {
            well_formed(id, "ami-", "InvalidAMIID.Malformed")?;
            let key = ImageId::new(id.clone());
            // A deregistered one is silently absent (terraform-provider-aws issue #26046).
            let known = self.deregistered.contains(&key)
                || self
                    .past
                    .images
                    .one(&self.images, &key, self.view())
                    .is_some_and(|i| self.view().lists(i.listed_from));
            if !known {
                return Err(ApiError::image_not_found(id));
            }
        }
        let parameters = (
            &r.ids,
            &r.owners,
            &r.filters,
            r.include_disabled,
            r.include_deprecated,
        );
        let cursor = self.open_page("DescribeImages", &parameters, &r.page, BOUNDS)?;
        let only = named(&r.ids, &r.filters, "image-id");
        let hide = !self.settings.pending_image_shows_snapshots;
        let view = self.view();
        let (after, only) = (cursor.after.as_deref(), only.as_ref());
        let all = self
            .past
            .images
            .over(&self.images, view, after, only, ImageId::new)
            .map(|(key, image)| {
                let shown = if hide && image.state == ImageState::Pending {
                    Cow::Owned(image.without_snapshot_ids())
                } else {
                    Cow::Borrowed(image)
                };
                (key, shown)
            });
        let now = self.now;
        Ok(Response::Images(cursor.collect(all, |i: &Image| {
            view.lists(i.listed_from)
                && self.may_see_image(i, r, now)
                && (r.owners.is_empty()
                    || self.is_owned_by_any(&i.owner, i.owner_alias.as_deref(), &r.owners))
                && filter::passes(&r.filters, i)
        })))
    }

    /// One's own, public ones, and those opened to the account.
    pub(super) fn may_use_image(&self, i: &Image) -> bool {
        let account = || Grantee::Account(self.settings.account_id.clone());
        self.is_own(&i.owner) || i.public || i.shared_with.contains(&account())
    }

    /// Disabled images are hidden unless asked for; deprecated ones too, except from their owner
    /// (EC2 User Guide, "Disable an AMI", "Deprecate an AMI"). Assumed: asking for a disabled one
    /// by identifier does not show it either.
    fn may_see_image(&self, i: &Image, r: &request::DescribeImages, now: Timestamp) -> bool {
        let own = self.is_own(&i.owner);
        self.may_use_image(i)
            && (r.include_disabled || i.state != ImageState::Disabled)
            && (own || r.include_deprecated || i.deprecated_from.is_none_or(|at| now < at))
    }
}
