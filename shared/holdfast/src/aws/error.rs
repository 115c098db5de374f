//! What a failed call to EC2 or Auto Scaling means, by its code and never by its message.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use holdfast_core::error_code;
use holdfast_core::ports::{CallError, ErrorClass};

use crate::aws::chain;

/// Turns an SDK error into the port's.
pub(super) fn call_error<E>(
    operation: &'static str,
    resource: impl Into<String>,
    error: &SdkError<E, HttpResponse>,
) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let class = match error {
        // Never left this process.
        SdkError::ConstructionFailure(_) => ErrorClass::Permanent,
        SdkError::ServiceError(service) => {
            let known = code.as_deref().map(error_code::classify);
            let failed_inside = service.raw().status().as_u16() >= 500;
            match known {
                Some(ErrorClass::Throttled) => ErrorClass::Throttled,
                _ if failed_inside => ErrorClass::UnknownOutcome,
                Some(class) => class,
                None => ErrorClass::Permanent,
            }
        }
        // Sent, perhaps carried out, and not heard of again.
        _ => ErrorClass::UnknownOutcome,
    };
    let message = match error.message() {
        Some(message) => message.to_owned(),
        None => chain(error),
    };
    CallError {
        operation,
        resource: resource.into(),
        code,
        class,
        message,
    }
}
