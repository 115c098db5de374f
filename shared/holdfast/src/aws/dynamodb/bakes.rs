//! What events asked for of a source, found among the records of its scheduled slots.
//!
//! A machine that has been up for a year has some 9,000 records of an hourly schedule and one of an
//! event since. So a record of its own names the slots that events asked for.

use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use holdfast_core::lineage::SlotRecord;
use holdfast_core::ports::records::TableError;
use jiff::Timestamp;

use super::attribute::{Item, key};
use super::ledger::{slot_pk, slot_record, slot_sk};
use super::{SCHEMA, THIS_SCHEMA, Table};

const BAKES: &str = "bakes";
const SLOTS: &str = "slots";
/// How many of the newest stay named. Only those since the instance was launched are ever asked for,
/// or within the cooldown, and a launch has a few at most.
const KEPT: usize = 200;

fn bakes_pk(policy: &str, source: &str) -> String {
    format!("{}#{BAKES}", slot_pk(policy, source))
}

/// Names the record of a bake, before it is written itself: one that is named and was not written
/// is nothing, one that was written and is not named would be taken for lost.
pub(super) async fn name(table: &Table, record: &SlotRecord) -> Result<(), TableError> {
    let pk = bakes_pk(&record.policy, &record.source);
    let slot = slot_sk(record.slot, record.request.as_deref());
    let named = update(table, &pk, "ADD", vec![slot]).await?;
    if named.len() > 2 * KEPT {
        let old = named.len() - KEPT;
        update(table, &pk, "DELETE", named[..old].to_vec()).await?;
    }
    Ok(())
}

/// Adds slots to the set or takes them out; what stands then, oldest first.
async fn update(
    table: &Table,
    pk: &str,
    verb: &str,
    slots: Vec<String>,
) -> Result<Vec<String>, TableError> {
    let mut values = Item::new().number_set(":schema", SCHEMA);
    values.0.insert(":slots".into(), AttributeValue::Ss(slots));
    let output = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key(pk, BAKES)))
        .update_expression(format!("{verb} {SLOTS} :slots SET #schema = :schema"))
        .condition_expression(THIS_SCHEMA)
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.0))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .send()
        .await
        .map_err(|error| table.update_error(pk, &error))?;
    Ok(named(&Item(output.attributes.unwrap_or_default())))
}

fn named(item: &Item) -> Vec<String> {
    let slots = item.0.get(SLOTS).and_then(|slots| slots.as_ss().ok());
    let mut slots = slots.cloned().unwrap_or_default();
    slots.sort_unstable();
    slots
}

/// The records of what events asked for, with slots from a time on, oldest first.
pub(super) async fn since(
    table: &Table,
    policy: &str,
    source: &str,
    since: Timestamp,
) -> Result<Vec<SlotRecord>, TableError> {
    let Some(item) = table.get(&bakes_pk(policy, source), BAKES).await? else {
        return Ok(Vec::new());
    };
    let pk = slot_pk(policy, source);
    // Sort keys begin with the slot, so they compare as the slots do.
    let from = since.to_string();
    let wanted = named(&item).into_iter().filter(|slot| *slot >= from);
    let keys: Vec<_> = wanted.map(|slot| (pk.clone(), slot)).collect();
    let mut bakes = Vec::new();
    for item in table.batch(&keys).await? {
        let record = slot_record(&item).ok_or_else(|| {
            let name = format!("{pk} {}", item.get("sk").unwrap_or_default());
            table.damaged("BatchGetItem", &name)
        })?;
        bakes.push(record);
    }
    bakes.retain(|record| record.trigger.is_some() && record.slot >= since);
    bakes.sort_by_key(|record| record.slot);
    Ok(bakes)
}
