//! `simulate` with a fleet file.

use serde_json::{Value, json};

use crate::{Ran, Shell};

const FLEET: &str = "version: 1
instances:
  - { name: db, count: 3, tags: { Backup: nightly }, volumes: [ { size_gib: 100 }, { size_gib: 50 } ] }
volumes:
  - { name: lost, size_gib: 1 }
";

fn policies(retain: &str, file: &str) -> String {
    format!(
        "version: 1
{file}
policies:
  - name: nightly
    protect: volumes
    select: {{ instances: {{ tags: {{ Backup: nightly }} }} }}
    schedule: cron(0 3 * * ? *)
    retain: {{ {retain} }}
"
    )
}

fn simulate(shell: &Shell, more: &[&str]) -> Ran {
    let all = ["simulate", "--policies", "p.yaml", "--fleet", "f.yaml"];
    let from = ["--from", "2026-11-23T00:00:00Z", "--days", "60"];
    shell.run(&[&all[..], &from, more].concat())
}

fn shell(retain: &str, file: &str) -> Shell {
    let shell = Shell::new();
    shell.file("p.yaml", &policies(retain, file));
    shell.file("f.yaml", FLEET);
    shell
}

#[test]
fn a_year_of_a_fleet_is_told_without_aws_as_the_contracts_report_and_the_series() {
    let ran = simulate(&shell("last: 7", "prices: { standard: 0.5 }"), &["--json"]);
    assert_eq!(ran.status, 3, "{}", ran.err);
    let json = ran.json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["run"]["function"], "simulate");
    assert_eq!(json["run"]["now"], "2026-11-23T00:00:00Z");
    // Only that nothing picks vol-lost is a finding.
    assert_eq!(json["summary"], json!({ "finding": 1 }));
    assert_eq!(json["items"][0]["reasons"][0]["code"], "not-picked");
    let course = &json["simulation"]["policies"][0];
    assert_eq!(course["policy"], "nightly");
    // Six volumes, 61 slots, seven of each left.
    let figures = ["sources", "created", "retired"].map(|key| course[key].as_u64().unwrap());
    assert_eq!(figures, [6, 366, 324]);
    let series = course["series"].as_array().unwrap();
    assert_eq!(series.len(), 61);
    let last = &series[60];
    assert_eq!(last["time"], "2027-01-22T00:00:00Z");
    assert_eq!(
        (last["backups"].as_u64(), last["full_gib"].as_f64()),
        (Some(42), Some(450.0))
    );
    assert_eq!(last["monthly_cost"], 225.0);
    let points = &course["restore_points"][0];
    assert_eq!(points["points"].as_array().unwrap().len(), 7);
    assert_eq!(points["points"][0]["kept_by"], json!(["retain.last"]));
    assert_eq!(points["sources"].as_array().unwrap().len(), 6);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let shell = shell("daily: 3, weekly: 4", "");
    let answers = [(); 2].map(|()| simulate(&shell, &["--json"]).json()["simulation"].clone());
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], Value::Null);
}

