//! The report: what every function answers and every command prints with `--json`.
//!
//! Verdicts come in with their reasons; nothing is decided here.

mod evidence;

pub use evidence::{SourceEvidence, sources, together};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// Most bytes of JSON that a function answers with; items beyond are cut and counted.
pub const FUNCTION_LIMIT: usize = 512 * 1024;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its fixed spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }
    };
}

words!(
    /// What an item is about.
    Action {
        /// A backup is made.
        Create = "create",
        /// A backup is retired.
        Delete = "delete",
        /// A fact is recorded.
        Record = "record",
        /// A verdict is explained.
        Explain = "explain",
        /// Something was checked.
        Check = "check",
    }
);

words!(
    /// What became of an item.
    Outcome {
        /// The backup was made, or found made by the same run.
        Created = "created",
        /// It would be done.
        Planned = "planned",
        /// The artifact is gone.
        Deleted = "deleted",
        /// A retention rule or `min_copies` keeps it.
        Kept = "kept",
        /// Something depends on it, or evidence is missing.
        Held = "held",
        /// Not to be done.
        Skipped = "skipped",
        /// Left for a later heartbeat.
        Deferred = "deferred",
        /// Could not be done.
        Failed = "failed",
        /// A fact was recorded.
        Recorded = "recorded",
        /// Something the operator should know.
        Finding = "finding",
        /// Explain: nothing stands in the way.
        Deletable = "deletable",
    }
);

