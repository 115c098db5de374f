//! What a change of an instance's state asks for: whether the machine still is what the event said,
//! what the cooldown puts off, and which changes no backup answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{Instance, InstanceState, Lifecycle, Tags};
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::plan::bake::{Lost, Standing, Turn, lost, not_rebooted, standing, turn};
use holdfast_core::policy::{Policy, PolicyFile, Trigger};
use holdfast_core::ports::records::OpenSource;
use jiff::Timestamp;

fn at(time: &str) -> Timestamp {
    format!("2026-03-02T{time}Z").parse().unwrap()
}

/// Long after everything, so that no list lags any more.
fn wall() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn policy(words: &str) -> Policy {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ A: b }} }} }}\n    retain: {{ last: 7 }}\n    {words}\n"
    );
    let mut file = PolicyFile::parse("policies.yaml", &text, wall()).unwrap();
    file.policies.remove(0)
}

fn all() -> Policy {
    policy("triggers: [stopped, running, spot-interruption]")
}

fn machine(state: InstanceState, launched: &str) -> Instance {
    Instance {
        id: InstanceId::new("i-1"),
        state,
        image: None,
        instance_type: None,
        launched: Some(at(launched)),
        root_device: None,
        root_device_type: Some("ebs".into()),
        lifecycle: Lifecycle::default(),
        launch: None,
        devices: Vec::new(),
        tags: Tags::new(),
    }
}

fn stopped_by(code: &str, words: &str) -> Instance {
    Instance {
        lifecycle: Lifecycle {
            hibernation: false,
            code: Some(code.to_owned()),
            words: Some(words.to_owned()),
        },
        ..machine(InstanceState::Stopped, "08:00:00")
    }
}

fn bake(trigger: Trigger, slot: &str, state: SlotState) -> SlotRecord {
    SlotRecord {
        policy: "p".into(),
        slot: at(slot),
        source: "i-1".into(),
        request: None,
        trigger: Some(trigger),
        scheduled: false,
        state,
        run: "r".into(),
        attempt: 1,
        requested_at: Some(wall()),
        rebooted: false,
        artifacts: Vec::new(),
        lost: Vec::new(),
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        event_over: false,
        fence: 1,
    }
}

fn stands(trigger: Trigger, state: InstanceState) -> &'static str {
    let seen = machine(state, "08:00:00");
    match standing(trigger, at("10:00:00"), Some(&seen), wall()) {
        Standing::AsTold => "bake",
        Standing::NotYet(_) => "wait",
        Standing::MovedOn(_) => "over",
    }
}

#[test]
fn each_state_answers_each_event_as_the_table_says() {
    use InstanceState as State;
    let states = [
        State::Pending,
        State::Running,
        State::Stopping,
        State::Stopped,
        State::ShuttingDown,
        State::Terminated,
        State::Unknown("new".into()),
    ];
    for (trigger, row) in [
        (Trigger::Stopped, "over over wait bake over over wait"),
        (Trigger::Running, "wait bake over over over over wait"),
        (
            Trigger::SpotInterruption,
            "over bake wait bake over over wait",
        ),
    ] {
        let found: Vec<&str> = states.iter().map(|s| stands(trigger, s.clone())).collect();
        assert_eq!(found.join(" "), row, "{trigger:?}");
    }
}

#[test]
fn a_machine_that_was_started_after_the_event_has_moved_on_even_if_it_is_in_that_state_again() {
    for (trigger, state) in [
        (Trigger::Stopped, InstanceState::Stopped),
        (Trigger::Running, InstanceState::Running),
        (Trigger::SpotInterruption, InstanceState::Running),
    ] {
        let seen = machine(state, "10:00:01");
        let stands = |slot| standing(trigger, at(slot), Some(&seen), wall());
        assert!(
            matches!(stands("10:00:00"), Standing::MovedOn(_)),
            "{trigger:?}"
        );
        assert_eq!(stands("10:00:01"), Standing::AsTold, "{trigger:?}");
    }
}

