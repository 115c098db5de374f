//! The IAM actions that the functions' calls need, declared method by method of the ports.
//!
//! The end-to-end tests hold what stands here against the roles in `infra/template.yaml` and
//! against the calls that the local AWS saw: an action that is missing or spare in any of the
//! three fails them. Whoever lets a function call another method of a port adds it here.

use std::collections::BTreeSet;

/// Actions that one method of a port, or one adapter, needs.
pub type Actions = &'static [&'static str];

/// `ReadEc2`. Lists cannot be narrowed to resources (Service Authorization Reference).
pub mod read_ec2 {
    use super::Actions;

    /// `instances`.
    pub const INSTANCES: Actions = &["ec2:DescribeInstances"];
    /// `volumes`.
    pub const VOLUMES: Actions = &["ec2:DescribeVolumes"];
    /// `snapshots`.
    pub const SNAPSHOTS: Actions = &["ec2:DescribeSnapshots"];
    /// `images`.
    pub const IMAGES: Actions = &["ec2:DescribeImages"];
    /// `launch_template_versions`: the templates first, then each one's versions. The parameters
    /// that some name are resolved by EC2, which is what `ssm:GetParameters` is for.
    pub const LAUNCH_TEMPLATE_VERSIONS: Actions = &[
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeLaunchTemplateVersions",
        "ssm:GetParameters",
    ];
    /// `instance_types`.
    pub const INSTANCE_TYPES: Actions = &["ec2:DescribeInstanceTypes"];
    /// `launch_configurations`.
    pub const LAUNCH_CONFIGURATIONS: Actions = &["autoscaling:DescribeLaunchConfigurations"];
    /// `auto_scaling_groups`: the groups first, then each one's instance refreshes.
    pub const AUTO_SCALING_GROUPS: Actions = &[
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeInstanceRefreshes",
    ];
    /// `fleets`: three lists in one.
    pub const FLEETS: Actions = &[
        "ec2:DescribeFleets",
        "ec2:DescribeSpotFleetRequests",
        "ec2:DescribeSpotInstanceRequests",
    ];
    /// `fast_restores`.
    pub const FAST_RESTORES: Actions = &["ec2:DescribeFastSnapshotRestores"];
    /// `recycle_bin`: two lists in one.
    pub const RECYCLE_BIN: Actions = &[
        "ec2:ListImagesInRecycleBin",
        "ec2:ListSnapshotsInRecycleBin",
    ];
    /// `locks`.
    pub const LOCKS: Actions = &["ec2:DescribeLockedSnapshots"];
    /// `image_references`, with what EC2 looks at on the caller's behalf: those of other services
    /// are needed through EC2 alone (`aws:CalledVia`), so that the function can read no parameter
    /// and no recipe by itself (AWS Managed Policy Reference,
    /// `AmazonEC2ImageReferencesAccessPolicy`).
    pub const IMAGE_REFERENCES: Actions = &[
        "ec2:DescribeImageReferences",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeLaunchTemplateVersions",
        "ssm:DescribeParameters",
        "ssm:GetParameters",
        "imagebuilder:ListImageRecipes",
        "imagebuilder:ListContainerRecipes",
        "imagebuilder:GetContainerRecipe",
    ];
    /// `image_shares`.
    pub const IMAGE_SHARES: Actions = &["ec2:DescribeImageAttribute"];
    /// `snapshot_shares`.
    pub const SNAPSHOT_SHARES: Actions = &["ec2:DescribeSnapshotAttribute"];
    /// `key_state`.
    pub const KEY_STATE: Actions = &["kms:DescribeKey"];

    /// All that may show that something needs an artifact.
    pub const EVIDENCE: &[Actions] = &[
        INSTANCES,
        VOLUMES,
        SNAPSHOTS,
        IMAGES,
        LAUNCH_TEMPLATE_VERSIONS,
        LAUNCH_CONFIGURATIONS,
        AUTO_SCALING_GROUPS,
        FLEETS,
        FAST_RESTORES,
        RECYCLE_BIN,
        LOCKS,
        IMAGE_REFERENCES,
        IMAGE_SHARES,
        SNAPSHOT_SHARES,
    ];
}

