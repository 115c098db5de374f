//! What a sweep counts, and when a comparison with the last sweep's counts trips the breaker.
//!
//! A list that answers with far less than an hour ago may be right, or may be half an answer that
//! says it is whole; a tag that nobody carries any more may be a spelling mistake; a clock that
//! jumped makes every age wrong. Nobody can tell from inside, so a person is asked: everything
//! condemned of the policy is held until a request names the plan that was shown. The table's
//! counts can only hold deletions back.
//!
//! A false alarm costs one such request and some days' storage; a collapse that goes unseen may cost
//! the backups that the missing half needs. So little is enough to trip, and only of what comes and
//! goes by itself (machines of a group, Spot requests) more is asked: an alarm each night would soon
//! be released unread.
//!
//! Between two sweeps a clock that jumped ahead and a pause look alike, and the clock needs no second
//! one beside it: AWS refuses a request whose signature is more than some minutes off its own time
//! (IAM User Guide, "Elements of an AWS API request signature"), so that neither of the two sweeps
//! could have read or recorded anything by a wrong clock. A week without a sweep is asked about all the
//! same, because the figures compared are that old.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::judge::Judged;
use crate::inventory::{
    ImageState, Instance, InstanceState, Inventory, Listing, Source, Volume, VolumeState,
};
use crate::policy::selection::pick;
use crate::policy::{EvidenceSource, Policy, PolicyFile, PolicyState};
use crate::ports::records::{Accepted, Census};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// When a fall in what a source lists is a collapse.
#[derive(Clone, Copy, Debug)]
struct Collapse {
    /// From this many on, less than half of it is one.
    half_of: u64,
    /// From this many on, less than a quarter of it is one, or none at all where that is nothing.
    quarter_of: u64,
}

impl Collapse {
    /// Of what somebody makes and deletes.
    const STEADY: Self = Self {
        half_of: 4,
        quarter_of: 2,
    };
    /// Of what comes and goes by itself.
    const VOLATILE: Self = Self {
        half_of: 10,
        quarter_of: 5,
    };

    /// For a source, by its name in reports.
    fn of(source: &str) -> Self {
        let volatile = [
            Source::Instances,
            Source::Volumes,
            Source::Fleets,
            Source::Locks,
        ];
        match volatile.iter().any(|one| one.as_str() == source) {
            true => Self::VOLATILE,
            false => Self::STEADY,
        }
    }

    fn is(self, before: u64, now: u64) -> bool {
        let falls_below = |from, part: u64| before >= from && now.saturating_mul(part) < before;
        falls_below(self.half_of, 2) || falls_below(self.quarter_of, 4)
    }
}

/// How far the wall clock may lie before the last sweep's.
const BACK_AT_MOST: SignedDuration = SignedDuration::from_mins(5);
/// How far it may lie after it, before the figures are too old to compare with.
const AHEAD_AT_MOST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The sources that are counted, and under which name a policy may declare each not in use. Not the
/// Recycle Bin, whose contents go all together when their time is over.
const COUNTED: [(Source, Option<EvidenceSource>); 9] = [
    (Source::Instances, None),
    (Source::Volumes, None),
    (Source::Images, None),
    (
        Source::LaunchTemplates,
        Some(EvidenceSource::LaunchTemplates),
    ),
    (
        Source::LaunchConfigurations,
        Some(EvidenceSource::LaunchConfigurations),
    ),
    (Source::AutoScaling, Some(EvidenceSource::AutoScaling)),
    (Source::Fleets, Some(EvidenceSource::Fleets)),
    (Source::FastRestore, Some(EvidenceSource::FastRestore)),
    (Source::Locks, None),
];

