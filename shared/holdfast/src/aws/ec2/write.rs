//! Calls that change the account.

use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::types::{CopyTagsFromSource, InstanceSpecification, ResourceType};
use aws_smithy_types::retry::RetryConfig;
use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::Snapshot;
use holdfast_core::ports::{CallError, ErrorClass, SetRequest, SnapshotRequest, WriteEc2};

use super::error::call_error;
use super::{Ec2, convert};
use crate::aws::call_timeout;

/// One attempt only: `CreateSnapshot(s)` and `CreateImage` have no client token, and the SDK
/// repeats a call whose response was lost, which makes a second artifact.
fn once() -> Builder {
    Builder::default()
        .retry_config(RetryConfig::disabled())
        .timeout_config(call_timeout())
}

/// An answer that does not name what was made: it must be looked up.
fn nameless(operation: &'static str, resource: &str) -> CallError {
    CallError {
        operation,
        resource: resource.to_owned(),
        code: None,
        class: ErrorClass::UnknownOutcome,
        message: "the answer does not name a snapshot".into(),
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

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), CallError> {
        self.client
            .delete_snapshot()
            .snapshot_id(id.as_str())
            .customize()
            .config_override(Builder::default().timeout_config(call_timeout()))
            .send()
            .await
            .map(|_| ())
            .map_err(|e| call_error("DeleteSnapshot", id.as_str(), &e))
    }
}
