//! Reading the functions' reports.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::DemoError;
use crate::lambda::Invocation;

/// A report, as far as the demo needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Its items.
    pub items: Vec<Item>,
}

/// The head of a report.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// `plan` or `enforce`.
    pub mode: Option<String>,
    /// Hash of the planned deletions.
    pub plan_hash: Option<String>,
    /// Whether no work is left.
    pub complete: bool,
}

/// One line of a report.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// What it is about.
    pub resource: String,
    /// What became of it.
    pub outcome: String,
    /// The policy.
    #[serde(default)]
    pub policy: String,
    /// The volume, or the instance.
    pub source: Option<String>,
    /// The point in time that the backup holds.
    pub time: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// One reason.
#[derive(Clone, Debug, Deserialize)]
pub struct Reason {
    /// For machines.
    pub code: String,
    /// For people.
    #[serde(default)]
    pub detail: String,
    /// From the artifact to what needs it.
    #[serde(default)]
    pub path: Vec<String>,
}

impl Item {
    /// Whether one of its reasons has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

impl Report {
    /// The report that an invocation answered.
    ///
    /// # Errors
    ///
    /// The invocation failed, its answer is no report, or some item of it failed or is left for
    /// later.
    pub fn of(function: &str, outcome: &Invocation) -> Result<Self, DemoError> {
        let report = Self::unfinished(function, outcome)?;
        report.without("deferred", function)?;
        match report.run.complete {
            true => Ok(report),
            false => Err(DemoError::Unexpected(format!("{function} left work"))),
        }
    }

    /// The report that an invocation answered, which may leave something for later.
    ///
    /// # Errors
    ///
    /// The invocation failed, its answer is no report, or some item of it failed.
    pub fn unfinished(function: &str, outcome: &Invocation) -> Result<Self, DemoError> {
        let answer = outcome
            .ok()
            .ok_or_else(|| DemoError::Unexpected(format!("{function} ended with {outcome:?}")))?;
        let report = Self::read(function, answer.clone())?;
        report.without("failed", function)?;
        Ok(report)
    }

    fn without(&self, outcome: &str, function: &str) -> Result<(), DemoError> {
        match self.with(outcome).next() {
            None => Ok(()),
            Some(item) => Err(DemoError::Unexpected(format!("{function}: {item:?}"))),
        }
    }

    /// A report as `who` wrote it.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn read(who: &str, answer: Value) -> Result<Self, DemoError> {
        serde_json::from_value(answer)
            .map_err(|error| DemoError::Unexpected(format!("{who}'s report: {error}")))
    }

    /// The item about a resource.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn item(&self, resource: &str) -> Result<&Item, DemoError> {
        let found = self.items.iter().find(|item| item.resource == resource);
        found.ok_or_else(|| DemoError::Unexpected(format!("the report lacks {resource}")))
    }

    /// What is said of a resource: its outcome, and the codes of its reasons.
    ///
    /// # Errors
    ///
    /// There is no item about it.
    pub fn said<'a>(&'a self, resource: &str) -> Result<(&'a str, Vec<&'a str>), DemoError> {
        let item = self.item(resource)?;
        let codes = item.reasons.iter().map(|reason| reason.code.as_str());
        Ok((&item.outcome, codes.collect()))
    }

    /// The items with this outcome.
    pub fn with<'a>(&'a self, outcome: &str) -> impl Iterator<Item = &'a Item> {
        self.items
            .iter()
            .filter(move |item| item.outcome == outcome)
    }

    /// The resources with this outcome, sorted.
    #[must_use]
    pub fn resources(&self, outcome: &str) -> Vec<&str> {
        let mut ids: Vec<&str> = self
            .with(outcome)
            .map(|item| item.resource.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// How many items of each outcome each policy has.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, BTreeMap<&str, usize>> {
        let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for item in &self.items {
            let of_policy = counts.entry(&item.policy).or_default();
            *of_policy.entry(&item.outcome).or_default() += 1;
        }
        counts
    }
}
