//! The last look at what is about to go: whatever changed since the lists were read is held.

use std::collections::BTreeMap;

use holdfast_core::artifact;
use holdfast_core::dependency::References;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{Image, Listing, Snapshot, Tags};
use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::ports::{CallError, ImageScope, InstanceScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Reason, ReasonCode};
use jiff::{SignedDuration, Timestamp};

use crate::sweep::Lists;

/// Evidence older than this justifies no deletion.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// Reads condemned snapshots and their images once more; what changed is held.
pub(super) async fn snapshots<E: ReadEc2>(
    ec2: &E,
    condemned: &[Verdict],
    lists: &Lists,
) -> Vec<Verdict> {
    let wanted = condemned.iter().filter_map(|v| match &v.subject {
        Subject::Snapshot(snapshot) => Some(snapshot.id.clone()),
        Subject::Image { .. } => None,
    });
    let ids: Vec<SnapshotId> = wanted.collect();
    let (again, mapping) = (SnapshotScope::Ids(ids.clone()), ImageScope::MappingAny(ids));
    let (snapshots, images) = tokio::join!(ec2.snapshots(&again), ec2.images(&mapping));
    let present = by_id(&snapshots);
    let references = References::new(&images.items, &lists.instances.items, &[]);
    let mut checked = condemned.to_vec();
    for verdict in &mut checked {
        let Subject::Snapshot(snapshot) = verdict.subject.clone() else {
            continue;
        };
        hold_unread(verdict, lists, [&snapshots.error, &images.error]);
        for holder in references.holders_of_snapshot(&snapshot.id) {
            verdict.hold(holder);
        }
        let now = present.get(&snapshot.id).copied();
        hold_changed(verdict, &snapshot, now, snapshots.is_complete());
    }
    checked
}

/// Reads condemned images, what was launched from them and their snapshots once more; what
/// changed is held.
pub(super) async fn images<E: ReadEc2>(
    ec2: &E,
    condemned: &[Verdict],
    lists: &Lists,
) -> Vec<Verdict> {
    let (mut ids, mut backing): (Vec<ImageId>, Vec<SnapshotId>) = (Vec::new(), Vec::new());
    for verdict in condemned {
        if let Subject::Image { image, snapshots } = &verdict.subject {
            ids.push(image.id.clone());
            backing.extend(snapshots.iter().map(|s| s.id.clone()));
        }
    }
    backing.sort();
    backing.dedup();
    let launched = InstanceScope::LaunchedFrom(ids.clone());
    let (again, backing) = (ImageScope::Ids(ids), SnapshotScope::Ids(backing));
    let (images, instances, snapshots) = tokio::join!(
        ec2.images(&again),
        ec2.instances(&launched),
        ec2.snapshots(&backing),
    );
    let present: BTreeMap<&ImageId, &Image> = images
        .items
        .iter()
        .map(|image| (&image.id, image))
        .collect();
    let backing = by_id(&snapshots);
    let references = References::new(&[], &instances.items, &[]);
    let mut checked = condemned.to_vec();
    for verdict in &mut checked {
        let Subject::Image {
            image,
            snapshots: before,
        } = verdict.subject.clone()
        else {
            continue;
        };
        let errors = [&images.error, &instances.error, &snapshots.error];
        hold_unread(verdict, lists, errors);
        for holder in references.holders_of_image(&image.id) {
            verdict.hold(holder);
        }
        match present.get(&image.id) {
            None if images.is_complete() => verdict.hold(not_listed(&image.id)),
            None => {}
            Some(now) => {
                if now.deregistration_protected {
                    let detail = "it was protected from deregistration during the sweep";
                    let code = ReasonCode::DeregistrationProtected;
                    verdict.hold(Reason::with(code, detail));
                }
                if now.tags.contains_key(artifact::PIN) {
                    verdict.hold(pinned("it"));
                } else if ours(&now.tags) != ours(&image.tags)
                    || now.state != image.state
                    || now.mappings != image.mappings
                {
                    verdict.hold(changed("its tags, its state or its devices"));
                }
            }
        }
        for snapshot in &before {
            let now = backing.get(&snapshot.id).copied();
            hold_changed(verdict, snapshot, now, snapshots.is_complete());
        }
    }
    checked
}

fn by_id(list: &Listing<Snapshot>) -> BTreeMap<&SnapshotId, &Snapshot> {
    list.items.iter().map(|s| (&s.id, s)).collect()
}

/// Holds what rests on a list that could not be read again, or on one read too long ago.
fn hold_unread<const N: usize>(
    verdict: &mut Verdict,
    lists: &Lists,
    errors: [&Option<CallError>; N],
) {
    for error in errors.into_iter().flatten() {
        let detail = format!("checking again: {error}");
        verdict.hold(Reason::with(ReasonCode::EvidenceIncomplete, detail));
    }
    if let Some(reason) = stale(lists, Timestamp::now()) {
        verdict.hold(reason);
    }
}

