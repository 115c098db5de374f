//! What happens to the account while a sweep runs.

use holdfast_core::artifact;
use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{InstanceState, Inventory, Tags};
use holdfast_core::plan::judge::Decision;
use holdfast_sim::request::{self, Request};
use holdfast_sim::{
    Account, BlockDevice, DeviceTarget, EbsDevice, ImageSeed, InProcess, InstanceSeed, Settings,
    SnapshotSeed,
};

use super::*;
use crate::sweep::lists;

const POLICIES: &str = "version: 1
policies:
  - name: bake
    protect: instances
    select: { instances: { tags: { Bake: nightly } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
";

/// An account with one AMI of one snapshot.
fn account() -> (InProcess, ImageId, SnapshotId) {
    let mut account = Account::new(Settings {
        start: Timestamp::now(),
        ..Settings::default()
    });
    let ours = Tags::from([("holdfast:managed".to_owned(), "true".to_owned())]);
    let snapshot = account.seed_snapshot(SnapshotSeed {
        tags: ours.clone(),
        ..SnapshotSeed::default()
    });
    let ebs = EbsDevice {
        snapshot: Some(snapshot.clone()),
        ..EbsDevice::default()
    };
    let image = account.seed_image(ImageSeed {
        mappings: vec![BlockDevice {
            device: "/dev/xvda".to_owned(),
            target: DeviceTarget::Ebs(ebs),
        }],
        tags: ours,
        ..ImageSeed::default()
    });
    (InProcess::new(account.shared()), image, snapshot)
}

fn condemned(subject: Subject) -> Verdict {
    Verdict {
        subject,
        policy: "bake".to_owned(),
        artifact: None,
        good: true,
        former_image: None,
        orphan_of: None,
        retry_at: None,
        decision: Decision::Condemn(vec![Reason::of(ReasonCode::Expired)]),
    }
}

async fn read(ec2: &InProcess) -> Inventory {
    let policies = PolicyFile::parse("p.yaml", POLICIES, Timestamp::now()).unwrap();
    lists::read(ec2, &policies).await
}

async fn again(ec2: &InProcess, verdicts: &[Verdict], lists: Inventory) -> Vec<Looked> {
    again_by(POLICIES, ec2, verdicts, lists).await
}

async fn again_by(
    policies: &str,
    ec2: &InProcess,
    verdicts: &[Verdict],
    mut lists: Inventory,
) -> Vec<Looked> {
    let policies = PolicyFile::parse("p.yaml", policies, Timestamp::now()).unwrap();
    let (readings, now) = (lists.readings(), Timestamp::now());
    let account = Some("111122223333".to_owned());
    let look = Look::new(ec2, &policies, now, account, &readings);
    look.images(verdicts.to_vec(), &mut lists).await
}

/// The reasons that hold the AMI when `change` happened after the lists were read.
async fn held(change: impl FnOnce(&mut Account, &ImageId, &SnapshotId)) -> Vec<ReasonCode> {
    held_by(POLICIES, change).await
}

async fn held_by(
    policies: &str,
    change: impl FnOnce(&mut Account, &ImageId, &SnapshotId),
) -> Vec<ReasonCode> {
    let (ec2, image, snapshot) = account();
    let lists = read(&ec2).await;
    let verdict = condemned(Subject::Image {
        image: lists.images.items.get(0).unwrap(),
        snapshots: lists.snapshots.items.iter().collect(),
    });
    change(&mut ec2.account(), &image, &snapshot);
    let checked = again_by(policies, &ec2, &[verdict], lists).await;
    match &checked[0].verdict.decision {
        Decision::Hold(reasons) => reasons.iter().map(|r| r.code).collect(),
        _ => Vec::new(),
    }
}

fn call(account: &mut Account, request: Request) {
    account.call(&request).unwrap();
}

fn pin(id: &str) -> Request {
    Request::CreateTags(request::CreateTags {
        resources: vec![id.to_owned()],
        tags: vec![(artifact::PIN.to_owned(), "x".to_owned())],
    })
}

fn untag(id: &str) -> Request {
    Request::DeleteTags(request::DeleteTags {
        resources: vec![id.to_owned()],
        tags: vec![("holdfast:managed".to_owned(), None)],
    })
}

#[tokio::test]
async fn an_ami_that_nothing_happened_to_may_still_go() {
    assert_eq!(held(|_, _, _| {}).await, []);
}

#[tokio::test]
async fn an_ami_that_was_launched_while_the_sweep_ran_is_held() {
    let launch = |account: &mut Account, state: InstanceState, image: &ImageId| {
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new("i-0000000000000000a")),
            state,
            image: Some(image.clone()),
            ..InstanceSeed::default()
        });
    };
    let running = held(|a, image, _| launch(a, InstanceState::Pending, image)).await;
    assert_eq!(running, [ReasonCode::UsedByInstance]);
    let over = held(|a, image, _| launch(a, InstanceState::Terminated, image)).await;
    assert_eq!(over, []);
}

