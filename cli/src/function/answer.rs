//! A function's report, as it came.

use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report};
use jiff::Timestamp;
use serde_json::Value;

use crate::commands::{head, recorded_reasons};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::items::{counts, seconds, table};
use crate::output::table::Look;
use crate::output::{note, print, print_json};

/// The report of a function, which may be another version than this program.
#[derive(Clone, Debug)]
pub struct Answer {
    json: Value,
    items: Vec<Item>,
    now: Timestamp,
}

impl Answer {
    /// A report of this program's own.
    ///
    /// # Errors
    /// It has no JSON.
    pub fn of(report: &Report) -> Result<Self, Failure> {
        let json = serde_json::to_value(report);
        Self::read(json.map_err(|error| Failure::failed(format!("no JSON can be made: {error}")))?)
    }

    /// Reads a report of version 1. Reasons that only a newer version knows are left to the JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn read(json: Value) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::failed(format!(
                "the function's answer is no report that this holdfast understands ({what}); use \
                 one of the function's version"
            ))
        };
        if json["schema"] != 1 {
            return Err(wrong("its schema is not 1"));
        }
        let now = json["run"]["now"].as_str().and_then(|now| now.parse().ok());
        let now = now.ok_or_else(|| wrong("it tells no time"))?;
        let items = json["items"].as_array().into_iter().flatten();
        let items: Option<Vec<Item>> = items.map(item).collect();
        let items = items.ok_or_else(|| wrong("an item's action or outcome is unknown"))?;
        Ok(Self { json, items, now })
    }

    /// What the run says of itself under this key.
    #[must_use]
    pub fn run(&self, key: &str) -> Option<&str> {
        self.json["run"][key].as_str()
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Tells on standard error where it was made under another policy file than `sha256`.
    pub fn note_other_policies(&self, sha256: &str) {
        if let Some(deployed) = self.run("policy_sha256")
            && deployed != sha256
        {
            note(&format!(
                "the function has another policy file (SHA-256 {deployed}) than the local one \
                 ({sha256}): what it did, it did by its own"
            ));
        }
    }

    /// Prints it, and says what it asks for.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn show(&self, json: bool) -> Result<Exit, Failure> {
        if json {
            print_json(&self.json)?;
        } else {
            print(&self.people(Look::of_stdout()))?;
        }
        let report = Report::new(head("", self.now), self.items.clone());
        Ok(Exit::of_report(&report))
    }

    fn people(&self, look: Look) -> String {
        let mut text = String::new();
        if self.items.is_empty() {
            text.push_str("nothing was to be done\n");
        } else {
            text.push_str(&table(look, &self.items, self.now));
            text.push_str(&format!("\n{}\n", counts(&self.items)));
        }
        if let Some(omitted) = self.json["items_omitted"].as_u64() {
            text.push_str(&format!(
                "{omitted} more were left out of the report to keep it short: {}\n",
                self.json["summary"]
            ));
        }
        let word = |key: &str| self.run(key).unwrap_or("unknown");
        text.push_str(&format!(
            "run {} of {}, account {}, Region {}, at {}\n",
            word("id"),
            word("function"),
            word("account"),
            word("region"),
            seconds(self.now)
        ));
        if let Some(hash) = self.run("plan_hash") {
            text.push_str(&format!("plan hash {hash}\n"));
            text.push_str(&self.release(hash));
        }
        if self.json["run"]["complete"] == false {
            text.push_str("something is left for the next run\n");
        }
        text
    }
}

impl Answer {
    /// How to let go what a breaker holds. Only what a sweep that may delete put on record under a hash
    /// can be released by it.
    fn release(&self, hash: &str) -> String {
        let tripped = |reason: &Reason| reason.code == ReasonCode::CircuitBreaker;
        let held = |item: &&Item| item.outcome == Outcome::Held && item.reasons.iter().any(tripped);
        let count = self.items.iter().filter(held).count();
        match (count, self.run("mode")) {
            (0, _) => String::new(),
            (n, Some("enforce")) => format!(
                "the breaker holds {n} of these; where they are to go all the same: holdfast sweep \
                 --enforce --override {hash}\n"
            ),
            (n, _) => format!(
                "the breaker holds {n} of these; the report of the next sweep that deletes says by \
                 which hash they are let go\n"
            ),
        }
    }
}

fn item(json: &Value) -> Option<Item> {
    let text = |key: &str| json[key].as_str();
    let time = |key: &str| text(key).and_then(|time| time.parse().ok());
    let owned = |key: &str| text(key).map(str::to_owned);
    let action = Action::parse(text("action")?)?;
    let outcome = Outcome::parse(text("outcome")?)?;
    Some(Item {
        policy: owned("policy"),
        source: owned("source"),
        time: time("time"),
        slot: time("slot"),
        reasons: recorded_reasons(json),
        ..Item::new(action, text("resource")?, outcome)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(items: Value) -> Value {
        json!({
            "schema": 1,
            "run": { "id": "r-1", "function": "create-snapshots", "now": "2026-11-23T03:00:00Z",
                     "complete": false, "policy_sha256": "ab" },
            "summary": { "failed": 1 },
            "items": items,
        })
    }

    #[test]
    fn a_report_reads_back_and_a_reason_of_a_newer_version_does_not_hide_the_rest() {
        let answer = Answer::read(report(json!([{
            "action": "create", "resource": "vol-1", "outcome": "failed", "policy": "nightly",
            "slot": "2026-11-23T03:00:00Z",
            "reasons": [ { "code": "of-tomorrow" }, { "code": "volume-state", "detail": "error" } ],
        }])))
        .unwrap();
        let item = &answer.items()[0];
        assert_eq!(item.policy.as_deref(), Some("nightly"));
        let codes: Vec<ReasonCode> = item.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!(codes, [ReasonCode::VolumeState]);
        let look = Look {
            colour: false,
            width: None,
        };
        let text = answer.people(look);
        assert!(text.contains("1 failed"), "{text}");
        assert!(text.contains("run r-1 of create-snapshots"), "{text}");
        assert!(text.contains("left for the next run"), "{text}");
    }

    #[test]
    fn what_is_no_report_of_version_1_is_not_taken_for_one() {
        let outcome = json!([{ "action": "create", "resource": "vol-1", "outcome": "eaten" }]);
        for wrong in [json!("done"), json!({ "schema": 2 }), report(outcome)] {
            assert_eq!(Answer::read(wrong).unwrap_err().exit, Exit::Failed);
        }
    }
}
