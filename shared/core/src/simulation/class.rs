//! Sources that a policy cannot tell apart, which are simulated once.
//!
//! What a policy makes and retires of one source depends on that source alone, where its retention
//! groups are sources: on when the policy picks it, with which other volumes in one set, and on the
//! backups that it has. Two sources that are the same in all of this fare the same, whatever else
//! they differ in; so one of them is simulated and counted as often as there are such sources. The
//! same goes for the volumes of one set: a set goes whole or not at all.
//! Where a group is wider than a source (`group: policy` or a tag) nothing is taken together.
//! Backups that stand at the start are taken for the same where they answer the same slot: their
//! own times differ by the seconds that a slot's calls took.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::fleet::Fleet;
use super::standing::Standing;
use crate::id::VolumeId;
use crate::inventory::{Instance, Tags, Volume};
use crate::plan::judge::governing;
use crate::policy::selection::{left_out_of_image, pick};
use crate::policy::{GroupBy, Policy, PolicyFile, PolicyState, Protect};

/// Disks of one size and rate of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shape {
    pub(super) size_gib: u32,
    pub(super) changed_mib: Option<u32>,
}

/// What artifacts are of that fare the same in a member: volumes, or the instance of an AMI.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// How many of them each member has.
    pub(super) each: u64,
    /// By epoch, whether it is there at all.
    pub(super) there: Vec<bool>,
    /// The disks of all members.
    pub(super) shapes: BTreeMap<Shape, u64>,
}

/// One creating call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The place of its source.
    pub(super) source: usize,
    /// The places of its parts.
    pub(super) parts: Vec<usize>,
    pub(super) group: Option<String>,
}

/// The identifiers of one member, place by place.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) sources: Vec<String>,
    /// The first of each place is the one that is simulated.
    pub(super) parts: Vec<Vec<String>>,
}

/// A backup that stands at the start.
#[derive(Clone, Debug)]
pub(super) struct Stood {
    /// The places of its source and its part.
    pub(super) source: usize,
    pub(super) part: usize,
    pub(super) what: Standing,
    /// Its identifier, and those of what fares like it.
    pub(super) ids: Vec<String>,
}

/// Sources of one policy that fare the same.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The place of the policy in the file.
    pub(super) policy: usize,
    pub(super) parts: Vec<Part>,
    /// By epoch.
    pub(super) calls: Vec<Vec<Call>>,
    /// What stands at the start of the member that is simulated.
    pub(super) standing: Vec<Stood>,
    /// The first of them is the one that is simulated.
    pub(super) members: Vec<Member>,
}

impl Class {
    /// How many members it has.
    pub(super) fn weight(&self) -> u64 {
        self.members.len() as u64
    }

    /// How many backups one of a part stands for.
    pub(super) fn backups(&self, part: usize) -> u64 {
        self.weight() * self.parts[part].each
    }

    /// What is simulated of a part.
    pub(super) fn id(&self, part: usize) -> &str {
        &self.first().parts[part][0]
    }

    /// The member that is simulated.
    pub(super) fn first(&self) -> &Member {
        &self.members[0]
    }
}

/// What is there in each epoch.
pub(super) struct Scenes {
    scenes: Vec<(Vec<Instance>, Vec<Volume>)>,
    ids: Vec<BTreeSet<String>>,
}

impl Scenes {
    pub(super) fn new(fleet: &Fleet, epochs: &[Timestamp]) -> Self {
        let scenes: Vec<_> = epochs.iter().map(|at| fleet.at(*at)).collect();
        let ids = scenes.iter().map(|(instances, volumes)| {
            let instances = instances.iter().map(|one| one.id.to_string());
            instances
                .chain(volumes.iter().map(|one| one.id.to_string()))
                .collect()
        });
        Self {
            ids: ids.collect(),
            scenes,
        }
    }
}

/// A call by identifiers.
struct Named {
    source: String,
    parts: Vec<String>,
    group: Option<String>,
}

