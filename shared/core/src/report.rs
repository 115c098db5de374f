//! The report: what every function answers and every command prints with `--json`.
//!
//! Verdicts come in with their reasons; nothing is decided here.

mod evidence;
mod item;
mod items;
mod metrics;
mod words;

pub use evidence::{SourceEvidence, sources, together};
pub use item::{Advice, Item, Reason};
pub use items::Items;
pub use metrics::Invoked;
pub use words::{Action, Outcome, ReasonCode};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// Most bytes of JSON that a function answers with; items beyond are cut and counted.
pub const FUNCTION_LIMIT: usize = 512 * 1024;

/// What the run as a whole was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Identifier of the run.
    pub id: String,
    /// The function or command.
    pub function: String,
    /// `plan` or `enforce`, where that makes a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The time the run decided for, UTC.
    pub now: Timestamp,
    /// The AWS account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// SHA-256 of the policy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_sha256: Option<String>,
    /// Hash over the sorted (policy, resource) deletions: see the contract's breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether no work is left for the next run.
    pub complete: bool,
    /// What a sweep's decisions rest on: one entry a source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<SourceEvidence>,
}

/// Whether a sweep may delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reports what it would do.
    Plan,
    /// Does it.
    Enforce,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this format: 1.
    pub schema: u32,
    /// The run.
    pub run: Run,
    /// Number of items by outcome, cut ones included.
    pub summary: BTreeMap<Outcome, u64>,
    /// The items.
    pub items: Vec<Item>,
    /// How many items were cut to fit the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_omitted: Option<u64>,
    /// How many deletions a tripped circuit breaker holds, those of cut items included.
    #[serde(skip)]
    held_by_breaker: u64,
}

impl Report {
    /// The report of a run. Its times are whole seconds, as the ledger's and the tags' are.
    #[must_use]
    pub fn new(run: Run, items: Vec<Item>) -> Self {
        let mut all = Items::within(usize::MAX);
        all.extend(items);
        Self::of(run, all)
    }

    /// The same of items of which only some were made.
    #[must_use]
    pub fn of(mut run: Run, items: Items) -> Self {
        run.now = whole_second(run.now);
        for source in &mut run.evidence {
            source.read_at = source.read_at.map(whole_second);
        }
        let (summary, held_by_breaker) = (items.summary(), items.held_by_breaker());
        let left_out = items.left_out();
        let mut items = items.into_made();
        for item in &mut items {
            item.time = item.time.map(whole_second);
            item.slot = item.slot.map(whole_second);
        }
        Self {
            schema: 1,
            run,
            summary,
            items,
            items_omitted: (left_out > 0).then_some(left_out),
            held_by_breaker,
        }
    }

    /// How many items had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.summary.get(&outcome).copied().unwrap_or(0)
    }

    /// The report with as many items as fit `limit` bytes of JSON.
    ///
    /// What needs attention stays longest: failures and findings first, then what was done, then
    /// what was held, and what is merely kept last.
    #[must_use]
    pub fn fitted(mut self, limit: usize) -> Self {
        let total: usize = self.items.iter().map(json_size).sum();
        // Room for the head: run, summary and the count of what was cut.
        let head = serde_json::to_string(&self.run).map_or(0, |text| text.len());
        let room = limit.saturating_sub(1024 + head);
        if total <= room {
            return self;
        }
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by_key(|&i| (attention(self.items[i].outcome), i));
        let mut used = 0;
        let mut stays = vec![false; self.items.len()];
        for i in order {
            used += json_size(&self.items[i]);
            if used > room {
                break;
            }
            stays[i] = true;
        }
        let before = self.items.len();
        let mut stay = stays.into_iter();
        self.items.retain(|_| stay.next().unwrap_or(false));
        let cut = (before - self.items.len()) as u64;
        self.items_omitted = Some(self.items_omitted.unwrap_or(0) + cut);
        self
    }
}

/// The second that a time lies in.
#[must_use]
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Bytes of an item in a report's JSON.
fn json_size(item: &Item) -> usize {
    serde_json::to_string(item).map_or(0, |text| text.len() + 1)
}

fn attention(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed | Outcome::Finding => 0,
        Outcome::Created | Outcome::Deleted | Outcome::Deferred => 1,
        Outcome::Planned | Outcome::Recorded | Outcome::Deletable => 2,
        Outcome::Held => 3,
        Outcome::Skipped => 4,
        Outcome::Kept => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn run() -> Run {
        Run {
            id: "r".into(),
            function: "sweep-retention".into(),
            mode: Some(Mode::Plan),
            now: Timestamp::UNIX_EPOCH,
            account: None,
            region: None,
            policy_sha256: None,
            plan_hash: None,
            complete: true,
            evidence: Vec::new(),
        }
    }

    #[test]
    fn keys_without_a_value_are_left_out() {
        let item = Item::new(Action::Delete, "snap-1", Outcome::Held)
            .reason(Reason::of(ReasonCode::Pinned));
        let json = serde_json::to_value(Report::new(run(), vec![item])).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "schema": 1,
                "run": { "id": "r", "function": "sweep-retention", "mode": "plan",
                         "now": "1970-01-01T00:00:00Z", "complete": true },
                "summary": { "held": 1 },
                "items": [ { "action": "delete", "resource": "snap-1", "outcome": "held",
                             "reasons": [ { "code": "pinned" } ] } ],
            })
        );
    }

    #[test]
    fn a_cut_report_keeps_its_summary_and_what_needs_attention() {
        let mut items: Vec<Item> = (0..10_000)
            .map(|i| Item::new(Action::Delete, format!("snap-{i:05}"), Outcome::Kept))
            .collect();
        items.push(Item::new(Action::Delete, "snap-failed", Outcome::Failed));
        let report = Report::new(run(), items).fitted(100_000);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.len() <= 100_000, "{}", text.len());
        assert_eq!(report.count(Outcome::Kept), 10_000);
        assert_eq!(
            report.items_omitted.unwrap() + report.items.len() as u64,
            10_001
        );
        assert!(report.items.iter().any(|i| i.resource == "snap-failed"));
    }
}
