//! `CreateImage`.

use aws_sdk_ec2::types::{BlockDeviceMapping, ResourceType};

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, ROOT, SIZE, counted, got, spell, tag, tagged, yes};
use crate::stage::{Stage, Stop, made};

const ONE_MAPPING: &str = "one device and one snapshot for every attached volume (EC2 User Guide, \"Create an Amazon EBS-backed AMI\"); moto makes one of 15 GiB whatever is attached";

const NAME: &str =
    "3 to 128 of certain characters, else InvalidAMIName.Malformed [E]; moto checks no names";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "image-of-instance",
        asks: "an image of an instance with three volumes, and the snapshots behind it",
        expected: &[
            differ(
                "first state",
                "pending",
                "available",
                Right::Simulated,
                "an image is pending until its snapshots are there ([B] ImageState; CreateImage); moto has no time",
            ),
            agree("state later", "available"),
            agree("root device", "/dev/sda1"),
            differ(
                "root device type",
                "ebs",
                "standard",
                Right::Simulated,
                "an image of an EBS-backed instance has the type ebs; standard is none of the values [B]",
            ),
            agree("names its instance", "yes"),
            differ(
                "names the instance's image",
                "yes",
                "no",
                Right::Simulated,
                "SourceImageId of a made image is the image that the instance was launched from [B]; moto does not send it",
            ),
            agree("has a creation date", "yes"),
            agree("public", "false"),
            differ("devices", "3", "1", Right::Simulated, ONE_MAPPING),
            differ(
                "devices of the volumes' size",
                "3",
                "0",
                Right::Simulated,
                ONE_MAPPING,
            ),
            differ(
                "devices that go with an instance",
                "3",
                "0",
                Right::Simulated,
                "DeleteOnTermination is taken over from the instance's devices (EC2 User Guide, \"Block device mappings\")",
            ),
            differ(
                "snapshots of the instance's volumes",
                "3",
                "0",
                Right::Simulated,
                ONE_MAPPING,
            ),
            agree("every snapshot names instance and image", "yes"),
            differ(
                "states of the snapshots",
                "3 completed",
                "1 completed",
                Right::Simulated,
                ONE_MAPPING,
            ),
        ],
        play: |s| Box::pin(of_instance(s)),
    },
    Scenario {
        name: "image-without-device",
        asks: "NoDevice for a data volume",
        expected: &[
            differ("devices", "2", "1", Right::Simulated, ONE_MAPPING),
            agree("the root is mapped", "yes"),
            differ(
                "the other data volume is mapped",
                "yes",
                "no",
                Right::Simulated,
                ONE_MAPPING,
            ),
            agree("the dropped one is mapped", "no"),
        ],
        play: |s| Box::pin(without_device(s)),
    },
    Scenario {
        name: "image-tags-on-create",
        asks: "tag specifications of CreateImage",
        expected: &[
            agree("tags of the image", "kind=image"),
            agree("tags for a volume", "InvalidParameterValue"),
            differ(
                "tags for image and snapshots",
                "ok",
                "HTTP 500 without a code",
                Right::Simulated,
                "specifications for image and for snapshot are both taken, the latter for every snapshot [B]; moto breaks down",
            ),
            differ(
                "tags of the snapshots",
                "2 kind=disk",
                "not reached",
                Right::Simulated,
                "specifications for image and for snapshot are both taken, the latter for every snapshot [B]; moto breaks down",
            ),
        ],
        play: |s| Box::pin(tags_on_create(s)),
    },
    Scenario {
        name: "image-name",
        asks: "names that are taken, free again, or malformed",
        expected: &[
            differ(
                "a name that is taken",
                "InvalidAMIName.Duplicate",
                "ok",
                Right::Simulated,
                "names are unique by account and Region, else InvalidAMIName.Duplicate [E]; moto checks no names",
            ),
            differ(
                "two characters",
                "InvalidAMIName.Malformed",
                "ok",
                Right::Simulated,
                NAME,
            ),
            differ(
                "129 characters",
                "InvalidAMIName.Malformed",
                "ok",
                Right::Simulated,
                NAME,
            ),
            differ(
                "an asterisk",
                "InvalidAMIName.Malformed",
                "ok",
                Right::Simulated,
                NAME,
            ),
            agree("every kind of character", "ok"),
            agree("a name after deregistration", "ok"),
        ],
        play: |s| Box::pin(name(s)),
    },
    Scenario {
        name: "image-of-stopped-instance",
        asks: "an image of an instance that is stopped, terminated, or not there",
        expected: &[
            agree("stopped", "ok"),
            agree("the instance afterwards", "1 stopped"),
            differ(
                "terminated",
                "IncorrectInstanceState",
                "ok",
                Right::Simulated,
                "the instance must be running or stopped (EC2 User Guide, \"Create an Amazon EBS-backed AMI\"), else IncorrectInstanceState [E]",
            ),
            agree("missing", "InvalidInstanceID.NotFound"),
            differ(
                "malformed id",
                "InvalidInstanceID.Malformed",
                "InvalidInstanceID.NotFound",
                Right::Simulated,
                "a malformed instance id is InvalidInstanceID.Malformed [E]",
            ),
        ],
        play: |s| Box::pin(of_stopped(s)),
    },
];

