//! The account behind the product's ports, without HTTP.

use std::sync::{MutexGuard, PoisonError};

use holdfast_core::error_code::classify;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Attachment, Image, ImageMapping, Instance, InstanceDevice, InstanceType, LaunchTemplateVersion,
    Listing, MappingTarget, Snapshot, Source, Tags, Volume,
};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ErrorClass, ImageRequest, ImageScope, InstanceScope,
    ReadEc2, SetRequest, SnapshotRequest, SnapshotScope, WriteEc2,
};

use crate::account::{Account, SharedAccount};
use crate::error::CallFailure;
use crate::filter::Filter;
use crate::model;
use crate::model::device::{BlockDevice, DeviceTarget};
use crate::model::image::DeregistrationProtection;
use crate::page::Page;
use crate::request::{self, PageRequest, Request, TagSpecification};
use crate::response::Response;

/// Values that one filter may have (EC2 User Guide, "Filter your resources").
const FILTER_VALUES: usize = 200;

/// The ports over a shared account.
#[derive(Clone, Debug)]
pub struct InProcess {
    account: SharedAccount,
    page_size: i32,
}

impl InProcess {
    /// Ports that read pages of 1,000.
    #[must_use]
    pub fn new(account: SharedAccount) -> Self {
        Self {
            account,
            page_size: 1000,
        }
    }

    /// The same with pages of another size, where EC2 allows it.
    #[must_use]
    pub fn with_page_size(mut self, page_size: i32) -> Self {
        self.page_size = page_size;
        self
    }

    /// The account. A test that panicked with the lock in hand leaves the account as it was then.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, request: &Request, resource: &str) -> Result<Response, CallError> {
        let operation = request.operation();
        self.account()
            .call(request)
            .map_err(|failure| call_error(operation, resource, failure))
    }

    /// Reads a list to its last page, or to the page that failed.
    fn list<T, U>(
        &self,
        source: Source,
        request: impl Fn(PageRequest) -> Request,
        page_of: impl Fn(Response) -> Option<Page<T>>,
        convert: impl Fn(T) -> U,
    ) -> Listing<U> {
        let mut listing = Listing::complete(source, Vec::new(), self.account().now());
        listing.pages = 0;
        let mut next_token = None;
        loop {
            let request = request(PageRequest {
                max_results: Some(self.page_size),
                next_token: next_token.take(),
            });
            let page = match self.make(&request, "*") {
                Ok(response) => page_of(response),
                Err(error) => {
                    listing.error = Some(error);
                    return listing;
                }
            };
            let Some(page) = page else {
                listing.error = Some(mismatch(request.operation(), "*"));
                return listing;
            };
            listing.pages += 1;
            listing.items.extend(page.items.into_iter().map(&convert));
            match page.next_token {
                Some(token) => next_token = Some(token),
                None => return listing,
            }
        }
    }

    /// One list after the other, as one; ends with the first that is incomplete.
    fn in_chunks<T>(
        &self,
        source: Source,
        ids: &[String],
        list: impl Fn(Vec<String>) -> Listing<T>,
    ) -> Listing<T> {
        let mut all = Listing::complete(source, Vec::new(), self.account().now());
        all.pages = 0;
        for chunk in ids.chunks(FILTER_VALUES) {
            let part = list(chunk.to_vec());
            all.pages += part.pages;
            all.items.extend(part.items);
            if part.error.is_some() {
                all.error = part.error;
                break;
            }
        }
        all
    }

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

    fn images_with(&self, owners: Vec<String>, filters: Vec<Filter>) -> Listing<Image> {
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

fn call_error(operation: &'static str, resource: &str, failure: CallFailure) -> CallError {
    let message = failure.to_string();
    let (code, class, message) = match failure {
        CallFailure::Refused(error) => {
            // As an adapter does: a code of its own class decides, else a server error means
            // that nobody knows.
            let class = match classify(&error.code) {
                ErrorClass::Permanent if error.http_status >= 500 => ErrorClass::UnknownOutcome,
                class => class,
            };
            (Some(error.code), class, error.message)
        }
        CallFailure::ResponseLost | CallFailure::Hang => {
            (None, ErrorClass::UnknownOutcome, message)
        }
    };
    CallError {
        operation,
        resource: resource.to_owned(),
        code,
        class,
        message,
    }
}

fn mismatch(operation: &'static str, resource: &str) -> CallError {
    CallError {
        operation,
        resource: resource.to_owned(),
        code: None,
        class: ErrorClass::UnknownOutcome,
        message: "the answer is of another kind than the request".to_owned(),
    }
}

fn instance(i: model::instance::Instance) -> Instance {
    Instance {
        id: i.id,
        state: i.state,
        image: Some(i.image),
        instance_type: Some(i.instance_type),
        launched: Some(i.launched),
        root_device: Some(i.root_device),
        root_device_type: Some(i.root_device_type),
        devices: i
            .devices
            .into_iter()
            .map(|d| InstanceDevice {
                name: d.device,
                volume: Some(d.volume),
            })
            .collect(),
        tags: i.tags,
    }
}

fn volume(v: model::volume::Volume) -> Volume {
    Volume {
        id: v.id,
        state: v.state,
        volume_type: Some(v.volume_type),
        size_gib: Some(v.size_gib),
        attachments: v
            .attachments
            .into_iter()
            .map(|a| Attachment {
                instance: a.instance,
                device: a.device,
                state: a.state,
            })
            .collect(),
        tags: v.tags,
    }
}

fn snapshot(s: model::snapshot::Snapshot) -> Snapshot {
    Snapshot {
        id: s.id,
        volume: Some(s.volume),
        state: s.state,
        start: Some(s.started),
        owner: Some(s.owner),
        owner_alias: s.owner_alias,
        size_gib: Some(s.size_gib),
        tier: Some(s.tier),
        state_message: s.state_message,
        description: s.description,
        tags: s.tags,
    }
}

fn image(i: model::image::Image) -> Image {
    Image {
        id: i.id,
        name: Some(i.name),
        state: i.state,
        state_reason: i.state_reason.map(|(_, message)| message),
        deregistration_protected: i.protection != DeregistrationProtection::Disabled,
        owner: Some(i.owner),
        created: Some(i.created),
        source_region: i.source_region,
        source_instance: i.source_instance,
        source_image: i.source_image,
        last_launched: i.last_launched,
        deprecated: i.deprecated_from,
        public: i.public,
        root_device: Some(i.root_device),
        mappings: i
            .mappings
            .into_iter()
            .map(|m| ImageMapping {
                device: m.device,
                target: match m.target {
                    DeviceTarget::Ebs(ebs) => MappingTarget::Ebs(ebs.snapshot),
                    DeviceTarget::Virtual(name) => MappingTarget::InstanceStore(name),
                    DeviceTarget::NoDevice => MappingTarget::Other,
                },
            })
            .collect(),
        tags: i.tags,
    }
}

fn template_version(v: model::launch_template::LaunchTemplateVersion) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: v.template,
        name: Some(v.name),
        version: v.version,
        default: v.default,
        image: v.data.image,
        resolved: None,
        snapshots: v
            .data
            .mappings
            .iter()
            .filter_map(|m| m.snapshot().cloned())
            .collect(),
    }
}