/// Counts what is listed and what each active policy picks. What was not read to its end is left
/// out. `now` is the sweep's, `wall` the clock's.
///
/// Terminated instances and deregistered AMIs, which EC2 lists for a while, are not counted.
#[must_use]
pub fn count(
    inventory: &Inventory,
    policies: &PolicyFile,
    now: Timestamp,
    wall: Timestamp,
) -> Census {
    let mut listed = BTreeMap::new();
    let mut note = |source: Source, count: Option<usize>| {
        if let Some(count) = count {
            listed.insert(source.as_str().to_owned(), count as u64);
        }
    };
    let instances = of(&inventory.instances, stands);
    note(Source::Instances, instances);
    let volumes = of(&inventory.volumes, |_| true);
    note(Source::Volumes, volumes);
    let images = &inventory.images;
    let registered = images.is_complete().then(|| {
        let gone = images.items.in_state(&ImageState::Deregistered);
        images.items.len() - gone.count()
    });
    note(Source::Images, registered);
    let versions = inventory.templates.as_ref();
    note(
        Source::LaunchTemplates,
        versions.and_then(|list| of(list, |_| true)),
    );
    for (source, list) in [
        (
            Source::LaunchConfigurations,
            &inventory.launch_configurations,
        ),
        (Source::AutoScaling, &inventory.auto_scaling),
        (Source::Fleets, &inventory.fleets),
    ] {
        note(source, list.as_ref().and_then(|list| of(list, |_| true)));
    }
    let restores = inventory.fast_restores.as_ref();
    let restores = restores.and_then(|list| of(list, |_| true));
    note(Source::FastRestore, restores);
    let locks = of(&inventory.locks, |lock| lock.state != "expired");
    note(Source::Locks, locks);
    let mut picked = BTreeMap::new();
    if instances.is_some() && volumes.is_some() {
        let active = policies.policies.iter().filter(|p| is_active(p));
        picked = active
            .map(|policy| (policy.name.clone(), picks(policy, inventory)))
            .collect();
    }
    Census {
        now,
        wall,
        listed,
        picked,
        accepted: BTreeMap::new(),
        governed: None,
        resume_at: None,
    }
}

fn of<T>(list: &Listing<T>, counts: impl Fn(&T) -> bool) -> Option<usize> {
    let items = list.is_complete().then_some(&list.items)?;
    Some(items.iter().filter(|item| counts(item)).count())
}

fn is_active(policy: &Policy) -> bool {
    policy.state == PolicyState::Active
}

/// Whether an instance is not on its way out.
fn stands(instance: &Instance) -> bool {
    !matches!(
        instance.state,
        InstanceState::ShuttingDown | InstanceState::Terminated
    )
}

fn is_there(volume: &Volume) -> bool {
    !matches!(volume.state, VolumeState::Deleting | VolumeState::Deleted)
}

/// How many instances or volumes a policy picks, usable or not.
fn picks(policy: &Policy, inventory: &Inventory) -> u64 {
    let picked = pick(policy, &inventory.instances.items, &inventory.volumes.items);
    let in_sets = picked.sets.iter();
    let in_sets = in_sets.map(|set| set.volumes.len() + set.unusable.len());
    (picked.instances.len() + picked.volumes.len() + in_sets.sum::<usize>()) as u64
}

/// Why the comparison with the last sweep trips a policy's breaker, by policy. A paused policy
/// retires nothing and does not trip; without a last sweep nothing does.
#[must_use]
pub fn trips(
    previous: Option<&Census>,
    current: &Census,
    policies: &PolicyFile,
    inventory: &Inventory,
    verdicts: &impl Judged,
) -> BTreeMap<String, Vec<Reason>> {
    let mut trips: BTreeMap<String, Vec<Reason>> = BTreeMap::new();
    let Some(previous) = previous else {
        return trips;
    };
    // The words leave out what time it is: a release is of the words that were shown, and the clock
    // goes on meanwhile.
    let jump = |before: Timestamp| {
        let away = match current.wall < before {
            true => "ahead of the clock".to_owned(),
            false => format!("more than {} days ago", AHEAD_AT_MOST.as_hours() / 24),
        };
        tripped(format!("the last sweep counted at {before}, {away}"))
    };
    let standing = Standing::new(inventory);
    let policies = policies.policies.iter();
    for policy in policies.filter(|p| p.state != PolicyState::Paused) {
        let mut reasons: Vec<Reason> = Vec::new();
        let accepted = previous.accepted.get(&policy.name);
        for (source, declared) in COUNTED {
            let unused = |name| policy.evidence_not_used.contains(&name);
            let name = source.as_str();
            let before = accepted.and_then(|accepted| accepted.listed.get(name));
            let before = before.or_else(|| previous.listed.get(name));
            let counts = (before, current.listed.get(name));
            if let (Some(&before), Some(&now)) = counts
                && !declared.is_some_and(unused)
                && Collapse::of(name).is(before, now)
            {
                reasons.push(tripped(format!(
                    "{name}: {now} listed now, {before} when the last sweep counted"
                )));
            }
        }
        reasons.extend(lost(previous, current, policy, &standing, verdicts));
        let before = accepted.map_or(previous.wall, |accepted| accepted.wall);
        reasons.extend(jumped(before, current.wall).then(|| jump(before)));
        if !reasons.is_empty() {
            trips.insert(policy.name.clone(), reasons);
        }
    }
    trips
}

