//! The rules of a policy from the finest to the coarsest, and the holes that they leave between them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::DAY;
use super::course::Course;
use crate::policy::Policy;

/// How many slots ahead are counted for the reach of `last`.
const COUNTED: u32 = 10_000;

/// A part of the past between two rules' reach that has no restore point, at its longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// The rule that ends before it, such as `weekly: 4`, and the one that begins after it.
    pub(super) rules: (String, String),
    /// Ages of its ends.
    pub(super) from: SignedDuration,
    pub(super) to: SignedDuration,
    /// Whether it is wider than somebody who wrote these rules thinks of.
    pub(super) wide: bool,
    /// When it was so long.
    pub(super) at: Timestamp,
}

/// The rules of a policy by the length of their periods.
pub(super) struct Ladder {
    rungs: Vec<Rung>,
    holes: Vec<Hole>,
}

struct Rung {
    rule: String,
    /// The length of one period, and of all of them.
    period: SignedDuration,
    reach: SignedDuration,
}

impl Ladder {
    /// The ladder of a policy. One without a schedule has none: when its backups come decides then,
    /// and not its rules.
    pub(super) fn of(policy: &Policy, now: Timestamp) -> Self {
        let mut ladder = Self {
            rungs: Vec::new(),
            holes: Vec::new(),
        };
        let Some(spacing) = policy.longest_gap_at(now) else {
            return ladder;
        };
        let retain = &policy.retain;
        // The longest that a month and a year are.
        let periods = [
            ("hourly", retain.hourly, 1),
            ("daily", retain.daily, 24),
            ("weekly", retain.weekly, 7 * 24),
            ("monthly", retain.monthly, 31 * 24),
            ("yearly", retain.yearly, 366 * 24),
        ];
        let used = periods.into_iter().filter(|(_, count, _)| *count > 0);
        let mut rungs: Vec<Rung> = used
            .map(|(name, count, hours)| {
                // A period without a slot counts for nothing.
                let period = SignedDuration::from_hours(hours).max(spacing);
                Rung {
                    rule: format!("{name}: {count}"),
                    period,
                    reach: times(period, count),
                }
            })
            .collect();
        // These keep each one.
        let whole = |rule, reach| Rung {
            rule,
            period: spacing,
            reach,
        };
        if retain.last > 0 {
            let reach = reach_of_last(policy, now, spacing);
            rungs.push(whole(format!("last: {}", retain.last), reach));
        }
        if let Some(within) = &retain.within {
            let reach = within.after(now, &policy.timezone).duration_since(now);
            rungs.push(whole(format!("within: {within}"), reach));
        }
        rungs.sort_by_key(|rung| (rung.period, Reverse(rung.reach)));
        for rung in rungs {
            // What a finer rule reaches beyond adds nothing.
            if ladder
                .rungs
                .last()
                .is_none_or(|finer| finer.reach < rung.reach)
            {
                ladder.rungs.push(rung);
            }
        }
        ladder
    }

    /// The longest hole of each pair of rules.
    pub(super) fn into_holes(self) -> Vec<Hole> {
        self.holes
    }

    /// Looks, at each rule's end, for the restore points on both sides of it.
    pub(super) fn look(&mut self, course: &Course<'_>, policy: usize) {
        let now = course.now;
        for pair in self.rungs.windows(2) {
            let [finer, coarser] = pair else { continue };
            let mut longest: Option<Hole> = None;
            let mut around: BTreeMap<(usize, usize), [Option<SignedDuration>; 2]> = BTreeMap::new();
            for entry in course.backups.iter().filter(|one| one.is_good(now)) {
                if course.classes[entry.class].policy != policy {
                    continue;
                }
                let age = now.duration_since(entry.time);
                let [younger, older] = around.entry((entry.class, entry.part)).or_default();
                if age <= finer.reach {
                    *younger = (*younger).max(Some(age));
                } else if older.is_none_or(|known| age < known) {
                    *older = Some(age);
                }
            }
            for ends in around.into_values() {
                let [Some(from), Some(to)] = ends else {
                    continue;
                };
                let known = longest.as_ref().map(|hole| hole.to - hole.from);
                if known.is_none_or(|known| to - from > known) {
                    longest = Some(Hole {
                        rules: (finer.rule.clone(), coarser.rule.clone()),
                        from,
                        to,
                        wide: is_wide(to - from, finer, coarser),
                        at: now,
                    });
                }
            }
            // Up to twice the finer rule's period it is the ladder's own spacing.
            let Some(hole) = longest.filter(|hole| hole.to - hole.from > finer.period * 2) else {
                continue;
            };
            match self
                .holes
                .iter_mut()
                .find(|known| known.rules == hole.rules)
            {
                Some(known) if known.to - known.from >= hole.to - hole.from => {}
                Some(known) => *known = hole,
                None => self.holes.push(hole),
            }
        }
    }
}

/// Whether a hole is longer than the coarser rule's own periods are, or very long for how far the
/// finer one reaches: a rule is missing between them, such as a weekly one between days and months.
fn is_wide(hole: SignedDuration, finer: &Rung, coarser: &Rung) -> bool {
    hole > coarser.period + DAY || (hole > DAY * 14 && hole > times(finer.reach, 4))
}

fn times(length: SignedDuration, count: u32) -> SignedDuration {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    length.checked_mul(count).unwrap_or(SignedDuration::MAX)
}

/// How far back so many of the newest go, as the slots ahead lie.
fn reach_of_last(policy: &Policy, now: Timestamp, spacing: SignedDuration) -> SignedDuration {
    let last = policy.retain.last;
    if last > COUNTED {
        return times(spacing, last);
    }
    let slots = policy.next_slots(now, last as usize + 1);
    match (slots.first(), slots.last()) {
        (Some(first), Some(end)) if slots.len() > last as usize => end.duration_since(*first),
        _ => times(spacing, last),
    }
}
