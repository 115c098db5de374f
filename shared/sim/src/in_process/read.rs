//! The lists of resources, read to their last page or marked as ending early.

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Binned, FastRestore, Image, ImageReference, Instance, InstanceType, KeyState,
    LaunchTemplateVersion, Listing, ReferenceScope, Referrer, Share, Snapshot, SnapshotLock,
    Source, Volume,
};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};

use super::InProcess;
use super::convert::{image, instance, instance_type, snapshot, volume};
use crate::filter::Filter;
use crate::request::{self, Request};
use crate::response::Response;

impl InProcess {
    fn instances_with(&self, filters: Vec<Filter>) -> Listing<Instance> {
        self.list(
            Source::Instances,
            |page| {
                Request::DescribeInstances(request::DescribeInstances {
                    include_managed: true,
                    filters: filters.clone(),
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::Instances(page) => Some(page),
                _ => None,
            },
            instance,
        )
    }

    fn own_snapshots(&self, filters: Vec<Filter>) -> Listing<Snapshot> {
        self.list(
            Source::Snapshots,
            |page| {
                Request::DescribeSnapshots(request::DescribeSnapshots {
                    owners: vec!["self".to_owned()],
                    filters: filters.clone(),
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::Snapshots(page) => Some(page),
                _ => None,
            },
            snapshot,
        )
    }

    pub(super) fn images_with(&self, owners: Vec<String>, filters: Vec<Filter>) -> Listing<Image> {
        self.list(
            Source::Images,
            |page| {
                Request::DescribeImages(request::DescribeImages {
                    owners: owners.clone(),
                    include_disabled: true,
                    include_deprecated: true,
                    filters: filters.clone(),
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::Images(page) => Some(page),
                _ => None,
            },
            image,
        )
    }
}

/// A tag value as a filter value that means itself.
pub(super) fn plain(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

impl ReadEc2 for InProcess {
    async fn instances(&self, scope: &InstanceScope) -> Listing<Instance> {
        let text = |id: &dyn AsRef<str>| id.as_ref().to_owned();
        let by = |name: &str, ids: Vec<String>| {
            self.in_chunks(Source::Instances, &ids, |chunk| {
                self.instances_with(vec![Filter::new(name, chunk)])
            })
        };
        match scope {
            InstanceScope::All => self.instances_with(Vec::new()),
            InstanceScope::Ids(ids) => by("instance-id", ids.iter().map(|id| text(id)).collect()),
            InstanceScope::LaunchedFrom(ids) => {
                by("image-id", ids.iter().map(|id| text(id)).collect())
            }
        }
    }

    async fn volumes(&self) -> Listing<Volume> {
        self.list(
            Source::Volumes,
            |page| {
                Request::DescribeVolumes(request::DescribeVolumes {
                    include_managed: true,
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::Volumes(page) => Some(page),
                _ => None,
            },
            volume,
        )
    }

    async fn snapshots(&self, scope: &SnapshotScope) -> Listing<Snapshot> {
        match scope {
            SnapshotScope::All => self.own_snapshots(Vec::new()),
            SnapshotScope::Pending => self.own_snapshots(vec![Filter::new("status", ["pending"])]),
            SnapshotScope::Managed => {
                self.own_snapshots(vec![Filter::new("tag:holdfast:managed", ["true"])])
            }
            SnapshotScope::Tagged(tags) => self.own_snapshots(
                tags.iter()
                    .map(|(key, value)| Filter::new(format!("tag:{key}"), [plain(value)]))
                    .collect(),
            ),
            SnapshotScope::Ids(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
                self.in_chunks(Source::Snapshots, &ids, |chunk| {
                    self.own_snapshots(vec![Filter::new("snapshot-id", chunk)])
                })
            }
        }
    }

    async fn images(&self, scope: &ImageScope) -> Listing<Image> {
        let own = || vec!["self".to_owned()];
        match scope {
            ImageScope::Own => self.images_with(own(), Vec::new()),
            ImageScope::MappingAny(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
                let mut found = self.in_chunks(Source::Images, &ids, |chunk| {
                    let name = "block-device-mapping.snapshot-id";
                    self.images_with(own(), vec![Filter::new(name, chunk)])
                });
                // An image whose snapshots fall into two chunks was found twice.
                found.items.sort_by(|a, b| a.id.cmp(&b.id));
                found.items.dedup_by(|a, b| a.id == b.id);
                found
            }
            ImageScope::Named(name) => {
                self.images_with(own(), vec![Filter::new("name", [plain(name)])])
            }
            ImageScope::Ids(ids) => {
                let ids: Vec<String> = ids
                    .iter()
                    .map(|id: &ImageId| id.as_str().to_owned())
                    .collect();
                self.in_chunks(Source::Images, &ids, |chunk| {
                    self.images_with(Vec::new(), vec![Filter::new("image-id", chunk)])
                })
            }
        }
    }

    async fn launch_template_versions(&self) -> Listing<LaunchTemplateVersion> {
        self.every_template_version()
    }

    async fn launch_template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> Listing<LaunchTemplateVersion> {
        self.template_versions_again(known)
    }

    async fn instance_types(&self, names: &[String]) -> Listing<InstanceType> {
        // By filter, so that an unknown name is absent rather than an error; at most 100 a page.
        let smaller = self.in_pages_of_at_most(100);
        smaller.in_chunks(Source::InstanceTypes, names, |chunk| {
            smaller.list(
                Source::InstanceTypes,
                |page| {
                    Request::DescribeInstanceTypes(request::DescribeInstanceTypes {
                        filters: vec![Filter::new("instance-type", chunk.clone())],
                        page,
                        ..Default::default()
                    })
                },
                |r| match r {
                    Response::InstanceTypes(page) => Some(page),
                    _ => None,
                },
                instance_type,
            )
        })
    }
    async fn launch_configurations(&self) -> Listing<Referrer> {
        self.every_launch_configuration()
    }

    async fn auto_scaling_groups(&self) -> Listing<Referrer> {
        self.every_group()
    }

    async fn fleets(&self) -> Listing<Referrer> {
        self.every_fleet()
    }

    async fn fast_restores(&self) -> Listing<FastRestore> {
        self.every_fast_restore()
    }

    async fn recycle_bin(&self) -> Listing<Binned> {
        self.whole_bin()
    }

    async fn locks(&self) -> Listing<SnapshotLock> {
        self.every_lock()
    }

    async fn image_references(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> Listing<ImageReference> {
        self.references_to(images, scope)
    }

    async fn image_shares(&self, id: &ImageId) -> Result<Vec<Share>, CallError> {
        self.launch_permissions(id)
    }

    async fn snapshot_shares(&self, id: &SnapshotId) -> Result<Vec<Share>, CallError> {
        self.volume_permissions(id)
    }

    async fn key_state(&self, key: &str) -> Result<KeyState, CallError> {
        let account = self.account();
        Ok(account.key(key).map_or(KeyState::Missing, KeyState::parse))
    }
}
