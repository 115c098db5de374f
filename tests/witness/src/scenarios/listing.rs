//! `DescribeSnapshots`: filters, owners, identifiers and pages.

use crate::expectation::{Right, agree, differ};
use crate::scenario::Scenario;
use crate::set_up::{NOTHING, filter, yes};
use crate::stage::{Stage, Stop, made};

const NO_PAGES: &str = "MaxResults gives pages with a NextToken [B]; moto always gives everything";

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "snapshots-by-filter",
        asks: "filters, their wildcards, and how they add up",
        expected: &[
            agree("of a volume", "1"),
            agree("tag:Name=db-1", "1"),
            agree("tag:Name=db*", "2"),
            agree("tag:Name=db-?", "2"),
            agree("tag:Name=DB-1", "0"),
            agree("tag:name=db-1", "0"),
            agree("tag-key=Env", "3"),
            agree("Name of two values", "2"),
            agree("Name and Env", "1"),
            agree("completed ones with Env", "3"),
            agree("pending ones", "0"),
        ],
        play: |s| Box::pin(by_filter(s)),
    },
    Scenario {
        name: "snapshots-by-wrong-filter",
        asks: "filters that EC2 refuses",
        expected: &[
            differ(
                "an unknown name",
                "InvalidParameterValue",
                "HTTP 500 without a code",
                Right::Simulated,
                "EC2 refuses filters that it does not know (\"The filter 'colour' is invalid\"); moto breaks down on what it does not model",
            ),
            agree("200 values", "0"),
            differ(
                "201 values",
                "FilterLimitExceeded",
                "0",
                Right::Simulated,
                "at most 200 values a filter, else FilterLimitExceeded (EC2 User Guide, \"Filter your resources\"; [E])",
            ),
        ],
        play: |s| Box::pin(by_wrong_filter(s)),
    },
    Scenario {
        name: "snapshots-by-owner",
        asks: "OwnerIds",
        expected: &[
            agree("self", "1"),
            differ(
                "another account",
                "0",
                "1",
                Right::Simulated,
                "OwnerIds scopes the list to those owners [B]; moto ignores it",
            ),
        ],
        play: |s| Box::pin(by_owner(s)),
    },
    Scenario {
        name: "snapshots-by-id",
        asks: "asking for a snapshot that is not there, by identifier and by filter",
        expected: &[
            agree("one that is there", "1"),
            agree("a missing one", "InvalidSnapshot.NotFound"),
            agree("both", "InvalidSnapshot.NotFound"),
            differ(
                "malformed id",
                "InvalidSnapshotID.Malformed",
                "InvalidSnapshot.NotFound",
                Right::Simulated,
                "a malformed snapshot id is InvalidSnapshotID.Malformed [E]",
            ),
            agree("both by filter", "1"),
        ],
        play: |s| Box::pin(by_id(s)),
    },
    Scenario {
        name: "snapshot-pages",
        asks: "seven snapshots in pages of five",
        expected: &[
            differ("on the first page", "5", "7", Right::Simulated, NO_PAGES),
            differ("a token follows", "yes", "no", Right::Simulated, NO_PAGES),
            differ(
                "on the second page",
                "2",
                "not reached",
                Right::Simulated,
                NO_PAGES,
            ),
            differ(
                "a third follows",
                "no",
                "not reached",
                Right::Simulated,
                NO_PAGES,
            ),
            differ(
                "MaxResults of 4",
                "InvalidParameterValue",
                "7",
                Right::Unknown,
                "older API versions say between 5 and 1,000; today's [B] gives no range, and [E] also has InvalidMaxResults",
            ),
            differ(
                "a token of rubbish",
                "InvalidPaginationToken",
                "7",
                Right::Unknown,
                "[E] has InvalidPaginationToken and InvalidNextToken and does not say which call gives which",
            ),
            differ(
                "MaxResults with identifiers",
                "InvalidParameterCombination",
                "7",
                Right::Simulated,
                "identifiers and MaxResults exclude one another [B]; moto ignores MaxResults",
            ),
        ],
        play: |s| Box::pin(pages(s)),
    },
];