words!(
    /// Why a verdict is what it is.
    ReasonCode {
        /// Among the newest by count.
        RetainLast = "retain.last",
        /// Newest of its hour.
        RetainHourly = "retain.hourly",
        /// Newest of its day.
        RetainDaily = "retain.daily",
        /// Newest of its ISO week.
        RetainWeekly = "retain.weekly",
        /// Newest of its month.
        RetainMonthly = "retain.monthly",
        /// Newest of its year.
        RetainYearly = "retain.yearly",
        /// Younger than `within`, from the newest good backup.
        RetainWithin = "retain.within",
        /// Another member of its set is kept.
        RetainSet = "retain.set",
        /// Among the newest good backups that are never retired.
        MinCopies = "min-copies",
        /// Dated after `now`.
        FutureDated = "future-dated",
        /// An AMI maps it.
        UsedByImage = "used-by-image",
        /// An instance was launched from it.
        UsedByInstance = "used-by-instance",
        /// A launch-template version names it.
        UsedByLaunchTemplate = "used-by-launch-template",
        /// A launch configuration names it.
        UsedByLaunchConfiguration = "used-by-launch-configuration",
        /// An Auto Scaling group launches from it.
        UsedByAutoScalingGroup = "used-by-auto-scaling-group",
        /// A fleet or a Spot request launches from it.
        UsedByFleet = "used-by-fleet",
        /// An SSM parameter holds it.
        UsedByParameter = "used-by-parameter",
        /// An Image Builder recipe builds on it.
        UsedByImageRecipe = "used-by-image-recipe",
        /// Another account may use it.
        SharedWithAccount = "shared-with-account",
        /// It was launched within the time for which the policy holds it.
        RecentlyLaunched = "recently-launched",
        /// Fast snapshot restore is on.
        FastRestoreEnabled = "fast-restore-enabled",
        /// An AMI in the Recycle Bin needs it.
        InRecycleBin = "in-recycle-bin",
        /// It is being copied.
        CopyInProgress = "copy-in-progress",
        /// Read only right before a deletion, or in an explanation.
        NotYetChecked = "not-yet-checked",
        /// It has not completed.
        Pending = "pending",
        /// In a state that Holdfast does not know.
        UnknownState = "unknown-state",
        /// It, or its source, carries `holdfast:pin`.
        Pinned = "pinned",
        /// Not an artifact of Holdfast's.
        NotManaged = "not-managed",
        /// Another tool manages it.
        ManagedByOther = "managed-by-other",
        /// Its policy is not in the file.
        PolicyUnknown = "policy-unknown",
        /// Its policy is paused.
        PolicyPaused = "policy-paused",
        /// Its policy now protects something else.
        PolicyChanged = "policy-changed",
        /// A list that could protect it was not read to its end.
        EvidenceIncomplete = "evidence-incomplete",
        /// The policy shrinks too fast.
        CircuitBreaker = "circuit-breaker",
        /// Condemned, and waiting.
        Grace = "grace",
        /// Locked against deletion.
        Locked = "locked",
        /// No rule keeps it.
        Expired = "expired",
        /// Its AMI is gone.
        Orphaned = "orphaned",
        /// It failed and was never a backup.
        FailedBackup = "failed-backup",
        /// Its source is gone for longer than the policy keeps the last backups.
        SourceGone = "source-gone",
        /// An instance-store device, whose data no snapshot holds.
        NotCovered = "not-covered",
        /// The instance's state forbids it.
        InstanceState = "instance-state",
        /// The volume's state forbids it.
        VolumeState = "volume-state",
        /// A slot was missed.
        SlotMissed = "slot-missed",
        /// A KMS key makes it unusable.
        KeyUnusable = "key-unusable",
        /// More volumes to leave out than one call can.
        TooManyExclusions = "too-many-exclusions",
        /// The policy does not pick it.
        NotPicked = "not-picked",
        /// EC2 asked for fewer calls.
        Throttled = "throttled",
        /// A limit of EC2's on this resource.
        ResourceLimit = "resource-limit",
        /// Nobody knows yet whether the call was carried out.
        OutcomeUnknown = "outcome-unknown",
        /// Found by its tags and taken over after an unknown outcome.
        Adopted = "adopted",
        /// The same run made it before.
        AlreadyCreated = "already-created",
        /// Another run of the policy is at work.
        LeaseHeld = "lease-held",
        /// The lease or the invocation's time ran out.
        OutOfTime = "out-of-time",
        /// Credentials or permissions refuse it.
        AccessDenied = "access-denied",
        /// EC2 refused.
        Refused = "refused",
        /// Holdfast's table refused.
        TableFailed = "table-failed",
        /// The event is older than one already handled.
        Late = "late",
        /// A slot is due.
        SlotDue = "slot-due",
        /// EC2 refuses to deregister it.
        DeregistrationProtected = "deregistration-protected",
        /// A disabled AMI: no backup that counts, and not deleted either.
        Disabled = "disabled",
        /// A snapshot that it maps is not there.
        SnapshotMissing = "snapshot-missing",
        /// It carries Holdfast's tags and was not on record.
        Unrecorded = "unrecorded",
        /// It is on record and not in EC2.
        Gone = "gone",
        /// Nothing of that identifier is known.
        NotFound = "not-found",
        /// Something else has the name that the backup would get.
        NameTaken = "name-taken",
        /// EC2 failed it as often as it may be started.
        AttemptsExhausted = "attempts-exhausted",
        /// It waits for its next attempt.
        RetryLater = "retry-later",
        /// The instance was stopped before the call and still after it.
        Quiet = "quiet",
        /// The instance was not stopped all the while.
        NotQuiet = "not-quiet",
        /// Writes were held inside the guest over the point in time.
        ApplicationConsistent = "application-consistent",
        /// Taken with less consistency than the policy asks for.
        CrashConsistent = "crash-consistent",
        /// Systems Manager does not reach the guest.
        GuestOffline = "guest-offline",
        /// The guest's operating system cannot be frozen.
        GuestUnsupported = "guest-unsupported",
        /// The source is no guest's, so that nothing can hold its writes.
        NoGuest = "no-guest",
        /// Writes could not be held inside the guest.
        FreezeFailed = "freeze-failed",
        /// Writes were not held to the end, or letting them go failed.
        ThawFailed = "thaw-failed",
        /// Nobody knows whether writes inside the guest go on.
        ThawUnknown = "thaw-unknown",
    }
);

/// One reason of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// Fixed code, for machines.
    pub code: ReasonCode,
    /// Words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// From the artifact to what needs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl Reason {
    /// A reason without further words.
    #[must_use]
    pub fn of(code: ReasonCode) -> Self {
        Self {
            code,
            detail: None,
            path: Vec::new(),
        }
    }

    /// A reason with words for people.
    pub fn with(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            path: Vec::new(),
        }
    }
}

/// What follows from a verdict for the one who asked to have it explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What would break if the artifact went, one for each path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<String>,
    /// What would have to change for it to become deletable, one for each reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is about.
    pub action: Action,
    /// The artifact, or the resource where there is no artifact.
    pub resource: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The volume of a snapshot, the instance of an AMI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The point in time the backup holds, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The slot it answers, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// `breaks` and `remedies`, which only an explanation has: boxed, because a sweep has an item
    /// for every backup.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Box<Advice>>,
}