/// The classes of every policy, in the order of the file.
pub(super) fn classes(
    policies: &PolicyFile,
    fleet: &Fleet,
    scenes: &Scenes,
    standing: &[Standing],
) -> Vec<Class> {
    let mut all = Vec::new();
    for (place, policy) in policies.policies.iter().enumerate() {
        let governed = |one: &&Standing| {
            governing(policies, &one.policy).is_some_and(|by| by.name == policy.name)
                && one.image == (policy.protect == Protect::Instances)
        };
        let standing: Vec<&Standing> = standing.iter().filter(governed).collect();
        let calls: Vec<Vec<Named>> = scenes
            .scenes
            .iter()
            .map(|(instances, volumes)| named_calls(policy, instances, volumes))
            .collect();
        let disks = Disks::new(policy, fleet, &standing);
        add_classes(&mut all, place, policy, scenes, &calls, &standing, &disks);
    }
    all
}

fn named_calls(policy: &Policy, instances: &[Instance], volumes: &[Volume]) -> Vec<Named> {
    if policy.state != PolicyState::Active {
        return Vec::new();
    }
    let of_instances: HashMap<&str, &Tags> = instances
        .iter()
        .map(|one| (one.id.as_str(), &one.tags))
        .collect();
    let of_volumes: HashMap<&str, &Tags> = volumes
        .iter()
        .map(|one| (one.id.as_str(), &one.tags))
        .collect();
    let group = |tags: Option<&&Tags>| match &policy.group {
        GroupBy::Source => None,
        GroupBy::Policy => Some(policy.name.clone()),
        GroupBy::Tag(key) => tags.and_then(|tags| tags.get(key)).cloned(),
    };
    let picked = pick(policy, instances, volumes);
    let machines = picked.instances.iter().map(|id| Named {
        source: id.to_string(),
        parts: vec![id.to_string()],
        group: group(of_instances.get(id.as_str())),
    });
    let sets = picked.sets.iter().filter(|set| !set.volumes.is_empty());
    let sets = sets.map(|set| Named {
        source: set.instance.to_string(),
        parts: set.volumes.iter().map(ToString::to_string).collect(),
        group: group(of_instances.get(set.instance.as_str())),
    });
    let usable = picked.volumes.iter().filter(|one| one.unusable.is_none());
    let singles = usable.map(|one| Named {
        source: one.volume.to_string(),
        parts: vec![one.volume.to_string()],
        group: group(of_volumes.get(one.volume.as_str())),
    });
    machines.chain(sets).chain(singles).collect()
}

/// The disks behind each part.
struct Disks(HashMap<String, Vec<Shape>>);

impl Disks {
    fn new(policy: &Policy, fleet: &Fleet, standing: &[&Standing]) -> Self {
        let volumes: BTreeMap<&VolumeId, &Volume> = fleet
            .volumes
            .iter()
            .map(|one| (&one.what.id, &one.what))
            .collect();
        let shape = |id: &VolumeId| {
            let size = volumes.get(id).and_then(|volume| volume.size_gib);
            Shape {
                size_gib: size.and_then(|gib| u32::try_from(gib).ok()).unwrap_or(0),
                changed_mib: fleet.changed_mib.get(id).copied(),
            }
        };
        let mut disks: HashMap<String, Vec<Shape>> = HashMap::new();
        if policy.protect == Protect::Volumes {
            let all = volumes.keys();
            disks.extend(all.map(|id| (id.to_string(), vec![shape(id)])));
        } else {
            for instance in fleet.instances.iter().map(|one| &one.what) {
                let left_out = left_out_of_image(policy, instance, &volumes);
                let devices = instance.devices.iter().filter_map(|d| d.volume.as_ref());
                let taken = devices.filter(|id| !left_out.contains(id));
                disks.insert(instance.id.to_string(), taken.map(shape).collect());
            }
        }
        for one in standing {
            let known = disks.entry(one.of.clone());
            known.or_insert_with(|| {
                vec![Shape {
                    size_gib: one.size_gib,
                    changed_mib: None,
                }]
            });
        }
        Self(disks)
    }
}

