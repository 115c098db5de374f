//! `RegisterImage`, and a snapshot that two images share.

use aws_sdk_ec2::types::ArchitectureValues;

use super::deregistering::codes;
use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, ROOT, from_snapshot, got, yes};
use crate::stage::{Stage, Stop, made};

const IGNORES_MAPPINGS: &str = "an image maps the snapshots it is registered over [B]; moto ignores the mappings and makes a snapshot of its own";

const HELD: &str =
    "a snapshot of a registered image is InvalidSnapshot.InUse [E]; moto's image does not map it";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "register-image",
        asks: "an image registered over two snapshots",
        expected: &[
            agree("state", "available"),
            differ(
                "architecture",
                "x86_64",
                "none",
                Right::Simulated,
                "the architecture is that of the request [B]; moto sends none",
            ),
            differ("devices", "2", "1", Right::Simulated, IGNORES_MAPPINGS),
            differ(
                "maps the root snapshot",
                "yes",
                "no",
                Right::Simulated,
                IGNORES_MAPPINGS,
            ),
            differ(
                "maps the data snapshot",
                "yes",
                "no",
                Right::Simulated,
                IGNORES_MAPPINGS,
            ),
            agree("names a source instance", "no"),
            differ(
                "deleting the data snapshot",
                "InvalidSnapshot.InUse",
                "ok",
                Right::Simulated,
                HELD,
            ),
            differ(
                "the name a second time",
                "InvalidAMIName.Duplicate",
                "ok",
                Right::Simulated,
                "names are unique by account and Region, else InvalidAMIName.Duplicate [E]; moto checks no names",
            ),
            differ(
                "over a missing snapshot",
                "InvalidSnapshot.NotFound",
                "ok",
                Right::Simulated,
                "a snapshot that does not exist is InvalidSnapshot.NotFound [E]; moto ignores the mappings",
            ),
        ],
        play: |s| Box::pin(register(s)),
    },
    Scenario {
        name: "two-images-one-snapshot",
        asks: "a snapshot that two registered images share, as the images go one by one",
        expected: &[
            differ(
                "return codes of the first",
                "1 skipped",
                "none",
                Right::Simulated,
                "skipped: the snapshot belongs to another image as well ([B], SnapshotReturnCodes); moto ignores DeleteAssociatedSnapshots",
            ),
            differ(
                "deleting it while the second stands",
                "InvalidSnapshot.InUse",
                "ok",
                Right::Simulated,
                HELD,
            ),
            differ(
                "return codes of the second",
                "1 success",
                "none",
                Right::Simulated,
                "DeleteAssociatedSnapshots deletes, and says with a code for every snapshot how it went [B]; moto ignores it",
            ),
            agree("deleting it after both", "InvalidSnapshot.NotFound"),
        ],
        play: |s| Box::pin(two_images(s)),
    },
];

async fn register(s: &mut Stage) -> Result<(), Stop> {
    let (root, data) = (s.snapshot(&[]).await?, s.snapshot(&[]).await?);
    let call = s.ec2.register_image().name("registered");
    let call = call
        .architecture(ArchitectureValues::X8664)
        .root_device_name(ROOT);
    let call = call.block_device_mappings(from_snapshot(ROOT, &root));
    let call = call.block_device_mappings(from_snapshot("/dev/sdf", &data));
    let image = got(made(call.send().await)?.image_id(), "image id")?;
    let listed = made(s.ec2.describe_images().image_ids(&image).send().await)?;
    let image = listed.images().first().ok_or(Stop::Lacking("image"))?;
    s.note("state", image.state().map_or("none", |v| v.as_str()));
    s.note(
        "architecture",
        image.architecture().map_or("none", |v| v.as_str()),
    );
    s.note("devices", image.block_device_mappings().len());
    let maps = |snapshot: &str| {
        let mut ebs = image.block_device_mappings().iter().filter_map(|m| m.ebs());
        yes(ebs.any(|e| e.snapshot_id() == Some(snapshot)))
    };
    s.note("maps the root snapshot", maps(&root));
    s.note("maps the data snapshot", maps(&data));
    s.note(
        "names a source instance",
        yes(image.source_instance_id().is_some()),
    );
    let result = s.ec2.delete_snapshot().snapshot_id(&data).send().await;
    s.outcome("deleting the data snapshot", result)?;
    let call = s
        .ec2
        .register_image()
        .name("registered")
        .root_device_name(ROOT);
    let call = call.block_device_mappings(from_snapshot(ROOT, &root));
    s.outcome("the name a second time", call.send().await)?;
    let missing = from_snapshot(ROOT, &format!("snap-{NOTHING}"));
    let call = s
        .ec2
        .register_image()
        .name("missing")
        .root_device_name(ROOT);
    s.outcome(
        "over a missing snapshot",
        call.block_device_mappings(missing).send().await,
    )?;
    Ok(())
}

async fn two_images(s: &mut Stage) -> Result<(), Stop> {
    let snapshot = s.snapshot(&[]).await?;
    let one = s.register("one", &snapshot).await?;
    let two = s.register("two", &snapshot).await?;
    let call = s.ec2.deregister_image().image_id(&one);
    let result = call.delete_associated_snapshots(true).send().await;
    s.hear("return codes of the first", result, codes)?;
    s.settle();
    let result = s.ec2.delete_snapshot().snapshot_id(&snapshot).send().await;
    s.outcome("deleting it while the second stands", result)?;
    let call = s.ec2.deregister_image().image_id(&two);
    let result = call.delete_associated_snapshots(true).send().await;
    s.hear("return codes of the second", result, codes)?;
    s.settle();
    let result = s.ec2.delete_snapshot().snapshot_id(&snapshot).send().await;
    s.outcome("deleting it after both", result)?;
    Ok(())
}
