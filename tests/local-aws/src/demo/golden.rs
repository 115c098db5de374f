//! What becomes of a machine that stops now and then, event by event over the bus.

use holdfast_core::artifact;
use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::{ImageState, InstanceState, SnapshotState};
use holdfast_sim::request::{
    DeregisterImage, Request, RunInstances, StartInstances, StopInstances,
};
use holdfast_sim::{Account, SharedAccount};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fleet::{self, Machine};
use super::past::{CHECK, CREATE, SWEEP, locked};
use super::report::Report;
use super::{DemoError, expect};
use crate::bus::{Attempt, Bus, World};
use crate::lambda::{DeliveryOptions, Function};
use crate::local::LocalAws;

/// The function that makes AMIs.
pub const BAKE: &str = "create-images";
/// The policy of the machine.
pub const GOLDEN: &str = "golden-images";
/// How often the machine stops.
pub const STOPS: usize = 5;

/// How long the machine stands still: longer than EC2 needs for its AMI.
const STANDSTILL: SignedDuration = SignedDuration::from_mins(10);
/// Between one thing that happens and the next.
const PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The machine on a bus with all functions. Only events pass, no heartbeats: what these would do
/// is no part of it.
pub struct Golden {
    /// The bus.
    pub bus: Bus<SharedAccount>,
    check: Function,
    machine: Machine,
}

/// An AMI that a stop has brought about.
#[derive(Clone, Debug)]
pub struct Bake {
    /// When the machine was told to stop.
    pub time: Timestamp,
    /// The AMI.
    pub image: ImageId,
    /// Its snapshots, ascending.
    pub snapshots: Vec<SnapshotId>,
    /// How many AMIs each delivery of EC2's event made, in order.
    pub made: Vec<usize>,
    /// How many events the check was told.
    pub told: usize,
}

impl Golden {
    /// A bus whose clock stands where the account's does. What was emitted before is not delivered:
    /// a hundred deletions, of which the sweeps have left records.
    ///
    /// # Errors
    ///
    /// A function is not built.
    pub fn new(local: &LocalAws, check: Function, machine: Machine) -> Result<Self, DemoError> {
        let mut functions = vec![check.clone()];
        for name in [CREATE, BAKE, SWEEP] {
            functions.push(local.function(name)?);
        }
        let bus = local.bus(&functions)?;
        drop(locked(&local.account).drain_events());
        Ok(Self {
            bus,
            check,
            machine,
        })
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The account's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.bus.world().now()
    }

    /// Lets the machine stop, each event be delivered this many times, and its AMI be made. The
    /// machine stands still afterwards.
    ///
    /// # Errors
    ///
    /// A function fails, or there is not one more AMI, available and of all its volumes.
    pub async fn stop(&mut self, deliveries: usize) -> Result<Bake, DemoError> {
        let time = self.now();
        let before: Vec<ImageId> = self.images();
        let ids = vec![self.machine.id.to_string()];
        self.call(&Request::StopInstances(StopInstances { ids }))?;
        self.bus.set_delivery(DeliveryOptions {
            duplicates: deliveries.saturating_sub(1),
            ..DeliveryOptions::default()
        });
        let attempts = self.pass(STANDSTILL).await?;
        self.bus.set_delivery(DeliveryOptions::default());
        let mut made = Vec::new();
        for attempt in attempts.iter().filter(|a| a.function == BAKE) {
            let report = Report::of(BAKE, &attempt.outcome)?;
            let new = report
                .with("created")
                .filter(|item| !item.has("already-created"));
            made.push(new.count());
        }
        let mut new = self.images();
        new.retain(|image| !before.contains(image));
        let [image] = new.as_slice() else {
            return Err(DemoError::Unexpected(format!("a stop has made {new:?}")));
        };
        Ok(Bake {
            time,
            image: image.clone(),
            snapshots: self.complete(image)?,
            made,
            told: attempts.iter().filter(|a| a.function == CHECK).count(),
        })
    }

    /// Lets the machine start again.
    ///
    /// # Errors
    ///
    /// A function fails.
    pub async fn start(&mut self) -> Result<(), DemoError> {
        let ids = vec![self.machine.id.to_string()];
        self.call(&Request::StartInstances(StartInstances { ids }))?;
        self.pass(PAUSE).await.map(drop)
    }

    /// Lets the machine stop and start until it has stopped [`STOPS`] times.
    ///
    /// # Errors
    ///
    /// As [`Self::stop`].
    pub async fn go_on(&mut self, first: Bake) -> Result<[Bake; STOPS], DemoError> {
        let mut bakes = vec![first];
        while bakes.len() < STOPS {
            self.start().await?;
            bakes.push(self.stop(1).await?);
        }
        self.start().await?;
        let odd = |bakes: Vec<Bake>| DemoError::Unexpected(format!("{} stops", bakes.len()));
        bakes.try_into().map_err(odd)
    }

