//! Calls that change the account.

use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, CopyTagsFromSource, InstanceSpecification, ResourceType, Tag,
};
use aws_smithy_types::retry::RetryConfig;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Snapshot, Tags};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ErrorClass, ImageRequest, SetRequest, SnapshotRequest,
    WriteEc2,
};

use super::{Ec2, convert};
use crate::aws::call_timeout;
use crate::aws::error::call_error;

/// One attempt only: none of these calls has a client token, and the SDK repeats a call whose
/// response was lost. That makes a second artifact; and of a deletion that was carried out it would
/// report what became of the second attempt, such as a throttling, as if nothing had gone.
pub(super) fn once() -> Builder {
    Builder::default()
        .retry_config(RetryConfig::disabled())
        .timeout_config(call_timeout())
}

/// An answer that does not name what was made: it must be looked up.
pub(super) fn nameless(operation: &'static str, resource: &str) -> CallError {
    CallError {
        operation,
        resource: resource.to_owned(),
        code: None,
        class: ErrorClass::UnknownOutcome,
        message: "the answer does not name what was made".into(),
    }
}

impl WriteEc2 for Ec2 {
    async fn create_snapshots(&self, request: &SetRequest) -> Result<Vec<Snapshot>, CallError> {
        let exclude = request
            .exclude_data_volumes
            .iter()
            .map(ToString::to_string)
            .collect();
        let specification = InstanceSpecification::builder()
            .instance_id(request.instance.as_str())
            .exclude_boot_volume(request.exclude_boot_volume)
            .set_exclude_data_volume_ids(Some(exclude))
            .build();
        let copy = request
            .copy_tags_from_volume
            .then_some(CopyTagsFromSource::Volume);
        let output = self
            .client
            .create_snapshots()
            .instance_specification(specification)
            .description(&request.description)
            .tag_specifications(convert::sdk_tags(ResourceType::Snapshot, &request.tags))
            .set_copy_tags_from_source(copy)
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|e| call_error("CreateSnapshots", request.instance.as_str(), &e))?;
        let made: Option<Vec<Snapshot>> = output
            .snapshots
            .unwrap_or_default()
            .into_iter()
            .map(convert::set_member)
            .collect();
        made.filter(|made| !made.is_empty())
            .ok_or_else(|| nameless("CreateSnapshots", request.instance.as_str()))
    }

    async fn create_snapshot(&self, request: &SnapshotRequest) -> Result<Snapshot, CallError> {
        let output = self
            .client
            .create_snapshot()
            .volume_id(request.volume.as_str())
            .description(&request.description)
            .tag_specifications(convert::sdk_tags(ResourceType::Snapshot, &request.tags))
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|e| call_error("CreateSnapshot", request.volume.as_str(), &e))?;
        convert::created(output).ok_or_else(|| nameless("CreateSnapshot", request.volume.as_str()))
    }

    async fn create_image(&self, request: &ImageRequest) -> Result<ImageId, CallError> {
        let dropped = request
            .excluded_devices
            .iter()
            .map(|device| {
                BlockDeviceMapping::builder()
                    .device_name(device)
                    .no_device("")
                    .build()
            })
            .collect::<Vec<_>>();
        let output = self
            .client
            .create_image()
            .instance_id(request.instance.as_str())
            .name(&request.name)
            .description(&request.description)
            .no_reboot(request.no_reboot)
            .set_block_device_mappings((!dropped.is_empty()).then_some(dropped))
            .tag_specifications(convert::sdk_tags(ResourceType::Image, &request.tags))
            .tag_specifications(convert::sdk_tags(
                ResourceType::Snapshot,
                &request.snapshot_tags,
            ))
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|e| call_error("CreateImage", request.instance.as_str(), &e))?;
        output
            .image_id
            .map(ImageId::new)
            .ok_or_else(|| nameless("CreateImage", request.instance.as_str()))
    }

    async fn deregister_image(
        &self,
        id: &ImageId,
        backing: Backing,
    ) -> Result<Vec<(SnapshotId, BackingDeletion)>, CallError> {
        let output = self
            .client
            .deregister_image()
            .image_id(id.as_str())
            .delete_associated_snapshots(backing == Backing::Delete)
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|e| call_error("DeregisterImage", id.as_str(), &e))?;
        let results = output.delete_snapshot_results.unwrap_or_default();
        Ok(results
            .into_iter()
            .filter_map(|one| {
                let code = one.return_code.as_ref().map_or("", |code| code.as_str());
                let snapshot = SnapshotId::new(one.snapshot_id?);
                Some((snapshot, BackingDeletion::parse(code)))
            })
            .collect())
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), CallError> {
        self.client
            .delete_snapshot()
            .snapshot_id(id.as_str())
            .customize()
            .config_override(once())
            .send()
            .await
            .map(|_| ())
            .map_err(|e| call_error("DeleteSnapshot", id.as_str(), &e))
    }

    async fn tag(&self, resources: &[String], tags: &Tags) -> Result<(), CallError> {
        // Asked twice it comes to the same, so the SDK may ask again.
        self.client
            .create_tags()
            .set_resources(Some(resources.to_vec()))
            .set_tags(Some(convert::sdk_tag_list(tags)))
            .send()
            .await
            .map(|_| ())
            .map_err(|e| call_error("CreateTags", resources.join(", "), &e))
    }

    async fn untag(&self, resources: &[String], key: &str) -> Result<(), CallError> {
        // Without a value the tag goes whatever its value is (EC2 API Reference, `DeleteTags`).
        // Asked twice it comes to the same, so the SDK may ask again.
        self.client
            .delete_tags()
            .set_resources(Some(resources.to_vec()))
            .tags(Tag::builder().key(key).build())
            .send()
            .await
            .map(|_| ())
            .map_err(|e| call_error("DeleteTags", resources.join(", "), &e))
    }
}
