//! Two policy files side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::report::{Against, Difference};
use super::standing::Standing;
use super::{DAY, Question};
use crate::plan::judge::governing;
use crate::policy::PolicyFile;

/// How many sources a difference names.
const NAMED: usize = 20;

/// What an earlier file's policies come to have, when they have been at work as many days before
/// the beginning as are simulated after it.
pub(super) fn history(
    question: &Question<'_>,
    old: &PolicyFile,
    tick: &mut dyn FnMut(),
) -> Vec<Standing> {
    let days = i32::try_from(question.days).unwrap_or(i32::MAX);
    let begin = question.from - DAY * days;
    let mut course = Course::new(old, question.fleet, &[], begin, question.from);
    for day in 1..=days {
        course.advance(begin + DAY * day);
        tick();
    }
    course.standing()
}

/// What differs between two runs from the same start.
pub(super) fn compare(old: &Course<'_>, new: &Course<'_>, standing: &[Standing]) -> Against {
    let mut policies: BTreeMap<String, Difference> = BTreeMap::new();
    for one in standing {
        // A policy that was renamed is the same one.
        let by = governing(new.policies, &one.policy).map_or(&one.policy, |policy| &policy.name);
        policies.entry(by.clone()).or_default().standing += 1;
    }
    let mut picked: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
    for (side, course) in [old, new].into_iter().enumerate() {
        for (place, policy) in course.policies.policies.iter().enumerate() {
            let name = governing(new.policies, &policy.name).map_or(&policy.name, |p| &p.name);
            let difference = policies.entry(name.clone()).or_default();
            let first = course.tallies[place].first_sweep;
            let at_end = Some(course.count(place));
            if side == 0 {
                (difference.old_first_sweep, difference.old_at_end) = (first, at_end);
            } else {
                (difference.new_first_sweep, difference.new_at_end) = (first, at_end);
            }
            picked.entry(name.clone()).or_default()[side] = course.picked(place);
        }
    }
    for (name, [before, after]) in picked {
        let some = |of: &BTreeSet<String>, less: &BTreeSet<String>| -> Vec<String> {
            of.difference(less).take(NAMED).cloned().collect()
        };
        let difference = policies.entry(name).or_default();
        difference.no_longer_picked = some(&before, &after);
        difference.newly_picked = some(&after, &before);
    }
    let more = policies.values();
    let more = more.map(|one| one.new_first_sweep.saturating_sub(one.old_first_sweep));
    Against {
        retires_on_first_sweep: more.sum(),
        policies,
    }
}
