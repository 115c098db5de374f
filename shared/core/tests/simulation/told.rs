//! Gaps, storage, lateness and advice.

use holdfast_core::report::ReasonCode;
use holdfast_core::simulation::{AdviceCode, Level, Question, Simulation, Standing, simulate};

use super::{at, fleet, nightly, policies, question, simulated, stands, volumes};

fn advised(simulation: &Simulation) -> Vec<(Level, AdviceCode)> {
    let all = simulation.advice.iter();
    all.map(|one| (one.level, one.code)).collect()
}

fn words(simulation: &Simulation, code: AdviceCode) -> &str {
    let mut all = simulation.advice.iter();
    &all.find(|one| one.code == code).unwrap().text
}

#[test]
fn restore_points_on_a_day_are_newest_first_with_what_keeps_them() {
    let policies = nightly("retain: { last: 1, weekly: 2 }");
    let fleet = volumes(3);
    let mut asked = question(&policies, &fleet, 30);
    asked.at = Some(at("2026-12-10T12:00:00Z"));
    let simulation = simulate(&asked, &mut |_, _| {});
    let [list] = &simulation.policies[0].restore_points[..] else {
        panic!()
    };
    assert_eq!(list.sources, ["vol-disk-1", "vol-disk-2", "vol-disk-3"]);
    let points: Vec<(String, &[ReasonCode])> = list
        .points
        .iter()
        .map(|point| (point.time.to_string(), &point.kept_by[..]))
        .collect();
    let newest = [ReasonCode::RetainLast, ReasonCode::RetainWeekly];
    let expected: [(String, &[ReasonCode]); 2] = [
        ("2026-12-10T03:00:00Z".into(), &newest),
        ("2026-12-06T03:00:00Z".into(), &[ReasonCode::RetainWeekly]),
    ];
    assert_eq!(points, expected);
}

/// What keeps each restore point of the one source, newest first.
fn kept_by(asked: &Question<'_>) -> Vec<(String, Vec<ReasonCode>)> {
    let simulation = simulate(asked, &mut |_, _| {});
    let points = simulation.policies[0].restore_points[0].points.iter();
    let told = points.map(|point| {
        let night = point.time.strftime("%m-%d %H:%M").to_string();
        (night, point.kept_by.clone())
    });
    told.collect()
}

#[test]
fn what_something_holds_is_kept_by_its_holders() {
    let (policies, fleet) = (nightly("retain: { last: 1 }"), volumes(1));
    let holders = [ReasonCode::UsedByLaunchTemplate, ReasonCode::Pinned];
    let standing = [
        stands(at("2026-11-20T03:00:00Z"), &holders),
        stands(at("2026-11-21T03:00:00Z"), &[]),
        stands(at("2026-11-22T03:00:00Z"), &holders[1..]),
    ];
    let mut asked = question(&policies, &fleet, 3);
    asked.standing = Some(&standing);
    let expected = [
        ("11-25 03:00".to_owned(), vec![ReasonCode::RetainLast]),
        ("11-22 03:00".to_owned(), vec![ReasonCode::Pinned]),
        ("11-20 03:00".to_owned(), holders.to_vec()),
    ];
    assert_eq!(kept_by(&asked), expected);
}

#[test]
fn what_waits_in_a_grace_is_kept_by_it_and_what_waits_for_a_sweep_by_nothing() {
    let policies = nightly("retain: { last: 1 }\n    grace: 36h");
    let fleet = volumes(1);
    let mut asked = question(&policies, &fleet, 3);
    // The one of the first midnight was condemned at 03:30 on the first day, that of the first night a
    // day later.
    asked.at = Some(at("2026-11-24T12:00:00Z"));
    let waits = |night: &str| (night.to_owned(), vec![ReasonCode::Grace]);
    let newest = ("11-24 03:00".to_owned(), vec![ReasonCode::RetainLast]);
    let expected = [newest, waits("11-23 03:00"), waits("11-23 00:00")];
    assert_eq!(kept_by(&asked), expected);

    let policies = nightly("retain: { last: 1 }");
    let mut asked = question(&policies, &fleet, 3);
    asked.at = Some(at("2026-11-24T03:10:00Z"));
    let codes: Vec<_> = kept_by(&asked).into_iter().map(|one| one.1).collect();
    assert_eq!(codes, [[ReasonCode::RetainLast], [ReasonCode::Expired]]);
}

