//! What is configurable about an account.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::chaos::Chaos;
use crate::model::recycle_bin::RetentionRule;

/// Settings of an account. Durations are in virtual time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Twelve digits.
    pub account_id: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// What identifiers are derived from.
    pub seed: u64,
    /// Where the clock begins.
    pub start: Timestamp,
    /// How long a snapshot is pending.
    pub snapshot_duration: SignedDuration,
    /// How much later each further member of a multi-volume set completes: members of a set do
    /// not complete at one time.
    pub set_stagger: SignedDuration,
    /// How long an AMI made by `CreateImage` is pending, at least as long as its snapshots.
    pub image_duration: SignedDuration,
    /// How long archiving a snapshot takes, and bringing one back: up to 72 hours
    /// (EBS User Guide, "Archive snapshots").
    pub tiering_duration: SignedDuration,
    /// How long fast restore is `enabling` or `disabling`, and how long after its snapshot's
    /// deletion it begins to be disabled.
    pub fast_restore_switch: SignedDuration,
    /// How long fast restore is `optimizing`: an hour per TiB (EBS User Guide, "Fast snapshot
    /// restore").
    pub fast_restore_optimizing: SignedDuration,
    /// How long a volume is `creating`.
    pub volume_duration: SignedDuration,
    /// How long an instance is in `pending`, `stopping` or `shutting-down`.
    pub instance_duration: SignedDuration,
    /// How long a terminated instance is still listed: about an hour (EC2 User Guide).
    pub terminated_visible: SignedDuration,
    /// How long a deregistered AMI is still listed, as `deregistered`; zero: not at all.
    pub deregistered_visible: SignedDuration,
    /// How long after deregistration `DeleteSnapshot` still answers `InvalidSnapshot.InUse`
    /// (boto issue #3019 reports it for about one in five).
    pub in_use_lag: SignedDuration,
    /// How long a list misses what was just made (EC2 Developer Guide, "Eventual consistency").
    pub list_lag: SignedDuration,
    /// How long lists still show what was just deleted, as it was; an AMI so long as `available`
    /// before [`Self::deregistered_visible`] shows it as `deregistered`.
    pub deleted_visible: SignedDuration,
    /// How long reads still show a resource as it was before its tags, its shares, its lock, its
    /// tier or another of its attributes was changed; its state within that time included.
    pub attribute_lag: SignedDuration,
    /// Of a hundred resources, those that meet the four lags above at all; which ones follows from
    /// `seed` and the identifier.
    pub lagging_share: u8,
    /// How long after a launch `LastLaunchedTime` shows it: up to 24 hours (EC2 User Guide, "Check
    /// when an AMI was last used").
    pub last_launched_delay: SignedDuration,
    /// Whether `DescribeLaunchTemplateVersions` with `ResolveAlias` fails for one name that cannot
    /// be resolved, or leaves it as it is written; AWS does not say.
    pub unresolved_alias_fails: bool,
    /// Random faults; [`crate::Account::unleash`] begins them anew.
    pub chaos: Option<Chaos>,
    /// Whether request token buckets are in force.
    pub throttling: bool,
    /// Snapshots the account may own, those in `error` included: 100,000 by default, adjustable
    /// `[Q]`.
    pub snapshot_quota: usize,
    /// Snapshot copies that may be in progress in a Region: 20 by default, adjustable `[Q]`.
    pub copies_in_progress: usize,
    /// ARNs of keys that cannot be used: a copy under one fails after the call has succeeded.
    pub inaccessible_keys: BTreeSet<String>,
    /// `CreateImage` calls with `NoReboot` that may be pending at once; the limit behind
    /// `ConcurrentCreateImageNoRebootLimitExceeded` `[E]` is not published.
    pub no_reboot_images: Option<usize>,
    /// Code of `DeleteSnapshot`'s refusal for a locked snapshot. AWS documents the refusal and no
    /// code; `OperationNotPermitted` is EC2's generic one.
    pub locked_delete_code: String,
    /// Retention rules of the Recycle Bin.
    pub recycle_bin: Vec<RetentionRule>,
    /// Whether each member of a set also emits its own `createSnapshot` event; AWS does not say.
    pub set_members_emit: bool,
    /// Whether a pending AMI already shows its snapshots' identifiers; AWS does not say.
    pub pending_image_shows_snapshots: bool,
}

impl Default for Settings {
    /// Account 111122223333 in eu-central-1, at 2026-11-23T00:00:00Z, with snapshots of a minute,
    /// AMIs of two, and neither lag nor throttling.
    fn default() -> Self {
        Self {
            account_id: "111122223333".to_owned(),
            region: "eu-central-1".to_owned(),
            seed: 0,
            start: Timestamp::constant(1_795_392_000, 0),
            snapshot_duration: SignedDuration::from_secs(60),
            set_stagger: SignedDuration::from_secs(1),
            image_duration: SignedDuration::from_secs(120),
            tiering_duration: SignedDuration::from_hours(24),
            fast_restore_switch: SignedDuration::from_secs(30),
            fast_restore_optimizing: SignedDuration::from_hours(1),
            volume_duration: SignedDuration::ZERO,
            instance_duration: SignedDuration::from_secs(10),
            terminated_visible: SignedDuration::from_hours(1),
            deregistered_visible: SignedDuration::ZERO,
            in_use_lag: SignedDuration::ZERO,
            list_lag: SignedDuration::ZERO,
            deleted_visible: SignedDuration::ZERO,
            attribute_lag: SignedDuration::ZERO,
            lagging_share: 100,
            last_launched_delay: SignedDuration::ZERO,
            unresolved_alias_fails: true,
            chaos: None,
            throttling: false,
            snapshot_quota: 100_000,
            copies_in_progress: 20,
            inaccessible_keys: BTreeSet::new(),
            no_reboot_images: None,
            locked_delete_code: "OperationNotPermitted".to_owned(),
            recycle_bin: Vec::new(),
            set_members_emit: true,
            pending_image_shows_snapshots: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_clock_begins_where_it_says() {
        let start = Settings::default().start.to_string();
        assert_eq!(start, "2026-11-23T00:00:00Z");
    }
}
