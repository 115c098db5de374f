//! The outcome of a run for people, and for `grep`.

use std::fmt::{self, Write as _};

use crate::compare::{Problem, Verdict};
use crate::expectation::Right;
use crate::moto;
use crate::scenario::{Failure, Scenario};

/// What became of one scenario.
pub struct Outcome {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// Its lines, or the side that could not be asked and why.
    pub verdicts: Result<Vec<Verdict>, (&'static str, Failure)>,
}

/// Every outcome of a run.
pub struct Table(pub Vec<Outcome>);

impl Table {
    /// Whether everything was as listed.
    #[must_use]
    pub fn is_as_listed(&self) -> bool {
        self.failed() == 0
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.0.iter().flat_map(|o| o.verdicts.iter().flatten())
    }

    /// Lines that fail, and scenarios that could not be played.
    fn failed(&self) -> usize {
        let lines = self.verdicts().filter(|v| v.problem.is_some()).count();
        lines + self.0.iter().filter(|o| o.verdicts.is_err()).count()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.0 {
            let name = outcome.scenario.name;
            writeln!(f, "\n### {name}: {}\n", outcome.scenario.asks)?;
            match &outcome.verdicts {
                Err((side, failure)) => {
                    writeln!(f, "**FAILED** {name}: {side} could not be asked: {failure}")?;
                }
                Ok(verdicts) => {
                    let version = moto::VERSION;
                    writeln!(
                        f,
                        "| scenario | asked | simulated | moto {version} | verdict | because |"
                    )?;
                    writeln!(f, "|---|---|---|---|---|---|")?;
                    for verdict in verdicts {
                        writeln!(f, "| {name} | {} |", row(verdict)?)?;
                    }
                }
            }
        }
        summary(self, f)
    }
}

fn row(verdict: &Verdict) -> Result<String, fmt::Error> {
    let (right, because) = match &verdict.difference {
        None => ("agree".to_owned(), ""),
        Some(difference) => (difference.right.to_string(), difference.because),
    };
    let judged = verdict
        .problem
        .map_or(right, |problem: Problem| format!("**FAILED**: {problem}"));
    let mut row = String::new();
    write!(
        row,
        "{} | {} | {} | {judged} | {because}",
        verdict.asked, verdict.simulated, verdict.moto
    )?;
    Ok(row)
}

fn summary(table: &Table, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let differ = |right: Right| {
        table
            .verdicts()
            .filter(|v| v.problem.is_none() && v.difference.is_some_and(|d| d.right == right))
            .count()
    };
    let agree = table
        .verdicts()
        .filter(|v| v.problem.is_none() && v.difference.is_none())
        .count();
    writeln!(
        f,
        "\n{} scenarios, {} answers: {agree} agree; differ as listed: simulated right {}, moto right {}, neither {}, unknown {}; {} failed.",
        table.0.len(),
        table.verdicts().count(),
        differ(Right::Simulated),
        differ(Right::Moto),
        differ(Right::Neither),
        differ(Right::Unknown),
        table.failed(),
    )
}
