//! Lists, read to their last page or marked as ending early.

use aws_sdk_ec2::types::{self, Filter};
use futures::{StreamExt, stream};
use holdfast_core::inventory::{
    Image, Instance, InstanceType, LaunchTemplateVersion, Listing, Snapshot, Source, Volume,
};
use holdfast_core::ports::{
    CallError, ErrorClass, ImageScope, InstanceScope, ReadEc2, SnapshotScope,
};
use jiff::Timestamp;

use super::error::call_error;
use super::{Ec2, convert};

/// Largest page of the lists (`MaxResults`, EC2 API Reference).
const PAGE: i32 = 1000;
/// Most values of one filter (EC2 User Guide, "Filter your resources").
const FILTER_VALUES: usize = 200;
/// Launch templates whose versions are read at once.
const TEMPLATES_AT_ONCE: usize = 8;

/// Reads all pages of a paginator into a listing, converting item by item.
macro_rules! collect {
    ($list:expr, $operation:literal, $request:expr, $page:ident => $items:expr, $convert:expr) => {{
        let mut pages = $request.into_paginator().send();
        while let Some(page) = pages.next().await {
            match page {
                Ok($page) => {
                    $list.pages += 1;
                    for item in $items {
                        match $convert(item) {
                            Some(item) => $list.items.push(item),
                            None => $list.error = Some(unreadable($operation)),
                        }
                    }
                }
                Err(error) => {
                    $list.error = Some(call_error($operation, "*", &error));
                    break;
                }
            }
        }
    }};
}

fn begun<T>(source: Source) -> Listing<T> {
    Listing {
        items: Vec::new(),
        source,
        pages: 0,
        read_at: Timestamp::now(),
        error: None,
    }
}

/// An answer without the identifier of what it describes: nobody knows what it protects.
fn unreadable(operation: &'static str) -> CallError {
    CallError {
        operation,
        resource: "*".into(),
        code: None,
        class: ErrorClass::Permanent,
        message: "an answer lacks the identifier of what it describes".into(),
    }
}

fn filter<I: IntoIterator<Item = V>, V: Into<String>>(name: &str, values: I) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

fn chunks<T: AsRef<str>>(ids: &[T]) -> impl Iterator<Item = Vec<String>> {
    ids.chunks(FILTER_VALUES)
        .map(|chunk| chunk.iter().map(|id| id.as_ref().to_owned()).collect())
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
                    .unwrap_or_default()
                    .into_iter()
                    .flat_map(|reservation| reservation.instances.unwrap_or_default()),
                convert::instance);
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
            page => page.volumes.unwrap_or_default(), convert::volume);
        list
    }

    async fn snapshots(&self, scope: &SnapshotScope) -> Listing<Snapshot> {
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
                page => page.snapshots.unwrap_or_default(), convert::snapshot);
        }
        list
    }

    async fn images(&self, scope: &ImageScope) -> Listing<Image> {
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
                page => page.images.unwrap_or_default(), convert::image);
        }
        list
    }

    async fn launch_template_versions(&self) -> Listing<LaunchTemplateVersion> {
        let mut templates = begun(Source::LaunchTemplates);
        // `$Latest` and `$Default` are all that can be asked of every template at once; old
        // versions only template by template.
        let request = self.client.describe_launch_templates().max_results(200);
        collect!(templates, "DescribeLaunchTemplates", request,
            page => page.launch_templates.unwrap_or_default(),
            |template: types::LaunchTemplate| template.launch_template_id);
        let mut list = begun(Source::LaunchTemplates);
        list.pages = templates.pages;
        list.error = templates.error;
        let mut parts = stream::iter(templates.items)
            .map(|id| self.versions_of(id))
            .buffer_unordered(TEMPLATES_AT_ONCE);
        while let Some(part) = parts.next().await {
            list.pages += part.pages;
            list.items.extend(part.items);
            if part.error.is_some() {
                list.error = part.error;
            }
        }
        list
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
                page => page.instance_types.unwrap_or_default(), convert::instance_type);
        }
        list
    }
}

impl Ec2 {
    async fn versions_of(&self, template: String) -> Listing<LaunchTemplateVersion> {
        let mut list = begun(Source::LaunchTemplates);
        let request = self
            .client
            .describe_launch_template_versions()
            .launch_template_id(&template)
            .max_results(200);
        collect!(list, "DescribeLaunchTemplateVersions", request,
            page => page.launch_template_versions.unwrap_or_default(), convert::template_version);
        // Deleted since the templates were listed: it refers to nothing any more.
        if list.error.as_ref().and_then(|e| e.code.as_deref())
            == Some("InvalidLaunchTemplateId.NotFound")
        {
            list.error = None;
        }
        list
    }
}
