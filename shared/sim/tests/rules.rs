//! EC2's documented rules, call by call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_core::inventory::{ImageState, InstanceState, SnapshotState, Tags, VolumeState};
use holdfast_sim::request::{self, Request, TagSpecification};
use holdfast_sim::{
    Account, ApiError, BlockDevice, CallFailure, CallOutcome, Fault, FaultRule, Filter, ImageSeed,
    InstanceSeed, Response, Settings, SnapshotSeed, VolumeSeed,
};
use jiff::SignedDuration;

fn account() -> Account {
    Account::new(Settings::default())
}

/// An instance with a root volume and `data` data volumes.
fn server(account: &mut Account, data: usize) -> (String, Vec<VolumeId>) {
    let volumes: Vec<VolumeId> = (0..=data)
        .map(|_| account.seed_volume(VolumeSeed::default()))
        .collect();
    let devices = volumes
        .iter()
        .enumerate()
        .map(|(n, v)| {
            let letter = char::from(b'a' + u8::try_from(n).unwrap());
            (format!("/dev/xvd{letter}"), v.clone())
        })
        .collect();
    let id = account.seed_instance(InstanceSeed {
        devices,
        ..Default::default()
    });
    (id.as_str().to_owned(), volumes)
}

fn code(result: Result<Response, CallFailure>) -> String {
    match result {
        Err(CallFailure::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}

fn set_of(instance: &str) -> request::CreateSnapshots {
    request::CreateSnapshots {
        instance: instance.to_owned(),
        ..Default::default()
    }
}

fn take_set(account: &mut Account, r: request::CreateSnapshots) -> Vec<holdfast_sim::Snapshot> {
    match account.call(&Request::CreateSnapshots(r)).unwrap() {
        Response::SnapshotSet(set) => set,
        other => panic!("{other:?}"),
    }
}

fn take_one(account: &mut Account, volume: &VolumeId) -> Result<Response, CallFailure> {
    account.call(&Request::CreateSnapshot(request::CreateSnapshot {
        volume: volume.as_str().to_owned(),
        ..Default::default()
    }))
}

fn delete(account: &mut Account, id: &SnapshotId) -> Result<Response, CallFailure> {
    account.call(&Request::DeleteSnapshot(request::DeleteSnapshot {
        id: id.as_str().to_owned(),
    }))
}

fn register(account: &mut Account, name: &str, snapshot: &SnapshotId) -> String {
    let request = Request::RegisterImage(request::RegisterImage {
        name: name.to_owned(),
        root_device: Some("/dev/xvda".to_owned()),
        mappings: vec![BlockDevice::from_snapshot("/dev/xvda", snapshot.clone())],
        ..Default::default()
    });
    match account.call(&request).unwrap() {
        Response::ImageMade(id) => id.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn details(account: &mut Account, detail_type: &str) -> Vec<serde_json::Value> {
    account
        .drain_events()
        .into_iter()
        .filter(|e| e["detail-type"] == detail_type)
        .collect()
}

#[test]
fn a_set_is_one_point_in_time_of_all_volumes_and_completes_member_by_member() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 2);
    let set = take_set(&mut account, set_of(&instance));
    let of: Vec<_> = set.iter().map(|s| s.volume.clone()).collect();
    assert_eq!(of, volumes);
    assert!(set.iter().all(|s| s.started == set[0].started));
    assert!(set.iter().all(|s| s.state == SnapshotState::Pending));
    account.advance_by(SignedDuration::from_secs(60));
    let done = |account: &Account| {
        account
            .snapshots()
            .filter(|s| s.state == SnapshotState::Completed)
            .count()
    };
    assert_eq!(done(&account), 1);
    account.advance_by(SignedDuration::from_secs(2));
    assert_eq!(done(&account), 3);
    let events = account.drain_events();
    let last = events.last().unwrap();
    assert_eq!(
        last["detail-type"],
        "EBS Multi-Volume Snapshots Completion Status"
    );
    assert_eq!(last["detail"]["result"], "succeeded");
    let arn = format!("arn:aws:ec2::eu-central-1:snapshot/{}", set[0].id);
    assert_eq!(last["resources"][0], arn);
    assert_eq!(
        last["detail"]["snapshots"][0]["source"],
        format!("arn:aws:ec2::eu-central-1:volume/{}", volumes[0])
    );
}

#[test]
fn when_one_member_fails_the_whole_set_is_in_error() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 2);
    account.fail_next_snapshot(Some(volumes[1].clone()), "Given key ID is not accessible");
    take_set(&mut account, set_of(&instance));
    account.advance_by(SignedDuration::from_mins(5));
    assert!(account.snapshots().all(|s| s.state == SnapshotState::Error));
    let events = details(&mut account, "EBS Multi-Volume Snapshots Completion Status");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["detail"]["result"], "failed");
}

