//! What CloudWatch counts of a report.

use jiff::{SignedDuration, Timestamp};

use super::{Item, Outcome, ReasonCode, Report};

/// How an invocation went, as its report does not tell.
#[derive(Clone, Copy, Debug)]
pub struct Invoked {
    /// Whether a schedule asked for it, and not an event or a person: what counts against silence.
    pub heartbeat: bool,
    /// When it ended, on the wall clock.
    pub ended: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
}

impl Report {
    /// One line in CloudWatch's embedded metric format: a count for each outcome of this run, of the
    /// deletions that a circuit breaker holds and of sources without the backup that they were
    /// promised, whether work is left, whether a heartbeat asked for it, and how long it took. The
    /// alarms of `infra/template.yaml` read them.
    ///
    /// The only dimension is the function, so that the number of metrics stays small whatever the
    /// fleet (CloudWatch User Guide, "Embedded Metric Format Specification").
    #[must_use]
    pub fn metrics(&self, invoked: &Invoked) -> serde_json::Value {
        let counted = [
            Outcome::Created,
            Outcome::Planned,
            Outcome::Deleted,
            Outcome::Kept,
            Outcome::Held,
            Outcome::Skipped,
            Outcome::Deferred,
            Outcome::Failed,
            Outcome::Recorded,
            Outcome::Finding,
        ]
        .map(|outcome| (format!("items.{}", outcome.as_str()), self.count(outcome)));
        let further = [
            ("items.circuit-breaker".to_owned(), self.held_by_breaker),
            ("sources.uncovered".to_owned(), uncovered(&self.items)),
            ("run.incomplete".to_owned(), u64::from(!self.run.complete)),
            ("run.heartbeat".to_owned(), u64::from(invoked.heartbeat)),
        ];
        let mut line = serde_json::Map::new();
        let mut names = Vec::new();
        for (name, value) in counted.into_iter().chain(further) {
            names.push(serde_json::json!({ "Name": name, "Unit": "Count" }));
            line.insert(name, value.into());
        }
        let took = u64::try_from(invoked.took.as_millis()).unwrap_or(0);
        names.push(serde_json::json!({ "Name": "run.duration", "Unit": "Milliseconds" }));
        line.insert("run.duration".into(), took.into());
        line.insert("function".into(), self.run.function.clone().into());
        line.insert("run".into(), self.run.id.clone().into());
        line.insert(
            "_aws".into(),
            serde_json::json!({
                "Timestamp": invoked.ended.as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": "Holdfast", "Dimensions": [["function"]], "Metrics": names }
                ],
            }),
        );
        line.into()
    }
}

/// How many findings say that a backup is missing, too old, or no longer made.
fn uncovered(items: &[Item]) -> u64 {
    let codes = [
        ReasonCode::NoBackup,
        ReasonCode::RpoExceeded,
        ReasonCode::NotPicked,
    ];
    let found = items.iter().filter(|item| {
        let mut reasons = item.reasons.iter();
        item.outcome == Outcome::Finding && reasons.any(|r| codes.contains(&r.code))
    });
    found.count() as u64
}

/// How many deletions a tripped circuit breaker holds.
pub(super) fn held_by_breaker(items: &[Item]) -> u64 {
    let held = items.iter().filter(|item| {
        let mut reasons = item.reasons.iter();
        item.outcome == Outcome::Held && reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
    });
    held.count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::super::{Action, Reason, Run};
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
            Item::new(Action::Check, "vol-1", Outcome::Finding)
                .reason(Reason::of(ReasonCode::RpoExceeded)),
            Item::new(Action::Check, "vol-2", Outcome::Recorded)
                .reason(Reason::of(ReasonCode::Covered)),
            // Of a request, and no gap in what is protected.
            Item::new(Action::Create, "vol-3", Outcome::Skipped)
                .reason(Reason::of(ReasonCode::NotPicked)),
        ];
        let unfinished = Run {
            complete: false,
            ..run()
        };
        let line = Report::new(unfinished, items).metrics(&invoked());
        for (name, value) in [
            ("items.held", 3),
            ("items.circuit-breaker", 2),
            ("items.finding", 2),
            ("items.recorded", 1),
            ("items.skipped", 1),
            ("sources.uncovered", 1),
            ("items.failed", 1),
            ("items.created", 0),
            ("run.incomplete", 1),
            ("run.heartbeat", 1),
            ("run.duration", 1500),
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

    /// CloudWatch User Guide, "Embedded Metric Format Specification": what is wrong in the least
    /// makes no metric at all, and no alarm.
    #[test]
    fn the_line_is_what_cloudwatch_takes_for_metrics() {
        let line = Report::new(run(), Vec::new()).metrics(&invoked());
        assert_eq!(line["_aws"]["Timestamp"], 60_000);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 1);
        assert_eq!(directives[0]["Namespace"], "Holdfast");
        let dimensions = serde_json::json!([["function"]]);
        assert_eq!(directives[0]["Dimensions"], dimensions);
        // A dimension is text at the top level.
        assert!(line["function"].as_str().is_some_and(|f| f.len() <= 1024));
        let metrics = directives[0]["Metrics"].as_array().unwrap();
        assert!(metrics.len() <= 100);
        let mut names: Vec<&str> = Vec::new();
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            let unit = metric["Unit"].as_str().unwrap();
            assert!(["Count", "Milliseconds"].contains(&unit), "{name}");
            assert!(line[name].is_u64(), "{name} is no number at the top level");
            names.push(name);
        }
        names.sort_unstable();
        let total = names.len();
        names.dedup();
        assert_eq!(names.len(), total);
        assert!(!line.to_string().contains('\n'));
    }

    fn invoked() -> Invoked {
        Invoked {
            heartbeat: true,
            ended: Timestamp::from_second(60).unwrap(),
            took: SignedDuration::from_millis(1500),
        }
    }
}
