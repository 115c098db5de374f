//! Lists, read to their last page or marked as ending early.

use aws_sdk_ec2::types::{self, Filter};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::table::{ImageTable, SnapshotTable};
use holdfast_core::inventory::{
    Binned, FastRestore, Image, ImageReference, Instance, InstanceType, KeyState,
    LaunchTemplateVersion, List, Listing, ReferenceScope, Referrer, Share, Snapshot, SnapshotLock,
    Source, Volume,
};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};

use super::{Ec2, convert};
use crate::aws::listing::{begun, collect};

/// Largest page of the lists (`MaxResults`, EC2 API Reference).
pub(super) const PAGE: i32 = 1000;
/// Most values of one filter (EC2 User Guide, "Filter your resources").
const FILTER_VALUES: usize = 200;

pub(super) fn filter<I: IntoIterator<Item = V>, V: Into<String>>(name: &str, values: I) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

pub(super) fn chunks<T: AsRef<str>>(ids: &[T]) -> impl Iterator<Item = Vec<String>> {
    ids.chunks(FILTER_VALUES)
        .map(|chunk| chunk.iter().map(|id| id.as_ref().to_owned()).collect())
}

impl Ec2 {
    async fn read_snapshots<I: Default + Extend<Snapshot>>(
        &self,
        scope: &SnapshotScope,
    ) -> List<I> {
        let mut list = begun(Source::Snapshots);
        // Without an owner, public and shared snapshots would come too.
        let own = || {
            self.client
                .describe_snapshots()
                .owner_ids("self")
                .max_results(PAGE)
        };
        let requests = match scope {
            SnapshotScope::All => vec![own()],
            SnapshotScope::Pending => vec![own().filters(filter("status", ["pending"]))],
            SnapshotScope::Managed => vec![own().filters(filter("tag:holdfast:managed", ["true"]))],
            SnapshotScope::Tagged(tags) => {
                vec![tags.iter().fold(own(), |request, (key, value)| {
                    request.filters(filter(&format!("tag:{key}"), [value]))
                })]
            }
            // By filter: a list of identifiers cannot be paged, and an empty one means everything.
            SnapshotScope::Ids(ids) => chunks(ids)
                .map(|ids| own().filters(filter("snapshot-id", ids)))
                .collect(),
        };
        for request in requests {
            collect!(list, "DescribeSnapshots", request,
                page => page.snapshots, convert::snapshot);
        }
        list
    }

    async fn read_images<I: Default + Extend<Image>>(&self, scope: &ImageScope) -> List<I> {
        let mut list = begun(Source::Images);
        // Disabled and deprecated images still need their snapshots, and are hidden unless asked
        // for (EC2 User Guide, "Disable an AMI").
        let all = || {
            self.client
                .describe_images()
                .include_disabled(true)
                .include_deprecated(true)
                .max_results(PAGE)
        };
        let requests = match scope {
            ImageScope::Own => vec![all().owners("self")],
            ImageScope::MappingAny(ids) => chunks(ids)
                .map(|ids| {
                    all()
                        .owners("self")
                        .filters(filter("block-device-mapping.snapshot-id", ids))
                })
                .collect(),
            ImageScope::Ids(ids) => chunks(ids)
                .map(|ids| all().filters(filter("image-id", ids)))
                .collect(),
            ImageScope::Named(name) => {
                vec![all().owners("self").filters(filter("name", [name]))]
            }
        };
        for request in requests {
            collect!(list, "DescribeImages", request,
                page => page.images, convert::image);
        }
        list
    }
}

impl ReadEc2 for Ec2 {
    async fn instances(&self, scope: &InstanceScope) -> Listing<Instance> {
        let mut list = begun(Source::Instances);
        let all = || {
            self.client
                .describe_instances()
                .include_managed_resources(true)
                .max_results(PAGE)
        };
        let requests = match scope {
            InstanceScope::All => vec![all()],
            InstanceScope::Ids(ids) => chunks(ids)
                .map(|ids| all().filters(filter("instance-id", ids)))
                .collect(),
            InstanceScope::LaunchedFrom(ids) => chunks(ids)
                .map(|ids| all().filters(filter("image-id", ids)))
                .collect(),
        };
        for request in requests {
            collect!(list, "DescribeInstances", request,
                page => page
                    .reservations
                    .map(|all| all.into_iter().flat_map(convert::instances)),
                |instance: Option<types::Instance>| convert::instance(instance?));
        }
        list
    }

    async fn volumes(&self) -> Listing<Volume> {
        let mut list = begun(Source::Volumes);
        let request = self
            .client
            .describe_volumes()
            .include_managed_resources(true)
            .max_results(PAGE);
        collect!(list, "DescribeVolumes", request,
            page => page.volumes, convert::volume);
        list
    }

    async fn snapshots(&self, scope: &SnapshotScope) -> Listing<Snapshot> {
        self.read_snapshots(scope).await
    }

    async fn snapshot_table(&self, scope: &SnapshotScope) -> List<SnapshotTable> {
        self.read_snapshots(scope).await
    }

    async fn images(&self, scope: &ImageScope) -> Listing<Image> {
        self.read_images(scope).await
    }

    async fn image_table(&self, scope: &ImageScope) -> List<ImageTable> {
        self.read_images(scope).await
    }

    async fn launch_template_versions(&self) -> Listing<LaunchTemplateVersion> {
        self.every_template_version().await
    }

    async fn launch_template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> Listing<LaunchTemplateVersion> {
        self.template_versions_again(known).await
    }

    async fn instance_types(&self, names: &[String]) -> Listing<InstanceType> {
        let mut list = begun(Source::InstanceTypes);
        // By filter, so that one retired type does not fail the whole question.
        for names in chunks(names) {
            let request = self
                .client
                .describe_instance_types()
                .filters(filter("instance-type", names))
                .max_results(100);
            collect!(list, "DescribeInstanceTypes", request,
                page => Some(page.instance_types.unwrap_or_default()), convert::instance_type);
        }
        list
    }
    async fn launch_configurations(&self) -> Listing<Referrer> {
        self.auto_scaling.launch_configurations().await
    }

    async fn auto_scaling_groups(&self) -> Listing<Referrer> {
        self.auto_scaling.groups().await
    }

    async fn fleets(&self) -> Listing<Referrer> {
        self.every_fleet().await
    }

    async fn fast_restores(&self) -> Listing<FastRestore> {
        self.every_fast_restore().await
    }

    async fn recycle_bin(&self) -> Listing<Binned> {
        self.whole_bin().await
    }

    async fn locks(&self) -> Listing<SnapshotLock> {
        self.every_lock().await
    }

    async fn image_references(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> Listing<ImageReference> {
        self.references_to(images, scope).await
    }

    async fn image_shares(&self, id: &ImageId) -> Result<Vec<Share>, CallError> {
        self.launch_permissions(id).await
    }

    async fn snapshot_shares(&self, id: &SnapshotId) -> Result<Vec<Share>, CallError> {
        self.volume_permissions(id).await
    }

    async fn key_state(&self, key: &str) -> Result<KeyState, CallError> {
        self.kms.key_state(key).await
    }
}
