//! What is said of slots, and of sources of a slot, that were not made.

use holdfast_core::plan::due::Due;
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::job::Job;

/// Sources that a finding names; of the rest it tells how many there are.
const NAMED: usize = 10;

/// One finding for all the slots that a policy missed: an hourly policy may have missed hundreds.
pub(super) fn missed(due: &Due<'_>) -> Option<Item> {
    let (first, last) = (due.missed.first()?, due.missed.last()?);
    let detail = format!(
        "{} slots from {first} to {last} were missed or left unfinished; only {} is made up",
        due.missed.len(),
        due.slot
    );
    Some(
        Item::new(Action::Check, &due.policy.name, Outcome::Finding)
            .policy(&due.policy.name)
            .slot(*last)
            .reason(Reason::with(ReasonCode::SlotMissed, detail)),
    )
}

/// One finding for the sources that a slot was over for before they were made.
pub(super) fn unmade(job: &Job<'_>, sources: &[String], newer: Timestamp) -> Option<Item> {
    let detail = format!(
        "{} without a backup for {}, which {newer} takes the place of: {}",
        counted(sources.len()),
        job.slot,
        some_of(sources)
    );
    let item = Item::new(Action::Check, &job.policy.name, Outcome::Finding)
        .policy(&job.policy.name)
        .slot(job.slot)
        .reason(Reason::with(ReasonCode::SlotMissed, detail));
    (!sources.is_empty()).then_some(item)
}

fn counted(sources: usize) -> String {
    match sources {
        1 => "1 source is".to_owned(),
        many => format!("{many} sources are"),
    }
}

/// The first few by name.
pub(super) fn some_of(sources: &[String]) -> String {
    let named = sources.iter().take(NAMED).map(String::as_str);
    let mut words: Vec<&str> = named.collect();
    let more = format!("{} more", sources.len().saturating_sub(NAMED));
    words.extend((sources.len() > NAMED).then_some(more.as_str()));
    words.join(", ")
}
