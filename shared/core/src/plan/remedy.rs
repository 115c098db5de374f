//! What follows from a reason, in words: what would break if the artifact went all the same, and
//! what would have to change for it to become deletable.
//!
//! It reads verdicts and changes none.

use jiff::Timestamp;

use crate::artifact::PIN;
use crate::dependency::UNRESOLVED;
use crate::inventory::Source;
use crate::plan::judge::PIN_RECORDED;
use crate::policy::{EvidenceSource, Policy, Retain, TemplateVersions};
use crate::report::{Advice, Reason, ReasonCode};

/// What a reason is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The snapshot or AMI.
    pub id: &'a str,
    /// The point in time that it holds, UTC.
    pub time: Option<Timestamp>,
    /// The policy that governs it, where it is in the file.
    pub policy: Option<&'a Policy>,
}

/// The words for all reasons of one artifact, each once; `None` where there are none.
#[must_use]
pub fn advise(about: &About<'_>, reasons: &[Reason]) -> Option<Box<Advice>> {
    let mut advice = Advice::default();
    for reason in reasons {
        add(&mut advice.breaks, breaks(about, reason));
        add(&mut advice.remedies, remedy(about, reason));
    }
    let any = !advice.breaks.is_empty() || !advice.remedies.is_empty();
    any.then(|| Box::new(advice))
}

fn add(words: &mut Vec<String>, one: Option<String>) {
    words.extend(
        one.filter(|one| !words.contains(one))
            .into_iter()
            .collect::<Vec<_>>(),
    );
}

/// What stands at the end of the reason's path, else its detail.
fn end(reason: &Reason) -> &str {
    let detail = reason.detail.as_deref();
    let last = reason.path.last().filter(|_| reason.path.len() > 1);
    last.map(String::as_str)
        .or(detail)
        .unwrap_or("what uses it")
}

/// The detail, else what stands at the end of the path.
fn told(reason: &Reason) -> &str {
    reason.detail.as_deref().unwrap_or_else(|| end(reason))
}

/// The AMI on the way to what stands at the end of the path.
fn ami(reason: &Reason) -> &str {
    let mut amis = reason.path.iter().filter(|id| id.starts_with("ami-"));
    amis.next_back().map_or("this AMI", String::as_str)
}

/// What would break; `None` where nothing but the backup itself would be lost.
#[must_use]
pub fn breaks(about: &About<'_>, reason: &Reason) -> Option<String> {
    use ReasonCode as Code;
    let end = end(reason);
    Some(match reason.code {
        Code::UsedByImage => format!("{end} can launch no instance any more"),
        Code::UsedByInstance => format!(
            "{end} itself stays as it is, but cannot be launched again from {}, nor its root \
             volume be replaced from it",
            ami(reason)
        ),
        Code::UsedByLaunchTemplate => format!("launches by {} fail", versions(reason)),
        Code::UsedByLaunchConfiguration => {
            format!("launches by launch configuration {end} fail")
        }
        Code::UsedByAutoScalingGroup => {
            format!("Auto Scaling group {end} can neither scale out nor replace an instance")
        }
        Code::UsedByFleet => format!("{end} can launch no instance of {}", ami(reason)),
        Code::UsedByParameter => {
            format!("launches that look the AMI up in SSM parameter {end} fail")
        }
        Code::UsedByImageRecipe => format!("Image Builder recipe {end} can build nothing"),
        Code::SharedWithAccount => {
            let (what, with) = shared(about, reason);
            format!("{with} can use {what} no longer")
        }
        Code::RecentlyLaunched => {
            format!(
                "what launched {} lately cannot launch it again",
                ami(reason)
            )
        }
        Code::FastRestoreEnabled => format!(
            "volumes are made of {} at full speed no longer: {}",
            snapshot_of(about, reason),
            told(reason)
        ),
        Code::InRecycleBin => {
            format!("{end} can be taken out of the Recycle Bin, but not launched")
        }
        Code::CopyInProgress => format!("the copy under way fails: {}", told(reason)),
        Code::Pending => "what is being made is lost".into(),
        Code::Cooldown
        | Code::EventLost
        | Code::RetainLast
        | Code::RetainHourly
        | Code::RetainDaily
        | Code::RetainWeekly
        | Code::RetainMonthly
        | Code::RetainYearly
        | Code::RetainWithin
        | Code::RetainSet
        | Code::MinCopies
        | Code::FutureDated
        | Code::NotYetChecked
        | Code::UnknownState
        | Code::Pinned
        | Code::NotManaged
        | Code::ManagedByOther
        | Code::PolicyUnknown
        | Code::PolicyPaused
        | Code::PolicyChanged
        | Code::EvidenceIncomplete
        | Code::CircuitBreaker
        | Code::Grace
        | Code::Locked
        | Code::Expired
        | Code::Orphaned
        | Code::FailedBackup
        | Code::Duplicate
        | Code::SourceGone
        | Code::NotCovered
        | Code::InstanceState
        | Code::VolumeState
        | Code::SlotMissed
        | Code::KeyUnusable
        | Code::TooManyExclusions
        | Code::NotPicked
        | Code::Covered
        | Code::NotYetDue
        | Code::NoBackup
        | Code::RpoExceeded
        | Code::MatchesNothing
        | Code::Throttled
        | Code::ResourceLimit
        | Code::OutcomeUnknown
        | Code::Adopted
        | Code::AlreadyCreated
        | Code::LeaseHeld
        | Code::OutOfTime
        | Code::AccessDenied
        | Code::Refused
        | Code::TableFailed
        | Code::Late
        | Code::SlotDue
        | Code::DeregistrationProtected
        | Code::Disabled
        | Code::SnapshotMissing
        | Code::Unrecorded
        | Code::Gone
        | Code::NotFound
        | Code::NameTaken
        | Code::AttemptsExhausted
        | Code::RetryLater
        | Code::Quiet
        | Code::NotQuiet
        | Code::ApplicationConsistent
        | Code::CrashConsistent
        | Code::GuestOffline
        | Code::GuestUnsupported
        | Code::NoGuest
        | Code::FreezeFailed
        | Code::ThawFailed
        | Code::ThawUnknown
        | Code::RestoredFrom
        | Code::Archived
        | Code::IncompleteSet
        | Code::DeviceInUse
        | Code::LaunchUnknown
        | Code::Interrupted
        | Code::Foreseen => return None,
    })
}

