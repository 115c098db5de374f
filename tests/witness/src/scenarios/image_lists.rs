//! `DescribeImages`: filters and identifiers.

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, filter, tag};
use crate::stage::{Stage, Stop, made};

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "images-by-filter",
        asks: "filters of DescribeImages",
        expected: &[
            agree("name=night/1", "1"),
            agree("name=night/*", "2"),
            agree("image-id", "2"),
            agree("tag:keep=yes", "1"),
            agree("state=available", "3"),
            agree("state=pending", "0"),
            agree("source-instance-id", "2"),
            agree("is-public=false", "3"),
            differ(
                "block-device-mapping.snapshot-id",
                "1",
                "HTTP 500 without a code",
                Right::Simulated,
                "[B] lists the filter; moto breaks down on what it does not model",
            ),
            differ(
                "an unknown name",
                "InvalidParameterValue",
                "HTTP 500 without a code",
                Right::Simulated,
                "EC2 refuses filters that it does not know (\"The filter 'colour' is invalid\"); moto breaks down on what it does not model",
            ),
            agree("of another account", "0"),
        ],
        play: |s| Box::pin(by_filter(s)),
    },
    Scenario {
        name: "images-by-id",
        asks: "asking for an image that is not there, by identifier and by filter",
        expected: &[
            agree("one that is there", "1"),
            agree("a missing one", "InvalidAMIID.NotFound"),
            differ(
                "one that is there and a missing one",
                "InvalidAMIID.NotFound",
                "1",
                Right::Simulated,
                "any identifier that does not exist fails the call with InvalidAMIID.NotFound [E]; moto gives the rest",
            ),
            agree("a deregistered one", "0"),
            agree("malformed id", "InvalidAMIID.Malformed"),
            agree("all three by filter", "1"),
        ],
        play: |s| Box::pin(by_id(s)),
    },
];

async fn by_filter(s: &mut Stage) -> Result<(), Stop> {
    let machine = s.instance(0).await?;
    let one = s.image_of(&machine.id, "night/1").await?;
    let two = s.image_of(&machine.id, "night/2").await?;
    made(
        s.ec2
            .create_tags()
            .resources(&one)
            .tags(tag("keep", "yes"))
            .send()
            .await,
    )?;
    let snapshots = s.snapshots_of(&two).await?;
    let snapshot = snapshots.first().ok_or(Stop::Lacking("snapshot"))?;
    for (asked, filters) in [
        ("name=night/1", vec![filter("name", &["night/1"])]),
        ("name=night/*", vec![filter("name", &["night/*"])]),
        ("image-id", vec![filter("image-id", &[&one, &two])]),
        ("tag:keep=yes", vec![filter("tag:keep", &["yes"])]),
        ("state=available", vec![filter("state", &["available"])]),
        ("state=pending", vec![filter("state", &["pending"])]),
        (
            "source-instance-id",
            vec![filter("source-instance-id", &[&machine.id])],
        ),
        ("is-public=false", vec![filter("is-public", &["false"])]),
        (
            "block-device-mapping.snapshot-id",
            vec![filter("block-device-mapping.snapshot-id", &[snapshot])],
        ),
        ("an unknown name", vec![filter("colour", &["red"])]),
    ] {
        let call = s
            .ec2
            .describe_images()
            .owners("self")
            .set_filters(Some(filters));
        s.hear(asked, call.send().await, |l| l.images().len().to_string())?;
    }
    let call = s.ec2.describe_images().owners("999988887777");
    s.hear("of another account", call.send().await, |l| {
        l.images().len().to_string()
    })?;
    Ok(())
}

async fn by_id(s: &mut Stage) -> Result<(), Stop> {
    let there = s.image("there").await?;
    let gone = s.image("gone").await?;
    made(s.ec2.deregister_image().image_id(&gone).send().await)?;
    s.settle();
    let missing = format!("ami-{NOTHING}");
    for (asked, ids) in [
        ("one that is there", vec![there.clone()]),
        ("a missing one", vec![missing.clone()]),
        (
            "one that is there and a missing one",
            vec![there.clone(), missing.clone()],
        ),
        ("a deregistered one", vec![gone.clone()]),
        ("malformed id", vec!["image".to_owned()]),
    ] {
        let call = s.ec2.describe_images().set_image_ids(Some(ids));
        s.hear(asked, call.send().await, |l| l.images().len().to_string())?;
    }
    let call = s.ec2.describe_images();
    let call = call.filters(filter("image-id", &[&there, &gone, &missing]));
    s.hear("all three by filter", call.send().await, |l| {
        l.images().len().to_string()
    })?;
    Ok(())
}
