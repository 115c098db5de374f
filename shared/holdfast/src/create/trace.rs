//! Looking for what a request of unknown outcome may have made.

use holdfast_core::artifact::{self, Artifact, ArtifactKind};
use holdfast_core::inventory::{Image, ImageState, Snapshot, SnapshotState};
use holdfast_core::lineage::SlotRecord;
use holdfast_core::plan::create::{Call, Creation, Made};
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{CallError, ImageScope, ReadEc2, SnapshotScope, WriteEc2};

use super::work::Work;

/// What EC2 failed to complete, and its words on it.
pub(super) struct FailedTrace {
    pub words: String,
    pub artifacts: Vec<String>,
}

/// What a search by tags or by name found.
pub(super) enum Trace {
    /// Everything that was asked for.
    Found(Made),
    /// A part: the members of a set become visible one by one.
    Part(Made),
    /// Only what EC2 failed to complete.
    Failed(FailedTrace),
    /// Something else has the name; what it is.
    Conflict(String),
    Absent,
    Unknown(CallError),
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Looks for what was made, by the tags or the name written in the call itself.
    pub(super) async fn look(&self, creation: &Creation, record: &SlotRecord) -> Trace {
        match &creation.call {
            Call::Set(_) | Call::Single(_) => self.look_by_tags(creation, record).await,
            Call::Image(request) => self.look_by_name(creation, &request.name).await,
        }
    }

    async fn look_by_tags(&self, creation: &Creation, record: &SlotRecord) -> Trace {
        let scope = SnapshotScope::Tagged(creation.trace.clone());
        let list = self.creator.ec2.snapshots(&scope).await;
        if let Some(error) = list.error {
            return Trace::Unknown(error);
        }
        // The list is of one's own snapshots already; a doubt here would make a second one.
        let ours = |snapshot: &Snapshot| {
            let lost = record.lost.iter().any(|id| id == snapshot.id.as_str());
            let read = Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), None);
            !lost && read.is_ok_and(|artifact| artifact.kind == ArtifactKind::Snapshot)
        };
        let ours: Vec<Snapshot> = list.items.into_iter().filter(ours).collect();
        if ours.is_empty() {
            return Trace::Absent;
        }
        let (failed, usable): (Vec<Snapshot>, Vec<Snapshot>) = ours
            .into_iter()
            .partition(|s| s.state == SnapshotState::Error);
        let words = failed.iter().find_map(|s| s.state_message.clone());
        let whole = creation
            .volumes
            .iter()
            .all(|volume| usable.iter().any(|s| s.volume.as_ref() == Some(volume)));
        match (usable.is_empty(), whole) {
            (true, _) => Trace::Failed(FailedTrace {
                words: words.unwrap_or_else(|| "EC2 could not complete the snapshot".to_owned()),
                artifacts: failed.iter().map(|s| s.id.to_string()).collect(),
            }),
            (false, true) => Trace::Found(Made::Snapshots(usable)),
            (false, false) => Trace::Part(Made::Snapshots(usable)),
        }
    }

    async fn look_by_name(&self, creation: &Creation, name: &str) -> Trace {
        let scope = ImageScope::Named(name.to_owned());
        let list = self.creator.ec2.images(&scope).await;
        if let Some(error) = list.error {
            return Trace::Unknown(error);
        }
        let named = list
            .items
            .into_iter()
            .find(|image| image.name.as_deref() == Some(name));
        named.map_or(Trace::Absent, |image| judge(creation, image))
    }
}

/// What an image that has the name is. It is taken over only when its tags are those that the call
/// writes; anything else that has the name is an error, never the first match.
fn judge(creation: &Creation, image: Image) -> Trace {
    let read = Artifact::read(&image.tags, image.owner.as_deref(), None);
    let ours = read.is_ok_and(|artifact| artifact.kind == ArtifactKind::Image);
    let traced = creation
        .trace
        .iter()
        .all(|(key, value)| image.tags.get(key) == Some(value));
    if !(ours && traced) {
        let detail = format!(
            "{} has its name without its tags; rename or deregister that image",
            image.id
        );
        return Trace::Conflict(detail);
    }
    match image.state {
        ImageState::Pending | ImageState::Available => Trace::Found(Made::Image {
            created: image.created,
            run: image.tags.get(artifact::RUN).cloned(),
            id: image.id,
        }),
        ImageState::Failed | ImageState::Error => {
            let words = image.state_reason.as_deref().unwrap_or("no reason given");
            Trace::Failed(FailedTrace {
                words: format!("EC2 failed {}: {words}", image.id),
                artifacts: vec![image.id.to_string()],
            })
        }
        // Still listed for a short time; its name may still be refused.
        ImageState::Deregistered => Trace::Absent,
        state => Trace::Conflict(format!("{} has its name and is {state}", image.id)),
    }
}