#[test]
fn what_contradicts_a_fresh_event_is_waited_for_two_minutes() {
    let slot = at("10:00:00");
    let running = machine(InstanceState::Running, "08:00:00");
    for seen in [Some(&running), None] {
        let early = standing(Trigger::Stopped, slot, seen, at("10:01:59"));
        assert!(matches!(early, Standing::NotYet(_)), "{early:?}");
        let late = standing(Trigger::Stopped, slot, seen, at("10:02:00"));
        assert!(matches!(late, Standing::MovedOn(_)), "{late:?}");
    }
}

fn turn_of(
    policy: &Policy,
    trigger: Trigger,
    slot: &str,
    launched: &str,
    bakes: &[SlotRecord],
) -> Turn {
    let slot = at(slot);
    turn(
        policy,
        (trigger, slot),
        Some(at(launched)),
        bakes,
        slot,
        wall(),
    )
}

#[test]
fn an_event_within_the_cooldown_of_another_is_put_off_until_it_is_over() {
    let before = [bake(Trigger::Stopped, "10:00:00", SlotState::Completed)];
    let turn_at = |slot, launched| turn_of(&all(), Trigger::Stopped, slot, launched, &before);
    let put_off = Turn::PutOff {
        slot: at("10:00:00"),
        until: at("11:00:00"),
    };
    assert_eq!(turn_at("10:59:59", "10:30:00"), put_off);
    assert_eq!(turn_at("11:00:00", "10:30:00"), Turn::Due);
    // Any trigger's bake of the policy holds back the others.
    let other = turn_of(&all(), Trigger::Running, "10:30:00", "10:29:00", &before);
    assert_eq!(other, put_off);
    let short = policy("triggers: [stopped]\n    cooldown: 15m");
    assert_eq!(
        turn_of(&short, Trigger::Stopped, "10:15:00", "10:10:00", &before),
        Turn::Due
    );
}

#[test]
fn a_backup_that_failed_or_was_never_begun_puts_nothing_off() {
    for state in [SlotState::Failed, SlotState::Intended] {
        let before = [bake(Trigger::Stopped, "10:00:00", state)];
        let turn = turn_of(&all(), Trigger::Stopped, "10:10:00", "10:05:00", &before);
        assert_eq!(turn, Turn::Due, "{state:?}");
    }
    for state in [SlotState::Requested, SlotState::Created] {
        let before = [bake(Trigger::Stopped, "10:00:00", state)];
        let turn = turn_of(&all(), Trigger::Stopped, "10:10:00", "10:05:00", &before);
        assert!(matches!(turn, Turn::PutOff { .. }), "{state:?}");
    }
}

#[test]
fn the_warning_of_an_interruption_is_never_put_off_and_puts_others_off() {
    let before = [bake(Trigger::Running, "10:00:00", SlotState::Created)];
    let warned = turn_of(
        &all(),
        Trigger::SpotInterruption,
        "10:10:00",
        "09:59:00",
        &before,
    );
    assert_eq!(warned, Turn::Due);
    let warned = [bake(
        Trigger::SpotInterruption,
        "10:10:00",
        SlotState::Created,
    )];
    let stopped = turn_of(&all(), Trigger::Stopped, "10:12:00", "09:59:00", &warned);
    assert!(matches!(stopped, Turn::PutOff { .. }));
}

#[test]
fn one_change_told_by_two_events_has_one_backup() {
    let before = [bake(Trigger::Stopped, "10:00:00", SlotState::Requested)];
    let again = |slot| turn_of(&all(), Trigger::Stopped, slot, "08:00:00", &before);
    let done = Turn::Done {
        slot: at("10:00:00"),
    };
    assert_eq!(again("10:00:05"), done);
    assert_eq!(again("13:00:00"), done);
    assert_eq!(again("09:00:00"), done);
    // Its own record is no other event's.
    assert_eq!(again("10:00:00"), Turn::Due);
}

#[test]
fn what_seems_to_be_done_by_a_description_that_may_lag_waits() {
    let before = [bake(Trigger::Stopped, "10:00:00", SlotState::Created)];
    let slot = at("12:00:00");
    let event = (Trigger::Stopped, slot);
    let turn_at = |wall| turn(&all(), event, Some(at("08:00:00")), &before, slot, wall);
    let first = at("10:00:00");
    assert_eq!(turn_at(at("12:01:59")), Turn::Unsure { slot: first });
    assert_eq!(turn_at(at("12:02:00")), Turn::Done { slot: first });
}

