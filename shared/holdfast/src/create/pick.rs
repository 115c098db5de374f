//! Which sources a job is about.

use std::collections::BTreeSet;

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::policy::selection::{self, Picked, PickedSet, PickedVolume};
use holdfast_core::report::{Item, Outcome, Reason, ReasonCode};

use super::Fleet;
use super::job::{Job, Wanted};

/// A picked source.
pub(super) enum Source<'p> {
    Machine(&'p InstanceId),
    Set(&'p PickedSet),
    Single(&'p PickedVolume),
}

impl Source<'_> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Machine(instance) => instance.as_str(),
            Self::Set(set) => set.instance.as_str(),
            Self::Single(single) => single.volume.as_str(),
        }
    }
}

pub(super) fn sources(picked: &Picked) -> Vec<Source<'_>> {
    let machines = picked.instances.iter().map(Source::Machine);
    machines
        .chain(picked.sets.iter().map(Source::Set))
        .chain(picked.volumes.iter().map(Source::Single))
        .collect()
}

impl Job<'_> {
    /// What the policy picks of what is wanted, and what is wanted but not picked.
    pub(super) fn pick(&self, fleet: &Fleet) -> (Picked, Vec<Item>) {
        let picked = selection::pick(self.policy, &fleet.instances, &fleet.volumes);
        match self.wanted {
            Wanted::All | Wanted::Everything => (picked, Vec::new()),
            // By itself: a volume that it shares may belong to another machine's set otherwise.
            Wanted::Instance(instance) => (self.alone(fleet, instance), Vec::new()),
            Wanted::Resources(resources) => self.restrict(picked, fleet, resources),
            Wanted::Left { open, only } => {
                let mut picked = match only {
                    Some(resources) => self.restrict(picked, fleet, resources).0,
                    None => picked,
                };
                let left = |id: &str| open.iter().any(|o| o.source == id);
                picked.instances.retain(|id| left(id.as_str()));
                picked.volumes.retain(|one| left(one.volume.as_str()));
                picked.sets.retain(|set| left(set.instance.as_str()));
                if self.trigger.is_some() {
                    // As its event took it: see `Instance` above.
                    picked.sets.clear();
                    for instance in open.iter().filter_map(|o| InstanceId::parse(&o.source)) {
                        picked.sets.extend(self.alone(fleet, &instance).sets);
                    }
                }
                (picked, Vec::new())
            }
        }
    }

    fn alone(&self, fleet: &Fleet, instance: &InstanceId) -> Picked {
        let found = fleet.instances.iter().find(|i| i.id == *instance);
        found.map_or_else(Picked::default, |instance| {
            let alone = std::slice::from_ref(instance);
            let picked = selection::pick(self.policy, alone, &fleet.volumes);
            Picked {
                volumes: Vec::new(),
                ..picked
            }
        })
    }

    fn restrict(
        &self,
        mut picked: Picked,
        fleet: &Fleet,
        resources: &[String],
    ) -> (Picked, Vec<Item>) {
        for instance in resources.iter().filter_map(|text| InstanceId::parse(text)) {
            if !picked.sets.iter().any(|set| set.instance == instance) {
                picked.sets.extend(self.alone(fleet, &instance).sets);
            }
        }
        let mut kept = Picked::default();
        let mut skipped = Vec::new();
        let mut wanted_volumes: BTreeSet<VolumeId> = BTreeSet::new();
        for resource in resources {
            if let Some(id) = picked.instances.iter().find(|i| i.as_str() == resource) {
                kept.instances.push(id.clone());
                continue;
            }
            let set = InstanceId::parse(resource)
                .and_then(|id| picked.sets.iter().find(|set| set.instance == id));
            if let Some(set) = set {
                wanted_volumes.extend(set.volumes.iter().cloned());
                wanted_volumes.extend(set.unusable.iter().map(|(id, _)| id.clone()));
                continue;
            }
            let volume = VolumeId::parse(resource).filter(|id| {
                let in_set = picked.sets.iter().any(|set| {
                    set.volumes.contains(id) || set.unusable.iter().any(|(bad, _)| bad == id)
                });
                in_set || picked.volumes.iter().any(|single| single.volume == *id)
            });
            match volume {
                Some(volume) => {
                    wanted_volumes.insert(volume);
                }
                None => skipped.push(self.item(
                    resource,
                    Outcome::Skipped,
                    Reason::with(
                        ReasonCode::NotPicked,
                        format!("{} does not pick it", self.policy.name),
                    ),
                )),
            }
        }
        for mut set in picked.sets {
            let (volumes, others): (Vec<_>, Vec<_>) = set
                .volumes
                .into_iter()
                .partition(|id| wanted_volumes.contains(id));
            let (unusable, other_unusable): (Vec<_>, Vec<_>) = set
                .unusable
                .into_iter()
                .partition(|(id, _)| wanted_volumes.contains(id));
            set.volumes = volumes;
            set.unusable = unusable;
            set.not_picked.extend(others);
            set.not_picked
                .extend(other_unusable.into_iter().map(|(id, _)| id));
            if !set.volumes.is_empty() || !set.unusable.is_empty() {
                kept.sets.push(set);
            }
        }
        kept.volumes = picked.volumes;
        kept.volumes
            .retain(|single| wanted_volumes.contains(&single.volume));
        (kept, skipped)
    }
}
