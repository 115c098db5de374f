//! The server side of the Lambda Runtime API, for one process
//! [Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::Invocation;
use crate::door::Door;

/// Largest answer of a function in bytes [Lambda Developer Guide, "Lambda quotas": 6 MB; the
/// figure is the one that Lambda's own error message names].
const MAX_RESPONSE: usize = 6_291_556;

/// An event on its way into the process.
pub(super) struct Handover {
    pub request_id: String,
    pub event: Vec<u8>,
    pub timeout: Duration,
    /// Told when the process has taken the event.
    pub taken: oneshot::Sender<()>,
    /// Told what the process made of it.
    pub outcome: oneshot::Sender<Invocation>,
}

/// `{"errorType": …, "errorMessage": …}`, as runtimes report it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorDocument {
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error_message: String,
}

impl ErrorDocument {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            error_type: "Runtime.UnknownReason".to_owned(),
            error_message: String::from_utf8_lossy(body).into_owned(),
        })
    }

    fn into_invocation(self) -> Invocation {
        Invocation::FunctionError {
            error_type: self.error_type,
            message: self.error_message,
        }
    }
}

/// The Runtime API of one process; closed when dropped.
pub(super) struct RuntimeApi {
    door: Door,
    queue: mpsc::UnboundedSender<Handover>,
    init_error: watch::Receiver<Option<Invocation>>,
}

struct Shared {
    arn: String,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Handover>>,
    running: Mutex<Option<(String, oneshot::Sender<Invocation>)>>,
    init_error: watch::Sender<Option<Invocation>>,
}

impl Shared {
    /// Ends the running invocation when it is the one named.
    fn finish(&self, request_id: &str, outcome: Invocation) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, sender)) = running.take_if(|(id, _)| id == request_id) else {
            return false;
        };
        // An invoker that has gone away is nobody's error.
        let _gone = sender.send(outcome);
        true
    }
}

impl RuntimeApi {
    pub(super) async fn open(arn: String) -> std::io::Result<Self> {
        let (queue, receiver) = mpsc::unbounded_channel();
        let (init_error, init_error_seen) = watch::channel(None);
        let shared = Arc::new(Shared {
            arn,
            queue: tokio::sync::Mutex::new(receiver),
            running: Mutex::new(None),
            init_error,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error_report))
            // More than is allowed, so that the handler itself sees what is too large.
            .layer(DefaultBodyLimit::max(2 * MAX_RESPONSE))
            .with_state(shared);
        Ok(Self {
            door: Door::open(router, 0).await?,
            queue,
            init_error: init_error_seen,
        })
    }

    /// `HOST:PORT`, the form that `AWS_LAMBDA_RUNTIME_API` has.
    pub(super) fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// Queues an event for the process's next request.
    pub(super) fn submit(&self, handover: Handover) {
        // The receiver lives as long as the door; a closed one shows as a dropped `taken`.
        let _closed = self.queue.send(handover);
    }

    /// The error of a process that could not initialise itself; waits for it.
    pub(super) async fn init_error(&self) -> Invocation {
        let mut seen = self.init_error.clone();
        loop {
            if let Some(error) = seen.borrow_and_update().clone() {
                return error;
            }
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some(handover) = shared.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let timeout = i64::try_from(handover.timeout.as_millis()).unwrap_or(i64::MAX);
    let deadline = Timestamp::now().as_millisecond().saturating_add(timeout);
    let trace = format!(
        "Root=1-{:08x}-{};Sampled=0",
        Timestamp::now().as_second(),
        &uuid::Uuid::new_v4().simple().to_string()[..24]
    );
    let mut response = handover.event.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for (name, value) in [
        ("lambda-runtime-aws-request-id", handover.request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", shared.arn.clone()),
        ("lambda-runtime-trace-id", trace),
    ] {
        match HeaderValue::from_str(&value) {
            Ok(value) => headers.insert(name, value),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    *shared
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some((handover.request_id, handover.outcome));
    let _gone = handover.taken.send(());
    response
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> Response {
    if body.len() > MAX_RESPONSE {
        let outcome = Invocation::FunctionError {
            error_type: "Function.ResponseSizeTooLarge".to_owned(),
            message: format!(
                "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
            ),
        };
        shared.finish(&request_id, outcome);
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
    }
    let outcome = match serde_json::from_slice::<Value>(&body) {
        Ok(value) => Invocation::Ok(value),
        Err(error) => Invocation::FunctionError {
            error_type: "Runtime.InvalidResponse".to_owned(),
            message: format!("the function's response is no JSON: {error}"),
        },
    };
    accept(&shared, &request_id, outcome)
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> Response {
    let outcome = ErrorDocument::read(&body).into_invocation();
    accept(&shared, &request_id, outcome)
}

async fn init_error_report(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let outcome = ErrorDocument::read(&body).into_invocation();
    shared.init_error.send_replace(Some(outcome));
    answer(StatusCode::ACCEPTED, "")
}

fn accept(shared: &Shared, request_id: &str, outcome: Invocation) -> Response {
    if shared.finish(request_id, outcome) {
        answer(StatusCode::ACCEPTED, "")
    } else {
        answer(StatusCode::BAD_REQUEST, "InvalidRequestID")
    }
}

fn answer(status: StatusCode, error_type: &str) -> Response {
    let body = if error_type.is_empty() {
        json!({"status": "OK"})
    } else {
        json!({"errorType": error_type, "errorMessage": error_type})
    };
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, body.to_string()).into_response()
}
