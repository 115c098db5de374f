//! What a run's decisions rest on: how each source was read, and who does without it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::inventory::{Reading, Source};
use crate::policy::{EvidenceSource, PolicyFile};

/// One source of evidence as the report tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceEvidence {
    /// The source's name in policy files and reports.
    pub source: String,
    /// How much was listed; none where it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Pages read; none where it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// When reading began, on the wall clock, UTC; of several lists the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// Whether it was read, and to its last page.
    pub complete: bool,
    /// Why it ends early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Policies that declare the source not in use in this account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_used_by: Vec<String>,
}

impl SourceEvidence {
    fn unread(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            count: None,
            pages: None,
            read_at: None,
            complete: false,
            error: None,
            not_used_by: Vec::new(),
        }
    }

    /// Adds one more list of the same source. One that failed makes the whole incomplete.
    fn add(&mut self, reading: &Reading) {
        let first = self.read_at.is_none();
        let failed = reading.error.is_some();
        self.count = Some(self.count.unwrap_or(0) + reading.count as u64);
        self.pages = Some(self.pages.unwrap_or(0) + u64::from(reading.pages));
        let began = self
            .read_at
            .map_or(reading.read_at, |at| at.min(reading.read_at));
        self.read_at = Some(began);
        self.complete = !failed && (first || self.complete);
        if self.error.is_none() {
            self.error = reading.error.as_ref().map(ToString::to_string);
        }
    }
}

/// One entry a source, by name: each that was read, and each that a policy declares not in use.
#[must_use]
pub fn sources(readings: &[Reading], policies: &PolicyFile) -> Vec<SourceEvidence> {
    let mut entries: BTreeMap<&str, SourceEvidence> = BTreeMap::new();
    for reading in readings {
        let name = reading.source.as_str();
        let entry = entries.entry(name);
        entry
            .or_insert_with(|| SourceEvidence::unread(name))
            .add(reading);
    }
    for source in EvidenceSource::ALL {
        let declaring = policies.policies.iter();
        let declaring = declaring.filter(|policy| policy.evidence_not_used.contains(&source));
        let declaring: Vec<String> = declaring.map(|policy| policy.name.clone()).collect();
        if !declaring.is_empty() {
            let entry = entries.entry(source.as_str());
            entry
                .or_insert_with(|| SourceEvidence::unread(source.as_str()))
                .not_used_by = declaring;
        }
    }
    entries.into_values().collect()
}

/// The last look's many small reads of one source as one reading: the first one's time, the sum of
/// all, and the first error.
#[must_use]
pub fn together(source: Source, readings: impl IntoIterator<Item = Reading>) -> Option<Reading> {
    readings
        .into_iter()
        .filter(|reading| reading.source == source)
        .reduce(|all, one| Reading {
            source,
            count: all.count + one.count,
            pages: all.pages + one.pages,
            read_at: all.read_at.min(one.read_at),
            error: all.error.or(one.error),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{CallError, ErrorClass};

    const POLICIES: &str = "version: 1
policies:
  - name: a
    protect: volumes
    select: { volumes: { tags: { A: b } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    evidence: { fleets: not-used, launch_templates: not-used }
  - name: b
    protect: volumes
    select: { volumes: { tags: { A: c } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    evidence: { fleets: not-used }
";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reading(source: Source, count: usize, second: i64, failed: bool) -> Reading {
        let error = failed.then(|| CallError {
            operation: "DescribeSnapshots",
            resource: "*".into(),
            code: Some("UnauthorizedOperation".into()),
            class: ErrorClass::Denied,
            message: "no".into(),
        });
        Reading {
            source,
            count,
            pages: 2,
            read_at: at(second),
            error,
        }
    }

    #[test]
    fn the_lists_of_one_source_are_one_entry_as_old_as_the_oldest_and_as_broken_as_any() {
        let policies = PolicyFile::parse("p", POLICIES, Timestamp::UNIX_EPOCH).unwrap();
        let readings = [
            reading(Source::Snapshots, 5, 20, false),
            reading(Source::Snapshots, 1, 10, true),
            reading(Source::Snapshots, 2, 30, false),
            reading(Source::LaunchTemplates, 7, 40, false),
        ];
        let told = serde_json::to_value(sources(&readings, &policies)).unwrap();
        assert_eq!(
            told,
            serde_json::json!([
                { "source": "fleets", "complete": false, "not_used_by": ["a", "b"] },
                { "source": "launch_templates", "count": 7, "pages": 2,
                  "read_at": "1970-01-01T00:00:40Z", "complete": true, "not_used_by": ["a"] },
                { "source": "snapshots", "count": 8, "pages": 6,
                  "read_at": "1970-01-01T00:00:10Z", "complete": false,
                  "error": "DescribeSnapshots of *: UnauthorizedOperation: no" },
            ])
        );
    }

    #[test]
    fn many_small_readings_become_one_of_the_same_source_only() {
        let readings = [
            reading(Source::Shares, 1, 9, false),
            reading(Source::Images, 5, 1, true),
            reading(Source::Shares, 0, 7, true),
        ];
        let one = together(Source::Shares, readings.clone()).unwrap();
        assert_eq!((one.count, one.pages, one.read_at), (1, 4, at(7)));
        assert!(one.error.is_some());
        assert_eq!(together(Source::Fleets, readings), None);
    }
}
