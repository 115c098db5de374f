//! Calls that change the account.

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Snapshot, Tags};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ImageRequest, SetRequest, SnapshotRequest, WriteEc2,
};

use super::convert::snapshot;
use super::{InProcess, mismatch};
use crate::model::device::{BlockDevice, DeviceTarget};
use crate::request::{self, Request, TagSpecification};
use crate::response::Response;

fn snapshot_tags(tags: &Tags) -> Vec<TagSpecification> {
    if tags.is_empty() {
        return Vec::new();
    }
    let pairs = tags.iter().map(|(k, v)| (k.clone(), v.clone()));
    vec![TagSpecification::new("snapshot", pairs)]
}

impl WriteEc2 for InProcess {
    async fn create_snapshots(&self, r: &SetRequest) -> Result<Vec<Snapshot>, CallError> {
        let request = Request::CreateSnapshots(request::CreateSnapshots {
            instance: r.instance.as_str().to_owned(),
            exclude_boot_volume: r.exclude_boot_volume,
            exclude_data_volumes: r
                .exclude_data_volumes
                .iter()
                .map(|v| v.as_str().to_owned())
                .collect(),
            description: Some(r.description.clone()),
            tags: snapshot_tags(&r.tags),
            copy_tags_from_source: r.copy_tags_from_volume.then(|| "volume".to_owned()),
        });
        match self.make(&request, r.instance.as_str())? {
            Response::SnapshotSet(set) => Ok(set.into_iter().map(snapshot).collect()),
            _ => Err(mismatch("CreateSnapshots", r.instance.as_str())),
        }
    }

    async fn create_snapshot(&self, r: &SnapshotRequest) -> Result<Snapshot, CallError> {
        let request = Request::CreateSnapshot(request::CreateSnapshot {
            volume: r.volume.as_str().to_owned(),
            description: Some(r.description.clone()),
            tags: snapshot_tags(&r.tags),
        });
        match self.make(&request, r.volume.as_str())? {
            Response::Snapshot(made) => Ok(snapshot(*made)),
            _ => Err(mismatch("CreateSnapshot", r.volume.as_str())),
        }
    }

    async fn create_image(&self, r: &ImageRequest) -> Result<ImageId, CallError> {
        let spec = |kind: &str, tags: &Tags| {
            let pairs = tags.iter().map(|(k, v)| (k.clone(), v.clone()));
            TagSpecification::new(kind, pairs)
        };
        let request = Request::CreateImage(request::CreateImage {
            instance: r.instance.as_str().to_owned(),
            name: r.name.clone(),
            description: Some(r.description.clone()),
            no_reboot: r.no_reboot,
            mappings: r
                .excluded_devices
                .iter()
                .map(|device| BlockDevice {
                    device: device.clone(),
                    target: DeviceTarget::NoDevice,
                })
                .collect(),
            tags: vec![spec("image", &r.tags), spec("snapshot", &r.snapshot_tags)],
        });
        match self.make(&request, r.instance.as_str())? {
            Response::ImageMade(id) => Ok(id),
            _ => Err(mismatch("CreateImage", r.instance.as_str())),
        }
    }

    async fn deregister_image(
        &self,
        id: &ImageId,
        backing: Backing,
    ) -> Result<Vec<(SnapshotId, BackingDeletion)>, CallError> {
        let request = Request::DeregisterImage(request::DeregisterImage {
            id: id.as_str().to_owned(),
            delete_associated_snapshots: backing == Backing::Delete,
        });
        match self.make(&request, id.as_str())? {
            Response::Deregistered(list) => Ok(list
                .into_iter()
                .map(|one| (one.id, BackingDeletion::parse(one.return_code)))
                .collect()),
            _ => Err(mismatch("DeregisterImage", id.as_str())),
        }
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), CallError> {
        let request = Request::DeleteSnapshot(request::DeleteSnapshot {
            id: id.as_str().to_owned(),
        });
        self.make(&request, id.as_str()).map(|_| ())
    }

    async fn tag(&self, resources: &[String], tags: &Tags) -> Result<(), CallError> {
        let request = Request::CreateTags(request::CreateTags {
            resources: resources.to_vec(),
            tags: tags.clone().into_iter().collect(),
        });
        let named = resources.join(", ");
        match self.make(&request, &named)? {
            Response::Done => Ok(()),
            _ => Err(mismatch("CreateTags", &named)),
        }
    }

    async fn untag(&self, resources: &[String], key: &str) -> Result<(), CallError> {
        let request = Request::DeleteTags(request::DeleteTags {
            resources: resources.to_vec(),
            tags: vec![(key.to_owned(), None)],
        });
        let named = resources.join(", ");
        match self.make(&request, &named)? {
            Response::Done => Ok(()),
            _ => Err(mismatch("DeleteTags", &named)),
        }
    }
}
