//! What each policy picks, as sources of backups.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::AllPicks;
use crate::id::{InstanceId, VolumeId};
use crate::inventory::{Instance, Volume, VolumeState};
use crate::plan::reconcile::Seen;
use crate::policy::selection::{left_out_of_image, missing, pick};
use crate::policy::{Policy, PolicyFile, Protect};

/// A source that a policy picks.
#[derive(Debug)]
pub(super) struct Pick {
    /// The volume or, for AMIs, the instance.
    pub source: String,
    /// The instance in whose set a volume is taken.
    pub instance: Option<InstanceId>,
    /// When it was made, where that is known.
    pub made: Option<Timestamp>,
}

/// What one policy picks.
#[derive(Debug, Default)]
pub(super) struct Picks {
    /// The sources.
    pub sources: Vec<Pick>,
    /// Instances that it picks as such, or with a volume of theirs.
    pub instances: BTreeSet<InstanceId>,
    /// Volumes that are in its backups, in a snapshot or in an AMI.
    pub volumes: BTreeSet<VolumeId>,
}

impl Picks {
    /// Whether an instance or a volume is in its backups, or has a volume there.
    pub(super) fn takes(&self, source: &str) -> bool {
        self.volumes.contains(&VolumeId::new(source))
            || self.instances.contains(&InstanceId::new(source))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.instances.is_empty()
    }
}

/// What every policy of the file picks from what is listed, whatever its state.
pub(super) fn picks(policies: &PolicyFile, seen: &Seen<'_>) -> AllPicks {
    let instances = seen.instances.map_or(&[][..], |list| &list.items);
    let volumes = seen.volumes.map_or(&[][..], |list| &list.items);
    let account = Account {
        instances,
        volumes,
        instance: instances.iter().map(|i| (&i.id, i)).collect(),
        volume: volumes.iter().map(|v| (&v.id, v)).collect(),
    };
    let policies = policies.policies.iter();
    policies.map(|policy| account.picks(policy)).collect()
}

struct Account<'a> {
    instances: &'a [Instance],
    volumes: &'a [Volume],
    instance: BTreeMap<&'a InstanceId, &'a Instance>,
    volume: BTreeMap<&'a VolumeId, &'a Volume>,
}

impl Account<'_> {
    fn picks(&self, policy: &Policy) -> Picks {
        let picked = pick(policy, self.instances, self.volumes);
        let mut picks = Picks::default();
        if policy.protect == Protect::Instances {
            for id in picked.instances {
                if let Some(instance) = self.instance.get(&id) {
                    self.image(policy, instance, &mut picks);
                }
            }
            return picks;
        }
        for set in picked.sets {
            let unusable = set.unusable.into_iter();
            let unusable = unusable.filter(|(_, state)| may_have_had_one(state));
            let volumes = set.volumes.into_iter().chain(unusable.map(|(id, _)| id));
            for volume in volumes {
                self.snapshot(volume, Some(&set.instance), &mut picks);
            }
            picks.instances.insert(set.instance);
        }
        for alone in picked.volumes {
            if alone.unusable.as_ref().is_none_or(may_have_had_one) {
                self.snapshot(alone.volume, None, &mut picks);
            }
        }
        picks
    }

    fn image(&self, policy: &Policy, instance: &Instance, picks: &mut Picks) {
        let left_out = left_out_of_image(policy, instance, &self.volume);
        let devices = instance.devices.iter();
        let attached = devices.filter_map(|device| device.volume.as_ref());
        let taken = attached.filter(|id| !left_out.contains(id));
        picks.volumes.extend(taken.cloned());
        picks.instances.insert(instance.id.clone());
        // `LaunchTime` begins anew with every start (EC2 API Reference, `Instance`); the root
        // volume is as old as the machine.
        let root = instance.root_volume().and_then(|id| self.volume.get(id));
        let root = root.and_then(|volume| volume.created);
        picks.sources.push(Pick {
            source: instance.id.to_string(),
            instance: None,
            made: root.into_iter().chain(instance.launched).min(),
        });
    }

    fn snapshot(&self, id: VolumeId, instance: Option<&InstanceId>, picks: &mut Picks) {
        picks.sources.push(Pick {
            source: id.to_string(),
            instance: instance.cloned(),
            made: self.volume.get(&id).and_then(|volume| volume.created),
        });
        picks.volumes.insert(id);
    }
}

/// Whether backups are asked of a volume of this state: not of one that is going, or that one list
/// names and the other does not show.
fn may_have_had_one(state: &VolumeState) -> bool {
    let going = matches!(state, VolumeState::Deleting | VolumeState::Deleted);
    !going && *state != missing()
}
