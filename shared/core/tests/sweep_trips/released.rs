//! What a release of a tripped plan frees, and which trips it accepts.

use std::collections::BTreeSet;

use holdfast_core::inventory::Inventory;
use holdfast_core::plan::census::findings;
use holdfast_core::plan::settle::{Recorded, Settled, TrippedPlan, plan_hash, settle};
use holdfast_core::report::{Outcome, ReasonCode};
use jiff::SignedDuration;

use super::{Trips, account, backup, census, compared, compared_at, now, policies, verdicts};

/// What is condemned after the guardrails, and what these did.
fn sweep(
    inventory: &Inventory,
    trips: &Trips,
    released: &TrippedPlan,
) -> (BTreeSet<String>, Settled) {
    let policies = policies("");
    let mut verdicts = verdicts(&policies, inventory);
    let recorded = Recorded {
        trips: trips.clone(),
        released: released.clone(),
        ..Recorded::default()
    };
    let settled = settle(&policies, &mut verdicts, &recorded, now(), now());
    let condemned = verdicts.iter().filter(|v| v.is_condemned());
    (
        condemned.map(|v| v.subject.id().to_owned()).collect(),
        settled,
    )
}

fn pairs(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let pair = |(p, told): &(&str, &str)| ((*p).to_owned(), (*told).to_owned());
    all.iter().map(pair).collect()
}

/// A plan of these deletions, shown for these trips.
fn shown(deletions: &[(&str, &str)], trips: &Trips) -> TrippedPlan {
    let each = trips.iter().flat_map(|(p, all)| {
        let words = all.iter().map(|reason| reason.detail.clone().unwrap());
        words.map(|words| (p.clone(), words))
    });
    TrippedPlan {
        deletions: pairs(deletions),
        comparisons: each.collect(),
    }
}

fn nothing() -> TrippedPlan {
    TrippedPlan::default()
}

fn ids(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|id| (*id).to_owned()).collect()
}

/// An account of which one backup may go, the list of fleets having collapsed.
fn collapsed() -> (Inventory, Trips) {
    let inventory = account(0);
    let before = census(&[("fleets", 40)], &[]);
    let trips = compared(&policies(""), &before, &inventory);
    (inventory, trips)
}

/// The same account after that of instances has collapsed, too.
fn collapsed_again() -> Trips {
    let before = census(&[("fleets", 40), ("instances", 40)], &[]);
    let trips = compared(&policies(""), &before, &account(0));
    assert_eq!(trips["p"].len(), 2);
    trips
}

#[test]
fn a_trip_holds_what_is_condemned_until_a_request_names_it() {
    let (inventory, tripped) = collapsed();
    let (condemned, _) = sweep(&inventory, &Trips::new(), &nothing());
    assert_eq!(condemned, ids(&["snap-2"]));
    let (condemned, settled) = sweep(&inventory, &tripped, &nothing());
    assert!(condemned.is_empty());
    assert_eq!(settled.tripped["p"], ["snap-2"]);
    assert_eq!(settled.trips, tripped);
    assert_eq!(settled.plan_hash, plan_hash([("p", "snap-2")].into_iter()));
    let words = "fleets: 0 listed now, 40 when the last sweep counted; if that is right, release \
                 this plan by its hash";
    let expected = TrippedPlan {
        deletions: pairs(&[("p", "snap-2")]),
        comparisons: pairs(&[("p", words)]),
    };
    assert_eq!(settled.offered(), expected);
    let (condemned, settled) = sweep(&inventory, &tripped, &expected);
    assert_eq!(condemned, ids(&["snap-2"]));
    assert!(settled.trips.is_empty() && settled.tripped.is_empty());
    // Of something else, of another policy, or without a name that the hash could cover.
    for other in [("p", "snap-77"), ("q", "snap-2"), ("p", "")] {
        let (condemned, settled) = sweep(&inventory, &tripped, &shown(&[other], &tripped));
        assert!(condemned.is_empty(), "{other:?}");
        assert_eq!(settled.tripped["p"], ["snap-2"], "{other:?}");
        assert_eq!(settled.trips, tripped, "{other:?}");
    }
}

#[test]
fn a_trip_with_nothing_condemned_is_a_finding_and_can_be_released() {
    let (mut inventory, tripped) = collapsed();
    inventory.snapshots.items.truncate(1);
    let (_, settled) = sweep(&inventory, &tripped, &nothing());
    let items = findings(&settled.trips);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].outcome, Outcome::Finding);
    assert_eq!(items[0].policy.as_deref(), Some("p"));
    assert_eq!(items[0].reasons[0].code, ReasonCode::CircuitBreaker);
    let offered = settled.offered();
    assert_eq!(offered, shown(&[], &tripped));
    let none = plan_hash(std::iter::empty());
    assert_eq!(settled.plan_hash, none, "it names no deletion");
    assert_eq!(plan_hash([("p", "")].into_iter()), none);
    let (_, settled) = sweep(&inventory, &tripped, &offered);
    assert!(settled.trips.is_empty() && findings(&settled.trips).is_empty());
}

