//! What stands before the embedded DynamoDB: it asks the gate about each request and passes on
//! what is let in. The engine's own server has no place for that.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::iam::{self, Gate};

/// Largest request (DynamoDB Developer Guide, "Quotas": 16 MB for a batch).
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A gate for one account and Region.
#[derive(Clone, Debug)]
pub struct Front {
    /// Knows the callers' roles.
    pub gate: Gate,
    /// Region of the tables.
    pub region: String,
    /// Account of the tables.
    pub account_id: String,
}

#[derive(Clone)]
struct Passage {
    front: Front,
    engine: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Front {
    /// Passes on what is let in to the engine at `engine`.
    pub fn router(self, engine: SocketAddr) -> Router {
        let passage = Passage {
            front: self,
            engine,
            client: Client::builder(TokioExecutor::new()).build_http(),
        };
        Router::new().fallback(pass).with_state(passage)
    }
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let front = &passage.front;
    let target = parts.headers.get("x-amz-target");
    let target = target.and_then(|t| t.to_str().ok()).unwrap_or_default();
    let demands = iam::dynamodb::demands(target, &body, &front.region, &front.account_id);
    if let Err(refused) = front.gate.admit(iam::caller(&parts.headers), &demands) {
        let answer = json!({
            "__type": "com.amazon.coral.service#AccessDeniedException",
            "Message": refused.to_string(),
        });
        let content_type = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
        return (StatusCode::BAD_REQUEST, content_type, answer.to_string()).into_response();
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri: Result<Uri, _> = format!("http://{}{path}", passage.engine).parse();
    let Ok(uri) = uri else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    parts.uri = uri;
    let passed = Request::from_parts(parts, Body::from(body));
    match passage.client.request(passed).await {
        Ok(answer) => answer.map(Body::new).into_response(),
        Err(error) => {
            tracing::error!(%error, "the embedded DynamoDB does not answer");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}
