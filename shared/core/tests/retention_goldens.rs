//! Retention against an independent oracle: cases decided by restic 0.19.1 itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::policy::Retain;
use holdfast_core::retention::{Backup, keep};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    timezone: String,
    retain: Rules,
    now: Timestamp,
    times: Vec<Timestamp>,
    kept: Vec<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    last: u32,
    hourly: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
    yearly: u32,
    within: Option<String>,
}

#[test]
fn every_case_that_restic_decided_is_decided_alike() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/retention-goldens.jsonl"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = 0;
    for (n, line) in text.lines().enumerate() {
        let case: Case = serde_json::from_str(line).unwrap();
        let retain = Retain {
            last: case.retain.last,
            hourly: case.retain.hourly,
            daily: case.retain.daily,
            weekly: case.retain.weekly,
            monthly: case.retain.monthly,
            yearly: case.retain.yearly,
            within: case.retain.within.map(|text| text.parse().unwrap()),
        };
        let backups: Vec<Backup> = case
            .times
            .iter()
            .enumerate()
            .map(|(i, time)| Backup {
                id: format!("snap-{i:04}"),
                time: *time,
            })
            .collect();
        let timezone = TimeZone::get(&case.timezone).unwrap();
        let kept: Vec<usize> = keep(&retain, 1, &timezone, case.now, &backups)
            .iter()
            .enumerate()
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(i, _)| i)
            .collect();
        assert_eq!(kept, case.kept, "case {} of {path}", n + 1);
        cases += 1;
    }
    assert_eq!(cases, 245);
}
