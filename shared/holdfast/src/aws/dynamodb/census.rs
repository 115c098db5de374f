//! What the last sweep counted.

use std::collections::BTreeMap;

use holdfast_core::plan::governed::Governed;
use holdfast_core::ports::records::{Accepted, Census, Lease, TableError, TableErrorKind};
use serde::{Deserialize, Serialize};

use super::Table;
use super::attribute::Item;

const CENSUS: &str = "census";

pub(super) async fn read(table: &Table) -> Result<Option<Census>, TableError> {
    let Some(item) = table.get(CENSUS, CENSUS).await? else {
        return Ok(None);
    };
    let counts = |name: &str| -> Option<BTreeMap<String, u64>> {
        serde_json::from_str(item.get(name)?).ok()
    };
    let read = || {
        Some(Census {
            now: item.timestamp("now")?,
            wall: item.timestamp("wall")?,
            listed: counts("listed")?,
            picked: counts("picked")?,
            accepted: accepted(&item)?,
            governed: governed(&item)?,
            resume_at: item.owned("resume_at"),
        })
    };
    match read() {
        Some(census) => Ok(Some(census)),
        None => Err(table.damaged("GetItem", CENSUS)),
    }
}

/// What single policies' releases accepted. Records from before there was any have none.
fn accepted(item: &Item) -> Option<BTreeMap<String, Accepted>> {
    let Some(text) = item.get("accepted") else {
        return Some(BTreeMap::new());
    };
    let all: BTreeMap<String, AcceptedText> = serde_json::from_str(text).ok()?;
    let read = |(policy, one): (String, AcceptedText)| {
        let (wall, listed) = (one.wall.parse().ok()?, one.listed);
        Some((policy, Accepted { wall, listed }))
    };
    all.into_iter().map(read).collect()
}

fn accepted_text(accepted: &BTreeMap<String, Accepted>) -> Option<String> {
    let written = |(policy, one): (&String, &Accepted)| {
        let wall = one.wall.to_string();
        let listed = one.listed.clone();
        (policy.clone(), AcceptedText { wall, listed })
    };
    let all: BTreeMap<String, AcceptedText> = accepted.iter().map(written).collect();
    (!all.is_empty()).then(|| serde_json::json!(all).to_string())
}

/// Since when each policy governs. The outer none is a damaged record, the inner one a record from
/// before it was noted.
fn governed(item: &Item) -> Option<Option<BTreeMap<String, Governed>>> {
    let Some(text) = item.get("governed") else {
        return Some(None);
    };
    let all: BTreeMap<String, GovernedText> = serde_json::from_str(text).ok()?;
    let read = |(policy, one): (String, GovernedText)| {
        let since = one.since.parse().ok()?;
        let graced = match one.graced {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some((policy, Governed { since, graced }))
    };
    all.into_iter().map(read).collect::<Option<_>>().map(Some)
}

fn governed_text(governed: &BTreeMap<String, Governed>) -> String {
    let written = |(policy, one): (&String, &Governed)| {
        let (since, graced) = (one.since.to_string(), one.graced.map(|at| at.to_string()));
        (policy.clone(), GovernedText { since, graced })
    };
    let all: BTreeMap<String, GovernedText> = governed.iter().map(written).collect();
    serde_json::json!(all).to_string()
}

/// [`Governed`] as it is written.
#[derive(Serialize, Deserialize)]
struct GovernedText {
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    graced: Option<String>,
}

/// [`Accepted`] as it is written.
#[derive(Serialize, Deserialize)]
struct AcceptedText {
    wall: String,
    listed: BTreeMap<String, u64>,
}

/// Reads before it writes, so that a record of another schema version is refused and not
/// overwritten. Without a lease, as of a sweep that only plans, it yields to what was counted since
/// and leaves alone where an enforcing one begins next.
pub(super) async fn save(
    table: &Table,
    census: &Census,
    lease: Option<&Lease>,
) -> Result<(), TableError> {
    let stands = table.get(CENSUS, CENSUS).await?;
    let counts = |counts: &BTreeMap<String, u64>| serde_json::json!(counts).to_string();
    let item = Item::keyed(CENSUS, CENSUS)
        .time("now", census.now)
        .time("wall", census.wall)
        .text("listed", &counts(&census.listed))
        .text("picked", &counts(&census.picked))
        .text_if("accepted", accepted_text(&census.accepted).as_deref())
        .text_if(
            "governed",
            census.governed.as_ref().map(governed_text).as_deref(),
        );
    let Some(lease) = lease else {
        let stands = stands.unwrap_or_default();
        if stands
            .timestamp("wall")
            .is_some_and(|wall| wall > census.wall)
        {
            return Ok(());
        }
        let fence = stands.fence_of("fence").unwrap_or(0);
        let item = item
            .fence("fence", fence)
            .text_if("resume_at", stands.get("resume_at"));
        let same = "attribute_not_exists(pk) OR (fence = :fence AND wall = :wall)";
        let values = Item::new()
            .fence(":fence", fence)
            .text(":wall", stands.get("wall").unwrap_or_default());
        return match table.put(item, same, values).await {
            Err(error) if error.kind == TableErrorKind::Fenced => Ok(()),
            done => done,
        };
    };
    let item = item.text_if("resume_at", census.resume_at.as_deref());
    let newer = "attribute_not_exists(pk) OR fence <= :fence";
    let fence = Item::new().fence(":fence", lease.fence);
    table
        .put(item.fence("fence", lease.fence), newer, fence)
        .await
}
