//! The lineage graph, both directions of every edge in the base table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use holdfast_core::lineage::{Consistency, Edge, EdgeKind, Node, NodeKind, NodeState};
use holdfast_core::ports::records::{Lease, Relations, TableError, TableErrorKind};
use jiff::Timestamp;

use super::attribute::{Item, key};
use super::{SCHEMA, THIS_SCHEMA, Table, roster};

const NODE: &str = "node";
const PINS: &str = "pins";
/// Most actions of one `TransactWriteItems` (DynamoDB API Reference).
const ACTIONS: usize = 100;
/// How often a write that another writer disturbed is worked out again.
const ATTEMPTS: usize = 5;

fn node_pk(id: &str) -> String {
    format!("node#{id}")
}

fn edge_keys(edge: &Edge) -> [(String, String); 2] {
    let kind = edge.kind.as_str();
    [
        (node_pk(&edge.from), format!("out#{kind}#{}", edge.to)),
        (node_pk(&edge.to), format!("in#{kind}#{}", edge.from)),
    ]
}

/// Name of the attribute that holds the fencing token of a lease.
///
/// A resource may be written under the leases of several policies, whose tokens have nothing to do
/// with each other.
fn fence_name(lease: &Lease) -> String {
    format!("fence:{}", lease.name)
}

/// Writes what is new; repeating it changes nothing.
pub(super) async fn record(
    table: &Table,
    nodes: &[Node],
    edges: &[Edge],
    lease: &Lease,
) -> Result<(), TableError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt(table, nodes, edges, lease).await {
            Err(error) if error.kind == TableErrorKind::Unavailable => last = Some(error),
            done => return done,
        }
    }
    last.map_or(Ok(()), Err)
}

async fn attempt(
    table: &Table,
    nodes: &[Node],
    edges: &[Edge],
    lease: &Lease,
) -> Result<(), TableError> {
    let mut keys: Vec<(String, String)> = nodes
        .iter()
        .map(|node| (node_pk(&node.id), NODE.to_owned()))
        .collect();
    keys.extend(edges.iter().flat_map(edge_keys));
    let stored: HashMap<(String, String), Item> = table
        .batch(&keys)
        .await?
        .into_iter()
        .filter_map(|item| Some(((item.owned("pk")?, item.owned("sk")?), item)))
        .collect();

    let mut sources: Vec<TransactWriteItem> = Vec::new();
    let mut artifacts: Vec<TransactWriteItem> = Vec::new();
    let merged = merge_all(nodes, &stored);
    let mut merged: Vec<(&str, Node)> = merged.into_iter().collect();
    // An image after its snapshots.
    merged.sort_by_key(|(_, node)| node.kind() == NodeKind::Image);
    for (id, node) in &merged {
        let before = stored.get(&(node_pk(id), NODE.to_owned()));
        if before.and_then(read_node).as_ref() == Some(node) {
            continue;
        }
        let update = node_update(table, node, before, lease)?;
        if node.is_artifact() {
            artifacts.extend([update, roster::action(table, node)?]);
        } else {
            sources.push(update);
        }
    }
    let mut edge_actions: Vec<TransactWriteItem> = Vec::new();
    let unique: BTreeSet<&Edge> = edges.iter().collect();
    for edge in unique {
        let ends = edge_keys(edge);
        if ends.iter().any(|end| !stored.contains_key(end)) {
            for (pk, sk) in ends {
                edge_actions.push(edge_put(table, edge, &pk, &sk, lease)?);
            }
        }
    }
    // An image with 128 snapshots does not fit into one transaction. What belongs together stays
    // together, because pairs fit an even `ACTIONS`; and an artifact's state, by which the reconcile
    // tells what is left to do, is written when everything it depends on is there.
    for part in edge_actions
        .chunks(ACTIONS)
        .chain(sources.chunks(ACTIONS))
        .chain(artifacts.chunks(ACTIONS))
    {
        transact(table, part.to_vec()).await?;
    }
    Ok(())
}

fn merge_all<'n>(
    nodes: &'n [Node],
    stored: &HashMap<(String, String), Item>,
) -> BTreeMap<&'n str, Node> {
    let mut merged: BTreeMap<&str, Node> = BTreeMap::new();
    for node in nodes {
        let before = merged.get(node.id.as_str()).cloned().or_else(|| {
            stored
                .get(&(node_pk(&node.id), NODE.to_owned()))
                .and_then(read_node)
        });
        merged.insert(&node.id, Node::merged(before.as_ref(), node));
    }
    merged
}

