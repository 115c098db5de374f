//! What a policy leaves out of what it selects.

use holdfast_core::inventory::{Instance, InstanceState, Volume};
use holdfast_core::policy::selection::{Picked, pick};

use super::{NIGHTLY, alone, instance, policy, set, volume};

#[test]
fn exclude_tags_test_the_volume_and_its_instance() {
    let policy = policy(
        "volumes",
        "{ instances: { tags: { Backup: nightly } }, volumes: { tags: { Backup: nightly } }, \
           exclude: { tags: { Scratch: \"*\", Env: dev } } }",
    );
    let scratch: &[(&str, &str)] = &[("Backup", "nightly"), ("Scratch", "yes")];
    let dev: &[(&str, &str)] = &[("Backup", "nightly"), ("Env", "dev")];
    let instances = [
        instance("i-a", NIGHTLY, &["vol-1", "vol-2"]),
        instance("i-b", dev, &["vol-3"]),
    ];
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", scratch, &["i-a"]),
        volume("vol-3", NIGHTLY, &["i-b"]),
        volume("vol-4", scratch, &[]),
    ];
    let picked = pick(&policy, &instances, &volumes);
    assert_eq!(picked.sets, [set("i-a", &["vol-1"], &["vol-2"], false)]);
    assert_eq!(picked.volumes, []);
}

#[test]
fn exclude_boot_volumes_leaves_root_volumes_out() {
    let policy = policy(
        "volumes",
        "{ instances: { tags: { Backup: nightly } }, exclude: { boot_volumes: true } }",
    );
    let instances = [
        instance("i-a", NIGHTLY, &["vol-1", "vol-2"]),
        instance("i-b", NIGHTLY, &["vol-3"]),
    ];
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", &[], &["i-a"]),
        volume("vol-3", &[], &["i-b"]),
    ];
    let picked = pick(&policy, &instances, &volumes);
    assert_eq!(picked.sets, [set("i-a", &["vol-2"], &[], true)]);
}

/// A volume of this type and size.
fn of(mut volume: Volume, kind: &str, gib: i32) -> Volume {
    volume.volume_type = Some(kind.to_owned());
    volume.size_gib = Some(gib);
    volume
}

/// A machine with a root of 8 GiB and three data volumes, and two volumes by themselves.
fn of_types_and_sizes() -> ([Instance; 1], Vec<Volume>) {
    let machine = instance("i-a", NIGHTLY, &["vol-1", "vol-2", "vol-3", "vol-4"]);
    let volumes = vec![
        of(volume("vol-1", &[], &["i-a"]), "gp3", 8),
        of(volume("vol-2", &[], &["i-a"]), "st1", 500),
        of(volume("vol-3", &[], &["i-a"]), "gp3", 100),
        of(volume("vol-4", &[], &["i-a"]), "io2", 501),
        of(volume("vol-5", NIGHTLY, &[]), "sc1", 125),
        of(volume("vol-6", NIGHTLY, &[]), "gp3", 2),
    ];
    ([machine], volumes)
}

fn excluding(exclude: &str) -> Picked {
    let both = "instances: { tags: { Backup: nightly } }, volumes: { tags: { Backup: nightly } }";
    let policy = policy("volumes", &format!("{{ {both}, exclude: {exclude} }}"));
    let (instances, volumes) = of_types_and_sizes();
    pick(&policy, &instances, &volumes)
}

#[test]
fn exclude_volume_types_leaves_volumes_of_these_types_out_attached_or_not() {
    let picked = excluding("{ volume_types: [st1, sc1] }");
    let taken = set("i-a", &["vol-1", "vol-3", "vol-4"], &["vol-2"], false);
    assert_eq!(picked.sets, [taken]);
    assert_eq!(picked.volumes, [alone("vol-6")]);
    // The root is left out by its own switch, as EC2 wants it.
    let picked = excluding("{ volume_types: [gp3] }");
    let taken = set("i-a", &["vol-2", "vol-4"], &["vol-3"], true);
    assert_eq!(picked.sets, [taken]);
}

