//! Systems Manager over HTTP: AWS JSON 1.1, as its SDK clients speak it.
//!
//! Guests and documents are seeded into the simulated account; member names are those of botocore's
//! model, API version 2014-11-06. As at EC2's door, every member of a request must be understood,
//! signatures are not checked, and a caller may do what its access key's role allows
//! ([`crate::iam`]).

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response as HttpResponse;
use axum::routing::post;
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{ApiError, CallFailure, Command, Guest, Progress, Response, SharedAccount};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws_json;
use crate::iam::{self, Gate};
use crate::query::lock;

/// What comes before the operation in the header `X-Amz-Target`.
const TARGET: &str = "AmazonSSM.";

/// The door to the guests of an account, with a gate that knows the callers' roles.
pub fn guarded(account: SharedAccount, gate: Gate) -> Router {
    let state = (account, gate);
    Router::new().route("/", post(handle)).with_state(state)
}

async fn handle(
    State((account, gate)): State<(SharedAccount, Gate)>,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let target = headers.get("x-amz-target");
    let target = target.and_then(|t| t.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix(TARGET).unwrap_or_default();
    match answer(&account, &gate, iam::caller(&headers), operation, &body) {
        Ok(value) => aws_json::answer(200, &value),
        Err(CallFailure::Refused(error)) => {
            aws_json::refusal(error.http_status, &error.code, &error.message)
        }
        Err(CallFailure::ResponseLost) => {
            // A body that fails before its first byte makes the server close the connection.
            let broken = [Err::<Bytes, _>(std::io::Error::other("injected"))];
            HttpResponse::new(Body::from_stream(futures::stream::iter(broken)))
        }
        Err(CallFailure::Hang) => std::future::pending().await,
    }
}

fn answer(
    account: &SharedAccount,
    gate: &Gate,
    caller: &str,
    operation: &str,
    body: &[u8],
) -> Result<Value, CallFailure> {
    let mut account = lock(account);
    let request = match decode(operation, body) {
        Ok(request) => request,
        Err(error) => return Err(account.refuse_unread(Request::SSM, operation, error).into()),
    };
    let demands = iam::ec2::demands(&request, &account);
    if let Err(refused) = gate.admit(caller, &demands) {
        let error = ApiError::new("AccessDeniedException", refused.to_string());
        let error = account.refuse_unread(Request::SSM, operation, error);
        return Err(error.into());
    }
    match account.call(&request)? {
        Response::Guests(page) => {
            let listed: Vec<Value> = page.items.iter().map(guest).collect();
            let mut value = json!({ "InstanceInformationList": listed });
            if let Some(token) = page.next_token {
                value["NextToken"] = token.into();
            }
            Ok(value)
        }
        Response::CommandSent(command) => Ok(json!({ "Command": {
            "CommandId": command.id,
            "DocumentName": command.document,
            "InstanceIds": [command.instance.as_str()],
            "Status": "Pending",
        } })),
        Response::Invocation {
            command,
            undelivered,
        } => Ok(invocation(&command, undelivered)),
        _ => Err(ApiError::internal().into()),
    }
}

fn guest(guest: &Guest) -> Value {
    json!({
        "InstanceId": guest.seed.instance.as_str(),
        "PingStatus": guest.seed.ping,
        "PlatformType": guest.seed.platform,
    })
}

fn invocation(command: &Command, undelivered: bool) -> Value {
    let (status, details, code) = match command.progress {
        Progress::Ended(0) => ("Success", "Success", 0),
        Progress::Ended(code) => ("Failed", "Failed", code),
        Progress::Pending if undelivered => ("TimedOut", "Delivery Timed Out", -1),
        Progress::Pending => ("Pending", "Pending", -1),
        Progress::InProgress => ("InProgress", "In Progress", -1),
    };
    json!({
        "CommandId": command.id,
        "InstanceId": command.instance.as_str(),
        "DocumentName": command.document,
        "Status": status,
        "StatusDetails": details,
        "ResponseCode": code,
        "StandardOutputContent": "",
        "StandardErrorContent": "",
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct DescribeInstanceInformation {
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<i32>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct SendCommand {
    instance_ids: Vec<String>,
    document_name: String,
    timeout_seconds: Option<i32>,
    /// Words for people, at most 100.
    comment: Option<String>,
    parameters: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GetCommandInvocation {
    command_id: String,
    instance_id: String,
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

fn decode(operation: &str, body: &[u8]) -> Result<Request, ApiError> {
    match operation {
        "DescribeInstanceInformation" => {
            let from: DescribeInstanceInformation = read(body)?;
            let mut instances = Vec::new();
            for filter in from.filters {
                if filter.key != "InstanceIds" {
                    let words = format!("{} is no filter here", filter.key);
                    return Err(ApiError::new("InvalidFilterKey", words));
                }
                instances.extend(filter.values);
            }
            let page = PageRequest {
                max_results: from.max_results,
                next_token: from.next_token,
            };
            Ok(Request::DescribeInstanceInformation(
                request::DescribeInstanceInformation { instances, page },
            ))
        }
        "SendCommand" => send(read(body)?),
        "GetCommandInvocation" => {
            let from: GetCommandInvocation = read(body)?;
            Ok(Request::GetCommandInvocation(
                request::GetCommandInvocation {
                    command: from.command_id,
                    instance: from.instance_id,
                },
            ))
        }
        other => Err(ApiError::new(
            "UnknownOperationException",
            format!("{other:?} is not spoken here"),
        )),
    }
}

fn send(from: SendCommand) -> Result<Request, ApiError> {
    if from.comment.is_some_and(|text| text.chars().count() > 100) {
        return Err(invalid("Comment is longer than 100 characters"));
    }
    let [instance] = &from.instance_ids[..] else {
        return Err(invalid("commands to several instances are not modelled"));
    };
    let mut parameters = from.parameters;
    // The documents that run before and after a backup have these two and no more (EBS User Guide,
    // "Automate application-consistent snapshots with Data Lifecycle Manager").
    let mut one = |name: &str| match parameters.remove(name).as_deref() {
        Some([value]) => Ok(value.clone()),
        _ => {
            let words = format!("the document needs one value of {name}");
            Err(ApiError::new("InvalidParameters", words))
        }
    };
    let (execution, script) = (one("executionId")?, one("command")?);
    if let Some(name) = parameters.keys().next() {
        let words = format!("the document has no parameter {name}");
        return Err(ApiError::new("InvalidParameters", words));
    }
    Ok(Request::SendCommand(request::SendCommand {
        instance: instance.clone(),
        document: from.document_name,
        execution,
        script,
        timeout_seconds: from.timeout_seconds,
    }))
}