impl Item {
    /// An item with nothing but what every item has.
    pub fn new(action: Action, resource: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            action,
            resource: resource.into(),
            outcome,
            policy: None,
            source: None,
            time: None,
            slot: None,
            reasons: Vec::new(),
            advice: None,
        }
    }

    /// The item with its policy.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// The item with its source.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The item with its slot.
    #[must_use]
    pub fn slot(mut self, slot: Timestamp) -> Self {
        self.slot = Some(slot);
        self
    }

    /// The item with one more reason.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reasons.push(reason);
        self
    }
}

/// What the run as a whole was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Identifier of the run.
    pub id: String,
    /// The function or command.
    pub function: String,
    /// `plan` or `enforce`, where that makes a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The time the run decided for, UTC.
    pub now: Timestamp,
    /// The AWS account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// SHA-256 of the policy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_sha256: Option<String>,
    /// Hash over the sorted (policy, resource) deletions: see the contract's breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether no work is left for the next run.
    pub complete: bool,
    /// What a sweep's decisions rest on: one entry a source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<SourceEvidence>,
}

/// Whether a sweep may delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reports what it would do.
    Plan,
    /// Does it.
    Enforce,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this format: 1.
    pub schema: u32,
    /// The run.
    pub run: Run,
    /// Number of items by outcome, cut ones included.
    pub summary: BTreeMap<Outcome, u64>,
    /// The items.
    pub items: Vec<Item>,
    /// How many items were cut to fit the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_omitted: Option<u64>,
}

impl Report {
    /// The report of a run. Its times are whole seconds, as the ledger's and the tags' are.
    #[must_use]
    pub fn new(mut run: Run, mut items: Vec<Item>) -> Self {
        run.now = whole_second(run.now);
        for item in &mut items {
            item.time = item.time.map(whole_second);
            item.slot = item.slot.map(whole_second);
        }
        let mut summary = BTreeMap::new();
        for item in &items {
            *summary.entry(item.outcome).or_insert(0) += 1;
        }
        Self {
            schema: 1,
            run,
            summary,
            items,
            items_omitted: None,
        }
    }

    /// How many items had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.summary.get(&outcome).copied().unwrap_or(0)
    }

    /// The report with as many items as fit `limit` bytes of JSON.
    ///
    /// What needs attention stays longest: failures and findings first, then what was done, then
    /// what was held, and what is merely kept last.
    #[must_use]
    pub fn fitted(mut self, limit: usize) -> Self {
        let size = |value: &Item| serde_json::to_string(value).map_or(0, |text| text.len() + 1);
        let total: usize = self.items.iter().map(size).sum();
        // Room for the head: run, summary and the count of what was cut.
        let head = serde_json::to_string(&self.run).map_or(0, |text| text.len());
        let room = limit.saturating_sub(1024 + head);
        if total <= room {
            return self;
        }
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by_key(|&i| (attention(self.items[i].outcome), i));
        let mut used = 0;
        let mut stays = vec![false; self.items.len()];
        for i in order {
            used += size(&self.items[i]);
            if used > room {
                break;
            }
            stays[i] = true;
        }
        let before = self.items.len();
        let mut stay = stays.into_iter();
        self.items.retain(|_| stay.next().unwrap_or(false));
        self.items_omitted = Some((before - self.items.len()) as u64);
        self
    }

    /// One line in CloudWatch's embedded metric format: a count for each outcome of this run, of the
    /// deletions that a circuit breaker holds, and whether work is left. The alarms of
    /// `infra/template.yaml` read them.
    ///
    /// The only dimension is the function, so that the number of metrics stays small whatever the
    /// fleet (CloudWatch User Guide, "Embedded Metric Format Specification").
    #[must_use]
    pub fn metrics(&self, wall: Timestamp) -> serde_json::Value {
        let counted = [
            Outcome::Created,
            Outcome::Deleted,
            Outcome::Held,
            Outcome::Deferred,
            Outcome::Failed,
            Outcome::Finding,
        ]
        .map(|outcome| (format!("items.{}", outcome.as_str()), self.count(outcome)));
        let further = [
            ("items.circuit-breaker".to_owned(), self.held_by_breaker()),
            ("run.incomplete".to_owned(), u64::from(!self.run.complete)),
        ];
        let mut line = serde_json::Map::new();
        let mut names = Vec::new();
        for (name, value) in counted.into_iter().chain(further) {
            names.push(serde_json::json!({ "Name": name, "Unit": "Count" }));
            line.insert(name, value.into());
        }
        line.insert("function".into(), self.run.function.clone().into());
        line.insert("run".into(), self.run.id.clone().into());
        line.insert(
            "_aws".into(),
            serde_json::json!({
                "Timestamp": wall.as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": "Holdfast", "Dimensions": [["function"]], "Metrics": names }
                ],
            }),
        );
        line.into()
    }

    /// How many deletions a tripped circuit breaker holds.
    fn held_by_breaker(&self) -> u64 {
        let held = self.items.iter().filter(|item| {
            let mut reasons = item.reasons.iter();
            item.outcome == Outcome::Held && reasons.any(|r| r.code == ReasonCode::CircuitBreaker)
        });
        held.count() as u64
    }
}