fn read_node(item: &Item) -> Option<Node> {
    Some(Node {
        id: item.owned("id")?,
        state: NodeState::parse(item.get("state")?)?,
        changed: item.timestamp("changed")?,
        policy: item.owned("policy"),
        slot: item.timestamp("slot"),
        run: item.owned("run"),
        source: item.owned("source"),
        time: item.timestamp("time"),
        consistency: item.get("consistency").and_then(Consistency::parse),
        frozen_ms: item
            .number("frozen_ms")
            .and_then(|ms| u32::try_from(ms).ok()),
        excluded: item.list("excluded"),
        not_covered: item.list("not_covered"),
        // Only a restore asks for it, and can do without.
        launch: item
            .get("launch")
            .and_then(|text| serde_json::from_str(text).ok()),
        tags: item.text_map("tags"),
    })
}

/// A list that has something in it.
fn some(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}

/// Sets a node's attributes, keeping other leases' fencing tokens, if it is as it was read.
fn node_update(
    table: &Table,
    node: &Node,
    before: Option<&Item>,
    lease: &Lease,
) -> Result<TransactWriteItem, TableError> {
    let mut attributes = Item::new()
        .text("id", &node.id)
        .text("state", node.state.as_str())
        .time("changed", node.changed)
        .text_if("policy", node.policy.as_deref())
        .time_if("slot", node.slot)
        .text_if("run", node.run.as_deref())
        .text_if("source", node.source.as_deref())
        .time_if("time", node.time)
        .text_if("consistency", node.consistency.map(Consistency::as_str))
        .texts_if("excluded", some(&node.excluded))
        .texts_if("not_covered", some(&node.not_covered))
        .map("tags", &node.tags)
        .number_set("schema", SCHEMA)
        .fence(&fence_name(lease), lease.fence);
    if let Some(ms) = node.frozen_ms {
        attributes = attributes.number_set("frozen_ms", i64::from(ms));
    }
    let launch = node.launch.as_ref().map(serde_json::to_string);
    if let Some(Ok(text)) = launch {
        attributes = attributes.text("launch", &text);
    }
    let mut sets = Vec::new();
    let mut names = HashMap::new();
    let mut values = HashMap::new();
    for (i, (name, value)) in attributes.0.into_iter().enumerate() {
        sets.push(format!("#a{i} = :a{i}"));
        names.insert(format!("#a{i}"), name);
        values.insert(format!(":a{i}"), value);
    }
    let mut condition = "attribute_not_exists(pk)".to_owned();
    if let Some(before) = before {
        let values_before = Item::new()
            .text(":changed", before.get("changed").unwrap_or_default())
            .text(":state", before.get("state").unwrap_or_default())
            .number_set(":schema", SCHEMA)
            .fence(":fence", lease.fence);
        values.extend(values_before.0);
        names.insert("#changed".into(), "changed".into());
        names.insert("#state".into(), "state".into());
        names.insert("#schema".into(), "schema".into());
        names.insert("#fence".into(), fence_name(lease));
        condition = "#schema = :schema AND #changed = :changed AND #state = :state AND \
                     (attribute_not_exists(#fence) OR #fence <= :fence)"
            .to_owned();
    }
    let update = Update::builder()
        .table_name(&table.name)
        .set_key(Some(key(&node_pk(&node.id), NODE)))
        .update_expression(format!("SET {}", sets.join(", ")))
        .condition_expression(condition)
        .set_expression_attribute_names(Some(names))
        .set_expression_attribute_values(Some(values))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|e| {
            table.failure(
                "TransactWriteItems",
                &node.id,
                TableErrorKind::Refused,
                e.to_string(),
            )
        })?;
    Ok(TransactWriteItem::builder().update(update).build())
}

/// An edge never changes, so writing it again is writing the same.
fn edge_put(
    table: &Table,
    edge: &Edge,
    pk: &str,
    sk: &str,
    lease: &Lease,
) -> Result<TransactWriteItem, TableError> {
    let item = Item::keyed(pk, sk)
        .text("from", &edge.from)
        .text("to", &edge.to)
        .text("kind", edge.kind.as_str())
        .number_set("schema", SCHEMA)
        .fence(&fence_name(lease), lease.fence);
    let put = Put::builder()
        .table_name(&table.name)
        .set_item(Some(item.0))
        .condition_expression(THIS_SCHEMA)
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(Item::new().number_set(":schema", SCHEMA).0))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|e| {
            table.failure(
                "TransactWriteItems",
                pk,
                TableErrorKind::Refused,
                e.to_string(),
            )
        })?;
    Ok(TransactWriteItem::builder().put(put).build())
}

