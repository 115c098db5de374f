//! Six weeks of heartbeats through the real create-snapshots, with what happens in them.

use std::sync::{MutexGuard, PoisonError};

use holdfast_core::artifact;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::policy::PolicyFile;
use holdfast_sim::request::{CreateLaunchTemplateVersion, RegisterImage, Request};
use holdfast_sim::{
    Account, BlockDevice, CallOutcome, Fault, FaultRule, Response, SharedAccount, TemplateData,
};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::fleet::{self, Fleet, Machine};
use super::report::Report;
use super::{DemoError, expect};
use crate::bus::{Attempt, Bus, World};
use crate::lambda::{DeliveryOptions, Function};
use crate::local::LocalAws;

/// The function that the heartbeats drive.
pub const CREATE: &str = "create-snapshots";
/// The function that retires; its heartbeats are not delivered while the weeks pass.
pub const SWEEP: &str = "sweep-retention";

/// The function that keeps the lineage true; the events of the weeks do not reach it.
pub const CHECK: &str = "check-dependencies";

/// The policy of the database.
pub const NIGHTLY: &str = "nightly-db";
/// The policy of the web group.
pub const WEB: &str = "web-daily";

/// The last minutes pass without a heartbeat, so that every snapshot has completed at the end.
const SETTLING: SignedDuration = SignedDuration::from_mins(3);

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Heartbeats delivered to create-snapshots.
    pub delivered: u64,
    /// Heartbeats of create-snapshots at which nothing was due.
    pub skipped: u64,
    /// Heartbeats of sweep-retention.
    pub sweeps_skipped: u64,
    /// Snapshots that the reports say were made.
    pub created: usize,
    /// When the first heartbeat was delivered.
    pub first: Option<Timestamp>,
    /// Up to when heartbeats were delivered.
    pub until: Timestamp,
}

/// One heartbeat that was delivered three times.
#[derive(Clone, Debug)]
pub struct Thrice {
    /// The slot.
    pub slot: Timestamp,
    /// Snapshots made by each delivery.
    pub made: Vec<usize>,
}

/// One call whose answer was lost.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The slot.
    pub slot: Timestamp,
    /// `CreateSnapshots` calls that reached EC2 for it.
    pub calls: usize,
    /// Snapshots that were then found by their tags.
    pub adopted: usize,
}

/// An AMI that somebody registered from one of our snapshots.
#[derive(Clone, Debug)]
pub struct Borrowed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The machine whose root it holds.
    pub of: String,
    /// When that was taken.
    pub slot: Timestamp,
    /// When the AMI was registered.
    pub at: Timestamp,
    /// The AMI.
    pub image: ImageId,
    /// Its name.
    pub name: &'static str,
    /// The version of the web group's launch template that now names it.
    pub version: i64,
}

/// The weeks that have passed.
pub struct Past {
    /// The bus; its clock stands at the end of the weeks.
    pub bus: Bus<SharedAccount>,
    /// create-snapshots, warm.
    pub create: Function,
    /// sweep-retention in mode `plan`.
    pub sweep: Function,
    /// check-dependencies, warm.
    pub check: Function,
    /// What its only heartbeat, at the end of the weeks, recorded.
    pub reconciled: usize,
    /// The policies.
    pub policies: PolicyFile,
    /// What was counted.
    pub tally: Tally,
    /// How many reports named a device that no snapshot covers, and the words for it.
    pub not_covered: (usize, String),
    /// The heartbeat delivered three times.
    pub thrice: Thrice,
    /// The lost answer.
    pub lost: Lost,
    /// The borrowed snapshot.
    pub borrowed: Borrowed,
}

/// Told after each day: the virtual time.
pub type OnDay<'a> = &'a mut (dyn FnMut(Timestamp) + Send);

/// The account.
pub fn locked(account: &SharedAccount) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads and checks the demo's policy file.
///
/// # Errors
///
/// It cannot be read, or is wrong.
pub fn policies(now: Timestamp) -> Result<PolicyFile, DemoError> {
    let path = super::policies_path();
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|source| DemoError::Io {
        what: name.clone(),
        source,
    })?;
    Ok(PolicyFile::parse(&name, &text, now)?)
}

