//! `holdfast retention`.

use serde_json::{Value, json};

use crate::{POLICIES, Ran, Shell};

const NOW: &str = "2026-11-23T12:00:00Z";

/// In Berlin, an hour before UTC in winter: 20:30Z is still the 22nd, 23:30Z is the 23rd already.
const TIMES: &str = "\
2026-11-22T20:30:00Z
2026-11-22T23:30:00Z

2026-11-21T04:00:00+01:00
2026-11-22T06:00:00Z
2026-11-30T00:00:00Z
";

fn run(shell: &Shell, more: &[&str]) -> Ran {
    shell.file("p.yaml", POLICIES);
    let mut arguments = vec![
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "nightly-db",
        "--now",
        NOW,
    ];
    arguments.extend(more);
    shell.feed(&arguments, TIMES)
}

fn verdicts(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = report["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            assert_eq!(item["action"], "delete");
            assert_eq!(item["policy"], "nightly-db");
            let code = &item["reasons"][0]["code"];
            (text(&item["resource"]), text(&item["outcome"]), text(code))
        })
        .collect()
}

/// The newest of each of the newest two Berlin days that have one; the future one takes no place.
fn expected() -> Vec<(String, String, String)> {
    [
        ("2026-11-22T20:30:00Z", "kept", "retain.daily"),
        ("2026-11-22T23:30:00Z", "kept", "retain.daily"),
        ("2026-11-21T04:00:00+01:00", "planned", "expired"),
        ("2026-11-22T06:00:00Z", "planned", "expired"),
        ("2026-11-30T00:00:00Z", "kept", "future-dated"),
    ]
    .map(|(time, outcome, code)| (time.to_owned(), outcome.to_owned(), code.to_owned()))
    .to_vec()
}

#[test]
fn each_time_has_one_verdict_in_the_order_given_reckoned_in_the_policys_zone() {
    let ran = run(&Shell::new(), &["--times", "-", "--json"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let report = ran.json();
    assert_eq!(verdicts(&report), expected());
    assert_eq!(report["schema"], 1);
    assert_eq!(report["run"]["now"], NOW);
    assert_eq!(report["run"].get("region"), None);
    assert_eq!(report["summary"], json!({ "kept": 3, "planned": 2 }));
    assert_eq!(report["items"][2]["time"], "2026-11-21T03:00:00Z");
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let shell = Shell::new();
    shell.file("times.txt", TIMES);
    let ran = run(&shell, &["--times", "times.txt", "--json"]);
    assert_eq!(verdicts(&ran.json()), expected());
}

#[test]
fn people_read_a_row_for_each_time_and_the_counts() {
    let ran = run(&Shell::new(), &["--times", "-"]);
    assert_eq!(ran.status, 0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("TIME "), "{lines:?}");
    let row: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(
        row,
        [
            "2026-11-22T06:00:00Z",
            "retire",
            "1d",
            "6h",
            "ago",
            "expired"
        ]
    );
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("2 to retire, 3 kept by nightly-db"),
        "{last}"
    );
}

#[test]
fn two_backups_of_one_instant_are_told_apart_by_their_line() {
    let shell = Shell::new();
    let policies = POLICIES.replace("daily: 2", "last: 1");
    shell.file("p.yaml", &policies);
    let arguments = [
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "nightly-db",
    ];
    let mut arguments = arguments.to_vec();
    arguments.extend(["--times", "-", "--now", NOW, "--json"]);
    let instant = "2026-11-22T06:00:00Z\n".repeat(2);
    let report = shell.feed(&arguments, &instant).json();
    let outcomes: Vec<&Value> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["outcome"])
        .collect();
    assert_eq!(outcomes, ["planned", "kept"]);
}

#[test]
fn a_line_that_is_no_time_is_named_and_nothing_is_judged() {
    let shell = Shell::new();
    shell.file(
        "times.txt",
        "2026-11-22T06:00:00Z\n2026-11-22 in the morning\n",
    );
    let ran = run(&shell, &["--times", "times.txt", "--json"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("times.txt:2: "), "{}", ran.err);
}

#[test]
fn an_unknown_policy_is_answered_with_the_nearest_name() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let ask = |name| {
        let arguments = ["retention", "--policies", "p.yaml", "--policy", name];
        shell.run(&[&arguments[..], &["--times", "-"]].concat())
    };
    let ran = ask("nightly-bd");
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("did you mean nightly-db?"), "{}", ran.err);
    let ran = ask("something");
    assert!(
        ran.err.contains("it has nightly-db, weekly-web"),
        "{}",
        ran.err
    );
}

#[test]
fn a_wrong_policy_file_judges_nothing() {
    let shell = Shell::new();
    shell.file("p.yaml", &POLICIES.replace("weekly: 1", "weekly: -1"));
    let arguments = [
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "nightly-db",
    ];
    let ran = shell.feed(&[&arguments[..], &["--times", "-"]].concat(), TIMES);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("\np.yaml:14: policies[1].retain.weekly: "),
        "{}",
        ran.err
    );
}

#[test]
fn a_paused_policy_is_judged_with_a_note_that_nothing_goes() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let arguments = [
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "weekly-web",
    ];
    let ran = shell.feed(&[&arguments[..], &["--times", "-"]].concat(), TIMES);
    assert_eq!(ran.status, 0);
    assert!(ran.err.contains("weekly-web is paused"), "{}", ran.err);
}