/// What would have to change; `None` for what is no obstacle, or stands in no verdict.
#[must_use]
pub fn remedy(about: &About<'_>, reason: &Reason) -> Option<String> {
    use ReasonCode as Code;
    let (end, told) = (end(reason), told(reason));
    let policy = about
        .policy
        .map_or("its policy", |policy| policy.name.as_str());
    Some(match reason.code {
        Code::RetainLast
        | Code::RetainHourly
        | Code::RetainDaily
        | Code::RetainWeekly
        | Code::RetainMonthly
        | Code::RetainYearly => by_count(about, reason, policy),
        Code::RetainWithin => within(about, policy),
        Code::RetainSet => format!("nothing: it goes when no member of its set is kept ({told})"),
        Code::MinCopies => format!(
            "nothing: it goes once its group has {}; the newest ones go only by `source_gone` of \
             {policy}",
            about.policy.map_or_else(
                || "enough newer good backups".into(),
                |p| newer(p.min_copies, "good backup")
            )
        ),
        Code::FutureDated => match about.time {
            Some(time) => format!("nothing: it is dated {time}, and judged from then on"),
            None => "nothing: it is judged from the time on that it is dated".into(),
        },
        Code::UsedByImage => {
            format!("deregister {end}, if it is not to stay; the snapshot goes when no AMI maps it")
        }
        Code::UsedByInstance if told.contains("(terminated)") => format!(
            "nothing: it goes when EC2 lists {end} no longer, some hours after its end; \
             `terminated_instances_hold: false` in {policy} lets it go sooner"
        ),
        Code::UsedByInstance => match about.policy {
            Some(p) if p.stopped_instances_hold => format!(
                "terminate {end}; if it is stopped for good, `stopped_instances_hold: false` in \
                 {policy} lets it hold nothing"
            ),
            _ => format!("terminate {end}"),
        },
        Code::UsedByLaunchTemplate => {
            let versions = versions(reason);
            match about.policy {
                Some(p) if p.launch_template_versions == TemplateVersions::All => format!(
                    "delete {versions} (the default one once another is the default), or set \
                     `launch_template_versions: default-and-latest` in {policy} if those that are \
                     neither need not hold"
                ),
                _ => format!("delete {versions} (the default one once another is the default)"),
            }
        }
        Code::UsedByLaunchConfiguration => format!("delete launch configuration {end}"),
        Code::UsedByAutoScalingGroup => {
            format!("let Auto Scaling group {end} launch from another AMI, or delete it")
        }
        Code::UsedByFleet => format!("cancel or delete {end}"),
        Code::UsedByParameter => {
            format!("write another AMI into SSM parameter {end}, or delete it")
        }
        Code::UsedByImageRecipe => format!("delete Image Builder recipe {end}"),
        Code::SharedWithAccount => {
            let (what, with) = shared(about, reason);
            format!("stop sharing {what} with {with}")
        }
        Code::RecentlyLaunched => format!(
            "nothing: it goes when `recently_launched` of {policy} has passed since its last \
             launch ({told})"
        ),
        Code::FastRestoreEnabled => format!(
            "disable fast snapshot restore of {} ({told})",
            snapshot_of(about, reason)
        ),
        Code::InRecycleBin => {
            format!("nothing: it goes when {end} has left the Recycle Bin for good ({told})")
        }
        Code::CopyInProgress => format!("nothing: it goes when the copy is done ({told})"),
        Code::NotYetChecked => {
            "nothing: the sweep looks right before it deletes, and `holdfast explain` now".into()
        }
        Code::Pending => "nothing: it is judged when it is complete".into(),
        Code::UnknownState => {
            format!(
                "find out what keeps it in that state ({told}); Holdfast deletes nothing that \
                     it cannot judge"
            )
        }
        Code::Pinned => {
            let pinned = reason.path.last().map_or(about.id, String::as_str);
            match told.ends_with(PIN_RECORDED) {
                true => format!(
                    "take the pin of {pinned} off the record: `holdfast unpin {pinned}`; it stays \
                     there until it is taken off, also when {pinned} is gone"
                ),
                false => format!("remove the tag {PIN} from {pinned}"),
            }
        }
        Code::NotManaged => format!(
            "Holdfast never deletes it: it is not Holdfast's ({told}); `holdfast adopt` takes over \
             what another tool made and no longer manages"
        ),
        Code::ManagedByOther => {
            format!("let the service that manages it delete it ({told}); Holdfast never does")
        }
        Code::PolicyUnknown => format!(
            "put a policy of that name into the policy file, or name it under `formerly` of the \
             one that takes its backups over ({told})"
        ),
        Code::PolicyPaused => format!("set `state` of {policy} to active, or to retired"),
        Code::PolicyChanged => format!(
            "let a policy with the former `protect` govern it (`formerly`), or delete it by hand \
             ({told})"
        ),
        Code::EvidenceIncomplete => evidence(reason, policy),
        Code::CircuitBreaker => format!(
            "read the plan, and release it by its plan_hash, which `holdfast plan` shows; waiting \
             lets go only what `limits` of {policy} hold, as 24 hours pass ({told})"
        ),
        Code::Grace => format!("nothing: it goes when its time has come ({told})"),
        Code::Locked => format!(
            "unlock {}, or wait until its lock expires ({told})",
            snapshot_of(about, reason)
        ),
        Code::DeregistrationProtected => format!(
            "disable deregistration protection of {}; a cool-down of 24 hours may follow",
            ami_of(about, reason)
        ),
        Code::Disabled => format!("enable {}, and it is judged again", ami_of(about, reason)),
        Code::SnapshotMissing => format!(
            "take the snapshot out of the Recycle Bin if it is there, or deregister the AMI by \
             hand: nothing can be launched from it ({told})"
        ),
        Code::Orphaned => format!(
            "nothing: what {policy} would not keep of a whole AMI goes by itself, what is left of \
             a part only by hand; to have the AMI back, take it out of the Recycle Bin or register \
             one from its snapshots ({told})"
        ),
        Code::Duplicate => {
            format!("nothing: {end} holds the same slot of the same source ({told})")
        }
        Code::FailedBackup => format!("nothing: it was never a backup ({told})"),
        Code::NotFound | Code::Gone => "nothing: it is not there".into(),
        Code::TableFailed => format!("make Holdfast's table readable ({told})"),
        Code::AccessDenied => format!("let the caller do it ({told})"),
        Code::RetryLater => format!("nothing: the sweep tries it again ({told})"),
        Code::Expired | Code::SourceGone => return None,
        // Of creations, of runs and of what came of them.
        Code::NotCovered
        | Code::InstanceState
        | Code::VolumeState
        | Code::SlotMissed
        | Code::KeyUnusable
        | Code::TooManyExclusions
        | Code::NotPicked
        | Code::Covered
        | Code::NotYetDue
        | Code::NoBackup
        | Code::RpoExceeded
        | Code::MatchesNothing
        | Code::Cooldown
        | Code::EventLost
        | Code::Throttled
        | Code::ResourceLimit
        | Code::OutcomeUnknown
        | Code::Adopted
        | Code::AlreadyCreated
        | Code::LeaseHeld
        | Code::OutOfTime
        | Code::Refused
        | Code::Late
        | Code::SlotDue
        | Code::Unrecorded
        | Code::NameTaken
        | Code::AttemptsExhausted
        | Code::Quiet
        | Code::NotQuiet
        | Code::ApplicationConsistent
        | Code::CrashConsistent
        | Code::GuestOffline
        | Code::GuestUnsupported
        | Code::NoGuest
        | Code::FreezeFailed
        | Code::ThawFailed
        | Code::ThawUnknown
        | Code::RestoredFrom
        | Code::Archived
        | Code::IncompleteSet
        | Code::DeviceInUse
        | Code::LaunchUnknown
        | Code::Interrupted
        | Code::Foreseen => return None,
    })
}

