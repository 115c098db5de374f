//! The verdict on single artifacts, with every path to what needs them.

use holdfast_core::plan::judge::{Decision, Verdict};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::ReadEc2;
use holdfast_core::ports::records::Records;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use crate::error::RunError;
use crate::sweep::{Lists, Sweep, plan};

/// One item for each of `ids` (`snap-…` or `ami-…`), `deletable` or `held`, changing nothing.
///
/// # Errors
/// [`RunError::Inventory`]: nothing at all could be read.
pub async fn explain<E: ReadEc2, R: Records>(
    ec2: &E,
    records: &R,
    policies: &PolicyFile,
    ids: &[String],
    account: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Item>, RunError> {
    let sweep = Sweep {
        policies,
        only: None,
        release: None,
        account,
        now,
        take_release: false,
    };
    let lists = Lists::read(ec2, &sweep).await;
    if let Some(error) = lists.nothing_read() {
        return Err(RunError::Inventory(error.clone()));
    }
    let planned = plan(records, &sweep, &lists).await;
    Ok(ids.iter().map(|id| one(id, &planned.verdicts)).collect())
}

fn one(id: &str, verdicts: &[Verdict]) -> Item {
    let Some(verdict) = verdicts.iter().find(|v| v.snapshot.id.as_str() == id) else {
        return Item::new(Action::Explain, id, Outcome::Held)
            .reason(Reason::of(ReasonCode::NotManaged));
    };
    let outcome = match verdict.decision {
        Decision::Condemn(_) => Outcome::Deletable,
        Decision::Keep(_) | Decision::Hold(_) => Outcome::Held,
    };
    Item {
        action: Action::Explain,
        outcome,
        ..verdict.item(Outcome::Deletable)
    }
}
