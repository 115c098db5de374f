//! What a policy picks: union less exclusions, sets by instance, every volume once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exclusions;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::inventory::{
    Attachment, Instance, InstanceDevice, InstanceState, Tags, Volume, VolumeState,
};
use holdfast_core::policy::selection::{
    Picked, PickedSet, PickedVolume, missing, pick, pick_set, picks_instance,
};
use holdfast_core::policy::{Policy, PolicyFile};
use proptest::prelude::*;

fn policy(protect: &str, select: &str) -> Policy {
    let text = format!(
        "version: 1\npolicies:\n  - name: p\n    protect: {protect}\n    select: {select}\n    \
         schedule: rate(1 day)\n    retain: {{ daily: 7 }}\n"
    );
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let file = PolicyFile::parse("p.yaml", &text, now).unwrap_or_else(|e| panic!("{e}"));
    file.policies[0].clone()
}

fn by_instance_tag() -> Policy {
    policy("volumes", "{ instances: { tags: { Backup: nightly } } }")
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn vol(id: &str) -> VolumeId {
    VolumeId::parse(id).unwrap()
}

fn inst(id: &str) -> InstanceId {
    InstanceId::parse(id).unwrap()
}

/// A running instance; its first volume is the root.
fn instance(id: &str, own: &[(&str, &str)], volumes: &[&str]) -> Instance {
    Instance {
        id: inst(id),
        state: InstanceState::Running,
        image: None,
        instance_type: None,
        launched: None,
        root_device: Some("/dev/sda".to_owned()),
        root_device_type: Some("ebs".to_owned()),
        lifecycle: Default::default(),
        launch: None,
        devices: volumes
            .iter()
            .zip('a'..)
            .map(|(volume, letter)| InstanceDevice {
                name: format!("/dev/sd{letter}"),
                volume: Some(vol(volume)),
            })
            .collect(),
        tags: tags(own),
    }
}

fn volume(id: &str, own: &[(&str, &str)], instances: &[&str]) -> Volume {
    Volume {
        id: vol(id),
        state: if instances.is_empty() {
            VolumeState::Available
        } else {
            VolumeState::InUse
        },
        volume_type: None,
        size_gib: None,
        created: None,
        kms_key: None,
        attachments: instances
            .iter()
            .map(|instance| Attachment {
                instance: inst(instance),
                device: "/dev/sdz".to_owned(),
                state: "attached".to_owned(),
            })
            .collect(),
        tags: tags(own),
    }
}

fn in_state(mut volume: Volume, state: VolumeState) -> Volume {
    volume.state = state;
    volume
}

fn set(instance: &str, volumes: &[&str], not_picked: &[&str], boot_excluded: bool) -> PickedSet {
    PickedSet {
        instance: inst(instance),
        volumes: volumes.iter().map(|id| vol(id)).collect(),
        not_picked: not_picked.iter().map(|id| vol(id)).collect(),
        boot_excluded,
        unusable: Vec::new(),
    }
}

fn alone(id: &str) -> PickedVolume {
    PickedVolume {
        volume: vol(id),
        unusable: None,
    }
}

const NIGHTLY: &[(&str, &str)] = &[("Backup", "nightly")];

#[test]
fn every_volume_of_a_matching_instance_is_one_set() {
    let instances = [
        instance("i-b", NIGHTLY, &["vol-4", "vol-3"]),
        instance("i-a", NIGHTLY, &["vol-2"]),
        instance("i-c", &[("Backup", "weekly")], &["vol-5"]),
    ];
    let volumes = [
        volume("vol-2", &[], &["i-a"]),
        volume("vol-3", &[], &["i-b"]),
        volume("vol-4", &[], &["i-b"]),
        volume("vol-5", &[], &["i-c"]),
        volume("vol-6", NIGHTLY, &[]),
    ];
    let picked = pick(&by_instance_tag(), &instances, &volumes);
    assert_eq!(
        picked.sets,
        [
            set("i-a", &["vol-2"], &[], false),
            set("i-b", &["vol-3", "vol-4"], &[], false)
        ]
    );
    assert_eq!(picked.volumes, []);
}

#[test]
fn all_tags_must_match_and_a_value_is_one_of_a_list_or_any() {
    let policy = policy(
        "volumes",
        "{ volumes: { tags: { Backup: [nightly, critical], Owner: \"*\" } } }",
    );
    let volumes = [
        volume("vol-1", &[("Backup", "critical"), ("Owner", "")], &[]),
        volume("vol-2", NIGHTLY, &[]),
        volume("vol-3", &[("Backup", "weekly"), ("Owner", "me")], &[]),
        volume("vol-4", &[("backup", "nightly"), ("Owner", "me")], &[]),
    ];
    assert_eq!(pick(&policy, &[], &volumes).volumes, [alone("vol-1")]);
}

#[test]
fn a_volume_picked_by_its_own_tags_joins_its_instances_set_without_the_rest() {
    let policy = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    let instances = [instance("i-a", &[], &["vol-1", "vol-2", "vol-3"])];
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", NIGHTLY, &["i-a"]),
        volume("vol-3", &[], &["i-a"]),
        volume("vol-4", NIGHTLY, &[]),
    ];
    let picked = pick(&policy, &instances, &volumes);
    // The root never stands among the data volumes to exclude: EC2 refuses it there.
    assert_eq!(picked.sets, [set("i-a", &["vol-2"], &["vol-3"], true)]);
    assert_eq!(picked.volumes, [alone("vol-4")]);
}

