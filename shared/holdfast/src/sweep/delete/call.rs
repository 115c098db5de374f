//! Sending a mutating call: not too fast, not too late, and not twice.

use std::future::Future;

use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{CallError, ErrorClass, ReadEc2, WriteEc2};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};

use super::check::Looked;
use super::{Deleter, Ground};
use crate::aws::CALL_TIMEOUT;
use crate::pace::Pace;

/// How often a call is sent that EC2 refuses for too many requests: such a refusal did nothing.
const ATTEMPTS: u32 = 4;

/// What became of a call.
pub(super) enum Sent<T> {
    /// EC2's answer, or that there was none.
    Answered(Result<T, CallError>),
    /// It must not be sent any more, and was not.
    Stopped(Reason),
}

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Sends a call whose turn has come. The lease outlasts the call's own time-out, and the
    /// evidence and the invocation's time are looked at right before it, because the process may
    /// have been frozen since, for as long as Lambda likes.
    ///
    /// # Errors
    /// The table's: the lease is lost, or could not be renewed.
    pub(super) async fn send<T, F>(
        &self,
        ground: &Ground,
        looked: &Looked,
        pace: &Pace,
        call: impl Fn() -> F,
    ) -> Result<Sent<T>, TableError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut attempt = 1;
        loop {
            self.held.good_for(CALL_TIMEOUT).await?;
            if let Some(reason) = self.thawed(ground, looked) {
                return Ok(Sent::Stopped(reason));
            }
            match call().await {
                Err(error) if error.class == ErrorClass::Throttled => {
                    pace.surprised();
                    if attempt == ATTEMPTS {
                        return Ok(Sent::Answered(Err(error)));
                    }
                    attempt += 1;
                    pace.turn().await;
                }
                answer => return Ok(Sent::Answered(answer)),
            }
        }
    }
}

/// A line of the report for what is left to a later sweep.
pub(super) fn deferred(verdict: &Verdict, code: ReasonCode, words: impl Into<String>) -> Item {
    let item = verdict.item(Outcome::Deferred);
    item.reason(Reason::with(code, words))
}

/// EC2's code for what a lock or a protection forbids (EC2 API Reference, "Error codes"). Which code
/// a locked snapshot gets is not documented; any other stays a failure.
const NOT_PERMITTED: &str = "OperationNotPermitted";

/// A line of the report for what EC2 refused: its words replace what was thought.
pub(super) fn refusal(verdict: &Verdict, error: &CallError) -> Item {
    let words = error.to_string();
    let (outcome, code) = match error.class {
        ErrorClass::Permanent if error.code.as_deref() == Some(NOT_PERMITTED) => {
            let code = match verdict.subject {
                Subject::Image { .. } => ReasonCode::DeregistrationProtected,
                Subject::Snapshot(_) => ReasonCode::Locked,
            };
            (Outcome::Held, code)
        }
        ErrorClass::InUse => (Outcome::Held, ReasonCode::UsedByImage),
        ErrorClass::Throttled | ErrorClass::Limited => (Outcome::Deferred, ReasonCode::Throttled),
        ErrorClass::Denied => (Outcome::Failed, ReasonCode::AccessDenied),
        ErrorClass::UnknownOutcome
        | ErrorClass::WrongState
        | ErrorClass::NotFound
        | ErrorClass::Permanent => (Outcome::Failed, ReasonCode::Refused),
    };
    let mut item = verdict.item(outcome);
    item.reasons.clear();
    item.reason(Reason::with(code, words))
}

/// What a deletion that is done says when its record could not be ended.
pub(super) fn unrecorded(error: TableError) -> Reason {
    Reason::with(ReasonCode::TableFailed, format!("it is gone, but {error}"))
}
