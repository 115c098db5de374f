//! Errors as EC2 words them: a code, a message and an HTTP status.

use crate::request::Request;

/// An error answer of the EC2 API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// EC2's error code, such as `InvalidSnapshot.InUse`.
    pub code: String,
    /// Words for people.
    pub message: String,
    /// HTTP status of the answer.
    pub http_status: u16,
}

impl ApiError {
    /// An error with the HTTP status that EC2 gives this code.
    ///
    /// `RequestLimitExceeded` comes with 503, not 429 (bosh-aws-cpi issue #61); the other server
    /// errors follow `[E]`, "Server error codes". Everything else is a client error: 400, with
    /// 403 for refused permissions and 412 for a successful dry run.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        let http_status = match code.as_str() {
            "RequestLimitExceeded" | "ServiceUnavailable" | "Unavailable" => 503,
            "InternalError" | "InternalFailure" | "InternalServerError" => 500,
            "UnauthorizedOperation" | "AuthFailure" | "AccessDenied" => 403,
            "DryRunOperation" => 412,
            _ => 400,
        };
        Self {
            code,
            message: message.into(),
            http_status,
        }
    }

    /// The request was refused for the rate of requests `[T]`.
    #[must_use]
    pub fn throttled() -> Self {
        Self::new("RequestLimitExceeded", "Request limit exceeded.")
    }

    /// The service failed.
    #[must_use]
    pub fn internal() -> Self {
        Self::new("InternalError", "An internal error has occurred")
    }

    /// The caller's permissions do not suffice.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            "UnauthorizedOperation",
            "You are not authorized to perform this operation.",
        )
    }

    /// A parameter has a value that EC2 refuses.
    pub fn invalid_value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// The refusal for the rate of requests in the words of a service: Auto Scaling has a code of
    /// its own (API Reference of Amazon EC2 Auto Scaling, "Common errors"), and so has Systems
    /// Manager.
    pub(crate) fn throttled_by(service: &str) -> Self {
        match service {
            Request::EC2 => Self::throttled(),
            Request::SSM => Self::new("ThrottlingException", "Rate exceeded"),
            _ => Self::new("Throttling", "Rate exceeded"),
        }
    }

    /// A failure of a service in its words; as [`Self::throttled_by`].
    pub(crate) fn internal_of(service: &str) -> Self {
        match service {
            Request::EC2 => Self::internal(),
            Request::SSM => Self::new("InternalServerError", "An internal failure has occurred"),
            _ => Self::new("InternalFailure", "An internal failure has occurred"),
        }
    }

    /// A denial in the words of a service; as [`Self::throttled_by`].
    pub(crate) fn denied_by(service: &str) -> Self {
        let words = "The caller is not authorized to perform this operation.";
        match service {
            Request::EC2 => Self::unauthorized(),
            Request::SSM => Self::new("AccessDeniedException", words),
            _ => Self::new("AccessDenied", words),
        }
    }

    /// Parameters that exclude one another.
    pub fn invalid_combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    /// A required parameter is missing.
    #[must_use]
    pub fn missing(parameter: &str) -> Self {
        Self::new(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    pub(crate) fn dry_run() -> Self {
        Self::new(
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        )
    }

    pub(crate) fn not_found(code: &str, kind: &str, id: &str) -> Self {
        Self::new(code, format!("The {kind} '{id}' does not exist."))
    }

    pub(crate) fn snapshot_not_found(id: &str) -> Self {
        Self::not_found("InvalidSnapshot.NotFound", "snapshot", id)
    }

    pub(crate) fn volume_not_found(id: &str) -> Self {
        Self::not_found("InvalidVolume.NotFound", "volume", id)
    }

    pub(crate) fn instance_not_found(id: &str) -> Self {
        Self::not_found("InvalidInstanceID.NotFound", "instance ID", id)
    }

    pub(crate) fn image_not_found(id: &str) -> Self {
        Self::not_found("InvalidAMIID.NotFound", "image id", id)
    }

    /// Assumed: for a resource that is visible but another account's, EC2 answers `AuthFailure`.
    pub(crate) fn not_owner(id: &str) -> Self {
        Self::new("AuthFailure", format!("Not authorized for resource: {id}"))
    }
}

/// Why a call gave no answer to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// EC2 refused it, and did nothing.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The call was carried out; the answer never arrived.
    #[error("the call was carried out and its response was lost")]
    ResponseLost,
    /// The call was carried out; the caller waits for an answer that never comes.
    #[error("the call was carried out and is never answered")]
    Hang,
}
