//! `holdfast policies check`.

use serde_json::json;

use crate::{POLICIES, Shell};

/// A Thursday noon before the Sunday on which Berlin's clocks go forward.
const NOW: &str = "2027-03-25T12:00:00Z";

#[test]
fn a_right_file_shows_each_policy_and_its_next_times_in_its_zone_and_in_utc() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let ran = shell.run(&["policies", "check", "p.yaml", "--now", NOW]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let rows: Vec<String> = ran
        .out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for row in [
        "nightly-db active volumes: of instances Backup=nightly crash cron(0 3 * * ? *) Europe/Berlin \
         stopped daily 2 1",
        "weekly-web paused volumes: Backup=weekly crash cron(30 4 ? * SUN *) UTC - weekly 1 1",
        "nightly-db Fri 2027-03-26 03:00 CET 2027-03-26T02:00:00Z in 14h",
        "nightly-db Sat 2027-03-27 03:00 CET 2027-03-27T02:00:00Z in 1d 14h",
        "nightly-db Sun 2027-03-28 03:00 CEST 2027-03-28T01:00:00Z in 2d 13h",
        "nightly-db - - when an instance is stopped",
        "weekly-web - - never: paused, creates nothing and retires nothing",
        "2 policies are right: 1 active, 1 paused, 0 retired",
    ] {
        assert!(rows.iter().any(|r| r == row), "{row:?} is not in {rows:#?}");
    }
}

#[test]
fn the_report_of_a_right_file_has_an_item_for_each_policy_with_its_next_slot() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let ran = shell.run(&["--json", "policies", "check", "p.yaml", "--now", NOW]);
    assert_eq!(ran.status, 0);
    let report = ran.json();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["run"]["function"], "holdfast policies check");
    assert_eq!(report["run"]["now"], NOW);
    assert_eq!(report["run"]["complete"], true);
    assert_eq!(report["run"]["policy_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(report["run"].get("account"), None);
    assert_eq!(report["summary"], json!({ "planned": 1, "skipped": 1 }));
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["action"], "check");
    assert_eq!(items[0]["resource"], "nightly-db");
    assert_eq!(items[0]["slot"], "2027-03-26T02:00:00Z");
    // Three times and the trigger.
    assert_eq!(items[0]["reasons"].as_array().unwrap().len(), 4);
    assert_eq!(items[1]["outcome"], "skipped");
    assert_eq!(items[1]["reasons"][0]["code"], "policy-paused");
    assert_eq!(items[1].get("slot"), None);
}

const WRONG: &str = "version: 1
policies:
  - name: nightly-db
    protect: volumes
    select: { instances: { tags: { Backup: yes } } }
    schedule: cron(0 3 * * ? *)
    retain: { daily: -2 }
";

#[test]
fn everything_wrong_is_one_line_each_with_file_line_and_key() {
    let shell = Shell::new();
    shell.file("p.yaml", WRONG);
    let ran = shell.run(&["policies", "check", "p.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let tag = "p.yaml:5: policies[0].select.instances.tags.Backup: ";
    assert!(lines[0].starts_with(tag), "{lines:?}");
    let rule = "p.yaml:7: policies[0].retain.daily: ";
    assert!(lines[1].starts_with(rule), "{lines:?}");
}

#[test]
fn the_report_of_a_wrong_file_names_the_same_places() {
    let shell = Shell::new();
    shell.file("p.yaml", WRONG);
    let ran = shell.run(&["policies", "check", "p.yaml", "--json"]);
    assert_eq!(ran.status, 2);
    let report = ran.json();
    assert_eq!(report["run"]["complete"], false);
    assert_eq!(report["summary"], json!({ "failed": 2 }));
    let item = &report["items"][1];
    assert_eq!(item["action"], "check");
    assert_eq!(item["resource"], "p.yaml:7");
    assert_eq!(item["outcome"], "failed");
    let detail = item["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("policies[0].retain.daily: "), "{detail}");
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let ran = Shell::new().run(&["policies", "check", "none.yaml"]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.err.starts_with("none.yaml: cannot be read: "),
        "{}",
        ran.err
    );
}

#[test]
fn what_a_policy_says_of_references_that_hold_is_shown_where_it_differs_from_the_default() {
    let shell = Shell::new();
    let words = "triggers: [stopped]\n    launch_template_versions: { newest: 3 }\n    \
                 stopped_instances_hold: false\n    terminated_instances_hold: true\n    \
                 recently_launched: 90d\n    evidence: { fleets: not-used }";
    shell.file("p.yaml", &POLICIES.replace("triggers: [stopped]", words));
    let ran = shell.run(&["policies", "check", "p.yaml", "--now", NOW]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let lines = ran.out.lines();
    let lines: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let start = lines
        .iter()
        .position(|line| line == "POLICY WHAT HOLDS ITS BACKUPS");
    let rows = &lines[start.expect(&ran.out) + 1..];
    assert_eq!(
        rows[..5],
        [
            "nightly-db of a launch template only the default and the newest 3 versions, and what \
             a group or fleet launches",
            "nightly-db no instance that is stopped",
            "nightly-db instances that are terminated, as long as EC2 lists them",
            "nightly-db a launch within 90d",
            "nightly-db not missed if unread, as declared not in use: fleets",
        ]
    );

    shell.file("plain.yaml", POLICIES);
    let plain = shell.run(&["policies", "check", "plain.yaml", "--now", NOW]);
    assert!(!plain.out.contains("WHAT HOLDS"), "{}", plain.out);
}

#[test]
fn what_is_excluded_and_the_consistency_that_is_asked_for_are_shown() {
    let shell = Shell::new();
    shell.file(
        "p.yaml",
        "version: 1
policies:
  - name: a
    protect: volumes
    select:
      volumes: { tags: { A: b } }
      exclude: { tags: { S: \"*\" }, boot_volumes: true, data_volumes: true }
    schedule: rate(1 day)
    consistency: stopped
    retain: { last: 1 }
  - name: b
    protect: volumes
    select:
      instances: { tags: { A: b } }
      exclude: { volume_types: [st1, sc1], larger_than_gib: 500, smaller_than_gib: 2 }
    schedule: rate(1 day)
    consistency: application
    application: { document: freeze }
    retain: { last: 1 }
  - name: c
    protect: instances
    select: { instances: { tags: { A: b } }, exclude: { data_volumes: true } }
    schedule: rate(1 day)
    retain: { last: 1 }
  - name: d
    protect: volumes
    select: { instances: { tags: { A: b } } }
    schedule: rate(1 day)
    consistency: application
    application: { document: freeze, on_failure: crash }
    retain: { last: 1 }
",
    );
    let ran = shell.run(&["policies", "check", "p.yaml", "--now", NOW]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let lines = ran.out.lines();
    let rows: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for row in [
        "a active volumes: A=b, not S=* or root volumes or data volumes stopped rate(",
        "b active volumes: of instances A=b, not sc1|st1 or over 500 GiB or under 2 GiB \
         application by freeze, else no backup rate(",
        "c active instances: A=b, not data volumes crash rate(",
        "d active volumes: of instances A=b application by freeze, else crash rate(",
    ] {
        let found = rows.iter().any(|r| r.starts_with(row));
        assert!(found, "{row:?} is not in {rows:#?}");
    }
}
