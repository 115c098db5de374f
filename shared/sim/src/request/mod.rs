//! Requests of the EC2 and Auto Scaling APIs, as plain data; names follow the API Reference.

/// Structures with documented public fields.
macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }
    )*};
}

/// The enum over the operations that the account knows.
macro_rules! operations {
    ($($name:ident,)*) => {
        /// A request for one API operation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $(#[doc = concat!("The operation of [`", stringify!($name), "`].")] $name($name),)*
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

mod auto_scaling;
mod copy;
mod fast_restore;
mod fleet;
mod image;
mod image_reference;
mod instance;
mod launch_template;
mod listing;
mod lock;
mod parts;
mod recycle_bin;
mod sharing;
mod snapshot;
mod subject;
mod tag;
mod tier;
mod volume;

pub use auto_scaling::*;
pub use copy::*;
pub use fast_restore::*;
pub use fleet::*;
pub use image::*;
pub use image_reference::*;
pub use instance::*;
pub use launch_template::*;
pub use listing::*;
pub use lock::*;
pub use parts::*;
pub use recycle_bin::*;
pub use sharing::*;
pub use snapshot::*;
pub use tag::*;
pub use tier::*;
pub use volume::*;

operations! {
    DescribeInstances,
    DescribeVolumes,
    DescribeSnapshots,
    DescribeImages,
    DescribeLaunchTemplates,
    DescribeLaunchTemplateVersions,
    DescribeInstanceTypes,
    DescribeTags,
    CreateSnapshot,
    CreateSnapshots,
    DeleteSnapshot,
    CreateTags,
    DeleteTags,
    RegisterImage,
    CreateImage,
    DeregisterImage,
    DisableImage,
    EnableImage,
    EnableImageDeregistrationProtection,
    DisableImageDeregistrationProtection,
    CreateVolume,
    AttachVolume,
    DetachVolume,
    DeleteVolume,
    RunInstances,
    StopInstances,
    StartInstances,
    TerminateInstances,
    CreateLaunchTemplate,
    CreateLaunchTemplateVersion,
    DeleteLaunchTemplate,
    ModifySnapshotAttribute,
    DescribeSnapshotAttribute,
    ResetSnapshotAttribute,
    ModifyImageAttribute,
    DescribeImageAttribute,
    ResetImageAttribute,
    LockSnapshot,
    UnlockSnapshot,
    DescribeLockedSnapshots,
    ListSnapshotsInRecycleBin,
    ListImagesInRecycleBin,
    RestoreSnapshotFromRecycleBin,
    RestoreImageFromRecycleBin,
    DescribeImageReferences,
    CopySnapshot,
    CopyImage,
    EnableImageDeprecation,
    DisableImageDeprecation,
    EnableFastSnapshotRestores,
    DisableFastSnapshotRestores,
    DescribeFastSnapshotRestores,
    ModifySnapshotTier,
    RestoreSnapshotTier,
    DescribeSnapshotTierStatus,
    DescribeFleets,
    DescribeSpotFleetRequests,
    DescribeSpotInstanceRequests,
    DescribeLaunchConfigurations,
    DescribeAutoScalingGroups,
    DescribeInstanceRefreshes,
}