#[test]
fn a_newer_events_backup_stands_for_an_older_event() {
    let before = [bake(Trigger::Stopped, "10:02:00", SlotState::Created)];
    let turn = turn_of(
        &all(),
        Trigger::SpotInterruption,
        "10:00:00",
        "08:00:00",
        &before,
    );
    let newer = at("10:02:00");
    assert_eq!(turn, Turn::Superseded { slot: newer });
}

#[test]
fn the_time_of_a_change_is_read_from_its_words_or_not_at_all() {
    let read = |words: &str| stopped_by("Client.UserInitiatedShutdown", words).changed();
    assert_eq!(
        read("User initiated (2026-03-02 10:00:00 GMT)"),
        Some(at("10:00:00"))
    );
    for words in [
        "",
        "User initiated",
        "User initiated ()",
        "User initiated (2026-03-02 10:00:00)",
        "User initiated (2026-13-02 10:00:00 GMT)",
        "Server.SpotInstanceShutdown: reclaimed",
        ") 2026-03-02 10:00:00 GMT (",
    ] {
        assert_eq!(read(words), None, "{words}");
    }
}

#[test]
fn a_machine_that_may_have_hibernated_is_not_taken_for_shut_down() {
    let hibernates = |code: Option<&str>, hibernation| {
        let mut stopped = stopped_by("", "");
        stopped.lifecycle.code = code.map(str::to_owned);
        stopped.lifecycle.hibernation = hibernation;
        stopped.may_be_hibernated()
    };
    assert!(hibernates(Some("Client.UserInitiatedHibernate"), false));
    assert!(hibernates(Some("Server.SpotInstanceShutdown"), true));
    assert!(hibernates(None, true));
    assert!(!hibernates(Some("Client.UserInitiatedShutdown"), true));
    assert!(!hibernates(Some("Client.InstanceInitiatedShutdown"), true));
    assert!(!hibernates(None, false));
}

fn found(policy: &Policy, instance: &Instance, bakes: &[SlotRecord]) -> Option<Lost> {
    lost(policy, instance, bakes, &[], at("12:00:00"))
}

#[test]
fn a_change_without_a_backup_is_lost_once_its_event_was_awaited_for_a_quarter_of_an_hour() {
    let expected = |trigger, at| {
        Some(Lost {
            trigger,
            at,
            can_be_made: true,
        })
    };
    let policy = all();
    for (launched, is_lost) in [("11:45:00", true), ("11:45:01", false)] {
        let booted = machine(InstanceState::Running, launched);
        let lost = expected(Trigger::Running, Some(at(launched)));
        assert_eq!(found(&policy, &booted, &[]), lost.filter(|_| is_lost));
    }
    let user = "Client.UserInitiatedShutdown";
    let stopped = stopped_by(user, "User initiated (2026-03-02 11:45:00 GMT)");
    let lost = expected(Trigger::Stopped, Some(at("11:45:00")));
    assert_eq!(found(&policy, &stopped, &[]), lost);
    let stopped = stopped_by(user, "User initiated (2026-03-02 11:45:01 GMT)");
    assert_eq!(found(&policy, &stopped, &[]), None);
    // A time that cannot be is none, and what has none is taken for old.
    for words in [
        "",
        "User initiated (2026-03-02 07:59:59 GMT)",
        "User initiated (2026-03-02 12:00:01 GMT)",
    ] {
        let stopped = stopped_by(user, words);
        let lost = expected(Trigger::Stopped, None);
        assert_eq!(found(&policy, &stopped, &[]), lost, "{words}");
    }
}

