//! The ports of one run: the simulated account and the records in memory, every call through the
//! gate, and what the run looked at and deleted noted with its moment.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    Binned, FastRestore, Image, ImageReference, ImageState, Instance, InstanceType, KeyState,
    LaunchTemplateVersion, Listing, ReferenceScope, Referrer, Share, Snapshot, SnapshotLock,
    Volume,
};
use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord};
use holdfast_core::plan::settle::{Retired, TrippedPlan};
use holdfast_core::ports::records::{
    Absence, Acquired, Begun, Census, Deletion, DeletionState, Head, Lease, Ledger, OpenSource,
    Readable, Records, Relations, RunRecord, TableError, TableErrorKind,
};
use holdfast_core::ports::{
    Backing, BackingDeletion, CallError, ImageRequest, ImageScope, InstanceScope, ReadEc2,
    SetRequest, SnapshotRequest, SnapshotScope, WriteEc2,
};
use holdfast_sim::Account;
use holdfast_sim::records::InMemoryRecords;
use jiff::{SignedDuration, Timestamp};

use super::gate::{Gate, Moment, Passed};
use super::stamped::Stamped;

/// Where a reference can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Instances,
    Snapshots,
    Images,
    /// Images asked for by what they map.
    Mapping,
    Templates,
    LaunchConfigurations,
    AutoScaling,
    Fleets,
    FastRestores,
    Launches,
    Recipes,
    Shares,
}

/// A run looked.
#[derive(Clone, Debug)]
pub struct Look {
    pub run: usize,
    pub moment: Moment,
    pub at: Sight,
    /// What it asked about; `None`: everything.
    pub about: Option<BTreeSet<String>>,
}

/// Something went, by a run's call.
#[derive(Clone, Debug)]
pub struct Gone {
    pub run: usize,
    pub moment: Moment,
    pub resource: String,
}

#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub looks: Vec<Look>,
    pub gone: Vec<Gone>,
}

/// The times at which the records were made so much older, by the account's clock. The account's own
/// dates must look as old.
pub type Aged = Vec<(Timestamp, SignedDuration)>;

/// The ports of one run.
#[derive(Clone)]
pub struct Ports {
    pub run: usize,
    pub gate: Gate,
    pub ec2: Stamped,
    pub records: InMemoryRecords,
    pub notes: Arc<Mutex<Notes>>,
    pub aged: Arc<Mutex<Aged>>,
}

/// The snapshots and AMIs that stand, whatever lists say.
pub fn standing(account: &Account) -> BTreeSet<String> {
    let snapshots = account.snapshots().map(|s| s.id.to_string());
    let images = account
        .images()
        .filter(|image| image.state != ImageState::Deregistered)
        .map(|image| image.id.to_string());
    snapshots.chain(images).collect()
}

fn texts<T: AsRef<str>>(ids: &[T]) -> BTreeSet<String> {
    ids.iter().map(|id| id.as_ref().to_owned()).collect()
}

impl Ports {
    pub(super) async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let passed = self.gate.turn(self.run, name).await;
        if self.gate.stalls(name) {
            return std::future::pending().await;
        }
        let answer = work.await;
        match passed {
            Passed::Through => answer,
            Passed::AnswerLost => std::future::pending().await,
        }
    }

    async fn look<T>(
        &self,
        name: &'static str,
        at: Sight,
        about: Option<BTreeSet<String>>,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let noted = async {
            let moment = self.gate.moment();
            let look = Look {
                run: self.run,
                moment,
                at,
                about,
            };
            self.notes.lock().unwrap().looks.push(look);
            work.await
        };
        self.call(name, noted).await
    }

    /// Everything in the account that can be deleted.
    fn standing(&self) -> BTreeSet<String> {
        standing(&self.ec2.0.account())
    }

    async fn delete<T>(&self, name: &'static str, work: impl Future<Output = T> + Send) -> T {
        let noted = async {
            let before = self.standing();
            let moment = self.gate.moment();
            let answer = work.await;
            let after = self.standing();
            let gone = before.difference(&after).map(|resource| Gone {
                run: self.run,
                moment,
                resource: resource.clone(),
            });
            self.notes.lock().unwrap().gone.extend(gone);
            answer
        };
        self.call(name, noted).await
    }
}

impl ReadEc2 for Ports {
    async fn instances(&self, scope: &InstanceScope) -> Listing<Instance> {
        let about = match scope {
            InstanceScope::All => None,
            InstanceScope::Ids(ids) => Some(texts(ids)),
            InstanceScope::LaunchedFrom(ids) => Some(texts(ids)),
        };
        let work = self.ec2.instances(scope);
        self.look("instances", Sight::Instances, about, work).await
    }

