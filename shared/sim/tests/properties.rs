//! Properties over many accounts: paging, references, determinism.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use holdfast_core::id::SnapshotId;
use holdfast_core::ports::{ErrorClass, ImageScope, ReadEc2, SnapshotScope, WriteEc2};
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{
    Account, ApiError, BlockDevice, Fault, FaultRule, Filter, ImageSeed, InProcess, Response,
    Settings, SnapshotSeed, VolumeSeed,
};
use jiff::SignedDuration;
use proptest::prelude::*;

/// The value of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an in-process call waited"),
    }
}

fn seeded(seed: u64, snapshots: usize) -> Account {
    let mut account = Account::new(Settings {
        seed,
        ..Settings::default()
    });
    for n in 0..snapshots {
        account.seed_snapshot(SnapshotSeed {
            tags: BTreeMap::from([("parity".to_owned(), (n % 2).to_string())]),
            ..Default::default()
        });
    }
    account
}

fn page(
    account: &mut Account,
    filters: &[Filter],
    page: PageRequest,
) -> (Vec<SnapshotId>, Option<String>) {
    let request = Request::DescribeSnapshots(request::DescribeSnapshots {
        owners: vec!["self".into()],
        filters: filters.to_vec(),
        page,
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::Snapshots(page) => (
            page.items.into_iter().map(|s| s.id).collect(),
            page.next_token,
        ),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn pages_partition_the_list_for_any_page_size(
        count in 0_usize..60,
        size in 5_i32..20,
        filtered: bool,
        empty_pages in 0_u32..3,
    ) {
        let mut account = seeded(7, count);
        let filters = if filtered { vec![Filter::new("tag:parity", ["1"])] } else { Vec::new() };
        let (whole, none) = page(&mut account, &filters, PageRequest::default());
        prop_assert_eq!(none, None);
        prop_assert_eq!(whole.len(), if filtered { count / 2 } else { count });
        account.inject(FaultRule::next("DescribeSnapshots", Fault::EmptyPage).times(empty_pages).after(1));
        let (mut paged, mut token) = (Vec::new(), None);
        loop {
            let (items, next) = page(&mut account, &filters, PageRequest { max_results: Some(size), next_token: token });
            prop_assert!(items.len() <= usize::try_from(size).unwrap());
            paged.extend(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        prop_assert_eq!(paged, whole);
    }

    #[test]
    fn no_snapshot_is_ever_deleted_while_an_image_maps_it(
        maps in prop::collection::vec(prop::collection::btree_set(0_usize..6, 1..4), 0..5),
        steps in prop::collection::vec((any::<bool>(), 0_usize..6), 0..30),
    ) {
        let mut account = seeded(3, 0);
        let snapshots: Vec<SnapshotId> = (0..6).map(|_| account.seed_snapshot(SnapshotSeed::default())).collect();
        let mut images: Vec<_> = maps.iter().map(|uses| {
            let mappings = uses.iter().map(|&n| BlockDevice::from_snapshot(format!("/dev/sd{n}"), snapshots[n].clone())).collect();
            Some(account.seed_image(ImageSeed { mappings, ..Default::default() }))
        }).collect();
        for (deregister, n) in steps {
            if deregister {
                if let Some(image) = images.get_mut(n).and_then(Option::take) {
                    account.call(&Request::DeregisterImage(request::DeregisterImage {
                        id: image.as_str().to_owned(), delete_associated_snapshots: n % 2 == 0,
                    })).unwrap();
                }
            } else {
                let _ = account.call(&Request::DeleteSnapshot(request::DeleteSnapshot { id: snapshots[n].as_str().to_owned() }));
            }
            // Independently of the account's index: every registered image still has its snapshots.
            for (uses, image) in maps.iter().zip(&images) {
                if image.is_some() {
                    prop_assert!(uses.iter().all(|&n| account.snapshot(&snapshots[n]).is_some()));
                }
            }
        }
        let held: BTreeSet<usize> = maps.iter().zip(&images).filter(|(_, i)| i.is_some()).flat_map(|(m, _)| m.clone()).collect();
        for (n, id) in snapshots.iter().enumerate() {
            let request = Request::DeleteSnapshot(request::DeleteSnapshot { id: id.as_str().to_owned() });
            let _ = account.call(&request);
            prop_assert_eq!(account.snapshot(id).is_some(), held.contains(&n));
        }
    }

    #[test]
    fn the_same_seed_and_calls_give_the_same_answers_and_events(
        seed: u64,
        waits in prop::collection::vec(0_i64..120, 1..12),
    ) {
        let run = || {
            let mut account = Account::new(Settings { seed, ..Settings::default() });
            let volume = account.seed_volume(VolumeSeed::default());
            let answers: Vec<_> = waits.iter().map(|&wait| {
                account.advance_by(SignedDuration::from_secs(wait));
                account.call(&Request::CreateSnapshot(request::CreateSnapshot {
                    volume: volume.as_str().to_owned(), ..Default::default()
                }))
            }).collect();
            (answers, account.drain_events(), account.calls().to_vec())
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn a_list_that_fails_at_a_page_keeps_what_it_read_and_says_so() {
    let mut account = seeded(1, 25);
    account.inject(FaultRule::next(
        "DescribeSnapshots",
        Fault::FailPage(3, ApiError::internal()),
    ));
    let ports = InProcess::new(account.shared()).with_page_size(10);
    let broken = ready(ports.snapshots(&SnapshotScope::All));
    assert_eq!((broken.items.len(), broken.pages), (20, 2));
    assert_eq!(broken.error.unwrap().class, ErrorClass::UnknownOutcome);
    let whole = ready(ports.snapshots(&SnapshotScope::All));
    assert_eq!((whole.items.len(), whole.pages), (25, 3));
    assert!(whole.is_complete());
}

#[test]
fn the_ports_find_images_by_snapshot_and_classify_refusals() {
    let mut account = seeded(1, 0);
    let ids: Vec<SnapshotId> = (0..450)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    // One image over snapshots of two chunks of 200, found once.
    let image = account.seed_image(ImageSeed {
        mappings: vec![
            BlockDevice::from_snapshot("/dev/xvda", ids[0].clone()),
            BlockDevice::from_snapshot("/dev/xvdb", ids[440].clone()),
        ],
        state: Some(holdfast_core::inventory::ImageState::Disabled),
        ..Default::default()
    });
    let ports = InProcess::new(account.shared());
    let found = ready(ports.images(&ImageScope::MappingAny(ids.clone())));
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].id, image);
    assert!(found.is_complete());
    let listed = ready(ports.snapshots(&SnapshotScope::Ids(ids.clone())));
    assert_eq!(listed.items.len(), 450);
    let refused = ready(ports.delete_snapshot(&ids[0])).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InUse);
    ready(ports.delete_snapshot(&ids[1])).unwrap();
    let gone = ready(ports.delete_snapshot(&ids[1])).unwrap_err();
    assert_eq!(gone.class, ErrorClass::NotFound);
}

#[test]
fn a_hundred_thousand_snapshots_are_paged_without_copying_them_all() {
    let mut account = seeded(1, 100_000);
    let started = std::time::Instant::now();
    let (mut seen, mut pages, mut token) = (0, 0, None);
    loop {
        let request = PageRequest {
            max_results: Some(1000),
            next_token: token,
        };
        let (items, next) = page(&mut account, &[], request);
        seen += items.len();
        pages += 1;
        token = next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (100_000, 100));
    // A page that walked or copied the whole list would take some 100 times as long as this
    // generous bound allows for, unoptimized and on a busy machine.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