fn tripped(what: String) -> Reason {
    let detail = format!("{what}; if that is right, release this plan by its hash");
    Reason::with(ReasonCode::CircuitBreaker, detail)
}

fn jumped(before: Timestamp, now: Timestamp) -> bool {
    let ahead = now.duration_since(before);
    ahead < -BACK_AT_MOST || ahead > AHEAD_AT_MOST
}

/// The instances and volumes that are listed and not on their way out.
struct Standing<'a>(BTreeSet<&'a str>);

impl<'a> Standing<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        let instances = inventory.instances.items.iter().filter(|i| stands(i));
        let volumes = inventory.volumes.items.iter().filter(|v| is_there(v));
        let instances = instances.map(|i| i.id.as_str());
        Self(instances.chain(volumes.map(|v| v.id.as_str())).collect())
    }
}

/// Why a policy that picks nothing any more trips: it picked something before, under this name or
/// an earlier one, and a source of its backups still stands. When none does, they are gone, and
/// that is the business of `source_gone`.
fn lost(
    previous: &Census,
    current: &Census,
    policy: &Policy,
    standing: &Standing<'_>,
    verdicts: &impl Judged,
) -> Option<Reason> {
    if current.picked.get(&policy.name) != Some(&0) {
        return None;
    }
    let before = picked_before(previous, policy).filter(|before| *before > 0)?;
    let of_policy = (0..verdicts.count()).filter(|&v| verdicts.policy(v) == policy.name);
    let left = of_policy
        .filter_map(|v| source(verdicts, v))
        .filter(|source| standing.0.contains(source.as_ref()))
        .min()?;
    Some(tripped(format!(
        "it picks nothing now and picked {before} when the last sweep counted, while {left} still \
         stands: its selection may be mistyped"
    )))
}

fn picked_before(previous: &Census, policy: &Policy) -> Option<u64> {
    let names = std::iter::once(&policy.name).chain(&policy.formerly);
    names
        .filter_map(|name| previous.picked.get(name))
        .max()
        .copied()
}

/// What a good backup, or what is left of one, was taken of.
fn source<V: Judged>(verdicts: &V, v: usize) -> Option<Cow<'_, str>> {
    match verdicts.orphan_of(v) {
        Some(former) if !verdicts.is_image(v) => Some(former.source.as_str().into()),
        _ => verdicts.source(v).filter(|_| verdicts.is_good(v)),
    }
}

/// A finding for each trip, whether or not anything is condemned.
#[must_use]
pub fn findings(trips: &BTreeMap<String, Vec<Reason>>) -> Vec<Item> {
    let all = trips
        .iter()
        .flat_map(|(policy, reasons)| reasons.iter().map(move |reason| (policy, reason)));
    all.map(|(policy, reason)| {
        Item::new(Action::Check, policy, Outcome::Finding)
            .policy(policy)
            .reason(reason.clone())
    })
    .collect()
}

