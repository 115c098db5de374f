//! Events beside scheduled slots, and events that were lost, put off or given up.

use holdfast_core::inventory::ImageState;
use holdfast_core::policy::{Protect, Trigger};
use holdfast_core::report::{Outcome, ReasonCode, Report};

use jiff::SignedDuration;

use super::interrupted::cases::cases;
use super::scene::{BOTH, Made, NIGHTLY, SLOT, Scene, each, key, machine, of};
use super::stage::bursts;

const STOPPED: &str = "    triggers: [stopped]\n";

/// What is said, with the first of its reasons.
fn told(report: &Report) -> Vec<(Outcome, ReasonCode)> {
    let items = report.items.iter();
    items
        .filter_map(|item| Some((item.outcome, item.reasons.first()?.code)))
        .collect()
}

fn lost(report: &Report) -> usize {
    let items = told(report).into_iter();
    items
        .filter(|(_, code)| *code == ReasonCode::EventLost)
        .count()
}

fn created(report: &Report) -> usize {
    let items = report.items.iter();
    items
        .filter(|item| item.outcome == Outcome::Created)
        .count()
}

/// The set and the AMI of a slot.
fn whole(scene: &Scene, slot: &str, id: &str) -> Made {
    let volumes = scene.volumes(id);
    Made::from([
        (key("sets", slot, id), of(&[&volumes[0], &volumes[1]])),
        (key("amis", slot, id), (Default::default(), 1)),
    ])
}

#[test]
fn an_event_whose_machine_has_moved_on_takes_nothing_from_the_slot_of_its_second() {
    cases("slot-after-event", 1, async |_| {
        let (scene, id) = each(&format!("{NIGHTLY}{STOPPED}"));
        scene.start_machine("2026-03-03T02:00:00Z", &id);
        for protect in BOTH {
            let event = scene.stop(protect, SLOT, &id).await?;
            assert_eq!(
                told(&event),
                [(Outcome::Skipped, ReasonCode::InstanceState)]
            );
            scene.beat(protect, SLOT).await?;
        }
        assert_eq!(scene.made(), whole(&scene, SLOT, &id));
        Ok(())
    });
}

