//! Deletions: marks, intents with their evidence, ends, and the breaker's window.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures::{StreamExt, TryStreamExt, stream};
use holdfast_core::lineage::{Node, NodeState};
use holdfast_core::plan::settle::{Retired, TrippedPlan, WINDOW};
use holdfast_core::ports::records::{COUNTS_AHEAD, Deletion, DeletionState, Lease, TableError};
use jiff::{SignedDuration, Timestamp};

use super::attribute::{Item, key, standing_update};
use super::{SCHEMA, Table, graph};

const MARK: &str = "mark";
/// Where the marked orphans are found without knowing them.
const ORPHANS: &str = "delete#orphans";
pub(super) const DELETION: &str = "deletion";
/// Before the time of an earlier deletion, in its sort key.
const EARLIER: &str = "deletion#";
/// The state of what is gone.
const GONE: &str = "deleted";
const TRIPPED: &str = "tripped";
/// Writes sent at once.
const AT_ONCE: usize = 8;

fn delete_pk(resource: &str) -> String {
    format!("delete#{resource}")
}

fn retired_pk(policy: &str, day: Timestamp) -> String {
    format!("retired#{policy}#{}", day.strftime("%Y-%m-%d"))
}

fn tripped_pk(hash: &str) -> String {
    format!("tripped#{hash}")
}

const NEWER: &str = "attribute_not_exists(pk) OR fence <= :fence";

/// That no proof of another deletion stands there.
const NO_OTHER_PROOF: &str = "\
    attribute_not_exists(#state) OR #state <> :gone OR (#run = :run AND #at = :at)";

/// That the proof of this deletion stands there.
const VERY_PROOF: &str = "#state = :gone AND #run = :run AND #at = :at";

/// The attributes that both name.
const PROOF_NAMES: [(&str, &str); 3] = [("#state", "state"), ("#run", "run"), ("#at", "at")];

/// The values that both compare with, for this deletion.
fn of_proof(values: Item, deletion: &Deletion) -> Item {
    values
        .text(":gone", GONE)
        .text(":run", &deletion.run)
        .time(":at", deletion.at)
}

fn fence(lease: &Lease) -> Item {
    Item::new().fence(":fence", lease.fence)
}

pub(super) async fn condemned(
    table: &Table,
    resources: &[String],
) -> Result<BTreeMap<String, Timestamp>, TableError> {
    let keys: Vec<_> = resources
        .iter()
        .map(|id| (delete_pk(id), MARK.to_owned()))
        .collect();
    let items = table.batch(&keys).await?;
    let marked = items
        .iter()
        .filter(|item| item.flag("condemned") == Some(true));
    Ok(marked
        .filter_map(|item| Some((item.owned("id")?, item.timestamp("since")?)))
        .collect())
}

