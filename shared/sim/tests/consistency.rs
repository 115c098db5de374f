//! Eventual consistency: what reads miss, and what they still show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use std::collections::BTreeMap;

use calls::{account, code, delete, deregister, imaged};
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::ImageState;
use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{
    Account, Filter, Grantee, LaunchTemplateVersion, Response, Retained, RetentionRule,
    SnapshotSeed, TemplateData, VolumeSeed,
};
use jiff::SignedDuration;

const LAG: SignedDuration = SignedDuration::from_mins(5);

fn images(account: &mut Account, filters: Vec<Filter>) -> Vec<(ImageId, ImageState)> {
    let request = Request::DescribeImages(request::DescribeImages {
        owners: vec!["self".to_owned()],
        include_disabled: true,
        filters,
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::Images(page) => page.items.into_iter().map(|i| (i.id, i.state)).collect(),
        other => panic!("{other:?}"),
    }
}

fn snapshots(account: &mut Account, size: i32) -> Vec<SnapshotId> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let request = Request::DescribeSnapshots(request::DescribeSnapshots {
            owners: vec!["self".to_owned()],
            page: PageRequest {
                max_results: Some(size),
                next_token: token.take(),
            },
            ..Default::default()
        });
        match account.call(&request).unwrap() {
            Response::Snapshots(page) => {
                all.extend(page.items.into_iter().map(|s| s.id));
                token = page.next_token;
            }
            other => panic!("{other:?}"),
        }
        if token.is_none() {
            return all;
        }
    }
}

fn versions(account: &mut Account, id: &str) -> Vec<LaunchTemplateVersion> {
    let request =
        Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
            id: Some(id.to_owned()),
            ..Default::default()
        });
    match account.call(&request).unwrap() {
        Response::LaunchTemplateVersions(page) => page.items,
        other => panic!("{other:?}"),
    }
}

