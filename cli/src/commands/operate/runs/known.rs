//! What the ledger knows of each run.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::lineage::ledger::MAX_STARTS;
use holdfast::lineage::{SlotRecord, SlotState};
use holdfast::ports::records::{Deletion, DeletionState, Ledger, RunRecord};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode};
use holdfast::{create, sweep};
use jiff::Timestamp;
use serde::Serialize;

/// A line of the list, with what is known of the run.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) item: Item,
    /// None of a record that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of_run: Option<Known>,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// What is known of a run.
#[derive(Debug, Serialize)]
pub(super) struct Known {
    /// The function.
    pub(super) function: &'static str,
    /// The policies that it did something about.
    pub(super) policies: BTreeSet<String>,
    /// The slots that it answered, UTC.
    pub(super) slots: BTreeSet<Timestamp>,
    /// How many things came to which outcome.
    pub(super) counts: BTreeMap<Outcome, u64>,
    /// What was asked for, where it was a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request>,
}

/// A recorded request.
#[derive(Debug, Serialize)]
pub(super) struct Request {
    /// When it was first asked for, on the wall clock, UTC.
    pub(super) started: Timestamp,
    /// The sources that it was restricted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resources: Option<Vec<String>>,
}

/// What each run did, by the run's identifier.
pub(super) fn of_run(ledger: &Ledger) -> BTreeMap<&str, Vec<Item>> {
    let mut runs: BTreeMap<&str, Vec<Item>> = BTreeMap::new();
    for record in &ledger.creations {
        runs.entry(&record.run).or_default().extend(created(record));
    }
    for (deletion, state) in &ledger.deletions {
        let items = runs.entry(&deletion.run).or_default();
        items.push(deleted(deletion, *state));
    }
    runs
}

/// One item for each artifact; the source's where there is none.
fn created(record: &SlotRecord) -> Vec<Item> {
    let (outcome, reason) = match record.state {
        SlotState::Created | SlotState::Completed => (Outcome::Created, None),
        SlotState::Intended => {
            let words = "it was about to be asked for; the next heartbeat goes on";
            (
                Outcome::Deferred,
                Some((ReasonCode::RetryLater, words.to_owned())),
            )
        }
        SlotState::Requested => {
            let words =
                "it was asked for, and nobody heard the answer; the next heartbeat looks for it";
            (
                Outcome::Deferred,
                Some((ReasonCode::OutcomeUnknown, words.to_owned())),
            )
        }
        SlotState::Failed => {
            let words = record.error.clone().unwrap_or_default();
            let code = match (record.permanent, record.failures >= MAX_STARTS) {
                (_, true) => ReasonCode::AttemptsExhausted,
                (true, false) => ReasonCode::Refused,
                (false, false) => ReasonCode::RetryLater,
            };
            (Outcome::Failed, Some((code, words)))
        }
    };
    let reason = reason.map(|(code, words)| Reason {
        detail: Some(words).filter(|words| !words.is_empty()),
        ..Reason::of(code)
    });
    let resources = match record.artifacts.as_slice() {
        [] => std::slice::from_ref(&record.source),
        made => made,
    };
    let item = |id: &String| Item {
        source: Some(record.source.clone()),
        slot: Some(record.slot),
        time: record.requested_at,
        reasons: reason.iter().cloned().collect(),
        ..Item::new(Action::Create, id, outcome).policy(&record.policy)
    };
    resources.iter().map(item).collect()
}

fn deleted(deletion: &Deletion, state: DeletionState) -> Item {
    let (outcome, code) = match (state, &deletion.refused) {
        (DeletionState::Deleted, _) => (Outcome::Deleted, None),
        (DeletionState::Refused, _) => (Outcome::Held, Some(ReasonCode::Refused)),
        (DeletionState::Intended, Some(_)) => (Outcome::Deferred, Some(ReasonCode::RetryLater)),
        (DeletionState::Intended, None) => (Outcome::Deferred, Some(ReasonCode::OutcomeUnknown)),
    };
    let reason = code.map(|code| Reason {
        detail: deletion.refused.clone(),
        ..Reason::of(code)
    });
    Item {
        time: Some(deletion.at),
        reasons: reason.into_iter().collect(),
        ..Item::new(Action::Delete, &deletion.resource, outcome).policy(&deletion.policy)
    }
}

pub(super) fn lines(ledger: &Ledger) -> Vec<Line> {
    let mut runs = of_run(ledger);
    let requests: BTreeMap<&str, &RunRecord> = ledger
        .requests
        .iter()
        .map(|request| (request.id.as_str(), request))
        .collect();
    for request in requests.keys() {
        runs.entry(request).or_default();
    }
    let line = |(id, items): (&str, Vec<Item>)| line(id, &items, requests.get(id).copied());
    runs.into_iter().map(line).collect()
}

