//! Answers of AWS's as they come, told to whoever watches: how many there are, which calls were put off
//! (the SDK asks again by itself, in silence), and which the caller may not make (a list that is denied
//! is one that holds, in a report that goes on).

use std::borrow::Cow;
use std::sync::OnceLock;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use serde::Deserialize;

/// Who is told, in this process.
#[derive(Clone, Copy, Debug)]
pub struct Watcher {
    /// At each answer.
    pub answered: fn(),
    /// At each call that a service, by its name, puts off.
    pub put_off: fn(&'static str),
    /// At each call that is denied: its operation.
    pub denied: fn(&str),
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
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(watcher), Some(answer)) = (WATCHER.get(), context.response()) {
            (watcher.answered)();
            if is_put_off(answer) {
                (watcher.put_off)(self.0);
            } else if is_denied(answer)
                && let Some(call) = bag.load::<Metadata>()
            {
                (watcher.denied)(call.name());
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
        400 => has_type(
            answer,
            &[
                "ProvisionedThroughputExceededException",
                "ThrottlingException",
                "RequestLimitExceeded",
            ],
        ),
        _ => false,
    }
}

/// Whether a service refuses because the caller may not: EC2 with 403 and `UnauthorizedOperation`, Auto
/// Scaling with 403 and `AccessDenied`, Lambda with 403 and the type in a header, the others with 400
/// and `AccessDeniedException` ("Common Errors" in each API Reference).
fn is_denied(answer: &HttpResponse) -> bool {
    const DENIED: &str = "AccessDeniedException";
    match answer.status().as_u16() {
        400 => has_type(answer, &[DENIED]),
        403 => {
            let kind = answer.headers().get("x-amzn-errortype");
            let text = text(answer);
            let codes = ["UnauthorizedOperation", "AccessDenied"];
            kind.is_some_and(|kind| kind.starts_with(DENIED))
                || codes
                    .iter()
                    .any(|code| text.contains(&format!("<Code>{code}</Code>")))
        }
        _ => false,
    }
}

/// Whether the type of a JSON service's error is one of these, whatever stands before it.
fn has_type(answer: &HttpResponse, types: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type")]
        kind: String,
    }
    let refusal = serde_json::from_str::<Refusal>(&text(answer));
    refusal.is_ok_and(|refusal| types.iter().any(|kind| refusal.kind.ends_with(kind)))
}

fn text(answer: &HttpResponse) -> Cow<'_, str> {
    String::from_utf8_lossy(answer.body().bytes().unwrap_or_default())
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

    #[test]
    fn each_services_own_way_to_deny_a_call_is_known_and_no_other_refusal_taken_for_it() {
        let ec2 = |code: &str| {
            format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>")
        };
        let json = |kind: &str| format!(r#"{{"__type":"com.amazon.coral.service#{kind}"}}"#);
        for (status, body, expected) in [
            (403, ec2("UnauthorizedOperation"), true),
            (403, ec2("AccessDenied"), true),
            (400, json("AccessDeniedException"), true),
            (403, ec2("SignatureDoesNotMatch"), false),
            (400, json("ConditionalCheckFailedException"), false),
            // A resource of that name.
            (403, ec2("InvalidSnapshot.InUse: AccessDenied"), false),
            (200, json("AccessDeniedException"), false),
        ] {
            let answer = answer(status, &body);
            assert_eq!(is_denied(&answer), expected, "{status} {body}");
        }
        let mut lambda = answer(403, r#"{"Message":"not authorized"}"#);
        assert!(!is_denied(&lambda));
        let kind = "AccessDeniedException:http://internal.amazon.com/coral/";
        lambda.headers_mut().insert("x-amzn-errortype", kind);
        assert!(is_denied(&lambda));
    }
}