#[test]
fn exclude_by_size_takes_the_bounds_themselves() {
    let picked = excluding("{ larger_than_gib: 500 }");
    let taken = set("i-a", &["vol-1", "vol-2", "vol-3"], &["vol-4"], false);
    assert_eq!(picked.sets, [taken]);
    assert_eq!(picked.volumes, [alone("vol-5"), alone("vol-6")]);
    let picked = excluding("{ smaller_than_gib: 100 }");
    let taken = set("i-a", &["vol-2", "vol-3", "vol-4"], &[], true);
    assert_eq!(picked.sets, [taken]);
    assert_eq!(picked.volumes, [alone("vol-5")]);
    let picked = excluding("{ smaller_than_gib: 100, larger_than_gib: 100 }");
    let taken = set("i-a", &["vol-3"], &["vol-2", "vol-4"], true);
    assert_eq!(picked.sets, [taken]);
    assert_eq!(picked.volumes, []);
}

#[test]
fn exclude_data_volumes_takes_roots_and_what_is_attached_to_nothing() {
    let picked = excluding("{ data_volumes: true }");
    let data = ["vol-2", "vol-3", "vol-4"];
    assert_eq!(picked.sets, [set("i-a", &["vol-1"], &data, false)]);
    assert_eq!(picked.volumes, [alone("vol-5"), alone("vol-6")]);
    let picked = excluding("{ data_volumes: true, boot_volumes: true }");
    assert_eq!(picked.sets, []);
    assert_eq!(picked.volumes, [alone("vol-5"), alone("vol-6")]);
}

#[test]
fn what_is_not_known_of_a_volume_excludes_it_from_nothing() {
    let all = "{ volume_types: [gp3], smaller_than_gib: 100, larger_than_gib: 500 }";
    let select = format!("{{ instances: {{ tags: {{ Backup: nightly }} }}, exclude: {all} }}");
    let machine = instance("i-a", NIGHTLY, &["vol-1", "vol-2"]);
    // Type and size are not told of either.
    let volumes = [
        volume("vol-1", &[], &["i-a"]),
        volume("vol-2", &[], &["i-a"]),
    ];
    let picked = pick(
        &policy("volumes", &select),
        std::slice::from_ref(&machine),
        &volumes,
    );
    let both = set("i-a", &["vol-1", "vol-2"], &[], false);
    assert_eq!(picked.sets, [both]);

    // A root that only the volume's own description shows is no data volume.
    let data = "{ instances: { tags: { Backup: nightly } }, exclude: { data_volumes: true } }";
    let mut lagging = machine;
    lagging.devices.clear();
    let mut root = volume("vol-1", &[], &["i-a"]);
    root.attachments[0].device = "/dev/sda".to_owned();
    let picked = pick(&policy("volumes", data), &[lagging], &[root]);
    assert_eq!(picked.sets, [set("i-a", &["vol-1"], &[], false)]);
}

#[test]
fn a_volume_excluded_on_its_only_instance_does_not_stand_alone_while_that_is_dying() {
    let select = "{ volumes: { tags: { Backup: nightly } }, exclude: { data_volumes: true } }";
    let mut dying = instance("i-a", &[], &["vol-1", "vol-2"]);
    dying.state = InstanceState::ShuttingDown;
    let volumes = [
        volume("vol-1", NIGHTLY, &["i-a"]),
        volume("vol-2", NIGHTLY, &["i-a"]),
    ];
    let picked = pick(&policy("volumes", select), &[dying], &volumes);
    assert_eq!(picked.volumes, [alone("vol-1")]);
    // Once it is detached, nothing says that it was ever anybody's data.
    let detached = [volume("vol-2", NIGHTLY, &[])];
    let picked = pick(&policy("volumes", select), &[], &detached);
    assert_eq!(picked.volumes, [alone("vol-2")]);
}