/// `WriteEc2`.
pub mod write_ec2 {
    use super::Actions;

    /// `create_snapshots`, with tags in the same call.
    pub const CREATE_SNAPSHOTS: Actions = &["ec2:CreateSnapshots", "ec2:CreateTags"];
    /// `create_snapshot`, with tags in the same call.
    pub const CREATE_SNAPSHOT: Actions = &["ec2:CreateSnapshot", "ec2:CreateTags"];
    /// `create_image`, with tags in the same call.
    pub const CREATE_IMAGE: Actions = &["ec2:CreateImage", "ec2:CreateTags"];
    /// `deregister_image`: `DeleteAssociatedSnapshots` needs the right to delete each of them
    /// (`DeleteSnapshotReturnCode`, EC2 API Reference: `missing-permissions` otherwise).
    pub const DEREGISTER_IMAGE: Actions = &["ec2:DeregisterImage", "ec2:DeleteSnapshot"];
    /// `delete_snapshot`.
    pub const DELETE_SNAPSHOT: Actions = &["ec2:DeleteSnapshot"];
}

/// `GuestCommands`. The template allows them only where its parameter names documents.
pub mod guest_commands {
    use super::Actions;

    /// `guest`.
    pub const GUEST: Actions = &["ssm:DescribeInstanceInformation"];
    /// `send`: of the document and of the instance.
    pub const SEND: Actions = &["ssm:SendCommand"];
    /// `state`.
    pub const STATE: Actions = &["ssm:GetCommandInvocation"];
}

/// `Records`. Every function begins, takes a lease, reads and writes records and removes some, so
/// every function needs them all. A transaction needs the actions of what it does (DynamoDB
/// Developer Guide, "Using IAM with DynamoDB transactions").
pub const RECORDS: Actions = &[
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:Query",
    "dynamodb:BatchGetItem",
];

/// What create-snapshots calls.
pub const CREATE_SNAPSHOTS: &[Actions] = &[
    read_ec2::INSTANCES,
    read_ec2::VOLUMES,
    read_ec2::SNAPSHOTS,
    read_ec2::IMAGES,
    read_ec2::INSTANCE_TYPES,
    read_ec2::KEY_STATE,
    write_ec2::CREATE_SNAPSHOTS,
    write_ec2::CREATE_SNAPSHOT,
    guest_commands::GUEST,
    guest_commands::SEND,
    guest_commands::STATE,
    RECORDS,
];

/// What create-images calls.
pub const CREATE_IMAGES: &[Actions] = &[
    read_ec2::INSTANCES,
    read_ec2::VOLUMES,
    read_ec2::IMAGES,
    read_ec2::INSTANCE_TYPES,
    read_ec2::KEY_STATE,
    write_ec2::CREATE_IMAGE,
    RECORDS,
];

/// What sweep-retention calls besides [`read_ec2::EVIDENCE`].
pub const SWEEP_RETENTION: &[Actions] = &[
    write_ec2::DEREGISTER_IMAGE,
    write_ec2::DELETE_SNAPSHOT,
    RECORDS,
];

/// What check-dependencies calls besides [`read_ec2::EVIDENCE`]: it reads, and writes nothing but
/// records.
pub const CHECK_DEPENDENCIES: &[Actions] = &[read_ec2::KEY_STATE, RECORDS];

/// `RestoreEc2`, of which some calls give tags in the same call. Launching with an instance profile
/// needs `iam:PassRole` on its role, too, which no statement for all roles should give.
pub mod restore_ec2 {
    use super::Actions;

    /// `create_volume`.
    pub const CREATE_VOLUME: Actions = &["ec2:CreateVolume", "ec2:CreateTags"];
    /// `attach_volume`.
    pub const ATTACH_VOLUME: Actions = &["ec2:AttachVolume"];
    /// `run_instance`.
    pub const RUN_INSTANCE: Actions = &["ec2:RunInstances", "ec2:CreateTags"];
    /// `create_template_version`.
    pub const CREATE_TEMPLATE_VERSION: Actions = &["ec2:CreateLaunchTemplateVersion"];
}