#[test]
fn a_dying_instance_picks_nothing_and_its_tagged_volumes_stand_alone() {
    let policy = policy(
        "volumes",
        "{ instances: { tags: { Backup: nightly } }, volumes: { tags: { Backup: nightly } } }",
    );
    for state in [InstanceState::ShuttingDown, InstanceState::Terminated] {
        let mut dying = instance("i-a", NIGHTLY, &["vol-1", "vol-2"]);
        dying.state = state;
        let volumes = [
            volume("vol-1", &[], &["i-a"]),
            volume("vol-2", NIGHTLY, &["i-a"]),
        ];
        let picked = pick(&policy, std::slice::from_ref(&dying), &volumes);
        assert_eq!(picked.sets, []);
        assert_eq!(picked.volumes, [alone("vol-2")]);
        assert!(!picks_instance(&policy, &dying, &volumes));
    }
}

#[test]
fn a_multi_attached_volume_is_taken_once_with_the_first_selected_instance() {
    let instances = [
        instance("i-c", NIGHTLY, &["vol-3", "vol-9"]),
        instance("i-b", NIGHTLY, &["vol-2", "vol-9"]),
        instance("i-a", &[], &["vol-1", "vol-9"]),
    ];
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", &[], &["i-b"]),
        volume("vol-3", &[], &["i-c"]),
        volume("vol-9", NIGHTLY, &["i-c", "i-a", "i-b"]),
    ];
    let picked = pick(&by_instance_tag(), &instances, &volumes);
    assert_eq!(
        picked.sets,
        [
            set("i-b", &["vol-2", "vol-9"], &[], false),
            set("i-c", &["vol-3"], &["vol-9"], false)
        ]
    );
    // Picked by its own tag only: the first live instance.
    let by_volume = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    let picked = pick(&by_volume, &instances, &volumes);
    assert_eq!(picked.sets, [set("i-a", &["vol-9"], &[], true)]);
    // An event of another instance still finds it.
    let of_c = pick_set(&by_volume, &instances[0], &volumes).unwrap();
    assert_eq!(of_c, set("i-c", &["vol-9"], &[], true));
}

#[test]
fn unusable_volumes_are_named_with_their_state_and_excluded_from_the_call() {
    let instances = [instance(
        "i-a",
        NIGHTLY,
        &["vol-1", "vol-2", "vol-3", "vol-4"],
    )];
    let odd = VolumeState::Unknown("optimizing".to_owned());
    let volumes = [
        in_state(volume("vol-1", &[], &["i-a"]), VolumeState::Error),
        in_state(volume("vol-2", &[], &["i-a"]), odd.clone()),
        volume("vol-3", &[], &["i-a"]),
    ];
    let picked = pick(&by_instance_tag(), &instances, &volumes);
    let mut expected = set("i-a", &["vol-3"], &["vol-2"], true);
    expected.unusable = vec![
        (vol("vol-1"), VolumeState::Error),
        (vol("vol-2"), odd),
        // Named by the instance, not listed: it no longer exists, so nothing to exclude.
        (vol("vol-4"), missing()),
    ];
    assert_eq!(picked.sets, [expected]);

    let by_volume = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    for state in [
        VolumeState::Creating,
        VolumeState::Deleting,
        VolumeState::Deleted,
        VolumeState::Error,
    ] {
        let volumes = [in_state(volume("vol-1", NIGHTLY, &[]), state.clone())];
        let picked = pick(&by_volume, &[], &volumes);
        assert_eq!(picked.volumes[0].unusable, Some(state));
    }
}

