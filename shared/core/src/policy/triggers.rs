//! `triggers` and `cooldown`: state changes that make a backup, and how far apart.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Trigger;
use super::field::{At, Fields, Findings};
use super::period::Period;

/// `cooldown` where a policy does not say.
const COOLDOWN: &str = "1h";

/// The longest `cooldown`: what it puts off stays on the heartbeats' list for little longer.
const LONGEST_COOLDOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

const TRIGGERS: [(&str, Trigger); 3] = [
    ("stopped", Trigger::Stopped),
    ("running", Trigger::Running),
    ("spot-interruption", Trigger::SpotInterruption),
];

/// The state changes.
pub(super) fn triggers(at: &At<'_>, found: &mut Findings) -> Option<BTreeSet<Trigger>> {
    let items = at.list(found, "a list of triggers, such as [stopped]")?;
    let mut triggers = BTreeSet::new();
    let mut good = true;
    for item in &items {
        match item.choice(found, &TRIGGERS) {
            Some(trigger) if triggers.insert(trigger) => {}
            Some(_) => {
                item.error(found, "this trigger is in the list already; write it once");
                good = false;
            }
            None => good = false,
        }
    }
    good.then_some(triggers)
}

/// How far apart; it belongs to `triggers`.
pub(super) fn cooldown(
    fields: &Fields<'_>,
    now: Timestamp,
    found: &mut Findings,
) -> Option<Period> {
    let Some(at) = fields.get("cooldown") else {
        return Period::parse(COOLDOWN).ok();
    };
    let period = at.period(found);
    if fields.get("triggers").is_none() {
        at.error(found, "belongs to `triggers`, which this policy has not");
        return None;
    }
    let period = period?;
    if period.after(now, &TimeZone::UTC).duration_since(now) > LONGEST_COOLDOWN {
        at.error(
            found,
            "is longer than 7d, the longest that a backup is put off for",
        );
        return None;
    }
    Some(period)
}