#[test]
fn people_see_a_table_the_restore_points_of_a_day_and_the_warnings() {
    let shell = shell("last: 2", "");
    let at = ["--at", "2026-12-01T12:00:00Z", "--source", "vol-db-2-1"];
    let ran = simulate(&shell, &at);
    assert_eq!(ran.status, 3, "{}", ran.err);
    for words in [
        "BACKUPS OVER TIME",
        "nightly: restore points of vol-db-2-1 at 2026-12-01T12:00:00Z",
        "2026-12-01T03:00:00Z",
        "2026-11-30T03:00:00Z",
        "no policy picks vol-lost",
        "no price is known",
    ] {
        assert!(ran.out.contains(words), "{words:?} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains("2026-11-29T03:00:00Z"), "{}", ran.out);
}

#[test]
fn against_another_file_it_tells_what_the_change_retires_on_the_first_sweep() {
    let shell = shell("last: 5", "");
    shell.file("old.yaml", &policies("last: 30", ""));
    let ran = simulate(&shell, &["--against", "old.yaml"]);
    // Of six volumes 25 each.
    let words = "this change retires 150 backups on the first sweep";
    assert!(ran.out.contains(words), "{}", ran.out);
    assert!(
        ran.out.contains("the breaker of nightly would trip"),
        "{}",
        ran.out
    );
    let json = simulate(&shell, &["--against", "old.yaml", "--json"]).json();
    assert_eq!(json["simulation"]["against"]["retires_on_first_sweep"], 150);
}

#[test]
fn against_another_file_it_names_what_goes_though_as_many_stay_instead() {
    let shell = shell("last: 4", "");
    shell.file("old.yaml", &policies("daily: 2, weekly: 3", ""));
    // A Thursday after the backup of its night: of each of six volumes stand those of the 10th, 9th
    // and 8th and of the Sundays before. The old file retires the 8th, the new one 29 November.
    let question = ["simulate", "--policies", "p.yaml", "--fleet", "f.yaml"];
    let from = ["--from", "2026-12-10T03:10:00Z", "--days", "60"];
    let against = [&question[..], &from, &["--against", "old.yaml"]].concat();
    let ran = shell.run(&against);
    let words = "this change retires 6 backups on the first sweep that the old file would keep, and \
                 keeps 6 backups that the old file would retire";
    assert!(ran.out.contains(words), "{}", ran.out);
    let named: Vec<&str> = ran.out.lines().filter(|l| l.starts_with("-  ")).collect();
    assert_eq!(named.len(), 5, "{}", ran.out);
    assert!(
        named
            .iter()
            .all(|line| line.contains("2026-11-29T03:00:00Z")),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("and 1 more; --json names the oldest 6"),
        "{}",
        ran.out
    );
    let json = shell.run(&[&against[..], &["--json"]].concat()).json();
    let against = &json["simulation"]["against"];
    assert_eq!(against["keeps_on_first_sweep"], 6);
    assert_eq!(against["retired"].as_array().unwrap().len(), 6);
    assert_eq!(against["retired"][0]["source"], "vol-db-1-1");
}

#[test]
fn a_wrong_fleet_file_is_told_with_its_lines() {
    let shell = shell("last: 5", "");
    shell.file("f.yaml", "version: 1\nvolumes:\n  - { name: a, size: 3 }\n");
    let ran = simulate(&shell, &[]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("f.yaml:3: volumes[0].size: unknown key"),
        "{}",
        ran.err
    );
    let missing = shell.run(&["simulate", "--policies", "p.yaml", "--fleet", "none.yaml"]);
    assert_eq!(missing.status, 2);
    assert!(
        missing.err.contains("none.yaml: cannot be read"),
        "{}",
        missing.err
    );
}

#[test]
fn a_source_without_a_restore_point_is_named() {
    let ran = simulate(&shell("last: 5", ""), &["--source", "vol-lost"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("vol-lost has no restore point"),
        "{}",
        ran.err
    );
}

#[test]
fn a_moment_outside_the_simulation_is_wrong_usage_and_told_with_what_is_inside() {
    let shell = shell("last: 5", "");
    for outside in ["2026-11-22T23:59:59Z", "2027-01-22T00:00:01Z"] {
        let ran = simulate(&shell, &["--at", outside]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{outside}");
        let words = format!(
            "--at {outside} lies outside the simulation, which goes from 2026-11-23T00:00:00Z to \
             2027-01-22T00:00:00Z"
        );
        assert!(ran.err.contains(&words), "{}", ran.err);
    }
    for inside in ["2026-11-23T00:00:00Z", "2027-01-22T00:00:00Z"] {
        let ran = simulate(&shell, &["--at", inside]);
        assert_eq!(ran.status, 3, "{inside}: {}", ran.err);
    }
    // The clock is both the beginning and what `now` says.
    let files = ["simulate", "--policies", "p.yaml", "--fleet", "f.yaml"];
    for at in ["now", "+2d"] {
        let ran = shell.run(&[&files[..], &["--days", "2", "--at", at]].concat());
        assert_eq!(ran.status, 3, "{at}: {}", ran.err);
    }
}

#[test]
fn times_are_told_to_the_second() {
    let shell = shell("last: 5", "");
    let files = ["simulate", "--policies", "p.yaml", "--fleet", "f.yaml"];
    let lost = ["--days", "2", "--source", "vol-lost"];
    let ran = shell.run(&[&files[..], &lost].concat());
    let (_, after) = ran.err.split_once("no restore point at ").unwrap();
    let (time, _) = after.split_once(';').unwrap();
    assert_eq!(time.len(), "2026-11-23T00:00:00Z".len(), "{time}");
    let ran = shell.run(&[&files[..], &["--days", "2", "--json"]].concat());
    let simulation = &ran.json()["simulation"];
    for key in ["from", "to", "at"] {
        let time = simulation[key].as_str().unwrap();
        assert!(!time.contains('.'), "{key}: {time}");
    }
}

#[test]
fn people_see_the_worst_gap_of_all_days_beside_that_of_the_moment() {
    let shell = shell("daily: 2, weekly: 3", "");
    let ran = simulate(&shell, &["--at", "2026-11-26T12:00:00Z"]);
    let mut lines = ran.out.lines();
    let worst = lines.find(|line| line.starts_with("nightly  1 to 7 days"));
    let words: Vec<&str> = worst.unwrap().split_whitespace().collect();
    // Seven days from Sunday to Sunday, first on a Monday; and of the Thursday two days and three hours.
    assert_eq!(
        words[5..8],
        ["7d", "0h", "2026-12-07T03:30:00Z"],
        "{}",
        ran.out
    );
    assert_eq!(words[words.len() - 2..], ["2d", "3h"], "{}", ran.out);
    let header = "AT 2026-11-26T12:00:00Z";
    assert!(
        ran.out.contains("WORST GAP") && ran.out.contains(header),
        "{}",
        ran.out
    );
}

#[test]
fn without_a_fleet_a_region_is_asked_for_and_no_table() {
    let shell = shell("last: 5", "");
    let ran = shell.run(&["simulate", "--policies", "p.yaml"]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.err.contains("--region") && !ran.err.contains("HOLDFAST_TABLE"),
        "{}",
        ran.err
    );
}
