//! Sweeps beside which backups are made and everything is reconciled, on one account and one table.

mod truth;

use std::collections::BTreeMap;

use holdfast::check::reconcile_all;
use holdfast::create::{Means, create};
use holdfast::sweep::sweep;
use holdfast_core::artifact::{ARTIFACT, MANAGED, POLICY, SLOT, SOURCE};
use holdfast_core::event::{CreateEvent, Origin, SweepEvent, SweepRequest};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::Tags;
use holdfast_core::policy::Protect;
use holdfast_core::report::{Mode, ReasonCode, Report};
use holdfast_sim::Chaos;
use jiff::{SignedDuration, Timestamp};

use super::interrupted::cases::cases;
use super::interrupted::gate::{Cut, Run, side_by_side};
use super::sound::{heeded, nothing_orphaned, recorded};
use super::stage::{Stage, invocation};
use super::world::{Sort, World, world};
use super::{LAGGING, PROMPT};

/// Before all the hours and days that a case takes.
const AGO: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Worlds in which time passes, and in which nothing comes to count but what is made.
const PASSING: Sort = Sort {
    pending: false,
    ago: AGO,
    ..LAGGING
};
/// The same, in which a look shows what is.
const PASSING_PROMPT: Sort = Sort { ago: AGO, ..PROMPT };

/// Slots in which backups are made.
const SLOTS: usize = 4;
/// Sweeps after the last slot until nothing is left to do, a day apart.
const LAST: usize = 24;
/// Of these, days after which a week is over.
const WEEK: usize = 7;

/// What runs at once.
#[derive(Clone, Copy, Debug)]
enum Work {
    Sweep,
    Create(Protect),
    Reconcile,
}

/// One of each function.
const EACH: [Work; 4] = [
    Work::Sweep,
    Work::Create(Protect::Volumes),
    Work::Create(Protect::Instances),
    Work::Reconcile,
];

/// What was asked of EC2 once: kind, policy, volume or instance, and slot.
type Asked = (String, String, String, Timestamp);

/// Something that was made.
#[derive(Clone, Debug)]
struct Made {
    asked: Asked,
    /// The source by its tags: of a set the instance.
    source: String,
    /// The burst in which it appeared.
    burst: usize,
}

struct Beside<'w> {
    world: &'w World,
    stage: Stage<'w>,
    made: BTreeMap<String, Made>,
    burst: usize,
}

impl<'w> Beside<'w> {
    fn new(world: &'w World, seed: u64) -> Self {
        let stage = Stage::new(world, seed);
        // The slots are the hours.
        let hour = SignedDuration::from_hours(1);
        let into = world.wall.as_second() % hour.as_secs();
        let beside = Self {
            world,
            stage,
            made: BTreeMap::new(),
            burst: 0,
        };
        beside.pass(hour - SignedDuration::from_secs(into) + SignedDuration::from_mins(2));
        beside
    }

    fn now(&self) -> Timestamp {
        self.stage.ec2.account().now()
    }

    /// Lets time pass, in the account and for what is recorded by the wall clock.
    fn pass(&self, time: SignedDuration) {
        self.stage.ec2.account().advance_by(time);
        self.stage.records.let_pass(time);
        self.stage.records.expire_leases();
    }