#[test]
fn a_change_is_not_lost_while_its_backup_stands_was_refused_or_is_put_off() {
    let policy = all();
    let stopped = stopped_by("Client.UserInitiatedShutdown", "");
    let mut refused = bake(Trigger::Stopped, "09:00:00", SlotState::Failed);
    refused.permanent = true;
    let mut failing = bake(Trigger::Stopped, "09:00:00", SlotState::Failed);
    failing.failures = 1;
    for answered in [
        bake(Trigger::Stopped, "09:00:00", SlotState::Requested),
        bake(Trigger::Stopped, "09:00:00", SlotState::Completed),
        refused,
        failing,
        // Tried again until two hours after its event: the cooldown and one more.
        bake(Trigger::Stopped, "10:00:01", SlotState::Failed),
        // Another trigger's bake puts it off until noon is past.
        bake(Trigger::Running, "11:00:01", SlotState::Completed),
    ] {
        let one = [answered];
        assert_eq!(found(&policy, &stopped, &one), None, "{one:?}");
    }
    for other in [
        // Left by everybody, and never recorded as given up.
        bake(Trigger::Stopped, "10:00:00", SlotState::Failed),
        // Of the launch before this one.
        bake(Trigger::Stopped, "07:59:59", SlotState::Completed),
        // Of another change, and its cooldown is over.
        bake(Trigger::Running, "11:00:00", SlotState::Completed),
    ] {
        let one = [other];
        assert!(found(&policy, &stopped, &one).is_some(), "{one:?}");
    }
}

#[test]
fn an_event_that_is_left_to_the_heartbeats_is_not_lost() {
    let policy = policy("triggers: [stopped]\n    formerly: [old]");
    let stopped = stopped_by("Client.UserInitiatedShutdown", "");
    let left = |name: &str, slot, trigger| OpenSource {
        policy: name.into(),
        slot: at(slot),
        source: stopped.id.to_string(),
        request: None,
        trigger: Some(trigger),
        failures: 0,
    };
    let is_lost = |open| lost(&policy, &stopped, &[], &[open], at("12:00:00")).is_some();
    for name in [policy.name.as_str(), "old"] {
        assert!(!is_lost(left(name, "08:00:00", Trigger::Stopped)));
    }
    let other = OpenSource {
        source: "i-2".into(),
        ..left(&policy.name, "09:00:00", Trigger::Stopped)
    };
    for open in [
        other,
        left("another", "09:00:00", Trigger::Stopped),
        left(&policy.name, "09:00:00", Trigger::Running),
        // Of the launch before this one.
        left(&policy.name, "07:59:59", Trigger::Stopped),
    ] {
        assert!(is_lost(open.clone()), "{open:?}");
    }
}

#[test]
fn only_the_bake_of_a_boot_told_in_time_may_reboot() {
    let slot = at("12:00:00");
    let reboots =
        |trigger, launched: Option<&str>| not_rebooted(trigger, slot, launched.map(at)).is_none();
    assert!(reboots(Trigger::Running, Some("11:45:01")));
    assert!(!reboots(Trigger::Running, Some("11:45:00")));
    assert!(!reboots(Trigger::Running, None));
    assert!(!reboots(Trigger::SpotInterruption, Some("11:59:00")));
    assert!(!reboots(Trigger::Stopped, Some("11:59:00")));
}

#[test]
fn only_what_the_policy_asks_for_is_lost() {
    let stopping = machine(InstanceState::Stopping, "08:00:00");
    assert_eq!(found(&all(), &stopping, &[]), None);
    let running = machine(InstanceState::Running, "08:00:00");
    assert_eq!(found(&policy("triggers: [stopped]"), &running, &[]), None);
    let spot = policy("triggers: [spot-interruption]");
    let by_user = stopped_by("Client.UserInitiatedShutdown", "");
    assert_eq!(found(&spot, &by_user, &[]), None);
    let reclaimed = stopped_by("Server.SpotInstanceShutdown", "");
    let lost = found(&spot, &reclaimed, &[]).unwrap();
    assert_eq!(
        (lost.trigger, lost.can_be_made),
        (Trigger::SpotInterruption, true)
    );
    let gone = Instance {
        state: InstanceState::Terminated,
        ..stopped_by("Server.SpotInstanceTermination", "")
    };
    assert!(!found(&spot, &gone, &[]).unwrap().can_be_made);
}
