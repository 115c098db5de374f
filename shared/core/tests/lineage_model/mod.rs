//! An account and Holdfast's records of it, as plain data: what a reconcile reads and writes.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact::{ArtifactKind, Stamp};
use holdfast_core::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceState, Listing, MappingTarget, Snapshot,
    SnapshotState, Source, Tags, Volume, VolumeState,
};
use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord, SlotState};
use holdfast_core::plan::reconcile::{
    Changes, Recorded, Scope, Seen, SlotKey, reconcile, siblings, swept, unlisted, wanted,
};
use holdfast_core::ports::records::{Absence, OpenSource};
use holdfast_core::ports::{CallError, ErrorClass};
use holdfast_core::report::Item;
use jiff::{SignedDuration, Timestamp};

pub const ACCOUNT: &str = "111122223333";

/// The time that comparisons are made for.
pub fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

pub fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

/// The wall clock: here the same.
pub fn wall() -> Timestamp {
    now()
}

#[derive(Clone, Debug, Default)]
pub struct Account {
    pub snapshots: Vec<Snapshot>,
    pub images: Vec<Image>,
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
    /// Lists that end early, here with nothing read.
    pub unread: BTreeSet<Source>,
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub nodes: BTreeMap<String, Node>,
    pub edges: BTreeSet<Edge>,
    pub absences: BTreeMap<String, Absence>,
    pub slots: BTreeMap<SlotKey, SlotRecord>,
    pub open: BTreeSet<OpenSource>,
    /// What Holdfast deleted as a failed backup.
    pub swept_failures: BTreeSet<String>,
}

pub fn tags(kind: ArtifactKind, source: &str, slot: Timestamp, run: &str) -> Tags {
    Stamp {
        kind,
        policy: "p",
        source,
        slot,
        run,
        group: None,
    }
    .tags()
}

pub fn snapshot(id: &str, volume: &str, state: SnapshotState, tags: Tags) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new(volume)),
        state,
        start: Some(ago(600)),
        owner: Some(ACCOUNT.into()),
        owner_alias: None,
        size_gib: Some(8),
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags,
    }
}

pub fn image(id: &str, instance: &str, state: ImageState, backing: &[&str], tags: Tags) -> Image {
    let mapping = |(n, id): (usize, &&str)| ImageMapping {
        device: format!("/dev/sd{n}"),
        target: MappingTarget::Ebs(Some(SnapshotId::new(*id))),
    };
    Image {
        id: ImageId::new(id),
        name: None,
        state,
        state_reason: None,
        deregistration_protected: false,
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        owner: Some(ACCOUNT.into()),
        created: Some(ago(600)),
        source_instance: Some(InstanceId::new(instance)),
        root_device: None,
        mappings: backing.iter().enumerate().map(mapping).collect(),
        tags,
    }
}

pub fn instance(id: &str, image: Option<&str>, state: InstanceState) -> Instance {
    Instance {
        id: InstanceId::new(id),
        state,
        image: image.map(ImageId::new),
        instance_type: None,
        launched: None,
        root_device: None,
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: Vec::new(),
        tags: Tags::new(),
    }
}

pub fn volume(id: &str) -> Volume {
    Volume {
        id: VolumeId::new(id),
        state: VolumeState::InUse,
        volume_type: None,
        size_gib: None,
        created: None,
        kms_key: None,
        attachments: Vec::new(),
        tags: Tags::new(),
    }
}

