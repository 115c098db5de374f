//! What a table takes in it gives back, but for what it says it leaves out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::table::{ImageTable, SnapshotTable};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, MappingTarget, Snapshot, SnapshotState, Tags,
};
use jiff::Timestamp;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{17}".prop_map(|hex| format!("snap-{hex}")),
        "[0-9a-f]{8}".prop_map(|hex| format!("vol-{hex}")),
        "[0-9]{1,3}".prop_map(|n| format!("ami-{n}")),
        "(i-|snap-|)[a-zA-Z-]{0,6}",
    ]
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    prop::option::of(
        (0..2_000_000_000_000i64).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap()),
    )
}

/// Tags that decisions rest on, and others.
fn tags() -> impl Strategy<Value = Tags> {
    let key = prop::sample::select(vec![
        "holdfast:managed",
        "holdfast:source",
        "holdfast:slot",
        "holdfast:pin",
        "aws:backup:x",
        "Ec2ImageBuilderArn",
        "Name",
        "team",
    ]);
    prop::collection::btree_map(key.prop_map(str::to_owned), text(), 0..6)
}

/// By hand, from the table's documentation.
fn deciding(mut tags: Tags) -> Tags {
    tags.remove("Name");
    tags.remove("team");
    tags
}

prop_compose! {
    fn snapshot()(
        id in text(), volume in some_text(), start in time(), owner in some_text(),
        (alias, tier, message) in (some_text(), some_text(), some_text()),
        state in prop_oneof![Just("completed"), Just("pending"), Just("never-seen")],
        size_gib in prop::option::of(any::<i32>()), tags in tags(),
    ) -> Snapshot {
        Snapshot {
            id: SnapshotId::new(id),
            volume: volume.map(VolumeId::new),
            state: SnapshotState::parse(state),
            start,
            owner,
            owner_alias: alias,
            size_gib,
            tier,
            state_message: message,
            description: String::new(),
            tags,
        }
    }
}

fn mapping() -> impl Strategy<Value = ImageMapping> {
    let target = prop_oneof![
        some_text().prop_map(|id| MappingTarget::Ebs(id.map(SnapshotId::new))),
        text().prop_map(MappingTarget::InstanceStore),
        Just(MappingTarget::Other),
    ];
    (text(), target).prop_map(|(device, target)| ImageMapping { device, target })
}

prop_compose! {
    fn image()(
        id in text(), name in some_text(), owner in some_text(), reason in some_text(),
        (created, last_launched, deprecated) in (time(), time(), time()),
        (instance, source, region, root) in (some_text(), some_text(), some_text(), some_text()),
        (protected, public) in (any::<bool>(), any::<bool>()),
        state in prop_oneof![Just("available"), Just("disabled"), Just("never-seen")],
        mappings in prop::collection::vec(mapping(), 0..4), tags in tags(),
    ) -> Image {
        Image {
            id: ImageId::new(id),
            name,
            state: ImageState::parse(state),
            state_reason: reason,
            deregistration_protected: protected,
            owner,
            created,
            source_instance: instance.map(InstanceId::new),
            source_image: source.map(ImageId::new),
            source_region: region,
            last_launched,
            deprecated,
            public,
            root_device: root,
            mappings,
            tags,
        }
    }
}

proptest! {
    #[test]
    fn snapshots_come_back_one_by_one_and_over_one_another(
        snapshots in prop::collection::vec(snapshot(), 0..30)
    ) {
        let table: SnapshotTable = snapshots.iter().cloned().collect();
        let expected: Vec<Snapshot> = snapshots
            .into_iter()
            .map(|s| Snapshot { tags: deciding(s.tags.clone()), ..s })
            .collect();
        prop_assert_eq!(table.iter().collect::<Vec<_>>(), expected.clone());
        let mut over = table.get(0);
        if let Some(over) = &mut over {
            for (row, snapshot) in expected.iter().enumerate() {
                prop_assert!(table.read_into(row, over));
                prop_assert_eq!(&*over, snapshot);
                prop_assert_eq!(table.id_text(row), Some(snapshot.id.to_string()));
                prop_assert_eq!(table.start(row), snapshot.start);
            }
            prop_assert!(!table.read_into(expected.len(), over));
        }
        let index = table.index();
        for (row, snapshot) in expected.iter().enumerate() {
            let found = index[&table.pack(&snapshot.id).unwrap()] as usize;
            prop_assert!(found <= row);
            prop_assert_eq!(&expected[found].id, &snapshot.id);
        }
    }

    #[test]
    fn images_come_back_one_by_one(images in prop::collection::vec(image(), 0..20)) {
        let table: ImageTable = images.iter().cloned().collect();
        let expected: Vec<Image> = images
            .into_iter()
            .map(|i| Image { tags: deciding(i.tags.clone()), ..i })
            .collect();
        prop_assert_eq!(table.iter().collect::<Vec<_>>(), expected.clone());
        for (row, image) in expected.iter().enumerate() {
            let mapped: Vec<SnapshotId> = table.snapshots(row).collect();
            prop_assert_eq!(mapped, image.snapshots().cloned().collect::<Vec<_>>());
            prop_assert_eq!(table.id_text(row), Some(image.id.to_string()));
            prop_assert_eq!(table.created(row), image.created);
        }
    }
}

#[test]
fn an_identifier_that_the_table_never_saw_is_found_nowhere() {
    let table = SnapshotTable::default();
    assert!(table.is_empty() && table.index().is_empty());
    assert_eq!(table.pack(&SnapshotId::new("snap-odd one")), None);
}
