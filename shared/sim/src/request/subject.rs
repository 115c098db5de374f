//! What a request is about: its page, and the resources it names.

use super::{PageRequest, Request};

impl Request {
    /// EC2 as IAM names it.
    pub const EC2: &str = "ec2";
    /// Auto Scaling as IAM names it.
    pub const AUTO_SCALING: &str = "autoscaling";

    /// The service that answers it, as IAM names it.
    #[must_use]
    pub fn service(&self) -> &'static str {
        match self {
            Self::DescribeLaunchConfigurations(_)
            | Self::DescribeAutoScalingGroups(_)
            | Self::DescribeInstanceRefreshes(_) => Self::AUTO_SCALING,
            _ => Self::EC2,
        }
    }

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
            Self::DescribeLockedSnapshots(r) => Some(&r.page),
            Self::ListSnapshotsInRecycleBin(r) => Some(&r.page),
            Self::ListImagesInRecycleBin(r) => Some(&r.page),
            Self::DescribeImageReferences(r) => Some(&r.page),
            Self::DescribeFastSnapshotRestores(r) => Some(&r.page),
            Self::DescribeSnapshotTierStatus(r) => Some(&r.page),
            Self::DescribeFleets(r) => Some(&r.page),
            Self::DescribeSpotFleetRequests(r) => Some(&r.page),
            Self::DescribeSpotInstanceRequests(r) => Some(&r.page),
            Self::DescribeLaunchConfigurations(r) => Some(&r.page),
            Self::DescribeAutoScalingGroups(r) => Some(&r.page),
            Self::DescribeInstanceRefreshes(r) => Some(&r.page),
            _ => None,
        }
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.page().is_some()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.is_list()
            || matches!(
                self,
                Self::DescribeSnapshotAttribute(_) | Self::DescribeImageAttribute(_)
            )
    }

    /// Whether it changes attributes of the resources it names and makes or removes none.
    #[must_use]
    pub fn changes_attributes(&self) -> bool {
        matches!(
            self,
            Self::CreateTags(_)
                | Self::DeleteTags(_)
                | Self::ModifySnapshotAttribute(_)
                | Self::ResetSnapshotAttribute(_)
                | Self::ModifyImageAttribute(_)
                | Self::ResetImageAttribute(_)
                | Self::DisableImage(_)
                | Self::EnableImage(_)
                | Self::EnableImageDeregistrationProtection(_)
                | Self::DisableImageDeregistrationProtection(_)
                | Self::EnableImageDeprecation(_)
                | Self::DisableImageDeprecation(_)
                | Self::LockSnapshot(_)
                | Self::UnlockSnapshot(_)
                | Self::ModifySnapshotTier(_)
                | Self::RestoreSnapshotTier(_)
                | Self::AttachVolume(_)
                | Self::DetachVolume(_)
        )
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
            Self::ModifySnapshotAttribute(r) => vec![r.id.clone()],
            Self::DescribeSnapshotAttribute(r) => vec![r.id.clone()],
            Self::ResetSnapshotAttribute(r) => vec![r.id.clone()],
            Self::ModifyImageAttribute(r) => vec![r.id.clone()],
            Self::DescribeImageAttribute(r) => vec![r.id.clone()],
            Self::ResetImageAttribute(r) => vec![r.id.clone()],
            Self::LockSnapshot(r) => vec![r.id.clone()],
            Self::UnlockSnapshot(r) => vec![r.id.clone()],
            Self::DescribeLockedSnapshots(r) => r.ids.clone(),
            Self::DescribeImageReferences(r) => r.ids.clone(),
            Self::DescribeLaunchConfigurations(r) => r.names.clone(),
            Self::DescribeAutoScalingGroups(r) => r.names.clone(),
            Self::DescribeInstanceRefreshes(r) => {
                std::iter::once(&r.group).chain(&r.ids).cloned().collect()
            }
            Self::DescribeFleets(r) => r.ids.clone(),
            Self::DescribeSpotFleetRequests(r) => r.ids.clone(),
            Self::DescribeSpotInstanceRequests(r) => r.ids.clone(),
            Self::CopySnapshot(r) => vec![r.source.clone()],
            Self::CopyImage(r) => vec![r.source.clone(), r.name.clone()],
            Self::EnableImageDeprecation(r) => vec![r.id.clone()],
            Self::DisableImageDeprecation(r) => vec![r.id.clone()],
            Self::EnableFastSnapshotRestores(r) => r.ids.clone(),
            Self::DisableFastSnapshotRestores(r) => r.ids.clone(),
            Self::ModifySnapshotTier(r) => vec![r.id.clone()],
            Self::RestoreSnapshotTier(r) => vec![r.id.clone()],
            Self::DescribeFastSnapshotRestores(_) | Self::DescribeSnapshotTierStatus(_) => {
                Vec::new()
            }
            Self::ListSnapshotsInRecycleBin(r) => r.ids.clone(),
            Self::ListImagesInRecycleBin(r) => r.ids.clone(),
            Self::RestoreSnapshotFromRecycleBin(r) => vec![r.id.clone()],
            Self::RestoreImageFromRecycleBin(r) => vec![r.id.clone()],
        }
    }
}
