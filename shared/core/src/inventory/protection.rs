//! What keeps a snapshot or an AMI for other reasons than a launch: shares, locks, fast restore,
//! the Recycle Bin, and references that EC2 itself reports.

use jiff::Timestamp;

use crate::id::{ImageId, SnapshotId};

/// Somebody besides the owner who may use a snapshot or launch an AMI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Everybody.
    Everybody,
    /// An account.
    Account(String),
    /// An organization or organizational unit, by its ARN.
    Organization(String),
    /// A grantee of a shape that Holdfast does not know.
    Unknown,
}

/// Fast snapshot restore of one snapshot in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastRestore {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The Availability Zone.
    pub zone: String,
    /// `enabling`, `optimizing`, `enabled`, `disabling` or `disabled`.
    pub state: String,
}

/// A lock on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotLock {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// `compliance`, `governance`, `compliance-cooloff` or `expired`.
    pub state: String,
    /// When it expires, UTC.
    pub expires: Option<Timestamp>,
}

/// What lies in the Recycle Bin. EC2 tells neither tags nor block devices of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// `snap-…` or `ami-…`.
    pub id: String,
    /// An AMI's name.
    pub name: Option<String>,
    /// When it was deleted or deregistered, UTC.
    pub entered: Option<Timestamp>,
    /// When it leaves for good, UTC.
    pub exits: Option<Timestamp>,
}

/// Which references `DescribeImageReferences` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceScope {
    /// Instances, launch templates (every version) and SSM parameters.
    Launches,
    /// Image Builder's image and container recipes.
    Recipes,
}

/// What kind of resource refers to an AMI, as `DescribeImageReferences` spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceType {
    /// `ec2:Instance`.
    Instance,
    /// `ec2:LaunchTemplate`.
    LaunchTemplate,
    /// `ssm:Parameter`.
    Parameter,
    /// `imagebuilder:ImageRecipe` or `imagebuilder:ContainerRecipe`.
    Recipe,
    /// One that Holdfast does not know.
    Unknown(String),
}

impl ReferenceType {
    /// The type for EC2's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "ec2:Instance" => Self::Instance,
            "ec2:LaunchTemplate" => Self::LaunchTemplate,
            "ssm:Parameter" => Self::Parameter,
            "imagebuilder:ImageRecipe" | "imagebuilder:ContainerRecipe" => Self::Recipe,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// One reference to an AMI, as `DescribeImageReferences` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The AMI.
    pub image: ImageId,
    /// What kind of resource refers to it.
    pub kind: ReferenceType,
    /// ARN of the resource.
    pub arn: String,
}
