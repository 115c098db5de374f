//! The one operation of Lambda's API that callers need locally: a synchronous `Invoke`.
//!
//! What it answers, a function's own failure included, is as the Lambda API Reference has it
//! ("Invoke"): status 200 with the payload, and `X-Amz-Function-Error` where the payload is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::{Function, Invocation};
use crate::iam::{self, Demand, Gate};

/// The functions that can be invoked over HTTP. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Functions {
    by_name: Arc<Mutex<BTreeMap<String, Function>>>,
}

impl Functions {
    /// Lets a function be invoked by its name or ARN, in the place of an earlier one of that name.
    pub fn deploy(&self, function: Function) {
        let name = function.config().name.clone();
        let mut all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, function);
    }

    /// The names of those that are deployed.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().cloned().collect()
    }

    /// By a name, an ARN (`arn:aws:lambda:REGION:ACCOUNT:function:NAME`) or part of one
    /// (`ACCOUNT:function:NAME`).
    fn find(&self, named: &str) -> Option<Function> {
        let name = named
            .rsplit_once("function:")
            .map_or(named, |(_, name)| name);
        let all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned()
    }
}

/// The door to these functions, with a gate that knows the callers' roles.
pub fn guarded(functions: Functions, gate: Gate) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .with_state((functions, gate))
}

async fn invoke(
    State((functions, gate)): State<(Functions, Gate)>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&functions, &gate, &name, &headers, &body).await {
        Ok(response) => response,
        Err((status, code, message)) => {
            let kind = [("x-amzn-errortype", code)];
            let body = json!({ "Type": "User", "Message": message }).to_string();
            (status, kind, json_type(), body).into_response()
        }
    }
}

fn json_type() -> [(header::HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, "application/json")]
}

async fn answer(
    functions: &Functions,
    gate: &Gate,
    name: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, (StatusCode, &'static str, String)> {
    let function = functions.find(name).ok_or_else(|| {
        let message = format!("Function not found: {name}");
        (StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    })?;
    let demand = Demand::new("lambda:InvokeFunction", function.config().arn());
    if let Err(refused) = gate.admit(iam::caller(headers), &[demand]) {
        let message = refused.to_string();
        return Err((StatusCode::FORBIDDEN, "AccessDeniedException", message));
    }
    let kind = headers.get("x-amz-invocation-type");
    if kind.is_some_and(|kind| kind != "RequestResponse") {
        let message = "the local Lambda answers RequestResponse only".to_owned();
        let code = "InvalidParameterValueException";
        return Err((StatusCode::BAD_REQUEST, code, message));
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| {
        let code = "InvalidRequestContentException";
        (StatusCode::BAD_REQUEST, code, error.to_string())
    })?;
    let ended = function.invoke(&event).await.map_err(|error| {
        let code = "ServiceException";
        (StatusCode::INTERNAL_SERVER_ERROR, code, error.to_string())
    })?;
    let version = [("x-amz-executed-version", "$LATEST")];
    let failed = [("x-amz-function-error", "Unhandled")];
    let failure = |error_type: &str, message: String| {
        let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
        (StatusCode::OK, version, failed, json_type(), body).into_response()
    };
    Ok(match ended {
        Invocation::Ok(payload) => {
            (StatusCode::OK, version, json_type(), payload.to_string()).into_response()
        }
        Invocation::FunctionError {
            error_type,
            message,
        } => failure(&error_type, message),
        Invocation::Crashed { exit } => {
            let message = format!("Runtime exited without an answer: {exit:?}");
            failure("Runtime.ExitError", message)
        }
        Invocation::TimedOut { after } => {
            let seconds = after.as_secs_f64();
            failure(
                "Sandbox.Timedout",
                format!("Task timed out after {seconds:.2} seconds"),
            )
        }
    })
}
