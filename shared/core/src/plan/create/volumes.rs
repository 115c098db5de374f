//! The calls that make snapshots: one set of an instance, or one volume by itself.

use std::collections::BTreeMap;

use super::{Call, Creation, MAX_EXCLUSIONS, Order, Refused};
use crate::artifact::{self, ArtifactKind, MAX_TAGS};
use crate::id::VolumeId;
use crate::inventory::{Instance, InstanceState, Tags, Volume};
use crate::policy::selection::{self, PickedSet, PickedVolume};
use crate::ports::{SetRequest, SnapshotRequest};
use crate::report::{Item, Outcome, Reason, ReasonCode};

impl Order<'_> {
    /// The call for one instance's picked volumes.
    ///
    /// # Errors
    /// The lines of the report when no call can be made.
    pub fn set(
        &self,
        picked: &PickedSet,
        instance: &Instance,
        volumes: &BTreeMap<&VolumeId, &Volume>,
        devices: &[String],
    ) -> Result<Creation, Refused> {
        let source = picked.instance.as_str();
        let mut notes: Vec<Item> = picked
            .unusable
            .iter()
            .map(|(id, state)| self.unusable(id, state))
            .collect();
        if picked.volumes.is_empty() {
            let passing = picked
                .unusable
                .iter()
                .any(|(_, state)| selection::is_passing(state));
            return Err(Refused {
                items: notes,
                passing,
            });
        }
        let root = instance.root_volume();
        // What is not there at all cannot be excluded.
        let gone = selection::missing();
        let unusable = picked
            .unusable
            .iter()
            .filter(|(_, state)| *state != gone)
            .map(|(id, _)| id);
        let mut excluded: Vec<&VolumeId> = picked.not_picked.iter().chain(unusable).collect();
        excluded.sort();
        excluded.dedup();
        // The root volume may only be left out by its own switch (EC2 API Reference).
        let exclude_boot_volume =
            picked.boot_excluded || root.is_some_and(|root| excluded.contains(&root));
        excluded.retain(|id| Some(*id) != root);
        if excluded.len() > MAX_EXCLUSIONS {
            let detail = format!(
                "{} data volumes would have to be left out and one call leaves out at most \
                 {MAX_EXCLUSIONS}; none was taken",
                excluded.len()
            );
            let reason = Reason::with(ReasonCode::TooManyExclusions, detail);
            notes.push(self.item(source, Outcome::Failed, reason).source(source));
            return Err(Refused::for_good(notes));
        }
        notes.extend(self.not_covered(source, devices));
        let mut left_out: Vec<VolumeId> = excluded.iter().map(|id| (*id).clone()).collect();
        left_out.extend(root.filter(|_| exclude_boot_volume).cloned());
        left_out.sort();

        let group = self.group(&instance.tags);
        let stamp = self.stamp(ArtifactKind::Snapshot, source, group.as_deref());
        let members: Vec<(&VolumeId, &Tags)> = picked
            .volumes
            .iter()
            .filter_map(|id| Some((id, &volumes.get(id)?.tags)))
            .collect();
        let (tags, copy_tags_from_volume, leftover) = set_tags(self.tags(&stamp), &members);
        Ok(Creation {
            source: source.to_owned(),
            call: Call::Set(SetRequest {
                instance: picked.instance.clone(),
                exclude_boot_volume,
                exclude_data_volumes: excluded.into_iter().cloned().collect(),
                description: self.description(source),
                tags,
                copy_tags_from_volume,
            }),
            trace: self.trace(&stamp),
            volumes: picked.volumes.clone(),
            leftover,
            stopped: instance.state == InstanceState::Stopped,
            excluded: left_out,
            not_covered: devices.to_vec(),
            launch: None,
            shared: Self::shared(source, &picked.volumes, volumes),
            left_running: None,
            notes,
        })
    }

    /// Volumes that other instances write to as well, with those.
    pub(super) fn shared(
        source: &str,
        taken: &[VolumeId],
        volumes: &BTreeMap<&VolumeId, &Volume>,
    ) -> Vec<String> {
        let of = |id: &VolumeId| {
            let attachments = volumes.get(id).map_or(&[][..], |v| &v.attachments);
            let mut others = attachments
                .iter()
                .map(|a| a.instance.as_str())
                .filter(|other| *other != source);
            let other = others.next()?;
            Some(format!("{id} is attached to {other} too"))
        };
        taken.iter().filter_map(of).collect()
    }

    /// The call for one volume that is attached to nothing.
    ///
    /// # Errors
    /// The line of the report when the volume cannot be used.
    pub fn single(&self, picked: &PickedVolume, volume: &Volume) -> Result<Creation, Refused> {
        if let Some(state) = &picked.unusable {
            return Err(Refused {
                items: vec![self.unusable(&picked.volume, state)],
                passing: selection::is_passing(state),
            });
        }
        let source = volume.id.as_str();
        let group = self.group(&volume.tags);
        let stamp = self.stamp(ArtifactKind::Snapshot, source, group.as_deref());
        let (tags, left) = super::with_copied(self.tags(&stamp), &volume.tags);
        let mut leftover = BTreeMap::new();
        if !left.is_empty() {
            leftover.insert(volume.id.to_string(), left);
        }
        Ok(Creation {
            source: source.to_owned(),
            call: Call::Single(SnapshotRequest {
                volume: volume.id.clone(),
                description: self.description(source),
                tags,
            }),
            trace: self.trace(&stamp),
            volumes: vec![volume.id.clone()],
            leftover,
            stopped: false,
            excluded: Vec::new(),
            not_covered: Vec::new(),
            launch: None,
            shared: Vec::new(),
            left_running: None,
            notes: Vec::new(),
        })
    }
}

/// Tags of a multi-volume call: EC2 copies each volume's own where that is safe, else the tags
/// common to all members go into the call and the rest into lineage.
fn set_tags(ours: Tags, members: &[(&VolumeId, &Tags)]) -> (Tags, bool, BTreeMap<String, Tags>) {
    let copying_is_safe = members.iter().all(|(_, tags)| {
        let theirs = tags.keys().filter(|key| !key.starts_with("aws:")).count();
        theirs + ours.len() <= MAX_TAGS && artifact::copied(tags).count() == theirs
    });
    if copying_is_safe {
        return (ours, true, BTreeMap::new());
    }
    let mut tags = ours;
    if let Some((_, first)) = members.first() {
        for (key, value) in artifact::copied(first) {
            let common = members.iter().all(|(_, tags)| tags.get(key) == Some(value));
            if common && tags.len() < MAX_TAGS {
                tags.insert(key.clone(), value.clone());
            }
        }
    }
    let mut leftover = BTreeMap::new();
    for (id, theirs) in members {
        let rest: Tags = artifact::copied(theirs)
            .filter(|(key, _)| !tags.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !rest.is_empty() {
            leftover.insert(id.to_string(), rest);
        }
    }
    (tags, false, leftover)
}