pub(super) async fn set_condemned(
    table: &Table,
    resources: &[String],
    since: Option<Timestamp>,
    lease: &Lease,
) -> Result<(), TableError> {
    let marks: Vec<Item> = resources
        .iter()
        .map(|id| {
            Item::keyed(&delete_pk(id), MARK)
                .text("id", id)
                .flag_set("condemned", since.is_some())
                .time_if("since", since)
                .fence("fence", lease.fence)
        })
        .collect();
    stream::iter(marks)
        .map(|mark| table.put(mark, NEWER, fence(lease)))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

pub(super) async fn waiting_orphans(table: &Table) -> Result<BTreeSet<String>, TableError> {
    let items = table.query(ORPHANS).await?;
    Ok(items.iter().filter_map(|item| item.owned("sk")).collect())
}

pub(super) async fn set_waiting_orphans(
    table: &Table,
    snapshots: &[String],
    waits: bool,
    lease: &Lease,
) -> Result<(), TableError> {
    let set = async |id: &String| match waits {
        true => {
            let item = Item::keyed(ORPHANS, id).fence("fence", lease.fence);
            table.put(item, NEWER, fence(lease)).await
        }
        false => table.delete(ORPHANS, id, Some(lease)).await,
    };
    stream::iter(snapshots)
        .map(set)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

pub(super) async fn retired(
    table: &Table,
    policy: &str,
    since: Timestamp,
    wall: Timestamp,
) -> Result<Vec<Retired>, TableError> {
    let mut days = vec![retired_pk(policy, since)];
    let (mut day, last) = (since, wall + COUNTS_AHEAD);
    while day < last {
        day = (day + SignedDuration::from_hours(24)).min(last);
        days.push(retired_pk(policy, day));
    }
    days.dedup();
    let mut retired = Vec::new();
    for pk in days {
        for item in table.query(&pk).await? {
            let read = || {
                Some(Retired {
                    resource: item.owned("id")?,
                    time: item.timestamp("time")?,
                    at: item.timestamp("at")?,
                })
            };
            // Left out, a deletion that counts would let another one go.
            let read = read().ok_or_else(|| table.damaged("Query", &pk))?;
            retired.extend(Some(read).filter(|r| r.at > since));
        }
    }
    Ok(retired)
}

fn deletion_item(deletion: &Deletion, lease: &Lease, state: &str) -> Item {
    let others = deletion.other_images.iter().cloned().collect::<Vec<_>>();
    Item::keyed(&delete_pk(&deletion.resource), DELETION)
        .text("id", &deletion.resource)
        .text("policy", &deletion.policy)
        .text_if("image", deletion.image.as_deref())
        .texts_if("other_images", (!others.is_empty()).then_some(&others))
        .flag_set("good", deletion.good)
        .time("time", deletion.time)
        .text("run", &deletion.run)
        .text("evidence", &deletion.evidence)
        .time("at", deletion.at)
        .number_set("tries", deletion.tries.into())
        .text_if("refused", deletion.refused.as_deref())
        .text("state", state)
        .fence("fence", lease.fence)
}

/// Records the intent, and counts it in the breaker's window: what may have been deleted counts. The
/// proof of an earlier deletion of the same artifact, which came back from the Recycle Bin, is put
/// aside first; where there is none, that costs no request.
pub(super) async fn intend(
    table: &Table,
    deletion: &Deletion,
    lease: &Lease,
) -> Result<(), TableError> {
    if deletion.good {
        let sk = format!("{}#{}", deletion.at, deletion.resource);
        let counted = Item::keyed(&retired_pk(&deletion.policy, deletion.at), &sk)
            .text("id", &deletion.resource)
            .time("time", deletion.time)
            .time("at", deletion.at)
            .number_set("expires_at", (deletion.at + WINDOW + WINDOW).as_second())
            .fence("fence", lease.fence);
        table.put(counted, NEWER, fence(lease)).await?;
    }
    let item = deletion_item(deletion, lease, "intended");
    let values = of_proof(fence(lease), deletion);
    let condition = format!("({NEWER}) AND ({NO_OTHER_PROOF})");
    let put = table.put_unless(item.clone(), &condition, &PROOF_NAMES, values);
    let Some(stands) = put.await? else {
        return Ok(());
    };
    put_aside(table, stands, lease).await?;
    table.put(item, NEWER, fence(lease)).await
}

/// Copies the proof of a deletion to a key of its own. Again after a crash it writes the same.
async fn put_aside(table: &Table, stands: Item, lease: &Lease) -> Result<(), TableError> {
    let record = stands.owned("pk").unwrap_or_default();
    let ours = stands.fence_of("fence").is_some_and(|f| f <= lease.fence);
    let readable = table.readable("PutItem", &record, &stands);
    if readable.is_err() || !ours || stands.get("state") != Some(GONE) {
        return Err(table.fenced("PutItem", &record, Some(&stands)));
    }
    let at = stands.owned("at");
    let at = at.ok_or_else(|| table.damaged("PutItem", &record))?;
    let copy = stands
        .text("sk", &format!("{EARLIER}{at}"))
        .fence("fence", lease.fence);
    table.put(copy, NEWER, fence(lease)).await
}

/// Moves the proof of a deletion whose artifact came back. Cut off between the two writes it leaves
/// the proof on record twice, which [`proofs`] tells as one.
pub(super) async fn set_aside(
    table: &Table,
    deletion: &Deletion,
    lease: &Lease,
) -> Result<(), TableError> {
    let pk = delete_pk(&deletion.resource);
    let stands = table.get(&pk, DELETION).await?;
    let is_it = |item: &Item| {
        item.get("state") == Some(GONE)
            && item.get("run") == Some(&deletion.run)
            && item.timestamp("at") == Some(deletion.at)
    };
    let Some(stands) = stands.filter(is_it) else {
        return Ok(());
    };
    put_aside(table, stands, lease).await?;
    let condition = format!("attribute_not_exists(pk) OR (({VERY_PROOF}) AND fence <= :fence)");
    let values = of_proof(fence(lease), deletion);
    table
        .delete_where(&pk, DELETION, Some(&condition), &PROOF_NAMES, values)
        .await
}

pub(super) async fn end(
    table: &Table,
    deletion: &Deletion,
    refused: Option<&str>,
    lease: &Lease,
) -> Result<(), TableError> {
    let state = if refused.is_some() { "refused" } else { GONE };
    let ended = Deletion {
        refused: refused.map(str::to_owned),
        ..deletion.clone()
    };
    let item = deletion_item(&ended, lease, state);
    table.put(item, NEWER, fence(lease)).await?;
    if refused.is_none() {
        // Restored from the Recycle Bin, it would have to be condemned anew.
        table
            .delete(&delete_pk(&deletion.resource), MARK, Some(lease))
            .await?;
        let node = Node::new(&deletion.resource, NodeState::Deleted, deletion.at);
        return graph::record(table, &[node], &[], lease).await;
    }
    if deletion.good {
        // Nothing went, so it does not count.
        let sk = format!("{}#{}", deletion.at, deletion.resource);
        let pk = retired_pk(&deletion.policy, deletion.at);
        table.delete(&pk, &sk, Some(lease)).await?;
    }
    Ok(())
}

pub(super) fn deletion_record(item: &Item) -> Option<(Deletion, DeletionState)> {
    let state = match item.get("state")? {
        "intended" => DeletionState::Intended,
        GONE => DeletionState::Deleted,
        "refused" => DeletionState::Refused,
        _ => return None,
    };
    let deletion = Deletion {
        resource: item.owned("id")?,
        policy: item.owned("policy")?,
        image: item.owned("image"),
        other_images: item.list("other_images").into_iter().collect(),
        good: item.flag("good")?,
        time: item.timestamp("time")?,
        run: item.owned("run")?,
        evidence: item.owned("evidence")?,
        at: item.timestamp("at")?,
        // Records from before there was a count.
        tries: item
            .number("tries")
            .map_or(0, |n| n.try_into().unwrap_or(u32::MAX)),
        refused: item.owned("refused"),
    };
    Some((deletion, state))
}

pub(super) async fn recorded(
    table: &Table,
    resources: &[String],
) -> Result<BTreeMap<String, (Deletion, DeletionState)>, TableError> {
    let keys: Vec<_> = resources
        .iter()
        .map(|id| (delete_pk(id), DELETION.to_owned()))
        .collect();
    let read = |item: &Item| {
        let (deletion, state) = deletion_record(item)?;
        Some((deletion.resource.clone(), (deletion, state)))
    };
    let items = table.batch(&keys).await?;
    Ok(items.iter().filter_map(read).collect())
}

/// All deletions of a resource, the newest first.
pub(super) async fn proofs(
    table: &Table,
    resource: &str,
) -> Result<Vec<(Deletion, DeletionState)>, TableError> {
    let pk = delete_pk(resource);
    let (mut newest, mut earlier) = (Vec::new(), Vec::new());
    for (sk, item) in table.query_each(&pk).await? {
        let place = match sk.as_str() {
            DELETION => &mut newest,
            other if other.starts_with(EARLIER) => &mut earlier,
            _ => continue,
        };
        let damaged = || table.damaged("Query", &format!("{pk} {sk}"));
        place.push(deletion_record(&item?).ok_or_else(damaged)?);
    }
    let key = |(deletion, _): &(Deletion, DeletionState)| (deletion.at, deletion.run.clone());
    // A run that was cut off between the two writes left the newest on record twice.
    earlier.retain(|one| newest.iter().all(|newest| key(newest) != key(one)));
    earlier.sort_by_cached_key(|one| Reverse(key(one)));
    newest.extend(earlier);
    Ok(newest)
}

/// One line for each pair: a policy, and what is told of it.
fn lines(pairs: &BTreeSet<(String, String)>) -> Vec<String> {
    let pairs = pairs.iter();
    pairs.map(|(p, told)| format!("{p}\t{told}")).collect()
}

fn pairs(lines: &[String]) -> BTreeSet<(String, String)> {
    let pairs = lines.iter().filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(p, told)| (p.to_owned(), told.to_owned()))
        .collect()
}

pub(super) async fn save_tripped(
    table: &Table,
    plan_hash: &str,
    plan: &TrippedPlan,
    wall: Timestamp,
    lease: &Lease,
) -> Result<(), TableError> {
    // Well under DynamoDB's 400 KB an item for some 9,000 deletions; beyond that, the operator
    // narrows the sweep to one policy.
    let item = Item::keyed(&tripped_pk(plan_hash), TRIPPED)
        .texts("deletions", &lines(&plan.deletions))
        .texts("comparisons", &lines(&plan.comparisons))
        .time("at", wall)
        .flag_set("taken", false)
        .number_set("expires_at", (wall + WINDOW).as_second())
        .fence("fence", lease.fence);
    // Over a plan that was released and not carried out whole, too: it is offered again.
    table.put(item, NEWER, fence(lease)).await
}

pub(super) async fn tripped(
    table: &Table,
    plan_hash: &str,
    wall: Timestamp,
    take: bool,
) -> Result<Option<TrippedPlan>, TableError> {
    let pk = tripped_pk(plan_hash);
    let item = if take {
        let values = Item::new()
            .flag_set(":true", true)
            .flag_set(":false", false)
            .number_set(":schema", SCHEMA);
        let result = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key(&pk, TRIPPED)))
            .update_expression("SET taken = :true")
            .condition_expression("#schema = :schema AND taken = :false")
            .expression_attribute_names("#schema", "schema")
            .set_expression_attribute_values(Some(values.0))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => output.attributes.map(Item),
            Err(error) => match standing_update(&error) {
                Some(stands) if stands.0.is_empty() => None,
                Some(stands) => {
                    table.readable("UpdateItem", &pk, &stands)?;
                    None
                }
                None => return Err(table.error("UpdateItem", &pk, &error)),
            },
        }
    } else {
        table
            .get(&pk, TRIPPED)
            .await?
            .filter(|item| item.flag("taken") == Some(false))
    };
    let fresh = item.filter(|item| {
        item.timestamp("at")
            .is_some_and(|at| wall.duration_since(at) <= WINDOW)
    });
    // Earlier versions stored no comparisons.
    Ok(fresh.map(|item| TrippedPlan {
        deletions: pairs(&item.list("deletions")),
        comparisons: pairs(&item.list("comparisons")),
    }))
}