/// Lets the time from the account's clock to `end` pass.
///
/// # Errors
///
/// A function fails, or does other than the demo tells.
pub async fn play(
    local: &LocalAws,
    fleet: &Fleet,
    end: Timestamp,
    on_day: OnDay<'_>,
) -> Result<Past, DemoError> {
    let begin = local.account.now();
    let create = local.function(CREATE)?;
    let sweep = local.function(SWEEP)?;
    let bus = local.bus(&[create.clone(), sweep.clone()])?;
    let policies = policies(begin)?;
    let mut clockwork = Clockwork {
        next: vec![Some(begin); policies.policies.len()],
        bus,
        policies,
        tally: Tally {
            until: begin,
            ..Tally::default()
        },
        not_covered: (0, String::new()),
        on_day,
    };
    let thrice = clockwork.thrice(begin + 2 * DAY).await?;
    let borrowed = clockwork.borrow(fleet, begin + 8 * DAY).await?;
    let lost = clockwork
        .lose_an_answer(&fleet.database, begin + 20 * DAY)
        .await?;
    clockwork.advance(end - SETTLING).await?;
    clockwork.settle(end).await?;
    expect(create.cold_starts() == 1, || {
        format!("{CREATE} was started {} times", create.cold_starts())
    })?;
    let check = local.function(CHECK)?;
    let beat = clockwork
        .bus
        .heartbeat_envelope("CheckDependenciesHeartbeat", end);
    let reconciled = Report::of(CHECK, &check.invoke(&beat).await?)?;
    Ok(Past {
        bus: clockwork.bus,
        create,
        sweep,
        check,
        reconciled: reconciled.with("recorded").count(),
        policies: clockwork.policies,
        tally: clockwork.tally,
        not_covered: clockwork.not_covered,
        thrice,
        lost,
        borrowed,
    })
}

struct Clockwork<'a> {
    bus: Bus<SharedAccount>,
    policies: PolicyFile,
    /// Each policy's next slot; at first the beginning, since a new policy is due at once.
    next: Vec<Option<Timestamp>>,
    tally: Tally,
    not_covered: (usize, String),
    on_day: OnDay<'a>,
}

