//! What is found to be without the backups that policies promise, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;
mod unpicked;

use holdfast_core::inventory::{
    ImageState, InstanceState, KeyState, SnapshotState, Source, VolumeState,
};
use holdfast_core::plan::coverage::Standing;
use holdfast_core::ports::ErrorClass;
use holdfast_core::report::{Outcome, ReasonCode};
use stage::{Stage, at, refused};

/// Every day at three: nothing older than 48 hours.
const NIGHTLY: &str = r#"
version: 1
policies:
  - name: nightly
    protect: volumes
    select: { instances: { tags: { Backup: nightly } }, volumes: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;

const GOLDEN: &str = r#"
version: 1
policies:
  - name: golden
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    schedule: "cron(0 3 * * ? *)"
    retain: { last: 2 }
"#;

/// Bakes of whatever stops.
const BAKES: &str = r#"
version: 1
policies:
  - name: bakes
    protect: instances
    select: { instances: { tags: { Backup: nightly } } }
    triggers: [stopped]
    retain: { last: 2 }
"#;

const PICKED: [(&str, &str); 1] = [("Backup", "nightly")];

fn one_volume() -> Stage {
    let mut stage = Stage::default();
    stage.volume("vol-1", &[], &PICKED);
    stage
}

fn standings(stage: &Stage, policies: &str) -> Vec<(String, Standing)> {
    let sources = stage.coverage(policies).sources.into_iter();
    sources.map(|one| (one.source, one.standing)).collect()
}

#[test]
fn a_source_whose_newest_backup_is_as_old_as_the_rpo_is_covered_and_a_second_more_is_not() {
    for (time, found) in [
        ("2026-11-21T12:00:00Z", vec![]),
        ("2026-11-21T11:59:59Z", vec!["vol-1 nightly rpo-exceeded"]),
    ] {
        let mut stage = one_volume();
        stage.snapshot("snap-1", "nightly", "vol-1", time);
        stage.snapshot("snap-0", "nightly", "vol-1", "2026-11-01T03:00:00Z");
        assert_eq!(stage.found(NIGHTLY), found, "{time}");
        let newest = stage.coverage(NIGHTLY).sources.remove(0).newest.unwrap();
        assert_eq!((newest.id.as_str(), newest.time), ("snap-1", at(time)));
    }
}

#[test]
fn the_policys_own_rpo_decides_where_it_has_one() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    let tight = NIGHTLY.replace("retain:", "rpo: 8h\n    retain:");
    assert_eq!(stage.found(&tight), ["vol-1 nightly rpo-exceeded"]);
    let wide = NIGHTLY.replace("retain:", "rpo: 1d\n    retain:");
    assert_eq!(stage.found(&wide), [""; 0]);
}

#[test]
fn each_volume_of_a_set_is_covered_by_itself_and_the_finding_names_the_machine() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1", "vol-2"], &PICKED);
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    assert_eq!(stage.found(NIGHTLY), ["vol-2 nightly no-backup"]);
    let coverage = stage.coverage(NIGHTLY);
    let detail = coverage.findings()[0].reasons[0].detail.clone().unwrap();
    assert!(detail.contains("i-1"), "{detail}");
    assert!(detail.contains("2026-11-24T03:00:00Z"), "{detail}");
}

#[test]
fn what_is_excluded_is_not_asked_for_and_a_multi_attached_volume_is_asked_for_once() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1"], &PICKED);
    stage.machine("i-2", &["vol-2"], &PICKED);
    stage.volume("vol-3", &["i-1", "i-2"], &[]);
    stage.volume("vol-4", &["i-1"], &[("Scratch", "yes")]);
    let select = "select: { exclude: { tags: { Scratch: \"*\" } }, ";
    let policies = NIGHTLY.replace("select: {", select);
    assert_eq!(
        stage.found(&policies),
        [
            "vol-1 nightly no-backup",
            "vol-2 nightly no-backup",
            "vol-3 nightly no-backup"
        ]
    );
}

#[test]
fn a_source_picked_by_two_policies_has_to_be_in_backups_of_both() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    let second = NIGHTLY.split_once("policies:\n").unwrap().1;
    let both = format!("{NIGHTLY}{}", second.replace("nightly\n", "second\n"));
    assert_eq!(stage.found(&both), ["vol-1 second no-backup"]);
}

#[test]
fn only_a_good_backup_counts() {
    let newest = "2026-11-23T03:00:00Z";
    for state in [SnapshotState::Error, SnapshotState::Recoverable] {
        let mut stage = one_volume();
        stage.snapshot("snap-1", "nightly", "vol-1", newest).state = state;
        assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly no-backup"]);
    }
    let mut stage = one_volume();
    let other = stage.snapshot("snap-1", "nightly", "vol-1", newest);
    other.owner = Some("444455556666".into());
    assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly no-backup"]);

    for state in [ImageState::Disabled, ImageState::Failed] {
        let mut stage = Stage::default();
        stage.machine("i-1", &["vol-1"], &PICKED);
        stage.image("ami-1", "golden", "i-1", newest).state = state;
        assert_eq!(stage.found(GOLDEN), ["i-1 golden no-backup"]);
    }
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1"], &PICKED);
    stage.image("ami-1", "golden", "i-1", newest);
    assert_eq!(stage.found(GOLDEN), [""; 0]);
    // Somebody deleted what is behind it.
    stage.snapshots.clear();
    assert_eq!(stage.found(GOLDEN), ["i-1 golden no-backup"]);
}