/// Which identifiers belong together.
#[derive(Default)]
struct Together {
    places: BTreeMap<String, usize>,
    parents: Vec<usize>,
}

impl Together {
    fn place(&mut self, id: &str) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let place = self.parents.len();
        self.parents.push(place);
        self.places.insert(id.to_owned(), place);
        place
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    fn join(&mut self, one: &str, other: &str) {
        let (one, other) = (self.place(one), self.place(other));
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one.max(other)] = one.min(other);
    }
}

/// One member in the making.
#[derive(Default)]
struct Component<'a> {
    sources: BTreeSet<&'a str>,
    parts: BTreeSet<&'a str>,
    /// By epoch.
    calls: Vec<Vec<&'a Named>>,
    standing: Vec<&'a Standing>,
}

fn add_classes(
    all: &mut Vec<Class>,
    policy_place: usize,
    policy: &Policy,
    scenes: &Scenes,
    calls: &[Vec<Named>],
    standing: &[&Standing],
    disks: &Disks,
) {
    let mut together = Together::default();
    let mut before: Option<&str> = None;
    let wide = policy.group != GroupBy::Source;
    let pairs = calls
        .iter()
        .flatten()
        .flat_map(|call| call.parts.iter().map(|part| (&call.source, part)))
        .chain(standing.iter().map(|one| (&one.source, &one.of)));
    for (source, part) in pairs {
        together.join(source, part);
        if let Some(before) = before.filter(|_| wide) {
            together.join(before, source);
        }
        before = Some(source);
    }
    let mut components: BTreeMap<usize, Component<'_>> = BTreeMap::new();
    let component_of = |together: &mut Together, id: &str| {
        let place = together.place(id);
        together.root(place)
    };
    for (epoch, calls) in calls.iter().enumerate() {
        for call in calls {
            let root = component_of(&mut together, &call.source);
            let component = components.entry(root).or_default();
            component.calls.resize_with(scenes.ids.len(), Vec::new);
            component.calls[epoch].push(call);
            component.sources.insert(&call.source);
            component
                .parts
                .extend(call.parts.iter().map(String::as_str));
        }
    }
    for one in standing {
        let root = component_of(&mut together, &one.source);
        let component = components.entry(root).or_default();
        component.calls.resize_with(scenes.ids.len(), Vec::new);
        component.sources.insert(&one.source);
        component.parts.insert(&one.of);
        component.standing.push(one);
    }
    let mut known: HashMap<String, usize> = HashMap::new();
    for mut component in components.into_values() {
        component.standing.sort_by_key(|one| (one.time, &one.id));
        let (key, parts) = describe(&component, scenes, wide);
        let place = *known.entry(key).or_insert_with(|| {
            all.push(class(policy_place, &component, &parts, scenes));
            all.len() - 1
        });
        let class = &mut all[place];
        for (part, ids) in class.parts.iter_mut().zip(&parts) {
            for shape in ids.iter().filter_map(|id| disks.0.get(*id)).flatten() {
                *part.shapes.entry(*shape).or_default() += 1;
            }
        }
        note_standing(class, &component, &parts);
        class.members.push(Member {
            sources: component
                .sources
                .iter()
                .map(|id| (*id).to_owned())
                .collect(),
            parts: parts
                .iter()
                .map(|ids| ids.iter().map(|id| (*id).to_owned()).collect())
                .collect(),
        });
    }
}