#[test]
fn what_was_condemned_since_stays_and_so_does_the_trip() {
    let (mut inventory, tripped) = collapsed();
    let released = shown(&[("p", "snap-2")], &tripped);
    inventory.snapshots.items.push(backup(3));
    let (condemned, settled) = sweep(&inventory, &tripped, &released);
    assert_eq!(condemned, ids(&["snap-2"]));
    assert_eq!(settled.tripped["p"], ["snap-3"]);
    assert_eq!(settled.trips, tripped, "else the next sweep deletes snap-3");
    assert_eq!(settled.plan_hash, plan_hash([("p", "snap-3")].into_iter()));
    // Both were shown.
    let both = shown(&[("p", "snap-2"), ("p", "snap-3")], &tripped);
    let (condemned, settled) = sweep(&inventory, &tripped, &both);
    assert_eq!(condemned, ids(&["snap-2", "snap-3"]));
    assert!(settled.trips.is_empty() && settled.tripped.is_empty());
}

#[test]
fn a_cause_that_came_since_is_accepted_by_no_release_of_the_one_that_was_shown() {
    let (inventory, first) = collapsed();
    let both = collapsed_again();
    let released = shown(&[("p", "snap-2")], &first);
    let (condemned, settled) = sweep(&inventory, &both, &released);
    assert_eq!(condemned, ids(&["snap-2"]), "it was shown");
    assert_eq!(settled.trips, both);
    assert_eq!(findings(&settled.trips).len(), 2);
    assert_eq!(settled.offered(), shown(&[], &both));
    // One that is over by now takes nothing back.
    let released = shown(&[("p", "snap-2")], &both);
    let (condemned, settled) = sweep(&inventory, &first, &released);
    assert_eq!(condemned, ids(&["snap-2"]));
    assert!(settled.trips.is_empty() && settled.tripped.is_empty());
}

#[test]
fn the_hash_of_nothing_accepts_only_the_cause_for_which_it_was_shown() {
    let (mut inventory, first) = collapsed();
    inventory.snapshots.items.truncate(1);
    let (_, settled) = sweep(&inventory, &first, &nothing());
    let (hash, released) = (settled.plan_hash.clone(), settled.offered());
    let both = collapsed_again();
    let (_, settled) = sweep(&inventory, &both, &released);
    assert_eq!(settled.plan_hash, hash, "nothing tells them apart");
    assert_eq!(settled.trips, both);
    let (_, settled) = sweep(&inventory, &both, &settled.offered());
    assert!(settled.trips.is_empty());
}

#[test]
fn figures_that_were_not_shown_are_not_accepted() {
    let file = policies("");
    let before = census(&[("instances", 40)], &[]);
    let three = compared(&file, &before, &account(3));
    let released = shown(&[("p", "snap-2")], &three);
    let (_, settled) = sweep(&account(3), &three, &released);
    assert!(settled.trips.is_empty());
    let two = compared(&file, &before, &account(2));
    let (condemned, settled) = sweep(&account(2), &two, &released);
    assert_eq!(condemned, ids(&["snap-2"]));
    assert_eq!(settled.trips, two);
}

#[test]
fn what_an_earlier_version_stored_frees_its_deletions_and_accepts_no_trip() {
    let (mut inventory, tripped) = collapsed();
    let stored = |resource| shown(&[("p", resource)], &Trips::new());
    let (condemned, settled) = sweep(&inventory, &tripped, &stored("snap-2"));
    assert_eq!(condemned, ids(&["snap-2"]));
    assert_eq!(settled.trips, tripped);
    inventory.snapshots.items.truncate(1);
    let (_, settled) = sweep(&inventory, &tripped, &stored(""));
    assert_eq!(settled.trips, tripped);
}

#[test]
fn what_was_shown_of_one_policy_accepts_nothing_of_another() {
    let (inventory, tripped) = collapsed();
    let mut released = shown(&[("p", "snap-2"), ("q", "snap-2")], &tripped);
    let of_another = std::mem::take(&mut released.comparisons).into_iter();
    released.comparisons = of_another
        .map(|(_, words)| ("q".to_owned(), words))
        .collect();
    let (_, settled) = sweep(&inventory, &tripped, &released);
    assert_eq!(settled.trips, tripped);
}

#[test]
fn a_jump_of_the_clock_is_the_same_when_it_is_released_a_while_later() {
    let week = SignedDuration::from_hours(7 * 24);
    let hour = SignedDuration::from_hours(1);
    for last in [now() - week - hour, now() + 4 * hour] {
        let mut before = census(&[], &[]);
        before.wall = last;
        let at = |wall| compared_at(wall, &policies(""), &before, &account(0));
        let tripped = at(now());
        assert_eq!(tripped["p"].len(), 1, "{last}");
        let released = shown(&[("p", "snap-2")], &tripped);
        let (_, settled) = sweep(&account(0), &at(now() + hour), &released);
        assert!(settled.trips.is_empty(), "{last}");
    }
}
