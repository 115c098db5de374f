//! Launch permissions and shares of snapshots.

use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, ImageAttributeName,
    LaunchPermission, LaunchPermissionModifications, PermissionGroup, SnapshotAttributeName,
};

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::NOTHING;
use crate::stage::{Stage, Stop, made};

const ACCOUNT: &str = "222233334444";

const IGNORES_MODIFICATIONS: &str = "Add and Remove of CreateVolumePermission change the list [B]; moto reads only OperationType with UserIds and GroupNames";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "snapshot-shares",
        asks: "who may make volumes of a snapshot, as it is shared and unshared",
        expected: &[
            agree("at first", "nobody"),
            differ(
                "shared with an account",
                "account",
                "nobody",
                Right::Simulated,
                IGNORES_MODIFICATIONS,
            ),
            differ(
                "shared with everybody as well",
                "account, all",
                "nobody",
                Right::Simulated,
                IGNORES_MODIFICATIONS,
            ),
            differ(
                "no longer with everybody",
                "account",
                "nobody",
                Right::Simulated,
                IGNORES_MODIFICATIONS,
            ),
            agree("no longer with anybody", "nobody"),
            agree("of a missing snapshot", "InvalidSnapshot.NotFound"),
        ],
        play: |s| Box::pin(snapshot(s)),
    },
    Scenario {
        name: "launch-permissions",
        asks: "who may launch an image, as it is shared and unshared",
        expected: &[
            agree("at first", "nobody"),
            agree("shared with an account", "account"),
            agree("shared with everybody as well", "account, all"),
            agree("no longer with everybody", "account"),
            agree("no longer with anybody", "nobody"),
            differ(
                "of a missing image",
                "InvalidAMIID.NotFound",
                "HTTP 500 without a code",
                Right::Simulated,
                "an image that does not exist is InvalidAMIID.NotFound [E]; moto fails over it",
            ),
        ],
        play: |s| Box::pin(image(s)),
    },
];

/// Who is told: an answer without the list is no answer that there is nobody.
fn said<'g>(
    told: bool,
    grantees: impl Iterator<Item = (Option<&'g str>, Option<&'g PermissionGroup>)>,
) -> String {
    let mut all: Vec<&str> = grantees
        .map(|grantee| match grantee {
            (Some(ACCOUNT), None) => "account",
            (None, Some(PermissionGroup::All)) => "all",
            _ => "somebody else",
        })
        .collect();
    all.sort_unstable();
    match (told, all.is_empty()) {
        (false, _) => "no list".to_owned(),
        (true, true) => "nobody".to_owned(),
        (true, false) => all.join(", "),
    }
}

impl Stage {
    async fn hear_snapshot(&mut self, asked: &'static str, id: &str) -> Result<(), Stop> {
        let call = self.ec2.describe_snapshot_attribute().snapshot_id(id);
        let call = call.attribute(SnapshotAttributeName::CreateVolumePermission);
        let result = call.send().await;
        self.hear(asked, result, |answer| {
            let grantees = answer.create_volume_permissions().iter();
            let told = answer.create_volume_permissions.is_some();
            said(told, grantees.map(|g| (g.user_id(), g.group())))
        })?;
        Ok(())
    }

    async fn hear_image(&mut self, asked: &'static str, id: &str) -> Result<(), Stop> {
        let call = self.ec2.describe_image_attribute().image_id(id);
        let call = call.attribute(ImageAttributeName::LaunchPermission);
        let result = call.send().await;
        self.hear(asked, result, |answer| {
            let grantees = answer.launch_permissions().iter();
            let told = answer.launch_permissions.is_some();
            said(told, grantees.map(|g| (g.user_id(), g.group())))
        })?;
        Ok(())
    }
}

async fn snapshot(s: &mut Stage) -> Result<(), Stop> {
    let id = s.snapshot(&[]).await?;
    let account = CreateVolumePermission::builder().user_id(ACCOUNT).build();
    let everybody = CreateVolumePermission::builder()
        .group(PermissionGroup::All)
        .build();
    let change = CreateVolumePermissionModifications::builder;
    s.hear_snapshot("at first", &id).await?;
    for (asked, change) in [
        ("shared with an account", change().add(account.clone())),
        (
            "shared with everybody as well",
            change().add(everybody.clone()),
        ),
        ("no longer with everybody", change().remove(everybody)),
        ("no longer with anybody", change().remove(account)),
    ] {
        let call = s.ec2.modify_snapshot_attribute().snapshot_id(&id);
        let call = call.attribute(SnapshotAttributeName::CreateVolumePermission);
        made(call.create_volume_permission(change.build()).send().await)?;
        s.settle();
        s.hear_snapshot(asked, &id).await?;
    }
    let missing = format!("snap-{NOTHING}");
    s.hear_snapshot("of a missing snapshot", &missing).await
}

async fn image(s: &mut Stage) -> Result<(), Stop> {
    let id = s.image("shared").await?;
    let account = LaunchPermission::builder().user_id(ACCOUNT).build();
    let everybody = LaunchPermission::builder()
        .group(PermissionGroup::All)
        .build();
    let change = LaunchPermissionModifications::builder;
    s.hear_image("at first", &id).await?;
    for (asked, change) in [
        ("shared with an account", change().add(account.clone())),
        (
            "shared with everybody as well",
            change().add(everybody.clone()),
        ),
        ("no longer with everybody", change().remove(everybody)),
        ("no longer with anybody", change().remove(account)),
    ] {
        let call = s.ec2.modify_image_attribute().image_id(&id);
        let call = call.attribute("launchPermission");
        made(call.launch_permission(change.build()).send().await)?;
        s.settle();
        s.hear_image(asked, &id).await?;
    }
    let missing = format!("ami-{NOTHING}");
    s.hear_image("of a missing image", &missing).await
}
