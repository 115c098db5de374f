//! What a run says of records that it does not believe.

use holdfast_core::ports::records::Begun;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};

/// A finding where the ledger holds times in the future: the clock of some run was wrong, or somebody
/// wrote to the table. They are not believed, and overwritten.
#[must_use]
pub(crate) fn doubts(function: &str, begun: &Begun) -> Vec<Item> {
    if begun.doubts.is_empty() {
        return Vec::new();
    }
    let detail = format!(
        "the ledger holds {} in the future; not believed. Check the clocks, and who may write to \
         the table",
        begun.doubts.join(", ")
    );
    let reason = Reason::with(ReasonCode::TableFailed, detail);
    vec![Item::new(Action::Check, function, Outcome::Finding).reason(reason)]
}
