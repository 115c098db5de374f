//! Since when a policy governs without a break, and has its grace.
//!
//! A mark says when an artifact was first condemned. It is taken off by the sweep that finds the
//! artifact free again; but no sweep looks while the policy is not in the file, or has no grace. A
//! mark from before such a break is of another sentence: counted, it would take the wait away that
//! the policy promises now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::policy::PolicyFile;
use crate::ports::records::Census;

/// For how long a policy has stood in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Governed {
    /// The first sweep's `now` since when every sweep found it there.
    pub since: Timestamp,
    /// The same of it with a grace; none where it has none.
    pub graced: Option<Timestamp>,
}

/// Each policy of the file at a sweep of `now`, by name, given what the last sweep knew. A policy
/// takes over from its earlier names. Where nobody knows, it was always so.
#[must_use]
pub fn governed(
    previous: Option<&Census>,
    policies: &PolicyFile,
    now: Timestamp,
) -> BTreeMap<String, Governed> {
    let known = previous.and_then(|census| census.governed.as_ref());
    let of_policies = policies.policies.iter().map(|policy| {
        let mut names = std::iter::once(&policy.name).chain(&policy.formerly);
        let before = match known {
            Some(known) => names.find_map(|name| known.get(name)).copied(),
            None => Some(Governed {
                since: Timestamp::UNIX_EPOCH,
                graced: Some(Timestamp::UNIX_EPOCH),
            }),
        };
        // What a clock that was wrong wrote into the future would put every wait off until then.
        let since = before.map_or(now, |before| before.since.min(now));
        let graced = before.and_then(|before| before.graced);
        let graced = graced.map_or(now, |graced| graced.min(now));
        let governed = Governed {
            since,
            graced: policy.grace.map(|_| graced),
        };
        (policy.name.clone(), governed)
    });
    of_policies.collect()
}

/// From when on the marks of each policy's artifacts count, by its name.
#[must_use]
pub fn marks_from(governed: &BTreeMap<String, Governed>) -> BTreeMap<String, Timestamp> {
    let from = |one: &Governed| one.graced.map_or(one.since, |graced| graced.max(one.since));
    let all = governed.iter().map(|(name, one)| (name.clone(), from(one)));
    all.collect()
}
