//! What a sweep says of itself as a whole.

use holdfast_core::event::Origin;
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::{
    Action, Item, Mode, Outcome, Reason, ReasonCode, Report, Run, sources,
};
use jiff::Timestamp;

use super::FUNCTION;
use crate::function::Invocation;

/// One's own account: the envelope's word for it, which EventBridge writes; else Lambda's.
pub(super) fn account<'a>(
    invocation: &'a Invocation,
    origin: Option<&'a Origin>,
) -> Option<&'a str> {
    let envelope = origin.and_then(|origin| origin.account.as_deref());
    envelope.or(invocation.account.as_deref())
}

/// The Region: the envelope's word for it, else Lambda's.
pub(super) fn region(invocation: &Invocation, origin: Option<&Origin>) -> Option<String> {
    let envelope = origin.and_then(|origin| origin.region.clone());
    envelope.or(invocation.region.clone())
}

/// The report's head.
pub(super) fn run_info(
    invocation: &Invocation,
    now: Timestamp,
    origin: Option<&Origin>,
    policy_sha256: &str,
) -> Run {
    Run {
        id: invocation.id.clone(),
        function: FUNCTION.into(),
        mode: None,
        now,
        account: account(invocation, origin).map(str::to_owned),
        region: region(invocation, origin),
        policy_sha256: Some(policy_sha256.to_owned()),
        plan_hash: None,
        complete: true,
        evidence: Vec::new(),
    }
}

/// The report of a sweep that found another at work.
pub(super) fn busy(
    until: Timestamp,
    invocation: &Invocation,
    now: Timestamp,
    origin: Option<&Origin>,
    policy_sha256: &str,
) -> Report {
    let detail = format!("another sweep is at work until {until}");
    let item = Item::new(Action::Check, FUNCTION, Outcome::Deferred)
        .reason(Reason::with(ReasonCode::LeaseHeld, detail));
    let run = Run {
        mode: Some(Mode::Enforce),
        complete: false,
        ..run_info(invocation, now, origin, policy_sha256)
    };
    Report::new(run, vec![item])
}

/// The report of a sweep whose time was over before it could delete anything.
pub(super) fn overdue(
    invocation: &Invocation,
    now: Timestamp,
    origin: Option<&Origin>,
    policies: &PolicyFile,
    enforce: bool,
) -> Report {
    let words = "its time was over while it still read EC2's lists or its own records; nothing was \
                 deleted, and the next sweep begins anew. Where that happens again, look for \
                 throttled calls or raise the function's timeout; a release has to be asked for again";
    let item = Item::new(Action::Check, FUNCTION, Outcome::Failed)
        .reason(Reason::with(ReasonCode::OutOfTime, words));
    let run = Run {
        mode: Some(if enforce { Mode::Enforce } else { Mode::Plan }),
        complete: false,
        evidence: sources(&[], policies),
        ..run_info(invocation, now, origin, &policies.sha256)
    };
    Report::new(run, vec![item])
}

/// That a release was asked for which no stored plan answers to.
pub(super) fn release_unknown(hash: Option<&str>) -> Item {
    let detail = "no plan of that hash tripped within 24 hours, or it was released before";
    let reason = Reason::with(ReasonCode::CircuitBreaker, detail);
    Item::new(Action::Check, hash.unwrap_or_default(), Outcome::Finding).reason(reason)
}

/// That a later sweep was made before.
pub(super) fn late(highest: Timestamp) -> Item {
    let detail = format!("a sweep for {highest} was made before; this one only plans");
    let reason = Reason::with(ReasonCode::Late, detail);
    Item::new(Action::Check, FUNCTION, Outcome::Skipped).reason(reason)
}
