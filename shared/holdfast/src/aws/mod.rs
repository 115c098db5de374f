//! Adapters over the AWS SDK: conversion, paging, classification of errors. No business rules.

pub mod answers;
mod auto_scaling;
pub mod dynamodb;
pub mod ec2;
mod error;
mod kms;
mod listing;
pub mod ssm;
pub mod sts;

use std::time::Duration;

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_sts::config::{ProvideCredentials, Region, SharedCredentialsProvider};
use aws_smithy_types::timeout::TimeoutConfig;
use jiff::{SignedDuration, Timestamp};

/// Longest time that one mutating call may take, its own retries included.
///
/// A mutating call is sent only while the lease outlasts this time.
pub const CALL_TIMEOUT: SignedDuration = SignedDuration::from_secs(20);

/// Longest time for one attempt of any call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// What a caller chose instead of what the environment says.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The Region.
    pub region: Option<String>,
    /// The profile of the shared configuration files.
    pub profile: Option<String>,
}

/// Why no call can be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// No Region is configured.
    #[error("no AWS Region is configured")]
    Region,
    /// Credentials could not be had.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
}

impl NotReady {
    /// The environment variable by which it can be had.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        match self {
            Self::Region => "AWS_REGION",
            Self::Credentials(_) => "AWS_ACCESS_KEY_ID",
        }
    }
}

/// Loads the SDK's configuration from the environment, as the SDK itself defines it.
pub async fn load_config() -> SdkConfig {
    load_config_for(&Chosen::default()).await
}

/// Loads the SDK's configuration from the environment, except for what was chosen.
///
/// A chosen profile's credentials win over those in the environment, as with the AWS CLI. The
/// SDK alone would look at `AWS_ACCESS_KEY_ID` first and so act on another account than the one
/// that was named.
pub async fn load_config_for(chosen: &Chosen) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(
        TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build(),
    );
    if let Some(region) = &chosen.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let Some(profile) = &chosen.profile else {
        return loader.load().await;
    };
    let config = loader.profile_name(profile).load().await;
    let place = ProviderConfig::default().with_region(config.region().cloned());
    let credentials = ProfileFileCredentialsProvider::builder()
        .configure(&place)
        .profile_name(profile)
        .build();
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// Finds out whether a Region and credentials are there, before a call fails for their want with
/// an error that has no code.
///
/// # Errors
/// [`NotReady`] says which is missing.
pub async fn check_config(config: &SdkConfig) -> Result<(), NotReady> {
    if config.region().is_none() {
        return Err(NotReady::Region);
    }
    let Some(provider) = config.credentials_provider() else {
        return Err(NotReady::Credentials("no provider is configured".into()));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(NotReady::Credentials(chain(&error))),
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

/// An SDK time as a timestamp; `None` outside the years that jiff knows.
fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos().try_into().ok()?).ok()
}

/// [`CALL_TIMEOUT`] as the SDK wants it.
fn call_timeout() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT.unsigned_abs())
        .build()
}