/// What helps against evidence that is missing: of a source that was not read, of a parameter that
/// nobody resolved, or of the artifact itself.
fn evidence(reason: &Reason, policy: &str) -> String {
    let told = told(reason);
    let source = told.split_once(": ").map_or("", |(source, _)| source);
    let declarable = EvidenceSource::ALL.into_iter();
    if let Some(source) = declarable.map(|s| s.as_str()).find(|name| *name == source) {
        return format!(
            "make it possible to read {source}, or, if this account does not use it, declare \
             `{source}: not-used` under `evidence` of {policy} ({told})"
        );
    }
    if source == Source::Lineage.as_str() {
        return format!("make Holdfast's table readable ({told})");
    }
    let required = [
        Source::Instances,
        Source::Volumes,
        Source::Snapshots,
        Source::Images,
        Source::Shares,
        Source::Locks,
    ];
    if required.iter().any(|s| s.as_str() == source) || told.contains("was not read") {
        return format!("make it possible to read what is missing, and ask again ({told})");
    }
    if told.ends_with(UNRESOLVED) {
        return format!(
            "let {} name its image by identifier, or delete it ({told})",
            end(reason)
        );
    }
    format!(
        "nothing: Holdfast cannot judge it as EC2 shows it, and never deletes it so; delete it by \
         hand if it is not wanted ({told})"
    )
}

