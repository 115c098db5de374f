//! Since when what carries a policy's name is governed without a break, and has its grace.
//!
//! A mark says when an artifact was first condemned. It is taken off by the sweep that finds the
//! artifact free again; but no sweep looks while no policy governs it, or none with a grace. A mark
//! from before such a break is of another sentence: counted, it would take the wait away that the
//! policy promises now.
//!
//! It is reckoned by the name that stands on the artifact. A policy that takes the backups of an
//! earlier name over governs them since then, however long it has stood in the file itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::judge::governing;
use crate::policy::PolicyFile;
use crate::ports::records::Census;

/// For how long backups of a name have been governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Governed {
    /// The first sweep's `now` since when every sweep found a policy that governs them.
    pub since: Timestamp,
    /// The same of a policy with a grace; none where it has none.
    pub graced: Option<Timestamp>,
}

/// Each name that a policy of the file has or had, at a sweep of `now`, given what the last sweep
/// knew. Where nobody knows, it was always so.
#[must_use]
pub fn governed(
    previous: Option<&Census>,
    policies: &PolicyFile,
    now: Timestamp,
) -> BTreeMap<String, Governed> {
    let known = previous.and_then(|census| census.governed.as_ref());
    let names = policies.policies.iter();
    let names = names.flat_map(|policy| std::iter::once(&policy.name).chain(&policy.formerly));
    let of_names = names.filter_map(|name| {
        let policy = governing(policies, name)?;
        let before = match known {
            Some(known) => known.get(name).copied(),
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
        Some((name.clone(), governed))
    });
    of_names.collect()
}

/// From when on the marks of artifacts count, by the policy's name that they carry.
#[must_use]
pub fn marks_from(governed: &BTreeMap<String, Governed>) -> BTreeMap<String, Timestamp> {
    let from = |one: &Governed| one.graced.map_or(one.since, |graced| graced.max(one.since));
    let all = governed.iter().map(|(name, one)| (name.clone(), from(one)));
    all.collect()
}
