//! What a policy picks from the instances and volumes of an account.
//!
//! The result does not depend on the order in which EC2 listed them.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{InstanceId, VolumeId};
use crate::inventory::{Instance, InstanceState, Tags, Volume, VolumeState};

use super::{Policy, Protect, TagPattern, TagPatterns};

/// Everything that one policy picks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// `protect: instances`: the instances, ascending.
    pub instances: Vec<InstanceId>,
    /// `protect: volumes`: a set for each instance with a picked volume, ascending by instance.
    pub sets: Vec<PickedSet>,
    /// `protect: volumes`: picked volumes without a live instance, ascending.
    pub volumes: Vec<PickedVolume>,
}

/// The volumes of one instance that a policy picks: one `CreateSnapshots` call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickedSet {
    /// The instance.
    pub instance: InstanceId,
    /// Picked volumes that a snapshot can be made of, ascending; may be empty when all that is
    /// picked is unusable, and then there is nothing to call for.
    pub volumes: Vec<VolumeId>,
    /// Data volumes to exclude in the call (`ExcludeDataVolumeIds`), ascending: everything
    /// attached that is not in `volumes`, but for the root volume and volumes that no longer
    /// exist.
    pub not_picked: Vec<VolumeId>,
    /// Whether the call excludes the root volume (`ExcludeBootVolume`), for whatever reason;
    /// EC2 refuses its identifier among the data volumes.
    pub boot_excluded: bool,
    /// Picked volumes whose state permits no snapshot, ascending, with the state. A volume that
    /// the instance names and the list of volumes does not hold has [`missing`] as its state.
    pub unusable: Vec<(VolumeId, VolumeState)>,
}

/// A picked volume without a live instance: one `CreateSnapshot` call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickedVolume {
    /// The volume.
    pub volume: VolumeId,
    /// Its state when that permits no snapshot.
    pub unusable: Option<VolumeState>,
}

/// The state of a volume that an instance names and the list of volumes does not hold.
#[must_use]
pub fn missing() -> VolumeState {
    VolumeState::Unknown("missing".to_owned())
}

/// Whether a volume in this state may be usable a little later: it is being made, or the lists of
/// instances and of volumes were read at different moments.
#[must_use]
pub fn is_passing(state: &VolumeState) -> bool {
    *state == VolumeState::Creating || *state == missing()
}

/// The volumes of `instance` that an AMI by `policy` leaves out: what the policy excludes, the root
/// never.
#[must_use]
pub fn left_out_of_image<'i>(
    policy: &Policy,
    instance: &'i Instance,
    volumes: &BTreeMap<&VolumeId, &Volume>,
) -> BTreeSet<&'i VolumeId> {
    let (exclude, root) = (&policy.select.exclude, instance.root_volume());
    let attached = instance.devices.iter().filter_map(|d| d.volume.as_ref());
    attached
        .filter(|id| root != Some(*id))
        .filter(|id| {
            let volume = volumes.get(id).copied();
            exclude.excludes_on(instance, id, volume)
                || volume.is_some_and(|volume| exclude.excludes(volume))
        })
        .collect()
}

impl Picked {
    /// The set of `instance`.
    #[must_use]
    pub fn set_of(&self, instance: &InstanceId) -> Option<&PickedSet> {
        self.sets.iter().find(|set| set.instance == *instance)
    }

    /// Whether `instance` is picked: as an instance, or with a volume of its.
    #[must_use]
    pub fn picks_instance(&self, instance: &InstanceId) -> bool {
        self.instances.contains(instance) || self.set_of(instance).is_some()
    }

    /// The set that holds `volume`, usable or not.
    #[must_use]
    pub fn set_with(&self, volume: &VolumeId) -> Option<&PickedSet> {
        self.sets.iter().find(|set| set.holds(volume))
    }

    /// Whether `volume` is picked, in a set or by itself, usable or not.
    #[must_use]
    pub fn picks_volume(&self, volume: &VolumeId) -> bool {
        self.set_with(volume).is_some() || self.volumes.iter().any(|v| v.volume == *volume)
    }
}