async fn of_instance(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(2).await?;
    let call = s
        .ec2
        .create_image()
        .instance_id(&machine.id)
        .name("nightly");
    let answer = made(call.no_reboot(true).send().await)?;
    let image = got(answer.image_id(), "image id")?;
    let listed = made(s.ec2.describe_images().image_ids(&image).send().await)?;
    let first = listed.images().first().ok_or(Stop::Lacking("image"))?;
    s.note("first state", first.state().map_or("none", |v| v.as_str()));
    s.settle();
    let listed = made(s.ec2.describe_images().image_ids(&image).send().await)?;
    let later = listed.images().first().ok_or(Stop::Lacking("image"))?;
    s.note("state later", later.state().map_or("none", |v| v.as_str()));
    s.note("root device", later.root_device_name().unwrap_or("none"));
    s.note(
        "root device type",
        later.root_device_type().map_or("none", |v| v.as_str()),
    );
    s.note(
        "names its instance",
        yes(later.source_instance_id() == Some(&machine.id)),
    );
    s.note(
        "names the instance's image",
        yes(later.source_image_id() == Some(&machine.image)),
    );
    s.note("has a creation date", yes(later.creation_date().is_some()));
    s.note("public", later.public().unwrap_or_default());
    s.note("devices", later.block_device_mappings().len());
    let ebs: Vec<_> = later
        .block_device_mappings()
        .iter()
        .filter_map(|m| m.ebs())
        .collect();
    let sizes = ebs.iter().filter(|e| e.volume_size() == Some(SIZE)).count();
    s.note("devices of the volumes' size", sizes);
    let gone = ebs
        .iter()
        .filter(|e| e.delete_on_termination() == Some(true))
        .count();
    s.note("devices that go with an instance", gone);
    let ids = s.snapshots_of(&image).await?;
    let call = s.ec2.describe_snapshots().set_snapshot_ids(Some(ids));
    let snapshots = made(call.send().await)?;
    let of_volumes = snapshots.snapshots().iter();
    let of_volumes =
        of_volumes.filter(|x| machine.volumes.iter().any(|v| x.volume_id() == Some(v)));
    s.note("snapshots of the instance's volumes", of_volumes.count());
    let text = format!("Created by CreateImage({}) for {image}", machine.id);
    let described = snapshots.snapshots().iter();
    let described = described.filter(|x| x.description() == Some(&text));
    s.note(
        "every snapshot names instance and image",
        yes(described.count() == snapshots.snapshots().len()),
    );
    s.note(
        "states of the snapshots",
        counted(
            snapshots
                .snapshots()
                .iter()
                .map(|x| x.state().map_or("none", |v| v.as_str())),
        ),
    );
    Ok(())
}

async fn without_device(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(2).await?;
    let none = BlockDeviceMapping::builder()
        .device_name("/dev/sdf1")
        .no_device("");
    let call = s
        .ec2
        .create_image()
        .instance_id(&machine.id)
        .name("without");
    let call = call.no_reboot(true).block_device_mappings(none.build());
    let answer = made(call.send().await)?;
    s.settle();
    let image = got(answer.image_id(), "image id")?;
    let listed = made(s.ec2.describe_images().image_ids(&image).send().await)?;
    let image = listed.images().first().ok_or(Stop::Lacking("image"))?;
    let devices = image.block_device_mappings();
    s.note("devices", devices.len());
    let has = |name: &str| yes(devices.iter().any(|m| m.device_name() == Some(name)));
    s.note("the root is mapped", has(ROOT));
    s.note("the other data volume is mapped", has("/dev/sdf2"));
    s.note("the dropped one is mapped", has("/dev/sdf1"));
    Ok(())
}