#[test]
fn an_attachment_that_only_the_volume_knows_counts_and_a_detached_one_does_not() {
    let instances = [instance("i-a", NIGHTLY, &["vol-1"])];
    let mut gone = volume("vol-3", &[], &["i-a"]);
    gone.attachments[0].state = "detached".to_owned();
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", &[], &["i-a"]),
        gone,
    ];
    let picked = pick(&by_instance_tag(), &instances, &volumes);
    assert_eq!(picked.sets, [set("i-a", &["vol-1", "vol-2"], &[], false)]);
}

#[test]
fn a_volume_of_an_instance_that_is_not_listed_stands_alone() {
    let policy = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    let volumes = [volume("vol-1", NIGHTLY, &["i-new"])];
    assert_eq!(pick(&policy, &[], &volumes).volumes, [alone("vol-1")]);
}

#[test]
fn protect_instances_picks_live_matching_instances_less_exclusions() {
    let policy = policy(
        "instances",
        "{ instances: { tags: { Backup: nightly } }, exclude: { tags: { Scratch: \"*\" } } }",
    );
    let mut dead = instance("i-c", NIGHTLY, &[]);
    dead.state = InstanceState::Terminated;
    let mut stopped = instance("i-b", NIGHTLY, &["vol-1"]);
    stopped.state = InstanceState::Stopped;
    let excluded = instance("i-d", &[("Backup", "nightly"), ("Scratch", "1")], &[]);
    let instances = [dead, stopped, excluded, instance("i-a", NIGHTLY, &[])];
    let picked = pick(&policy, &instances, &[]);
    assert_eq!(picked.instances, [inst("i-a"), inst("i-b")]);
    assert_eq!((picked.sets.len(), picked.volumes.len()), (0, 0));
    assert!(picked.picks_instance(&inst("i-b")));
    assert!(!picked.picks_instance(&inst("i-d")));
}

#[test]
fn a_state_change_concerns_a_policy_that_selects_the_instance_or_a_volume_of_it() {
    let by_volume = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    let host = instance("i-a", &[], &["vol-1"]);
    let tagged = [volume("vol-1", NIGHTLY, &["i-a"])];
    let plain = [volume("vol-1", &[], &["i-a"])];
    assert!(picks_instance(&by_volume, &host, &tagged));
    assert!(!picks_instance(&by_volume, &host, &plain));
    assert!(!picks_instance(&by_instance_tag(), &host, &tagged));
    let selected = instance("i-a", NIGHTLY, &["vol-1"]);
    assert!(picks_instance(&by_instance_tag(), &selected, &plain));
    // A volume of another machine says nothing about this one.
    let elsewhere = [volume("vol-2", NIGHTLY, &["i-b"])];
    assert!(!picks_instance(&by_volume, &host, &elsewhere));
}

#[test]
fn a_request_for_one_resource_learns_whether_it_is_picked() {
    let policy = policy("volumes", "{ volumes: { tags: { Backup: nightly } } }");
    let instances = [instance("i-a", &[], &["vol-1", "vol-2"])];
    let volumes = [
        volume("vol-1", NIGHTLY, &["i-a"]),
        volume("vol-2", &[], &["i-a"]),
        volume("vol-3", NIGHTLY, &[]),
    ];
    let picked = pick(&policy, &instances, &volumes);
    assert!(picked.picks_instance(&inst("i-a")) && !picked.picks_instance(&inst("i-b")));
    assert!(picked.picks_volume(&vol("vol-1")) && picked.picks_volume(&vol("vol-3")));
    assert!(!picked.picks_volume(&vol("vol-2")));
    assert_eq!(
        picked.set_with(&vol("vol-1")).unwrap().instance,
        inst("i-a")
    );
    assert!(picked.set_with(&vol("vol-3")).is_none());
}

fn any_tags() -> impl Strategy<Value = Tags> {
    let pair = prop::sample::select(vec![
        ("Backup", "nightly"),
        ("Backup", "weekly"),
        ("Scratch", "1"),
        ("Name", "x"),
    ]);
    prop::collection::vec(pair, 0..3).prop_map(|pairs| tags(&pairs))
}

