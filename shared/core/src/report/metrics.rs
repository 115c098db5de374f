//! What CloudWatch counts of a report.

use jiff::Timestamp;

use super::{Outcome, ReasonCode, Report};

impl Report {
    /// One line in CloudWatch's embedded metric format: a count for each outcome of this run, of the
    /// deletions that a circuit breaker holds, and whether work is left. The alarms of
    /// `infra/template.yaml` read them.
    ///
    /// The only dimension is the function, so that the number of metrics stays small whatever the
    /// fleet (CloudWatch User Guide, "Embedded Metric Format Specification").
    #[must_use]
    pub fn metrics(&self, wall: Timestamp) -> serde_json::Value {
        let counted = [
            Outcome::Created,
            Outcome::Deleted,
            Outcome::Held,
            Outcome::Deferred,
            Outcome::Failed,
            Outcome::Finding,
        ]
        .map(|outcome| (format!("items.{}", outcome.as_str()), self.count(outcome)));
        let further = [
            ("items.circuit-breaker".to_owned(), self.held_by_breaker()),
            ("run.incomplete".to_owned(), u64::from(!self.run.complete)),
        ];
        let mut line = serde_json::Map::new();
        let mut names = Vec::new();
        for (name, value) in counted.into_iter().chain(further) {
            names.push(serde_json::json!({ "Name": name, "Unit": "Count" }));
            line.insert(name, value.into());
        }
        line.insert("function".into(), self.run.function.clone().into());
        line.insert("run".into(), self.run.id.clone().into());
        line.insert(
            "_aws".into(),
            serde_json::json!({
                "Timestamp": wall.as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": "Holdfast", "Dimensions": [["function"]], "Metrics": names }
                ],
            }),
        );
        line.into()
    }

    /// How many deletions a tripped circuit breaker holds.
    fn held_by_breaker(&self) -> u64 {
        let held = self.items.iter().filter(|item| {
            let mut reasons = item.reasons.iter();
            item.outcome == Outcome::Held && reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
        });
        held.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::super::{Action, Item, Reason, Run};
    use super::*;

    #[test]
    fn metrics_count_failures_findings_and_what_a_breaker_holds_and_declare_what_they_count() {
        let held =
            |code| Item::new(Action::Delete, "snap-1", Outcome::Held).reason(Reason::of(code));
        let items = vec![
            held(ReasonCode::CircuitBreaker),
            held(ReasonCode::CircuitBreaker),
            held(ReasonCode::Pinned),
            // About a breaker, and held by none.
            Item::new(Action::Check, "0a1b", Outcome::Finding)
                .reason(Reason::of(ReasonCode::CircuitBreaker)),
            Item::new(Action::Delete, "snap-2", Outcome::Failed),
        ];
        let unfinished = Run {
            complete: false,
            ..run()
        };
        let line = Report::new(unfinished, items).metrics(Timestamp::UNIX_EPOCH);
        for (name, value) in [
            ("items.held", 3),
            ("items.circuit-breaker", 2),
            ("items.finding", 1),
            ("items.failed", 1),
            ("items.created", 0),
            ("run.incomplete", 1),
        ] {
            assert_eq!(line[name], value, "{name}");
            let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
            assert!(
                declared.unwrap().iter().any(|m| m["Name"] == name),
                "{name}"
            );
        }
        assert_eq!(line["function"], "sweep-retention");
    }
}
