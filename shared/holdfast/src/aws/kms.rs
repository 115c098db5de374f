//! States of KMS keys.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use holdfast_core::inventory::KeyState;
use holdfast_core::ports::{CallError, ErrorClass};

use super::answers::Watch;
use super::error::call_error;

/// The KMS API of one account and Region.
#[derive(Clone, Debug)]
pub(super) struct Kms {
    client: Client,
}

impl Kms {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(Builder::from(config).interceptor(Watch("KMS")).build()),
        }
    }

    pub(super) async fn key_state(&self, key: &str) -> Result<KeyState, CallError> {
        const OPERATION: &str = "DescribeKey";
        let answer = match self.client.describe_key().key_id(key).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = call_error(OPERATION, key, &error);
                return match error.class {
                    ErrorClass::NotFound => Ok(KeyState::Missing),
                    _ => Err(error),
                };
            }
        };
        // Always there (`KeyMetadata`, KMS API Reference, says so of all keys).
        let state = answer.key_metadata.and_then(|metadata| metadata.key_state);
        let state = state.as_ref().map_or("", |state| state.as_str());
        Ok(KeyState::parse(state))
    }
}