/// What tells a member from members of other classes, and its parts in the order in which those of
/// all members stand side by side, each with those that fare like it. In `wide` groups nothing
/// does: there the identifiers choose.
fn describe<'a>(
    component: &Component<'a>,
    scenes: &Scenes,
    wide: bool,
) -> (String, Vec<Vec<&'a str>>) {
    let source_place = |id: &str| component.sources.iter().position(|one| *one == id);
    let mut parts: BTreeMap<&str, String> = component
        .parts
        .iter()
        .map(|id| {
            let there = scenes.ids.iter().map(|ids| ids.contains(*id));
            let flags: String = there.map(|there| if there { '1' } else { '0' }).collect();
            (*id, flags)
        })
        .collect();
    // Writing to a string does not fail.
    for (epoch, calls) in component.calls.iter().enumerate() {
        for call in calls {
            let source = source_place(&call.source).unwrap_or_default();
            for part in &call.parts {
                if let Some(text) = parts.get_mut(part.as_str()) {
                    let _ = write!(text, ";{epoch}:{source}:{:?}", call.group);
                }
            }
        }
    }
    for one in &component.standing {
        let source = source_place(&one.source).unwrap_or_default();
        if let Some(text) = parts.get_mut(one.of.as_str()) {
            let _ = write!(text, ";at {} of {source} {:?}", one.slot, one.group);
            if !one.held.is_empty() {
                // What is held is like nothing else.
                let _ = write!(text, " {}", one.id);
            }
        }
    }
    let mut order: BTreeMap<String, Vec<&'a str>> = BTreeMap::new();
    for id in &component.parts {
        let mut text = parts.remove(*id).unwrap_or_default();
        if wide {
            let _ = write!(text, " {id}");
        }
        order.entry(text).or_default().push(id);
    }
    let texts = order
        .iter()
        .map(|(text, ids)| format!("{} {text}", ids.len()));
    let key: Vec<String> = texts.collect();
    (key.join("|"), order.into_values().collect())
}

/// The place of each part.
fn places<'a>(parts: &[Vec<&'a str>]) -> HashMap<&'a str, usize> {
    let ids = (0..)
        .zip(parts)
        .flat_map(|(place, ids)| ids.iter().map(move |id| (*id, place)));
    ids.collect()
}

/// Notes which backups of a member fare like those that are simulated: of each part they stand in the
/// same order.
fn note_standing(class: &mut Class, component: &Component<'_>, parts: &[Vec<&str>]) {
    let places = places(parts);
    let mut of_part: HashMap<usize, Vec<usize>> = HashMap::new();
    for (nth, stood) in class.standing.iter().enumerate() {
        of_part.entry(stood.part).or_default().push(nth);
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for one in &component.standing {
        let nth = seen.entry(&one.of).or_default();
        let like = places.get(one.of.as_str());
        let like = like.and_then(|part| of_part.get(part)?.get(*nth));
        if let Some(stood) = like.and_then(|place| class.standing.get_mut(*place)) {
            stood.ids.push(one.id.clone());
        }
        *nth += 1;
    }
}

fn class(policy: usize, component: &Component<'_>, parts: &[Vec<&str>], scenes: &Scenes) -> Class {
    let sources: HashMap<&str, usize> = (0..)
        .zip(&component.sources)
        .map(|(place, id)| (*id, place))
        .collect();
    let places = places(parts);
    let call = |named: &&Named| {
        let parts = named.parts.iter();
        let parts: BTreeSet<usize> = parts
            .filter_map(|id| places.get(id.as_str()).copied())
            .collect();
        Call {
            source: sources
                .get(named.source.as_str())
                .copied()
                .unwrap_or_default(),
            parts: parts.into_iter().collect(),
            group: named.group.clone(),
        }
    };
    let calls = component.calls.iter();
    let standing = component.standing.iter().filter_map(|one| {
        let source = sources.get(one.source.as_str()).copied()?;
        let part = places.get(one.of.as_str()).copied()?;
        (parts[part][0] == one.of).then(|| Stood {
            source,
            part,
            what: (*one).clone(),
            ids: Vec::new(),
        })
    });
    Class {
        policy,
        parts: parts
            .iter()
            .map(|ids| Part {
                each: ids.len() as u64,
                there: scenes
                    .ids
                    .iter()
                    .map(|there| there.contains(ids[0]))
                    .collect(),
                shapes: BTreeMap::new(),
            })
            .collect(),
        calls: calls
            .map(|calls| calls.iter().map(call).collect())
            .collect(),
        standing: standing.collect(),
        members: Vec::new(),
    }
}
