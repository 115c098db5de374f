use super::*;

fn policy(retain: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: nightly\n    protect: volumes\n    select: {{ volumes: \
         {{ tags: {{ A: b }} }} }}\n    schedule: \"cron(0 3 * * ? *)\"\n    timezone: \
         Europe/Berlin\n    retain: {retain}\n"
    );
    PolicyFile::parse("p", &text, Timestamp::UNIX_EPOCH).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The strip of a source with good backups of these days of March 2026, at 02:00 UTC (03:00 in
/// Berlin), on the 20th at noon.
fn strip(retain: &str, days: &[u8]) -> String {
    let policies = policy(retain);
    let now = at("2026-03-20T12:00:00Z");
    let time = |day: &u8| at(&format!("2026-03-{day:02}T02:00:07Z"));
    let stock = Stock {
        good: days.iter().map(time).collect(),
        pending: Vec::new(),
    };
    let span = Span::of(&policies, [&stock].into_iter(), now);
    let nightly = &policies.policies[0];
    let mut row: Vec<char> = vec![EMPTY; span.days];
    for time in &stock.good {
        row[span.day(*time, &nightly.timezone).unwrap()] = '1';
    }
    let slots = span.slots(nightly, now);
    for day in missing(nightly, &stock, &row, &slots, now) {
        row[day] = MISSING;
    }
    row.into_iter().collect()
}

#[test]
fn a_day_without_the_backup_that_the_rules_would_still_keep_is_missing() {
    // 14 days to the 20th; the 18th was missed.
    assert_eq!(strip("{ last: 5 }", &[16, 17, 19, 20]), ".........11!11");
    assert_eq!(strip("{ last: 2 }", &[16, 17, 19, 20]), ".........11.11");
}

#[test]
fn what_retention_retired_and_what_was_before_the_first_backup_is_not_missing() {
    // 2026-03-15 is a Sunday: the newest of its week. Of the weeks before only Sundays stand.
    let strip = strip("{ daily: 3, weekly: 3 }", &[8, 15, 18, 19, 20]);
    assert_eq!(strip, ".1......1..111");
}

#[test]
fn todays_slot_is_missing_once_its_backup_had_to_be_begun() {
    assert_eq!(strip("{ last: 3 }", &[17, 18, 19]), "..........111!");
}

#[test]
fn a_day_is_one_of_the_policys_time_zone() {
    let policies = policy("{ last: 3 }");
    let span = Span::of(&policies, [].into_iter(), at("2026-03-20T23:30:00Z"));
    // In Berlin it is the 21st already.
    let zone = &policies.policies[0].timezone;
    assert_eq!(span.day(at("2026-03-20T23:30:00Z"), zone), Some(13));
    assert_eq!(span.day(at("2026-03-20T22:30:00Z"), zone), Some(12));
    assert_eq!(
        span.day(at("2026-03-20T22:30:00Z"), &TimeZone::UTC),
        Some(12)
    );
}

#[test]
fn a_count_is_one_letter_however_large() {
    let written: String = [0, 1, 9, 10, 35, 36, 288].map(digit).iter().collect();
    assert_eq!(written, ".19azzz");
}

#[test]
fn what_a_list_may_only_not_have_shown_is_never_called_missing() {
    let policies = policy("{ last: 3 }");
    let now = at("2026-03-20T12:00:00Z");
    let verdict = |day: u8| Verdict {
        subject: Subject::Snapshot(holdfast::inventory::Snapshot {
            volume: Some(holdfast::id::VolumeId::new("vol-1")),
            start: Some(at(&format!("2026-03-{day:02}T02:00:07Z"))),
            ..holdfast::inventory::table::blank()
        }),
        policy: "nightly".into(),
        artifact: None,
        good: true,
        former_image: None,
        orphan_of: None,
        retry_at: None,
        decision: holdfast::plan::judge::Decision::Keep(Vec::new()),
    };
    let verdicts = [verdict(17), verdict(18), verdict(20)];
    let covered = Covered {
        policy: "nightly".into(),
        source: "vol-1".into(),
        instance: None,
        newest: None,
        making: None,
        rpo: None,
        next_slot: None,
        standing: holdfast::plan::coverage::Standing::Covered,
    };
    let coverage = Coverage {
        sources: vec![covered],
        others: Vec::new(),
    };
    let days = |snapshots_complete, images_complete| {
        let known = Known {
            policies: &policies,
            coverage: &coverage,
            verdicts: &verdicts,
            snapshots_complete,
            images_complete,
            now,
        };
        calendar(&known, 1 << 20).rows[0].days.clone()
    };
    assert_eq!(days(true, true), "..........11!1");
    // Of volumes an AMI is no backup.
    assert_eq!(days(true, false), "..........11!1");
    assert_eq!(days(false, true), "..........11.1");
}

#[test]
fn rows_without_room_are_counted() {
    let policies = policy("{ last: 3 }");
    let sources = (0..10).map(|n| Covered {
        policy: "nightly".into(),
        source: format!("vol-{n}"),
        instance: None,
        newest: None,
        making: None,
        rpo: None,
        next_slot: None,
        standing: holdfast::plan::coverage::Standing::NoBackup,
    });
    let coverage = Coverage {
        sources: sources.collect(),
        others: Vec::new(),
    };
    let known = Known {
        policies: &policies,
        coverage: &coverage,
        verdicts: &[],
        snapshots_complete: true,
        images_complete: true,
        now: at("2026-03-20T12:00:00Z"),
    };
    let calendar = calendar(&known, 4 * 264);
    assert_eq!((calendar.rows.len(), calendar.left_out), (4, 6));
}
