//! Whatever chaos does to the calls, the account keeps its own rules; and one number replays it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::ImageState;
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{
    Account, BlockDevice, CallFailure, CallOutcome, Chaos, ChaosFault, Filter, ImageSeed, Response,
    Settings, SnapshotSeed, TemplateData, VolumeSeed,
};
use jiff::SignedDuration;
use proptest::prelude::*;

const SNAPSHOTS: usize = 12;
const IMAGES: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Take,
    Delete(usize),
    Register(usize, usize),
    Deregister(usize, bool),
    Tag(usize, bool),
    Version(usize),
    List(i32),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Take),
        (0..SNAPSHOTS).prop_map(Step::Delete),
        (0..SNAPSHOTS, 0..SNAPSHOTS).prop_map(|(a, b)| Step::Register(a, b)),
        (0..IMAGES, any::<bool>()).prop_map(|(n, with)| Step::Deregister(n, with)),
        (0..SNAPSHOTS, any::<bool>()).prop_map(|(n, on)| Step::Tag(n, on)),
        (0..SNAPSHOTS).prop_map(Step::Version),
        (5..9).prop_map(Step::List),
        (1_i64..400).prop_map(Step::Wait),
    ]
}

struct World {
    account: Account,
    snapshots: Vec<SnapshotId>,
    images: Vec<ImageId>,
    volume: String,
    template: String,
    made: usize,
}

/// Lags of every kind for half of the resources, and chaos drawn from the seed.
fn world(seed: u64) -> World {
    let mut account = Account::new(Settings {
        seed,
        list_lag: SignedDuration::from_secs(90),
        deleted_visible: SignedDuration::from_secs(150),
        attribute_lag: SignedDuration::from_secs(60),
        in_use_lag: SignedDuration::from_secs(120),
        lagging_share: 50,
        ..Settings::default()
    });
    let snapshots: Vec<SnapshotId> = (0..SNAPSHOTS)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    let images = (0..IMAGES)
        .map(|n| {
            let mappings = [n, n + 1]
                .iter()
                .map(|&s| BlockDevice::from_snapshot(format!("/dev/sd{s}"), snapshots[s].clone()))
                .collect();
            account.seed_image(ImageSeed {
                mappings,
                ..Default::default()
            })
        })
        .collect();
    let volume = account.seed_volume(VolumeSeed::default());
    let template = Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
        name: "web".to_owned(),
        ..Default::default()
    });
    let template = match account.call(&template).unwrap() {
        Response::LaunchTemplate(t) => t.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    account.unleash(Chaos::drawn(seed));
    World {
        account,
        snapshots,
        images,
        volume: volume.as_str().to_owned(),
        template,
        made: 0,
    }
}

impl World {
    fn call(&mut self, request: &Request) -> Option<Result<Response, CallFailure>> {
        Some(self.account.call(request))
    }

    fn take(&mut self, step: &Step) -> Option<Result<Response, CallFailure>> {
        let snapshot = |n: usize| self.snapshots[n].as_str().to_owned();
        let request = match *step {
            Step::Wait(seconds) => {
                self.account.advance_by(SignedDuration::from_secs(seconds));
                return None;
            }
            Step::List(size) => {
                self.list(size);
                return None;
            }
            Step::Take => Request::CreateSnapshot(request::CreateSnapshot {
                volume: self.volume.clone(),
                ..Default::default()
            }),
            Step::Delete(n) => Request::DeleteSnapshot(request::DeleteSnapshot { id: snapshot(n) }),
            Step::Register(a, b) => {
                self.made += 1;
                let mappings = [("/dev/xvda", a), ("/dev/xvdb", b)];
                Request::RegisterImage(request::RegisterImage {
                    name: format!("made-{}", self.made),
                    root_device: Some("/dev/xvda".to_owned()),
                    mappings: mappings
                        .map(|(device, n)| {
                            BlockDevice::from_snapshot(device, self.snapshots[n].clone())
                        })
                        .to_vec(),
                    ..Default::default()
                })
            }
            Step::Deregister(n, delete_associated_snapshots) => {
                Request::DeregisterImage(request::DeregisterImage {
                    id: self.images[n].as_str().to_owned(),
                    delete_associated_snapshots,
                })
            }
            Step::Tag(n, true) => Request::CreateTags(request::CreateTags {
                resources: vec![snapshot(n)],
                tags: vec![("pin".to_owned(), "yes".to_owned())],
            }),
            Step::Tag(n, false) => Request::DeleteTags(request::DeleteTags {
                resources: vec![snapshot(n)],
                tags: vec![("pin".to_owned(), None)],
            }),
            Step::Version(n) => {
                Request::CreateLaunchTemplateVersion(request::CreateLaunchTemplateVersion {
                    id: Some(self.template.clone()),
                    data: TemplateData {
                        mappings: vec![BlockDevice::from_snapshot(
                            "/dev/sdf",
                            self.snapshots[n].clone(),
                        )],
                        ..Default::default()
                    },
                    ..Default::default()
                })
            }
        };
        self.call(&request)
    }

