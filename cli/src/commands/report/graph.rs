//! The lineage as a graph: what stands, what it came from, and what uses it.

use std::collections::{BTreeMap, HashMap, HashSet};

use holdfast::dependency::{References, Words as PolicyWords};
use holdfast::id::SnapshotId;
use holdfast::inventory::{Image, Instance, Inventory, Snapshot, Volume};
use holdfast::lineage::{EdgeKind, NodeKind};
use holdfast::plan::judge::{Subject, Verdict, governing};
use holdfast::plan::reconcile::COPY_PLACEHOLDER;
use holdfast::policy::PolicyFile;
use holdfast::report::{Item, Reason};
use jiff::Timestamp;
use serde::Serialize;

use super::words::{NONE, Words};
use crate::output::items::verdict as word;

/// What a node takes on the page beside its texts, and an edge, in bytes, about.
const NODE: usize = 70;
const EDGE: usize = 16;

/// The kind of an edge from what uses something to that.
const USES: &str = "uses";

/// A node: identifier, kind, state, time in seconds since the Unix epoch or 0, policy, verdict,
/// its reasons, and what needs it beside them. All but the time as places of [`Words`].
type Node = (usize, usize, i64, i64, i64, i64, i64, i64);

/// The graph as the page reads it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Names that people gave to some of them, by place.
    pub names: BTreeMap<usize, usize>,
    /// From, to (places of nodes) and kind (place of a text), one after the other. It points from
    /// what depends to what it depends on.
    pub edges: Vec<usize>,
    /// Artifacts for which there was no room, by verdict.
    pub left_out: BTreeMap<String, u64>,
}

/// What the graph is drawn from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The lists.
    pub inventory: &'a Inventory,
    /// Who refers to what.
    pub references: &'a References<'a>,
    /// The policies.
    pub policies: &'a PolicyFile,
    /// The verdicts.
    pub verdicts: &'a [Verdict],
    /// The time that they were come to for.
    pub now: Timestamp,
}

/// Draws the graph, what matters most first, until `room` bytes are taken. `also` are sources to be
/// shown whether or not they have a backup.
#[must_use]
pub fn graph<'a>(
    facts: &Facts<'a>,
    also: impl Iterator<Item = &'a str>,
    words: &mut Words,
    room: usize,
) -> Graph {
    let mut draft = Draft::new(facts, words);
    also.for_each(|id| {
        draft.place(id);
    });
    let mut order: Vec<(&Verdict, Item)> = facts
        .verdicts
        .iter()
        .map(|verdict| (verdict, verdict.planned()))
        .collect();
    // The newest first within what matters alike.
    order.sort_by_key(|(_, item)| (rank(item), std::cmp::Reverse(item.time)));
    for (verdict, item) in &order {
        if draft.taken() < room {
            draft.artifact(verdict, item);
        } else {
            let count = draft.graph.left_out.entry(word(item).to_owned());
            *count.or_default() += 1;
        }
    }
    draft.machines();
    draft.other_images();
    draft.graph
}

/// What is left out last: what goes, then what is held, then what a rule keeps.
fn rank(item: &Item) -> u8 {
    match word(item) {
        "kept" => 2,
        "held" => 1,
        _ => 0,
    }
}

/// A graph in the making.
struct Draft<'a, 'w> {
    facts: Facts<'a>,
    words: &'w mut Words,
    graph: Graph,
    places: HashMap<String, usize>,
    edges: HashSet<(usize, usize, usize)>,
    instances: HashMap<&'a str, &'a Instance>,
    volumes: HashMap<&'a str, &'a Volume>,
}

impl<'a, 'w> Draft<'a, 'w> {
    fn new(facts: &Facts<'a>, words: &'w mut Words) -> Self {
        let instances = facts.inventory.instances.items.iter();
        let volumes = facts.inventory.volumes.items.iter();
        Self {
            facts: *facts,
            words,
            graph: Graph::default(),
            places: HashMap::new(),
            edges: HashSet::new(),
            instances: instances.map(|one| (one.id.as_str(), one)).collect(),
            volumes: volumes.map(|one| (one.id.as_str(), one)).collect(),
        }
    }

    fn taken(&self) -> usize {
        self.words.bytes() + self.graph.nodes.len() * NODE + self.graph.edges.len() * EDGE / 3
    }

