//! Two policy files side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::figures::Figures;
use super::report::{Against, Difference, Retired, Total};
use super::standing::Standing;
use super::{DAY, Question};
use crate::plan::judge::governing;
use crate::policy::PolicyFile;

/// How many sources a difference names.
const NAMED: usize = 20;
/// How many backups that a change retires are named.
const NAMED_RETIRED: usize = 100;

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

/// What differs between two runs from the same start. What stands at it is named by its identifier
/// where it is `known`, and not made up.
pub(super) fn compare(
    (old, old_figures): (&Course<'_>, &Figures),
    (new, new_figures): (&Course<'_>, &Figures),
    standing: &[Standing],
    known: bool,
) -> Against {
    let mut policies: BTreeMap<String, Difference> = BTreeMap::new();
    let mut retired: Vec<Retired> = Vec::new();
    for one in standing {
        // A policy that was renamed is the same one.
        let by = governing(new.policies, &one.policy).map_or(&one.policy, |policy| &policy.name);
        let difference = policies.entry(by.clone()).or_default();
        difference.standing += 1;
        // As many may go with either file, and not the same ones.
        let goes = |course: &Course<'_>| course.first_retired.contains(&one.id);
        match (goes(old), goes(new)) {
            (false, true) => {
                difference.only_new_retires += 1;
                retired.push(Retired {
                    policy: by.clone(),
                    resource: known.then(|| one.id.clone()),
                    source: one.of.clone(),
                    time: one.time,
                });
            }
            (true, false) => difference.only_old_retires += 1,
            _ => {}
        }
    }
    let mut picked: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
    let sides = [(old, old_figures), (new, new_figures)];
    for (side, (course, figures)) in sides.into_iter().enumerate() {
        for (place, policy) in course.policies.policies.iter().enumerate() {
            let name = governing(new.policies, &policy.name).map_or(&policy.name, |p| &p.name);
            let difference = policies.entry(name.clone()).or_default();
            let first = course.tallies[place].first_sweep;
            let at_end = Some(course.count(place));
            let total = Some(Total::of(figures.course(place)));
            if side == 0 {
                (difference.old_first_sweep, difference.old_at_end) = (first, at_end);
                difference.old = total;
            } else {
                (difference.new_first_sweep, difference.new_at_end) = (first, at_end);
                difference.new = total;
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
    retired.sort_by(|one, other| (one.time, &one.source).cmp(&(other.time, &other.source)));
    retired.truncate(NAMED_RETIRED);
    let sum = |of: fn(&Difference) -> u64| policies.values().map(of).sum();
    Against {
        retires_on_first_sweep: sum(|one| one.only_new_retires),
        keeps_on_first_sweep: sum(|one| one.only_old_retires),
        retired,
        policies,
    }
}
