//! That a record of a deletion says what it must, and fits into the table whatever the AMI.

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageMapping, ImageState, SnapshotState, Source, Tags};
use holdfast_core::plan::judge::{Decision, Verdict};
use holdfast_core::report::{Reason, ReasonCode};

use super::*;

const POLICIES: &str = "version: 1
policies:
  - name: bake
    protect: instances
    select: { instances: { tags: { Bake: nightly } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    evidence: { fleets: not-used, image_recipes: not-used }
";

fn snapshot(n: usize, tags: Tags) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(format!("snap-{n:017x}")),
        volume: Some(VolumeId::new(format!("vol-{n:017x}"))),
        state: SnapshotState::Completed,
        start: Some(Timestamp::UNIX_EPOCH),
        owner: Some("111122223333".into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: Some("standard".into()),
        state_message: None,
        kms_key: None,
        description: "d".repeat(255),
        tags,
    }
}

fn image(devices: usize, tags: Tags) -> Looked {
    let snapshots: Vec<Snapshot> = (0..devices).map(|n| snapshot(n, tags.clone())).collect();
    let mappings = snapshots.iter().map(|snapshot| ImageMapping {
        device: "/dev/xvd".to_owned() + &"x".repeat(200),
        target: MappingTarget::Ebs(Some(snapshot.id.clone())),
    });
    let image = Image {
        id: ImageId::new("ami-0000000000000000a"),
        name: Some("n".repeat(128)),
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some("111122223333".into()),
        created: Some(Timestamp::UNIX_EPOCH),
        source_instance: Some(InstanceId::new("i-0000000000000000a")),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: Some("/dev/xvda".into()),
        mappings: mappings.collect(),
        tags,
    };
    let verdict = Verdict {
        subject: Subject::Image { image, snapshots },
        policy: "bake".into(),
        artifact: None,
        good: true,
        former_image: None,
        orphan_of: None,
        retry_at: None,
        decision: Decision::Condemn(vec![Reason::with(ReasonCode::Expired, "no rule keeps it")]),
    };
    let readings = vec![reading(Source::Shares), reading(Source::ImageReferences)];
    Looked { verdict, readings }
}

fn reading(source: Source) -> Reading {
    Reading {
        source,
        count: 3,
        pages: 1,
        read_at: Timestamp::UNIX_EPOCH,
        error: None,
    }
}

fn runner() -> Runner {
    Runner {
        run: "run-1".into(),
        asked_by: "request",
        released: Some("a".repeat(64)),
        account: Some("111122223333".into()),
        region: Some("eu-central-1".into()),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn proofs(looked: &Looked) -> (Value, Value, usize) {
    let policies = PolicyFile::parse("p", POLICIES, Timestamp::UNIX_EPOCH).unwrap();
    let lists = told(&vec![reading(Source::Images); 20]);
    let runner = runner();
    let proof = Proof {
        policies: &policies,
        runner: &runner,
        lists: &lists,
        binned_not_on_record: 0,
    };
    let Subject::Image { image, snapshots } = &looked.verdict.subject else {
        panic!("not an image");
    };
    let own = proof.of(looked);
    let backing = proof.of_backing(looked, image, snapshots.first());
    let longest = own.len().max(backing.len());
    (
        serde_json::from_str(&own).unwrap(),
        serde_json::from_str(&backing).unwrap(),
        longest,
    )
}

#[test]
fn a_proof_says_what_went_why_on_which_evidence_and_who_ran_it() {
    let tags = Tags::from([("Team".to_owned(), "db".to_owned())]);
    let (own, backing, _) = proofs(&image(1, tags));
    assert_eq!(own["verdict"]["reasons"][0]["code"], "expired");
    assert_eq!(own["tags"], json!({ "Team": "db" }));
    assert_eq!(own["mapping"][0]["snapshot"], "snap-00000000000000000");
    assert_eq!(own["snapshots"], json!(["snap-00000000000000000"]));
    assert_eq!(own["last_look"][0]["source"], "shares");
    assert_eq!(own["last_look"][1]["complete"], true);
    assert_eq!(own["lists"].as_array().unwrap().len(), 20);
    let not_used = json!({ "by": "bake", "sources": ["fleets", "image_recipes"] });
    assert_eq!(own["not_used"], not_used);
    assert_eq!(
        own["run"],
        json!({ "id": "run-1", "function": "sweep-retention", "asked_by": "request",
                "released": "a".repeat(64), "account": "111122223333",
                "region": "eu-central-1" })
    );
    assert_eq!(backing["image"], "ami-0000000000000000a");
    assert_eq!(backing["volume"], "vol-00000000000000000");
    assert_eq!(backing["tags"], json!({ "Team": "db" }));
}

#[test]
fn an_error_of_a_source_stands_in_the_proof() {
    let mut broken = reading(Source::Locks);
    broken.error = Some(holdfast_core::ports::CallError {
        operation: "DescribeLockedSnapshots",
        resource: "*".into(),
        code: Some("UnauthorizedOperation".into()),
        class: holdfast_core::ports::ErrorClass::Denied,
        message: "no".into(),
    });
    let told = told(&[broken]);
    assert_eq!(told[0]["complete"], false);
    let words = told[0]["error"].as_str().unwrap();
    assert!(words.contains("UnauthorizedOperation"), "{words}");
}

#[test]
fn the_largest_ami_fits_into_one_record_of_the_table() {
    // Characters that JSON writes as six bytes are the longest a tag can become.
    let tags = |c: char| -> Tags {
        let long = |length: usize| c.to_string().repeat(length);
        let tag = |n: usize| (format!("{n:02}{}", long(126)), long(256));
        (0..50).map(tag).collect()
    };
    for c in ['x', '"', '\u{1}', '\u{1F4BE}'] {
        let (_, _, longest) = proofs(&image(128, tags(c)));
        // DynamoDB's limit is 400 KB for the whole item; the rest of it is well under 50.
        assert!(longest < 350_000, "{longest} bytes with {c:?}");
    }
}
