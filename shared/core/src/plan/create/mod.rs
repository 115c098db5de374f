//! The calls that make a policy's backups, built from what it picks.

mod devices;
pub mod guest;
mod image;
mod lineage;
mod volumes;

pub use devices::instance_store_devices;
pub use lineage::{Attested, Made, lineage};

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::artifact::{self, ArtifactKind, MAX_TAGS, Stamp};
use crate::id::VolumeId;
use crate::inventory::{LaunchParameters, Tags, VolumeState};
use crate::policy::{GroupBy, Policy};
use crate::ports::{ImageRequest, SetRequest, SnapshotRequest};
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

/// Most data volumes that one `CreateSnapshots` call can leave out
/// (`InstanceSpecification.ExcludeDataVolumeIds`, EC2 API Reference).
pub const MAX_EXCLUSIONS: usize = 40;

/// One call and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// What the call names: an instance or a volume.
    pub source: String,
    /// The call.
    pub call: Call,
    /// The tags by which its artifacts are found again.
    pub trace: Tags,
    /// The volumes it takes.
    pub volumes: Vec<VolumeId>,
    /// Tags of a source (volume, or the instance of an AMI) that go into lineage because they do
    /// not fit on its artifact.
    pub leftover: BTreeMap<String, Tags>,
    /// Whether the instance was listed as stopped: a backup of it may be quiet.
    pub stopped: bool,
    /// Volumes of the source that the call leaves out, ascending.
    pub excluded: Vec<VolumeId>,
    /// Instance-store devices of the source.
    pub not_covered: Vec<String>,
    /// How the source is launched; of an AMI.
    pub launch: Option<LaunchParameters>,
    /// Volumes it takes that other instances write to as well, with those, in words.
    pub shared: Vec<String>,
    /// Why EC2 is not to reboot the instance, where the policy would.
    pub left_running: Option<&'static str>,
    /// Volumes and devices that the call does not cover, as lines of the report.
    pub notes: Vec<Item>,
}

/// A creating call of EC2's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `CreateSnapshots` of one instance's volumes.
    Set(SetRequest),
    /// `CreateSnapshot` of one volume.
    Single(SnapshotRequest),
    /// `CreateImage` of one instance.
    Image(ImageRequest),
}

/// No call can be made for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The lines of the report.
    pub items: Vec<Item>,
    /// Whether a later heartbeat may find it otherwise.
    pub passing: bool,
}

impl Refused {
    fn for_good(items: Vec<Item>) -> Self {
        Self {
            items,
            passing: false,
        }
    }
}

impl Creation {
    /// Whether EC2 reboots the instance for it, if that is running.
    #[must_use]
    pub fn reboots(&self) -> bool {
        matches!(&self.call, Call::Image(request) if !request.no_reboot)
    }

    /// Leaves the instance running, for this reason.
    pub fn without_reboot(&mut self, why: &'static str) {
        if let Call::Image(request) = &mut self.call {
            request.no_reboot = true;
            self.left_running.get_or_insert(why);
        }
    }
}

/// What the calls are made for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The slot.
    pub slot: Timestamp,
    /// The run.
    pub run: &'a str,
    /// The on-demand request, where it is one.
    pub request: Option<&'a str>,
}

impl Order<'_> {
    fn item(&self, resource: &str, outcome: Outcome, reason: Reason) -> Item {
        Item::new(Action::Create, resource, outcome)
            .policy(&self.policy.name)
            .slot(self.slot)
            .reason(reason)
    }

    fn description(&self, source: &str) -> String {
        format!("Holdfast {} {} of {source}", self.policy.name, self.slot)
    }

    fn unusable(&self, volume: &VolumeId, state: &VolumeState) -> Item {
        let reason = Reason::with(ReasonCode::VolumeState, format!("{volume} is {state}"));
        self.item(volume.as_str(), Outcome::Failed, reason)
            .source(volume.as_str())
    }

    /// What is written on an artifact.
    fn tags(&self, stamp: &Stamp<'_>) -> Tags {
        let mut tags = stamp.tags();
        let level = self.policy.consistency.as_str();
        tags.insert(artifact::CONSISTENCY.into(), level.into());
        tags
    }

    fn stamp<'s>(
        &'s self,
        kind: ArtifactKind,
        source: &'s str,
        group: Option<&'s str>,
    ) -> Stamp<'s> {
        Stamp {
            kind,
            policy: &self.policy.name,
            source,
            slot: self.slot,
            run: self.run,
            group,
        }
    }

    /// A request's artifacts carry its identifier as their run, and a scheduled slot of the same
    /// second is not theirs.
    fn trace(&self, stamp: &Stamp<'_>) -> Tags {
        let mut trace = stamp.trace();
        if let Some(request) = self.request {
            trace.insert(artifact::RUN.into(), request.into());
        }
        trace
    }

    /// Instance-store disks, whose data the backup lacks.
    fn not_covered(&self, source: &str, devices: &[String]) -> Vec<Item> {
        let note = |device: &String| {
            let detail = format!("{device} is instance store; no snapshot holds its data");
            let reason = Reason::with(ReasonCode::NotCovered, detail);
            self.item(source, Outcome::Finding, reason).source(source)
        };
        devices.iter().map(note).collect()
    }

    fn group(&self, source_tags: &Tags) -> Option<String> {
        match &self.policy.group {
            GroupBy::Source => None,
            GroupBy::Policy => Some(self.policy.name.clone()),
            GroupBy::Tag(key) => source_tags.get(key).cloned(),
        }
    }
}

/// Adds a source's own tags as far as EC2's limit allows; what did not fit is the second answer.
fn with_copied(mut tags: Tags, source: &Tags) -> (Tags, Tags) {
    let mut left = Tags::new();
    for (key, value) in artifact::copied(source) {
        let into = if tags.len() < MAX_TAGS {
            &mut tags
        } else {
            &mut left
        };
        into.insert(key.clone(), value.clone());
    }
    (tags, left)
}