#[tokio::test]
async fn an_ami_of_which_ec2_says_by_now_that_it_was_launched_lately_is_held() {
    let lately = format!("{POLICIES}    recently_launched: 90d\n");
    let launched = held_by(&lately, |account, image, _| {
        let image = account.image(image).unwrap().clone();
        let now = account.now();
        account.seed_image(ImageSeed {
            id: Some(image.id),
            name: Some(image.name),
            created: Some(image.created),
            mappings: image.mappings,
            tags: image.tags,
            last_launched: Some(now),
            ..ImageSeed::default()
        });
    });
    assert_eq!(launched.await, [ReasonCode::RecentlyLaunched]);
}

#[tokio::test]
async fn an_ami_or_a_snapshot_of_it_that_changed_while_the_sweep_ran_is_held() {
    use ReasonCode::{DeregistrationProtected, EvidenceIncomplete, Pinned};
    assert_eq!(held(|a, i, _| call(a, pin(i.as_str()))).await, [Pinned]);
    assert_eq!(held(|a, _, s| call(a, pin(s.as_str()))).await, [Pinned]);
    let untagged = held(|a, i, _| call(a, untag(i.as_str()))).await;
    assert_eq!(untagged, [EvidenceIncomplete]);
    let untagged = held(|a, _, s| call(a, untag(s.as_str()))).await;
    assert_eq!(untagged, [EvidenceIncomplete]);
    let vanished = held(|a, _, s| assert!(a.vanish_snapshot(s))).await;
    assert_eq!(vanished, [EvidenceIncomplete]);
    let disable = |id: &ImageId| {
        let id = id.to_string();
        Request::DisableImage(request::DisableImage { id })
    };
    let disabled = held(|a, i, _| call(a, disable(i))).await;
    assert_eq!(disabled, [EvidenceIncomplete]);
    let protect = |id: &ImageId| {
        Request::EnableImageDeregistrationProtection(request::EnableImageDeregistrationProtection {
            id: id.to_string(),
            with_cooldown: false,
        })
    };
    let protected = held(|a, i, _| call(a, protect(i))).await;
    assert_eq!(protected, [DeregistrationProtected]);
    let deregister = |id: &ImageId| {
        Request::DeregisterImage(request::DeregisterImage {
            id: id.to_string(),
            delete_associated_snapshots: false,
        })
    };
    let gone = held(|a, i, _| call(a, deregister(i))).await;
    assert_eq!(gone, [EvidenceIncomplete]);
}

#[tokio::test]
async fn an_ami_that_a_launch_template_names_by_now_is_held() {
    let name = |account: &mut Account, image: String| {
        let data = holdfast_sim::TemplateData {
            image: Some(image),
            ..Default::default()
        };
        let request = Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
            name: "web".to_owned(),
            description: None,
            data,
            tags: Vec::new(),
            client_token: None,
        });
        call(account, request);
    };
    let named = held(|a, image, _| name(a, image.to_string())).await;
    assert_eq!(named, [ReasonCode::UsedByLaunchTemplate]);
    // A plain name of one's own is a parameter, and of those EC2's own references tell.
    let plain = held(|a, _, _| name(a, "resolve:ssm:/golden".to_owned())).await;
    assert_eq!(plain, []);
    let told = |a: &mut Account, image: &ImageId| a.seed_parameter("/golden", image.as_str());
    let told = held(|a, image, _| told(a, image)).await;
    assert_eq!(told, [ReasonCode::UsedByParameter]);
    // Of an old version of a parameter nobody tells.
    let hidden = held(|a, _, _| name(a, "resolve:ssm:/golden:3".to_owned())).await;
    assert_eq!(hidden, [ReasonCode::EvidenceIncomplete]);
}

