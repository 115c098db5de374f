//! Leases: one run of a policy, and one sweep, at a time.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use holdfast_core::ports::records::{Acquired, LEASE_TIME, Lease, TableError, TableErrorKind};
use jiff::{SignedDuration, Timestamp};

use super::attribute::{Item, key, standing_update};
use super::{SCHEMA, Table};

const SK: &str = "lease";
/// By how much another holder's clock may be ahead. No lease is given for longer than [`LEASE_TIME`],
/// so an end beyond both is no lease but a damaged record, which would keep everybody out for ever.
const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// Holder of a lease that was given back: a renewal that arrives late does not take it again.
const NOBODY: &str = "-";

fn pk(name: &str) -> String {
    format!("lease#{name}")
}

/// Takes a free or expired lease. A repeated request of the same holder (a lost response) takes it
/// again.
pub(super) async fn acquire(
    table: &Table,
    name: &str,
    holder: &str,
    wall: Timestamp,
) -> Result<Acquired, TableError> {
    let pk = pk(name);
    let values = Item::new()
        .text(":holder", holder)
        .number_set(":now", wall.as_millisecond())
        .number_set(":expires", (wall + LEASE_TIME).as_millisecond())
        .number_set(":far", (wall + LEASE_TIME + SKEW).as_millisecond())
        .number_set(":one", 1)
        .number_set(":schema", SCHEMA);
    let result = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key(&pk, SK)))
        .update_expression(
            "SET holder = :holder, expires_ms = :expires, #schema = :schema ADD fence :one",
        )
        .condition_expression(
            "attribute_not_exists(pk) OR (#schema = :schema AND \
             (holder = :holder OR expires_ms <= :now OR expires_ms > :far))",
        )
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.0))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match result {
        Ok(output) => {
            let item = Item(output.attributes.unwrap_or_default());
            let fence = item.fence_of("fence").ok_or_else(|| {
                let kind = TableErrorKind::Unreadable;
                table.failure("UpdateItem", &pk, kind, "the lease has no fencing token")
            })?;
            Ok(Acquired::Held(Lease {
                name: name.to_owned(),
                holder: holder.to_owned(),
                fence,
                expires: wall + LEASE_TIME,
            }))
        }
        Err(error) => {
            let Some(stands) = standing_update(&error) else {
                return Err(table.error("UpdateItem", &pk, &error));
            };
            table.readable("UpdateItem", &pk, &stands)?;
            let until = stands
                .number("expires_ms")
                .and_then(|ms| Timestamp::from_millisecond(ms).ok());
            Ok(Acquired::Busy {
                until: until.unwrap_or(wall),
            })
        }
    }
}

/// Extends a lease that nobody has taken since, even when it has run out.
pub(super) async fn renew(
    table: &Table,
    lease: &Lease,
    wall: Timestamp,
) -> Result<Lease, TableError> {
    set_expiry(table, lease, &lease.holder, wall + LEASE_TIME).await?;
    Ok(Lease {
        expires: wall + LEASE_TIME,
        ..lease.clone()
    })
}

/// Ends a lease at once; one that has passed to another is left alone.
pub(super) async fn release(table: &Table, lease: &Lease) -> Result<(), TableError> {
    match set_expiry(table, lease, NOBODY, Timestamp::UNIX_EPOCH).await {
        Err(error) if error.kind == TableErrorKind::Fenced => Ok(()),
        other => other,
    }
}

async fn set_expiry(
    table: &Table,
    lease: &Lease,
    next: &str,
    expires: Timestamp,
) -> Result<(), TableError> {
    let pk = pk(&lease.name);
    let values = Item::new()
        .text(":holder", &lease.holder)
        .fence(":fence", lease.fence)
        .text(":next", next)
        .number_set(":expires", expires.as_millisecond())
        .number_set(":schema", SCHEMA);
    let result = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key(&pk, SK)))
        .update_expression("SET expires_ms = :expires, holder = :next")
        .condition_expression("#schema = :schema AND holder = :holder AND fence = :fence")
        .expression_attribute_names("#schema", "schema")
        .set_expression_attribute_values(Some(values.0))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    result.map(|_| ()).map_err(|e| table.update_error(&pk, &e))
}
