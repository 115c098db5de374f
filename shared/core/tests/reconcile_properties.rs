//! What must hold of every reconcile, over random accounts, records and events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lineage_model;

use std::collections::BTreeSet;

use holdfast_core::artifact::ArtifactKind;
use holdfast_core::inventory::{
    Image, ImageState, Instance, InstanceState, Snapshot, SnapshotState, Source, Tags,
};
use holdfast_core::lineage::{Node, NodeKind, NodeState, SlotState};
use holdfast_core::plan::reconcile::SlotKey;
use holdfast_core::ports::records::Absence;
use lineage_model::*;
use proptest::prelude::*;

const VOLUMES: usize = 4;
const MACHINES: usize = 3;

fn volume_id(n: usize) -> String {
    format!("vol-{n}")
}

fn machine(n: usize) -> String {
    format!("i-{n}")
}

prop_compose! {
    /// A snapshot of a volume, or of a machine's set, or one that backs an AMI.
    fn any_snapshot(n: usize)(
        volume in 0..VOLUMES,
        source in prop_oneof![
            (0..VOLUMES).prop_map(volume_id),
            (0..MACHINES).prop_map(machine),
        ],
        hours in 0..4i64,
        kind in prop::sample::select(vec![
            ArtifactKind::Snapshot, ArtifactKind::Snapshot, ArtifactKind::ImageSnapshot,
        ]),
        state in prop::sample::select(vec![
            SnapshotState::Completed, SnapshotState::Completed, SnapshotState::Pending,
            SnapshotState::Error, SnapshotState::Recoverable,
        ]),
        copy in prop::bool::weighted(0.1),
        untagged in prop::bool::weighted(0.1),
    ) -> Snapshot {
        let volume = if copy { "vol-ffffffff".to_owned() } else { volume_id(volume) };
        let slot = ago(60 * hours);
        let tags = if untagged { Tags::new() } else { tags(kind, &source, slot, "r") };
        let mut made = snapshot(&format!("snap-{n}"), &volume, state, tags);
        made.start = Some(slot);
        made
    }
}

prop_compose! {
    fn any_image(n: usize, snapshots: usize)(
        source in (0..MACHINES).prop_map(machine),
        hours in 0..40i64,
        state in prop::sample::select(vec![
            ImageState::Available, ImageState::Available, ImageState::Pending,
            ImageState::Failed, ImageState::Disabled, ImageState::Deregistered,
            ImageState::Transient,
        ]),
        backing in prop::collection::btree_set(0..snapshots + 1, 0..3),
    ) -> Image {
        let slot = ago(60 * hours);
        let backing: Vec<String> = backing.into_iter().map(|n| format!("snap-{n}")).collect();
        let backing: Vec<&str> = backing.iter().map(String::as_str).collect();
        let tags = tags(ArtifactKind::Image, &source, slot, "r");
        let mut made = image(&format!("ami-{n}"), &source, state, &backing, tags);
        made.created = Some(slot);
        made
    }
}

prop_compose! {
    fn any_instance(n: usize)(
        state in prop::sample::select(vec![InstanceState::Running, InstanceState::Terminated]),
        from in prop::option::of(0..3usize),
    ) -> Instance {
        let from = from.map(|n| format!("ami-{n}"));
        instance(&machine(n), from.as_deref(), state)
    }
}

prop_compose! {
    fn any_account()(count in 0..10usize)(
        snapshots in (0..count).map(any_snapshot).collect::<Vec<_>>(),
        images in (0..3).map(|n| any_image(n, count)).collect::<Vec<_>>(),
        instances in (0..MACHINES).map(any_instance).collect::<Vec<_>>(),
        volumes in prop::collection::btree_set(0..VOLUMES, 0..VOLUMES),
    ) -> Account {
        Account {
            snapshots,
            images,
            instances,
            volumes: volumes.into_iter().map(|n| volume(&volume_id(n))).collect(),
            unread: BTreeSet::new(),
        }
    }
}