#[test]
fn the_backups_of_a_renamed_policy_are_its_own() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "db", "vol-1", "2026-11-23T03:00:00Z");
    let renamed = NIGHTLY.replace("retain:", "formerly: [db]\n    retain:");
    assert_eq!(stage.found(&renamed), [""; 0]);
}

#[test]
fn a_first_backup_in_the_making_is_waited_for_within_the_rpo() {
    for (begun, found) in [
        ("2026-11-23T03:00:00Z", vec![]),
        ("2026-11-20T03:00:00Z", vec!["vol-1 nightly no-backup"]),
    ] {
        let mut stage = one_volume();
        stage.snapshot("snap-1", "nightly", "vol-1", begun).state = SnapshotState::Pending;
        assert_eq!(stage.found(NIGHTLY), found, "{begun}");
    }
    // It does not make up for an old one.
    let mut stage = one_volume();
    stage.snapshot("snap-0", "nightly", "vol-1", "2026-11-01T03:00:00Z");
    let newer = stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    newer.state = SnapshotState::Pending;
    assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly rpo-exceeded"]);
}

#[test]
fn a_source_younger_than_the_rpo_is_not_due() {
    let mut stage = one_volume();
    let young = at("2026-11-21T12:00:01Z");
    stage.volume_mut("vol-1").created = Some(young);
    assert_eq!(
        standings(&stage, NIGHTLY),
        [("vol-1".to_owned(), Standing::Young { since: young })]
    );
    stage.volume_mut("vol-1").created = Some(at("2026-11-21T12:00:00Z"));
    assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly no-backup"]);
}

#[test]
fn a_machine_that_was_started_again_is_as_old_as_its_root_volume() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1"], &PICKED);
    stage.instances[0].launched = Some(at("2026-11-23T11:00:00Z"));
    assert_eq!(stage.found(GOLDEN), ["i-1 golden no-backup"]);
    stage.volume_mut("vol-1").created = Some(at("2026-11-23T10:59:00Z"));
    assert_eq!(stage.found(GOLDEN), [""; 0]);
}

#[test]
fn a_source_of_unknown_age_is_due_once_a_slot_has_passed() {
    let mut stage = one_volume();
    stage.volume_mut("vol-1").created = None;
    assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly no-backup"]);
    let next_year = NIGHTLY.replace("* * ? *", "* * ? 2027-2030");
    assert_eq!(stage.found(&next_year), [""; 0]);
}

#[test]
fn triggers_promise_no_age_unless_the_policy_says_one() {
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1"], &PICKED);
    assert_eq!(stage.found(BAKES), [""; 0]);
    let with_rpo = BAKES.replace("retain:", "rpo: 30d\n    retain:");
    assert_eq!(stage.found(&with_rpo), ["i-1 bakes no-backup"]);
}

#[test]
fn paused_and_retired_policies_promise_nothing() {
    for state in ["paused", "retired"] {
        let stage = one_volume();
        let policies = NIGHTLY.replace("retain:", &format!("state: {state}\n    retain:"));
        assert_eq!(stage.found(&policies), [""; 0], "{state}");
        assert_eq!(standings(&stage, &policies), []);
    }
}

#[test]
fn a_dying_source_is_not_asked_for_and_a_broken_one_is() {
    let mut stage = one_volume();
    stage.volume_mut("vol-1").state = VolumeState::Deleting;
    assert_eq!(standings(&stage, NIGHTLY), []);
    stage.volume_mut("vol-1").state = VolumeState::Error;
    assert_eq!(stage.found(NIGHTLY), ["vol-1 nightly no-backup"]);
    let mut stage = Stage::default();
    stage.machine("i-1", &["vol-1"], &PICKED);
    stage.instances[0].state = InstanceState::Terminated;
    assert_eq!(stage.found(GOLDEN), ["golden golden matches-nothing"]);
}

#[test]
fn a_list_that_ends_early_makes_no_false_alarm_and_is_said() {
    for cut in [Source::Snapshots, Source::Images] {
        let mut stage = Stage::default();
        stage.machine("i-1", &["vol-1"], &PICKED);
        stage.cut.insert(cut);
        assert_eq!(stage.found(GOLDEN), ["coverage - evidence-incomplete"]);
        assert_eq!(
            standings(&stage, GOLDEN),
            [("i-1".to_owned(), Standing::Unknown)]
        );
    }
    // What the list does show is enough to know that all is well.
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    stage.cut.insert(Source::Snapshots);
    assert_eq!(stage.found(NIGHTLY), [""; 0]);
    // The tags of a machine that is not listed may exclude its volumes.
    let mut stage = Stage::default();
    stage.volume("vol-1", &["i-1"], &PICKED);
    stage.cut.insert(Source::Instances);
    assert_eq!(stage.found(NIGHTLY), ["coverage - evidence-incomplete"]);
    // A cut list of machines is no policy that matches nothing.
    for cut in [Source::Instances, Source::Volumes] {
        let mut stage = Stage::default();
        stage.cut.insert(cut);
        assert_eq!(stage.found(NIGHTLY), [""; 0]);
    }
}

