//! The call that makes an AMI, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{
    Instance, InstanceDevice, InstanceState, Tags, Volume, VolumeState,
};
use holdfast_core::lineage::{SlotRecord, SlotState};
use holdfast_core::plan::create::{Call, Creation, Order, Refused};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::ImageRequest;
use holdfast_core::report::ReasonCode;
use jiff::Timestamp;

const SLOT: &str = "2026-03-03T03:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policies(more: &str) -> PolicyFile {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
         select: {{ instances: {{ tags: {{ B: x }} }}, exclude: {{ tags: {{ Scratch: \"*\" }} }} }}\n    \
         schedule: rate(1 hour)\n    retain: {{ last: 1 }}\n    {more}\n"
    );
    PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z")).unwrap()
}

type Machine = (Instance, Vec<Volume>);

/// An instance with volumes vol-0 (root), vol-1, … of these tags.
fn machine(volumes: &[Tags]) -> Machine {
    let id = |n| VolumeId::new(format!("vol-{n}"));
    let volumes: Vec<Volume> = volumes
        .iter()
        .enumerate()
        .map(|(n, tags)| Volume {
            id: id(n),
            state: VolumeState::InUse,
            volume_type: None,
            size_gib: None,
            created: None,
            kms_key: None,
            attachments: vec![],
            tags: tags.clone(),
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
    (instance, volumes)
}

fn ask(
    file: &PolicyFile,
    (instance, volumes): &Machine,
    before: Option<&SlotRecord>,
) -> Result<Creation, Refused> {
    let order = Order {
        policy: &file.policies[0],
        slot: at(SLOT),
        run: "r",
        request: None,
    };
    let volumes: BTreeMap<_, _> = volumes.iter().map(|v| (&v.id, v)).collect();
    order.image(instance, &volumes, &[], before)
}

fn request(creation: &Creation) -> &ImageRequest {
    match &creation.call {
        Call::Image(request) => request,
        other => panic!("{other:?}"),
    }
}

fn record() -> SlotRecord {
    SlotRecord {
        policy: "p".into(),
        slot: at(SLOT),
        source: "i-1".into(),
        request: None,
        trigger: None,
        scheduled: true,
        state: SlotState::Created,
        run: "r".into(),
        attempt: 4,
        requested_at: None,
        rebooted: false,
        artifacts: vec!["ami-1".into()],
        lost: vec![],
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        event_over: false,
        fence: 1,
    }
}

fn scratch() -> Tags {
    Tags::from([("Scratch".into(), "1".into())])
}

#[test]
fn the_name_changes_only_when_ec2_has_failed_an_ami_of_that_name() {
    let file = policies("");
    let machine = machine(&[Tags::new()]);
    let name =
        |before: Option<&SlotRecord>| request(&ask(&file, &machine, before).unwrap()).name.clone();
    assert_eq!(name(None), "holdfast/p/i-1/20260303T030000Z/1");
    // Throttled and repeated four times: still nothing was made under the name.
    assert_eq!(name(Some(&record())), "holdfast/p/i-1/20260303T030000Z/1");
    let failed = record().failed_in_ec2("x", at(SLOT)).unwrap();
    assert_eq!(name(Some(&failed)), "holdfast/p/i-1/20260303T030000Z/2");
}

#[test]
fn a_policy_reboots_once_a_slot_and_only_when_it_says_so() {
    let machine = machine(&[Tags::new()]);
    fn no_reboot(file: &PolicyFile, machine: &Machine, before: Option<&SlotRecord>) -> bool {
        request(&ask(file, machine, before).unwrap()).no_reboot
    }
    assert!(no_reboot(&policies(""), &machine, None));
    let reboots = policies("reboot: true");
    assert!(!no_reboot(&reboots, &machine, None));
    assert!(!no_reboot(&reboots, &machine, Some(&record())));
    let rebooted = SlotRecord {
        rebooted: true,
        ..record()
    };
    assert!(no_reboot(&reboots, &machine, Some(&rebooted)));
}

#[test]
fn an_excluded_root_stays_in_the_ami_and_an_excluded_data_volume_does_not() {
    let machine = machine(&[scratch(), Tags::new(), scratch()]);
    let creation = ask(&policies(""), &machine, None).unwrap();
    assert_eq!(request(&creation).excluded_devices, ["/dev/sd2"]);
    let taken: Vec<&str> = creation.volumes.iter().map(AsRef::as_ref).collect();
    assert_eq!(taken, ["vol-0", "vol-1"]);
    assert!(creation.notes.is_empty());
}

#[test]
fn an_ami_leaves_out_data_volumes_by_type_and_size_or_all_and_its_root_never() {
    let mut machine = machine(&[Tags::new(), Tags::new(), Tags::new(), Tags::new()]);
    for (volume, (kind, gib)) in
        machine
            .1
            .iter_mut()
            .zip([("gp2", 600), ("st1", 125), ("gp3", 501), ("gp3", 500)])
    {
        volume.volume_type = Some(kind.into());
        volume.size_gib = Some(gib);
    }
    let left_out = |exclude: &str| {
        let text = format!(
            "version: 1\npolicies:\n  - name: p\n    protect: instances\n    \
             select: {{ instances: {{ tags: {{ B: x }} }}, exclude: {exclude} }}\n    \
             schedule: rate(1 hour)\n    retain: {{ last: 1 }}\n"
        );
        let file = PolicyFile::parse("p.yaml", &text, at("2026-01-01T00:00:00Z")).unwrap();
        let creation = ask(&file, &machine, None).unwrap();
        let taken: Vec<&str> = creation.volumes.iter().map(AsRef::as_ref).collect();
        let left_out: Vec<&str> = creation.excluded.iter().map(AsRef::as_ref).collect();
        assert_eq!(taken.len() + left_out.len(), 4, "{taken:?} {left_out:?}");
        assert_eq!(taken[0], "vol-0");
        request(&creation).excluded_devices.clone()
    };
    assert_eq!(left_out("{ volume_types: [gp2, st1] }"), ["/dev/sd1"]);
    assert_eq!(left_out("{ larger_than_gib: 500 }"), ["/dev/sd2"]);
    assert_eq!(left_out("{ smaller_than_gib: 500 }"), ["/dev/sd1"]);
    let data = ["/dev/sd1", "/dev/sd2", "/dev/sd3"];
    assert_eq!(left_out("{ data_volumes: true }"), data);
}

#[test]
fn tags_that_do_not_fit_on_the_ami_go_into_lineage() {
    let mut machine = machine(&[Tags::new()]);
    machine.0.tags = (0..60)
        .map(|n| (format!("tag-{n:02}"), "v".to_owned()))
        .chain([
            ("aws:autoscaling:groupName".to_owned(), "g".to_owned()),
            ("holdfast:pin".to_owned(), String::new()),
        ])
        .collect();
    let creation = ask(&policies(""), &machine, None).unwrap();
    let call = request(&creation);
    assert_eq!(call.tags.len(), 50);
    assert_eq!(call.snapshot_tags.len(), 50);
    assert_eq!(call.tags["holdfast:artifact"], "image");
    assert_eq!(call.snapshot_tags["holdfast:artifact"], "image-snapshot");
    // Seven of ours leave room for forty-three of the sixty.
    assert_eq!(creation.leftover["i-1"].len(), 17);
    for tags in [&call.tags, &call.snapshot_tags, &creation.leftover["i-1"]] {
        assert!(!tags.contains_key("holdfast:pin"));
        assert!(!tags.keys().any(|key| key.starts_with("aws:")));
    }
}

#[test]
fn what_no_ami_can_be_made_of_is_refused_with_its_reason() {
    let file = policies("");
    let refused = |change: &dyn Fn(&mut Machine)| {
        let mut machine = machine(&[Tags::new(), Tags::new()]);
        change(&mut machine);
        let refused = ask(&file, &machine, None).unwrap_err();
        let codes: Vec<_> = refused.items.iter().map(|i| i.reasons[0].code).collect();
        (codes, refused.passing)
    };
    let root = refused(&|m| m.0.root_device_type = Some("instance-store".into()));
    assert_eq!(root, (vec![ReasonCode::NotCovered], false));
    let pending = refused(&|m| m.0.state = InstanceState::Pending);
    assert_eq!(pending, (vec![ReasonCode::InstanceState], true));
    let unknown = refused(&|m| m.0.state = InstanceState::Unknown("hibernated".into()));
    assert_eq!(unknown, (vec![ReasonCode::InstanceState], true));
    let broken = refused(&|m| m.1[0].state = VolumeState::Error);
    assert_eq!(broken, (vec![ReasonCode::VolumeState], false));
    let unlisted = refused(&|m| {
        m.1.remove(0);
    });
    assert_eq!(unlisted, (vec![ReasonCode::VolumeState], true));
}

#[test]
fn an_unusable_data_volume_is_left_out_and_named() {
    let mut machine = machine(&[Tags::new(), Tags::new()]);
    machine.1[1].state = VolumeState::Error;
    let creation = ask(&policies(""), &machine, None).unwrap();
    assert_eq!(request(&creation).excluded_devices, ["/dev/sd1"]);
    assert_eq!(creation.notes[0].resource, "vol-1");
    assert_eq!(creation.notes[0].reasons[0].code, ReasonCode::VolumeState);
}