/// A launch template, or a further version of it, whose block-device mapping names a snapshot.
fn template_over(account: &mut Account, name: &str, snapshot: &SnapshotId, first: bool) {
    let ebs = EbsDevice {
        snapshot: Some(snapshot.clone()),
        ..EbsDevice::default()
    };
    let data = holdfast_sim::TemplateData {
        mappings: vec![BlockDevice {
            device: "/dev/sdf".to_owned(),
            target: DeviceTarget::Ebs(ebs),
        }],
        ..Default::default()
    };
    let request = match first {
        true => Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
            name: name.to_owned(),
            description: None,
            data,
            tags: Vec::new(),
            client_token: None,
        }),
        false => Request::CreateLaunchTemplateVersion(request::CreateLaunchTemplateVersion {
            name: Some(name.to_owned()),
            data,
            ..Default::default()
        }),
    };
    call(account, request);
}

#[tokio::test]
async fn a_snapshot_that_a_newer_version_of_a_launch_template_names_by_now_is_held() {
    let (ec2, _, other) = account();
    let snapshot = {
        let mut account = ec2.account();
        for n in 0..5 {
            template_over(&mut account, &format!("web-{n}"), &other, true);
        }
        account.seed_snapshot(SnapshotSeed {
            tags: Tags::from([("holdfast:managed".to_owned(), "true".to_owned())]),
            ..SnapshotSeed::default()
        })
    };
    let policies = PolicyFile::parse("p.yaml", POLICIES, Timestamp::now()).unwrap();
    let mut lists = read(&ec2).await;
    template_over(&mut ec2.account(), "web-3", &snapshot, false);
    ec2.account().clear_calls();
    let (readings, now) = (lists.readings(), Timestamp::now());
    let look = Look::new(&ec2, &policies, now, None, &readings);
    let subject = lists.snapshots.items.iter().find(|s| s.id == snapshot);
    let verdict = condemned(Subject::Snapshot(subject.unwrap()));
    let looked = look.snapshots(vec![verdict], &mut lists).await;
    let Decision::Hold(reasons) = &looked[0].verdict.decision else {
        panic!("{looked:?}");
    };
    assert_eq!(reasons[0].code, ReasonCode::UsedByLaunchTemplate);
    let asked = |operation: &str| {
        let account = ec2.account();
        let calls = account.calls().iter();
        calls.filter(|call| call.operation == operation).count()
    };
    // The list of templates, and the versions of the one that changed.
    assert_eq!(asked("DescribeLaunchTemplates"), 1);
    assert_eq!(asked("DescribeLaunchTemplateVersions"), 1);
    assert!(looked[0].readings.iter().any(|reading| {
        reading.source == Source::LaunchTemplates && reading.count == 6 && reading.error.is_none()
    }));
}

#[tokio::test]
async fn a_launch_template_that_vanished_since_holds_as_it_did_and_costs_nothing_to_read() {
    let (ec2, _, snapshot) = account();
    template_over(&mut ec2.account(), "web", &snapshot, true);
    let before = ec2.launch_template_versions().await;
    let delete = Request::DeleteLaunchTemplate(request::DeleteLaunchTemplate {
        name: Some("web".to_owned()),
        ..Default::default()
    });
    call(&mut ec2.account(), delete);
    let again = ec2.launch_template_versions_again(&before.items).await;
    assert_eq!((&again.items, again.pages), (&before.items, 1));
}

#[tokio::test]
async fn a_check_that_cannot_be_made_holds() {
    use holdfast_sim::{ApiError, Fault, FaultRule};
    for operation in [
        "DescribeImages",
        "DescribeInstances",
        "DescribeSnapshots",
        "DescribeLaunchTemplates",
    ] {
        let fault = Fault::FailPage(1, ApiError::throttled());
        let held = held(|a, _, _| a.inject(FaultRule::next(operation, fault))).await;
        assert_eq!(held, [ReasonCode::EvidenceIncomplete], "{operation}");
    }
}

#[tokio::test]
async fn evidence_that_is_too_old_deletes_nothing() {
    let (ec2, _, _) = account();
    let mut lists = read(&ec2).await;
    lists.instances.read_at =
        Timestamp::now() - holdfast_core::dependency::FRESH - SignedDuration::from_secs(1);
    let subject = Subject::Image {
        image: lists.images.items.get(0).unwrap(),
        snapshots: lists.snapshots.items.iter().collect(),
    };
    let checked = again(&ec2, &[condemned(subject)], lists).await;
    assert!(!checked[0].verdict.is_condemned());
}
