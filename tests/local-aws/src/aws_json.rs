//! Answers in the AWS JSON 1.1 protocol, as the SDK clients of Systems Manager and KMS read them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An answer with its status.
pub(crate) fn answer(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, content_type, value.to_string()).into_response()
}

/// A refusal: the SDK reads the code from `__type`.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Response {
    answer(status, &json!({ "__type": code, "message": message }))
}
