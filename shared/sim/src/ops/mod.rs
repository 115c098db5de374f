//! What each API operation does.

mod auto_scaling;
mod copies;
mod create_image;
mod deprecation;
mod fast_restores;
mod fleets;
mod guests;
mod image_references;
mod images;
mod instances;
mod launch_templates;
mod list_resources;
mod list_templates;
mod locks;
mod parameters;
mod recycle_bin;
mod run_instances;
mod settle;
mod share_image;
mod share_snapshot;
mod snapshots;
mod tags;
mod tiers;
mod volume_performance;
mod volumes;

use crate::account::{Account, TokenUse};
use crate::error::ApiError;
use crate::ids::is_well_formed;
use crate::page::{self, Cursor};
use crate::request::{PageRequest, Request};
use crate::response::Response;

impl Account {
    pub(crate) fn execute(&mut self, request: &Request) -> Result<Response, ApiError> {
        let before = if request.changes_attributes() {
            self.before(&request.resources())
        } else {
            Vec::new()
        };
        let response = self.dispatch(request)?;
        self.leave_echoes(before);
        Ok(response)
    }

    fn dispatch(&mut self, request: &Request) -> Result<Response, ApiError> {
        match request {
            Request::DescribeInstances(r) => self.describe_instances(r),
            Request::DescribeVolumes(r) => self.describe_volumes(r),
            Request::DescribeSnapshots(r) => self.describe_snapshots(r),
            Request::DescribeImages(r) => self.describe_images(r),
            Request::DescribeLaunchTemplates(r) => self.describe_launch_templates(r),
            Request::DescribeLaunchTemplateVersions(r) => self.describe_launch_template_versions(r),
            Request::DescribeInstanceTypes(r) => self.describe_instance_types(r),
            Request::DescribeTags(r) => self.describe_tags(r),
            Request::CreateSnapshot(r) => self.create_snapshot(r),
            Request::CreateSnapshots(r) => self.create_snapshots(r),
            Request::DeleteSnapshot(r) => self.delete_snapshot(r),
            Request::CreateTags(r) => self.create_tags(r),
            Request::DeleteTags(r) => self.delete_tags(r),
            Request::RegisterImage(r) => self.register_image(r),
            Request::CreateImage(r) => self.create_image(r),
            Request::DeregisterImage(r) => self.deregister_image(r),
            Request::DisableImage(r) => self.disable_image(&r.id),
            Request::EnableImage(r) => self.enable_image(&r.id),
            Request::EnableImageDeregistrationProtection(r) => {
                self.protect_image(&r.id, r.with_cooldown)
            }
            Request::DisableImageDeregistrationProtection(r) => self.unprotect_image(&r.id),
            Request::CreateVolume(r) => self.create_volume(r),
            Request::AttachVolume(r) => self.attach_volume(r),
            Request::DetachVolume(r) => self.detach_volume(r),
            Request::DeleteVolume(r) => self.delete_volume(r),
            Request::RunInstances(r) => self.run_instances(r),
            Request::StopInstances(r) => self.stop_instances(&r.ids),
            Request::StartInstances(r) => self.start_instances(&r.ids),
            Request::TerminateInstances(r) => self.terminate_instances(&r.ids),
            Request::CreateLaunchTemplate(r) => self.create_launch_template(r),
            Request::CreateLaunchTemplateVersion(r) => self.create_launch_template_version(r),
            Request::DeleteLaunchTemplate(r) => self.delete_launch_template(r),
            Request::ModifySnapshotAttribute(r) => self.modify_snapshot_attribute(r),
            Request::DescribeSnapshotAttribute(r) => self.describe_snapshot_attribute(r),
            Request::ResetSnapshotAttribute(r) => self.reset_snapshot_attribute(r),
            Request::ModifyImageAttribute(r) => self.modify_image_attribute(r),
            Request::DescribeImageAttribute(r) => self.describe_image_attribute(r),
            Request::ResetImageAttribute(r) => self.reset_image_attribute(r),
            Request::LockSnapshot(r) => self.lock_snapshot(r),
            Request::UnlockSnapshot(r) => self.unlock_snapshot(&r.id),
            Request::DescribeLockedSnapshots(r) => self.describe_locked_snapshots(r),
            Request::DescribeImageReferences(r) => self.describe_image_references(r),
            Request::DescribeFleets(r) => self.describe_fleets(r),
            Request::DescribeSpotFleetRequests(r) => self.describe_spot_fleet_requests(r),
            Request::DescribeSpotInstanceRequests(r) => self.describe_spot_instance_requests(r),
            Request::DescribeLaunchConfigurations(r) => self.describe_launch_configurations(r),
            Request::DescribeAutoScalingGroups(r) => self.describe_auto_scaling_groups(r),
            Request::DescribeInstanceRefreshes(r) => self.describe_instance_refreshes(r),
            Request::DescribeInstanceInformation(r) => self.describe_instance_information(r),
            Request::SendCommand(r) => self.send_command(r),
            Request::GetCommandInvocation(r) => self.get_command_invocation(r),
            Request::CopySnapshot(r) => self.copy_snapshot(r),
            Request::CopyImage(r) => self.copy_image(r),
            Request::EnableImageDeprecation(r) => self.enable_image_deprecation(r),
            Request::DisableImageDeprecation(r) => self.disable_image_deprecation(&r.id),
            Request::EnableFastSnapshotRestores(r) => self.enable_fast_restores(r),
            Request::DisableFastSnapshotRestores(r) => self.disable_fast_restores(r),
            Request::DescribeFastSnapshotRestores(r) => self.describe_fast_restores(r),
            Request::ModifySnapshotTier(r) => self.modify_snapshot_tier(r),
            Request::RestoreSnapshotTier(r) => self.restore_snapshot_tier(r),
            Request::DescribeSnapshotTierStatus(r) => self.describe_snapshot_tier_status(r),
            Request::ListSnapshotsInRecycleBin(r) => self.list_snapshots_in_recycle_bin(r),
            Request::ListImagesInRecycleBin(r) => self.list_images_in_recycle_bin(r),
            Request::RestoreSnapshotFromRecycleBin(r) => self.restore_snapshot_from_bin(&r.id),
            Request::RestoreImageFromRecycleBin(r) => self.restore_image_from_bin(&r.id),
        }
    }