/// What the next sweep is to be compared with.
///
/// What was not counted stays as it was. Of `trips`, all that the comparison found, those that no
/// request released are `unreleased` (see [`super::settle::Settled::trips`]): their figures stay as
/// they were, too, so that waiting releases nothing. `deleted_by_us` are this sweep's own deletions
/// by source name, which are no collapse.
#[must_use]
pub fn next(
    previous: Option<&Census>,
    current: &Census,
    policies: &PolicyFile,
    trips: &BTreeMap<String, Vec<Reason>>,
    unreleased: &BTreeMap<String, Vec<Reason>>,
    deleted_by_us: &BTreeMap<String, u64>,
) -> Census {
    let mut next = current.clone();
    if let Some(previous) = previous {
        let waits = !unreleased.is_empty();
        if waits {
            next.accepted = accepted(previous, current, policies, trips, unreleased);
        }
        for (name, &before) in &previous.listed {
            let now = *next.listed.entry(name.clone()).or_insert(before);
            if waits && Collapse::of(name).is(before, now) {
                next.listed.insert(name.clone(), before);
            }
        }
        for policy in &policies.policies {
            let Some(before) = picked_before(previous, policy) else {
                continue;
            };
            let now = next.picked.get(&policy.name).copied();
            // A sweep of another policy alone has not looked at this one's backups.
            let name = &policy.name;
            let released = trips.contains_key(name) && !unreleased.contains_key(name);
            if now.is_none() || (now == Some(0) && !released) {
                next.picked.insert(policy.name.clone(), before);
            }
        }
        if waits && jumped(previous.wall, current.wall) {
            (next.now, next.wall) = (previous.now, previous.wall);
        }
    }
    for (name, gone) in deleted_by_us {
        let of_policies = next.accepted.values_mut().map(|one| &mut one.listed);
        for listed in std::iter::once(&mut next.listed).chain(of_policies) {
            if let Some(count) = listed.get_mut(name) {
                *count = count.saturating_sub(*gone);
            }
        }
    }
    next
}

/// The figures with which policies are compared that a request has released, now or before, while
/// the others' wait: else the first would trip again over what a person has accepted.
fn accepted(
    previous: &Census,
    current: &Census,
    policies: &PolicyFile,
    trips: &BTreeMap<String, Vec<Reason>>,
    unreleased: &BTreeMap<String, Vec<Reason>>,
) -> BTreeMap<String, Accepted> {
    let mut accepted = BTreeMap::new();
    for name in policies.policies.iter().map(|policy| &policy.name) {
        let before = previous.accepted.get(name);
        if unreleased.contains_key(name) {
            // Tripped anew: what it is compared with waits, too.
            accepted.extend(before.map(|before| (name.clone(), before.clone())));
        } else if trips.contains_key(name) || before.is_some() {
            let mut listed = before.map_or(&previous.listed, |one| &one.listed).clone();
            listed.extend(current.listed.clone());
            let wall = current.wall;
            accepted.insert(name.clone(), Accepted { wall, listed });
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn falls(source: Source, cases: &[(u64, u64, bool)]) {
        for &(before, now, expected) in cases {
            let found = Collapse::of(source.as_str()).is(before, now);
            assert_eq!(found, expected, "{source:?}: {before} then {now}");
        }
    }

    #[test]
    fn of_what_somebody_makes_and_deletes_less_than_half_of_four_is_a_collapse() {
        for source in [
            Source::Images,
            Source::LaunchTemplates,
            Source::LaunchConfigurations,
            Source::AutoScaling,
            Source::FastRestore,
        ] {
            let cases = [
                (100, 50, false),
                (100, 49, true),
                (9, 5, false),
                (9, 1, true),
                (4, 2, false),
                (4, 1, true),
                (3, 1, false),
                (2, 0, true),
                (2, 1, false),
                (1, 0, false),
                (3, 30, false),
            ];
            falls(source, &cases);
        }
    }

    #[test]
    fn of_what_comes_and_goes_by_itself_more_is_asked() {
        for source in [
            Source::Instances,
            Source::Volumes,
            Source::Fleets,
            Source::Locks,
        ] {
            let cases = [
                (100, 50, false),
                (100, 49, true),
                (10, 5, false),
                (10, 4, true),
                (9, 3, false),
                (9, 2, true),
                (9, 1, true),
                (5, 2, false),
                (5, 1, true),
                (4, 0, false),
                (3, 300, false),
            ];
            falls(source, &cases);
        }
    }
}
