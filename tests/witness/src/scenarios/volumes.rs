//! Volumes: their making, their attachments, their end.

use aws_sdk_ec2::operation::describe_volumes::DescribeVolumesOutput;

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, filter, yes};
use crate::stage::{Stage, Stop, ZONE, made};

const TOKEN: &str = "the same token makes one volume, and is refused with other parameters (EC2 Developer Guide, \"Ensuring idempotency\")";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "volume-from-snapshot",
        asks: "a volume made of a snapshot",
        expected: &[
            agree("size", "8"),
            agree("names its snapshot", "yes"),
            agree("tags", "0"),
            agree("type by default", "gp2"),
            agree("larger than the snapshot", "20"),
            differ(
                "smaller than the snapshot",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "a volume is at least as large as its snapshot [B]; moto checks no sizes",
            ),
            agree("of a missing snapshot", "InvalidSnapshot.NotFound"),
            agree("neither size nor snapshot", "MissingParameter"),
            differ(
                "in a zone that is not there",
                "InvalidZone.NotFound",
                "ok",
                Right::Simulated,
                "a zone that does not exist is InvalidZone.NotFound [E]; moto takes any",
            ),
        ],
        play: |s| Box::pin(from_snapshot(s)),
    },
    Scenario {
        name: "volume-client-token",
        asks: "CreateVolume twice with one client token",
        expected: &[
            differ("the same volume", "yes", "no", Right::Simulated, TOKEN),
            differ(
                "the token with another size",
                "IdempotentParameterMismatch",
                "ok",
                Right::Simulated,
                TOKEN,
            ),
        ],
        play: |s| Box::pin(client_token(s)),
    },
    Scenario {
        name: "volume-attachments",
        asks: "what DescribeVolumes says of attachments",
        expected: &[
            agree("before", "1 available"),
            agree("attaching", "ok"),
            agree("attached", "1 in-use: /dev/sdz attached"),
            differ(
                "the root volume",
                "1 in-use: /dev/sda1 attached deleted with it",
                "1 in-use: /dev/sda1 attached",
                Right::Simulated,
                "an attachment shows the DeleteOnTermination of the launch [B]; moto keeps it to itself",
            ),
            agree("volumes of the instance", "2"),
            agree("volumes in use", "2"),
            agree("detaching", "ok"),
            agree("detached", "1 available"),
            differ(
                "detaching it again",
                "IncorrectState",
                "InvalidAttachment.NotFound",
                Right::Unknown,
                "[E] has InvalidAttachment.NotFound for it; aws-ebs-csi-driver meets both codes",
            ),
            differ(
                "attaching the root volume again",
                "VolumeInUse",
                "ok",
                Right::Simulated,
                "a volume without Multi-Attach is attached once, else VolumeInUse [E]; moto moves it silently",
            ),
        ],
        play: |s| Box::pin(attachments(s)),
    },
    Scenario {
        name: "volume-deletion",
        asks: "deleting and listing volumes that are in use or gone",
        expected: &[
            agree("one in use", "VolumeInUse"),
            agree("the first time", "ok"),
            agree("the second time", "InvalidVolume.NotFound"),
            agree("listing it by id", "InvalidVolume.NotFound"),
            agree("listing it by filter", "0"),
            differ(
                "listing a malformed id",
                "InvalidParameterValue",
                "InvalidVolume.NotFound",
                Right::Simulated,
                "EC2 answered InvalidParameterValue to a malformed volume id (aws-missing-tools issue #59)",
            ),
        ],
        play: |s| Box::pin(deletion(s)),
    },
];

async fn from_snapshot(s: &mut Stage) -> Result<(), Stop> {
    let snapshot = s.snapshot(&[("Name", "db")]).await?;
    let ec2 = s.ec2.clone();
    let create = || ec2.create_volume().availability_zone(ZONE);
    let volume = made(create().snapshot_id(&snapshot).send().await)?;
    s.note("size", volume.size().unwrap_or_default());
    s.note(
        "names its snapshot",
        yes(volume.snapshot_id() == Some(&snapshot)),
    );
    s.note("tags", volume.tags().len());
    s.note(
        "type by default",
        volume.volume_type().map_or("none", |v| v.as_str()),
    );
    let larger = create().snapshot_id(&snapshot).size(20).send().await;
    s.hear("larger than the snapshot", larger, |v| {
        v.size().unwrap_or_default().to_string()
    })?;
    let smaller = create().snapshot_id(&snapshot).size(4).send().await;
    s.outcome("smaller than the snapshot", smaller)?;
    let missing = create().snapshot_id(format!("snap-{NOTHING}")).send().await;
    s.outcome("of a missing snapshot", missing)?;
    s.outcome("neither size nor snapshot", create().send().await)?;
    let elsewhere = ec2.create_volume().availability_zone("mars-1a").size(8);
    s.outcome("in a zone that is not there", elsewhere.send().await)?;
    Ok(())
}