/// Of each age the longest gap of the one policy at the moment, in hours.
fn looked_at(simulation: &Simulation) -> Vec<(u32, i64)> {
    let gaps = simulation.policies[0].gaps.iter();
    gaps.map(|gap| (gap.from_days, gap.seconds / 3600))
        .collect()
}

#[test]
fn the_longest_gap_is_told_by_the_age_of_its_newer_end() {
    let policies = nightly("retain: { last: 1, weekly: 2 }");
    let fleet = volumes(1);
    let mut asked = question(&policies, &fleet, 30);
    asked.at = Some(at("2026-12-10T12:00:00Z"));
    let simulation = simulate(&asked, &mut |_, _| {});
    // Of today from Sunday; both it and the nine hours since it are of the last day.
    assert_eq!(looked_at(&simulation), [(0, 96)]);
}

/// Of each age the longest gap of the one policy at any time, in minutes, and when it was so first.
fn worst(simulation: &Simulation) -> Vec<(u32, i64, String)> {
    let gaps = simulation.policies[0].worst_gaps.iter();
    gaps.map(|gap| (gap.from_days, gap.seconds / 60, gap.at.to_string()))
        .collect()
}

#[test]
fn the_worst_gap_is_that_of_all_days_and_not_of_the_moment_that_is_looked_at() {
    let policies = nightly("retain: { daily: 2, weekly: 3 }");
    let fleet = volumes(1);
    let mut asked = question(&policies, &fleet, 60);
    // A Thursday: it, the Wednesday, and the oldest of all, of Monday at midnight.
    asked.at = Some(at("2026-11-26T12:00:00Z"));
    let simulation = simulate(&asked, &mut |_, _| {});
    assert_eq!(looked_at(&simulation), [(0, 24), (1, 51)]);
    // From one night until the next one's backup is complete. From Sunday to Sunday from the Monday on
    // that retires the Saturday between; a week later the younger of them is seven days old. The first
    // three weeks have the Monday of the beginning for the oldest.
    assert_eq!(
        worst(&simulation),
        [
            (0, 24 * 60 + 2, "2026-11-24T03:02:00Z".to_owned()),
            (1, 7 * 24 * 60, "2026-12-07T03:30:00Z".to_owned()),
            (7, 7 * 24 * 60, "2026-12-13T03:00:00Z".to_owned()),
        ]
    );
}

#[test]
fn a_source_that_is_gone_has_its_worst_gap_at_the_end() {
    let fleet = fleet(
        "volumes: [ { name: disk, size_gib: 1, tags: { Backup: x }, until: 2026-11-25T12:00:00Z } ]",
    );
    let simulation = simulated(&nightly("retain: { last: 2 }"), &fleet, 9);
    let newest = &simulation.policies[0].worst_gaps[0];
    let (from, to) = (at("2026-11-25T03:00:00Z"), at("2026-12-02T00:00:00Z"));
    assert_eq!((newest.older, newest.newer, newest.at), (from, to, to));
}

#[test]
fn what_stands_at_the_beginning_has_gaps_and_what_is_not_complete_at_the_end_closes_none() {
    let (policies, fleet) = (nightly("retain: { last: 3 }"), volumes(1));
    let mut asked = question(&policies, &fleet, 1);
    // It ends a minute after the heartbeat of the next night, whose backup takes two.
    asked.from = at("2026-11-22T03:01:00Z");
    let stand = |nights: &[&str]| -> Vec<Standing> {
        let nights = nights.iter();
        nights.map(|night| stands(at(night), &[])).collect()
    };
    let newest = stand(&["2026-11-22T03:00:00Z"]);
    asked.standing = Some(&newest);
    assert_eq!(
        worst(&simulate(&asked, &mut |_, _| {})),
        [(0, 24 * 60 + 1, "2026-11-23T03:01:00Z".to_owned())]
    );
    // The slot of the 22nd is made up at 03:05.
    let older = stand(&["2026-11-16T03:00:00Z", "2026-11-21T03:00:00Z"]);
    asked.standing = Some(&older);
    assert_eq!(
        worst(&simulate(&asked, &mut |_, _| {})),
        [
            (0, 24 * 60 + 7, "2026-11-22T03:07:00Z".to_owned()),
            (1, 5 * 24 * 60, "2026-11-22T03:01:00Z".to_owned()),
        ]
    );
}

