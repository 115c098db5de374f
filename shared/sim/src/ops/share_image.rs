//! `ModifyImageAttribute`, `DescribeImageAttribute`, `ResetImageAttribute`.

use holdfast_core::inventory::ImageState;

use super::images::unavailable;
use super::share_snapshot::{check_grantees, unknown_attribute};
use crate::account::Account;
use crate::error::ApiError;
use crate::model::permission::Grantee;
use crate::request;
use crate::response::{ImageAttribute, Response};

const PERMISSION: &str = "launchPermission";

impl Account {
    pub(super) fn modify_image_attribute(
        &mut self,
        r: &request::ModifyImageAttribute,
    ) -> Result<Response, ApiError> {
        if let Some(attribute) = &r.attribute
            && attribute != PERMISSION
        {
            return Err(unknown_attribute(attribute));
        }
        check_grantees(r.add.iter().chain(&r.remove))?;
        if r.add.is_empty() && r.remove.is_empty() {
            return Err(ApiError::missing("LaunchPermission"));
        }
        let image = self.own_image(&r.id)?;
        // A disabled AMI cannot be shared (API Reference, "DisableImage"; the code is assumed).
        if image.state == ImageState::Disabled && !r.add.is_empty() {
            return Err(unavailable(&r.id));
        }
        let snapshots: Vec<_> = image.snapshots().cloned().collect();
        let encrypted: Vec<_> = snapshots
            .iter()
            .filter_map(|id| self.snapshots.get(id))
            .filter(|s| s.encrypted)
            .collect();
        // Words and code as packer issue #7410 shows them; those for `all` are assumed.
        if !r.add.is_empty() && encrypted.iter().any(|s| s.kms_key.is_none()) {
            return Err(ApiError::new(
                "InvalidParameter",
                "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
            ));
        }
        if r.add.contains(&Grantee::Everybody) && !encrypted.is_empty() {
            return Err(ApiError::new(
                "InvalidParameter",
                "An image with encrypted snapshots cannot be made public.",
            ));
        }
        let image = self.own_image(&r.id)?;
        for grantee in &r.add {
            match grantee {
                Grantee::Everybody => image.public = true,
                other => {
                    image.shared_with.insert(other.clone());
                }
            }
        }
        for grantee in &r.remove {
            match grantee {
                Grantee::Everybody => image.public = false,
                other => {
                    image.shared_with.remove(other);
                }
            }
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_image_attribute(
        &mut self,
        r: &request::DescribeImageAttribute,
    ) -> Result<Response, ApiError> {
        let id = self.own_image(&r.id)?.id.clone();
        let shown = self.past.images.one(&self.images, &id, self.view());
        let image = shown.ok_or_else(|| ApiError::image_not_found(&r.id))?;
        let attribute = match r.attribute.as_str() {
            PERMISSION => {
                let everybody = image.public.then_some(Grantee::Everybody);
                let others = image.shared_with.iter().cloned();
                ImageAttribute::LaunchPermission(everybody.into_iter().chain(others).collect())
            }
            "description" => ImageAttribute::Description(image.description.clone()),
            other => {
                return Err(ApiError::new(
                    "UnsupportedOperation",
                    format!("The attribute {other} is not supported by this simulated account."),
                ));
            }
        };
        Ok(Response::ImageAttribute(id, attribute))
    }

    pub(super) fn reset_image_attribute(
        &mut self,
        r: &request::ResetImageAttribute,
    ) -> Result<Response, ApiError> {
        // Only this attribute can be reset `[B]`.
        if r.attribute != PERMISSION {
            return Err(unknown_attribute(&r.attribute));
        }
        let image = self.own_image(&r.id)?;
        image.public = false;
        image.shared_with.clear();
        Ok(Response::Done)
    }
}
