//! Items that are made only as far as a report has room for them.

use std::collections::BTreeMap;

use super::metrics::held_by_breaker;
use super::{Item, Outcome, Reason, ReasonCode, attention, json_size};

/// The items of a report that keeps no more of them than fit its limit, and counts all.
///
/// [`super::Report::fitted`] then cuts it to the same items as if all had been made.
#[derive(Clone, Debug)]
pub struct Items {
    limit: usize,
    made: Vec<Item>,
    /// Bytes of JSON of what was offered and made, by how much attention it needs.
    sizes: BTreeMap<u8, usize>,
    left_out: BTreeMap<Outcome, u64>,
    left_out_by_breaker: u64,
}

impl Items {
    /// None yet, for a report of at most so many bytes of JSON.
    #[must_use]
    pub fn within(limit: usize) -> Self {
        Self {
            limit,
            made: Vec::new(),
            sizes: BTreeMap::new(),
            left_out: BTreeMap::new(),
            left_out_by_breaker: 0,
        }
    }

    /// Adds what `make` makes, unless what was offered before and needs as much attention fills the
    /// report already. Then only its outcome is counted, and whether a breaker is among its reasons.
    pub fn offer(
        &mut self,
        outcome: Outcome,
        reasons: &[Reason],
        make: impl FnOnce() -> Option<Item>,
    ) {
        let size = self.sizes.entry(attention(outcome)).or_default();
        if *size > self.limit {
            *self.left_out.entry(outcome).or_default() += 1;
            let broken = reasons.iter().any(|r| r.code == ReasonCode::CircuitBreaker);
            self.left_out_by_breaker += u64::from(outcome == Outcome::Held && broken);
        } else if let Some(item) = make() {
            *size += json_size(&item);
            self.made.push(item);
        }
    }

    /// Adds one, whether or not there is room for it.
    pub fn push(&mut self, item: Item) {
        self.made.push(item);
    }

    /// Those that were made.
    #[must_use]
    pub fn made(&self) -> &[Item] {
        &self.made
    }

    /// Puts those that were made in the order of their times and resources.
    pub fn sort(&mut self) {
        let key = |item: &Item| (item.time, item.resource.clone());
        self.made.sort_by_cached_key(key);
    }

    /// How many items of each outcome there are, made or not.
    pub(super) fn summary(&self) -> BTreeMap<Outcome, u64> {
        let mut summary = self.left_out.clone();
        for item in &self.made {
            *summary.entry(item.outcome).or_default() += 1;
        }
        summary
    }

    /// How many were not made.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.values().sum()
    }

    /// How many deletions a tripped breaker holds, made or not.
    pub(super) fn held_by_breaker(&self) -> u64 {
        self.left_out_by_breaker + held_by_breaker(&self.made)
    }

    pub(super) fn into_made(self) -> Vec<Item> {
        self.made
    }
}

impl Extend<Item> for Items {
    fn extend<I: IntoIterator<Item = Item>>(&mut self, items: I) {
        self.made.extend(items);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::report::{Action, Invoked, Report, Run};

    fn run() -> Run {
        Run {
            id: "r".into(),
            function: "f".into(),
            mode: None,
            now: "2026-11-23T03:00:00Z".parse().unwrap(),
            account: None,
            region: None,
            policy_sha256: None,
            plan_hash: None,
            complete: true,
            evidence: Vec::new(),
        }
    }

    fn item() -> impl Strategy<Value = Item> {
        let outcomes = vec![
            Outcome::Kept,
            Outcome::Held,
            Outcome::Planned,
            Outcome::Failed,
        ];
        let codes = vec![ReasonCode::CircuitBreaker, ReasonCode::Pending];
        let parts = (
            "[a-z]{1,40}",
            prop::sample::select(outcomes),
            prop::sample::select(codes),
        );
        parts.prop_map(|(name, outcome, code)| {
            Item::new(Action::Delete, name, outcome).reason(Reason::of(code))
        })
    }

    proptest! {
        #[test]
        fn a_report_of_offered_items_is_cut_like_one_of_all_of_them(
            all in prop::collection::vec(item(), 0..60), limit in 1100..6000usize,
        ) {
            let mut offered = Items::within(limit);
            for item in &all {
                offered.offer(item.outcome, &item.reasons, || Some(item.clone()));
            }
            let invoked = Invoked { heartbeat: true, ended: run().now, took: SignedDuration::ZERO };
            let (whole, lazy) = (Report::new(run(), all), Report::of(run(), offered));
            prop_assert_eq!(&whole.summary, &lazy.summary);
            prop_assert_eq!(whole.metrics(&invoked), lazy.metrics(&invoked));
            let (whole, lazy) = (whole.fitted(limit), lazy.fitted(limit));
            prop_assert_eq!(serde_json::to_value(whole).unwrap(), serde_json::to_value(lazy).unwrap());
        }
    }

    #[test]
    fn what_does_not_fit_is_never_made() {
        let mut items = Items::within(100);
        let mut made = 0;
        for _ in 0..1000 {
            items.offer(Outcome::Kept, &[], || {
                made += 1;
                Some(Item::new(Action::Delete, "snap-1", Outcome::Kept))
            });
        }
        // Each takes 56 bytes of JSON and a comma: the second is the first that does not fit.
        assert_eq!(made, 2);
        assert_eq!(items.summary()[&Outcome::Kept], 1000);
    }
}
