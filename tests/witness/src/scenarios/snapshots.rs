//! `CreateSnapshot` and `DeleteSnapshot`.

use aws_sdk_ec2::types::ResourceType;

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, got, spell, tag, tagged};
use crate::stage::{Stage, Stop, ZONE, made};

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "snapshot-of-volume",
        asks: "a snapshot of one volume, from the answer of the call to its completion",
        expected: &[
            agree("its volume is the one named", "true"),
            differ(
                "first state",
                "pending",
                "completed",
                Right::Simulated,
                "a snapshot is pending until its data is copied ([B] SnapshotState; EBS User Guide, \"Create snapshots\"); moto has no time",
            ),
            agree("size", "8"),
            agree("description", "a disk"),
            agree("has a start time", "true"),
            agree("tags in the answer", "Env=prod Name=db"),
            agree("state later", "completed"),
            agree("progress later", "100%"),
            agree("tags later", "Env=prod Name=db"),
            differ(
                "has a completion time",
                "true",
                "false",
                Right::Simulated,
                "a completed snapshot has a CompletionTime [B]; moto does not send it",
            ),
            differ(
                "storage tier",
                "standard",
                "none",
                Right::Simulated,
                "StorageTier is standard or archive [B]; moto does not send it",
            ),
        ],
        play: |s| Box::pin(of_volume(s)),
    },
    Scenario {
        name: "snapshot-of-no-volume",
        asks: "a snapshot of a volume that does not exist, or of no volume at all",
        expected: &[
            agree("missing volume", "InvalidVolume.NotFound"),
            differ(
                "malformed volume id",
                "InvalidParameterValue",
                "InvalidVolume.NotFound",
                Right::Simulated,
                "EC2 answered InvalidParameterValue to a malformed volume id (aws-missing-tools issue #59)",
            ),
        ],
        play: |s| Box::pin(of_no_volume(s)),
    },
    Scenario {
        name: "snapshot-tags-on-create",
        asks: "what tag specifications CreateSnapshot refuses",
        expected: &[
            agree("50 tags", "ok"),
            agree("51 tags", "TagLimitExceeded"),
            differ(
                "a key with aws:",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "keys with aws: are reserved (EC2 User Guide, \"Tag restrictions\"); EC2 says InvalidParameterValue, though [E] has InvalidTagKey.Malformed too",
            ),
            differ(
                "tags for a volume",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "the call makes a snapshot, so that the resource type must be snapshot [B]; moto ignores others",
            ),
        ],
        play: |s| Box::pin(tags_on_create(s)),
    },
    Scenario {
        name: "snapshot-description",
        asks: "how long a description may be",
        expected: &[
            agree("255 characters", "ok"),
            differ(
                "256 characters",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "EC2 refuses more than 255 characters with InvalidParameterValue (bottlerocket-images-cache issue #8)",
            ),
        ],
        play: |s| Box::pin(description(s)),
    },
    Scenario {
        name: "snapshots-too-near",
        asks: "a second snapshot of the same volume in the same moment",
        expected: &[
            agree("the first", "ok"),
            differ(
                "the second at once",
                "SnapshotCreationPerVolumeRateExceeded",
                "ok",
                Right::Simulated,
                "15 seconds must lie between two snapshots of a volume, else SnapshotCreationPerVolumeRateExceeded [E]",
            ),
            agree("one later", "ok"),
        ],
        play: |s| Box::pin(too_near(s)),
    },
    Scenario {
        name: "snapshot-encryption",
        asks: "whether encryption goes from volume to snapshot to volume",
        expected: &[
            agree("volume", "true"),
            agree("its snapshot", "true"),
            agree("a volume of that", "true"),
        ],
        play: |s| Box::pin(encryption(s)),
    },
    Scenario {
        name: "snapshot-outlives-volume",
        asks: "a snapshot whose volume is deleted",
        expected: &[
            agree("listed afterwards", "1"),
            agree("size of a volume made of it", "8"),
            agree("a snapshot of the deleted volume", "InvalidVolume.NotFound"),
        ],
        play: |s| Box::pin(outlives_volume(s)),
    },
    Scenario {
        name: "snapshot-deletion",
        asks: "deleting a snapshot, twice, by a wrong identifier, and while it is pending",
        expected: &[
            agree("the first time", "ok"),
            agree("the second time", "InvalidSnapshot.NotFound"),
            agree("one that never was", "InvalidSnapshot.NotFound"),
            differ(
                "malformed id",
                "InvalidSnapshotID.Malformed",
                "InvalidSnapshot.NotFound",
                Right::Simulated,
                "a malformed snapshot id is InvalidSnapshotID.Malformed [E]",
            ),
            agree("right after its creation", "ok"),
            agree("tagging what is deleted", "InvalidSnapshot.NotFound"),
            agree("listing what is deleted", "InvalidSnapshot.NotFound"),
        ],
        play: |s| Box::pin(deletion(s)),
    },
];

async fn of_volume(s: &mut Stage) -> Result<(), Stop> {
    let volume = s.volume().await?;
    let call = s
        .ec2
        .create_snapshot()
        .volume_id(&volume)
        .description("a disk");
    let call = call.tag_specifications(tagged(
        ResourceType::Snapshot,
        &[("Name", "db"), ("Env", "prod")],
    ));
    let snapshot = made(call.send().await)?;
    let named = snapshot.volume_id() == Some(volume.as_str());
    s.note("its volume is the one named", named);
    s.note(
        "first state",
        snapshot.state().map_or("none", |v| v.as_str()),
    );
    s.note("size", snapshot.volume_size().unwrap_or_default());
    s.note("description", snapshot.description().unwrap_or("none"));
    s.note("has a start time", snapshot.start_time().is_some());
    s.note("tags in the answer", spell(snapshot.tags()));
    s.settle();
    let id = got(snapshot.snapshot_id(), "snapshot id")?;
    let listed = made(s.ec2.describe_snapshots().snapshot_ids(id).send().await)?;
    let later = listed
        .snapshots()
        .first()
        .ok_or(Stop::Lacking("snapshot"))?;
    s.note("state later", later.state().map_or("none", |v| v.as_str()));
    s.note("progress later", later.progress().unwrap_or("none"));
    s.note("tags later", spell(later.tags()));
    s.note("has a completion time", later.completion_time().is_some());
    s.note(
        "storage tier",
        later.storage_tier().map_or("none", |v| v.as_str()),
    );
    Ok(())
}

