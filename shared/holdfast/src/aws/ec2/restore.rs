//! What a restore reads, and makes.

use aws_sdk_ec2::types::{
    self, HttpTokensState, IamInstanceProfileSpecification, InstanceMetadataOptionsRequest,
    LaunchTemplateSpecification, RequestLaunchTemplateData, ResourceType,
};
use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{Image, Listing, Source, Tags};
use holdfast_core::ports::CallError;
use holdfast_core::ports::restore::{
    Disk, LaunchBy, LaunchRequest, Machine, RestoreEc2, Stored, StoredScope, TemplateChoice,
    TemplateVersion, VersionRequest, VolumeRequest, Wanted,
};

use super::read::{PAGE, chunks, filter};
use super::write::{nameless, once};
use super::{Ec2, convert};
use crate::aws::error::call_error;
use crate::aws::listing::{begun, collect};

/// Largest page of a template's versions (`MaxResults`, EC2 API Reference).
const VERSIONS: i32 = 200;

/// A filter for each tag.
fn tagged(tags: &Tags) -> Vec<types::Filter> {
    let each = tags.iter();
    each.map(|(key, value)| filter(&format!("tag:{key}"), [value]))
        .collect()
}

/// The filters of each request that lists these, none of which asks for everything.
fn wanted<I: AsRef<str>>(name: &str, wanted: &Wanted<I>) -> Vec<Vec<types::Filter>> {
    match wanted {
        Wanted::Ids(ids) => chunks(ids).map(|ids| vec![filter(name, ids)]).collect(),
        Wanted::Tagged(tags) => vec![tagged(tags)],
    }
}

/// By identifier or by name.
fn named(choice: &TemplateChoice) -> (Option<String>, Option<String>) {
    match choice.is_id() {
        true => (Some(choice.template.clone()), None),
        false => (None, Some(choice.template.clone())),
    }
}

// The calls that make something carry a client token, so that the SDK may repeat them.
impl RestoreEc2 for Ec2 {
    async fn stored(&self, scope: &StoredScope) -> Listing<Stored> {
        let mut list = begun(Source::Snapshots);
        let requests = match scope {
            StoredScope::Ids(ids) => chunks(ids)
                .map(|ids| vec![filter("snapshot-id", ids)])
                .collect(),
            StoredScope::OfVolume(id) => vec![vec![filter("volume-id", [id.as_str()])]],
            StoredScope::Tagged(tags) => vec![tagged(tags)],
        };
        for filters in requests {
            let request = self
                .client
                .describe_snapshots()
                .owner_ids("self")
                .set_filters(Some(filters))
                .max_results(PAGE);
            collect!(list, "DescribeSnapshots", request,
                page => page.snapshots, convert::stored);
        }
        list
    }

    async fn disks(&self, which: &Wanted<VolumeId>) -> Listing<Disk> {
        let mut list = begun(Source::Volumes);
        for filters in wanted("volume-id", which) {
            let request = self
                .client
                .describe_volumes()
                .include_managed_resources(true)
                .set_filters(Some(filters))
                .max_results(PAGE);
            collect!(list, "DescribeVolumes", request,
                page => page.volumes, convert::disk);
        }
        list
    }

    async fn machines(&self, which: &Wanted<InstanceId>) -> Listing<Machine> {
        let mut list = begun(Source::Instances);
        for filters in wanted("instance-id", which) {
            let request = self
                .client
                .describe_instances()
                .include_managed_resources(true)
                .set_filters(Some(filters))
                .max_results(PAGE);
            collect!(list, "DescribeInstances", request,
                page => page
                    .reservations
                    .map(|all| all.into_iter().flat_map(convert::instances)),
                |instance: Option<types::Instance>| convert::machine(instance?));
        }
        list
    }

    async fn images_of(&self, instance: &InstanceId) -> Listing<Image> {
        let mut list = begun(Source::Images);
        let request = self
            .client
            .describe_images()
            .owners("self")
            .include_disabled(true)
            .include_deprecated(true)
            .filters(filter("source-instance-id", [instance.as_str()]))
            .max_results(PAGE);
        collect!(list, "DescribeImages", request,
            page => page.images, convert::image);
        list
    }

