//! Sources that several policies pick, and slots of one policy that fall together.

use std::collections::BTreeSet;

use holdfast_core::policy::Protect;

use super::interrupted::cases::cases;
use super::scene::{BOTH, Made, NIGHTLY, SLOT, Scene, each, key, machine, of};

#[test]
fn a_source_that_two_policies_pick_gets_a_backup_of_each() {
    cases("two-policies", 1, async |_| {
        let select = "    select: { instances: { tags: { Backup: x } } }\n";
        let words = format!("{select}{NIGHTLY}");
        let policies = [
            ("a", "volumes", words.as_str()),
            ("b", "volumes", words.as_str()),
            ("c", "instances", words.as_str()),
            ("d", "instances", words.as_str()),
        ];
        let mut id = String::new();
        let scene = Scene::new(&policies, |account| {
            id = machine(account, &[("Backup", "x")], &[&[], &[]]);
        });
        // EC2 takes a volume once in fifteen seconds: the second policy comes with the next.
        for time in [SLOT, "2026-03-03T03:05:00Z", "2026-03-03T03:10:00Z"] {
            scene.beat(Protect::Volumes, time).await?;
            scene.beat(Protect::Instances, time).await?;
        }
        let volumes = scene.volumes(&id);
        let whole = of(&[&volumes[0], &volumes[1]]);
        let ami = (BTreeSet::new(), 1);
        let expected = Made::from([
            (key("a", SLOT, &id), whole.clone()),
            (key("b", SLOT, &id), whole),
            (key("c", SLOT, &id), ami.clone()),
            (key("d", SLOT, &id), ami),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn a_volume_on_an_instance_of_another_policy_is_taken_for_itself_and_with_its_instance() {
    cases("another-policys-instance", 1, async |_| {
        let machines =
            format!("    select: {{ instances: {{ tags: {{ Backup: x }} }} }}\n{NIGHTLY}");
        let disks = format!("    select: {{ volumes: {{ tags: {{ Db: x }} }} }}\n{NIGHTLY}");
        let policies = [
            ("machines", "volumes", machines.as_str()),
            ("disks", "volumes", disks.as_str()),
        ];
        let mut ids = Vec::new();
        let scene = Scene::new(&policies, |account| {
            // Both policies; the one of the disks alone; the one of the machines alone.
            ids.push(machine(account, &[("Backup", "x")], &[&[], &[("Db", "x")]]));
            ids.push(machine(
                account,
                &[],
                &[&[], &[("Db", "x")], &[("Db", "x")]],
            ));
            ids.push(machine(account, &[("Backup", "x")], &[&[], &[]]));
        });
        for time in [SLOT, "2026-03-03T03:05:00Z"] {
            scene.beat(Protect::Volumes, time).await?;
        }
        let [both, disks, machines] = [0, 1, 2].map(|n| scene.volumes(&ids[n]));
        let expected = Made::from([
            (key("machines", SLOT, &ids[0]), of(&[&both[0], &both[1]])),
            (key("disks", SLOT, &ids[0]), of(&[&both[1]])),
            (key("disks", SLOT, &ids[1]), of(&[&disks[1], &disks[2]])),
            (
                key("machines", SLOT, &ids[2]),
                of(&[&machines[0], &machines[1]]),
            ),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn one_backup_serves_two_slots_of_one_policy_that_coincide() {
    cases("coinciding-slots", 1, async |_| {
        let schedules = "    schedule: [cron(0 3 * * ? *), rate(1 hour)]\n";
        let (scene, id) = each(schedules);
        let next = "2026-03-03T04:00:00Z";
        for time in [SLOT, "2026-03-03T03:05:00Z", next, "2026-03-03T04:05:00Z"] {
            for protect in BOTH {
                scene.beat(protect, time).await?;
            }
        }
        let volumes = scene.volumes(&id);
        let whole = of(&[&volumes[0], &volumes[1]]);
        let ami = (BTreeSet::new(), 1);
        let expected = Made::from([
            (key("sets", SLOT, &id), whole.clone()),
            (key("sets", next, &id), whole),
            (key("amis", SLOT, &id), ami.clone()),
            (key("amis", next, &id), ami),
        ]);
        assert_eq!(scene.made(), expected);
        Ok(())
    });
}

#[test]
fn one_backup_serves_a_slot_and_an_event_of_the_same_second() {
    cases("slot-and-event", 1, async |_| {
        let words = format!("{NIGHTLY}    triggers: [stopped]\n");
        for event_first in [false, true] {
            let (scene, id) = each(&words);
            for protect in BOTH {
                for event in [event_first, !event_first] {
                    let done = match event {
                        true => scene.stop(protect, SLOT, &id).await,
                        false => scene.beat(protect, SLOT).await,
                    };
                    assert!(done?.run.complete);
                }
                scene.beat(protect, "2026-03-03T03:05:00Z").await?;
            }
            let volumes = scene.volumes(&id);
            let expected = Made::from([
                (key("sets", SLOT, &id), of(&[&volumes[0], &volumes[1]])),
                (key("amis", SLOT, &id), (BTreeSet::new(), 1)),
            ]);
            assert_eq!(scene.made(), expected, "event first: {event_first}");
        }
        Ok(())
    });
}
