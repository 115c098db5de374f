//! `CreateSnapshots`: the volumes of one instance, at one point in time.

use aws_sdk_ec2::operation::create_snapshots::builders::CreateSnapshotsFluentBuilder;
use aws_sdk_ec2::types::{CopyTagsFromSource, InstanceSpecification, ResourceType, SnapshotInfo};

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, spell, tag, tagged, yes};
use crate::stage::{Stage, Stop, made};

const EXCLUDES: &str = "ExcludeDataVolumeIds leaves volumes out [B]; moto ignores it";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "set-of-instance",
        asks: "one crash-consistent set of an instance's three volumes",
        expected: &[
            agree("members", "3"),
            agree("volumes in it", "3"),
            differ(
                "first states",
                "3 pending",
                "3 none",
                Right::Simulated,
                "every member begins as pending and its State says so [B]; moto sends none",
            ),
            agree("descriptions", "3 nightly"),
            agree("tags", "3 set=1"),
            agree("begun within a second", "yes"),
            agree("states later", "3 completed"),
        ],
        play: |s| Box::pin(of_instance(s)),
    },
    Scenario {
        name: "set-without-data-volume",
        asks: "ExcludeDataVolumeIds",
        expected: &[
            differ("members", "2", "3", Right::Simulated, EXCLUDES),
            differ(
                "the excluded one is in it",
                "no",
                "yes",
                Right::Simulated,
                EXCLUDES,
            ),
            agree("the root is in it", "yes"),
            differ(
                "the root volume named as a data volume",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "the root volume can only be left out by ExcludeBootVolume; named here the request fails [B]",
            ),
            differ(
                "a volume that is not attached",
                "InvalidParameterValue",
                "ok",
                Right::Unknown,
                "not documented; that EC2 refuses it is assumed",
            ),
        ],
        play: |s| Box::pin(without_data_volume(s)),
    },
    Scenario {
        name: "set-without-boot-volume",
        asks: "ExcludeBootVolume",
        expected: &[
            agree("members", "2"),
            agree("the root is in it", "no"),
            differ(
                "of an instance with a root alone",
                "InvalidParameterCombination",
                "0 members",
                Right::Unknown,
                "not documented; that a set of nothing is refused is assumed",
            ),
        ],
        play: |s| Box::pin(without_boot_volume(s)),
    },
    Scenario {
        name: "set-copies-tags",
        asks: "CopyTagsFromSource=volume, with tags of its own",
        expected: &[
            differ(
                "tags",
                "1 Name=data set=1, 1 Name=system set=1",
                "2 set=1",
                Right::Simulated,
                "CopyTagsFromSource=volume gives each member the tags of its volume [B]; moto ignores it",
            ),
            differ(
                "a key that the volume has as well",
                "InvalidParameterValue",
                "ok",
                Right::Unknown,
                "not documented; that EC2 refuses a key from both sides is assumed",
            ),
        ],
        play: |s| Box::pin(copies_tags(s)),
    },
    Scenario {
        name: "set-of-no-instance",
        asks: "a set of an instance that is not there, or no more",
        expected: &[
            agree("missing", "InvalidInstanceID.NotFound"),
            differ(
                "malformed id",
                "InvalidInstanceID.Malformed",
                "InvalidInstanceID.NotFound",
                Right::Simulated,
                "a malformed instance id is InvalidInstanceID.Malformed [E]",
            ),
            agree("stopped", "2 members"),
            differ(
                "terminated",
                "IncorrectInstanceState",
                "0 members",
                Right::Simulated,
                "a terminated instance has no volumes and is in no state for it: IncorrectInstanceState [E]; moto takes a set of nothing",
            ),
        ],
        play: |s| Box::pin(of_no_instance(s)),
    },
];

impl Stage {
    fn set_of(&self, of: InstanceSpecification) -> CreateSnapshotsFluentBuilder {
        self.ec2.create_snapshots().instance_specification(of)
    }
}

fn of(instance: &str) -> aws_sdk_ec2::types::builders::InstanceSpecificationBuilder {
    InstanceSpecification::builder().instance_id(instance)
}

fn includes(set: &[SnapshotInfo], volume: &str) -> &'static str {
    yes(set.iter().any(|m| m.volume_id() == Some(volume)))
}