    async fn volumes(&self) -> Listing<Volume> {
        self.call("volumes", self.ec2.volumes()).await
    }

    async fn snapshots(&self, scope: &SnapshotScope) -> Listing<Snapshot> {
        let about = match scope {
            SnapshotScope::Ids(ids) => Some(texts(ids)),
            SnapshotScope::All | SnapshotScope::Managed => None,
            // None of those that matter here.
            SnapshotScope::Pending | SnapshotScope::Tagged(_) => Some(BTreeSet::new()),
        };
        let work = self.ec2.snapshots(scope);
        self.look("snapshots", Sight::Snapshots, about, work).await
    }

    async fn images(&self, scope: &ImageScope) -> Listing<Image> {
        let (at, about) = match scope {
            ImageScope::Own => (Sight::Images, None),
            ImageScope::MappingAny(ids) => (Sight::Mapping, Some(texts(ids))),
            ImageScope::Ids(ids) => (Sight::Images, Some(texts(ids))),
            ImageScope::Named(_) => (Sight::Images, Some(BTreeSet::new())),
        };
        self.look("images", at, about, self.ec2.images(scope)).await
    }

    async fn launch_template_versions(&self) -> Listing<LaunchTemplateVersion> {
        let work = self.ec2.launch_template_versions();
        self.look("launch_template_versions", Sight::Templates, None, work)
            .await
    }

    async fn launch_template_versions_again(
        &self,
        known: &[LaunchTemplateVersion],
    ) -> Listing<LaunchTemplateVersion> {
        let work = self.ec2.launch_template_versions_again(known);
        let name = "launch_template_versions_again";
        self.look(name, Sight::Templates, None, work).await
    }

    async fn instance_types(&self, names: &[String]) -> Listing<InstanceType> {
        self.call("instance_types", self.ec2.instance_types(names))
            .await
    }

    async fn launch_configurations(&self) -> Listing<Referrer> {
        let work = self.ec2.launch_configurations();
        self.look(
            "launch_configurations",
            Sight::LaunchConfigurations,
            None,
            work,
        )
        .await
    }

    async fn auto_scaling_groups(&self) -> Listing<Referrer> {
        let work = self.ec2.auto_scaling_groups();
        self.look("auto_scaling_groups", Sight::AutoScaling, None, work)
            .await
    }

    async fn fleets(&self) -> Listing<Referrer> {
        let work = self.ec2.fleets();
        self.look("fleets", Sight::Fleets, None, work).await
    }

    async fn fast_restores(&self) -> Listing<FastRestore> {
        let work = self.ec2.fast_restores();
        self.look("fast_restores", Sight::FastRestores, None, work)
            .await
    }

    async fn recycle_bin(&self) -> Listing<Binned> {
        let mut listing = self.call("recycle_bin", self.ec2.recycle_bin()).await;
        let aged = self.aged.lock().unwrap();
        for entry in &mut listing.items {
            let entered = entry.entered;
            let since = aged.iter().filter(|(at, _)| entered <= Some(*at));
            let time: SignedDuration = since.map(|(_, time)| *time).sum();
            entry.entered = entry.entered.map(|at| at - time);
            entry.exits = entry.exits.map(|at| at - time);
        }
        listing
    }

    async fn locks(&self) -> Listing<SnapshotLock> {
        self.call("locks", self.ec2.locks()).await
    }

    async fn image_references(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> Listing<ImageReference> {
        let at = match scope {
            ReferenceScope::Launches => Sight::Launches,
            ReferenceScope::Recipes => Sight::Recipes,
        };
        let work = self.ec2.image_references(images, scope);
        self.look("image_references", at, Some(texts(images)), work)
            .await
    }

    async fn image_shares(&self, id: &ImageId) -> Result<Vec<Share>, CallError> {
        let about = Some(texts(std::slice::from_ref(id)));
        self.look(
            "image_shares",
            Sight::Shares,
            about,
            self.ec2.image_shares(id),
        )
        .await
    }

    async fn snapshot_shares(&self, id: &SnapshotId) -> Result<Vec<Share>, CallError> {
        let about = Some(texts(std::slice::from_ref(id)));
        self.look(
            "snapshot_shares",
            Sight::Shares,
            about,
            self.ec2.snapshot_shares(id),
        )
        .await
    }

    async fn key_state(&self, key: &str) -> Result<KeyState, CallError> {
        self.call("key_state", self.ec2.key_state(key)).await
    }
}

impl WriteEc2 for Ports {
    async fn create_snapshots(&self, request: &SetRequest) -> Result<Vec<Snapshot>, CallError> {
        self.call("create_snapshots", self.ec2.create_snapshots(request))
            .await
    }

    async fn create_snapshot(&self, request: &SnapshotRequest) -> Result<Snapshot, CallError> {
        self.call("create_snapshot", self.ec2.create_snapshot(request))
            .await
    }

