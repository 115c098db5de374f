//! The report's fixed words: actions, outcomes and reason codes.

use serde::Serialize;

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

            /// The one of that spelling; none for a word that only another version knows.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
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
        /// The newest good backup is as young as the policy promises.
        Covered = "covered",
        /// No backup is due yet.
        NotYetDue = "not-yet-due",
        /// A picked source has no good backup.
        NoBackup = "no-backup",
        /// A picked source's newest good backup is older than the policy promises.
        RpoExceeded = "rpo-exceeded",
        /// The policy picks nothing.
        MatchesNothing = "matches-nothing",
        /// A simulation shows what is probably not meant so.
        Foreseen = "foreseen",
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
        /// The event is older than one already handled; or a slot was started later than the policy's
        /// `start_within`.
        Late = "late",
        /// An event asked for it less than the policy's `cooldown` after another.
        Cooldown = "cooldown",
        /// The last change of an instance's state has no backup, so its event was lost.
        EventLost = "event-lost",
        /// Another backup of the same policy, slot and source was made before it.
        Duplicate = "duplicate",
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
        /// What a restore is, or would be, made from.
        RestoredFrom = "restored-from",
        /// It lies in the archive tier.
        Archived = "archived",
        /// A set of which a member is missing.
        IncompleteSet = "incomplete-set",
        /// The device name is taken on that instance.
        DeviceInUse = "device-in-use",
        /// How the instance was launched is neither on record nor to be read any more.
        LaunchUnknown = "launch-unknown",
        /// A waiting command was interrupted.
        Interrupted = "interrupted",
    }
);
