//! What a restore reads, and makes.

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{Image, Listing, Source, Tags};
use holdfast_core::ports::CallError;
use holdfast_core::ports::restore::{
    Disk, LaunchBy, LaunchRequest, Machine, RestoreEc2, Stored, StoredScope, TemplateChoice,
    TemplateVersion, VersionRequest, VolumeRequest, Wanted,
};

use super::convert::{instance, snapshot, template_version, volume};
use super::read::plain;
use super::{InProcess, mismatch};
use crate::filter::Filter;
use crate::model;
use crate::model::launch_template::TemplateData;
use crate::request::{self, LaunchTemplateReference, Request, TagSpecification};
use crate::response::Response;

/// Largest page of a template's versions.
const VERSIONS: i32 = 200;

fn tagged(tags: &Tags) -> Vec<Filter> {
    let each = tags.iter();
    each.map(|(key, value)| Filter::new(format!("tag:{key}"), [plain(value)]))
        .collect()
}

fn texts<I: AsRef<str>>(ids: &[I]) -> Vec<String> {
    ids.iter().map(|id| id.as_ref().to_owned()).collect()
}

fn specified(kind: &str, tags: &Tags) -> TagSpecification {
    TagSpecification::new(kind, tags.clone())
}

fn named(choice: &TemplateChoice) -> (Option<String>, Option<String>) {
    match choice.is_id() {
        true => (Some(choice.template.clone()), None),
        false => (None, Some(choice.template.clone())),
    }
}

fn stored(s: model::snapshot::Snapshot) -> Stored {
    let kms_key = s.kms_key.clone();
    Stored {
        snapshot: snapshot(s),
        kms_key,
    }
}

fn disk(v: model::volume::Volume) -> Disk {
    let (zone, iops, throughput) = (Some(v.zone.clone()), v.iops, v.throughput);
    Disk {
        volume: volume(v),
        zone,
        iops,
        throughput,
    }
}

fn machine(i: model::instance::Instance) -> Machine {
    let instance = instance(i);
    Machine {
        launch: instance.launch.as_deref().cloned().unwrap_or_default(),
        instance,
    }
}

impl InProcess {
    fn stored_with(&self, filters: &[Filter]) -> Listing<Stored> {
        let request = |page| {
            Request::DescribeSnapshots(request::DescribeSnapshots {
                owners: vec!["self".to_owned()],
                filters: filters.to_vec(),
                page,
                ..Default::default()
            })
        };
        let page_of = |response| match response {
            Response::Snapshots(page) => Some(page),
            _ => None,
        };
        self.list(Source::Snapshots, request, page_of, stored)
    }

    fn disks_with(&self, filters: &[Filter]) -> Listing<Disk> {
        let request = |page| {
            Request::DescribeVolumes(request::DescribeVolumes {
                include_managed: true,
                filters: filters.to_vec(),
                page,
                ..Default::default()
            })
        };
        let page_of = |response| match response {
            Response::Volumes(page) => Some(page),
            _ => None,
        };
        self.list(Source::Volumes, request, page_of, disk)
    }

    fn machines_with(&self, filters: &[Filter]) -> Listing<Machine> {
        let request = |page| {
            Request::DescribeInstances(request::DescribeInstances {
                include_managed: true,
                filters: filters.to_vec(),
                page,
                ..Default::default()
            })
        };
        let page_of = |response| match response {
            Response::Instances(page) => Some(page),
            _ => None,
        };
        self.list(Source::Instances, request, page_of, machine)
    }
}

impl RestoreEc2 for InProcess {
    async fn stored(&self, scope: &StoredScope) -> Listing<Stored> {
        match scope {
            StoredScope::Ids(ids) => self.in_chunks(Source::Snapshots, &texts(ids), |chunk| {
                self.stored_with(&[Filter::new("snapshot-id", chunk)])
            }),
            StoredScope::OfVolume(id) => {
                self.stored_with(&[Filter::new("volume-id", [id.as_str()])])
            }
            StoredScope::Tagged(tags) => self.stored_with(&tagged(tags)),
        }
    }

    async fn disks(&self, wanted: &Wanted<VolumeId>) -> Listing<Disk> {
        match wanted {
            Wanted::Ids(ids) => self.in_chunks(Source::Volumes, &texts(ids), |chunk| {
                self.disks_with(&[Filter::new("volume-id", chunk)])
            }),
            Wanted::Tagged(tags) => self.disks_with(&tagged(tags)),
        }
    }

