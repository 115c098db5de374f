//! Who the caller is.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_smithy_types::timeout::TimeoutConfig;

/// Longest time that the question may take, retries included: nothing waits for the answer that
/// could not do without it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The account that the credentials belong to; `None` when STS does not tell.
///
/// `GetCallerIdentity` needs no permission (STS API Reference), so that it fails only where STS
/// cannot be reached or the credentials are not valid.
pub async fn account(config: &SdkConfig) -> Option<String> {
    let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
    let client = Client::from_conf(Builder::from(config).timeout_config(timeouts).build());
    let answer = client.get_caller_identity().send().await.ok()?;
    answer.account
}
