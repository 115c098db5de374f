//! Guardrails over the verdicts: recorded pins, waits, and the circuit breaker.
//!
//! What stands in the table only ever delays a deletion here.

mod breaker;
mod shown;

pub use breaker::allowance;
pub use shown::TrippedPlan;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::judge::{Decision, FormerImage, Judged, recorded_pin, share_fate};
use crate::policy::{Policy, PolicyFile};
use crate::report::{Reason, ReasonCode};

/// The breaker's window on the wall clock.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// How long what is left of an AMI that somebody else deregistered stays after a sweep first found
/// that the policy would have retired the AMI.
///
/// What holds it meanwhile, the Recycle Bin too, ends the wait: the week begins anew when nothing
/// needs it any more. An AMI leaves the bin after a year at most, so that this comes to an end.
pub const ORPHANS_STAY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The first pause before a deletion that EC2 refused is tried again.
const RETRY_FIRST: SignedDuration = SignedDuration::from_mins(15);
/// The longest.
const RETRY_LAST: SignedDuration = SignedDuration::from_hours(24);

/// A deletion of a good backup within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// What was deleted.
    pub resource: String,
    /// The point in time it held.
    pub time: Timestamp,
    /// When it was deleted, on the wall clock.
    pub at: Timestamp,
}

/// What Holdfast's table knows about the candidates.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Sources that are gone and were pinned when last seen.
    pub pinned: BTreeSet<String>,
    /// When an artifact was first condemned, by its identifier, or a former AMI, by
    /// [`FormerImage::mark`]; the sweep's `now`.
    pub condemned: BTreeMap<String, Timestamp>,
    /// From when on these count, by the policy's name that the artifact carries (see
    /// [`super::governed`]); always where it is not named.
    pub marks_from: BTreeMap<String, Timestamp>,
    /// Deletions of the last 24 hours, by policy.
    pub retired: BTreeMap<String, Vec<Retired>>,
    /// What an operator's request releases from the breaker.
    pub released: TrippedPlan,
    /// Why a comparison with the last sweep trips a policy's breaker, by policy (see
    /// [`super::census::trips`]).
    pub trips: BTreeMap<String, Vec<Reason>>,
    /// Failed backups whose slot has not been reopened yet, with the words to say so.
    pub unreopened: BTreeMap<String, String>,
    /// Artifacts whose own record this version cannot read, with the words to say so.
    pub unreadable: BTreeMap<String, String>,
    /// Why the table could not be read, if so.
    pub error: Option<String>,
}

/// What the guardrails made of the verdicts.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Whose grace or week begins with this sweep, as [`marked`] names them.
    pub grace_begins: Vec<String>,
    /// Those of whom it is over because they are free again.
    pub freed: Vec<String>,
    /// Policies whose breaker tripped, with the deletions it holds.
    pub tripped: BTreeMap<String, Vec<String>>,
    /// Those of [`Recorded::trips`] that no request has released: one is released as a whole, when
    /// all that is condemned of the policy and all that trips it was shown.
    pub trips: BTreeMap<String, Vec<Reason>>,
    /// Hash over the tripped policies' held deletions, or over all deletions when none tripped.
    pub plan_hash: String,
}

/// Whose marks (when they were first condemned) the guardrails ask for: artifacts, and what of former
/// AMIs has become part of others, by [`FormerImage::mark`].
#[must_use]
pub fn marked(policies: &PolicyFile, verdicts: &impl Judged) -> Vec<String> {
    let graced = policies.policies.iter().filter(|p| p.grace.is_some());
    let graced: BTreeSet<&str> = graced.map(|p| p.name.as_str()).collect();
    let mut marked = Vec::new();
    let mut formers = BTreeSet::new();
    for v in 0..verdicts.count() {
        let former = verdicts.orphan_of(v);
        let taken = former.filter(|_| verdicts.is_image(v));
        if graced.contains(verdicts.policy(v)) || (former.is_some() && taken.is_none()) {
            marked.push(verdicts.id(v).into_owned());
        }
        let mark = taken.map(FormerImage::mark);
        marked.extend(mark.filter(|mark| formers.insert(mark.clone())));
    }
    marked
}

/// When a deletion that EC2 has refused `tries` times, `last` at this time, may be tried again: a
/// quarter of an hour after the first try, then twice as long each time, at most a day.
#[must_use]
pub fn retry_after(tries: u32, last: Timestamp) -> Timestamp {
    let Some(doublings) = tries.checked_sub(1) else {
        return last;
    };
    let pause = 1_i32
        .checked_shl(doublings.min(16))
        .map_or(RETRY_LAST, |n| RETRY_FIRST * n);
    last.saturating_add(pause.min(RETRY_LAST))
        .unwrap_or(Timestamp::MAX)
}

