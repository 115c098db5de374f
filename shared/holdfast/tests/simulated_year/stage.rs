//! An account, its records, and the four functions, one after the other on a virtual clock.

use std::collections::BTreeSet;

use holdfast::check::reconcile_all;
use holdfast::create::{Means, create};
use holdfast::function::Invocation;
use holdfast::sweep::{lists, sweep};
use holdfast_core::artifact;
use holdfast_core::event::{CreateEvent, Origin, SweepEvent, SweepRequest};
use holdfast_core::inventory::Tags;
use holdfast_core::plan::judge::{Evidence, OnRecord};
use holdfast_core::policy::{PolicyFile, Protect};
use holdfast_core::report::{Mode, Outcome, ReasonCode, Report};
use holdfast_core::simulation::Standing;
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::{Account, InProcess, Settings};
use jiff::{SignedDuration, Timestamp};

use super::fleet::{Piece, begin, change};
use super::stamped::Stamped;

/// Heartbeats of a creating function that may follow the one that began a slot: a volume that two
/// policies pick is free for the second call fifteen seconds after the first.
const HEARTBEATS: usize = 3;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A backup: policy, volume or instance, and slot.
pub type Backup = (String, String, Timestamp);

pub struct Stage<'p> {
    policies: &'p PolicyFile,
    ec2: Stamped,
    records: InMemoryRecords,
    /// Policies whose breaker tripped.
    pub tripped: BTreeSet<String>,
    runs: usize,
    /// The time that has passed in the account and not yet for the records.
    owed: SignedDuration,
}

impl<'p> Stage<'p> {
    pub fn new(policies: &'p PolicyFile, pieces: &[Piece], start: Timestamp) -> Self {
        let mut account = Account::new(Settings {
            start,
            ..Settings::default()
        });
        begin(pieces, &mut account);
        Self {
            policies,
            ec2: Stamped(InProcess::new(account.shared())),
            records: InMemoryRecords::new(),
            tripped: BTreeSet::new(),
            runs: 0,
            owed: SignedDuration::ZERO,
        }
    }

    fn now(&self) -> Timestamp {
        self.ec2.0.account().now()
    }

    /// Lets time pass in the account; for what the records hold by the wall clock a day at once,
    /// because all of it is touched. So a breaker's 24 hours are the day.
    pub fn pass(&mut self, to: Timestamp) {
        let mut account = self.ec2.0.account();
        self.owed += to.duration_since(account.now());
        if self.owed >= DAY {
            self.records.let_pass(self.owed);
            self.owed = SignedDuration::ZERO;
        }
        account.advance_to(to);
        // Nobody asks for them, and a year has many.
        account.clear_calls();
        drop(account.drain_events());
    }

    /// What comes and goes now.
    pub fn change(&self, pieces: &[Piece]) {
        let now = self.now();
        change(pieces, now, &mut self.ec2.0.account());
    }

    /// A heartbeat of both creating functions, and what they leave to the ones after.
    pub async fn heartbeat(&mut self) {
        for protect in [Protect::Volumes, Protect::Instances] {
            for beat in 0..=HEARTBEATS {
                if self.create(protect).await.run.complete {
                    break;
                }
                assert!(beat < HEARTBEATS, "at {} it comes to no end", self.now());
                self.pass(self.now() + SignedDuration::from_mins(5));
            }
        }
    }

    async fn create(&mut self, protect: Protect) -> Report {
        let invocation = self.invocation();
        let event = CreateEvent::Heartbeat(Origin {
            time: self.now(),
            account: None,
            region: None,
        });
        let (ec2, records, means) = (&self.ec2, &self.records, Means::default());
        let made = create(
            protect,
            ec2,
            records,
            self.policies,
            means,
            event,
            &invocation,
        );
        let report = made.await.unwrap();
        assert_eq!(report.count(Outcome::Failed), 0, "{report:#?}");
        report
    }

    /// A reconcile, and a sweep after it. What a tripped breaker holds is released at once.
    pub async fn reconcile_and_sweep(&mut self) {
        let (invocation, now) = (self.invocation(), self.now());
        let (ec2, records, policies) = (&self.ec2, &self.records, self.policies);
        reconcile_all(ec2, records, policies, None, &invocation, now)
            .await
            .unwrap();
        let report = self.sweep(None).await;
        let tripped: BTreeSet<String> = held_by_breaker(&report).collect();
        if tripped.is_empty() {
            return;
        }
        let released = self.sweep(report.run.plan_hash).await;
        assert_eq!(held_by_breaker(&released).next(), None, "{released:#?}");
        self.tripped.extend(tripped);
    }

    async fn sweep(&mut self, release: Option<String>) -> Report {
        let (invocation, now) = (self.invocation(), self.now());
        let event = SweepEvent::Request(SweepRequest {
            now: Some(now),
            release,
            ..SweepRequest::default()
        });
        let (ec2, records, policies) = (&self.ec2, &self.records, self.policies);
        let swept = sweep(ec2, records, policies, Mode::Enforce, event, &invocation);
        let report = swept.await.unwrap();
        assert!(report.run.complete, "{report:#?}");
        assert_eq!(report.count(Outcome::Failed), 0, "{report:#?}");
        report
    }

    fn invocation(&mut self) -> Invocation {
        self.runs += 1;
        Invocation {
            id: format!("run-{}", self.runs),
            account: Some("111122223333".into()),
            region: Some("eu-central-1".into()),
            stop_at: None,
            operator: None,
        }
    }

    /// Every backup that stands in the account.
    pub fn survivors(&self) -> BTreeSet<Backup> {
        let account = self.ec2.0.account();
        let backup = |of: &str, tags: &Tags| {
            let slot = tags[artifact::SLOT].parse().unwrap();
            (tags[artifact::POLICY].clone(), of.to_owned(), slot)
        };
        let snapshots = account.snapshots();
        let snapshots = snapshots.filter(|one| one.tags[artifact::ARTIFACT] == "snapshot");
        let snapshots = snapshots.map(|one| backup(one.volume.as_str(), &one.tags));
        let images = account.images();
        let images = images.map(|one| backup(&one.tags[artifact::SOURCE], &one.tags));
        snapshots.chain(images).collect()
    }

    /// The good backups, as `holdfast simulate` reads them.
    pub async fn standing(&self) -> Vec<Standing> {
        let inventory = lists::read(&self.ec2, self.policies).await;
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &OnRecord::default(),
            account: Some("111122223333"),
        };
        Standing::of(self.policies, &evidence, self.now())
    }

    /// Snapshots of AMIs that are gone.
    pub fn remains(&self) -> usize {
        let account = self.ec2.0.account();
        let mapped: BTreeSet<_> = account
            .images()
            .flat_map(|image| &image.mappings)
            .filter_map(|device| device.snapshot())
            .collect();
        let snapshots = account.snapshots();
        let of_images = snapshots.filter(|one| one.tags[artifact::ARTIFACT] == "image-snapshot");
        of_images.filter(|one| !mapped.contains(&one.id)).count()
    }
}

/// The policies whose deletions the breaker holds.
fn held_by_breaker(report: &Report) -> impl Iterator<Item = String> {
    let held = report.items.iter().filter(|item| {
        let mut reasons = item.reasons.iter();
        item.outcome == Outcome::Held && reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
    });
    held.filter_map(|item| item.policy.clone())
}
