//! Whose an artifact is: what is not one's own, or is another policy's, is not adopted.

use holdfast_core::artifact::Artifact;
use holdfast_core::inventory::{Inventory, Listing, Snapshot, Source};
use holdfast_core::plan::adopt::Proposed;
use holdfast_core::report::ReasonCode;

use crate::TIME;
use crate::stage::{Stage, ami, now, snapshot, tags};

#[test]
fn what_names_no_owner_is_refused() {
    assert_eq!(
        Stage::snapshot(|s| s.owner = None).refused("snap-1").code,
        ReasonCode::EvidenceIncomplete
    );
    assert_eq!(
        Stage::image(|i, _| i.owner = None).refused("ami-1").code,
        ReasonCode::EvidenceIncomplete
    );
}

#[test]
fn a_snapshot_that_is_holdfasts_already_is_not_tagged_anew() {
    let ours = |policy: &str| {
        tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", "snapshot"),
            ("holdfast:policy", policy),
        ])
    };
    assert_eq!(
        Stage::snapshot(|s| s.tags = ours("bake"))
            .refused("snap-1")
            .code,
        ReasonCode::NotPicked
    );
    let known = Stage::snapshot(|s| s.tags = ours("vols"))
        .propose(&["snap-1"])
        .remove(0);
    assert!(matches!(known.proposed, Proposed::Already(_)));
}

fn backed(policy: &'static str) -> Stage {
    Stage::image(|_, s| {
        s[0].tags = tags(&[
            ("holdfast:managed", "true"),
            ("holdfast:artifact", "image-snapshot"),
            ("holdfast:policy", policy),
            ("holdfast:source", "i-1"),
            ("holdfast:slot", TIME),
            ("holdfast:run", "r"),
        ]);
    })
}

#[test]
fn an_ami_over_a_snapshot_of_another_policys_ami_is_refused() {
    assert_eq!(backed("other").refused("ami-1").code, ReasonCode::NotPicked);
}

#[test]
fn a_snapshot_of_another_managed_ami_keeps_its_tags() {
    let mut stage = backed("bake");
    let mut other = ami("ami-2", Some("i-1"), &["snap-1"], TIME);
    other.tags = tags(&[("holdfast:managed", "true")]);
    stage.inventory.images.items.extend([other]);
    assert_eq!(stage.taggings("ami-1")[0].resources, ["snap-2"]);
}

fn inventory(owners: &[&str]) -> Inventory {
    let one = |(n, owner): (usize, &&str)| {
        let mut s = snapshot(&format!("snap-{n}"), "vol-1", TIME);
        s.owner = Some((*owner).into());
        s
    };
    let snapshots: Vec<Snapshot> = owners.iter().enumerate().map(one).collect();
    Inventory {
        snapshots: Listing::complete(Source::Snapshots, snapshots, now()).into_items(),
        ..Inventory::empty(now())
    }
}

#[test]
fn lists_that_disagree_about_the_owner_are_nobodys_own() {
    assert_eq!(inventory(&[]).own_account(Some("2")), Some("2"));
    assert_eq!(inventory(&["1", "1"]).own_account(Some("2")), Some("1"));
    assert_eq!(inventory(&["1", "2"]).own_account(Some("2")), Some("2"));
    assert_eq!(inventory(&["1", "2"]).own_account(None), Some("unknown"));
}

#[test]
fn an_artifact_tag_of_an_unknown_kind_is_not_ours() {
    let odd = tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", "mystery"),
        ("holdfast:policy", "p"),
    ]);
    assert_eq!(
        Artifact::read(&odd, Some("1"), Some("1")).unwrap_err().code,
        ReasonCode::NotManaged
    );
}