#[test]
fn an_event_that_waits_does_not_bind_the_slot_of_its_second_to_its_machines_state() {
    cases("slot-beside-event", 1, async |_| {
        // The cooldown after the stop of half past two puts off that of three.
        let (scene, id) = each(&format!("{NIGHTLY}{STOPPED}"));
        for protect in BOTH {
            scene.stop(protect, "2026-03-03T02:30:00Z", &id).await?;
        }
        scene.start_machine("2026-03-03T02:40:00Z", &id);
        scene.stop_machine("2026-03-03T02:59:00Z", &id);
        for protect in BOTH {
            let event = scene.stop(protect, SLOT, &id).await?;
            assert_eq!(told(&event), [(Outcome::Deferred, ReasonCode::Cooldown)]);
            assert_ne!(created(&scene.beat(protect, SLOT).await?), 0);
        }
        let mut expected = whole(&scene, SLOT, &id);
        expected.extend(whole(&scene, "2026-03-03T02:30:00Z", &id));
        for protect in BOTH {
            scene.beat(protect, "2026-03-03T03:35:00Z").await?;
        }
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn the_backup_of_a_slot_answers_the_event_of_its_second_that_comes_after_it() {
    cases("event-after-slot", 1, async |_| {
        let (scene, id) = each(&format!("{NIGHTLY}{STOPPED}"));
        scene.start_machine("2026-03-03T02:00:00Z", &id);
        scene.stop_machine("2026-03-03T02:59:00Z", &id);
        for protect in BOTH {
            scene.beat(protect, SLOT).await?;
            assert!(scene.stop(protect, SLOT, &id).await?.run.complete);
        }
        let found = scene.reconcile("2026-03-03T06:00:00Z").await?;
        assert_eq!(lost(&found), 0, "{found:?}");
        for protect in BOTH {
            scene.beat(protect, "2026-03-03T06:05:00Z").await?;
        }
        assert_eq!(scene.made(), whole(&scene, SLOT, &id));
        Ok(())
    });
}

#[test]
fn what_ec2_fails_of_a_slot_and_an_event_is_started_again_although_the_machine_has_moved_on() {
    cases("failed-of-both", 1, async |_| {
        let (scene, id) = each(&format!("{NIGHTLY}{STOPPED}"));
        scene.ec2.account().fail_next_image("Internal error");
        scene.stop(Protect::Instances, SLOT, &id).await?;
        scene.beat(Protect::Instances, SLOT).await?;
        scene.start_machine("2026-03-03T03:05:00Z", &id);
        scene.reconcile("2026-03-03T03:30:00Z").await?;
        scene.records.let_pass(SignedDuration::from_mins(20));
        let again = scene
            .beat(Protect::Instances, "2026-03-03T03:35:00Z")
            .await?;
        assert_eq!(created(&again), 1, "{again:?}");
        scene
            .ec2
            .account()
            .advance_by(SignedDuration::from_hours(1));
        let account = scene.ec2.account();
        let states: Vec<ImageState> = account.images().map(|image| image.state.clone()).collect();
        assert_eq!(states.len(), 2);
        assert!(states.contains(&ImageState::Available), "{states:?}");
        Ok(())
    });
}

#[test]
fn a_machine_of_which_nothing_is_taken_has_lost_no_event() {
    cases("nothing-taken", 1, async |_| {
        let words = format!(
            "    select: {{ instances: {{ tags: {{ Backup: x }} }}, exclude: {{ tags: {{ Scratch: \"*\" }} }} }}\n{STOPPED}"
        );
        let mut id = String::new();
        let scratch = [("Scratch", "1")];
        let scene = Scene::new(&[("sets", "volumes", words.as_str())], |account| {
            id = machine(account, &[("Backup", "x")], &[&scratch, &scratch]);
        });
        let slot = "2026-03-03T10:00:00Z";
        assert!(scene.stop(Protect::Volumes, slot, &id).await?.run.complete);
        let found = scene.reconcile("2026-03-03T12:00:00Z").await?;
        assert_eq!(lost(&found), 0, "{found:?}");
        assert!(scene.records.contents().open.is_empty());
        Ok(())
    });
}

#[test]
fn an_event_that_was_given_up_is_not_found_as_lost() {
    cases("given-up", 1, async |_| {
        let words = "    triggers: [running]\n    consistency: application\n    \
                     application: { document: freeze }\n";
        let words = format!("    select: {{ instances: {{ tags: {{ Backup: x }} }} }}\n{words}");
        let mut id = String::new();
        let scene = Scene::new(&[("sets", "volumes", words.as_str())], |account| {
            id = machine(account, &[("Backup", "x")], &[&[]]);
        });
        let protect = Protect::Volumes;
        scene.start_machine("2026-03-03T10:00:00Z", &id);
        let slot = "2026-03-03T10:00:30Z";
        let offline = [(Outcome::Failed, ReasonCode::GuestOffline)];
        let event = scene.told(Trigger::Running, protect, slot, &id).await?;
        assert_eq!(told(&event), offline);
        let beat = scene.beat(protect, "2026-03-03T12:00:00Z").await?;
        assert_eq!(told(&beat), offline);
        // The cooldown and one hour more.
        let beat = scene.beat(protect, "2026-03-03T12:00:30Z").await?;
        let given_up = [(Outcome::Finding, ReasonCode::SlotMissed)];
        assert_eq!(told(&beat), given_up);
        for time in ["2026-03-03T12:05:00Z", "2026-03-04T12:05:00Z"] {
            let found = scene.reconcile(time).await?;
            assert_eq!(lost(&found), 0, "{found:?}");
        }
        let beat = scene.beat(protect, "2026-03-04T12:10:00Z").await?;
        assert_eq!(told(&beat), []);
        Ok(())
    });
}

#[test]
fn the_bake_of_a_lost_boot_does_not_reboot_a_machine_that_is_at_work() {
    cases("lost-boot", 1, async |_| {
        let words = "    select: { instances: { tags: { Backup: x } } }\n    \
                     triggers: [running]\n    reboot: true\n";
        let mut id = String::new();
        let scene = Scene::new(&[("amis", "instances", words)], |account| {
            id = machine(account, &[("Backup", "x")], &[&[]]);
        });
        let protect = Protect::Instances;
        let reboots = || {
            let account = scene.ec2.account();
            account.instances().next().unwrap().reboots
        };
        scene.start_machine("2026-03-02T10:00:00Z", &id);
        assert_eq!(lost(&scene.reconcile("2026-03-03T09:00:00Z").await?), 1);
        let beat = scene.beat(protect, "2026-03-03T09:05:00Z").await?;
        assert_eq!(told(&beat), [(Outcome::Created, ReasonCode::NotQuiet)]);
        assert_eq!(reboots(), 0);
        // Its next boot, told in time, is what the policy means.
        scene.stop_machine("2026-03-03T12:00:00Z", &id);
        scene.start_machine("2026-03-03T12:10:00Z", &id);
        let slot = "2026-03-03T12:10:20Z";
        let event = scene.told(Trigger::Running, protect, slot, &id).await?;
        assert_eq!(created(&event), 1, "{event:?}");
        assert_eq!(reboots(), 1);
        Ok(())
    });
}

#[test]
fn an_event_that_waits_is_not_lost_at_the_moment_when_its_cooldown_ends() {
    cases("cooldown-ends", 1, async |_| {
        let (scene, id) = each(STOPPED);
        for protect in BOTH {
            scene.stop(protect, "2026-03-03T10:00:10Z", &id).await?;
        }
        scene.start_machine("2026-03-03T10:10:00Z", &id);
        scene.stop_machine("2026-03-03T10:20:00Z", &id);
        let slot = "2026-03-03T10:20:20Z";
        for protect in BOTH {
            let event = scene.stop(protect, slot, &id).await?;
            assert_eq!(told(&event), [(Outcome::Deferred, ReasonCode::Cooldown)]);
        }
        let over = "2026-03-03T11:00:10Z";
        let found = scene.reconcile(over).await?;
        assert_eq!(lost(&found), 0, "{found:?}");
        for protect in BOTH {
            scene.beat(protect, over).await?;
        }
        let mut expected = whole(&scene, "2026-03-03T10:00:10Z", &id);
        expected.extend(whole(&scene, slot, &id));
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

/// Two machines by their identifiers.
fn two(words: &str, protect: &str) -> (Scene, [String; 2]) {
    let words = format!("    select: {{ instances: {{ tags: {{ Backup: x }} }} }}\n{words}");
    let mut ids = [String::new(), String::new()];
    let scene = Scene::new(&[("p", protect, words.as_str())], |account| {
        ids = [0, 1].map(|_| machine(account, &[("Backup", "x")], &[&[]]));
    });
    ids.sort();
    (scene, ids)
}

#[test]
fn a_source_that_failed_in_a_slot_does_not_keep_the_others_from_their_first_try() {
    cases("failed-last", 1, async |_| {
        let (scene, [first, second]) =
            two(&format!("{NIGHTLY}    consistency: stopped\n"), "instances");
        scene.start_machine("2026-03-03T02:00:00Z", &first);
        let protect = Protect::Instances;
        // One call an invocation.
        let beat = scene.paced_beat(protect, SLOT, bursts(1.0)).await?;
        let failed = beat.items.iter().find(|i| i.outcome == Outcome::Failed);
        assert_eq!(failed.map(|i| i.resource.as_str()), Some(first.as_str()));
        assert_eq!(created(&beat), 0, "{beat:?}");
        let beat = scene
            .paced_beat(protect, "2026-03-03T03:05:00Z", bursts(1.0))
            .await?;
        assert_eq!(created(&beat), 1, "{beat:?}");
        let expected = Made::from([(key("p", SLOT, &second), (Default::default(), 1))]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn sources_that_are_frozen_take_turns_however_few_they_are() {
    cases("frozen-turns", 1, async |_| {
        let (scene, ids) = two(
            "    schedule: rate(1 hour)\n    consistency: application\n    \
             application: { document: freeze, on_failure: crash }\n",
            "volumes",
        );
        let protect = Protect::Volumes;
        for slot in [SLOT, "2026-03-03T04:00:00Z"] {
            let beat = scene.paced_beat(protect, slot, bursts(1.0)).await?;
            assert_eq!(created(&beat), 1, "{beat:?}");
        }
        let made = scene.made();
        let taken = |id: &String| made.keys().filter(|(.., source)| source == id).count();
        assert_eq!([taken(&ids[0]), taken(&ids[1])], [1, 1], "{made:?}");
        Ok(())
    });
}
