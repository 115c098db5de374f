//! Strongly consistent reads of the table.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::{StreamExt, stream};
use holdfast_core::ports::records::{TableError, TableErrorKind};

use super::Table;
use super::attribute::{Item, key};

/// Most items of one `BatchGetItem` (DynamoDB API Reference).
const BATCH: usize = 100;
/// Batches read at once.
const BATCHES_AT_ONCE: usize = 4;
/// How often the unprocessed rest of a batch is asked for again.
const BATCH_ATTEMPTS: usize = 8;

impl Table {
    /// One record, strongly consistent.
    pub(super) async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(pk, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| self.error("GetItem", pk, &e))?;
        let item = output.item.map(Item);
        if let Some(item) = &item {
            self.readable("GetItem", pk, item)?;
        }
        Ok(item)
    }

    /// Every record of a partition, strongly consistent, to the last page; an error where one of them
    /// cannot be read.
    pub(super) async fn query(&self, pk: &str) -> Result<Vec<Item>, TableError> {
        let each = self.query_each(pk).await?;
        each.into_iter().map(|(_, item)| item).collect()
    }

    /// The same, each record by its sort key, and an error in the place of one that cannot be read.
    pub(super) async fn query_each(
        &self,
        pk: &str,
    ) -> Result<Vec<(String, Result<Item, TableError>)>, TableError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .set_expression_attribute_values(Some(Item::new().text(":pk", pk).0))
            .into_paginator()
            .send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.error("Query", pk, &e))?;
            for item in page.items.unwrap_or_default().into_iter().map(Item) {
                let sk = item.owned("sk").unwrap_or_default();
                let readable = self.readable("Query", &format!("{pk} {sk}"), &item);
                items.push((sk, readable.map(|()| item)));
            }
        }
        Ok(items)
    }

    /// A record whose fields are not what this version writes.
    pub(super) fn damaged(&self, operation: &'static str, record: &str) -> TableError {
        let words = "its fields are damaged";
        self.failure(operation, record, TableErrorKind::Unreadable, words)
    }

    /// Many records by their keys, strongly consistent; absent ones are left out.
    pub(super) async fn batch(&self, keys: &[(String, String)]) -> Result<Vec<Item>, TableError> {
        let unique: BTreeSet<(String, String)> = keys.iter().cloned().collect();
        let unique: Vec<(String, String)> = unique.into_iter().collect();
        let parts: Vec<Vec<(String, String)>> = unique.chunks(BATCH).map(<[_]>::to_vec).collect();
        let mut parts = stream::iter(parts)
            .map(|part| self.batch_part(part))
            .buffer_unordered(BATCHES_AT_ONCE);
        let mut items = Vec::new();
        while let Some(part) = parts.next().await {
            items.extend(part?);
        }
        Ok(items)
    }

    async fn batch_part(&self, keys: Vec<(String, String)>) -> Result<Vec<Item>, TableError> {
        let mut left: Vec<_> = keys.iter().map(|(pk, sk)| key(pk, sk)).collect();
        let mut items = Vec::new();
        for _ in 0..BATCH_ATTEMPTS {
            let request = KeysAndAttributes::builder()
                .consistent_read(true)
                .set_keys(Some(left))
                .build()
                .map_err(|e| {
                    let kind = TableErrorKind::Refused;
                    self.failure("BatchGetItem", "*", kind, e.to_string())
                })?;
            let output = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .send()
                .await
                .map_err(|e| self.error("BatchGetItem", "*", &e))?;
            for item in output
                .responses
                .unwrap_or_default()
                .into_values()
                .flatten()
                .map(Item)
            {
                self.readable("BatchGetItem", item.get("pk").unwrap_or("*"), &item)?;
                items.push(item);
            }
            left = output
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|rest| rest.keys)
                .collect();
            if left.is_empty() {
                return Ok(items);
            }
        }
        let message = format!("{} records were left unread", left.len());
        Err(self.failure("BatchGetItem", "*", TableErrorKind::Unavailable, message))
    }
}
