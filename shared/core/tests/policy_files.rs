//! Every shipped sample is right, and every file in `tests/policies/invalid` is wrong in exactly
//! the ways its first lines say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use holdfast_core::policy::period::Period;
use holdfast_core::policy::{
    Application, EvidenceSource, Exclude, GroupBy, Limits, OnFailure, PolicyErrors, PolicyFile,
    PolicyState, Protect, RequestedConsistency, RequiredResource, Requirement, TagPattern,
    TemplateVersions, Trigger,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn parse(text: &str) -> Result<PolicyFile, PolicyErrors> {
    PolicyFile::parse("policies.yaml", text, now())
}

/// The YAML files of a folder of the repository, by name; at least one.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_sample_is_valid() {
    for path in files("infra/samples") {
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = PolicyFile::parse(&name_of(&path), &text, now());
        assert!(!parsed.unwrap_or_else(|e| panic!("{e}")).policies.is_empty());
    }
}

#[test]
fn every_invalid_file_has_exactly_the_errors_it_announces() {
    let files = files("tests/policies/invalid");
    assert!(files.len() >= 25);
    let mut wrong = String::new();
    for path in files {
        let (file, text) = (name_of(&path), std::fs::read_to_string(&path).unwrap());
        let expected: Vec<(u64, &str, &str)> = text
            .lines()
            .map_while(|line| line.strip_prefix("# expect: "))
            .map(|line| {
                let mut parts = line.splitn(3, ": ");
                let mut part = || parts.next().unwrap();
                (part().parse().unwrap(), part(), part())
            })
            .collect();
        assert!(!expected.is_empty(), "{file} expects nothing");
        let errors = match PolicyFile::parse(&file, &text, now()) {
            Ok(_) => {
                writeln!(wrong, "{file}: accepted").unwrap();
                continue;
            }
            Err(errors) => errors.errors,
        };
        let good = errors.len() == expected.len()
            && errors
                .iter()
                .zip(&expected)
                .all(|(error, (line, key, part))| {
                    error.file == file
                        && error.line == *line
                        && error.key == *key
                        && error.message.contains(part)
                });
        if !good {
            writeln!(wrong, "{file} announces {expected:#?} and has:").unwrap();
            for error in errors {
                writeln!(wrong, "  {error}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The contract's example, every key of it.
const WHOLE: &str = r#"
version: 1
policies:
  - name: nightly-db
    protect: volumes
    select:
      instances: { tags: { Backup: nightly } }
      volumes:   { tags: { Backup: [nightly, critical] } }
      exclude:   { tags: { Scratch: "*" }, boot_volumes: false, data_volumes: true, volume_types: [st1, sc1], larger_than_gib: 2048, smaller_than_gib: 4 }
    schedule: "cron(0 3 * * ? *)"
    timezone: Europe/Berlin
    triggers: [stopped]
    reboot: false
    retain: { last: 2, hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3, within: 48h }
    min_copies: 1
    group: source
    grace: 0h
    limits: { max_shrink: 25%, free: 20 }
    evidence: { fleets: not-used }
    launch_template_versions: { newest: 3 }
    stopped_instances_hold: false
    terminated_instances_hold: true
    recently_launched: 90d
    source_gone: { delete_after: never }
    rpo: 36h
    state: active
    formerly: [db-nightly]
    start_within: 3h
    cooldown: 90m
require:
  - { resource: instances, tags: { Backup: "*" } }
  - { resource: volumes, tags: {} }
"#;

#[test]
fn every_key_of_the_format_reaches_the_policy() {
    let file = parse(WHOLE).unwrap_or_else(|e| panic!("{e}"));
    let [policy] = file.policies.as_slice() else {
        panic!("{} policies", file.policies.len())
    };
    let one_of = |values: &[&str]| {
        TagPattern::OneOf(values.iter().map(|value| (*value).to_owned()).collect())
    };
    assert_eq!(policy.name, "nightly-db");
    assert_eq!(policy.protect, Protect::Volumes);
    assert_eq!(
        policy.select.instances.as_ref().unwrap()["Backup"],
        one_of(&["nightly"])
    );
    assert_eq!(
        policy.select.volumes.as_ref().unwrap()["Backup"],
        one_of(&["nightly", "critical"])
    );
    assert_eq!(policy.select.exclude.tags["Scratch"], TagPattern::Any);
    assert!(!policy.select.exclude.boot_volumes);
    assert!(policy.select.exclude.data_volumes);
    let types: Vec<&str> = policy
        .select
        .exclude
        .volume_types
        .iter()
        .map(String::as_str)
        .collect();
    assert_eq!(types, ["sc1", "st1"]);
    assert_eq!(policy.select.exclude.larger_than_gib, Some(2048));
    assert_eq!(policy.select.exclude.smaller_than_gib, Some(4));
    assert_eq!(policy.schedules.len(), 1);
    assert_eq!(policy.start_within, Period::parse("3h").unwrap());
    assert_eq!(policy.timezone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(policy.triggers, BTreeSet::from([Trigger::Stopped]));
    assert_eq!(policy.cooldown, Period::parse("90m").unwrap());
    let retain = &policy.retain;
    assert_eq!((retain.last, retain.hourly, retain.daily), (2, 24, 7));
    assert_eq!((retain.weekly, retain.monthly, retain.yearly), (4, 12, 3));
    assert_eq!(retain.within, Some(Period::parse("48h").unwrap()));
    assert_eq!((policy.min_copies, policy.reboot), (1, false));
    assert_eq!(policy.group, GroupBy::Source);
    assert_eq!(policy.grace, None);
    assert_eq!(
        policy.limits,
        Limits {
            max_shrink_percent: 25,
            free: 20
        }
    );
    assert_eq!(
        policy.evidence_not_used,
        BTreeSet::from([EvidenceSource::Fleets])
    );
    assert_eq!(policy.launch_template_versions, TemplateVersions::Newest(3));
    assert!(!policy.stopped_instances_hold && policy.terminated_instances_hold);
    assert_eq!(
        policy.recently_launched,
        Some(Period::parse("90d").unwrap())
    );
    assert_eq!(policy.source_gone_delete_after, None);
    assert_eq!(policy.rpo, Some(Period::parse("36h").unwrap()));
    assert_eq!(policy.rpo_at(now()).unwrap().to_string(), "36h");
    let any = [("Backup".to_owned(), TagPattern::Any)];
    assert_eq!(
        file.require,
        [
            Requirement {
                resource: RequiredResource::Instances,
                tags: any.into(),
            },
            Requirement {
                resource: RequiredResource::Volumes,
                tags: BTreeMap::new(),
            },
        ]
    );
    assert_eq!(policy.state, PolicyState::Active);
    assert_eq!(policy.formerly, ["db-nightly"]);
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let text = "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
                select: { instances: { tags: { A: b } } }\n    schedule: rate(1 day)\n    \
                retain: { last: 1 }\n    limits: { free: 3 }\n";
    let file = parse(text).unwrap_or_else(|e| panic!("{e}"));
    let policy = &file.policies[0];
    assert_eq!(policy.timezone.iana_name(), Some("UTC"));
    assert_eq!(policy.start_within, Period::parse("1h").unwrap());
    assert_eq!((policy.reboot, policy.min_copies), (false, 1));
    assert_eq!(policy.group, GroupBy::Source);
    assert_eq!(
        (policy.grace, policy.source_gone_delete_after),
        (None, None)
    );
    // Each limit has its own default.
    assert_eq!(
        policy.limits,
        Limits {
            max_shrink_percent: 25,
            free: 3
        }
    );
    assert_eq!(policy.state, PolicyState::Active);
    assert!(policy.triggers.is_empty() && policy.formerly.is_empty());
    assert_eq!(policy.cooldown, Period::parse("1h").unwrap());
    assert_eq!(policy.select.exclude, Exclude::default());
    assert!(policy.evidence_not_used.is_empty());
    assert_eq!(policy.launch_template_versions, TemplateVersions::All);
    assert!(policy.stopped_instances_hold && !policy.terminated_instances_hold);
    assert_eq!(policy.recently_launched, None);
    assert!(policy.rpo.is_none() && file.require.is_empty());
    // Twice the day between two slots.
    assert_eq!(policy.rpo_at(now()).unwrap().to_string(), "48h");
}

#[test]
fn triggers_alone_promise_no_age_of_a_backup_unless_the_policy_says_one() {
    let text = |more: &str| {
        format!(
            "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
             select: {{ instances: {{ tags: {{ A: b }} }} }}\n    triggers: [stopped]\n    \
             retain: {{ last: 1 }}\n{more}"
        )
    };
    let rpo = |more: &str| parse(&text(more)).unwrap().policies[0].rpo_at(now());
    assert_eq!(rpo(""), None);
    assert_eq!(rpo("    rpo: 30d\n").unwrap().to_string(), "30d");
}

#[test]
fn values_other_than_the_defaults_are_read() {
    let text = WHOLE
        .replace("group: source", "group: { tag: Family }")
        .replace("grace: 0h", "grace: 36h")
        .replace("25%", "0%")
        .replace("{ newest: 3 }", "default-and-latest")
        .replace("recently_launched: 90d", "recently_launched: 0d")
        .replace("delete_after: never", "delete_after: 6mo")
        .replace("state: active", "state: paused")
        .replace("boot_volumes: false", "boot_volumes: true")
        .replace("[stopped]", "[running, spot-interruption]");
    let file = parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let policy = &file.policies[0];
    assert_eq!(policy.group, GroupBy::Tag("Family".to_owned()));
    assert_eq!(policy.grace, Some(Period::parse("36h").unwrap()));
    assert_eq!(policy.limits.max_shrink_percent, 0);
    assert_eq!(
        policy.launch_template_versions,
        TemplateVersions::DefaultAndLatest
    );
    assert_eq!(policy.recently_launched, None);
    assert_eq!(
        policy.source_gone_delete_after,
        Some(Period::parse("6mo").unwrap())
    );
    assert_eq!(policy.state, PolicyState::Paused);
    assert!(policy.select.exclude.boot_volumes);
    let triggers = BTreeSet::from([Trigger::Running, Trigger::SpotInterruption]);
    assert_eq!(policy.triggers, triggers);
}

fn consistency(words: &str) -> RequestedConsistency {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
         select: {{ instances: {{ tags: {{ A: b }} }} }}\n    schedule: rate(1 day)\n    \
         retain: {{ last: 1 }}\n{words}"
    );
    let mut file = parse(&text).unwrap_or_else(|e| panic!("{e}"));
    file.policies.remove(0).consistency
}

#[test]
fn consistency_is_crash_unless_the_file_says_otherwise() {
    assert_eq!(consistency(""), RequestedConsistency::Crash);
    assert_eq!(
        consistency("    consistency: crash\n"),
        RequestedConsistency::Crash
    );
    assert_eq!(
        consistency("    consistency: stopped\n"),
        RequestedConsistency::Stopped
    );
}

#[test]
fn commands_in_the_guest_have_a_minute_and_no_fallback_unless_the_file_says_otherwise() {
    let words = "    consistency: application\n    application: { document: Freeze }\n";
    let expected = Application {
        document: "Freeze".to_owned(),
        timeout: SignedDuration::from_secs(60),
        on_failure: OnFailure::Skip,
    };
    assert_eq!(
        consistency(words),
        RequestedConsistency::Application(expected)
    );
    let arn = "arn:aws:ssm:eu-central-1:111122223333:document/Freeze";
    for (timeout, seconds) in [("10s", 10), ("2m", 120), ("300s", 300)] {
        let words = format!(
            "    consistency: application\n    application: {{ document: \"{arn}\", \
             timeout: {timeout}, on_failure: crash }}\n"
        );
        let expected = Application {
            document: arn.to_owned(),
            timeout: SignedDuration::from_secs(seconds),
            on_failure: OnFailure::Crash,
        };
        assert_eq!(
            consistency(&words),
            RequestedConsistency::Application(expected)
        );
    }
}

#[test]
fn slots_of_a_policy_are_the_union_of_its_schedules_each_once() {
    let text = WHOLE.replace(
        "\"cron(0 3 * * ? *)\"",
        "[rate(12 hours), \"cron(0 1 * * ? *)\", \"cron(0 3 * * ? *)\"]",
    );
    let file = parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let policy = &file.policies[0];
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // In Berlin's winter 01:00 is midnight UTC, which is a slot of the rate too.
    let expected = [
        at("2026-11-24T00:00:00Z"),
        at("2026-11-24T02:00:00Z"),
        at("2026-11-24T12:00:00Z"),
    ];
    assert_eq!(policy.next_slots(now(), 3), expected);
    assert_eq!(policy.latest_slot(now()), Some(now()));
    assert_eq!(
        policy.slots_between(now(), at("2026-11-24T12:00:00Z")),
        expected
    );
    assert_eq!(policy.slots_between(now(), now()), []);
    assert_eq!(
        policy.latest_slot(at("2026-11-24T02:30:00Z")),
        Some(expected[1])
    );
}

#[test]
fn the_hash_is_that_of_the_bytes() {
    let first = parse(WHOLE).unwrap().sha256;
    let second = parse(&format!("{WHOLE}# a comment\n")).unwrap().sha256;
    assert_ne!(first, second);
    assert!(first.len() == 64 && first.bytes().all(|b| b"0123456789abcdef".contains(&b)));
    // sha256sum of the same bytes.
    let text = "version: 1\npolicies:\n  - { name: p, protect: volumes, \
                select: { volumes: { tags: { A: b } } }, schedule: rate(1 day), \
                retain: { last: 1 } }\n";
    assert_eq!(
        parse(text).unwrap().sha256,
        "6e22d9305e9e45b6a61e31057904071eea74da71126aca0988d0e855cbab83b5"
    );
}

#[test]
fn anchors_and_aliases_are_understood() {
    let text = WHOLE
        .replace("{ Backup: nightly }", "&tags { Backup: nightly }")
        .replace("{ Backup: [nightly, critical] }", "*tags");
    let file = parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let select = &file.policies[0].select;
    assert_eq!(select.instances, select.volumes);
}

#[test]
fn errors_are_shown_one_a_line_with_file_line_and_key() {
    let text = WHOLE
        .replace("min_copies: 1", "min_copies: 0")
        .replace("0h", "soon");
    let errors = parse(&text).unwrap_err();
    let shown = errors.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("policies.yaml:15: policies[0].min_copies: 0 is out of range"));
    assert!(lines[1].starts_with("policies.yaml:17: policies[0].grace: `soon` is not a duration"));
}

#[test]
fn a_file_without_content_is_empty() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "~\n", "\u{feff}"] {
        let errors = parse(text).unwrap_err().errors;
        assert_eq!(errors.len(), 1, "{text:?}");
        assert!(
            errors[0].message.contains("the file is empty"),
            "{}",
            errors[0]
        );
    }
}

#[test]
fn huge_deep_and_exploding_files_are_refused_quickly() {
    let deep = format!(
        "version: 1\npolicies: {}1{}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let nested = format!("version: 1\npolicies:\n{}", "- ".repeat(100_000));
    let huge = "a".repeat(2 << 20);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(laughs, "a{n}: &a{n} [{items}]").unwrap();
    }
    for text in [deep, nested, huge, laughs] {
        let errors = parse(&text).unwrap_err().errors;
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].key, "file");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "\\PC{0,60}(\n[ -]{0,6}[a-z]{0,8}: ?[\\[{&*!|>\"'a-z0-9%]{0,8}){0,6}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_with_a_place(
        cut in 0usize..900, length in 0usize..40, put in "[ -~\n]{0,12}",
    ) {
        let cut = cut.min(WHOLE.len());
        let upto = (cut + length).min(WHOLE.len());
        let text = format!("{}{put}{}", &WHOLE[..cut], &WHOLE[upto..]);
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.errors.is_empty());
            let lines = text.lines().count() as u64 + 1;
            for error in errors.errors {
                prop_assert!(error.line >= 1 && error.line <= lines, "{}", error);
                prop_assert!(!error.key.is_empty() && !error.message.is_empty(), "{}", error);
            }
        }
    }
}
