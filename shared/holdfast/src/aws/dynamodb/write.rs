//! Conditional writes to the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use holdfast_core::ports::records::{Lease, TableError};

use super::attribute::{self, Item, key};
use super::{SCHEMA, THIS_SCHEMA, Table};

/// The names of attributes in a condition, with the schema version's.
fn with_schema(names: &[(&str, &str)]) -> HashMap<String, String> {
    let names = names.iter().chain(&[("#schema", "schema")]);
    names
        .map(|(name, of)| ((*name).to_owned(), (*of).to_owned()))
        .collect()
}

impl Table {
    /// Deletes a record; an absent one is no error. Not one of another version of Holdfast, and with
    /// a lease not one that a newer run wrote.
    pub(super) async fn delete(
        &self,
        pk: &str,
        sk: &str,
        lease: Option<&Lease>,
    ) -> Result<(), TableError> {
        match lease {
            Some(lease) => {
                let condition = "attribute_not_exists(pk) OR fence <= :fence";
                let values = Item::new().fence(":fence", lease.fence);
                self.delete_where(pk, sk, Some(condition), &[], values)
                    .await
            }
            None => self.delete_where(pk, sk, None, &[], Item::new()).await,
        }
    }

    /// The same where a condition holds, with further names of attributes in it.
    pub(super) async fn delete_where(
        &self,
        pk: &str,
        sk: &str,
        condition: Option<&str>,
        names: &[(&str, &str)],
        values: Item,
    ) -> Result<(), TableError> {
        let condition = condition.map_or(THIS_SCHEMA.to_owned(), |condition| {
            format!("{THIS_SCHEMA} AND ({condition})")
        });
        self.client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key(pk, sk)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(with_schema(names)))
            .set_expression_attribute_values(Some(values.number_set(":schema", SCHEMA).0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await
            .map(|_| ())
            .map_err(|e| match attribute::standing_delete(&e) {
                Some(stands) => self.fenced("DeleteItem", pk, Some(&stands)),
                None => self.error("DeleteItem", pk, &e),
            })
    }

    /// Writes a whole record unless a newer run of `fence`'s lease wrote it, or another version of
    /// Holdfast did.
    pub(super) async fn put(
        &self,
        item: Item,
        condition: &str,
        values: Item,
    ) -> Result<(), TableError> {
        let record = item.get("pk").unwrap_or("*").to_owned();
        match self.put_unless(item, condition, &[], values).await? {
            None => Ok(()),
            Some(stands) => Err(self.fenced("PutItem", &record, Some(&stands))),
        }
    }

    /// The same, with further names of attributes in the condition; where it does not hold, what
    /// stands there.
    pub(super) async fn put_unless(
        &self,
        item: Item,
        condition: &str,
        names: &[(&str, &str)],
        values: Item,
    ) -> Result<Option<Item>, TableError> {
        let record = item.get("pk").unwrap_or("*").to_owned();
        let item = item.number_set("schema", SCHEMA);
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.0))
            .condition_expression(format!("{THIS_SCHEMA} AND ({condition})"))
            .set_expression_attribute_names(Some(with_schema(names)))
            .set_expression_attribute_values(Some(values.number_set(":schema", SCHEMA).0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = result else {
            return Ok(None);
        };
        match attribute::standing_put(&error) {
            Some(stands) => Ok(Some(stands)),
            None => Err(self.error("PutItem", &record, &error)),
        }
    }
}
