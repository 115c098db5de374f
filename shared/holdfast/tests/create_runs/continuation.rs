//! Slots that take more than one invocation.

use std::collections::BTreeMap;

use holdfast::create::{Means, create};
use holdfast_core::event::{CreateEvent, Origin};
use holdfast_core::inventory::InstanceState;
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::report::{Item, Outcome, ReasonCode, Report};
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::{Account, CallOutcome, InProcess, Settings, VolumeSeed};
use jiff::{SignedDuration, Timestamp};

use super::interrupted::cases::cases;
use super::stage::{bursts, invocation, seed_instance};

struct Fleet {
    policies: PolicyFile,
    ec2: InProcess,
    records: InMemoryRecords,
    start: Timestamp,
}

impl Fleet {
    fn new(select: &str, words: &str, seed: impl FnOnce(&mut Account)) -> Self {
        let day = SignedDuration::from_hours(24);
        let midnight = Timestamp::now().as_second() / 86_400 * 86_400;
        let start = Timestamp::from_second(midnight).unwrap() - day;
        let text = format!(
            "version: 1\npolicies:\n  - name: p\n    protect: volumes\n    \
             select: {{ {select}: {{ tags: {{ Backup: x }} }} }}\n    schedule: rate(1 hour)\n    \
             retain: {{ last: 9 }}\n{words}"
        );
        let mut account = Account::new(Settings {
            start,
            throttling: true,
            ..Settings::default()
        });
        seed(&mut account);
        Self {
            policies: PolicyFile::parse("policies.yaml", &text, start).unwrap(),
            ec2: InProcess::new(account.shared()),
            records: InMemoryRecords::new(),
            start,
        }
    }

    /// A heartbeat so many minutes after the start, whose bucket lets so many calls through.
    async fn beat(&self, minutes: i64, calls: f64) -> Report {
        let time = self.start + SignedDuration::from_mins(minutes);
        self.ec2.account().advance_to(time);
        let event = CreateEvent::Heartbeat(Origin {
            time,
            account: None,
            region: None,
        });
        let invocation = invocation(usize::try_from(minutes).unwrap());
        let (protect, paces) = (Protect::Volumes, bursts(calls));
        let made = create(
            protect,
            &self.ec2,
            &self.records,
            &self.policies,
            Means {
                paces,
                guests: None,
            },
            event,
            &invocation,
        );
        made.await.unwrap()
    }

    /// How many snapshots there are of each volume.
    fn backups(&self) -> BTreeMap<String, usize> {
        let account = self.ec2.account();
        let volumes = account.volumes().map(|volume| (volume.id.to_string(), 0));
        let mut backups: BTreeMap<String, usize> = volumes.collect();
        for snapshot in account.snapshots() {
            *backups.get_mut(snapshot.volume.as_str()).unwrap() += 1;
        }
        backups
    }
}

fn seed_volumes(account: &mut Account, volumes: usize) {
    for _ in 0..volumes {
        account.seed_volume(VolumeSeed {
            tags: [("Backup".to_owned(), "x".to_owned())].into(),
            ..VolumeSeed::default()
        });
    }
}

fn count(report: &Report, outcome: Outcome) -> usize {
    report
        .items
        .iter()
        .filter(|item| item.outcome == outcome)
        .count()
}

