//! The one operation of KMS that Holdfast calls: `DescribeKey`, over HTTP in the AWS JSON 1.1
//! protocol, as KMS's SDK clients speak it.
//!
//! The keys are the simulated account's. Signatures are not checked, and a caller may do what its
//! access key's role allows ([`crate::iam`]).

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use holdfast_sim::SharedAccount;
use serde_json::{Value, json};

use crate::aws_json;
use crate::iam::{self, Demand, Gate};
use crate::query::lock;

/// The header that names the operation.
const TARGET: &str = "x-amz-target";
const DESCRIBE_KEY: &str = "TrentService.DescribeKey";

/// The door to an account's keys, with a gate that knows the callers' roles.
pub fn guarded(account: SharedAccount, gate: Gate) -> Router {
    let state = (account, gate);
    Router::new().route("/", post(handle)).with_state(state)
}

async fn handle(
    State((account, gate)): State<(SharedAccount, Gate)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get(TARGET).and_then(|value| value.to_str().ok());
    match answer(&account, &gate, &headers, target, &body) {
        Ok(value) => aws_json::answer(200, &value),
        Err((code, message)) => aws_json::refusal(400, code, &message),
    }
}

fn answer(
    account: &SharedAccount,
    gate: &Gate,
    headers: &HeaderMap,
    target: Option<&str>,
    body: &[u8],
) -> Result<Value, (&'static str, String)> {
    if target != Some(DESCRIBE_KEY) {
        let what = target.unwrap_or("a request without x-amz-target");
        let message = format!("the local KMS answers {DESCRIBE_KEY} only, not {what}");
        return Err(("UnknownOperationException", message));
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ("SerializationException", error.to_string()))?;
    // An alias or a bare identifier would be looked up in the caller's account; Holdfast has ARNs.
    let arn = body["KeyId"].as_str().filter(|id| id.starts_with("arn:"));
    let Some(arn) = arn else {
        let message = format!("{} is not the ARN of a key", body["KeyId"]);
        return Err(("InvalidArnException", message));
    };
    let demand = Demand::new("kms:DescribeKey", arn);
    if let Err(refused) = gate.admit(iam::caller(headers), &[demand]) {
        return Err(("AccessDeniedException", refused.to_string()));
    }
    let account = lock(account);
    let Some(state) = account.key(arn) else {
        return Err(("NotFoundException", format!("Key '{arn}' does not exist")));
    };
    let id = arn.rsplit('/').next().unwrap_or(arn);
    Ok(json!({
        "KeyMetadata": {
            "Arn": arn,
            "KeyId": id,
            "AWSAccountId": account.settings().account_id,
            "Enabled": state == "Enabled",
            "KeyState": state,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyManager": "CUSTOMER",
        }
    }))
}
