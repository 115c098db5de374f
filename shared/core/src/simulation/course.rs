//! The virtual clock: slots, heartbeats, sweeps and what they do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::account::{Backups, Made, PENDING};
use super::class::{Class, Scenes, classes};
use super::clock::{SWEEP, first_due, heartbeat_after, next_sweep};
use super::fleet::Fleet;
use super::gaps::Gaps;
use super::pace::Bucket;
use super::standing::{Standing, Survivor, without_limits};
use crate::plan::judge::{Evidence, Judged, OnRecord, Verdicts, governing};
use crate::plan::settle::{Recorded, WINDOW, allowance, settle};
use crate::policy::{PolicyFile, Protect};
use crate::report::{Reason, ReasonCode};

/// A sweep that the limits of a policy would have held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) at: Timestamp,
    /// How many backups would have gone.
    pub(super) deletions: u64,
    /// How many may have.
    pub(super) allowed: u64,
}

/// What happened to one policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) retired: u64,
    /// What the first sweep retired.
    pub(super) first_sweep: u64,
    pub(super) trips: Vec<Trip>,
    /// Deletions within the breaker's window: when, the time of what went, and how many.
    window: VecDeque<(Timestamp, Timestamp, u64)>,
}

/// Calls of one bucket at one heartbeat, by the place of the policy.
pub(super) type Calls = BTreeMap<(Timestamp, Bucket, usize), u64>;

/// A run of a policy file over a fleet.
pub struct Course<'p> {
    pub(super) policies: &'p PolicyFile,
    /// The same without a breaker, which counts over all sources and is reckoned here.
    unlimited: PolicyFile,
    pub(super) classes: Vec<Class>,
    pub(super) backups: Backups,
    /// The time between neighbouring restore points.
    pub(super) gaps: Gaps,
    epochs: Vec<Timestamp>,
    /// The heartbeat and the slot that each policy does next.
    due: Vec<Option<(Timestamp, Timestamp)>>,
    /// When what stands in a grace was first condemned.
    marks: BTreeMap<String, Timestamp>,
    pub(super) tallies: Vec<Tally>,
    /// What stood at the start and went with the first sweep, of all sources.
    pub(super) first_retired: BTreeSet<String>,
    pub(super) calls: Calls,
    sweeps: u64,
    /// Whether the next sweep may come to another verdict than the last one.
    changed: bool,
    pub(super) now: Timestamp,
}

impl<'p> Course<'p> {
    /// A run that begins at `start` with what stands then, and may go on until `end`.
    #[must_use]
    pub fn new(
        policies: &'p PolicyFile,
        fleet: &Fleet,
        standing: &[Standing],
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        let epochs = fleet.changes(start, end);
        let classes = classes(policies, fleet, &Scenes::new(fleet, &epochs), standing);
        let mut backups = Backups::default();
        let mut gaps = Gaps::new(&classes, end);
        for (place, class) in classes.iter().enumerate() {
            let policy = &policies.policies[class.policy];
            backups.add_standing((place, class), &policy.name);
            for stood in &class.standing {
                gaps.stood(place, stood.part, stood.what.time, start);
            }
        }
        let due = policies.policies.iter().map(|policy| {
            let heads = standing.iter().filter(|one| {
                governing(policies, &one.policy).is_some_and(|by| by.name == policy.name)
            });
            first_due(policy, heads.map(|one| one.slot).max(), start)
        });
        Self {
            policies,
            unlimited: without_limits(policies),
            due: due.collect(),
            classes,
            backups,
            gaps,
            epochs,
            marks: BTreeMap::new(),
            tallies: vec![Tally::default(); policies.policies.len()],
            first_retired: BTreeSet::new(),
            calls: Calls::new(),
            sweeps: 0,
            changed: true,
            now: start,
        }
    }

