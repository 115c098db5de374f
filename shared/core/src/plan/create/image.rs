//! The call that makes an AMI.

use std::collections::BTreeMap;

use super::{Call, Creation, Order, Refused, with_copied};
use crate::artifact::{self, ArtifactKind};
use crate::id::VolumeId;
use crate::inventory::{Instance, InstanceState, Volume, VolumeState};
use crate::lineage::SlotRecord;
use crate::policy::selection;
use crate::ports::ImageRequest;
use crate::report::{Outcome, Reason, ReasonCode};

impl Order<'_> {
    /// The call for an AMI of one instance. `before` is what the ledger has of it.
    ///
    /// Its name is the idempotency key: it changes only when EC2 has failed an AMI of that name.
    /// Volumes that the policy excludes are dropped from the AMI, the root never: an AMI without it
    /// starts nothing. A volume in a state that permits no snapshot is dropped too and named.
    /// Where the policy reboots, only the first call of a slot that EC2 may have carried out does,
    /// and never of an instance of an Auto Scaling group: the group takes an instance that fails its
    /// health checks meanwhile for unhealthy and replaces it (Auto Scaling User Guide, "Health
    /// checks").
    ///
    /// # Errors
    /// The lines of the report when no call can be made: an instance-store root, which
    /// `CreateImage` does not know, an unusable root volume, or an instance that is neither
    /// running nor stopped.
    pub fn image(
        &self,
        instance: &Instance,
        volumes: &BTreeMap<&VolumeId, &Volume>,
        devices: &[String],
        before: Option<&SlotRecord>,
    ) -> Result<Creation, Refused> {
        let source = instance.id.as_str();
        let failed = |code, detail: String| {
            let reason = Reason::with(code, detail);
            vec![self.item(source, Outcome::Failed, reason).source(source)]
        };
        if instance.root_device_type.as_deref() == Some("instance-store") {
            let detail = "its root device is instance store, of which EC2 makes no AMI; select its \
                          volumes with protect: volumes";
            let items = failed(ReasonCode::NotCovered, detail.into());
            return Err(Refused::for_good(items));
        }
        match &instance.state {
            InstanceState::Running | InstanceState::Stopped => {}
            state => {
                let detail = format!("it is {state}; an AMI is made of a running or stopped one");
                return Err(Refused {
                    items: failed(ReasonCode::InstanceState, detail),
                    passing: true,
                });
            }
        }
        let root = instance.root_volume();
        let excluded = selection::left_out_of_image(self.policy, instance, volumes);
        let mut notes = Vec::new();
        let (mut dropped, mut taken, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for device in &instance.devices {
            let Some(id) = &device.volume else { continue };
            let is_root = root == Some(id);
            if excluded.contains(&id) {
                dropped.push(device.name.clone());
                left_out.push(id.clone());
                continue;
            }
            let state = volumes.get(id).map(|volume| &volume.state).cloned();
            let state = state.unwrap_or_else(selection::missing);
            if matches!(state, VolumeState::Available | VolumeState::InUse) {
                taken.push(id.clone());
            } else if is_root || selection::is_passing(&state) {
                // An AMI that lacks a disk because of a list that lags would count as whole.
                return Err(Refused {
                    items: vec![self.unusable(id, &state)],
                    passing: selection::is_passing(&state),
                });
            } else {
                notes.push(self.unusable(id, &state));
                dropped.push(device.name.clone());
                left_out.push(id.clone());
            }
        }
        dropped.sort();
        left_out.sort();
        let shared = Self::shared(source, &taken, volumes);
        taken.sort();
        notes.extend(self.not_covered(source, devices));

        let group = self.group(&instance.tags);
        let stamp = self.stamp(ArtifactKind::Image, source, group.as_deref());
        let backing = self.stamp(ArtifactKind::ImageSnapshot, source, group.as_deref());
        let (tags, left) = with_copied(self.tags(&stamp), &instance.tags);
        let (snapshot_tags, _) = with_copied(self.tags(&backing), &instance.tags);
        let failures = before.map_or(0, |record| record.failures);
        let rebooted = before.is_some_and(|record| record.rebooted);
        let in_group = instance.auto_scaling_group().is_some();
        let name = artifact::image_name(&self.policy.name, source, self.slot, failures + 1);
        Ok(Creation {
            source: source.to_owned(),
            call: Call::Image(ImageRequest {
                instance: instance.id.clone(),
                name,
                description: self.description(source),
                no_reboot: !self.policy.reboot || rebooted || in_group,
                excluded_devices: dropped,
                tags,
                snapshot_tags,
            }),
            trace: stamp.trace(),
            volumes: taken,
            leftover: BTreeMap::from([(source.to_owned(), left)]),
            stopped: instance.state == InstanceState::Stopped,
            excluded: left_out,
            not_covered: devices.to_vec(),
            launch: instance.launch.as_deref().cloned(),
            shared,
            left_running: in_group
                .then_some("it belongs to an Auto Scaling group, which may replace it then"),
            notes,
        })
    }
}
