//! Records as DynamoDB attributes.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

/// Attributes by name: a record, or the values of an expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Item(pub(super) HashMap<String, AttributeValue>);

/// The primary key.
pub(super) fn key(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    Item::keyed(pk, sk).0
}

impl Item {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn keyed(pk: &str, sk: &str) -> Self {
        Self::new().text("pk", pk).text("sk", sk)
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.0
            .insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        self
    }

    pub(super) fn text_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn number_set(mut self, name: &str, value: i64) -> Self {
        self.0
            .insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    pub(super) fn fence(self, name: &str, value: u64) -> Self {
        self.number_set(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn flag_set(mut self, name: &str, value: bool) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::Bool(value));
        self
    }

    pub(super) fn time(self, name: &str, value: Timestamp) -> Self {
        self.text(name, &value.to_string())
    }

    pub(super) fn time_if(self, name: &str, value: Option<Timestamp>) -> Self {
        match value {
            Some(value) => self.time(name, value),
            None => self,
        }
    }

    pub(super) fn texts(mut self, name: &str, values: &[String]) -> Self {
        let values = values.iter().cloned().map(AttributeValue::S).collect();
        self.0.insert(name.to_owned(), AttributeValue::L(values));
        self
    }

    pub(super) fn texts_if(self, name: &str, values: Option<&[String]>) -> Self {
        match values {
            Some(values) => self.texts(name, values),
            None => self,
        }
    }

    pub(super) fn map(mut self, name: &str, values: &BTreeMap<String, String>) -> Self {
        let values = values
            .iter()
            .map(|(k, v)| (k.clone(), AttributeValue::S(v.clone())))
            .collect();
        self.0.insert(name.to_owned(), AttributeValue::M(values));
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    pub(super) fn fence_of(&self, name: &str) -> Option<u64> {
        u64::try_from(self.number(name)?).ok()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool().ok().copied()
    }

    pub(super) fn timestamp(&self, name: &str) -> Option<Timestamp> {
        self.get(name)?.parse().ok()
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.get(name).and_then(|value| value.as_l().ok());
        values
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_s().ok().cloned())
            .collect()
    }

    pub(super) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        let values = self.0.get(name).and_then(|value| value.as_m().ok());
        let pairs = values.into_iter().flatten();
        pairs
            .filter_map(|(k, v)| Some((k.clone(), v.as_s().ok()?.clone())))
            .collect()
    }
}

/// The record that stood in the way of a conditional put; `None` for any other error.
pub(super) fn standing_put(error: &SdkError<PutItemError, HttpResponse>) -> Option<Item> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failed) => {
            Some(Item(failed.item.clone().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The record that stood in the way of a conditional deletion; `None` for any other error.
pub(super) fn standing_delete(error: &SdkError<DeleteItemError, HttpResponse>) -> Option<Item> {
    match error.as_service_error()? {
        DeleteItemError::ConditionalCheckFailedException(failed) => {
            Some(Item(failed.item.clone().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The record that stood in the way of a conditional update; `None` for any other error.
pub(super) fn standing_update(error: &SdkError<UpdateItemError, HttpResponse>) -> Option<Item> {
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(failed) => {
            Some(Item(failed.item.clone().unwrap_or_default()))
        }
        _ => None,
    }
}
