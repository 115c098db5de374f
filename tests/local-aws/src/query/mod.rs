//! What the doors of the Query protocols have in common: parameters, XML, and how an answer
//! reaches the caller or does not.

pub(crate) mod params;
pub(crate) mod xml;

use std::sync::{MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_sim::{Account, SharedAccount};

/// What becomes of a request.
pub(crate) enum Answer {
    /// A status and a document.
    Xml(u16, Vec<u8>),
    /// Carried out; the connection breaks instead of an answer.
    Lost,
    /// Carried out; no answer comes.
    Hang,
}

impl Answer {
    /// The answer over HTTP.
    pub(crate) async fn into_http(self) -> Response {
        match self {
            Self::Xml(status, text) => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (
                    status,
                    [(header::CONTENT_TYPE, "text/xml;charset=UTF-8")],
                    text,
                )
                    .into_response()
            }
            Self::Lost => {
                // A body that fails before its first byte makes the server close the connection.
                let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other(
                    "injected: response lost",
                ))]);
                Response::new(Body::from_stream(broken))
            }
            Self::Hang => std::future::pending().await,
        }
    }
}

/// The account, for the length of one call; never held over an `await`.
pub(crate) fn lock(account: &SharedAccount) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
