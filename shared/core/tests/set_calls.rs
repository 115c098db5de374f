//! The call that makes one set, at the limit of what it can leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{
    Instance, InstanceDevice, InstanceState, Tags, Volume, VolumeState,
};
use holdfast_core::plan::create::{Call, Creation, Order, Refused};
use holdfast_core::policy::PolicyFile;
use holdfast_core::policy::selection::pick;
use holdfast_core::ports::SetRequest;
use holdfast_core::report::{Outcome, ReasonCode};
use jiff::Timestamp;

/// A cold volume is picked and excluded, and so is every volume in `error` left out of the call.
const POLICIES: &str = "
version: 1
policies:
  - name: p
    protect: volumes
    select: { instances: { tags: { B: x } }, exclude: { volume_types: [st1] } }
    schedule: rate(1 hour)
    retain: { last: 1 }
";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A machine with a root and a data volume that are taken, beside so many cold volumes and so many
/// in `error`.
fn ask(boot: &str, cold: usize, broken: usize) -> Result<Creation, Refused> {
    let kind = |n: usize| match n {
        0 => (boot, VolumeState::InUse),
        1 => ("gp3", VolumeState::InUse),
        n if n < 2 + cold => ("st1", VolumeState::InUse),
        _ => ("gp3", VolumeState::Error),
    };
    let id = |n: usize| VolumeId::new(format!("vol-{n}"));
    let volumes: Vec<Volume> = (0..2 + cold + broken)
        .map(|n| Volume {
            id: id(n),
            state: kind(n).1,
            volume_type: Some(kind(n).0.to_owned()),
            size_gib: Some(125),
            created: None,
            kms_key: None,
            attachments: vec![],
            tags: Tags::new(),
        })
        .collect();
    let device = |n: usize| InstanceDevice {
        name: format!("/dev/sd{n}"),
        volume: Some(id(n)),
    };
    let instance = Instance {
        id: InstanceId::new("i-1"),
        state: InstanceState::Running,
        image: None,
        instance_type: None,
        launched: None,
        root_device: Some("/dev/sd0".into()),
        root_device_type: Some("ebs".into()),
        lifecycle: Default::default(),
        launch: None,
        devices: (0..volumes.len()).map(device).collect(),
        tags: Tags::from([("B".into(), "x".into())]),
    };
    let file = PolicyFile::parse("p.yaml", POLICIES, at("2026-01-01T00:00:00Z")).unwrap();
    let order = Order {
        policy: &file.policies[0],
        slot: at("2026-03-03T03:00:00Z"),
        run: "r",
        request: None,
    };
    let picked = pick(&file.policies[0], std::slice::from_ref(&instance), &volumes);
    let volumes: BTreeMap<_, _> = volumes.iter().map(|v| (&v.id, v)).collect();
    order.set(&picked.sets[0], &instance, &volumes, &[])
}

fn request(creation: &Creation) -> &SetRequest {
    match &creation.call {
        Call::Set(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn forty_data_volumes_are_left_out_by_one_call() {
    let creation = ask("gp3", 40, 0).unwrap();
    let request = request(&creation);
    assert_eq!(request.exclude_data_volumes.len(), 40);
    assert!(!request.exclude_boot_volume);
    let taken: Vec<&str> = creation.volumes.iter().map(AsRef::as_ref).collect();
    assert_eq!(taken, ["vol-0", "vol-1"]);
}

#[test]
fn a_root_that_is_left_out_is_none_of_the_forty() {
    let creation = ask("st1", 40, 0).unwrap();
    assert_eq!(request(&creation).exclude_data_volumes.len(), 40);
    assert!(request(&creation).exclude_boot_volume);
    assert_eq!(creation.excluded.len(), 41);
}

#[test]
fn forty_one_data_volumes_are_more_than_a_call_leaves_out_and_none_is_taken() {
    let refused = ask("gp3", 41, 0).unwrap_err();
    let [item] = refused.items.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (item.outcome, item.resource.as_str()),
        (Outcome::Failed, "i-1")
    );
    assert_eq!(item.reasons[0].code, ReasonCode::TooManyExclusions);
    let detail = item.reasons[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("41 data volumes"), "{detail}");
    assert!(!refused.passing);
}

#[test]
fn volumes_in_error_are_left_out_too_and_count() {
    assert!(ask("gp3", 39, 1).is_ok());
    let refused = ask("gp3", 40, 1).unwrap_err();
    let codes: Vec<ReasonCode> = refused.items.iter().map(|i| i.reasons[0].code).collect();
    assert_eq!(
        codes,
        [ReasonCode::VolumeState, ReasonCode::TooManyExclusions]
    );
}
