//! The one operation of STS that callers need locally: `GetCallerIdentity`.
//!
//! Without it a program pointed at the local EC2 would ask the real STS which account it is in.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

/// STS for the given twelve-digit account.
///
/// Any other operation is answered with `InvalidAction`.
pub fn router(account_id: &str) -> Router {
    let account_id = account_id.to_owned();
    Router::new().route(
        "/",
        post(move |body: String| std::future::ready(answer(&account_id, &body))),
    )
}

fn answer(account_id: &str, body: &str) -> Response {
    let action = form_urlencoded::parse(body.as_bytes())
        .find(|(key, _)| key == "Action")
        .map(|(_, value)| value.into_owned());
    let (status, xml) = match action.as_deref() {
        Some("GetCallerIdentity") => (
            StatusCode::OK,
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult>\
                 <Arn>arn:aws:sts::{account_id}:assumed-role/local/local</Arn>\
                 <UserId>AROALOCAL:local</UserId><Account>{account_id}</Account>\
                 </GetCallerIdentityResult>\
                 <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\
                 </GetCallerIdentityResponse>",
                uuid::Uuid::new_v4()
            ),
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
             <Type>Sender</Type><Code>InvalidAction</Code>\
             <Message>the local STS answers GetCallerIdentity only</Message>\
             </Error></ErrorResponse>"
                .to_owned(),
        ),
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}