async fn of_instance(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(2).await?;
    let call = s.set_of(of(&machine.id).build()).description("nightly");
    let call = call.tag_specifications(tagged(ResourceType::Snapshot, &[("set", "1")]));
    let made = made(call.send().await)?;
    let set = made.snapshots();
    s.note("members", set.len());
    let each = machine.volumes.iter();
    let whole = each.filter(|v| includes(set, v) == "yes").count();
    s.note("volumes in it", whole);
    s.note(
        "first states",
        counted(set.iter().map(|m| m.state().map_or("none", |v| v.as_str()))),
    );
    s.note(
        "descriptions",
        counted(set.iter().map(|m| m.description().unwrap_or("none"))),
    );
    s.note("tags", counted(set.iter().map(|m| spell(m.tags()))));
    // To the second: how moto's own clock falls between two members is chance.
    let times: Vec<i64> = set
        .iter()
        .filter_map(|m| Some(m.start_time()?.secs()))
        .collect();
    let spread = times
        .iter()
        .max()
        .zip(times.iter().min())
        .map(|(a, b)| a - b);
    s.note("begun within a second", yes(spread.is_some_and(|d| d <= 1)));
    s.settle();
    let ids = set
        .iter()
        .filter_map(|m| m.snapshot_id().map(str::to_owned));
    let call = s
        .ec2
        .describe_snapshots()
        .set_snapshot_ids(Some(ids.collect()));
    s.hear("states later", call.send().await, |l| {
        counted(
            l.snapshots()
                .iter()
                .map(|m| m.state().map_or("none", |v| v.as_str())),
        )
    })?;
    Ok(())
}

async fn without_data_volume(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(2).await?;
    let [root, data, ..] = machine.volumes.as_slice() else {
        return Err(Stop::Lacking("data volume"));
    };
    let call = s.set_of(of(&machine.id).exclude_data_volume_ids(data).build());
    let made = made(call.send().await)?;
    s.note("members", made.snapshots().len());
    s.note(
        "the excluded one is in it",
        includes(made.snapshots(), data),
    );
    s.note("the root is in it", includes(made.snapshots(), root));
    s.settle();
    let call = s.set_of(of(&machine.id).exclude_data_volume_ids(root).build());
    s.outcome("the root volume named as a data volume", call.send().await)?;
    s.settle();
    let stranger = s.volume().await?;
    let call = s.set_of(of(&machine.id).exclude_data_volume_ids(stranger).build());
    s.outcome("a volume that is not attached", call.send().await)?;
    Ok(())
}

async fn without_boot_volume(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(2).await?;
    let call = s.set_of(of(&machine.id).exclude_boot_volume(true).build());
    let made = made(call.send().await)?;
    s.note("members", made.snapshots().len());
    let root = machine
        .volumes
        .first()
        .ok_or(Stop::Lacking("root volume"))?;
    s.note("the root is in it", includes(made.snapshots(), root));
    s.settle();
    let bare = s.instance_of(&machine.image, 0).await?;
    let call = s.set_of(of(&bare.id).exclude_boot_volume(true).build());
    let result = call.send().await;
    s.hear("of an instance with a root alone", result, |set| {
        format!("{} members", set.snapshots().len())
    })?;
    Ok(())
}

async fn copies_tags(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(1).await?;
    for (volume, name) in machine.volumes.iter().zip(["system", "data"]) {
        let call = s
            .ec2
            .create_tags()
            .resources(volume)
            .tags(tag("Name", name));
        made(call.send().await)?;
    }
    let own = tagged(ResourceType::Snapshot, &[("set", "1")]);
    let call = s.set_of(of(&machine.id).build()).tag_specifications(own);
    let call = call.copy_tags_from_source(CopyTagsFromSource::Volume);
    let made = made(call.send().await)?;
    let tags = counted(made.snapshots().iter().map(|m| spell(m.tags())));
    s.note("tags", tags);
    s.settle();
    let own = tagged(ResourceType::Snapshot, &[("Name", "mine")]);
    let call = s.set_of(of(&machine.id).build()).tag_specifications(own);
    let call = call.copy_tags_from_source(CopyTagsFromSource::Volume);
    s.outcome("a key that the volume has as well", call.send().await)?;
    Ok(())
}

async fn of_no_instance(s: &mut Stage) -> Result<(), Stop> {
    let call = s.set_of(of(&format!("i-{NOTHING}")).build());
    s.outcome("missing", call.send().await)?;
    let call = s.set_of(of("server").build());
    s.outcome("malformed id", call.send().await)?;
    let machine = s.instance(1).await?;
    made(
        s.ec2
            .stop_instances()
            .instance_ids(&machine.id)
            .send()
            .await,
    )?;
    s.settle();
    let result = s.set_of(of(&machine.id).build()).send().await;
    s.hear("stopped", result, |set| {
        format!("{} members", set.snapshots().len())
    })?;
    s.settle();
    made(
        s.ec2
            .terminate_instances()
            .instance_ids(&machine.id)
            .send()
            .await,
    )?;
    s.settle();
    let result = s.set_of(of(&machine.id).build()).send().await;
    s.hear("terminated", result, |set| {
        format!("{} members", set.snapshots().len())
    })?;
    Ok(())
}