/// Applies the guardrails. `now` is the sweep's, `wall` the clock's.
pub fn settle(
    policies: &PolicyFile,
    verdicts: &mut impl Judged,
    recorded: &Recorded,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let mut settled = Settled::default();
    if let Some(error) = &recorded.error {
        for v in verdicts.condemned() {
            let detail = format!("lineage: {error}");
            verdicts.hold(v, Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    }
    for v in verdicts.condemned() {
        if let Some(words) = recorded.unreadable.get(verdicts.id(v).as_ref()) {
            let detail = format!("lineage: {words}");
            verdicts.hold(v, Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    }
    for v in verdicts.condemned() {
        let sources = verdicts.sources(v);
        let sources = sources.iter().map(String::as_str);
        if let Some(reason) = recorded_pin(&verdicts.id(v), sources, &recorded.pinned) {
            verdicts.hold(v, reason);
        }
    }
    for v in verdicts.condemned() {
        if let Some(words) = recorded.unreopened.get(verdicts.id(v).as_ref()) {
            verdicts.hold(v, Reason::with(ReasonCode::FailedBackup, words));
        }
    }
    // A try that lies in the future was recorded by a clock that was wrong, or is damage: believed,
    // it could hold for ever.
    let latest = wall.saturating_add(RETRY_LAST).unwrap_or(Timestamp::MAX);
    let believed = |at: &Timestamp| wall < *at && *at <= latest;
    for v in verdicts.condemned() {
        if let Some(at) = verdicts.retry_at(v).filter(believed) {
            let detail = format!("EC2 has refused to delete it; it is tried again from {at}");
            verdicts.hold(v, Reason::with(ReasonCode::RetryLater, detail));
        }
    }
    grace(policies, verdicts, recorded, now, &mut settled);
    share_fate(verdicts);
    trip(verdicts, recorded, &mut settled);
    for policy in &policies.policies {
        breaker::apply(policy, verdicts, recorded, wall, &mut settled);
    }
    settled.plan_hash = if settled.tripped.is_empty() {
        let all = verdicts.condemned().into_iter();
        let all: Vec<_> = all.map(|v| (verdicts.policy(v), verdicts.id(v))).collect();
        plan_hash(all.iter().map(|(policy, id)| (*policy, id.as_ref())))
    } else {
        let held = settled.tripped.iter();
        plan_hash(held.flat_map(|(p, list)| list.iter().map(|r| (p.as_str(), r.as_str()))))
    };
    settled
}

/// SHA-256 over the sorted `policy<TAB>resource<LF>` lines, lower-case hexadecimal. What names no
/// resource is no deletion: earlier versions stored such lines.
pub fn plan_hash<'a>(deletions: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let named = deletions.filter(|(_, resource)| !resource.is_empty());
    let sorted: BTreeSet<(&str, &str)> = named.collect();
    let mut hash = Sha256::new();
    for (policy, resource) in sorted {
        hash.update(format!("{policy}\t{resource}\n"));
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One wait of what is condemned.
struct Wait {
    /// Under what the table has its beginning.
    mark: String,
    /// Since when it waits, where that is on record and counts.
    since: Option<Timestamp>,
    /// When it may go.
    until: Timestamp,
}

/// What a verdict waits for: its policy's grace, and the week of what is left of a former AMI. An AMI
/// that takes such along has a mark for each: it may have been condemned long before that one was
/// deregistered.
fn waits(
    policy: &Policy,
    verdicts: &impl Judged,
    v: usize,
    recorded: &Recorded,
    now: Timestamp,
) -> Vec<Wait> {
    let former = verdicts.orphan_of(v);
    let taken = former.filter(|_| verdicts.is_image(v));
    let wait = |mark: String, grace: bool, week: bool| {
        let since = recorded.condemned.get(&mark).copied().filter(|since| {
            // A mark of the future would wait for ever, and one from before the policy's last change
            // is of another sentence: the wait begins anew.
            let tagged = former.map(|former| former.policy.clone());
            let tagged = tagged.or_else(|| Some(verdicts.artifact(v)?.policy.clone()));
            let name = tagged.as_deref().unwrap_or(&policy.name);
            let from = recorded.marks_from.get(name);
            *since <= now && from.is_none_or(|from| from <= since)
        });
        let begun = since.unwrap_or(now);
        let grace = policy.grace.as_ref().filter(|_| grace);
        let grace = grace.map(|grace| grace.after(begun, &policy.timezone));
        let week = week.then(|| begun.saturating_add(ORPHANS_STAY).unwrap_or(Timestamp::MAX));
        grace.max(week).map(|until| Wait { mark, since, until })
    };
    let own = wait(
        verdicts.id(v).into_owned(),
        true,
        former.is_some() && taken.is_none(),
    );
    let taken = taken.and_then(|former| wait(former.mark(), false, true));
    own.into_iter().chain(taken).collect()
}

fn grace(
    policies: &PolicyFile,
    verdicts: &mut impl Judged,
    recorded: &Recorded,
    now: Timestamp,
    settled: &mut Settled,
) {
    let policies = policies.policies.iter();
    let policies: HashMap<&str, &Policy> = policies.map(|p| (p.name.as_str(), p)).collect();
    // Several AMIs may take parts of one former AMI along.
    let (mut begins, mut freed) = (BTreeSet::new(), BTreeSet::new());
    for v in 0..verdicts.count() {
        let orphan = verdicts.orphan_of(v).is_some();
        let policy = policies.get(verdicts.policy(v)).copied();
        // Most wait for nothing, and need no look at what is on record.
        let Some(policy) = policy.filter(|policy| orphan || policy.grace.is_some()) else {
            continue;
        };
        let waits = waits(policy, verdicts, v, recorded, now);
        let Some(until) = waits.iter().map(|wait| wait.until).max() else {
            continue;
        };
        let last = waits.iter().filter_map(|wait| wait.since).max();
        if !verdicts.is_condemned(v) {
            // Nothing was found that needs it: what could not be read begins no new grace.
            if last.is_none() || waits_only(verdicts.decision(v)) {
                continue;
            }
            let mut decision = verdicts.decision(v).clone();
            if let Decision::Keep(reasons) | Decision::Hold(reasons) = &mut decision {
                let detail = "it was condemned by an earlier sweep and is free again";
                reasons.push(Reason::with(ReasonCode::Grace, detail));
            }
            verdicts.decide(v, decision);
            let marks = waits.into_iter().filter(|wait| wait.since.is_some());
            let marks = marks.map(|wait| wait.mark);
            let new = marks.filter(|mark| freed.insert(mark.clone()));
            settled.freed.extend(new);
            continue;
        }
        let new = waits.iter().any(|wait| wait.since.is_none());
        let detail = match last.filter(|_| !new) {
            None => format!("condemned now; it may go from {until}"),
            Some(since) if now < until => {
                format!("condemned at {since}; it may go from {until}")
            }
            Some(_) => continue,
        };
        verdicts.hold(v, Reason::with(ReasonCode::Grace, detail));
        let marks = waits.into_iter().filter(|wait| wait.since.is_none());
        let marks = marks.map(|wait| wait.mark);
        let new = marks.filter(|mark| begins.insert(mark.clone()));
        settled.grace_begins.extend(new);
    }
}

/// Whether a condemned backup is held for no other reason than that evidence is missing or that EC2
/// is not asked again yet.
fn waits_only(decision: &Decision) -> bool {
    let Decision::Hold(reasons) = decision else {
        return false;
    };
    let mut holds = reasons
        .iter()
        .filter(|r| r.code != ReasonCode::Orphaned)
        .peekable();
    let waits = [ReasonCode::EvidenceIncomplete, ReasonCode::RetryLater];
    holds.peek().is_some() && holds.all(|reason| waits.contains(&reason.code))
}

/// Holds everything condemned of the policies that a comparison with the last sweep trips, but for
/// what a request released.
///
/// The trip itself, with whose end the counts are accepted and the next sweep goes by them, is
/// released only by one that showed all of it: a cause, or a deletion, that came later was put to
/// nobody. A plan's hash covers deletions only, so that the comparisons are the table's word alone;
/// they free nothing that the hash does not name.
fn trip(verdicts: &mut impl Judged, recorded: &Recorded, settled: &mut Settled) {
    if recorded.trips.is_empty() {
        return;
    }
    let released = &recorded.released;
    let unshown = verdicts.condemned().into_iter();
    let unshown = unshown.filter(|v| !released.frees(verdicts, *v));
    let unshown: BTreeSet<&str> = unshown.map(|v| verdicts.policy(v)).collect();
    for (policy, reasons) in &recorded.trips {
        if unshown.contains(policy.as_str()) || !released.names(policy, reasons) {
            settled.trips.insert(policy.clone(), reasons.clone());
            settled.tripped.insert(policy.clone(), Vec::new());
        }
    }
    let all = verdicts.condemned().into_iter();
    let condemned: Vec<(usize, &[Reason])> = all
        .filter_map(|v| Some((v, recorded.trips.get(verdicts.policy(v))?.as_slice())))
        .collect();
    let staying = condemned.iter().map(|(v, _)| *v);
    let staying = staying.filter(|v| !released.frees(verdicts, *v));
    // What is left of one AMI goes whole or not at all.
    let stays: BTreeSet<FormerImage> = staying
        .filter_map(|v| verdicts.orphan_of(v).cloned())
        .collect();
    for (v, reasons) in condemned {
        let parted = verdicts.orphan_of(v).is_some_and(|of| stays.contains(of));
        if released.frees(verdicts, v) && !parted {
            continue;
        }
        let policy = verdicts.policy(v).to_owned();
        let held = settled.tripped.entry(policy).or_default();
        held.push(verdicts.id(v).into_owned());
        for reason in reasons {
            verdicts.hold(v, reason.clone());
        }
    }
}
