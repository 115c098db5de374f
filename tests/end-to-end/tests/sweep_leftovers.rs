//! sweep-retention over snapshots that have lost their AMI: whose doing that was decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_end_to_end::images::{
    POLICIES, age_attempt, deletion_state, deregister_by_hand, registered, stands, sweep, sweep_at,
    tries, world,
};
use holdfast_end_to_end::{codes, item_of};
use holdfast_sim::{Account, ApiError, Fault, FaultRule};
use serde_json::json;

const LATER: &str = "2026-03-02T11:00:00Z";
const LATEST: &str = "2026-03-02T12:00:00Z";

#[tokio::test]
async fn snapshots_whose_ami_somebody_else_deregistered_wait_a_week_and_are_reported_at_once() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    deregister_by_hand(&world, &baked[2].id);
    for time in [LATER, LATEST] {
        let swept = sweep_at(&world, time).await;
        assert_eq!(
            swept["summary"],
            json!({ "held": 2, "kept": 2 }),
            "{swept:#}"
        );
        for snapshot in &baked[2].snapshots {
            assert_eq!(codes(item_of(&swept, snapshot)), ["orphaned", "grace"]);
            assert!(stands(&world, snapshot));
        }
    }
}

#[tokio::test]
async fn what_others_left_goes_a_week_later_if_the_policy_would_have_retired_the_ami() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    for one in &baked[1..] {
        deregister_by_hand(&world, &one.id);
    }
    sweep_at(&world, LATER).await;
    let early = sweep_at(&world, "2026-03-09T10:59:59Z").await;
    let waits = codes(item_of(&early, &baked[2].snapshots[0])).join(" ");
    assert_eq!(waits, "orphaned grace", "{early:#}");
    let late = sweep_at(&world, "2026-03-09T11:00:00Z").await;
    for snapshot in &baked[2].snapshots {
        let item = item_of(&late, snapshot);
        assert_eq!(item["outcome"], "deleted", "{late:#}");
        assert_eq!(codes(item), ["orphaned", "expired"]);
        assert!(!stands(&world, snapshot));
    }
    for snapshot in &baked[1].snapshots {
        let item = item_of(&late, snapshot);
        assert_eq!(item["outcome"], "kept", "{late:#}");
        assert_eq!(codes(item), ["retain.last", "orphaned"]);
        assert!(stands(&world, snapshot));
    }
}

#[tokio::test]
async fn an_ami_deregistered_by_hand_after_ec2_refused_the_sweep_is_somebody_elses_doing() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let refused = ApiError::new("OperationNotPermitted", "This operation is not permitted");
    world.inject(FaultRule::next("DeregisterImage", Fault::Error(refused)));
    let failed = sweep(&world).await;
    let item = item_of(&failed, &baked[2].id);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("held"), vec!["deregistration-protected"])
    );
    let words = item["reasons"][0]["detail"].as_str().unwrap();
    assert!(words.contains("OperationNotPermitted"), "{words}");
    deregister_by_hand(&world, &baked[2].id);
    let held = sweep_at(&world, LATER).await;
    for snapshot in &baked[2].snapshots {
        assert_eq!(codes(item_of(&held, snapshot)), ["orphaned", "grace"]);
        assert!(stands(&world, snapshot));
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_deregistration_leaves_nothing_orphaned() {
    // It is asked for once only: what a second attempt met would be told of the first.
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let fault = Fault::AppliedButResponseLost;
    world.inject(FaultRule::next("DeregisterImage", fault));
    let throttled = Fault::Error(ApiError::throttled());
    world.inject(FaultRule::next("DeregisterImage", throttled).times(9));
    let first = sweep(&world).await;
    assert_eq!(
        codes(item_of(&first, &baked[2].id)),
        ["expired", "outcome-unknown"],
        "{first:#}"
    );
    let calls = world.calls();
    assert_eq!(calls.iter().filter(|c| *c == "DeregisterImage").count(), 1);
    for snapshot in &baked[2].snapshots {
        assert_eq!(deletion_state(&world, snapshot), "intended");
    }
    world.account(Account::clear_faults);
    let second = sweep_at(&world, LATER).await;
    assert_eq!(second["summary"], json!({ "kept": 2 }), "{second:#}");
    assert_eq!((registered(&world).len(), world.snapshots().len()), (2, 4));
}

#[tokio::test]
async fn snapshots_that_a_deregistration_of_unknown_outcome_left_are_finished_by_a_later_sweep() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    // EC2 deregisters, keeps one snapshot, and the answer is lost for good.
    let kept = ApiError::new("InternalError", "An internal error has occurred");
    let root = baked[2].snapshots[0].as_str();
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(kept)).on(root));
    world.inject(FaultRule::next("DeregisterImage", Fault::AppliedButResponseLost).times(9));
    sweep(&world).await;
    world.account(Account::clear_faults);
    assert!(stands(&world, root), "the stage is set");
    let second = sweep_at(&world, LATER).await;
    assert_eq!(
        codes(item_of(&second, root)),
        ["orphaned", "expired"],
        "{second:#}"
    );
    assert!(!stands(&world, root));
    let third = sweep_at(&world, LATEST).await;
    assert_eq!(third["summary"], json!({ "kept": 2 }));
}