    async fn machines(&self, wanted: &Wanted<InstanceId>) -> Listing<Machine> {
        match wanted {
            Wanted::Ids(ids) => self.in_chunks(Source::Instances, &texts(ids), |chunk| {
                self.machines_with(&[Filter::new("instance-id", chunk)])
            }),
            Wanted::Tagged(tags) => self.machines_with(&tagged(tags)),
        }
    }

    async fn images_of(&self, instance: &InstanceId) -> Listing<Image> {
        self.images_with(
            vec!["self".to_owned()],
            vec![Filter::new("source-instance-id", [instance.as_str()])],
        )
    }

    async fn template_versions(&self, template: &TemplateChoice) -> Listing<TemplateVersion> {
        let (id, name) = named(template);
        let request = |page| {
            Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
                id: id.clone(),
                name: name.clone(),
                page,
                ..Default::default()
            })
        };
        let page_of = |response| match response {
            Response::LaunchTemplateVersions(page) => Some(page),
            _ => None,
        };
        let described = |v: model::launch_template::LaunchTemplateVersion| {
            let description = v.description.clone();
            TemplateVersion {
                version: template_version(v),
                description,
            }
        };
        let this = self.in_pages_of_at_most(VERSIONS);
        this.list(Source::LaunchTemplates, request, page_of, described)
    }

    async fn create_volume(&self, r: &VolumeRequest) -> Result<VolumeId, CallError> {
        let request = Request::CreateVolume(request::CreateVolume {
            zone: r.zone.clone(),
            snapshot: Some(r.snapshot.to_string()),
            volume_type: Some(r.volume_type.clone()),
            iops: r.iops,
            throughput: r.throughput,
            initialization_rate: r.initialization_rate,
            tags: vec![specified("volume", &r.tags)],
            client_token: Some(r.token.clone()),
            ..Default::default()
        });
        match self.make(&request, r.snapshot.as_str())? {
            Response::Volume(made) => Ok(made.id),
            _ => Err(mismatch("CreateVolume", r.snapshot.as_str())),
        }
    }

    async fn attach_volume(
        &self,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &str,
    ) -> Result<(), CallError> {
        let request = Request::AttachVolume(request::AttachVolume {
            volume: volume.to_string(),
            instance: instance.to_string(),
            device: device.to_owned(),
        });
        self.make(&request, volume.as_str()).map(|_| ())
    }

    async fn launch(&self, r: &LaunchRequest) -> Result<InstanceId, CallError> {
        let mut call = request::RunInstances {
            image: Some(r.image.to_string()),
            min_count: 1,
            max_count: 1,
            tags: vec![
                specified("instance", &r.tags),
                specified("volume", &r.volume_tags),
            ],
            client_token: Some(r.token.clone()),
            ..Default::default()
        };
        match &r.by {
            LaunchBy::Template(choice) => {
                let (id, name) = named(choice);
                call.launch_template = Some(LaunchTemplateReference {
                    id,
                    name,
                    version: choice.version.clone(),
                });
            }
            LaunchBy::Parameters(how) => {
                call.instance_type.clone_from(&how.instance_type);
                call.subnet.clone_from(&how.subnet);
                call.security_groups.clone_from(&how.security_groups);
                call.key_name.clone_from(&how.key_name);
                call.instance_profile.clone_from(&how.instance_profile);
                call.metadata_tokens = how.metadata_tokens.then_some(true);
                call.ebs_optimized = how.ebs_optimized.then_some(true);
            }
        }
        let request = Request::RunInstances(call);
        match self.make(&request, r.image.as_str())? {
            Response::Launched(made) => made.into_iter().next().map(|instance| instance.id),
            _ => None,
        }
        .ok_or_else(|| mismatch("RunInstances", r.image.as_str()))
    }

    async fn create_template_version(&self, r: &VersionRequest) -> Result<i64, CallError> {
        let (id, name) = named(&r.base);
        let base = r.base.version.clone();
        let request = Request::CreateLaunchTemplateVersion(request::CreateLaunchTemplateVersion {
            id,
            name,
            source_version: base.or_else(|| Some("$Latest".to_owned())),
            description: Some(r.description.clone()),
            data: TemplateData {
                image: Some(r.image.to_string()),
                ..TemplateData::default()
            },
            client_token: Some(r.token.clone()),
        });
        match self.make(&request, &r.base.template)? {
            Response::LaunchTemplateVersion(made) => Ok(made.version),
            _ => Err(mismatch("CreateLaunchTemplateVersion", &r.base.template)),
        }
    }
}
