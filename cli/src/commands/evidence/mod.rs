//! `holdfast evidence`: the stored proof of deletions.

mod show;

use futures::{StreamExt, TryStreamExt, stream};
use holdfast::ports::records::{Deletion, DeletionState, Records, TableError, TableErrorKind};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Run};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::head;
use crate::account::Account;
use crate::args::{EvidenceArguments, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::lines::Lines;
use crate::output::table::Look;

/// Questions to the table under way at once.
const AT_ONCE: usize = 8;

/// A line of the report, with what is on record of the deletion.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    item: Item,
    /// The deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<Recorded>,
    /// Its proof as it was written down: whatever keys the sweep that wrote it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Value>,
    /// Its earlier deletions, the newest first: it came back, and was deleted again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Line>,
}

/// A deletion as the table has it.
#[derive(Debug, Serialize)]
struct Recorded {
    /// `deleted`; `refused`: it did not come to it; `intended`: nobody heard how it ended.
    state: &'static str,
    /// When the intent was recorded, on the wall clock, UTC.
    at: Timestamp,
    /// The run.
    run: String,
    /// The AMI with which a snapshot went.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// Whether it was a backup that counted.
    good: bool,
    /// How often the call was sent before, without success.
    tries: u32,
    /// Why it was not carried out when the call was last due: EC2's code and words, or the sweep's.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// Runs the command.
///
/// # Errors
/// The table cannot be read.
pub async fn run(global: &Global, arguments: &EvidenceArguments) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let account = Account::connect(global).await?;
    let mut ids: Vec<String> = Vec::new();
    for id in &arguments.ids {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    let proofs = stream::iter(&ids)
        .map(async |id| match account.table.proofs(id).await {
            Ok(proofs) => Ok(line(id, proofs)),
            // What is on record of the others is told all the same.
            Err(error) if error.kind == TableErrorKind::Unreadable => Ok(unread(id, &error)),
            Err(error) => Err(Failure::from(error)),
        })
        .buffered(AT_ONCE);
    let lines: Vec<Line> = proofs.try_collect().await?;
    let run = Run {
        region: account.region.clone(),
        ..head("evidence", now)
    };
    let report = Lines::new(run, lines);
    report.show(global.json, |report| {
        show::proofs(&report.lines, now, Look::of_stdout())
    })?;
    let mut lines = report.lines.iter();
    let unheard = lines.any(|line| line.item.outcome == Outcome::Deferred);
    let exit = if unheard { Exit::Attention } else { Exit::Done };
    Ok(exit.merge(report.exit))
}

/// The line of the newest of these, with the others in it.
fn line(id: &str, proofs: Vec<(Deletion, DeletionState)>) -> Line {
    let mut lines = proofs
        .into_iter()
        .map(|(deletion, state)| proof(id, deletion, state));
    let Some(newest) = lines.next() else {
        let words = "no deletion of it is on record: Holdfast neither deleted it nor meant to, or \
                     it did so in another account, Region or table";
        return untold(id, Reason::with(ReasonCode::NotFound, words));
    };
    Line {
        earlier: lines.collect(),
        ..newest
    }
}

/// The line of what has a record that this version cannot read.
fn unread(id: &str, error: &TableError) -> Line {
    untold(id, Reason::with(ReasonCode::TableFailed, error.to_string()))
}

fn untold(id: &str, reason: Reason) -> Line {
    Line {
        item: Item::new(Action::Delete, id, Outcome::Failed).reason(reason),
        deletion: None,
        evidence: None,
        earlier: Vec::new(),
    }
}

fn proof(id: &str, deletion: Deletion, state: DeletionState) -> Line {
    let evidence: Value = serde_json::from_str(&deletion.evidence)
        .unwrap_or_else(|_| Value::String(deletion.evidence.clone()));
    let (outcome, word, reason) = ending(state, deletion.refused.as_deref());
    let verdict = &evidence["verdict"];
    let text = |key: &str| verdict[key].as_str().map(str::to_owned);
    let mut item = Item {
        source: text("source"),
        time: Some(deletion.time),
        slot: text("slot").and_then(|slot| slot.parse().ok()),
        reasons: reasons(verdict),
        ..Item::new(Action::Delete, id, outcome)
    };
    item.reasons.extend(reason);
    Line {
        item: item.policy(&deletion.policy),
        deletion: Some(Recorded {
            state: word,
            at: deletion.at,
            run: deletion.run,
            image: deletion.image,
            good: deletion.good,
            tries: deletion.tries,
            refused: deletion.refused,
        }),
        evidence: Some(evidence),
        earlier: Vec::new(),
    }
}

/// How a deletion ended: its outcome, its word, and a reason where it is not gone.
fn ending(state: DeletionState, refused: Option<&str>) -> (Outcome, &'static str, Option<Reason>) {
    match (state, refused) {
        (DeletionState::Deleted, _) => (Outcome::Deleted, "deleted", None),
        (DeletionState::Intended, Some(words)) => {
            let detail = format!("{words}; a later sweep sends the call again");
            let reason = Reason::with(ReasonCode::RetryLater, detail);
            (Outcome::Deferred, "intended", Some(reason))
        }
        (DeletionState::Intended, None) => {
            let words = "the call was about to be sent, and nobody heard how it ended; the next \
                         sweep or two reconciles find out, `holdfast explain` tells what is there now";
            let reason = Reason::with(ReasonCode::OutcomeUnknown, words);
            (Outcome::Deferred, "intended", Some(reason))
        }
        (DeletionState::Refused, words) => {
            let words = words.unwrap_or("EC2 refused, or the sweep stopped before");
            let detail = format!(
                "it did not come to it: {words}; `holdfast explain` tells what is there now"
            );
            let reason = Reason::with(ReasonCode::Refused, detail);
            (Outcome::Held, "refused", Some(reason))
        }
    }
}

/// The recorded reasons whose codes this version knows; all of them stand in the evidence.
pub(crate) fn reasons(verdict: &Value) -> Vec<Reason> {
    let recorded = verdict["reasons"].as_array().into_iter().flatten();
    recorded
        .filter_map(|reason| {
            let code = reason["code"].as_str()?;
            let path = reason["path"].as_array().into_iter().flatten();
            Some(Reason {
                code: ReasonCode::parse(code)?,
                detail: reason["detail"].as_str().map(str::to_owned),
                path: path
                    .filter_map(|id| id.as_str().map(str::to_owned))
                    .collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const AT: &str = "2026-11-20T04:00:00Z";

    fn deletion(evidence: &str) -> Deletion {
        Deletion {
            resource: "snap-1".into(),
            policy: "nightly".into(),
            image: None,
            other_images: BTreeSet::new(),
            good: true,
            time: "2026-10-01T03:00:11Z".parse().unwrap(),
            run: "r-1".into(),
            evidence: evidence.into(),
            at: AT.parse().unwrap(),
            tries: 0,
            refused: None,
        }
    }

    const PROOF: &str = r#"{
        "verdict": { "source": "vol-1", "slot": "2026-10-01T03:00:00Z",
                     "reasons": [ { "code": "expired", "detail": "no rule of nightly keeps it" },
                                  { "code": "of-a-later-version" } ] },
        "tags": { "Name": "db" },
        "lists": [ { "source": "images", "count": 2, "pages": 1, "complete": true,
                     "read_at": "2026-11-20T03:59:58Z" } ],
        "not_used": { "by": "nightly", "sources": ["fleets", "image_recipes"] },
        "run": { "id": "r-1", "function": "sweep-retention", "released": null },
        "something_new": { "a": 1 }
    }"#;

    fn of(state: DeletionState) -> Line {
        line("snap-1", vec![(deletion(PROOF), state)])
    }

    #[test]
    fn each_ending_has_its_outcome_and_only_what_is_gone_needs_no_further_word() {
        for (state, outcome, codes) in [
            (DeletionState::Deleted, "deleted", &["expired"][..]),
            (
                DeletionState::Intended,
                "deferred",
                &["expired", "outcome-unknown"],
            ),
            (DeletionState::Refused, "held", &["expired", "refused"]),
        ] {
            let line = of(state);
            assert_eq!(line.item.outcome.as_str(), outcome);
            let told: Vec<&str> = line.item.reasons.iter().map(|r| r.code.as_str()).collect();
            assert_eq!(told, codes);
        }
    }

    #[test]
    fn ec2s_code_and_words_of_a_refusal_are_told_and_that_a_later_sweep_tries_again() {
        let words = "DeleteSnapshot of snap-1: InvalidSnapshot.InUse: it is used by ami-1";
        for (state, code) in [
            (DeletionState::Refused, "refused"),
            (DeletionState::Intended, "retry-later"),
        ] {
            let refused = Deletion {
                refused: Some(words.into()),
                ..deletion(PROOF)
            };
            let line = line("snap-1", vec![(refused, state)]);
            let told = line.item.reasons.last().unwrap();
            assert_eq!(told.code.as_str(), code);
            assert!(told.detail.as_ref().unwrap().contains(words), "{told:?}");
            let json = serde_json::to_value(line).unwrap();
            assert_eq!(json["deletion"]["refused"], words);
        }
    }

    #[test]
    fn the_json_of_a_proof_has_the_reports_keys_the_record_and_the_evidence_as_stored() {
        let json = serde_json::to_value(of(DeletionState::Deleted)).unwrap();
        let stored: Value = serde_json::from_str(PROOF).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "action": "delete", "resource": "snap-1", "outcome": "deleted",
                "policy": "nightly", "source": "vol-1",
                "time": "2026-10-01T03:00:11Z", "slot": "2026-10-01T03:00:00Z",
                "reasons": [ { "code": "expired", "detail": "no rule of nightly keeps it" } ],
                "deletion": { "state": "deleted", "at": AT, "run": "r-1", "good": true, "tries": 0 },
                "evidence": stored,
            })
        );
    }

    #[test]
    fn people_read_what_went_why_and_what_was_read_and_keys_of_a_later_version_too() {
        let look = Look {
            colour: false,
            width: None,
        };
        let now = "2026-11-23T04:00:00Z".parse().unwrap();
        let text = show::proofs(&[of(DeletionState::Deleted)], now, look);
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for wanted in [
            "snap-1: deleted",
            "policy nightly",
            "of vol-1, as it was at 2026-10-01T03:00:11Z (53d ago)",
            "why expired: no rule of nightly keeps it",
            "intent 2026-11-20T04:00:00Z (3d ago), run r-1",
            "tags Name=db",
            "images 2 1 yes 2026-11-20T03:59:58Z",
            "not used fleets, image_recipes, as policy nightly declares",
            "run function=sweep-retention id=r-1",
            "something_new a=1",
        ] {
            assert!(
                lines.iter().any(|line| line == wanted),
                "{wanted:?} in\n{text}"
            );
        }
    }

    #[test]
    fn an_earlier_proof_of_what_came_back_is_shown_after_the_newest() {
        let first = Deletion {
            at: "2026-11-10T04:00:00Z".parse().unwrap(),
            run: "r-0".into(),
            ..deletion(PROOF)
        };
        let both = vec![
            (deletion(PROOF), DeletionState::Intended),
            (first, DeletionState::Deleted),
        ];
        let line = line("snap-1", both);
        let look = Look {
            colour: false,
            width: None,
        };
        let now = "2026-11-23T04:00:00Z".parse().unwrap();
        let text = show::proofs(std::slice::from_ref(&line), now, look);
        let heads = text.lines().filter(|line| line.starts_with("snap-1: "));
        assert_eq!(
            heads.collect::<Vec<_>>(),
            ["snap-1: intended", "snap-1: deleted, before it came back"]
        );
        let json = serde_json::to_value(line).unwrap();
        assert_eq!(json["deletion"]["run"], "r-1");
        let earlier = &json["earlier"][0];
        assert_eq!(earlier["deletion"]["run"], "r-0");
        assert_eq!(earlier["evidence"]["tags"]["Name"], "db");
        assert_eq!(earlier["earlier"], Value::Null);
    }

    #[test]
    fn evidence_that_is_no_json_is_shown_as_it_stands() {
        let line = line(
            "snap-1",
            vec![(deletion("by hand"), DeletionState::Deleted)],
        );
        assert_eq!(line.evidence, Some(Value::String("by hand".into())));
        assert!(line.item.reasons.is_empty());
    }
}