    /// One's own snapshots in pages, at one moment; none where a page was refused or lost.
    fn list(&mut self, size: i32) -> Option<Vec<SnapshotId>> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let request = Request::DescribeSnapshots(request::DescribeSnapshots {
                owners: vec!["self".to_owned()],
                page: PageRequest {
                    max_results: Some(size),
                    next_token: token,
                },
                ..Default::default()
            });
            match self.account.call(&request) {
                Ok(Response::Snapshots(page)) => {
                    assert!(page.items.len() <= usize::try_from(size).unwrap());
                    all.extend(page.items.into_iter().map(|s| s.id));
                    token = page.next_token;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => return None,
            }
            if token.is_none() {
                return Some(all);
            }
        }
    }

    /// What EC2 itself never lets happen, looked at behind the calls.
    fn check(&self) -> Result<(), TestCaseError> {
        for image in self.account.images() {
            if image.state == ImageState::Deregistered {
                continue;
            }
            for snapshot in image.snapshots() {
                prop_assert!(
                    self.account.snapshot(snapshot).is_some(),
                    "{} maps {snapshot}, which is deleted",
                    image.id
                );
            }
        }
        Ok(())
    }
}

fn run(seed: u64, steps: &[Step]) -> (Vec<Option<Result<Response, CallFailure>>>, World) {
    let mut world = world(seed);
    let answers = steps.iter().map(|step| world.take(step)).collect();
    (answers, world)
}

