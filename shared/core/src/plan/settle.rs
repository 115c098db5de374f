//! Guardrails over the verdicts: recorded pins, grace, and the circuit breaker.
//!
//! What stands in the table only ever delays a deletion here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::judge::{Decision, Verdict};
use crate::policy::{Policy, PolicyFile};
use crate::report::{Reason, ReasonCode};

/// The breaker's window on the wall clock.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

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
    /// Deletions that an operator's request released from the breaker: (policy, resource).
    pub released: BTreeSet<(String, String)>,
    /// Failed backups whose slot has not been reopened yet, with the words to say so.
    pub unreopened: BTreeMap<String, String>,
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
    /// Hash over the tripped policies' held deletions, or over all deletions when none tripped.
    pub plan_hash: String,
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
        let sources = verdict.subject.sources().into_iter();
        let pinned = sources
            .map(str::to_owned)
            .find(|s| recorded.pinned.contains(s));
        if let Some(source) = pinned {
            verdict.hold(Reason::with(
                ReasonCode::Pinned,
                format!("its source {source} was pinned when last seen"),
            ));
        }
    }
    for verdict in verdicts.iter_mut().filter(|v| v.is_condemned()) {
        if let Some(words) = recorded.unreopened.get(verdict.subject.id()) {
            verdict.hold(Reason::with(ReasonCode::FailedBackup, words));
        }
    }
    for policy in &policies.policies {
        grace(policy, verdicts, recorded, now, &mut settled);
    }
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

/// SHA-256 over the sorted `policy<TAB>resource<LF>` lines, lower-case hexadecimal.
pub fn plan_hash<'a>(deletions: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeSet<(&str, &str)> = deletions.collect();
    let mut hash = Sha256::new();
    for (policy, resource) in sorted {
        hash.update(format!("{policy}\t{resource}\n"));
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn grace(
    policy: &Policy,
    verdicts: &mut [Verdict],
    recorded: &Recorded,
    now: Timestamp,
    settled: &mut Settled,
) {
    let Some(grace) = policy.grace else { return };
    for verdict in verdicts.iter_mut().filter(|v| v.policy == policy.name) {
        let id = verdict.subject.id().to_owned();
        match (verdict.is_condemned(), recorded.condemned.get(&id)) {
            (false, None) => {}
            // Nothing was found that needs it: what could not be read begins no new grace.
            (false, Some(_)) if unread_only(&verdict.decision) => {}
            (false, Some(_)) => {
                if let Decision::Keep(reasons) | Decision::Hold(reasons) = &mut verdict.decision {
                    let detail = "it was condemned by an earlier sweep and is free again";
                    reasons.push(Reason::with(ReasonCode::Grace, detail));
                }
                settled.freed.push(id);
            }
            (true, None) => {
                let until = grace.after(now, &policy.timezone);
                let detail = format!("condemned now; it may go from {until}");
                verdict.hold(Reason::with(ReasonCode::Grace, detail));
                settled.grace_begins.push(id);
            }
            (true, Some(since)) => {
                let until = grace.after(*since, &policy.timezone);
                if now < until {
                    let detail = format!("condemned at {since}; it may go from {until}");
                    verdict.hold(Reason::with(ReasonCode::Grace, detail));
                }
            }
        }
    }
}

/// Whether a condemned backup is held for missing evidence alone.
fn unread_only(decision: &Decision) -> bool {
    let unread = |reason: &Reason| reason.code == ReasonCode::EvidenceIncomplete;
    matches!(decision, Decision::Hold(reasons) if reasons.iter().all(unread))
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
        settled.tripped.insert(policy.name.clone(), held);
    }
}