async fn transact(table: &Table, actions: Vec<TransactWriteItem>) -> Result<(), TableError> {
    if actions.is_empty() {
        return Ok(());
    }
    let result = table
        .client
        .transact_write_items()
        .set_transact_items(Some(actions))
        .send()
        .await;
    let Err(error) = result else { return Ok(()) };
    let cancelled = error.as_service_error().and_then(|e| {
        match e {
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError
            ::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons.as_ref(),
        _ => None,
    }
    });
    let Some(reasons) = cancelled else {
        return Err(table.error("TransactWriteItems", "lineage", &error));
    };
    for reason in reasons {
        match reason.code.as_deref() {
            // Somebody else wrote meanwhile: read and merge again.
            Some("ConditionalCheckFailed") => {
                if let Some(item) = reason.item.clone().map(Item).filter(|i| !i.0.is_empty()) {
                    table.readable("TransactWriteItems", "lineage", &item)?;
                }
            }
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
            | Some("None")
            | None => {}
            Some(_) => {
                let message = error.message().unwrap_or("cancelled").to_owned();
                let kind = TableErrorKind::Refused;
                return Err(table.failure("TransactWriteItems", "lineage", kind, message));
            }
        }
    }
    let message = error
        .message()
        .unwrap_or("another writer was faster")
        .to_owned();
    Err(table.failure(
        "TransactWriteItems",
        "lineage",
        TableErrorKind::Unavailable,
        message,
    ))
}

pub(super) async fn nodes(
    table: &Table,
    ids: &[String],
) -> Result<BTreeMap<String, Node>, TableError> {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| (node_pk(id), NODE.to_owned()))
        .collect();
    let items = table.batch(&keys).await?;
    let nodes = items.iter().filter_map(read_node);
    Ok(nodes.map(|node| (node.id.clone(), node)).collect())
}

pub(super) async fn edges(table: &Table, edges: &[Edge]) -> Result<BTreeSet<Edge>, TableError> {
    let keys: Vec<_> = edges.iter().flat_map(edge_keys).collect();
    let stored: BTreeSet<(String, String)> = table
        .batch(&keys)
        .await?
        .into_iter()
        .filter_map(|item| Some((item.owned("pk")?, item.owned("sk")?)))
        .collect();
    let whole = |edge: &&Edge| edge_keys(edge).iter().all(|end| stored.contains(end));
    Ok(edges.iter().filter(whole).cloned().collect())
}

pub(super) async fn relations(table: &Table, id: &str) -> Result<Relations, TableError> {
    let mut relations = Relations::default();
    for item in table.query(&node_pk(id)).await? {
        if item.get("sk") == Some(NODE) {
            relations.node = read_node(&item);
            continue;
        }
        let edge = || {
            let kind = EdgeKind::parse(item.get("kind")?)?;
            Some(Edge {
                from: item.owned("from")?,
                to: item.owned("to")?,
                kind,
            })
        };
        // Left out, what a binned AMI needs would go.
        let damaged = || table.damaged("Query", &node_pk(id));
        relations.edges.insert(edge().ok_or_else(damaged)?);
    }
    Ok(relations)
}

pub(super) async fn pins(table: &Table) -> Result<BTreeSet<String>, TableError> {
    let items = table.query(PINS).await?;
    // One that cannot be read may say so: only what says that it is none is none.
    let pinned = items
        .iter()
        .filter(|item| item.flag("pinned") != Some(false));
    Ok(pinned.filter_map(|item| item.owned("sk")).collect())
}

pub(super) async fn pin(
    table: &Table,
    sources: &[String],
    lease: Option<&Lease>,
) -> Result<(), TableError> {
    let wall = Timestamp::now();
    for source in sources {
        let values = Item::new()
            .flag_set(":pinned", true)
            .time(":seen", wall)
            .number_set(":schema", SCHEMA)
            .fence(":fence", lease.map_or(0, |lease| lease.fence));
        // Without a lease the token of the last holder stays.
        let fence = match lease {
            Some(_) => "fence = :fence",
            None => "fence = if_not_exists(fence, :fence)",
        };
        table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key(PINS, source)))
            .update_expression(format!(
                "SET pinned = :pinned, seen = :seen, #schema = :schema, {fence}"
            ))
            .condition_expression(THIS_SCHEMA)
            .expression_attribute_names("#schema", "schema")
            .set_expression_attribute_values(Some(values.0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await
            .map_err(|e| table.update_error(PINS, &e))?;
    }
    Ok(())
}

/// A pin that is taken off stays as a record, so that an older run cannot take it off again after
/// a newer one put it back.
pub(super) async fn unpin(
    table: &Table,
    sources: &[String],
    lease: &Lease,
) -> Result<(), TableError> {
    let wall = Timestamp::now();
    for source in sources {
        let item = Item::keyed(PINS, source)
            .flag_set("pinned", false)
            .time("seen", wall)
            .fence("fence", lease.fence);
        let condition = "attribute_not_exists(pk) OR fence <= :fence";
        let values = Item::new().fence(":fence", lease.fence);
        match table.put(item, condition, values).await {
            // A newer run knows better.
            Err(error) if error.kind == TableErrorKind::Fenced => {}
            other => other?,
        }
    }
    Ok(())
}