fn instance_type(t: model::instance_type::InstanceTypeInfo) -> InstanceType {
    InstanceType {
        name: t.name,
        disks: t.disks,
        nvme: t.nvme,
    }
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
        let smaller = self.clone().with_page_size(self.page_size.min(200));
        let templates = smaller.list(
            Source::LaunchTemplates,
            |page| {
                Request::DescribeLaunchTemplates(request::DescribeLaunchTemplates {
                    page,
                    ..Default::default()
                })
            },
            |r| match r {
                Response::LaunchTemplates(page) => Some(page),
                _ => None,
            },
            |t| t.id,
        );
        let mut all = Listing {
            items: Vec::new(),
            source: Source::LaunchTemplates,
            pages: templates.pages,
            read_at: templates.read_at,
            error: templates.error,
        };
        for id in templates.items {
            let versions = smaller.list(
                Source::LaunchTemplates,
                |page| {
                    Request::DescribeLaunchTemplateVersions(
                        request::DescribeLaunchTemplateVersions {
                            id: Some(id.as_str().to_owned()),
                            page,
                            ..Default::default()
                        },
                    )
                },
                |r| match r {
                    Response::LaunchTemplateVersions(page) => Some(page),
                    _ => None,
                },
                template_version,
            );
            all.pages += versions.pages;
            all.items.extend(versions.items);
            all.error = all.error.or(versions.error);
        }
        all
    }

    async fn instance_types(&self, names: &[String]) -> Listing<InstanceType> {
        // By filter, so that an unknown name is absent rather than an error; at most 100 a page.
        let smaller = self.clone().with_page_size(self.page_size.min(100));
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
}

/// A tag value as a filter value that means itself.
fn plain(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

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
}