impl Clockwork<'_> {
    /// Moves the clock, delivering the heartbeats of create-snapshots at which a slot is due.
    async fn advance(&mut self, to: Timestamp) -> Result<Vec<Report>, DemoError> {
        let mut reports = Vec::new();
        while self.bus.world().now() < to {
            let stop = to.min(self.bus.world().now() + DAY);
            let Self {
                bus,
                policies,
                next,
                tally,
                ..
            } = self;
            let fires = |beat: &crate::bus::Heartbeat<'_>| {
                if beat.function != CREATE {
                    tally.sweeps_skipped += 1;
                    return false;
                }
                let due = next.iter().flatten().any(|slot| *slot <= beat.time);
                if due {
                    tally.delivered += 1;
                    tally.first.get_or_insert(beat.time);
                    let slots = policies.policies.iter().map(|p| p.next_slot(beat.time));
                    *next = slots.collect();
                } else {
                    tally.skipped += 1;
                }
                due
            };
            let progress = bus.advance_to_when(stop, fires).await?;
            self.tally.until = stop;
            for attempt in &progress.attempts {
                reports.push(self.read(attempt)?);
            }
            (self.on_day)(stop);
        }
        Ok(reports)
    }

    /// Moves the clock without a heartbeat.
    async fn settle(&mut self, to: Timestamp) -> Result<(), DemoError> {
        let tally = &mut self.tally;
        let none = |beat: &crate::bus::Heartbeat<'_>| {
            if beat.function == CREATE {
                tally.skipped += 1;
            } else {
                tally.sweeps_skipped += 1;
            }
            false
        };
        self.bus.advance_to_when(to, none).await?;
        (self.on_day)(to);
        Ok(())
    }

    fn read(&mut self, attempt: &Attempt) -> Result<Report, DemoError> {
        let report = Report::of(&attempt.function, &attempt.outcome)?;
        self.tally.created += report.with("created").count();
        let reasons = report.items.iter().flat_map(|item| &item.reasons);
        for reason in reasons.filter(|reason| reason.code == "not-covered") {
            self.not_covered.0 += 1;
            self.not_covered.1.clone_from(&reason.detail);
        }
        Ok(report)
    }

    /// The first slot of a policy after a time.
    fn slot(&self, policy: &str, after: Timestamp) -> Result<Timestamp, DemoError> {
        let policy = self.policies.policies.iter().find(|p| p.name == policy);
        let slot = policy.and_then(|policy| policy.next_slot(after));
        slot.ok_or_else(|| DemoError::Unexpected(format!("no slot after {after}")))
    }

    /// Delivers one heartbeat three times.
    async fn thrice(&mut self, after: Timestamp) -> Result<Thrice, DemoError> {
        let slot = self.slot(NIGHTLY, after)?;
        self.advance(slot - SignedDuration::from_mins(10)).await?;
        self.bus.set_delivery(DeliveryOptions {
            duplicates: 2,
            ..DeliveryOptions::default()
        });
        let reports = self.advance(slot + SignedDuration::from_mins(10)).await?;
        self.bus.set_delivery(DeliveryOptions::default());
        let made = reports.iter().map(|r| r.with("created").count()).collect();
        Ok(Thrice { slot, made })
    }

    /// Lets somebody register an AMI from a snapshot that retention will not keep: taken on a
    /// Wednesday, it is not the newest of its week.
    async fn borrow(&mut self, fleet: &Fleet, after: Timestamp) -> Result<Borrowed, DemoError> {
        let mut slot = self.slot(WEB, after)?;
        while TimeZone::UTC.to_datetime(slot).weekday() != Weekday::Wednesday {
            slot = self.slot(WEB, slot)?;
        }
        let at = slot + SignedDuration::from_hours(8);
        self.advance(at).await?;
        let machine = fleet
            .web
            .get(1)
            .ok_or_else(|| DemoError::Unexpected("the web group has no second machine".into()))?;
        let mut account = locked(self.bus.world());
        let snapshot = account
            .snapshots()
            .find(|s| {
                s.tags.get(artifact::SOURCE).map(String::as_str) == Some(machine.id.as_str())
                    && s.tags.get(artifact::SLOT) == Some(&slot.to_string())
            })
            .map(|s| s.id.clone())
            .ok_or_else(|| {
                DemoError::Unexpected(format!("{} has no snapshot for {slot}", machine.name))
            })?;
        let name = "web-2 before the upgrade";
        let image = match account.call(&Request::RegisterImage(RegisterImage {
            name: name.to_owned(),
            architecture: Some("x86_64".to_owned()),
            root_device: Some("/dev/xvda".to_owned()),
            mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
            ..RegisterImage::default()
        }))? {
            Response::ImageMade(image) => image,
            other => return Err(fleet::odd("RegisterImage", &other)),
        };
        let call = CreateLaunchTemplateVersion {
            id: Some(fleet.web_template.to_string()),
            source_version: Some("1".to_owned()),
            data: TemplateData {
                image: Some(image.to_string()),
                ..TemplateData::default()
            },
            ..CreateLaunchTemplateVersion::default()
        };
        let version = match account.call(&Request::CreateLaunchTemplateVersion(call))? {
            Response::LaunchTemplateVersion(version) => version.version,
            other => return Err(fleet::odd("CreateLaunchTemplateVersion", &other)),
        };
        drop(account);
        Ok(Borrowed {
            snapshot,
            of: machine.name.clone(),
            slot,
            at,
            image,
            name,
            version,
        })
    }

    /// Lets EC2 carry out one call and break the connection before the answer.
    async fn lose_an_answer(
        &mut self,
        database: &Machine,
        after: Timestamp,
    ) -> Result<Lost, DemoError> {
        let slot = self.slot(NIGHTLY, after)?;
        self.advance(slot - SignedDuration::from_mins(10)).await?;
        let calls = |account: &Account| {
            let of_database = account.calls().iter().filter(|call| {
                call.operation == "CreateSnapshots"
                    && call.resources.first().map(String::as_str) == Some(database.id.as_str())
            });
            let lost = of_database
                .clone()
                .filter(|c| c.outcome == CallOutcome::ResponseLost);
            (of_database.count(), lost.count())
        };
        let before = {
            let mut account = locked(self.bus.world());
            let lost = FaultRule::next("CreateSnapshots", Fault::AppliedButResponseLost);
            account.inject(lost.on(database.id.to_string()));
            calls(&account)
        };
        let reports = self.advance(slot + SignedDuration::from_mins(10)).await?;
        let after = calls(&locked(self.bus.world()));
        expect(after.1 == before.1 + 1, || "no answer was lost".to_owned())?;
        let adopted = reports.iter().flat_map(|r| r.with("created"));
        Ok(Lost {
            slot,
            calls: after.0 - before.0,
            adopted: adopted.filter(|item| item.has("adopted")).count(),
        })
    }
}
