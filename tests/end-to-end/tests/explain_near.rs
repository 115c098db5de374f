//! `holdfast explain` and the `explain` request: what is read for single artifacts, what would
//! break, and what would have to change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::VolumeId;
use holdfast_end_to_end::backups::{self, NOW, VOLUME};
use holdfast_end_to_end::images::{
    POLICIES, deregister_by_hand, launched_from, sweep, template_over, world,
};
use holdfast_end_to_end::{World, at, codes, item_of, report, tags};
use holdfast_sim::request::{ModifyImageAttribute, ModifySnapshotAttribute, Request};
use holdfast_sim::{
    ApiError, Fault, FaultRule, Grantee, Recipe, Retained, RetentionRule, Settings, SnapshotSeed,
};
use serde_json::{Value, json};

const OTHER: &str = "999988887777";

fn explained(world: &World, ids: &[&str]) -> (Value, i32) {
    let mut arguments = vec!["explain", "--now", NOW, "--json"];
    arguments.extend(ids);
    let output = world.holdfast(&arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{words}"));
    (report, output.status.code().unwrap())
}

fn share_image(world: &World, id: &str, with: Grantee) {
    let request = Request::ModifyImageAttribute(ModifyImageAttribute {
        id: id.to_owned(),
        add: vec![with],
        ..ModifyImageAttribute::default()
    });
    world.account(|account| account.call(&request)).unwrap();
}

fn share_snapshot(world: &World, id: &str) {
    let request = Request::ModifySnapshotAttribute(ModifySnapshotAttribute {
        id: id.to_owned(),
        add: vec![Grantee::Account(OTHER.to_owned())],
        ..ModifySnapshotAttribute::default()
    });
    world.account(|account| account.call(&request)).unwrap();
}

fn denied() -> Fault {
    Fault::Error(ApiError::new(
        "UnauthorizedOperation",
        "You are not authorized",
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_ami_says_who_loses_it_and_what_to_do_and_so_does_its_snapshot() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let (ami, root) = (baked[2].id.as_str(), baked[2].snapshots[0].as_str());
    share_image(&world, ami, Grantee::Account(OTHER.to_owned()));
    let (report, status) = explained(&world, &[ami, root]);
    assert_eq!(status, 3);
    let item = item_of(&report, ami);
    assert_eq!(
        (&item["outcome"], codes(item)),
        (&json!("held"), vec!["shared-with-account"])
    );
    assert_eq!(item["reasons"][0]["path"], json!([ami, OTHER]));
    assert_eq!(
        item["breaks"],
        json!([format!("account {OTHER} can use {ami} no longer")])
    );
    assert_eq!(
        item["remedies"],
        json!([format!("stop sharing {ami} with account {OTHER}")])
    );
    let item = item_of(&report, root);
    assert_eq!(codes(item), ["used-by-image", "shared-with-account"]);
    assert_eq!(item["reasons"][1]["path"], json!([root, ami, OTHER]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_snapshot_holds_its_ami_and_the_path_leads_through_it() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let (ami, data) = (baked[2].id.as_str(), baked[2].snapshots[1].as_str());
    share_snapshot(&world, data);
    let (report, _) = explained(&world, &[ami, &baked[2].snapshots[0]]);
    let item = item_of(&report, ami);
    assert_eq!(codes(item), ["shared-with-account"]);
    assert_eq!(item["reasons"][0]["path"], json!([ami, data, OTHER]));
    // The other snapshot cannot go while its AMI cannot.
    assert_eq!(item_of(&report, &baked[2].snapshots[0])["outcome"], "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_recipes_are_told_with_their_arns_and_every_path_has_its_remedy() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let ami = baked[2].id.as_str();
    world.account(|account| {
        account.seed_parameter("/golden/web", ami);
        account.seed_image_recipe(Recipe {
            name: "web".into(),
            version: "1.0.0".into(),
            parent: ami.to_owned(),
            container: false,
        });
    });
    let template = template_over(&world, "web", &[ami]);
    let instance = launched_from(&world, ami);
    let (report, _) = explained(&world, &[ami]);
    let item = item_of(&report, ami);
    for code in [
        "used-by-parameter",
        "used-by-image-recipe",
        "used-by-launch-template",
        "used-by-instance",
    ] {
        assert!(codes(item).contains(&code), "{code} in {item:#}");
    }
    let has = |key: &str, words: &str| {
        let all = item[key].as_array().unwrap();
        assert!(
            all.iter().any(|one| one.as_str().unwrap().contains(words)),
            "{words:?}: {item:#}"
        );
    };
    has("breaks", &format!("launches by {template} version 1 fail"));
    has("breaks", "/golden/web fail");
    has("breaks", "image-recipe/web/1.0.0 can build nothing");
    has("remedies", &format!("delete {template} version 1 ("));
    has("remedies", &format!("terminate {instance}"));
    has("remedies", "delete Image Builder recipe arn:");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_near_look_that_is_refused_is_missing_evidence_and_never_deletable() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let ami = baked[2].id.as_str();
    assert_eq!(
        explained(&world, &[ami]).1,
        0,
        "free until something is not read"
    );
    for (operation, source) in [
        ("DescribeImageAttribute", "shares: "),
        ("DescribeSnapshotAttribute", "shares: "),
        ("DescribeImageReferences", "image_references: "),
    ] {
        world.account(holdfast_sim::Account::clear_faults);
        world.inject(FaultRule::next(operation, denied()).times(9));
        let (report, status) = explained(&world, &[ami]);
        let item = item_of(&report, ami);
        assert_eq!(
            (&item["outcome"], status),
            (&json!("held"), 3),
            "{operation}"
        );
        let details: Vec<&str> = item["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["detail"].as_str().unwrap())
            .collect();
        assert!(
            codes(item)
                .iter()
                .all(|code| *code == "evidence-incomplete"),
            "{item:#}"
        );
        assert!(details.iter().any(|d| d.starts_with(source)), "{details:?}");
        assert_eq!(report["run"]["complete"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_declared_not_in_use_is_not_missed_and_stands_in_the_report() {
    let declared = POLICIES.replace(
        "retain:",
        "evidence: { image_references: not-used }\n    retain:",
    );
    let (world, baked) = world("plan", &declared, 3).await;
    let (report, status) = explained(&world, &[&baked[2].id]);
    assert_eq!(status, 0, "{report:#}");
    let evidence = report["run"]["evidence"].as_array().unwrap();
    let of = |source: &str| evidence.iter().find(|one| one["source"] == source).unwrap();
    assert_eq!(of("image_references")["not_used_by"], json!(["bake"]));
    assert!(of("image_references")["read_at"].is_null());
    assert_eq!(of("image_recipes")["complete"], true);
    assert_eq!(of("shares")["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_two_reads_for_each_artifact() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    let _ = world.calls();
    let (report, status) = explained(&world, &[&baked[2].id]);
    assert_eq!(status, 0, "{report:#}");
    let calls = world.calls();
    let count = |operation: &str| calls.iter().filter(|call| *call == operation).count();
    assert_eq!(count("DescribeImageAttribute"), 1);
    assert_eq!(
        count("DescribeSnapshotAttribute"),
        2,
        "one for each of its snapshots"
    );
    assert_eq!(count("DescribeImageReferences"), 2, "launches, and recipes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_recycle_bin_says_until_when_and_how_it_went() {
    let binning = |settings: &mut Settings| {
        settings.recycle_bin = vec![RetentionRule::for_region(Retained::Images, 7)];
    };
    let world = World::with(POLICIES, "enforce", binning, |_| {}).await;
    let baked: Vec<_> = (0..3)
        .map(|n| {
            let day = backups::day(n);
            world.account(|a| holdfast_end_to_end::images::seed_image(a, &day, &[]))
        })
        .collect();
    let swept = sweep(&world).await;
    assert_eq!(
        item_of(&swept, &baked[2].id)["outcome"],
        "deleted",
        "{swept:#}"
    );
    deregister_by_hand(&world, &baked[1].id);
    let (report, status) = explained(&world, &[&baked[2].id, &baked[1].id]);
    assert_eq!(status, 3);
    let detail = |id: &str| {
        let item = item_of(&report, id);
        assert_eq!(codes(item), ["not-found"]);
        item["reasons"][0]["detail"].as_str().unwrap()
    };
    for (id, how) in [
        (&baked[2].id, "Holdfast deleted it at "),
        (&baked[1].id, ""),
    ] {
        let words = detail(id);
        assert!(words.contains("lies in the Recycle Bin"), "{words}");
        assert!(
            words.contains("can be restored until 2026-03-09T"),
            "{words}"
        );
        assert!(words.contains(how), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_tier_is_told() {
    let world = World::new(backups::POLICIES, "plan", |account| {
        backups::volume(account, &[("Backup", "nightly")]);
        let slot = "2026-02-01T03:00:00Z";
        account.seed_snapshot(SnapshotSeed {
            volume: Some(VolumeId::new(VOLUME)),
            started: Some(at(slot)),
            tier: Some("archive".into()),
            tags: tags(&[
                ("holdfast:managed", "true"),
                ("holdfast:artifact", "snapshot"),
                ("holdfast:policy", "nightly"),
                ("holdfast:source", VOLUME),
                ("holdfast:slot", slot),
                ("holdfast:run", "r"),
            ]),
            ..SnapshotSeed::default()
        });
    })
    .await;
    let id = backups::newest_first(&world).remove(0);
    let (report, _) = explained(&world, &[&id]);
    let detail = item_of(&report, &id)["reasons"][0]["detail"]
        .as_str()
        .unwrap();
    assert!(detail.contains("it lies in the archive tier"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_answers_the_same_as_the_command() {
    let (world, baked) = world("plan", POLICIES, 3).await;
    share_image(&world, &baked[2].id, Grantee::Everybody);
    let check = world.function("check-dependencies");
    let answer = report(&check, &json!({ "explain": [baked[2].id] })).await;
    let (command, _) = explained(&world, &[&baked[2].id]);
    let item = item_of(&answer, &baked[2].id);
    assert!(codes(item).contains(&"shared-with-account"), "{answer:#}");
    assert_eq!(
        item["remedies"],
        item_of(&command, &baked[2].id)["remedies"]
    );
    assert_eq!(answer["run"]["complete"], true);
    assert!(answer["run"]["evidence"].is_array());
}
