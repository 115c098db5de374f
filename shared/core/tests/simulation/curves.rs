//! Curves that may be ended early.

use holdfast_core::simulation::curves;

use super::{at, counts, nightly, question, simulated, volumes};

#[test]
fn curves_are_those_of_the_whole_simulation() {
    let (policies, fleet) = (nightly("retain: { daily: 3, weekly: 2 }"), volumes(2));
    let found = curves(&question(&policies, &fleet, 30), &mut || true);
    assert_eq!(
        (found.from, found.asked, found.days),
        (at(super::START), 30, 30)
    );
    let whole = simulated(&policies, &fleet, 30);
    assert_eq!(found.policies[0].policy, "nightly");
    assert_eq!(found.policies[0].backups, counts(&whole.policies[0]));
    assert!(whole.assumptions.starts_with(&found.assumptions));
    assert!(!found.assumptions.is_empty());
}

#[test]
fn curves_that_are_ended_early_have_whole_days_and_say_how_many() {
    let (policies, fleet) = (nightly("retain: { last: 9 }"), volumes(1));
    let mut hours = 0;
    let found = curves(&question(&policies, &fleet, 30), &mut || {
        hours += 1;
        hours <= 24 * 3 + 5
    });
    assert_eq!((found.asked, found.days), (30, 3));
    // One of the first midnight, complete after it, and one each night.
    assert_eq!(found.policies[0].backups, [0, 2, 3, 4]);
    let none = curves(&question(&policies, &fleet, 30), &mut || false);
    assert_eq!((none.days, &none.policies[0].backups[..]), (0, &[0][..]));
}