    /// Opens a page of a list; an injected empty page is used up here.
    fn open_page(
        &mut self,
        operation: &'static str,
        parameters: &impl std::fmt::Debug,
        request: &PageRequest,
        bounds: (i32, i32),
    ) -> Result<Cursor, ApiError> {
        let empty = std::mem::take(&mut self.empty_page);
        page::open(operation, parameters, request, bounds, empty)
    }

    /// What an earlier call with this client token made.
    ///
    /// The same token with other parameters is refused (EC2 Developer Guide, "Ensuring
    /// idempotency").
    fn made_before(
        &self,
        operation: &'static str,
        token: Option<&String>,
        parameters: &impl std::fmt::Debug,
    ) -> Result<Option<Vec<String>>, ApiError> {
        let Some(used) = token.and_then(|t| self.tokens.get(&(operation, t.clone()))) else {
            return Ok(None);
        };
        if used.fingerprint == page::hash(&format!("{parameters:?}")) {
            Ok(Some(used.made.clone()))
        } else {
            Err(ApiError::new(
                "IdempotentParameterMismatch",
                "The client token was used with other parameters.",
            ))
        }
    }

    fn remember_made(
        &mut self,
        operation: &'static str,
        token: Option<&String>,
        parameters: &impl std::fmt::Debug,
        made: Vec<String>,
    ) {
        if let Some(token) = token {
            let fingerprint = page::hash(&format!("{parameters:?}"));
            self.tokens
                .insert((operation, token.clone()), TokenUse { fingerprint, made });
        }
    }
}

/// Refuses a malformed identifier with its code, such as `InvalidSnapshotID.Malformed` `[E]`.
fn well_formed(id: &str, prefix: &str, code: &str) -> Result<(), ApiError> {
    if is_well_formed(id, prefix) {
        Ok(())
    } else {
        Err(ApiError::new(
            code,
            format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")"),
        ))
    }
}

/// Descriptions of snapshots and images: at most 255 characters (`[B]` for images; for snapshots
/// observed, bottlerocket-images-cache issue #8).
fn description_of(text: Option<&String>) -> Result<String, ApiError> {
    let text = text.cloned().unwrap_or_default();
    if text.chars().count() > 255 {
        return Err(ApiError::invalid_value(
            "Value for parameter description is invalid. Length exceeds maximum of 255.",
        ));
    }
    Ok(text)
}
