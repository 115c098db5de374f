//! What a simulation tells, as it is serialized: keys are stable, and documented here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::report::ReasonCode;

/// What a policy file does to a fleet over time. Times are UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// Version of this format: 1.
    pub schema: u32,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
    /// The moment of [`PolicyCourse::restore_points`] and [`PolicyCourse::gaps`], UTC.
    pub at: Timestamp,
    /// What it takes for granted, in words.
    pub assumptions: Vec<String>,
    /// Each policy, in the order of the file.
    pub policies: Vec<PolicyCourse>,
    /// Where another file was simulated beside it: what differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// What somebody who knows backups would say about it.
    pub advice: Vec<Advice>,
}

/// What becomes of one policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyCourse {
    /// Its name.
    pub policy: String,
    /// How many volumes or instances it makes backups of at any time.
    pub sources: u64,
    /// Backups made: snapshots or AMIs.
    pub created: u64,
    /// Backups retired.
    pub retired: u64,
    /// Backups that the first sweep retires.
    pub retired_by_first_sweep: u64,
    /// One point a day, the first at the beginning, the last at the end.
    pub series: Vec<Point>,
    /// What each source can be restored to at `at`; sources with the same points together.
    pub restore_points: Vec<RestorePoints>,
    /// The longest time between two neighbouring restore points at `at`, by their age.
    pub gaps: Vec<Gap>,
    /// The longest at any time, from the beginning to the end.
    pub worst_gaps: Vec<Gap>,
    /// Slots whose last backup is begun later than a minute after the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<Late>,
}

/// What stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The moment.
    pub time: Timestamp,
    /// Complete backups.
    pub backups: u64,
    /// Provisioned GiB of the sources that have a backup: what their first snapshots hold at most.
    pub full_gib: f64,
    /// GiB that changed between neighbouring backups, of volumes whose rate of change is known.
    pub changed_gib: f64,
    /// The price of both for a month, where a price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<f64>,
}

/// Sources and the points in time to which they can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePoints {
    /// The volumes or instances.
    pub sources: Vec<String>,
    /// The points, newest first.
    pub points: Vec<RestorePoint>,
}

/// A point in time to which a source can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePoint {
    /// The point in time.
    pub time: Timestamp,
    /// The slot that it answers.
    pub slot: Timestamp,
    /// Why it is kept or held. Of what nothing keeps, why the next sweep retires it: `expired` or
    /// `source-gone`.
    pub kept_by: Vec<ReasonCode>,
}

/// The longest time without a restore point among those of an age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Days before the moment from which on the newer of the two lies.
    pub from_days: u32,
    /// Days before it until which it does; none is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_days: Option<u32>,
    /// How long, in seconds.
    pub seconds: i64,
    /// A source that it is of.
    pub source: String,
    /// The restore point before it.
    pub older: Timestamp,
    /// The one after it; the moment itself, where there is none.
    pub newer: Timestamp,
    /// The moment: that of the simulation, or the first at which the longest of all was so long.
    pub at: Timestamp,
}

/// Slots of one call whose backups EC2's token buckets stretch out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Late {
    /// The creating call.
    pub call: String,
    /// How many heartbeats of this policy are concerned.
    pub slots: u64,
    /// The most calls that one heartbeat begins, those of other policies included.
    pub calls: u64,
    /// Seconds from the first of those to the last.
    pub seconds: i64,
    /// The first heartbeat that begins so many.
    pub worst: Timestamp,
}

/// What differs from another policy file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// Backups that stand when the change is made, of which the first sweep with the new file retires
    /// these and with the old file would not.
    pub retires_on_first_sweep: u64,
    /// The other way round: those that it would retire with the old file and not with the new one.
    pub keeps_on_first_sweep: u64,
    /// Those of [`Self::retires_on_first_sweep`], oldest first, and at most 100 of them.
    pub retired: Vec<Retired>,
    /// Each policy of either file, by name.
    pub policies: BTreeMap<String, Difference>,
}

/// A backup that a change of the policy file retires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retired {
    /// The policy that governs it.
    pub policy: String,
    /// `snap-…` or `ami-…`; none of what no account has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What it is of: the volume of a snapshot, the instance of an AMI.
    pub source: String,
    /// The point in time it holds, UTC.
    pub time: Timestamp,
}

/// One policy in two files.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Backups that stand when the change is made.
    pub standing: u64,
    /// Backups that the first sweep retires with the old file.
    pub old_first_sweep: u64,
    /// With the new one.
    pub new_first_sweep: u64,
    /// Of what stands, those that it retires with the new file and not with the old one.
    pub only_new_retires: u64,
    /// The other way round.
    pub only_old_retires: u64,
    /// Backups that stand at the end with the old file; none where it lacks the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_at_end: Option<u64>,
    /// With the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_at_end: Option<u64>,
    /// What the policy comes to with the old file; none where it lacks the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Total>,
    /// With the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Total>,
    /// Volumes or instances that the old file makes backups of and the new one does not, some of
    /// them by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_longer_picked: Vec<String>,
    /// The other way round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newly_picked: Vec<String>,
}

/// What a policy comes to from the beginning to the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Total {
    /// Backups made: snapshots or AMIs.
    pub created: u64,
    /// Backups retired.
    pub retired: u64,
    /// At the end, [`Point::full_gib`].
    pub full_gib: f64,
    /// At the end, [`Point::changed_gib`].
    pub changed_gib: f64,
    /// At the end, the price of both for a month, where a price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<f64>,
    /// The longest time between two neighbouring restore points at any time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_gap_seconds: Option<i64>,
    /// Slots whose last backup is begun later than a minute after the first.
    pub late_slots: u64,
}

impl Total {
    pub(super) fn of(course: &PolicyCourse) -> Self {
        let last = course.series.last();
        Self {
            created: course.created,
            retired: course.retired,
            full_gib: last.map_or(0.0, |point| point.full_gib),
            changed_gib: last.map_or(0.0, |point| point.changed_gib),
            monthly_cost: last.and_then(|point| point.monthly_cost),
            worst_gap_seconds: course.worst_gaps.iter().map(|gap| gap.seconds).max(),
            late_slots: course.late.iter().map(|late| late.slots).sum(),
        }
    }
}

/// How much a piece of advice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is probably not meant so.
    Warning,
    /// It is worth knowing.
    Note,
}

/// What somebody who knows backups would say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How much it matters.
    pub level: Level,
    /// A fixed code, for programs.
    pub code: AdviceCode,
    /// The policy, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Words for people.
    pub text: String,
}

/// What advice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceCode {
    /// A policy picks nothing.
    MatchesNothing,
    /// No policy picks a volume.
    NotPicked,
    /// The breaker would hold deletions.
    CircuitBreaker,
    /// A part of the past has no restore point.
    LadderHole,
    /// Most of what a schedule makes is retired soon after.
    FinerThanKept,
    /// Triggers make backups that `last` counts, too.
    TriggersUseUpLast,
    /// Token buckets make backups late.
    Late,
    /// No policy of the file governs backups that stand.
    PolicyUnknown,
    /// No price is known.
    NoPrice,
    /// How much changes is not known.
    NoRateOfChange,
}