impl PickedSet {
    fn holds(&self, volume: &VolumeId) -> bool {
        self.volumes.contains(volume) || self.unusable.iter().any(|(id, _)| id == volume)
    }
}

impl TagPattern {
    /// Whether `value` is one of the accepted values.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(values) => values.iter().any(|accepted| accepted == value),
        }
    }
}

/// What `policy` picks from all instances and all volumes.
///
/// A multi-attached volume goes with the first of the live instances that it can be picked
/// through, by identifier: those that match the selection before the rest. A volume whose
/// instances are all gone or unknown is picked only by its own tags, and by itself.
#[must_use]
pub fn pick(policy: &Policy, instances: &[Instance], volumes: &[Volume]) -> Picked {
    if policy.protect == Protect::Instances {
        let ids: BTreeSet<InstanceId> = instances
            .iter()
            .filter(|i| selected_instance(policy, i))
            .map(|i| i.id.clone())
            .collect();
        return Picked {
            instances: ids.into_iter().collect(),
            ..Picked::default()
        };
    }
    let scene = Scene::new(policy, instances, volumes);
    let mut homes: BTreeMap<&InstanceId, Vec<&VolumeId>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (id, hosts) in &scene.hosts {
        match scene.home(id, hosts) {
            Home::Instance(instance) => homes.entry(instance).or_default().push(*id),
            Home::Alone => alone.push(PickedVolume {
                volume: (*id).clone(),
                unusable: scene.unusable(id),
            }),
            Home::NotPicked => {}
        }
    }
    Picked {
        instances: Vec::new(),
        sets: homes
            .into_iter()
            .map(|(instance, picked)| scene.set(instance, &picked))
            .collect(),
        volumes: alone,
    }
}

/// What `policy` picks of `instance` alone, as an event or a request names it.
///
/// A multi-attached volume is in the answer although, over all instances, another one's set
/// may hold it. None when nothing of the instance is picked.
#[must_use]
pub fn pick_set(policy: &Policy, instance: &Instance, volumes: &[Volume]) -> Option<PickedSet> {
    pick(policy, std::slice::from_ref(instance), volumes)
        .sets
        .into_iter()
        .next()
}

/// Whether a state change of `instance` concerns `policy`: the instance is selected, or a
/// volume attached to it is.
#[must_use]
pub fn picks_instance(policy: &Policy, instance: &Instance, volumes: &[Volume]) -> bool {
    selected_instance(policy, instance) || pick_set(policy, instance, volumes).is_some()
}

/// Whether the instance itself is selected by its tags, lives and is not excluded.
fn selected_instance(policy: &Policy, instance: &Instance) -> bool {
    let select = &policy.select;
    is_live(instance)
        && select
            .instances
            .as_ref()
            .is_some_and(|patterns| all_match(patterns, &instance.tags))
        && !any_matches(&select.exclude.tags, &instance.tags)
}

/// Instances on their way out pick nothing.
fn is_live(instance: &Instance) -> bool {
    !matches!(
        instance.state,
        InstanceState::ShuttingDown | InstanceState::Terminated
    )
}

/// Whether all of `patterns` match.
#[must_use]
pub fn all_match(patterns: &TagPatterns, tags: &Tags) -> bool {
    patterns
        .iter()
        .all(|(key, pattern)| tags.get(key).is_some_and(|value| pattern.accepts(value)))
}

/// Whether any of `patterns` does.
pub(super) fn any_matches(patterns: &TagPatterns, tags: &Tags) -> bool {
    patterns
        .iter()
        .any(|(key, pattern)| tags.get(key).is_some_and(|value| pattern.accepts(value)))
}

/// How a volume is picked.
enum Home<'a> {
    Instance(&'a InstanceId),
    Alone,
    NotPicked,
}

/// Instances and volumes by identifier, and what is attached to what.
struct Scene<'a> {
    policy: &'a Policy,
    instances: BTreeMap<&'a InstanceId, &'a Instance>,
    volumes: BTreeMap<&'a VolumeId, &'a Volume>,
    /// The listed instances of every volume, attached by either side's account: the two lists
    /// are read one after the other and may differ.
    hosts: BTreeMap<&'a VolumeId, BTreeSet<&'a InstanceId>>,
    /// The same by instance.
    attached: BTreeMap<&'a InstanceId, BTreeSet<&'a VolumeId>>,
}