fn line(id: &str, items: &[Item], request: Option<&RunRecord>) -> Line {
    let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
    for item in items {
        *counts.entry(item.outcome).or_default() += 1;
    }
    // The worst of what it came to, and of equals what it was there for.
    let worst = [
        Outcome::Failed,
        Outcome::Deferred,
        Outcome::Held,
        Outcome::Deleted,
        Outcome::Created,
    ];
    let outcome = worst.into_iter().find(|one| counts.contains_key(one));
    let function = function(items, request);
    let action = match function {
        sweep::FUNCTION => Action::Delete,
        _ => Action::Create,
    };
    let mut told = items.iter().flat_map(|item| &item.reasons);
    let mut policies: BTreeSet<String> = items.iter().filter_map(|i| i.policy.clone()).collect();
    policies.extend(request.map(|request| request.policy.clone()));
    let last = items
        .iter()
        .filter_map(|item| item.time.or(item.slot))
        .max();
    Line {
        item: Item {
            policy: policies.first().filter(|_| policies.len() == 1).cloned(),
            time: last.or(request.map(|request| request.started)),
            reasons: told.next().cloned().into_iter().collect(),
            // A request that found nothing to do.
            ..Item::new(action, id, outcome.unwrap_or(Outcome::Skipped))
        },
        of_run: Some(Known {
            function,
            policies,
            slots: items.iter().filter_map(|item| item.slot).collect(),
            counts,
            request: request.map(|request| Request {
                started: request.started,
                resources: request.resources.clone(),
            }),
        }),
    }
}

/// The function that did it: records do not name it, but nothing of one function's is another's.
fn function(items: &[Item], request: Option<&RunRecord>) -> &'static str {
    if let Some(request) = request {
        return match request.function.as_str() {
            create::IMAGES => create::IMAGES,
            _ => create::SNAPSHOTS,
        };
    }
    if items.iter().any(|item| item.action == Action::Delete) {
        return sweep::FUNCTION;
    }
    match items.iter().any(|item| item.resource.starts_with("ami-")) {
        true => create::IMAGES,
        false => create::SNAPSHOTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: &str = "2026-11-20T03:00:00Z";

    fn record(source: &str, run: &str, state: SlotState) -> SlotRecord {
        SlotRecord {
            policy: "nightly".into(),
            slot: SLOT.parse().unwrap(),
            source: source.into(),
            request: None,
            trigger: None,
            scheduled: true,
            state,
            run: run.into(),
            attempt: 1,
            requested_at: Some("2026-11-20T03:00:05Z".parse().unwrap()),
            rebooted: false,
            artifacts: match state {
                SlotState::Created => vec![format!("snap-of-{source}")],
                _ => vec![],
            },
            lost: vec![],
            failures: 0,
            failed_at: None,
            error: (state == SlotState::Failed).then(|| "volume-state: error".into()),
            permanent: false,
            event_over: false,
            fence: 1,
        }
    }

    #[test]
    fn a_run_is_as_bad_as_the_worst_that_it_came_to() {
        let ledger = Ledger {
            creations: vec![
                record("vol-1", "r-1", SlotState::Created),
                record("vol-2", "r-1", SlotState::Failed),
                record("vol-3", "r-2", SlotState::Created),
            ],
            ..Ledger::default()
        };
        let lines = lines(&ledger);
        let told: Vec<(&str, Outcome)> = lines
            .iter()
            .map(|line| (line.item.resource.as_str(), line.item.outcome))
            .collect();
        assert_eq!(told, [("r-1", Outcome::Failed), ("r-2", Outcome::Created)]);
        let counts = [(Outcome::Created, 1), (Outcome::Failed, 1)];
        assert_eq!(lines[0].of_run.as_ref().unwrap().counts, counts.into());
        assert_eq!(
            lines[0].of_run.as_ref().unwrap().function,
            "create-snapshots"
        );
        let json = serde_json::to_value(&lines[1]).unwrap();
        assert_eq!(json["of_run"]["slots"], serde_json::json!([SLOT]));
    }

    #[test]
    fn what_nobody_heard_the_end_of_is_told_from_what_failed() {
        for (state, outcome, code) in [
            (
                SlotState::Intended,
                Outcome::Deferred,
                ReasonCode::RetryLater,
            ),
            (
                SlotState::Requested,
                Outcome::Deferred,
                ReasonCode::OutcomeUnknown,
            ),
            (SlotState::Failed, Outcome::Failed, ReasonCode::RetryLater),
        ] {
            let item = &created(&record("vol-1", "r", state))[0];
            assert_eq!(
                (item.outcome, item.reasons[0].code, item.resource.as_str()),
                (outcome, code, "vol-1")
            );
        }
    }

    #[test]
    fn a_request_that_found_nothing_to_do_is_listed_too() {
        let ledger = Ledger {
            requests: vec![RunRecord {
                function: "create-images".into(),
                id: "by-hand".into(),
                policy: "bake".into(),
                slot: SLOT.parse().unwrap(),
                started: SLOT.parse().unwrap(),
                resources: None,
            }],
            ..Ledger::default()
        };
        let lines = lines(&ledger);
        assert_eq!(lines[0].item.outcome, Outcome::Skipped);
        assert_eq!(lines[0].of_run.as_ref().unwrap().function, "create-images");
    }
}
