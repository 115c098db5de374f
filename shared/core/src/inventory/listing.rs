//! Lists, and what is known of their completeness.

use jiff::Timestamp;

use super::table::{ImageTable, SnapshotTable};
use crate::ports::CallError;

/// A kind of list that a decision may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// `DescribeInstances`.
    Instances,
    /// `DescribeVolumes`.
    Volumes,
    /// `DescribeSnapshots`.
    Snapshots,
    /// `DescribeImages`.
    Images,
    /// `DescribeLaunchTemplates` and `DescribeLaunchTemplateVersions`.
    LaunchTemplates,
    /// `DescribeInstanceTypes`.
    InstanceTypes,
    /// `DescribeLaunchConfigurations` of Auto Scaling.
    LaunchConfigurations,
    /// `DescribeAutoScalingGroups`, and `DescribeInstanceRefreshes` of each group.
    AutoScaling,
    /// `DescribeFleets`, `DescribeSpotFleetRequests` and `DescribeSpotInstanceRequests`.
    Fleets,
    /// `DescribeImageReferences` for instances, launch templates and SSM parameters.
    ImageReferences,
    /// `DescribeImageReferences` for Image Builder's recipes.
    ImageRecipes,
    /// `ListImagesInRecycleBin` and `ListSnapshotsInRecycleBin`.
    RecycleBin,
    /// `DescribeFastSnapshotRestores`.
    FastRestore,
    /// `DescribeImageAttribute` and `DescribeSnapshotAttribute`: launch permissions and shares.
    Shares,
    /// `DescribeLockedSnapshots`.
    Locks,
    /// Holdfast's own table: recorded pins, marks and sources.
    Lineage,
}

impl Source {
    /// The source's name in policy files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Volumes => "volumes",
            Self::Snapshots => "snapshots",
            Self::Images => "images",
            Self::LaunchTemplates => "launch_templates",
            Self::InstanceTypes => "instance_types",
            Self::LaunchConfigurations => "launch_configurations",
            Self::AutoScaling => "auto_scaling",
            Self::Fleets => "fleets",
            Self::ImageReferences => "image_references",
            Self::ImageRecipes => "image_recipes",
            Self::RecycleBin => "recycle_bin",
            Self::FastRestore => "fast_restore",
            Self::Shares => "shares",
            Self::Locks => "locks",
            Self::Lineage => "lineage",
        }
    }
}

/// A list together with what is known of its completeness.
///
/// A list that is not complete may be used to keep, never to delete.
#[derive(Clone, Debug)]
pub struct List<I> {
    /// What was read.
    pub items: I,
    /// Which list it is.
    pub source: Source,
    /// Pages read.
    pub pages: u32,
    /// When reading began, on the wall clock.
    pub read_at: Timestamp,
    /// Why the list ends early; `None` when the last page was read.
    pub error: Option<CallError>,
}

/// A list in the plainest form.
pub type Listing<T> = List<Vec<T>>;

impl<I> List<I> {
    /// A complete list of one page.
    pub fn complete(source: Source, items: I, read_at: Timestamp) -> Self {
        Self {
            items,
            source,
            pages: 1,
            read_at,
            error: None,
        }
    }

    /// Whether the last page was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

impl<T> Listing<T> {
    /// The same list in another form.
    #[must_use]
    pub fn into_items<I: FromIterator<T>>(self) -> List<I> {
        List {
            items: self.items.into_iter().collect(),
            source: self.source,
            pages: self.pages,
            read_at: self.read_at,
            error: self.error,
        }
    }
}

impl<I: Default> List<I> {
    /// A list of which nothing was read.
    pub fn unread(source: Source, error: CallError, read_at: Timestamp) -> Self {
        Self {
            items: I::default(),
            source,
            pages: 0,
            read_at,
            error: Some(error),
        }
    }
}

impl<I: Items> List<I> {
    /// How it was read, without what was read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading {
            source: self.source,
            count: self.items.count(),
            pages: self.pages,
            read_at: self.read_at,
            error: self.error.clone(),
        }
    }
}

/// What can hold the items of a list.
pub trait Items {
    /// How many there are.
    fn count(&self) -> usize;
}

impl<T> Items for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl Items for SnapshotTable {
    fn count(&self) -> usize {
        self.len()
    }
}

impl Items for ImageTable {
    fn count(&self) -> usize {
        self.len()
    }
}

/// How a source was read: what makes it evidence, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The source.
    pub source: Source,
    /// How much was listed.
    pub count: usize,
    /// Pages read.
    pub pages: u32,
    /// When reading began, on the wall clock.
    pub read_at: Timestamp,
    /// Why it ends early; `None` when the last page was read.
    pub error: Option<CallError>,
}