fn template(account: &mut Account) -> String {
    let request = Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
        name: "web".to_owned(),
        data: TemplateData::default(),
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::LaunchTemplate(t) => t.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn tag(account: &mut Account, id: &str, value: &str) {
    let request = Request::CreateTags(request::CreateTags {
        resources: vec![id.to_owned()],
        tags: vec![("keep".to_owned(), value.to_owned())],
    });
    account.call(&request).unwrap();
}

fn described_tags(account: &mut Account) -> Vec<String> {
    let request = Request::DescribeTags(request::DescribeTags::default());
    match account.call(&request).unwrap() {
        Response::Tags(page) => page.items.into_iter().map(|t| t.value).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deleted_snapshot_is_listed_for_a_while_and_deleting_it_again_meets_the_truth() {
    let mut account = account();
    account.settings_mut().deleted_visible = LAG;
    let mut ids: Vec<SnapshotId> = (0..12)
        .map(|_| account.seed_snapshot(SnapshotSeed::default()))
        .collect();
    ids.sort();
    for gone in [0, 5, 11] {
        delete(&mut account, &ids[gone]).unwrap();
    }
    // In its old place, whatever the page.
    assert_eq!(snapshots(&mut account, 5), ids);
    assert_eq!(
        code(delete(&mut account, &ids[5])),
        "InvalidSnapshot.NotFound"
    );
    let named = Request::DescribeSnapshots(request::DescribeSnapshots {
        ids: vec![ids[5].as_str().to_owned()],
        ..Default::default()
    });
    assert!(account.call(&named).is_ok());
    account.advance_by(LAG);
    assert_eq!(snapshots(&mut account, 5).len(), 9);
    assert_eq!(code(account.call(&named)), "InvalidSnapshot.NotFound");
}

#[test]
fn a_deregistered_image_is_shown_available_then_deregistered_then_not_at_all() {
    let mut account = account();
    account.settings_mut().deleted_visible = LAG;
    account.settings_mut().deregistered_visible = LAG + LAG;
    let (image, snapshot) = imaged(&mut account);
    deregister(&mut account, &image, true);
    // The filter that a sweep asks by shows it as well.
    let maps = vec![Filter::new(
        "block-device-mapping.snapshot-id",
        [snapshot.as_str()],
    )];
    assert_eq!(
        images(&mut account, maps),
        [(image.clone(), ImageState::Available)]
    );
    let again = Request::DeregisterImage(request::DeregisterImage {
        id: image.as_str().to_owned(),
        delete_associated_snapshots: false,
    });
    assert_eq!(code(account.call(&again)), "InvalidAMIID.Unavailable");
    account.advance_by(LAG);
    assert_eq!(
        images(&mut account, Vec::new()),
        [(image, ImageState::Deregistered)]
    );
    account.advance_by(LAG);
    assert_eq!(images(&mut account, Vec::new()), []);
}

#[test]
fn volumes_templates_and_groups_that_are_gone_are_listed_for_a_while() {
    let mut account = account();
    account.settings_mut().deleted_visible = LAG;
    let volume = account.seed_volume(VolumeSeed::default());
    let id = template(&mut account);
    account.seed_launch_configuration("old", "ami-1", Vec::new());
    let listed = |account: &mut Account| {
        let count = |response| match response {
            Response::Volumes(page) => page.items.len(),
            Response::LaunchTemplates(page) => page.items.len(),
            Response::LaunchConfigurations(page) => page.items.len(),
            other => panic!("{other:?}"),
        };
        [
            Request::DescribeVolumes(Default::default()),
            Request::DescribeLaunchTemplates(Default::default()),
            Request::DescribeLaunchConfigurations(Default::default()),
        ]
        .map(|request| count(account.call(&request).unwrap()))
    };
    account
        .call(&Request::DeleteVolume(request::DeleteVolume {
            volume: volume.as_str().to_owned(),
        }))
        .unwrap();
    account
        .call(&Request::DeleteLaunchTemplate(
            request::DeleteLaunchTemplate {
                id: Some(id.clone()),
                name: None,
            },
        ))
        .unwrap();
    assert!(account.remove_launch_configuration("old"));
    assert!(account.volume(&volume).is_none());
    assert_eq!(listed(&mut account), [1, 1, 1]);
    assert_eq!(versions(&mut account, &id).len(), 1);
    account.advance_by(LAG);
    assert_eq!(listed(&mut account), [0, 0, 0]);
}

#[test]
fn a_list_misses_a_new_version_of_a_template_as_it_misses_a_new_template() {
    let mut account = account();
    let id = template(&mut account);
    account.settings_mut().list_lag = LAG;
    let version = Request::CreateLaunchTemplateVersion(request::CreateLaunchTemplateVersion {
        id: Some(id.clone()),
        data: TemplateData {
            image: Some("ami-1".to_owned()),
            ..Default::default()
        },
        ..Default::default()
    });
    account.call(&version).unwrap();
    assert_eq!(versions(&mut account, &id).len(), 1);
    let references = Request::DescribeImageReferences(request::DescribeImageReferences {
        ids: vec!["ami-1".to_owned()],
        include_all: true,
        ..Default::default()
    });
    let count = |account: &mut Account| match account.call(&references).unwrap() {
        Response::ImageReferences(page) => page.items.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&mut account), 0);
    account.advance_by(LAG);
    assert_eq!(versions(&mut account, &id).len(), 2);
    assert_eq!(count(&mut account), 1);
}

#[test]
fn a_new_template_is_not_found_by_its_identifier_while_lists_lag() {
    let mut account = account();
    account.settings_mut().list_lag = LAG;
    let id = template(&mut account);
    let read = Request::DescribeLaunchTemplateVersions(request::DescribeLaunchTemplateVersions {
        id: Some(id.clone()),
        ..Default::default()
    });
    assert_eq!(
        code(account.call(&read)),
        "InvalidLaunchTemplateId.NotFound"
    );
    account.advance_by(LAG);
    assert_eq!(versions(&mut account, &id).len(), 1);
}

#[test]
fn tags_are_read_as_they_were_until_the_lag_is_over() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed {
        tags: BTreeMap::from([("keep".to_owned(), "old".to_owned())]),
        ..Default::default()
    });
    account.settings_mut().attribute_lag = LAG;
    tag(&mut account, snapshot.as_str(), "new");
    assert_eq!(described_tags(&mut account), ["old"]);
    let tagged = |account: &mut Account, value: &str| {
        let request = Request::DescribeSnapshots(request::DescribeSnapshots {
            filters: vec![Filter::new("tag:keep", [value])],
            ..Default::default()
        });
        match account.call(&request).unwrap() {
            Response::Snapshots(page) => page.items.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tagged(&mut account, "old"), 1);
    assert_eq!(tagged(&mut account, "new"), 0);
    account.advance_by(LAG);
    assert_eq!(described_tags(&mut account), ["new"]);
    assert_eq!(tagged(&mut account, "new"), 1);
}

#[test]
fn shares_are_read_as_they_were_until_the_lag_is_over() {
    let mut account = account();
    let (image, snapshot) = imaged(&mut account);
    account.settings_mut().attribute_lag = LAG;
    let other = || vec![Grantee::Account("444455556666".to_owned())];
    account
        .call(&Request::ModifySnapshotAttribute(
            request::ModifySnapshotAttribute {
                id: snapshot.as_str().to_owned(),
                add: other(),
                ..Default::default()
            },
        ))
        .unwrap();
    account
        .call(&Request::ModifyImageAttribute(
            request::ModifyImageAttribute {
                id: image.as_str().to_owned(),
                add: other(),
                ..Default::default()
            },
        ))
        .unwrap();
    let shares = |account: &mut Account| {
        let snapshot = Request::DescribeSnapshotAttribute(request::DescribeSnapshotAttribute {
            id: snapshot.as_str().to_owned(),
            attribute: "createVolumePermission".to_owned(),
        });
        let of_snapshot = match account.call(&snapshot).unwrap() {
            Response::SnapshotPermissions(_, all) => all,
            other => panic!("{other:?}"),
        };
        let image = Request::DescribeImageAttribute(request::DescribeImageAttribute {
            id: image.as_str().to_owned(),
            attribute: "launchPermission".to_owned(),
        });
        let of_image = match account.call(&image).unwrap() {
            Response::ImageAttribute(_, holdfast_sim::ImageAttribute::LaunchPermission(all)) => all,
            other => panic!("{other:?}"),
        };
        (of_snapshot, of_image)
    };
    assert_eq!(shares(&mut account), (Vec::new(), Vec::new()));
    account.advance_by(LAG);
    assert_eq!(shares(&mut account), (other(), other()));
}

#[test]
fn what_enters_the_recycle_bin_is_listed_there_late() {
    let mut account = account();
    account.settings_mut().recycle_bin = vec![RetentionRule::for_region(Retained::Snapshots, 7)];
    account.settings_mut().list_lag = LAG;
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    delete(&mut account, &snapshot).unwrap();
    let binned = |account: &mut Account| {
        let request = Request::ListSnapshotsInRecycleBin(Default::default());
        match account.call(&request).unwrap() {
            Response::BinnedSnapshots(page) => page.items.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(binned(&mut account), 0);
    assert_eq!(snapshots(&mut account, 5), []);
    account.advance_by(LAG);
    assert_eq!(binned(&mut account), 1);
}

#[test]
fn a_share_of_the_resources_lags_and_always_the_same_ones() {
    let lagging = |seed: u64| {
        let mut account = Account::new(holdfast_sim::Settings {
            seed,
            deleted_visible: LAG,
            lagging_share: 20,
            ..Default::default()
        });
        let ids: Vec<SnapshotId> = (0..1000)
            .map(|n| {
                account.seed_snapshot(SnapshotSeed {
                    id: Some(SnapshotId::new(format!("snap-{n:04x}"))),
                    ..Default::default()
                })
            })
            .collect();
        for id in &ids {
            delete(&mut account, id).unwrap();
        }
        snapshots(&mut account, 1000)
    };
    // Six standard deviations: 200 ± 76.
    let some = lagging(1);
    assert!((124..276).contains(&some.len()), "{}", some.len());
    assert_eq!(some, lagging(1));
    assert_ne!(some, lagging(2));
}
