//! What a report showed of tripped breakers, and what a release of it covers.

use std::collections::BTreeSet;

use super::Settled;
use crate::plan::judge::Judged;
use crate::report::Reason;

/// What tripped breakers hold, and why: stored under the plan's hash when it is shown, so that a
/// request can release it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrippedPlan {
    /// The deletions that are held: (policy, resource). The hash is over these, so that a person has
    /// named them.
    pub deletions: BTreeSet<(String, String)>,
    /// The comparisons with the last sweep that tripped: (policy, the finding's words with its
    /// figures). The hash does not cover them.
    pub comparisons: BTreeSet<(String, String)>,
}

impl TrippedPlan {
    /// Whether a deletion is one of these.
    pub(super) fn frees(&self, verdicts: &impl Judged, v: usize) -> bool {
        if self.deletions.is_empty() {
            return false;
        }
        let key = (verdicts.policy(v).to_owned(), verdicts.id(v).into_owned());
        self.deletions.contains(&key)
    }

    /// Whether all that trips a policy now was shown, figures and all. What an earlier version
    /// stored names no comparison.
    pub(super) fn names(&self, policy: &str, reasons: &[Reason]) -> bool {
        let mut reasons = reasons.iter();
        reasons.all(|reason| {
            let words = reason.detail.clone();
            words.is_some_and(|words| self.comparisons.contains(&(policy.to_owned(), words)))
        })
    }
}

impl Settled {
    /// What is to be stored under [`Self::plan_hash`].
    #[must_use]
    pub fn offered(&self) -> TrippedPlan {
        let mut offered = TrippedPlan::default();
        for (policy, held) in &self.tripped {
            let held = held.iter().map(|id| (policy.clone(), id.clone()));
            offered.deletions.extend(held);
        }
        for (policy, reasons) in &self.trips {
            let words = reasons.iter().filter_map(|reason| reason.detail.clone());
            let words = words.map(|words| (policy.clone(), words));
            offered.comparisons.extend(words);
        }
        offered
    }
}
