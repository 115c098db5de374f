//! Conditional writes to the table.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use holdfast_core::ports::records::{Lease, TableError};

use super::attribute::{self, Item, key};
use super::{SCHEMA, THIS_SCHEMA, Table};

impl Table {
    /// Deletes a record; an absent one is no error. Not one of another version of Holdfast, and with
    /// a lease not one that a newer run wrote.
    pub(super) async fn delete(
        &self,
        pk: &str,
        sk: &str,
        lease: Option<&Lease>,
    ) -> Result<(), TableError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key(pk, sk)));
        let schema = Item::new().number_set(":schema", SCHEMA);
        let (condition, values) = match lease {
            Some(lease) => (
                format!("{THIS_SCHEMA} AND (attribute_not_exists(pk) OR fence <= :fence)"),
                schema.fence(":fence", lease.fence),
            ),
            None => (THIS_SCHEMA.to_owned(), schema),
        };
        request
            .condition_expression(condition)
            .expression_attribute_names("#schema", "schema")
            .set_expression_attribute_values(Some(values.0))
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
        let names = names.iter().chain(&[("#schema", "schema")]);
        let names = names.map(|(name, of)| ((*name).to_owned(), (*of).to_owned()));
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.0))
            .condition_expression(format!("{THIS_SCHEMA} AND ({condition})"))
            .set_expression_attribute_names(Some(names.collect()))
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