/// Records of an account's past: some artifacts, some that are no longer there, absences, and a
/// slot for each source and time that is made of all of its artifacts.
fn any_table(account: &Account) -> impl Strategy<Value = Table> + use<> {
    let mut ids: Vec<String> = account.snapshots.iter().map(|s| s.id.to_string()).collect();
    ids.extend(account.images.iter().map(|image| image.id.to_string()));
    ids.extend(["snap-77".into(), "ami-77".into()]);
    ids.extend((0..VOLUMES).map(volume_id));
    let tagged = account
        .snapshots
        .iter()
        .map(|s| (s.id.to_string(), &s.tags));
    let tagged = tagged.chain(account.images.iter().map(|i| (i.id.to_string(), &i.tags)));
    let mut slots = Table::default();
    for (id, tags) in tagged {
        let kind = tags.get("holdfast:artifact").map(String::as_str);
        if !matches!(kind, Some("snapshot" | "image")) {
            continue;
        }
        let at = tags["holdfast:slot"].parse().unwrap();
        let blank = slot_record(&tags["holdfast:source"], at, &[]);
        let key = SlotKey::of(&blank);
        let record = slots.slots.entry(key).or_insert(blank);
        // One call makes a set of snapshots, or one AMI.
        if kind == Some("snapshot") || record.artifacts.is_empty() {
            record.artifacts.push(id);
        }
    }
    let states = vec![
        None,
        Some(NodeState::Pending),
        Some(NodeState::Pending),
        Some(NodeState::Completed),
        Some(NodeState::Error),
        Some(NodeState::Deleting),
        Some(NodeState::Deleted),
        Some(NodeState::Gone),
    ];
    let each = || {
        let state = prop::sample::select(states.clone());
        let absence = prop::option::weighted(0.3, 0..10i64);
        (state, absence, prop::sample::select(vec![5i64, 60]))
    };
    let steps = prop::sample::select(vec![
        SlotState::Created,
        SlotState::Created,
        SlotState::Requested,
        SlotState::Completed,
        SlotState::Failed,
    ]);
    let past = prop::collection::vec((each(), 0..4u32, steps), ids.len() + 20);
    past.prop_map(move |past| {
        let mut table = slots.clone();
        for (id, ((state, absence, age), ..)) in ids.iter().zip(&past) {
            let source = matches!(NodeKind::of(id), NodeKind::Volume);
            let image = matches!(NodeKind::of(id), NodeKind::Image);
            let state = match state {
                Some(NodeState::Completed) if image => Some(NodeState::Available),
                Some(_) if source => Some(NodeState::Present),
                other => *other,
            };
            if let Some(state) = state {
                table.record(Node::new(id, state, ago(*age)));
            }
            if let Some(minutes) = absence {
                let first = ago(*minutes);
                let confirmed = None;
                table
                    .absences
                    .insert(id.clone(), Absence { first, confirmed });
            }
        }
        for (record, (_, failures, state)) in table.slots.values_mut().zip(past.iter().rev()) {
            record.state = *state;
            record.failures = (*failures).min(2);
            if *state == SlotState::Failed {
                record.lost = std::mem::take(&mut record.artifacts);
                record.failures += 1;
                record.permanent = record.failures >= 3;
            }
        }
        table
    })
}

fn world() -> impl Strategy<Value = (Account, Table)> {
    any_account().prop_flat_map(|account| {
        let table = any_table(&account);
        (Just(account), table)
    })
}

fn events(account: &Account) -> impl Strategy<Value = Vec<BTreeSet<String>>> + use<> {
    let snapshots = account.snapshots.iter().map(|s| s.id.to_string());
    let images = account.images.iter().map(|image| image.id.to_string());
    let gone = ["snap-77".to_owned(), "ami-77".to_owned()];
    let ids: Vec<String> = snapshots.chain(images).chain(gone).collect();
    let named = prop::collection::btree_set(prop::sample::select(ids), 1..4);
    prop::collection::vec(named, 0..8)
}

