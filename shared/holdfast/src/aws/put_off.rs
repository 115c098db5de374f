//! Calls that EC2 put off, told to whoever watches: the SDK asks again by itself, in silence.

use std::sync::OnceLock;

use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// The status with which EC2 refuses for too many calls, and when it is not available for the moment
/// (`RequestLimitExceeded`, `Unavailable`; EC2 API Reference, "Error codes").
const PUT_OFF: u16 = 503;

static WATCHER: OnceLock<fn()> = OnceLock::new();

/// Has `told` called at each call that EC2 puts off, from now on and in this process. The first one
/// to ask stays the watcher.
pub fn watch(told: fn()) {
    // A second watcher would be a second program in the same process.
    let _ = WATCHER.set(told);
}

/// Looks at every answer of EC2's.
#[derive(Debug)]
pub(super) struct Watch;

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
        let status = context.response().map(|answer| answer.status().as_u16());
        if status == Some(PUT_OFF)
            && let Some(told) = WATCHER.get()
        {
            told();
        }
        Ok(())
    }
}