    /// Lets time pass, until and with what happens at `to`.
    pub fn advance(&mut self, to: Timestamp) {
        let mut next_sweep = next_sweep(self.now, self.sweeps == 0);
        loop {
            let due = self.due.iter().flatten().map(|(at, _)| *at).min();
            let next = due.map_or(next_sweep, |due| due.min(next_sweep));
            if next > to {
                break;
            }
            self.now = next;
            if due == Some(next) {
                self.heartbeat(next);
            }
            if next == next_sweep {
                self.sweep_if_needed(next);
                next_sweep += SignedDuration::from_secs(SWEEP);
            }
        }
        self.now = to;
    }

    /// Every backup that stands, complete or not.
    #[must_use]
    pub fn survivors(&self) -> BTreeSet<Survivor> {
        let mut survivors = BTreeSet::new();
        for entry in self.backups.iter() {
            let class = &self.classes[entry.class];
            let policy = &self.policies.policies[class.policy].name;
            let of = class.members.iter().flat_map(|one| &one.parts[entry.part]);
            survivors.extend(of.map(|of| Survivor {
                policy: policy.clone(),
                of: of.clone(),
                slot: entry.slot,
                time: entry.time,
            }));
        }
        survivors
    }

    /// Every complete backup that stands, as the start of another run.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let mut standing = Vec::new();
        for entry in self.backups.iter().filter(|one| one.is_good(self.now)) {
            let class = &self.classes[entry.class];
            let policy = &self.policies.policies[class.policy];
            let calls = class.calls.iter().flatten();
            let call = calls
                .into_iter()
                .find(|call| call.parts.contains(&entry.part));
            let members = class.members.iter();
            let each =
                members.flat_map(|one| one.parts[entry.part].iter().map(move |of| (one, of)));
            for (member, of) in each {
                let source = call.map_or(of, |call| &member.sources[call.source]);
                standing.push(Standing {
                    // Unlike any identifier that the other run gives.
                    id: format!("{}-of-{of}", entry.id()),
                    policy: policy.name.clone(),
                    image: policy.protect == Protect::Instances,
                    source: source.clone(),
                    of: of.clone(),
                    time: entry.time,
                    slot: entry.slot,
                    run: run(entry.slot),
                    group: call.and_then(|call| call.group.clone()),
                    size_gib: 0,
                    held: entry.held.clone(),
                });
            }
        }
        standing
    }

    /// How many complete backups of a policy stand now.
    pub(super) fn count(&self, policy: usize) -> u64 {
        let complete = self.backups.iter().filter(|one| one.is_good(self.now));
        let classes = complete.map(|one| (one, &self.classes[one.class]));
        let of_policy = classes.filter(|(_, class)| class.policy == policy);
        of_policy.map(|(one, class)| class.backups(one.part)).sum()
    }

    /// The volumes or instances that a policy makes backups of at any time.
    pub(super) fn picked(&self, policy: usize) -> BTreeSet<String> {
        let mut picked = BTreeSet::new();
        for class in self.classes.iter().filter(|class| class.policy == policy) {
            let calls = class.calls.iter().flatten();
            let parts: BTreeSet<usize> = calls.flat_map(|call| call.parts.clone()).collect();
            for member in &class.members {
                picked.extend(parts.iter().flat_map(|part| member.parts[*part].clone()));
            }
        }
        picked
    }

    /// The reasons that keep each backup that stands now, by its identifier; of what nothing keeps,
    /// why the next sweep retires it.
    pub(super) fn kept_by(&self) -> BTreeMap<String, BTreeSet<ReasonCode>> {
        let inventory = self.backups.inventory(self.now);
        let gone = self.gone(self.now);
        let verdicts = Verdicts::judge(
            &self.unlimited,
            &Evidence {
                inventory: &inventory,
                on_record: &gone,
                account: None,
            },
            self.now,
            None,
        );
        let reasons = |v| {
            let id = verdicts.id(v).into_owned();
            let codes: &[ReasonCode] = match self.held(&id) {
                _ if !verdicts.is_condemned(v) => &[],
                [] if self.marks.contains_key(&id) => &[ReasonCode::Grace],
                held => held,
            };
            let codes = match codes {
                [] => verdicts
                    .decision(v)
                    .reasons()
                    .iter()
                    .map(|one| one.code)
                    .collect(),
                codes => codes.iter().copied().collect(),
            };
            (id, codes)
        };
        (0..verdicts.count()).map(reasons).collect()
    }

    /// Why a backup is held from the beginning to the end, where it is.
    fn held(&self, id: &str) -> &[ReasonCode] {
        self.backups.find(id).map_or(&[], |one| &one.held)
    }

    /// The place of the epoch that a time lies in.
    fn epoch(&self, at: Timestamp) -> usize {
        self.epochs
            .partition_point(|begin| *begin <= at)
            .saturating_sub(1)
    }

    fn heartbeat(&mut self, now: Timestamp) {
        let epoch = self.epoch(now);
        for place in 0..self.due.len() {
            let Some((at, slot)) = self.due[place] else {
                continue;
            };
            if at > now {
                continue;
            }
            self.create(place, slot, now, epoch);
            let policy = &self.policies.policies[place];
            let next = policy.next_slot(slot);
            self.due[place] = next.map(|slot| (heartbeat_after(slot).max(now), slot));
        }
    }

    fn create(&mut self, policy_place: usize, slot: Timestamp, now: Timestamp, epoch: usize) {
        let policies = self.policies;
        let policy = &policies.policies[policy_place];
        let image = policy.protect == Protect::Instances;
        let run = run(slot);
        for (place, class) in self.classes.iter().enumerate() {
            if class.policy != policy_place {
                continue;
            }
            let member = class.first();
            for call in class.calls.get(epoch).into_iter().flatten() {
                let source = &member.sources[call.source];
                for part in &call.parts {
                    self.backups.add(&Made {
                        class: place,
                        part: *part,
                        image,
                        policy: &policy.name,
                        source,
                        of: class.id(*part),
                        group: call.group.as_deref(),
                        slot,
                        run: &run,
                        time: now,
                        ready: now + PENDING,
                        held: &[],
                        id: None,
                    });
                    self.gaps.came(place, *part, now, now + PENDING);
                }
                let bucket = match (image, source.starts_with("i-")) {
                    (true, _) => Bucket::Images,
                    (false, true) => Bucket::Sets,
                    (false, false) => Bucket::Singles,
                };
                *self.calls.entry((now, bucket, policy_place)).or_default() += class.weight();
                let made: u64 = call.parts.iter().map(|part| class.backups(*part)).sum();
                self.tallies[policy_place].created += made;
                self.changed = true;
            }
        }
    }

    /// A sweep that would find what the last one found decides the same, and is left out. What
    /// decides is which backups are complete, which waits are over and which sources are gone.
    fn sweep_if_needed(&mut self, now: Timestamp) {
        let waits = !self.marks.is_empty();
        let gone = self.policies.policies.iter();
        let gone = gone
            .into_iter()
            .any(|p| p.source_gone_delete_after.is_some());
        let pending = self.backups.iter().any(|one| !one.is_good(now));
        if self.changed || waits || gone || self.sweeps == 0 {
            self.changed = pending;
            self.sweep(now);
        }
        self.sweeps += 1;
    }

    /// Sources that two reconciles in turn have not found.
    fn gone(&self, now: Timestamp) -> OnRecord {
        let mut on_record = OnRecord::default();
        let epoch = self.epoch(now);
        for class in &self.classes {
            for (place, part) in class.parts.iter().enumerate() {
                let absent = part.there[..=epoch]
                    .iter()
                    .rev()
                    .take_while(|there| !**there);
                let absent = absent.count();
                if absent > 0 {
                    let from = self.epochs[epoch + 1 - absent];
                    let first = next_sweep(from, true);
                    let confirmed = first + SignedDuration::from_secs(SWEEP);
                    if confirmed <= now {
                        let id = class.id(place).to_owned();
                        on_record.gone_since.insert(id, confirmed);
                    }
                }
            }
        }
        on_record
    }

    fn sweep(&mut self, now: Timestamp) {
        let inventory = self.backups.inventory(now);
        let gone = self.gone(now);
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &gone,
            account: None,
        };
        let mut verdicts = Verdicts::judge(&self.unlimited, &evidence, now, None);
        for v in Judged::condemned(&verdicts) {
            for code in self.held(&verdicts.id(v)) {
                Judged::hold(&mut verdicts, v, Reason::with(*code, "it is so today"));
            }
        }
        let recorded = Recorded {
            condemned: self.marks.clone(),
            ..Recorded::default()
        };
        let settled = settle(&self.unlimited, &mut verdicts, &recorded, now, now);
        for id in settled.freed {
            self.marks.remove(&id);
        }
        self.marks
            .extend(settled.grace_begins.into_iter().map(|id| (id, now)));
        let condemned: Vec<String> = Judged::condemned(&verdicts)
            .into_iter()
            .map(|v| verdicts.id(v).into_owned())
            .collect();
        drop(verdicts);
        if condemned.is_empty() {
            return;
        }
        self.changed = true;
        self.reckon_breaker(&condemned, now);
        if self.sweeps == 0 {
            let going: BTreeSet<&str> = condemned.iter().map(String::as_str).collect();
            let stood = self.classes.iter().flat_map(|class| &class.standing);
            let gone = stood.filter(|one| going.contains(one.what.id.as_str()));
            self.first_retired = gone.flat_map(|one| one.ids.iter().cloned()).collect();
        }
        for id in condemned {
            self.marks.remove(&id);
            let Some(entry) = self.backups.remove(&id) else {
                continue;
            };
            self.gaps.went(entry.class, entry.part, entry.time, now);
            let class = &self.classes[entry.class];
            let weight = class.backups(entry.part);
            let tally = &mut self.tallies[class.policy];
            tally.retired += weight;
            if self.sweeps == 0 {
                tally.first_sweep += weight;
            }
            tally.window.push_back((now, entry.time, weight));
        }
    }

    /// Notes which policies' limits would hold some of these deletions; they go all the same, as
    /// if somebody released them.
    fn reckon_breaker(&mut self, condemned: &[String], now: Timestamp) {
        let since = now - WINDOW;
        let count = self.policies.policies.len();
        let (mut standing, mut before) = (vec![0_u64; count], vec![0_u64; count]);
        let mut going = vec![0_u64; count];
        for entry in self.backups.iter().filter(|one| one.is_good(now)) {
            let class = &self.classes[entry.class];
            standing[class.policy] += class.backups(entry.part);
            if entry.time <= since {
                before[class.policy] += class.backups(entry.part);
            }
        }
        for entry in condemned.iter().filter_map(|id| self.backups.find(id)) {
            let class = &self.classes[entry.class];
            going[class.policy] += class.backups(entry.part);
        }
        for (place, tally) in self.tallies.iter_mut().enumerate() {
            while tally.window.front().is_some_and(|(at, ..)| *at <= since) {
                tally.window.pop_front();
            }
            let stood = tally.window.iter().filter(|(_, time, _)| *time <= since);
            let before = before[place] + stood.map(|(.., weight)| weight).sum::<u64>();
            let retired: u64 = tally.window.iter().map(|(.., weight)| weight).sum();
            let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
            let allowed = allowance(
                &self.policies.policies[place].limits,
                size(before),
                size(standing[place]),
                size(retired),
            ) as u64;
            if going[place] > allowed {
                tally.trips.push(Trip {
                    at: now,
                    deletions: going[place],
                    allowed,
                });
            }
        }
    }
}

/// The run that makes a slot's backups.
fn run(slot: Timestamp) -> String {
    format!("run-{slot}")
}
