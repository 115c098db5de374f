//! The roster of artifacts that exist, and the absences that reconciles noted.
//!
//! Without an index this is how every recorded artifact is found. It is spread over partitions, so
//! that a large account does not write to a single one, and read in a few queries of small items.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use futures::{StreamExt, TryStreamExt, stream};
use holdfast_core::lineage::{Node, NodeState};
use holdfast_core::ports::records::{Absence, Lease, TableError, TableErrorKind};

use super::attribute::{Item, key};
use super::{SCHEMA, THIS_SCHEMA, Table};

const SHARDS: u8 = 16;
const ABSENT: &str = "absent";
/// Requests sent at once.
const AT_ONCE: usize = 8;

/// The end of EC2's identifiers, a hexadecimal digit, is evenly spread.
fn pk(id: &str) -> String {
    let digit = id.chars().last().and_then(|last| last.to_digit(16));
    let other = id.bytes().last().map_or(0, |last| u32::from(last % SHARDS));
    format!("roster#{}", digit.unwrap_or(other))
}

/// The change of the roster that goes with a change of a node, in the same transaction.
pub(super) fn action(table: &Table, node: &Node) -> Result<TransactWriteItem, TableError> {
    let pk = pk(&node.id);
    let refused = |error: &dyn std::fmt::Display| {
        let kind = TableErrorKind::Refused;
        table.failure("TransactWriteItems", &node.id, kind, error.to_string())
    };
    if node.state.is_over() {
        let delete = Delete::builder()
            .table_name(&table.name)
            .set_key(Some(key(&pk, &node.id)))
            .condition_expression(THIS_SCHEMA)
            .expression_attribute_names("#schema", "schema")
            .set_expression_attribute_values(Some(Item::new().number_set(":schema", SCHEMA).0))
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(|e| refused(&e))?;
        return Ok(TransactWriteItem::builder().delete(delete).build());
    }
    let item = Item::keyed(&pk, &node.id)
        .text("state", node.state.as_str())
        .number_set("schema", SCHEMA);
    let put = Put::builder()
        .table_name(&table.name)
        .set_item(Some(item.0))
        .condition_expression(THIS_SCHEMA)
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(Item::new().number_set(":schema", SCHEMA).0))
        .return_values_on_condition_check_failure(AllOld)
        .build()
        .map_err(|e| refused(&e))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

pub(super) async fn read(table: &Table) -> Result<BTreeMap<String, NodeState>, TableError> {
    let shards: Vec<Vec<Item>> = stream::iter(0..SHARDS)
        .map(async |shard| table.query(&format!("roster#{shard}")).await)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let entry = |item: &Item| Some((item.owned("sk")?, NodeState::parse(item.get("state")?)?));
    Ok(shards.iter().flatten().filter_map(entry).collect())
}

pub(super) async fn absences(table: &Table) -> Result<BTreeMap<String, Absence>, TableError> {
    let items = table.query(ABSENT).await?;
    let absence = |item: &Item| {
        let absence = Absence {
            first: item.timestamp("first")?,
            confirmed: item.timestamp("confirmed"),
        };
        Some((item.owned("sk")?, absence))
    };
    Ok(items.iter().filter_map(absence).collect())
}

pub(super) async fn set_absences(
    table: &Table,
    changes: &BTreeMap<String, Option<Absence>>,
    lease: &Lease,
) -> Result<(), TableError> {
    let set = async |(id, absence): (&String, &Option<Absence>)| match absence {
        Some(absence) => {
            let item = Item::keyed(ABSENT, id)
                .time("first", absence.first)
                .time_if("confirmed", absence.confirmed)
                .fence("fence", lease.fence);
            let newer = "attribute_not_exists(pk) OR fence <= :fence";
            let values = Item::new().fence(":fence", lease.fence);
            table.put(item, newer, values).await
        }
        None => table.delete(ABSENT, id, Some(lease)).await,
    };
    stream::iter(changes)
        .map(set)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_reach_every_shard_that_is_read() {
        let ids = "0123456789abcdef".chars().map(|end| format!("snap-0{end}"));
        let reached: BTreeSet<String> = ids.map(|id| pk(&id)).collect();
        let read: BTreeSet<String> = (0..SHARDS).map(|n| format!("roster#{n}")).collect();
        assert_eq!(reached, read);
    }
}