#[test]
fn keys_that_make_backups_unusable_are_named_once_with_the_volumes_under_them() {
    for (state, code) in [
        (KeyState::Disabled, "key-unusable"),
        (KeyState::PendingDeletion, "key-unusable"),
        (KeyState::Missing, "key-unusable"),
        (KeyState::Unavailable, "key-unusable"),
        (KeyState::Unknown("Odd".into()), "key-unusable"),
    ] {
        let mut stage = Stage::default();
        stage.machine("i-1", &["vol-1", "vol-2"], &PICKED);
        for (volume, snapshot) in [("vol-1", "snap-1"), ("vol-2", "snap-2")] {
            stage.snapshot(snapshot, "nightly", volume, "2026-11-23T03:00:00Z");
            stage.volume_mut(volume).kms_key = Some("arn:key/1".into());
        }
        // Of no interest: nothing picks it and it has no backup.
        stage.volume("vol-9", &[], &[]);
        stage.volume_mut("vol-9").kms_key = Some("arn:key/9".into());
        assert_eq!(stage.keys(NIGHTLY), ["arn:key/1".to_owned()].into());
        stage.keys.insert("arn:key/1".into(), Ok(state));
        assert_eq!(stage.found(NIGHTLY), [format!("arn:key/1 - {code}")]);
        let findings = stage.coverage(NIGHTLY).findings();
        let detail = findings[0].reasons[0].detail.as_deref().unwrap();
        assert!(detail.contains("vol-1, vol-2"), "{detail}");
    }
}

#[test]
fn a_key_without_which_the_backups_of_a_volume_that_is_gone_cannot_be_read_is_named_once() {
    let mut stage = Stage::default();
    for (id, time) in [
        ("snap-1", "2026-11-20T03:00:00Z"),
        ("snap-2", "2026-11-21T03:00:00Z"),
        ("snap-3", "2026-11-22T03:00:00Z"),
        ("snap-4", "2026-11-23T03:00:00Z"),
    ] {
        let snapshot = stage.snapshot(id, "nightly", "vol-gone", time);
        snapshot.kms_key = Some("arn:key/1".into());
    }
    // Of no interest: somebody else's.
    let other = stage.snapshot("snap-9", "nightly", "vol-gone", "2026-11-23T03:00:00Z");
    other.tags.clear();
    other.kms_key = Some("arn:key/9".into());
    let paused = NIGHTLY.replace("retain:", "state: paused\n    retain:");
    assert_eq!(stage.keys(&paused), ["arn:key/1".to_owned()].into());
    stage
        .keys
        .insert("arn:key/1".into(), Ok(KeyState::PendingDeletion));
    assert_eq!(stage.found(&paused), ["arn:key/1 - key-unusable"]);
    let findings = stage.coverage(&paused).findings();
    let detail = findings[0].reasons[0].detail.as_deref().unwrap();
    let named = "4 snapshots are under it: snap-1, snap-2, snap-3 and 1 more";
    assert!(detail.contains(named), "{detail}");
}

#[test]
fn a_usable_key_is_no_finding_and_one_that_may_not_be_looked_at_is_said() {
    let mut stage = one_volume();
    stage.snapshot("snap-1", "nightly", "vol-1", "2026-11-23T03:00:00Z");
    stage.volume_mut("vol-1").kms_key = Some("arn:key/1".into());
    stage.keys.insert("arn:key/1".into(), Ok(KeyState::Enabled));
    assert_eq!(stage.found(NIGHTLY), [""; 0]);
    let denied = Err(refused(ErrorClass::Denied));
    stage.keys.insert("arn:key/1".into(), denied);
    assert_eq!(stage.found(NIGHTLY), ["arn:key/1 - evidence-incomplete"]);
}

#[test]
fn everything_that_is_picked_is_listed_and_only_what_is_wrong_is_a_finding() {
    let mut stage = Stage::default();
    stage.volume("vol-2", &[], &PICKED);
    stage.volume("vol-1", &[], &PICKED);
    stage.snapshot("snap-2", "nightly", "vol-2", "2026-11-23T03:00:00Z");
    let items = stage.coverage(NIGHTLY).items();
    let lines: Vec<(&str, Outcome, ReasonCode)> = items
        .iter()
        .map(|item| (item.resource.as_str(), item.outcome, item.reasons[0].code))
        .collect();
    assert_eq!(
        lines,
        [
            ("vol-1", Outcome::Finding, ReasonCode::NoBackup),
            ("vol-2", Outcome::Recorded, ReasonCode::Covered),
        ]
    );
}