async fn of_no_volume(s: &mut Stage) -> Result<(), Stop> {
    let missing = format!("vol-{NOTHING}");
    let result = s.ec2.create_snapshot().volume_id(missing).send().await;
    s.outcome("missing volume", result)?;
    let result = s.ec2.create_snapshot().volume_id("disk").send().await;
    s.outcome("malformed volume id", result)?;
    Ok(())
}

async fn tags_on_create(s: &mut Stage) -> Result<(), Stop> {
    let pairs: Vec<(String, String)> = (0..51).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    let all: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    for (asked, kind, tags) in [
        ("50 tags", ResourceType::Snapshot, &all[..50]),
        ("51 tags", ResourceType::Snapshot, &all[..]),
        (
            "a key with aws:",
            ResourceType::Snapshot,
            &[("aws:x", "v")][..],
        ),
        (
            "tags for a volume",
            ResourceType::Volume,
            &[("Name", "db")][..],
        ),
    ] {
        let volume = s.volume().await?;
        let call = s.ec2.create_snapshot().volume_id(volume);
        let result = call.tag_specifications(tagged(kind, tags)).send().await;
        s.outcome(asked, result)?;
    }
    Ok(())
}

async fn description(s: &mut Stage) -> Result<(), Stop> {
    for (asked, length) in [("255 characters", 255), ("256 characters", 256)] {
        let volume = s.volume().await?;
        let call = s.ec2.create_snapshot().volume_id(volume);
        let result = call.description("x".repeat(length)).send().await;
        s.outcome(asked, result)?;
    }
    Ok(())
}

async fn too_near(s: &mut Stage) -> Result<(), Stop> {
    let volume = s.volume().await?;
    for asked in ["the first", "the second at once"] {
        let result = s.ec2.create_snapshot().volume_id(&volume).send().await;
        s.outcome(asked, result)?;
    }
    s.settle();
    let result = s.ec2.create_snapshot().volume_id(&volume).send().await;
    s.outcome("one later", result)?;
    Ok(())
}

async fn encryption(s: &mut Stage) -> Result<(), Stop> {
    let call = s.ec2.create_volume().availability_zone(ZONE).size(8);
    let volume = made(call.encrypted(true).send().await)?;
    s.note("volume", volume.encrypted().unwrap_or_default());
    s.settle();
    let volume = got(volume.volume_id(), "volume id")?;
    let snapshot = made(s.ec2.create_snapshot().volume_id(volume).send().await)?;
    s.note("its snapshot", snapshot.encrypted().unwrap_or_default());
    s.settle();
    let call = s.ec2.create_volume().availability_zone(ZONE);
    let snapshot = got(snapshot.snapshot_id(), "snapshot id")?;
    let restored = made(call.snapshot_id(snapshot).send().await)?;
    s.note("a volume of that", restored.encrypted().unwrap_or_default());
    Ok(())
}

async fn outlives_volume(s: &mut Stage) -> Result<(), Stop> {
    let volume = s.volume().await?;
    let snapshot = s.snapshot_of(&volume).await?;
    made(s.ec2.delete_volume().volume_id(&volume).send().await)?;
    s.settle();
    let result = s
        .ec2
        .describe_snapshots()
        .snapshot_ids(&snapshot)
        .send()
        .await;
    s.hear("listed afterwards", result, |l| {
        l.snapshots().len().to_string()
    })?;
    let call = s.ec2.create_volume().availability_zone(ZONE);
    let result = call.snapshot_id(&snapshot).send().await;
    s.hear("size of a volume made of it", result, |v| {
        v.size().unwrap_or_default().to_string()
    })?;
    let result = s.ec2.create_snapshot().volume_id(&volume).send().await;
    s.outcome("a snapshot of the deleted volume", result)?;
    Ok(())
}

async fn deletion(s: &mut Stage) -> Result<(), Stop> {
    let id = s.snapshot(&[]).await?;
    for asked in ["the first time", "the second time"] {
        let result = s.ec2.delete_snapshot().snapshot_id(&id).send().await;
        s.outcome(asked, result)?;
    }
    let missing = format!("snap-{NOTHING}");
    let result = s.ec2.delete_snapshot().snapshot_id(missing).send().await;
    s.outcome("one that never was", result)?;
    let result = s.ec2.delete_snapshot().snapshot_id("snap").send().await;
    s.outcome("malformed id", result)?;
    let volume = s.volume().await?;
    let pending = made(s.ec2.create_snapshot().volume_id(volume).send().await)?;
    let pending = got(pending.snapshot_id(), "snapshot id")?;
    let result = s.ec2.delete_snapshot().snapshot_id(&pending).send().await;
    s.outcome("right after its creation", result)?;
    s.settle();
    let call = s.ec2.create_tags().resources(&pending).tags(tag("a", "b"));
    s.outcome("tagging what is deleted", call.send().await)?;
    let result = s
        .ec2
        .describe_snapshots()
        .snapshot_ids(&pending)
        .send()
        .await;
    s.hear("listing what is deleted", result, |l| {
        l.snapshots().len().to_string()
    })?;
    Ok(())
}