fn any_account() -> impl Strategy<Value = (Vec<Instance>, Vec<Volume>)> {
    let hosts = prop::collection::vec(prop::collection::btree_set(0usize..6, 0..3), 0..12);
    let states = prop::collection::vec((any_tags(), 0usize..6), 12);
    let machines = prop::collection::vec((any_tags(), 0usize..5), 5);
    (hosts, states, machines).prop_map(|(hosts, states, machines)| {
        let instance_states = [
            "running",
            "stopped",
            "pending",
            "shutting-down",
            "terminated",
        ];
        let mut instances: Vec<Instance> = machines
            .into_iter()
            .enumerate()
            .map(|(n, (own, state))| Instance {
                state: InstanceState::parse(instance_states[state]),
                tags: own,
                ..instance(&format!("i-{n}"), &[], &[])
            })
            .collect();
        let volume_states = [
            "available",
            "in-use",
            "error",
            "creating",
            "odd",
            "unlisted",
        ];
        let mut volumes = Vec::new();
        for ((n, hosts), (own, state)) in hosts.iter().enumerate().zip(states) {
            // Host 5 is an instance that is not listed.
            let names: Vec<String> = hosts.iter().map(|host| format!("i-{host}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let id = format!("vol-{n}");
            for host in hosts.iter().filter(|host| **host < 5) {
                let letter =
                    char::from(b'a' + u8::try_from(instances[*host].devices.len()).unwrap());
                instances[*host].devices.push(InstanceDevice {
                    name: format!("/dev/sd{letter}"),
                    volume: Some(vol(&id)),
                });
            }
            if volume_states[state] != "unlisted" {
                volumes.push(Volume {
                    tags: own,
                    state: VolumeState::parse(volume_states[state]),
                    ..volume(&id, &[], &names)
                });
            }
        }
        (instances, volumes)
    })
}

/// Every picked volume, as often as it is picked.
fn all_picked(picked: &Picked) -> Vec<VolumeId> {
    let in_sets = picked.sets.iter().flat_map(|set| {
        let unusable = set.unusable.iter().map(|(id, _)| id.clone());
        set.volumes.iter().cloned().chain(unusable)
    });
    in_sets
        .chain(picked.volumes.iter().map(|v| v.volume.clone()))
        .collect()
}

proptest! {
    #[test]
    fn order_does_not_matter_and_every_volume_is_picked_at_most_once(
        (instances, volumes) in any_account(), seed in any::<prop::sample::Selector>(),
        boot in any::<bool>(), data in any::<bool>(),
    ) {
        let policy = policy("volumes", &format!(
            "{{ instances: {{ tags: {{ Backup: nightly }} }}, \
                volumes: {{ tags: {{ Backup: [nightly, weekly] }} }}, \
                exclude: {{ tags: {{ Scratch: \"*\" }}, boot_volumes: {boot}, \
                data_volumes: {data} }} }}"));
        let picked = pick(&policy, &instances, &volumes);

        let key = |text: &str| seed.select(text.bytes().map(usize::from).chain(0..97));
        let (mut other_instances, mut other_volumes) = (instances.clone(), volumes.clone());
        other_instances.sort_by_key(|i| (key(i.id.as_str()), i.id.as_str().len()));
        other_volumes.reverse();
        for volume in &mut other_volumes {
            volume.attachments.reverse();
        }
        other_instances.reverse();
        prop_assert_eq!(&picked, &pick(&policy, &other_instances, &other_volumes));

        let all = all_picked(&picked);
        let once: BTreeSet<&VolumeId> = all.iter().collect();
        prop_assert_eq!(once.len(), all.len());

        let listed: BTreeMap<&VolumeId, &Volume> = volumes.iter().map(|v| (&v.id, v)).collect();
        for volume in &volumes {
            let scratch = volume.tags.contains_key("Scratch");
            let tagged = volume.tags.contains_key("Backup");
            let free = volume.attachments.iter().all(|a| a.instance == inst("i-5"));
            // Without a known machine only the volume's own tags count, and they do count.
            if scratch || (free && !tagged) {
                prop_assert!(!once.contains(&volume.id));
            } else if free {
                prop_assert!(once.contains(&volume.id));
            }
        }
        for set in &picked.sets {
            let machine = instances.iter().find(|i| i.id == set.instance).unwrap();
            prop_assert!(!machine.tags.contains_key("Scratch"));
            let gone = [InstanceState::ShuttingDown, InstanceState::Terminated];
            prop_assert!(!gone.contains(&machine.state));
            prop_assert!(!set.volumes.is_empty() || !set.unusable.is_empty());
            for id in &set.volumes {
                let state = &listed[id].state;
                prop_assert!(matches!(state, VolumeState::Available | VolumeState::InUse));
            }
            // The call makes snapshots of exactly the picked ones: attached less excluded.
            let root = machine.root_volume();
            let snapped: Vec<VolumeId> = machine
                .devices
                .iter()
                .filter_map(|d| d.volume.clone())
                .filter(|id| !set.not_picked.contains(id))
                .filter(|id| !(set.boot_excluded && Some(id) == root))
                .filter(|id| !set.unusable.contains(&(id.clone(), missing())))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
            prop_assert_eq!(&snapped, &set.volumes);
            prop_assert!(!set.not_picked.iter().any(|id| Some(id) == root));
        }
    }
}
