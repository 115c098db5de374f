//! Answers of AWS's as they come, told to whoever watches: how many there are, and which calls were
//! put off. The SDK asks again by itself, in silence.

use std::sync::OnceLock;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// Who is told, in this process.
#[derive(Clone, Copy, Debug)]
pub struct Watcher {
    /// At each answer.
    pub answered: fn(),
    /// At each call that a service, by its name, puts off.
    pub put_off: fn(&'static str),
}

static WATCHER: OnceLock<Watcher> = OnceLock::new();

/// Has `watcher` told from now on. The first one to ask stays the watcher.
pub fn watch(watcher: Watcher) {
    // A second watcher would be a second program in the same process.
    let _ = WATCHER.set(watcher);
}

/// Looks at every answer of one service's.
#[derive(Debug)]
pub struct Watch(pub &'static str);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(watcher), Some(answer)) = (WATCHER.get(), context.response()) {
            (watcher.answered)();
            if is_put_off(answer) {
                (watcher.put_off)(self.0);
            }
        }
        Ok(())
    }
}

/// Whether a service refuses for too many calls, or because it is not available for the moment: EC2
/// with 503 (`RequestLimitExceeded`, `Unavailable`; EC2 API Reference, "Error codes"), Lambda with 429
/// (`TooManyRequestsException`; Lambda API Reference, "Invoke"), DynamoDB with 400 like any other
/// fault of the caller's, so that its code alone tells (DynamoDB Developer Guide, "Error handling").
fn is_put_off(answer: &HttpResponse) -> bool {
    match answer.status().as_u16() {
        429 | 503 => true,
        400 => {
            let body = answer.body().bytes().unwrap_or_default();
            let text = String::from_utf8_lossy(body);
            let codes = [
                "ProvisionedThroughputExceededException",
                "ThrottlingException",
                "RequestLimitExceeded",
            ];
            text.contains("\"__type\"") && codes.iter().any(|code| text.contains(code))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16, body: &str) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
    }

    #[test]
    fn each_services_own_way_to_put_a_call_off_is_known_and_no_other_refusal_taken_for_it() {
        let throttled = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#;
        let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException"}"#;
        for (status, body, expected) in [
            (503, "<Response/>", true),
            (
                429,
                r#"{"Reason":"ConcurrentInvocationLimitExceeded"}"#,
                true,
            ),
            (400, throttled, true),
            (400, denied, false),
            // Somebody's item that has the word in it.
            (
                200,
                r#"{"Item":{"error":{"S":"ThrottlingException"}}}"#,
                false,
            ),
            (403, "", false),
        ] {
            assert_eq!(
                is_put_off(&answer(status, body)),
                expected,
                "{status} {body}"
            );
        }
    }
}
