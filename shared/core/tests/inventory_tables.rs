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
            kms_key: message.clone(),
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
        Just(MappingTarget::NoDevice),
        Just(MappingTarget::Unknown),
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
        for (row, snapshot) in expected.iter().enumerate() {
            let first = expected.iter().position(|s| s.id == snapshot.id);
            prop_assert_eq!(table.find(snapshot.id.as_str()), first);
            prop_assert_eq!(table.pack(&snapshot.id), table.id(row));
            prop_assert_eq!(table.state(row), Some(snapshot.state.clone()));
            prop_assert_eq!(table.volume(row), snapshot.volume.as_ref().map(VolumeId::as_str));
            for key in ["holdfast:source", "holdfast:slot", "team"] {
                prop_assert_eq!(table.tag(row, key), snapshot.tags.get(key).map(String::as_str));
            }
        }
        let index = table.index();
        let again = index.repeated();
        for (row, snapshot) in (0u32..).zip(&expected) {
            let same = |s: &Snapshot| s.id == snapshot.id;
            prop_assert_eq!(index.find(&snapshot.id), expected.iter().rposition(same));
            let first = expected.iter().position(same) == Some(row as usize);
            prop_assert_eq!(again.contains(&row), !first);
        }
        let completed = table.in_state(&SnapshotState::Completed).collect::<Vec<_>>();
        let rows = expected.iter().enumerate();
        let expected = rows.filter(|(_, s)| s.state == SnapshotState::Completed);
        prop_assert_eq!(completed, expected.map(|(row, _)| row).collect::<Vec<_>>());
    }

    #[test]
    fn a_changed_row_is_the_only_one_that_changes(
        snapshots in prop::collection::vec(snapshot(), 1..10), other in snapshot(), at in 0..10usize,
    ) {
        let mut table: SnapshotTable = snapshots.iter().cloned().collect();
        let mut expected: Vec<Snapshot> = table.iter().collect();
        table.update(at, |one| *one = other.clone());
        if let Some(changed) = expected.get_mut(at) {
            *changed = Snapshot { tags: deciding(other.tags.clone()), ..other };
        }
        prop_assert_eq!(table.iter().collect::<Vec<_>>(), expected.clone());
        table.truncate(1);
        prop_assert_eq!(table.iter().collect::<Vec<_>>(), expected[..1].to_vec());
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
    assert!(table.is_empty() && table.index().repeated().is_empty());
    assert_eq!(table.pack(&SnapshotId::new("snap-odd one")), None);
}