/// The launch-template versions that a reason is about. EC2's own references name none.
fn versions(reason: &Reason) -> String {
    let (end, told) = (end(reason), told(reason));
    match told.strip_prefix(end).map(str::trim_start) {
        Some(rest) if rest.starts_with("version") => told.to_owned(),
        _ => format!("the versions of {end} that name it"),
    }
}

/// What is shared, and with whom; a path that ends at an artifact is one of what everybody may use.
fn shared<'a>(about: &About<'a>, reason: &'a Reason) -> (&'a str, String) {
    let is_artifact = |id: &&String| id.starts_with("ami-") || id.starts_with("snap-");
    let mut artifacts = reason.path.iter().filter(is_artifact);
    let what = artifacts.next_back().map_or(about.id, String::as_str);
    let with = match reason.path.last().filter(|last| !is_artifact(last)) {
        Some(id) if id.bytes().all(|b| b.is_ascii_digit()) => format!("account {id}"),
        Some(arn) => arn.clone(),
        None if reason.detail.as_deref() == Some("everybody may use it") => "everybody else".into(),
        None => "whom it is shared with".into(),
    };
    (what, with)
}

fn snapshot_of<'a>(about: &About<'a>, reason: &'a Reason) -> &'a str {
    let mut snapshots = reason.path.iter().filter(|id| id.starts_with("snap-"));
    snapshots.next_back().map_or(about.id, String::as_str)
}

fn ami_of<'a>(about: &About<'a>, reason: &'a Reason) -> &'a str {
    let mut amis = reason.path.iter().filter(|id| id.starts_with("ami-"));
    amis.next_back().map_or(about.id, String::as_str)
}

/// When a rule that counts lets go.
fn by_count(about: &About<'_>, reason: &Reason, policy: &str) -> String {
    let none = Retain::default();
    let retain = about.policy.map_or(&none, |policy| &policy.retain);
    let (count, rule, unit) = match reason.code {
        ReasonCode::RetainHourly => (retain.hourly, "hourly", "hour"),
        ReasonCode::RetainDaily => (retain.daily, "daily", "day"),
        ReasonCode::RetainWeekly => (retain.weekly, "weekly", "week"),
        ReasonCode::RetainMonthly => (retain.monthly, "monthly", "month"),
        ReasonCode::RetainYearly => (retain.yearly, "yearly", "year"),
        _ => (retain.last, "last", "backup"),
    };
    let until = match (count, unit) {
        (0, _) => "newer ones take its place".to_owned(),
        (_, "backup") => format!("its group has {}", newer(count, unit)),
        (_, _) => format!("its group has backups of {}", newer(count, unit)),
    };
    format!("nothing: `{rule}` of {policy} lets it go when {until}; a lower `{rule}` does sooner")
}

/// When `within` lets go, which is reckoned from the newest backup and not from the clock.
fn within(about: &About<'_>, policy: &str) -> String {
    let until = about.policy.and_then(|policy| {
        let within = policy.retain.within?;
        Some(within.after(about.time?, &policy.timezone))
    });
    let until = match until {
        Some(until) => format!("a backup of its group from {until} or later stands"),
        None => "a backup of its group stands that is newer by as much".into(),
    };
    format!("nothing: `within` of {policy} lets it go when {until}")
}

fn newer(count: u32, unit: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} newer {unit}{s}")
}