/// A thousand machines of ten volumes; each invocation has the hundred calls of a full bucket.
#[test]
fn ten_thousand_volumes_take_several_invocations_and_end_complete_with_none_taken_twice() {
    const CALLS: usize = 100;
    cases("ten-thousand", 1, async |_| {
        let fleet = Fleet::new("instances", "", |account| {
            for _ in 0..10 * CALLS {
                seed_instance(account, 10, InstanceState::Stopped);
            }
        });
        for beat in 0..10 {
            let report = fleet.beat(5 * beat, 100.0).await;
            assert_eq!(count(&report, Outcome::Created), 10 * CALLS);
            assert_eq!(report.run.complete, beat == 9, "heartbeat {beat}");
            let left = count(&report, Outcome::Deferred);
            assert_eq!(left, (9 - usize::try_from(beat).unwrap()) * CALLS);
            let deferred = report
                .items
                .iter()
                .filter(|i| i.outcome == Outcome::Deferred);
            let codes: Vec<ReasonCode> = deferred.map(|item| item.reasons[0].code).collect();
            assert!(codes.iter().all(|code| *code == ReasonCode::OutOfTime));
        }
        let backups = fleet.backups();
        assert_eq!(backups.len(), 100 * CALLS);
        assert!(backups.values().all(|backups| *backups == 1));
        // None of the calls was more than EC2's bucket held.
        let account = fleet.ec2.account();
        let refused = |outcome: &CallOutcome| matches!(outcome, CallOutcome::Refused(_));
        assert!(!account.calls().iter().any(|call| refused(&call.outcome)));
        Ok(())
    });
}

/// Each slot gets through with 60 of 100 sources: without an order the last would never be taken.
#[test]
fn where_no_slot_gets_through_no_source_starves() {
    cases("starving", 1, async |_| {
        let fleet = Fleet::new("volumes", "", |account| {
            seed_volumes(account, 100);
        });
        for (slot, least) in [0, 1, 1, 2, 3].into_iter().enumerate() {
            let report = fleet.beat(60 * i64::try_from(slot).unwrap(), 60.0).await;
            assert_eq!(count(&report, Outcome::Created), 60);
            let backups = fleet.backups();
            assert_eq!(backups.values().min(), Some(&least), "slot {slot}");
            assert!(backups.values().all(|backups| *backups <= least + 1));
            // What the slot before left undone is missed, and said so.
            let told = report.items.iter().flat_map(|item| &item.reasons);
            let mut missed = told.filter(|reason| reason.code == ReasonCode::SlotMissed);
            let named = missed.find(|reason| {
                let detail = reason.detail.as_deref().unwrap_or_default();
                detail.starts_with("40 sources")
            });
            assert_eq!(named.is_some(), slot > 0, "{report:?}");
        }
        Ok(())
    });
}

#[test]
fn a_first_slot_is_late_in_none_of_the_runs_that_it_takes() {
    cases("first", 1, async |_| {
        let words = "    start_within: 10m\n";
        let fleet = Fleet::new("volumes", words, |account| seed_volumes(account, 3));
        let mut created = 0;
        for (minutes, calls) in [(15, 1.0), (20, 1.0), (25, 9.0)] {
            let report = fleet.beat(minutes, calls).await;
            created += count(&report, Outcome::Created);
            let reasons = report.items.iter().flat_map(|item| &item.reasons);
            let late = reasons.filter(|r| r.code == ReasonCode::Late).count();
            assert_eq!(late, 0, "{report:?}");
        }
        assert_eq!(created, 3);
        Ok(())
    });
}

#[test]
fn what_is_started_late_and_what_waits_although_it_is_late_are_told() {
    cases("late", 1, async |_| {
        let words = "    start_within: 10m\n";
        let fleet = Fleet::new("volumes", words, |account| seed_volumes(account, 3));
        let is_late = |item: &&Item| item.reasons.iter().any(|r| r.code == ReasonCode::Late);
        let detail = |report: &Report| {
            let mut late = report.items.iter().filter(is_late);
            let finding = late.find(|item| item.outcome == Outcome::Finding)?;
            finding.reasons[0].detail.clone()
        };
        fleet.beat(0, 9.0).await;
        let in_time = fleet.beat(60, 1.0).await;
        assert_eq!(count(&in_time, Outcome::Created), 1);
        assert_eq!(detail(&in_time), None);
        let late = fleet.beat(75, 1.0).await;
        let created = late
            .items
            .iter()
            .filter(|item| item.outcome == Outcome::Created);
        assert_eq!(created.filter(is_late).count(), 1);
        let told = detail(&late).unwrap();
        assert!(told.contains("1 sources started late: vol-"), "{told}");
        assert!(told.contains("1 sources not started yet: vol-"), "{told}");
        Ok(())
    });
}
