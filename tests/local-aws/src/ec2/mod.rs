//! The simulated account over HTTP: the EC2 Query protocol, as the real SDK clients speak it.
//!
//! `POST /` with a form-encoded body answers XML. Signatures are not checked: who can reach the
//! door may use it, within the role that its access key has ([`crate::iam`]). Every parameter of a
//! request must be understood; one that is left over is refused (`UnknownParameter`), and so is an
//! unknown operation (`InvalidAction`).

mod decode;
mod decode_change;
mod decode_protect;
mod decode_recycle_bin;
mod decode_refer;
mod decode_storage;
mod encode;
mod encode_parts;
mod encode_protect;
mod encode_recycle_bin;
mod encode_refer;
mod encode_storage;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use holdfast_sim::request::Request;
use holdfast_sim::{ApiError, CallFailure};

use crate::query::{Answer, lock};

pub use holdfast_sim::SharedAccount;

use crate::iam::{self, Gate};

/// The API version that the SDK names in every request.
const VERSION: &str = "2016-11-15";

/// The door to an account. The account's lock is taken for the length of one call and never held
/// over an `await`.
pub fn router(account: SharedAccount) -> Router {
    guarded(account, Gate::default())
}

/// As [`router`], with a gate that knows the callers' roles.
pub fn guarded(account: SharedAccount, gate: Gate) -> Router {
    let state = (account, gate);
    Router::new().route("/", post(handle)).with_state(state)
}

async fn handle(
    State((account, gate)): State<(SharedAccount, Gate)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = answer(&account, &gate, iam::caller(&headers), &body);
    answer.into_http().await
}

fn answer(account: &SharedAccount, gate: &Gate, caller: &str, body: &[u8]) -> Answer {
    let mut account = lock(account);
    let call = match decode::call(body) {
        Ok(call) => call,
        Err((operation, error)) => {
            let error = account.refuse_unread(Request::EC2, &operation, error);
            return refusal(&error, account.request_id());
        }
    };
    let demands = iam::ec2::demands(&call.request, &account);
    if let Err(refused) = gate.admit(caller, &demands) {
        let error = ApiError {
            message: format!("You are not authorized to perform this operation. {refused}"),
            ..ApiError::unauthorized()
        };
        let error = account.refuse_unread(Request::EC2, call.request.operation(), error);
        return refusal(&error, account.request_id());
    }
    account.called_by(gate.function(caller));
    let result = account.perform(&call.request, call.dry_run);
    account.called_by(None);
    let request_id = account.request_id().to_owned();
    match result {
        Ok(response) => {
            let context = encode::Context {
                operation: call.request.operation(),
                request_id: &request_id,
                account_id: &account.settings().account_id,
            };
            match encode::answer(&context, &response) {
                Ok(text) => Answer::Xml(200, text),
                Err(_) => refusal(&ApiError::internal(), &request_id),
            }
        }
        Err(CallFailure::Refused(error)) => refusal(&error, &request_id),
        Err(CallFailure::ResponseLost) => Answer::Lost,
        Err(CallFailure::Hang) => Answer::Hang,
    }
}

fn refusal(error: &ApiError, request_id: &str) -> Answer {
    // Writing to memory cannot fail; an empty body would still carry the status.
    let text = encode::error(error, request_id).unwrap_or_default();
    Answer::Xml(error.http_status, text)
}