/// The second that a time lies in.
#[must_use]
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn attention(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed | Outcome::Finding => 0,
        Outcome::Created | Outcome::Deleted | Outcome::Deferred => 1,
        Outcome::Planned | Outcome::Recorded | Outcome::Deletable => 2,
        Outcome::Held => 3,
        Outcome::Skipped => 4,
        Outcome::Kept => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run {
            id: "r".into(),
            function: "sweep-retention".into(),
            mode: Some(Mode::Plan),
            now: Timestamp::UNIX_EPOCH,
            account: None,
            region: None,
            policy_sha256: None,
            plan_hash: None,
            complete: true,
            evidence: Vec::new(),
        }
    }

    #[test]
    fn keys_without_a_value_are_left_out() {
        let item = Item::new(Action::Delete, "snap-1", Outcome::Held)
            .reason(Reason::of(ReasonCode::Pinned));
        let json = serde_json::to_value(Report::new(run(), vec![item])).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "schema": 1,
                "run": { "id": "r", "function": "sweep-retention", "mode": "plan",
                         "now": "1970-01-01T00:00:00Z", "complete": true },
                "summary": { "held": 1 },
                "items": [ { "action": "delete", "resource": "snap-1", "outcome": "held",
                             "reasons": [ { "code": "pinned" } ] } ],
            })
        );
    }

    #[test]
    fn a_cut_report_keeps_its_summary_and_what_needs_attention() {
        let mut items: Vec<Item> = (0..10_000)
            .map(|i| Item::new(Action::Delete, format!("snap-{i:05}"), Outcome::Kept))
            .collect();
        items.push(Item::new(Action::Delete, "snap-failed", Outcome::Failed));
        let report = Report::new(run(), items).fitted(100_000);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.len() <= 100_000, "{}", text.len());
        assert_eq!(report.count(Outcome::Kept), 10_000);
        assert_eq!(
            report.items_omitted.unwrap() + report.items.len() as u64,
            10_001
        );
        assert!(report.items.iter().any(|i| i.resource == "snap-failed"));
    }

    #[test]
    fn metrics_count_failures_findings_and_what_a_breaker_holds_and_declare_what_they_count() {
        let held =
            |code| Item::new(Action::Delete, "snap-1", Outcome::Held).reason(Reason::of(code));
        let items = vec![
            held(ReasonCode::CircuitBreaker),
            held(ReasonCode::CircuitBreaker),
            held(ReasonCode::Pinned),
            // About a breaker, and held by none.
            Item::new(Action::Check, "0a1b", Outcome::Finding)
                .reason(Reason::of(ReasonCode::CircuitBreaker)),
            Item::new(Action::Delete, "snap-2", Outcome::Failed),
        ];
        let unfinished = Run {
            complete: false,
            ..run()
        };
        let line = Report::new(unfinished, items).metrics(Timestamp::UNIX_EPOCH);
        for (name, value) in [
            ("items.held", 3),
            ("items.circuit-breaker", 2),
            ("items.finding", 1),
            ("items.failed", 1),
            ("items.created", 0),
            ("run.incomplete", 1),
        ] {
            assert_eq!(line[name], value, "{name}");
            let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
            assert!(
                declared.unwrap().iter().any(|m| m["Name"] == name),
                "{name}"
            );
        }
        assert_eq!(line["function"], "sweep-retention");
    }
}