/// What the command line calls and no function does: restoring, taking pins off and giving tags,
/// reading the ledger of a stretch of time, and invoking the functions.
pub const OPERATOR: &[Actions] = &[
    restore_ec2::CREATE_VOLUME,
    restore_ec2::ATTACH_VOLUME,
    restore_ec2::RUN_INSTANCE,
    restore_ec2::CREATE_TEMPLATE_VERSION,
    &["ec2:CreateTags"],
    &["ec2:DeleteTags"],
    &["dynamodb:Scan"],
    &["lambda:InvokeFunction"],
];

/// The IAM actions that an API operation needs: of the operations that Holdfast calls, all are named
/// as their action is but Lambda's `Invoke`, and what gives tags or takes snapshots along needs the
/// action for these, too (Service Authorization Reference). Empty where none is known.
#[must_use]
pub fn actions_of(operation: &str) -> Actions {
    if operation == "Invoke" {
        return &["lambda:InvokeFunction"];
    }
    let is = |action: &str| {
        let name = action.split_once(':').map(|(_, name)| name);
        name == Some(operation)
    };
    let together = [
        write_ec2::CREATE_SNAPSHOTS,
        write_ec2::CREATE_SNAPSHOT,
        write_ec2::CREATE_IMAGE,
        write_ec2::DEREGISTER_IMAGE,
        restore_ec2::CREATE_VOLUME,
        restore_ec2::RUN_INSTANCE,
    ];
    let mut together = together.into_iter();
    if let Some(all) = together.find(|all| all.first().is_some_and(|action| is(action))) {
        return all;
    }
    let functions = [
        CREATE_SNAPSHOTS,
        CREATE_IMAGES,
        SWEEP_RETENTION,
        CHECK_DEPENDENCIES,
    ];
    let all = functions.into_iter().chain([read_ec2::EVIDENCE, OPERATOR]);
    let mut actions = all.flatten().flat_map(|call| call.iter());
    actions
        .find(|action| is(action))
        .map_or(&[], std::slice::from_ref)
}

/// The IAM actions that a function needs; `None` for one that is not Holdfast's.
///
/// Logging, and sending failed events to the queue for them, are Lambda's calls and not the
/// function's: they are not here.
#[must_use]
pub fn of(function: &str) -> Option<BTreeSet<&'static str>> {
    let (evidence, calls) = match function {
        "create-snapshots" => (&[][..], CREATE_SNAPSHOTS),
        "create-images" => (&[][..], CREATE_IMAGES),
        "sweep-retention" => (read_ec2::EVIDENCE, SWEEP_RETENTION),
        "check-dependencies" => (read_ec2::EVIDENCE, CHECK_DEPENDENCIES),
        _ => return None,
    };
    let all = evidence.iter().chain(calls);
    Some(all.flat_map(|call| call.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_tells_its_actions_and_an_unknown_one_none() {
        for (operation, actions) in [
            ("DescribeFleets", &["ec2:DescribeFleets"][..]),
            ("DeleteTags", &["ec2:DeleteTags"]),
            (
                "DescribeAutoScalingGroups",
                &["autoscaling:DescribeAutoScalingGroups"],
            ),
            ("GetItem", &["dynamodb:GetItem"]),
            ("Invoke", &["lambda:InvokeFunction"]),
            ("DescribeKey", &["kms:DescribeKey"]),
            ("CreateVolume", &["ec2:CreateVolume", "ec2:CreateTags"]),
            ("AttachVolume", &["ec2:AttachVolume"]),
            (
                "CreateLaunchTemplateVersion",
                &["ec2:CreateLaunchTemplateVersion"],
            ),
            ("CreateTags", &["ec2:CreateTags"]),
            ("DeleteSnapshot", &["ec2:DeleteSnapshot"]),
            ("TransactWriteItems", &[]),
        ] {
            assert_eq!(actions_of(operation), actions, "{operation}");
        }
    }
}