#[test]
fn exclusions_name_attached_data_volumes_only_and_at_most_forty() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 2);
    let excluding = |ids: Vec<String>| {
        Request::CreateSnapshots(request::CreateSnapshots {
            exclude_data_volumes: ids,
            ..set_of(&instance)
        })
    };
    let stranger = account.seed_volume(VolumeSeed::default());
    for ids in [
        vec![volumes[0].as_str().to_owned()],
        vec![stranger.as_str().to_owned()],
        vec![volumes[1].as_str().to_owned(); 41],
    ] {
        assert_eq!(code(account.call(&excluding(ids))), "InvalidParameterValue");
    }
    assert_eq!(account.snapshots().count(), 0);
    let set = take_set(
        &mut account,
        request::CreateSnapshots {
            exclude_boot_volume: true,
            exclude_data_volumes: vec![volumes[1].as_str().to_owned()],
            ..set_of(&instance)
        },
    );
    assert_eq!(set.len(), 1);
    assert_eq!(set[0].volume, volumes[2]);
}

#[test]
fn a_volume_in_error_refuses_the_set_and_nothing_is_made() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 1);
    account.set_volume_state(&volumes[1], VolumeState::Error);
    let refused = account.call(&Request::CreateSnapshots(set_of(&instance)));
    assert_eq!(code(refused), "IncorrectState");
    assert_eq!(account.snapshots().count(), 0);
    assert!(take_one(&mut account, &volumes[0]).is_ok());
}

#[test]
fn copied_tags_come_from_each_volume_without_aws_ones_and_a_clash_or_overflow_refuses_all() {
    let mut account = account();
    let tag = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let mut volumes = Vec::new();
    for name in ["root", "data"] {
        volumes.push(account.seed_volume(VolumeSeed {
            tags: Tags::from([tag("Name", name), tag("aws:cloudformation:stack", "s")]),
            ..Default::default()
        }));
    }
    let instance = account.seed_instance(InstanceSeed {
        devices: vec![
            ("/dev/xvda".into(), volumes[0].clone()),
            ("/dev/xvdb".into(), volumes[1].clone()),
        ],
        ..Default::default()
    });
    let with = |tags: Vec<(String, String)>| request::CreateSnapshots {
        copy_tags_from_source: Some("volume".into()),
        tags: vec![TagSpecification::new("snapshot", tags)],
        ..set_of(instance.as_str())
    };
    let many: Vec<_> = (0..50).map(|n| tag(&format!("k{n}"), "")).collect();
    let over = account.call(&Request::CreateSnapshots(with(many)));
    assert_eq!(code(over), "TagLimitExceeded");
    let clash = account.call(&Request::CreateSnapshots(with(vec![tag("Name", "x")])));
    assert_eq!(code(clash), "InvalidParameterValue");
    let reserved = account.call(&Request::CreateSnapshots(with(vec![tag("aws:x", "x")])));
    assert_eq!(code(reserved), "InvalidParameterValue");
    assert_eq!(account.snapshots().count(), 0);
    let set = take_set(&mut account, with(vec![tag("holdfast:managed", "true")]));
    let names: Vec<_> = set.iter().map(|s| s.tags["Name"].as_str()).collect();
    assert_eq!(names, ["root", "data"]);
    assert!(set.iter().all(|s| s.tags.len() == 2));
}

