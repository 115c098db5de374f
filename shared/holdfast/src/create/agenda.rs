//! In which order a heartbeat does what is due, where not all of it may get done.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::plan::create::Creation;
use holdfast_core::plan::due::Due;
use holdfast_core::policy::selection;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{ReadEc2, WriteEc2};
use jiff::Timestamp;

use super::job::Job;
use super::pick::sources;
use super::{Creator, Fleet};

/// Up to so many sources that take a call each any order will do: EC2's smallest bucket lets as many calls through at
/// once (`CreateImage`, EC2 Developer Guide, "Request throttling").
const AT_ONCE: usize = 50;

/// What a heartbeat knows of the policies that are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// When each source's newest backup was asked for, by policy.
    newest: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// Policies that make their first slot.
    first: BTreeSet<String>,
}

impl Agenda {
    /// When a source's newest backup was asked for; none goes before all others.
    pub(super) fn newest(&self, policy: &str, source: &str) -> Option<Timestamp> {
        self.newest.get(policy)?.get(source).copied()
    }

    /// Whether a policy makes its first slot.
    pub(super) fn is_first(&self, policy: &str) -> bool {
        self.first.contains(policy)
    }

    /// Puts the policy first that was served longest ago, and of several the one whose worst-off
    /// source has waited longest.
    pub(super) fn sort(&self, due: &mut [Due<'_>]) {
        due.sort_by_key(|due| {
            let newest = self.newest.get(&due.policy.name);
            let times = || newest.into_iter().flat_map(BTreeMap::values);
            (times().max().copied(), times().min().copied())
        });
    }
}

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    /// Asks the ledger whose turn it is, where that matters. What cannot be read only costs the
    /// order: everything due is done in some order all the same.
    pub(super) async fn agenda(&self, due: &[Due<'_>], fleet: &Fleet) -> Agenda {
        let first = due.iter().filter(|due| due.first);
        let mut agenda = Agenda {
            first: first.map(|due| due.policy.name.clone()).collect(),
            ..Agenda::default()
        };
        let picked: Vec<(&Due<'_>, Vec<String>)> = due
            .iter()
            .map(|due| {
                let picked = selection::pick(&due.policy, &fleet.instances, &fleet.volumes);
                let ids = sources(&picked);
                (
                    due,
                    ids.iter().map(|source| source.id().to_owned()).collect(),
                )
            })
            .collect();
        let few = picked.iter().map(|(_, ids)| ids.len()).sum::<usize>() <= AT_ONCE;
        // A freeze takes many times as long as a call.
        let any_order = |due: &Due<'_>| few && due.policy.consistency.application().is_none();
        let ordered = picked
            .iter()
            .filter(|(due, _)| !due.first && !any_order(due));
        for (due, ids) in ordered {
            let newest = agenda.newest.entry(due.policy.name.clone()).or_default();
            // What was made before a rename stands under the earlier name.
            for name in std::iter::once(&due.policy.name).chain(&due.policy.formerly) {
                match self.records.newest_made(name, ids).await {
                    Ok(made) => {
                        for (source, time) in made {
                            let known = newest.entry(source).or_insert(time);
                            *known = time.max(*known);
                        }
                    }
                    Err(error) => {
                        tracing::warn!("the order of sources is not known: {error}");
                        break;
                    }
                }
            }
        }
        agenda
    }

    /// Whose turn is when: those that failed in this slot before go last, so that they do not keep
    /// the others from their first try.
    pub(super) fn rank(
        &self,
        job: &Job<'_>,
        creation: &Creation,
        record: Option<&SlotRecord>,
    ) -> (bool, Option<Timestamp>) {
        let failed = record.is_some_and(|record| record.state == SlotState::Failed);
        let agenda = self.agenda.get();
        let newest = agenda.and_then(|a| a.newest(&job.policy.name, &creation.source));
        (failed, newest)
    }
}
