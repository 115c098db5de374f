//! Sets and instances: all of them, or nothing.

use holdfast_core::id::{LaunchTemplateId, SnapshotId};
use holdfast_core::inventory::{ImageMapping, LaunchTemplateVersion, MappingTarget, SnapshotState};
use holdfast_core::lineage::{Node, NodeState, SlotRecord, SlotState};
use holdfast_core::plan::restore::{
    InstanceGround, InstanceWish, Keys, Making, plan_instance, sets, whole,
};
use holdfast_core::ports::restore::{LaunchBy, Machine, Stored, TemplateChoice, TemplateVersion};
use holdfast_core::report::ReasonCode;

use crate::stage::{at, by_id, code, image, machine, stored, tags};

fn member(id: &str, run: &str, slot: &str) -> Stored {
    let mut one = stored(id, slot);
    one.snapshot.tags = tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", "snapshot"),
        ("holdfast:policy", "db"),
        ("holdfast:source", "i-1"),
        ("holdfast:slot", slot),
        ("holdfast:run", run),
    ]);
    one
}

fn record(artifacts: &[&str]) -> SlotRecord {
    SlotRecord {
        policy: "db".into(),
        slot: at("2026-03-01T03:00:00Z"),
        source: "i-1".into(),
        request: None,
        trigger: None,
        scheduled: true,
        state: SlotState::Completed,
        run: "r".into(),
        attempt: 1,
        requested_at: None,
        rebooted: false,
        artifacts: artifacts.iter().map(|id| (*id).to_owned()).collect(),
        lost: Vec::new(),
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        event_over: false,
        fence: 1,
    }
}

#[test]
fn a_set_is_all_of_one_run_slot_and_instance_or_nothing() {
    let (day, next) = ("2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z");
    let all = [
        member("snap-1", "r1", day),
        member("snap-2", "r1", day),
        member("snap-3", "r2", next),
        stored("snap-9", day),
    ];
    let found = sets(&all);
    let ids: Vec<Vec<&str>> = found
        .iter()
        .map(|set| set.members.iter().map(|m| m.snapshot.id.as_str()).collect())
        .collect();
    assert_eq!(ids, [vec!["snap-3"], vec!["snap-1", "snap-2"]]);
    let old = &found[1];
    let none = Keys::new();
    assert_eq!(
        whole(old, Some(&record(&["snap-1", "snap-2"])), &none),
        Ok(None)
    );
    let lost = whole(old, Some(&record(&["snap-1", "snap-2", "snap-4"])), &none);
    assert_eq!(code(lost), ReasonCode::IncompleteSet);
    // A record of other artifacts tells nothing about these.
    for unknown in [None, Some(record(&["snap-7"]))] {
        let told = whole(old, unknown.as_ref(), &none).unwrap().unwrap();
        assert_eq!(told.code, ReasonCode::EvidenceIncomplete);
    }
    let mut broken = all.clone();
    broken[1].snapshot.state = SnapshotState::Pending;
    let found = sets(&broken);
    let pending = whole(&found[1], Some(&record(&["snap-1", "snap-2"])), &none);
    assert_eq!(code(pending), ReasonCode::Pending);
}

fn version(number: i64, default: bool, snapshots: &[&str]) -> TemplateVersion {
    let snapshots = snapshots.iter();
    TemplateVersion {
        version: LaunchTemplateVersion {
            template: LaunchTemplateId::new("lt-1"),
            name: Some("web".into()),
            version: number,
            default,
            image: Some("ami-0".into()),
            resolved: None,
            snapshots: snapshots.map(|id| SnapshotId::new(*id)).collect(),
        },
        description: None,
    }
}

#[test]
fn an_instance_is_launched_by_what_is_known_and_nothing_is_invented() {
    let all = [stored("snap-1", "2026-03-01T00:00:00Z")];
    let stored = by_id(&all);
    let mut image = image("ami-1", "2026-03-01T00:00:00Z", &["snap-1"]);
    image.mappings.push(ImageMapping {
        device: "/dev/sdc".into(),
        target: MappingTarget::InstanceStore("ephemeral0".into()),
    });
    let versions = [version(1, true, &[]), version(2, false, &["snap-7"])];
    let mut node = None;
    let planned_by = |node: Option<&Node>, source: Option<&Machine>, wish: &InstanceWish| {
        plan_instance(&InstanceGround {
            image: &image,
            stored: &stored,
            node,
            source,
            versions: &versions,
            made: &[],
            wish,
        })
    };
    let planned = |source, wish: &InstanceWish| planned_by(None, source, wish);
    let source = machine(&[]);
    let plain = InstanceWish::default();
    let plan = planned(Some(&source), &plain).unwrap();
    let Making::Instance(request) = &plan.making else {
        panic!("{plan:?}")
    };
    assert_eq!(request.by, LaunchBy::Parameters(source.launch.clone()));
    assert_eq!(plan.origin.missing.len(), 1, "{:?}", plan.origin.missing);
    assert_eq!(code(planned(None, &plain)), ReasonCode::LaunchUnknown);
    // EC2 forgets the subnet of an instance that is terminated; another one would be a guess.
    let mut terminated = machine(&[]);
    terminated.launch.subnet = None;
    assert_eq!(
        code(planned(Some(&terminated), &plain)),
        ReasonCode::LaunchUnknown
    );

    // Unless the lineage knows what they were when the AMI was made.
    let recorded = node.insert(Node::new(
        "ami-1",
        NodeState::Available,
        at("2026-03-01T00:00:00Z"),
    ));
    recorded.launch = Some(machine(&[]).launch);
    for source in [None, Some(&terminated)] {
        let plan = planned_by(node.as_ref(), source, &plain).unwrap();
        let Making::Instance(request) = &plan.making else {
            panic!("{plan:?}")
        };
        assert_eq!(request.by, LaunchBy::Parameters(machine(&[]).launch));
    }
    // Half of it is not enough.
    node.as_mut().unwrap().launch.as_mut().unwrap().subnet = None;
    let half = planned_by(node.as_ref(), None, &plain);
    assert_eq!(code(half), ReasonCode::LaunchUnknown);

    let by = |text: &str| InstanceWish {
        template: TemplateChoice::parse(text),
        ..InstanceWish::default()
    };
    assert!(planned(None, &by("web")).is_ok(), "the default version, 1");
    assert_eq!(code(planned(None, &by("web:2"))), ReasonCode::Refused);
    assert_eq!(code(planned(None, &by("web:$Latest"))), ReasonCode::Refused);
    assert_eq!(code(planned(None, &by("web:3"))), ReasonCode::NotFound);
    let into = |text: &str| InstanceWish {
        into_template: TemplateChoice::parse(text),
        ..InstanceWish::default()
    };
    assert_eq!(
        code(planned(None, &into("web"))),
        ReasonCode::Refused,
        "from the latest, 2"
    );
    let plan = planned(None, &into("web:1")).unwrap();
    let Making::Version(request) = &plan.making else {
        panic!("{plan:?}")
    };
    assert_eq!(request.image.as_str(), "ami-1");
    assert!(request.description.contains(&request.token));
    for wrong in ["", ":1", "web:", "web:0", "web:x", "web:$Newest"] {
        assert_eq!(TemplateChoice::parse(wrong), None, "{wrong}");
    }
}
