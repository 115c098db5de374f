//! `DeregisterImage`, and what holds the snapshots of an image.

use aws_sdk_ec2::operation::deregister_image::DeregisterImageOutput;

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, filter};
use crate::stage::{Stage, Stop};

const RETURN_CODES: &str = "DeleteAssociatedSnapshots deletes, and says with a code for every snapshot how it went [B]; moto ignores it";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "image-holds-snapshots",
        asks: "deleting the snapshots of an image before and after it is deregistered",
        expected: &[
            agree("the root's", "InvalidSnapshot.InUse"),
            differ(
                "the data volume's",
                "InvalidSnapshot.InUse",
                "not reached",
                Right::Simulated,
                "every snapshot that a registered image maps is InvalidSnapshot.InUse [E]; moto's image has the root's alone",
            ),
            agree("deregistering", "true"),
            agree("the root's is still listed", "1"),
            agree("the root's afterwards", "ok"),
            agree("the instance afterwards", "1 running"),
        ],
        play: |s| Box::pin(holds_snapshots(s)),
    },
    Scenario {
        name: "deregister-with-snapshots",
        asks: "DeleteAssociatedSnapshots and its return codes",
        expected: &[
            differ(
                "return codes",
                "2 success",
                "none",
                Right::Simulated,
                RETURN_CODES,
            ),
            differ("snapshots left", "0", "1", Right::Simulated, RETURN_CODES),
        ],
        play: |s| Box::pin(with_snapshots(s)),
    },
    Scenario {
        name: "deregister-twice",
        asks: "deregistering an image that is gone, or never was",
        expected: &[
            agree("the first time", "ok"),
            agree("the second time", "InvalidAMIID.Unavailable"),
            agree("one that never was", "InvalidAMIID.NotFound"),
            differ(
                "malformed id",
                "InvalidAMIID.Malformed",
                "InvalidAMIID.NotFound",
                Right::Simulated,
                "a malformed image id is InvalidAMIID.Malformed [E]",
            ),
        ],
        play: |s| Box::pin(twice(s)),
    },
];

/// The return codes of the snapshots that went with an image.
pub(super) fn codes(output: &DeregisterImageOutput) -> String {
    let results = output.delete_snapshot_results().iter();
    counted(results.filter_map(|r| Some(r.return_code()?.as_str().to_owned())))
}

async fn holds_snapshots(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(1).await?;
    let image = s.image_of(&machine.id, "held").await?;
    let snapshots = s.snapshots_of(&image).await?;
    let root = snapshots.first().ok_or(Stop::Lacking("root snapshot"))?;
    let result = s.ec2.delete_snapshot().snapshot_id(root).send().await;
    s.outcome("the root's", result)?;
    if let Some(data) = snapshots.get(1) {
        let result = s.ec2.delete_snapshot().snapshot_id(data).send().await;
        s.outcome("the data volume's", result)?;
    }
    let result = s.ec2.deregister_image().image_id(&image).send().await;
    s.hear("deregistering", result, |d| {
        d.r#return().unwrap_or_default().to_string()
    })?;
    s.settle();
    let left = filter("snapshot-id", &[root]);
    let result = s.ec2.describe_snapshots().filters(left).send().await;
    s.hear("the root's is still listed", result, |l| {
        l.snapshots().len().to_string()
    })?;
    let result = s.ec2.delete_snapshot().snapshot_id(root).send().await;
    s.outcome("the root's afterwards", result)?;
    let instances = s
        .ec2
        .describe_instances()
        .instance_ids(&machine.id)
        .send()
        .await;
    s.hear("the instance afterwards", instances, |l| {
        let states = l.reservations().iter().flat_map(|r| r.instances());
        counted(states.filter_map(|i| Some(i.state()?.name()?.as_str().to_owned())))
    })?;
    Ok(())
}

async fn with_snapshots(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(1).await?;
    let image = s.image_of(&machine.id, "whole").await?;
    let snapshots = s.snapshots_of(&image).await?;
    let call = s.ec2.deregister_image().image_id(&image);
    let result = call.delete_associated_snapshots(true).send().await;
    s.hear("return codes", result, codes)?;
    s.settle();
    let ids: Vec<&str> = snapshots.iter().map(String::as_str).collect();
    let call = s
        .ec2
        .describe_snapshots()
        .filters(filter("snapshot-id", &ids));
    s.hear("snapshots left", call.send().await, |l| {
        l.snapshots().len().to_string()
    })?;
    Ok(())
}

async fn twice(s: &mut Stage) -> Result<(), Stop> {
    let image = s.image("once").await?;
    for asked in ["the first time", "the second time"] {
        let result = s.ec2.deregister_image().image_id(&image).send().await;
        s.outcome(asked, result)?;
        s.settle();
    }
    let missing = format!("ami-{NOTHING}");
    let result = s.ec2.deregister_image().image_id(missing).send().await;
    s.outcome("one that never was", result)?;
    let result = s.ec2.deregister_image().image_id("image").send().await;
    s.outcome("malformed id", result)?;
    Ok(())
}