    fn run(&mut self, work: Work) -> Run<'w, Result<Report, String>> {
        let (ports, now, policies) = (self.stage.another(), self.now(), &self.world.policies);
        let (run, invocation) = (ports.run, invocation(ports.run));
        let ended = async move {
            let ended = match work {
                Work::Sweep => {
                    let event = SweepEvent::Request(SweepRequest {
                        now: Some(now),
                        ..SweepRequest::default()
                    });
                    sweep(&ports, &ports, policies, Mode::Enforce, event, &invocation).await
                }
                Work::Create(protect) => {
                    let event = CreateEvent::Heartbeat(Origin {
                        time: now,
                        account: None,
                        region: None,
                    });
                    let means = Means::default();
                    create(protect, &ports, &ports, policies, means, event, &invocation).await
                }
                Work::Reconcile => {
                    let account = invocation.account.as_deref();
                    reconcile_all(&ports, &ports, policies, account, &invocation, now).await
                }
            };
            ended.map_err(|error| format!("{work:?}: {error}"))
        };
        (run, Box::pin(ended))
    }

    /// Runs these at once, and looks at what they did. Some may be killed, one of them in so many.
    async fn at_once(
        &mut self,
        works: &[Work],
        killed: Option<u64>,
    ) -> Result<Vec<Option<Result<Report, String>>>, String> {
        self.burst += 1;
        let before = self.stage.notes.lock().unwrap().gone.len();
        let gate = self.stage.gate.clone();
        let mut runs = Vec::new();
        for work in works {
            let run = self.run(*work);
            let numbers = &mut self.stage.numbers;
            if killed.is_some_and(|n| numbers.below(n) == 0) {
                let cut = Cut {
                    after: numbers.below(80),
                    carried_out: numbers.below(2) == 0,
                };
                gate.cut(run.0, cut);
            }
            runs.push(run);
        }
        let mut twice = Vec::new();
        let ended = side_by_side(&gate, runs, |waiting| {
            twice.extend(self.note());
            self.stage.between(waiting)
        })
        .await;
        twice.extend(self.note());
        if let Some(words) = twice.pop() {
            return Err(words);
        }
        self.spared(before)?;
        Ok(ended)
    }

    /// One after the other, each to its end.
    async fn in_turn(&mut self, works: &[Work]) -> Result<Vec<Report>, String> {
        let mut reports = Vec::new();
        for work in works {
            let ended = self.at_once(&[*work], None).await?.remove(0);
            reports.push(ended.ok_or("it was killed")??);
        }
        Ok(reports)
    }

    /// Notes what has appeared. Returned are words on what was made before.
    fn note(&mut self) -> Vec<String> {
        let mut twice = Vec::new();
        let account = self.stage.ec2.account();
        let snapshots = account.snapshots();
        let snapshots = snapshots.map(|s| (s.id.to_string(), &s.tags, s.volume.to_string()));
        let images = account.images();
        let images = images.map(|i| (i.id.to_string(), &i.tags, i.tags.get(SOURCE).cloned()));
        let images = images.map(|(id, tags, of)| (id, tags, of.unwrap_or_default()));
        for (id, tags, of) in snapshots.chain(images) {
            if self.is_seeded(&id) || self.made.contains_key(&id) || !tags.contains_key(MANAGED) {
                continue;
            }
            let asked = asked(tags, of);
            if let Some((other, _)) = self.made.iter().find(|(_, made)| made.asked == asked) {
                twice.push(format!("{other} and {id} were made, both of {asked:?}"));
            }
            let made = Made {
                asked,
                source: tags[SOURCE].clone(),
                burst: self.burst,
            };
            self.made.insert(id, made);
        }
        twice
    }

    fn is_seeded(&self, id: &str) -> bool {
        let account = &self.world.account;
        match id.starts_with("ami-") {
            true => account.image(&ImageId::new(id)).is_some(),
            false => account.snapshot(&SnapshotId::new(id)).is_some(),
        }
    }

    /// Heartbeats until what a slot asks for is made.
    async fn complete(&mut self) -> Result<(), String> {
        let mut last = Vec::new();
        for _ in 0..8 {
            self.pass(SignedDuration::from_mins(5));
            last = self.in_turn(&EACH[1..3]).await?;
            if last.iter().all(|report| report.run.complete) {
                return Ok(());
            }
        }
        Err(format!("a slot never comes to an end: {last:#?}"))
    }

    /// To the next slot.
    fn next_slot(&self) {
        let into = self.now().as_second() % 3600;
        self.pass(SignedDuration::from_secs(3600 - into + 120));
    }

    /// Reconciles and sweeps a day apart until two sweeps find nothing to do, now or later.
    async fn until_quiet(&mut self) -> Result<Report, String> {
        let mut quiet = 0;
        for _ in 0..LAST {
            self.pass(SignedDuration::from_hours(25));
            self.in_turn(&[Work::Reconcile]).await?;
            self.stage.take_changes();
            let report = self.in_turn(&[Work::Sweep]).await?.remove(0);
            match self.stage.take_changes().is_empty() {
                true => quiet += 1,
                false => quiet = 0,
            }
            // What is taken for somebody else's doing may wait for its week to be over.
            let waits = report.items.iter().any(|item| {
                let says = |code| item.reasons.iter().any(|reason| reason.code == code);
                says(ReasonCode::Orphaned) && says(ReasonCode::Grace)
            });
            if quiet >= 2 && (quiet > WEEK || !waits) {
                // It sees what the last sweep left.
                self.in_turn(&[Work::Reconcile]).await?;
                return Ok(report);
            }
        }
        Err("it never comes to an end".into())
    }

    /// What must hold in the end.
    fn sound(&self, last: &Report) -> Result<(), String> {
        heeded(&self.stage)?;
        recorded(&self.stage)?;
        nothing_orphaned(self.world, &self.stage, last)?;
        self.ledger_tells_the_truth()?;
        self.lineage_tells_the_truth()
    }
}

fn asked(tags: &Tags, of: String) -> Asked {
    let (kind, policy) = (tags[ARTIFACT].clone(), tags[POLICY].clone());
    (kind, policy, of, tags[SLOT].parse().unwrap())
}

#[test]
fn sweeps_beside_creation_and_reconcile_come_to_what_each_after_the_other_does() {
    cases("beside", 80, async |seed| {
        let world = world(seed, PASSING);
        let mut in_turn = Beside::new(&world, seed);
        for _ in 0..SLOTS {
            in_turn.in_turn(&EACH).await?;
            in_turn.complete().await?;
            in_turn.next_slot();
        }
        let last = in_turn.until_quiet().await?;
        in_turn.sound(&last)?;
        in_turn.only_what_is_kept_is_left()?;

        let mut beside = Beside::new(&world, seed);
        let ended = async {
            for _ in 0..SLOTS {
                let killed = (beside.stage.numbers.below(2) == 0).then_some(3);
                // Each that is not killed comes to its end.
                let ended = beside.at_once(&EACH, killed).await?;
                ended.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
                beside.complete().await?;
                beside.next_slot();
            }
            beside.until_quiet().await
        };
        let last = ended.await?;
        beside.sound(&last)?;
        beside.only_what_is_kept_is_left()?;
        in_turn.against(&beside)
    });
}

#[test]
fn what_is_made_beside_sweeps_that_meet_faults_and_strangers_stands() {
    cases("beside-strangers", 100, async |seed| {
        let world = world(seed, PASSING_PROMPT);
        let mut beside = Beside::new(&world, seed);
        let works = [&EACH[..], &[Work::Sweep]].concat();
        for _ in 0..SLOTS {
            beside.stage.lapse = Some(30);
            beside.stage.stranger = Some(12);
            beside.stage.ec2.account().unleash(Chaos {
                server_error: 10,
                response_lost: 20,
                denied: 5,
                ..Chaos::quiet(seed)
            });
            beside.at_once(&works, Some(4)).await?;
            beside.stage.ec2.account().calm();
            (beside.stage.lapse, beside.stage.stranger) = (None, None);
            beside.complete().await?;
            beside.next_slot();
        }
        let last = beside.until_quiet().await?;
        beside.sound(&last)
    });
}