proptest! {
    #[test]
    fn under_chaos_no_image_loses_a_snapshot_and_refused_calls_change_nothing(
        seed: u64,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = world(seed);
        let chaos = world.account.chaos().unwrap().to_string();
        for step in &steps {
            let before: (BTreeSet<_>, BTreeSet<_>) = (
                world.account.snapshots().map(|s| s.id.clone()).collect(),
                world.account.images().map(|i| i.id.clone()).collect(),
            );
            let answer = world.take(step);
            if let Some(Err(CallFailure::Refused(error))) = &answer {
                let after = (
                    world.account.snapshots().map(|s| s.id.clone()).collect(),
                    world.account.images().map(|i| i.id.clone()).collect(),
                );
                prop_assert!(before == after, "{chaos}: {step:?} was refused with {error}");
            }
            world.check()?;
        }
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_run(
        seed: u64,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let whole = |(answers, mut world): (_, World)| {
            (answers, world.account.drain_events(), world.account.calls().to_vec())
        };
        prop_assert_eq!(whole(run(seed, &steps)), whole(run(seed, &steps)));
    }

    #[test]
    fn pages_partition_what_one_list_shows_whatever_lags(
        seed: u64,
        steps in prop::collection::vec(step(), 0..60),
        size in 5_i32..9,
    ) {
        let (_, mut world) = run(seed, &steps);
        world.account.calm();
        let whole = world.list(1000).unwrap();
        let mut sorted = whole.clone();
        sorted.sort();
        sorted.dedup();
        prop_assert_eq!(&whole, &sorted);
        prop_assert_eq!(world.list(size).unwrap(), whole.clone());
        // Asking by identifier shows each of them, and so does a filter.
        for chunk in whole.chunks(100) {
            let ids: Vec<String> = chunk.iter().map(|id| id.as_str().to_owned()).collect();
            for (ids, filters) in [
                (ids.clone(), Vec::new()),
                (Vec::new(), vec![Filter::new("snapshot-id", ids)]),
            ] {
                let request = Request::DescribeSnapshots(request::DescribeSnapshots {
                    ids,
                    filters,
                    ..Default::default()
                });
                match world.account.call(&request).unwrap() {
                    Response::Snapshots(page) => prop_assert_eq!(page.items.len(), chunk.len()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn when_the_lags_are_over_lists_show_the_truth(
        seed: u64,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let (_, mut world) = run(seed, &steps);
        world.account.calm();
        world.account.advance_by(SignedDuration::from_mins(10));
        let truth: Vec<SnapshotId> = world.account.snapshots().map(|s| s.id.clone()).collect();
        prop_assert_eq!(world.list(7).unwrap(), truth);
        let tags: BTreeSet<String> = world
            .account
            .snapshots()
            .filter(|s| s.tags.contains_key("pin"))
            .map(|s| s.id.as_str().to_owned())
            .collect();
        let listed = match world.account.call(&Request::DescribeTags(Default::default())).unwrap() {
            Response::Tags(page) => page.items.into_iter().map(|t| t.resource).collect(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(tags, listed);
    }
}

/// An account of one snapshot in which every call of its kind meets one fault.
fn always(fault: impl FnOnce(&mut Chaos)) -> (Account, SnapshotId) {
    let mut account = Account::new(Settings::default());
    let id = account.seed_snapshot(SnapshotSeed::default());
    let mut chaos = Chaos::quiet(1);
    fault(&mut chaos);
    account.unleash(chaos);
    (account, id)
}

fn list() -> Request {
    Request::DescribeSnapshots(request::DescribeSnapshots::default())
}

fn listed(account: &mut Account) -> usize {
    match account.call(&list()).unwrap() {
        Response::Snapshots(page) => page.items.len(),
        other => panic!("{other:?}"),
    }
}

fn delete(id: &SnapshotId) -> Request {
    Request::DeleteSnapshot(request::DeleteSnapshot {
        id: id.as_str().to_owned(),
    })
}

#[test]
fn a_lost_response_was_carried_out_and_a_throttled_call_was_not() {
    let (mut account, id) = always(|chaos| chaos.response_lost = 1000);
    assert_eq!(account.call(&delete(&id)), Err(CallFailure::ResponseLost));
    assert!(account.snapshot(&id).is_none());
    let (mut account, id) = always(|chaos| chaos.throttled = 1000);
    assert!(account.call(&delete(&id)).is_err());
    assert!(account.snapshot(&id).is_some());
    let tally = account.call_tally()["DeleteSnapshot"];
    assert_eq!((tally.calls, tally.throttled, tally.refused), (1, 1, 0));
    account.calm();
    account.call(&delete(&id)).unwrap();
    let tally = account.call_tally()["DeleteSnapshot"];
    assert_eq!((tally.calls, tally.throttled), (2, 1));
}

#[test]
fn a_lagging_list_shows_the_account_as_it_was_and_the_next_one_as_it_is() {
    let (mut account, id) = always(|chaos| chaos.lagging_list = 1000);
    account.call(&delete(&id)).unwrap();
    assert_eq!(listed(&mut account), 1);
    let faults: Vec<_> = account.calls().iter().map(|c| c.chaos).collect();
    // What is no list does not lag.
    assert_eq!(faults, [None, Some(ChaosFault::LaggingList)]);
    account.calm();
    assert_eq!(listed(&mut account), 0);
}

#[test]
fn a_lagging_list_misses_what_was_made_since() {
    let (mut account, _) = always(|chaos| chaos.lagging_list = 1000);
    let volume = account.seed_volume(VolumeSeed::default());
    account
        .call(&Request::CreateSnapshot(request::CreateSnapshot {
            volume: volume.as_str().to_owned(),
            ..Default::default()
        }))
        .unwrap();
    assert_eq!(listed(&mut account), 1);
    let lag = account.chaos().unwrap().lag;
    account.advance_by(lag);
    assert_eq!(listed(&mut account), 2);
}

#[test]
fn an_empty_page_of_chaos_leads_on() {
    let (mut account, _) = always(|chaos| chaos.empty_page = 1000);
    let page = match account.call(&list()).unwrap() {
        Response::Snapshots(page) => page,
        other => panic!("{other:?}"),
    };
    assert_eq!(page.items, []);
    assert!(page.next_token.is_some());
}

#[test]
fn a_denial_is_over_after_its_calls() {
    let (mut account, _) = always(|chaos| {
        chaos.denied = 1000;
        chaos.outage = 3;
    });
    let refused = |account: &mut Account| match account.call(&list()) {
        Err(CallFailure::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut account), "UnauthorizedOperation");
    account.settings_mut().chaos = Some(Chaos::quiet(1));
    assert_eq!(refused(&mut account), "UnauthorizedOperation");
    assert_eq!(refused(&mut account), "UnauthorizedOperation");
    assert_eq!(listed(&mut account), 1);
}

#[test]
fn within_a_deregistration_chaos_makes_return_codes_of_its_faults() {
    let code = |fault: fn(&mut Chaos)| {
        let (mut account, id) = always(|_| {});
        let image = account.seed_image(ImageSeed {
            mappings: vec![BlockDevice::from_snapshot("/dev/xvda", id.clone())],
            ..Default::default()
        });
        // From the second call on: the deregistration itself goes through.
        let deregister = Request::DeregisterImage(request::DeregisterImage {
            id: image.as_str().to_owned(),
            delete_associated_snapshots: true,
        });
        let mut chaos = Chaos::quiet(0);
        fault(&mut chaos);
        // A seed whose first draw spares the call and whose second does not.
        let seed = (0..1000)
            .find(|&seed| {
                let mut probe = account.clone();
                probe.unleash(Chaos {
                    seed,
                    ..chaos.clone()
                });
                let answer = probe.call(&deregister);
                matches!(answer, Ok(Response::Deregistered(d)) if d[0].return_code != "success")
            })
            .unwrap();
        account.unleash(Chaos { seed, ..chaos });
        match account.call(&deregister).unwrap() {
            Response::Deregistered(deleted) => {
                assert!(account.snapshot(&id).is_some());
                assert_eq!(
                    account.calls().last().unwrap().outcome,
                    CallOutcome::Answered
                );
                deleted[0].return_code
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code(|chaos| chaos.server_error = 500), "internal-error");
    assert_eq!(code(|chaos| chaos.denied = 500), "missing-permissions");
}
