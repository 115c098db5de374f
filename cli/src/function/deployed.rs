//! A deployed function, through Lambda's API.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::primitives::Blob;
use holdfast::aws::SdkConfig;
use holdfast::aws::answers::Watch;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Answer;
use crate::failure::{Failure, permission};
use crate::interrupt::listen;
use crate::output::progress;

/// A little more than Lambda lets a function run at most (Lambda Developer Guide, "Lambda quotas").
const LONGEST: Duration = Duration::from_secs(15 * 60 + 30);
const CONNECT: Duration = Duration::from_secs(5);

/// Invokes the function of this name or ARN with an event, and waits for its report.
///
/// # Errors
/// It could not be invoked, or it answered with an error.
pub async fn invoke(config: &SdkConfig, function: &str, event: &Value) -> Result<Answer, Failure> {
    // The configuration's own limits are for calls that are answered at once.
    let limits = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(LONGEST)
        .operation_attempt_timeout(LONGEST)
        .build();
    let watched = Builder::from(config).interceptor(Watch("Lambda"));
    let client = Client::from_conf(watched.timeout_config(limits).build());
    progress(&format!("waiting for {function} ..."));
    let invoked = client
        .invoke()
        .function_name(function)
        .payload(Blob::new(event.to_string()))
        .send();
    let (stop, stopped) = oneshot::channel();
    let words = "interrupted: the answer is not waited for";
    let listening = listen(words, move || {
        let _ = stop.send(());
    })
    .await;
    let sent = tokio::select! {
        sent = invoked => sent,
        Ok(()) = stopped => {
            return Err(Failure::failed(format!(
                "if {function} has begun, it goes on to its end: see `holdfast runs`"
            )));
        }
    };
    drop(listening);
    let output = sent.map_err(|error| uninvoked(function, &error))?;
    let payload = output.payload().map(Blob::as_ref).unwrap_or_default();
    let payload: Value = serde_json::from_slice(payload)
        .map_err(|error| Failure::failed(format!("{function} answered with no JSON: {error}")))?;
    if output.function_error().is_none() {
        return Answer::read(payload);
    }
    let word = |key: &str| payload[key].as_str().unwrap_or("nothing").to_owned();
    Err(Failure::failed(format!(
        "{function} failed: {}: {}",
        word("errorType"),
        word("errorMessage")
    )))
}

/// What IAM knows a function by.
fn arn(function: &str) -> String {
    match function.starts_with("arn:") {
        true => function.to_owned(),
        false => format!("arn:aws:lambda:*:*:function:{function}"),
    }
}

fn uninvoked<E>(
    function: &str,
    error: &SdkError<E, aws_sdk_lambda::config::http::HttpResponse>,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default();
    let words = match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => DisplayErrorContext(error).to_string(),
    };
    let advice = match code {
        "AccessDeniedException" => permission("Invoke", &arn(function)),
        "ResourceNotFoundException" => {
            "; check --function, --region and --profile, or deploy the stack".to_owned()
        }
        "TooManyRequestsException" => "; try again".to_owned(),
        _ => String::new(),
    };
    Failure::failed(format!("{function} could not be invoked: {words}{advice}"))
}