/// Holds the verdict when a snapshot is no longer what it was decided on.
fn hold_changed(verdict: &mut Verdict, before: &Snapshot, now: Option<&Snapshot>, complete: bool) {
    match now {
        None if complete => verdict.hold(not_listed(&before.id)),
        None => {}
        Some(now) if now.tags.contains_key(artifact::PIN) => {
            verdict.hold(pinned(before.id.as_str()));
        }
        Some(now) if ours(&now.tags) != ours(&before.tags) || now.state != before.state => {
            verdict.hold(changed(&format!("tags or state of {}", before.id)));
        }
        Some(_) => {}
    }
}

fn not_listed(id: &impl std::fmt::Display) -> Reason {
    let detail = format!("{id} was not listed again; the next sweep sees whether it is gone");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

fn pinned(what: &str) -> Reason {
    Reason::with(
        ReasonCode::Pinned,
        format!("{what} carries {}", artifact::PIN),
    )
}

fn changed(what: &str) -> Reason {
    let detail = format!("{what} changed during the sweep");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

/// The tags that make an artifact Holdfast's, or another tool's.
fn ours(tags: &Tags) -> Vec<(&String, &String)> {
    let managed = |key: &str| key.starts_with(artifact::PREFIX) || key.starts_with("aws:");
    tags.iter().filter(|(key, _)| managed(key)).collect()
}

/// That a list was read too long ago, where one was.
pub(super) fn stale(lists: &Lists, wall: Timestamp) -> Option<Reason> {
    fn old<T>(list: &Listing<T>, wall: Timestamp) -> Option<&'static str> {
        let age = wall.duration_since(list.read_at);
        (age > FRESH || age < -FRESH).then(|| list.source.as_str())
    }
    let source = old(&lists.snapshots, wall)
        .or_else(|| old(&lists.mapped, wall))
        .or_else(|| old(&lists.images, wall))
        .or_else(|| old(&lists.instances, wall))
        .or_else(|| old(&lists.volumes, wall))
        .or_else(|| lists.templates.as_ref().and_then(|list| old(list, wall)));
    source.map(|source| {
        let detail = format!("{source} was read more than {FRESH:#} ago");
        Reason::with(ReasonCode::EvidenceIncomplete, detail)
    })
}

#[cfg(test)]
mod tests {
    use holdfast_core::id::InstanceId;
    use holdfast_core::inventory::InstanceState;
    use holdfast_core::plan::judge::Decision;
    use holdfast_core::policy::PolicyFile;
    use holdfast_sim::request::{self, Request};
    use holdfast_sim::{
        Account, BlockDevice, DeviceTarget, EbsDevice, ImageSeed, InProcess, InstanceSeed,
        Settings, SnapshotSeed,
    };

    use super::*;
    use crate::sweep::Sweep;

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
            decision: Decision::Condemn(vec![Reason::of(ReasonCode::Expired)]),
        }
    }

    async fn read(ec2: &InProcess) -> Lists {
        let now = Timestamp::now();
        let policies = PolicyFile::parse("p.yaml", POLICIES, now).unwrap();
        let sweep = Sweep {
            policies: &policies,
            only: None,
            release: None,
            account: None,
            now,
            take_release: false,
        };
        Lists::read(ec2, &sweep).await
    }

    /// The reasons that hold the AMI when `change` happened after the lists were read.
    async fn held(change: impl FnOnce(&mut Account, &ImageId, &SnapshotId)) -> Vec<ReasonCode> {
        let (ec2, image, snapshot) = account();
        let lists = read(&ec2).await;
        let verdict = condemned(Subject::Image {
            image: lists.images.items[0].clone(),
            snapshots: lists.snapshots.items.clone(),
        });
        change(&mut ec2.account(), &image, &snapshot);
        let checked = images(&ec2, &[verdict], &lists).await;
        match &checked[0].decision {
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
            Request::EnableImageDeregistrationProtection(
                request::EnableImageDeregistrationProtection {
                    id: id.to_string(),
                    with_cooldown: false,
                },
            )
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
    async fn a_check_that_cannot_be_made_holds() {
        use holdfast_sim::{ApiError, Fault, FaultRule};
        for operation in ["DescribeImages", "DescribeInstances", "DescribeSnapshots"] {
            let fault = Fault::FailPage(1, ApiError::throttled());
            let held = held(|a, _, _| a.inject(FaultRule::next(operation, fault))).await;
            assert_eq!(held, [ReasonCode::EvidenceIncomplete], "{operation}");
        }
    }

    #[tokio::test]
    async fn evidence_that_is_too_old_deletes_nothing() {
        let (ec2, _, _) = account();
        let mut lists = read(&ec2).await;
        lists.instances.read_at = Timestamp::now() - FRESH - SignedDuration::from_secs(1);
        let subject = Subject::Image {
            image: lists.images.items[0].clone(),
            snapshots: lists.snapshots.items.clone(),
        };
        let checked = images(&ec2, &[condemned(subject)], &lists).await;
        assert!(!checked[0].is_condemned());
    }
}