pub fn slot_record(source: &str, slot: Timestamp, artifacts: &[&str]) -> SlotRecord {
    SlotRecord {
        policy: "p".into(),
        slot,
        source: source.into(),
        request: None,
        trigger: None,
        scheduled: true,
        state: SlotState::Created,
        run: "r".into(),
        attempt: 1,
        requested_at: Some(slot),
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

impl Account {
    fn list<T>(&self, source: Source, items: Vec<T>) -> Listing<T> {
        if !self.unread.contains(&source) {
            return Listing::complete(source, items, wall());
        }
        let mut list = Listing::complete(source, Vec::new(), wall());
        list.error = Some(CallError {
            operation: "Describe",
            resource: "*".into(),
            code: Some("RequestLimitExceeded".into()),
            class: ErrorClass::Throttled,
            message: "page 1".into(),
        });
        list
    }

    fn named(&self, ids: &BTreeSet<SnapshotId>) -> Vec<Snapshot> {
        let found = self.snapshots.iter().filter(|s| ids.contains(&s.id));
        found.cloned().collect()
    }
}

impl Table {
    pub fn record(&mut self, node: Node) {
        let Some(before) = self.nodes.get(&node.id) else {
            self.nodes.insert(node.id.clone(), node);
            return;
        };
        let state = before.state.after(node.state, before.changed, node.changed);
        let changed = if state == before.state {
            before.changed
        } else {
            node.changed
        };
        let merged = Node {
            id: node.id.clone(),
            state,
            changed,
            policy: node.policy.or(before.policy.clone()),
            slot: node.slot.or(before.slot),
            run: node.run.or(before.run.clone()),
            source: node.source.or(before.source.clone()),
            time: node.time.or(before.time),
            ..Node::new(&node.id, state, changed)
        };
        self.nodes.insert(node.id, merged);
    }

    pub fn state(&self, id: &str) -> Option<NodeState> {
        self.nodes.get(id).map(|node| node.state)
    }

    fn roster(&self) -> BTreeMap<String, NodeState> {
        let standing = self.nodes.values();
        standing
            .filter(|node| node.is_artifact() && !node.state.is_over())
            .map(|node| (node.id.clone(), node.state))
            .collect()
    }

    pub fn apply(&mut self, changes: &Changes) {
        for (key, change) in &changes.slots {
            assert_eq!(self.slots.get(key), Some(&change.before));
            if let Some(after) = &change.after {
                self.slots.insert(key.clone(), after.clone());
            }
            self.open
                .extend(change.reopen.iter().map(|(_, open)| open.clone()));
        }
        for unit in &changes.units {
            self.edges.extend(unit.edges.iter().cloned());
            for node in &unit.nodes {
                self.record(node.clone());
            }
            match unit.absence {
                Some(Some(absence)) => {
                    self.absences.insert(unit.id.clone(), absence);
                }
                Some(None) => {
                    self.absences.remove(&unit.id);
                }
                None => {}
            }
        }
    }
}

/// What a comparison of everything comes to.
pub fn compare(account: &Account, table: &Table, late: bool, now: Timestamp) -> Changes {
    compared(account, table, Scope::All { late }, now, &BTreeMap::new())
}

/// What an event about these artifacts comes to.
pub fn hear(account: &Account, table: &Table, ids: &BTreeSet<String>) -> Changes {
    compared(
        account,
        table,
        Scope::Artifacts(ids),
        now(),
        &BTreeMap::new(),
    )
}

pub fn compared(
    account: &Account,
    table: &Table,
    scope: Scope<'_>,
    now: Timestamp,
    deletions: &BTreeMap<String, holdfast_core::plan::reconcile::OwnDeletion>,
) -> Changes {
    let within = |id: &str| match scope {
        Scope::All { .. } => true,
        Scope::Artifacts(ids) => ids.contains(id),
    };
    let managed = |s: &&Snapshot| match scope {
        Scope::All { .. } => s.tags.contains_key("holdfast:managed"),
        Scope::Artifacts(ids) => ids.contains(s.id.as_str()),
    };
    let snapshots = account.snapshots.iter().filter(managed).cloned().collect();
    let snapshots = account.list(Source::Snapshots, snapshots);
    let images = account.images.iter().filter(|i| within(i.id.as_str()));
    let images = account.list(Source::Images, images.cloned().collect());
    let everything = matches!(scope, Scope::All { .. });
    let instances = account.list(Source::Instances, account.instances.clone());
    let volumes = account.list(Source::Volumes, account.volumes.clone());
    let mut named = Listing::complete(Source::Snapshots, Vec::new(), wall());
    let mut roster = table.roster();
    roster.retain(|id, _| within(id));
    let mut recorded = Recorded {
        roster,
        ..Recorded::default()
    };
    if everything {
        recorded.absences = table.absences.clone();
    }
    macro_rules! seen {
        () => {
            Seen {
                snapshots: &snapshots,
                named: &named,
                images: &images,
                instances: everything.then_some(&instances),
                volumes: everything.then_some(&volumes),
                account: Some(ACCOUNT),
            }
        };
    }
    let ids = unlisted(&seen!(), &recorded.roster, scope);
    named.items.extend(account.named(&ids));
    // Nothing but what is asked for is read.
    let wanted = wanted(&seen!(), &recorded, scope, now);
    let nodes = table
        .nodes
        .iter()
        .filter(|(id, _)| wanted.nodes.contains(*id));
    recorded.nodes = nodes.map(|(id, node)| (id.clone(), node.clone())).collect();
    recorded.edges = table.edges.intersection(&wanted.edges).cloned().collect();
    let slots = table
        .slots
        .iter()
        .filter(|(key, _)| wanted.slots.contains(key));
    recorded.slots = slots
        .map(|(key, slot)| (key.clone(), slot.clone()))
        .collect();
    let deletions = deletions
        .iter()
        .filter(|(id, _)| wanted.deletions.contains(*id));
    recorded.deletions = deletions.map(|(id, own)| (id.clone(), *own)).collect();
    let failures = table.swept_failures.iter();
    let failures = failures.filter(|id| wanted.deletions.contains(*id));
    recorded.swept_failures = failures.cloned().collect();
    for key in swept(&recorded) {
        let slot = table.slots.get(&key);
        recorded.slots.extend(slot.map(|slot| (key, slot.clone())));
    }
    let ids = siblings(&seen!(), &recorded.slots);
    named.items.extend(account.named(&ids));
    reconcile(&seen!(), &recorded, scope, now, wall())
}

/// Everything that changes say, in any order.
pub fn said(changes: &Changes) -> Vec<Item> {
    let slots = changes.slots.values().flat_map(|change| &change.items);
    let units = changes.units.iter().flat_map(|unit| &unit.items);
    slots.chain(units).chain(&changes.items).cloned().collect()
}

/// The reason codes said about a resource, with the outcome.
pub fn about(changes: &Changes, id: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let items = said(changes).into_iter().filter(|item| item.resource == id);
    let plain = items.map(|item| {
        let codes = item.reasons.iter().map(|reason| reason.code.as_str());
        (item.outcome.as_str(), codes.collect())
    });
    plain.collect()
}