async fn tags_on_create(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(1).await?;
    let call = s
        .ec2
        .create_tags()
        .resources(&machine.id)
        .tags(tag("Name", "server"));
    made(call.send().await)?;
    let image_tags = tagged(ResourceType::Image, &[("kind", "image")]);
    let call = s
        .ec2
        .create_image()
        .instance_id(&machine.id)
        .no_reboot(true);
    let call = call.name("tagged").tag_specifications(image_tags.clone());
    let image = got(made(call.send().await)?.image_id(), "image id")?;
    s.settle();
    let listed = made(s.ec2.describe_images().image_ids(image).send().await)?;
    let tags = listed.images().first().map(|i| spell(i.tags()));
    s.note("tags of the image", tags.unwrap_or_default());
    let call = s
        .ec2
        .create_image()
        .instance_id(&machine.id)
        .no_reboot(true);
    let call = call.name("of-a-volume");
    let call = call.tag_specifications(tagged(ResourceType::Volume, &[("kind", "volume")]));
    s.outcome("tags for a volume", call.send().await)?;
    let call = s
        .ec2
        .create_image()
        .instance_id(&machine.id)
        .no_reboot(true);
    let call = call.name("both").tag_specifications(image_tags);
    let call = call.tag_specifications(tagged(ResourceType::Snapshot, &[("kind", "disk")]));
    let Some(both) = s.outcome("tags for image and snapshots", call.send().await)? else {
        return Ok(());
    };
    s.settle();
    let ids = s.snapshots_of(both.image_id().unwrap_or_default()).await?;
    let call = s.ec2.describe_snapshots().set_snapshot_ids(Some(ids));
    s.hear("tags of the snapshots", call.send().await, |l| {
        counted(l.snapshots().iter().map(|x| spell(x.tags())))
    })?;
    Ok(())
}

async fn name(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let first = s.image_of(&machine.id, "twice").await?;
    let long = "x".repeat(129);
    for (asked, name) in [
        ("a name that is taken", "twice"),
        ("two characters", "ab"),
        ("129 characters", long.as_str()),
        ("an asterisk", "night*"),
        ("every kind of character", "holdfast/a-b_c.(d)/1"),
    ] {
        let call = s.ec2.create_image().instance_id(&machine.id).name(name);
        s.outcome(asked, call.no_reboot(true).send().await)?;
        s.settle();
    }
    made(s.ec2.deregister_image().image_id(first).send().await)?;
    s.settle();
    let call = s.ec2.create_image().instance_id(&machine.id).name("twice");
    s.outcome(
        "a name after deregistration",
        call.no_reboot(true).send().await,
    )?;
    Ok(())
}

async fn of_stopped(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let ec2 = s.ec2.clone();
    let image = |id: &str, name: &str| ec2.create_image().instance_id(id).name(name);
    made(
        s.ec2
            .stop_instances()
            .instance_ids(&machine.id)
            .send()
            .await,
    )?;
    s.settle();
    s.outcome("stopped", image(&machine.id, "stopped").send().await)?;
    s.settle();
    let call = s.ec2.describe_instances().instance_ids(&machine.id);
    s.hear("the instance afterwards", call.send().await, |l| {
        let states = l.reservations().iter().flat_map(|r| r.instances());
        counted(states.filter_map(|i| Some(i.state()?.name()?.as_str().to_owned())))
    })?;
    made(
        s.ec2
            .terminate_instances()
            .instance_ids(&machine.id)
            .send()
            .await,
    )?;
    s.settle();
    s.outcome("terminated", image(&machine.id, "terminated").send().await)?;
    let missing = format!("i-{NOTHING}");
    s.outcome("missing", image(&missing, "missing").send().await)?;
    s.outcome("malformed id", image("server", "malformed").send().await)?;
    Ok(())
}