#[test]
fn snapshots_of_one_volume_keep_fifteen_seconds_and_five_pending() {
    let mut account = account();
    account.settings_mut().snapshot_duration = SignedDuration::from_hours(1);
    let volume = account.seed_volume(VolumeSeed::default());
    take_one(&mut account, &volume).unwrap();
    account.advance_by(SignedDuration::from_secs(14));
    assert_eq!(
        code(take_one(&mut account, &volume)),
        "SnapshotCreationPerVolumeRateExceeded"
    );
    for _ in 0..4 {
        account.advance_by(SignedDuration::from_secs(15));
        take_one(&mut account, &volume).unwrap();
    }
    account.advance_by(SignedDuration::from_secs(15));
    assert_eq!(
        code(take_one(&mut account, &volume)),
        "ConcurrentSnapshotLimitExceeded"
    );
    account.advance_by(SignedDuration::from_hours(1));
    take_one(&mut account, &volume).unwrap();

    let cold = account.seed_volume(VolumeSeed {
        volume_type: "st1".into(),
        ..Default::default()
    });
    take_one(&mut account, &cold).unwrap();
    account.advance_by(SignedDuration::from_secs(15));
    assert_eq!(
        code(take_one(&mut account, &cold)),
        "ConcurrentSnapshotLimitExceeded"
    );
}

#[test]
fn a_snapshot_is_not_deleted_while_any_registered_image_maps_it() {
    let mut account = account();
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let first = register(&mut account, "one", &snapshot);
    let second = register(&mut account, "two", &snapshot);
    assert_eq!(
        code(delete(&mut account, &snapshot)),
        "InvalidSnapshot.InUse"
    );
    let disable = Request::DisableImage(request::DisableImage { id: second.clone() });
    account.call(&disable).unwrap();
    let deregister = |id: &str, delete_associated_snapshots| {
        Request::DeregisterImage(request::DeregisterImage {
            id: id.to_owned(),
            delete_associated_snapshots,
        })
    };
    // The other image, disabled as it is, still holds the snapshot.
    match account.call(&deregister(&first, true)).unwrap() {
        Response::Deregistered(codes) => assert_eq!(codes[0].return_code, "skipped"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        code(delete(&mut account, &snapshot)),
        "InvalidSnapshot.InUse"
    );
    account.call(&deregister(&second, false)).unwrap();
    delete(&mut account, &snapshot).unwrap();
    assert_eq!(
        code(delete(&mut account, &snapshot)),
        "InvalidSnapshot.NotFound"
    );
    assert_eq!(
        code(account.call(&deregister(&second, false))),
        "InvalidAMIID.Unavailable"
    );
    let calls = details(&mut account, "AWS API Call via CloudTrail");
    let done = calls.iter().filter(|c| c["detail"]["errorCode"].is_null());
    let names: Vec<_> = done.map(|c| &c["detail"]["eventName"]).collect();
    assert_eq!(
        names,
        ["DeregisterImage", "DeregisterImage", "DeleteSnapshot"]
    );
}

#[test]
fn deleting_a_pending_snapshot_takes_effect_when_it_has_settled() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    let made = match take_one(&mut account, &volume).unwrap() {
        Response::Snapshot(s) => *s,
        other => panic!("{other:?}"),
    };
    delete(&mut account, &made.id).unwrap();
    assert!(account.snapshot(&made.id).is_some());
    account.advance_by(SignedDuration::from_mins(2));
    assert!(account.snapshot(&made.id).is_none());
}