/// The order of two lists of sentences is not what is compared.
fn sorted(changes: &holdfast_core::plan::reconcile::Changes) -> Vec<String> {
    let mut said: Vec<String> = said(changes)
        .iter()
        .map(|item| format!("{item:?}"))
        .collect();
    said.sort();
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn written_once_there_is_nothing_left_to_write((account, mut table) in world()) {
        let changes = compare(&account, &table, false, now());
        table.apply(&changes);
        let again = compare(&account, &table, false, now());
        prop_assert!(again.writes_nothing(), "{again:#?}");
    }

    #[test]
    fn the_order_of_the_lists_says_nothing((account, table) in world()) {
        let mut turned = account.clone();
        turned.snapshots.reverse();
        turned.images.reverse();
        turned.instances.reverse();
        turned.volumes.reverse();
        // A page that changed while it was read brings an item twice.
        turned.snapshots.extend(account.snapshots.first().cloned());
        let (one, other) = (
            compare(&account, &table, false, now()),
            compare(&turned, &table, false, now()),
        );
        prop_assert_eq!(sorted(&one), sorted(&other));
        let (mut first, mut second) = (table.clone(), table);
        first.apply(&one);
        second.apply(&other);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn events_in_any_order_twice_or_lost_end_in_the_records_of_the_reconcile_alone(
        ((account, table), events) in world().prop_flat_map(|(account, table)| {
            let events = events(&account);
            (Just((account, table)), events)
        })
    ) {
        let mut alone = table.clone();
        alone.apply(&compare(&account, &alone, false, now()));
        let mut heard = table;
        for ids in &events {
            let changes = hear(&account, &heard, ids);
            heard.apply(&changes);
        }
        heard.apply(&compare(&account, &heard, false, now()));
        // Line by line, so that a failure shows the record.
        let lines = |table: &Table| -> BTreeSet<String> {
            let nodes = table.nodes.iter().map(|entry| format!("{entry:?}"));
            let edges = table.edges.iter().map(|entry| format!("{entry:?}"));
            let absences = table.absences.iter().map(|entry| format!("{entry:?}"));
            let slots = table.slots.iter().map(|entry| format!("{entry:?}"));
            let open = table.open.iter().map(|entry| format!("{entry:?}"));
            nodes.chain(edges).chain(absences).chain(slots).chain(open).collect()
        };
        let (heard, alone) = (lines(&heard), lines(&alone));
        let differ: Vec<&String> = heard.symmetric_difference(&alone).collect();
        prop_assert!(differ.is_empty(), "{differ:#?}");
    }

    #[test]
    fn a_list_that_ends_early_makes_nothing_of_its_kind_absent_or_gone(
        (mut account, table) in world(),
        unread in prop::sample::select(vec![
            Source::Snapshots, Source::Images, Source::Instances, Source::Volumes,
        ]),
    ) {
        account.unread = BTreeSet::from([unread]);
        let kind = match unread {
            Source::Snapshots => NodeKind::Snapshot,
            Source::Images => NodeKind::Image,
            Source::Instances => NodeKind::Instance,
            _ => NodeKind::Volume,
        };
        let changes = compare(&account, &table, false, now());
        for unit in changes.units.iter().filter(|unit| NodeKind::of(&unit.id) == kind) {
            prop_assert!(!matches!(unit.absence, Some(Some(_))), "{unit:?}");
            prop_assert!(unit.nodes.iter().all(|node| !node.state.is_over()), "{unit:?}");
        }
    }

    #[test]
    fn a_slot_is_never_failed_or_completed_against_what_ec2_shows((account, table) in world()) {
        let changes = compare(&account, &table, false, now());
        for change in changes.slots.values() {
            let Some(after) = &change.after else { continue };
            let state = |id: &String| {
                let found = account.snapshots.iter().find(|s| s.id.as_str() == id);
                let snapshot = found.map(|s| s.state.as_str().to_owned());
                let found = account.images.iter().find(|i| i.id.as_str() == id);
                snapshot.or(found.map(|i| i.state.as_str().to_owned())).unwrap_or_default()
            };
            let states: Vec<String> = change.before.artifacts.iter().map(state).collect();
            prop_assert_eq!(change.before.state, SlotState::Created);
            let good = |s: &String| ["completed", "available", "disabled"].contains(&s.as_str());
            let bad = |s: &String| ["error", "failed"].contains(&s.as_str());
            match after.state {
                SlotState::Completed => prop_assert!(states.iter().all(good), "{states:?}"),
                SlotState::Failed => {
                    prop_assert!(states.iter().any(bad), "{states:?}");
                    prop_assert_eq!(change.reopen.is_some(), after.failures < 3);
                    prop_assert_eq!(after.permanent, after.failures == 3);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
