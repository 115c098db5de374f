//! What follows from a reason, in words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_core::plan::remedy::{About, advise, breaks, remedy};
use holdfast_core::policy::{Policy, PolicyFile};
use holdfast_core::report::{Reason, ReasonCode};

fn policy(more: &str) -> Policy {
    let text = format!(
        "version: 1\npolicies:\n  - name: nightly\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ B: x }} }} }}\n    schedule: rate(1 hour)\n    \
         retain: {{ last: 3, daily: 7, within: 48h }}\n    {more}\n"
    );
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    PolicyFile::parse("p.yaml", &text, now)
        .unwrap()
        .policies
        .remove(0)
}

fn about(policy: &Policy) -> About<'_> {
    About {
        id: "ami-1",
        time: Some("2026-03-01T03:00:00Z".parse().unwrap()),
        policy: Some(policy),
    }
}

fn reason(code: ReasonCode, detail: &str, path: &[&str]) -> Reason {
    Reason {
        code,
        detail: Some(detail.into()),
        path: path.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// Both sentences under the policy as it stands.
fn words(code: ReasonCode, detail: &str, path: &[&str]) -> (Option<String>, Option<String>) {
    let policy = policy("");
    let reason = reason(code, detail, path);
    (
        breaks(&about(&policy), &reason),
        remedy(&about(&policy), &reason),
    )
}

#[test]
fn every_code_that_can_hold_a_backup_has_a_remedy() {
    // Those of creations, of coverage and of runs, which stand in no verdict; and the two that condemn.
    let without = [
        "expired",
        "source-gone",
        "not-covered",
        "instance-state",
        "volume-state",
        "slot-missed",
        "key-unusable",
        "too-many-exclusions",
        "not-picked",
        "throttled",
        "resource-limit",
        "outcome-unknown",
        "adopted",
        "already-created",
        "lease-held",
        "out-of-time",
        "refused",
        "late",
        "slot-due",
        "unrecorded",
        "name-taken",
        "attempts-exhausted",
        "quiet",
        "not-quiet",
        "application-consistent",
        "crash-consistent",
        "no-guest",
        "guest-offline",
        "guest-unsupported",
        "freeze-failed",
        "thaw-failed",
        "thaw-unknown",
        "covered",
        "not-yet-due",
        "no-backup",
        "rpo-exceeded",
        "matches-nothing",
        "cooldown",
        "event-lost",
        "restored-from",
        "archived",
        "incomplete-set",
        "device-in-use",
        "launch-unknown",
        "interrupted",
        "foreseen",
    ];
    let none = ReasonCode::ALL
        .iter()
        .filter(|code| words(**code, "d", &[]).1.is_none());
    let none: BTreeSet<&str> = none.map(|code| code.as_str()).collect();
    assert_eq!(none, BTreeSet::from(without));
}

#[test]
fn every_reference_says_what_would_break() {
    let of = ReasonCode::ALL
        .iter()
        .filter(|code| words(**code, "d", &["ami-1", "x"]).0.is_some());
    let of: Vec<&str> = of.map(|code| code.as_str()).collect();
    assert_eq!(
        of,
        [
            "used-by-image",
            "used-by-instance",
            "used-by-launch-template",
            "used-by-launch-configuration",
            "used-by-auto-scaling-group",
            "used-by-fleet",
            "used-by-parameter",
            "used-by-image-recipe",
            "shared-with-account",
            "recently-launched",
            "fast-restore-enabled",
            "in-recycle-bin",
            "copy-in-progress",
            "pending",
        ]
    );
}

#[test]
fn launch_template_versions_are_named_and_the_policys_word_on_old_ones_only_while_it_would_help() {
    let old = reason(
        ReasonCode::UsedByLaunchTemplate,
        "lt-1 versions 1, 3",
        &["snap-1", "ami-1", "lt-1"],
    );
    let all = policy("");
    assert_eq!(
        breaks(&about(&all), &old).unwrap(),
        "launches by lt-1 versions 1, 3 fail"
    );
    assert_eq!(
        remedy(&about(&all), &old).unwrap(),
        "delete lt-1 versions 1, 3 (the default one once another is the default), or set \
         `launch_template_versions: default-and-latest` in nightly if those that are neither need \
         not hold"
    );
    let narrowed = policy("launch_template_versions: default-and-latest");
    assert_eq!(
        remedy(&about(&narrowed), &old).unwrap(),
        "delete lt-1 versions 1, 3 (the default one once another is the default)"
    );
    // As EC2's own references tell it.
    let reported = reason(
        ReasonCode::UsedByLaunchTemplate,
        "lt-1 names it",
        &["ami-1", "lt-1"],
    );
    assert_eq!(
        remedy(&about(&narrowed), &reported).unwrap(),
        "delete the versions of lt-1 that name it (the default one once another is the default)"
    );
}

#[test]
fn a_stopped_instance_may_be_let_go_by_the_policy_only_where_it_does_not_already() {
    let instance = reason(
        ReasonCode::UsedByInstance,
        "i-1 (stopped) was launched from it",
        &["ami-1", "i-1"],
    );
    let holds = policy("");
    let words = remedy(&about(&holds), &instance).unwrap();
    assert!(
        words.starts_with("terminate i-1; ") && words.contains("stopped_instances_hold: false")
    );
    let lets_go = policy("stopped_instances_hold: false");
    assert_eq!(
        remedy(&about(&lets_go), &instance).unwrap(),
        "terminate i-1"
    );
}

#[test]
fn groups_fleets_and_shares_are_told_by_what_stands_at_the_end_of_the_path() {
    let path = ["snap-1", "ami-1", "lt-1", "web"];
    let (broken, _) = words(
        ReasonCode::UsedByAutoScalingGroup,
        "Auto Scaling group web",
        &path,
    );
    assert_eq!(
        broken.unwrap(),
        "Auto Scaling group web can neither scale out nor replace an instance"
    );
    let fleet = words(
        ReasonCode::UsedByFleet,
        "EC2 Fleet fleet-1 names it",
        &["ami-1", "fleet-1"],
    );
    assert_eq!(fleet.0.unwrap(), "fleet-1 can launch no instance of ami-1");
    assert_eq!(fleet.1.unwrap(), "cancel or delete fleet-1");

    let share = ["ami-1", "snap-1", "444455556666"];
    let (broken, change) = words(
        ReasonCode::SharedWithAccount,
        "account 444455556666 may use it",
        &share,
    );
    assert_eq!(
        broken.unwrap(),
        "account 444455556666 can use snap-1 no longer"
    );
    assert_eq!(
        change.unwrap(),
        "stop sharing snap-1 with account 444455556666"
    );
    let (broken, change) = words(
        ReasonCode::SharedWithAccount,
        "everybody may use it",
        &["snap-1", "ami-1"],
    );
    assert_eq!(broken.unwrap(), "everybody else can use ami-1 no longer");
    assert_eq!(change.unwrap(), "stop sharing ami-1 with everybody else");
}

#[test]
fn fast_restore_locks_and_pins_name_the_snapshot_or_the_source_and_the_zone() {
    let detail = "fast snapshot restore is enabled in eu-central-1a";
    let (_, change) = words(ReasonCode::FastRestoreEnabled, detail, &["ami-1", "snap-1"]);
    assert_eq!(
        change.unwrap(),
        "disable fast snapshot restore of snap-1 (fast snapshot restore is enabled in \
         eu-central-1a)"
    );
    let (_, change) = words(ReasonCode::Locked, "it is locked (governance)", &["snap-1"]);
    assert!(change.unwrap().starts_with("unlock snap-1, "));
    let (_, change) = words(ReasonCode::Pinned, "its source", &["ami-1", "i-1"]);
    assert_eq!(change.unwrap(), "remove the tag holdfast:pin from i-1");
    let (_, change) = words(ReasonCode::Pinned, "it carries holdfast:pin", &[]);
    assert_eq!(change.unwrap(), "remove the tag holdfast:pin from ami-1");
    let recorded = "its source i-1 was pinned when last seen";
    let (_, change) = words(ReasonCode::Pinned, recorded, &["ami-1", "i-1"]);
    assert_eq!(
        change.unwrap(),
        "take the pin of i-1 off the record: `holdfast unpin i-1`; it stays there until it is taken \
         off, also when i-1 is gone"
    );
}

#[test]
fn a_rule_says_when_it_lets_go_if_nothing_changes() {
    let of = |code| words(code, "newest of 2026-03-01", &[]).1.unwrap();
    assert_eq!(
        of(ReasonCode::RetainDaily),
        "nothing: `daily` of nightly lets it go when its group has backups of 7 newer days; a \
         lower `daily` does sooner"
    );
    assert_eq!(
        of(ReasonCode::RetainLast),
        "nothing: `last` of nightly lets it go when its group has 3 newer backups; a lower `last` \
         does sooner"
    );
    // 48 hours after it: `within` is measured from the newest backup, not from the clock.
    assert_eq!(
        of(ReasonCode::RetainWithin),
        "nothing: `within` of nightly lets it go when a backup of its group from \
         2026-03-03T03:00:00Z or later stands"
    );
    assert_eq!(
        of(ReasonCode::MinCopies),
        "nothing: it goes once its group has 1 newer good backup; the newest ones go only by \
         `source_gone` of nightly"
    );
}

#[test]
fn reasons_that_come_to_the_same_are_told_once_and_none_is_nothing() {
    let policy = policy("");
    let pin = reason(
        ReasonCode::Pinned,
        "its source i-1 carries it",
        &["ami-1", "i-1"],
    );
    let advice = advise(&about(&policy), &[pin.clone(), pin]).unwrap();
    assert_eq!((advice.breaks.len(), advice.remedies.len()), (0, 1));
    let expired = Reason::of(ReasonCode::Expired);
    assert_eq!(advise(&about(&policy), &[expired]), None);
}

#[test]
fn only_a_source_that_a_policy_may_declare_is_offered_to_be_declared() {
    let of = |detail: &str, path: &[&str]| {
        let (_, change) = words(ReasonCode::EvidenceIncomplete, detail, path);
        change.unwrap()
    };
    let denied = "DescribeFleets of *: UnauthorizedOperation: no";
    let fleets = of(&format!("fleets: {denied}"), &[]);
    assert!(
        fleets.starts_with("make it possible to read fleets, "),
        "{fleets}"
    );
    assert!(
        fleets.contains("`fleets: not-used` under `evidence` of nightly"),
        "{fleets}"
    );
    // The contract requires these four of every policy; a file that declares one is refused.
    for source in ["instances", "images", "volumes", "shares"] {
        let words = of(&format!("{source}: Describe of *: no"), &[]);
        assert!(words.starts_with("make it possible to read "), "{words}");
        assert!(!words.contains("not-used"), "{words}");
    }
    let locks = of("locks: DescribeLockedSnapshots of *: no", &[]);
    assert!(locks.starts_with("make it possible to read "), "{locks}");
    assert!(!locks.contains("by hand"), "{locks}");
    let table = of("lineage: table holdfast could not be read", &[]);
    assert!(
        table.starts_with("make Holdfast's table readable"),
        "{table}"
    );
    let parameter = "lt-1 version 2: its image is a parameter that is not resolved";
    let parameter = of(parameter, &["ami-1", "lt-1"]);
    assert!(
        parameter.starts_with("let lt-1 name its image by identifier"),
        "{parameter}"
    );
    // No list could tell more of it.
    let copy = of(
        "EC2 names no instance that it was made of; it may be a copy",
        &[],
    );
    assert!(
        copy.starts_with("nothing: ") && copy.contains("by hand"),
        "{copy}"
    );
}

#[test]
fn a_breaker_that_waiting_does_not_release_is_not_said_to_end_by_itself() {
    let collapse = "images: 3 listed now, 40 when the last sweep counted; if that is right, release \
                    this plan by its hash";
    let (_, change) = words(ReasonCode::CircuitBreaker, collapse, &[]);
    let change = change.unwrap();
    assert!(change.contains("release it by its plan_hash"), "{change}");
    assert!(
        change.contains("waiting lets go only what `limits` of nightly hold"),
        "{change}"
    );
}

#[test]
fn an_instance_that_is_gone_is_not_to_be_terminated() {
    let policy = policy("terminated_instances_hold: true");
    let gone = reason(
        ReasonCode::UsedByInstance,
        "i-1 (terminated) was launched from it",
        &["ami-1", "i-1"],
    );
    let change = remedy(&about(&policy), &gone).unwrap();
    assert!(change.starts_with("nothing: "), "{change}");
    assert!(
        change.contains("`terminated_instances_hold: false` in nightly"),
        "{change}"
    );
}
