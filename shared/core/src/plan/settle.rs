//! Guardrails over the verdicts: recorded pins, waits, and the circuit breaker.
//!
//! What stands in the table only ever delays a deletion here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::judge::{Decision, FormerImage, Judged, SetKey, recorded_pin, share_fate};
use crate::policy::{Limits, Policy, PolicyFile};
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
    /// From when on these count, by policy (see [`super::governed`]); always where it is not named.
    pub marks_from: BTreeMap<String, Timestamp>,
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
pub fn marked(policies: &PolicyFile, verdicts: &impl Judged) -> Vec<String> {
    let graced = policies.policies.iter().filter(|p| p.grace.is_some());
    let graced: BTreeSet<&str> = graced.map(|p| p.name.as_str()).collect();
    let waits =
        |v: &usize| verdicts.orphan_of(*v).is_some() || graced.contains(verdicts.policy(*v));
    let marked = (0..verdicts.count()).filter(waits);
    marked.map(|v| verdicts.id(v).into_owned()).collect()
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
        breaker(policy, verdicts, recorded, wall, &mut settled);
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
fn wait(policy: &Policy, orphan: bool, since: Timestamp) -> Option<Timestamp> {
    let grace = policy
        .grace
        .map(|grace| grace.after(since, &policy.timezone));
    let orphans = orphan.then(|| since.saturating_add(ORPHANS_STAY).unwrap_or(Timestamp::MAX));
    grace.max(orphans)
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
    for v in 0..verdicts.count() {
        let orphan = verdicts.orphan_of(v).is_some();
        let policy = policies.get(verdicts.policy(v)).copied();
        // Most wait for nothing, and need no look at what is on record.
        let Some(policy) = policy.filter(|policy| orphan || policy.grace.is_some()) else {
            continue;
        };
        let id = verdicts.id(v).into_owned();
        // A mark of the future would wait for ever, and one from before the policy's last change is
        // of another sentence: the wait begins anew.
        let from = recorded.marks_from.get(&policy.name);
        let counts = |since: &Timestamp| *since <= now && from.is_none_or(|from| from <= since);
        let since = recorded.condemned.get(&id).copied().filter(counts);
        let Some(until) = wait(policy, orphan, since.unwrap_or(now)) else {
            continue;
        };
        match (verdicts.is_condemned(v), since) {
            (false, None) => {}
            // Nothing was found that needs it: what could not be read begins no new grace.
            (false, Some(_)) if waits_only(verdicts.decision(v)) => {}
            (false, Some(_)) => {
                let mut decision = verdicts.decision(v).clone();
                if let Decision::Keep(reasons) | Decision::Hold(reasons) = &mut decision {
                    let detail = "it was condemned by an earlier sweep and is free again";
                    reasons.push(Reason::with(ReasonCode::Grace, detail));
                }
                verdicts.decide(v, decision);
                settled.freed.push(id);
            }
            (true, None) => {
                let detail = format!("condemned now; it may go from {until}");
                verdicts.hold(v, Reason::with(ReasonCode::Grace, detail));
                settled.grace_begins.push(id);
            }
            (true, Some(since)) if now < until => {
                let detail = format!("condemned at {since}; it may go from {until}");
                verdicts.hold(v, Reason::with(ReasonCode::Grace, detail));
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
fn trip(verdicts: &mut impl Judged, recorded: &Recorded, settled: &mut Settled) {
    if recorded.trips.is_empty() {
        return;
    }
    // A plan's hash covers deletions only. That a policy tripped with nothing condemned is the
    // table's word alone, and releases nothing that is condemned by now.
    let named = |(policy, resource): &&(String, String)| {
        let condemned = verdicts.condemned();
        !resource.is_empty() || condemned.iter().all(|&v| verdicts.policy(v) != policy)
    };
    let released = recorded.released.iter().filter(named);
    let released: BTreeSet<&str> = released.map(|(policy, _)| policy.as_str()).collect();
    for (policy, reasons) in &recorded.trips {
        if !released.contains(policy.as_str()) {
            settled.trips.insert(policy.clone(), reasons.clone());
            settled.tripped.insert(policy.clone(), Vec::new());
        }
    }
    let all = verdicts.condemned().into_iter();
    let condemned: Vec<(usize, &[Reason])> = all
        .filter_map(|v| Some((v, recorded.trips.get(verdicts.policy(v))?.as_slice())))
        .collect();
    let staying = condemned.iter().map(|(v, _)| *v);
    let staying = staying.filter(|v| !is_released(verdicts, recorded, *v));
    // What is left of one AMI goes whole or not at all.
    let stays: BTreeSet<FormerImage> = staying
        .filter_map(|v| verdicts.orphan_of(v).cloned())
        .collect();
    for (v, reasons) in condemned {
        let parted = verdicts.orphan_of(v).is_some_and(|of| stays.contains(of));
        if is_released(verdicts, recorded, v) && !parted {
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

/// Whether a request released a deletion from the breaker.
fn is_released(verdicts: &impl Judged, recorded: &Recorded, v: usize) -> bool {
    if recorded.released.is_empty() {
        return false;
    }
    let key = (verdicts.policy(v).to_owned(), verdicts.id(v).into_owned());
    recorded.released.contains(&key)
}

/// How many more good backups of a policy may go by its limits. `before` is how many stood a window
/// ago, `standing` how many stand now, and `retired` how many went within the window.
///
/// They may go while the first `free` of the window last, or while what is left is not below the
/// share of what stood that must remain.
#[must_use]
pub fn allowance(limits: &Limits, before: usize, standing: usize, retired: usize) -> usize {
    let share = before * limits.max_shrink_percent.min(100) as usize / 100;
    let must_remain = before - share;
    let by_count = (limits.free as usize).saturating_sub(retired);
    by_count.max(standing.saturating_sub(must_remain))
}

/// Holds what would let the policy's good backups fall too far within 24 hours.
fn breaker(
    policy: &Policy,
    verdicts: &mut impl Judged,
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
    let stood = |time: Option<Timestamp>| time.is_some_and(|t| t <= since);
    let mut before = retired.iter().filter(|r| stood(Some(r.time))).count();
    let mut standing = 0_usize;
    for v in 0..verdicts.count() {
        if verdicts.is_good(v) && verdicts.policy(v) == policy.name {
            standing += 1;
            before += usize::from(stood(verdicts.time(v)));
        }
    }

    let allowed = allowance(&policy.limits, before, standing, retired.len());

    // A set goes whole or not at all: half of one is no point in time to return to.
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<SetKey, usize> = HashMap::new();
    for v in verdicts.condemned() {
        let of_policy = verdicts.policy(v) == policy.name && verdicts.is_good(v);
        if !of_policy || is_released(verdicts, recorded, v) {
            continue;
        }
        let next = sets.len();
        let set = verdicts.set(v);
        let set = set.map_or(next, |set| *known.entry(set).or_insert(next));
        if set == next {
            sets.push(Vec::new());
        }
        sets[set].push(v);
    }
    let mut used = 0;
    let mut held = Vec::new();
    for set in sets {
        used += set.len();
        if used <= allowed {
            continue;
        }
        for v in set {
            let detail = format!(
                "{} had {before} backups 24 h ago and lost {} since; max_shrink is {}%, \
                 free is {}",
                policy.name,
                retired.len(),
                policy.limits.max_shrink_percent,
                policy.limits.free
            );
            verdicts.hold(v, Reason::with(ReasonCode::CircuitBreaker, detail));
            held.push(verdicts.id(v).into_owned());
        }
    }
    if !held.is_empty() {
        let tripped = settled.tripped.entry(policy.name.clone()).or_default();
        tripped.extend(held);
    }
}
