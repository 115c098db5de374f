//! `CreateTags`, `DeleteTags`, `DescribeTags`.

use aws_sdk_ec2::types::Tag;

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, counted, filter, spell, tag};
use crate::stage::{Stage, Stop};

const TAG_LENGTH: &str =
    "keys have at most 128 characters, values 256 (EC2 User Guide, \"Tag restrictions\")";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "tags-of-snapshot",
        asks: "adding, changing and removing a snapshot's tags",
        expected: &[
            agree("adding c and changing b", "ok"),
            agree("tags then", "a=1 b=3 c=4"),
            agree("removing c by its key", "ok"),
            agree("removing b with another value", "ok"),
            agree("removing a with its value", "ok"),
            agree("removing what it has not", "ok"),
            agree("tags in the end", "b=3"),
            agree("DescribeTags", "1 snapshot b=3"),
        ],
        play: |s| Box::pin(of_snapshot(s)),
    },
    Scenario {
        name: "tags-refused",
        asks: "tags and resources that CreateTags and DeleteTags refuse",
        expected: &[
            differ(
                "a key with aws:",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                "keys with aws: are reserved (EC2 User Guide, \"Tag restrictions\"); EC2 says InvalidParameterValue, though [E] has InvalidTagKey.Malformed too",
            ),
            differ(
                "a key of 129 characters",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                TAG_LENGTH,
            ),
            differ(
                "a value of 257 characters",
                "InvalidParameterValue",
                "ok",
                Right::Simulated,
                TAG_LENGTH,
            ),
            agree("51 tags in all", "TagLimitExceeded"),
            agree("50 tags in all", "ok"),
            agree("a missing snapshot", "InvalidSnapshot.NotFound"),
            differ(
                "no tag at all",
                "MissingParameter",
                "ok",
                Right::Simulated,
                "Tags is required [B], so that a call without any is MissingParameter [E]",
            ),
            differ(
                "removing a key with aws:",
                "InvalidParameterValue",
                "ok",
                Right::Unknown,
                "such tags cannot be removed (EC2 User Guide, \"Tag restrictions\"); what EC2 says where there is none is not documented",
            ),
        ],
        play: |s| Box::pin(refused(s)),
    },
];

impl Stage {
    async fn tags_of(&mut self, asked: &'static str, id: &str) -> Result<(), Stop> {
        let result = self.ec2.describe_snapshots().snapshot_ids(id).send().await;
        self.hear(asked, result, |l| {
            let snapshot = l.snapshots().first();
            snapshot.map_or("not there".to_owned(), |x| spell(x.tags()))
        })?;
        Ok(())
    }
}

async fn of_snapshot(s: &mut Stage) -> Result<(), Stop> {
    let id = s.snapshot(&[("a", "1"), ("b", "2")]).await?;
    let ec2 = s.ec2.clone();
    let remove = |tag: Tag| ec2.delete_tags().resources(&id).tags(tag);
    let call = ec2.create_tags().resources(&id).tags(tag("b", "3"));
    s.outcome(
        "adding c and changing b",
        call.tags(tag("c", "4")).send().await,
    )?;
    s.tags_of("tags then", &id).await?;
    let key_alone = Tag::builder().key("c").build();
    s.outcome("removing c by its key", remove(key_alone).send().await)?;
    s.outcome(
        "removing b with another value",
        remove(tag("b", "2")).send().await,
    )?;
    s.outcome(
        "removing a with its value",
        remove(tag("a", "1")).send().await,
    )?;
    s.outcome(
        "removing what it has not",
        remove(tag("z", "1")).send().await,
    )?;
    s.tags_of("tags in the end", &id).await?;
    let call = s.ec2.describe_tags().filters(filter("resource-id", &[&id]));
    s.hear("DescribeTags", call.send().await, |l| {
        counted(l.tags().iter().map(|t| {
            format!(
                "{} {}={}",
                t.resource_type().map_or("none", |v| v.as_str()),
                t.key().unwrap_or("?"),
                t.value().unwrap_or("?")
            )
        }))
    })?;
    Ok(())
}

async fn refused(s: &mut Stage) -> Result<(), Stop> {
    let id = s.snapshot(&[("a", "1")]).await?;
    let ec2 = s.ec2.clone();
    let add = |id: &str| ec2.create_tags().resources(id);
    s.outcome(
        "a key with aws:",
        add(&id).tags(tag("aws:x", "1")).send().await,
    )?;
    let long = "k".repeat(129);
    s.outcome(
        "a key of 129 characters",
        add(&id).tags(tag(&long, "1")).send().await,
    )?;
    let long = "v".repeat(257);
    s.outcome(
        "a value of 257 characters",
        add(&id).tags(tag("v", &long)).send().await,
    )?;
    let many = |n: usize| {
        Some(
            (0..n)
                .map(|n| tag(&format!("k{n}"), "v"))
                .collect::<Vec<_>>(),
        )
    };
    // One that has none but what both sides gave it.
    let id = s.snapshot(&[("a", "1")]).await?;
    s.outcome("51 tags in all", add(&id).set_tags(many(50)).send().await)?;
    s.outcome("50 tags in all", add(&id).set_tags(many(49)).send().await)?;
    let missing = format!("snap-{NOTHING}");
    s.outcome(
        "a missing snapshot",
        add(&missing).tags(tag("b", "1")).send().await,
    )?;
    s.outcome("no tag at all", add(&id).send().await)?;
    let call = ec2.delete_tags().resources(&id).tags(tag("aws:x", "1"));
    s.outcome("removing a key with aws:", call.send().await)?;
    Ok(())
}
