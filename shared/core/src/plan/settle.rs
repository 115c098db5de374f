//! Guardrails over the verdicts: recorded pins, waits, and the circuit breaker.
//!
//! What stands in the table only ever delays a deletion here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::judge::{Decision, Verdict, recorded_pin, share_fate};
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
    /// When an artifact was first condemned, by its identifier and the sweep's `now`.
    pub condemned: BTreeMap<String, Timestamp>,
    /// Deletions of the last 24 hours, by policy.
    pub retired: BTreeMap<String, Vec<Retired>>,
    /// Deletions that an operator's request released from the breaker: (policy, resource). An empty
    /// resource stands for a policy that tripped with nothing condemned.
    pub released: BTreeSet<(String, String)>,
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
    /// Artifacts whose grace begins with this sweep.
    pub grace_begins: Vec<String>,
    /// Artifacts that were condemned and are free again.
    pub freed: Vec<String>,
    /// Policies whose breaker tripped, with the deletions it holds.
    pub tripped: BTreeMap<String, Vec<String>>,
    /// Those of [`Recorded::trips`] that no request has released.
    pub trips: BTreeMap<String, Vec<Reason>>,
    /// Hash over the tripped policies' held deletions, or over all deletions when none tripped.
    pub plan_hash: String,
}

impl Settled {
    /// What is to be stored under [`Self::plan_hash`], so that a request can release it: (policy,
    /// resource), with an empty resource for a policy that tripped with nothing condemned.
    #[must_use]
    pub fn offered(&self) -> Vec<(String, String)> {
        let mut offered = Vec::new();
        for (policy, held) in &self.tripped {
            offered.extend(held.iter().map(|id| (policy.clone(), id.clone())));
            if held.is_empty() {
                offered.push((policy.clone(), String::new()));
            }
        }
        offered
    }
}

/// The artifacts whose marks (when they were first condemned) the guardrails ask for.
#[must_use]
pub fn marked(policies: &PolicyFile, verdicts: &[Verdict]) -> Vec<String> {
    let graced = policies.policies.iter().filter(|p| p.grace.is_some());
    let graced: BTreeSet<&str> = graced.map(|p| p.name.as_str()).collect();
    let waits = |v: &&Verdict| v.orphan_of.is_some() || graced.contains(v.policy.as_str());
    let marked = verdicts.iter().filter(waits);
    marked.map(|v| v.subject.id().to_owned()).collect()
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
    verdicts: &mut [Verdict],
    recorded: &Recorded,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let mut settled = Settled::default();
    if let Some(error) = &recorded.error {
        for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
            let detail = format!("lineage: {error}");
            verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    }
    for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
        if let Some(words) = recorded.unreadable.get(verdict.subject.id()) {
            let detail = format!("lineage: {words}");
            verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
        }
    }
    for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
        if let Some(reason) = recorded_pin(&verdict.subject, &recorded.pinned) {
            verdict.hold(reason);
        }
    }
    for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
        if let Some(words) = recorded.unreopened.get(verdict.subject.id()) {
            verdict.hold(Reason::with(ReasonCode::FailedBackup, words));
        }
    }
    for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
        // A try that lies in the future was recorded by a clock that was wrong, or is damage: believed,
        // it could hold for ever.
        let latest = wall.saturating_add(RETRY_LAST).unwrap_or(Timestamp::MAX);
        let believed = |at: &Timestamp| wall < *at && *at <= latest;
        if let Some(at) = verdict.retry_at.filter(believed) {
            let detail = format!("EC2 has refused to delete it; it is tried again from {at}");
            verdict.hold(Reason::with(ReasonCode::RetryLater, detail));
        }
    }
    grace(policies, verdicts, recorded, now, &mut settled);
    share_fate(verdicts);
    trip(verdicts, recorded, &mut settled);
    for policy in &policies.policies {
        breaker(policy, verdicts, recorded, wall, &mut settled);
    }
    settled.plan_hash = if settled.tripped.is_empty() {
        let all = verdicts.iter().filter(|v| v.is_condemned());
        plan_hash(all.map(|v| (v.policy.as_str(), v.subject.id())))
    } else {
        let held = settled.tripped.iter();
        plan_hash(held.flat_map(|(p, list)| list.iter().map(|r| (p.as_str(), r.as_str()))))
    };
    settled
}

/// SHA-256 over the sorted `policy<TAB>resource<LF>` lines, lower-case hexadecimal. What names no
/// resource is no deletion.
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

/// From when on what was condemned at `since` may go; none where nothing waits.
fn wait(policy: &Policy, verdict: &Verdict, since: Timestamp) -> Option<Timestamp> {
    let grace = policy
        .grace
        .map(|grace| grace.after(since, &policy.timezone));
    let orphans = verdict
        .orphan_of
        .as_ref()
        .map(|_| since.saturating_add(ORPHANS_STAY).unwrap_or(Timestamp::MAX));
    grace.max(orphans)
}