#[test]
fn foreign_snapshots_show_only_without_an_owner_and_are_not_ours_to_delete() {
    let mut account = account();
    let own = account.seed_snapshot(SnapshotSeed::default());
    let public = account.seed_snapshot(SnapshotSeed {
        owner: Some("999999999999".into()),
        public: true,
        ..Default::default()
    });
    let hidden = account.seed_snapshot(SnapshotSeed {
        owner: Some("999999999999".into()),
        ..Default::default()
    });
    let list = |account: &mut Account, owners: &[&str]| match account
        .call(&Request::DescribeSnapshots(request::DescribeSnapshots {
            owners: owners.iter().map(|&o| o.to_owned()).collect(),
            ..Default::default()
        }))
        .unwrap()
    {
        Response::Snapshots(page) => page.items.into_iter().map(|s| s.id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list(&mut account, &["self"]), vec![own.clone()]);
    let mut both = vec![own, public.clone()];
    both.sort();
    assert_eq!(list(&mut account, &[]), both);
    assert_eq!(code(delete(&mut account, &public)), "AuthFailure");
    assert_eq!(
        code(delete(&mut account, &hidden)),
        "InvalidSnapshot.NotFound"
    );
}

#[test]
fn create_image_backs_every_attached_volume_and_keeps_its_name() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 2);
    let make = |name: &str| request::CreateImage {
        instance: instance.clone(),
        name: name.to_owned(),
        no_reboot: true,
        mappings: vec![BlockDevice::none("/dev/xvdc")],
        tags: vec![
            TagSpecification::new("image", [("a", "1")]),
            TagSpecification::new("snapshot", [("b", "2")]),
        ],
        ..Default::default()
    };
    let id = match account.call(&Request::CreateImage(make("x/1"))).unwrap() {
        Response::ImageMade(id) => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        code(account.call(&Request::CreateImage(make("x/1")))),
        "InvalidAMIName.Duplicate"
    );
    let image = account.image(&id).unwrap().clone();
    assert_eq!(image.state, ImageState::Pending);
    let backing: Vec<_> = image.snapshots().cloned().collect();
    assert_eq!(backing.len(), 2);
    for (snapshot, volume) in backing.iter().zip(&volumes) {
        let s = account.snapshot(snapshot).unwrap();
        assert_eq!(s.volume, *volume);
        assert_eq!(
            s.description,
            format!("Created by CreateImage({instance}) for {id}")
        );
        assert_eq!(s.tags["b"], "2");
    }
    assert_eq!(
        code(delete(&mut account, &backing[0])),
        "InvalidSnapshot.InUse"
    );
    account.advance_by(SignedDuration::from_mins(3));
    assert_eq!(account.image(&id).unwrap().state, ImageState::Available);
    let states = details(&mut account, "EC2 AMI State Change");
    assert_eq!(states[0]["detail"]["State"], "available");
    assert_eq!(
        states[0]["resources"][0],
        format!("arn:aws:ec2:eu-central-1::image/{id}")
    );
}

#[test]
fn an_instance_passes_through_its_states_and_terminating_deletes_what_goes_with_it() {
    let mut account = account();
    let (instance, volumes) = server(&mut account, 1);
    let ids = vec![instance.clone()];
    account
        .call(&Request::StopInstances(request::StopInstances {
            ids: ids.clone(),
        }))
        .unwrap();
    assert_eq!(
        code(account.call(&Request::CreateSnapshots(set_of(&instance)))),
        "IncorrectInstanceState"
    );
    account.advance_by(SignedDuration::from_secs(10));
    assert_eq!(
        account.instances().next().unwrap().state,
        InstanceState::Stopped
    );
    account
        .call(&Request::TerminateInstances(request::TerminateInstances {
            ids,
        }))
        .unwrap();
    account.advance_by(SignedDuration::from_secs(10));
    assert!(account.volume(&volumes[0]).is_none());
    assert_eq!(
        account.volume(&volumes[1]).unwrap().state,
        VolumeState::Available
    );
    let states: Vec<_> = details(&mut account, "EC2 Instance State-change Notification")
        .iter()
        .map(|e| e["detail"]["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        states,
        ["stopping", "stopped", "shutting-down", "terminated"]
    );
    account.advance_by(SignedDuration::from_hours(1));
    assert_eq!(account.instances().count(), 0);
}

#[test]
fn what_was_just_made_is_missing_from_lists_while_they_lag() {
    let mut account = account();
    account.settings_mut().list_lag = SignedDuration::from_secs(5);
    let volume = account.seed_volume(VolumeSeed::default());
    take_one(&mut account, &volume).unwrap();
    let count = |account: &mut Account| match account
        .call(&Request::DescribeSnapshots(Default::default()))
        .unwrap()
    {
        Response::Snapshots(page) => page.items.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&mut account), 0);
    account.advance_by(SignedDuration::from_secs(5));
    assert_eq!(count(&mut account), 1);
}