#[test]
fn storage_is_the_whole_of_the_first_and_what_changed_before_each_later_one() {
    let fleet = fleet(
        "volumes: [ { name: disk, count: 2, size_gib: 100, changed_gib_per_day: 1.5,
            tags: { Backup: x } } ]",
    );
    let policies = nightly("retain: { last: 4 }");
    let mut asked = question(&policies, &fleet, 10);
    asked.price = Some(0.5);
    let simulation = simulate(&asked, &mut |_, _| {});
    let last = simulation.policies[0].series.last().unwrap();
    assert_eq!(last.backups, 8);
    // Two disks; three days between the oldest and the newest of four.
    assert_eq!((last.full_gib, last.changed_gib), (200.0, 9.0));
    assert_eq!(last.monthly_cost, Some(104.5));
}

#[test]
fn no_snapshot_stores_more_than_its_volume_holds() {
    let fleet = fleet(
        "volumes: [ { name: disk, size_gib: 10, changed_gib_per_day: 40, tags: { Backup: x } } ]",
    );
    let simulation = simulated(&nightly("retain: { last: 3 }"), &fleet, 10);
    let last = simulation.policies[0].series.last().unwrap();
    assert_eq!((last.full_gib, last.changed_gib), (10.0, 20.0));
}

#[test]
fn slots_with_more_calls_than_the_bucket_holds_are_late() {
    // 100 at once, and the other 1,500 at five a second.
    let simulation = simulated(&nightly("retain: { last: 1 }"), &volumes(1600), 3);
    let [late] = &simulation.policies[0].late[..] else {
        panic!()
    };
    assert_eq!(
        (late.call.as_str(), late.calls, late.seconds),
        ("CreateSnapshot", 1600, 300)
    );
    // The first of all and three nights.
    assert_eq!(late.slots, 4);
}

#[test]
fn policies_of_one_slot_share_the_bucket() {
    let text: String = ["a", "b"]
        .map(|name| {
            format!(
                "  - name: {name}
    protect: volumes
    select: {{ volumes: {{ tags: {{ Backup: x }} }} }}
    schedule: cron(0 3 * * ? *)
    retain: {{ last: 1 }}\n"
            )
        })
        .concat();
    let simulation = simulated(&policies(&text), &volumes(300), 2);
    for course in &simulation.policies {
        assert_eq!(course.late[0].calls, 600, "{}", course.policy);
        assert_eq!(course.late[0].seconds, 100);
    }
}

#[test]
fn a_ladder_with_a_missing_rung_leaves_a_hole_that_is_told() {
    let simulation = simulated(
        &nightly("retain: { weekly: 4, monthly: 12 }"),
        &volumes(1),
        365,
    );
    let text = words(&simulation, AdviceCode::LadderHole);
    assert!(
        text.contains("weekly: 4 and monthly: 12 leave no backup between day"),
        "{text}"
    );
    let whole = simulated(
        &nightly("retain: { daily: 60, weekly: 9 }"),
        &volumes(1),
        365,
    );
    let codes = advised(&whole);
    assert!(
        !codes
            .iter()
            .any(|(_, code)| *code == AdviceCode::LadderHole),
        "{codes:?}"
    );
}

/// What is said of holes of a year of one volume with these rules.
fn holes(keys: &str) -> Vec<(Level, String)> {
    let simulation = simulated(&nightly(keys), &volumes(1), 365);
    let all = simulation.advice.into_iter();
    let of_holes = all.filter(|one| one.code == AdviceCode::LadderHole);
    of_holes.map(|one| (one.level, one.text)).collect()
}

#[test]
fn all_that_goes_between_a_few_days_and_the_months_is_warned_of() {
    // At midnight of 2 January the newest is 21 hours old and that of 31 December, which is the last
    // of its month, too, 45; the one before it is of 30 November, 31 days earlier.
    for (rules, finer) in [
        ("within: 2d, monthly: 6", "within: 2d"),
        ("last: 2, monthly: 6", "last: 2"),
        ("daily: 2, monthly: 6", "daily: 2"),
        ("hourly: 2, monthly: 6", "hourly: 2"),
        ("last: 1, within: 2d, monthly: 6", "within: 2d"),
    ] {
        let found = holes(&format!("retain: {{ {rules} }}"));
        let [(level, text)] = &found[..] else {
            panic!("{rules}: {found:?}")
        };
        assert_eq!(*level, Level::Warning, "{rules}");
        let words = format!("{finer} and monthly: 6 leave no backup between day 1 and day 32");
        assert!(text.contains(&words), "{rules}: {text}");
    }
}