#[tokio::test]
async fn an_intent_that_ec2_never_heard_of_is_closed_when_the_ami_is_listed_again() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let lost = ApiError::new("InternalError", "An internal error has occurred");
    world.inject(FaultRule::next("DeregisterImage", Fault::Error(lost)).times(9));
    let first = sweep(&world).await;
    assert_eq!(
        codes(item_of(&first, &baked[2].id)),
        ["expired", "outcome-unknown"]
    );
    assert_eq!(deletion_state(&world, &baked[2].id), "intended");
    world.account(Account::clear_faults);
    // By now the policy keeps it, so that nothing is asked for again.
    world.set_policies(&POLICIES.replace("last: 2", "last: 3"));
    let kept = sweep_at(&world, LATER).await;
    assert_eq!(kept["summary"], json!({ "kept": 3 }), "{kept:#}");
    assert_eq!(deletion_state(&world, &baked[2].id), "refused");
    for snapshot in &baked[2].snapshots {
        assert_eq!(deletion_state(&world, snapshot), "refused");
    }
    world.set_policies(POLICIES);
    deregister_by_hand(&world, &baked[2].id);
    let held = sweep_at(&world, LATEST).await;
    for snapshot in &baked[2].snapshots {
        assert_eq!(item_of(&held, snapshot)["outcome"], "held", "{held:#}");
        assert_eq!(codes(item_of(&held, snapshot)), ["orphaned", "grace"]);
        assert!(stands(&world, snapshot));
    }
}

#[tokio::test]
async fn a_backing_snapshot_that_ec2_refused_is_named_and_finished_later() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let root = baked[2].snapshots[0].as_str();
    let in_use = || ApiError::new("InvalidSnapshot.InUse", "The snapshot is currently in use");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(in_use())).on(root));
    let first = sweep(&world).await;
    let item = item_of(&first, &baked[2].id);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("deleted"), vec!["expired", "orphaned"])
    );
    assert_eq!(item["reasons"][1]["path"], json!([baked[2].id, root]));
    assert_eq!(first["run"]["complete"], false);
    assert_eq!(deletion_state(&world, root), "intended");
    assert_eq!(tries(&world, root), "1");
    // The waits between two attempts go by the wall clock: a quarter of an hour, then half an hour.
    let waiting = sweep_at(&world, LATER).await;
    let item = item_of(&waiting, root);
    assert_eq!(codes(item).last(), Some(&"retry-later"), "{waiting:#}");
    assert_eq!(waiting["run"]["complete"], false);
    age_attempt(&world, root, 16);
    // EC2 may say for a while that a deregistered AMI still uses it.
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(in_use())).on(root));
    let second = sweep_at(&world, LATER).await;
    assert_eq!(item_of(&second, root)["outcome"], "deferred", "{second:#}");
    assert_eq!(second["run"]["complete"], false);
    assert_eq!(tries(&world, root), "2");
    age_attempt(&world, root, 16);
    let waiting = sweep_at(&world, LATEST).await;
    let item = item_of(&waiting, root);
    assert_eq!(codes(item).last(), Some(&"retry-later"), "{waiting:#}");
    age_attempt(&world, root, 15);
    let third = sweep_at(&world, LATEST).await;
    assert_eq!(item_of(&third, root)["outcome"], "deleted", "{third:#}");
    assert!(!stands(&world, root));
}

#[tokio::test]
async fn a_policy_that_keeps_more_by_now_keeps_a_leftover_too() {
    let (world, baked) = world("enforce", POLICIES, 3).await;
    let root = baked[2].snapshots[0].as_str();
    let refused = ApiError::new("UnauthorizedOperation", "You are not authorized");
    world.inject(FaultRule::next("DeleteSnapshot", Fault::Error(refused)).on(root));
    sweep(&world).await;
    world.set_policies(&POLICIES.replace("last: 2", "last: 3"));
    let held = sweep_at(&world, LATER).await;
    assert_eq!(codes(item_of(&held, root)), ["orphaned"], "{held:#}");
    assert!(stands(&world, root));
}