#[test]
fn a_lost_response_leaves_the_snapshot_and_a_refusal_leaves_nothing() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    account.inject(FaultRule::next(
        "CreateSnapshot",
        Fault::Error(ApiError::throttled()),
    ));
    assert_eq!(
        code(take_one(&mut account, &volume)),
        "RequestLimitExceeded"
    );
    assert_eq!(account.snapshots().count(), 0);
    account.inject(FaultRule::next(
        "CreateSnapshot",
        Fault::AppliedButResponseLost,
    ));
    assert_eq!(
        take_one(&mut account, &volume),
        Err(CallFailure::ResponseLost)
    );
    assert_eq!(account.snapshots().count(), 1);
    let outcomes: Vec<_> = account.calls().iter().map(|c| c.outcome.clone()).collect();
    assert_eq!(
        outcomes,
        [
            CallOutcome::Refused("RequestLimitExceeded".into()),
            CallOutcome::ResponseLost
        ]
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut account = account();
    let volume = account.seed_volume(VolumeSeed::default());
    let request = Request::CreateSnapshot(request::CreateSnapshot {
        volume: volume.as_str().to_owned(),
        ..Default::default()
    });
    assert_eq!(code(account.perform(&request, true)), "DryRunOperation");
    assert_eq!(account.snapshots().count(), 0);
}

#[test]
fn unknown_filters_and_too_many_values_are_refused() {
    let mut account = account();
    let with = |filter: Filter| {
        Request::DescribeSnapshots(request::DescribeSnapshots {
            filters: vec![filter],
            ..Default::default()
        })
    };
    assert_eq!(
        code(account.call(&with(Filter::new("colour", ["red"])))),
        "InvalidParameterValue"
    );
    let many = (0..201).map(|n| n.to_string());
    assert_eq!(
        code(account.call(&with(Filter::new("snapshot-id", many)))),
        "FilterLimitExceeded"
    );
}

#[test]
fn an_instance_launched_from_a_template_has_the_images_volumes() {
    let mut account = account();
    let root = account.seed_snapshot(SnapshotSeed::default());
    let data = account.seed_snapshot(SnapshotSeed {
        size_gib: Some(20),
        ..Default::default()
    });
    let image = account.seed_image(ImageSeed {
        mappings: vec![
            BlockDevice::from_snapshot("/dev/xvda", root),
            BlockDevice::ephemeral("/dev/sdb", "ephemeral0"),
        ],
        ..Default::default()
    });
    let create = Request::CreateLaunchTemplate(request::CreateLaunchTemplate {
        name: "web".into(),
        data: holdfast_sim::TemplateData {
            image: Some(image.as_str().to_owned()),
            instance_type: Some("m1.large".into()),
            mappings: vec![BlockDevice::from_snapshot("/dev/sdf", data.clone())],
        },
        ..Default::default()
    });
    account.call(&create).unwrap();
    let run = Request::RunInstances(request::RunInstances {
        min_count: 1,
        max_count: 1,
        launch_template: Some(request::LaunchTemplateReference {
            name: Some("web".into()),
            ..Default::default()
        }),
        client_token: Some("t".into()),
        ..Default::default()
    });
    let launched = match account.call(&run).unwrap() {
        Response::Launched(instances) => instances[0].clone(),
        other => panic!("{other:?}"),
    };
    // The same token launches nothing more.
    account.call(&run).unwrap();
    assert_eq!(account.instances().count(), 1);
    assert_eq!(launched.image, image);
    assert_eq!(launched.virtual_devices[0].name, "ephemeral0");
    let sizes: Vec<_> = launched
        .devices
        .iter()
        .map(|d| account.volume(&d.volume).unwrap().size_gib)
        .collect();
    assert_eq!(sizes, [8, 20]);
    account.advance_by(SignedDuration::from_secs(10));
    assert_eq!(
        account.instance(&launched.id).unwrap().state,
        InstanceState::Running
    );
}
