//! The newest backup of each source, by the run ledger.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use holdfast_core::lineage::SlotState;
use holdfast_core::ports::records::{LOOKED_BACK, TableError};
use jiff::Timestamp;

use super::attribute::Item;
use super::ledger::slot_pk;
use super::{SCHEMA, Table};

/// Queries under way at once: one a source, and an account may have ten thousand.
const AT_ONCE: usize = 16;

pub(super) async fn made(
    table: &Table,
    policy: &str,
    sources: &[String],
) -> Result<BTreeMap<String, Timestamp>, TableError> {
    let partitions: Vec<(String, String)> = sources
        .iter()
        .map(|source| (source.clone(), slot_pk(policy, source)))
        .collect();
    let mut each = stream::iter(partitions)
        .map(|(source, pk)| async move { (source, made_of(table, &pk).await) })
        .buffer_unordered(AT_ONCE);
    let mut newest = BTreeMap::new();
    while let Some((source, made)) = each.next().await {
        if let Some(slot) = made? {
            newest.insert(source, slot);
        }
    }
    Ok(newest)
}

/// Sort keys begin with the slot, so the newest records are the last. A record of another version
/// is passed over: it only costs its source a place in the order.
async fn made_of(table: &Table, pk: &str) -> Result<Option<Timestamp>, TableError> {
    let output = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk")
        .set_expression_attribute_values(Some(Item::new().text(":pk", pk).0))
        .scan_index_forward(false)
        .limit(i32::try_from(LOOKED_BACK).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(|e| table.error("Query", pk, &e))?;
    let items = output.items.unwrap_or_default().into_iter().map(Item);
    let made = |item: &Item| {
        let state = SlotState::parse(item.get("state")?)?;
        let asked = || item.timestamp("requested_at").or(item.timestamp("slot"));
        (state.is_made() && item.number("schema") == Some(SCHEMA)).then(asked)?
    };
    Ok({ items }.find_map(|item| made(&item)))
}