    /// The place of a node, drawn with what the lists say where it is not there yet.
    fn place(&mut self, id: &str) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let kind = match NodeKind::of(id) {
            NodeKind::Instance => "instance",
            NodeKind::Volume => "volume",
            NodeKind::Snapshot => "snapshot",
            NodeKind::Image => "image",
            NodeKind::Other => "user",
        };
        let instance = self.instances.get(id).copied();
        let volume = self.volumes.get(id).copied();
        let state = match (instance, volume) {
            (Some(instance), _) => Some(instance.state.to_string()),
            (_, Some(volume)) => Some(volume.state.to_string()),
            _ => self.absent(id),
        };
        let name = instance.map(|i| &i.tags).or(volume.map(|v| &v.tags));
        let name = name.and_then(|tags| tags.get("Name"));
        let node = (
            self.words.text(id),
            self.words.text(kind),
            self.words.optional(state.as_deref()),
            0,
            NONE,
            NONE,
            NONE,
            NONE,
        );
        let place = self.graph.nodes.len();
        self.graph.nodes.push(node);
        self.places.insert(id.to_owned(), place);
        if let Some(name) = name {
            let name = self.words.text(name);
            self.graph.names.insert(place, name);
        }
        place
    }

    /// The state of a source that a complete list lacks.
    fn absent(&self, id: &str) -> Option<String> {
        let inventory = self.facts.inventory;
        match NodeKind::of(id) {
            NodeKind::Instance if inventory.instances.is_complete() => Some("not-listed".into()),
            NodeKind::Volume if inventory.volumes.is_complete() => Some("not-listed".into()),
            _ => None,
        }
    }

    fn edge(&mut self, from: usize, to: usize, kind: &str) {
        let kind = self.words.text(kind);
        if from != to && self.edges.insert((from, to, kind)) {
            self.graph.edges.extend([from, to, kind]);
        }
    }

    /// An artifact with its verdict, what it came from and what uses it.
    fn artifact(&mut self, verdict: &Verdict, item: &Item) {
        let policy = governing(self.facts.policies, &verdict.policy);
        let policy_words = PolicyWords::of(policy, self.facts.now);
        let references = self.facts.references;
        let holders = match &verdict.subject {
            Subject::Snapshot(snapshot) => {
                self.snapshot(snapshot);
                references.holders_of_snapshot(&snapshot.id, &policy_words)
            }
            Subject::Image { image, snapshots } => {
                self.image(image, snapshots);
                let more = snapshots.iter().map(|snapshot| &snapshot.id);
                references.holders_of_image_with_snapshots(image, more, &policy_words)
            }
        };
        let place = self.place(verdict.subject.id());
        for reason in item.reasons.iter().chain(&holders) {
            self.users(reason);
        }
        let beside: Vec<Reason> = holders
            .into_iter()
            .filter(|reason| !item.reasons.contains(reason))
            .collect();
        let policy = self.words.optional(Some(&verdict.policy));
        let word = self.words.optional(Some(word(item)));
        let why = self.words.reasons(&item.reasons);
        let beside = self.words.reasons(&beside);
        if let Some(node) = self.graph.nodes.get_mut(place) {
            (node.4, node.5, node.6, node.7) = (policy, word, why, beside);
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot) -> usize {
        let place = self.place(snapshot.id.as_str());
        self.tell(place, snapshot.state.as_str(), snapshot.start);
        let volume = snapshot.volume.as_ref().map(|volume| volume.as_str());
        if let Some(volume) = volume.filter(|volume| *volume != COPY_PLACEHOLDER) {
            let volume = self.place(volume);
            self.edge(place, volume, EdgeKind::SnapshotOf.as_str());
        }
        place
    }

    fn image(&mut self, image: &Image, listed: &[Snapshot]) {
        let place = self.place(image.id.as_str());
        self.tell(place, image.state.as_str(), image.created);
        for snapshot in listed {
            self.snapshot(snapshot);
        }
        let snapshots: Vec<&SnapshotId> = image.snapshots().collect();
        for id in snapshots {
            let snapshot = self.place(id.as_str());
            self.edge(place, snapshot, EdgeKind::BackedBy.as_str());
        }
        if let Some(instance) = &image.source_instance {
            let instance = self.place(instance.as_str());
            self.edge(place, instance, EdgeKind::ImageOf.as_str());
        }
    }

    fn tell(&mut self, place: usize, state: &str, time: Option<Timestamp>) {
        let state = self.words.optional(Some(state));
        if let Some(node) = self.graph.nodes.get_mut(place) {
            (node.2, node.3) = (state, time.map_or(0, Timestamp::as_second));
        }
    }

    /// What a reason's path leads to.
    fn users(&mut self, reason: &Reason) {
        for pair in reason.path.windows(2) {
            let (used, user) = (self.place(&pair[0]), self.place(&pair[1]));
            let kind = match (NodeKind::of(&pair[0]), NodeKind::of(&pair[1])) {
                (NodeKind::Snapshot, NodeKind::Image) => EdgeKind::BackedBy.as_str(),
                (NodeKind::Image, NodeKind::Instance) => EdgeKind::LaunchedFrom.as_str(),
                // The path of an AMI to one of its snapshots, and on to what needs that.
                (NodeKind::Image, NodeKind::Snapshot) => continue,
                _ => USES,
            };
            self.edge(user, used, kind);
        }
    }

    /// What the volumes that are drawn are attached to, and what the instances were launched from.
    fn machines(&mut self) {
        let inventory = self.facts.inventory;
        for volume in &inventory.volumes.items {
            let Some(&place) = self.places.get(volume.id.as_str()) else {
                continue;
            };
            for attachment in &volume.attachments {
                let instance = self.place(attachment.instance.as_str());
                self.edge(place, instance, EdgeKind::AttachedTo.as_str());
            }
        }
        for instance in &inventory.instances.items {
            let image = instance.image.as_ref();
            let image = image.and_then(|image| self.places.get(image.as_str()).copied());
            if let Some(image) = image {
                let place = self.place(instance.id.as_str());
                self.edge(place, image, EdgeKind::LaunchedFrom.as_str());
            }
        }
    }

    /// The states of images that no verdict is about: somebody else's over a managed snapshot.
    fn other_images(&mut self) {
        let images = &self.facts.inventory.images.items;
        for row in 0..images.len() {
            let place = images
                .id_text(row)
                .and_then(|id| self.places.get(&id).copied());
            let (Some(place), Some(state)) = (place, images.state(row)) else {
                continue;
            };
            if self
                .graph
                .nodes
                .get(place)
                .is_some_and(|node| node.2 == NONE)
            {
                self.tell(place, state.as_str(), images.created(row));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast::inventory::table::blank;
    use holdfast::inventory::{SnapshotState, Tags};
    use holdfast::plan::judge::{Evidence, OnRecord, Verdicts};
    use jiff::SignedDuration;

    use super::*;

    const POLICIES: &str = "version: 1
policies:
  - name: nightly
    protect: volumes
    select: { volumes: { tags: { A: b } } }
    schedule: rate(1 day)
    retain: { last: 2 }
";

    fn now() -> Timestamp {
        "2026-03-20T12:00:00Z".parse().unwrap()
    }

    /// A volume with daily snapshots; the policy keeps the newest two.
    fn account(snapshots: i64) -> Inventory {
        let mut inventory = Inventory::empty(now());
        for n in 0..snapshots {
            let tags = [
                ("holdfast:managed", "true"),
                ("holdfast:artifact", "snapshot"),
                ("holdfast:policy", "nightly"),
                ("holdfast:source", "vol-1"),
            ];
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
            inventory.snapshots.items.push(Snapshot {
                id: SnapshotId::new(format!("snap-{n:04}")),
                volume: Some(holdfast::id::VolumeId::new("vol-1")),
                state: SnapshotState::Completed,
                start: Some(now() - SignedDuration::from_hours(24 * n)),
                owner: Some("111122223333".into()),
                tags: Tags::from(tags),
                ..blank()
            });
        }
        inventory
    }

    fn drawn(snapshots: i64, room: usize) -> (Graph, super::super::words::Written) {
        let inventory = account(snapshots);
        let policies = PolicyFile::parse("p", POLICIES, now()).unwrap();
        let on_record = OnRecord::default();
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &on_record,
            account: Some("111122223333"),
        };
        let verdicts = Verdicts::judge(&policies, &evidence, now(), None);
        let verdicts: Vec<Verdict> = verdicts.iter().collect();
        let references = References::new(&inventory);
        let facts = Facts {
            inventory: &inventory,
            references: &references,
            policies: &policies,
            verdicts: &verdicts,
            now: now(),
        };
        let mut words = Words::default();
        let graph = graph(&facts, ["vol-9"].into_iter(), &mut words, room);
        (graph, words.written())
    }

    #[test]
    fn everything_is_drawn_where_there_is_room_and_a_source_without_a_backup_too() {
        let (graph, words) = drawn(50, 1 << 20);
        assert_eq!(graph.left_out, BTreeMap::new());
        let ids: Vec<&str> = graph
            .nodes
            .iter()
            .map(|node| words.texts[node.0].as_str())
            .collect();
        // 50 snapshots, their volume, and the one without.
        assert_eq!(ids.len(), 52);
        assert!(ids.contains(&"vol-9") && ids.contains(&"vol-1"));
        assert_eq!(graph.edges.len(), 50 * 3);
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_goes_is_drawn_before_what_stays() {
        let (graph, words) = drawn(50, 2_000);
        let judged: Vec<&str> = graph
            .nodes
            .iter()
            .filter_map(|node| usize::try_from(node.5).ok())
            .map(|place| words.texts[place].as_str())
            .collect();
        assert!(!judged.is_empty() && judged.len() < 48);
        assert!(judged.iter().all(|word| *word == "retire"));
        let left_out: u64 = graph.left_out.values().sum();
        assert_eq!(left_out, 50 - judged.len() as u64);
        assert_eq!(graph.left_out["kept"], 2);
    }

    #[test]
    fn a_hundred_thousand_snapshots_take_less_than_the_room_that_a_page_has() {
        // Written out, 5,000 take a twentieth of what 100,000 would.
        let (graph, words) = drawn(5_000, usize::MAX);
        let bytes = serde_json::to_string(&graph).unwrap().len()
            + serde_json::to_string(&words).unwrap().len();
        assert!(bytes * 20 < super::super::picture::LIMIT * 3 / 4, "{bytes}");
    }
}
