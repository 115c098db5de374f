//! Requests of the EC2 API, as plain data; names follow the API Reference.

use crate::filter::Filter;
use crate::model::device::BlockDevice;
use crate::model::launch_template::TemplateData;

macro_rules! structure {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }
    };
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(structure! { $(#[$doc])* $name { $($(#[$fdoc])* $field: $type,)* } })*

        /// A request for one API operation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $($(#[$doc])* $name($name),)*
        }

        impl Request {
            /// The API operation's name.
            #[must_use]
            pub fn operation(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        /// Every operation that the account knows.
        pub const OPERATIONS: &[&str] = &[$(stringify!($name),)*];
    };
}

structure! {
    /// Which page of a list.
    PageRequest {
        /// Items a page; absent: everything.
        max_results: Option<i32>,
        /// The token that the page before gave.
        next_token: Option<String>,
    }
}

impl PageRequest {
    /// Whether the call is not paginated.
    #[must_use]
    pub fn is_whole_list(&self) -> bool {
        self.max_results.is_none() && self.next_token.is_none()
    }
}

structure! {
    /// Tags for what a call creates, by type of resource.
    TagSpecification {
        /// Such as `snapshot`.
        resource_type: String,
        /// Keys and values.
        tags: Vec<(String, String)>,
    }
}

impl TagSpecification {
    /// Tags for resources of one type.
    pub fn new<K: Into<String>, V: Into<String>>(
        resource_type: impl Into<String>,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            resource_type: resource_type.into(),
            tags: tags
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        }
    }
}

structure! {
    /// A launch template and version named in a request.
    LaunchTemplateReference {
        /// Identifier; or the name.
        id: Option<String>,
        /// Name; or the identifier.
        name: Option<String>,
        /// A number, `$Latest` or `$Default` (the default).
        version: Option<String>,
    }
}

operations! {
    /// Lists instances.
    DescribeInstances {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Show those that AWS services manage.
        include_managed: bool,
        /// Page.
        page: PageRequest,
    }
    /// Lists volumes.
    DescribeVolumes {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Show those that AWS services manage.
        include_managed: bool,
        /// Page.
        page: PageRequest,
    }
    /// Lists snapshots: one's own, and public and shared ones where `owners` does not narrow it.
    DescribeSnapshots {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// `self`, `amazon` or account numbers.
        owners: Vec<String>,
        /// Those that these (`self`, `all` or account numbers) may use.
        restorable_by: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists images: one's own and public ones where `owners` does not narrow it.
    DescribeImages {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// `self` or account numbers.
        owners: Vec<String>,
        /// Show disabled ones.
        include_disabled: bool,
        /// Show deprecated ones of other owners.
        include_deprecated: bool,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists launch templates.
    DescribeLaunchTemplates {
        /// Only these.
        ids: Vec<String>,
        /// Only these, by name.
        names: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists versions of one launch template, or `$Latest` and `$Default` of all.
    DescribeLaunchTemplateVersions {
        /// The template; or its name; or neither.
        id: Option<String>,
        /// The template's name.
        name: Option<String>,
        /// Only these versions.
        versions: Vec<String>,
        /// Only this one and later.
        min_version: Option<i64>,
        /// Only this one and earlier.
        max_version: Option<i64>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists instance types.
    DescribeInstanceTypes {
        /// Only these.
        names: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists tags of every resource.
    DescribeTags {
        /// Filters: `key`, `resource-id`, `resource-type`, `value`, `tag:KEY`.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Takes one snapshot.
    CreateSnapshot {
        /// The volume.
        volume: String,
        /// At most 255 characters.
        description: Option<String>,
        /// Type `snapshot`.
        tags: Vec<TagSpecification>,
    }
    /// Takes one crash-consistent set of the volumes of one instance.
    CreateSnapshots {
        /// The instance.
        instance: String,
        /// Leave the root volume out.
        exclude_boot_volume: bool,
        /// Data volumes left out, at most 40.
        exclude_data_volumes: Vec<String>,
        /// Put on every member.
        description: Option<String>,
        /// Type `snapshot`.
        tags: Vec<TagSpecification>,
        /// `volume`, or absent.
        copy_tags_from_source: Option<String>,
    }
    /// Deletes a snapshot.
    DeleteSnapshot {
        /// The snapshot.
        id: String,
    }
    /// Adds tags to resources.
    CreateTags {
        /// At most 1,000 resources.
        resources: Vec<String>,
        /// Keys and values.
        tags: Vec<(String, String)>,
    }
    /// Removes tags from resources.
    DeleteTags {
        /// At most 1,000 resources.
        resources: Vec<String>,
        /// Keys; with a value, only where the tag has it; without any, all user tags.
        tags: Vec<(String, Option<String>)>,
    }
    /// Registers an image over snapshots.
    RegisterImage {
        /// Unique.
        name: String,
        /// At most 255 characters.
        description: Option<String>,
        /// EC2's default is `i386` `[B]`.
        architecture: Option<String>,
        /// Name of the root device.
        root_device: Option<String>,
        /// Devices.
        mappings: Vec<BlockDevice>,
        /// Type `image`.
        tags: Vec<TagSpecification>,
    }
    /// Makes an image of an instance.
    CreateImage {
        /// The instance.
        instance: String,
        /// Unique.
        name: String,
        /// At most 255 characters.
        description: Option<String>,
        /// Do not reboot the instance.
        no_reboot: bool,
        /// Changes to the instance's devices.
        mappings: Vec<BlockDevice>,
        /// Types `image` and `snapshot`.
        tags: Vec<TagSpecification>,
    }
    /// Deregisters an image.
    DeregisterImage {
        /// The image.
        id: String,
        /// Delete its snapshots, where no other image uses them.
        delete_associated_snapshots: bool,
    }
    /// Disables an image.
    DisableImage {
        /// The image.
        id: String,
    }
    /// Enables a disabled image.
    EnableImage {
        /// The image.
        id: String,
    }
    /// Protects an image from deregistration.
    EnableImageDeregistrationProtection {
        /// The image.
        id: String,
        /// Protection outlives its end by 24 hours.
        with_cooldown: bool,
    }
    /// Ends the protection of an image.
    DisableImageDeregistrationProtection {
        /// The image.
        id: String,
    }
    /// Makes a volume.
    CreateVolume {
        /// Availability Zone.
        zone: String,
        /// Size in GiB; required without a snapshot.
        size_gib: Option<i32>,
        /// The snapshot it is made from.
        snapshot: Option<String>,
        /// EC2's default is `gp2` `[B]`.
        volume_type: Option<String>,
        /// Whether it is encrypted.
        encrypted: Option<bool>,
        /// Whether several instances may attach it; io1 and io2 only.
        multi_attach: bool,
        /// Type `volume`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Attaches a volume.
    AttachVolume {
        /// The volume.
        volume: String,
        /// The instance.
        instance: String,
        /// Device name.
        device: String,
    }
    /// Detaches a volume.
    DetachVolume {
        /// The volume.
        volume: String,
        /// The instance; required for a volume attached to several.
        instance: Option<String>,
        /// Device name.
        device: Option<String>,
    }
    /// Deletes a volume.
    DeleteVolume {
        /// The volume.
        volume: String,
    }
    /// Launches instances.
    RunInstances {
        /// The image; or that of the launch template.
        image: Option<String>,
        /// The type; or that of the launch template; else `m1.small` in EC2, refused here.
        instance_type: Option<String>,
        /// Least number of instances.
        min_count: i32,
        /// Greatest number of instances.
        max_count: i32,
        /// Launch template.
        launch_template: Option<LaunchTemplateReference>,
        /// Changes to the image's devices.
        mappings: Vec<BlockDevice>,
        /// Availability Zone.
        zone: Option<String>,
        /// Types `instance` and `volume`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Stops instances.
    StopInstances {
        /// Which.
        ids: Vec<String>,
    }
    /// Starts stopped instances.
    StartInstances {
        /// Which.
        ids: Vec<String>,
    }
    /// Terminates instances.
    TerminateInstances {
        /// Which.
        ids: Vec<String>,
    }
    /// Makes a launch template.
    CreateLaunchTemplate {
        /// Unique.
        name: String,
        /// Of version 1.
        description: Option<String>,
        /// Of version 1.
        data: TemplateData,
        /// Type `launch-template`.
        tags: Vec<TagSpecification>,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Adds a version to a launch template.
    CreateLaunchTemplateVersion {
        /// The template; or its name.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
        /// The version whose data is taken over where the new data is silent.
        source_version: Option<String>,
        /// Of the new version.
        description: Option<String>,
        /// What it says.
        data: TemplateData,
        /// Makes the call idempotent.
        client_token: Option<String>,
    }
    /// Deletes a launch template with all its versions.
    DeleteLaunchTemplate {
        /// The template; or its name.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
    }
}

impl Request {
    /// The page that a list is asked for; none for calls that are no lists.
    #[must_use]
    pub fn page(&self) -> Option<&PageRequest> {
        match self {
            Self::DescribeInstances(r) => Some(&r.page),
            Self::DescribeVolumes(r) => Some(&r.page),
            Self::DescribeSnapshots(r) => Some(&r.page),
            Self::DescribeImages(r) => Some(&r.page),
            Self::DescribeLaunchTemplates(r) => Some(&r.page),
            Self::DescribeLaunchTemplateVersions(r) => Some(&r.page),
            Self::DescribeInstanceTypes(r) => Some(&r.page),
            Self::DescribeTags(r) => Some(&r.page),
            _ => None,
        }
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.page().is_some()
    }

    /// Identifiers that the request names, for the call log and for fault rules.
    #[must_use]
    pub fn resources(&self) -> Vec<String> {
        let some = |id: &Option<String>, name: &Option<String>| -> Vec<String> {
            id.iter().chain(name).cloned().collect()
        };
        match self {
            Self::DescribeInstances(r) => r.ids.clone(),
            Self::DescribeVolumes(r) => r.ids.clone(),
            Self::DescribeSnapshots(r) => r.ids.clone(),
            Self::DescribeImages(r) => r.ids.clone(),
            Self::DescribeLaunchTemplates(r) => r.ids.iter().chain(&r.names).cloned().collect(),
            Self::DescribeLaunchTemplateVersions(r) => some(&r.id, &r.name),
            Self::DescribeInstanceTypes(r) => r.names.clone(),
            Self::DescribeTags(_) => Vec::new(),
            Self::CreateSnapshot(r) => vec![r.volume.clone()],
            Self::CreateSnapshots(r) => std::iter::once(&r.instance)
                .chain(&r.exclude_data_volumes)
                .cloned()
                .collect(),
            Self::DeleteSnapshot(r) => vec![r.id.clone()],
            Self::CreateTags(r) => r.resources.clone(),
            Self::DeleteTags(r) => r.resources.clone(),
            Self::RegisterImage(r) => vec![r.name.clone()],
            Self::CreateImage(r) => vec![r.instance.clone(), r.name.clone()],
            Self::DeregisterImage(r) => vec![r.id.clone()],
            Self::DisableImage(r) => vec![r.id.clone()],
            Self::EnableImage(r) => vec![r.id.clone()],
            Self::EnableImageDeregistrationProtection(r) => vec![r.id.clone()],
            Self::DisableImageDeregistrationProtection(r) => vec![r.id.clone()],
            Self::CreateVolume(r) => r.snapshot.iter().cloned().collect(),
            Self::AttachVolume(r) => vec![r.volume.clone(), r.instance.clone()],
            Self::DetachVolume(r) => std::iter::once(&r.volume)
                .chain(&r.instance)
                .cloned()
                .collect(),
            Self::DeleteVolume(r) => vec![r.volume.clone()],
            Self::RunInstances(r) => r.image.iter().cloned().collect(),
            Self::StopInstances(r) => r.ids.clone(),
            Self::StartInstances(r) => r.ids.clone(),
            Self::TerminateInstances(r) => r.ids.clone(),
            Self::CreateLaunchTemplate(r) => vec![r.name.clone()],
            Self::CreateLaunchTemplateVersion(r) => some(&r.id, &r.name),
            Self::DeleteLaunchTemplate(r) => some(&r.id, &r.name),
        }
    }
}