    /// Somebody launches an instance that no policy selects.
    ///
    /// # Errors
    ///
    /// The account refuses, or a function fails.
    pub async fn launch_from(&mut self, image: &ImageId) -> Result<InstanceId, DemoError> {
        let request = RunInstances {
            image: Some(image.to_string()),
            instance_type: Some("t3.micro".to_owned()),
            ..fleet::run(1, &[("Role", "test")])
        };
        let launched = fleet::launch_one(&mut locked(self.bus.world()), request, "test")?;
        self.pass(PAUSE).await?;
        Ok(launched.id)
    }

    /// Somebody deregisters an AMI and leaves its snapshots, as the console does unless told. How
    /// many events the check was told.
    ///
    /// # Errors
    ///
    /// The account refuses, or a function fails.
    pub async fn deregister(&mut self, image: &ImageId) -> Result<usize, DemoError> {
        self.call(&Request::DeregisterImage(DeregisterImage {
            id: image.to_string(),
            delete_associated_snapshots: false,
        }))?;
        let attempts = self.pass(PAUSE).await?;
        Ok(attempts.iter().filter(|a| a.function == CHECK).count())
    }

    /// A heartbeat of the check, and some time after it.
    ///
    /// # Errors
    ///
    /// It fails.
    pub async fn reconcile(&mut self) -> Result<Report, DemoError> {
        let beat = self
            .bus
            .heartbeat_envelope("CheckDependenciesHeartbeat", self.now());
        let report = Report::unfinished(CHECK, &self.check.invoke(&beat).await?)?;
        self.pass(PAUSE).await?;
        Ok(report)
    }

    /// Lets time pass; what was invoked. Nothing may fail.
    async fn pass(&mut self, time: SignedDuration) -> Result<Vec<Attempt>, DemoError> {
        let until = self.now() + time;
        let attempts = self.bus.advance_to_when(until, |_| false).await?.attempts;
        for attempt in &attempts {
            Report::unfinished(&attempt.function, &attempt.outcome)?;
        }
        Ok(attempts)
    }

    fn call(&self, request: &Request) -> Result<(), DemoError> {
        locked(self.bus.world()).call(request)?;
        Ok(())
    }

    /// The AMIs in the account that are tagged for the policy.
    fn images(&self) -> Vec<ImageId> {
        images(&locked(self.bus.world()))
    }

    /// The snapshots of an AMI; it must be usable, and was made while the machine stood still.
    fn complete(&self, image: &ImageId) -> Result<Vec<SnapshotId>, DemoError> {
        let account = locked(self.bus.world());
        let found = account
            .image(image)
            .filter(|image| image.state == ImageState::Available)
            .ok_or_else(|| DemoError::Unexpected(format!("{image} is not available")))?;
        let mut snapshots: Vec<SnapshotId> = found.snapshots().cloned().collect();
        snapshots.sort();
        expect(snapshots.len() == self.machine.volumes.len(), || {
            format!("{image} maps {snapshots:?}")
        })?;
        for id in &snapshots {
            let state = account.snapshot(id).map(|snapshot| snapshot.state.clone());
            expect(state == Some(SnapshotState::Completed), || {
                format!("{id} behind {image} is {state:?}")
            })?;
        }
        let state = account.instance(&self.machine.id).map(|i| i.state.clone());
        expect(state == Some(InstanceState::Stopped), || {
            format!("{} is {state:?}", self.machine.name)
        })?;
        Ok(snapshots)
    }
}

/// Lets the machine stop [`STOPS`] times, an instance be launched from the first AMI, and somebody
/// deregister the last AMI but one.
///
/// # Errors
///
/// As [`Golden::stop`].
pub async fn play(
    local: &LocalAws,
    check: Function,
    machine: Machine,
) -> Result<Bus<SharedAccount>, DemoError> {
    let mut golden = Golden::new(local, check, machine)?;
    let first = golden.stop(1).await?;
    let bakes = golden.go_on(first).await?;
    golden.launch_from(&bakes[0].image).await?;
    golden.deregister(&bakes[STOPS - 2].image).await?;
    Ok(golden.bus)
}

/// The AMIs in the account that are tagged for the policy, ascending.
fn images(account: &Account) -> Vec<ImageId> {
    let ours = account
        .images()
        .filter(|image| image.tags.get(artifact::POLICY).map(String::as_str) == Some(GOLDEN));
    let mut ids: Vec<ImageId> = ours.map(|image| image.id.clone()).collect();
    ids.sort();
    ids
}

/// What the table says of an artifact: its state, and how consistent it is.
///
/// # Errors
///
/// The table cannot be read, or has no such record.
pub fn recorded(local: &LocalAws, id: &str) -> Result<(String, String), DemoError> {
    let key = format!("node#{id}");
    let items = local.dynamodb.items();
    let items = items.map_err(crate::local::LocalAwsError::from)?;
    let item = items
        .iter()
        .find(|item| item["pk"]["S"] == key.as_str() && item["sk"]["S"] == "node")
        .ok_or_else(|| DemoError::Unexpected(format!("{id} is not on record")))?;
    let text = |value: &Value| value["S"].as_str().unwrap_or_default().to_owned();
    Ok((text(&item["state"]), text(&item["consistency"])))
}