    async fn create_image(&self, request: &ImageRequest) -> Result<ImageId, CallError> {
        self.call("create_image", self.ec2.create_image(request))
            .await
    }

    async fn deregister_image(
        &self,
        id: &ImageId,
        backing: Backing,
    ) -> Result<Vec<(SnapshotId, BackingDeletion)>, CallError> {
        self.delete("deregister_image", self.ec2.deregister_image(id, backing))
            .await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), CallError> {
        self.delete("delete_snapshot", self.ec2.delete_snapshot(id))
            .await
    }

    async fn tag(&self, ids: &[String], tags: &BTreeMap<String, String>) -> Result<(), CallError> {
        self.call("tag", self.ec2.tag(ids, tags)).await
    }

    async fn untag(&self, ids: &[String], key: &str) -> Result<(), CallError> {
        self.call("untag", self.ec2.untag(ids, key)).await
    }
}

/// The error of a table that is overloaded.
fn unavailable(operation: &'static str) -> TableError {
    TableError {
        operation,
        table: "in memory".to_owned(),
        record: "*".to_owned(),
        kind: TableErrorKind::Unavailable,
        message: "ProvisionedThroughputExceededException".to_owned(),
    }
}

/// Operations of the records that pass as they are.
macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        async fn $name(&self, $($argument: $type),*) -> Result<$answer, TableError> {
            if self.gate.refuses(stringify!($name)) {
                return Err(unavailable(stringify!($name)));
            }
            self.call(stringify!($name), self.records.$name($($argument),*)).await
        }
    )*};
}

impl Records for Ports {
    pass! {
        begin(function: &str, now: Timestamp) -> Begun;
        begun(function: &str) -> Begun;
        acquire(name: &str, holder: &str, wall: Timestamp) -> Acquired;
        renew(lease: &Lease, wall: Timestamp) -> Lease;
        release(lease: &Lease) -> ();
        set_head(function: &str, policy: &str, head: &Head, lease: &Lease) -> ();
        open_sources(function: &str) -> Readable<Vec<OpenSource>>;
        open(function: &str, source: &OpenSource) -> ();
        close(function: &str, source: &OpenSource) -> ();
        slots(policy: &str, slot: Timestamp, request: Option<&str>, sources: &[String])
            -> BTreeMap<String, SlotRecord>;
        newest_made(policy: &str, sources: &[String]) -> BTreeMap<String, Timestamp>;
        bakes(policy: &str, source: &str, since: Timestamp) -> Vec<SlotRecord>;
        write_slot(record: &SlotRecord, before: Option<&SlotRecord>) -> ();
        record(nodes: &[Node], edges: &[Edge], lease: &Lease) -> ();
        start_run(run: &RunRecord) -> RunRecord;
        run(function: &str, id: &str) -> Option<RunRecord>;
        ledger(since: Timestamp) -> Readable<Ledger>;
        pins() -> BTreeSet<String>;
        pin(sources: &[String], lease: Option<&Lease>) -> ();
        unpin(sources: &[String], lease: &Lease) -> ();
        condemned(resources: &[String]) -> BTreeMap<String, Timestamp>;
        set_condemned(resources: &[String], since: Option<Timestamp>, lease: &Lease) -> ();
        waiting_orphans() -> BTreeSet<String>;
        set_waiting_orphans(snapshots: &[String], waits: bool, lease: &Lease) -> ();
        retired(policy: &str, since: Timestamp, wall: Timestamp) -> Vec<Retired>;
        intend_deletion(deletion: &Deletion, lease: &Lease) -> ();
        end_deletion(deletion: &Deletion, refused: Option<&str>, lease: &Lease) -> ();
        put_deletion_aside(deletion: &Deletion, lease: &Lease) -> ();
        save_tripped(hash: &str, plan: &TrippedPlan, wall: Timestamp, lease: &Lease) -> ();
        tripped(hash: &str, wall: Timestamp, take: bool) -> Option<TrippedPlan>;
        proofs(resource: &str) -> Vec<(Deletion, DeletionState)>;
        deletions(resources: &[String]) -> BTreeMap<String, (Deletion, DeletionState)>;
        census() -> Option<Census>;
        save_census(census: &Census, lease: Option<&Lease>) -> ();
        roster() -> BTreeMap<String, NodeState>;
        nodes(ids: &[String]) -> BTreeMap<String, Node>;
        edges(edges: &[Edge]) -> BTreeSet<Edge>;
        absences() -> BTreeMap<String, Absence>;
        set_absences(changes: &BTreeMap<String, Option<Absence>>, lease: &Lease) -> ();
        relations(id: &str) -> Relations;
    }
}
