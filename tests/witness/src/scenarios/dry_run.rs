//! `DryRun`: a good answer is the error `DryRunOperation`.

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::tag;
use crate::stage::{Stage, Stop, made};

pub(crate) const ALL: &[Scenario] = &[Scenario {
    name: "dry-run",
    asks: "dry runs, and that they change nothing",
    expected: &[
        agree("CreateSnapshot", "DryRunOperation"),
        agree("DeleteSnapshot", "DryRunOperation"),
        agree("CreateImage", "DryRunOperation"),
        agree("DeregisterImage", "DryRunOperation"),
        agree("CreateTags", "DryRunOperation"),
        differ(
            "DescribeSnapshots",
            "DryRunOperation",
            "ok",
            Right::Simulated,
            "DryRun of any operation that would succeed is DryRunOperation [E]; moto ignores it here",
        ),
        agree("DescribeImages", "DryRunOperation"),
        agree("snapshots made or deleted", "0"),
        agree("the image is still there", "1"),
    ],
    play: |s| Box::pin(dry_run(s)),
}];

async fn dry_run(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let image = s.image_of(&machine.id, "dry").await?;
    let volume = s.volume().await?;
    let snapshot = s.snapshot_of(&volume).await?;
    let ec2 = s.ec2.clone();
    let listed = made(ec2.describe_snapshots().owner_ids("self").send().await)?;
    let before = listed.snapshots().len();
    let call = ec2.create_snapshot().volume_id(&volume).dry_run(true);
    s.outcome("CreateSnapshot", call.send().await)?;
    let call = ec2.delete_snapshot().snapshot_id(&snapshot).dry_run(true);
    s.outcome("DeleteSnapshot", call.send().await)?;
    let call = ec2
        .create_image()
        .instance_id(&machine.id)
        .name("dry-2")
        .dry_run(true);
    s.outcome("CreateImage", call.send().await)?;
    let call = ec2.deregister_image().image_id(&image).dry_run(true);
    s.outcome("DeregisterImage", call.send().await)?;
    let call = ec2
        .create_tags()
        .resources(&snapshot)
        .tags(tag("a", "b"))
        .dry_run(true);
    s.outcome("CreateTags", call.send().await)?;
    let call = ec2.describe_snapshots().dry_run(true);
    s.outcome("DescribeSnapshots", call.send().await)?;
    let call = ec2.describe_images().dry_run(true);
    s.outcome("DescribeImages", call.send().await)?;
    s.settle();
    let listed = made(ec2.describe_snapshots().owner_ids("self").send().await)?;
    s.note(
        "snapshots made or deleted",
        listed.snapshots().len().abs_diff(before),
    );
    let result = ec2.describe_images().image_ids(&image).send().await;
    s.hear("the image is still there", result, |l| {
        l.images().len().to_string()
    })?;
    Ok(())
}