fn grace(
    policies: &PolicyFile,
    verdicts: &mut [Verdict],
    recorded: &Recorded,
    now: Timestamp,
    settled: &mut Settled,
) {
    let policies = policies.policies.iter();
    let policies: HashMap<&str, &Policy> = policies.map(|p| (p.name.as_str(), p)).collect();
    for verdict in verdicts {
        let Some(policy) = policies.get(verdict.policy.as_str()) else {
            continue;
        };
        let id = verdict.subject.id();
        // A mark of the future would wait for ever: it begins anew.
        let since = recorded.condemned.get(id).copied();
        let since = since.filter(|since| *since <= now);
        let Some(until) = wait(policy, verdict, since.unwrap_or(now)) else {
            continue;
        };
        let id = id.to_owned();
        match (verdict.is_condemned(), since) {
            (false, None) => {}
            // Nothing was found that needs it: what could not be read begins no new grace.
            (false, Some(_)) if waits_only(&verdict.decision) => {}
            (false, Some(_)) => {
                if let Decision::Keep(reasons) | Decision::Hold(reasons) = &mut verdict.decision {
                    let detail = "it was condemned by an earlier sweep and is free again";
                    reasons.push(Reason::with(ReasonCode::Grace, detail));
                }
                settled.freed.push(id);
            }
            (true, None) => {
                let detail = format!("condemned now; it may go from {until}");
                verdict.hold(Reason::with(ReasonCode::Grace, detail));
                settled.grace_begins.push(id);
            }
            (true, Some(since)) if now < until => {
                let detail = format!("condemned at {since}; it may go from {until}");
                verdict.hold(Reason::with(ReasonCode::Grace, detail));
            }
            (true, Some(_)) => {}
        }
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
fn trip(verdicts: &mut [Verdict], recorded: &Recorded, settled: &mut Settled) {
    if recorded.trips.is_empty() {
        return;
    }
    // A plan's hash covers deletions only. That a policy tripped with nothing condemned is the
    // table's word alone, and releases nothing that is condemned by now.
    let named = |(policy, resource): &&(String, String)| {
        let mut of_policy = verdicts.iter().filter(|v| v.policy == *policy);
        !resource.is_empty() || !of_policy.any(Verdict::is_condemned)
    };
    let released = recorded.released.iter().filter(named);
    let released: BTreeSet<&str> = released.map(|(policy, _)| policy.as_str()).collect();
    for (policy, reasons) in &recorded.trips {
        if !released.contains(policy.as_str()) {
            settled.trips.insert(policy.clone(), reasons.clone());
            settled.tripped.insert(policy.clone(), Vec::new());
        }
    }
    let goes = |verdict: &Verdict| {
        let key = (verdict.policy.clone(), verdict.subject.id().to_owned());
        recorded.released.contains(&key)
    };
    let condemned =
        |verdict: &&Verdict| verdict.is_condemned() && recorded.trips.contains_key(&verdict.policy);
    // What is left of one AMI goes whole or not at all.
    let stays: BTreeSet<_> = verdicts
        .iter()
        .filter(condemned)
        .filter(|verdict| !goes(verdict))
        .filter_map(|verdict| verdict.orphan_of.clone())
        .collect();
    for verdict in verdicts.iter_mut().filter(|v| condemned(&&**v)) {
        let parted = verdict
            .orphan_of
            .as_ref()
            .is_some_and(|of| stays.contains(of));
        if goes(verdict) && !parted {
            continue;
        }
        let held = settled.tripped.entry(verdict.policy.clone()).or_default();
        held.push(verdict.subject.id().to_owned());
        for reason in recorded.trips.get(&verdict.policy).into_iter().flatten() {
            verdict.hold(reason.clone());
        }
    }
}

/// Holds what would let the policy's good backups fall too far within 24 hours.
fn breaker(
    policy: &Policy,
    verdicts: &mut [Verdict],
    recorded: &Recorded,
    wall: Timestamp,
    settled: &mut Settled,
) {
    let since = wall - WINDOW;
    let retired: Vec<&Retired> = recorded
        .retired
        .get(&policy.name)
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter(|r| r.at > since)
        .collect();
    let good: Vec<&Verdict> = verdicts
        .iter()
        .filter(|v| v.policy == policy.name && v.good)
        .collect();
    let stood = |time: Option<Timestamp>| time.is_some_and(|t| t <= since);
    let before = good.iter().filter(|v| stood(v.subject.time())).count()
        + retired.iter().filter(|r| stood(Some(r.time))).count();
    let standing = good.len();

    // May go while the first `free` of the window last, or while what is left is not below the
    // share of what stood that must remain.
    let share = before * policy.limits.max_shrink_percent.min(100) as usize / 100;
    let must_remain = before - share;
    let by_count = (policy.limits.free as usize).saturating_sub(retired.len());
    let allowed = by_count.max(standing.saturating_sub(must_remain));

    // A set goes whole or not at all: half of one is no point in time to return to.
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        if verdict.policy != policy.name || !verdict.good || !verdict.is_condemned() {
            continue;
        }
        let key = (policy.name.clone(), verdict.subject.id().to_owned());
        if recorded.released.contains(&key) {
            continue;
        }
        let next = sets.len();
        let set = verdict
            .set()
            .map_or(next, |set| *known.entry(set).or_insert(next));
        if set == next {
            sets.push(Vec::new());
        }
        sets[set].push(i);
    }
    let mut used = 0;
    let mut held = Vec::new();
    for set in sets {
        used += set.len();
        if used <= allowed {
            continue;
        }
        for i in set {
            verdicts[i].hold(Reason::with(
                ReasonCode::CircuitBreaker,
                format!(
                    "{} had {before} backups 24 h ago and lost {} since; max_shrink is {}%, \
                     free is {}",
                    policy.name,
                    retired.len(),
                    policy.limits.max_shrink_percent,
                    policy.limits.free
                ),
            ));
            held.push(verdicts[i].subject.id().to_owned());
        }
    }
    if !held.is_empty() {
        let tripped = settled.tripped.entry(policy.name.clone()).or_default();
        tripped.extend(held);
    }
}