async fn by_filter(s: &mut Stage) -> Result<(), Stop> {
    let volume = s.volume().await?;
    s.snapshot_of(&volume).await?;
    s.snapshot(&[("Name", "db-1"), ("Env", "prod")]).await?;
    s.snapshot(&[("Name", "db-2"), ("Env", "test")]).await?;
    s.snapshot(&[("Name", "web"), ("Env", "prod")]).await?;
    for (asked, filters) in [
        ("of a volume", vec![filter("volume-id", &[&volume])]),
        ("tag:Name=db-1", vec![filter("tag:Name", &["db-1"])]),
        ("tag:Name=db*", vec![filter("tag:Name", &["db*"])]),
        ("tag:Name=db-?", vec![filter("tag:Name", &["db-?"])]),
        ("tag:Name=DB-1", vec![filter("tag:Name", &["DB-1"])]),
        ("tag:name=db-1", vec![filter("tag:name", &["db-1"])]),
        ("tag-key=Env", vec![filter("tag-key", &["Env"])]),
        (
            "Name of two values",
            vec![filter("tag:Name", &["db-1", "web"])],
        ),
        (
            "Name and Env",
            vec![filter("tag:Name", &["db*"]), filter("tag:Env", &["prod"])],
        ),
        (
            "completed ones with Env",
            vec![
                filter("status", &["completed"]),
                filter("tag-key", &["Env"]),
            ],
        ),
        ("pending ones", vec![filter("status", &["pending"])]),
    ] {
        let call = s.ec2.describe_snapshots().owner_ids("self");
        let result = call.set_filters(Some(filters)).send().await;
        s.hear(asked, result, |l| l.snapshots().len().to_string())?;
    }
    Ok(())
}

async fn by_wrong_filter(s: &mut Stage) -> Result<(), Stop> {
    s.snapshot(&[]).await?;
    let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (asked, filters) in [
        ("an unknown name", vec![filter("colour", &["red"])]),
        ("200 values", vec![filter("tag:Name", &many[..200])]),
        ("201 values", vec![filter("tag:Name", &many)]),
    ] {
        let call = s.ec2.describe_snapshots().owner_ids("self");
        let result = call.set_filters(Some(filters)).send().await;
        s.hear(asked, result, |l| l.snapshots().len().to_string())?;
    }
    Ok(())
}

async fn by_owner(s: &mut Stage) -> Result<(), Stop> {
    s.snapshot(&[]).await?;
    for (asked, owner) in [("self", "self"), ("another account", "999988887777")] {
        let result = s.ec2.describe_snapshots().owner_ids(owner).send().await;
        s.hear(asked, result, |l| l.snapshots().len().to_string())?;
    }
    Ok(())
}

async fn by_id(s: &mut Stage) -> Result<(), Stop> {
    let there = s.snapshot(&[]).await?;
    let missing = format!("snap-{NOTHING}");
    for (asked, ids) in [
        ("one that is there", vec![there.clone()]),
        ("a missing one", vec![missing.clone()]),
        ("both", vec![there.clone(), missing.clone()]),
        ("malformed id", vec!["snap".to_owned()]),
    ] {
        let call = s.ec2.describe_snapshots().set_snapshot_ids(Some(ids));
        s.hear(asked, call.send().await, |l| {
            l.snapshots().len().to_string()
        })?;
    }
    let call = s.ec2.describe_snapshots();
    let result = call.filters(filter("snapshot-id", &[&there, &missing]));
    s.hear("both by filter", result.send().await, |l| {
        l.snapshots().len().to_string()
    })?;
    Ok(())
}

async fn pages(s: &mut Stage) -> Result<(), Stop> {
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(s.snapshot(&[]).await?);
    }
    let list = || s.ec2.describe_snapshots().owner_ids("self");
    let first = made(list().max_results(5).send().await)?;
    let token = first.next_token().map(str::to_owned);
    let second = match &token {
        Some(token) => Some(made(list().max_results(5).next_token(token).send().await)?),
        None => None,
    };
    let repeated = list().max_results(4).send().await;
    let wrong = list().max_results(5).next_token("rubbish").send().await;
    let call = s.ec2.describe_snapshots().set_snapshot_ids(Some(ids));
    let named = call.max_results(5).send().await;
    s.note("on the first page", first.snapshots().len());
    s.note("a token follows", yes(token.is_some()));
    if let Some(second) = second {
        s.note("on the second page", second.snapshots().len());
        s.note("a third follows", yes(second.next_token().is_some()));
    }
    s.hear("MaxResults of 4", repeated, |l| {
        l.snapshots().len().to_string()
    })?;
    s.hear("a token of rubbish", wrong, |l| {
        l.snapshots().len().to_string()
    })?;
    s.hear("MaxResults with identifiers", named, |l| {
        l.snapshots().len().to_string()
    })?;
    Ok(())
}
