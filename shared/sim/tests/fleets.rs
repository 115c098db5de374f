//! Fleets and Spot requests that name images, launch templates and snapshots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;

use calls::{account, code};
use holdfast_core::id::SnapshotId;
use holdfast_sim::request::{self, LaunchTemplateReference, PageRequest, Request};
use holdfast_sim::{
    Account, BlockDevice, CallFailure, Filter, FleetSeed, LaunchOverride, Page, Response,
    SpotFleetSeed, SpotRequestSeed, TemplateChoice, TemplateData,
};

fn choice(template: &str, image: Option<&str>) -> TemplateChoice {
    TemplateChoice {
        template: LaunchTemplateReference {
            name: Some(template.to_owned()),
            version: Some("3".to_owned()),
            ..Default::default()
        },
        overrides: vec![LaunchOverride {
            image: image.map(str::to_owned),
            ..Default::default()
        }],
    }
}

fn fleets(
    account: &mut Account,
    ids: &[&str],
    filters: Vec<Filter>,
) -> Result<Vec<String>, CallFailure> {
    let request = Request::DescribeFleets(request::DescribeFleets {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        filters,
        ..Default::default()
    });
    account.call(&request).map(|answer| match answer {
        Response::Fleets(page) => page.items.into_iter().map(|f| f.id).collect(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn an_instant_fleet_shows_only_where_it_is_named() {
    let mut account = account();
    let lasting = account.seed_fleet(FleetSeed {
        choices: vec![choice("web", Some("ami-1"))],
        ..Default::default()
    });
    let instant = account.seed_fleet(FleetSeed {
        kind: Some("instant".to_owned()),
        state: Some("deleted_running".to_owned()),
        ..Default::default()
    });
    assert_eq!(
        fleets(&mut account, &[], Vec::new()).unwrap(),
        std::slice::from_ref(&lasting)
    );
    assert_eq!(
        fleets(&mut account, &[&instant], Vec::new()).unwrap(),
        std::slice::from_ref(&instant)
    );
    let state = vec![Filter::new("fleet-state", ["deleted-running"])];
    assert_eq!(
        fleets(&mut account, &[&instant, &lasting], state).unwrap(),
        [instant]
    );
    let unknown = fleets(&mut account, &["fleet-0"], Vec::new());
    assert_eq!(
        code(unknown.map(|_| Response::Done)),
        "InvalidFleetId.NotFound"
    );
}

#[test]
fn a_spot_fleet_keeps_its_specifications_and_its_templates() {
    let mut account = account();
    let specification = TemplateData {
        image: Some("ami-1".to_owned()),
        mappings: vec![BlockDevice::from_snapshot(
            "/dev/sdf",
            SnapshotId::new("snap-1"),
        )],
        ..Default::default()
    };
    let id = account.seed_spot_fleet(SpotFleetSeed {
        specifications: vec![specification.clone()],
        choices: vec![choice("web", None)],
        ..Default::default()
    });
    assert!(id.starts_with("sfr-"));
    let request = |ids: Vec<String>| {
        Request::DescribeSpotFleetRequests(request::DescribeSpotFleetRequests {
            ids,
            ..Default::default()
        })
    };
    match account.call(&request(vec![id])).unwrap() {
        Response::SpotFleets(page) => {
            assert_eq!(page.items[0].specifications, [specification]);
            assert_eq!(page.items[0].choices, [choice("web", None)]);
            assert_eq!(page.items[0].state, "active");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        code(account.call(&request(vec!["sfr-0".to_owned()]))),
        "InvalidSpotFleetRequestId.NotFound"
    );
}

fn spot_requests(
    account: &mut Account,
    filters: Vec<Filter>,
    page: PageRequest,
) -> Result<Page<String>, CallFailure> {
    let request = Request::DescribeSpotInstanceRequests(request::DescribeSpotInstanceRequests {
        filters,
        page,
        ..Default::default()
    });
    account.call(&request).map(|answer| match answer {
        Response::SpotRequests(page) => Page {
            items: page.items.into_iter().map(|s| s.id).collect(),
            next_token: page.next_token,
        },
        other => panic!("{other:?}"),
    })
}

#[test]
fn spot_requests_are_filtered_by_what_they_launch_and_paged() {
    let mut account = account();
    let mut ids: Vec<String> = (0..6)
        .map(|n| {
            account.seed_spot_request(SpotRequestSeed {
                specification: TemplateData {
                    image: Some(format!("ami-{n}")),
                    mappings: vec![BlockDevice::from_snapshot(
                        "/dev/sdf",
                        SnapshotId::new(format!("snap-{n}")),
                    )],
                    ..Default::default()
                },
                ..Default::default()
            })
        })
        .collect();
    for (name, value) in [
        ("launch.image-id", "ami-4"),
        ("launch.block-device-mapping.snapshot-id", "snap-4"),
    ] {
        let filters = vec![Filter::new(name, [value])];
        let found = spot_requests(&mut account, filters, PageRequest::default()).unwrap();
        assert_eq!(found.items, std::slice::from_ref(&ids[4]));
    }
    ids.sort();
    let page = |next_token| PageRequest {
        max_results: Some(5),
        next_token,
    };
    let first = spot_requests(&mut account, Vec::new(), page(None)).unwrap();
    let second = spot_requests(&mut account, Vec::new(), page(first.next_token)).unwrap();
    assert_eq!([first.items, second.items].concat(), ids);
    assert_eq!(second.next_token, None);
    let small = PageRequest {
        max_results: Some(4),
        next_token: None,
    };
    let refused = spot_requests(&mut account, Vec::new(), small);
    assert_eq!(
        code(refused.map(|_| Response::Done)),
        "InvalidParameterValue"
    );
}