async fn client_token(s: &mut Stage) -> Result<(), Stop> {
    let ec2 = s.ec2.clone();
    let create = |size| {
        let call = ec2.create_volume().availability_zone(ZONE).size(size);
        call.client_token("one-token")
    };
    let first = made(create(8).send().await)?;
    let second = made(create(8).send().await)?;
    s.note(
        "the same volume",
        yes(first.volume_id() == second.volume_id()),
    );
    s.outcome("the token with another size", create(9).send().await)?;
    Ok(())
}

fn said(l: &DescribeVolumesOutput) -> String {
    counted(l.volumes().iter().map(|v| {
        let state = v.state().map_or("none", |v| v.as_str());
        let attached: Vec<String> = v
            .attachments()
            .iter()
            .map(|a| {
                format!(
                    "{} {}{}",
                    a.device().unwrap_or("none"),
                    a.state().map_or("none", |v| v.as_str()),
                    if a.delete_on_termination() == Some(true) {
                        " deleted with it"
                    } else {
                        ""
                    }
                )
            })
            .collect();
        if attached.is_empty() {
            state.to_owned()
        } else {
            format!("{state}: {}", attached.join(" and "))
        }
    }))
}

async fn attachments(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let volume = s.volume().await?;
    let result = s.ec2.describe_volumes().volume_ids(&volume).send().await;
    s.hear("before", result, said)?;
    let call = s
        .ec2
        .attach_volume()
        .volume_id(&volume)
        .instance_id(&machine.id);
    s.outcome("attaching", call.device("/dev/sdz").send().await)?;
    s.settle();
    let result = s.ec2.describe_volumes().volume_ids(&volume).send().await;
    s.hear("attached", result, said)?;
    let root = machine
        .volumes
        .first()
        .ok_or(Stop::Lacking("root volume"))?;
    let result = s.ec2.describe_volumes().volume_ids(root).send().await;
    s.hear("the root volume", result, said)?;
    let by_instance = filter("attachment.instance-id", &[&machine.id]);
    let result = s.ec2.describe_volumes().filters(by_instance).send().await;
    s.hear("volumes of the instance", result, |l| {
        l.volumes().len().to_string()
    })?;
    let result = s
        .ec2
        .describe_volumes()
        .filters(filter("status", &["in-use"]))
        .send()
        .await;
    s.hear("volumes in use", result, |l| l.volumes().len().to_string())?;
    let call = s
        .ec2
        .detach_volume()
        .volume_id(&volume)
        .instance_id(&machine.id);
    s.outcome("detaching", call.send().await)?;
    s.settle();
    let result = s.ec2.describe_volumes().volume_ids(&volume).send().await;
    s.hear("detached", result, said)?;
    let call = s
        .ec2
        .detach_volume()
        .volume_id(&volume)
        .instance_id(&machine.id);
    s.outcome("detaching it again", call.send().await)?;
    let call = s
        .ec2
        .attach_volume()
        .volume_id(root)
        .instance_id(&machine.id);
    s.outcome(
        "attaching the root volume again",
        call.device("/dev/sdy").send().await,
    )?;
    Ok(())
}

async fn deletion(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let root = machine
        .volumes
        .first()
        .ok_or(Stop::Lacking("root volume"))?;
    let result = s.ec2.delete_volume().volume_id(root).send().await;
    s.outcome("one in use", result)?;
    let volume = s.volume().await?;
    for asked in ["the first time", "the second time"] {
        let result = s.ec2.delete_volume().volume_id(&volume).send().await;
        s.outcome(asked, result)?;
    }
    let result = s.ec2.describe_volumes().volume_ids(&volume).send().await;
    s.outcome("listing it by id", result)?;
    let gone = filter("volume-id", &[&volume]);
    let result = s.ec2.describe_volumes().filters(gone).send().await;
    s.hear("listing it by filter", result, |l| {
        l.volumes().len().to_string()
    })?;
    let result = s.ec2.describe_volumes().volume_ids("disk").send().await;
    s.outcome("listing a malformed id", result)?;
    Ok(())
}