impl<'a> Scene<'a> {
    fn new(policy: &'a Policy, instances: &'a [Instance], volumes: &'a [Volume]) -> Self {
        let mut scene = Self {
            policy,
            instances: instances.iter().map(|i| (&i.id, i)).collect(),
            volumes: volumes.iter().map(|v| (&v.id, v)).collect(),
            hosts: BTreeMap::new(),
            attached: BTreeMap::new(),
        };
        for instance in instances {
            for volume in instance.devices.iter().filter_map(|d| d.volume.as_ref()) {
                scene.attach(volume, &instance.id);
            }
        }
        for volume in volumes {
            scene.hosts.entry(&volume.id).or_default();
            for attachment in volume.attachments.iter().filter(|a| a.state != "detached") {
                if let Some((id, _)) = scene.instances.get_key_value(&attachment.instance) {
                    scene.attach(&volume.id, id);
                }
            }
        }
        scene
    }

    fn attach(&mut self, volume: &'a VolumeId, instance: &'a InstanceId) {
        self.hosts.entry(volume).or_default().insert(instance);
        self.attached.entry(instance).or_default().insert(volume);
    }

    fn home(&self, id: &VolumeId, hosts: &BTreeSet<&'a InstanceId>) -> Home<'a> {
        let select = &self.policy.select;
        let volume = self.volumes.get(id);
        if volume.is_some_and(|v| select.exclude.excludes(v)) {
            return Home::NotPicked;
        }
        let by_own_tags = volume.is_some_and(|v| {
            select
                .volumes
                .as_ref()
                .is_some_and(|patterns| all_match(patterns, &v.tags))
        });
        let hosts: Vec<&Instance> = hosts
            .iter()
            .filter_map(|host| self.instances.get(host).copied())
            .collect();
        let open = |host: &&&'a Instance| self.open_through(id, host);
        let live = || hosts.iter().filter(|host| is_live(host));
        if let Some(host) = live()
            .filter(open)
            .find(|host| selected_instance(self.policy, host))
        {
            return Home::Instance(&host.id);
        }
        if !by_own_tags {
            return Home::NotPicked;
        }
        if let Some(host) = live().find(open) {
            return Home::Instance(&host.id);
        }
        let has_live = live().next().is_some();
        if has_live || (!hosts.is_empty() && !hosts.iter().any(|host| open(&host))) {
            return Home::NotPicked;
        }
        Home::Alone
    }

    /// Whether no exclusion keeps the volume from being picked through `host`.
    fn open_through(&self, id: &VolumeId, host: &Instance) -> bool {
        let exclude = &self.policy.select.exclude;
        let volume = self.volumes.get(id).copied();
        !exclude.excludes_on(host, id, volume) && !any_matches(&exclude.tags, &host.tags)
    }

    fn unusable(&self, id: &VolumeId) -> Option<VolumeState> {
        match self.volumes.get(id).map(|volume| &volume.state) {
            Some(VolumeState::Available | VolumeState::InUse) => None,
            Some(state) => Some(state.clone()),
            None => Some(missing()),
        }
    }

    fn set(&self, instance: &InstanceId, picked: &[&VolumeId]) -> PickedSet {
        let mut set = PickedSet {
            instance: instance.clone(),
            volumes: Vec::new(),
            not_picked: Vec::new(),
            boot_excluded: false,
            unusable: Vec::new(),
        };
        let root = self
            .instances
            .get(instance)
            .and_then(|instance| instance.root_volume());
        for id in self.attached.get(instance).into_iter().flatten() {
            let is_picked = picked.contains(id);
            let unusable = self.unusable(id).filter(|_| is_picked);
            let gone = unusable.as_ref() == Some(&missing());
            if is_picked && unusable.is_none() {
                set.volumes.push((*id).clone());
            } else if root == Some(*id) {
                set.boot_excluded = !gone;
            } else if !gone {
                set.not_picked.push((*id).clone());
            }
            if let Some(state) = unusable {
                set.unusable.push(((*id).clone(), state));
            }
        }
        set
    }
}