#[test]
fn rules_that_reach_one_into_the_other_leave_no_hole_that_is_warned_of() {
    // Of a nightly schedule each hour that has a backup is a day.
    for none in [
        "hourly: 24, daily: 7",
        "within: 60d, daily: 7",
        "last: 3, within: 9d",
        "within: 48h",
    ] {
        assert_eq!(holes(&format!("retain: {{ {none} }}")), [], "{none}");
    }
    // A week's own spacing is worth knowing, no more.
    for spaced in ["within: 8d, weekly: 4", "last: 7, weekly: 4"] {
        let found = holes(&format!("retain: {{ {spaced} }}"));
        let levels: Vec<Level> = found.iter().map(|one| one.0).collect();
        assert_eq!(levels, [Level::Note], "{found:?}");
    }
    // What the rule between them reaches is nothing beside `within`, whose end is what counts.
    let found = holes("retain: { within: 60d, weekly: 4, monthly: 12 }");
    assert!(
        found[0].1.contains("within: 60d and monthly: 12"),
        "{found:?}"
    );
}

#[test]
fn a_policy_that_picks_nothing_and_volumes_that_nothing_picks_are_told() {
    let fleet = fleet("volumes: [ { name: disk, size_gib: 1, tags: { Backup: other } } ]");
    let simulation = simulated(&nightly("retain: { last: 1 }"), &fleet, 2);
    let codes = advised(&simulation);
    assert!(
        codes.contains(&(Level::Warning, AdviceCode::MatchesNothing)),
        "{codes:?}"
    );
    assert_eq!(
        words(&simulation, AdviceCode::NotPicked),
        "no policy picks vol-disk"
    );
}

#[test]
fn a_volume_in_an_ami_of_its_instance_is_picked() {
    let text = "  - name: images
    protect: instances
    select: { instances: { tags: { Backup: x } } }
    schedule: rate(1 day)
    retain: { last: 2 }";
    let machines =
        "instances: [ { name: web, tags: { Backup: x }, volumes: [ { size_gib: 8 } ] } ]";
    let simulation = simulated(&policies(text), &fleet(machines), 2);
    let codes = advised(&simulation);
    assert!(
        !codes.iter().any(|(_, code)| *code == AdviceCode::NotPicked),
        "{codes:?}"
    );
}

#[test]
fn a_schedule_finer_than_the_rules_keep_is_told() {
    let text = "  - name: hourly
    protect: volumes
    select: { volumes: { tags: { Backup: x } } }
    schedule: rate(1 hour)
    retain: { daily: 7 }";
    let simulation = simulated(&policies(text), &volumes(1), 2);
    let text = words(&simulation, AdviceCode::FinerThanKept);
    assert!(
        text.contains("makes 24 backups a day") && text.contains("at most 1 of"),
        "{text}"
    );
    let simulation = simulated(&nightly("retain: { daily: 7 }"), &volumes(1), 2);
    let codes = advised(&simulation);
    assert!(
        !codes
            .iter()
            .any(|(_, code)| *code == AdviceCode::FinerThanKept),
        "{codes:?}"
    );
}

#[test]
fn state_changes_that_can_use_up_last_are_told() {
    let with_triggers = "retain: { last: 7 }\n    triggers: [stopped]";
    let simulation = simulated(&nightly(with_triggers), &volumes(1), 2);
    let codes = advised(&simulation);
    assert!(
        codes.contains(&(Level::Warning, AdviceCode::TriggersUseUpLast)),
        "{codes:?}"
    );
}

#[test]
fn without_a_schedule_state_changes_use_up_nothing() {
    let text = "  - name: golden
    protect: volumes
    select: { volumes: { tags: { Backup: x } } }
    triggers: [stopped]
    retain: { last: 7 }";
    let codes = advised(&simulated(&policies(text), &volumes(1), 2));
    let found = codes
        .iter()
        .any(|(_, code)| *code == AdviceCode::TriggersUseUpLast);
    assert!(!found, "{codes:?}");
}

#[test]
fn with_a_price_nobody_asks_for_one() {
    let (policies, fleet) = (nightly("retain: { last: 7 }"), volumes(1));
    let mut asked = question(&policies, &fleet, 2);
    let has = |simulation: &Simulation| {
        let codes = advised(simulation);
        codes.contains(&(Level::Note, AdviceCode::NoPrice))
    };
    assert!(has(&simulate(&asked, &mut |_, _| {})));
    asked.price = Some(0.05);
    assert!(!has(&simulate(&asked, &mut |_, _| {})));
}