    async fn template_versions(&self, template: &TemplateChoice) -> Listing<TemplateVersion> {
        let mut list = begun(Source::LaunchTemplates);
        let (id, name) = named(template);
        let request = self
            .client
            .describe_launch_template_versions()
            .set_launch_template_id(id)
            .set_launch_template_name(name)
            .max_results(VERSIONS);
        collect!(list, "DescribeLaunchTemplateVersions", request,
            page => Some(page.launch_template_versions.unwrap_or_default()),
            convert::described_version);
        list
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<VolumeId, CallError> {
        let output = self
            .client
            .create_volume()
            .availability_zone(&request.zone)
            .snapshot_id(request.snapshot.as_str())
            .volume_type(types::VolumeType::from(request.volume_type.as_str()))
            .set_iops(request.iops)
            .set_throughput(request.throughput)
            .set_volume_initialization_rate(request.initialization_rate)
            .tag_specifications(convert::sdk_tags(ResourceType::Volume, &request.tags))
            .client_token(&request.token)
            .send()
            .await
            .map_err(|e| call_error("CreateVolume", request.snapshot.as_str(), &e))?;
        output
            .volume_id
            .map(VolumeId::new)
            .ok_or_else(|| nameless("CreateVolume", request.snapshot.as_str()))
    }

    async fn attach_volume(
        &self,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &str,
    ) -> Result<(), CallError> {
        self.client
            .attach_volume()
            .volume_id(volume.as_str())
            .instance_id(instance.as_str())
            .device(device)
            .customize()
            .config_override(once())
            .send()
            .await
            .map(|_| ())
            .map_err(|e| call_error("AttachVolume", volume.as_str(), &e))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<InstanceId, CallError> {
        let call = self
            .client
            .run_instances()
            .image_id(request.image.as_str())
            .min_count(1)
            .max_count(1)
            .tag_specifications(convert::sdk_tags(ResourceType::Instance, &request.tags))
            .tag_specifications(convert::sdk_tags(
                ResourceType::Volume,
                &request.volume_tags,
            ))
            .client_token(&request.token);
        let call = match &request.by {
            LaunchBy::Template(choice) => {
                let (id, name) = named(choice);
                let template = LaunchTemplateSpecification::builder()
                    .set_launch_template_id(id)
                    .set_launch_template_name(name)
                    .set_version(choice.version.clone());
                call.launch_template(template.build())
            }
            LaunchBy::Parameters(how) => {
                let profile = how.instance_profile.as_ref().map(|arn| {
                    let profile = IamInstanceProfileSpecification::builder();
                    profile.arn(arn).build()
                });
                let tokens = how.metadata_tokens.then(|| {
                    let options = InstanceMetadataOptionsRequest::builder();
                    options.http_tokens(HttpTokensState::Required).build()
                });
                let groups = how.security_groups.clone();
                let kind = how.instance_type.as_deref();
                call.set_instance_type(kind.map(types::InstanceType::from))
                    .set_subnet_id(how.subnet.clone())
                    .set_security_group_ids((!groups.is_empty()).then_some(groups))
                    .set_key_name(how.key_name.clone())
                    .set_iam_instance_profile(profile)
                    .set_metadata_options(tokens)
                    .set_ebs_optimized(how.ebs_optimized.then_some(true))
            }
        };
        let output = call
            .send()
            .await
            .map_err(|e| call_error("RunInstances", request.image.as_str(), &e))?;
        let mut instances = output.instances.unwrap_or_default().into_iter();
        let id = instances.next().and_then(|instance| instance.instance_id);
        id.map(InstanceId::new)
            .ok_or_else(|| nameless("RunInstances", request.image.as_str()))
    }

    async fn create_template_version(&self, request: &VersionRequest) -> Result<i64, CallError> {
        let (id, name) = named(&request.base);
        let base = request.base.version.as_deref().unwrap_or("$Latest");
        let data = RequestLaunchTemplateData::builder().image_id(request.image.as_str());
        let output = self
            .client
            .create_launch_template_version()
            .set_launch_template_id(id)
            .set_launch_template_name(name)
            .source_version(base)
            .version_description(&request.description)
            .launch_template_data(data.build())
            .client_token(&request.token)
            .send()
            .await
            .map_err(|e| call_error("CreateLaunchTemplateVersion", &request.base.template, &e))?;
        output
            .launch_template_version
            .and_then(|version| version.version_number)
            .ok_or_else(|| nameless("CreateLaunchTemplateVersion", &request.base.template))
    }
}
